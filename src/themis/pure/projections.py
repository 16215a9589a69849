"""Projections: views of a run, computed from its state on demand, never per event.

Every one is linear in what it reads. Law 11 lives here: each metric has exactly one row per planned answer of a case,
which is correct, incorrect, an error or not reached; means are over scored rows only. An answer that could not be
parsed is the model's: it has its metric's lowest score where that is known, unless the run counts it as missing. What
kept it from being parsed stands in its row either way. What a run did not come to, since it was to end before or was
interrupted, is no error of anybody's.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, get_args

import attrs

from themis._stages import STAGE_ORDER, Stage
from themis.pure.events import RunEvent
from themis.pure.identity import DIGEST_VERSION, candidate_id
from themis.pure.json import FrozenDict, encode
from themis.pure.pipeline.judge import execution_score
from themis.pure.plan import MetricSlot, RunPlan
from themis.pure.records.failure import StepFailure
from themis.pure.records.generation import TRANSPORT, GenerationResult
from themis.pure.records.judging import ConversationTrace, EvaluationExecution, WorkflowTrace
from themis.pure.records.results import (
    AnswerResult,
    BenchmarkResult,
    BenchmarkScoreRow,
    CaseResult,
    ErrorCategory,
    EvaluationFailure,
    GenerationFailure,
    Outcome,
    ProgressSnapshot,
    TimelineEntry,
    TimelineView,
    TracedItem,
    TraceView,
)
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.state import (
    CaseState,
    answer_state,
    candidates_of,
    has_failures,
    is_without_answer,
    reduction_problem,
    selected_ids,
)
from themis.pure.voting import Ballot, ballot

_CORRECT_FROM: Final = 1.0
"""The value from which a score counts as correct, where the metric states no threshold of its own."""

_Why: TypeAlias = tuple[ErrorCategory, str]
"""Why a row has no score."""


def _not_reached(stage: Stage) -> _Why:
    return "not_reached", f"the run has not reached stage '{stage}'"


_UNREAD: Final = frozenset(_not_reached(stage)[1] for stage in STAGE_ORDER[: STAGE_ORDER.index("parse") + 1])
"""What rows say of answers that were not parsed yet, or that are not there yet."""


@attrs.frozen
class Thresholds:
    """From which value each metric's score counts as correct."""

    by_metric: Mapping[str, float] = attrs.field(factory=FrozenDict)

    def outcome(self, score: Score) -> Outcome:
        return "correct" if score.value >= self.of(score.metric_id) else "incorrect"

    def of(self, metric_id: str) -> float:
        return self.by_metric.get(metric_id, _CORRECT_FROM)


# --- cases ------------------------------------------------------------------------------------------------


def case_result(plan: RunPlan, state: CaseState) -> CaseResult:
    """Return everything that is known of one case."""
    failed = reduction_problem(state)
    several = () if plan.is_reduced else range(plan.candidate_count)
    return CaseResult(
        **_answer_fields(plan, state, None),
        generated_candidates=candidates_of(state),
        generation_failures=tuple(
            failure.described(GenerationFailure) for _, failure in sorted(state.generation_failures.items())
        ),
        selected_candidate_ids=selected_ids(state),
        reduced_candidate=state.reduced,
        reduction_error=failed.described(StepFailure) if failed else None,
        answers=tuple(AnswerResult(**_answer_fields(plan, answer_state(state, index), index)) for index in several),
    )


def _answer_fields(plan: RunPlan, state: CaseState, index: int | None) -> dict[str, Any]:
    order = [metric.metric_id for metric in plan.metrics]
    return {
        "case_id": state.case_id,
        "dataset_id": state.dataset_id,
        "case_key": state.case_key,
        "candidate_id": _answer_name(state, index),
        "parsed_output": state.parsed,
        "parser_id": state.parser_id,
        "parse_error": state.parse_failure.described(StepFailure) if state.parse_failure else None,
        "evaluation_executions": tuple(state.executions[name] for name in order if name in state.executions),
        "judged": tuple(name for name in order if name in state.executions),
        "evaluation_failures": tuple(
            failure.described(EvaluationFailure)
            for name in order
            if (failure := state.evaluation_failures.get(name)) is not None
        ),
        "scores": tuple(outcome for name in order if (outcome := _score_of(state, name)) is not None),
    }


