r"""Reading a number out of an answer that is one number, and comparing numbers within a tolerance.

What is a number, as people and models write it: separators of thousands and LaTeX as `math_text` says, decimals,
exponents (`1.5e3`, `3 \times 10^8`), fractions and mixed numbers (`3/4`, `1\frac{1}{2}`, `2½`), a sign, a currency
before it; words of magnitude, which multiply (`1.5 million`, `3亿`; names by Unicode CLDR 46, compact decimal formats
in their long form); a percent sign; a unit (`units`); `x = ` or "about" before all of that.

When two numbers are equal: whole numbers and fractions are exact, and equal only to themselves. A decimal stands for
what it was rounded from: it equals another number within `REL_TOL` of the larger one, but never beyond half a step of
its last place (of the coarser one's; a whole step where the other side is exact, for some cut instead of rounding), and
never an exact number that has no more places than it has. A decimal with all the digits of a double was computed: for
that `REL_TOL` alone counts.
"""

# ruff: noqa: RUF001  # the signs that models write

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

import attrs

from themis.pure.components.text.math_text import noted
from themis.pure.components.text.units import ROMAN, currency, unit_name

LONGEST_NUMBER: Final = 400
"""Digits and decimal exponent beyond which no number is read: more is not a measurement."""

REL_TOL: Final = Fraction(1, 10**6)
"""How far two decimals, or a decimal and a fraction, may lie apart as a share of the larger one."""

_DOUBLE: Final = 14
"""Powers of ten between a double's value and its last digit, at least (IEEE 754: 15 to 17 significant digits)."""

_MAGNITUDES: Final = {
    2: "hundred hundreds 百 백",
    3: "thousand thousands tausend mille mil mila тысяча тысячи тысяч 千 천 हज़ार हजार হাজার ألف آلاف ribu nghìn ngàn"
    " tysiąc tysiące tysięcy elfu",
    4: "万 萬 만",
    5: "lakh lakhs लाख লাখ laki",
    6: "mio million millions millionen millón millones milhão milhões milione milioni миллион миллиона миллионов 百万"
    " juta triệu milyon مليون ملايين milion miliony milionów",
    7: "crore crores करोड़ करोड কোটি",
    8: "亿 億 억",
    9: "billion billions milliarde milliarden milliard milliards miliardo miliardi bilhão bilhões миллиард миллиарда"
    " миллиардов 十亿 مليار مليارات miliar tỷ milyar miliard miliardy miliardów bilioni अरब arab mrd",
    12: "trillion trillions billionen billón billones trilhão trilhões trilione trilioni триллион триллиона триллионов"
    " 兆 조 تريليون triliun trilyon bilion",
    15: "quadrillion",
}
"""Powers of ten by their names, in the languages of MMMLU (openai/MMMLU) and a few more."""

_POWERS: Final = {word: power for power, words in _MAGNITUDES.items() for word in words.split()}
_SHORT: Final = {"k": 3, "m": 6, "mn": 6, "mm": 6, "b": 9, "bn": 9, "t": 12, "tn": 12, "cr": 7}
"""Abbreviations, which count behind a currency's sign alone: elsewhere `5m` is a length or a product."""

_LONGEST_FIRST: Final = sorted(_POWERS, key=lambda word: (-len(word), word))
MAGNITUDE: Final = r"(?:" + "|".join(word if word[0] > "\u2e80" else rf"{word}(?!\w)" for word in _LONGEST_FIRST) + ")"
"""A pattern of one word of magnitude; it ignores case."""

_ROMAN_WORD: Final = re.compile(rf"\s*{ROMAN[0]}\s*({MAGNITUDE})", re.IGNORECASE)

PERCENT: Final = (
    r"(?:\\?%|percent\b|per\s?cent\b|prozent\b|pour\s?cent\b|por\s?cien?to\b|per\s?cento\b|процент\w{0,3}\b)"
)

