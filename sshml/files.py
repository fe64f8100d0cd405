"""Files that are either whole or absent."""

import contextlib
import os
import platform
import re
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from sshml.arguments import as_path, flag
from sshml.errors import SSHMLError, flat


@contextlib.contextmanager
def new_file(path, force=False, size=0):
    """Yield a temporary path beside `path`; give it the final name when the block ends without an error.

    A file that is replaced stays until the new one is whole. A link to a file stays a link.

    Args:
        path: the file to make; missing parent folders are made too.
        force: replace a file that exists.
        size: bytes that will be written, where known: too full a disk is refused before the work.

    Raises:
        SSHMLError: the file exists and `force` is False, or the disk or folder refuses the file.
    """
    path, force = as_path(path), flag(force, "force")
    refuse_existing(path, force)
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    with disk_errors(path), _parents(path):
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
        raise
    except OSError:  # a file system without hard links
        refuse_existing(path)
        partial.replace(path)


def _prefix(path):
    return f".{path.name}.{platform.node()}-"


def _remove_stale(path):
    """Remove the temporary files of `path` that processes of this machine left when they were killed."""
    for left in _starting(path.parent, _prefix(path)):
        process = left.name[len(_prefix(path)) :].split(".")[0]
        if ".partial" in left.name and process.isdigit() and not _is_alive(int(process)):
            left.unlink(missing_ok=True)


def _starting(folder, start):
    """Return the files of a folder whose names start so; not by a pattern, since names may hold its signs."""
    return [path for path in folder.iterdir() if path.name.startswith(start)]


def _is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


PARTIAL = re.compile(r"\..+-\d+\.\w+\.partial(\..+)?")
"""Names of temporary files, see `_prefix`."""


def remove_partials(folder):
    """Remove all temporary files in a folder that no other process is writing to."""
    for left in folder.iterdir():
        if PARTIAL.fullmatch(left.name):
            left.unlink(missing_ok=True)


def refuse_full(path, size):
    """Raise where `size` bytes do not fit on the disk of `path`."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise SSHMLError(
            f"{path} needs {size / 2**20:.0f} MiB and its disk has {free / 2**20:.0f} MiB free: no space left."
        )


def refuse_existing(path, force=False):
    """Raise where `path` exists and `force` is False, where it is a folder, no regular file, or a link to nothing."""
    path, force = as_path(path), flag(force, "force")
    if path.is_dir():
        raise SSHMLError(f"{path} is a folder; give the name of a file.")
    if path.is_symlink() and not path.exists():
        raise SSHMLError(f"{path} is a link to what is not there; remove it or give another name.")
    if path.exists() and not path.is_file():
        raise SSHMLError(f"{path} is no regular file; give another name.")
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
def disk_errors(path):
    """Turn what a disk refuses within the block into an `SSHMLError` that names the path."""
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


def refuse_broken_zip(path):
    """Raise where a zip archive, as PyTorch writes them, holds an entry that differs from its CRC-32.

    PyTorch's reader does not compare them.
    """
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise SSHMLError(f"{path} is a damaged archive ({flat(error):.200}).") from None
    if broken is not None:
        raise SSHMLError(f"{path} is damaged: its entry {broken:.200} differs from its checksum.")


@contextlib.contextmanager
def locked(path):
    """Yield whether this process holds the lock of a file that is made for it; it falls with the block or the process.

    True as well where the system knows no locks.
    """
    try:
        import fcntl
    except ImportError:
        yield True
        return
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            raise SSHMLError(f"{path} cannot be locked ({_reason(error)}); use a file system with locks.") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
        yield True
