"""Files that are there whole and for good, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from themis.pure.errors import DataError, StoreError, nearest

UNFINISHED: Final = ".new-"
"""How the names of files begin that are still being written, or that a crash left so."""


def from_here(path: str) -> str:
    """Return a path as it is shown: relative to the current folder if it lies in it, else as it is."""
    with contextlib.suppress(ValueError, OSError):  # elsewhere, or the current folder is gone
        return str(Path(path).relative_to(Path.cwd()))
    return path


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that others see once the context is left: complete, and safe from a crash.

    If an exception leaves the context, what was at `path` before stays.
    """
    target = Path(path)
    if not target.name:
        raise DataError(f"{str(path)!r}: the name of a file expected")
    beside = target.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(target.parent)


def open_plain(path: Path, mode: str) -> IO[Any]:
    """Open a file, in UTF-8 unless it is binary; a symbolic link is refused: what is written would go elsewhere."""
    encoding = None if "b" in mode else "utf-8"
    return open(path, mode, encoding=encoding, opener=_no_link)


def refused(error: OSError, path: Path) -> StoreError:
    """Return what the file system refused as an error that says what to do; `path` is named if it names no file."""
    where = error.filename or path
    if error.errno == errno.ELOOP:
        return StoreError(f"{where} is a symbolic link, which a store does not write through")
    return StoreError(f"{where}: {error.strerror or error}; check the path, its permissions and the disk's space")


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing of the path to it, so that a loss of power takes none of them away."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash; POSIX alone needs it, and allows it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def nearest_files(path: Path, *, same_suffix: bool = False) -> str:
    """Return the end of an error about a file that is not there: those in its folder that may be meant.

    Args:
        path: the file.
        same_suffix: whether to name files and folders of its suffix, instead of all files.
    """
    if not path.parent.is_dir():
        return ""
    beside = (p for p in path.parent.iterdir() if (p.suffix == path.suffix if same_suffix else p.is_file()))
    names = [str(p) for p in beside]
    return f"; {nearest(str(path), names)}" if names else ""
