"""Replay and rejudge: doing stages again from what is stored, without a generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from themis._stages import ReplayStage
from themis.api.experiment.run import run_snapshot
from themis.api.runs.result import RunResult
from themis.api.runs.view import RunView
from themis.api.stores import open_store
from themis.effects.options import NotStoredError, Replay, RunOptions
from themis.effects.reading import unasked
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.abilities import Components
from themis.pure.pipeline.restart import check_replay
from themis.pure.pipeline.run import planned_run
from themis.pure.plan import make_plan
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot

SHOWN: Final = 10
"""How many missing generations an error names."""


async def replay_snapshot(
    snapshot: RunSnapshot,
    components: Components,
    options: RunOptions,
    *,
    stage: ReplayStage,
    metric_ids: Sequence[str] | None = None,
    recorded_judging: bool = False,
) -> RunResult:
    """Do a run's stages again from `stage` on; generations are taken from the store, whichever run made them.

    Raises:
        SpecError: no such stage or metric.
        NotStoredError: something that the replay rests on is not stored; what is missing is listed.
    """
    check_replay(make_plan(snapshot), stage, metric_ids)
    store = options.store if options.store is not None else open_store(options.storage)
    missing = missing_generations(snapshot, components, store)
    if missing:
        more = [f"and {len(missing) - SHOWN} more"] if len(missing) > SHOWN else []
        lines = "\n  - ".join([*missing[:SHOWN], *more])
        raise NotStoredError(
            f"a replay makes no generations, and {len(missing)} are not stored; {_what_to_do(store)}:\n  - {lines}"
        )
    again = Replay(
        stage=stage,
        metric_ids=frozenset(metric_ids) if metric_ids is not None else None,
        recorded_judging=recorded_judging,
    )
    runtime = options.runtime.evolve(existing_run_policy="auto")
    options = attrs.evolve(options, store=store, runtime=runtime, offline=True, replay=again)
    return await run_snapshot(snapshot, components, options)


def _what_to_do(store: RunStore) -> str:
    if isinstance(store, InMemoryRunStore) and not store.list_runs():
        return (
            "its store is in memory, and holds no runs: each call to which none is handed has a new one. Hand in the "
            "store that has the run, `store=result.store`, or give the experiment a storage that lasts, such as "
            "StorageConfig(store='sqlite')"
        )
    return "run the experiment first"


def missing_generations(snapshot: RunSnapshot, components: Components, store: RunStore) -> list[str]:
    """Return which candidates neither this run nor any other of the store has.

    Where a rule ends the run, it decides as it goes which cases it needs: of one that is not stored that is not known.
    """
    if snapshot.identity.until is not None and store.head(snapshot.run_id).count == 0:
        return []
    run, view = planned_run(snapshot, components), RunView(snapshot=snapshot, store=store)
    asked = unasked(run, snapshot, store)
    return [f"case {item.case_key}, {ask.what}" for item, ask in asked if view.is_planned(item.case_no)]
