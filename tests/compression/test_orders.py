import pytest
import torch

from sshml.compression import MPOLinear, MPOShape
from sshml.compression.orders import blocked, search, shuffled, spectral, transposed, truncation_error
from sshml.errors import SSHMLError

SHAPE = MPOShape((2, 2, 2), (2, 3, 2))


def test_orders_are_permutations():
    for order in (transposed(4, 6), blocked((2, 2), (3, 2)), shuffled(24, 1), spectral(torch.randn(24, 9))[0]):
        assert torch.equal(order.sort().values, torch.arange(24))


def test_transposed_is_its_own_inverse_for_squares():
    assert torch.equal(transposed(4, 4)[transposed(4, 4)], torch.arange(16))


def test_one_block_is_row_major():
    assert torch.equal(blocked((4,), (6,)), torch.arange(24))


def test_blocked_needs_dims_in_pairs():
    with pytest.raises(SSHMLError, match="differ in length"):
        blocked((2, 2), (4,))


def test_shuffled_is_a_function_of_the_seed():
    assert torch.equal(shuffled(50, 3), shuffled(50, 3))
    assert not torch.equal(shuffled(50, 3), shuffled(50, 4))


def test_spectral_finds_hidden_groups():
    """Two groups of neurons whose weights correlate within the group only, shuffled: each ends up in one run."""
    torch.manual_seed(0)
    group = torch.arange(40) % 2
    weight = torch.randn(2, 60)[group] + 0.3 * torch.randn(40, 60)
    runs = group[spectral(weight)[0]]
    assert (runs.diff() != 0).sum() == 1


def test_truncation_error_is_the_error_of_one_truncated_cut():
    torch.manual_seed(0)
    layer = torch.nn.Linear(12, 8, dtype=torch.float64)
    order = (shuffled(8, 0), shuffled(12, 1))
    new = MPOLinear.from_dense(layer, SHAPE, (2, None), order=order, allow_growth=True)
    error = (new.to_weight() - layer.weight).detach().square().sum() / layer.weight.detach().square().sum()
    assert truncation_error(layer.weight.detach(), SHAPE, order, (2, None)) == pytest.approx(float(error), rel=1e-6)


def test_search_lowers_the_error_and_finds_a_hidden_product():
    """A product operator whose neurons were shuffled by transpositions is found again, or at least approached."""
    torch.manual_seed(1)
    weight = torch.randn(8, 12)
    shape, order = search(weight, SHAPE, 2, swaps=50)
    plain = truncation_error(weight, SHAPE, None, 2)
    assert truncation_error(weight, shape, order, 2) < plain
    assert shape.n_parameters(2) <= SHAPE.n_parameters(2)
    product = torch.kron(torch.randn(4, 4), torch.randn(2, 3))
    swapped = product[[1, 0, 2, 3, 4, 5, 6, 7]]
    shape = MPOShape((4, 2), (4, 3))
    assert truncation_error(swapped, shape, None, 1) > 1e-2
    calls = []
    found = search(swapped, shape, 1, swaps=150, progress=lambda *call: calls.append(call))
    assert truncation_error(swapped, *found, 1) < 1e-5
    assert calls[-1] == (150, 150)


def test_spectral_finds_a_shuffled_chain():
    """Neurons whose weights overlap with those of their neighbours only, shuffled: their order, up to reversal."""
    places = torch.arange(30.0)
    weight = torch.exp(-((places[:, None] - torch.arange(-4.0, 34.0)) ** 2) / 4)
    weight = weight * torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(0)).sign()
    shuffle = shuffled(30, 5)
    found = shuffle[spectral(weight[shuffle])[0]]
    assert found.tolist() in (list(range(30)), list(range(30))[::-1])


@pytest.mark.parametrize(
    "call",
    [
        lambda: transposed(2.5, 3), lambda: transposed(2**20, 2**20), lambda: blocked(2, 2),
        lambda: blocked((2, 2), (2, "a")), lambda: shuffled("a", 0), lambda: shuffled(4, -1),
        lambda: search(torch.eye(4), ((2, 2), (2, 2)), 2, swaps="x"),
    ],
)  # fmt: skip
def test_what_is_no_grid(call):
    with pytest.raises(SSHMLError):
        call()
