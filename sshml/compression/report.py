"""What a compressed model is beside the one it came from."""

import dataclasses
import json

import torch

from sshml.arguments import as_module, function
from sshml.compression.attention import PARTS, CompressedAttention, projection
from sshml.compression.batches import Batches, is_correct, output, own, size_of
from sshml.compression.convolution import CompressedConv
from sshml.compression.forms import METHODS
from sshml.compression.layer import CompressedLinear
from sshml.compression.lowrank import LowRankLinear
from sshml.compression.modules import copied, evaluating, leaves_chance_alone, n_bytes
from sshml.compression.moments import second_moments
from sshml.compression.mpo import MPOLinear
from sshml.compression.sites import survey
from sshml.compression.spectrum import Spectrum
from sshml.compression.timing import compare
from sshml.errors import SSHMLError
from sshml.tables import aligned

NAMES = {layer: name for name, layer in METHODS.items()}

LEARNED = 0.999
"""Accuracy of the dense model from which on the data look like those it was trained on."""


@dataclasses.dataclass
class Report:
    """A compressed model beside the one it came from.

    Args:
        rows: for each site and each module that cannot be compressed "site", "method", "size", numbers, bytes and FLOPs
            per sample, without data per position or row ("numbers_before", "numbers", ...), "weight_error"
            ||W - W'|| / ||W||, "output_error" ||(W - W') X|| / ||W X|| on inputs X of the dense model, and "reason"
            where it stays dense; None where nothing was measured.
        totals: numbers, bytes and FLOPs of the whole models, "share" of the bytes; on data also "output_error",
            "agreement" (share of samples with the same class), "accuracy_before", "accuracy", "seconds_before" and
            "seconds" for `batch` samples, medians of interleaved runs on `threads` threads.
        spectra: {site: (singular values of W C^(1/2), C = <x x^T> or 1, descending; rank kept or None)}.
        notes: what a reader should know.
    """

    rows: list
    totals: dict
    spectra: dict = dataclasses.field(repr=False)
    notes: list

    def __str__(self):
        columns = ("site", "method", "size", "numbers", "bytes", "FLOPs", "error W", "error W X", "kept dense because")
        cells = [
            (
                row["site"],
                row["method"],
                row["size"],
                *(_change(row[f"{name}_before"], row[name]) for name in ("numbers", "bytes", "flops")),
                *(_number(row[name]) for name in ("weight_error", "output_error")),
                row["reason"],
            )
            for row in self.rows
        ]
        text, t = aligned(columns, cells), self.totals
        lines = [
            f"bytes {t['bytes_before']} -> {t['bytes']} ({t['share']:.2%}), numbers {t['numbers_before']} ->"
            f" {t['numbers']}"
        ]
        if t.get("accuracy") is not None:
            lines.append(f"accuracy {t['accuracy_before']:.4f} -> {t['accuracy']:.4f}")
        if t.get("output_error") is not None:
            same = "" if t["agreement"] is None else f", same class for {t['agreement']:.2%} of the samples"
            lines.append(f"relative error of the outputs {t['output_error']:.3g}{same}")
            lines.append(
                f"forward pass of {t['batch']} samples, {t['threads']} threads: {1e3 * t['seconds_before']:.3g} ->"
                f" {1e3 * t['seconds']:.3g} ms"
            )
        return text + "".join(f"{line}\n" for line in lines) + "".join(f"note: {note}\n" for note in self.notes)

    def to_json(self):
        """Return rows, totals and notes as a JSON text."""
        return json.dumps({"rows": self.rows, "totals": self.totals, "notes": self.notes}, indent=1)


