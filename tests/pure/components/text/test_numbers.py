"""Numbers as people and models write them, and when two of them are equal."""

# ruff: noqa: RUF001  # signs and letters that models write

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from themis.pure.components.math_metric import simple_verdict
from themis.pure.components.text.math_answer import math_answer
from themis.pure.components.text.numbers import Number, numeric_match, read_number

READ: list[tuple[str, str]] = [
    (r"\$9{,}500", "9500"),
    ("x = 5", "5"),
    (r"5 \text{ cm}", "5"),
    (r"1\frac{1}{2}", "3/2"),
    (r"10,\!080", "10080"),
    (r"10\,080", "10080"),
    ("10 080", "10080"),
    ("1'234'567", "1234567"),
    ("12,34,567", "1234567"),
    ("1_000", "1000"),
    ("1.234,56", "1234.56"),
    ("1.234.567", "1234567"),
    ("2½", "5/2"),
    ("¾", "3/4"),
    ("٣٫٥", "3.5"),
    ("１２", "12"),
    ("१२", "12"),
    ("1.6 × 10⁻¹⁹ C", "1.6e-19"),
    (r"3 \times 10^{8}", "3e8"),
    ("10^{-3}", "0.001"),
    ("1e3", "1000"),
    ("-$5", "-5"),
    ("$-5", "-5"),
    ("−7", "-7"),
    ("$1.5M", "1500000"),
    ("€2bn", "2000000000"),
    ("1.5 million", "1500000"),
    ("1.5 billion dollars", "1500000000"),
    ("2 hundred thousand", "200000"),
    ("3 mil millones", "3000000000"),
    ("2 Milliarden", "2000000000"),
    ("2 milliards", "2000000000"),
    ("3亿", "300000000"),
    ("5万円", "50000"),
    ("1.2 crore", "12000000"),
    ("3 лет", "3"),
    ("4 миллиона", "4000000"),
    (r"\approx 3.14", "3.14"),
    ("about 12", "12"),
    (r"\textbf{42}", "42"),
    (r"\(7\)", "7"),
    (r"\boxed{7}", "7"),
    ("3rd", "3"),
    (r"-\frac{3}{4}", "-3/4"),
    ("2 1/2 cups", "5/2"),
]
NONE = ["", "x", "3x", "5!", "2^n", "1,2", "3 or 4", "5k", "12:30", "1/0", r"\frac{1}{0}", "9" * 500, "1e9999", "five"]


@pytest.mark.parametrize(("text", "value"), READ)
def test_reads_a_number_as_it_is_written(text: str, value: str) -> None:
    number = read_number(text)
    assert number is not None
    assert number.value == Fraction(value)


@pytest.mark.parametrize("text", NONE)
def test_reads_no_number_out_of_more(text: str) -> None:
    assert read_number(text) is None


def test_a_decimal_comma_is_one_where_nothing_but_a_number_is_expected() -> None:
    assert read_number("3,5") is None
    assert read_number("3,5", decimal_comma=True) == Number(Fraction(7, 2), step=Fraction(1, 10))
    assert read_number("1,5 Millionen", decimal_comma=True) == Number(Fraction(1_500_000), step=Fraction(100_000))


SPELLED = st.sampled_from(
    [
        "{:,}",
        r"\${:,}",
        "{:,} cm",
        r"{:,}\text{{ cm}}",
        "x = {:,}",
        "${:,}$",
        r"\boxed{{{:,}}}",
        "{:,} apples",
        r"\({:,}\)",
        "**{:,}**",
        "{:,}.",
        "about {:,}",
    ]
)
SEPARATORS = st.sampled_from([",", "{,}", r"{,}", r",\!", r"\,", "\u202f", "\u2009", "'", "_", ""])


@given(st.integers(0, 10**15), SPELLED, SEPARATORS)
def test_a_whole_number_is_the_same_however_it_is_written(value: int, form: str, separator: str) -> None:
    text = form.format(value).replace(",", separator)
    number = read_number(text)
    assert number is not None, text
    assert number.value == value


@given(
    st.integers(1, 10**9),
    st.sampled_from(
        ["{:,}", "{:,} million", "{:,} billion", "{:,}%", "{:,} cm", "${:,}$", r"\${:,}", "{:,}万", "−{:,}"]
    ),
    st.sampled_from(["The answer is {}.", "**Answer:** {}", "Final answer: {}", r"\boxed{{{}}}", "#### {}"]),
)
def test_what_is_parsed_can_be_read(value: int, form: str, sentence: str) -> None:
    written = form.format(value)
    parsed = math_answer(sentence.format(written)).value
    assert parsed is not None
    number, wanted = read_number(parsed), read_number(written)
    assert number is not None, parsed
    assert wanted is not None
    assert (number.value, number.percent) == (wanted.value, wanted.percent)
    verdict = simple_verdict(written, parsed)
    assert verdict is not None
    assert verdict.same


