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
from sshml.dataset import DatasetSpec, generate, open_dataset, sign_leakage, split_distance
from sshml.experiments.claims import Claim
from sshml.experiments.poster_figures import draw
from sshml.files import new_folder, write_csv

SOURCE = "Oriekhov et al., poster"
VIEWS = {
    "random": ("random", "states"),
    "fixed": ("fixed", "states"),
    "abs": ("fixed", "abs"),
    "density": ("fixed", "density"),
    "projector": ("fixed", "projector"),
}
"""Name in figures and tables: (gauge of the dataset, view of the network)."""
KEEPS = 0.95
RANKS_1 = (1, 2, 4, 6, 7, 8, 128)
RATIO_EDGES = np.concatenate([[0], np.geomspace(1 / 2, 2, 29), [np.inf]])
"""Bins of w/v for the accuracy; the transition at w/v = 1 is an edge."""


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
        leakage = _leakage(datasets)
        numbers = [
            {"observable": name, "accuracy": accuracy} for name, accuracy in baselines(datasets["random"]).items()
        ]
        claims = [claim.row() for claim in _claims(measured, leakage)]
        _write(folder, measured, leakage, datasets)
        write_csv(folder / "baselines.csv", numbers)
        write_csv(folder / "claims.csv", claims)
        draw(folder)
    return claims, numbers


def _dataset(folder, gauge, settings, progress):
    spec = DatasetSpec(
        cells=8,
        gauge=gauge,
        train=settings.train,
        valid=settings.valid,
        test=settings.test,
        seed=settings.seed,
    )
    path = folder / "data" / f"{gauge}.h5"
    generate(spec, path, progress=progress(f"chains, gauge {gauge}"))
    return open_dataset(path)


@dataclasses.dataclass(frozen=True)
class _Measured:
    """All that is measured in one view; see the functions that measure it."""

    accuracy: np.ndarray
    by_ratio: np.ndarray
    ranks: object
    kept: object
    grid: np.ndarray
    selection: object
    outliers: dict
    test: object


