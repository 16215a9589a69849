"""Which cases a report shows in full, and what a page shows of each.

Of a run with more cases than fit, a sample is taken: each case's rank is the hash of its key, and the lowest ranks
are kept, so that the same run always shows the same cases, whatever the order they are read in. Cases with an
error have half of the places.
"""

from __future__ import annotations

import functools
import hashlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from themis.pure.case_view import MOST_STEPS, CaseView, own_turns, shown_content
from themis.pure.components.execution_verdicts import told_tests
from themis.pure.components.judging.prompts import without_media
from themis.pure.json import encode
from themis.pure.judged_calls import judged_calls, other_failures
from themis.pure.plan import CaseItem
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import AnswerResult, BenchmarkScoreRow, CaseResult

DEFAULT_SAMPLE: Final = 2_000

_TEXT_LIMIT: Final = 20_000
"""Longer texts are cut on the page, and say so; the store has them whole."""

T = TypeVar("T")


@attrs.frozen
class _Kept(Generic[T]):
    rank: int
    case_no: int
    shown: T

    def __lt__(self, other: _Kept[T]) -> bool:
        return (self.rank, self.case_no) < (other.rank, other.case_no)


class CaseSample(Generic[T]):
    """Takes a run's cases in any order and keeps those that a report shows.

    Args:
        total: how many cases there are.
        limit: how many to keep; `None` keeps all.
        show: what to keep of a case: what the report shows of it.
    """

    def __init__(self, total: int, limit: int | None, show: Callable[[CaseView], T]) -> None:
        self._show = show
        self._total = total
        self._limit = total if limit is None else max(0, limit)
        self.whole: bool = self._limit >= total
        self._errors: list[_Kept[T]] = []
        self._others: list[_Kept[T]] = []
        self._error_count = 0

    def add(self, item: CaseItem, rows: Sequence[BenchmarkScoreRow], view: Callable[[], CaseView]) -> None:
        """Take a case; `view` shows it in full, and is called only if the case is kept."""
        failed = any(row.outcome == "error" for row in rows)
        self._error_count += failed
        heap = self._errors if failed else self._others
        # Largest rank first in the heap, so that it is the one to give way.
        rank = -int.from_bytes(hashlib.sha256(item.case_key.encode()).digest()[:8])
        is_full = not self.whole and len(heap) >= self._limit
        if is_full and (not heap or rank <= heap[0].rank):
            return
        kept = _Kept(rank, item.case_no, self._show(view()))
        (heapq.heapreplace if is_full else heapq.heappush)(heap, kept)

    def _chosen(self) -> tuple[list[_Kept[T]], list[_Kept[T]]]:
        errors, others = sorted(self._errors, reverse=True), sorted(self._others, reverse=True)
        places = max(self._limit // 2, self._limit - len(others))
        errors = errors[:places]
        return errors, others[: self._limit - len(errors)]

    def cases(self) -> Iterator[T]:
        """Yield what was kept, in plan order."""
        errors, others = self._chosen()
        for kept in sorted([*errors, *others], key=lambda kept: kept.case_no):
            yield kept.shown

    def sentence(self) -> str | None:
        """Say how the cases were chosen; `None` if all are there."""
        if self.whole:
            return None
        errors, others = self._chosen()
        clean = self._total - self._error_count
        return (
            f"A sample: {len(errors) + len(others):,} of {self._total:,} cases are listed, {len(errors):,} of the "
            f"{self._error_count:,} with an error and {len(others):,} of the {clean:,} without, chosen evenly by the "
            "hash of their keys. All figures and plots above the list are over every case."
        )


_LEFT_OUT: Final = frozenset({"artifacts", "case_id", "case_key", "conversation_trace", "dataset_id"})
"""What a page shows elsewhere, or has no room for."""


def page_case(view: CaseView) -> bytes:
    """Return all that a page shows of a case, as JSON: the records' own fields, without empty ones."""
    return encode(
        {
            "case_id": view.case_id,
            "dataset_id": view.dataset_id,
            **_data(view.evolve(result=_with_own_steps(view))),
            "prompt": [{"role": m["role"], "content": _data(shown_content(m["content"]))} for m in view.prompt],
            "score_rows": [_score_row(row) for row in view.score_rows],
        }
    )


def _with_own_steps(view: CaseView) -> CaseResult:
    """Return the result with what candidates did, and not again with what they were sent and what they answered."""
    candidates = [
        candidate.evolve(
            conversation=own_turns(candidate, view.prompt)[:MOST_STEPS] or None,
            trace=(candidate.trace or ())[:MOST_STEPS] or None,
        )
        for candidate in view.result.generated_candidates
    ]
    return view.result.evolve(generated_candidates=candidates)


_TOLD_AS_TESTS: Final = frozenset({"verdicts", "first_failure", "further_failures"})


def _score_row(row: BenchmarkScoreRow) -> dict[str, Any]:
    shown: dict[str, Any] = _data(row)
    tests = [{"tests": which, "verdict": verdict, "message": said} for which, verdict, said in told_tests(row.details)]
    if not tests:
        return shown
    details = {name: value for name, value in row.details.items() if name not in _TOLD_AS_TESTS}
    return {**shown, "details": _data(details), "tests": tests}


def _execution(execution: EvaluationExecution) -> dict[str, Any]:
    """Return a workflow call by call, each with its prompt, answer and verdict."""
    calls = [
        {
            "title": call.title(),
            "verdict": call.verdict(),
            "rationale": _data(call.judgment.rationale) if call.judgment is not None else None,
            "prompt": _data(call.prompt),
            "response": None if call.response is None else _data(call.response),
            "failures": _data(call.failures),
        }
        for call in judged_calls(execution)
    ]
    return {
        "status": execution.status,
        "aggregation_output": _data(execution.aggregation_output),
        "calls": [{name: part for name, part in call.items() if part} for call in calls],
        "failures": _data(other_failures(execution)),
    }


def _data(value: Any) -> Any:
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    if kind is EvaluationExecution:
        return _execution(value)
    names = _fields(kind)
    if names is not None:
        fields = [(name, getattr(value, name)) for name in names]
        return {name: _data(item) for name, item in fields if item or not (item is None or item in _EMPTY)}
    if kind is tuple and value and attrs.has(type(value[0])):
        return [_data(item) for item in value]
    value = without_media(value)
    text = value if isinstance(value, str) else encode(value).decode()
    return value if len(text) <= _TEXT_LIMIT else _cut(text)


_SCALARS: Final = frozenset({bool, int, float, type(None)})
_EMPTY: Final[tuple[Any, ...]] = ((), [], {})


@functools.cache
def _fields(kind: Any) -> tuple[str, ...] | None:
    """Return which fields of a record a page shows; `None` if it is no record."""
    if not attrs.has(kind):
        return None
    said_twice = {
        CaseView: {"prompt", "score_rows"},
        CaseResult: {"scores", "candidate_id"},
        AnswerResult: {"scores"},
    }
    return tuple(each.name for each in attrs.fields(kind) if each.name not in _LEFT_OUT | said_twice.get(kind, set()))


def _cut(text: str) -> str:
    return f"{text[:_TEXT_LIMIT]}\n[cut here: {len(text):,} characters in all; the store has them]"
