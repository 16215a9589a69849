"""What changed between two runs of the same cases: every case, by every metric, is of exactly one kind.

The unit is the case, as in `themis.pure.stats.pairs`: of a case with several answers the mean of those that are scored
counts, and where not all of them came out alike its score is one between right and wrong. So the kinds add up to what a
comparison counts: the pairs that went up are its wins, those that went down its losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

import attrs

from themis.pure.case_view import CaseView, is_graded
from themis.pure.json import EMPTY, JSONValue
from themis.pure.projections import UNPARSED, Thresholds
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import CaseName
from themis.pure.records.fields import json_objects, json_value, named_fields, sequence
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.stats.engine import score_of
from themis.pure.stats.samples import mean

State: TypeAlias = Literal["right", "wrong", "graded", "unparsed", "error", "not_reached"]
ChangeKind: TypeAlias = Literal[
    "right_to_wrong",
    "wrong_to_right",
    "score_fell",
    "score_rose",
    "parsed_to_unparsed",
    "unparsed_to_parsed",
    "answer_to_error",
    "error_to_answer",
    "reached_to_not_reached",
    "not_reached_to_reached",
    "parsed_differently",
    "without_answer",
    "same",
]
"""What became of a case from one run to another, most telling first.

`score_fell` and `score_rose` are of scores between right and wrong; `parsed_differently` is the same score for another
parsed value; `without_answer` has none in either run, for one reason or another.
"""

KINDS: Final[tuple[ChangeKind, ...]] = get_args(ChangeKind)
UNCHANGED: Final = frozenset[ChangeKind]({"without_answer", "same"})
CHANGED: Final = tuple(kind for kind in KINDS if kind not in UNCHANGED)

_OPPOSITE: Final[dict[ChangeKind, ChangeKind]] = {
    "right_to_wrong": "wrong_to_right",
    "score_fell": "score_rose",
    "parsed_to_unparsed": "unparsed_to_parsed",
    "answer_to_error": "error_to_answer",
    "reached_to_not_reached": "not_reached_to_reached",
}
OPPOSITE: Final[Mapping[ChangeKind, ChangeKind]] = (
    {kind: kind for kind in KINDS} | _OPPOSITE | {b: a for a, b in _OPPOSITE.items()}
)
"""What each kind is if the runs are swapped."""


@attrs.frozen
class Standing:
    """Where a case stands by one metric: its state, and the mean of its scores, `None` without any."""

    state: State
    value: float | None


def standing_of(rows: Sequence[BenchmarkScoreRow], thresholds: Thresholds) -> Standing:
    """Return where a case stands by the metric whose rows these are, one for each answer."""
    states = {_state(row, thresholds) for row in rows}
    scores = [score for row in rows if (score := score_of(row)) is not None]
    if len(states) == 1:
        return Standing(states.pop(), mean(scores) if scores else None)
    if scores:
        return Standing("graded", mean(scores))
    return Standing(next(state for state in _WITHOUT_SCORE if state in states), None)


_WITHOUT_SCORE: Final[tuple[State, ...]] = ("error", "unparsed", "not_reached")


def _state(row: BenchmarkScoreRow, thresholds: Thresholds) -> State:
    if row.error_category in UNPARSED:
        return "unparsed"
    if row.outcome == "error" or row.outcome == "not_reached":
        return row.outcome
    if is_graded(row.value, row.metric_id, thresholds):
        return "graded"
    return "right" if row.outcome == "correct" else "wrong"


def kind_of(a: Standing, b: Standing, *, parsed_alike: bool = True) -> ChangeKind:
    """Return of what kind the change from one standing to another is.

    >>> kind_of(Standing("right", 1.0), Standing("unparsed", 0.0))
    'parsed_to_unparsed'
    """
    states = (a.state, b.state)
    for state, there, gone in _LACKS:
        if state in states:
            if a.state == b.state or (a.state in _NO_ANSWER and b.state in _NO_ANSWER):
                return "same" if state == "unparsed" else "without_answer"
            return there if a.state == state else gone
    if states == ("right", "wrong"):
        return "right_to_wrong"
    if states == ("wrong", "right"):
        return "wrong_to_right"
    if a.value is not None and b.value is not None and a.value != b.value:
        return "score_rose" if b.value > a.value else "score_fell"
    return "same" if parsed_alike else "parsed_differently"


_NO_ANSWER: Final = frozenset({"error", "not_reached"})
_LACKS: Final[tuple[tuple[State, ChangeKind, ChangeKind], ...]] = (
    ("not_reached", "not_reached_to_reached", "reached_to_not_reached"),
    ("error", "error_to_answer", "answer_to_error"),
    ("unparsed", "unparsed_to_parsed", "parsed_to_unparsed"),
)
"""What a case lacks, and what it means to have it now, or not to have it any more; what comes first decides."""


# --- counts -----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class CasesOfKind(HashableModel):
    """The cases of one kind by one metric.

    Attributes:
        kind: the kind.
        count: how many there are; each case is of one kind.
        better: how many of them have a higher score in the second run.
        worse: how many have a lower one.
        equal: how many have the same; the others lack a score in a run.
        case_keys: which they are, in plan order; of cases that did not change none is named.
    """

    kind: ChangeKind
    count: int
    better: int = 0
    worse: int = 0
    equal: int = 0
    case_keys: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class MetricChanges(HashableModel):
    """What changed by one metric: the kinds that there are cases of, the most telling first.

    Attributes:
        metric_id: the metric.
        kinds: the cases of each kind. `better`, `worse` and `equal` of all kinds together are the comparison's wins,
            losses and ties.
    """

    metric_id: str
    kinds: tuple[CasesOfKind, ...] = attrs.field(default=(), converter=sequence)

    @property
    def changed(self) -> int:
        """How many cases changed."""
        return sum(each.count for each in self.kinds if each.kind not in UNCHANGED)

    @property
    def total(self) -> int:
        """How many cases were looked at."""
        return sum(each.count for each in self.kinds)

    def of_kind(self, kind: ChangeKind) -> CasesOfKind:
        """Return the cases of a kind, of which there may be none."""
        return next((each for each in self.kinds if each.kind == kind), CasesOfKind(kind=kind, count=0))


@attrs.define
class _Count:
    count: int = 0
    better: int = 0
    worse: int = 0
    equal: int = 0
    case_keys: list[str] = attrs.field(factory=list)


class ChangeCounts:
    """Takes one metric's cases one by one, and counts them by kind."""

    def __init__(self, metric_id: str) -> None:
        self._metric_id = metric_id
        self._counts: dict[ChangeKind, _Count] = {}

    def add(self, case_key: str, a: Standing, b: Standing, *, parsed_alike: bool = True) -> ChangeKind:
        """Count a case, and return its kind."""
        kind = kind_of(a, b, parsed_alike=parsed_alike)
        found = self._counts.setdefault(kind, _Count())
        found.count += 1
        if a.value is not None and b.value is not None:
            found.better += b.value > a.value
            found.worse += b.value < a.value
            found.equal += b.value == a.value
        if kind not in UNCHANGED:
            found.case_keys.append(case_key)
        return kind

    def result(self) -> MetricChanges:
        return MetricChanges(
            metric_id=self._metric_id,
            kinds=[
                CasesOfKind(kind=kind, **attrs.asdict(self._counts[kind])) for kind in KINDS if kind in self._counts
            ],
        )


