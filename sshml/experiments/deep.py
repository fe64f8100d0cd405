"""Gao et al., Phys. Rev. Research 2, 023300 (2020): VGG, ResNet and DenseNet with matrix product operators (G3-G5).

Parameters and FLOPs of all of them, dense and with the source's MPOs: in VGG two convolutions of the last block, taken
as linear layers 2048-2048, and the three linear layers; in ResNet and DenseNet the classifier. Trainings by the
source's recipe (SGD with Nesterov momentum .9, .1 x 10^-.5 every 50 of 325 epochs, L2 2e-4, crop and flip), the steps
of its schedule in proportion where there are fewer epochs, the epoch chosen on held-out images.

`data` is "fashion-mnist" (28 x 28 pixels in a border of 2) or "cifar-10" from the folder --root or downloaded; only
CIFAR-10 at 325 epochs and the source's widths is compared with what the source says. ResNet-20 of k = 1, whose
classifier is 64-10, is ours: sixteen times cheaper than the source's k = 4.
"""

import dataclasses
import functools

import torch
from torch.utils.flop_counter import FlopCounterMode

from sshml.classifier import RECIPES, VGG, DenseNet, ResNet
from sshml.compression import MPOShape, n_parameters, tensorize
from sshml.dataset import ImageDataset, ImageSplit, images
from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment, Job, Rule, near
from sshml.experiments.claims import standard_error
from sshml.experiments.image_nets import TESTED, accuracy_rows, train
from sshml.plotting import COLORS, new_figure, plot_groups

SQUARE = MPOShape((2, 8, 8, 8, 2), (2, 8, 8, 8, 2))
WIDEN = MPOShape((4, 4, 8, 8, 4), (4, 4, 4, 4, 2))
WIDE = MPOShape((4, 4, 8, 8, 4), (4, 4, 8, 8, 4))
HEAD = MPOShape((1, 10, 1, 1, 1), (4, 4, 8, 8, 4))


@dataclasses.dataclass(frozen=True)
class Network:
    """One network: how it is made, the MPOs of its linear layers by number, and what the source says of it.

    `flat` asks for `VGG(flat=True)` in MPO form; `rho` is the published share of the replaced weights, `accuracy` the
    published accuracy, dense and in MPO form.
    """

    title: str
    make: object
    shapes: dict
    bonds: dict
    flat: bool = False
    rho: float | None = None
    accuracy: dict = dataclasses.field(default_factory=dict)
    claim: str = "G4"


def _vgg(title, configuration, dense, mpo):
    shapes = dict(enumerate((SQUARE, SQUARE, WIDEN, WIDE, HEAD)))
    make, said = functools.partial(VGG, configuration), {"dense": dense, "mpo": mpo}
    return Network(title, make, shapes, dict.fromkeys(shapes, 4), True, 0.0005, said, "G3")


def _resnet(depth):
    shape = {0: MPOShape((1, 5, 2, 1), (4, 4, 4, 4))}
    return Network(f"ResNet-{depth}, k = 4", functools.partial(ResNet, depth, 4), shape, {0: 3}, rho=0.11)


