"""Exporting a stage of a stored run as a bundle, and importing it into any store, all or nothing.

Importing twice is importing once. A bundle that is not of the run it names, or does not fit what the store has of it,
is refused whole, and nothing of it is stored. So is one whose records do not follow from each other, as far as builtin
components can make them again; no other component is asked, and none is imported by its name. How bundles become files
is the business of `files`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast

from themis._stages import STAGE_ORDER, UntilStage
from themis.api.experiment.verify import components_at_hand
from themis.api.stores import Storage, at_hand
from themis.effects.reading import fresh_state, read_cases, stored_cases
from themis.effects.segments import joins
from themis.pure.bundles.holding import held_events, run_fields, shape_of
from themis.pure.bundles.merging import CaseMerge, closing_entries, opening_entries
from themis.pure.bundles.records import (
    Bundle,
    EvaluationBundle,
    GenerationBundle,
    Keyed,
    ParseBundle,
    ReductionBundle,
    ScoreBundle,
    stage_reached,
)
from themis.pure.chain import Entry, link_all, read_event
from themis.pure.errors import DataError, RunNotFoundError, listed
from themis.pure.events import CaseRunEvent
from themis.pure.families import FAMILIES
from themis.pure.identity import run_name
from themis.pure.pipeline.recorded import MissingError, purely
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.pipeline.verification import Difference, altered_cases, case_checks, compared
from themis.pure.plan import CaseItem, RunPlan, case_items, make_plan, metric_slots
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, StoredEvent
from themis.pure.security import refuse_secrets

B = TypeVar("B", bound=Bundle)
Batch = tuple[Sequence[StoredEvent], Mapping[str, bytes]]

BATCH = 250
"""Cases whose events are chained and stored at once."""
_SHOWN: Final = 10
"""How many faults of one kind an error lists."""
_NO_MORE: Final[tuple[None, Iterator[Keyed]]] = (None, iter(()))


# --- export -----------------------------------------------------------------------------------------------


def export_generation_bundle(store: RunStore | Storage, run_id: str) -> GenerationBundle:
    """Return a run's candidates as a portable bundle.

    Args:
        store: where the run is.
        run_id: the run.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    return export_bundle(store, run_id, GenerationBundle)


def export_reduction_bundle(store: RunStore | Storage, run_id: str) -> ReductionBundle:
    """Return a run's reduced candidates, with what they rest on; as `export_generation_bundle`."""
    return export_bundle(store, run_id, ReductionBundle)


def export_parse_bundle(store: RunStore | Storage, run_id: str) -> ParseBundle:
    """Return a run's parsed answers, with what they rest on; as `export_generation_bundle`."""
    return export_bundle(store, run_id, ParseBundle)


def export_score_bundle(store: RunStore | Storage, run_id: str) -> ScoreBundle:
    """Return a run's scores of pure metrics, with what they rest on; as `export_generation_bundle`."""
    return export_bundle(store, run_id, ScoreBundle)


def export_evaluation_bundle(store: RunStore | Storage, run_id: str) -> EvaluationBundle:
    """Return a run's workflow executions, with all the rest of the run; as `export_generation_bundle`."""
    return export_bundle(store, run_id, EvaluationBundle)


def export_bundle(store: RunStore | Storage, run_id: str, kind: type[B]) -> B:
    """Return a run as a bundle of the class given, in memory."""
    header, cases = export_parts(store, run_id, kind)
    return header.evolve(snapshot=in_memory(header.snapshot)).with_events(itertools.chain.from_iterable(cases))


def in_memory(snapshot: RunSnapshot) -> RunSnapshot:
    """Return a snapshot with all of its cases read, so that it outlives the store or file that they come from."""
    return snapshot.evolve(datasets=[dataset.evolve(cases=tuple(dataset.cases)) for dataset in snapshot.datasets])


def export_parts(store: RunStore | Storage, run_id: str, kind: type[B]) -> tuple[B, Iterator[list[Keyed]]]:
    """Return a bundle without its events, and every case's events to put into it, read as needed.

    Both are of one moment, though another process may be writing the run.
    """
    store = at_hand(store)
    snapshot = store.load_snapshot(run_id)
    _refuse_secrets(snapshot)
    head = store.head(run_id)
    header = kind(run_id=run_id, snapshot=snapshot, records=(), **_run_fields(store, run_id, head))
    reached = stage_reached(header.kind, header.completed_through_stage, metric_slots(snapshot))
    return header.evolve(completed_through_stage=reached), _exported_cases(store, header, head)


