r"""Whether two mathematical answers are the same: our own exact rules first, then the `math-verify` library.

How a hostile expression is kept from harm:

- nothing is executed: expressions are read by a grammar of LaTeX, and never evaluated as Python;
- work is limited without a clock: a text that asks for huge numbers, or is too long and nested, is refused
  (`text.math_text.too_much`), and what is left stops after so many lines of Python (`steps`).

How a verdict is kept from depending on the process, on the order of comparisons, or on what was compared before:

- what a text may ask for is measured by the text, so that reading it stays far below the limit of its steps;
- identities are told by values at fixed points (`math_identity`), and not by simplification, whose way and length
  depend on how the process orders its sets (`PYTHONHASHSEED`);
- what is left to the library (equations to solve, unions of sets, sums, integrals) starts from empty caches, with its
  modules loaded and its random numbers at their beginning, and takes a small part of its steps or does not end: of
  some 1,300 pairs that were tried, one more hash seed moves a count by 0.5 % in the mean, and no verdict.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Final, TypeVar

import attrs

from themis.pure.components.math_identity import same_function
from themis.pure.components.metrics import no_reference, references
from themis.pure.components.options import count
from themis.pure.components.steps import StepLimitReached, limited
from themis.pure.components.text.math_text import HEAVIEST, LONGEST, bare, labelled, noted, plain, too_much
from themis.pure.components.text.numbers import REL_TOL, numeric_match, read_number
from themis.pure.components.text.units import split_unit
from themis.pure.errors import MissingExtraError, pip_install
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError

T = TypeVar("T")

DIGITS: Final = 25
"""Digits to which two numbers without a decimal point must agree: more than chance gives."""

MOST_CHARACTERS: Final = 20 * LONGEST
"""Characters beyond which texts are compared as they are, and no more."""


@attrs.frozen
class Verdict:
    """Whether two answers are the same, by which rule; or why that can't be told."""

    same: bool
    rule: str
    problem: str = ""


@attrs.frozen
class MathEquivalence:
    r"""1 if the answer is mathematically the same as a reference, else 0 (extra `math`).

    Rules, in this order:

    - equal texts are the same; numbers are told by exact rules (`text.numbers`): separators, magnitudes, percent,
      fractions. Tolerance is relative, and where both sides are exact there is none: `1/2^{99}` is not `1/2^{98}`.
    - a unit is a known unit or a word (`text.units`), never a factor, a function, an index or a denominator, so that
      `3x` is not 3. Different units are different answers, and are not converted; a unit that one side alone states
      says nothing.
    - words (`\text{...}`) are compared as words, without case: no algebra makes `silent` of `listen`.
    - everything else is told by `math-verify` (github.com/huggingface/Math-Verify): sets, intervals, matrices,
      equations, symbolic expressions. Mathematics in Unicode counts as its LaTeX.

    An answer that can't be read as mathematics is a 0. A pair that asks for too much work, or a reference that can't be
    read, is an error.

    Option `max_steps`: lines of Python that one comparison may run (30,000,000, about 10 seconds), beside those that
    read the two texts.
    """

    max_steps: int = attrs.field(default=30_000_000, validator=count)
    component_id: str = "builtin/math_equivalence"
    version: str = "3"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def check(self) -> Sequence[str]:
        """Return what is missing, before anything is paid for; and load the library, which takes a second."""
        if not installed():
            return [str(missing())]
        _warmed()
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
            reason = too_much(text) or too_much(plain(text))
            if reason:
                return Verdict(False, "", f"{name} asks for too much work to be compared: {reason}")
        (expected, unit), (found, other) = split_unit(noted(reference)), split_unit(noted(answer))
        if unit and other and unit != other:
            return Verdict(False, "unit")
        return self._worded(expected, found)

    def _worded(self, reference: str, answer: str) -> Verdict:
        """Compare words as words, and the mathematics between them piece by piece."""
        (words, known), (said, given) = labelled(reference), labelled(answer)
        if not (words or said):
            return self._mathematics(", ".join(known), ", ".join(given))
        if not (known and given):
            return Verdict(_label(reference) == _label(answer), "words")
        if words != said or len(known) != len(given):
            return Verdict(False, "words")
        verdicts = [self._mathematics(*pair) for pair in zip(known, given, strict=True)]
        return next((verdict for verdict in verdicts if not verdict.same), verdicts[0])

    def _mathematics(self, reference: str, answer: str) -> Verdict:
        simple = simple_verdict(reference, answer)
        if simple is not None:
            return simple
        if not installed():
            raise missing()
        try:
            return _library_verdict(bare(reference), bare(answer), self.max_steps)
        except StepLimitReached:
            return Verdict(False, "", f"the comparison took more than {self.max_steps:,} steps")
        except RecursionError:
            return Verdict(False, "", "the comparison went too deep")


