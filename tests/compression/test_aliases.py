import torch
from torch import nn

from sshml.compression import survey
from sshml.compression.aliases import held_elsewhere, tied_tensors


def test_a_parametrisation_of_two_layers_ties_them():
    class Times(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.eye(16))

        def forward(self, weight):
            return weight @ self.factor

    model, times = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16)), Times()
    for layer in (model[0], model[2]):
        nn.utils.parametrize.register_parametrization(layer, "weight", times)
    assert survey(model)[0] == {}
    assert all("tied" in survey(model)[1][name] for name in "02")


def test_names_of_what_is_shared():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    assert list(tied_tensors(model).values()) == [["0.weight", "2.weight"]]
    assert tied_tensors(nn.Sequential(model[1], model[1])) == {}  # one layer twice is one layer


def test_what_is_held_beside_the_children():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    assert held_elsewhere(model) == (set(), set())
    model.again, model.number, model.text = {"deep": [(model[1],)]}, 3, "text"
    model.vector = model[0].bias.detach()
    modules, tensors = held_elsewhere(model)
    assert modules == {id(model[1])}
    assert tensors == {model[0].bias.data_ptr()}