def _answer_name(state: CaseState, index: int | None) -> str | None:
    """Return the id of the candidate that is, or was to be, the answer; `None` if that is not known."""
    if index is not None:
        return candidate_id(state.case_id, index)
    return state.reduced.candidate_id if state.reduced is not None else None


def _score_of(state: CaseState, metric_id: str) -> Score | ScoreError | None:
    if metric_id in state.scores:
        return state.scores[metric_id]
    if metric_id in state.score_failures:
        return state.score_failures[metric_id]
    if metric_id in state.executions:
        return execution_score(state.executions[metric_id], metric_id)
    return None


def case_votes(plan: RunPlan, state: CaseState) -> tuple[list[Ballot], list[bool]]:
    """Return what each of a case's answers votes for, and which of them are not there at all."""
    answers = [answer_state(state, index) for index in plan.answers]
    missing = [answer.parsed is None and answer.parse_failure is None for answer in answers]
    return [ballot(answer.parsed) for answer in answers], missing


# --- score rows -------------------------------------------------------------------------------------------


def score_rows(plan: RunPlan, state: CaseState, thresholds: Thresholds) -> Iterator[BenchmarkScoreRow]:
    """Yield one row per metric and answer: a value, or the error that explains its absence."""
    answers = {index: _Answered.of(state, index) for index in plan.answers}
    all_at_once = _Answered(state, None, _ungenerated(state))
    for metric in plan.metrics:
        for index in plan.answers_of(metric):
            yield answers.get(index, all_at_once).row(metric, thresholds)


@attrs.frozen
class _Answered:
    """What is scored of a case: its state, the candidate's name, and what keeps every metric from scoring it."""

    state: CaseState
    candidate_id: str | None
    upstream: _Why | None

    @classmethod
    def of(cls, state: CaseState, index: int | None) -> _Answered:
        seen = answer_state(state, index)
        return cls(seen, _answer_name(seen, index), _upstream_error(seen))

    def row(self, metric: MetricSlot, thresholds: Thresholds) -> BenchmarkScoreRow:
        state, metric_id = self.state, metric.metric_id
        case = (state.case_id, state.dataset_id, state.case_key)
        outcome = _score_of(state, metric_id) if self.upstream is None else None
        if isinstance(outcome, Score):
            return scored_row(*case, self.candidate_id, outcome, thresholds)
        category, message = self.upstream or _metric_error(state, metric, outcome)
        value = metric.unparsed if category in UNPARSED else None
        return BenchmarkScoreRow(
            case_id=state.case_id,
            dataset_id=state.dataset_id,
            case_key=state.case_key,
            metric_id=metric_id,
            value=value,
            candidate_id=self.candidate_id,
            outcome="incorrect" if value is not None else "not_reached" if category == "not_reached" else "error",
            error_category=category,
            error_message=message,
            details=outcome.details if outcome is not None else FrozenDict(),
        )


def scored_row(
    case_id: str, dataset_id: str, case_key: str, candidate_id: str | None, score: Score, thresholds: Thresholds
) -> BenchmarkScoreRow:
    return BenchmarkScoreRow(
        case_id=case_id,
        dataset_id=dataset_id,
        case_key=case_key,
        metric_id=score.metric_id,
        value=score.value,
        candidate_id=candidate_id,
        outcome=thresholds.outcome(score),
        details=score.details,
    )


UNPARSED: Final[tuple[ErrorCategory, ...]] = ("parse_failure", "parse_null", "parse_invalid")
"""The categories of answers that could not be parsed, or were parsed to nothing usable."""


def is_unread(row: BenchmarkScoreRow) -> bool:
    """Tell whether the run has not come to parse what a row is about."""
    return row.outcome == "not_reached" and row.error_message in _UNREAD