def installed() -> bool:
    return importlib.util.find_spec("math_verify") is not None


def missing() -> MissingExtraError:
    return MissingExtraError(f"math_equivalence needs math-verify: {pip_install('math')}")


def simple_verdict(reference: str, answer: str) -> Verdict | None:
    """Decide what needs no library: equal texts, and numbers. `None` where it does.

    >>> simple_verdict("1/2", r"\\frac12").same, simple_verdict("10 cm", "10 m").same, simple_verdict("x+1", "1+x")
    (True, False, None)
    """
    if max(len(reference), len(answer)) > MOST_CHARACTERS:
        return Verdict(True, "text") if reference.strip() == answer.strip() else None
    known, said = plain(reference), plain(answer)
    if not said:
        return Verdict(False, "empty")
    if known.replace(" ", "") == said.replace(" ", ""):
        return Verdict(True, "text")
    if _INDEX.search(known) or _INDEX.search(said):
        return Verdict(False, "index")  # `101_2` is another number than `101`, and the same as itself alone
    if ":" in reference and ":" in answer:
        return _ratio(reference.split(":"), answer.split(":"))
    names = [_NAME.match(text) for text in (known, said)]
    expected, found = read_number(reference), read_number(answer)
    if expected is None or found is None:
        return None
    if names[0] and names[1] and names[0][1] != names[1][1]:
        return Verdict(False, "name")
    if expected.unit and found.unit and expected.unit != found.unit:
        return Verdict(False, "unit")
    return Verdict(numeric_match(found, expected), "number")


def _ratio(reference: Sequence[str], answer: Sequence[str]) -> Verdict | None:
    """Compare ratios and times of day, place by place, if they have numbers only."""
    expected, found = [read_number(part) for part in reference], [read_number(part) for part in answer]
    if None in expected or None in found:
        return None
    same = len(expected) == len(found) and all(map(numeric_match, found, expected))  # type: ignore[arg-type]  # no None
    return Verdict(same, "ratio")


_INDEX: Final = re.compile(r"\d_")
_NAME: Final = re.compile(r"(\\?[a-zA-Z]\w{0,12}(?:_\{\w{1,8}\})?)\s?=")


def _label(text: str) -> str:
    return "".join(char for char in bare(text).casefold() if char.isalnum())


# --- what the library decides -----------------------------------------------------------------------------


def _library_verdict(reference: str, answer: str, max_steps: int) -> Verdict:
    """Read and compare, each step from the same state of the library, whatever was compared before."""
    _warmed()
    try:
        expected = _from_anew(_READING_STEPS, _expression, reference)
    except Exception as error:  # a grammar and a library of thousands of rules: whatever it raises, it can't be read
        return Verdict(False, "", f"the reference can't be read as mathematics: {type(error).__name__}")
    try:
        found = _from_anew(_READING_STEPS, _expression, answer)
    except Exception:  # the same
        return Verdict(False, "not mathematics")
    try:
        return Verdict(_from_anew(max_steps, _same, expected, found), "math-verify")
    except Exception as error:  # the same
        return Verdict(False, "", f"the comparison failed: {type(error).__name__}")


