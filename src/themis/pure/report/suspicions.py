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

from themis.pure.components.metrics import choice_letters, each_reference
from themis.pure.components.parsers import MOST_OPTIONS
from themis.pure.components.text.normal import canonical_text
from themis.pure.components.text.numbers import read_number
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

Reason = Literal["unequal", "equal", "nearly equal"]


@attrs.frozen(kw_only=True)
class Suspicion(HashableModel):
    """Why a metric's zeros may not be the model's.

    Attributes:
        metric_id: the metric; each of its scores is its lowest, 0 or less.
        reason: `unequal`: no answer is of a form that could be right; `equal`: answers equal the reference and were
            scored 0; `nearly equal`: they do but for case, blanks, a full stop or their JSON type.
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
        plan: the run's shape. Of its metrics, one's own pure ones are looked at, and the builtin ones of `_RULES`.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        pure = [metric.metric_id for metric in plan.metrics if metric.family == "pure"]
        self._zeros = {name: _Zeros(name) for name in pure if _is_own(name) or name in _RULES}

    def add(self, case: Case, state: CaseState, rows: Sequence[BenchmarkScoreRow]) -> None:
        """Take the next case with all of its score rows."""
        if not self._zeros:
            return
        following = iter(rows)
        for metric in self._plan.metrics:
            of_metric = [(index, next(following)) for index in self._plan.answers_of(metric)]
            if (zeros := self._zeros.get(metric.metric_id)) is None:
                continue
            scored = [(index, row) for index, row in of_metric if row.value is not None and row.error_category is None]
            for index, row in scored:
                parsed = answer_state(state, index).parsed
                if parsed is None or not zeros.add(case, parsed, row):
                    del self._zeros[metric.metric_id]
                    break
            zeros.cases += bool(scored)

    def found(self) -> list[Suspicion]:
        """Return what is noticed, at most one thing of each metric."""
        return [each for zeros in self._zeros.values() if zeros.cases >= FEWEST for each in zeros.suspicion()]


@attrs.define
class _Zeros:
    """What was seen of a metric whose scores were all the same so far."""

    metric_id: str
    value: float = 0.0
    cases: int = 0
    scored: int = 0
    references: Counter[str] = attrs.field(factory=Counter)
    answers: Counter[Kind] = attrs.field(factory=Counter)
    unequal: Counter[str] = attrs.field(factory=Counter)
    equal: int = 0
    nearly: int = 0

    def add(self, case: Case, parsed: ParsedOutput, row: BenchmarkScoreRow) -> bool:
        """Take a score; `False` if it shows that the metric's scores are not all its lowest."""
        value = 0.0 if row.value is None else row.value
        if value > 0 or (self.scored and value != self.value):
            return False
        self.value = value
        self.scored += 1
        answer, expected = parsed.value, case.expected_output
        if expected is None:
            return True
        self.references[Shape.of(expected).name] += 1
        self.answers[kind_of(answer)] += 1
        if (rule := _RULES.get(self.metric_id)) is not None and (what_to_do := rule(answer, expected)) is not None:
            self.unequal[what_to_do] += 1
        if equals_reference(answer, expected):
            self.equal += 1
        elif nearly_equals_reference(answer, expected):
            self.nearly += 1
        return True

    def suspicion(self) -> Iterator[Suspicion]:
        """Yield the reason that is surest, if there is any."""
        own, scored = _is_own(self.metric_id), f"{self.metric_id} scored {self.value:g}"
        if own and self.equal:
            yield self._said(
                "equal",
                self.equal,
                f"{scored} for {self.equal} answers that equal the reference; does it compare parsed with "
                "case.expected_output? parsed.value is the answer (if it compares no references, or "
                f"{self.value:g} is its best score, all is well)",
            )
        elif self.unequal.total() == self.scored:
            # What to do goes by the commonest: one message can't take every mixture apart.
            (what_to_do, _), *_ = self.unequal.most_common(1)
            forms = f"{counted(self.references)}, and all answers {' and '.join(self.answers)}"
            yield self._said("unequal", self.scored, f"{scored} everywhere: {forms}; {what_to_do}")
        elif self.nearly and (own or self.metric_id == EXACT_MATCH):
            yield self._said(
                "nearly equal",
                self.nearly,
                f"{scored} everywhere, and {self.nearly} of {self.scored} answers are the reference but for case, "
                "blanks, a full stop or their JSON type; use a parser or references of one form, or "
                "builtin/exact_match_normalized",
            )

    def _said(self, reason: Reason, count: int, message: str) -> Suspicion:
        return Suspicion(metric_id=self.metric_id, reason=reason, scored=self.scored, count=count, message=message)


def _is_own(metric_id: str) -> bool:
    return not metric_id.startswith("builtin/")


# --- what can't be right ----------------------------------------------------------------------------------


def _as_json(answer: JSONValue, expected: JSONValue) -> str | None:
    kind, accepted = kind_of(answer), Shape.of(expected).accepts
    return None if kind in accepted else advice(accepted, [kind])


def _as_text(answer: JSONValue, expected: JSONValue) -> str | None:
    """Metrics of texts find nothing in common between prose and a whole object, or nothing at all."""
    kind, references = kind_of(answer), Shape.of(expected).accepts - {Kind.LIST}
    is_prose = kind in (Kind.TEXT, Kind.LETTERS, Kind.PADDED)
    return advice(references, [kind]) if is_prose and references <= {Kind.OBJECT, Kind.EMPTY} else None


def _as_number(answer: JSONValue, expected: JSONValue) -> str | None:
    is_number = read_number(text_of(answer)) is not None
    return None if is_number else "use a parser that takes the number out, such as builtin/math_answer"


def _as_option(answer: JSONValue, expected: JSONValue) -> str | None:
    chosen, right = _names_option(answer), _names_option(expected)
    if chosen == right:
        return None
    return "use the parser builtin/choice_letter" if right else "give the letter of the right option as the reference"


def _names_option(value: JSONValue) -> bool:
    letters = choice_letters(value)  # of a word without a letter that comes twice, such as Paris, all of its letters
    return letters is not None and (len(letters) == 1 or letters <= set(MOST_OPTIONS))


_RULES: Final[Mapping[str, Callable[[JSONValue, JSONValue], str | None]]] = {
    EXACT_MATCH: _as_json,
    "builtin/choice_accuracy": _as_option,
    "builtin/numeric_match": _as_number,
    **dict.fromkeys(("builtin/exact_match_normalized", "builtin/f1", "builtin/rouge_l"), _as_text),
}
"""What to do, by metric, where an answer can't be right, whatever the model meant; `None` where it can."""


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