def _ungenerated(state: CaseState) -> _Why | None:
    """Return why candidates are missing, if any are."""
    if state.generation_failures:
        # The first candidate's, not the first in time: a report must not depend on the order of completion.
        return "generation_failure", state.generation_failures[min(state.generation_failures)].error_message
    return None if state.candidates else _not_reached("generate")


def _upstream_error(state: CaseState) -> _Why | None:
    """Return what keeps every metric from scoring an answer, if there is anything."""
    if state.generation_failures:
        return _ungenerated(state)
    failure = reduction_problem(state)
    if failure is not None:
        return "parse_null" if is_without_answer(failure) else "reduction_failure", failure.error_message
    if state.parse_failure is not None:
        return "parse_failure", state.parse_failure.error_message
    if not state.candidates:
        return _ungenerated(state)
    if state.reduced is None:
        return _not_reached("reduce")
    parsed = state.parsed
    if parsed is None:
        return _not_reached("parse")
    if parsed.metadata.get("invalid") is True:
        return "parse_invalid", str(parsed.metadata.get("reason", "the parser marked the answer as unusable"))
    if parsed.value is None:
        return "parse_null", str(parsed.metadata.get("reason", "the parser found nothing in the answer"))
    return None


def _metric_error(state: CaseState, metric: MetricSlot, outcome: ScoreError | None) -> _Why:
    failure = state.evaluation_failures.get(metric.metric_id)
    if failure is not None:
        return "evaluation_failure", failure.error_message
    if outcome is None:
        return _not_reached(metric.stage)
    if metric.metric_id in state.executions:
        return "evaluation_partial_failure", outcome.reason
    return "score_failure", outcome.reason


# --- tallies ----------------------------------------------------------------------------------------------


def asked_for(metrics: Iterable[MetricSlot], through: str | None) -> Iterator[MetricSlot]:
    """Yield the metrics that a run which ended after a stage was asked for; none of one that did not end."""
    asked = STAGE_ORDER[: STAGE_ORDER.index(through) + 1] if through in STAGE_ORDER else ()
    return (metric for metric in metrics if metric.stage in asked)


def _is_failure(row: BenchmarkScoreRow) -> bool:
    """Tell whether a row says that the run failed: an answer that can't be read is the model's."""
    return row.outcome == "error" and row.error_category not in UNPARSED


@attrs.define
class _Tally:
    total: float = 0.0
    compensation: float = 0.0
    scored: int = 0
    outcomes: Counter[str] = attrs.field(factory=Counter)
    errors: Counter[str] = attrs.field(factory=Counter)

    def add(self, row: BenchmarkScoreRow) -> None:
        self.outcomes[row.outcome] += 1
        if row.error_category is not None:
            self.errors[row.error_category] += 1
        if row.value is not None:
            self.scored += 1
            # Neumaier's compensated sum (ZAMM 54, 1974): a mean must not depend on the order of a million rows.
            total = self.total + row.value
            big, small = (self.total, row.value) if abs(self.total) >= abs(row.value) else (row.value, self.total)
            self.compensation += (big - total) + small
            self.total = total

    def sum(self) -> float:
        return self.total + self.compensation


