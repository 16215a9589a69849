"""The builtin pure metrics. Each says its range, and where its rule comes from.

Rules that hold for all of them: a case without a reference, or with one that can't be used, is a score error and never
a 0; what the rule found stands in the details. They score what a parser found: an answer in which it found nothing
counts as unparsed before any metric sees it.

Several references are a list (`each_reference`), and the best one counts: under `reference`, the details of those that
compare JSON or plain text say which that was, from 0 on. Two metrics alone take a list for one expected value:
`choice_accuracy`, all of whose options must be chosen, and `procbench_final_accuracy`, whose final value may be a list.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.options import one_of
from themis.pure.components.text.json_text import json_value
from themis.pure.components.text.normal import canonical_text, unicode_text
from themis.pure.components.text.numbers import numeric_match, read_number
from themis.pure.components.text.rouge import rouge_l
from themis.pure.components.text.squad import normal_words, normalize_answer, token_f1
from themis.pure.components.text.words import bounded
from themis.pure.errors import SpecError
from themis.pure.json import JSONValue, canonical_bytes
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.text import shortened


def no_reference(metric_id: str, case: Case) -> ScoreError:
    """Return the error of a case that has nothing to be compared with."""
    return ScoreError(metric_id=metric_id, reason=f"case {case.case_id!r} has no expected_output to compare with")


def unusable_reference(metric_id: str, case: Case, needed: str) -> ScoreError:
    """Return the error of a case whose reference, if it has one, is not what the metric can compare with."""
    if case.expected_output is None:
        return no_reference(metric_id, case)
    found = shortened(text_of(case.expected_output), 80)
    return ScoreError(
        metric_id=metric_id, reason=f"case {case.case_id!r}: expected_output must be {needed}, found {found!r}"
    )


def each_reference(expected: JSONValue) -> Sequence[JSONValue]:
    """Return the references of a case: each of a list, else the one that there is.

    >>> each_reference(["Paris", "Lutetia"]), each_reference({"city": "Paris"}), each_reference(None)
    (['Paris', 'Lutetia'], [{'city': 'Paris'}], [])
    """
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        return expected
    return [] if expected is None else [expected]


def references(expected: JSONValue) -> list[str]:
    """Return the references of a case as texts."""
    return [text_of(item) for item in each_reference(expected)]


def best(metric_id: str, parsed: ParsedOutput, case: Case, compare: Callable[[str, str], float]) -> Score | ScoreError:
    """Return the best of a comparison with each reference, and which reference that was."""
    known = references(case.expected_output)
    if not known:
        return no_reference(metric_id, case)
    answer = text_of(parsed.value)
    values = [compare(answer, reference) for reference in known]
    value = max(values)
    details = {"reference": values.index(value)} if len(known) > 1 else {}
    return Score(metric_id=metric_id, value=value, details=details)


@attrs.frozen
class ExactMatch:
    """1 if the parsed answer is the expected output, or one of several, as JSON (`1` equals `1.0`, not `"1"`), else 0.

    A list means several references, any of which may be the answer. An answer that is a list itself is compared with
    the list as a whole, too. Where nothing but a list is right, make it the only reference: `[["a", "b"]]`.

    The version is still the first, which took a list for one reference: of a reference that is no list, and of an
    answer that equals the whole list, score and details are what they always were. Only an answer that is one of
    several references, a 0 then, is a 1 by now.
    """

    component_id: str = "builtin/exact_match"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the canonical encodings."""
        if case.expected_output is None:
            return no_reference(self.component_id, case)
        answer = canonical_bytes(parsed.value)
        if answer == canonical_bytes(case.expected_output):
            return Score(metric_id=self.component_id, value=1.0)
        known = each_reference(case.expected_output)
        same = [number for number, reference in enumerate(known) if canonical_bytes(reference) == answer]
        details = {"reference": same[0]} if same and len(known) > 1 else {}
        return Score(metric_id=self.component_id, value=float(bool(same)), details=details)


