"""Bundles: exporting a stage of a stored run, and importing it into any store, all or nothing.

Importing twice is importing once. A bundle that is not of the run it names, or does not fit what the store has of it,
is refused whole, and nothing of it is stored. How bundles become files is the business of `bundle_files`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar, cast

import attrs

from themis.effects.reading import fresh_state, read_cases, stored_cases
from themis.pure.bundles.collecting import case_records, kept_events, run_fields
from themis.pure.bundles.merging import CaseMerge, closing_entries, opening_entries
from themis.pure.bundles.records import (
    BUNDLE_TYPES,
    AnyRecord,
    Bundle,
    BundleKind,
    CaseRecords,
    EvaluationBundle,
    GenerationBundle,
    ParseBundle,
    ReductionBundle,
    ScoreBundle,
    StageBundle,
    stage_reached,
)
from themis.pure.chain import Entry, link_all, read_event
from themis.pure.errors import DataError, RunNotFoundError, listed
from themis.pure.plan import CaseItem, case_items, make_plan, metric_slots
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import DatasetRef, RunSnapshot
from themis.pure.records.stored import ChainHead, StoredEvent
from themis.pure.security import refuse_secrets
from themis.pure.state import CaseState

B = TypeVar("B", bound=StageBundle)

Batch = tuple[Sequence[StoredEvent], Mapping[str, bytes]]

BATCH = 250
"""Cases whose events are chained and stored at once."""
SHOWN: Final = 10
"""How many faults of a bundle an error names."""


# --- export -----------------------------------------------------------------------------------------------


def export_generation_bundle(store: RunStore, run_id: str) -> GenerationBundle:
    """Return a run's candidates as a portable bundle.

    Args:
        store: where the run is.
        run_id: the run.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    return _export(store, run_id, GenerationBundle, "generation")


def export_reduction_bundle(store: RunStore, run_id: str) -> ReductionBundle:
    """Return a run's reduced candidates, with what they rest on; as `export_generation_bundle`."""
    return _export(store, run_id, ReductionBundle, "reduction")


def export_parse_bundle(store: RunStore, run_id: str) -> ParseBundle:
    """Return a run's parsed answers, with what they rest on; as `export_generation_bundle`."""
    return _export(store, run_id, ParseBundle, "parse")


def export_score_bundle(store: RunStore, run_id: str) -> ScoreBundle:
    """Return a run's scores of pure metrics, with what they rest on; as `export_generation_bundle`."""
    return _export(store, run_id, ScoreBundle, "score")


def export_evaluation_bundle(store: RunStore, run_id: str) -> EvaluationBundle:
    """Return a run's workflow executions, with all the rest of the run; as `export_generation_bundle`."""
    return _export(store, run_id, EvaluationBundle, "evaluation")


def _export(store: RunStore, run_id: str, bundle_type: type[B], kind: BundleKind) -> B:
    header, cases = export_parts(store, run_id, kind)
    held = [dataset.evolve(cases=tuple(dataset.cases)) for dataset in header.snapshot.datasets]
    records: list[AnyRecord] = []
    upstream: list[CaseRecords] = []
    for case in cases:
        records.extend(case.of(kind))
        if (before := case.before(kind)) is not None:
            upstream.append(before)
    whole = header.evolve(snapshot=header.snapshot.evolve(datasets=held), records=records, upstream=upstream)
    return cast("B", whole)


def export_parts(store: RunStore, run_id: str, kind: BundleKind) -> tuple[Bundle, Iterator[CaseRecords]]:
    """Return a bundle without its records, and every case's records to put into it, read as needed.

    Both are of one moment, though another process may be writing the run.
    """
    snapshot = store.load_snapshot(run_id)
    _refuse_secrets(snapshot)
    head = store.head(run_id)
    fields = _run_fields(store, run_id, head)
    reached = stage_reached(kind, fields.pop("completed_through_stage", None), metric_slots(snapshot))
    header = BUNDLE_TYPES[kind](run_id=run_id, snapshot=snapshot, records=(), completed_through_stage=reached, **fields)
    return header, _exported_cases(store, snapshot, kind, head)


def _run_fields(store: RunStore, run_id: str, head: ChainHead) -> dict[str, Any]:
    stored = store.run_events(run_id) if head.count else ()
    return run_fields(read_event(event, store.blob) for event in stored if event.sequence <= head.count)


def _exported_cases(store: RunStore, snapshot: RunSnapshot, kind: BundleKind, head: ChainHead) -> Iterator[CaseRecords]:
    metrics = metric_slots(snapshot)
    for item, events in stored_cases(store, snapshot):
        if present := [event for event in events if event.sequence <= head.count]:
            yield case_records(item, kept_events(present, store.blob, kind), metrics)


# --- import -----------------------------------------------------------------------------------------------


def import_generation_bundle(store: RunStore, bundle: GenerationBundle) -> None:
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


def import_reduction_bundle(store: RunStore, bundle: ReductionBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, ReductionBundle)


def import_parse_bundle(store: RunStore, bundle: ParseBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, ParseBundle)


def import_score_bundle(store: RunStore, bundle: ScoreBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, ScoreBundle)


def import_evaluation_bundle(store: RunStore, bundle: EvaluationBundle) -> None:
    """Take a bundle into a store, all or nothing; as `import_generation_bundle`."""
    _import(store, bundle, EvaluationBundle)


def _import(store: RunStore, bundle: Bundle, expected: type[Bundle]) -> None:
    if not isinstance(bundle, expected):
        found = type(bundle).__name__
        raise DataError(f"{expected.__name__} expected, {found} found: import it with the function for its kind")
    import_bundle(store, bundle)


