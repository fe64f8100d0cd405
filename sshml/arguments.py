"""What public functions are given, made into what they work with, or refused: got, expected, remedy.

One converter for each kind of argument. Each takes the value and its name and returns the value in the form the
function works with; what it cannot take without loss it refuses with an `SSHMLError`.
"""

import math
import numbers
import operator
import os
import sys
from pathlib import Path

import numpy as np

from sshml.errors import SSHMLError, flat

SHOWN = 80
"""Letters of a value that an error shows."""


def shown(value):
    """Return a value as a short line: its repr, or its type and shape.

    >>> shown(1.5), shown(np.zeros((2, 3))), shown([1] * 100)
    ('1.5', 'a ndarray of float64 (2, 3)', 'a list of 100')
    """
    kind = type(value).__name__
    if isinstance(getattr(value, "shape", None), tuple) and hasattr(value, "dtype") and value.shape:
        return f"a {kind} of {value.dtype} {tuple(value.shape)}"
    try:
        text = repr(value)
    except Exception:  # whatever a foreign repr raises; ints of more than 4300 digits have none
        return f"a {kind}"
    if len(text) <= SHOWN and text.isprintable():
        return text
    return f"a {kind} of {len(value)}" if isinstance(value, (list, tuple, dict, set)) else f"a {kind} {text[:40]!r}..."


LARGE = 10**6
"""An upper limit from here on is named where it is passed only."""


def _range(least, most, found):
    if most is not None and most >= LARGE and (found is None or found <= most):
        most = None
    most = "2^64 - 1" if most == 2**64 - 1 else most
    if least is None and most is None:
        return ""
    if most is None:
        return f" of at least {least}"
    return f" of at most {most}" if least is None else f" from {least} to {most}"


def integer(value, name, least=None, most=None):
    """Return a whole number as an int; those of numpy and torch count, booleans and floats do not.

    Raises:
        SSHMLError: no whole number, or outside least ... most.

    >>> integer(np.int8(3), "rank", 1, 8)
    3
    """
    found, most = None, 2**63 - 1 if most is None else most  # of int64, which arrays count in
    if not isinstance(value, (bool, np.bool_)) and "bool" not in str(getattr(value, "dtype", "")):
        try:
            found = operator.index(value)
        except Exception:  # arrays and tensors of several numbers raise errors of their own
            found = None
    if found is None or (least is not None and found < least) or (most is not None and found > most):
        raise SSHMLError(f"{name} is {shown(value)}; expected an integer{_range(least, most, found)}.")
    return found


def real(value, name, least=None, most=None, *, above=None, below=None, infinite=False):
    """Return a real number as a float; booleans, texts and complex numbers are none.

    Args:
        value: the number, also of numpy or torch.
        name: its name in the error.
        least: smallest number allowed.
        most: largest number allowed.
        above: numbers must be larger.
        below: numbers must be smaller.
        infinite: whether it may be infinite.

    Raises:
        SSHMLError: no number, NaN, or out of range.

    >>> real(1, "share", above=0, most=1)
    1.0
    """
    if type(value).__module__.partition(".")[0] in ("numpy", "torch") and getattr(value, "shape", None) == ():
        try:
            value = value.item()
        except Exception:  # a tensor without data
            pass
    found = math.nan
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        try:
            found = float(value)
        except Exception:  # too large, or a foreign __float__
            found = math.nan
    low = (least is None or found >= least) and (above is None or found > above)
    high = (most is None or found <= most) and (below is None or found < below)
    if math.isnan(found) or (math.isinf(found) and not infinite) or not (low and high):
        bounds = {" at least": least, " above": above, " at most": most, " below": below}
        words = " and".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
        raise SSHMLError(f"{name} is {shown(value)}; expected a {'finite ' * math.isinf(found)}number{words}.")
    return found


