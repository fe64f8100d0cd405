"""One mechanism for published work: jobs that make tables, claims and figures read from them."""

from sshml.experiments.catalogue import load, names, settings_of
from sshml.experiments.claims import NEGATIVE, NOT_ZERO, POSITIVE, Claim, Rule, above, at_least, at_most, near, same
from sshml.experiments.experiment import Experiment, Job, Result, Where
from sshml.experiments.joint import joint_claims, write_joint
from sshml.experiments.results import Shown, results_of
from sshml.experiments.runner import Outcome, Reproduction, job_lines, redraw, run

__all__ = [
    "NEGATIVE",
    "NOT_ZERO",
    "POSITIVE",
    "Claim",
    "Experiment",
    "Job",
    "Outcome",
    "Reproduction",
    "Result",
    "Rule",
    "Shown",
    "Where",
    "above",
    "at_least",
    "at_most",
    "job_lines",
    "joint_claims",
    "load",
    "names",
    "near",
    "redraw",
    "results_of",
    "run",
    "same",
    "settings_of",
    "write_joint",
]
