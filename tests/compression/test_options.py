import pytest
import torch

from sshml.compression.options import Options, importance, parts_of
from sshml.compression.sites import Site
from sshml.compression.spectrum import Spectrum
from sshml.errors import SSHMLError
from tests.compression.matrices import matrices, moment


def site(rows, columns, groups=1, kind="Linear"):
    numbers = groups * rows * columns
    return Site("a", "", kind, groups, rows, columns, numbers, 4 * numbers)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("square", [None, "data"])
def test_options_say_what_their_forms_are(groups, square):
    weight = matrices(12, 18, groups).float().double()
    spectrum = Spectrum(weight, square and moment(18, groups=groups))
    kind = "Linear" if groups == 1 else "Conv2d"
    options = Options(site(12, 18, groups, kind), spectrum, 4, 1, ("svd", "mpo", "prune", "blocks"))
    assert options.method[0] == "dense"
    assert {"svd", "mpo", "prune", "blocks"} < set(options.method)
    assert (options.bytes[1:] < options.bytes[0]).all()
    for number in range(1, len(options.method)):
        parts = parts_of(spectrum, options.method[number], options.size[number], torch.float32)
        assert sum(part.n_bytes for part in parts) == options.bytes[number]
        stored = sum(tensor.numel() for part in parts for tensor in (*part.parameters(), *part.buffers()))
        assert stored == options.numbers[number]  # of pruned weights the indices too
        found = spectrum.loss(weight - torch.stack([part.to_weight().detach() for part in parts]))
        assert found == pytest.approx(options.loss[number], abs=1e-6)


def test_pruning_goes_by_what_inputs_do():
    weight = torch.tensor([[[1.0, -2.0]]], dtype=torch.float64)
    assert importance(weight).tolist() == [[[1, 2]]]
    assert importance(weight, torch.diag(torch.tensor([100.0, 1.0]).double())[None]).tolist() == [[[10, 2]]]


@pytest.mark.parametrize(
    ("method", "size"),
    [
        ("svd", {}),
        ("svd", {"rank": 99}),
        ("svd", {"rank": 1.5}),
        ("prune", {"rank": 1}),
        ("jpeg", {}),
        ("blocks", {"ranks": [1]}),
        ("blocks", {"rank": 1}),
        ("blocks", {"ranks": [1, 1], "blocks": [2, 2]}),
    ],
)
def test_sizes_that_do_not_fit(method, size):
    with pytest.raises(SSHMLError, match=r"expected|unknown|blocks"):
        parts_of(Spectrum(matrices(4, 5)), method, size, torch.float32)
