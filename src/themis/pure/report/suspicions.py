"""Why a metric may have scored 0 everywhere: what references and answers are, where no answer could be right.

A score of 0 says nothing of its reason: a model that is wrong, and numbers that are compared with texts, look alike.
Here are only reasons that can be told from the values: answers that are of other kinds than their references, so that
none could be equal, and answers that are the reference and were scored 0 all the same. All else is taken for honest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

import attrs

from themis.pure.components.metrics import each_reference
from themis.pure.components.text.normal import canonical_text
from themis.pure.json import JSONValue, canonical_bytes
from themis.pure.plan import RunPlan
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.references import EXACT_MATCH, Kind, Shape, advice, counted, kind_of
from themis.pure.state import CaseState, answer_state

FEWEST: Final = 5
"""From how many scored cases on zeros are no chance."""

Reason = Literal["kinds", "equal", "nearly equal", "no numbers"]


@attrs.frozen(kw_only=True)
class Suspicion(HashableModel):
    """Why a metric's zeros may not be the model's.

    Attributes:
        metric_id: the metric; each of its scores is its lowest, 0 or less.
        reason: `kinds`: no answer is of a kind that its reference could equal; `equal`: answers equal the reference and
            were scored 0; `nearly equal`: they do but for case, blanks, a full stop or their JSON type; `no numbers`:
            no answer was read as a number.
        scored: how many answers it scored.
        count: for how many of them the reason holds.
        message: all of it in words, and what to do.
    """

    metric_id: str
    reason: Reason
    scored: int
    count: int
    message: str


class Suspicions:
    """Looks at a run's cases, one at a time, and keeps counts alone.

    A metric is looked at for as long as all of its scores are one and the same, and no more than 0.

    Args:
        plan: the run's shape; only pure metrics are looked at, for they alone are shown a reference by each case.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._zeros = {metric.metric_id: _Zeros() for metric in plan.metrics if metric.family == "pure"}

    def add(self, case: Case, state: CaseState, rows: Sequence[BenchmarkScoreRow]) -> None:
        """Take the next case with all of its score rows."""
        if not self._zeros:
            return
        following = iter(rows)
        for metric in self._plan.metrics:
            of_metric = [(index, next(following)) for index in self._plan.answers_of(metric)]
            if (zeros := self._zeros.get(metric.metric_id)) is None:
                continue
            scored = [(index, row) for index, row in of_metric if row.value is not None]
            for index, row in scored:
                parsed = answer_state(state, index).parsed
                assert parsed is not None  # it was scored
                if not zeros.add(case, parsed, row):
                    del self._zeros[metric.metric_id]
                    break
            zeros.cases += bool(scored)

    def found(self) -> list[Suspicion]:
        """Return what is noticed, at most one thing of each metric."""
        return [each for name, zeros in self._zeros.items() if zeros.cases >= FEWEST for each in zeros.suspicion(name)]


