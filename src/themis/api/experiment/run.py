"""Running a snapshot: checks before paying, the policy for existing runs, the engine, and the result."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from typing import Final

import attrs
import trio

from themis._stages import STAGE_ORDER, UntilStage
from themis.api.progress import shown
from themis.api.runs.result import RunResult
from themis.api.stores import make_store, store_kinds
from themis.effects.asyncio_bridge import GRACE
from themis.effects.calls import CallRuntime
from themis.effects.driver import SandboxTurns
from themis.effects.engine import Engine
from themis.effects.options import RunOptions
from themis.effects.prices import budget_prices
from themis.effects.reading import read_events
from themis.effects.sandboxes import Sandbox, SandboxWarning, described, open_sandbox
from themis.effects.sandboxes.promised_python import PACKAGES_VARIABLE
from themis.effects.sandboxes.trials import modules_of_tests, trial_of, tried
from themis.effects.stores import BUILTIN
from themis.effects.stores.base import EventStore
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.abilities import Abilities, CallerAbilities, Components
from themis.pure.calls import CallFailed, FailureKind
from themis.pure.compilation import runtime_faults
from themis.pure.errors import RunExistsError, SpecError, listed, said
from themis.pure.families import FAMILIES
from themis.pure.plan import RunPlan, make_plan
from themis.pure.protocols import RunStore
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.dataset import Dataset
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead
from themis.pure.references import ReferenceWarning, missing_references, reference_warnings
from themis.pure.usage import Price, UsageRow, run_costs

_KINDS: Final = {kind.name for kind in BUILTIN}
_SANDBOX: Final = "sandbox."
"""Begins the names under which a run's provenance says what its programs run on."""


@attrs.frozen(kw_only=True)
class Shared:
    """What runs have in common that are under way at once: each of them was checked, and what they cost is one sum.

    Attributes:
        calls: makes their model calls, within one set of limits and one budget.
        sandboxes: runs their programs.
        close: closes those of a run's components that no other run needs.
    """

    calls: CallRuntime
    sandboxes: SandboxTurns
    close: Callable[[Components], Awaitable[None]]


async def run_snapshot(
    snapshot: RunSnapshot,
    components: Components,
    options: RunOptions,
    *,
    until_stage: UntilStage = "judge",
    shared: Shared | None = None,
) -> RunResult:
    """Run a snapshot and return the result.

    A run that its budget ends early returns a result of status `failed`, which says so; running again with a
    larger budget goes on from there.

    Args:
        snapshot: what to run.
        components: its components.
        options: how.
        until_stage: the last stage.
        shared: what it shares with others, if it is one of several.

    Raises:
        SpecError: a component lacks something it needs; every problem at once, before the first call.
        RunExistsError: the run is stored, and the policy is `error`.
        CallFailed: the endpoint refuses every call.
    """
    plan, runtime, offline = make_plan(snapshot, until_stage), options.runtime, options.offline
    if shared is None:
        snapshot = noted(snapshot, check_run(snapshot, components, runtime, until_stage, offline=offline))
    if options.store is not None:
        snapshot = kept_in(snapshot, options.store)
    if not offline:
        for message in await trio.to_thread.run_sync(reference_warnings, components, snapshot.datasets):
            warnings.warn(message, ReferenceWarning, stacklevel=2)
    price = price_of(runtime, components) if shared is None else None
    store = options.store if options.store is not None else make_store(options.storage)
    store.initialize()
    # Large datasets take a while to store; the event loop must not be blocked.
    await trio.to_thread.run_sync(prepare, store, snapshot, runtime.existing_run_policy)
    finished = False
    try:
        async with AsyncExitStack() as sessions:
            if runtime.progress and shared is None:
                sessions.enter_context(shown(options.progress))
            await _open_sessions(components, sessions)
            if runtime.generation_mode == "batch" and not offline:
                components = await _batched(snapshot, components, plan, store, runtime)
            shared = shared or await _by_itself(store, snapshot, options, price)
            engine = Engine(snapshot, components, store, options, plan, shared.calls, sandboxes=shared.sandboxes)
            await engine.run()
        finished = True
    except CallFailed as error:
        finished = error.failure.kind is FailureKind.BUDGET
        if not finished:
            raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_resume(snapshot.run_id, store)) from None
    finally:
        end = store.head(snapshot.run_id) if finished else ChainHead()  # before anybody else can write the run
        store.release(snapshot.run_id)
        await (close_components if shared is None else shared.close)(components)
        if not finished and options.store is None:
            store.close()  # nobody gets a result to close it by
    return RunResult(snapshot=snapshot, store=store, end=end)


