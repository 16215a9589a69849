"""What a tree of processes uses, read from outside of it in /proc (proc(5)): nothing inside can hide or lie."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")
_FILE: Final = 1280
"""Bytes that the kernel keeps of an empty file in memory, its name included: 1.36 million took 1.7 GB (Linux 6.18)."""


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


def usage_of(root: int, parent: int) -> Usage:
    """Measure a process and all its descendants. Orphans belong to the tree as long as its root adopts them.

    Args:
        root: the process.
        parent: the process that it belongs to.
    """
    pids: list[int] = []
    ticks, pages = 0, 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        fields = _stat(pid)
        # A number may be another process's by now, whose parent is none of these; and a thread that ends leaves its
        # children to the next one, where they are listed again.
        if not fields or int(fields[1]) not in (parent, *pids) or pid in pids:
            continue
        pids.append(pid)
        ticks += sum(map(int, fields[11:15]))  # utime, stime, and both of the children that were waited for
        pages += int(fields[21])
        waiting.extend(_children(pid))
    return Usage(tuple(pids), ticks / _TICKS, pages * _PAGE)


def parent_of(pid: int) -> int | None:
    """Return the process that a process belongs to; `None` if it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def proportional(pids: tuple[int, ...], held: int = 0) -> int | None:
    """Return the bytes in memory with what is shared divided among its users; `None` where it can't be read.

    `held` is what their files hold; what is both a file's and a process's memory counts once.
    """
    total = shared = 0
    for pid in pids:
        rollup = _read(_PROC / str(pid) / "smaps_rollup")
        if rollup is None:
            return None
        sizes = {name: int(rest.split()[0]) for name, _, rest in _fields(rollup) if name.startswith("Pss")}
        total += 1024 * sizes.get("Pss", 0)
        shared += 1024 * sizes.get("Pss_Shmem", 0)
    return total + max(0, held - shared)


def held_by_files(pid: int, folders: Iterable[str]) -> int:
    """Return the bytes of memory that file systems in memory hold: contents, and the kernel's record of each file.

    Nothing, until the process sees its own world with all the folders in it, and once it has ended. While its walls are
    being built, its root is this machine's, then one without the folders (pivot_root(2)), and then its own. A folder
    alone does not tell: what bubblewrap mounts in one comes and goes before the root changes.

    Args:
        pid: a process that is to see the folders.
        folders: where they are mounted, as it sees them.
    """
    root = f"{_PROC}/{pid}/root"
    try:
        if os.stat(root).st_dev == os.stat("/").st_dev:  # noqa: PTH116  # many times a second
            return 0
        found = [os.statvfs(f"{root}{folder}") for folder in folders]
    except OSError:
        return 0
    return sum((each.f_blocks - each.f_bfree) * each.f_frsize + (each.f_files - each.f_ffree) * _FILE for each in found)


def _stat(pid: int) -> list[str]:
    """Return the fields of a process's `stat` from the third on, its state; none if it is gone."""
    return (_read(_PROC / str(pid) / "stat") or "").rpartition(")")[2].split()


def _fields(text: str) -> Iterator[tuple[str, str, str]]:
    return (line.partition(":") for line in text.splitlines() if ":" in line)


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
