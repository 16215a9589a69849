"""A control group for each program, where this process may make any: it counts the kernel's memory too.

The limits of the sandbox hold without it. What they can't see is what the kernel keeps for a program: full pipes and
sockets, page tables, locks. Groups can be made by root in most places, and by a user whose own group was delegated
(`systemd-run --user --scope -p Delegate=yes`); in a container they are mostly read-only. Sources: the kernel's
documents `admin-guide/cgroup-v2.rst` and `admin-guide/cgroup-v1/memory.rst`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

_SLACK: Final = 32 * 1024 * 1024
"""Bytes for what walls a program in, and for what it takes between two looks of the watch."""
_REMOVAL_TRIES: Final = 50
_numbers = itertools.count()


@attrs.frozen
class ControlGroup:
    """A group with a limit on memory.

    Attributes:
        path: its folder.
        events: its file that counts the processes that were ended for want of memory.
    """

    path: Path
    events: Path

    def joined_by(self, command: list[str]) -> list[str]:
        """Return a command that joins the group before it begins."""
        return ["sh", "-c", 'echo 0 >"$0" && exec "$@"', str(self.path / "cgroup.procs"), *command]

    def ran_out(self) -> bool:
        """Tell whether the kernel ended a process because the group had reached its limit."""
        counts = dict(line.split(" ", 1) for line in _lines(self.events) if " " in line)
        return counts.get("oom_kill", "0") != "0"


@contextlib.contextmanager
def limited(memory: int) -> Iterator[ControlGroup | None]:
    """Make a group for one program, and remove it; nothing where none can be made."""
    parent = _parent()
    group = None if parent is None else _made(parent, memory)
    try:
        yield group
    finally:
        if group is not None:
            _remove(group.path)


@functools.cache
def _parent() -> Path | None:
    """Return the folder in which groups can be made; found out once, by making one."""
    for folder in _candidates():
        group = _made(folder, _SLACK)
        if group is not None:
            _remove(group.path)
            _remove_left_behind(folder)
            return folder
    return None


def _remove_left_behind(parent: Path) -> None:
    """Remove the groups of processes that were killed before they could."""
    for path in parent.glob("themis-*-*"):
        if not Path("/proc", path.name.split("-")[1]).exists():
            with contextlib.suppress(OSError):  # it is in use
                path.rmdir()


def _candidates() -> Iterator[Path]:
    """Yield folders in which a new group may have a limit on memory, the nearest to this process first."""
    mounts = [line.split() for line in _lines(Path("/proc/self/mountinfo"))]
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, own = line.split(":", 2)
        for mount in mounts:
            kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
            at = Path(mount[4], os.path.relpath(own, mount[3]))
            if kind == "cgroup" and "memory" in controllers.split(",") and "memory" in options:
                yield at
            elif kind == "cgroup2" and not controllers:
                # A group that holds processes passes no controllers on, but for the root.
                above = [at, *(folder for folder in at.parents if folder.is_relative_to(mount[4]))]
                yield from (
                    each for each in above if "memory" in "".join(_lines(each / "cgroup.subtree_control")).split()
                )


def _made(parent: Path, memory: int) -> ControlGroup | None:
    path = parent / f"themis-{os.getpid()}-{next(_numbers)}"
    try:
        path.mkdir()
    except OSError:
        return None
    is_first_version = (path / "memory.limit_in_bytes").exists()
    try:
        limit = path / ("memory.limit_in_bytes" if is_first_version else "memory.max")
        limit.write_text(str(memory + _SLACK))
        if not is_first_version:
            (path / "memory.oom.group").write_text("1")
            with contextlib.suppress(OSError):  # there may be no swap to be limited
                (path / "memory.swap.max").write_text("0")
    except OSError:
        _remove(path)
        return None
    return ControlGroup(path, path / ("memory.oom_control" if is_first_version else "memory.events"))


def _remove(path: Path) -> None:
    for _ in range(_REMOVAL_TRIES):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.002)  # a process that has ended leaves its group a moment later
        else:
            return


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
