"""Scores that another tool made of imported answers: evidence beside a run's own scores, and never mixed with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from themis.pure.interchange.loose import number
from themis.pure.interchange.records import IMPORTED, Tally
from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import named_fields
from themis.pure.records.generation import GenerationResult


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


class ImportedCounts:
    """Adds imported scores up, one answer at a time."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def add(self, candidate: GenerationResult) -> None:
        kept = (candidate.artifacts or EMPTY).get(IMPORTED)
        scores = kept.get("scores") if isinstance(kept, Mapping) else None
        for score in scores if isinstance(scores, list | tuple) else ():
            if isinstance(score, Mapping) and isinstance(score.get("name"), str):
                self._tallies.setdefault(score["name"], Tally()).add(number(score.get("number")))

    def found(self) -> Iterator[ImportedScores]:
        for name, tally in self._tallies.items():
            yield ImportedScores(name=name, scores=tally.scores, numbers=tally.numbers, mean=tally.mean)