def as_array(value, name, *, axes=None, kinds="iuf", dtype=None, finite=False):
    """Return an array of numbers; a tensor is detached and brought to the CPU.

    Args:
        value: array, tensor, number or nested lists of numbers.
        name: its name in the error.
        axes: names of its axes, as "sample, level, site"; any number of them if None.
        kinds: letters of the numpy kinds allowed: i, u whole, f real, b boolean numbers.
        dtype: of the array returned; its own if None.
        finite: whether NaN and infinite numbers are refused.

    Raises:
        SSHMLError: masked, ragged, complex, text, of other axes, without data, not finite.

    >>> as_array([1, 2], "v", axes="bond", dtype=np.float64)
    array([1., 2.])
    """
    if np.ma.isMaskedArray(value):
        if np.ma.is_masked(value):
            raise SSHMLError(f"{name}: got a masked array; fill what is masked, or leave it out.")
        value = value.data
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = _from_tensor(value, name, torch)
    try:
        found = np.asarray(value)
    except Exception as error:  # whatever the sequences, lengths and __array__ of foreign objects raise
        raise SSHMLError(f"{name}: got no array of real numbers ({flat(error):.200}).") from None
    if found.dtype.kind not in kinds:
        if found.size == 0 and found.dtype.kind == "f":
            found = found.astype(np.int64)
        else:
            wanted = "real numbers" if "f" in kinds else "whole numbers"
            raise SSHMLError(f"{name}: got an array of {found.dtype}; expected {wanted}{_axes(axes)}.")
    if axes is not None and found.ndim != axes.count(",") + 1:
        raise SSHMLError(f"{name}: got shape {found.shape}; expected{_axes(axes)}.")
    if dtype is not None:
        with np.errstate(over="ignore"):
            found = found.astype(dtype, copy=False)
    if finite and not np.isfinite(found).all():
        raise SSHMLError(f"{name} holds NaN or infinite numbers; every number must be finite.")
    return found


def _from_tensor(tensor, name, torch):
    if tensor.device.type == "meta" or tensor.layout is not torch.strided or tensor.is_quantized:
        raise SSHMLError(f"{name}: got a tensor of {tensor.layout} on {tensor.device}; expected a dense one with data.")
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    try:
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    except Exception as error:  # types numpy does not know, tensors of a transform
        raise SSHMLError(f"{name}: got a tensor of {tensor.dtype} without numbers ({flat(error):.200}).") from None


def _axes(axes):
    return "" if axes is None else f" ({axes})"


def integers(value, name, least=None, most=None):
    """Return a sequence of whole numbers as a list of ints.

    Raises:
        SSHMLError: no sequence, something in it that is no whole number or out of range.

    >>> integers(range(3), "ranks")
    [0, 1, 2]
    """
    return [integer(each, f"{name}[{number}]", least, most) for number, each in enumerate(sequence(value, name))]


def sequence(value, name):
    """Return a list, tuple, range, array or iterator as a list; texts, mappings and sets, without order, are none.

    Raises:
        SSHMLError: nothing to go through.
    """
    if not isinstance(value, (str, bytes, dict, set, frozenset)):
        try:
            return list(value)
        except Exception:  # what foreign objects raise
            pass
    raise SSHMLError(f"{name} is {shown(value)}; expected a list.")


def as_path(value, name="the path"):
    """Return a text or path as a `Path` that the system can look for.

    Raises:
        SSHMLError: neither, a name that no file system knows, or one in a folder that may not be entered.
    """
    if isinstance(value, bytes) or not isinstance(value, (str, os.PathLike)):
        raise SSHMLError(f"{name} is {shown(value)}; expected a text or a path.")
    try:
        Path().absolute()
    except OSError:
        raise SSHMLError("the working folder is gone; change to another one.") from None
    try:
        found = Path(value)
        found.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except Exception as error:  # too long, a null byte, no permission, a foreign __fspath__
        reason = getattr(error, "strerror", None) or str(error)
        raise SSHMLError(f"{name} {shown(value)} cannot be used ({reason.lower()}); choose another name.") from None
    return found


