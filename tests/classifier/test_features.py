import functools

import numpy as np
import pytest
import torch
from torch import nn

from sshml.chain import eigenstates, log_margin, real_space_winding
from sshml.classifier import CumulativeLogs, TrainingSpec, WindingNetwork, exact_log_network, fit, load_run, save_run
from sshml.dataset import DatasetSpec, generate, open_dataset
from sshml.errors import SSHMLError


def chains(rng, cells, count, strength):
    v = rng.uniform(0, 1, (count, 1)) + strength * (rng.random((count, cells)) - 0.5)
    w = rng.uniform(0, 1, (count, 1)) + strength * (rng.random((count, cells - 1)) - 0.5)
    return v, w, eigenstates(v, w)[1]


@pytest.mark.parametrize("cells", [2, 3, 8])
@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0])
def test_the_margin_is_linear_in_the_logarithms(rng, cells, strength):
    v, w, states = chains(rng, cells, 300, strength)
    logits = exact_log_network(cells)(torch.from_numpy(states[:, cells : cells + 1]).float())
    margin = log_margin(v, w)
    with torch.no_grad():
        assert np.mean((logits[:, 1] > logits[:, 0]).numpy() == (margin > 0)) >= 299 / 300
        off = abs((logits[:, 1] - logits[:, 0]).numpy() - margin)
    assert np.median(off) < 1e-4


@pytest.mark.parametrize("cells", [2, 5, 8])
def test_the_exact_network_forms_the_winding_number(rng, cells):
    _, _, states = chains(rng, cells, 50, 1.0)
    network = WindingNetwork(cells, exact=True).double()
    with torch.no_grad():
        logits = network(torch.from_numpy(states * rng.choice([-1, 1], (50, 2 * cells, 1)))).numpy()
    np.testing.assert_allclose((logits[:, 1] - logits[:, 0]) / 16 + 0.5, real_space_winding(states), atol=1e-5)


def test_states_of_no_weight_give_finite_numbers():
    assert CumulativeLogs()(torch.zeros(3, 2, 6)).isfinite().all()
    assert CumulativeLogs()(torch.eye(6)[None]).isfinite().all()


def test_other_shapes_are_refused():
    with pytest.raises(SSHMLError, match="whole cells"):
        CumulativeLogs()(torch.ones(2, 1, 5))
    with pytest.raises(SSHMLError, match="cells"):
        WindingNetwork(1)


@pytest.mark.parametrize(
    ("view", "network"),
    [
        ("states/levels=4", lambda: nn.Sequential(CumulativeLogs(), nn.Flatten(), nn.Linear(15, 2))),
        ("states", functools.partial(WindingNetwork, 4, True)),
    ],
)
def test_several_are_trained_at_once(tmp_path, caplog, view, network):
    generate(DatasetSpec(cells=4, train=600, valid=200, test=200, disorder_v=1, disorder_w=1), tmp_path / "a.h5")
    data = open_dataset(tmp_path / "a.h5")
    run = fit(network, data.train, data.valid, TrainingSpec(epochs=20, learning_rate=1e-2, view=view), seeds=2)
    assert run.accuracy(data.test).mean() > 0.85
    assert not caplog.records  # that they are trained one after another


def test_a_run_of_winding_networks_is_loaded_by_itself(tmp_path):
    generate(DatasetSpec(cells=4, train=50, valid=20, test=20), tmp_path / "a.h5")
    data = open_dataset(tmp_path / "a.h5")
    run = fit(functools.partial(WindingNetwork, 4), data.train, data.valid, TrainingSpec(epochs=1), seeds=2)
    save_run(run, tmp_path / "run.h5")
    np.testing.assert_array_equal(load_run(tmp_path / "run.h5").predict(data.test), run.predict(data.test))