@leaves_chance_alone
def report(model, small, data=None, progress=None):
    """Return the `Report` of a compressed model beside the one it came from.

    The accuracy is that of the very module given, evaluated anew; give data that neither training nor compression saw.

    Args:
        model: the module before.
        small: the module after, as `compress` or `finetune` return it.
        data: as in `plan`, with labels for accuracies; None for what the weights alone say.
        progress: as in `plan`.

    Raises:
        SSHMLError: the two are not of one architecture.
    """
    sites, reasons = survey(model)
    small = as_module(small, "small")
    function(progress, "progress", optional=True)
    missing = [site.path for site in sites.values() if site.path and not _has(small, site.path)]
    if missing:
        raise SSHMLError(f"the small model has no module {missing[0]!r}; give the one that came from the first.")
    batches, moments, samples = None, {}, 0
    if data is not None:
        twin = copied(model)
        batches = Batches(data, twin)
        samples = sum(size_of(x) for x, _ in batches)
        moments = second_moments(twin, sites, batches, progress)
    rows, spectra = [], {}
    for name, site in sites.items():
        rows.append(_row(model, small, site, moments.get(name), samples, spectra))
    for path, reason in reasons.items():
        own = model.get_submodule(path)
        stored = [*own.parameters(), *own.buffers()]
        numbers, size = sum(t.numel() for t in stored), n_bytes(own)
        rows.append(_line(path, "dense", "", (numbers, numbers), (size, size), (None, None), None, None, reason))
    totals, notes = _totals(model, small, rows), []
    if batches is not None:
        _compare(model, small, batches, totals, notes)
    return Report(rows, totals, spectra, notes)


def _has(model, path):
    try:
        model.get_submodule(path)
    except AttributeError:
        return False
    return True


def _row(model, small, site, moment, samples, spectra):
    module = small.get_submodule(site.path)
    try:
        weight, forms, bias = _found(module, site)
    except RuntimeError:
        raise SSHMLError(f"{site.path}: the layer of the small model has another shape than the dense one.") from None
    before = site.matrices(model).double()
    change = before - weight.double()
    positions = moment.rows / samples if moment is not None else 1
    flops = 2 * before.numel() * positions
    spectrum = Spectrum(before, None if moment is None else moment.mean_square)
    error = None
    if moment is not None:
        old = model.get_submodule(site.path)
        if bias is not None and getattr(old, "bias", None) is not None and not torch.equal(bias, old.bias):
            aware = torch.cat([before, old.bias.detach().double()[None, :, None]], 2)
            change_of_both = torch.cat([change, (old.bias - bias).detach().double()[None, :, None]], 2)
            error = Spectrum(aware, moment.with_one()).loss(change_of_both) ** 0.5
        else:
            error = spectrum.loss(change) ** 0.5
    norm = float(before.norm())
    weight_error = float(change.norm()) / norm if norm else 0.0
    rank = forms[0].rank if forms and isinstance(forms[0], LowRankLinear) else None
    unit = spectrum.scale * spectrum.size**0.5
    spectra[site.name] = (unit * spectrum.energies.sum(0).sqrt()).tolist(), rank
    if not forms:
        stored = (site.numbers, site.numbers), (site.n_bytes, site.n_bytes)
        return _line(site.name, "dense", "", *stored, (flops, flops), weight_error, error, "the plan left it")
    absorbed = getattr(forms[0], "absorbed", False)
    stored = [t for form in forms for t in _stored(form)]
    numbers, n_bytes = sum(t.numel() for t in stored), sum(t.nbytes for t in stored)
    if absorbed:
        numbers, n_bytes = numbers - site.out_features, n_bytes - site.out_features * stored[0].itemsize
    now = positions * (module.flops if isinstance(module, (CompressedLinear, CompressedConv)) else forms[0].flops)
    size = ", ".join(f"{key} {value}" for key, value in _size(forms[0]).items()) + ", with bias" * absorbed
    both = (site.numbers, numbers), (site.n_bytes, n_bytes)
    return _line(site.name, NAMES[type(forms[0])], size, *both, (flops, now), weight_error, error, "")


