import numpy as np
import torch

from sshml.analysis import level_directions
from sshml.chain import critical_states, fixed_signs
from sshml.classifier import load_run
from sshml.dataset import open_dataset
from sshml.experiments import Result, Where
from sshml.experiments.experiment import plain
from sshml.experiments.ranks import Settings
from sshml.experiments.ranks.measurements import FILE, RUN, SETTINGS, _directions, chains, networks

SMALL = {"datasets": 2, "seeds": 2, "epochs": 3, "train": 2000, "valid": 300, "test": 600}


def test_chains_of_a_gap_have_it(tmp_path):
    spec = Settings(**SMALL).chains("|v - w| > 0.1", 1)
    chains(Where(folder=tmp_path), **plain(spec))
    data = open_dataset(tmp_path / FILE)
    assert (len(data.train), len(data.valid), len(data.test)) == (2000, 300, 600)
    v, w = data.train.read(("v", "w"))
    assert abs(v[:, 0] - w[:, 0]).min() > 0.1
    assert (v == v[:, :1]).all()
    assert 0.4 < data.train.read("winding").mean() < 0.6


def test_two_numbers_a_sample_are_the_projection(tmp_path):
    """The accuracy of W P, P the projection on a level's two directions, by networks with that weight."""
    spec = Settings(**SMALL).chains("levels 6, 9", 0)
    chains(Where(folder=tmp_path), **plain(spec))
    view = SETTINGS["levels 6, 9"]["view"]
    made = Result({}, tmp_path)
    training = {"epochs": 2, "view": view}
    networks(Where("cpu", folder=tmp_path), made, training, (16, 8), "relu", 2)
    data, run = open_dataset(tmp_path / FILE), load_run(tmp_path / RUN)
    rows, norms = _directions(data, run)
    alone, levels = [float(row["of_level"]) for row in rows], [row["level"] for row in rows]
    assert [(row["seed"], row["group"]) for row in norms] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    even = critical_states(16)[0]
    even = (even * fixed_signs(even)[:, None])[[6, 9]]
    seen = data.valid.inputs(view="states/levels=6,9/signs=none")
    f, g = level_directions(seen, even, np.array([6, 9]))
    models = run.models()
    for model, level in zip(models, levels, strict=True):
        basis = np.stack([f, g], 1).reshape(2, 2, -1)[level]
        weight = model[1].weight.detach().double().numpy()
        model[1].weight.data = torch.from_numpy(weight @ basis.T @ basis).float()
    np.testing.assert_allclose(run.with_models(models).accuracy(data.test), alone, atol=0.005)
