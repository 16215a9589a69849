"""A queue in a folder, shared by processes of one host: one process at a time claims a manifest, and may die of it.

    <root>/pending/<name>.json    waiting, or claimed by the process that holds the lock on <name>.lock
    <root>/done/<name>.json       worked off; its outcome is beside it in <name>.outcome.json
    <root>/failed/<name>.json     given up; why is beside it

A claim is an advisory lock of the operating system, which frees it the moment its holder dies: there is nothing
to time out and nothing to clean up, and the next worker takes the manifest over. A manifest that was claimed a few
times and never finished takes its workers down with it, and is given up. Nothing here knows what a manifest says.

Locks of this kind do not reach over network file systems: the queue is for the processes of one host.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import attrs
import portalocker

from themis.effects.files import whole_file
from themis.effects.stores.locks import take
from themis.pure.errors import StoreError

MOST_CLAIMS: Final = 3
"""So often may a manifest be claimed without being finished: then its workers seem to die of it."""

_NAME: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


@attrs.frozen
class FolderQueue:
    """A queue of manifests.

    Args:
        root: the folder; made when something is put into it.
    """

    root: Path = attrs.field(converter=Path)

    @property
    def pending(self) -> Path:
        return self.root / "pending"

    def put(self, name: str, text: str) -> Path:
        """Put a manifest into the queue, in place of one of the same name; readers see it whole or not at all.

        Raises:
            StoreError: the folder can't be written.
        """
        if not _NAME.match(name):
            raise StoreError(f"{name!r} can't name a manifest; letters, digits, '.', '_' and '-' can")
        path = self.pending / f"{name}.json"
        try:
            self.pending.mkdir(parents=True, exist_ok=True)
            for folder in ("done", "failed"):
                for ending in (".json", ".outcome.json"):
                    (self.root / folder / f"{name}{ending}").unlink(missing_ok=True)
            _write(path, text)
        except OSError as error:
            raise StoreError(f"{self.root}: the queue can't be written: {error}") from error
        return path

    def names(self, state: str = "pending") -> list[str]:
        """Return the names of manifests, the longest waiting first.

        Args:
            state: `pending`, `done` or `failed`.
        """
        folder = self.root / state
        if not folder.is_dir():
            return []
        found = []
        for path in folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # finished meanwhile
                if not path.name.endswith(".outcome.json"):
                    found.append((path.stat().st_mtime_ns, path.stem))
        return [name for _, name in sorted(found)]

    def claim(self) -> Claim | None:
        """Return a claim on a waiting manifest that nobody else holds, or `None`."""
        for name in self.names():
            claim = self.claim_named(name)
            if claim is not None:
                return claim
        return None

    def claim_named(self, name: str) -> Claim | None:
        """Return a claim on a manifest, or `None` if it does not wait or another holds it."""
        path, lock = self.pending / f"{name}.json", self.root / f"{name}.lock"
        if not path.exists():
            return None
        file = _locked(lock)
        if file is None:
            return None
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:  # finished between the listing and the lock
            lock.unlink(missing_ok=True)
            file.close()
            return None
        file.seek(0)
        claims = len(file.read().splitlines())
        claim = Claim(queue=self, name=name, text=text, file=file)
        if claims >= MOST_CLAIMS:
            claim.fail(f"claimed {claims} times and never finished: its workers died; submit it again to retry")
            return None
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        return claim

    def outcome(self, name: str) -> str | None:
        """Return the outcome of a manifest that is done or failed."""
        for folder in ("done", "failed"):
            with contextlib.suppress(FileNotFoundError):
                return (self.root / folder / f"{name}.outcome.json").read_text(encoding="utf-8")
        return None


@attrs.define
class Claim:
    """A manifest that this process alone works on, until it finishes it, gives it up or dies.

    Attributes:
        name: the manifest's name.
        text: what it says.
    """

    queue: FolderQueue
    name: str
    text: str
    file: IO[str]

    def finish(self, outcome: str) -> None:
        self._move("done", outcome)

    def fail(self, outcome: str) -> None:
        self._move("failed", outcome)

    def release(self) -> None:
        """Give the claim up; the manifest waits on, as if it had not been claimed."""
        self.file.truncate(0)
        self.file.close()

    def _move(self, state: str, outcome: str) -> None:
        folder = self.queue.root / state
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{self.name}.outcome.json", outcome)
        (self.queue.pending / f"{self.name}.json").replace(folder / f"{self.name}.json")
        (self.queue.root / f"{self.name}.lock").unlink(missing_ok=True)
        self.file.close()


def _locked(path: Path) -> IO[str] | None:
    """Open and lock a file; `None` if another process holds it, or its holder finished and removed it meanwhile."""
    try:
        return take(path)
    except portalocker.exceptions.AlreadyLocked:
        return None


def _write(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(text.encode())


def lock_holders(queue: FolderQueue) -> Iterator[tuple[str, str]]:
    """Yield the manifests that are claimed right now, each with its holder."""
    for name in queue.names():
        path = queue.root / f"{name}.lock"
        if not path.exists():
            continue
        file = _locked(path)
        if file is not None:
            file.close()
            continue
        with contextlib.suppress(OSError, IndexError):
            yield name, path.read_text(encoding="utf-8").splitlines()[-1]
