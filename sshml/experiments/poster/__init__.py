"""Oriekhov et al., poster: SVD compression of networks that recognise the topological phase.

Oriekhov, Zouggari, Jin, Greplova, *Compressing neural networks by SVD in topological phase classification problem*. An
MLP 256-128-64-2 reads all 16 wavefunctions of a clean 16-site chain. The poster does not state the sign gauge of the
wavefunctions; every gauge and view is measured here, random signs in the headline.
"""

import dataclasses

import torch

from sshml.classifier import MLP, TrainingSpec
from sshml.dataset import DatasetSpec
from sshml.errors import SSHMLError
from sshml.experiments import Experiment, Job
from sshml.experiments.poster.claims import poster_claims
from sshml.experiments.poster.figures import FIGURES
from sshml.experiments.poster.measurements import VIEWS, baselines, chains, disorder, signs, view


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the run; the defaults are the headline. `disorder` are strengths W_v = W_w beside the clean chains."""

    seeds: int = 16
    epochs: int = 20
    train: int = 16000
    valid: int = 2000
    test: int = 10000
    seed: int = 0
    cells: int = 8
    v: str = "0:1"
    w: str = "0:1"
    hidden: tuple = (128, 64)
    activation: str = "relu"
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    views: tuple = tuple(VIEWS)
    disorder: tuple = (0.5, 1.0)
    law: str = "uniform"

    def __post_init__(self):
        if self.seeds < 2:
            raise SSHMLError(f"seeds is {self.seeds}; error bars need at least 2.")
        if not self.views or set(self.views) - set(VIEWS):
            raise SSHMLError(f"views are {self.views}; choose among {', '.join(VIEWS)}.")
        if not self.hidden or self.hidden[0] < 4:
            raise SSHMLError(f"hidden is {self.hidden}; give one width or more, the first at least 4, as in 128,64.")
        self.training("random")
        for strength in (0.0, *self.disorder):
            self.chains("random", strength)
        with torch.device("meta"):
            MLP(((2 * self.cells) ** 2, *self.hidden, 2), self.activation)

    def chains(self, gauge, strength=0.0):
        """Return the `DatasetSpec` of a gauge and a strength of disorder."""
        sizes = {name: getattr(self, name) for name in ("cells", "v", "w", "train", "valid", "test", "seed", "law")}
        return DatasetSpec(gauge=gauge, disorder_v=strength, disorder_w=strength, **sizes)

    def training(self, name):
        """Return the `TrainingSpec` of a view by its name."""
        spec = TrainingSpec(self.epochs, self.batch_size, self.learning_rate, self.weight_decay)
        return dataclasses.replace(spec, view=VIEWS[name][1])

    @property
    def is_source(self):
        """Whether chains and network are those of the poster."""
        own = (self.cells, tuple(self.hidden), self.activation, self.v, self.w, self.weight_decay)
        return own == (8, (128, 64), "relu", "0:1", "0:1", 0.0)


def jobs(settings):
    """Yield the chains, the networks of every view, those with disorder, and what the signs alone tell."""
    size = (2 * settings.cells) ** 2 * (settings.train + settings.valid + settings.test)

    def made(gauge, strength=0.0):
        return Job(chains, {"spec": settings.chains(gauge, strength)}, work=1e-6 * size)

    network = {"hidden": settings.hidden, "activation": settings.activation, "seeds": settings.seeds}
    work = 1e-9 * settings.seeds * settings.epochs * size * settings.hidden[0]
    yield Job(signs, {"random": made("random"), "fixed": made("fixed")})
    yield Job(baselines, {"random": made("random")})
    for name in settings.views:
        own = {"chains": made(VIEWS[name][0]), "name": name, "training": settings.training(name)}
        yield Job(view, own | network, work)
    for strength in settings.disorder:
        own = {"chains": made("random", strength), "strength": strength, "training": settings.training("random")}
        yield Job(disorder, own | network, work)


experiment = Experiment(Settings, jobs, poster_claims, FIGURES)
