"""Which cases a page shows in full, and what it shows of each.

Of a run with more cases than fit, a sample is taken: each case's rank is the hash of its key, and the lowest ranks
are kept, so that the same run always shows the same cases, whatever the order they are read in. Cases with an
error have half of the places.
"""

from __future__ import annotations

import functools
import hashlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import attrs

from themis.pure.case_view import CaseView
from themis.pure.json import encode
from themis.pure.plan import CaseItem
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import AnswerResult, BenchmarkScoreRow, CaseResult

DEFAULT_SAMPLE: Final = 2_000

_TEXT_LIMIT: Final = 20_000
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
        self.whole: bool = self._limit >= total
        self._errors: list[_Kept] = []
        self._others: list[_Kept] = []
        self._error_count = 0

    def add(self, item: CaseItem, rows: Sequence[BenchmarkScoreRow], view: Callable[[], CaseView]) -> None:
        """Take a case; `view` shows it in full, and is called only if the case is kept."""
        failed = any(row.outcome == "error" for row in rows)
        self._error_count += failed
        heap = self._errors if failed else self._others
        # Largest rank first in the heap, so that it is the one to give way.
        rank = -int.from_bytes(hashlib.sha256(item.case_key.encode()).digest()[:8])
        is_full = not self.whole and len(heap) >= self._limit
        if is_full and (not heap or rank <= heap[0][0]):
            return
        kept = (rank, item.case_no, encode(_shown(view())))
        (heapq.heapreplace if is_full else heapq.heappush)(heap, kept)

    def _chosen(self) -> tuple[list[_Kept], list[_Kept]]:
        errors, others = sorted(self._errors, reverse=True), sorted(self._others, reverse=True)
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
        if self.whole:
            return None
        errors, others = self._chosen()
        clean = self._total - self._error_count
        return (
            f"A sample: {len(errors) + len(others):,} of {self._total:,} cases are listed, {len(errors):,} of the "
            f"{self._error_count:,} with an error and {len(others):,} of the {clean:,} without, chosen evenly by the "
            "hash of their keys. All figures and plots above the list are over every case."
        )


_LEFT_OUT: Final = frozenset({"artifacts", "case_id", "case_key", "conversation_trace", "dataset_id", "judge_calls"})
"""What a page shows elsewhere, or has no room for."""


def _shown(view: CaseView) -> dict[str, Any]:
    """Return all that a page shows of a case: the records' own fields, without empty ones."""
    return {"case_id": view.case_id, "dataset_id": view.dataset_id, "score_rows": [], **_data(view)}


def _data(value: Any) -> Any:
    kind: Any = type(value)
    if kind is str:
        return _cut(value)
    if kind in _SCALARS:
        return value
    names = _fields(kind)
    if names is not None:
        fields = [(name, getattr(value, name)) for name in names]
        return {name: _data(item) for name, item in fields if item or not (item is None or item in _EMPTY)}
    if kind is tuple and value and attrs.has(type(value[0])):
        return [_data(item) for item in value]
    text = encode(value).decode()
    return value if len(text) <= _TEXT_LIMIT else _cut(text)


_SCALARS: Final = frozenset({bool, int, float, type(None)})
_EMPTY: Final[tuple[Any, ...]] = ((), [], {})


@functools.cache
def _fields(kind: Any) -> tuple[str, ...] | None:
    """Return which fields of a record a page shows; `None` if it is no record."""
    if not attrs.has(kind):
        return None
    said_twice = {
        CaseView: {"prompt"},
        CaseResult: {"scores", "candidate_id"},
        AnswerResult: {"scores"},
        EvaluationExecution: {"scores", "trace"},
    }
    return tuple(each.name for each in attrs.fields(kind) if each.name not in _LEFT_OUT | said_twice.get(kind, set()))


def _cut(text: str) -> str:
    if len(text) <= _TEXT_LIMIT:
        return text
    return f"{text[:_TEXT_LIMIT]}\n[cut here: {len(text):,} characters in all; the store has them]"
