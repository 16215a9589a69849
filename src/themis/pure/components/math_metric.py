r"""Whether two mathematical answers are the same: our own exact rules first, then the `math-verify` library.

How a hostile expression is kept from harm:

- nothing is executed: expressions are read by a grammar of LaTeX, and never evaluated as Python;
- work is limited without a clock, so that replay comes to the same verdict: a text that asks for huge numbers, or is
  too long, is refused (`text.math_text.too_much`), and everything else stops after so many lines of Python (`steps`).
  An expression that needs nearly all of its steps alone may come out differently when the library has warmed up.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.metrics import no_reference, references
from themis.pure.components.options import count
from themis.pure.components.steps import StepLimitReached, limited
from themis.pure.components.text.math_text import compact, plain, too_much, unit
from themis.pure.components.text.numbers import numeric_match, read_number
from themis.pure.errors import MissingExtraError
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError

PLACES: Final = 6
"""Decimal places to which a decimal fraction is compared, as in math-verify."""


@attrs.frozen
class Verdict:
    """Whether two answers are the same, by which rule; or why that can't be told."""

    same: bool
    rule: str
    problem: str = ""


@attrs.frozen
class MathEquivalence:
    """1 if the answer is mathematically the same as a reference, else 0 (extra `math`).

    Equal texts and numbers are told by exact rules (separators, percent, fractions, units), everything else by
    `math-verify` (github.com/huggingface/Math-Verify): sets, intervals, matrices, equations, symbolic expressions.
    Decimals are compared to six places. Different units are different answers; units are not converted. An answer that
    can't be read as mathematics is a 0. A pair that asks for too much work, or a reference that can't be read, is an
    error.

    Option `max_steps`: lines of Python that one comparison may run (10,000,000, about 10 seconds).
    """

    max_steps: int = attrs.field(default=10_000_000, validator=count)
    component_id: str = "builtin/math_equivalence"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def check(self) -> Sequence[str]:
        """Return what is missing, before anything is paid for; and load the library, which takes a second."""
        if not installed():
            return [str(missing())]
        _library_verdict("x+1", "1+x")
        return []

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare with each reference until one is the same."""
        known = references(case.expected_output)
        if not known:
            return no_reference(self.component_id, case)
        verdicts = []
        for reference in known:
            verdicts.append(self._verdict(reference, text_of(parsed.value)))
            if verdicts[-1].same:
                break
        verdict = verdicts[-1] if verdicts[-1].same else next((v for v in verdicts if v.problem), verdicts[0])
        if verdict.problem:
            return ScoreError(metric_id=self.component_id, reason=f"case {case.case_id!r}: {verdict.problem}")
        return Score(metric_id=self.component_id, value=float(verdict.same), details={"rule": verdict.rule})

    def _verdict(self, reference: str, answer: str) -> Verdict:
        simple = simple_verdict(reference, answer)
        if simple is not None:
            return simple
        for name, text in (("the reference", reference), ("the answer", answer)):
            reason = too_much(text)
            if reason:
                return Verdict(False, "", f"{name} asks for too much work to be compared: {reason}")
        if not installed():
            raise missing()
        try:
            return limited(self.max_steps, _library_verdict, plain(reference), plain(answer))
        except StepLimitReached:
            return Verdict(False, "", f"the comparison took more than {self.max_steps:,} steps")
        except RecursionError:
            return Verdict(False, "", "the comparison went too deep")


def installed() -> bool:
    return importlib.util.find_spec("math_verify") is not None


def missing() -> MissingExtraError:
    return MissingExtraError("math_equivalence needs math-verify: pip install 'themis[math]'")


def simple_verdict(reference: str, answer: str) -> Verdict | None:
    """Decide what needs no library: equal texts, and numbers. `None` where it does.

    >>> simple_verdict("1/2", r"\\frac12").same, simple_verdict("10 cm", "10 m").same, simple_verdict("x+1", "1+x")
    (True, False, None)
    """
    if compact(reference) and compact(reference) == compact(answer):
        return Verdict(True, "text")
    if not compact(answer):
        return Verdict(False, "empty")
    expected, found = read_number(_without_frac(reference)), read_number(_without_frac(answer))
    if expected is None or found is None:
        return None
    units = unit(reference), unit(answer)
    if all(units) and units[0] != units[1]:
        return Verdict(False, "unit")
    decimal = "." in reference or "." in answer
    half_a_place = 1 / (2 * 10**PLACES) if decimal else 0.0
    return Verdict(numeric_match(found, expected, rel_tol=0.0, abs_tol=half_a_place), "number")


def _without_frac(text: str) -> str:
    return plain(text).removesuffix("degrees").strip()


def _library_verdict(reference: str, answer: str) -> Verdict:
    from math_verify.grader import sympy_expr_eq

    try:
        expected = _expression(reference)
    except Exception as error:  # a grammar and a library of thousands of rules: whatever it raises, it can't be read
        return Verdict(False, "", f"the reference can't be read as mathematics: {type(error).__name__}")
    try:
        found = _expression(answer)
    except Exception:  # the same
        return Verdict(False, "not mathematics")
    try:
        return Verdict(bool(sympy_expr_eq(expected, found, PLACES, 15, True, True)), "math-verify")
    except Exception as error:  # the same
        return Verdict(False, "", f"the comparison failed: {type(error).__name__}")


def _expression(text: str) -> Any:
    """Read LaTeX by math-verify's own functions, below those that set signals and write to a log."""
    from math_verify.parser import NormalizationConfig, normalize_latex, parse_latex_cached

    config = NormalizationConfig(
        basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="none", equations=False
    )
    return parse_latex_cached(normalize_latex(text, config))


MATH_METRICS: Final = (MathEquivalence,)
