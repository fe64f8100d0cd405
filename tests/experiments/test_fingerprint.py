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
        fingerprint._found.cache_clear()
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


MAIN = """
{imports}
def job(where):
    return {{"t": [{{"y": {value}}}]}}
{after}
"""
CASES = {
    "a relative import": ("from lib import value", "value()", {"lib/__init__": "from .core import value"}, "lib/core"),
    "a star": ("from helper import *", "value()", {}, "helper"),
    "a star in a package": ("import lib", "lib.value()", {"lib/__init__": "from lib.core import *"}, "lib/core"),
    "no __init__": ("import lib.helper", "lib.helper.value()", {}, "lib/helper"),
    "no __init__, from": ("from lib import helper", "helper.value()", {}, "lib/helper"),
    "within try": (
        "try:\n    from helper import value\nexcept ImportError:\n    value = None",
        "value()",
        {},
        "helper",
    ),
    "within with": (
        "import contextlib\nwith contextlib.suppress(ImportError):\n    from helper import value",
        "value()",
        {},
        "helper",
    ),
    "bound again": ("from helper import value\nvalue = value", "value()", {}, "helper"),
    "as a whole and in part": ("import helper", 'getattr(helper, "value")() + helper.K', {}, "helper"),
    "a decorator": ("from helper import value", "value()", {}, "helper"),
}


@pytest.mark.parametrize("case", CASES)
def test_helpers_in_every_way(tmp_path, monkeypatch, case):
    imports, value, files, changed = CASES[case]
    found = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        (folder / "lib").mkdir(parents=True)
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        (folder / f"{changed}.py").write_text(f"K = 1\ndef value():\n    return {number}\n")
        (folder / "own.py").write_text(MAIN.format(imports=imports, value=value, after=""))
        with monkeypatch.context() as own:
            own.syspath_prepend(str(folder))
            for name in [name for name in sys.modules if name.partition(".")[0] in ("lib", "helper")]:
                own.delitem(sys.modules, name)
            fingerprint._found.cache_clear()
            module = load_module(str(folder / "own.py"))
            assert module.job(None)["t"][0]["y"] in (number, number + 1)
            found.append(code_of(module.job))
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("imports", "value", "after"),
    [
        ("T = {}\nfor n in range(3):\n    T[n] = n * CHANGE", "T[2]", ""),
        ("T = {}\n_ = [T.update({n: CHANGE}) for n in range(3)]", "T[2]", ""),
        ("T = {}\nx = T.setdefault('a', CHANGE)", "T['a']", ""),
        ("T = {}\nif True:\n    y = 3\n    T['a'] = CHANGE", "T['a']", ""),
        ("T = {}\ndef known(f):\n    T['f'] = f\n    return f", "T['f']()", "@known\ndef g():\n    return CHANGE"),
        (
            "import functools\n@functools.singledispatch\ndef f(x):\n    return 0",
            "f(1)",
            "@f.register\ndef _(x: int):\n    return CHANGE",
        ),
        ("import functools\n@functools.lru_cache\ndef f():\n    return CHANGE", "f()", ""),
        ("if __name__ != '__main__':\n    K = CHANGE", "K", ""),
    ],
)
def test_what_a_file_does_beside_definitions(tmp_path, imports, value, after):
    codes = []
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / "own.py"
        path.write_text(MAIN.format(imports=imports, value=value, after=after).replace("CHANGE", str(number)))
        module = load_module(str(path))
        assert module.job(None)["t"][0]["y"] in (number, 2 * number)
        codes.append(code_of(module.job))
    assert codes[0] != codes[1]


def test_decorators_of_others_do_not_hide_a_job(tmp_path):
    (tmp_path / "own.py").write_text("import torch\n@torch.no_grad()\ndef job(where):\n    return {'t': []}\n")
    first = code_of(load_module(str(tmp_path / "own.py")).job)
    (tmp_path / "own.py").write_text("import torch\n@torch.no_grad()\ndef job(where):\n    return {'u': []}\n")
    assert code_of(load_module(str(tmp_path / "own.py")).job) != first


def test_through_a_link_and_past_what_is_installed(tmp_path, monkeypatch):
    """Helpers count also where the folder has another name; a virtual environment in the folder does not."""
    packages = tmp_path / "real" / "venv" / "lib" / "site-packages" / "thing"
    packages.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "own.py").write_text("import helper, thing\ndef job(where):\n    return helper.K + thing.K\n")
    codes = []
    monkeypatch.syspath_prepend(str(tmp_path / "link"))
    monkeypatch.syspath_prepend(str(packages.parent))
    for k, installed in ((1, 1), (1, 2), (2, 2)):
        (tmp_path / "real" / "helper.py").write_text(f"K = {k}\n")
        (packages / "__init__.py").write_text(f"K = {installed}\n")
        for name in ("helper", "thing"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        codes.append(code_of(load_module(str(tmp_path / "link" / "own.py")).job))
    assert codes[0] == codes[1] != codes[2]


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
