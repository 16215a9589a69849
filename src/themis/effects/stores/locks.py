"""One writer per run, across processes: a lock file that the operating system frees when its holder dies."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import IO

import portalocker

from themis.effects.files import open_plain
from themis.pure.errors import RunLockedError


def this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def lock_run(path: Path, run_id: str) -> Callable[[], None]:
    """Hold a run for writing by a file that says who holds it, and return what ends that. Raises `RunLockedError`."""
    while True:
        file = open_plain(path, "a+")
        try:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.exceptions.LockException:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise locked(run_id, holder) from None
        if _is_at(path, file):
            break
        file.close()  # its last holder removed it between our opening and our locking it
    file.truncate(0)
    file.write(this_process())
    file.flush()

    def release() -> None:
        path.unlink(missing_ok=True)
        file.close()

    return release


def locked(run_id: str, holder: str) -> RunLockedError:
    return RunLockedError(f"run {run_id} is being written by {holder}; wait until it is done, or stop that process")


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
