"""Ends what a process started, when that process was killed and can end nothing itself any more.

A signal on the parent's death (prctl(2), PR_SET_PDEATHSIG) is not enough: bubblewrap asks for it some time after it
began, and its first process inside waits for ever if the outer one dies before it says that it may go on. So a guard,
one process beside each that starts any, waits for the end of that process and then kills whatever bears its mark, a
word that nothing else has, in the command line of all that is started. Programs inside a sandbox go with its first
process, which has bubblewrap's command line.

This file is the guard's program, too, and so imports nothing of Themis.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import select
import signal
import sys
import time
from pathlib import Path

_QUIET_S = 0.4
"""So long nothing is found before the guard goes: what was being started then has begun by now."""


def guarded_by() -> str:
    """Return the mark of this process, to be put into the command line of what it starts; its guard is there by then.

    It means nothing where there can be no guard: on another system than Linux, or without a Python to run it.
    """
    return _mark(os.getpid())


@functools.cache
def _mark(pid: int) -> str:
    mark = f"themis-{secrets.token_hex(16)}"
    if sys.executable and hasattr(os, "pidfd_open"):
        nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
        command = [sys.executable, "-I", "-S", __file__, str(pid), mark]
        with contextlib.suppress(OSError):
            # In a session of its own: what ends a whole group of processes does not end it.
            os.posix_spawn(command[0], command, os.environ, file_actions=nowhere, setsid=True)
    return mark


def _guard(parent: int, mark: bytes) -> None:
    os.chdir("/")
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(parent)
        if os.getppid() == parent:  # and so the number is not another's yet
            select.select([fd], [], [])
    last = time.monotonic()
    while time.monotonic() < last + _QUIET_S:
        if _kill_marked(mark):
            last = time.monotonic()
        time.sleep(0.02)


def _kill_marked(mark: bytes) -> bool:
    found = False
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                fd = os.pidfd_open(int(entry.name))
                try:
                    if mark in (entry / "cmdline").read_bytes():
                        found = True
                        signal.pidfd_send_signal(fd, signal.SIGKILL)
                finally:
                    os.close(fd)
    return found


if __name__ == "__main__":
    _guard(int(sys.argv[1]), sys.argv[2].encode())
