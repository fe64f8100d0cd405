import pytest

from sshml.experiments.poster import Settings, reproduce


@pytest.fixture(scope="session")
def small_poster(tmp_path_factory):
    """The poster with three networks and few chains: (folder, claims, baselines)."""
    folder = tmp_path_factory.mktemp("results") / "poster"
    return folder, *reproduce(folder, Settings(seeds=3, epochs=2, train=2000, valid=200, test=500), device="cpu")