NETWORKS = {
    "vgg16": _vgg("VGG-16", "C", 0.9313, 0.9376),
    "vgg19": _vgg("VGG-19", "E", 0.9336, 0.9380),
    **{f"resnet{depth}": _resnet(depth) for depth in (20, 32, 44, 56)},
    "densenet40": Network(
        "DenseNet-40, k = 12", functools.partial(DenseNet, 40, 12), {0: MPOShape((1, 5, 2, 1), (4, 4, 7, 4))}, {0: 4},
        rho=0.129, accuracy={"dense": 0.9356, "mpo": 0.9359}, claim="G5",
    ),
    "resnet20-1": Network(
        "ResNet-20, k = 1", functools.partial(ResNet, 20, 1), {0: MPOShape((1, 5, 2, 1), (4, 4, 2, 2))}, {0: 3}
    ),
}  # fmt: skip
FORMS = {"dense": "dense", "mpo": "MPO"}
CHANNELS = {"fashion-mnist": 1, "cifar-10": 3}
TITLES = {"fashion-mnist": "Fashion-MNIST at 32 x 32", "cifar-10": "CIFAR-10"}
SOURCE, RECIPE = "Gao et al. 2020", RECIPES["gao-cifar10"].training
COUNTED = 8
"""Images of the pass in which FLOPs are counted."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the run; the defaults are the quick one. `train` is the number of training images, 0 for all."""

    seeds: int = 2
    epochs: int = 2
    train: int = 5000
    valid: int = 2000
    data: str = "fashion-mnist"
    trained: tuple = ("resnet20-1",)
    precision: str = "bf16"

    def __post_init__(self):
        if self.seeds < 2:
            raise SSHMLError(f"seeds is {self.seeds}; error bars need at least 2.")
        if self.data not in CHANNELS:
            raise SSHMLError(f"data is {self.data!r}; choose among {', '.join(CHANNELS)}.")
        if unknown := set(self.trained) - set(NETWORKS):
            raise SSHMLError(f"networks {sorted(unknown)} are unknown; choose among {', '.join(NETWORKS)}.")
        self.training()

    def training(self):
        """Return the `TrainingSpec`: the source's, its schedule in proportion to the epochs."""
        every = max(1, round(RECIPE.decay_every * self.epochs / RECIPE.epochs))
        return dataclasses.replace(RECIPE, epochs=self.epochs, decay_every=every, precision=self.precision)

    @property
    def unlike(self):
        """Why accuracies are not compared with the source's, "" if they are."""
        if self.data == "cifar-10" and self.epochs >= RECIPE.epochs and not self.train:
            return ""
        few = f" of {self.train} images" if self.train else ""
        return f"{TITLES[self.data]}, {self.epochs} epochs{few}; the source has CIFAR-10, {RECIPE.epochs}, all images"


def factory(name, form, channels):
    """Return the factory of a network in a form, "dense" or "mpo"."""
    network = NETWORKS[name]

    def make():
        if form == "dense":
            return network.make(channels=channels).to(memory_format=torch.channels_last)
        model = network.make(channels=channels, **({"flat": True} if network.flat else {}))
        return tensorize(model, network.shapes, network.bonds).to(memory_format=torch.channels_last)

    return make


def replaced_weights(name):
    """Return (numbers of the weights that MPOs replace, numbers of the cores).

    >>> replaced_weights("resnet20")
    (2560, 276)
    """
    network = NETWORKS[name]
    cores = sum(shape.n_parameters(network.bonds[number]) for number, shape in network.shapes.items())
    if network.flat:  # two convolutions 3 x 3 of 512 channels, and the linear layers
        return 2 * 9 * 512**2 + 512 * 4096 + 4096**2 + 4096 * 10, cores
    shape = network.shapes[0]
    return shape.out_features * shape.in_features, cores


def count(where):
    """Count parameters and FLOPs of all networks for images of 3 channels."""
    rows = []
    for name, network in NETWORKS.items():
        weights, cores = replaced_weights(name)
        for form in FORMS:
            model = factory(name, form, 3)().eval()
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                model(torch.zeros(COUNTED, 3, 32, 32))
            rows.append({
                "network": name, "title": network.title, "form": form, "parameters": n_parameters(model),
                "replaced": weights if form == "dense" else cores, "rho": f"{cores / weights:.4g}",
                "MFLOP": f"{counter.get_total_flops() / COUNTED / 1e6:.5g}",
            })  # fmt: skip
    return {"sizes": rows}


