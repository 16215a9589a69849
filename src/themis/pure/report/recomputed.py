"""Scores that another tool made, made again by its own rules: how many are the same, and which are not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs

from themis.pure.interchange.loose import number
from themis.pure.interchange.records import IMPORTED, SCORERS
from themis.pure.interchange.scorers.answered import Answered
from themis.pure.interchange.scorers.table import recomputed
from themis.pure.json import EMPTY, JSONValue
from themis.pure.plan import CaseItem
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import named_fields, sequence
from themis.pure.report.terminal import plain_table
from themis.pure.state import CaseState
from themis.pure.text import one_line, printable

_KEPT: Final = 1000
_SHOWN: Final = 20
_EQUAL: Final = 1e-9


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Difference(HashableModel):
    """One answer that a tool scored otherwise than its rule does here.

    Attributes:
        case_id: of the case.
        dataset_id: of its dataset.
        candidate_index: which of the case's answers it is, from 0.
        theirs: the score that was imported.
        ours: what the rule makes of the answer.
    """

    case_id: str
    dataset_id: str
    candidate_index: int
    theirs: float
    ours: float


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RecomputedScores(HashableModel):
    """The scores of one scorer of another tool, made again.

    Attributes:
        name: the tool's name of the scorer.
        scorer: the rule by which they were made again; `None` if none is known.
        scored: how many of its scores are numbers.
        equal: how many of them are the same here.
        differ: how many are not.
        not_told: how many could not be made again: no rule is known, or what it reads is not in the log.
        differing: those that differ, up to 1,000.
    """

    name: str
    scorer: str | None = None
    scored: int
    equal: int
    differ: int
    not_told: int
    differing: tuple[Difference, ...] = attrs.field(default=(), converter=sequence)


@attrs.define
class _Counts:
    scorer: str | None = None
    scored: int = 0
    equal: int = 0
    differ: int = 0
    differing: list[Difference] = attrs.field(factory=list)


class Recomputing:
    """Makes imported scores again, one case at a time."""

    def __init__(self, provenance: Mapping[str, JSONValue]) -> None:
        about = provenance.get(IMPORTED)
        stated = about.get(SCORERS) if isinstance(about, Mapping) else None
        self._scorers = stated if isinstance(stated, Mapping) else EMPTY
        self._found: dict[str, _Counts] = {}

    def add(self, item: CaseItem, state: CaseState) -> None:
        count = max(state.candidates, default=-1) + 1
        answers = [
            candidate.final_output if (candidate := state.candidates.get(index)) is not None else None
            for index in range(count)
        ]
        for index, candidate in state.candidates.items():
            kept = (candidate.artifacts or EMPTY).get(IMPORTED)
            scores = kept.get("scores") if isinstance(kept, Mapping) else None
            for score in scores if isinstance(scores, list | tuple) else ():
                if isinstance(score, Mapping) and isinstance(score.get("name"), str):
                    self._compare(item, score, Answered(item.case, answers, index))

    def _compare(self, item: CaseItem, score: Mapping[str, JSONValue], answered: Answered) -> None:
        theirs, name = number(score.get("number")), str(score["name"])
        if theirs is None:
            return
        counts = self._found.setdefault(name, _Counts())
        counts.scored += 1
        scorer = score.get("scorer", self._scorers.get(name))
        ours = recomputed(scorer, answered) if isinstance(scorer, Mapping) else None
        if ours is None:
            return
        counts.scorer = _called(scorer)
        if math.isclose(theirs, ours, abs_tol=_EQUAL):
            counts.equal += 1
            return
        counts.differ += 1
        if len(counts.differing) < _KEPT:
            counts.differing.append(
                Difference(
                    case_id=item.case.case_id,
                    dataset_id=item.dataset_id,
                    candidate_index=answered.index,
                    theirs=theirs,
                    ours=ours,
                )
            )

    def found(self) -> Iterator[RecomputedScores]:
        for name, counts in self._found.items():
            yield RecomputedScores(
                name=name,
                scorer=counts.scorer,
                scored=counts.scored,
                equal=counts.equal,
                differ=counts.differ,
                not_told=counts.scored - counts.equal - counts.differ,
                differing=tuple(counts.differing),
            )


def _called(scorer: JSONValue) -> str:
    """Name a rule: of an assertion of promptfoo by what it asserts."""
    stated = scorer if isinstance(scorer, Mapping) else EMPTY
    options = stated.get("options")
    kind = options.get("type") if isinstance(options, Mapping) else None
    return str(stated.get("name")) if kind is None else f"{stated.get('name')} {kind}"


def recomputed_text(found: Sequence[RecomputedScores]) -> str:
    """Return what was made again for a terminal: a table, and what differs."""
    if not found:
        return "no score came with these answers"
    header = ["scorer (imported)", "rule", "scored", "equal", "differ", "not told"]
    rows = [
        [each.name, each.scorer or "-", *(f"{n:,}" for n in (each.scored, each.equal, each.differ, each.not_told))]
        for each in found
    ]
    lines = [line for each in found for line in _differences(each)]
    return printable("\n\n".join([plain_table(header, rows), *(["\n".join(lines)] if lines else [])]))


def _differences(found: RecomputedScores) -> Iterator[str]:
    for each in found.differing[:_SHOWN]:
        answer = f", answer {each.candidate_index + 1}" if each.candidate_index else ""
        yield one_line(f"{found.name}: case {each.case_id!r}{answer} has {each.theirs:g}, and {each.ours:g} here")
    more = found.differ - len(found.differing[:_SHOWN])
    if more:
        yield f"{found.name}: and {more:,} more; --json has up to {_KEPT:,}"