async def _by_itself(store: RunStore, snapshot: RunSnapshot, options: RunOptions, price: Price | None) -> Shared:
    runtime = options.runtime
    spent = await trio.to_thread.run_sync(spent_before, store, snapshot, runtime, price)
    calls = CallRuntime.from_config(runtime, price=price, spent=spent, tell_wait=options.progress.wait)
    return Shared(calls=calls, sandboxes=SandboxTurns(), close=close_components)


async def _batched(
    snapshot: RunSnapshot, components: Components, plan: RunPlan, store: RunStore, runtime: RuntimeConfig
) -> Components:
    from themis.effects.batching import generate_in_batches

    answered = await generate_in_batches(snapshot, plan, components, store, runtime)
    return attrs.evolve(components, generator=CallerAbilities.of(answered, "generate"))


def price_of(runtime: RuntimeConfig, components: Components) -> Price | None:
    """Return what tokens cost, where there is a budget; what runs in this process costs nothing."""
    callers = (components.generator, *components.judge_models)
    return budget_prices(runtime, tuple(one.component_id for one in callers if one.provider_key is not None))


def spent_before(
    store: RunStore, snapshot: RunSnapshot, runtime: RuntimeConfig, price: Price | None
) -> tuple[UsageRow, ...]:
    """Return what earlier attempts at the run used: a budget is the run's, not the process's."""
    has_budget = runtime.max_cost is not None or runtime.max_tokens is not None
    if not has_budget or store.head(snapshot.run_id).count == 0:
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


def noted(snapshot: RunSnapshot, sandbox: Mapping[str, str]) -> RunSnapshot:
    """Return the snapshot of a run with what its programs run on, where it runs any."""
    if not sandbox:
        return snapshot
    facts = {f"{_SANDBOX}{name}": fact for name, fact in sandbox.items()}
    metadata = {**facts, **snapshot.provenance.environment_metadata}
    noted = snapshot.evolve(provenance=snapshot.provenance.evolve(environment_metadata=metadata))
    return noted.stored_as(snapshot.run_id)


def kept_in(snapshot: RunSnapshot, store: RunStore) -> RunSnapshot:
    """Return the snapshot of a run whose store was handed in, and is another kind than its configuration names."""
    said = snapshot.provenance.storage
    if not isinstance(store, EventStore) or said.store in (store.storage.store, *store_kinds().keys() - _KINDS):
        return snapshot
    return snapshot.evolve(provenance=snapshot.provenance.evolve(storage=store.storage)).stored_as(snapshot.run_id)


def prepare(store: RunStore, snapshot: RunSnapshot, policy: str) -> None:
    run_id = snapshot.run_id
    store.acquire(run_id)
    try:
        if store.head(run_id).count > 0:
            _apply_policy(store, run_id, policy)
        if store.head(run_id).count > 0:
            _warn_of_another_sandbox(store.load_snapshot(run_id), snapshot)
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


def _warn_of_another_sandbox(stored: RunSnapshot, now: RunSnapshot) -> None:
    before, after = (each.provenance.environment_metadata for each in (stored, now))
    changes = [
        f"{name.removeprefix(_SANDBOX)} was {before[name]} and is {fact}"
        for name, fact in after.items()
        if name.startswith(_SANDBOX) and before.get(name, fact) != fact
    ]
    if changes:
        message = f"generated programs run elsewhere than this run's programs so far: {', '.join(changes)}"
        warnings.warn(message, SandboxWarning, stacklevel=2)


def check_run(
    snapshot: RunSnapshot,
    components: Components,
    runtime: RuntimeConfig,
    until_stage: UntilStage = "judge",
    *,
    offline: bool = False,
) -> Mapping[str, str]:
    """Refuse a run that can't be what it is to be, before anything is paid for; all that is wrong with it at once.

    Every component is asked what it lacks: a key, an extra, a program.

    Returns:
        What programs run on, if any are to be run.

    Raises:
        SpecError: it can't start.
    """
    # A replay may have all its results stored; what is not there comes out as an error of its case.
    executes = not offline and until_stage in ("score", "judge")
    faults = [*runtime_faults(runtime, components), *_rule_faults(snapshot, make_plan(snapshot, until_stage), runtime)]
    if executes:
        faults += missing_references(components, snapshot.datasets)
    lacking, sandbox = _checked_sandbox(components, snapshot.datasets) if executes else ((), {})
    faults += [*_problems(components, offline=offline), *lacking]
    if runtime.generation_mode == "batch":
        from themis.effects.batching import batch_faults

        spec = snapshot.identity.generation_prompt_spec
        faults += batch_faults(
            runtime, components.generator, wants_likelihoods=spec is not None and spec.continuations is not None
        )
    if faults:
        raise SpecError(listed("the run can't start", faults))
    return sandbox


