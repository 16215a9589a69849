"""One stored run, read as needed: the only reader under results, reports, quick checks, comparisons and searches.

A view holds no case. A pass streams the store once, in plan order, one case at a time; the outcome of a case or a run
is decided in the core (`projections.score_rows`, `state.status_of`) and only asked for here.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import attrs

from themis.api.stores import Storage, at_hand
from themis.effects.reading import fresh_state, read_case_events, read_cases, read_events, stored_cases
from themis.pure.case_view import CaseView, case_view
from themis.pure.chain import read_event
from themis.pure.errors import DataError, listed, nearest
from themis.pure.events import RUN_ENDS, ParseCompletedEvent, RunEvent, RunStartedEvent
from themis.pure.happy_path import happy_path_rows
from themis.pure.human_labels import current_labels
from themis.pure.json import JSONValue, decode
from themis.pure.pipeline.table import happy_path
from themis.pure.plan import CaseItem, MetricSlot, RunPlan, case_items, make_plan, total_cases
from themis.pure.projections import Tallies, Thresholds, case_result, score_rows
from themis.pure.protocols import KnowsWriters, RunReader, RunStore
from themis.pure.records.human_label import HumanLabel
from themis.pure.records.labels import RunLabels, labels_of
from themis.pure.records.results import BenchmarkScoreRow, CaseResult, RunStatus
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import StoredEvent
from themis.pure.state import CaseState, answer_state, fold_case, has_failures, status_of
from themis.pure.stopping import Stop, case_order, range_of_rule, rule_bounds, stop_of

_PARSED: Final = attrs.fields(ParseCompletedEvent).event_type.default
_MOST_NAMES = 2000
"""Case ids that are searched for one that a misspelt one may mean."""


@attrs.frozen
class RunEnding:
    """What the events of the whole run tell: when its attempts began, and how the last one ended."""

    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    event_type: str | None = None
    completed_through_stage: str | None = None
    error_message: str | None = None
    labels: RunLabels = attrs.field(factory=RunLabels)


@attrs.frozen
class ScoredCase:
    """One case with a row for each metric.

    Attributes:
        failed: a step of it failed, whether or not a row shows it.
        begun: anything at all is stored of it.
        labels: what people said of it.
        stored: its events as they are stored, in order.
    """

    item: CaseItem
    rows: Sequence[BenchmarkScoreRow]
    failed: bool
    begun: bool
    labels: Sequence[HumanLabel] = ()
    stored: Sequence[StoredEvent] = attrs.field(default=(), repr=False)


@attrs.frozen(kw_only=True, slots=False)
class RunView:
    """One run of a store. Every method that yields reads the store anew."""

    snapshot: RunSnapshot = attrs.field(repr=False)
    store: RunReader = attrs.field(repr=False)

    @classmethod
    def of(cls, store: RunStore | Storage, run_id: str) -> RunView:
        """Open a run.

        Raises:
            RunNotFoundError: the store has no such run.
        """
        store = at_hand(store)
        return cls(snapshot=store.load_snapshot(run_id), store=store)

    @property
    def run_id(self) -> str:
        return self.snapshot.run_id

    @functools.cached_property
    def plan(self) -> RunPlan:
        return make_plan(self.snapshot)

    @property
    def metrics(self) -> tuple[MetricSlot, ...]:
        return self.plan.metrics

    @functools.cached_property
    def thresholds(self) -> Thresholds:
        return Thresholds(self.snapshot.metric_thresholds)

    @functools.cached_property
    def _usual(self) -> tuple[str, ...]:
        return happy_path(self.plan)

    @property
    def dataset_ids(self) -> tuple[str, ...]:
        return tuple(dataset.dataset_id for dataset in self.snapshot.datasets)

    @property
    def total_cases(self) -> int:
        """How many cases are planned: all, or those up to where the run's rule ends it."""
        return total_cases(self.snapshot) if self.stop is None else self.stop.cases

    @functools.cached_property
    def stop(self) -> Stop | None:
        """Where the run's rule ends it by what is stored, as of the first time it is asked for; `None` without one."""
        return None if self._stopped is None else self._stopped[0]

    @functools.cached_property
    def _stopped(self) -> tuple[Stop, bytearray] | None:
        """The stop, and of each case whether it is planned; a few bytes a case."""
        rule = self.snapshot.identity.until
        if rule is None:
            return None
        order = case_order(self.snapshot, rule)
        lows, highs, begun = array("d"), array("d"), bytearray()
        for case in self._scored(lambda number: True):
            low, high = rule_bounds(self.plan, rule, case.rows)
            lows.append(low)
            highs.append(high)
            begun.append(case.begun)
        stop = stop_of(rule, range_of_rule(self.plan, rule), order, lambda number: (lows[number], highs[number]))
        planned = bytearray(len(begun))
        for number in order.numbers[: stop.cases]:
            planned[number] = 1
        beyond = sum(was_begun and not is_planned for was_begun, is_planned in zip(begun, planned, strict=True))
        return stop.evolve(beyond=beyond), planned

    def is_planned(self, case_no: int) -> bool:
        """Whether a case belongs to the run: all do, or those up to where its rule ends it."""
        return self._stopped is None or bool(self._stopped[1][case_no])

    @property
    def event_count(self) -> int:
        """How many events are stored; a run that was never begun has none."""
        return self.store.head(self.run_id).count

    @functools.cached_property
    def ending(self) -> RunEnding:
        """How the last attempt at the run ended, as of the first time it is asked for."""
        stored = self.store.run_events(self.run_id) if self.event_count else ()
        events = [read_event(event, self.store.blob) for event in stored]
        if not events:
            return RunEnding()
        first, last = events[0], events[-1]
        attempts = [event for event in events if isinstance(event, RunStartedEvent)]
        return RunEnding(
            attempts=len(attempts),
            labels=labels_of(event.labels for event in attempts),
            started_at=first.occurred_at,
            ended_at=last.occurred_at if last.event_type in RUN_ENDS else None,
            event_type=last.event_type,
            completed_through_stage=getattr(last, "completed_through_stage", None),
            error_message=getattr(last, "error_message", None),
        )

    def status(self, any_failed: Callable[[], bool]) -> RunStatus:
        """Return the run's status; cases are read only where they decide."""
        return status_of(self.ending.event_type, any_failed, self._is_interrupted)

    def _is_interrupted(self) -> bool:
        return isinstance(self.store, KnowsWriters) and self.store.is_interrupted(self.run_id)

    # --- passes over the run ------------------------------------------------------------------------------

    def events(self) -> Iterator[RunEvent]:
        return read_events(self.store, self.run_id)

    def items(self) -> Iterator[CaseItem]:
        return (item for item in case_items(self.snapshot) if self.is_planned(item.case_no))

    def cases(self) -> Iterator[tuple[CaseItem, CaseState]]:
        return (case for case in read_cases(self.store, self.snapshot) if self.is_planned(case[0].case_no))

    def case_events(self) -> Iterator[tuple[CaseItem, Sequence[RunEvent]]]:
        return (case for case in read_case_events(self.store, self.snapshot) if self.is_planned(case[0].case_no))

    def results(self) -> Iterator[CaseResult]:
        return (case_result(self.plan, state) for _, state in self.cases())

    def scored(self, wanted: Callable[[int], bool] | None = None) -> Iterator[ScoredCase]:
        """Yield every case with its score rows; a case that went through at once is read without a fold.

        Args:
            wanted: tells by its number whether a case is meant; by default all that are planned are.
        """
        return self._scored(wanted or self.is_planned)

    def _scored(self, wanted: Callable[[int], bool]) -> Iterator[ScoredCase]:
        for item, stored in stored_cases(self.store, self.snapshot):
            if not wanted(item.case_no):
                continue
            rows = happy_path_rows(item, stored, self.metrics, self.thresholds, self._usual)
            if rows is not None:
                yield ScoredCase(item, rows, failed=False, begun=True, stored=stored)
                continue
            state = fold_case(fresh_state(item), (read_event(event, self.store.blob) for event in stored))
            labels = tuple(current_labels(self.plan, state))
            yield ScoredCase(item, self.rows_of(state), has_failures(state), bool(stored), labels, stored)

    def whole(self, case: ScoredCase) -> CaseView:
        """Return a case in full that a pass came by."""
        return self.in_full(case.item, [read_event(event, self.store.blob) for event in case.stored])

    def parsed(self, case: ScoredCase) -> list[JSONValue]:
        """Return what was parsed of each answer of a case that a pass came by; `None` where nothing was."""
        if case.stored and tuple(event.event_type for event in case.stored) == self._usual:
            payload = next(event.payload for event in case.stored if event.event_type == _PARSED)
            result = decode(payload)["result"]
            if result is not None:  # or it is in a blob
                return [result["value"]]
        state = fold_case(fresh_state(case.item), (read_event(event, self.store.blob) for event in case.stored))
        answers = [answer_state(state, index).parsed for index in self.plan.answers]
        return [None if parsed is None else parsed.value for parsed in answers]

    def rows(self) -> Iterator[BenchmarkScoreRow]:
        return (row for case in self.scored() for row in case.rows)

    @functools.cached_property
    def tallies(self) -> Tallies:
        """The counts of all cases, as of the first time they are asked for."""
        tallies = self.no_tallies()
        for case in self.scored():
            tallies.add(case.rows, failed=case.failed)
        return tallies

    def no_tallies(self) -> Tallies:
        """Return the counts of no case."""
        return Tallies(self.metrics, through=self.ending.completed_through_stage)

    # --- single cases -------------------------------------------------------------------------------------

    def find(self, case_id: str, dataset_id: str | None = None, case_key: str | None = None) -> CaseItem:
        """Return a case by its id.

        Raises:
            DataError: there is none, or there are several: the error lists them.
        """
        found = [
            item
            for item in case_items(self.snapshot)
            if item.case.case_id == case_id
            and dataset_id in (None, item.dataset_id)
            and case_key in (None, item.case_key)
        ]
        if len(found) == 1:
            if not self.is_planned(found[0].case_no):
                raise DataError(f"case {case_id!r} is not planned: the run ends before it, by its rule {self.stop}")
            return found[0]
        if found:
            choices = [f"dataset_id={item.dataset_id!r} (case_key {item.case_key!r})" for item in found]
            raise DataError(listed(f"case_id {case_id!r} is in {len(found)} datasets; say which", choices))
        given = {"dataset_id": dataset_id, "case_key": case_key}
        narrowed = "".join(f" with {name} {value!r}" for name, value in given.items() if value is not None)
        raise DataError(f"the run has no case {case_id!r}{narrowed}; {self._near(case_id)}")

    def _near(self, case_id: str) -> str:
        if self.total_cases > _MOST_NAMES:
            return f"it has {self.total_cases:,} cases, of datasets {', '.join(self.dataset_ids)}"
        return nearest(case_id, {item.case.case_id for item in self.items()})

    def numbered(self, numbers: set[int]) -> Iterator[tuple[CaseItem, CaseState]]:
        """Yield the cases of these numbers."""
        items = (item for item in self.items() if item.case_no in numbers) if numbers else ()
        return ((item, self.state_of(item)) for item in items)

    def rows_of(self, state: CaseState) -> tuple[BenchmarkScoreRow, ...]:
        return tuple(score_rows(self.plan, state, self.thresholds))

    def state_of(self, item: CaseItem) -> CaseState:
        return fold_case(fresh_state(item), self.events_of(item))

    def in_full(self, item: CaseItem, events: Sequence[RunEvent], state: CaseState | None = None) -> CaseView:
        """Return a case in full, from its events, and their state if there is one already."""
        prompt = self.snapshot.identity.generation_prompt_spec
        return case_view(item, events, self.plan, self.thresholds, prompt, state)

    def events_of(self, item: CaseItem) -> list[RunEvent]:
        """Return what happened to a case, in order."""
        stored = self.store.case_events(self.run_id, item.case_no) if self.event_count else ()
        return [read_event(event, self.store.blob) for event in stored]