def trained(where, network, form, data, training, seed, train_images, valid):
    """Train one network and measure its accuracy."""
    padding = 2 if data == "fashion-mnist" else 0
    split = images(data, where.root, valid, padding=padding)
    if train_images:
        own = ImageSplit(split.train.pixels[:train_images], split.train.labels[:train_images], padding)
        split = ImageDataset(split.name, own, split.valid, split.test)
    run = train(where, factory(network, form, CHANNELS[data]), split, training, [seed])
    test = run.accuracy(split.test, where.device)
    weights, cores = replaced_weights(network)
    share = 1.0 if form == "dense" else cores / weights
    return {"accuracy": list(accuracy_rows({"data": data, "network": network, "form": form}, run, test, share))}


def jobs(settings):
    """Yield the count of all networks, and a job for each network, form and seed that is trained."""
    yield Job(count, {})
    own = {"data": settings.data, "training": settings.training(), "valid": settings.valid}
    for network in settings.trained:
        for seed in range(settings.seeds):
            for form in FORMS:
                given = {"network": network, "form": form, "seed": seed, "train_images": settings.train}
                yield Job(trained, own | given, settings.epochs * (settings.train or 55000) * _work(network))


def _work(network):
    """Return about how long an image takes, in those of ResNet-20 of k = 1."""
    known = {"vgg16": 7, "vgg19": 10, "resnet20-1": 1, "densenet40": 16}
    return known[network] if network in known else 9 * int(network[6:8]) / 20


def _test(tables, network, form):
    return tables.columns("accuracy", network=network, form=form)["test"]


NOT_WORSE = Rule("mean >= -2 standard errors", lambda x: len(x) > 1 and x.mean() >= -2 * standard_error(x), True)


def claims(tables, settings):
    """Yield the share of weights that the MPOs have, and accuracies."""
    for name, network in NETWORKS.items():
        weights, cores = replaced_weights(name)
        said = () if network.rho is None else (SOURCE, f"{network.rho:g}", near(network.rho, network.rho / 10))
        yield Claim(
            network.claim, f"weights of the MPOs over those they replace, {network.title}", cores / weights, *said
        )
    for name in settings.trained:
        network, title = NETWORKS[name], TITLES[settings.data]
        for form, label in FORMS.items():
            published = network.accuracy.get(form)
            said = (SOURCE, f"{published}", near(published, 0.005), settings.unlike) if published else ()
            yield Claim(
                network.claim, f"test accuracy of {network.title}, {label}, {title}",
                functools.partial(_test, tables, name, form), *said, tested=TESTED,
            )  # fmt: skip
        yield Claim(
            network.claim, f"test accuracy, MPO less dense, {network.title}, {title}",
            lambda name=name: _test(tables, name, "mpo") - _test(tables, name, "dense"),
            *((SOURCE, ">= 0", NOT_WORSE, settings.unlike) if network.rho is not None else ()),
        )  # fmt: skip


def _draw(tables, settings):
    """Draw the results.

    Test accuracy of the networks that were trained, dense and with MPOs: mean and standard deviation over {seeds}
    networks, dots single ones.
    """
    if not settings.trained:
        return None
    figure, axes = new_figure(width=1.6 + 1.3 * len(settings.trained), height=3.1)
    ax, names = axes[0, 0], settings.trained
    for (form, label), color, offset in zip(FORMS.items(), COLORS, (-0.1, 0.1), strict=False):
        plot_groups(ax, range(len(names)), [_test(tables, name, form) for name in names], color, offset, label)
    ax.set_xticks(range(len(names)), [NETWORKS[name].title for name in names])
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set_ylabel(f"test accuracy, {TITLES[settings.data]},\n{settings.epochs} epochs")
    ax.legend(fontsize=7)
    return figure


FULL = {
    "seeds": 5,
    "epochs": 325,
    "train": 0,
    "valid": 5000,
    "data": "cifar-10",
    "trained": ("vgg16", "vgg19", "resnet20", "densenet40"),
}
experiment = Experiment(Settings, jobs, claims, {"accuracy": _draw}, full=FULL)