def check_worker(components: Components, *, until_stage: UntilStage) -> None:
    """Refuse to work on a run of which this process lacks something: a key, an extra, a sandbox.

    Raises:
        SpecError: everything that is lacking.
    """
    executes = until_stage in ("score", "judge")
    faults = [*_problems(components, offline=False), *(_checked_sandbox(components, ())[0] if executes else ())]
    if faults:
        raise SpecError(listed("this worker can't work on the run", faults))


def _rule_faults(snapshot: RunSnapshot, plan: RunPlan, runtime: RuntimeConfig) -> Iterator[str]:
    """Yield why the rule that may end a run early can't decide in this attempt."""
    rule = snapshot.identity.until
    if rule is None:
        return
    stage = next(metric.stage for metric in plan.metrics if metric.metric_id == rule.metric_id)
    if STAGE_ORDER.index(stage) > plan.last:
        yield (
            f"until: {rule.metric_id} decides when the run ends, and is not scored before stage '{stage}': run it "
            f"through that stage, not only through '{plan.until_stage}'"
        )
    if runtime.generation_mode == "batch":
        yield (
            "until: a batch asks for all cases at once, and a run that may end early does not: leave out "
            "runtime.generation_mode or the rule"
        )


def _problems(components: Components, *, offline: bool) -> Iterator[str]:
    for component in components:
        if component.check is None or (offline and isinstance(component, CallerAbilities)):
            continue
        try:
            found = component.check() or ()
            problems = [found] if isinstance(found, str) else [*map(str, found)]
        except Exception as error:
            problems = [f"check() raised {type(error).__name__}: {said(error)}"]
        yield from (f"{component.component_id}: {problem}" for problem in problems)


def _checked_sandbox(components: Components, datasets: Sequence[Dataset]) -> tuple[Sequence[str], Mapping[str, str]]:
    """Return what keeps programs from being run, where a metric runs any, and what they run on."""
    executing = [metric for metric in components.metrics if metric.family and FAMILIES[metric.family].runs_code]
    if not executing:
        return (), {}
    languages = dict.fromkeys(name for metric in executing for name in metric.sandbox_languages)
    names = ", ".join(metric.component_id for metric in executing)
    try:
        sandbox = open_sandbox()
        problems = sandbox.check(tuple(languages)) or tuple(_lacking_modules(sandbox, datasets))
    except SpecError as error:
        return [f"{names}: {error}"], {}
    return [f"{names}: {problem}" for problem in problems], described(sandbox)


def _lacking_modules(sandbox: Sandbox, datasets: Sequence[Dataset]) -> Iterator[str]:
    for dataset in datasets:
        modules = modules_of_tests(dataset.cases)
        _, problem = tried(sandbox.run, trial_of("python", modules)) if modules else ("", "")
        if problem:
            yield (
                f"the tests of {dataset.dataset_id} import {', '.join(modules)}, and {problem}; let programs see it "
                f"(locally: install it, and set {PACKAGES_VARIABLE}={','.join(modules)})"
            )


async def _open_sessions(components: Components, sessions: AsyncExitStack) -> None:
    for component in components:
        if component.session is not None:
            await opened_session(component.component_id, component.session(), sessions)


async def opened_session(component_id: str, session: object, sessions: AsyncExitStack) -> None:
    if isinstance(session, AbstractAsyncContextManager):
        await sessions.enter_async_context(session)
    elif isinstance(session, AbstractContextManager):
        sessions.enter_context(session)
    else:
        raise SpecError(
            f"{component_id}.session() returned {type(session).__name__}, and a context manager is needed: write it "
            "with contextlib.asynccontextmanager"
        )


class ComponentWarning(UserWarning):
    """A component failed where that costs a run nothing."""


async def close_components(components: Iterable[Abilities]) -> None:
    """Close what components hold open, such as HTTP clients. One that fails at it, or goes on for ever, costs nothing:
    all that the run found is stored by now."""
    for component in components:
        if component.aclose is None:
            continue
        problem = ""
        with trio.CancelScope(shield=True), trio.move_on_after(GRACE) as scope:
            try:
                closing = component.aclose()
                if inspect.isawaitable(closing):
                    await closing
            except Exception as error:
                problem = f"raised {type(error).__name__}: {said(error)}"
        if problem or scope.cancelled_caught:
            problem = problem or f"had not returned after {GRACE:g} s"
            warnings.warn(f"{component.component_id}.aclose() {problem}", ComponentWarning, stacklevel=2)
