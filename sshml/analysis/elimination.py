"""Which blocks of a layer's inputs a network needs: block by block taken away, by what it costs on validation data."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sshml.analysis.problem import Problem
from sshml.arguments import integers
from sshml.classifier import check_labels
from sshml.compression import as_blocks
from sshml.errors import SSHMLError


def eliminate_blocks(models, valid, test, layer=0, blocks=None, ranks=(1, 2, 3), view=None, device="auto"):
    """Take away one block of the inputs of a layer after another, the one whose loss on validation data is least.

    Every block W_b of the weight W = (W_1, W_2, ...) is first cut to its r largest singular values; then, as long as
    there are two, the block without which the cross-entropy on `valid` is smallest is set to zero. A matrix of n blocks
    left stores n r (out + inputs of a block) numbers, as `compress(model, layer, "blocks", ranks=..., blocks=...)`.

    Args:
        models: as in `rank_sweep`.
        valid: split that decides; it must fit in memory with all pre-activations of all blocks.
        test: split whose accuracies are quoted.
        layer: as in `rank_sweep`.
        blocks: number of equal blocks of the inputs; that nearest to the root of their number if None.
        ranks: r, one elimination each.
        view: passed to `split.inputs`.
        device: "auto", "cpu" or "cuda".

    Returns:
        List of rows {"member", "rank", "blocks" (tuple of those left), "numbers", "valid", "test"}, accuracies.

    Raises:
        SSHMLError: no such layer, blocks that do not fit it, unusable splits.
    """
    ranks = integers(ranks, "ranks", 1)
    problems = [Problem(models, split, layer, view, device, None) for split in (valid, test)]
    sizes = as_blocks(blocks, problems[0].shape[1])
    if len(set(sizes)) > 1:
        raise SSHMLError("blocks of different sizes are not compared; give the number of equal ones.")
    outputs, inputs = problems[0].shape[0], sizes[0]
    if max(ranks, default=0) > min(outputs, inputs):
        raise SSHMLError(f"ranks are {ranks}; {outputs} outputs of {inputs} inputs have {min(outputs, inputs)}.")
    rows = []
    for pair in zip(*(problem.parts() for problem in problems), strict=True):
        for rank in ranks:
            rows += _eliminated(pair, rank, len(sizes), sizes[0])
    return sorted(rows, key=lambda row: (row["member"], row["rank"], -row["numbers"]))


@torch.no_grad()
def _eliminated(pair, rank, count, size):
    weight = pair[0].weight
    seen = [next(part.blocks(len(part.problem.labels))) for part in pair]
    blocked = weight.unflatten(2, (count, size)).transpose(1, 2)  # member block out in
    if any(x.ndim != 3 for x, _ in seen):
        raise SSHMLError("the layer sees several rows of a sample; blocks are taken away of one that sees one.")
    u, s, vt = torch.linalg.svd(blocked, full_matrices=False)
    cut = (u[..., :rank] * s[..., None, :rank]) @ vt[..., :rank, :]
    whole = cut.transpose(1, 2).flatten(2)  # member out in
    sums = [part.start(x) + x @ whole.mT for part, (x, _) in zip(pair, seen, strict=True)]
    terms = torch.einsum("mxbi,mboi->mbxo", seen[0][0].unflatten(2, (count, size)), cut)  # what each block adds
    labels, left, found = seen[0][1], torch.ones(len(weight), count, dtype=torch.bool), []
    while True:
        accuracies = []
        for part, z, (_, own) in zip(pair, sums, seen, strict=True):
            scores = part.scores(z)
            check_labels(own, scores.shape[-1])
            accuracies.append((scores.argmax(-1) == own).double().mean(1).tolist())
        for number, (of_valid, of_test) in enumerate(zip(*accuracies, strict=True)):
            kept = tuple(np.flatnonzero(left[number].numpy()).tolist())
            found.append({
                "member": number + (pair[0].members.start or 0), "rank": rank, "blocks": kept,
                "numbers": len(kept) * rank * (weight.shape[1] + size), "valid": of_valid, "test": of_test,
            })  # fmt: skip
        if int(left[0].sum()) == 1:
            return found
        losses = torch.full((len(weight), count), torch.inf)
        for block in range(count):
            scores = pair[0].scores(sums[0] - terms[:, block])
            loss = cross_entropy(scores.flatten(0, 1), labels.repeat(len(weight)), reduction="none")
            losses[:, block] = loss.view(len(weight), -1).mean(1).cpu()
        for number, worst in enumerate(losses.masked_fill(~left, torch.inf).argmin(1).tolist()):
            left[number, worst] = False
            for z, (x, _) in zip(sums, seen, strict=True):
                z[number] -= x[number][:, worst * size : (worst + 1) * size] @ cut[number, worst].mT
