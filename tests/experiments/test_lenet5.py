import numpy as np

from sshml.experiments import lenet5


def test_numbers_figure_and_claims(small_images, reproduced):
    found = reproduced("lenet5", seeds=2, epochs=1, batch_size=50, valid=100, shares=(0.2,))
    assert found.failures == []
    assert [row["id"] for row in found.claims] == ["G2"] * 5 + ["LeNet-5"] * 7
    assert {path.stem for path in found.folder.glob("*.png")} == {"lenet5", "truncated"}
    table = found.tables.columns("accuracy")
    assert table["family"].tolist() == ["dense", "dense", "mpo", "mpo"]
    less = found.claims[4]
    assert float(less["mean"]) == round((table["test"][2:] - table["test"][:2]).mean(), 6)
    assert {row["verdict"] for row in found.claims[:5]} == {"not comparable"}

    truncated = found.tables.columns("truncated")
    assert sorted(set(truncated["way"])) == ["joint", "mpo", "svd"]
    joint = truncated["way"] == "joint"
    assert (truncated["used"][joint] <= truncated["share"][joint]).all()
    whole = truncated["share"] == 1
    assert whole.sum() == 2
    assert (truncated["truncated"] == truncated["dense"])[whole].all()
    # 156 and 2416 of the 61706 numbers are those of the convolutions
    least = (61706 - 2572 * 0.8) / 61706
    assert (truncated["used"][(truncated["way"] == "svd") & (truncated["share"] == 0.2)] <= least + 1e-5).all()
    assert (truncated["used"][truncated["way"] == "mpo"] > 1 - 2572 / 61706).all()


def test_cuts_that_cannot_be_are_not_measurable(small_images, reproduced):
    """A convolution of rank 1 takes more than 1 % of its bytes."""
    size = {"seeds": 2, "epochs": 1, "batch_size": 50, "valid": 100}
    found = reproduced("lenet5", **size, shares=(0.01, 0.3))
    assert found.failures == []
    made = [job for job in lenet5.jobs(lenet5.Settings(**size)) if "family" in job.arguments]
    rates = {job.arguments["family"]: job.arguments["training"].learning_rate for job in made}
    assert rates == {"dense": 3e-3, "mpo": 1e-2}
    table = found.tables.columns("truncated", way="svd")
    assert np.isnan(table["tuned"][table["share"] == 0.01]).all()
    assert np.isfinite(table["tuned"][table["share"] == 0.3]).all()
    verdicts = [row["verdict"] for row in found.claims if "convolutions, SVD, 1%" in row["claim"]]
    assert verdicts == ["not measurable"] * 2


def test_the_share_is_the_published_one():
    assert round(lenet5.share(), 2) == 0.05


def test_the_full_size_is_compared_with_the_source():
    full = lenet5.Settings(**lenet5.FULL)
    assert lenet5.too_short(full, lenet5.LONG) == ""
    assert full.seeds == 5