def _found(module, site):
    """Return (matrices (group, out, in), forms of each group or none, bias) of a module at a site."""
    shape = site.groups, site.out_features, site.in_features
    with torch.no_grad():
        if site.part:
            part = module.parts[PARTS.index(site.part)] if isinstance(module, CompressedAttention) else None
            forms = [part] if isinstance(part, CompressedLinear) else []
            return projection(module, site.part).detach().view(shape), forms, None
        if isinstance(module, CompressedLinear):
            bias = module.to_dense().bias if getattr(module, "absorbed", False) else module.bias
            return module.to_weight().reshape(shape), [module], bias
        forms = list(module.parts) if isinstance(module, CompressedConv) else []
        if not hasattr(module, "weight") or module.weight.numel() != site.groups * site.out_features * site.in_features:
            raise SSHMLError(f"{site.path}: a {type(module).__name__} stands where a {site.kind} was.")
        return module.weight.detach().reshape(shape), forms, module.bias if site.kind == "Linear" else None


def _stored(form):
    return [tensor for name, tensor in (*form.named_parameters(), *form.named_buffers()) if name != "bias"]


def _size(form):
    if isinstance(form, MPOLinear):
        return {"bonds": list(form.bonds), "sites": f"{list(form.shape.out_dims)}:{list(form.shape.in_dims)}"}
    return {form.sizes[0]: getattr(form, form.sizes[0])}


def _line(site, method, size, numbers, n_bytes, flops, weight_error, output_error, reason):
    whole = [None if f is None else round(f) for f in flops]
    return {
        "site": site,
        "method": method,
        "size": size,
        "numbers_before": numbers[0],
        "numbers": numbers[1],
        "bytes_before": n_bytes[0],
        "bytes": n_bytes[1],
        "flops_before": whole[0],
        "flops": whole[1],
        "weight_error": weight_error,
        "output_error": output_error,
        "reason": reason,
    }


def _totals(model, small, rows):
    def stored(module):
        return [*module.parameters(), *module.buffers()]

    before, after = n_bytes(model), n_bytes(small)
    return {
        "numbers_before": sum(t.numel() for t in stored(model)),
        "numbers": sum(t.numel() for t in stored(small)),
        "bytes_before": before,
        "bytes": after,
        "share": after / max(1, before),
        "flops_before": sum(row["flops_before"] or 0 for row in rows),
        "flops": sum(row["flops"] or 0 for row in rows),
    }


def _compare(model, small, batches, totals, notes):
    """Add what copies of both models do on the data."""
    both = copied(model), copied(small)
    square = norm = same = count = 0.0
    hits, labelled, classes, first = [0, 0], False, False, None
    with evaluating(both[0]), evaluating(both[1]):
        for inputs, labels in batches:
            first = inputs if first is None else first
            before, after = (output(each, own(inputs)) for each in both)
            if before.shape != after.shape:
                raise SSHMLError(
                    f"the models return {tuple(before.shape)} and {tuple(after.shape)}; expected one shape."
                )
            for name, each in (("dense", before), ("small", after)):
                if not torch.isfinite(each).all():
                    raise SSHMLError(f"the outputs of the {name} model hold NaN or infinite numbers on these data.")
            square += float((after.double() - before.double()).square().sum())
            norm += float(before.double().square().sum())
            count += len(before)
            classes = before.ndim == 2 and before.shape[1] > 1
            if classes:
                same += int((before.argmax(1) == after.argmax(1)).sum())
            if labels is not None and not labels.is_floating_point():
                labelled = True
                hits = [sum_ + int(is_correct(y, labels).sum()) for sum_, y in zip(hits, (before, after), strict=True)]
        times = compare([lambda each=each: output(each, own(first)) for each in both])
    totals["output_error"] = (square / norm) ** 0.5 if norm else 0.0
    totals["agreement"] = same / count if classes else None
    totals["accuracy_before"], totals["accuracy"] = (each / count if labelled else None for each in hits)
    totals["seconds_before"], totals["seconds"] = times
    totals["batch"], totals["threads"] = size_of(first), torch.get_num_threads()
    if labelled and hits[0] / count >= LEARNED:
        notes.append(f"the dense model is right on {hits[0] / count:.2%} of the data: they look like its training data")
    if times[1] > times[0]:
        notes.append("the small model is slower here than the dense one; faster=True leaves slow layers dense")


def _change(before, after):
    return "" if before is None else str(after) if before == after else f"{before} -> {after}"


def _number(value):
    return "" if value is None else f"{value:.3g}"