def import_bundle(store: RunStore, bundle: Bundle) -> int:
    """Take a bundle of any kind into a store; return how many events were new to it."""
    return import_parts(store, bundle, _HeldRecords(bundle))


class RecordSource(Protocol):
    """Hands a bundle's records out, case by case, in the order of the run."""

    def take(self, item: CaseItem) -> CaseRecords | None:
        """Return the records of the run's next case, if the bundle has any."""

    def left_over(self) -> Sequence[str]:
        """Return the keys of cases that were not asked for: the run has none of them."""


class _HeldRecords:
    """The records of a bundle in memory, in whatever order they are."""

    def __init__(self, bundle: Bundle) -> None:
        self._kind = bundle.kind
        self._upstream = {case.case_key: case for case in bundle.upstream}
        self._records: dict[str, list[AnyRecord]] = {}
        for record in bundle.records:
            self._records.setdefault(record.case_key, []).append(record)

    def take(self, item: CaseItem) -> CaseRecords | None:
        return joined(self._kind, self._upstream.pop(item.case_key, None), self._records.pop(item.case_key, ()))

    def left_over(self) -> Sequence[str]:
        return [*dict.fromkeys((*self._records, *self._upstream))]


def joined(kind: BundleKind, upstream: CaseRecords | None, records: Sequence[AnyRecord]) -> CaseRecords | None:
    """Return a case's records of all stages, or `None` if it has none."""
    if upstream is None and not records:
        return None
    if upstream is None:
        first = records[0]
        upstream = CaseRecords(case_id=first.case_id, dataset_id=first.dataset_id, case_key=first.case_key)
    return upstream.evolve(**{kind: records})


def import_parts(store: RunStore, header: Bundle, records: RecordSource) -> int:
    """Take a bundle into a store whose records are handed out case by case; return how many events were new.

    Raises:
        DataError: as `import_generation_bundle`.
    """
    _check_header(header)
    store.initialize()
    run_id = header.run_id
    store.acquire(run_id)
    try:
        merge = _Merge(store, header, records, _knows(store, run_id))
        keep(store, header.snapshot, merge.batches())
        return merge.new
    finally:
        store.release(run_id)


def _knows(store: RunStore, run_id: str) -> bool:
    try:
        store.load_snapshot(run_id)
    except RunNotFoundError:
        return False
    return True


def _check_header(header: Bundle) -> None:
    snapshot = header.snapshot
    if snapshot.run_id != header.run_id:
        raise DataError(f"the bundle says run {header.run_id}, and its snapshot is that of run {snapshot.run_id}")
    refs = snapshot.identity.dataset_refs
    faults = []
    if [dataset.dataset_id for dataset in snapshot.datasets] != [ref.dataset_id for ref in refs]:
        faults.append("its datasets are not those that its identity names")
    else:
        for dataset, ref in zip(snapshot.datasets, refs, strict=True):
            if DatasetRef.of(dataset) != ref:
                faults.append(f"dataset {ref.dataset_id}: the cases are not those that the run was made of")
    if faults:
        raise DataError(listed(f"bundle of run {header.run_id}", faults))
    _refuse_secrets(snapshot)


def _refuse_secrets(snapshot: RunSnapshot) -> None:
    identity, provenance = snapshot.identity, snapshot.provenance
    refuse_secrets({"snapshot.identity": identity.to_dict(), "snapshot.provenance": provenance.to_dict()})


@attrs.define
class _Merge:
    store: RunStore
    header: Bundle
    records: RecordSource
    known: bool
    new: int = 0

    def batches(self) -> Iterator[Batch]:
        """Yield what the run lacks, chained and in batches; raise if anything is wrong with any record."""
        store, header, now = self.store, self.header, datetime.now(UTC)
        head = store.head(header.run_id) if self.known else ChainHead()
        stored = _run_fields(store, header.run_id, head)
        for entries in self._all_entries(stored, now):
            events, blobs, head = link_all(head, entries)
            self.new += len(events)
            yield events, blobs

    def _all_entries(self, stored: Mapping[str, Any], now: datetime) -> Iterator[Sequence[Entry]]:
        if opening := opening_entries(self.header, stored):
            yield opening
        merges = self._merges(now)
        while batch := [*itertools.islice(merges, BATCH)]:
            if entries := [entry for merge in batch for entry in merge.entries]:
                yield entries
        if closing := closing_entries(self.header, stored, now):
            yield closing

    def _merges(self, now: datetime) -> Iterator[CaseMerge]:
        plan = make_plan(self.header.snapshot)
        faults: list[str] = []
        for item, state in self._cases():
            case = self.records.take(item)
            if case is None:
                continue
            merge = CaseMerge(plan, item, state, case, now)
            faults += merge.faults
            if not faults:
                yield merge
        faults += [f"case {key}: the run has no such case" for key in self.records.left_over()]
        if faults:
            more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
            raise DataError(listed(f"{self.header.kind} bundle of run {plan.run_id} refused", faults[:SHOWN] + more))

    def _cases(self) -> Iterator[tuple[CaseItem, CaseState]]:
        if self.known:
            return read_cases(self.store, self.store.load_snapshot(self.header.run_id))
        return ((item, fresh_state(item)) for item in case_items(self.header.snapshot))


def keep(store: RunStore, snapshot: RunSnapshot, batches: Iterator[Batch]) -> None:
    """Keep a snapshot and batches of events, all or nothing, holding one batch; the run must be held."""
    with store.transaction(snapshot.run_id):
        store.persist_snapshot(snapshot)
        for events, blobs in batches:
            store.append(snapshot.run_id, events, blobs)