def _run_fields(store: RunStore, run_id: str, head: ChainHead) -> dict[str, Any]:
    stored = store.run_events(run_id) if head.count else ()
    return run_fields(read_event(event, store.blob) for event in stored if event.sequence <= head.last)


def _exported_cases(store: RunStore, header: Bundle, head: ChainHead) -> Iterator[list[Keyed]]:
    run = shape_of(header.snapshot)
    for item, events in stored_cases(store, header.snapshot):
        present = [event for event in events if event.sequence <= head.last]
        yield held_events(run, item, present, store.blob, header.kind)


# --- import -----------------------------------------------------------------------------------------------


def import_generation_bundle(store: RunStore | Storage, bundle: GenerationBundle) -> None:
    """Take a bundle into a store, all or nothing. What the store has already is passed over.

    A store that does not know the run learns its snapshot and cases from the bundle; the run can then be resumed,
    reported, replayed and verified like a local one.

    Args:
        store: where to.
        bundle: what.

    Raises:
        DataError: the bundle is not of the run it names, or does not fit what the store has; names the records.
        RunLockedError: another process is writing the run.
        LiteralSecretError: the bundle's snapshot holds a credential.
    """
    _import(store, bundle, GenerationBundle)


def import_reduction_bundle(store: RunStore | Storage, bundle: ReductionBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, ReductionBundle)


def import_parse_bundle(store: RunStore | Storage, bundle: ParseBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, ParseBundle)


def import_score_bundle(store: RunStore | Storage, bundle: ScoreBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, ScoreBundle)


def import_evaluation_bundle(store: RunStore | Storage, bundle: EvaluationBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, EvaluationBundle)


def _import(store: RunStore | Storage, bundle: Bundle, expected: type[Bundle]) -> None:
    if not isinstance(bundle, expected):
        found = type(bundle).__name__
        raise DataError(f"{expected.__name__} expected, {found} found: import it with the function for its kind")
    import_bundle(store, bundle)


def import_bundle(store: RunStore | Storage, bundle: Bundle) -> int:
    """Take a bundle of any kind into a store; return how many events were new to it."""
    return import_parts(store, bundle, bundle.events())


def import_parts(store: RunStore | Storage, header: Bundle, events: Iterator[Keyed]) -> int:
    """Take a bundle into a store whose events come case by case, as the run has them; return how many were new.

    Raises:
        DataError: as `import_generation_bundle`.
    """
    _check_header(header)
    store = at_hand(store, made=True)
    store.initialize()
    run_id = header.run_id
    store.acquire(run_id)
    try:
        before, count = None, store.head(run_id).count
        with contextlib.suppress(RunNotFoundError):
            before = store.load_snapshot(run_id)
        with store.transaction(run_id):
            store.persist_snapshot(header.snapshot)
            for stored, blobs in _batches(store, header, events, before):
                if stored:
                    store.append(run_id, stored, blobs)
        return store.head(run_id).count - count
    finally:
        store.release(run_id)


def _check_header(header: Bundle) -> None:
    snapshot = header.snapshot
    strange = [f"metric_kinds.{name}: {kind!r}" for name, kind in snapshot.metric_kinds.items() if kind not in FAMILIES]
    if strange:
        raise DataError(listed(f"bundle of run {header.run_id}: no family of metrics", strange))
    # Computed, for a snapshot from a store says the id that it is stored under.
    found = run_name(snapshot.identity, snapshot.identity_algorithm)
    if found != header.run_id:
        raise DataError(f"the bundle says run {header.run_id}, and its snapshot is that of run {found}")
    faults = [*altered_cases(snapshot)]
    stage = header.completed_through_stage
    if stage is not None and not (
        stage in STAGE_ORDER and stage == stage_reached(header.kind, stage, metric_slots(snapshot))
    ):
        faults.append(f"completed_through_stage: {stage!r} is none that a {header.kind} bundle of this run reaches")
    if faults:
        raise DataError(listed(f"bundle of run {header.run_id}", faults))
    _refuse_secrets(snapshot)


