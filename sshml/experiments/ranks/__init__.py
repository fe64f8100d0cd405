"""How many singular values the first layer needs, and why: over chains, networks and what they see.

The poster of Oriekhov et al. finds that 8 of 128 keep 95 %. Here its numbers over datasets as well as training seeds,
so that error bars hold for the chains too; other lengths of chain, networks and disorder; and a formula that says where
the 8 comes from (`sshml.analysis.level_directions`): with s(f_n) and s(g_n) the norms that the trained layer gives to
the two directions in which the states of level n lie, k95 = #{n: s(f_n) > max s(g_m)} + 1, or one more.

Also measured: the numbers that keep 95 % where the layer is cut level by level, each level to rank 1, 2 or 3, and
levels taken away one by one (`sshml.analysis.eliminate_blocks`), rank and number of levels chosen on validation as
those of fewest numbers that keep 95 % there; the rank that keeps 95 % where the layer is cut in the metric of the
training data; the accuracy of the projection on the two directions of one group of levels alone, a matrix of rank 2,
the group chosen on validation; whether truncation denoises: the rank of the best validation accuracy (the smallest of
equals), quoted on test; the entropy of what training added to the layer.

Written before the run, each by two standard errors of the dataset means: truncation to that rank adds accuracy at the
poster's setting, and what training added has less entropy at every cut than its spectrum with Haar vectors. And the
formula is right within {0, +1} for 80 % of the networks of a setting, wherever a network sees clean chains in random
signs through ReLUs. It is expected to fail for chains of |v - w| > .1 only, which lack the states at v = w, for
disorder, and for tanh and squares, and is measured there. Levels count from 0. Ranks are 1 to 32, then eight more to
the full one. A statistic over a setting is one of all networks of all its datasets, its standard error that of the
means of datasets.
"""

import dataclasses

from sshml.classifier import TrainingSpec
from sshml.dataset import DatasetSpec
from sshml.errors import SSHMLError
from sshml.experiments import Experiment, Job
from sshml.experiments.ranks.claims import rank_claims
from sshml.experiments.ranks.figures import FIGURES
from sshml.experiments.ranks.measurements import SETTINGS, chains, measure, networks


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the run: datasets, networks of each; `settings` are names of SETTINGS."""

    datasets: int = 2
    seeds: int = 4
    epochs: int = 20
    train: int = 16000
    valid: int = 2000
    test: int = 10000
    settings: tuple = ("the poster's", "level 9 alone", "levels 6, 9", "one sign", "N = 8", "|v - w| > 0.1", "tanh")

    def __post_init__(self):
        if self.datasets < 2 or self.seeds < 1:
            raise SSHMLError(f"{self.datasets} datasets of {self.seeds} networks give no error bars; take 2 datasets.")
        if unknown := set(self.settings) - set(SETTINGS):
            raise SSHMLError(f"settings {sorted(unknown)} are unknown; choose among {', '.join(SETTINGS)}.")

    def chains(self, name, dataset):
        """Return what `chains` is given for a setting and the number of a dataset."""
        change = SETTINGS[name]
        strength = change.get("disorder", 0.0)
        spec = DatasetSpec(
            cells=change.get("cells", 8), train=change.get("train", self.train), valid=self.valid, test=self.test,
            seed=100 + dataset, disorder_v=strength, disorder_w=strength,
        )  # fmt: skip
        return {"spec": spec} | ({"gap": change["gap"]} if "gap" in change else {})


def jobs(settings):
    """Yield the measurements of every setting and dataset."""
    for name in settings.settings:
        change = SETTINGS[name]
        for dataset in range(settings.datasets):
            own = settings.chains(name, dataset)
            size = (2 * own["spec"].cells) ** 2
            made = Job(chains, own, work=1e-6 * size * own["spec"].train)
            training = TrainingSpec(
                epochs=settings.epochs, weight_decay=change.get("weight_decay", 0.0), view=change.get("view")
            )
            hidden = change.get("hidden", (128, 64))
            network = {"hidden": hidden, "activation": change.get("activation", "relu"), "seeds": settings.seeds}
            work = 1e-9 * settings.seeds * hidden[0] * size
            trained = Job(
                networks, {"made": made, "training": training} | network, work * settings.epochs * own["spec"].train
            )
            given = {"setting": name, "dataset": dataset, "made": made, "trained": trained}
            yield Job(measure, given, work * settings.test)


FULL = {"datasets": 5, "seeds": 16, "settings": tuple(SETTINGS)}
experiment = Experiment(Settings, jobs, rank_claims, FIGURES, full=FULL)