# --- cases ------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ShownScore(HashableModel):
    """A score of an answer, as in the score table: of an answer that was not parsed, it has the reason beside it."""

    metric_id: str
    value: float | None = None
    outcome: str
    error_category: str | None = None
    error: str | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ShownAnswer(HashableModel):
    """One answer of a case: what the model said, what was read of it, and what that scored.

    Attributes:
        candidate_id: the answer's name; `None` if there is none.
        answer: the answer as it was given.
        parsed: what the parser read of it.
        error: why there is no answer, or none that could be parsed.
        scores: its score by each metric.
    """

    candidate_id: str | None = None
    answer: JSONValue = attrs.field(default=None, converter=json_value)
    parsed: JSONValue = attrs.field(default=None, converter=json_value)
    error: str | None = None
    scores: tuple[ShownScore, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ShownCase(CaseName):
    """A case of one run, for people: its prompt and its answers.

    Attributes:
        prompt: the messages that the model was sent.
        expected_output: the reference.
        metadata: the case's.
        answers: each with what was parsed and its scores.
        scores: of metrics that compare all answers.
    """

    prompt: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    expected_output: JSONValue = attrs.field(default=None, converter=json_value)
    metadata: Mapping[str, JSONValue] = EMPTY
    answers: tuple[ShownAnswer, ...] = attrs.field(default=(), converter=sequence)
    scores: tuple[ShownScore, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ChangedCase(CaseName):
    """A case that changed, in both runs.

    Attributes:
        kinds: what changed, by metric; metrics by which nothing did are left out.
        a: the case in the first run.
        b: the case in the second run.
    """

    kinds: Mapping[str, ChangeKind]
    a: ShownCase
    b: ShownCase

    @property
    def kind(self) -> ChangeKind:
        """The most telling of its kinds."""
        return min(self.kinds.values(), key=KINDS.index)


def shown_case(view: CaseView) -> ShownCase:
    """Return what is shown of a case where many are listed."""
    result, rows = view.result, view.score_rows
    outputs = {each.candidate_id: each.final_output for each in result.generated_candidates}
    failures = {each.candidate_id: each.error_message for each in result.generation_failures}
    reduced = result.reduced_candidate
    answers = []
    for answer in result.answers or (result,):
        name = answer.candidate_id
        output = reduced.final_output if reduced is not None and not result.answers else outputs.get(name or "")
        of_answer = [row for row in rows if row.candidate_id == name or not result.answers]
        why = answer.parse_error and answer.parse_error.error_message
        if name not in outputs and output is None:
            why = failures.get(name or "") or next(iter(failures.values()), why)
        why = why or next((row.error_message for row in of_answer if row.error_category in UNPARSED), None)
        answers.append(
            ShownAnswer(
                candidate_id=name,
                answer=output,
                parsed=None if answer.parsed_output is None else answer.parsed_output.value,
                error=why,
                scores=[*map(_shown_score, of_answer)],
            )
        )
    return ShownCase(
        case_id=view.case_id,
        dataset_id=view.dataset_id,
        case_key=view.case_key,
        prompt=view.prompt,
        expected_output=view.expected_output,
        metadata=view.metadata,
        answers=answers,
        scores=[_shown_score(row) for row in rows if result.answers and row.candidate_id is None],
    )


def _shown_score(row: BenchmarkScoreRow) -> ShownScore:
    return ShownScore(
        metric_id=row.metric_id,
        value=row.value,
        outcome=row.outcome,
        error_category=row.error_category,
        error=row.error_message,
    )


def first_of_each(
    kinds: Iterable[tuple[int, Mapping[str, ChangeKind]]], most: int | None, wanted: frozenset[ChangeKind]
) -> Iterator[int]:
    """Yield the numbers of the first cases of each kind and metric, each once, in their order.

    Args:
        kinds: the number of each case, with what changed by metric.
        most: how many of each; all if not given.
        wanted: which kinds.
    """
    seen: dict[tuple[str, ChangeKind], int] = {}
    for number, of_metric in kinds:
        is_chosen = False
        for name in of_metric.items():
            if name[1] in wanted:
                seen[name] = seen.get(name, 0) + 1
                is_chosen = is_chosen or most is None or seen[name] <= most
        if is_chosen:
            yield number
