"""Files that are either whole or absent, and HDF5 files that say what they are."""

import contextlib
import os
import platform
import re
import shutil
import tempfile
import zlib
from pathlib import Path

from sshml.errors import SSHMLError


@contextlib.contextmanager
def new_file(path, force=False, size=0):
    """Yield a temporary path beside `path`; give it the final name when the block ends without an error.

    Args:
        path: the file to make; missing parent folders are made too.
        force: replace a file that exists.
        size: bytes that will be written, where known: too full a disk is refused before the work.

    Raises:
        SSHMLError: the file exists and `force` is False, or the disk or folder refuses the file.
    """
    path = Path(path)
    refuse_existing(path, force)
    with _disk_errors(path), _parents(path):
        refuse_full(path, size)
        _remove_stale(path)
        suffix = ".partial" + path.suffix
        handle, name = tempfile.mkstemp(prefix=f"{_prefix(path)}{os.getpid()}.", suffix=suffix, dir=path.parent)
        os.close(handle)
        partial = Path(name)
        try:
            yield partial
            # mkstemp makes private files; a result has the permissions of any new file
            umask = os.umask(0)
            os.umask(umask)
            partial.chmod(0o666 & ~umask)
            if force:
                partial.replace(path)
            else:
                _name_exclusively(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _name_exclusively(partial, path):
    """Give a file its name unless another process has used the name meanwhile."""
    try:
        os.link(partial, path)
    except FileExistsError:
        refuse_existing(path)
    except OSError:  # a file system without hard links
        refuse_existing(path)
        partial.replace(path)


def _prefix(path):
    return f".{path.name}.{platform.node()}-"


def _remove_stale(path):
    """Remove the temporary files of `path` that processes of this machine left when they were killed."""
    for left in path.parent.glob(f"{_prefix(path)}*.partial*"):
        process = left.name[len(_prefix(path)) :].split(".")[0]
        if process.isdigit() and not _is_alive(int(process)):
            left.unlink(missing_ok=True)


def _is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def remove_partials(folder):
    """Remove all temporary files in a folder that no other process is writing to."""
    for left in folder.glob(".*.partial*"):
        left.unlink(missing_ok=True)


def refuse_full(path, size):
    """Raise where `size` bytes do not fit on the disk of `path`."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise SSHMLError(
            f"{path} needs {size / 2**20:.0f} MiB and its disk has {free / 2**20:.0f} MiB free: no space left."
        )


@contextlib.contextmanager
def new_folder(path, force=False):
    """Yield a temporary folder beside `path`; give it the final name when the block ends without an error.

    Args:
        path: the folder to make; missing parents are made too.
        force: replace a folder that exists.

    Raises:
        SSHMLError: the folder exists and `force` is False, or the disk refuses it.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise SSHMLError(f"{path} is a file; give the name of a folder.")
    if path.exists() and not force:
        raise SSHMLError(f"{path} exists; choose another name or overwrite it with --force (force=True).")
    with _disk_errors(path), _parents(path):
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".partial", dir=path.parent) as name:
            made = Path(name) / path.name
            made.mkdir()
            yield made
            if path.exists():
                path.replace(Path(name) / "old")
            made.replace(path)


def refuse_existing(path, force=False):
    """Raise where `path` exists and `force` is False, or where it is a folder."""
    path = Path(path)
    if path.is_dir():
        raise SSHMLError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not force:
        raise SSHMLError(f"{path} exists; choose another name or overwrite it with --force (force=True).")


