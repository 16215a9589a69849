"""Which cases of a run somebody wants to see: by how their answers came out, and by what they are.

The rule: a case is meant if one of its score rows, that of one answer by one metric, meets all conditions together. A
case of a run without metrics has no rows, and meets those that are of cases alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.case_view import CaseView
from themis.pure.changes import ShownAnswer, ShownCase, shown_case
from themis.pure.conditions import Condition
from themis.pure.json import JSONValue
from themis.pure.plan import CaseItem
from themis.pure.projections import UNPARSED
from themis.pure.records.prompt import text_of
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.text_search import snippet_of

METADATA: Final = "metadata."
"""What stands before a field of the metadata that has the name of another field."""

_OF_CASE: Final[Mapping[str, Callable[[CaseItem], JSONValue]]] = {
    "case": lambda item: item.case.case_id,
    "case_id": lambda item: item.case.case_id,
    "dataset": lambda item: item.dataset_id,
    "dataset_id": lambda item: item.dataset_id,
    "input": lambda item: item.case.input,
    "expected": lambda item: item.case.expected_output,
    "expected_output": lambda item: item.case.expected_output,
}
_OF_ROW: Final[Mapping[str, Callable[[BenchmarkScoreRow], JSONValue]]] = {
    "metric": lambda row: row.metric_id,
    "score": lambda row: row.value,
    "outcome": lambda row: row.outcome,
    "error": lambda row: row.error_category,
    "error_message": lambda row: row.error_message,
}
_OF_ANSWER: Final[Mapping[str, Callable[[ShownAnswer], JSONValue]]] = {
    "answer": lambda answer: answer.answer,
    "parsed": lambda answer: answer.parsed,
}
FIELDS: Final = (*_OF_CASE, *_OF_ROW, *_OF_ANSWER)
"""The fields of every case, which come before keys of the metadata of the same name."""


@attrs.frozen(kw_only=True)
class CaseFilter:
    """What a case must be like.

    Attributes:
        outcomes: of these outcomes.
        metric_id: by this metric.
        dataset_id: of this dataset.
        min_score: with this score, or a higher one.
        max_score: with this score, or a lower one.
        errors: with an error of one of these categories.
        unparsed: with an answer that could not be parsed.
        terms: with these words in its input or in an answer.
        where: what else must hold.
    """

    outcomes: Collection[str] | None = None
    metric_id: str | None = None
    dataset_id: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    errors: Collection[str] | None = None
    unparsed: bool = False
    terms: Sequence[Sequence[str]] = ()
    where: Condition | None = None

    @property
    def is_of_rows(self) -> bool:
        """Whether it asks for something of scores, which a case without any can't meet."""
        return (
            self.unparsed
            or any(each is not None for each in (self.outcomes, self.metric_id, self.min_score, self.max_score))
            or self.errors is not None
        )

    def holds(self, item: CaseItem, rows: Sequence[BenchmarkScoreRow], view: Callable[[], CaseView]) -> bool:
        """Tell whether a case is meant; `view` shows it in full, and is called where its answers decide alone."""
        if self.dataset_id not in (None, item.dataset_id):
            return False
        chosen: Sequence[BenchmarkScoreRow | None] = [row for row in rows if self._is_of(row)]
        if not chosen:
            if rows or self.is_of_rows:
                return False
            chosen = [None]
        shown = functools.cache(lambda: shown_case(view()))
        if self.where is not None and not any(self.where.holds(_look(item, row, shown)) for row in chosen):
            return False
        return not self.terms or self._has_words(item, shown)

    def _is_of(self, row: BenchmarkScoreRow) -> bool:
        return (
            self.metric_id in (None, row.metric_id)
            and (self.outcomes is None or row.outcome in self.outcomes)
            and (self.errors is None or row.error_category in self.errors)
            and (not self.unparsed or row.error_category in UNPARSED)
            and (self.min_score is None or (row.value is not None and row.value >= self.min_score))
            and (self.max_score is None or (row.value is not None and row.value <= self.max_score))
        )

    def _has_words(self, item: CaseItem, shown: Callable[[], ShownCase]) -> bool:
        if snippet_of(item.case.input, self.terms) is not None:
            return True
        texts = (text_of(answer.answer) for answer in shown().answers if answer.answer is not None)
        return any(snippet_of(text, self.terms) is not None for text in texts)


def _look(item: CaseItem, row: BenchmarkScoreRow | None, shown: Callable[[], ShownCase]) -> Callable[[str], JSONValue]:
    def look(name: str) -> JSONValue:
        if name in _OF_CASE:
            return _OF_CASE[name](item)
        if name in _OF_ROW:
            return None if row is None else _OF_ROW[name](row)
        if name in _OF_ANSWER:
            named = None if row is None else row.candidate_id
            answers = shown().answers
            answer = next((each for each in answers if each.candidate_id == named), answers[0] if answers else None)
            return None if answer is None else _OF_ANSWER[name](answer)
        return item.case.metadata.get(name.removeprefix(METADATA) if name not in item.case.metadata else name)

    return look
