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


def is_walled_in(pid: int, folder: str) -> bool:
    """Tell whether a process sees the world that is made for it, in which alone there is such a folder."""
    return _device(f"{_PROC}/{pid}/root{folder}") is not None


def held_by_files(pid: int, folders: Iterable[str]) -> int:
    """Return the bytes of memory that file systems in memory hold: contents, and the kernel's record of each file.

    Args:
        pid: a process that sees the folders.
        folders: where they are mounted, as it sees them.
    """
    total = 0
    for folder in folders:
        inside = f"{_PROC}/{pid}/root{folder}"
        try:
            if _device(inside) == _device(folder):
                continue  # it still sees this machine's, for it is only being walled in
            found = os.statvfs(inside)
        except OSError:
            continue
        total += (found.f_blocks - found.f_bfree) * found.f_frsize + (found.f_files - found.f_ffree) * _FILE
    return total


def _device(path: str) -> int | None:
    try:
        return os.stat(path).st_dev  # noqa: PTH116  # many times a second
    except FileNotFoundError:
        return None


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
