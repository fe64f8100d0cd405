from sshml.experiments import lenet5


def test_numbers_figure_and_claims(small_images, reproduced):
    found = reproduced("lenet5", seeds=2, epochs=1, batch_size=50, valid=100)
    assert found.failures == []
    assert [row["id"] for row in found.claims] == ["G2"] * 5
    assert (found.folder / "lenet5.png").stat().st_size > 5000
    table = found.tables.columns("accuracy")
    assert table["family"].tolist() == ["dense", "dense", "mpo", "mpo"]
    assert float(found.claims[-1]["mean"]) == round((table["test"][2:] - table["test"][:2]).mean(), 6)


def test_the_share_is_the_published_one():
    assert round(lenet5.share(), 2) == 0.05
