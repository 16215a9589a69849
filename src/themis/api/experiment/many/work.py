"""What one worker does: it claims segments of a run, does their cases, and ends the run if it was the last.

A worker needs the store's place and the run's id; everything else it finds in the store, and its credentials in its own
environment.
"""

from __future__ import annotations

import contextlib
import functools
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

import attrs
import trio

from themis.api.experiment.many.manifest import experiment_of, read_manifest, refuse_other_code
from themis.api.experiment.run import check_worker, close_components, opened_session, price_of
from themis.api.stores import open_existing
from themis.effects.calls import CallRuntime, budget_of, limits_of
from themis.effects.engine import Engine, has_others, root_cause
from themis.effects.host import run_anywhere
from themis.effects.options import Progress, RunOptions
from themis.effects.segments import SegmentChain, claimed, end
from themis.effects.shared_limits import SharedLimits
from themis.pure.abilities import Components
from themis.pure.errors import SpecError
from themis.pure.events import RunCompletedEvent, RunEvent
from themis.pure.plan import RunPlan, make_plan, total_cases
from themis.pure.protocols import DividedStore, RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.fields import sequence
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.segments import Division

_LOOK_AGAIN_S: Final = 0.5
"""Seconds until a worker that finds all that is left in others' hands looks whether one of them has died."""


@attrs.frozen(kw_only=True)
class Task(HashableModel):
    """What a worker is told: which run, and where it is kept. It can be sent anywhere, and holds no secret."""

    run_id: str
    storage: StorageConfig


@attrs.frozen(kw_only=True)
class Worked(HashableModel):
    """What a worker did.

    Attributes:
        segments: those that it finished.
        cases: how many cases they have.
        failed: how many of those that it did itself have an error.
        ended: it was the one that ended the run.
    """

    segments: tuple[int, ...] = attrs.field(default=(), converter=sequence)
    cases: int = 0
    failed: int = 0
    ended: bool = False


def divided_store(store: RunStore) -> DividedStore:
    """Return a store that many processes can write one run in.

    Raises:
        SpecError: it is none.
    """
    if not isinstance(store, DividedStore):
        raise SpecError(
            f"storage: one run by many workers needs a store on a server, and {store.location} is none; "
            "use postgres: --store postgresql://HOST/NAME"
        )
    return store


def open_runs(storage: StorageConfig) -> list[str]:
    """Return the runs of a store that were begun in segments and are not ended, the longest waiting first."""
    with contextlib.closing(open_existing(storage)) as opened:
        return list(divided_store(opened).open_runs())


def work_on(task: Task, segment: int | None = None, progress: Progress | None = None) -> Worked:
    """Work on a run until nothing is left of it, or on one segment of it until that is done.

    What another living worker does is waited for, for it may die; what a dead one left undone is done here. It is safe
    to call this at any time, by any number of workers.

    Args:
        task: the run, and its store.
        segment: this segment alone.
        progress: counted up as cases finish.

    Raises:
        SpecError: the store is not one for many workers, or this worker's code is not that of the run; each component
            that differs is named, and nothing was asked of a model.
        CallFailed: the endpoint refuses every call.
        StoreError: the store can't be reached, or this worker was taken for dead and another has its segment.
    """
    with contextlib.closing(open_existing(task.storage)) as opened:
        store = divided_store(opened)
        manifest_text = store.manifest(task.run_id)
        if manifest_text is None:
            return Worked()
        manifest = read_manifest(manifest_text)
        with experiment_of(manifest) as experiment:
            snapshot, components = store.load_snapshot(task.run_id), experiment.components()
            refuse_other_code(snapshot, components)
            check_worker(components, until_stage=manifest.until_stage)
            worker = Worker(
                store=store,
                snapshot=snapshot,
                components=components,
                runtime=experiment.runtime,
                plan=make_plan(snapshot, manifest.until_stage),
                progress=progress or Progress(),
            )
            return run_anywhere(functools.partial(worker.work, segment))


@attrs.define(kw_only=True)
class Worker:
    """A worker with all that it needs at hand.

    Args:
        store: where the run is; no other worker uses this object.
        snapshot: the run's.
        components: the run's, of this process.
        runtime: limits, retries, timeouts.
        plan: the run's shape, up to the stage that is the last.
        progress: counted up as cases finish.
    """

    store: DividedStore
    snapshot: RunSnapshot
    components: Components
    runtime: RuntimeConfig
    plan: RunPlan
    progress: Progress

    async def work(self, wanted: int | None = None) -> Worked:
        """Work until nothing is left of the run, or on one segment until that is done."""
        run_id, runtime = self.snapshot.run_id, self.runtime
        size = self.store.segment_size(run_id)
        assert size is not None  # a run with a manifest is divided
        division = Division(cases=total_cases(self.snapshot), size=size)
        options = RunOptions(runtime=runtime, storage=StorageConfig(), store=self.store, progress=self.progress)
        finished: list[int] = []
        await trio.to_thread.run_sync(self.store.join, run_id)
        try:
            async with AsyncExitStack() as sessions:
                for component in self.components:
                    if component.session is not None:
                        await opened_session(component.component_id, component.session(), sessions)
                price = price_of(runtime, self.components)
                shared = SharedLimits(self.store, run_id, limits_of(runtime), functools.partial(budget_of, runtime))
                await sessions.enter_async_context(shared.kept())
                calls = CallRuntime.from_config(runtime, price=price, tell_wait=self.progress.wait, shared=shared)
                recalls = runtime.existing_run_policy != "rerun" and has_others(self.store, run_id)
                while (segment := await claimed(self.store, run_id, wanted, _LOOK_AGAIN_S)) is not None:
                    chain = SegmentChain(self.store, run_id, segment, division[segment.number])
                    engine = Engine(
                        self.snapshot, self.components, self.store, options, self.plan, calls, chain, recalls=recalls
                    )
                    await engine.run()
                    await trio.to_thread.run_sync(self.store.finish, run_id, segment.number, chain.head())
                    finished.append(segment.number)
            ended = await trio.to_thread.run_sync(functools.partial(end_run, self.store, run_id, self.plan.until_stage))
        except BaseExceptionGroup as group:
            raise root_cause(group) from None
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self.store.leave, run_id)
            await close_components(self.components)
        return Worked(
            segments=finished,
            cases=sum(len(division[number]) for number in finished),
            failed=self.progress.failed,
            ended=ended,
        )


def end_run(store: DividedStore, run_id: str, until_stage: str) -> bool:
    """End a run all of whose segments are done, unless somebody has; tell whether this call did."""

    def ending(count: int) -> RunEvent:
        return RunCompletedEvent(
            run_id=run_id, occurred_at=datetime.now(UTC), completed_through_stage=until_stage, event_count=count
        )

    return end(store, run_id, ending, done=True)
