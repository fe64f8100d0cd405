import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.experiments.claims import (
    NOT_ZERO,
    POSITIVE,
    SHOWN,
    VERDICTS,
    Claim,
    Rule,
    above,
    at_least,
    at_most,
    markdown_line,
    measured,
    most_telling,
    near,
    same,
    shown,
)

ALWAYS = Rule("always", lambda x: True)


def claim(values, rule=ALWAYS, source="source"):
    return Claim("P1", "words", values, source, "8", rule)


def test_mean_and_std_over_the_seeds_that_exist():
    row = claim([7.0, 8.0, 9.0, np.nan]).row()
    assert (row["mean"], row["std"], row["error"], row["seeds"], row["of"]) == ("8", "1", "0.58", 3, 4)
    assert measured(row) == "8 ± 1 (3 of 4)"


def test_single_and_missing_measurements():
    assert measured(claim([0.5]).row()) == "0.5 (1)"
    row = claim([np.nan, np.nan]).row()
    assert (row["seeds"], row["mean"], row["verdict"]) == (0, "", "not measurable")
    assert measured(row) == "none of 2"


def test_what_was_measured_on_something_else_is_no_verdict():
    """But it is where nothing is to be decided or nothing was measured."""

    def row(values, rule):
        return Claim("G1", "words", values, "source", "8", rule, unlike="10 epochs of 500").row()

    found = row([8.0, 8.1], near(8, 1))
    assert (found["verdict"], found["unlike"]) == ("not comparable", "10 epochs of 500")
    assert (found["mean"], found["criterion"]) == ("8.05", "mean within 1 of 8")
    assert (row([8.0], None)["verdict"], row([8.0], None)["unlike"]) == ("measured", "")
    assert row([np.nan], near(8, 1))["verdict"] == "not measurable"
    assert claim([8.0]).row()["unlike"] == ""


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, np.nan]])
@pytest.mark.parametrize("rule", [None, ALWAYS, near(8, 1), POSITIVE])
def test_values_that_do_not_exist_are_no_verdict_and_no_warning(values, rule):
    assert claim(values, rule).row()["verdict"] == "not measurable"


@pytest.mark.parametrize(
    ("rule", "values", "verdict"),
    [
        (None, [1.0], "measured"),
        (near(8, 1), [8.0, 9.9], "holds"),
        (near(8, 1), [9.0, 9.1], "does not hold"),
        (at_least(0.95), [0.95], "holds"),
        (at_least(0.95), [0.94], "does not hold"),
        (at_most(2), [2.0], "holds"),
        (at_most(2), [2.1], "does not hold"),
        (above(1), [1.0], "does not hold"),
        (above(1), [1.1], "holds"),
        (POSITIVE, [1.0, 1.2, 0.8], "holds"),  # mean 1, standard error .115
        (POSITIVE, [1.0, -0.9, 1.0], "does not hold"),
        (POSITIVE, [5.0], "does not hold"),  # no standard error
        (NOT_ZERO, [-1.0, -1.2, -0.8], "holds"),
        (NOT_ZERO, [0.1, -0.1, 0.05], "does not hold"),
        (near(8, 1), [8.0, np.nan, np.inf], "holds"),
    ],
)
def test_verdicts(rule, values, verdict):
    row = claim(values, rule).row()
    assert row["verdict"] == verdict
    assert row["verdict"] in VERDICTS
    assert row["criterion"] == (rule.words if rule else "")


def test_values_may_be_made_when_they_are_needed():
    def late():
        raise AssertionError

    assert claim(lambda: np.array([8.0])).row()["mean"] == "8"
    waiting = claim(late)
    with pytest.raises(AssertionError):
        waiting.row()


def test_what_a_source_said_comes_first():
    rows = [claim([1.0], None, "sshml").row(), claim([1.0], None).row(), claim([1.0]).row(), claim([2.0]).row()]
    assert most_telling(rows, 3) == [rows[2], rows[3], rows[1]]


def test_a_single_value_has_neither_deviation_nor_error():
    row = Claim("A", "b", [0.5]).row()
    assert (row["mean"], row["std"], row["error"], row["seeds"]) == ("0.5", "", "", 1)
    assert Claim("A", "b", [0.5, 0.7]).row()["std"] == "0.141421"


def test_the_error_of_a_shared_test_set_is_in_the_standard_error():
    row = Claim("A", "accuracy", [0.8, 0.9, 0.85], tested=100).row()
    assert float(row["error"]) == pytest.approx((0.05**2 / 3 + 0.85 * 0.15 / 100) ** 0.5, rel=0.05)
    assert float(Claim("A", "accuracy", [0.8, 0.9, 0.85]).row()["error"]) == pytest.approx(0.05 / 3**0.5, rel=0.05)


def test_the_standard_error_of_values_that_share_datasets():
    values, groups = [0.8, 0.8, 0.9, 0.9, 0.85, np.nan], [0, 0, 1, 1, 2, 2]
    row = Claim("A", "accuracy", values, groups=lambda: groups).row()
    assert float(row["error"]) == pytest.approx(0.05 / 3**0.5, rel=0.05)
    assert (row["seeds"], row["of"]) == (5, 6)
    assert Claim("A", "accuracy", [0.8, 0.9], groups=[0, 0]).row()["error"] == ""


def test_the_rule_of_what_is_the_same():
    assert Claim("A", "", [0.009, 0.011], "s", "0", same(0.011)).row()["verdict"] == "holds"
    assert Claim("A", "", [0.10, 0.11], "s", "0", same(0.01)).row()["verdict"] == "does not hold"
    assert Claim("A", "", [-0.1, 0.2], "s", "0", same(0.01)).row()["verdict"] == "holds"  # by two standard errors


def test_what_is_shown_of_a_claim():
    row = Claim("A", "a | b", [1.0, 2.0], "s", "> 0", Rule("mean > 0", lambda x: True), unlike="a < b").row()
    assert shown(row) == ["A", "a | b", "s", "> 0", "1.5 ± 0.71 (2)", "mean > 0", "not comparable (a < b)"]
    assert len(shown(row)) == len(SHOWN)
    assert markdown_line(shown(row)).startswith("| A | a \\| b | s | > 0 |")
    assert "a &lt; b" in markdown_line(shown(row))


def test_a_rule_by_standard_errors_takes_no_groups():
    claim = Claim("a", "b", np.array([0.5, 0.5, -0.4]), rule=POSITIVE, groups=np.array([0, 0, 1]))
    with pytest.raises(SSHMLError, match="means of its groups"):
        claim.row()
