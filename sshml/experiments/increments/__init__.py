"""What training adds to the weights of image networks, and whether cutting them removes noise.

FC2 (784-256-10) and 784-500-500-500-500-10 on MNIST and Fashion-MNIST, with true labels and with a share of the
training labels replaced by random classes (a tenth of them right again by chance). Adam at a constant rate; of each
network the epoch of the best accuracy on held-out images with true labels, and the last epoch, which has learned the
noise.

Entropies: at every cut of the MPO of a layer, those of the weight W, of what training added, W - W_0, of the same with
its columns shuffled, and of matrices with its singular values and Haar vectors. And at the cuts of the flat order, rows
then columns: Chen et al. (arXiv 2601.06788) report for updates of language models a volume law with a valley between
rows and columns, another one for full fine-tuning than for low rank; here training is full.

Noise: layer by layer the rank of the best accuracy on held-out images (the smallest of equals, among 1 to 32 and 24
more up to the full one), its accuracy quoted on test images; and all hidden layers at once with singular values shrunk
(`sshml.analysis.shrunk`) or cut at the same edge. Staats, Thamm and Rosenow (arXiv 2206.03927) find that filtering,
small values removed and large ones lowered, helps networks that were trained on noisy labels; their filter and networks
are not these.

Blocks: layer 1 of FC2 cut by rows of pixels, and the first linear layer of LeNet-5 by channels, beside each as a whole,
at equal shares of its bytes, on data.

Written before the run, by two standard errors over networks: what training added has less entropy than its spectrum
with Haar vectors, at every cut of FC2 on true labels; the chosen rank of the first layer and the shrunk values add
accuracy to the last epoch where labels are noisy. After a first run, and measured only: shuffled columns, Haar vectors
in the flat order, all chosen ranks at once, what stopping at the best epoch adds.
"""

import dataclasses

from sshml.errors import SSHMLError
from sshml.experiments import Experiment, Job, lenet5
from sshml.experiments.image_nets import TITLES, Training
from sshml.experiments.increments.claims import increment_claims
from sshml.experiments.increments.figures import FIGURES
from sshml.experiments.increments.measurements import WIDTHS, blocks, measure, networks


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; `noise` are shares of the training labels replaced; LeNet-5 is cut where it gets epochs."""

    seeds: int = 2
    epochs: int = 6
    learning_rate: float = 1e-3
    data: tuple = ("mnist",)
    networks: tuple = ("FC2",)
    noise: tuple = (0.0, 0.4)
    shares: tuple = (0.05, 0.2)
    lenet_epochs: int = 0

    def __post_init__(self):
        super().__post_init__()
        for name, given, known in (("data", self.data, TITLES), ("networks", self.networks, WIDTHS)):
            if unknown := set(given) - set(known):
                raise SSHMLError(f"{name} {sorted(unknown)} are unknown here; choose among {', '.join(known)}.")
        if not all(0 <= share < 1 for share in (*self.noise, *self.shares)):
            raise SSHMLError(f"noise {self.noise} and shares {self.shares} are shares; expected 0 to below 1.")


def jobs(settings):
    """Yield the measurements of every network, data set and noise, and the cuts block by block."""
    cut, work = {"shares": settings.shares, "valid": settings.valid}, settings.seeds * len(settings.shares)
    for data in settings.data:
        for name in settings.networks:
            for noise in settings.noise:
                own = {"data": data, "name": name, "noise": noise}
                size = sum(a * b for a, b in zip(WIDTHS[name], WIDTHS[name][1:], strict=False))
                trained = Job(networks, own | settings.training(), 1e-6 * size * settings.work())
                yield Job(measure, own | {"trained": trained, "valid": settings.valid}, 1e-6 * size * settings.seeds)
                if name == "FC2" and not noise:
                    yield Job(blocks, {"data": data, "name": name, "trained": trained} | cut, work)
        if settings.lenet_epochs and data == "mnist":
            own = lenet5.Settings(seeds=settings.seeds, epochs=settings.lenet_epochs, valid=settings.valid)
            dense = Job(lenet5.family, {"family": "dense"} | own.training(), own.work())
            yield Job(blocks, {"data": data, "name": "LeNet-5", "trained": dense} | cut, work)


FULL = {
    "seeds": 5, "epochs": 20, "data": ("mnist", "fashion-mnist"), "networks": tuple(WIDTHS),
    "shares": (0.03, 0.05, 0.1, 0.2, 0.3), "lenet_epochs": lenet5.LONG,
}  # fmt: skip
experiment = Experiment(Settings, jobs, increment_claims, FIGURES, full=FULL)