@attrs.define
class Tallies:
    """Running counts and means over score rows, one pass, constant memory.

    Attributes:
        through: the stage that a run came to which ended as it was asked to: its cases are done, if they did not fail.
    """

    metrics: tuple[MetricSlot, ...]
    through: str | None = None
    cases: int = 0
    failed: int = 0
    unfinished: int = 0
    _by_metric: dict[str, _Tally] = attrs.field(factory=lambda: defaultdict(_Tally), init=False)

    def add(self, rows: Sequence[BenchmarkScoreRow], *, failed: bool) -> None:
        """Count one case by its score rows; `failed` if a step of it failed, whether or not a row shows it.

        An answer that could not be parsed makes no case a failed one, even where its score is missing.
        """
        self.cases += 1
        outcomes = {row.outcome for row in rows}
        if failed or ("error" in outcomes and any(map(_is_failure, rows))):
            self.failed += 1
        elif "not_reached" in outcomes:
            self.unfinished += 1
        for row in rows:
            self._by_metric[row.metric_id].add(row)

    def outcomes_of(self, metric_id: str) -> Counter[str]:
        return self._by_metric[metric_id].outcomes

    def sum_of(self, metric_id: str) -> float:
        return self._by_metric[metric_id].sum()

    def progress(self) -> ProgressSnapshot:
        left = self.failed + (self.unfinished if self.through is None else 0)
        return ProgressSnapshot(total_cases=self.cases, completed_cases=self.cases - left, failed_cases=self.failed)

    def has_failed(self) -> bool:
        """Tell whether a case failed, or lacks a score that the run was asked for."""
        asked = (metric.metric_id for metric in asked_for(self.metrics, self.through))
        return self.failed > 0 or any(self.outcomes_of(name)["not_reached"] for name in asked)

    def result(self, run_id: str, dataset_ids: Iterable[str], rows: Any = ()) -> BenchmarkResult:
        """Return the counts and means as a record."""
        tallies = {metric.metric_id: self._by_metric[metric.metric_id] for metric in self.metrics}
        progress = self.progress()
        return BenchmarkResult(
            run_id=run_id,
            dataset_ids=dataset_ids,
            metric_ids=tuple(tallies),
            total_cases=progress.total_cases,
            completed_cases=progress.completed_cases,
            failed_cases=progress.failed_cases,
            score_rows=rows,
            metric_means={name: tally.sum() / tally.scored for name, tally in tallies.items() if tally.scored},
            outcome_counts={
                name: {
                    outcome: count
                    for outcome in get_args(Outcome)
                    if (count := tally.outcomes[outcome]) or outcome != "not_reached"
                }
                for name, tally in tallies.items()
            },
            error_counts={name: dict(sorted(tally.errors.items())) for name, tally in tallies.items()},
        )


def benchmark_result(
    run_id: str,
    plan: RunPlan,
    dataset_ids: Iterable[str],
    states: Iterable[CaseState],
    thresholds: Thresholds | None = None,
) -> BenchmarkResult:
    """Return a run's scores as numbers, its rows included: for runs that fit into memory."""
    tallies = Tallies(plan.metrics)
    rows: list[BenchmarkScoreRow] = []
    for state in states:
        case_rows = list(score_rows(plan, state, thresholds or Thresholds()))
        tallies.add(case_rows, failed=has_failures(state))
        rows.extend(case_rows)
    return tallies.result(run_id, dataset_ids, tuple(rows))


# --- the digest -------------------------------------------------------------------------------------------


class Digest:
    """Law 4's digest: all results of a run, in plan order, without times, latencies and facts about calls."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(f"{DIGEST_VERSION}\nresult\n".encode())

    def add(self, result: CaseResult) -> None:
        self.add_data(reproducible_result(result))

    def add_data(self, data: object) -> None:
        """Take what counts of the next case's result, also read back from JSON."""
        self._hash.update(hashlib.sha256(encode(data)).digest())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def result_digest(results: Iterable[CaseResult]) -> str:
    """Return the digest of all results, which come in plan order."""
    digest = Digest()
    for result in results:
        digest.add(result)
    return digest.hexdigest()


_VARYING: Final = frozenset(
    {"latency_ms", "duration_ms", "timestamp", "provider_request_id", "retry_history", TRANSPORT}
)
_VARYING_TOKENS: Final = frozenset({"cached_tokens"})
"""How many tokens a provider had cached depends on what else it served."""
_ABOUT_THE_CALL: Final = frozenset({"request", "model"})
"""Artifacts that say what was sent, and what the server calls its model: one model says the same by whatever way it is
asked, in process or over HTTP."""


