import pytest
import torch
from torch import nn

from sshml.compression.batches import Batches
from sshml.compression.moments import second_moments
from sshml.compression.sites import survey


def moments(model, x):
    return second_moments(model, survey(model)[0], Batches(x, model))


def test_those_of_linear_layers():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), torch.randn(700, 5)
    found = moments(model, x)
    hidden = torch.relu(model[0](x)).detach().double()
    torch.testing.assert_close(found["2"].mean_square[0], hidden.T @ hidden / 700)
    one = torch.cat([hidden, torch.ones(700, 1)], 1)
    torch.testing.assert_close(found["2"].with_one()[0], one.T @ one / 700)


def test_sites_see_what_their_matrices_are_multiplied_with(net):
    """The mean square of W x is that of the outputs less their bias, for every kind of layer."""
    model, x = net
    sites, _ = survey(model)
    found = moments(model, x)
    outputs = {}

    def listen(path):
        def hook(module, args, out):
            outputs.setdefault(path, []).append(out.detach())

        model.get_submodule(path).register_forward_hook(hook)

    for path in {site.path for site in sites.values() if not site.part and not site.path.endswith("out_proj")}:
        listen(path)
    with torch.no_grad():
        torch.backends.mha.set_fastpath_enabled(False)
        model(x)
        torch.backends.mha.set_fastpath_enabled(True)
    for name, site in sites.items():
        if site.path not in outputs:
            continue
        bias = model.get_submodule(site.path).bias
        ys = torch.cat(
            [y.flatten(0, -2) if site.kind == "Linear" else y.transpose(0, 1).flatten(1).T for y in outputs[site.path]]
        )
        ys = ys if bias is None else ys - bias
        weight = site.matrices(model).double()
        predicted = torch.einsum("goi,gij,goj->go", weight, found[name].mean_square, weight).flatten()
        torch.testing.assert_close(predicted, ys.double().square().mean(0), rtol=1e-4, atol=1e-5)


def test_an_output_projection_is_seen(make):
    model, x = make("encoder")
    found, layer = moments(model, x), model.encoder.layers[0]
    seen = []
    layer.self_attn.register_forward_hook(lambda module, args, out: seen.append(out[0]))
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        model(x)
    torch.backends.mha.set_fastpath_enabled(True)
    y = seen[0].reshape(-1, 16) - layer.self_attn.out_proj.bias
    weight = layer.self_attn.out_proj.weight.detach().double()
    square = weight @ found["encoder.layers.0.self_attn.out_proj"].mean_square[0] @ weight.T
    torch.testing.assert_close(square, (y.double().T @ y.double()).detach() / len(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["encoder"])
def test_nothing_is_left_behind(make, name):
    model, x = make(name)
    moments(model.train(), x)
    assert torch.backends.mha.get_fastpath_enabled()
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_layers_that_never_ran_are_missing():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.used(x)

    assert set(moments(Idle(), torch.ones(2, 3))) == {"used"}