@attrs.define
class _Zeros:
    """What was seen of a metric whose scores were all the same so far."""

    value: float = 0.0
    cases: int = 0
    scored: int = 0
    pairs: Counter[tuple[Shape, Kind]] = attrs.field(factory=Counter)
    equal: int = 0
    nearly: int = 0
    no_number: int = 0

    def add(self, case: Case, parsed: ParsedOutput, row: BenchmarkScoreRow) -> bool:
        """Take a score; `False` if it shows that the metric's scores are not all its lowest."""
        value = 0.0 if row.value is None else row.value
        if value > 0 or (self.scored and value != self.value):
            return False
        self.value = value
        self.scored += 1
        self.pairs[Shape.of(case.expected_output), kind_of(parsed.value)] += 1
        if case.expected_output is not None:
            is_equal = equals_reference(parsed.value, case.expected_output)
            self.equal += is_equal
            self.nearly += not is_equal and nearly_equals_reference(parsed.value, case.expected_output)
        self.no_number += row.details.get("answer") == "no number"
        return True

    def suspicion(self, metric_id: str) -> Iterator[Suspicion]:
        """Yield the reason that is surest, if there is any."""
        own = not metric_id.startswith("builtin/")
        unequal = _UNEQUAL.get(metric_id)
        if own and self.equal:
            yield self._said(
                metric_id,
                "equal",
                self.equal,
                f"{metric_id} scored {self.value:g} for {self.equal} answers that equal the reference; does it compare "
                "parsed with case.expected_output? parsed.value is the answer (all is well if that is the best score)",
            )
        elif unequal is not None and all(unequal(*pair) for pair in self.pairs):
            yield self._said(metric_id, "kinds", self.scored, self._of_kinds(metric_id))
        elif self.nearly and (own or metric_id == EXACT_MATCH):
            yield self._said(
                metric_id,
                "nearly equal",
                self.nearly,
                f"{metric_id} scored {self.value:g} everywhere, and {self.nearly} of {self.scored} answers are the "
                "reference but for case, blanks, a full stop or their JSON type; use a parser or references of one "
                "form, or builtin/exact_match_normalized",
            )
        elif metric_id == _NUMERIC_MATCH and self.no_number == self.scored:
            yield self._said(
                metric_id,
                "no numbers",
                self.scored,
                f"{metric_id} scored {self.value:g} everywhere, for none of {self.scored} answers is a number; "
                "use a parser that takes the number out, such as builtin/math_answer or builtin/regex",
            )

    def _said(self, metric_id: str, reason: Reason, count: int, message: str) -> Suspicion:
        return Suspicion(metric_id=metric_id, reason=reason, scored=self.scored, count=count, message=message)

    def _of_kinds(self, metric_id: str) -> str:
        references: Counter[str] = Counter()
        answers: Counter[Kind] = Counter()
        for (shape, kind), count in self.pairs.items():
            references[shape.name] += count
            answers[kind] += count
        # What to do goes by the commonest: one message can't take every mixture apart.
        (shape, kind), _ = self.pairs.most_common(1)[0]
        found = " and ".join(answers)
        return (
            f"{metric_id} scored {self.value:g} everywhere: {counted(references)}, and all answers {found}; "
            f"{advice(shape.accepts, [kind])}"
        )


# --- what can't be equal ----------------------------------------------------------------------------------

_NUMERIC_MATCH: Final = "builtin/numeric_match"


def _not_accepted(shape: Shape, kind: Kind) -> bool:
    return kind not in shape.accepts


def _never_in_text(shape: Shape, kind: Kind) -> bool:
    """Tell whether metrics of texts find nothing in common: a whole object, or nothing at all, against prose."""
    references = shape.accepts - {Kind.LIST}
    return kind in (Kind.TEXT, Kind.LETTERS, Kind.PADDED) and references <= {Kind.OBJECT, Kind.EMPTY}


def _names_no_option(shape: Shape, kind: Kind) -> bool:
    """Tell whether one of letter and whole text is compared with the other."""
    references = shape.accepts - {Kind.LIST}
    if kind is Kind.LETTERS:
        return references <= {Kind.TEXT}
    return kind is Kind.TEXT and references <= {Kind.LETTERS, Kind.NUMBER}


_UNEQUAL: Final[Mapping[str, Callable[[Shape, Kind], bool]]] = {
    EXACT_MATCH: _not_accepted,
    "builtin/choice_accuracy": _names_no_option,
    **dict.fromkeys(("builtin/exact_match_normalized", "builtin/f1", "builtin/rouge_l"), _never_in_text),
}
"""By metric, whether an answer of a kind can't be right where the reference has a shape."""


def equals_reference(answer: JSONValue, expected: JSONValue) -> bool:
    """Tell whether an answer is the expected output, or one of several, as JSON.

    >>> equals_reference("Paris", ["Paris", "Lutetia"]), equals_reference("4", 4)
    (True, False)
    """
    same = canonical_bytes(answer)
    return any(canonical_bytes(one) == same for one in (expected, *each_reference(expected)))


def nearly_equals_reference(answer: JSONValue, expected: JSONValue) -> bool:
    """Tell whether an answer is a reference, but for case, blanks, a full stop at the end, or number and text.

    >>> nearly_equals_reference("4", 4), nearly_equals_reference("paris.", ["Paris\\n"])
    (True, True)
    """
    text = canonical_text(text_of(answer))
    return bool(text) and any(canonical_text(text_of(one)) == text for one in each_reference(expected))
