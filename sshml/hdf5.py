"""HDF5 files that say what they are, and checksums that say whether they still are."""

import contextlib
import os
import re
from pathlib import Path

import numpy as np

from sshml.arguments import as_path
from sshml.errors import SSHMLError, flat

try:
    from isal.isal_zlib import crc32  # the same numbers ten times as fast
except ImportError:
    from zlib import crc32


@contextlib.contextmanager
def open_hdf5(path, file_format, version, sealed=False, sealed_since=None):
    """Open an HDF5 file for reading after checking that its attributes say `file_format` and a known version.

    Args:
        path: the file.
        file_format: expected value of the attribute "format".
        version: newest readable "format_version".
        sealed: whether the file must end in a `seal`.
        sealed_since: version from which on it must.

    Raises:
        SSHMLError: no such file, not a complete HDF5 file, another format, or a newer version; also where reading
            within the block finds damage.
    """
    path = as_path(path)
    with _opened(path, f"a {file_format} file", sealed) as (file, has_seal):
        found, number = read_attribute(file, "format"), read_attribute(file, "format_version")
        if not isinstance(found, str) or found != file_format:
            what = f"a {found} file" if isinstance(found, str) else "HDF5 without the attribute 'format'"
            raise SSHMLError(f"{path} is {what}; expected a {file_format} file.")
        if not isinstance(number, (int, np.integer)) or not 1 <= number <= version:
            raise SSHMLError(
                f"{path} has {file_format} version {number}; this release reads versions 1 to {version}: upgrade sshml."
            )
        if sealed_since is not None and number >= sealed_since and not has_seal:
            raise SSHMLError(f"{path} is damaged or truncated: the checksum at its end is missing.")
        yield file


@contextlib.contextmanager
def open_foreign(path):
    """Open an HDF5 file of anybody's for reading, if nothing in it leads elsewhere; errors as `open_hdf5`."""
    path = as_path(path)
    with _opened(path, "an HDF5 file", False) as (file, _):
        refuse_foreign(file, path)
        yield file


@contextlib.contextmanager
def _opened(path, expected, sealed):
    """Open an HDF5 file and say whether it is sealed; name what is wrong with it, also where the block reads it."""
    import h5py

    if not path.is_file():
        raise SSHMLError(f"{path} does not exist or is not a file.")
    try:
        has_seal = _refuse_broken_seal(path, sealed)
        file = h5py.File(path, "r")
    except OSError as error:
        known = {"truncated": "is truncated", "signature": "is not an HDF5 file"}
        reason = next((text for word, text in known.items() if word in str(error)), f"cannot be read ({error})")
        raise SSHMLError(f"{path} {reason}; expected {expected}.") from None
    try:
        with file:
            yield file, has_seal
    except SSHMLError:
        raise
    except (
        OSError,
        RuntimeError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
    ) as error:  # what h5py makes of lost bytes
        raise SSHMLError(f"{path} is damaged and cannot be read ({flat(error)}).") from None


def format_of(path):
    """Return the attribute "format" of a file, "" where it has none that is a text, None where it is no HDF5 file.

    Raises:
        SSHMLError: no such file, or one whose seal is broken.
    """
    import h5py

    path = as_path(path)
    if not path.is_file():
        raise SSHMLError(f"{path} does not exist or is not a file.")
    try:
        _refuse_broken_seal(path, False)
        if not h5py.is_hdf5(path):
            return None
        with h5py.File(path, "r") as file:
            found = read_attribute(file, "format")
    except (OSError, RuntimeError) as error:
        raise SSHMLError(f"{path} cannot be read ({flat(error)}).") from None
    return found if isinstance(found, str) else ""


SHARD = re.compile(r"[^/\\]+[.-]shards/[^/\\]+\.h5")
"""Names of shards, beside the file that shows them."""

MOST_PACKED = 1100
"""Times that a filter can make bytes fewer; deflate 1032."""


