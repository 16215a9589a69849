r"""Reading a number out of an answer that is one number, and comparing numbers within a tolerance."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

import attrs

LONGEST_NUMBER: Final = 400
"""Digits and decimal exponent beyond which no number is read: more is not a measurement."""

_DASHES: Final = str.maketrans({"−": "-", "–": "-", "﹣": "-", "－": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})  # noqa: RUF001  # what models write for a minus and for a thin space
_PLAIN: Final = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
_EXPONENT: Final = r"(?:[eE][+-]?\d{1,4}|\s?(?:\*|×|x|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{?[+-]?\d{1,4}\}?)"  # noqa: RUF001  # the sign models write
_NUMBER: Final = re.compile(
    rf"[+-]?\s?(?:[$€£¥₹]\s?|\\\$\s?)?"
    rf"(?:(?P<whole>\d{{1,18}})\s(?P<top>\d{{1,18}})\s?/\s?(?P<bottom>\d{{1,18}})"
    rf"|\\[dt]?frac\s?\{{(?P<ftop>-?\d{{1,400}})\}}\s?\{{(?P<fbottom>-?\d{{1,400}})\}}"
    rf"|(?P<number>{_PLAIN})(?P<exponent>{_EXPONENT})?(?:\s?/\s?(?P<over>{_PLAIN}))?)"
    r"\s?(?P<percent>\\?%|percent\b|per cent\b)?"
)
_POWER: Final = re.compile(r"[+-]?\d+(?=\}?$)")
_MARKUP: Final = " \t\r\n*_`\"'$"


@attrs.frozen
class Number:
    """A number as written: its value, and whether a percent sign follows (the value is what stands before it)."""

    value: Fraction
    percent: bool = False


def read_number(text: str) -> Number | None:
    """Return the number that a text is, or `None` if it is more or something else.

    Takes thousands separators, decimals, exponents, `3/4`, `2 1/2`, `\\frac{3}{4}`, a currency sign, a percent
    sign, and a unit of letters behind the number.

    >>> read_number("$1,234.50")
    Number(value=Fraction(2469, 2), percent=False)
    >>> read_number("12 apples or 13 pears") is None
    True
    """
    text = text.translate(_DASHES).strip(_MARKUP).rstrip(".")
    match = _NUMBER.match(text)
    if match is None or len(match[0]) > 2 * LONGEST_NUMBER or not _only_unit(text[match.end() :]):
        return None
    value = _value(match)
    if value is None:
        return None
    return Number(-value if match[0].startswith("-") else value, bool(match["percent"]))


def _only_unit(rest: str) -> bool:
    """Tell whether nothing but a short unit is left: no digit, no operator."""
    return len(rest) <= 40 and re.fullmatch(r"[\s*_$]*[^\d+=<>()\[\]{}\\,;:!?\-]*", rest) is not None


def _value(match: re.Match[str]) -> Fraction | None:
    top, bottom = match["top"] or match["ftop"], match["bottom"] or match["fbottom"]
    if bottom:
        return int(match["whole"] or 0) + Fraction(int(top), int(bottom)) if int(bottom) else None
    number = _decimal(match["number"], match["exponent"])
    if number is None or not match["over"]:
        return number
    divisor = _decimal(match["over"], None)
    return number / divisor if divisor else None


def _decimal(digits: str, exponent: str | None) -> Fraction | None:
    power = _POWER.search(exponent) if exponent else None
    size = int(power[0]) if power else 0
    if len(digits) > LONGEST_NUMBER or abs(size) > LONGEST_NUMBER:
        return None
    return Fraction(Decimal(digits.replace(",", ""))) * Fraction(10) ** size


def numeric_match(answer: Number, expected: Number, rel_tol: float = 1e-6, abs_tol: float = 0.0) -> bool:
    """Tell whether two numbers agree within `max(rel_tol * |expected|, abs_tol)`.

    Where one side alone has a percent sign, both readings count: `50%` matches `50` and `0.5`.

    >>> numeric_match(Number(Fraction(1, 3)), Number(Fraction("0.3333")), rel_tol=1e-3)
    True
    """
    if _close(answer.value, expected.value, rel_tol, abs_tol):
        return True
    if answer.percent == expected.percent:
        return False
    shares = [number.value / 100 if number.percent else number.value for number in (answer, expected)]
    return _close(shares[0], shares[1], rel_tol, abs_tol)


def _close(answer: Fraction, expected: Fraction, rel_tol: float, abs_tol: float) -> bool:
    return abs(answer - expected) <= max(Fraction(rel_tol) * abs(expected), Fraction(abs_tol))
