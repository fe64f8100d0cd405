import dataclasses
import subprocess
import sys

import pytest

from sshml.errors import SSHMLError
from sshml.experiments import Experiment, load, names, settings_of
from sshml.experiments.catalogue import described


@dataclasses.dataclass(frozen=True)
class Settings:
    seeds: int = 4
    rate: float = 0.5
    law: str = "uniform"
    fast: bool = False
    bonds: tuple = (2, 4)
    shares: tuple = (0.5, 1)
    words: tuple = ("a",)
    none: tuple = ()


EXPERIMENT = Experiment(Settings, lambda settings: (), full={"seeds": 9})


@pytest.mark.parametrize("name", names())
def test_every_figure_has_a_caption(name):
    _, experiment = load(name)
    for figure in experiment.figures:
        assert experiment.caption(figure).endswith(".")
        assert "  " not in experiment.caption(figure)
        assert "{" not in experiment.caption(figure)
    assert experiment.caption("none of them") == ""


def test_a_caption_says_the_settings_of_the_run():
    def draw(tables, settings):
        """Draw.

        Means of {seeds} networks; {0, 1} stays.
        """

    experiment = Experiment(Settings, lambda settings: (), figures={"a": draw})
    assert experiment.caption("a", {"seeds": 12}) == "Means of 12 networks; {0, 1} stays."
    assert experiment.caption("a") == f"Means of {Settings().seeds} networks; {{0, 1}} stays."


def test_every_experiment_has_a_name_and_a_line():
    found = names()
    assert list(found) == [
        "poster",
        "budgets",
        "deep",
        "disorder",
        "entanglement",
        "fc2",
        "increments",
        "keene",
        "lenet5",
        "lowrank",
        "phases",
        "ranks",
        "transfer",
        "wine",
    ]
    assert all(0 < len(line) <= 120 for line in found.values())
    for name in found:
        short, experiment = load(name)
        assert short == name
        assert settings_of(experiment) == experiment.settings()
        for full in (False, True):
            assert list(experiment.jobs(settings_of(experiment, full=full)))
        assert all(hasattr(settings_of(experiment), field) for field, *_ in described(experiment))


def test_names_import_no_experiment():
    code = "import sys; from sshml.experiments import names; names(); print([m for m in sys.modules if m == 'torch'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seeds": "7"}, {"seeds": 7}),
        ({"rate": "1e-3"}, {"rate": 1e-3}),
        ({"law": "normal"}, {"law": "normal"}),
        *(({"fast": text}, {"fast": True}) for text in ("True", "1", "true")),
        *(({"fast": text}, {"fast": False}) for text in ("False", "0")),
        ({"bonds": "3, 5,8"}, {"bonds": (3, 5, 8)}),
        ({"bonds": ""}, {"bonds": ()}),
        ({"shares": "0.1,2"}, {"shares": (0.1, 2.0)}),
        ({"words": "b,c"}, {"words": ("b", "c")}),
        ({"none": "x,2,0.5"}, {"none": ("x", 2, 0.5)}),
        ({"seeds": 3, "bonds": (1,)}, {"seeds": 3, "bonds": (1,)}),
    ],
)
def test_texts_become_values_of_the_defaults_kind(changes, expected):
    assert settings_of(EXPERIMENT, changes=changes) == Settings(**expected)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": "many"}, "expected a value like 4"),
        ({"seeds": "2.5"}, "expected a value like 4"),
        ({"fast": "perhaps"}, "expected a value like False"),
        ({"bonds": "2,x"}, "expected a value like"),
        ({"colour": "red"}, "'colour' is unknown; choose one of seeds, rate"),
    ],
)
def test_texts_that_are_no_such_value(changes, words):
    with pytest.raises(SSHMLError, match=words):
        settings_of(EXPERIMENT, changes=changes)


def test_the_full_size_can_be_changed_too():
    assert settings_of(EXPERIMENT, full=True, changes={"rate": "2"}) == Settings(seeds=9, rate=2.0)
    assert described(EXPERIMENT)[0] == ("seeds", "4", "9")


def test_what_is_no_experiment(tmp_path):
    with pytest.raises(SSHMLError, match="choose one of poster, "):
        load("perpetuum")
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(SSHMLError, match="defines no experiment"):
        load(str(tmp_path / "empty.py"))