def refuse_foreign(file, path, shards=False):
    """Raise where a file leads to others, or declares more than it holds.

    Links to other files, storage outside and virtual datasets would show what lies elsewhere; declared sizes are what
    reading allocates.

    Args:
        file: the open HDF5 file.
        path: its path, for the message.
        shards: whether virtual datasets may show files of a folder beside it, NAME.shards or NAME-shards.

    Raises:
        SSHMLError: the first such object, with its path inside the file.
    """
    import h5py

    def visit(group, where, depth=0):
        for name in group:
            inside = f"{where}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink) or depth > 50:
                raise SSHMLError(f"{path}: {inside} is a link to elsewhere; sshml writes none and follows none.")
            found = group[name]
            if isinstance(found, h5py.Group):
                visit(found, inside, depth + 1)
            elif isinstance(found, h5py.Dataset):
                _refuse_foreign_data(found, f"{path}: {inside}", shards)

    visit(file, "")


def _refuse_foreign_data(found, where, shards):
    if found.external:
        raise SSHMLError(f"{where} is stored in another file; sshml writes no such data and reads none.")
    if found.is_virtual:
        for source in found.virtual_sources():
            if not shards or not SHARD.fullmatch(source.file_name):
                raise SSHMLError(f"{where} shows data of {source.file_name!r:.200}, which is none of its own shards.")
        return
    stored, packed = found.id.get_storage_size(), found.id.get_create_plist().get_nfilters()
    if found.nbytes > stored * (MOST_PACKED if packed else 1):
        raise SSHMLError(f"{where} declares {found.nbytes} bytes and holds {stored}; the file is damaged or forged.")


def new_hdf5(path):
    """Open a new HDF5 file for writing, in the format of HDF5 1.10, whose own structures carry checksums.

    Its root holds no times, as HDF5 before 2.0 would have it: equal contents are equal bytes.
    """
    import h5py

    Path(path).unlink(missing_ok=True)  # made anew: a truncated file goes to disk on closing (ext4), which takes time
    access, plan = h5py.h5p.create(h5py.h5p.FILE_ACCESS), h5py.h5p.create(h5py.h5p.FILE_CREATE)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    plan.set_obj_track_times(False)
    return h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_EXCL, plan, access))


def new_group(parent, name):
    """Return a new group of a file or group that holds no times either."""
    import h5py

    plan = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    plan.set_obj_track_times(False)
    return h5py.Group(h5py.h5g.create(parent.id, name.encode(), gcpl=plan))


SEAL = b"sshml-seal"


def seal(path):
    """Append a checksum of all its bytes to a small file; `open_hdf5` verifies it before HDF5 sees the file.

    HDF5 itself can crash on lost bytes where its structures carry no checksum, as those of virtual datasets.
    """
    data = path.read_bytes()
    path.write_bytes(data + SEAL + crc32(data).to_bytes(4, "little"))


def is_sealed(path):
    """Return whether a file ends in a seal, which holds."""
    return _refuse_broken_seal(Path(path), False)


def _refuse_broken_seal(path, needed):
    """Return whether a file ends in a seal; raise where that is broken, or missing though needed."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - len(SEAL) - 4))
        end = file.read()
        if end[:-4] == SEAL:
            file.seek(0)
            if crc32(file.read(size - len(end))) != int.from_bytes(end[-4:], "little"):
                raise SSHMLError(f"{path} is damaged: its bytes differ from their checksum.")
            return True
        if needed and size:
            file.seek(0)
            if file.read(8) == b"\x89HDF\r\n\x1a\n":
                raise SSHMLError(f"{path} is damaged or truncated: the checksum at its end is missing.")
    return False


def read_attribute(file, name):
    """Return an attribute of a file's root as text or number, None where it is absent or cannot be read."""
    try:
        value = file.attrs.get(name)
    except (KeyError, OSError, RuntimeError, TypeError, UnicodeDecodeError):
        return None
    if hasattr(value, "shape") and value.size != 1:
        return None  # an array, where a text or number belongs
    return value.item() if hasattr(value, "item") else value
