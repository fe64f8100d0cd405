"""What the top singular vectors of a layer select from the wavefunctions."""

import dataclasses

import numpy as np

from sshml.arguments import instance, integer
from sshml.classifier import Run
from sshml.compression import find_layer
from sshml.dataset import Dataset, View
from sshml.errors import SSHMLError


@dataclasses.dataclass(frozen=True)
class Selection:
    """The leading right-singular vectors v_1, v_2, ... of a layer, in most cases the first, of every member.

    `vectors` (member, vector, row, site): unit norm; the row is the level for views of states and a site for the
    view "projector". `values` (member, vector): their singular values. `score` (member, sample): v_1 . x of the
    test chains. `overlap` (member, component): |<v_1, c_j>| with the principal components of the training
    inputs, in descending variance; `subspace` (member): share of the leading singular vectors inside as many
    leading principal components, tr(P_v P_c)/k, 1 if they span the same space.

    The sign of v_1 is set so that the score grows with ln|w/v| over the test chains.
    """

    view: str
    vectors: np.ndarray
    values: np.ndarray
    score: np.ndarray
    overlap: np.ndarray
    subspace: np.ndarray

    @property
    def row_share(self):
        """Weight of each vector on each row (level), (member, vector, row); sums to 1, uniform is 1/N."""
        return (self.vectors**2).sum(-1)

    @property
    def mid_gap_share(self):
        """Weight of each vector on the two levels beside zero energy, or on the middle one, (member, vector)."""
        if self.view == "projector":
            raise SSHMLError("the view 'projector' has no level axis; mid_gap_share needs a view of the states.")
        levels = self.vectors.shape[2]
        return self.row_share[..., (levels - 1) // 2 : levels // 2 + 1].sum(-1)

    @property
    def edge_share(self):
        """Weight of each vector on the first and last site, over all rows, (member, vector); uniform is 2/N."""
        return (self.vectors[..., [0, -1]] ** 2).sum(axis=(-2, -1))


def select(run, dataset, layer=0, vectors=4, limit=4000):
    """Return what the leading singular vectors of a layer of a run select; see `Selection`.

    Args:
        run: the `Run`; the layer must see the flattened inputs.
        dataset: the `Dataset` it was trained on (principal components from its training split, scores on its
            test split).
        layer: name or number of the layer.
        vectors: how many leading vectors.
        limit: training samples for the principal components.

    Raises:
        SSHMLError: no such layer, or one that does not take level x site inputs.
    """
    instance(run, "run", Run, "a Run, as `fit` and `load_run` return it")
    instance(dataset, "dataset", Dataset, "a Dataset, as of open_dataset(path)")
    limit = integer(limit, "limit", 1)
    view = run.training.view or "states"
    if not View.parse(view).is_whole:
        raise SSHMLError(f"the networks see {view!r}, not all levels and sites; select needs a view of all of them.")
    name = find_layer(run.model(), layer)
    if f"{name}.weight" not in run.weights:
        raise SSHMLError(f"layer {name!r} holds no dense weight; selection needs an uncompressed run.")
    weight = run.weights[f"{name}.weight"].double().numpy()
    if not np.isfinite(weight).all():
        raise SSHMLError(f"layer {name!r} holds NaN or infinite weights; train the run again.")
    sites = dataset.spec.sites
    if weight.shape[-1] != sites**2:
        raise SSHMLError(
            f"layer {name!r} has {weight.shape[-1]} inputs and the dataset {sites} levels x {sites} sites ="
            f" {sites**2}; choose layer 0 of a network trained on this dataset."
        )
    vectors = integer(vectors, "vectors", 1, min(weight.shape[1:]))
    _, values, rows = np.linalg.svd(weight, full_matrices=False)
    rows, values = rows[:, :vectors], values[:, :vectors]

    inputs = dataset.test.inputs(view).reshape(len(dataset.test), -1)
    margin = dataset.test.read("log_margin")
    score = rows[:, 0] @ inputs.T  # m [in], b [in]
    margin = np.clip(margin, -20, 20)  # of a chain with a hopping of 0 it is infinite
    sign = np.sign(score @ np.clip(margin - margin.mean(), -5, 5))
    sign[sign == 0] = 1
    rows[:, 0] *= sign[:, None]
    score *= sign[:, None]

    train = dataset.train.inputs(view, slice(limit)).reshape(min(limit, len(dataset.train)), -1).astype(np.float64)
    _, _, components = np.linalg.svd(train - train.mean(0), full_matrices=False)
    projected = rows @ components[:vectors].T  # m k [in], c [in]
    return Selection(
        view=view,
        vectors=rows.reshape(len(rows), vectors, sites, sites),
        values=values,
        score=score,
        overlap=np.abs(rows[:, 0] @ components.T),
        subspace=(projected**2).sum(axis=(1, 2)) / vectors,
    )