_DECIMAL: Final = r"(?:\d+(?:\.\d*)?|\.\d+)"
_NUMBER: Final = re.compile(
    r"(?:(?:\\?[a-z](?:\w{0,8}|_\{\w{1,8}\})(?:\([a-z]\))?\s?(?:=|\\approx|\\sim)|\\approx|\\sim|=|\+?~"
    r"|(?:about|approximately|approx\.?|roughly|around|nearly|exactly|almost|etwa|ungefähr|environ|約|约)\b)\s?)?"
    r"(?P<sign>[+-])?\s?(?P<currency>[＄€£¥₹])?\s?(?P<inner>-)?\s?"
    rf"(?:(?P<whole>\d{{1,18}})\s?\\frac\{{(?P<mtop>\d{{1,18}})\}}\{{(?P<mbottom>\d{{1,18}})\}}"
    r"|(?P<swhole>\d{1,18})\s(?P<stop>\d{1,18})\s?/\s?(?P<sbottom>\d{1,18})"
    rf"|\\frac\s?\{{(?P<ftop>-?{_DECIMAL})\}}\s?\{{(?P<fbottom>-?{_DECIMAL})\}}"
    rf"|(?P<number>{_DECIMAL})(?:e(?P<exponent>[+-]?\d{{1,4}})|\s?(?:\*|x|\\cdot)\s?10\s?(?:\^|\*\*)\s?"
    rf"[{{(]?(?P<power>[+-]?\d{{1,4}})[}})]?)?(?:\s?/\s?(?P<over>{_DECIMAL}))?)"
    rf"(?P<words>(?:\s?{MAGNITUDE})*)(?P<percent>\s?{PERCENT})?",
    re.IGNORECASE,
)
_POWER_OF_TEN: Final = re.compile(r"^(.{0,12}=\s?|[+-])?10\s?(?:\^|\*\*)\s?[{(]?([+-]?\d{1,3})[})]?(?!\d)")
_SPACED: Final = re.compile(r"(?<![\d.,])[+-]?\d{1,3}(?: \d{3})+(?! ?[\d/])")
_ORDINAL: Final = re.compile(r"(?<=\d)(?:st|nd|rd|th)$")
_COMMA: Final = re.compile(r"(?<![\d.,])(\d+),(\d{1,2}|\d{4,})(?![\d,])")
_EUROPEAN: Final = re.compile(r"(?<=\d),(\d+)(?![\d,])")
_ENCLOSED: Final = re.compile(r"^\(([^()]*)\)$")
_MARKUP: Final = " \t\r\n*_`\"'"
_LONGEST_TEXT: Final = 3 * LONGEST_NUMBER


@attrs.frozen
class Number:
    """A number as written.

    Attributes:
        value: what it is; where a percent sign follows, what stands before that.
        percent: whether one does.
        step: what its last decimal place stands for; 0 if it is exact.
        unit: what follows, as `units.unit_name` calls it.
    """

    value: Fraction
    percent: bool = False
    step: Fraction = Fraction(0)
    unit: str = ""


def read_number(text: str, *, decimal_comma: bool = False) -> Number | None:
    r"""Return the number that a text is, or `None` if it is more or something else.

    Args:
        text: the answer.
        decimal_comma: `3,5` is three and a half, as nothing but one number is expected; else it is a pair.

    >>> read_number(r"\$1,234.50").value, read_number("1.5 million").value, read_number(r"1\frac{1}{2}").value
    (Fraction(2469, 2), Fraction(1500000, 1), Fraction(3, 2))
    >>> read_number("12 apples or 13 pears") is None, read_number("3x") is None
    (True, True)
    """
    text = text.strip(_MARKUP) if len(text) <= _LONGEST_TEXT else ""
    european = re.search(r"\d\.\d{3},\d", text) is not None
    text = _ROMAN_WORD.sub(rf" \1{ROMAN[0]}", noted(text).strip(_MARKUP))
    text = _ENCLOSED.sub(r"\1", text)
    if decimal_comma or european:
        text = _EUROPEAN.sub(r".\1", text) if european else _COMMA.sub(r"\1.\2", text)
    text = _SPACED.sub(lambda found: found[0].replace(" ", ""), _ORDINAL.sub("", text))
    text = _POWER_OF_TEN.sub(r"\g<1>1e\2", text)
    match = _NUMBER.match(text)
    return _number(match, text[match.end() :]) if match is not None else None


