"""Mathematical equivalence: pairs read by hand, and expressions made to hang or to execute something."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis.pure.components.math_metric import MathEquivalence
from themis.pure.components.steps import StepLimitReached, limited
from themis.pure.components.text.math_text import too_much
from themis.pure.records.scoring import Score, ScoreError
from themis.testing.single import score_one


def value_of(metric: MathEquivalence, answer: str, reference: Any) -> float:
    outcome = score_one(metric, answer, reference)
    assert isinstance(outcome, Score), outcome
    return outcome.value


def error_of(metric: MathEquivalence, answer: str, reference: Any) -> str:
    outcome = score_one(metric, answer, reference)
    assert isinstance(outcome, ScoreError), outcome
    return outcome.reason


EQUAL: list[tuple[str, str]] = [
    # numbers
    ("42", "42"),
    ("42", "42.0"),
    ("1234567", "1,234,567"),
    ("1234", "1{,}234"),
    ("-7", "−7"),  # noqa: RUF001  # what models write for a minus
    ("0.5", ".5"),
    ("1e3", "1000"),
    ("10^3", "1000"),
    ("2^{100}", "1267650600228229401496703205376"),
    ("0.333333", r"\frac{1}{3}"),
    ("18", r"\$18"),
    ("204", r"204."),
    # fractions
    (r"\frac{1}{2}", "1/2"),
    (r"\frac{1}{2}", "0.5"),
    (r"\frac12", r"\dfrac{1}{2}"),
    (r"\frac{3}{4}", r"\tfrac{6}{8}"),
    (r"-\frac{2}{3}", r"\frac{-2}{3}"),
    (r"\frac{7}{2}", "3.5"),
    (r"\frac{a}{b}", "a/b"),
    (r"\frac{x+1}{2}", r"\frac{1}{2}x + \frac{1}{2}"),
    ("2 1/2", "5/2"),
    # percent
    ("50\\%", "50%"),
    ("50\\%", "50"),
    ("50\\%", "0.5"),
    ("12.5%", "12.5\\%"),
    ("0.07", "7\\%"),
    # units
    ("10", r"10 \text{ cm}"),
    (r"10 \text{ cm}", "10"),
    (r"10\text{ cm}", r"10\ \mathrm{cm}"),
    (r"25 \text{ square feet}", "25 square feet"),
    ("12 hours", "12 hour"),
    (r"90^\circ", "90"),
    (r"90^{\circ}", "90 degrees"),
    (r"3\text{ cm}^2", r"3 \text{cm}^{2}"),
    # spacing and names
    (r"\left(2,\,3\right)", "(2, 3)"),
    (r"x \leq 5", r"x \le 5"),
    (r"2 \cdot 3", r"2\times 3"),
    (r"\text{Tuesday}", "Tuesday"),
    (r"\displaystyle \frac{1}{2}", r"\frac{1}{2}"),
    ("$x^2$", r"x^{2}"),
    (r"\!\sqrt{2}", r"\sqrt 2"),
    (r"\dfrac{\pi}{4}", r"\pi/4"),
    # roots, constants, functions
    (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    (r"\sqrt[3]{27}", "3"),
    (r"2\pi", r"\pi \cdot 2"),
    (r"\frac{1+\sqrt{5}}{2}", r"\frac{\sqrt{5}+1}{2}"),
    (r"\log_2 8", "3"),
    (r"\ln e^2", "2"),
    (r"\sin^2 x + \cos^2 x", "1"),
    # algebra
    ("x^2+2x+1", "(x+1)^2"),
    ("x+y", "y+x"),
    ("(x-1)(x+1)", "x^2-1"),
    ("2(a+b)", "2a+2b"),
    ("n(n+1)/2", r"\frac{n^2+n}{2}"),
    ("x=5", "5"),
    ("5", "x = 5"),
    ("y = 2x + 3", "y=3+2x"),
    # sets
    (r"\{1,2,3\}", r"\{3,2,1\}"),
    (r"\{1, 2\}", r"\left\{2, 1\right\}"),
    (r"\{\frac{1}{2}, 3\}", r"\{3, 0.5\}"),
    (r"\emptyset", r"\emptyset"),
    ("1, 2", "2, 1"),
    # intervals and pairs
    (r"(1, 2)", "(1,2)"),
    (r"[0, \infty)", r"[0,\infty)"),
    (r"(-\infty, 2] \cup [3, \infty)", r"(-\infty,2]\cup[3,\infty)"),
    (r"[\frac{1}{2}, 1]", "[0.5, 1]"),
    (r"x > 3", r"3 < x"),
    # matrices
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1 & 2 \\ 3 & 4\end{bmatrix}"),
    (r"\begin{pmatrix}\frac12\\1\end{pmatrix}", r"\begin{pmatrix}0.5\\1\end{pmatrix}"),
    (r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}"),
]

UNEQUAL: list[tuple[str, str]] = [
    ("42", "43"),
    ("42", "-42"),
    ("1/3", "0.33"),
    ("0.5", "0.05"),
    ("1234", "1.234"),
    (r"\frac{1}{2}", r"\frac{2}{1}"),
    (r"\frac{1}{2}", r"\frac{1}{3}"),
    ("50\\%", "5"),
    ("50\\%", "0.05"),
    (r"10 \text{ cm}", r"10 \text{ m}"),
    ("12 hours", "12 minutes"),
    (r"\sqrt{8}", r"2\sqrt{3}"),
    (r"\pi", "3.14"),
    ("x^2+1", "(x+1)^2"),
    ("x+y", "x-y"),
    ("x=5", "x=6"),
    ("x = 5", "y = 5"),
    (r"\{1,2,3\}", r"\{1,2\}"),
    (r"\{1,2\}", r"\{1,3\}"),
    ("(1,2)", "(2,1)"),
    ("[1,2]", "(1,2)"),
    (r"[0, \infty)", r"(0, \infty)"),
    (r"x > 3", r"x < 3"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"),
    ("5", "I don't know"),
    ("5", "none"),
    (r"\text{Tuesday}", "Wednesday"),
    ("5", "5 or 6"),
    ("2x", "x^2"),
    ("e^2", "2e"),
    ("0", "1"),
    ("5", r"\boxed{"),
]


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_the_same(reference: str, answer: str) -> None:
    assert value_of(MathEquivalence(), answer, reference) == 1.0


@pytest.mark.parametrize(("reference", "answer"), UNEQUAL)
def test_not_the_same(reference: str, answer: str) -> None:
    assert value_of(MathEquivalence(), answer, reference) == 0.0


def test_has_enough_pairs() -> None:
    assert len(set(EQUAL)) + len(set(UNEQUAL)) >= 100


HOSTILE = [
    "9**9**9",
    "9^9^9",
    "9^{9^{9}}",
    "((9^{999})^{999})^{999}",
    "{{9^{999}}^{999}}^{999}",
    "10^{10^{10}}",
    "99999999999!",
    "((99!)!)!",
    "(10^9)!",
    r"\binom{10^{12}}{10^{11}}",
    r"\Gamma(10^{10})",
    "(" * 500 + "1" + ")" * 500,
    r"\frac{1}{" * 200 + "1" + "}" * 200,
    r"\sqrt{" * 20 + "2" + "}" * 20 + "+x",
    "x^{99999999}",
    "1" * 5000,
    "x+" * 400 + "y",
    r"\sum_{k=1}^{10000} \frac{\sin(k x)}{k^3}",
    r"\prod_{k=1}^{10000} (1+x^k)",
    r"\int_0^1 \frac{\sin(x^3)\ln(x+1)}{x^4+x+1} dx",
    r"e^{e^{e^{e^{e^{10}}}}}",
    "(x+y+z+w+u+v)^{150}",
    r"\begin{pmatrix}" + r"&".join("abcdefgh") + r"\end{pmatrix}" * 20,
    '__import__("os").system("touch /tmp/owned")',
    "eval(chr(95)*2)",
    "lambda: (yield)",
    r"\input{/etc/passwd}",
    r"\write18{id}",
    "\x00\x00",
    "\\" * 300,
    "{" * 300,
    "$" * 999,
    "%" * 999,
]


watching = False
executed: list[str] = []


def watch(event: str, arguments: Any) -> None:
    if watching and event in ("exec", "compile", "os.system", "subprocess.Popen", "open"):
        executed.append(f"{event} {str(arguments)[:200]}")


@pytest.fixture(scope="module")
def _watched() -> None:
    MathEquivalence().check()
    sys.addaudithook(watch)  # it can't be taken away again, so it is added once


@pytest.mark.usefixtures("_watched")
@pytest.mark.parametrize("answer", HOSTILE)
def test_nothing_hangs_or_is_executed(answer: str) -> None:
    global watching
    watching = True
    try:
        outcome = _scored(answer)
    finally:
        watching = False
    assert outcome in ("0.0", "error")
    assert not [e for e in executed if any(mark in e for mark in ("__import__", "chr(95)", "passwd", "os.system"))]


def _scored(answer: str) -> str:
    outcome = score_one(MathEquivalence(max_steps=2_000_000), answer, "x^2+1")
    return str(getattr(outcome, "value", "error"))


def test_what_asks_for_too_much_is_an_error_that_says_so() -> None:
    assert "too much work" in error_of(MathEquivalence(), "9**9**9", "5x")
    assert "steps" in error_of(MathEquivalence(max_steps=1000), "(x+1)^3", "x^3")
    # The same text needs no work at all.
    assert value_of(MathEquivalence(), "2^{2^{2023}}", "2^{2^{2023}}") == 1.0


def test_of_several_references_one_is_enough() -> None:
    assert value_of(MathEquivalence(), "7", ["5", "7"]) == 1.0
    assert value_of(MathEquivalence(), "8", ["5", "7"]) == 0.0
    assert "no expected_output" in error_of(MathEquivalence(), "8", None)


def test_steps_are_counted_and_the_hook_is_put_back() -> None:
    before = sys.gettrace()
    with pytest.raises(StepLimitReached):
        limited(1000, _for_ever)
    assert sys.gettrace() is before


def _for_ever() -> None:
    number = 0
    while True:
        with contextlib.suppress(Exception):  # as libraries do
            number += 1


def test_the_missing_extra_is_reported_before_anything_is_paid() -> None:
    script = (
        "import sys; sys.modules['math_verify'] = None\n"
        "import importlib.util\n"
        "from themis.pure.components.math_metric import MathEquivalence\n"
        "print(MathEquivalence().check())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "themis[math]" in done.stdout, done.stderr


@given(st.text(alphabet="0123456789^*!(){}x\\ +binom"))
@example("9" * 400 + "^" + "9" * 400)
def test_any_text_is_measured(text: str) -> None:
    too_much(text)
