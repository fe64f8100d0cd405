"""Compressed models that leave the package: programs of PyTorch and ONNX, and modules of plain PyTorch."""

import contextlib
import io
import logging
import re
import warnings

import torch
from torch import nn

from sshml.arguments import as_module, as_path, flag
from sshml.compression.attention import compressed_modules
from sshml.compression.batches import as_tensor, output
from sshml.compression.convolution import CompressedConv
from sshml.compression.lowrank import LowRankLinear
from sshml.compression.modules import carry_over, copied, evaluating
from sshml.errors import SSHMLError, one_line
from sshml.files import new_file

CLOSE = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""Largest difference, relative to the largest output, between a model and its exported program."""

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def export_model(model, path, example, force=False):
    """Write a model as a program that runs without sshml: .pt2 (`torch.export`) or .onnx.

    The number of samples stays free. The program is read back and compared with the model on the example, repeated to
    COUNTS of samples, before the file gets its name. ONNX graphs are written as they are: an optimiser would
    multiply factors and cores into the dense matrices and write those.

    Args:
        model: any `nn.Module`, compressed or not; it is exported in evaluation mode.
        path: the file to make, .pt2 or .onnx.
        example: inputs (sample, ...) that the model takes, one sample is enough; or a tuple of several arguments.
        force: replace a file that exists.

    Raises:
        SSHMLError: another ending, a model that cannot be traced, a program whose outputs differ, ONNX without the
            packages of `pip install 'sshml[export]'`.
    """
    path = as_path(path)
    if path.suffix not in (".pt2", ".onnx"):
        raise SSHMLError(f"{path} has no known ending; end an exported program in .pt2 or .onnx.")
    as_module(model)
    model = copied(model)
    inputs = tuple(as_tensor(x) for x in (example if isinstance(example, tuple) else (example,)))
    floating = next((t.dtype for t in model.parameters() if t.is_floating_point()), torch.float32)
    inputs = tuple(x.to(floating) if x.is_floating_point() else x for x in inputs)
    if not inputs or any(not len(x) for x in inputs):
        raise SSHMLError("the example is empty; give one sample, x[:1].")
    write = _write_onnx if path.suffix == ".onnx" else _write_program
    with evaluating(model), quiet(), new_file(path, force) as partial:
        wanted = {count: _call(model, _samples(inputs, count)) for count in COUNTS}
        try:
            run = write(model, _samples(inputs, COUNTS[1]), partial)  # sizes of 1 are taken for constants
            found = {count: run(_samples(inputs, count)) for count in COUNTS}
        except Exception as error:  # tracers raise what they like
            text = re.sub(r"\x1b\[[0-9;]*m", "", one_line(error))
            raise SSHMLError(f"this {type(model).__name__} cannot be exported ({text:.300}).") from None
        for count in COUNTS:
            _refuse_other(found[count], wanted[count], floating, path)


COUNTS = (1, 3, 16)
"""Numbers of samples on which a program is compared with the model."""


def _samples(inputs, count):
    """Return so many samples of an example, repeated in turn, in memory of their own."""
    return tuple(x[torch.arange(count) % len(x)].clone() for x in inputs)


def _call(model, inputs):
    return output(lambda *_: model(*inputs), None)


def _refuse_other(found, wanted, dtype, path):
    worst = float((found.double() - wanted.double()).abs().max()) if found.shape == wanted.shape else float("inf")
    size = max(1e-6, float(wanted.double().abs().max()))
    if not worst <= CLOSE.get(dtype, 1e-4) * size:
        raise SSHMLError(
            f"{path} would give other outputs than the model, {tuple(found.shape)}, off by {worst:.3g}: not written."
        )


def _write_program(model, inputs, partial):
    free = tuple({0: torch.export.Dim("samples", min=1)} for _ in inputs)
    program = torch.export.export(model, inputs, dynamic_shapes=free)
    for node in program.graph.nodes:  # where in the sources of this machine it comes from
        for note in ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn"):
            node.meta.pop(note, None)
    archive = io.BytesIO()  # a file's name would stand in it
    torch.export.save(program, archive)
    partial.write_bytes(archive.getbuffer())
    read = torch.export.load(partial).module()
    return lambda given: output(lambda *_: read(*given), None)


def _write_onnx(model, inputs, partial):
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch.onnx needs it)
    except ImportError:
        raise SSHMLError("ONNX needs packages that are not installed: pip install 'sshml[export]'.") from None
    free = tuple({0: torch.export.Dim("samples", min=1)} for _ in inputs)
    program = torch.onnx.export(model, inputs, dynamo=True, dynamic_shapes=free, optimize=False, verbose=False)
    for node in program.model.graph.all_nodes():  # stack traces of this machine, a kilobyte each
        node.metadata_props.clear()
    program.save(str(partial), external_data=False)
    session = onnxruntime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(given):
        arrays = {name: x.numpy() for name, x in zip(names, given, strict=True)}
        return torch.from_numpy(session.run(None, arrays)[0])

    return run


@contextlib.contextmanager
def quiet():
    """Keep what tracers warn of, which a user cannot mend, to themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def to_torch(model, dense=False):
    """Return a copy of a compressed model that is made of PyTorch's own modules and needs no sshml to be unpickled.

    Layers in SVD form become two linear layers, or two convolutions, in an `nn.Sequential`. Nothing in PyTorch stores
    matrix product operators, kept weights or attention of bounded rank.

    Args:
        model: the module.
        dense: turn these into the dense layers they stand for, larger again.

    Raises:
        SSHMLError: such layers, by name, unless `dense` is True.
    """
    dense = flag(dense, "dense")
    model = copied(as_module(model))
    for path, module in compressed_modules(model).items():
        within = _reader_of_weights(model, path)
        new = None if within else _pair(module)
        if new is None:
            if not dense:
                raise SSHMLError(
                    f"{path or 'the model'} is a {type(module).__name__}{within}, which PyTorch has no module for;"
                    " dense=True makes it the dense layer."
                )
            new = module.to_dense()
        carry_over(module, new)
        if not any(parameter.requires_grad for name, parameter in module.named_parameters() if name != "bias"):
            new.requires_grad_(False)
        if getattr(module, "bias", None) is not None and not isinstance(module, nn.MultiheadAttention):
            last = new[-1] if isinstance(new, nn.Sequential) else new
            last.bias.requires_grad_(module.bias.requires_grad)
        if not path:
            return new
        for place, each in list(model.named_modules(remove_duplicate=False)):
            if each is module:
                model.set_submodule(place, new)
    return model


