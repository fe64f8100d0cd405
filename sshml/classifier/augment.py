"""Random crops and flips of images, on the device, from the generators of the members."""

import torch

PAD = 4
"""Pixels of zeros around an image before it is cut."""


def augmented(x, names, generators):
    """Return images (member, sample, ..., height, width), each cropped and flipped at random.

    Args:
        x: tensor.
        names: "crop", "flip" or both.
        generators: one per member, on the CPU; what they draw does not depend on the other members.
    """
    samples, (height, width) = x.shape[1], x.shape[-2:]
    down, right = (torch.arange(n, device=x.device).expand(*x.shape[:2], n) for n in (height, width))
    if "flip" in names:
        flip = _drawn(2, samples, generators, x.device)
        right = torch.where(flip == 1, right.flip(-1), right)
    inside = None
    if "crop" in names:
        down = down + _drawn(2 * PAD + 1, samples, generators, x.device) - PAD
        right = right + _drawn(2 * PAD + 1, samples, generators, x.device) - PAD
        ok = [(place >= 0) & (place < n) for place, n in ((down, height), (right, width))]
        inside = ok[0][..., :, None] & ok[1][..., None, :]
        down, right = down.clamp(0, height - 1), right.clamp(0, width - 1)
    pixel = (down[..., :, None] * width + right[..., None, :]).flatten(2)
    flat = x.reshape(*x.shape[:2], -1, height * width)
    pixel = pixel[:, :, None].expand(flat.shape)
    out = flat.gather(-1, pixel).view(x.shape)
    if inside is None:
        return out
    return out * inside.view(*x.shape[:2], *[1] * (x.ndim - 4), height, width)


def _drawn(high, samples, generators, device):
    """Return integers (member, sample, 1) below `high`."""
    return torch.stack([torch.randint(high, (samples, 1), generator=g) for g in generators]).to(device)