@contextlib.contextmanager
def _parents(path):
    """Make the missing parent folders of `path`; take them away again when the block fails."""
    with contextlib.ExitStack() as undo:
        for folder in reversed([folder for folder in path.parents if not folder.exists()]):
            undo.callback(_remove_if_empty, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
        undo.pop_all()


def _remove_if_empty(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def _disk_errors(path):
    try:
        yield
    except SSHMLError:
        raise
    except OSError as error:
        raise SSHMLError(f"{path} could not be written: {_reason(error)}.") from error
    except RuntimeError as error:  # h5py's form of a failed write on closing a file
        if "error message = " not in str(error):
            raise
        raise SSHMLError(f"{path} could not be written: {_reason(error)}.") from error


def _reason(error):
    """Return why a write failed, from the OSError or from within h5py's long message."""
    text = getattr(error, "strerror", None) or str(error)
    found = re.search(r"error message = '([^']*)'", text)
    text = found[1] if found else text
    return text[:1].lower() + text[1:]


@contextlib.contextmanager
def open_hdf5(path, file_format, version):
    """Open an HDF5 file for reading after checking that its attributes say `file_format` and a known version.

    Args:
        path: the file.
        file_format: expected value of the attribute "format".
        version: newest readable "format_version".

    Raises:
        SSHMLError: no such file, not a complete HDF5 file, another format, or a newer version; also where reading
            within the block finds damage.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise SSHMLError(f"{path} does not exist or is not a file.")
    try:
        _refuse_broken_seal(path)
        file = h5py.File(path, "r")
    except OSError as error:
        known = {"truncated": "is truncated", "signature": "is not an HDF5 file"}
        reason = next((text for word, text in known.items() if word in str(error)), f"cannot be read ({error})")
        raise SSHMLError(f"{path} {reason}; expected a {file_format} file.") from None
    try:
        with file:
            found, number = read_attribute(file, "format"), read_attribute(file, "format_version")
            if not isinstance(found, str) or found != file_format:
                what = f"a {found} file" if isinstance(found, str) else "HDF5 without the attribute 'format'"
                raise SSHMLError(f"{path} is {what}; expected a {file_format} file.")
            if not hasattr(number, "__index__") or not 1 <= number <= version:
                raise SSHMLError(
                    f"{path} has {file_format} version {number}; this release reads versions 1 to {version}: upgrade"
                    " sshml."
                )
            yield file
    except SSHMLError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, UnicodeDecodeError) as error:  # what h5py makes of lost bytes
        raise SSHMLError(f"{path} is damaged and cannot be read ({_one_line(error)}).") from None


def new_hdf5(path):
    """Open a new HDF5 file for writing, in the format of HDF5 1.10, whose own structures carry checksums."""
    import h5py

    return h5py.File(path, "w", libver=("v110", "v110"))


SEAL = b"sshml-seal"


def seal(path):
    """Append a checksum of all its bytes to a small file; `open_hdf5` verifies it before HDF5 sees the file.

    HDF5 itself can crash on lost bytes where its structures carry no checksum, as those of virtual datasets.
    """
    data = path.read_bytes()
    path.write_bytes(data + SEAL + zlib.crc32(data).to_bytes(4, "little"))


def _refuse_broken_seal(path):
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - len(SEAL) - 4))
        end = file.read()
        if end[:-4] == SEAL:
            file.seek(0)
            if zlib.crc32(file.read(size - len(end))) != int.from_bytes(end[-4:], "little"):
                raise SSHMLError(f"{path} is damaged: its bytes differ from their checksum.")


def _one_line(error):
    return " ".join(str(error).split())


def read_attribute(file, name):
    """Return an attribute of a file's root as text or number, None where it is absent or cannot be read."""
    try:
        value = file.attrs.get(name)
    except (KeyError, OSError, RuntimeError, TypeError, UnicodeDecodeError):
        return None
    return value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value


def write_csv(path, rows, force=False):
    """Write dictionaries with equal keys as a CSV file with one header line."""
    import csv

    with new_file(path, force) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path):
    """Return the rows of a CSV file as dictionaries of texts."""
    import csv

    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_columns(path, **chosen):
    """Return the columns of a CSV file, numbers as float arrays, of the rows where the given columns match."""
    import numpy as np

    rows = [row for row in read_csv(path) if all(row[key] == value for key, value in chosen.items())]
    if not rows:
        raise SSHMLError(f"{path} has no row with {', '.join(f'{key} = {value}' for key, value in chosen.items())}.")
    columns = {}
    for key in rows[0]:
        texts = [row[key] for row in rows]
        try:
            columns[key] = np.array(texts, dtype=float)
        except ValueError:
            columns[key] = np.array(texts)
    return columns
