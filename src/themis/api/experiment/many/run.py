"""Running an experiment by many workers: divide it, begin, have an engine work, and end it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import trio

from themis.api.experiment.many.engines import ENGINES, WorkEngine, WorkFailedError, engine_named
from themis.api.experiment.many.manifest import RunManifest, manifest_of, text_of
from themis.api.experiment.many.work import Task, divided_store, end_run
from themis.api.experiment.run import check_run, kept_in, noted, prepare, price_of, spent_before
from themis.api.progress import shown
from themis.api.runs.result import RunResult
from themis.api.stores import make_store
from themis.effects.engine import root_cause, run_started
from themis.effects.options import Progress, RunOptions
from themis.effects.segments import begin, divide, end
from themis.effects.stores.base import EventStore
from themis.pure.abilities import Components
from themis.pure.errors import SpecError, StoreError, listed
from themis.pure.events import RunEvent, RunFailedEvent
from themis.pure.plan import total_cases
from themis.pure.protocols import DividedStore
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.segments import MOST_SEGMENTS, Division

if TYPE_CHECKING:
    from themis._stages import UntilStage
    from themis.api.experiment.experiment import Experiment

_MOST_CASES: Final = 2_000
_LEAST_SEGMENTS: Final = 32
"""A segment has at most so many cases, and a run at least so many segments, where it has the cases."""
_COUNT_S: Final = 1.0
_PASSES: Final = 3
"""So often may an engine come back without a single segment done before the run is given up."""


def usual_size(cases: int) -> int:
    """Return how many cases a segment has unless another number is asked for.

    >>> usual_size(100), usual_size(10_000), usual_size(1_000_000), usual_size(100_000_000)
    (4, 313, 2000, 6104)
    """
    least = -(-cases // MOST_SEGMENTS)
    return max(1, least, min(_MOST_CASES, -(-cases // _LEAST_SEGMENTS)))


async def run_experiment(
    experiment: Experiment,
    snapshot: RunSnapshot,
    components: Components,
    options: RunOptions,
    engine: WorkEngine | str,
    *,
    until_stage: UntilStage = "judge",
    segment_size: int | None = None,
    modules: Path | None = None,
) -> RunResult:
    """Run an experiment, which compiles to this snapshot, by an engine; arguments as for `run_by_many`."""
    chosen = engine_named(engine) if isinstance(engine, str) else engine
    if not isinstance(chosen, WorkEngine):
        raise SpecError(f"engine: one of themis.engines, or {', '.join(ENGINES)}, expected; found {engine!r}")
    manifest = manifest_of(experiment.evolve(runtime=options.runtime), until_stage, modules)
    return await run_by_many(snapshot, components, options, manifest, chosen, segment_size)


async def run_by_many(
    snapshot: RunSnapshot,
    components: Components,
    options: RunOptions,
    manifest: RunManifest,
    engine: WorkEngine,
    segment_size: int | None = None,
) -> RunResult:
    """Run a snapshot by an engine's workers and return the result, which is that of a run by one process.

    Args:
        snapshot: what to run.
        components: its components, which are checked here before anything is begun.
        options: how; limits hold for all workers together.
        manifest: what the workers need.
        engine: who has them.
        segment_size: how many cases a segment has, if the run is not divided already.

    Raises:
        SpecError: it can't be run so; every problem at once.
        WorkFailedError: no worker could go on.
    """
    begun = await _begun(snapshot, components, options, manifest, segment_size)
    store, run_id = begun.store, begun.snapshot.run_id
    try:
        coordinator = _Coordinator(
            store=store,
            task=Task(run_id=run_id, storage=options.storage),
            engine=engine,
            progress=options.progress,
            division=begun.division,
        )
        with shown(options.progress) if options.runtime.progress else contextlib.nullcontext():
            await coordinator.run()
        await trio.to_thread.run_sync(end_run, store, run_id, manifest.until_stage)
    except BaseException as error:
        failed = functools.partial(_failed, run_id, error)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(functools.partial(end, store, run_id, failed, done=False))
        raise
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.leave, run_id)
    return RunResult(snapshot=begun.snapshot, store=store, end=store.head(run_id))


@attrs.frozen
class _Begun:
    store: DividedStore
    snapshot: RunSnapshot
    division: Division


async def _begun(
    snapshot: RunSnapshot,
    components: Components,
    options: RunOptions,
    manifest: RunManifest,
    segment_size: int | None,
) -> _Begun:
    """Begin an attempt at a run in its store, and join it; everything is checked before."""
    runtime = options.runtime
    faults = list(_faults(snapshot, options))
    if faults:
        raise SpecError(listed("the run can't be run by many workers", faults))
    snapshot = noted(snapshot, check_run(snapshot, components, runtime, manifest.until_stage))
    store = divided_store(options.store if options.store is not None else make_store(options.storage))
    if options.store is not None:
        snapshot = kept_in(snapshot, options.store)
    store.initialize()
    run_id, cases = snapshot.run_id, total_cases(snapshot)
    size = segment_size if segment_size is not None else usual_size(cases)
    await trio.to_thread.run_sync(prepare, store, snapshot, runtime.existing_run_policy)
    try:
        division = await trio.to_thread.run_sync(divide, store, run_id, cases, size, datetime.now(UTC))
        spent = await trio.to_thread.run_sync(_spent, store, snapshot, components, runtime)
        await trio.to_thread.run_sync(store.set_spending, run_id, spent)
    finally:
        store.release(run_id)
    await trio.to_thread.run_sync(store.join, run_id)
    try:
        started = run_started(store, run_id, options.labels)
        await trio.to_thread.run_sync(begin, store, run_id, text_of(manifest), started)
    except BaseException:
        store.leave(run_id)
        raise
    return _Begun(store, snapshot, division)


async def submit_to_store(
    experiment: Experiment,
    *,
    until_stage: UntilStage = "judge",
    segment_size: int | None = None,
    modules: Path | None = None,
) -> RunSnapshot:
    """Begin an experiment in its store, for whichever workers come, and return what was begun.

    Raises:
        SpecError: it can't be run so; every problem at once.
    """
    components = experiment.components()
    options = RunOptions(runtime=experiment.runtime, storage=experiment.storage, labels=experiment.labels)
    manifest = manifest_of(experiment, until_stage, modules)
    begun = await _begun(experiment.compile_with(components), components, options, manifest, segment_size)
    await trio.to_thread.run_sync(begun.store.close)
    return begun.snapshot


def _spent(
    store: DividedStore, snapshot: RunSnapshot, components: Components, runtime: RuntimeConfig
) -> dict[str, tuple[int, float]]:
    """Return what earlier attempts used, by stage: tokens and US dollars."""
    spent: dict[str, tuple[int, float]] = {}
    for row in spent_before(store, snapshot, runtime, price_of(runtime, components)):
        tokens, cost = spent.get(row.stage, (0, 0.0))
        spent[row.stage] = tokens + row.total_tokens, cost + (row.cost or 0.0)
    return spent


def _faults(snapshot: RunSnapshot, options: RunOptions) -> Iterator[str]:
    """Yield why many workers can't run a snapshot."""
    if snapshot.identity.until is not None:
        yield "until: a rule that may end the run early looks at its scores in order, which takes one process"
    if options.runtime.generation_mode == "batch":
        yield "runtime.generation_mode: a batch asks for all cases at once, which takes one process"
    if options.subscribers:
        yield "subscribers: they hear what happens in their own process; read the store's events afterwards"
    if isinstance(options.store, EventStore) and options.store.storage.store != options.storage.store:
        yield "store: workers open it themselves: give its place, store='postgresql://...', and not an open store"
    if options.tracing is not None:
        yield "tracing_provider: it takes the spans of its own process; set up tracing in the workers"


