"""Questions about a text, scored as the scripts of their datasets do: SQuAD 2.0 and DROP.

Sources: Rajpurkar et al. 2018, "Know What You Don't Know" (arXiv 1806.03822), for answers that are not there; Dua et
al. 2019, "DROP" (arXiv 1903.00161), section 5, and its published evaluation for what the paper leaves open: how tokens
are normalised, and that F1 counts only if a number of the reference is among the answer's.
"""

from __future__ import annotations

import re
import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal, TypeAlias, get_args

import attrs

from themis.pure.components.metrics import each_reference, no_reference, unusable_reference
from themis.pure.components.options import one_of
from themis.pure.components.text.squad import normalize_answer, token_f1
from themis.pure.json import JSONValue
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError

Measure: TypeAlias = Literal["f1", "exact"]


@attrs.frozen
class Squad:
    """SQuAD 2.0's F1 or exact match, 0 to 1, best over the references.

    A question without an answer has the empty list, or the empty text, as its reference. An answer that says so in the
    word `no_answer` counts as the empty one, and so does a reference: the official script wants the empty text, which
    no chat model gives.

    Options: `measure` (`f1` or `exact`); `no_answer`, the word.
    """

    measure: Measure = attrs.field(default="f1", validator=one_of(get_args(Measure)))
    no_answer: str = "unanswerable"
    component_id: str = "builtin/squad"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare with each reference, normalised as in the paper."""
        if case.expected_output is None:
            return no_reference(self.component_id, case)
        answer = self._said(text_of(parsed.value))
        known = [self._said(text_of(item)) for item in each_reference(case.expected_output)] or [""]
        if self.measure == "exact":
            value = float(any(normalize_answer(answer) == normalize_answer(reference) for reference in known))
        else:
            value = max(token_f1(answer, reference, squad=True) for reference in known)
        return Score(metric_id=self.component_id, value=value, details={"answerable": known != [""]})

    def _said(self, text: str) -> str:
        return "" if normalize_answer(text) == normalize_answer(self.no_answer) else text


# --- DROP -------------------------------------------------------------------------------------------------

_BETWEEN: Final = re.compile(r"[ -]")
_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION: Final = frozenset(string.punctuation)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _token(token: str) -> str:
    token = token.lower()
    if _number(token) is None:
        token = "".join(character for character in token if character not in _PUNCTUATION)
    number = _number(token)
    return " ".join(_ARTICLES.sub(" ", token if number is None else str(number)).split())


def _tokens(span: str) -> list[str]:
    """Return a span's tokens, normalised; a number is one token, written as a decimal.

    >>> _tokens("The 12 sky-blue Boats!")
    ['12.0', 'sky', 'blue', 'boats']
    """
    return [token for token in map(_token, _BETWEEN.split(span)) if token]


def _pair_f1(answer: frozenset[str], reference: frozenset[str]) -> float:
    """Return the F1 of two bags of tokens; 0 if the reference has numbers and the answer has none of them."""
    numbers = {token for token in reference if _number(token) is not None}
    if numbers and not numbers & answer:
        return 0.0
    shared = len(answer & reference)
    precision = shared / len(answer) if answer else 1.0
    recall = shared / len(reference) if reference else 1.0
    return 2 * precision * recall / (precision + recall) if shared or (not answer and not reference) else 0.0


def drop_f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    """Return DROP's F1 of an answer's spans and a reference's, rounded to hundredths as its script does.

    Each span is paired with one of the other side so that the sum of their F1 is the greatest; the sum is divided by
    the number of spans of the side that has more.

    >>> drop_f1(["12 yards"], ["12"]), drop_f1(["Rome", "Oslo"], ["oslo"]), drop_f1(["13 yards"], ["12 yards"])
    (0.67, 0.5, 0.0)
    """
    said, known = ([frozenset(_tokens(span)) for span in spans] for spans in (answer, reference))
    if not known or not said:
        return float(not said and not known)
    mean = _best_pairing(_candidates(said, known)) / max(len(said), len(known))
    return round(mean * 100) / 100  # as NumPy rounds, whose halves go to the even hundredth


def drop_exact(answer: Sequence[str], reference: Sequence[str]) -> bool:
    """Tell whether an answer's spans are a reference's, in any order.

    >>> drop_exact(["the Oslo", "Rome"], ["rome", "Oslo"]), drop_exact(["12"], ["12.0"]), drop_exact(["1"], ["1", "1"])
    (True, True, False)
    """
    said, known = ([" ".join(_tokens(span)) for span in spans] for spans in (answer, reference))
    return len(said) == len(known) and {*said} == {*known}


def _candidates(said: Sequence[frozenset[str]], known: Sequence[frozenset[str]]) -> list[dict[int, float]]:
    """Return for each span of the reference those of the answer that it may be paired with, and their F1.

    A span shares a token with what it is paired with; and as many of the best as there are spans of the reference are
    enough, for of these one is always left.
    """
    having = defaultdict[str, list[int]](list)
    for place, tokens in enumerate(said):
        for token in tokens or {""}:
            having[token].append(place)
    rows = []
    for tokens in known:
        places = {place for token in tokens or {""} for place in having.get(token, ())}
        values = {place: _pair_f1(said[place], tokens) for place in places}
        best = sorted(values, key=lambda place: (-values[place], place))[: len(known)]
        rows.append({place: values[place] for place in best if values[place] > 0})
    return rows


def _best_pairing(rows: Sequence[Mapping[int, float]]) -> float:
    """Return the greatest sum of values, one at most of each row and each column.

    The Hungarian algorithm with potentials: row after row is given a column along the cheapest alternating path (Kuhn
    1955, Munkres 1957). Each row has a column of its own, worth nothing, besides.
    """
    columns = sorted({place for row in rows for place in row})
    width = len(columns) + len(rows)
    cost = [[-row.get(place, 0.0) for place in columns] + [0.0] * len(rows) for row in rows]
    row_price, column_price = [0.0] * len(rows), [0.0] * width
    taken: list[int | None] = [None] * width
    for start in range(len(rows)):
        shortest, before, done = [float("inf")] * width, [-1] * width, [False] * width
        row, column = start, -1
        while True:
            for at in range(width):
                slack = cost[row][at] - row_price[row] - column_price[at] + (0.0 if column < 0 else shortest[column])
                if not done[at] and slack < shortest[at]:
                    shortest[at], before[at] = slack, column
            column = min((at for at in range(width) if not done[at]), key=shortest.__getitem__)
            done[column] = True
            held = taken[column]
            if held is None:
                break
            row = held
        length = shortest[column]
        row_price[start] += length
        for at in range(width):
            held = taken[at]
            if done[at] and at != column and held is not None:
                row_price[held] += length - shortest[at]
                column_price[at] -= length - shortest[at]
        while column >= 0:
            previous = before[column]
            taken[column] = start if previous < 0 else taken[previous]
            column = previous
    # In the order of the rows, for the last digit decides how a half is rounded.
    paired = sorted((row, at) for at, row in enumerate(taken) if row is not None)
    return sum(-cost[row][at] for row, at in paired)


@attrs.frozen
class Drop:
    """DROP's F1 or exact match, 0 to 1, best over the references.

    A reference is a list of spans, or a text with one; several references are a list of such lists:
    `[["12"], ["12 yards"]]`. An answer that is a list has its items as spans, a text is split at `separator`.

    Options: `measure` (`f1` or `exact`), `separator`.
    """

    measure: Measure = attrs.field(default="f1", validator=one_of(get_args(Measure)))
    separator: str = ";"
    component_id: str = "builtin/drop"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare with each reference."""
        known = [_spans(item) for item in each_reference(case.expected_output)]
        if not known or not all(known):
            return unusable_reference(self.component_id, case, "a list of references, each a text or a list of texts")
        value = parsed.value
        said = _spans(value) if not isinstance(value, str) else [part.strip() for part in value.split(self.separator)]
        said = [span for span in said if span]
        compare = drop_exact if self.measure == "exact" else drop_f1
        values = [float(compare(said, spans)) for spans in known]
        return Score(metric_id=self.component_id, value=max(values), details={"reference": values.index(max(values))})


def _spans(value: JSONValue) -> list[str]:
    return [text_of(item) for item in each_reference(value)]


READING_METRICS: Final = (Squad, Drop)
