import copy
import itertools

import pytest
import torch
from torch import nn

from sshml.compression import MPOLinear, MPOShape, tensorize
from sshml.compression.contraction import best_groups
from sshml.compression.decomposition import tensorised
from sshml.compression.orders import blocked
from sshml.errors import SSHMLError

SHAPE = MPOShape((2, 3, 2), (4, 3, 2))


def dense(shape=SHAPE, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(shape.in_features, shape.out_features, dtype=dtype)


def random_order(size, seed):
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def cut_values(weight, shape, order=None):
    """Schmidt values of every cut, one plain SVD each."""
    tensor = tensorised(weight, shape, order)
    sizes = list(itertools.accumulate(shape.site_dims, lambda a, b: a * b))[:-1]
    return [torch.linalg.svdvals(tensor.reshape(size, -1)) for size in sizes]


@pytest.mark.parametrize("order", [None, (random_order(12, 0), None), (None, random_order(24, 1))])
def test_exact_at_full_bonds_in_any_order(order):
    layer = dense()
    new = MPOLinear.from_dense(layer, SHAPE, order=order, allow_growth=True)
    assert new.bonds == SHAPE.bonds()
    torch.testing.assert_close(new.to_weight(), layer.weight)
    x = torch.randn(5, 24, dtype=torch.float64)
    torch.testing.assert_close(new(x), layer(x))
    again = MPOLinear(**new.config(), dtype=torch.float64)
    again.load_state_dict(new.state_dict())
    torch.testing.assert_close(again(x), layer(x))


def test_the_first_cut_is_eckart_young():
    """With one truncated cut the error is the norm of the dropped Schmidt values."""
    layer = dense()
    for cut in range(2):
        values = cut_values(layer.weight.detach(), SHAPE)[cut]
        bonds = [None, None]
        bonds[cut] = 3
        new = MPOLinear.from_dense(layer, SHAPE, bonds, allow_growth=True)
        torch.testing.assert_close((new.to_weight() - layer.weight).norm(), values[3:].norm())


def test_error_is_within_the_bound_of_all_cuts():
    layer = dense()
    for bond in range(1, 12):
        new = MPOLinear.from_dense(layer, SHAPE, bond, allow_growth=True)
        dropped = sum(values[bond:].square().sum() for values in cut_values(layer.weight.detach(), SHAPE))
        error = (new.to_weight() - layer.weight).square().sum()
        assert error <= dropped * (1 + 1e-9) + 1e-20
        assert max(new.bonds) <= bond
        assert new.n_parameters == SHAPE.n_parameters(bond) + 12


@pytest.mark.parametrize("cutoff", [1e-3, 0.1, 0.5])
def test_cutoff_is_the_relative_error_allowed(cutoff):
    layer = dense()
    product = torch.kron(torch.randn(4, 12).double(), torch.randn(3, 2).double())
    layer.weight.data = product + 1e-5 * layer.weight.data
    new = MPOLinear.from_dense(layer, SHAPE, cutoff=cutoff, allow_growth=True)
    assert (new.to_weight() - layer.weight).norm() <= cutoff * layer.weight.norm()
    assert new.n_parameters < SHAPE.n_parameters() + 12
    small = MPOLinear.from_dense(layer, SHAPE, allow_growth=True).compress(cutoff=cutoff)
    assert (small.to_weight() - layer.weight).norm() <= cutoff * layer.weight.norm()
    assert small.bonds == new.bonds


def test_padding_for_primes():
    layer = nn.Linear(29, 13, dtype=torch.float64)
    shape = MPOShape((2, 7), (6, 5), pad=True)
    new = MPOLinear.from_dense(layer, shape, order=(random_order(13, 0), random_order(29, 1)), allow_growth=True)
    torch.testing.assert_close(new.to_weight(), layer.weight)
    x = torch.randn(2, 3, 29, dtype=torch.float64)
    torch.testing.assert_close(new(x), layer(x))
    assert new(x[:0]).shape == (0, 3, 13)


def test_quimb_round_trip_is_rectangular():
    new = MPOLinear.from_dense(dense(), SHAPE, 3)
    operator = new.to_quimb()
    assert operator.bond_sizes() == list(new.bonds)
    matrix = operator.to_dense([operator.upper_ind(k) for k in range(3)], [operator.lower_ind(k) for k in range(3)])
    torch.testing.assert_close(torch.as_tensor(matrix), new.to_weight().detach())
    again = MPOLinear.from_quimb(operator, bias=new.bias.detach())
    torch.testing.assert_close(again.to_weight(), new.to_weight())
    assert torch.equal(again.bias, new.bias)
    operator[0].modify(data=operator[0].data * 0)
    assert new.to_weight().norm() > 0  # a copy


def test_canonical_form_carries_the_norm_at_one_site():
    new = MPOLinear.from_dense(dense(), SHAPE, 4)
    weight = new.to_weight().detach().clone()
    for site in range(3):
        assert new.canonicalize(site) is new
        torch.testing.assert_close(new.to_weight(), weight)
        for k, core in enumerate(new.cores):
            core = core.detach()
            if k < site:
                flat = core.reshape(-1, core.shape[3])
                torch.testing.assert_close(flat.T @ flat, torch.eye(core.shape[3], dtype=core.dtype))
            elif k > site:
                flat = core.reshape(core.shape[0], -1)
                torch.testing.assert_close(flat @ flat.T, torch.eye(core.shape[0], dtype=core.dtype))
            else:
                torch.testing.assert_close(core.norm(), weight.norm())
    with pytest.raises(SSHMLError, match="from 0 to 2"):
        new.canonicalize(3)


def test_compress_equals_truncating_the_dense_weight():
    layer = dense()
    full = MPOLinear.from_dense(layer, SHAPE, allow_growth=True)
    order = (random_order(12, 3), None)
    ordered = MPOLinear.from_dense(layer, SHAPE, order=order, allow_growth=True)
    for bonds in (3, (2, 4)):
        torch.testing.assert_close(
            full.compress(bonds).to_weight(), MPOLinear.from_dense(layer, SHAPE, bonds).to_weight()
        )
        new = ordered.compress(bonds)
        torch.testing.assert_close(new.to_weight(), MPOLinear.from_dense(layer, SHAPE, bonds, order=order).to_weight())
        assert torch.equal(new.bias, layer.bias)


def test_gauge_between_cores_changes_nothing():
    """X X^-1 on a bond."""
    new = MPOLinear.from_dense(dense(), SHAPE, 4)
    weight, x = new.to_weight().detach().clone(), torch.randn(new.bonds[0], new.bonds[0], dtype=torch.float64)
    new.cores[0].data = new.cores[0].data @ x
    new.cores[1].data = torch.einsum("ab,boic->aoic", x.inverse(), new.cores[1].data)
    torch.testing.assert_close(new.to_weight(), weight)


def test_fresh_cores_have_the_variance_of_a_dense_layer():
    torch.manual_seed(0)
    shape = MPOShape((4, 4, 4, 4), (4, 7, 7, 4))
    for bond in (1, 4, 16):
        variance = torch.stack([MPOLinear(784, 256, shape, bond).to_weight().var() for _ in range(40)])
        error = variance.std() / 40**0.5
        assert abs(variance.mean() - 1 / (3 * 784)) < 5 * error
        assert variance.mean() > 0.2 / (3 * 784)


def test_the_zero_weight():
    layer = nn.Linear(24, 12)
    nn.init.zeros_(layer.weight)
    assert MPOLinear.from_dense(layer, SHAPE, 2).to_weight().abs().max() == 0


def test_global_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    layer = dense()
    torch.manual_seed(5)
    MPOLinear.from_dense(layer, SHAPE, 2).compress(1)
    assert torch.equal(torch.rand(1), expected)


def test_autocast():
    new = MPOLinear.from_dense(dense(dtype=torch.float32), SHAPE, 4)
    x = torch.randn(8, 24)
    with torch.autocast("cpu", torch.bfloat16):
        y = new(x)
    torch.testing.assert_close(y.float(), new(x), rtol=0.05, atol=0.05)
    y.float().square().sum().backward()
    assert all(core.grad.dtype == torch.float32 for core in new.cores)


def test_export_with_any_batch():
    new = MPOLinear.from_dense(dense(dtype=torch.float32), SHAPE, 4, order=(random_order(12, 0), None))
    program = torch.export.export(new, (torch.randn(5, 24),), dynamic_shapes=({0: torch.export.Dim("samples", min=2)},))
    for samples in (2, 9):
        x = torch.randn(samples, 24)
        torch.testing.assert_close(program.module()(x), new(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own compiler
def test_torch_compile():
    new = MPOLinear.from_dense(dense(dtype=torch.float32), SHAPE, 4)
    compiled = torch.compile(new)
    x = torch.randn(7, 24)
    torch.testing.assert_close(compiled(x), new(x))
    compiled(x).square().sum().backward()
    assert all(core.grad is not None for core in new.cores)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": ((4, 3), (4, 3)), "max_bond": 2}, "in_dims .* multiply to 12 but the layer has 24 inputs"),
        ({"shape": SHAPE, "max_bond": 0}, "choose 1 to"),
        ({"shape": SHAPE, "cutoff": 1.5}, "at least 0 and below 1"),
        ({"shape": SHAPE, "order": (range(11), None)}, "order of the outputs is no permutation"),
        ({"shape": SHAPE, "order": (None, [0] * 24)}, "order of the inputs is no permutation"),
        ({"shape": SHAPE}, "allow_growth=True"),
        ({"shape": ((2, 6), (4, 6), (1, 1))}, "pad is"),
    ],
)
def test_bad_input(options, words):
    with pytest.raises(SSHMLError, match=words):
        MPOLinear.from_dense(dense(), **options)


def test_periodic_operators_are_refused():
    import quimb.tensor as qtn

    with pytest.raises(SSHMLError, match="periodic"):
        MPOLinear.from_quimb(qtn.MPO_rand(4, 2, phys_dim=2, cyclic=True))


def test_blocked_order_makes_a_separable_image_filter_a_product():
    """A weight that is a product over blocks of an image has bond 1 in blocked order, not in row-major order."""
    torch.manual_seed(0)
    coarse, fine = torch.randn(2, 2, 2, dtype=torch.float64), torch.randn(3, 2, 2, dtype=torch.float64)
    weight = torch.einsum("oab,pcd->opacbd", coarse, fine).reshape(6, 16)  # rows (a c), columns (b d)
    layer = nn.Linear(16, 6, bias=False, dtype=torch.float64)
    layer.weight.data = weight
    shape = MPOShape((2, 3), (4, 4))
    for order, error in (((None, blocked((2, 2), (2, 2))), 0), (None, 0.1)):
        new = MPOLinear.from_dense(layer, shape, 1, order=order)
        assert (new.to_weight() - weight).norm() / weight.norm() >= error
        assert error or torch.allclose(new.to_weight(), weight)


def test_tensorize_gives_fresh_cores_for_any_network():
    model = nn.Sequential(nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 4, bias=False))
    new = tensorize(model, {0: SHAPE, "2": ((2, 2), (4, 3))}, max_bond={0: 3, "2": 2})
    assert [type(m) for m in new] == [MPOLinear, nn.ReLU, MPOLinear]
    assert new[0].bonds == (3, 3)
    assert new[2].bias is None
    assert isinstance(model[0], nn.Linear)
    with pytest.raises(SSHMLError, match="must agree"):
        tensorize(model, {0: SHAPE}, max_bond={1: 2})
    with pytest.raises(SSHMLError, match="multiply to"):
        tensorize(model, {1: SHAPE}, max_bond=2)
    with pytest.raises(SSHMLError, match="already"):
        tensorize(new, {0: SHAPE}, max_bond=2)


