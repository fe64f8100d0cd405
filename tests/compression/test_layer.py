"""One battery for every compressed layer."""

import copy
import re

import pytest
import torch
from torch import nn

from sshml.compression import (
    LAYERS,
    BlockLowRankLinear,
    CompressedLinear,
    LowRankLinear,
    MaskedLinear,
    MPOLinear,
    MPOShape,
    choose_bonds,
)
from sshml.compression.blocks import as_blocks
from sshml.compression.layer import check_weight, dense_layer
from sshml.errors import SSHMLError


def blocks(columns):
    """Return three equal blocks of columns where that goes, else two or one."""
    return 3 if columns % 3 == 0 else [columns // 2, columns - columns // 2] if columns > 1 else [1]


FULL = {
    BlockLowRankLinear: lambda shape: sum(min(shape[0], size) for size in as_blocks(blocks(shape[1]), shape[1])),
    LowRankLinear: min,
    MaskedLinear: lambda shape: shape[0] * shape[1],
    MPOLinear: lambda shape: max(MPOShape.automatic(*shape).bonds()),
}
SHAPES = [(5, 7), (7, 5), (8, 8), (13, 1), (1, 13), (11, 23)]


KINDS = [layer for layer in LAYERS.values() if issubclass(layer, CompressedLinear)]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def dense(shape, bias=True, dtype=torch.float32, device="cpu"):
    torch.manual_seed(0)
    return nn.Linear(shape[1], shape[0], bias, device=device, dtype=dtype)


def shrink(kind, layer, **options):
    """Compress to a third of the full size."""
    return sized(kind, layer, max(1, FULL[kind](tuple(layer.weight.shape)) // 3), **options)


def sized(kind, layer, size, **options):
    own = {"blocks": blocks(layer.weight.shape[1])} if kind is BlockLowRankLinear else {}
    return kind.from_dense(layer, **{kind.sizes[0]: size}, **own, **options)


def test_every_layer_is_tested():
    assert set(FULL) == set(KINDS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exact_at_full_size(kind, shape, bias, dtype):
    layer = dense(shape, bias, dtype)
    new = sized(kind, layer, FULL[kind](shape), allow_growth=True)
    torch.testing.assert_close(new.to_weight(), layer.weight)
    x = torch.rand(4, 3, shape[1], dtype=dtype)
    torch.testing.assert_close(new(x), layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_forward_is_that_of_the_dense_twin(kind, shape, bias):
    new = shrink(kind, dense(shape, bias), allow_growth=True)
    x = torch.rand(6, shape[1])
    expected = x @ new.to_weight().T + (new.bias if bias else 0)
    torch.testing.assert_close(new(x), expected)
    torch.testing.assert_close(new.to_dense()(x), expected)


def test_bias_dtype_device_and_mode_are_kept(kind, device):
    layer = dense((6, 9), dtype=torch.float64, device=device).eval()
    new = shrink(kind, layer)
    assert torch.equal(new.bias, layer.bias)
    assert {p.dtype for p in new.parameters()} == {torch.float64}
    assert {t.device.type for t in new.state_dict().values()} == {device}
    assert not new.training


def test_the_dense_layer_is_left_alone(kind):
    layer = dense((6, 9))
    before = copy.deepcopy(layer.state_dict())
    new = shrink(kind, layer)
    with torch.no_grad():
        for parameter in new.parameters():
            parameter.add_(1)
    assert all(torch.equal(layer.state_dict()[name], before[name]) for name in before)


def test_counts_are_what_is_stored(kind):
    new = shrink(kind, dense((6, 9)))
    assert new.n_parameters == sum(p.numel() for p in new.parameters())
    assert new.n_bytes == sum(t.nbytes for t in new.state_dict().values())


def test_never_larger_than_dense_unless_allowed(kind):
    layer = dense((6, 9))
    stored = sum(t.nbytes for t in layer.state_dict().values())
    grew = 0
    for size in range(1, FULL[kind]((6, 9)) + 1):
        if sized(kind, layer, size, allow_growth=True).n_bytes <= stored:
            assert sized(kind, layer, size).n_bytes <= stored
        else:
            grew += 1
            with pytest.raises(SSHMLError, match="allow_growth=True"):
                sized(kind, layer, size)
    assert grew


def test_trainable(kind):
    torch.manual_seed(1)
    layer, x = shrink(kind, dense((4, 8))), torch.rand(32, 8)
    target = torch.rand(32, 4)
    losses = []
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(60):
        loss = (layer(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in layer.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_constructor_arguments_rebuild_it(kind):
    new = shrink(kind, dense((6, 9), bias=False))
    again = kind(**new.config())
    again.load_state_dict(new.state_dict())
    assert torch.equal(again.to_weight(), new.to_weight())
    assert again.bias is None


@pytest.mark.parametrize("size", [0, -1, 1000, 2.5, None, "3", True])
def test_sizes_out_of_range(kind, size):
    if kind is MPOLinear and size in (1000, None) and size is not True:
        pytest.skip("bonds are capped at the exact rank, None means that")
    with pytest.raises(SSHMLError, match=r"(from|choose) 1 to"):
        sized(kind, dense((6, 9)), size)


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (torch.full((3, 3), torch.nan), "NaN"),
        (torch.ones(3, 3, dtype=torch.float16), "convert it"),
        (torch.ones(3), "expected an nn.Linear"),
        ("weight", "expected an nn.Linear"),
    ],
)
def test_weights_that_cannot_be_decomposed(weight, words):
    with pytest.raises(SSHMLError, match=words):
        check_weight(weight)


def test_arrays_are_weights_too(rng):
    matrix = rng.standard_normal((6, 8))
    layer = nn.Linear(8, 6).double()
    layer.weight.data = torch.from_numpy(matrix)
    for array in (matrix, matrix[:, ::-1][:, ::-1], matrix.astype(">f8")):
        assert torch.equal(check_weight(array), layer.weight)
        assert choose_bonds(array, ((2, 3), (2, 4)), budget=40) == choose_bonds(layer, ((2, 3), (2, 4)), budget=40)
    with pytest.raises(SSHMLError, match="array of floats"):
        check_weight(matrix.astype(int))


def test_dense_layer_copies(rng):
    weight = torch.rand(2, 3)
    layer = dense_layer(weight, torch.rand(2))
    weight.zero_()
    assert layer.weight.abs().max() > 0


def test_the_largest_size_that_is_smaller_is_named(kind):
    layer, size = dense((24, 36)), {"rank": 24, "max_bond": 99, "keep": 864, "ranks": 36}[kind.sizes[0]]
    with pytest.raises(SSHMLError, match="up to") as error:
        sized(kind, layer, size, allow_growth=False)
    fits = int(re.search(r"up to (\d+)", str(error.value))[1])
    bound = sum(tensor.nbytes for tensor in layer.parameters())
    assert sized(kind, layer, fits, allow_growth=False).n_bytes <= bound
    with pytest.raises(SSHMLError, match="would store"):
        sized(kind, layer, fits + 1, allow_growth=False)


def test_the_dense_twin_is_as_free_and_in_the_same_mode(kind):
    layer = shrink(kind, dense((12, 9))).eval()
    layer.requires_grad_(False)
    twin = layer.to_dense()
    assert not twin.training
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    layer.requires_grad_(True).train()
    layer.bias.requires_grad_(False)
    twin = layer.to_dense()
    assert twin.training
    assert twin.weight.requires_grad
    assert not twin.bias.requires_grad
