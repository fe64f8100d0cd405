"""The weights of a layer, from a run file or from the state_dict of a network of one's own."""

import numbers
import warnings

from sshml.arguments import as_path, shown
from sshml.classifier import load_run
from sshml.compression import LAYERS, find_layer
from sshml.errors import SSHMLError
from sshml.files import refuse_broken_zip


def load_weights(path, layer=0):
    """Return the weights of a linear layer in every network of a file.

    Args:
        path: run file, or state_dict saved by `torch.save`; only tensors are read, nothing else is unpickled.
        layer: name of the layer, or its number among the linear layers; of a state_dict, which does not tell them
            from embeddings, among all two-dimensional weights.

    Returns:
        (name of the layer, its weight (out, in) in every network, those before the training or [] where unknown).

    Raises:
        SSHMLError: neither of the two, or no such layer.
    """
    import h5py

    path = as_path(path)
    if path.is_file() and not h5py.is_hdf5(path):
        return _of_state(path, layer)
    run = load_run(path, layers=LAYERS)
    name = find_layer(run.model(), layer)
    layers = [model.get_submodule(name) for model in run.models()]
    return name, [one.weight.detach() for one in layers], list(run.initial.get(f"{name}.weight", []))


def _of_state(path, layer):
    import torch

    refuse_broken_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that are refused below
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}
    except Exception:  # whatever a damaged or foreign file leads to
        raise SSHMLError(
            f"{path} is no run file and no state_dict of tensors; save one by torch.save(model.state_dict(), ...)."
        ) from None
    weights = {
        name.removesuffix(".weight"): tensor
        for name, tensor in state.items()
        if isinstance(name, str) and f".{name}".endswith(".weight") and tensor.ndim == 2 and tensor.is_floating_point()
    }
    names = list(weights)
    if isinstance(layer, numbers.Integral) and not isinstance(layer, bool) and -len(names) <= layer < len(names):
        layer = names[layer]
    if layer not in names:
        known = ", ".join(f"{number} ({name})" for number, name in enumerate(names)) or "none"
        raise SSHMLError(f"{path} has no matrix {shown(layer)}; it has {known}.")
    weight = weights[layer]
    if weight.layout is not torch.strided or weight.device.type == "meta":
        raise SSHMLError(f"{path}: {layer}.weight is {weight.layout} on {weight.device}; expected a dense tensor.")
    if weight.nbytes > weight.untyped_storage().nbytes():
        raise SSHMLError(f"{path}: {layer}.weight declares {weight.nbytes} bytes and holds fewer; the file is forged.")
    return layer, [weight.float() if weight.itemsize < 4 else weight], []
