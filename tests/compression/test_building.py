import torch
from torch import nn

from sshml.compression import LowRankLinear, survey
from sshml.compression.building import StoredMatrix, with_forms
from sshml.compression.modules import copied


def test_stored_matrices_change_nothing(net):
    model, x = net
    other = copied(model)
    forms = {}
    for site in survey(model)[0].values():
        stored = [StoredMatrix.of_matrix(matrix) for matrix in site.matrices(model)]
        forms.setdefault(site.path, {})[site.part] = stored
    for path, made in forms.items():
        other = with_forms(other, path, made)
    with torch.no_grad():
        found, wanted = other(x), model(x)
    for a, b in zip(found, wanted, strict=True) if isinstance(found, tuple) else [(found, wanted)]:
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_nobody_reaches_what_is_stored_through_the_weight():
    stored = StoredMatrix.of_matrix(torch.eye(3))
    stored.weight.data.zero_()
    assert torch.equal(stored.to_weight(), torch.eye(3))


def test_bias_and_frozen_weight_are_those_of_the_layer():
    layer = nn.Linear(6, 5)
    layer.weight.requires_grad_(False)
    new = with_forms(layer, "", {"": [LowRankLinear.of(layer.weight, rank=2)]})
    assert new.bias is layer.bias
    assert not new.left.requires_grad
    attention = nn.MultiheadAttention(8, 2)
    some = with_forms(attention, "", {"k": [LowRankLinear.of(attention.in_proj_weight.chunk(3)[1], rank=2)]})
    assert [type(part) for part in some.parts] == [nn.Linear, LowRankLinear, nn.Linear]
    assert some.out_proj is attention.out_proj


def test_a_stored_matrix_has_no_bias_of_its_own():
    matrix, x = torch.randn(3, 5), torch.randn(4, 5)
    layer = StoredMatrix.of_matrix(matrix)
    assert layer.bias is None
    torch.testing.assert_close(layer(x), x @ matrix.T)
