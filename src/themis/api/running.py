"""Carrying a snapshot out: checks before paying, the existing run's policy, the engine, and the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import attrs
import trio

from themis.api.runs.result import RunResult
from themis.api.storage import open_store
from themis.effects.calls import CallRuntime
from themis.effects.engine import Engine
from themis.effects.options import EngineOptions, Progress, Replay
from themis.effects.prices import budget_prices
from themis.effects.reading import read_events
from themis.effects.sandboxes import open_sandbox
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.calls import CallFailed, FailureKind
from themis.pure.errors import RunExistsError, SpecError, listed
from themis.pure.plan import RunPlan, UntilStage, make_plan
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.roster import Roster, metric_family
from themis.pure.usage import Price, UsageRow, run_costs


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
    check_batching(roster, runtime)
    price = budget_prices(runtime, _paid_models(roster))
    opened = store if store is not None else open_store(storage)
    opened.initialize()
    # Large datasets take a while to store; the event loop must not stand still meanwhile.
    await trio.to_thread.run_sync(_prepare, opened, snapshot, runtime.existing_run_policy)
    finished = False
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
            if runtime.generation_mode == "batch" and not offline:
                roster = await _batched(snapshot, roster, plan, opened, runtime)
            spent = await trio.to_thread.run_sync(_spent, opened, snapshot, price) if _has_budget(runtime) else ()
            calls = CallRuntime.from_config(runtime, price=price, spent=spent)
            await Engine(snapshot, roster, opened, options, plan, calls).run()
        finished = True
    except CallFailed as error:
        finished = error.failure.kind is FailureKind.BUDGET
        if not finished:
            raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_resume(snapshot.run_id, opened)) from None
    finally:
        opened.release(snapshot.run_id)
        await close_components(roster)
        if not finished and store is None:
            opened.close()  # nobody gets a result to close it by
    return RunResult(snapshot=snapshot, store=opened)


async def _batched(
    snapshot: RunSnapshot, roster: Roster, plan: RunPlan, store: RunStore, runtime: RuntimeConfig
) -> Roster:
    from themis.effects.batching import generate_in_batches

    answered: Any = await generate_in_batches(snapshot, plan, roster.generator, store, runtime)
    return attrs.evolve(roster, generator=answered)


def _paid_models(roster: Roster) -> tuple[str, ...]:
    """Return the models behind endpoints; what runs in this process costs nothing."""
    callers = (roster.generator, *roster.judge_models)
    return tuple(caller.component_id for caller in callers if getattr(caller, "provider_key", None) is not None)


def _has_budget(runtime: RuntimeConfig) -> bool:
    return runtime.max_cost is not None or runtime.max_tokens is not None


def _spent(store: RunStore, snapshot: RunSnapshot, price: Price | None) -> tuple[UsageRow, ...]:
    """Return what earlier attempts at the run used: a budget is the run's, not the process's."""
    if store.head(snapshot.run_id).count == 0:
        return ()
    generator = snapshot.identity.generator_ref.component_id
    return run_costs(read_events(store, snapshot.run_id), generator, price).rows


def _how_to_resume(run_id: str, store: RunStore) -> str:
    if isinstance(store, InMemoryRunStore):
        return f"run {run_id[:12]} interrupted; it was kept in memory: give a storage that lasts to be able to resume"
    return (
        f"run {run_id[:12]} interrupted; what finished is stored in {store.location}: run the same experiment again "
        "to go on from there"
    )


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


def check_batching(roster: Roster, runtime: RuntimeConfig) -> None:
    """Refuse a run that is to generate in batches and can't."""
    if runtime.generation_mode != "batch":
        return
    from themis.effects.batching import batch_faults

    if faults := batch_faults(runtime, roster.generator):
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
