"""What a tree of processes uses, read from outside of it in /proc (proc(5)): nothing inside can hide or lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")


@attrs.frozen
class Usage:
    """What the living processes of a tree use, and the CPU time of those that ended.

    Attributes:
        pids: the living ones, in the numbers of this machine.
        cpu_s: CPU seconds of all of them.
        resident: bytes in memory; what processes share counts for each.
    """

    pids: tuple[int, ...]
    cpu_s: float
    resident: int


def usage_of(root: int) -> Usage:
    """Measure a process and all its descendants. Orphans belong to the tree as long as its root adopts them."""
    pids, ticks, pages = [], 0, 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        stat = _read(_PROC / str(pid) / "stat")
        if not stat:
            continue
        fields = stat.rpartition(")")[2].split()
        pids.append(pid)
        ticks += sum(map(int, fields[11:15]))  # utime, stime, and both of the children that were waited for
        pages += int(fields[21])
        waiting.extend(_children(pid))
    return Usage(tuple(pids), ticks / _TICKS, pages * _PAGE)


def parent_of(pid: int) -> int | None:
    """Return the process that a process belongs to; `None` if it is gone."""
    stat = _read(_PROC / str(pid) / "stat")
    return int(stat.rpartition(")")[2].split()[1]) if stat else None


def proportional(pids: tuple[int, ...]) -> int | None:
    """Return the bytes in memory with what is shared divided among its users; `None` where it can't be read."""
    total = 0
    for pid in pids:
        rollup = _read(_PROC / str(pid) / "smaps_rollup")
        if rollup is None:
            return None
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(_PROC / str(pid) / "task")  # noqa: PTH208  # names alone, many times a second
    except OSError:
        return
    for thread in threads:
        yield from map(int, (_read(_PROC / str(pid) / "task" / thread / "children") or "").split())


def _read(path: Path) -> str | None:
    """Return a file's text: empty if its process is gone, `None` if it may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except PermissionError:
        return None
    except OSError:
        return ""
