"""Training and compressing on the command line."""


def test_compress(call, folder, tmp_path):
    mpo = ("--max-bond", 2, "--shape", "2,2,2:4,4,4")
    for method, size, parameters in (
        ("svd", ("--rank", 2), 8 * 2 + 64 * 2),
        ("prune", ("--keep", 30), 30),
        ("mpo", mpo, 8 * 2 + 2 * 8 * 2 + 2 * 8),
    ):
        out = tmp_path / f"{method}.h5"
        code, text, _ = call(folder, "compress", "run.h5", out, "--method", method, *size, "--data", "chains.h5")
        assert code == 0
        assert f"566 -> {566 - 512 + parameters} parameters" in text
        assert "test accuracy" in text
        # a compressed run is a run: its next layer can be swept
        code, _, _ = call(folder, "sweep", out, "chains.h5", "--layer", 1, "--out", tmp_path / f"{method}.csv")
        assert code == 0
