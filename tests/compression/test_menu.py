import numpy as np
import pytest
import torch

from sshml.compression import truncated_svd
from sshml.compression.menu import Options, Spectrum, importance, parts_of
from sshml.compression.sites import Site
from sshml.errors import SSHMLError


def matrices(rows, columns, groups=1):
    torch.manual_seed(0)
    return torch.randn(groups, rows, columns, dtype=torch.float64)


def moment(columns, rank=None, groups=1):
    torch.manual_seed(1)
    x = torch.randn(groups, columns, rank or 3 * columns, dtype=torch.float64)
    return x @ x.mT


def rebuilt(spectrum, rank):
    return torch.stack([left @ right for left, right in spectrum.factors(rank)])


@pytest.mark.parametrize("shape", [(7, 12), (12, 7), (9, 9), (1, 5), (5, 1)])
def test_without_data_it_is_the_truncated_svd(shape):
    weight = matrices(*shape)
    spectrum = Spectrum(weight)
    for rank in range(1, min(shape) + 1):
        left, right = truncated_svd(weight, rank)
        torch.testing.assert_close(rebuilt(spectrum, rank), left @ right)
        loss = float((weight - left @ right).square().sum() / weight.square().sum())
        assert spectrum.losses[rank - 1] == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize("shape", [(7, 12), (12, 7), (9, 9)])
@pytest.mark.parametrize("rank_of_data", [None, 4])
def test_with_data_no_other_matrix_of_its_rank_loses_less(shape, rank_of_data):
    weight, square = matrices(*shape), moment(shape[1], rank_of_data)
    spectrum = Spectrum(weight, square)
    values, vectors = torch.linalg.eigh(square)
    root = vectors * values.clamp_min(0).sqrt()[:, None]
    best = torch.linalg.svdvals(weight @ root)[0] ** 2
    for rank in range(1, min(shape) + 1):
        loss = float(best[rank:].sum() / best.sum())  # Eckart and Young for W C^(1/2)
        change = weight - rebuilt(spectrum, rank)
        assert spectrum.loss(change) == pytest.approx(loss, abs=1e-9)
        if rank <= len(spectrum.losses):
            assert spectrum.losses[rank - 1] == pytest.approx(loss, abs=1e-9)
    torch.testing.assert_close(rebuilt(spectrum, min(shape)), weight)  # also where no data ever were


def test_a_dead_layer_loses_nothing():
    spectrum = Spectrum(matrices(4, 5), torch.zeros(1, 5, 5, dtype=torch.float64))
    assert spectrum.loss(matrices(4, 5)) == 0
    assert np.isfinite(spectrum.losses).all()
    assert torch.isfinite(rebuilt(spectrum, 2)).all()


def test_factors_are_balanced():
    for left, right in Spectrum(matrices(6, 9), moment(9)).factors(4):
        torch.testing.assert_close(left.norm(dim=0), right.norm(dim=1))


def test_shrinking_takes_noise_off_the_kept_values():
    """Of signal + noise the shrunk truncation is nearer to the signal: Gavish and Donoho 2017."""
    torch.manual_seed(0)
    n = 200
    signal = 3 * torch.linalg.qr(torch.randn(n, 5))[0] @ torch.linalg.qr(torch.randn(n, 5))[0].T
    weight = (signal + torch.randn(n, n) / n**0.5).double()[None]
    plain, shrunk = (
        sum(left @ right for left, right in Spectrum(weight).factors(5, shrink)) for shrink in (False, True)
    )
    assert (shrunk - signal).norm() < 0.95 * (plain - signal).norm()


def site(rows, columns, groups=1, kind="Linear"):
    numbers = groups * rows * columns
    return Site("a", "", kind, groups, rows, columns, numbers, 4 * numbers)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("square", [None, "data"])
def test_options_say_what_their_forms_are(groups, square):
    weight = matrices(12, 18, groups).float().double()
    spectrum = Spectrum(weight, square and moment(18, groups=groups))
    kind = "Linear" if groups == 1 else "Conv2d"
    options = Options(site(12, 18, groups, kind), spectrum, 4, 1, ("svd", "mpo", "prune"))
    assert options.method[0] == "dense"
    assert {"svd", "mpo", "prune"} < set(options.method)
    assert (options.bytes[1:] < options.bytes[0]).all()
    for number in range(1, len(options.method)):
        parts = parts_of(spectrum, options.method[number], options.size[number], torch.float32)
        assert sum(part.n_bytes for part in parts) == options.bytes[number]
        assert sum(part.n_parameters for part in parts) == options.numbers[number]
        found = spectrum.loss(weight - torch.stack([part.to_weight().detach() for part in parts]))
        assert found == pytest.approx(options.loss[number], abs=1e-6)


def test_pruning_goes_by_what_inputs_do():
    weight = torch.tensor([[[1.0, -2.0]]], dtype=torch.float64)
    assert importance(weight).tolist() == [[[1, 2]]]
    assert importance(weight, torch.diag(torch.tensor([100.0, 1.0]).double())[None]).tolist() == [[[10, 2]]]


@pytest.mark.parametrize(
    ("method", "size"),
    [("svd", {}), ("svd", {"rank": 99}), ("svd", {"rank": 1.5}), ("prune", {"rank": 1}), ("jpeg", {})],
)
def test_sizes_that_do_not_fit(method, size):
    with pytest.raises(SSHMLError, match=r"expected|unknown"):
        parts_of(Spectrum(matrices(4, 5)), method, size, torch.float32)
