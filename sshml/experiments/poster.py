"""Oriekhov, Zouggari, Jin, Greplova: Compressing neural networks by SVD in topological phase classification.

An MLP 256-128-64-2 reads all 16 wavefunctions of a clean 16-site chain. The poster does not state the sign gauge of
the wavefunctions; every gauge and view is measured here, random signs in the headline.
"""

import dataclasses
import itertools

import numpy as np

from sshml.analysis import baselines, outliers, prune_sweep, rank_grid, rank_sweep, select
from sshml.chain import hamiltonian
from sshml.classifier import MLP, TrainingSpec, fit, save_run
from sshml.dataset import DatasetSpec, generate, open_dataset, sign_leakage
from sshml.experiments import poster_mpo, poster_numbers
from sshml.experiments.claims import conclude
from sshml.experiments.poster_claims import RANKS_1, claims
from sshml.experiments.poster_figures import draw
from sshml.files import new_folder, write_csv

VIEWS = {
    "random": ("random", "states"),
    "fixed": ("fixed", "states"),
    "abs": ("fixed", "abs"),
    "density": ("fixed", "density"),
    "projector": ("fixed", "projector"),
}
"""Name in figures and tables: (gauge of the dataset, view of the network)."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the run; the defaults are the headline."""

    seeds: int = 16
    epochs: int = 20
    train: int = 16000
    valid: int = 2000
    test: int = 10000
    seed: int = 0


def reproduce(out, settings=None, device="auto", force=False, progress=None):
    """Run the experiment and write figures, their numbers, runs and `claims.csv` into a new folder.

    Args:
        out: the folder to make.
        settings: a `Settings`.
        device: "auto", "cpu" or "cuda".
        force: replace a folder that exists.
        progress: called as progress(description), returns a callable (done, total).

    Returns:
        (rows of claims.csv, rows of baselines.csv).

    Raises:
        SSHMLError: the folder exists or cannot be written, or there is no such device.
    """
    settings = settings or Settings()
    progress = progress or (lambda description: None)
    with new_folder(out, force) as folder:
        datasets = {gauge: _dataset(folder, gauge, settings, progress) for gauge in ("random", "fixed")}
        measured = {
            name: _measure(folder, name, datasets[gauge], view, settings, device, progress)
            for name, (gauge, view) in VIEWS.items()
        }
        disorder = [("0", measured["random"].entangled.entropies["trained"], measured["random"].accuracy)]
        disorder += [_disordered(folder, strength, settings, device, progress) for strength in DISORDER]
        write_csv(folder / "fig5_disorder.csv", list(poster_mpo.disorder_rows(disorder)))
        leakage = _leakage(datasets)
        numbers = [
            {"observable": name, "accuracy": accuracy} for name, accuracy in baselines(datasets["random"]).items()
        ]
        poster_numbers.write(folder, measured, leakage, datasets)
        write_csv(folder / "baselines.csv", numbers)
        rows = conclude(folder, (*claims(measured, leakage), *poster_mpo.claims(measured)), draw)
    return rows, numbers


DISORDER = (0.5, 1.0)
"""Strengths of additive disorder on every hopping, at which the entanglement is measured beside the clean chains."""


def _dataset(folder, gauge, settings, progress, strength=0.0):
    spec = DatasetSpec(
        cells=8,
        disorder_v=strength,
        disorder_w=strength,
        gauge=gauge,
        train=settings.train,
        valid=settings.valid,
        test=settings.test,
        seed=settings.seed,
    )
    name = gauge if strength == 0 else f"{gauge}-W{strength:g}"
    path = folder / "data" / f"{name}.h5"
    generate(spec, path, progress=progress(f"chains, {name}"))
    return open_dataset(path)


def _disordered(folder, strength, settings, device, progress):
    """Return (strength, entropies of layer 1 (seed, cut), accuracy (seed)) with disorder and random signs."""
    dataset = _dataset(folder, "random", settings, progress, strength)
    bar = progress(f"train {settings.seeds} networks, W = {strength:g}")
    run = fit(MLP, dataset.train, dataset.valid, TrainingSpec(epochs=settings.epochs), settings.seeds, device, bar)
    save_run(run, folder / "runs" / f"random-W{strength:g}.h5")
    return f"{strength:g}", poster_mpo.layer_entropies(run.weights), run.accuracy(dataset.test, device)


@dataclasses.dataclass(frozen=True)
class Measured:
    """All that is measured in one view.

    `correct` (seed, test chain); `ratio` w/v and `winding` (test chain); `ranks` and `kept`: a `Sweep` of layer 1
    by SVD and by pruning; `grid` (seed, rank of layer 1 in RANKS_1, rank of layer 2); `selection`: a `Selection`;
    `entangled`: an `Entangled`; `outliers` {(layer, "initial" or "trained"): (seed)}.
    """

    correct: np.ndarray
    ratio: np.ndarray
    winding: np.ndarray
    ranks: object
    kept: object
    grid: np.ndarray
    selection: object
    entangled: object
    outliers: dict

    @property
    def accuracy(self):
        """Test accuracy of each seed."""
        return self.correct.mean(1)


def _measure(folder, name, dataset, view, settings, device, progress):
    training = TrainingSpec(epochs=settings.epochs, view=view)
    bar = progress(f"train {settings.seeds} networks, {name}")
    record = poster_mpo.recorder()
    run = fit(MLP, dataset.train, dataset.valid, training, settings.seeds, device, bar, record)
    save_run(run, folder / "runs" / f"{name}.h5")
    bar = progress(f"compress, {name}")
    steps = itertools.count(1)

    def done(result):
        if bar:
            bar(next(steps), 5)
        return result

    test = dataset.test
    return Measured(
        correct=run.correct(test, device),
        ratio=test.read("w")[:, 0] / test.read("v")[:, 0],
        winding=test.labels,
        ranks=done(rank_sweep(run, test, device=device)),
        kept=done(prune_sweep(run, test, keeps=_keeps(), device=device)),
        grid=done(rank_grid(run, test, ranks=RANKS_1)),
        selection=done(select(run, dataset)),
        entangled=done(poster_mpo.measure(run, test, record, device)),
        outliers={
            (layer, when): outliers(weights[f"{key}.weight"])
            for layer, key in ((1, "1"), (2, "3"))
            for when, weights in (("initial", run.initial), ("trained", run.weights))
        },
    )


def _keeps():
    full = 256 * 128
    return np.unique(np.geomspace(64, full, 28).round().astype(int))


def _leakage(datasets):
    """Return {gauge: (accuracy of the label from the signs alone, its standard error)} on the training chains."""
    train = datasets["random"].train
    winding = train.read("winding")
    # the warning example: columns of eigh as LAPACK leaves them
    lapack = np.swapaxes(np.linalg.eigh(hamiltonian(train.read("v"), train.read("w")))[1], 1, 2)
    found = {"eigh (LAPACK)": sign_leakage(lapack, winding)}
    for gauge, dataset in datasets.items():
        found[gauge] = sign_leakage(dataset.train.read("states"), winding)
    return found
