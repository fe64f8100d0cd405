from sshml.experiments import lenet5
from sshml.tables import read_columns


def test_numbers_figure_and_claims(small_images, tmp_path):
    claims = lenet5.reproduce(tmp_path / "x", lenet5.Settings(seeds=2, epochs=1, batch_size=50), "cpu")
    assert [row["id"] for row in claims] == ["G2"] * 3
    assert (tmp_path / "x" / "lenet5.png").stat().st_size > 5000
    table = read_columns(tmp_path / "x" / "accuracy.csv")
    assert table["family"].tolist() == ["dense", "dense", "mpo", "mpo"]
    assert float(claims[2]["mean"]) == round((table["test"][2:] - table["test"][:2]).mean(), 6)


def test_the_share_is_the_published_one():
    assert round(lenet5.share(), 2) == 0.05