def _from_anew(max_steps: int, compute: Callable[..., T], *arguments: Any) -> T:
    """Compute with empty caches, and with the library's random numbers from their beginning."""
    from sympy.core.cache import clear_cache
    from sympy.core.random import seed

    clear_cache()
    seed(0)
    return limited(max_steps, compute, *arguments)


_READING_STEPS: Final = 2 * 100_000 * HEAVIEST
"""No more than half of them are taken: a bracketed character costs the parser 100,000 lines at most, as measured."""


@functools.cache
def _warmed() -> None:
    """Load what the library loads when it first needs it, so that no comparison has to count that."""
    for text in _EVERY_KIND:
        with contextlib.suppress(Exception):  # whatever the library raises, loading is all that was wanted
            _same(_expression(text), _expression(text.replace("2", "3")))


_EVERY_KIND: Final = (
    r"\frac{x^2+1}{\sqrt{2x}}",
    r"\sin^2 x + \ln{2} - e^{2x}",
    r"\{1, 2\}",
    r"[1, 2) \cup (3, \infty)",
    r"(1, 2, 5)",
    r"x^2 + y = 2",
    r"1 < x \le 2",
    r"x \in \{2\}",
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^{2}",
    r"\sum_{k=1}^{2} k^2",
    r"\int_0^2 x^2 dx",
    r"\lim_{x \to 2} x",
    r"\binom{n}{2} + n! + |x| + 2\pi i",
)


def _same(expected: Any, found: Any) -> bool:
    """Compare numbers by ourselves, also inside of sets, tuples, intervals and matrices; the rest is the library's.

    The library drops what lies below six decimal places, and takes two numbers whose difference does for equal.
    """
    from math_verify.grader import sympy_expr_eq
    from sympy import FiniteSet, Interval, MatrixBase, Symbol, Tuple

    decided = _same_numbers(expected, found)
    if decided is None and not (isinstance(expected, Symbol) or isinstance(found, Symbol)):
        decided = same_function(expected, found)
    if decided is not None:
        return decided
    if isinstance(expected, FiniteSet) and isinstance(found, FiniteSet):
        return len(expected) == len(found) and all(any(_same(one, other) for other in found) for one in expected)
    if isinstance(expected, Tuple) and isinstance(found, Tuple):
        return len(expected) == len(found) and all(map(_same, expected, found))
    if isinstance(expected, MatrixBase) and isinstance(found, MatrixBase):
        return expected.shape == found.shape and all(map(_same, expected.flat(), found.flat()))
    if isinstance(expected, Interval) and isinstance(found, Interval):
        opens = (expected.left_open, expected.right_open) == (found.left_open, found.right_open)
        return opens and _same(expected.start, found.start) and _same(expected.end, found.end)
    return bool(sympy_expr_eq(expected, found, DIGITS, DIGITS, True, True))


def _same_numbers(expected: Any, found: Any) -> bool | None:
    """Compare two numbers to `DIGITS` digits, or within `REL_TOL` where one of them is a decimal."""
    from sympy import Expr, Float

    for one in (expected, found):
        if not isinstance(one, Expr) or one.free_symbols or one.is_number is not True:
            return None
    values = [one.evalf(DIGITS + 5) for one in (expected, found)]
    if not all(value.is_finite and value.is_number and value.is_comparable for value in values):
        return None
    tolerance = REL_TOL if expected.has(Float) or found.has(Float) else Fraction(1, 10**DIGITS)
    apart, size = (Fraction(str(value)) for value in (abs(values[0] - values[1]), max(map(abs, values))))
    return apart <= tolerance * size


def _expression(text: str) -> Any:
    """Read LaTeX by math-verify's own functions, below those that set signals and write to a log."""
    from math_verify.parser import NormalizationConfig, normalize_latex, parse_latex_cached

    config = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
    return parse_latex_cached(normalize_latex(text, config))


MATH_METRICS: Final = (MathEquivalence,)
