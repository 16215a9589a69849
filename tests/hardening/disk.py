"""What a disk may hold after the power failed, from what a process wrote and synced, as `strace` saw it.

POSIX promises little: of a file, what was written before its last `fsync`; of a folder's names, those that were there
at its last `fsync`. Of what was written since, any part may be there: writes in any order, each whole, missing, or torn
at the border of a sector; names in order, as file systems with a journal keep them, up to any of them.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs

SECTOR: Final = 512
TRACED: Final = (
    "openat,mkdir,write,pwrite64,fsync,fdatasync,ftruncate,rename,unlink,rmdir,lseek,"
    # None of these is expected, and none would be understood: they are traced so as to be refused.
    "open,creat,mkdirat,writev,pwritev,pwritev2,truncate,fallocate,renameat,renameat2,unlinkat,link,linkat,symlink,"
    "sync_file_range,copy_file_range,sendfile"
)
_CALL: Final = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_OPEN: Final = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")


@attrs.define
class Inode:
    """A file's content, as the writes that made it; the first `synced` of them are on the disk."""

    writes: list[tuple[int, bytes | None]] = attrs.field(factory=list)
    """Where and what; `None` cuts the file off there."""
    synced: int = 0

    def content(self, rng: random.Random, part: float) -> bytes:
        content = bytearray()
        for number, (offset, data) in enumerate(self.writes):
            if number < self.synced or rng.random() < part:
                _apply(content, offset, data)
            elif data is not None and rng.random() < part:
                for start in range(0, len(data), SECTOR):
                    if rng.random() < 0.5:
                        _apply(content, offset + start, data[start : start + SECTOR])
        return bytes(content)

    @property
    def size(self) -> int:
        content = bytearray()
        for offset, data in self.writes:
            _apply(content, offset, data)
        return len(content)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


@attrs.define
class Naming:
    """A change of names: a file or a folder appears, is renamed, or goes."""

    path: str
    inode: Inode | None = None
    to: str | None = None
    is_gone: bool = False
    is_synced: bool = False

    def folders(self) -> set[str]:
        return {path.rpartition("/")[0] for path in (self.path, self.to) if path is not None}

    def apply(self, names: dict[str, Inode | None]) -> None:
        """Change the names as far as what was there before is there."""
        if self.is_gone:
            names.pop(self.path, None)
        elif self.to is not None:
            for name in [name for name in names if name == self.path or name.startswith(f"{self.path}/")]:
                names[self.to + name.removeprefix(self.path)] = names.pop(name)
        elif self.path.rpartition("/")[0] in names:
            names[self.path] = self.inode


Call: TypeAlias = tuple[str, str, int]


def calls(trace: Path) -> Iterator[Call]:
    """Yield what succeeded: its name, what it was given, and its result; a sync when it ended, all else as it began."""
    begun: dict[str, tuple[str, int]] = {}
    found: list[tuple[int, Call]] = []
    for number, line in enumerate(trace.read_text(encoding="ascii").splitlines()):
        pid, _, said = line.partition(" ")
        if said.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>"), number
            continue
        start = number
        if "resumed>" in said:
            first, start = begun.pop(pid)
            line = first + said.partition("resumed>")[2]
        call = _CALL.match(line)
        if call is not None and int(call[4]) >= 0:
            place = number if "sync" in call[2] else start
            found.append((place, (call[2], call[3], int(call[4]))))
    return (call for _, call in sorted(found, key=lambda pair: pair[0]))


def written(call: Call, path: Path) -> bytes:
    """Return what a call wrote into a file; nothing if it did something else."""
    name, given, _ = call
    opened, text = _OPEN.match(given), _TEXT.search(given)
    is_it = name == "write" and opened is not None and _decoded(opened[2]) == os.fsencode(path)
    return _decoded(text[1]) if is_it and text is not None else b""


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@attrs.define
class Disk:
    """A folder on a disk; `see` every call, and take an `image` of what a loss of power at that moment may leave."""

    root: str
    live: dict[str, Inode | None] = attrs.field(factory=dict)
    namings: list[Naming] = attrs.field(factory=list)
    places: dict[str, int] = attrs.field(factory=dict)
    """Where each descriptor stands in its file."""

    def __attrs_post_init__(self) -> None:
        self.live[self.root] = None

    def see(self, call: Call) -> bool:
        """Take a call in; tell whether it had to do with this folder."""
        name, given, result = call
        opened = _OPEN.match(given)
        where = _decoded(opened[2]).decode() if opened is not None else ""
        is_here = opened is not None and not opened[3] and self._is_here(where)
        if name in _ON_OPEN:
            if opened is not None and is_here:
                self._on_open(name, opened[1], where, given, result)
            return is_here
        assert not is_here, f"{name} is not understood"
        paths = [_decoded(text).decode(errors="replace") for text in _TEXT.findall(given)[:2]]
        if not paths or not self._is_here(paths[0]):
            return False
        self._on_names(name, paths, given, result)
        return True

    def _is_here(self, path: str) -> bool:
        return path.startswith(f"{self.root}/") or path == self.root

    def _on_open(self, name: str, number: str, where: str, given: str, result: int) -> None:
        inode = self.live[where]
        if "sync" in name:
            if inode is not None:
                inode.synced = len(inode.writes)
            for naming in self.namings:
                naming.is_synced |= where in naming.folders()
            return
        assert inode is not None
        if name == "lseek":
            self.places[number] = result
        elif name == "ftruncate":
            inode.writes.append((int(given.rpartition(", ")[2]), None))
        else:
            text = _TEXT.search(given)
            assert text is not None
            data = _decoded(text[1])[:result]
            at = int(given.rpartition(", ")[2]) if name == "pwrite64" else self.places[number]
            inode.writes.append((at, data))
            if name == "write":
                self.places[number] = at + result

    def _on_names(self, name: str, paths: Sequence[str], given: str, result: int) -> None:
        if name == "openat":
            inode = self.live.get(paths[0])
            if inode is None and "O_CREAT" in given:
                inode = Inode()
                self._name(Naming(paths[0], inode))
            if inode is not None and "O_TRUNC" in given:
                inode.writes.append((0, None))
            self.places[str(result)] = inode.size if inode is not None and "O_APPEND" in given else 0
        elif name == "mkdir":
            self._name(Naming(paths[0]))
        elif name == "rename":
            self._name(Naming(paths[0], to=paths[1]))
        elif name in ("unlink", "rmdir"):
            self._name(Naming(paths[0], is_gone=True))
        else:
            raise AssertionError(f"{name} is not understood")

    def _name(self, naming: Naming) -> None:
        naming.apply(self.live)
        self.namings.append(naming)

    def image(self, rng: random.Random, target: Path) -> None:
        """Write what may be left now.

        Args:
            rng: what is left of what was not synced.
            target: a new folder.
        """
        part = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])
        pending = [naming for naming in self.namings if not naming.is_synced]
        kept = {id(naming) for naming in pending[: round(len(pending) * rng.choice([0.0, rng.random(), 1.0]))]}
        names: dict[str, Inode | None] = {self.root: None}
        for naming in self.namings:
            if naming.is_synced or id(naming) in kept:
                naming.apply(names)
        for name, inode in sorted(names.items()):
            path = Path(str(target) + name.removeprefix(self.root))
            if inode is None:
                path.mkdir()
            else:
                path.write_bytes(inode.content(rng, part))


_ON_OPEN: Final = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "lseek")