FORMS = [
    r"1\frac{1}{2}",
    "½",
    "2½",
    "1.5 × 10³",
    r"1.5 \times 10^{3}",
    "1 234",
    "12,34,567",
    "1'234",
    "1.234.567",
    r"\frac{3}{4}",
    "3/4",
    "2 1/2",
    "50%",
    r"50\%",
    "50 percent",
    r"\$1,234.50",
    "$1,234.50",
    "€5",
    "-5",
    "−5",
    "1e-5",
    "10^6",
    "1.5 million",
    "3 million dollars",
    "5 cm",
    "12 apples",
    "5 km/h",
    "90°",
    r"90^\circ",
    "3亿",
    "1.5 lakh",
    "5,5",
    "0.5",
    "1{,}234",
    r"1\,234",
    r"10,\!080",
    "+7",
    "٣٫٥",
    "１２",
    "about 5",
    "≈ 5",
    "5 thousand",
    "$1.5M",
    "2 hundred",
    "100 000 €",
    "1.5e3 m",
    "7 Milliarden Euro",
    "3 mil millones",
]
SENTENCES = [
    "The answer is {}.",
    "Answer: {}",
    "**Answer:** {}",
    "**Answer: {}**",
    "#### {}",
    r"\boxed{{{}}}",
    "Final answer: {}",
    "The answer is **{}**.",
    "Die Antwort ist {}.",
    "La respuesta es {}.",
    "答案是{}。",
    "So in the end we get {}",
    "<answer>{}</answer>",
]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_number_comes_through_the_parser(form: str, sentence: str) -> None:
    parsed = math_answer(sentence.format(form)).value
    assert parsed is not None
    number, wanted = read_number(parsed, decimal_comma=True), read_number(form, decimal_comma=True)
    assert number is not None, parsed
    assert wanted is not None
    assert (number.value, number.percent) == (wanted.value, wanted.percent), parsed


LADDERS = [
    ["thousand", "million", "billion", "trillion"],
    ["Tausend", "Millionen", "Milliarden", "Billionen"],
    ["mille", "millions", "milliards"],
    ["mil", "millones", "mil millones", "billones"],
    ["тысяч", "миллионов", "миллиардов", "триллионов"],
    ["千", "百万", "十亿", "兆"],
    ["lakh", "crore"],
    ["ألف", "مليون", "مليار"],
    ["ribu", "juta", "miliar", "triliun"],
    ["천", "만", "억", "조"],
]


@given(st.integers(1, 999), st.sampled_from(LADDERS))
def test_words_of_magnitude_multiply(value: int, words: list[str]) -> None:
    numbers = [read_number(f"{value} {word}") for word in words]
    values = [number.value for number in numbers if number is not None]
    assert len(values) == len(words)
    assert values == sorted(set(values))
    assert values[0] >= 1000 * value


# --- equality ---------------------------------------------------------------------------------------------

EXACT = st.fractions(max_denominator=10**9)


@given(EXACT, EXACT)
def test_exact_numbers_are_equal_to_themselves_alone(first: Fraction, second: Fraction) -> None:
    assert numeric_match(Number(first), Number(second)) == (first == second)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(-40, 40))
def test_tolerance_is_relative(first: int, second: int, power: int) -> None:
    here = [read_number(f"0.{value:06}") for value in (first, second)]
    there = [read_number(rf"0.{value:06} \times 10^{{{power}}}") for value in (first, second)]
    assert None not in here + there
    assert numeric_match(*here) == numeric_match(*there)  # type: ignore[arg-type]  # no None


@given(st.integers(1, 10**12), st.integers(1, 400))
def test_the_last_place_of_decimals_counts(value: int, apart: int) -> None:
    first, second = (read_number(f"{number / 10:.1f}") for number in (value, value + apart))
    assert first is not None
    assert second is not None
    assert not numeric_match(first, second)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_fraction_equals_its_decimal_to_seven_digits(top: int, bottom: int) -> None:
    exact = Fraction(top, bottom)
    assume(exact >= 1)
    decimal = read_number(f"{top / bottom:.7f}")
    assert decimal is not None
    assert numeric_match(decimal, Number(exact))


def test_what_is_stated_counts_alone() -> None:
    ten, eleven = Number(Fraction(10)), Number(Fraction(11))
    assert numeric_match(ten, eleven, rel_tol=0.1)
    assert numeric_match(ten, eleven, abs_tol=1)
    assert not numeric_match(ten, eleven, abs_tol=0.5)
    assert not numeric_match(Number(Fraction(10), unit="m"), Number(Fraction(10), unit="cm"))
    assert numeric_match(Number(Fraction(10), unit="m"), ten)


@given(st.text(alphabet="0123456789.,-+%$\\{}^ x½²eE/ tfracmilion", max_size=60), st.booleans())
def test_reads_any_text(text: str, comma: bool) -> None:
    number = read_number(text, decimal_comma=comma)
    assert number is None or numeric_match(number, number)
