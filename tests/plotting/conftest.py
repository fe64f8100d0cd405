import pytest

from sshml.plotting import new_figure


@pytest.fixture
def ax():
    return new_figure()[1][0, 0]