NORMALIZATIONS: Final[dict[str, Callable[[str], str]]] = {
    "words": normal_words,
    "squad": normalize_answer,
    "casefold": canonical_text,
    "unicode": unicode_text,
}


@attrs.frozen
class ExactMatchNormalized:
    """1 if the normalised answer is one of the normalised references, else 0.

    Options: `normalization`, which is `words` (case, punctuation, English articles and blanks don't count, but the
    signs of numbers do), `squad` (the same without regard for numbers, so that `3.14` is `314`: Rajpurkar et al. 2016,
    arXiv 1606.05250), `casefold` (Unicode NFKC, case, blanks and a full stop at the end don't count) or `unicode`
    (NFKC and blanks alone don't count); `squad=True` is short for the paper's.
    """

    normalization: str = attrs.field(default="words", validator=one_of(tuple(NORMALIZATIONS)))
    squad: bool = False
    component_id: str = "builtin/exact_match_normalized"
    version: str = "2"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __attrs_post_init__(self) -> None:
        if self.squad and self.normalization not in ("words", "squad"):
            raise SpecError(
                f"{self.component_id}: squad=True and normalization={self.normalization!r}: give one of them"
            )

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare what is left after the normalisation."""
        normal = NORMALIZATIONS["squad" if self.squad else self.normalization]
        return best(self.component_id, parsed, case, lambda answer, known: float(normal(answer) == normal(known)))


@attrs.frozen
class Contains:
    """1 if a reference stands in the answer, as whole words, else 0.

    A word ends where its script ends one: a vowel sign belongs to its letter, and where words have no blanks between
    them (Chinese, Japanese, Thai) every character is one (see `text.words`). Both texts are in the form NFKC.

    Options: `ignore_case` (on unless stated); `whole_words`, whether the reference may not be a part of a longer word.
    """

    ignore_case: bool = True
    whole_words: bool = True
    component_id: str = "builtin/contains"
    version: str = "2"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Look for each reference; an empty one can't be looked for."""
        if not all(reference.strip() for reference in references(case.expected_output)):
            return unusable_reference(self.component_id, case, "text that is not empty")
        return best(self.component_id, parsed, case, self._found)

    def _found(self, answer: str, reference: str) -> float:
        normal = canonical_text if self.ignore_case else unicode_text
        text, part = normal(answer), normal(reference)
        return float(bounded(part) in bounded(text) if self.whole_words else part in text)


@attrs.frozen
class F1:
    """Token F1 of the normalised texts, 0 to 1, best over the references (see `text.squad`).

    Option `squad`: normalise and split as the paper does (Rajpurkar et al. 2016, arXiv 1606.05250), without regard for
    numbers and for scripts without blanks.
    """

    squad: bool = False
    component_id: str = "builtin/f1"
    version: str = "2"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        return best(self.component_id, parsed, case, functools.partial(token_f1, squad=self.squad))


@attrs.frozen
class RougeL:
    """ROUGE-L F-measure, 0 to 1, best over the references (Lin 2004, aclanthology.org/W04-1013; see `text.rouge`).

    Texts of some 60,000 words each that differ are an error: to compare them takes too long.
    """

    component_id: str = "builtin/rouge_l"
    version: str = "2"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        try:
            return best(self.component_id, parsed, case, rouge_l)
        except ValueError as error:
            return ScoreError(metric_id=self.component_id, reason=f"case {case.case_id!r}: {error}")