def test_full_bonds_are_exact_for_any_spectrum_and_scale():
    """Schmidt values over eight decades; weights whose squares leave float32."""
    torch.manual_seed(0)
    shape = MPOShape((8, 8), (8, 8))
    u, _ = torch.linalg.qr(torch.randn(64, 64, dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(64, 64, dtype=torch.float64))
    values = torch.logspace(0, -8, 64, dtype=torch.float64)
    steep = (u * values @ v).reshape(8, 8, 8, 8).permute(0, 2, 1, 3).reshape(64, 64)
    for weight in (steep, 1e-30 * steep, 1e25 * steep):
        layer = nn.Linear(64, 64, bias=False)
        layer.weight.data = weight.float()
        exact = layer.weight.detach().double()
        for bond in (64, 32, 8):
            new = MPOLinear.from_dense(layer, shape, bond, allow_growth=True)
            error = (new.to_weight().double() - exact).norm() / exact.norm()
            best = cut_values(exact, shape)[0][bond:].norm() / exact.norm()
            assert error <= 1.01 * best + 1e-6


def test_padding_does_not_count_in_compress():
    torch.manual_seed(0)
    layer = MPOLinear(33, 17, MPOShape((4, 8), (4, 16), pad=True), max_bond=6).double()
    dense = layer.to_dense()
    for cutoff in (0.3, 0.5):
        error = (layer.compress(cutoff=cutoff).to_weight() - dense.weight).norm() / dense.weight.norm()
        assert error <= cutoff
    again = MPOLinear.from_dense(dense, layer.shape, 3)
    torch.testing.assert_close(layer.compress(3).to_weight(), again.to_weight())


def test_frozen_stays_frozen_and_optimizers_stay_linked():
    layer = dense().requires_grad_(False)
    new = MPOLinear.from_dense(layer, SHAPE, 3)
    assert not any(p.requires_grad for p in new.parameters())
    assert not any(p.requires_grad for p in new.compress(2).parameters())
    trained = MPOLinear.from_dense(dense(), SHAPE, 3)
    optimizer = torch.optim.SGD(trained.parameters(), 0.1)
    trained.canonicalize(1)
    before = trained.to_weight().detach().clone()
    trained(torch.randn(4, 24, dtype=torch.float64)).square().sum().backward()
    optimizer.step()
    assert (trained.to_weight() - before).norm() > 0


def test_zero_weights_can_be_compressed():
    layer = nn.Linear(24, 12)
    nn.init.zeros_(layer.weight)
    small = MPOLinear.from_dense(layer, SHAPE, 3).compress(2)
    assert small.bonds == (2, 2)
    assert torch.equal(small(torch.ones(1, 24))[0], layer.bias)


def test_operators_with_bonds_above_the_exact_rank():
    import quimb.tensor as qtn

    operator = qtn.MPO_rand(3, 50, phys_dim=2, seed=0)
    new = MPOLinear.from_quimb(operator)
    assert new.bonds == (4, 4)
    torch.testing.assert_close(new.to_weight().detach(), torch.as_tensor(operator.to_dense()))
    assert MPOLinear(**new.config()).bonds == new.bonds
    with pytest.raises(SSHMLError, match="real floating-point"):
        MPOLinear.from_quimb(qtn.MPO_rand(3, 2, phys_dim=2, dtype=complex))


def test_wrong_inputs_and_half_precision():
    new = MPOLinear.from_dense(dense(), SHAPE, 3, order=(None, random_order(24, 0)))
    with pytest.raises(SSHMLError, match="this MPOLinear takes 24"):
        new(torch.ones(2, 50, dtype=torch.float64))
    for change in (lambda layer: layer.compress(2), lambda layer: layer.canonicalize(0)):
        with pytest.raises(SSHMLError, match="convert the layer"):
            change(MPOLinear.from_dense(dense(), SHAPE, 3).half())
    for order in (list(range(12)), ("spectral", None), ([0.5, *range(1, 12)], None)):
        with pytest.raises(SSHMLError, match="order"):
            MPOLinear.from_dense(dense(), SHAPE, 3, order=order)
    with pytest.raises(SSHMLError, match="name them alike"):
        tensorize(nn.Sequential(dense()), {0: SHAPE}, 2, orders={"0": None})


FORMS = {  # shape, bond: both halves; W rebuilt, with a leaf core as the left half, as the right half
    "halves": (((8, 8, 8), (8, 8, 8)), 4),
    "rebuilt, two sites": (((16, 8), (16, 8)), 24),
    "rebuilt, three sites": (((8, 4, 4), (4, 8, 4)), 24),
}


@pytest.fixture(params=FORMS)
def eager(request):
    shape, bond = FORMS[request.param]
    torch.manual_seed(0)
    shape = MPOShape(*shape)
    layer, x = MPOLinear(shape.in_features, shape.out_features, shape, bond), torch.randn(160, shape.in_features)
    groups = best_groups(list(layer.cores), len(x))
    assert len(groups) == (2 if request.param == "halves" else 1)
    return layer, x


def test_derivatives_of_a_layer_used_twice(eager):
    layer, x = eager
    layer, x = layer.double(), x.double()

    def slopes(apply, graph):
        loss = apply(torch.tanh(apply(x))).square().sum()
        found = torch.autograd.grad(loss, list(layer.cores), create_graph=graph)
        return found if not graph else (*found, *torch.autograd.grad(found[0].square().sum(), list(layer.cores)))

    def dense(x):
        return nn.functional.linear(x, layer.to_weight(), layer.bias)

    torch.testing.assert_close(slopes(layer, False), slopes(dense, False))
    torch.testing.assert_close(slopes(layer, True), slopes(dense, True))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_transforms_tracing_and_forward_derivatives(eager):
    layer, x = eager
    expected = nn.functional.linear(x, layer.to_weight(), layer.bias).detach()

    def close(found, expected=expected):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)

    close(torch.func.vmap(layer)(x.view(4, 40, -1)).view_as(x))
    double = {name: torch.stack([p.detach(), 2 * p.detach()]) for name, p in layer.named_parameters()}
    both = torch.func.vmap(lambda p: torch.func.functional_call(layer, p, (x,)))(double)
    close(both[0])
    close(torch.func.vmap(lambda scale: scale * layer(x))(torch.ones(3))[2])
    close(torch.jit.trace(layer, x)(x))
    with torch.autograd.forward_ad.dual_level():
        y = layer(torch.autograd.forward_ad.make_dual(x, x))
        close(torch.autograd.forward_ad.unpack_dual(y).tangent, expected - layer.bias.detach())
    inputs = [x.clone().requires_grad_(), *layer.cores]
    y = layer(inputs[0])
    many = torch.randn(3, *y.shape)
    batched = torch.autograd.grad(y, inputs, many, is_grads_batched=True, retain_graph=True)
    close([each[1] for each in batched], list(torch.autograd.grad(y, inputs, many[1])))
    assert copy.deepcopy(layer).to("meta")(x.to("meta")).shape == expected.shape
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