def _reader_of_weights(model, path):
    """Return " in a ..." where a layer of PyTorch holds the module and reads its weight, as attention does."""
    parent = model.get_submodule(path.rpartition(".")[0])
    own = type(parent).__module__.startswith("torch.nn.") and path
    return f" in a {type(parent).__name__}" if own and not isinstance(parent, CONTAINERS) else ""


def _pair(module):
    """Return two layers in a Sequential for one of bounded rank, None for others."""
    if isinstance(module, LowRankLinear):
        dense = module.to_dense()  # for the bias, which may be absorbed
        like = {"device": module.left.device, "dtype": module.left.dtype}
        first = nn.Linear(module.in_features, module.rank, bias=False, **like)
        second = nn.Linear(module.rank, module.out_features, dense.bias is not None, **like)
        with torch.no_grad():
            first.weight.copy_(module.right[:, : module.in_features])
            second.weight.copy_(module.left)
            if dense.bias is not None:
                second.bias.copy_(dense.bias)
        return nn.Sequential(first, second)
    if isinstance(module, CompressedConv) and all(isinstance(part, LowRankLinear) for part in module.parts):
        kind = {1: nn.Conv1d, 2: nn.Conv2d}[len(module.kernel_size)]
        rank = sum(part.rank for part in module.parts)
        like = {"device": module.parts[0].left.device, "dtype": module.parts[0].left.dtype}
        names = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        same = {name: getattr(module, name) for name in names}
        first = kind(module.in_channels, rank, bias=False, **same, **like)
        second = kind(rank, module.out_channels, 1, groups=module.groups, bias=module.bias is not None, **like)
        with torch.no_grad():
            first.weight.copy_(torch.cat([part.right for part in module.parts]).view_as(first.weight))
            second.weight.copy_(torch.cat([part.left for part in module.parts]).view_as(second.weight))
            if module.bias is not None:
                second.bias.copy_(module.bias)
        return nn.Sequential(first, second)
    return None
