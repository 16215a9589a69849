"""Replay, rejudge and verify: recomputing stored runs, without model calls unless a judge is to be asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from themis.api.components import resolve_component
from themis.api.results import RunResult
from themis.api.running import run_snapshot
from themis.effects.options import NotStoredError, Progress, Replay
from themis.effects.reading import read_cases, read_generated
from themis.effects.sources.source_code import source_of
from themis.pure.chain import broken_links
from themis.pure.errors import ThemisError, UnknownComponentError
from themis.pure.fingerprints import component_ref
from themis.pure.identity import candidate_key, generation_key
from themis.pure.plan import case_items, make_plan, metric_slots, request_bytes, seed_of
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.snapshot import ComponentRef, RunSnapshot
from themis.pure.replay import Difference, ReplayStage, Verification, check_replay, differences, recompute
from themis.pure.roster import Roster
from themis.pure.stages.generate import generate_context

_NONE: Final[frozenset[int]] = frozenset()
SHOWN: Final = 10
"""How many missing generations an error names."""


async def replay_snapshot(
    snapshot: RunSnapshot,
    roster: Roster,
    *,
    stage: ReplayStage,
    metric_ids: Sequence[str] | None = None,
    recorded_judging: bool = False,
    storage: StorageConfig,
    store: RunStore,
    runtime: RuntimeConfig,
    subscribers: Sequence[object] = (),
    tracing: TracingProvider | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Do a run's stages again from `stage` on; generations are taken from the store, whichever run made them.

    Raises:
        SpecError: no such stage or metric.
        NotStoredError: something that the replay rests on is not stored; what is missing is listed.
    """
    check_replay(stage, metric_ids, metric_slots(snapshot))
    missing = missing_generations(snapshot, roster, store)
    if missing:
        more = [f"and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
        lines = "\n  - ".join([*missing[:SHOWN], *more])
        raise NotStoredError(
            f"a replay makes no generations, and {len(missing)} are not stored; run the experiment first:\n  - {lines}"
        )
    again = Replay(
        stage=stage,
        metric_ids=frozenset(metric_ids) if metric_ids is not None else None,
        recorded_judging=recorded_judging,
    )
    return await run_snapshot(
        snapshot,
        roster,
        storage=storage,
        store=store,
        runtime=runtime.evolve(existing_run_policy="auto"),
        subscribers=subscribers,
        tracing=tracing,
        progress=progress,
        offline=True,
        replay=again,
    )


def missing_generations(snapshot: RunSnapshot, roster: Roster, store: RunStore) -> list[str]:
    """Return which candidates neither this run nor any other of the store has."""
    plan, identity = make_plan(snapshot), snapshot.identity
    render = getattr(roster.generator, "request", None)
    is_stored = store.head(snapshot.run_id).count > 0
    cases = read_generated(store, snapshot) if is_stored else ((item, _NONE) for item in case_items(snapshot))
    missing = []
    for item, generated in cases:
        for index in range(plan.candidate_count):
            if index in generated:
                continue
            ctx = generate_context(plan, item, index, None, identity.generation_prompt_spec)
            request = render(item.case, ctx) if render is not None else None
            generation = generation_key(plan.generator, request_bytes(identity, item.case, request))
            key = candidate_key(generation, index, seed_of(plan, generation, index))
            if not store.cached([key]):
                missing.append(f"case {item.case_key}, candidate {index}")
    return missing


# --- verify -----------------------------------------------------------------------------------------------


def verify(store: RunStore, run_id: str, *, experiment: Any = None, most: int = 10) -> Verification:
    """Check that a stored run's numbers follow from its recorded outputs.

    The hash chain is walked, and every stage after generation is computed again from what is stored, judging and
    code execution from their recorded answers. No model is called and nothing is run or written.

    Args:
        store: where the run is.
        run_id: the run.
        experiment: where its components come from; without it, builtins and importable ones are found by name.
        most: how many differing records to report at most.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    snapshot = store.load_snapshot(run_id)
    breaks = tuple(broken_links(store.events(run_id), store.head(run_id)))
    roster, notes = _roster_of(snapshot, experiment.roster() if experiment is not None else None)
    plan = make_plan(snapshot)
    counts: Counter[str] = Counter()
    found: list[Difference] = []
    cases = 0
    try:
        for item, state in read_cases(store, snapshot):
            cases += 1
            checks = recompute(plan, snapshot.identity, roster, item, state)
            for difference in differences(item.case_key, checks, lambda stage: counts.update([stage])):
                if len(found) < most:
                    found.append(difference)
    except ThemisError as error:
        breaks = (*breaks, str(error))
    return Verification(
        run_id=run_id,
        cases=cases,
        recomputed=dict(counts),
        broken_links=breaks,
        differences=found,
        not_verified=notes,
    )


def _roster_of(snapshot: RunSnapshot, given: Roster | None) -> tuple[Roster, list[str]]:
    """Return the run's components as far as they are at hand, unchanged; say which are not."""
    notes: list[str] = []
    by_id = {component.component_id: component for component in given.all()} if given is not None else {}

    def find(ref: ComponentRef | None) -> Any:
        if ref is None:
            return None
        component = by_id.get(ref.component_id)
        try:
            component = component if component is not None else resolve_component(ref.component_id)
            current = component_ref(component, source_of, snapshot.identity_algorithm)
        except ThemisError as error:
            why = "nothing of this name" if isinstance(error, UnknownComponentError) else str(error)
            notes.append(f"{ref.component_id}: not at hand ({why}); pass the experiment to verify it too")
            return None
        if current.fingerprint != ref.fingerprint:
            notes.append(f"{ref.component_id}: its code or configuration is not the one that the run used")
            return None
        return component

    refs = snapshot.component_refs
    parsers = [find(ref) for ref in refs.parsers]
    metrics = [find(ref) for ref in refs.metrics]
    roster = Roster(
        generator=None,
        reducer=find(refs.reducer),
        parsers=tuple(parser for parser in parsers if parser is not None),
        metrics=tuple(metric for metric in metrics if metric is not None),
    )
    return roster, notes
