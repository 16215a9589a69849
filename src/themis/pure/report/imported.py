"""Scores that another tool made of imported answers: evidence beside a run's own scores, and never mixed with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.interchange.loose import number
from themis.pure.interchange.records import IMPORTED, Tally
from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import named_fields, texts
from themis.pure.records.generation import GenerationResult
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.state import CaseState

_SHOWN: Final = 5
"""Answers that are named for each scorer and metric that differ."""
_EQUAL: Final = 1e-9


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ImportedScores(HashableModel):
    """What another tool scored a run's answers.

    Attributes:
        name: the tool's name of the scorer.
        scores: how many answers it scored.
        numbers: how many of those scores are numbers.
        mean: the mean of the numbers, as they were imported; `None` without any.
    """

    name: str
    scores: int
    numbers: int
    mean: float | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Agreement(HashableModel):
    """How far another tool's scores of a run's answers are those that a metric makes of them.

    Attributes:
        name: the tool's name of the scorer.
        metric_id: the metric.
        scored: how many answers have a number of both.
        equal: how many of these numbers are equal.
        differing: the first answers whose numbers differ, by case and, where it has several, answer.
    """

    name: str
    metric_id: str
    scored: int
    equal: int
    differing: tuple[str, ...] = attrs.field(default=(), converter=texts)

    @property
    def differences(self) -> str:
        """Where the scores differ, in words."""
        more = self.scored - self.equal - len(self.differing)
        where = ", ".join(self.differing) + (f" and {more:,} more" if more else "")
        return f"{self.name} and {self.metric_id} differ in {where}"


class ImportedCounts:
    """Adds imported scores up, one case at a time, and holds them against those that were made here."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._agreements: dict[tuple[str, str], list[int]] = {}
        self._differing: dict[tuple[str, str], list[str]] = {}

    def add(self, state: CaseState, rows: Sequence[BenchmarkScoreRow]) -> None:
        numbers: dict[str, dict[str, float]] = {}
        for candidate in state.candidates.values():
            for name, value in _scores_of(candidate):
                self._tallies.setdefault(name, Tally()).add(value)
                if value is not None:
                    numbers.setdefault(candidate.candidate_id, {})[name] = value
        if numbers:
            several = len(state.candidates) > 1
            for row in rows:
                # A case with one answer has no other that its row could be of.
                answer = row.candidate_id or ("" if several else next(iter(numbers)))
                self._hold(row, numbers.get(answer, {}), answer if several else state.case_id)

    def _hold(self, row: BenchmarkScoreRow, imported: Mapping[str, float], place: str) -> None:
        if row.value is None:
            return
        for name, value in imported.items():
            counts = self._agreements.setdefault((name, row.metric_id), [0, 0])
            counts[0] += 1
            if math.isclose(value, row.value, abs_tol=_EQUAL):
                counts[1] += 1
            elif len(differing := self._differing.setdefault((name, row.metric_id), [])) < _SHOWN:
                differing.append(place)

    def found(self) -> Iterator[ImportedScores]:
        for name, tally in self._tallies.items():
            yield ImportedScores(name=name, scores=tally.scores, numbers=tally.numbers, mean=tally.mean)

    def agreements(self) -> Iterator[Agreement]:
        for (name, metric_id), (scored, equal) in self._agreements.items():
            differing = self._differing.get((name, metric_id), ())
            yield Agreement(name=name, metric_id=metric_id, scored=scored, equal=equal, differing=differing)


def _scores_of(candidate: GenerationResult) -> Iterator[tuple[str, float | None]]:
    kept = (candidate.artifacts or EMPTY).get(IMPORTED)
    scores = kept.get("scores") if isinstance(kept, Mapping) else None
    for score in scores if isinstance(scores, list | tuple) else ():
        if isinstance(score, Mapping) and isinstance(score.get("name"), str):
            yield score["name"], number(score.get("number"))