def _refuse_secrets(snapshot: RunSnapshot) -> None:
    identity, provenance = snapshot.identity, snapshot.provenance
    refuse_secrets(
        {
            "snapshot.identity": identity.to_dict(),
            "snapshot.provenance": provenance.to_dict(),
            "snapshot.descriptions": snapshot.descriptions,
        }
    )


def _batches(store: RunStore, header: Bundle, events: Iterator[Keyed], before: RunSnapshot | None) -> Iterator[Batch]:
    """Yield what the run lacks, chained and in batches; raise if anything is wrong with any record."""
    start = head = store.head(header.run_id)
    stored, merges = _run_fields(store, header.run_id, start), _merges(store, header, events, before)

    def linked(entries: Sequence[Entry]) -> Batch:
        nonlocal head
        made, blobs, head = link_all(head, entries)
        return made, blobs

    opening = opening_entries(header, stored, before or header.snapshot)
    yield linked([*joins(store, header.run_id, datetime.now(UTC)), *opening])
    while batch := [*itertools.islice(merges, BATCH)]:
        yield linked([entry for merge in batch for entry in merge.entries])
    yield linked(closing_entries(header, stored, datetime.now(UTC), head.count, added=head != start))


def _merges(
    store: RunStore, header: Bundle, events: Iterator[Keyed], before: RunSnapshot | None
) -> Iterator[CaseMerge]:
    run, kind = shape_of(header.snapshot), header.kind
    again = planned_run(header.snapshot, components_at_hand(header.snapshot, None, importing=False)[0])
    through = _through(header) if before is None else None
    faults: list[str] = []
    absent: list[str] = []
    cases = ((item, fresh_state(item)) for item in case_items(header.snapshot))
    groups = itertools.groupby(events, key=lambda keyed: keyed[0].case_key)
    key, records = next(groups, _NO_MORE)
    for item, state in cases if before is None else read_cases(store, before):
        if key == item.case_key:
            keyed = [*records]
            merge = CaseMerge(run, kind, item, state, keyed)
            key, records = next(groups, _NO_MORE)
            faults += merge.faults or _unfounded(again, item, [event for event, _ in keyed], through)
            if not faults:
                yield merge
        elif through is not None:
            absent += itertools.islice(_unfounded(again, item, [], through), _SHOWN)
    faults += _left_over(header, [key, *(key for key, _ in groups)] if key is not None else [])
    if faults := faults or absent[: 2 * _SHOWN]:
        raise DataError(listed(f"{kind} bundle of run {header.run_id} refused", first_faults(faults)))


def _through(header: Bundle) -> RunPlan | None:
    """Return what a bundle says it has every outcome of; one that stopped early has those of the cases it planned."""
    stage = header.completed_through_stage
    if stage is None or header.snapshot.identity.until is not None:
        return None
    return make_plan(header.snapshot, cast(UntilStage, stage))


def _unfounded(run: Run, item: CaseItem, events: Sequence[CaseRunEvent], through: RunPlan | None) -> Iterator[str]:
    """Yield what is missing, or another than the bundle's own records make it, of what can be made again."""
    for check in case_checks(run, item, events, through):
        if check.program is None:
            if check.stored is None:
                yield str(check.unfounded(item.case_key))
            continue  # else it rests on what the bundle leaves out
        try:
            found = compared(check, item.case_key, purely(check.program))
        except MissingError:
            continue
        except Exception as error:  # components' errors are outcomes: this is a record that no program can work on
            found = check.unfounded(item.case_key, f"its record is {type(error).__name__}: {error}")
        if isinstance(found, Difference):
            yield str(found)


def _left_over(header: Bundle, left: Sequence[str]) -> list[str]:
    """Return what is wrong with the cases that the run did not ask for, or not at that place."""
    known = {item.case_key for item in case_items(header.snapshot)} if left else set()
    strangers = [f"case {key}: the run has no such case" for key in left if key not in known]
    return strangers or [f"case {key}: its records are not in the order of the run's cases" for key in left[:1]]


def first_faults(faults: Sequence[str]) -> Sequence[str]:
    """Return the faults that an error lists, and how many more there are."""
    more = len(faults) - _SHOWN
    return [*faults[:_SHOWN], f"and {more} more"] if more > 0 else faults
