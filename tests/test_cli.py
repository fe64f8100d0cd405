"""Each command end to end on small chains, in its own process, as a user runs it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sshml.cli import main
from sshml.files import read_csv

COMMANDS = ("generate", "check", "info", "train", "compress", "sweep", "select", "entanglement", "export", "reproduce")


def sshml(*arguments, folder, **options):
    command = [sys.executable, "-c", "from sshml.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=250, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with chains.h5 and run.h5 made by the commands themselves."""
    made = tmp_path_factory.mktemp("cli")
    sizes = ("--train", 300, "--valid", 50, "--test", 100)
    for arguments in (
        ("generate", "chains.h5", "--cells", 4, "--disorder-v", 0.2, *sizes, "--seed", 3),
        ("train", "chains.h5", "run.h5", "--hidden", "8,4", "--seeds", 2, "--epochs", 2, "--device", "cpu"),
    ):
        found = sshml(*arguments, folder=made)
        assert found.returncode == 0, found.stderr
    return made


def call(monkeypatch, capsys, folder, *arguments):
    """Run a command in this process; return (exit code, stdout, stderr)."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["sshml", *map(str, arguments)])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code, *capsys.readouterr()


def test_help_is_fast_because_it_imports_nothing(tmp_path):
    code = (
        "import sys, runpy; sys.argv = ['sshml', *sys.argv[1:]]\n"
        "from sshml.cli import main\n"
        "try: main()\n"
        "finally: print('HEAVY', [m for m in ('torch', 'numpy', 'h5py', 'numba', 'matplotlib') if m in sys.modules])"
    )
    for arguments in ((), ("--help",), *((command, "--help") for command in COMMANDS)):
        found = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert "Usage" in found.stdout
        assert "HEAVY []" in found.stdout


def test_check_and_info(monkeypatch, capsys, folder):
    code, out, _ = call(monkeypatch, capsys, folder, "check", "chains.h5")
    assert code == 0
    assert "valid, 300 + 50 + 100 chains of 8 sites" in out
    code, out, _ = call(monkeypatch, capsys, folder, "info", "chains.h5")
    assert code == 0
    for words in ("label from the signs alone", "distance of test chains", "disorder_v", "0.2"):
        assert words in out


def test_compress(monkeypatch, capsys, folder, tmp_path):
    mpo = ("--max-bond", 2, "--shape", "2,2,2:4,4,4")
    for method, size, parameters in (
        ("svd", ("--rank", 2), 8 * 2 + 64 * 2),
        ("prune", ("--keep", 30), 30),
        ("mpo", mpo, 8 * 2 + 2 * 8 * 2 + 2 * 8),
    ):
        out = tmp_path / f"{method}.h5"
        code, text, _ = call(
            monkeypatch, capsys, folder, "compress", "run.h5", out, "--method", method, *size, "--data", "chains.h5"
        )
        assert code == 0
        assert f"566 -> {566 - 512 + parameters} parameters" in text
        assert "test accuracy" in text
        # a compressed run is a run: its next layer can be swept
        code, _, _ = call(
            monkeypatch, capsys, folder, "sweep", out, "chains.h5", "--layer", 1, "--out", tmp_path / f"{method}.csv"
        )
        assert code == 0


@pytest.mark.parametrize("method", ["svd", "mpo", "prune"])
def test_sweep(monkeypatch, capsys, folder, tmp_path, method):
    table, figure = tmp_path / "s.csv", tmp_path / "s.png"
    code, out, _ = call(
        monkeypatch,
        capsys,
        folder,
        "sweep",
        "run.h5",
        "chains.h5",
        "--method",
        method,
        "--out",
        table,
        "--plot",
        figure,
    )
    assert code == 0
    assert "smallest" in out
    rows = read_csv(table)
    assert rows[-1]["removed"] == "0.0"
    assert set(rows[0]) == {"method", "layer", "size", "removed", "bytes", "seed 0", "seed 1"}
    assert figure.stat().st_size > 5000


@pytest.mark.parametrize("view", ["states", "projector"])
def test_select(monkeypatch, capsys, folder, tmp_path, view):
    run = tmp_path / "run.h5"
    arguments = ("--view", view, "--hidden", "8", "--seeds", 2, "--epochs", 1)
    assert call(monkeypatch, capsys, folder, "train", "chains.h5", run, *arguments)[0] == 0
    code, out, _ = call(monkeypatch, capsys, folder, "select", run, "chains.h5", "--out", tmp_path / "v.png")
    assert code == 0
    assert "Marchenko-Pastur" in out
    assert ("mid-gap" in out) == (view == "states")
    assert (tmp_path / "v.png").stat().st_size > 5000


def test_entanglement_of_a_run_and_of_a_model(monkeypatch, capsys, folder, tmp_path):
    import torch

    from sshml.classifier import load_run

    torch.save(load_run(folder / "run.h5").model().state_dict(), tmp_path / "model.pt")
    torch.save(torch.nn.Linear(4, 4), tmp_path / "pickled.pt")
    options = ("--shape", "2,4:8,8", "--base", 2)
    found = {}
    for name in (folder / "run.h5", tmp_path / "model.pt"):
        figure = tmp_path / f"{name.stem}.png"
        code, found[name.name], _ = call(monkeypatch, capsys, folder, "entanglement", name, *options, "--out", figure)
        assert code == 0
        assert figure.stat().st_size > 5000
    assert "at initialisation" in found["run.h5"]
    for text in found.values():
        assert "S in bits" in " ".join(text.split())
        assert "4.000" in text  # the ceiling, log2 of 16
        assert "█" in text
    for layer, words in ((("--layer", 3), "0 (1), 1 (3), 2 (5)"), (("--shape", "2,2"), "OUT_DIMS:IN")):
        code, _, err = call(monkeypatch, capsys, tmp_path, "entanglement", "model.pt", *layer, "--out", "x.png")
        assert code == 2
        assert words in err
    torch.save({"in_proj_weight": torch.ones(3, 3), 0: torch.ones(3, 3)}, tmp_path / "odd.pt")
    for name, words in (("pickled.pt", "no state_dict of tensors"), ("odd.pt", "it has none")):
        code, _, err = call(monkeypatch, capsys, tmp_path, "entanglement", name, "--out", "x.png")
        assert code == 2
        assert words in err
    torch.save({"weight": torch.randn(1, 7).half()}, tmp_path / "half.pt")
    assert call(monkeypatch, capsys, tmp_path, "entanglement", "half.pt", "--out", "h.png")[0] == 0
    assert not (tmp_path / "x.png").exists()


def test_generate_in_every_way(monkeypatch, capsys, tmp_path):
    sizes = ("--cells", 4, "--train", 30, "--valid", 5, "--test", 5)
    longer = ("--j3", "-1:1", "--j4", "0:1", "--boundary", "periodic", "--law", "normal", "--disorder-j4", 0.1)
    for name, options in (("s.h5", ("--shard-size", 12, "--workers", 2)), ("r.h5", ("--recipe",)), ("l.h5", longer)):
        code, out, _ = call(monkeypatch, capsys, tmp_path, "generate", name, *sizes, *options)
        assert code == 0
        assert ("in 5 shards" in out) == (name == "s.h5")
        assert call(monkeypatch, capsys, tmp_path, "check", name)[0] == 0
        code, out, _ = call(monkeypatch, capsys, tmp_path, "export", name, name + ".csv")
        assert code == 0
        assert "40 chains" in out
    code, out, _ = call(monkeypatch, capsys, tmp_path, "info", "l.h5")
    assert code == 0
    assert "-1: 0." in out
    fit = ("--hidden", "4", "--seeds", 2, "--epochs", 1)
    assert call(monkeypatch, capsys, tmp_path, "train", "l.h5", "l-run.h5", *fit)[0] == 0
    assert call(monkeypatch, capsys, tmp_path, "train", "s.h5", "s-run.h5", *fit, "--stream", "--view", "abs")[0] == 0
    code, _, err = call(monkeypatch, capsys, tmp_path, "select", "l-run.h5", "l.h5")
    assert code == 2
    assert "longer range" in err


BAD = {
    "reversed range": (("generate", "x.h5", "--v", "1:0"), "reversed"),
    "no cells": (("generate", "x.h5", "--cells", "0"), "cells is 0"),
    "empty split": (("generate", "x.h5", "--test", "0"), "test is 0"),
    "NaN hopping": (("generate", "x.h5", "--w", "nan"), "not finite"),
    "equal hoppings": (("generate", "x.h5", "--v", "1", "--w", "1"), "single chain"),
    "closed gap": (("generate", "x.h5", "--v", "1", "--w", "1", "--disorder-w", "1e-300"), "closed gap"),
    "unknown gauge": (("generate", "x.h5", "--gauge", "coulomb"), "choose one of fixed, random"),
    "unknown view": (("train", "chains.h5", "x.h5", "--view", "x-ray"), "states, abs, density, projector"),
    "unknown method": (("sweep", "run.h5", "chains.h5", "--method", "jpeg", "--out", "x.csv"), "svd, mpo, prune"),
    "no number": (("generate", "x.h5", "--cells", "many"), "--cells"),
    "unknown option": (("generate", "x.h5", "--colour", "red"), "--colour"),
    "unknown command": (("paint",), "paint"),
    "existing file": (("generate", "chains.h5"), "--force"),
    "run as data": (("train", "run.h5", "x.h5"), "expected a sshml-dataset file"),
    "data as run": (("sweep", "chains.h5", "chains.h5", "--out", "x.csv"), "expected a sshml-run file"),
    "missing file": (("check", "nowhere.h5"), "does not exist"),
    "text file": (("check", "notes.txt"), "not an HDF5 file"),
    "rank 0": (("compress", "run.h5", "x.h5", "--rank", "0"), "choose 1 to 8"),
    "rank too large": (("compress", "run.h5", "x.h5", "--rank", "9"), "choose 1 to 8"),
    "no rank": (("compress", "run.h5", "x.h5"), "--rank"),
    "layer": (("compress", "run.h5", "x.h5", "--rank", "1", "--layer", "7"), "0 (1), 1 (3), 2 (5)"),
    "hidden": (("train", "chains.h5", "x.h5", "--hidden", "many"), "--hidden"),
    "no seeds": (("train", "chains.h5", "x.h5", "--seeds", "0"), "seeds"),
    "device": (("train", "chains.h5", "x.h5", "--device", "abacus"), "auto, cpu or cuda"),
    "activation": (("train", "chains.h5", "x.h5", "--activation", "sin"), "relu, tanh, sigmoid"),
    "flip abs": (("train", "chains.h5", "x.h5", "--view", "abs", "--flip-signs"), "no meaning"),
    "figure format": (("select", "run.h5", "chains.h5", "--out", "x.docx"), "figure format"),
    "other chains": (("sweep", "run.h5", "long.h5", "--out", "x.csv"), "trained on 8 sites"),
    "output is input": (("train", "chains.h5", "chains.h5", "--force"), "named twice"),
    "plot is table": (("sweep", "run.h5", "chains.h5", "--out", "x.png", "--plot", "x.png"), "named twice"),
    "layer in words": (("sweep", "run.h5", "chains.h5", "--out", "x.csv", "--layer", "--5"), "not a linear layer"),
    "data of another size": (("compress", "run.h5", "x.h5", "--rank", "2", "--data", "long.h5"), "trained on 8"),
    "other device": (("train", "chains.h5", "x.h5", "--device", "mps"), "auto, cpu or cuda"),
    "law": (("generate", "x.h5", "--law", "levy"), "choose one of uniform, normal, multiplicative"),
    "no label": (("generate", "x.h5", "--j3", "0:1", "--disorder-v", "1"), "boundary='periodic'"),
    "disorder of nothing": (("generate", "x.h5", "--disorder-j4", "1"), "disorder_j4 needs j4"),
    "shard size": (("generate", "x.h5", "--shard-size", "0"), "shard_size is 0"),
    "export over data": (("export", "chains.h5", "chains.h5", "--force"), "named twice"),
    "one seed": (("reproduce", "--seeds", "1"), "at least 2"),
    "experiment": (("reproduce", "perpetuum"), "perpetuum"),
    "images of nothing": (("reproduce", "phases", "--full"), "for fc2, lenet5 and entanglement"),
    "no images": (("reproduce", "fc2", "--root", "nowhere"), "holds no train-images-idx3-ubyte"),
    "no bond": (("compress", "run.h5", "x.h5", "--method", "mpo"), "--max-bond"),
    "idle rank": (("compress", "run.h5", "x.h5", "--method", "mpo", "--max-bond", "2", "--rank", "3"), "no meaning"),
    "idle shape": (("sweep", "run.h5", "chains.h5", "--shape", "2,4:8,8", "--out", "x.csv"), "no meaning"),
    "grown": (("compress", "run.h5", "x.h5", "--method", "mpo", "--max-bond", "99"), "choose a smaller size"),
    "bond 0": (("compress", "run.h5", "x.h5", "--method", "mpo", "--max-bond", "0"), "choose 1 to"),
    "dims": (("entanglement", "run.h5", "--shape", "2,2:8,8", "--out", "x.png"), "multiply to 4 but the layer has 8"),
    "dims in words": (("entanglement", "run.h5", "--shape", "two", "--out", "x.png"), "OUT_DIMS:IN_DIMS"),
    "base": (("entanglement", "run.h5", "--base", "1", "--out", "x.png"), "above 1"),
    "shuffles": (("entanglement", "run.h5", "--shuffles", "0", "--out", "x.png"), "at least 2"),
    "entanglement of data": (("entanglement", "chains.h5", "--out", "x.png"), "expected a sshml-run file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(monkeypatch, capsys, folder, case):
    arguments, words = BAD[case]
    (folder / "notes.txt").write_text("no HDF5 here\n" * 100)
    if "long.h5" in arguments and not (folder / "long.h5").exists():
        sizes = ("--train", 2, "--valid", 1, "--test", 1)
        assert call(monkeypatch, capsys, folder, "generate", "long.h5", "--cells", 6, *sizes)[0] == 0
    before = sorted(p.name for p in folder.iterdir())
    code, out, err = call(monkeypatch, capsys, folder, *arguments)
    lines = [line for line in err.splitlines() if line.strip()]
    assert code == 2
    assert out == ""
    assert words in lines[-1]
    assert len([line for line in lines if "━" not in line]) == 1
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_command_leaves_nothing(tmp_path, name, code):
    command = [sys.executable, "-c", "from sshml.cli import main; main()", "generate", "x.h5", "--train", "50000000"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(600):
        if list(tmp_path.iterdir()):  # the temporary file is there: the work is under way
            break
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    process.communicate(timeout=60)
    assert process.returncode == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file sizes")
def test_a_failed_write_is_one_line(tmp_path):
    def limit():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    found = sshml("generate", "x.h5", "--train", 4000, folder=tmp_path, preexec_fn=limit)
    assert found.returncode == 2
    assert "could not be written: file too large" in found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    found = sshml("generate", "x.h5", "--train", 10, "--valid", 1, "--test", 1, folder=tmp_path)
    assert found.returncode == 2
    assert "permission denied" in found.stderr
