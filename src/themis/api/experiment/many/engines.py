"""Engines: who has workers, and sees that pieces of work are done by them.

An engine schedules, and knows nothing of what is true: that stands in the store. So it may do a piece of work twice, on
two workers at once, or lose what came of it; it must only not stop before each has been tried. Another engine is a
class with the method of `WorkEngine`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import attrs

from themis.api.experiment.many.work import Task, Worked, work_on
from themis.pure.errors import SpecError, ThemisError, nearest
from themis.pure.security import redact


@runtime_checkable
class WorkEngine(Protocol):
    """Has workers that work on the segments of a run."""

    def work(self, task: Task, segments: Sequence[int], stopped: threading.Event) -> Iterator[Worked]:
        """Have every one of these segments worked on, by `themis.engines.work_on`, at least once.

        Args:
            task: what workers are told; it can be pickled, and written as JSON.
            segments: the numbers of the segments that are not done.
            stopped: is set when the work is to be given up: the iterator tells the workers, and ends.

        Yields:
            What workers came to, as soon as they did.

        Raises:
            WorkFailedError: a worker could not go on, and no other one could. One that died is no such failure.
        """


class WorkFailedError(ThemisError):
    """A worker could not go on, for a reason that holds for all: its message says which."""


def processors() -> int:
    """Return how many processors this machine has."""
    return os.cpu_count() or 1


def at_least_one(_: object, field: attrs.Attribute[int], value: int) -> None:
    """Refuse fewer than one worker."""
    if value < 1:
        raise SpecError(f"{field.name}: at least 1 expected, found {value}")


_SHOWN: Final = 2_000
_LOOK_S: Final = 0.2
_RESTARTS: Final = 3


@attrs.frozen
class Processes:
    """Worker processes on this machine.

    Args:
        workers: how many; by default as many as there are processors.
    """

    workers: int = attrs.field(factory=processors, validator=at_least_one)

    def work(self, task: Task, segments: Sequence[int], stopped: threading.Event) -> Iterator[Worked]:
        """Start the workers; one that is killed is started again, a few times, while there is something to do."""
        ended = _Ended()
        running = {_started(task, ended) for _ in range(min(self.workers, len(segments)))}
        restarts = _RESTARTS * self.workers
        try:
            while running and not stopped.is_set():
                with contextlib.suppress(queue.Empty):
                    process, out, err = ended.get(timeout=_LOOK_S)
                    running.remove(process)
                    if process.returncode == 0:
                        yield Worked.from_dict(json.loads(out))
                    elif process.returncode > 0:
                        raise WorkFailedError(redact(err.strip()[-_SHOWN:] or f"exit code {process.returncode}"))
                    elif restarts:
                        restarts -= 1
                        running.add(_started(task, ended))
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


_one_at_a_time: Final = threading.Lock()


def segment_done(task: Mapping[str, Any], segment: int) -> dict[str, Any]:
    """Work on one segment, on a worker; what it came to, or why not, goes back as plain data.

    One is worked on at a time in each process: modules of the experiment are imported while it goes on, and
    a run makes its calls side by side in one thread.
    """
    with _one_at_a_time:
        try:
            return work_on(Task.from_dict(task), segment).to_dict()
        except ThemisError as error:
            return {"refused": redact(str(error))}


def worked_of(said: Mapping[str, Any]) -> Worked:
    """Return what `segment_done` said that a segment came to.

    Raises:
        WorkFailedError: the worker could not go on.
    """
    if "refused" in said:
        raise WorkFailedError(said["refused"])
    return Worked.from_dict(said)


_Process: TypeAlias = subprocess.Popen[str]
_Ended: TypeAlias = queue.SimpleQueue[tuple[_Process, str, str]]


def _started(task: Task, ended: _Ended) -> _Process:
    process = subprocess.Popen(
        [sys.executable, "-m", "themis.api.experiment.many.worker_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(task.to_dict()) + "\n")
    process.stdin.flush()  # and it stays open: a worker whose engine is gone ends, too

    threading.Thread(target=_awaited, args=(process, ended), daemon=True).start()
    return process


def _awaited(process: _Process, ended: _Ended) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[str] = []
    errors = threading.Thread(target=lambda read: said.append(read()), args=(process.stderr.read,), daemon=True)
    errors.start()
    out = process.stdout.read()
    errors.join()
    process.wait()
    ended.put((process, out, "".join(said)))


EngineName = Literal["processes", "dask", "ray"]
ENGINES: Final[tuple[EngineName, ...]] = get_args(EngineName)


def engine_named(name: str, *, workers: int | None = None, address: str | None = None) -> WorkEngine:
    """Return the engine of a name.

    Args:
        name: `processes`, `dask` or `ray`.
        workers: how many workers it starts; by default as many as there are processors.
        address: of a cluster that runs already, which has workers of its own.

    Raises:
        SpecError: there is no such engine, or it takes no address.
        MissingExtraError: what it needs is not installed.
    """
    given: dict[str, int] = {"workers": workers} if workers is not None else {}
    if name == "processes":
        if address is not None:
            raise SpecError("engine 'processes' starts workers on this machine, and takes no address")
        return Processes(**given)
    if name == "dask":
        from themis.api.experiment.many.dask_engine import Dask

        return Dask(address=address, **given)
    if name == "ray":
        from themis.api.experiment.many.ray_engine import Ray

        return Ray(address=address, **given)
    raise SpecError(f"no engine {name!r}; {nearest(name, ENGINES)}")