def _failed(run_id: str, error: BaseException, _count: int) -> RunEvent:
    interrupted = isinstance(error, KeyboardInterrupt | trio.Cancelled)
    message = "interrupted" if interrupted else str(error) or type(error).__name__
    return RunFailedEvent(run_id=run_id, occurred_at=datetime.now(UTC), error_message=message)


@attrs.define(kw_only=True)
class _Coordinator:
    """Sees that an engine works until all is done, and counts how far it is."""

    store: DividedStore
    task: Task
    engine: WorkEngine
    progress: Progress
    division: Division
    stopped: threading.Event = attrs.field(factory=threading.Event, init=False)

    async def run(self) -> None:
        self.progress.total = self.division.cases
        done = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._work, done)
                nursery.start_soon(self._count)
                try:
                    await done.wait()
                except BaseException:
                    self.stopped.set()
                    raise
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise root_cause(group) from None

    async def _work(self, done: trio.Event) -> None:
        # Shielded: who stops the run waits until the workers have heard of it.
        with trio.CancelScope(shield=True):
            try:
                await trio.to_thread.run_sync(self._pass_by_pass)
            finally:
                done.set()

    def _pass_by_pass(self) -> None:
        without_progress = 0
        while not self.stopped.is_set() and (left := self._left()):
            for worked in self.engine.work(self.task, left, self.stopped):
                self.progress.failed += worked.failed
            without_progress = 0 if len(self._left()) < len(left) else without_progress + 1
            if without_progress == _PASSES and not self.stopped.is_set():
                raise WorkFailedError(
                    f"run {self.task.run_id[:12]}: the engine's workers came back {_PASSES} times with nothing done of "
                    f"{len(left)} segments; look at what they say, and run again to go on"
                )

    def _left(self) -> list[int]:
        return [segment.number for segment in self.store.segments(self.task.run_id) if not segment.is_done]

    async def _count(self) -> None:
        while True:
            with contextlib.suppress(StoreError):
                segments = await trio.to_thread.run_sync(self.store.segments, self.task.run_id)
                done = sum(len(self.division[segment.number]) for segment in segments if segment.is_done)
                self.progress.done = max(self.progress.done, done)
            await trio.sleep(_COUNT_S)
