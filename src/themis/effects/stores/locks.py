"""One writer per run, across processes: a lock file that the operating system frees when its holder dies."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import portalocker

from themis.effects.files import open_plain, refused
from themis.pure.errors import RunLockedError, StoreError

_TRIES: Final = 5
_PAUSE: Final = 0.02
"""Who asks whether a run is being written (`is_held`) holds its file for a moment: a writer tries again after it."""


def this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def lock_run(path: Path, run_id: str) -> Callable[[], None]:
    """Hold a run for writing by a file that says who holds it, and return what ends that.

    Raises:
        RunLockedError: another process holds it; the error names it.
        StoreError: the file can't be made, or the file system can't lock it.
    """
    tries = itertools.count(1)
    while True:
        try:
            file = take(path)
        except portalocker.exceptions.AlreadyLocked:
            if next(tries) < _TRIES:
                time.sleep(_PAUSE)
                continue
            with contextlib.suppress(OSError):
                raise locked(run_id, path.read_text(encoding="utf-8").strip() or "another process") from None
            continue  # it ended between our locking and our reading
        if file is not None:
            break

    def release() -> None:
        path.unlink(missing_ok=True)
        file.close()

    try:
        file.truncate(0)
        file.write(f"{this_process()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        file.flush()
    except OSError as error:  # a full disk
        with contextlib.suppress(OSError):
            release()
        raise refused(error, path) from error
    return release


def is_held(path: Path) -> bool:
    """Tell whether a living process holds a file that `lock_run` made; one that can't be told may be.

    It is held for a moment to find out, beside others who want to know; `lock_run` waits for that.
    """
    try:
        with path.open(encoding="utf-8") as file:
            portalocker.lock(file, portalocker.LockFlags.SHARED | portalocker.LockFlags.NON_BLOCKING)
    except FileNotFoundError:
        return False
    except (OSError, portalocker.exceptions.LockException):
        return True
    return False


def take(path: Path) -> IO[str] | None:
    """Open a file and hold it until it is closed; `None` if its last holder removed it meanwhile.

    Raises:
        portalocker.AlreadyLocked: another process holds it.
        StoreError: it can't be made, or the file system can't lock it.
    """
    try:
        file = open_plain(path, "a+")
    except OSError as error:
        raise refused(error, path) from error
    try:
        lock(file, path, wait=False)
        if _is_at(path, file):
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def lock(file: IO[Any], path: Path, *, wait: bool = True) -> None:
    """Hold an open file until it is closed.

    Raises:
        portalocker.AlreadyLocked: another process holds it, and it is not waited for.
        StoreError: the file system can't lock it.
    """
    flags = portalocker.LockFlags.EXCLUSIVE
    try:
        portalocker.lock(file, flags if wait else flags | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.exceptions.AlreadyLocked:
        raise
    except portalocker.exceptions.LockException as error:
        raise StoreError(
            f"{path}: this file system locks no files ({error}), so two processes could write the same: keep it on a "
            "local disk"
        ) from error


def locked(run_id: str, holder: str) -> RunLockedError:
    return RunLockedError(f"run {run_id} is being written by {holder}; wait until it is done, or stop that process")


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
