"""The result of a run: counts and means at hand, cases read from the store as needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from themis.effects.reading import read_cases, read_events
from themis.pure.costs import RunCosts
from themis.pure.events import event_from_dict
from themis.pure.json import EMPTY, decode
from themis.pure.plan import metric_slots, total_cases
from themis.pure.projections import Tallies, Threshold, case_result, result_digest, score_rows
from themis.pure.records.results import (
    BenchmarkResult,
    BenchmarkScoreRow,
    CaseResult,
    Lazy,
    ProgressSnapshot,
    RunStatus,
)
from themis.pure.state import status_of
from themis.pure.usage import RunUsage, recorded_calls, run_costs, run_usage

if TYPE_CHECKING:
    from themis.pure.protocols import RunStore
    from themis.pure.records.snapshot import RunSnapshot
    from themis.pure.state import CaseState


T = TypeVar("T")


@attrs.frozen(kw_only=True, slots=False)
class RunResult:
    """What a run came to.

    Everything past `run_id` is computed when it is first asked for, from what the store holds, so that a result
    of a million cases takes no memory.

    Attributes:
        snapshot: the compiled experiment.
        store: where the run is kept.
    """

    snapshot: RunSnapshot = attrs.field(repr=False)
    store: RunStore = attrs.field(repr=False)

    @property
    def run_id(self) -> str:
        """The run's id: the hash of its identity."""
        return self.snapshot.run_id

    @functools.cached_property
    def _ending(self) -> RunEnding:
        return run_ending(self.store, self.run_id)

    @functools.cached_property
    def status(self) -> RunStatus:
        """Where the run stands: `partial_failure` when it went through and some cases have errors."""
        return self._ending.status(lambda: self.progress.failed_cases)

    @property
    def completed_through_stage(self) -> str | None:
        """The last stage that the run went through for all cases."""
        return self._ending.completed_through_stage

    @property
    def error_message(self) -> str | None:
        """Why the last attempt ended early, if it did."""
        return self._ending.error_message

    @property
    def progress(self) -> ProgressSnapshot:
        """How many cases were planned, went through, and have an error."""
        return self._tallies.progress()

    @property
    def cases(self) -> Sequence[CaseResult]:
        """Every case's result, in plan order, read as needed."""
        return Lazy(total_cases(self.snapshot), _Each(self._case_results))

    @functools.cached_property
    def benchmark(self) -> BenchmarkResult:
        """The scores as numbers, with the counts of errors beside every mean."""
        slots = metric_slots(self.snapshot)
        dataset_ids = [dataset.dataset_id for dataset in self.snapshot.datasets]
        rows = Lazy(total_cases(self.snapshot) * len(slots), _Each(self._rows))
        return self._tallies.result(self.run_id, dataset_ids, rows)

    @functools.cached_property
    def digest(self) -> str:
        """The hash of all results, without times, latencies and transport facts (law 4)."""
        return result_digest(self._case_results())

    @functools.cached_property
    def usage(self) -> RunUsage:
        """Calls, tokens and time of the run, over all of its attempts."""
        return run_usage(self.run_id, read_events(self.store, self.run_id))

    def costs(self, prices: Mapping[str, Mapping[str, float]] = EMPTY) -> RunCosts:
        """Return tokens and US dollars by stage and model, over all of the run's attempts.

        Models whose price is not known count their tokens, and `notice` names them.

        Args:
            prices: prices that come before the table's, in US dollars per million tokens:
                `{"vllm/my-model": {"prompt": 0.1, "completion": 0.4}}`.
        """
        from themis.effects.prices import known_prices

        generator = self.snapshot.identity.generator_ref.component_id
        calls = recorded_calls(read_events(self.store, self.run_id), generator)
        return run_costs(calls, known_prices(prices))

    @functools.cached_property
    def _tallies(self) -> Tallies:
        tallies = Tallies(metric_slots(self.snapshot), threshold_of(self.snapshot))
        for _, state in read_cases(self.store, self.snapshot):
            tallies.add(state)
        return tallies

    def _states(self) -> Iterator[CaseState]:
        return (state for _, state in read_cases(self.store, self.snapshot))

    def _case_results(self) -> Iterator[CaseResult]:
        slots = metric_slots(self.snapshot)
        return (case_result(slots, state) for state in self._states())

    def _rows(self) -> Iterator[BenchmarkScoreRow]:
        slots, threshold = metric_slots(self.snapshot), threshold_of(self.snapshot)
        return (row for state in self._states() for row in score_rows(slots, state, threshold))


@attrs.frozen
class RunEnding:
    """How the last attempt at a run ended: its last event, stage and error message."""

    event_type: str = ""
    completed_through_stage: str | None = None
    error_message: str | None = None

    def status(self, failed_cases: Callable[[], int]) -> RunStatus:
        """Return where the run stands; failed cases are counted only where they decide."""
        return status_of(self.event_type, failed_cases)


def run_ending(store: RunStore, run_id: str) -> RunEnding:
    """Return how the last attempt ended; a run without an event has not begun."""
    stored = store.run_events(run_id) if store.head(run_id).count else ()
    endings = ("run_completed", "run_failed", "run_started")
    last = next((event for event in reversed(stored) if event.event_type in endings), None)
    if last is None:
        return RunEnding()
    event = event_from_dict(decode(last.payload))
    return RunEnding(
        last.event_type, getattr(event, "completed_through_stage", None), getattr(event, "error_message", None)
    )


class _Each(Generic[T]):
    """An iterable that starts anew each time."""

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[T]:
        return self._make()


def threshold_of(snapshot: RunSnapshot) -> Threshold:
    """Return from which value each metric's score counts as correct."""
    return Threshold(snapshot.metric_thresholds)
