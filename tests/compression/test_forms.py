import pytest
from torch import nn

from sshml.compression import CompressedLinear, front, plan
from sshml.compression.forms import METHODS, USUAL, check_methods
from sshml.errors import SSHMLError


def test_every_form_is_a_layer_with_sizes():
    assert all(issubclass(layer, CompressedLinear) and layer.sizes for layer in METHODS.values())
    assert len(set(METHODS.values())) == len(METHODS)
    assert set(USUAL) <= set(METHODS)


def test_methods_come_as_a_tuple():
    assert check_methods("prune") == ("prune",)
    assert check_methods(["svd", "mpo"]) == ("svd", "mpo")


@pytest.mark.parametrize("methods", ["jpeg", (), ("svd", "jpeg"), None, 3, {"svd": 1}])
def test_other_methods_are_refused(methods):
    with pytest.raises(SSHMLError, match="choose of svd, mpo, prune, blocks"):
        check_methods(methods)


@pytest.mark.parametrize(
    ("methods", "given"), [("mpo", {"absorb_bias": True}), ("mpo", {"shrink": True}), ("svd", {"blocks": {"0": 2}})]
)
def test_options_that_no_method_uses_are_refused(methods, given):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    name = next(iter(given))
    for plan_of in (plan, lambda model, share, **options: front(model, shares=[share], evaluate=len, **options)):
        with pytest.raises(SSHMLError, match=f"{name} is of the method"):
            plan_of(model, share=0.5, methods=methods, **given)
