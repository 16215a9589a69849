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
    # said once more, magnitudes, Unicode, wrappers, other languages
    ("The answer is 20%, i.e. one fifth.", "20%"),
    ("The answer is 20%, i.e. one fifth", "20%"),
    ("The answer is 12, e.g. three rows of four.", "12"),
    ("The answer is 0.75 (that is, three quarters).", "0.75"),
    ("The answer is 1.5 million.", "1.5 million"),
    ("So the company earned 2.4 billion dollars.", "2.4 billion"),
    ("答案是1.5亿。", "1.5亿"),
    ("Die Antwort ist 3 Millionen.", "3 Millionen"),
    ("**Answer:** $9{,}500$", "9{,}500"),
    (r"\boxed{10,\!080}", r"10,\!080"),
    (r"The answer is \$9{,}500.", "9{,}500"),
    (r"The answer is **42**.", "42"),
    (r"### Final Answer" + "\n\n" + r"$$x = 3$$", "x = 3"),
    (r"**Final Answer:** $\boxed{-2}$", "-2"),
    ("The final answer is $\\boxed{\\text{No}}$.", r"\text{No}"),
    ("<answer>42</answer>", "42"),
    ("<answer>\n$\\frac{1}{3}$\n</answer>", r"\frac{1}{3}"),
    ("#### 72", "72"),
    ("#### 1,234.50", "1234.50"),
    ("Therefore, the total is **$1,250**.", "1250"),
    ("The total is 72 clips, altogether.", "72"),
    ("The answer is 72, in total, so the farmer earns that much.", "72"),
    ("The answer is 72, which is the total.", "72"),
    ("So she needs **18 eggs**.", "18"),
    ("= 3/8", "3/8"),
    (r"$x = \dfrac{5}{2}$", r"\dfrac{5}{2}"),
    (r"Thus, \[ \boxed{(3, \frac{\pi}{2})} \]", r"(3, \frac{\pi}{2})"),
    (r"\boxed{p - q}", "p - q"),
    (r"$\boxed{6 - 5i}$", "6 - 5i"),
    (r"\boxed{\text{Evelyn}}", r"\text{Evelyn}"),
    (r"\boxed{11\sqrt{2}}", r"11\sqrt{2}"),
    (r"\boxed{x^2 + 7x + 10}", "x^2 + 7x + 10"),
    (r"\boxed{90^\circ}", r"90^\circ"),
    (r"\boxed{\frac{270}7\text{ degrees}}", r"\frac{270}7\text{ degrees}"),
    (r"\boxed{.0000672}", ".0000672"),
    (r"\boxed{3,5,7}", "3,5,7"),
    (r"\boxed{\$18.90}", r"\$18.90"),
    ("The answer is √2.", "√2"),
    ("The answer is x².", "x²"),
    ("The answer is ½.", "½"),
    ("The answer is ∞.", "∞"),
    ("Answer: 3√5", "3√5"),
    ("Answer: π/4", "π/4"),
    ("The answer is 6.02 × 10²³.", "6.02 × 10²³"),
    ("The answer is 3 \\times 10^8.", "3 \\times 10^8"),
    ("The answer is 5 cm.", "5 cm"),
    ("Answer: 12:30", "12:30"),
    ("The answer is 7:3.", "7:3"),
    ("So the ratio is $\\boxed{3:4}$", "3:4"),
    ("Answer: yes", "yes"),
    ("The answer is no.", "no"),
    ("**Result:** 17", "17"),
    ("Result: $17$", "17"),
    ("Solution: x = 4", "x = 4"),
    ("Ans: 14", "14"),
    ("The value is 14.", "14"),
    ("Hence n = 14.", "14"),
    ("Hence $n = 14$.", "14"),
    ("We get 3 + 4 = 7. Double that: 14. **14**", "14"),
    ("Das Ergebnis ist 14.", "14"),
    ("Die Lösung lautet 14.", "14"),
    ("Also beträgt die Antwort **14**.", "14"),
    ("Le résultat est 14.", "14"),
    ("El resultado es 14.", "14"),
    ("La respuesta es **14**.", "14"),
    ("A resposta é 14.", "14"),
    ("La risposta è 14.", "14"),
    ("答案为14。", "14"),
    ("答案：$\\frac{1}{2}$", r"\frac{1}{2}"),
    ("所以答案是 14 个苹果。", "14"),
    ("答えは14個です。", "14"),
    ("答え：14", "14"),
    ("정답은 14입니다.", "14"),
    ("Ответ: 14", "14"),
    ("Ответ: \\(\\frac{1}{2}\\)", r"\frac{1}{2}"),
    ("उत्तर: 14", "14"),
    ("الإجابة هي 14.", "14"),
    ("Cevap: 14", "14"),
    ("Đáp án: 14", "14"),
    ("The final answer is 5.\nThe final answer is 5.", "5"),
    (r"Check: \boxed{5}. Yes. \boxed{5}", "5"),
    ("Final answer: 3 or 4", "3 or 4"),
    (r"\boxed{3} and \boxed{4}", "3, 4"),
    ("The answer is -1/2.", "-1/2"),
    ("The answer is (−3, 4).", "(−3, 4)"),
    ("The answer is [2, 5).", "[2, 5)"),
    ("The answer is {1, 2, 3}.", "{1, 2, 3}"),
    ("The answer is 1 234 567.", "1 234 567"),
    ("The answer is approximately 3.14.", "3.14"),
    ("The answer is about 250 km.", "250"),
    ("The answer is 2^10 = 1024.", "2^10 = 1024"),
    ("The answer is 25%, i.e., a quarter.", "25%"),
    ("The answer is 12 (twelve).", "12"),
    ("So the answer is 5, not 6.", "5"),
    ("The answer is 1,000,000 (one million).", "1000000"),
    ("The answer is $3.50 per pound.", "3.50"),
    ("The answer is 0.5, that is, one half.", "0.5"),
    ("The answer is 7, as shown above.", "7"),
    ("The answer is 64, meaning 8 squared.", "64"),
    ("The answer is roughly 1.5 million people.", "1.5 million"),
    ("That makes 96 bottles, in all.", "96"),
    ("41?</think><answer>42</answer>", "42"),
    ("The area is 25 cm^2", "25"),
    ("so x^{10} and y_{2} sum to 7", "7"),
    ("That makes −3 in all", "-3"),
    ("It rose to 12,34,567 rupees", "12,34,567"),
    ("She has 2 1/2 pies left", "2 1/2"),
    ("I could not find it.", None),
    (r"\boxed{7} or is it \boxed{", INVALID),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS)
def test_reads_what_a_person_reads(answer: str, expected: str | None) -> None:
    result = math_answer(answer)
    assert (INVALID if result.invalid else result.value) == expected, result
    assert (result.value is None) == bool(result.reason)


def test_has_enough_answers() -> None:
    assert len({answer for answer, _ in ANSWERS}) >= 160


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
