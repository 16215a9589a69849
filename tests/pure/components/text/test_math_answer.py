"""The final answer of worked problems: answers as models write them, each read by hand."""

# ruff: noqa: RUF001  # answers in other scripts

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.text.math_answer import math_answer

INVALID = "invalid"

ANSWERS: list[tuple[str, str | None]] = [
    # boxes
    (r"\boxed{42}", "42"),
    (r"The answer is $\boxed{42}$.", "42"),
    (r"Thus \[\boxed{\frac{3}{4}}\]", r"\frac{3}{4}"),
    (r"so $x = \boxed{\dfrac{1+\sqrt{5}}{2}}$", r"\dfrac{1+\sqrt{5}}{2}"),
    (r"\boxed{\left\{ x \in \mathbb{R} : x > 0 \right\}}", r"\left\{ x \in \mathbb{R} : x > 0 \right\}"),
    (r"\boxed{\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}}", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
    (r"\boxed{ 7 }", "7"),
    (r"\boxed 7", "7"),
    (r"\fbox{7}", "7"),
    (r"\boxed{\boxed{7}}", "7"),
    (r"\boxed{\text{(C)}}", r"\text{(C)}"),
    (r"\boxed{x^{2^{n}}}", "x^{2^{n}}"),
    (r"\boxed{1,234}", "1,234"),
    (r"First $\boxed{3}$ for part one. For the whole problem the sum is $\boxed{8}$.", "8"),
    (r"\boxed{12} Wait, I forgot the factor 2. \boxed{24}", "24"),
    (r"The roots are $\boxed{3}$ and $\boxed{-2}$.", "3, -2"),
    (r"$x = \boxed{1}$ or $x = \boxed{5}$", "1, 5"),
    (r"**Answer:** $\boxed{204}$", "204"),
    (r"The final answer is: $\boxed{\pi}$. I hope it is correct.", r"\pi"),
    (r"Both ways give 5, so \boxed{5}. Hence 5 and not 6, which a naive count (6) gives.", "5"),
    (r"Therefore, $\boxed{50\%}$ of them.", r"50\%"),
    (r"\boxed{}: we get \boxed{9}", "9"),
    (r"\boxed{(-\infty, 2] \cup [3, \infty)}", r"(-\infty, 2] \cup [3, \infty)"),
    (r"Also ist die Antwort \boxed{\frac{7}{2}}.", r"\frac{7}{2}"),
    (r"综上所述，答案为 $\boxed{2023}$。", "2023"),
    (r"\boxed{10 \text{ cm}^2}", r"10 \text{ cm}^2"),
    # finals
    ("She has 3 + 4 = 7 apples, of which 2 are rotten.\n#### 5", "5"),
    ("#### 1,200", "1200"),
    ("#### $18", "18"),
    ("Final answer: 17", "17"),
    ("**Final Answer:** 17", "17"),
    ("**Final Answer**\n\n17", "17"),
    ("Final answer: $\\frac{5}{6}$", r"\frac{5}{6}"),
    ("The final answer is 3.5 hours.", "3.5"),
    ("The final answer is $x=2$ and $x=-2$.", "x=2, x=-2"),
    ("Final answer: 8. Wait, that's wrong: I added instead of subtracting. Final answer: 2.", "2"),
    ("最终答案是：15", "15"),
    # answer is
    ("The answer is 42.", "42"),
    ("The answer is $42$.", "42"),
    ("Answer: 42", "42"),
    ("Answer: $1,250.50", "1250.50"),
    ("The answer is -3, because the parabola opens downwards and 4 > 0.", "-3"),
    ("The answer is −7.", "-7"),
    ("So the answer is 3/8.", "3/8"),
    ("The answer is 12 apples.", "12"),
    ("The answer is 25%.", "25%"),
    ("Answer: x = 5", "x = 5"),
    ("Answer: (2, 3)", "(2, 3)"),
    ("Answer: \\(\\sqrt{2}\\)", r"\sqrt{2}"),
    ("The answer is:\n\n$$\\frac{n(n+1)}{2}$$", r"\frac{n(n+1)}{2}"),
    ("The answer is 5 or 6.", "5 or 6"),
    ("The answer is not 5. After subtracting, the answer is 4.", "4"),
    ("The answer for one row is 6 seats, so for 12 rows the answer is 72 seats.", "72"),
    ("Die Antwort ist 9.", "9"),
    ("La réponse est 12.", "12"),
    ("La respuesta es $\\frac{1}{3}$.", r"\frac{1}{3}"),
    ("答案是 36。", "36"),
    ("答えは 7 です。", "7"),
    ("정답: 25", "25"),
    ("Ответ: 11", "11"),
    ("Answer: none", "none"),
    # the last number
    ("Tom has 3 boxes with 12 pens each, so he has 36 pens.", "36"),
    ("3 * 12 = 36", "36"),
    ("It costs $1,299.99 in total", "1299.99"),
    ("The temperature falls to -4 degrees", "-4"),
    ("that leaves 7/12 of the cake", "7/12"),
    ("about 1.5e-3 mol", "1.5e-3"),
    ("36", "36"),
    ("He needs 20 minutes for 2 km of H2O pipes.", "2"),
    ("i.e. a discount of 15 %", "15%"),
    # nothing
    ("", None),
    ("I'm sorry, but I can't solve this problem.", None),
    ("I don't know the answer.", None),
    ("A proof by induction completes the argument.", None),
    # unusable
    (r"\boxed{\frac{1}{2}", INVALID),
    (r"so we get \boxed{12", INVALID),
    (r"\boxed{}", INVALID),
    (r"\boxed{5} \boxed{6}", INVALID),
    ("Final answer: 5\nFinal answer: 6", INVALID),
    ("#### 12\n#### 13", INVALID),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS)
def test_reads_what_a_person_reads(answer: str, expected: str | None) -> None:
    result = math_answer(answer)
    assert (INVALID if result.invalid else result.value) == expected, result
    assert (result.value is None) == bool(result.reason)


def test_has_enough_answers() -> None:
    assert len({answer for answer, _ in ANSWERS}) >= 60


FRAGMENTS = st.sampled_from(
    [
        "\\boxed{",
        "\\boxed",
        "{",
        "}",
        "\\{",
        "$",
        "$$",
        "\\(",
        "\\)",
        "\\[",
        "The answer is",
        "####",
        "12",
        ",",
        ".",
        "-",
        " ",
        "\n",
        "and",
        "%",
        "/",
    ]
)


@given(st.one_of(st.text(), st.lists(FRAGMENTS).map("".join)))
def test_reads_any_text(text: str) -> None:
    result = math_answer(text)
    assert (result.value is None) == bool(result.reason)


@given(
    st.recursive(
        st.sampled_from(["1", "x", "\\pi"]), lambda inner: inner.map(lambda s: "\\sqrt{" + s + "}"), max_leaves=6
    )
)
def test_a_box_ends_at_its_own_brace(content: str) -> None:
    assert math_answer(f"so $\\boxed{{{content}}}$ and {{not}} this").value == content


@given(st.integers(-(10**12), 10**12))
def test_reads_numbers_with_separators(number: int) -> None:
    assert math_answer(f"it is {number:,} in all").value == str(number)
    assert math_answer(f"The answer is {number:,}.").value == str(number)
