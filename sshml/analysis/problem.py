"""Networks, one of their linear layers, and data: what sweeps and eliminations change and evaluate."""

import copy

import torch
from torch import nn

from sshml.arguments import function
from sshml.classifier import StackedLinear, check_labels, children_of, members_of, pick_device, resident, stack
from sshml.compression import check_weight, find_layer
from sshml.errors import SSHMLError, one_line


class Problem:
    """Models, one of their layers, and the test data; `parts` are groups of members evaluated together."""

    def __init__(self, models, split, layer, view, device, progress):
        self.progress, self._done = function(progress, "progress", optional=True), 0.0
        self.models, view = members_of(models, view)
        self.device = pick_device(device)
        self.inputs, self.labels = resident(split, view, self.device)
        self.layer = find_layer(self.models[0], layer)
        weight = self.models[0].get_submodule(self.layer)
        if not isinstance(weight, nn.Linear):
            raise SSHMLError(f"layer {self.layer!r} is a {type(weight).__name__}; a sweep starts from a dense layer.")
        for model in self.models:
            check_weight(model.get_submodule(self.layer))
        self.shape, self.itemsize, self.members = tuple(weight.weight.shape), weight.weight.itemsize, len(self.models)
        self.inputs = self.inputs.to(weight.weight.dtype)
        self._check_inputs()

    @torch.no_grad()
    def _check_inputs(self):
        """Raise where the networks do not take such inputs."""
        few = self.inputs[:2].cpu()
        try:
            copy.deepcopy(self.models[0]).cpu().eval()(few.clone())
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            shape = tuple(few.shape[1:])
            raise SSHMLError(f"the network does not take inputs of shape {shape}: {one_line(error)}") from error

    def parts(self):
        """Yield all members at once for a stack of linear layers, else one after another."""
        together = stack(self.models, self.inputs[:4].cpu(), training=False)
        if isinstance(together, nn.Sequential) and isinstance(children_of(together).get(self.layer), StackedLinear):
            yield _StackedPart(self, together.to(self.device))
        else:
            for member, model in enumerate(self.models):
                yield _SinglePart(self, model, member)

    def done(self, samples):
        """Report that so many more samples of all members are done, fractions too."""
        self._done += samples
        if self.progress:
            self.progress(round(self._done), self.members * len(self.labels))


class _StackedPart:
    """Members as batched matrix products: the layers before and behind the swept one run on their own."""

    def __init__(self, problem, stacked):
        self.problem, self.members = problem, slice(None)
        position = list(children_of(stacked)).index(problem.layer)
        self.before, layer, self.behind = stacked[:position], stacked[position], stacked[position + 1 :]
        self.weight, self.bias = layer.weight.detach(), layer.bias

    @torch.no_grad()
    def blocks(self, rows):
        """Yield the layer's inputs (member, sample, in) and the labels, some samples at a time."""
        for x, labels in zip(self.problem.inputs.split(rows), self.problem.labels.split(rows), strict=True):
            yield self.before(x.expand(len(self.weight), *x.shape)), labels

    def start(self, x):
        """Return the pre-activations of the zero weight: the bias, (member, sample, out)."""
        z = x.new_zeros(*x.shape[:-1], self.weight.shape[-2])
        return z if self.bias is None else z.add_(self.bias.detach().unsqueeze(-2))

    def scores(self, z):
        """Return the logits (member, sample, class) that follow from pre-activations."""
        return self.behind(z)

    @torch.no_grad()
    def hits(self, z, labels):
        """Return the number of samples each member classifies rightly, given pre-activations."""
        scores = self.scores(z)
        check_labels(labels, scores.shape[-1])
        return (scores.argmax(-1) == labels).sum(1).cpu().numpy()


class _SinglePart(_StackedPart):
    """Any module: it runs as a whole, with the forward of the swept layer replaced."""

    def __init__(self, problem, model, member):
        self.problem, self.members = problem, slice(member, member + 1)
        self.model = copy.deepcopy(model).to(problem.device).eval()
        self.module = self.model.get_submodule(problem.layer)
        self.weight = self.module.weight.detach()[None]
        self.bias = None if self.module.bias is None else self.module.bias[None]

    @torch.no_grad()
    def blocks(self, rows):
        for inputs, labels in zip(self.problem.inputs.split(rows), self.problem.labels.split(rows), strict=True):
            self.inputs, seen = inputs, []
            with self.module.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0])):
                self.model(self.inputs.clone())
            if len(seen) != 1:
                raise SSHMLError(
                    f"layer {self.problem.layer!r} runs {len(seen)} times in one pass; a sweep needs a layer that runs"
                    " once."
                )
            yield seen[0][None], labels

    def scores(self, z):
        self.module.forward = lambda _: z[0].clone()  # z goes on to the next rank, whatever the model does to it
        scores = self.model(self.inputs.clone())
        del self.module.forward
        return scores[None]
