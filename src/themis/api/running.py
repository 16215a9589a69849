"""Carrying a snapshot out: checks before paying, the existing run's policy, the engine, and the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import trio

from themis.api.results import RunResult
from themis.api.storage import open_store
from themis.effects.engine import Engine, EngineOptions, Progress, Replay
from themis.effects.sandboxes import open_sandbox
from themis.pure.calls import CallFailed, FailureKind
from themis.pure.errors import RunExistsError, SpecError, listed
from themis.pure.plan import UntilStage, make_plan
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.roster import Roster, metric_family


async def run_snapshot(
    snapshot: RunSnapshot,
    roster: Roster,
    *,
    until_stage: UntilStage = "judge",
    storage: StorageConfig,
    store: RunStore | None = None,
    runtime: RuntimeConfig,
    subscribers: Sequence[object] = (),
    tracing: TracingProvider | None = None,
    progress: Progress | None = None,
    offline: bool = False,
    replay: Replay | None = None,
) -> RunResult:
    """Carry a run out and return its result.

    A run that its budget ends early returns a result of status `failed`, which says so; running again with a
    larger budget goes on from there.

    Raises:
        SpecError: a component lacks something it needs; every problem at once, before the first call.
        RunExistsError: the run is stored, and the policy is `error`.
        CallFailed: the endpoint refuses every call.
    """
    plan = make_plan(snapshot, until_stage)
    # A replay may have all its results stored; what is not there comes out as an error of its case.
    executes = not offline and until_stage in ("score", "judge")
    check_components(roster, offline=offline, executes=executes)
    opened = store if store is not None else open_store(storage)
    opened.initialize()
    # Large datasets take a while to store; the event loop must not stand still meanwhile.
    await trio.to_thread.run_sync(_prepare, opened, snapshot, runtime.existing_run_policy)
    try:
        options = EngineOptions(
            runtime=runtime,
            subscribers=subscribers,
            tracing=tracing,
            progress=progress or Progress(),
            offline=offline,
            reuse=runtime.existing_run_policy != "rerun",
            replay=replay,
        )
        async with AsyncExitStack() as sessions:
            for component in roster.all():
                if hasattr(component, "session"):
                    await sessions.enter_async_context(component.session())
            await Engine(snapshot, roster, opened, options, plan).run()
    except CallFailed as error:
        if error.failure.kind is not FailureKind.BUDGET:
            raise
    finally:
        opened.release(snapshot.run_id)
        await close_components(roster)
    return RunResult(snapshot=snapshot, store=opened)


def _prepare(store: RunStore, snapshot: RunSnapshot, policy: str) -> None:
    run_id = snapshot.run_id
    store.acquire(run_id)
    try:
        if store.head(run_id).count > 0:
            _apply_policy(store, run_id, policy)
        store.persist_snapshot(snapshot)
    except BaseException:
        store.release(run_id)
        raise


def _apply_policy(store: RunStore, run_id: str, policy: str) -> None:
    if policy == "error":
        raise RunExistsError(
            f"run {run_id} is stored in {store.location} already, and existing_run_policy is 'error'; "
            "use 'auto' to resume or reuse it, or 'rerun' to clear it and start over"
        )
    if policy == "rerun":
        store.clear_run(run_id)


def check_components(roster: Roster, *, offline: bool = False, executes: bool = False) -> None:
    """Ask every component what it lacks (a key, an extra, a program), and report all of it at once."""
    faults = [*_problems(roster, offline=offline), *(_sandbox_problems(roster) if executes else ())]
    if faults:
        raise SpecError(listed("the run can't start", faults))


def _problems(roster: Roster, *, offline: bool) -> Iterator[str]:
    callers = {id(roster.generator), *(id(judge) for judge in roster.judge_models)}
    for component in roster.all():
        check = getattr(component, "check", None)
        if check is None or (offline and id(component) in callers):
            continue
        for problem in check() or ():
            yield f"{component.component_id}: {problem}"


def _sandbox_problems(roster: Roster) -> Iterator[str]:
    """Yield what keeps programs from being run, where a metric runs any."""
    executing = [metric for metric in roster.metrics if metric_family(metric) == "execution"]
    if not executing:
        return
    languages = dict.fromkeys(name for metric in executing for name in getattr(metric, "sandbox_languages", ()))
    names = ", ".join(metric.component_id for metric in executing)
    try:
        problems = open_sandbox().check(tuple(languages))
    except SpecError as error:
        problems = (str(error),)
    for problem in problems:
        yield f"{names}: {problem}"


async def close_components(roster: Roster) -> None:
    """Close what components hold open, such as HTTP clients."""
    with trio.CancelScope(shield=True):
        for component in roster.all():
            close: Any = getattr(component, "aclose", None)
            if close is not None:
                await close()
