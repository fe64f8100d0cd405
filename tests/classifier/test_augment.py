import pytest
import torch

from sshml.classifier.augment import PAD, augmented


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("shape", [(2, 300, 6, 7), (2, 300, 3, 6, 7)])
def test_every_image_is_a_shifted_and_mirrored_piece_of_its_own(shape):
    x = torch.rand(shape) + 1
    y = augmented(x, ("crop", "flip"), generators(1, 2))
    assert y.shape == x.shape
    padded = torch.nn.functional.pad(x, [PAD] * 4)
    kinds = set()
    for image, whole in zip(y.flatten(0, 1)[::20], padded.flatten(0, 1)[::20], strict=True):
        found = [
            (down, right, flip)
            for down in range(2 * PAD + 1)
            for right in range(2 * PAD + 1)
            for flip in (False, True)
            if torch.equal(image, _piece(whole, down, right, flip))
        ]
        assert found
        kinds.add(found[0])
    assert len(kinds) > 5


def _piece(whole, down, right, flip):
    if flip:
        whole = whole.flip(-1)
        right = 2 * PAD - right
    return whole[..., down : down + 6, right : right + 7]


def test_shifts_and_flips_are_uniform():
    x = torch.zeros(1, 6000, 9, 9)
    x[..., 4, 4] = 1
    at = augmented(x, ("crop",), generators(5)).flatten(2).argmax(-1)[0]
    counts = torch.bincount(at, minlength=81).double()
    assert (counts - 6000 / 81).abs().max() < 5 * (6000 / 81) ** 0.5
    x = torch.zeros(1, 6000, 2, 2)
    x[..., 0] = 1
    flipped = augmented(x, ("flip",), generators(6))[0, :, 0, 1].mean()
    assert abs(float(flipped) - 0.5) < 5 * 0.5 / 6000**0.5


def test_a_member_draws_for_itself():
    x = torch.rand(2, 5, 8, 8)
    both = augmented(x, ("crop", "flip"), generators(1, 2))
    assert torch.equal(both[1:], augmented(x[1:], ("crop", "flip"), generators(2)))
