"""Taking a bundle's events into a run: which of them it lacks, and what is wrong with them.

What the run has already is passed over, so that importing twice is importing once. What contradicts the run, or rests
on something that neither the run nor the bundle has, is a fault: the bundle is then refused whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from themis._stages import STAGE_ORDER
from themis.pure.bundles.holding import RunShape, in_place, is_settled, misfit, standing
from themis.pure.bundles.records import Bundle, BundleKind, Keyed, record_name
from themis.pure.chain import ARTIFACTS, Entry, header_hash
from themis.pure.events import (
    EVENT_TYPES,
    SCHEMA_VERSION,
    CaseRunEvent,
    RunCompletedEvent,
    RunFailedEvent,
    RunStartedEvent,
    StepEvent,
)
from themis.pure.human_labels import is_label
from themis.pure.json import encode
from themis.pure.plan import CaseItem
from themis.pure.projections import reproducible_part
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.scoring import ScoreError
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.state import CaseState, apply


class CaseMerge:
    """Takes one case's events into a run: `entries` is what the run lacks, `faults` why it takes none of them."""

    def __init__(
        self, run: RunShape, kind: BundleKind, item: CaseItem, before: CaseState, events: Sequence[Keyed]
    ) -> None:
        self.faults: list[str] = []
        self.entries: list[Entry] = []
        self._run = run
        self._before = before
        self._after = before
        for event, _ in events:
            self.faults += (f"{record_name(event)}: {problem}" for problem in _own_faults(run, kind, item, event))
        self._taken = set() if self.faults else {*self._taken_workflows(events)}
        for event, cache_key in events:
            if not self.faults:  # what comes after a fault rests on it
                self._take(item, event, cache_key)

    def _take(self, item: CaseItem, event: CaseRunEvent, cache_key: str | None) -> None:
        problem = misfit(self._run, self._after, event)
        known = self._known(event) if problem is None else None
        if known is None:
            self.faults.append(f"{record_name(event)}: {problem or _CONTRADICTS}")
        elif not known:
            artifact = ARTIFACTS.get(type(event))
            event = event if artifact is None else event.evolve(**{artifact.ref_field: None})  # stores decide
            self._after = apply(self._after, event)
            self.entries.append(Entry(item.case_no, event, cache_key))

    def _known(self, event: CaseRunEvent) -> bool | None:
        """Tell whether the run has this already; `None` if it has something else in its place."""
        has, new = in_place(self._before, event), standing(event)
        if isinstance(event, StepEvent) and event.workflow_id in self._taken:
            return bool(has == new)  # an outcome that is new brings its own answers: it would not follow from others
        if is_label(new):  # of two labels that one person gave an answer, the later counts
            return has is not None and bool(has.occurred_at >= new.occurred_at)
        if isinstance(new, CaseRunEvent | ScoreError):  # a failure, which a state keeps as the event
            return is_settled(self._run, self._before, event)
        if has is None or has == new or _same(has, new):
            return has is not None
        if isinstance(event, StepEvent):
            return True  # it was answered
        if isinstance(new, EvaluationExecution):
            return _is_better(has, new)
        return None

    def _taken_workflows(self, events: Sequence[Keyed]) -> Iterator[str]:
        for event, _ in events:
            workflow = self._run.workflow_of(event)
            if workflow is not None and self._known(event) is False:
                yield workflow


_CONTRADICTS: Final = (
    "the store has another result in its place, and an import changes no result; "
    "import into a store without this run, or clear the run first"
)


def _same(has: Any, new: Any) -> bool:
    return isinstance(has, GenerationResult | EvaluationExecution) and bool(
        reproducible_part(has) == reproducible_part(new)
    )


def _is_better(has: EvaluationExecution, new: EvaluationExecution) -> bool | None:
    """Tell of two different executions whether the run knows what is in the new one: a whole one replaces a part."""
    if new.status != "completed":
        return True
    return False if has.status != "completed" else None


def _own_faults(run: RunShape, kind: BundleKind, item: CaseItem, event: CaseRunEvent) -> Iterator[str]:
    """Yield what is wrong with an event wherever it stands."""
    artifact, made = ARTIFACTS.get(type(event)), standing(event)
    if EVENT_TYPES.get(event.event_type) is not type(event) or (made is None and artifact is None):
        yield f"it is no {event.event_type!r} that a bundle can hold"
        return
    if not 1 <= event.schema_version <= SCHEMA_VERSION:
        yield f"event of schema version {event.schema_version}; this Themis reads up to {SCHEMA_VERSION}"
    if not run.is_in(event, kind):
        yield f"{kind} bundles hold no such records"
    if event.run_id != run.plan.run_id:
        yield f"it belongs to run {event.run_id}"
    if (event.case_id, event.dataset_id, event.case_key) != (item.case.case_id, item.dataset_id, item.case_key):
        yield f"it belongs to case {event.case_id!r} of dataset {event.dataset_id!r} (key {event.case_key!r})"
    if artifact is not None:
        ref = getattr(event, artifact.ref_field)
        if ref is not None and hashlib.sha256(encode(getattr(event, artifact.field))).hexdigest() != ref:
            yield f"its {artifact.field} is not what {artifact.ref_field} ({ref}) names"
        if made is None:
            yield f"it has no {artifact.field}"


# --- the whole run ----------------------------------------------------------------------------------------


def opening_entries(bundle: Bundle, stored: Mapping[str, Any], snapshot: RunSnapshot) -> list[Entry]:
    """Return how a run begins that the store has no events of, if the bundle says it.

    `stored` is what the store said of the run before, as `run_fields` returns it; `snapshot` is the store's.
    """
    if stored or bundle.started_at is None:
        return []
    started = RunStartedEvent(
        run_id=bundle.run_id,
        occurred_at=bundle.started_at,
        header=header_hash(snapshot),
        name=bundle.name,
        tags=bundle.tags,
    )
    return [Entry(None, started)]


def closing_entries(
    bundle: Bundle, stored: Mapping[str, Any], now: datetime, count: int, *, added: bool
) -> list[Entry]:
    """Return how a run ends that has taken a bundle in, and has `count` events with what was `added` from it.

    If some were, an end that the store has counts too few. `now` is when the run ended, if the bundle does not say.
    """
    stage, had = bundle.completed_through_stage, stored.get("completed_through_stage")
    common: dict[str, Any] = {"run_id": bundle.run_id, "occurred_at": bundle.ended_at or now}
    if had is not None and (stage is None or STAGE_ORDER.index(stage) <= STAGE_ORDER.index(had)):
        stage = had if added else None
    if stage is not None:
        return [Entry(None, RunCompletedEvent(**common, completed_through_stage=stage, event_count=count + 1))]
    if bundle.error_message is not None and not stored:
        return [Entry(None, RunFailedEvent(**common, error_message=bundle.error_message))]
    return []