def reproducible_result(result: CaseResult) -> dict[str, Any]:
    """Return what counts of a case's result: two runs that differ in this differ in their results."""
    data = {
        "case_key": result.case_key,
        "candidates": [reproducible_part(each, _ABOUT_THE_CALL) for each in result.generated_candidates],
        "generation_failures": [(f.candidate_index, f.error_type) for f in result.generation_failures],
        "selected": result.selected_candidate_ids,
        "reduced": result.reduced_candidate,
        "reduction_error": result.reduction_error and result.reduction_error.error_type,
        **_digest_of_answer(result),
    }
    return {**data, "answers": list(map(_digest_of_answer, result.answers))} if result.answers else data


def _digest_of_answer(answer: AnswerResult) -> dict[str, Any]:
    return {
        "parsed": answer.parsed_output,
        "parser": answer.parser_id,
        "parse_error": answer.parse_error and answer.parse_error.error_type,
        "executions": [reproducible_part(each, _ABOUT_THE_CALL) for each in answer.evaluation_executions],
        "evaluation_failures": [(f.metric_id, f.error_type) for f in answer.evaluation_failures],
        "scores": [
            score if isinstance(score, Score) else {"metric_id": score.metric_id, "error": True}
            for score in answer.scores
        ],
    }


def reproducible_part(
    record: GenerationResult | EvaluationExecution, without_artifacts: frozenset[str] = frozenset()
) -> Any:
    """Return a record without what differs between two identical calls: times, latencies, transport facts.

    Args:
        record: the record.
        without_artifacts: names of artifacts to leave out besides.
    """
    if type(record) is GenerationResult and record.trace is None and not record.artifacts and not record.token_usage:
        return record.evolve(latency_ms=None) if record.latency_ms is not None else record
    return _without(record.to_dict(), {"token_usage": _VARYING_TOKENS, "artifacts": without_artifacts})


def _without(value: Any, within: Mapping[str, frozenset[str]]) -> Any:
    """Return a value without what varies at any depth, and without what `within` names in objects of a name."""
    if isinstance(value, dict):
        kept = {key: _without(item, within) for key, item in value.items() if key not in _VARYING}
        for name, left_out in within.items():
            if left_out and isinstance(part := kept.get(name), dict):
                kept[name] = {key: item for key, item in part.items() if key not in left_out}
        return kept
    if isinstance(value, list):
        return [_without(item, within) for item in value]
    return value


# --- views over events ------------------------------------------------------------------------------------


_PLACE: Final = ("case_id", "dataset_id", "case_key", "candidate_id", "metric_id")


def timeline(run_id: str, events: Iterable[RunEvent]) -> TimelineView:
    """Return what happened, in order, without its content."""
    entries = tuple(
        TimelineEntry(
            index=index,
            event_type=event.event_type,
            occurred_at=event.occurred_at,
            **{name: getattr(event, name, None) for name in _PLACE},
        )
        for index, event in enumerate(events)
    )
    return TimelineView(run_id=run_id, entries=entries)


def trace_view(run_id: str, states: Iterable[CaseState]) -> TraceView:
    """Return every trace and conversation of a run, with its case and candidate."""
    generations: list[TracedItem] = []
    conversations: list[TracedItem] = []
    evaluations: list[TracedItem] = []
    for state in states:
        where: dict[str, Any] = {"case_id": state.case_id, "dataset_id": state.dataset_id, "case_key": state.case_key}
        for _, candidate in sorted(state.candidates.items()):
            name = candidate.candidate_id
            if candidate.trace is not None:
                trace = WorkflowTrace(trace_id=name, steps=candidate.trace)
                generations.append(TracedItem(**where, candidate_id=name, trace=trace))
            if candidate.conversation is not None:
                talk = ConversationTrace(trace_id=name, messages=candidate.conversation)
                conversations.append(TracedItem(**where, candidate_id=name, conversation=talk))
        for answer, seen in ((None, state), *sorted(state.answers.items())):
            for metric_id, execution in sorted(seen.executions.items()):
                evaluations.append(TracedItem(**where, candidate_id=answer, metric_id=metric_id, trace=execution.trace))
    return TraceView(
        run_id=run_id,
        generation_traces=generations,
        conversation_traces=conversations,
        evaluation_traces=evaluations,
    )
