"""Units: known ones and words are units, mathematics never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.text.math_text import noted
from themis.pure.components.text.numbers import read_number
from themis.pure.components.text.units import split_unit, unit_name

SAME = [
    ("5 km/h", "5 kilometers per hour", r"5\text{ km/h}", r"5\,\mathrm{km/h}", "5 kph", "5 km h^{-1}"),
    ("3 m^2", "3 square meters", "3 m²", r"3\text{ square metres}", "3 sqm", "3 meters squared"),
    ("2 h", "2 hours", "2 hrs", "2 hour", r"2\text{ h}"),
    ("30 degrees", "30°", r"30^\circ", r"30^{\circ}", r"30\degree"),
    ("7 dollars", r"\$7", "$7", r"7\text{ dollars}", "7 USD"),
    ("4 cm^3", "4 cubic centimeters", "4 cc", r"4\text{ cm}^3"),
    ("9 kg m/s^2", r"9\ \mathrm{kg \cdot m / s^2}", "9 kg·m/s²"),
    ("6 μm", "6 micrometers", "6 µm", "6 um"),
    ("8 apples", "8 apple", r"8 \text{ apples}", "8 Apples"),
]
DIFFERENT = ["5 cm", "5 m", "5 cm^2", "5 s", "5 hours", "5 apples", "5 pears", "5 km/h", "5 m/s", r"\$5", "€5", "5°"]
FACTORS = [
    "x",
    "n",
    "i",
    "e",
    "k",
    "m",
    "g",
    "s",
    "R",
    "V",
    "T",
    "xy",
    "abc",
    "mg",
    "ms",
    "kT",
    " x",
    " n",
    " m g",
    " k T",
    "π",
    r"\pi",
    "θ",
    r"\theta",
    " theta",
    "^n",
    "^{10}",
    "_{8}",
    "_2",
    "!",
    "/x",
    r"\sqrt{2}",
    "√2",
    " sin x",
    r"\sin x",
    r"\log 2",
    " mod 7",
    "(x+1)",
    "x^2",
    " + x",
    "a_1",
    r"\cdot x",
    r"\infty",
    "i + 1",
    "e^x",
    r"\text{i}",
    " or 6",
]


@pytest.mark.parametrize("names", SAME, ids=lambda names: str(names[0]))
def test_names_of_one_unit(names: tuple[str, ...]) -> None:
    read = [read_number(name) for name in names]
    assert all(number is not None and number.unit for number in read), read
    assert len({number.unit for number in read if number is not None}) == 1, read


def test_different_units() -> None:
    units = [number.unit for number in map(read_number, DIFFERENT) if number is not None]
    assert len(set(units)) == len(DIFFERENT)


@given(st.integers(2, 999), st.sampled_from(FACTORS))
def test_mathematics_behind_a_number_is_no_unit(number: int, factor: str) -> None:
    assert read_number(f"{number}{factor}") is None
    assert read_number(f"${number}{factor}$") is None


@given(st.text(max_size=80), st.booleans())
def test_any_text_is_a_unit_or_none(text: str, measured: bool) -> None:
    name = unit_name(text, measured=measured)
    assert name is None or isinstance(name, str)
    rest, unit = split_unit(noted(text))
    assert rest or not unit


@given(st.integers(-999, 999), st.sampled_from(["cm", "kg", "hours", "apples", "m/s", "square feet"]))
def test_a_unit_behind_an_expression_is_split_off(number: int, unit: str) -> None:
    assert split_unit(noted(rf"{number}\sqrt{{2}}\text{{ {unit}}}")) == (
        noted(rf"{number}\sqrt{{2}}"),
        unit_name(f" {unit}"),
    )
