import pytest
import torch

from sshml.compression import products
from sshml.compression.products import broadcast, linear, product

ROWS, INS, OUTS = 96, 160, 144
"""Enough work for oneDNN, where there is one: the first test says so."""


def matrices(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(ROWS, INS, generator=generator), torch.randn(OUTS, INS, generator=generator)


def test_large_products_go_through_onednn_unless_it_is_switched_off(monkeypatch):
    x, weight = matrices()
    assert 2 * x.numel() * len(weight) >= products.WORK
    assert products._fits(x, weight) == products.has_onednn()
    monkeypatch.setattr(products, "has_onednn", lambda: True)
    assert products._fits(x, weight)
    for other in (x.double(), x.bfloat16(), x[:1]):
        assert not products._fits(other, weight.to(other.dtype))
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert not products._fits(x, weight)


@pytest.mark.parametrize(
    "form", ["plain", "columns", "every second", "overlapping", "one row for all", "one number for all"]
)
def test_every_layout_in_memory(form):
    a, b = matrices()
    views = {
        "plain": lambda m: m,
        "columns": lambda m: m.T.contiguous().T,
        "every second": lambda m: m.repeat_interleave(2, 0).repeat_interleave(2, 1)[::2, ::2],
        "overlapping": lambda m: m.reshape(-1).unfold(0, m.shape[1], 1)[: len(m)],
        "one row for all": lambda m: m[:1].expand_as(m),
        "one number for all": lambda m: m[0, 0].expand_as(m),
    }
    for left, right in ((views[form](a), b), (a, views[form](b)), (views[form](a), views[form](b))):
        found = product(left, right)
        torch.testing.assert_close(found.double(), left.double() @ right.double().T, atol=1e-3, rtol=1e-5)
        assert found.is_contiguous()


@pytest.mark.parametrize("frozen", [None, "x", "weight"])
def test_gradients_are_those_of_a_plain_product(frozen):
    found = []
    for form in (linear, torch.nn.functional.linear):
        x, weight = matrices()
        inputs = [tensor.requires_grad_() for name, tensor in (("x", x), ("weight", weight)) if name != frozen]
        y = form(x, weight)
        found.append([y, *torch.autograd.grad(y.square().mean() + y.sum(), inputs)])
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_any_leading_shape_with_a_bias():
    x, weight = matrices()
    bias = torch.arange(float(OUTS))
    for shaped in (x.view(4, 24, INS), x.view(2, 2, 24, INS), x[:0], x[0]):
        expected = torch.nn.functional.linear(shaped, weight, bias)
        torch.testing.assert_close(linear(shaped, weight, bias), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        linear(x, weight[:, 1:])


def test_second_derivatives():
    x, weight = matrices()
    x.requires_grad_()
    (slope,) = torch.autograd.grad(linear(x, weight).square().sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(curvature, 2 * torch.ones_like(x) @ weight.T @ weight, atol=1e-2, rtol=1e-4)


def test_under_transforms_and_autocast():
    x, weight = matrices()
    expected = 2 * (x @ weight.T).T @ x
    slope = torch.func.grad(lambda w: linear(x, w).square().sum())
    torch.testing.assert_close(slope(weight), expected, atol=1e-2, rtol=1e-4)
    both = torch.func.vmap(linear)(torch.stack([x, x]), torch.stack([weight, -weight]))
    torch.testing.assert_close(both[0], -both[1])
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16


def test_not_a_number_stays_one():
    x, weight = matrices()
    x[3, 5] = float("nan")
    assert linear(x, weight).isnan().nonzero()[:, 0].unique().tolist() == [3]


@pytest.mark.parametrize(("rows", "inner", "columns"), [(300, 40, 30), (5, 4, 3), (128, 64, 1)])
@pytest.mark.parametrize("samples", [1, 7])
def test_one_matrix_with_every_sample(rows, inner, columns, samples):
    torch.manual_seed(0)
    matrix, x = torch.randn(rows, inner), torch.randn(samples, columns, inner).mT
    torch.testing.assert_close(broadcast(matrix, x), matrix @ x, atol=1e-4, rtol=1e-4)


def test_rows_and_batches_of_rows_go_through_onednn(monkeypatch):
    seen = []

    class Spy:
        @staticmethod
        def apply(rows, weight):
            seen.append(tuple(rows.shape))
            return rows @ weight.T

    monkeypatch.setattr(products, "_Linear", Spy)
    monkeypatch.setattr(products, "_fits", lambda a, b: True)
    weight = torch.randn(4, 3)
    for shape in ((5, 3), (2, 5, 3), (3,)):
        x = torch.randn(shape)
        torch.testing.assert_close(linear(x, weight), x @ weight.T)
    assert seen == [(5, 3), (10, 3)]
