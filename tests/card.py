"""A second device without a card: tensors on "meta" have shapes and a device but no numbers.

Within `card()` an operation on tensors of two devices fails as on a card, and what is copied back to the CPU is zeros.
PyTorch's own fake "cuda" tensors need a build with CUDA as soon as there are gradients.
"""

import contextlib
from unittest import mock

import torch
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CARD = torch.device("meta")
aten = torch.ops.aten
MOVES = {aten._to_copy.default, aten.copy_.default, aten.to.device, aten._copy_from.default, aten.set_.source_Storage}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}


class _Card(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if func is aten._to_copy.default and tensors[0].device.type == "meta":
            if torch.device(kwargs.get("device") or "meta").type == "cpu":
                return torch.zeros(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        if func is aten.copy_.default and tensors[0].device.type == "cpu" != tensors[1].device.type:
            return tensors[0].zero_()
        if func is aten._local_scalar_dense.default and tensors[0].device.type == "meta":
            return torch.zeros((), dtype=tensors[0].dtype).item() if tensors[0].dtype != torch.bool else True
        if func is aten.equal.default and any(t.device.type == "meta" for t in tensors):
            self.check(func, tensors)
            return True
        if func not in MOVES:
            self.check(func, tensors[:1] if func in INDEXING else tensors)
        if func.overloadpacket in (aten._fused_adam_, aten._fused_adamw_, aten._fused_sgd_):
            return None
        return func(*args, **kwargs)

    @staticmethod
    def check(func, tensors):
        """Raise where tensors are on two devices; single CPU numbers go with any."""
        devices = {t.device.type for t in tensors if t.ndim or t.device.type != "cpu"}
        if len(devices) > 1:
            raise RuntimeError(f"{func}: expected all tensors to be on the same device, found {sorted(devices)}")


@contextlib.contextmanager
def card():
    """Be on a machine with a second device, `CARD`."""
    known = [*_foreach_utils._get_fused_kernels_supported_devices(), CARD.type]
    name = "_get_fused_kernels_supported_devices"
    with (
        mock.patch.object(_foreach_utils, name, return_value=known),
        mock.patch(f"torch.optim.optimizer.{name}", return_value=known, create=True),
        mock.patch("torch.is_autocast_enabled", return_value=False),
        mock.patch("sshml.classifier.training.pick_device", return_value=CARD),
        mock.patch("sshml.classifier.training.check_kept"),
        mock.patch("sshml.classifier.run.pick_device", return_value=CARD),
        mock.patch("sshml.analysis.problem.pick_device", return_value=CARD),
        _Card(),
    ):
        yield CARD
