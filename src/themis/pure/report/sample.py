"""Which cases a page shows in full, and what it shows of each.

Of a run with more cases than fit, a sample is taken: each case's rank is the hash of its key, and the lowest ranks
are kept, so that the same run always shows the same cases, whatever the order they are read in. Cases with an
error have half of the places.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.events import GenerationCompletedEvent, RunEvent
from themis.pure.json import encode
from themis.pure.plan import CaseItem
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.state import CaseState

DEFAULT_SAMPLE: Final = 2_000

TEXT_LIMIT: Final = 20_000
"""Longer texts are cut on the page, and say so; the store has them whole."""

_Kept = tuple[int, int, bytes]


class CaseSample:
    """Takes a run's cases in any order and keeps those that a page shows.

    Args:
        total: how many cases there are.
        limit: how many to keep; `None` keeps all.
    """

    def __init__(self, total: int, limit: int | None) -> None:
        self._total = total
        self._limit = total if limit is None else max(0, limit)
        self._all = self._limit >= total
        self._errors: list[_Kept] = []
        self._others: list[_Kept] = []
        self._error_count = 0

    @property
    def whole(self) -> bool:
        """Whether all cases are kept."""
        return self._all

    def add(
        self, item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow], events: Sequence[RunEvent]
    ) -> None:
        """Take a case."""
        failed = any(row.outcome == "error" for row in rows)
        self._error_count += failed
        heap = self._errors if failed else self._others
        # Largest rank first in the heap, so that it is the one to give way.
        rank = -int.from_bytes(hashlib.sha256(item.case_key.encode()).digest()[:8])
        if not self._all and len(heap) >= self._limit:
            if not heap or rank <= heap[0][0]:
                return
            heapq.heapreplace(heap, (rank, item.case_no, encode(case_data(item, state, rows, events))))
            return
        heapq.heappush(heap, (rank, item.case_no, encode(case_data(item, state, rows, events))))

    def _chosen(self) -> tuple[list[_Kept], list[_Kept]]:
        errors, others = sorted(self._errors, reverse=True), sorted(self._others, reverse=True)
        if self._all:
            return errors, others
        places = max(self._limit // 2, self._limit - len(others))
        errors = errors[:places]
        return errors, others[: self._limit - len(errors)]

    def cases(self) -> Iterator[bytes]:
        """Yield what was kept as JSON, in plan order."""
        errors, others = self._chosen()
        for _, _, data in sorted([*errors, *others], key=lambda kept: kept[1]):
            yield data

    def sentence(self) -> str | None:
        """Say how the cases were chosen; `None` if all are there."""
        if self._all:
            return None
        errors, others = self._chosen()
        clean = self._total - self._error_count
        return (
            f"A sample: {len(errors) + len(others):,} of {self._total:,} cases are listed, {len(errors):,} of the "
            f"{self._error_count:,} with an error and {len(others):,} of the {clean:,} without, chosen evenly by the "
            "hash of their keys. All figures and plots above the list are over every case."
        )


def case_data(
    item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow], events: Sequence[RunEvent]
) -> dict[str, Any]:
    """Return all that a page shows of a case, as plain data."""
    retries = {
        event.candidate_index: event.retry_history
        for event in events
        if isinstance(event, GenerationCompletedEvent) and event.retry_history
    }
    return _compact(
        {
            "no": item.case_no,
            "id": item.case.case_id,
            "dataset": item.dataset_id,
            "input": _shown(item.case.input),
            "expected": _shown(item.case.expected_output),
            "metadata": item.case.metadata,
            "scores": [_score_data(row) for row in rows],
            "candidates": [
                _candidate_data(state.candidates[index], retries.get(index, ())) for index in sorted(state.candidates)
            ],
            "failures": [
                {"id": e.candidate_id, "error": _cut(e.error_message), "type": e.error_type, "retries": e.retry_history}
                for _, e in sorted(state.generation_failures.items())
            ],
            "errors": [
                {"stage": stage, "error": _cut(failure.error_message), "type": failure.error_type}
                for stage, failure in (
                    ("select", state.selection_failure),
                    ("reduce", state.reduction_failure),
                    ("parse", state.parse_failure),
                    *((f"judge {name}", e) for name, e in sorted(state.evaluation_failures.items())),
                )
                if failure is not None
            ],
            "reduced": state.reduced
            and {"id": state.reduced.candidate_id, "output": _shown(state.reduced.final_output)},
            "parsed": state.parsed
            and {
                "parser": state.parser_id,
                "value": _shown(state.parsed.value),
                "format": state.parsed.format,
                "invalid": state.parsed.metadata.get("invalid") is True,
                "metadata": state.parsed.metadata,
            },
            "judged": [_execution_data(name, each) for name, each in sorted(state.executions.items())],
        }
    )


def _score_data(row: BenchmarkScoreRow) -> dict[str, Any]:
    return _compact(
        {
            "metric": row.metric_id,
            "value": row.value,
            "outcome": row.outcome,
            "category": row.error_category,
            "error": row.error_message and _cut(row.error_message),
            "details": _shown(row.details) if row.details else None,
        }
    )


def _candidate_data(candidate: GenerationResult, retries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return _compact(
        {
            "id": candidate.candidate_id,
            "output": _shown(candidate.final_output),
            "conversation": [{"role": m.role, "content": _shown(m.content)} for m in candidate.conversation or ()],
            "trace": [
                {"name": s.step_name, "type": s.step_type, "output": _shown(s.output)} for s in candidate.trace or ()
            ],
            "tokens": candidate.token_usage,
            "latency": candidate.latency_ms,
            "retries": list(retries),
        }
    )


def _execution_data(metric_id: str, execution: EvaluationExecution) -> dict[str, Any]:
    aggregate = execution.aggregation_output
    return _compact(
        {
            "metric": metric_id,
            "status": execution.status,
            "prompts": [{"id": p.prompt_id, "content": _shown(p.content)} for p in execution.rendered_prompts],
            "answers": [
                _compact(
                    {
                        "judge": r.judge_model_id,
                        "text": _cut(r.raw_response),
                        "latency": r.latency_ms,
                        "retries": r.retry_history,
                    }
                )
                for r in execution.judge_responses
            ],
            "judgments": [
                _compact({"label": j.label, "score": j.score, "rationale": j.rationale and _cut(j.rationale)})
                for j in execution.parsed_judgments
            ],
            "failures": [
                _compact({"step": f.step_id, "error": _cut(f.error_message), "retries": f.retry_history})
                for f in execution.failures
            ],
            "aggregate": aggregate and {"method": aggregate.method, "value": _shown(aggregate.value)},
        }
    )


def _compact(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in data.items() if value is not None and value != () and value != [] and value != {}
    }


def _shown(value: Any) -> Any:
    """Return a value as it is, or as cut JSON text where it is too long."""
    if isinstance(value, str):
        return _cut(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = encode(value).decode()
    return value if len(text) <= TEXT_LIMIT else _cut(text)


def _cut(text: str) -> str:
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]}\n[cut here: {len(text):,} characters in all; the store has them]"


def as_array(cases: Iterable[bytes]) -> Iterator[str]:
    """Yield cases as the pieces of one JSON array."""
    yield "["
    for number, data in enumerate(cases):
        yield ("," if number else "") + data.decode()
    yield "]"