def _measure(folder, name, dataset, view, settings, device, progress):
    training = TrainingSpec(epochs=settings.epochs, view=view)
    bar = progress(f"train {settings.seeds} networks, {name}")
    run = fit(MLP, dataset.train, dataset.valid, training, settings.seeds, device, progress=bar)
    save_run(run, folder / "runs" / f"{name}.h5")
    bar = progress(f"compress, {name}")
    steps = iter(range(1, 5))

    def done(result):
        if bar:
            bar(next(steps), 4)
        return result

    correct = run.correct(dataset.test, device)
    ratio = dataset.test.read("w")[:, 0] / dataset.test.read("v")[:, 0]
    bins = np.digitize(ratio, RATIO_EDGES) - 1
    by_ratio = [
        correct[:, bins == b].mean(1) if (bins == b).any() else np.full(len(run), np.nan)
        for b in range(len(RATIO_EDGES) - 1)
    ]
    return _Measured(
        accuracy=correct.mean(1),
        by_ratio=np.stack(by_ratio, axis=1),
        ranks=done(rank_sweep(run, dataset.test, device=device)),
        kept=done(prune_sweep(run, dataset.test, keeps=_keeps(), device=device)),
        grid=done(rank_grid(run, dataset.test, ranks=RANKS_1)),
        selection=done(select(run, dataset)),
        outliers={
            (layer, when): outliers(weights[f"{key}.weight"])
            for layer, key in ((1, "1"), (2, "3"))
            for when, weights in (("initial", run.initial), ("trained", run.weights))
        },
        test=dataset.test,
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


def _claims(measured, leakage):
    random, density = measured["random"], measured["density"]
    at = {rank: column for column, rank in enumerate(random.ranks.sizes)}
    rank_8 = random.ranks.accuracy[:, at[8]]
    k1 = {name: m.ranks.smallest(KEEPS) for name, m in measured.items()}
    yield Claim(
        "P1", "8 of 128 singular values of layer 1 keep 95 % (random signs)", SOURCE, "8",
        k1["random"], "mean within 8 ± 1", abs(np.nanmean(k1["random"]) - 8) <= 1,
    )  # fmt: skip
    yield Claim(
        "P1", "accuracy with 8 singular values in layer 1 (random signs)", SOURCE, ">= 0.95",
        rank_8, "mean >= 0.95", rank_8.mean() >= KEEPS,
    )  # fmt: skip
    for name in VIEWS:
        own = measured[name].accuracy
        if name != "random":
            yield Claim(
                "P1", f"rank of layer 1 that keeps 95 % ({name})", SOURCE, "8",
                k1[name], "mean within 8 ± 1", abs(np.nanmean(k1[name]) - 8) <= 1,
            )  # fmt: skip
        relative = measured[name].ranks.smallest(KEEPS * own)
        yield Claim(
            "P1", f"rank of layer 1 that keeps 95 % of its own accuracy ({name})", "sshml", "", relative, "", None
        )
    good = rank_8 >= KEEPS
    row = random.grid[:, RANKS_1.index(8)]
    k2 = np.where(good, _first_staying(row, KEEPS), np.nan)
    yield Claim(
        "P2", "singular values of layer 2 that keep 95 %, 8 left in layer 1, where those 8 keep 95 % (random signs)",
        SOURCE, "1 or 2", k2, "mean <= 2", bool(np.nanmean(k2) <= 2) if good.any() else False,
    )  # fmt: skip
    for name in VIEWS:
        m = measured[name]
        svd, kept = m.ranks, m.kept
        svd_bytes = svd.stored[0] * k1[name]
        prune_bytes = kept.smallest(KEEPS) * (kept.stored[0] / kept.sizes[0])
        ratio = prune_bytes / svd_bytes
        yield Claim(
            "P3", f"bytes of layer 1 at 95 %, pruned / SVD ({name})", SOURCE, "> 1",
            ratio, "mean > 1", bool(np.nanmean(ratio) > 1),
        )  # fmt: skip
    for name, m in (("random", random), ("density", density)):
        # removed 15/16 of the singular values against 15/16 of the weights
        svd_share = m.ranks.accuracy[:, at[8]]
        pruned = np.array([np.interp(256 * 8, m.kept.sizes, member) for member in m.kept.accuracy])
        difference = svd_share - pruned
        yield Claim(
            "P3", f"accuracy with 93.75 % removed, SVD - pruned ({name})", SOURCE, "> 0",
            difference, "mean > 0", bool(difference.mean() > 0),
        )  # fmt: skip
    for name in VIEWS:
        if name != "projector":
            share = measured[name].selection.mid_gap_share[:, 0]
            yield Claim(
                "P4", f"v1 selects the edge states: its share on the two mid-gap levels, uniform 0.125 ({name})",
                SOURCE, "the 'important' elements", share, "mean > 0.5", bool(share.mean() > 0.5),
            )  # fmt: skip
    for name in VIEWS:
        target = 0.98 if name == "random" else 0.99
        accuracy = measured[name].accuracy
        yield Claim(
            "accuracy", f"test accuracy ({name})", "sshml", f"target >= {target}",
            accuracy, f"mean >= {target}", bool(accuracy.mean() >= target),
        )  # fmt: skip
    for layer in (1, 2):
        for when in ("initial", "trained"):
            yield Claim(
                "spectrum", f"singular values of layer {layer} above the Marchenko-Pastur edge, {when} (random)",
                "sshml", "", random.outliers[layer, when], "", None,
            )  # fmt: skip
    for gauge, (accuracy, _) in leakage.items():
        yield Claim(
            "signs", f"signs carry no label: accuracy from the signs alone ({gauge})", "sshml", "chance 0.5",
            np.array([accuracy]), "within 0.02 of 0.5", abs(accuracy - 0.5) <= 0.02,
        )  # fmt: skip


def _first_staying(accuracy, threshold):
    """Return the smallest rank (from 1) of each row from which on the accuracy stays at the threshold or above."""
    below = accuracy < threshold
    last = np.where(below.any(1), below.shape[1] - below[:, ::-1].argmax(1), 0)
    return np.where(last < accuracy.shape[1], last + 1.0, np.nan)


def _write(folder, measured, leakage, datasets):
    """Write the numbers of every figure."""

    def spread(values):
        std = values.std(ddof=1) if len(values) > 1 else 0.0
        return {"mean": f"{values.mean():.6g}", "std": f"{std:.4g}", "seeds": len(values)}

    write_csv(
        folder / "fig1.csv",
        [
            {"view": name, "method": sweep.method, "size": size, "kept": 1 - removed, "bytes": stored}
            | spread(sweep.accuracy[:, i])
            for name, m in measured.items()
            for sweep in (m.ranks, m.kept)
            for i, (size, removed, stored) in enumerate(zip(sweep.sizes, sweep.share, sweep.stored, strict=True))
        ],
    )
    grid = measured["random"].grid
    write_csv(
        folder / "fig2.csv",
        [
            {"rank_1": rank, "rank_2": r + 1, "kept": (r + 1) / grid.shape[2]} | spread(grid[:, i, r])
            for i, rank in enumerate(RANKS_1)
            for r in range(grid.shape[2])
        ],
    )
    write_csv(
        folder / "fig3_vectors.csv",
        [
            {"view": name, "row": row + 1, "site": site + 1, "v1": f"{m.selection.vectors[0, 0, row, site]:.6g}"}
            for name, m in measured.items()
            for row in range(m.selection.vectors.shape[2])
            for site in range(m.selection.vectors.shape[3])
        ],
    )
    write_csv(
        folder / "fig3_shares.csv",
        [
            {"view": name, "seed": seed, "row": row + 1, "share": f"{share:.4g}"}
            for name, m in measured.items()
            for seed, shares in enumerate(m.selection.row_share[:, 0])
            for row, share in enumerate(shares)
        ],
    )
    write_csv(
        folder / "fig3_summary.csv",
        [
            {"view": name, "quantity": quantity} | spread(values)
            for name, m in measured.items()
            for quantity, values in _summary(m.selection)
        ],
    )
    write_csv(
        folder / "fig3_scores.csv",
        [
            {"view": name, "w/v": f"{w / v:.5g}", "winding": nu, "score": f"{score:.5g}"}
            for name, m in measured.items()
            for v, w, nu, score in zip(
                m.test.read("v")[:500, 0],
                m.test.read("w")[:500, 0],
                m.test.labels[:500],
                m.selection.score[0, :500],
                strict=True,
            )
        ],
    )
    write_csv(
        folder / "fig4_ranks.csv",
        [
            {"view": name, "seed": seed, "absolute": absolute, "relative": relative, "accuracy": accuracy}
            for name, m in measured.items()
            for seed, (absolute, relative, accuracy) in enumerate(
                zip(m.ranks.smallest(KEEPS), m.ranks.smallest(KEEPS * m.accuracy), m.accuracy, strict=True)
            )
        ],
    )
    write_csv(
        folder / "fig4_ratio.csv",
        [
            {"view": name, "low": low, "high": high} | spread(m.by_ratio[:, b])
            for name, m in measured.items()
            for b, (low, high) in enumerate(itertools.pairwise(RATIO_EDGES))
            if np.isfinite(m.by_ratio[:, b]).all()
        ],
    )
    write_csv(
        folder / "fig4_signs.csv",
        [{"gauge": gauge, "accuracy": mean, "error": error} for gauge, (mean, error) in leakage.items()],
    )
    write_csv(
        folder / "splits.csv",
        [
            dict(zip(("gauge", "smallest_distance", "median_distance"), (gauge, *split_distance(dataset)), strict=True))
            for gauge, dataset in datasets.items()
        ],
    )


def _summary(selection):
    if selection.view != "projector":
        yield "share of v1 on the mid-gap levels", selection.mid_gap_share[:, 0]
    yield "share of v1 on the edge sites", selection.edge_share[:, 0]
    yield "overlap of v1 with the first principal component", selection.overlap[:, 0]
    yield "share of v1 ... v4 in the first four principal components", selection.subspace