def _tolerance(instance: Any, attribute: Any, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and (not number or not 0 <= value < float("inf")):  # type: ignore[operator]  # a number by now
        raise SpecError(f"{instance.component_id}: {attribute.name} must be a number from 0 up, found {value!r}")


@attrs.frozen
class NumericMatch:
    """1 if the answer is the reference's number within a tolerance, else 0.

    Numbers may be written as people and models do (see `text.numbers`): separators, an exponent, LaTeX, a currency or
    percent sign, words of magnitude, a unit, fractions, a decimal comma. Where one side alone has a percent sign, `50%`
    matches `50` and `0.5`; where both have units, these must be the same. An answer that is no number is a 0; a
    reference that is none is an error.

    Options: `rel_tol` (share of the reference) and `abs_tol`, of which the wider counts, as in `math.isclose` with the
    reference as the measure. Unless one of them is stated, whole numbers and fractions must be equal, and decimals
    agree to a millionth or half their last place, whichever is less. Arithmetic is exact.
    """

    rel_tol: float | None = attrs.field(default=None, validator=_tolerance)
    abs_tol: float | None = attrs.field(default=None, validator=_tolerance)
    component_id: str = "builtin/numeric_match"
    version: str = "2"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        known = [read_number(reference, decimal_comma=True) for reference in references(case.expected_output)]
        numbers = [number for number in known if number is not None]
        if not numbers or len(numbers) < len(known):
            return unusable_reference(self.component_id, case, "a number, or a list of numbers")
        answer = read_number(text_of(parsed.value), decimal_comma=True)
        if answer is None:
            return Score(metric_id=self.component_id, value=0.0, details={"answer": "no number"})
        same = any(numeric_match(answer, number, self.rel_tol, self.abs_tol) for number in numbers)
        return Score(metric_id=self.component_id, value=float(same))


@attrs.frozen
class ChoiceAccuracy:
    """1 if the chosen option is the right one, else 0; of several right ones, exactly these must be chosen.

    The reference is a letter (`C`), several (`AC`, or a list), or the index of an option from 0 on, as whole number.
    """

    component_id: str = "builtin/choice_accuracy"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the sets of letters."""
        expected = choice_letters(case.expected_output)
        if expected is None:
            return unusable_reference(self.component_id, case, "an option's letter, letters, or an index from 0 on")
        return Score(metric_id=self.component_id, value=float(choice_letters(parsed.value) == expected))


def choice_letters(value: Any) -> frozenset[str] | None:
    """Return the letters that a value names, or `None` if it names none.

    >>> sorted(choice_letters("b, A") or ()), sorted(choice_letters(2) or ())
    (['A', 'B'], ['C'])
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return frozenset(ascii_uppercase[value]) if 0 <= value < 26 else None
    if isinstance(value, str):
        letters = value.upper().translate(_BETWEEN)
        known = letters.isascii() and letters.isalpha() and len(set(letters)) == len(letters)
        return frozenset(letters) if known else None
    if isinstance(value, Sequence):
        found = [choice_letters(item) for item in value]
        return frozenset().union(*(item for item in found if item)) if found and all(found) else None
    return None


_BETWEEN = str.maketrans("", "", " ,;()[].")


@attrs.frozen
class ProcBenchFinalAccuracy:
    """1 if the answer is the procedure's final value, type and all, else 0 (ProcBench's final accuracy).

    The reference is the final value, or an object that holds it under `final`; an answer that is an object with `final`
    counts by it. Text that spells a number or a list is read as such, so that `[1, 2]` in prose equals the list.

    Source: Fujisawa et al. 2024, "ProcBench" (arXiv 2410.03117), section 4: the last state must be the expected one.
    """

    component_id: str = "builtin/procbench_final_accuracy"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        expected = _final_value(case.expected_output)
        if expected is None:
            return no_reference(self.component_id, case)
        same = canonical_bytes(_spelled(expected)) == canonical_bytes(_spelled(_final_value(parsed.value)))
        return Score(metric_id=self.component_id, value=float(same))


def _final_value(value: Any) -> Any:
    return value["final"] if isinstance(value, dict) and "final" in value else value


def _spelled(value: Any) -> Any:
    """Return what a text spells as JSON, a number as itself; other text without blanks and quotes around it."""
    if not isinstance(value, str):
        return value
    found = json_value(value)
    if found.rule == "whole" and not isinstance(found.value, str):
        return found.value
    return value.strip().strip("\"'`").strip()


METRICS: Final = (
    ChoiceAccuracy,
    Contains,
    ExactMatch,
    ExactMatchNormalized,
    F1,
    NumericMatch,
    ProcBenchFinalAccuracy,
    RougeL,
)
