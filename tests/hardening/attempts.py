"""A run that is stopped and resumed, over and over, and what must be true of it then."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from tests.hardening.child import CALLS_MADE, MARK, Log, experiment, key_of, opened

from themis.api.experiment.verify import verify
from themis.effects.reading import read_events
from themis.effects.stores.base import EventStore
from themis.pure.records.config import StorageConfig

CHILD = Path(__file__).with_name("child.py")
os.environ.setdefault(MARK, f"27182818.{secrets.randbelow(10**9)}")
PATIENCE_S = 300.0
"""However loaded the machine is, nothing takes longer that is to end by itself."""


def until(holds: Callable[[], bool], what: str) -> float:
    """Wait; return how long that took, in seconds."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() > start + PATIENCE_S:
            pytest.fail(f"{what}, after {PATIENCE_S} s")
        time.sleep(0.002)
    return time.monotonic() - start


@attrs.define
class Attempts:
    """One run in a store, in as many processes as it takes.

    Attributes:
        folder: where the logs and the processes' temporary files go; a new one.
        storage: where the run is stored.
        size: of an answer, in characters.
        programs: whether there is a metric that runs programs.
        wrapped: what a process is started by, such as a tracer.
        again: calls that were made again, as a stop came before their answers were stored.
        longest_s: what was left of a process that was killed took as long to be gone.
    """

    folder: Path
    storage: StorageConfig
    size: int = 100
    programs: bool = True
    wrapped: tuple[str, ...] = ()
    number: int = 0
    again: int = 0
    longest_s: float = 0.0
    stored_by: dict[str, int] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        (self.folder / "tmp").mkdir(parents=True)

    def start(self) -> subprocess.Popen[str]:
        self.number += 1
        command = [*self.wrapped, sys.executable, str(CHILD), json.dumps(self.storage.to_dict()), str(self.folder)]
        more = {"TMPDIR": str(self.folder / "tmp"), "HARDENING_NO_PROGRAMS": "" if self.programs else "1"}
        return subprocess.Popen(
            [*command, str(self.number), str(self.size)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **more},
        )

    def to_the_end(self) -> str:
        """Run without a disturbance; return what came of it."""
        said, errors = self.start().communicate(timeout=10 * PATIENCE_S)
        assert said, errors
        return said

    def lines(self, name: str) -> list[tuple[int, str]]:
        path = self.folder / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        pairs = (line.split(" ", 1) for line in text.splitlines())
        return [(int(number), key) for number, key in pairs]

    def wait_for_calls(self, process: subprocess.Popen[str], count: int) -> None:
        """Wait until this attempt made so many calls, or ended."""
        mine = f"{self.number} "
        path = self.folder / "calls"

        def made() -> int:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            return sum(line.startswith(mine) for line in text.splitlines())

        until(lambda: made() >= count or process.poll() is not None, "no call was made")

    def kill(self, process: subprocess.Popen[str]) -> tuple[str, bool]:
        """Kill it; return what it said before, and whether it was killed."""
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        said, errors = process.communicate()
        killed = process.returncode == -signal.SIGKILL
        assert killed or process.returncode == 0, errors
        self.longest_s = max(self.longest_s, until(lambda: not self.left(), f"left behind: {self.left()}"))
        return said, killed

    def left(self) -> list[str]:
        """Return the command lines of living processes of this run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                line = (process / "cmdline").read_bytes()
                if line and (
                    os.environ[MARK].encode() in line or f"TMPDIR={self.folder}".encode() in _environment(process)
                ):
                    found.append(line.replace(b"\0", b" ").decode(errors="replace"))
        return found

    def look(self) -> None:
        """Read the store, which must be readable after any stop; note what is stored by now."""
        with opened(self.storage) as store:
            for summary in store.list_runs():
                _wait_for_lock(store, summary.run_id)
                for event in read_events(store, summary.run_id):
                    key = key_of(event)
                    if key is not None:
                        self.stored_by.setdefault(key, self.number)
        told = {key for _, key in self.lines("acknowledged")}
        assert told <= self.stored_by.keys(), "what was acknowledged is not stored"

    def check(self, said: str, undisturbed: str) -> None:
        """Hold the run, which ended, to what one without a disturbance does."""
        self.look()
        assert json.loads(said) == json.loads(undisturbed)
        calls: dict[str, list[int]] = defaultdict(list)
        for number, key in self.lines("calls"):
            calls[key].append(number)
        assert calls.keys() == self.stored_by.keys()
        assert len(calls) == (CALLS_MADE if self.programs else CALLS_MADE * 3 // 4)
        for key, numbers in calls.items():
            assert len(numbers) == len(set(numbers)), f"{key} was asked twice in one attempt"
            assert max(numbers) <= self.stored_by[key], f"{key} was asked again after it was stored"
        self.again += sum(map(len, calls.values())) - len(calls)
        made = experiment(Log(Path(os.devnull), ""), self.size, programs=self.programs)
        with opened(self.storage) as store:
            (summary,) = store.list_runs()
            found = verify(store, summary.run_id, experiment=made)
            assert found.ok, found
        assert list((self.folder / "tmp").iterdir()) == []


def _wait_for_lock(store: EventStore, run_id: str) -> None:
    until(lambda: not store._is_locked(run_id), "the run is locked still")


def _environment(process: Path) -> bytes:
    with suppress(OSError):
        return (process / "environ").read_bytes()
    return b""