def choice(value, name, choices):
    """Return a value that is one of several.

    Raises:
        SSHMLError: it is none of them.
    """
    for each in choices:
        if type(value) is type(each) and value == each:
            return value
    raise SSHMLError(f"{name} {shown(value)} is unknown; choose one of {', '.join(map(str, choices))}.")


def number_type(value):
    """Return the numpy dtype float32 or float64 that a value names.

    Raises:
        SSHMLError: it names another type, or none.
    """
    try:
        found = None if value is None else np.dtype(value)
    except Exception:  # foreign objects, names of no type
        found = None
    if found is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise SSHMLError(f"dtype is {shown(value)}; choose float32 or float64.")
    return found


def flag(value, name):
    """Return a boolean; a text such as "no" is none.

    Raises:
        SSHMLError: neither True nor False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise SSHMLError(f"{name} is {shown(value)}; expected True or False.")
    return bool(value)


def instance(value, name, kinds, remedy):
    """Return a value of a class, or of one of several.

    Args:
        value: the object.
        name: its name in the error.
        kinds: a class or a tuple of them.
        remedy: what to give, or how it is made.

    Raises:
        SSHMLError: it is of another class.
    """
    if not isinstance(value, kinds):
        raise SSHMLError(f"{name} is {shown(value)}; expected {remedy}.")
    return value


def having(value, name, attributes, remedy):
    """Return an object that has some attributes, of whatever class.

    Raises:
        SSHMLError: one of them is missing.
    """
    if isinstance(value, type) or not all(_has(value, each) for each in attributes):
        raise SSHMLError(f"{name} is {shown(value)}; expected {remedy}.")
    return value


def function(value, name, optional=False):
    """Return a value that can be called, or None where that is allowed.

    Raises:
        SSHMLError: it cannot.
    """
    if not (callable(value) or (optional and value is None)):
        raise SSHMLError(f"{name} is {shown(value)}; expected a function{' or None' if optional else ''}.")
    return value


def _has(value, name):
    return hasattr(type(value), name) or hasattr(value, name)  # the class first: a property may read a file


def as_module(value, name="model"):
    """Return an `nn.Module`.

    Raises:
        SSHMLError: it is none; a class of modules is not a module yet.
    """
    from torch import nn

    if isinstance(value, type) and issubclass(value, nn.Module):
        raise SSHMLError(f"{name} is the class {value.__name__}; give a network made of it, {value.__name__}(...).")
    return instance(value, name, nn.Module, "a torch.nn.Module")


def as_state(state, model, where):
    """Return the tensors of a file for a model, where each takes the place of one of its kind without loss.

    Args:
        state: {name: tensor}.
        model: the module; names, shapes and what is missing are left to its `load_state_dict`.
        where: the file, for the message.

    Raises:
        SSHMLError: complex numbers for real ones, whole for real ones or the other way, or numbers too large.
    """
    for name, own in model.state_dict().items():
        if name not in state or not hasattr(own, "dtype"):
            continue
        given = state[name]
        kinds = [(t.is_floating_point(), t.is_complex()) for t in (own, given)]
        if kinds[0] != kinds[1]:
            raise SSHMLError(f"{where}: {name} is {given.dtype}, in the network {own.dtype}; save it as that.")
        if given.is_floating_point() and given.itemsize > own.itemsize and given.device.type != "meta":
            if bool((given.isfinite() & ~given.to(own.dtype).isfinite()).any()):
                raise SSHMLError(f"{where}: {name} holds numbers too large for {own.dtype}.")
    return state


def as_split(value, name="split"):
    """Return an object with `inputs` and `labels`.

    Raises:
        SSHMLError: it lacks them; a path or a whole dataset is no split.
    """
    if _has(value, "train") and _has(value, "test"):
        raise SSHMLError(f"{name} is a whole dataset; give one of its splits: .train, .valid or .test.")
    if isinstance(value, type) or not (_has(value, "inputs") and _has(value, "labels")):
        raise SSHMLError(
            f"{name} is {shown(value)}; expected a split with `inputs` and `labels`, as of open_dataset(path).train."
        )
    return value