def _number(match: re.Match[str], rest: str) -> Number | None:
    sign = match["currency"] or ""
    power = sum(_POWERS[word.lower()] for word in re.findall(MAGNITUDE, match["words"], re.IGNORECASE))
    short = re.match(r"\s?(\w{1,2})(?!\w)\s?", rest) if sign else None
    if short is not None and short[1].lower() in _SHORT:
        power, rest = power + _SHORT[short[1].lower()], rest[short.end() :]
    measured = match["power"] is not None or match["exponent"] is not None
    unit = unit_name(rest.rstrip(_MARKUP), measured=measured)
    read = _read(match)
    if read is None or unit is None:
        return None
    negative = (match["sign"] == "-") != (match["inner"] == "-")
    value, step = (part * 10**power for part in read)
    return Number(-value if negative else value, bool(match["percent"]), step, currency(sign) or unit)


def _read(match: re.Match[str]) -> tuple[Fraction, Fraction] | None:
    """Return the value without its sign, and its step."""
    whole = match["whole"] or match["swhole"] or "0"
    top = match["mtop"] or match["stop"] or match["ftop"]
    if top is None:
        number = _decimal(match["number"], match["exponent"] or match["power"])
        over = _decimal(match["over"], None) if match["over"] else (Fraction(1), Fraction(0))
    else:
        number = _decimal(top, None)
        over = _decimal(match["mbottom"] or match["sbottom"] or match["fbottom"], None)
    if number is None or over is None or not over[0]:
        return None
    return int(whole) + number[0] / over[0], number[1] / abs(over[0])


def _decimal(digits: str, exponent: str | None) -> tuple[Fraction, Fraction] | None:
    size = int(exponent or 0)
    if len(digits) > LONGEST_NUMBER or abs(size) > LONGEST_NUMBER:
        return None
    scale, places = Fraction(10) ** size, len(digits.partition(".")[2])
    return Fraction(Decimal(digits)) * scale, scale / 10**places if "." in digits else Fraction(0)


def numeric_match(answer: Number, expected: Number, rel_tol: float | None = None, abs_tol: float | None = None) -> bool:
    """Tell whether two numbers agree within `max(rel_tol * |expected|, abs_tol)`; unless stated, as decimals do.

    Where one side alone has a percent sign, both readings count: `50%` matches `50` and `0.5`. Different units are
    different numbers; a unit that one side alone states says nothing.

    >>> third, sixth = Number(Fraction(1, 3)), Number(Fraction("0.3333"), step=Fraction(1, 10**4))
    >>> numeric_match(third, sixth, rel_tol=1e-3), numeric_match(third, sixth)
    (True, False)
    """
    if answer.unit and expected.unit and answer.unit != expected.unit:
        return False
    if _close(answer, expected, rel_tol, abs_tol):
        return True
    if answer.percent == expected.percent:
        return False
    return _close(_share(answer), _share(expected), rel_tol, abs_tol)


def _share(number: Number) -> Number:
    by = 100 if number.percent else 1
    return Number(number.value / by, step=number.step / by)


def _close(answer: Number, expected: Number, rel_tol: float | None, abs_tol: float | None) -> bool:
    apart = abs(answer.value - expected.value)
    if rel_tol is not None or abs_tol is not None:
        return apart <= max(Fraction(rel_tol or 0) * abs(expected.value), Fraction(abs_tol or 0))
    return apart <= min(REL_TOL * max(abs(answer.value), abs(expected.value)), _rounding(answer, expected))


def _rounding(answer: Number, expected: Number) -> Fraction:
    """Return how far apart rounding or cutting to the places that are written can have brought two numbers."""
    coarse, fine = sorted((answer, expected), key=lambda number: -number.step)
    if not coarse.step:
        return Fraction(0)
    if abs(coarse.value) >= coarse.step * 10**_DOUBLE:  # all digits of a double: computed, and not rounded by anyone
        return abs(coarse.value)
    if fine.step:
        return coarse.step / 2
    # An exact number that has no more places would have been written as it is: 1.0000001 is not 1.
    return Fraction(0) if (fine.value / coarse.step).denominator == 1 else coarse.step
