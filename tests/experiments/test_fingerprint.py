import itertools
import sys

import pytest

from sshml.classifier import fit
from sshml.experiments import fingerprint
from sshml.experiments.fingerprint import code_of
from sshml.experiments.poster import measurements
from sshml.jobs import load_module

numbers = itertools.count()

SOURCE = '''
"""A file."""
import math
from sshml.plotting import new_figure
import helper

SIZE = 3
"""What it is."""
OTHER = 4

def low(x):
    """Return a root."""
    return math.sqrt(x) * SIZE

def job(where, x):
    """Measure."""
    return {"t": [{"y": low(x) + helper.shift(x)}]}

def claims(tables, settings):
    """Say."""
    yield OTHER, new_figure
'''

HELPER = """
def shift(x):
    return x + inner()

def inner():
    return 1

def unused():
    return 2
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    """Return the code of the job in a source with replacements."""

    def call(*changes):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        texts = {"experiment.py": SOURCE, "helper.py": HELPER}
        for old, new in changes:
            assert any(old in text for text in texts.values())
            texts = {name: text.replace(old, new) for name, text in texts.items()}
        for name, text in texts.items():
            (folder / name).write_text(text)
        fingerprint._path.cache_clear()
        with monkeypatch.context() as own:
            own.syspath_prepend(str(folder))
            own.delitem(sys.modules, "helper", raising=False)
            return code_of(load_module(str(folder / "experiment.py")).job)

    return call


@pytest.mark.parametrize(
    "change",
    [
        ('"""Return a root."""', '"""Return the square root."""'),
        ('"""A file."""', '"""An experiment."""'),
        ('"""What it is."""', ""),
        ("OTHER = 4", "OTHER = 5"),
        ("yield OTHER, new_figure", "yield None"),
        ("from sshml.plotting import new_figure\n", "new_figure = None\n"),
        ("return 2", "return 3"),  # a function of the helper that nothing reaches
        ("    return math.sqrt(x) * SIZE", "    # a comment\n    return (math.sqrt(x)\n            * SIZE)"),
    ],
)
def test_what_is_no_code_of_the_job(code, change):
    assert code(change) == code()


@pytest.mark.parametrize(
    "change",
    [
        ("SIZE = 3", "SIZE = 4"),
        ("math.sqrt(x)", "math.cbrt(x)"),
        ("low(x) +", "low(x) -"),
        ("return 1", "return 1.5"),  # reached through the helper
        ("def job(where, x):", "def job(where, x, y=1):"),
    ],
)
def test_what_is(code, change):
    assert code(change) != code()


def reached(function):
    """Return the (file name, name) of all that a function reaches."""
    own = sys.modules[function.__module__].__file__
    seen, left = set(), [(own, function.__name__)]
    while left:
        place = left.pop()
        if place not in seen:
            seen.add(place)
            beside = str(own.rpartition("/")[0])
            left += fingerprint._definition(*place, beside, fingerprint._stamp(place[0]))[1]
    return {(file.rpartition("/sshml/")[2], name) for file, name in seen}


def test_a_job_reaches_what_it_runs():
    found = reached(measurements.view)
    for place in (
        ("classifier/loop.py", "_one_epoch"),
        ("classifier/networks.py", "MLP"),
        ("classifier/ensemble.py", "StackedLinear"),
        ("analysis/sweep.py", "prune_sweep"),
        ("analysis/grid.py", "_count_hits"),
        ("compression/mpo.py", "MPOLinear"),
        ("dataset/store.py", "Split"),
        ("chain/closed_form.py", "solve"),
        ("lanes.py", "run"),
        ("hdf5.py", "open_hdf5"),
    ):
        assert place in found
    files = {file for file, _ in found}
    assert not files & {"plotting.py", "console.py", "experiments/poster/figures.py", "experiments/poster/claims.py"}


def test_functions_named_in_texts_count():
    assert ("dataset/shards.py", "shard_task") in reached(measurements.chains)


def test_it_is_the_same_again():
    assert code_of(fit) == code_of(fit)
    assert len(code_of(fit)) == 16
