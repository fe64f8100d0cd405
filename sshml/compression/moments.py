"""Second moments of what the matrices of a model are multiplied with, streamed over data in float64."""

import dataclasses

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sshml.compression.batches import output
from sshml.compression.convolution import sides
from sshml.compression.modules import evaluating

BLOCK = 2**24
"""Numbers of unfolded patches that are held at once."""


@dataclasses.dataclass
class Moment:
    """Sums over the rows x that a matrix was multiplied with: `square` of x x^T (group, in, in), `total` of x."""

    square: torch.Tensor
    total: torch.Tensor
    rows: int = 0

    def add(self, x):
        """Add rows (group, row, in)."""
        for part in x.split(max(1, BLOCK // (x.shape[0] * x.shape[2])), dim=1):
            part = part.double()
            self.square.baddbmm_(part.mT, part)
            self.total += part.sum(1)
        self.rows += x.shape[1]

    @property
    def mean_square(self):
        """The second moments <x x^T> (group, in, in)."""
        return self.square / self.rows

    def with_one(self):
        """Return the second moments of (x, 1): for a bias that is a further column of the matrix."""
        mean = (self.total / self.rows)[:, :, None]
        one = mean.new_ones(len(mean), 1, 1)
        return torch.cat([torch.cat([self.mean_square, mean], 2), torch.cat([mean.mT, one], 2)], 1)


def second_moments(model, sites, batches, progress=None):
    """Return {site name: `Moment`} of the inputs of a model's matrices; those that never ran are missing.

    Args:
        model: the module; it runs in evaluation mode.
        sites: {name: `Site`}.
        batches: `Batches`.
        progress: called as progress(batches done, batches in all or None).
    """
    moments, handles = {}, []

    def add(site, x):
        if site.name not in moments:
            square = torch.zeros(site.groups, site.in_features, site.in_features, dtype=torch.float64, device=x.device)
            moments[site.name] = Moment(square, square.new_zeros(site.groups, site.in_features))
        moments[site.name].add(x)

    def listen(module, own):
        def hook(module, args, kwargs):
            for site in own:
                add(site, _rows(module, site, args, kwargs))

        handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    def rows_of_attention(site, x):
        add(site, x.reshape(1, -1, site.in_features))

    projections = {}
    for path in dict.fromkeys(site.path for site in sites.values()):
        own = [site for site in sites.values() if site.path == path]
        outer, _, name = path.rpartition(".")
        if name and isinstance(
            model.get_submodule(outer), nn.MultiheadAttention
        ):  # which never calls its out_proj, but takes its weight
            weight = model.get_submodule(path).weight
            projections[id(weight)] = weight, own[0]
        else:
            listen(model.get_submodule(path), own)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # which calls nothing that could be listened to
    try:
        with evaluating(model), _Listening(projections, rows_of_attention):
            for number, (inputs, _) in enumerate(batches):
                output(model, inputs)
                if progress is not None:
                    progress(number + 1, batches.count)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
    return moments


class _Listening(TorchFunctionMode):
    """Report what attentions multiply with their output projections, which they take without calling them."""

    WEIGHT, BIAS = 11, 12
    """Places of the output projection among the arguments of `multi_head_attention_forward`."""

    def __init__(self, weights, report):
        super().__init__()
        self.weights, self.report = weights, report

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        attends = function is nn.functional.multi_head_attention_forward and len(args) > self.BIAS
        if not attends or id(args[self.WEIGHT]) not in self.weights:
            return function(*args, **kwargs)
        weight, bias = args[self.WEIGHT], args[self.BIAS]
        one = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
        x, attention = function(*args[: self.WEIGHT], one, None, *args[self.BIAS + 1 :], **kwargs)
        self.report(self.weights[id(weight)][1], x)
        return nn.functional.linear(x, weight, bias), attention


def _rows(module, site, args, kwargs):
    """Return what a module's matrix is multiplied with as rows (group, row, in)."""
    if site.part:
        names = {"q": "query", "k": "key", "v": "value"}
        number = "qkv".index(site.part)
        x = args[number] if len(args) > number else kwargs[names[site.part]]
        return x.reshape(1, -1, site.in_features)
    x = args[0] if args else kwargs["input"]
    return x.reshape(1, -1, site.in_features) if site.kind == "Linear" else _patches(module, x)


def _patches(conv, x):
    """Return the patches a convolution sees as rows (group, row, in / groups * kernel)."""
    sizes, steps, spread = conv.kernel_size, conv.stride, conv.dilation
    if x.ndim == len(sizes) + 1:
        x = x[None]
    padding = conv.padding
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    x = nn.functional.pad(x, sides(padding, sizes, spread), mode=mode)
    for axis, (size, step, gap) in enumerate(zip(sizes, steps, spread, strict=True)):
        x = x.unfold(2 + axis, gap * (size - 1) + 1, step)[..., ::gap]  # sample channel ... position ... kernel
    samples, channels, places = len(x), x.shape[1], x.shape[2 : 2 + len(sizes)]
    x = x.reshape(samples, conv.groups, channels // conv.groups, places.numel(), -1)
    return x.permute(1, 0, 3, 2, 4).reshape(conv.groups, samples * places.numel(), -1)
