import pytest

from sshml.cli.options import choose, dims_of, layer_of, widths_of
from sshml.errors import SSHMLError


def test_texts_become_what_they_mean():
    assert layer_of("2") == 2
    assert layer_of("-1") == -1
    assert layer_of("head.0") == "head.0"
    assert dims_of("4,4:7,7") == ((4, 4), (7, 7))
    assert dims_of(None) is None
    assert widths_of("128,64") == (128, 64)
    assert widths_of("") == ()
    assert choose("method", "svd", {"svd": 1}) == 1


@pytest.mark.parametrize(
    ("call", "text", "words"),
    [
        (dims_of, "4,4", "OUT_DIMS:IN_DIMS"),
        (dims_of, "4,x:2,2", "OUT_DIMS:IN_DIMS"),
        (dims_of, "2:2:2", "OUT_DIMS:IN_DIMS"),
        (widths_of, "128;64", "widths like 128,64"),
        (lambda name: choose("method", name, {"svd": 1, "mpo": 2}), "jpeg", "choose one of svd, mpo"),
    ],
)
def test_texts_that_mean_nothing(call, text, words):
    with pytest.raises(SSHMLError, match=words):
        call(text)
