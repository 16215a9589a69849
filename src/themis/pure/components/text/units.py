"""Units behind numbers: which letters are a unit, and when two units are the same.

A unit is never mathematics. Letters behind a number are a unit only if each of them is

- a known unit: the SI's with its prefixes (The International System of Units, 9th edition, tables 2 to 4, 7 and 8), the
  customary ones, and the currencies; or
- a word of four letters or more (`12 apples`), or one in `\\text{...}`, that names no function, Greek letter or number.

Letters that could be factors need more: glued to the number (`2mg`, `3m`) only those count that nobody takes for a
product (`5cm`); one letter counts after a blank if it is a common symbol (`5 m`), else in roman type (`\\mathrm{A}`).
Two units are the same if they are the same product of the same bases, whatever their names: `km/h` is
`kilometers per hour`. Nothing is converted, so that metres are not centimetres. Where one side alone states a unit, it
says no more than the other: the problem fixed it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

ROMAN: Final = ("\ue000", "\ue001")
"""The marks around what stood in `\\text{...}` and the like (see `math_text.noted`)."""

LONGEST_UNIT: Final = 60

_PREFIXES: Final = {
    "p": "pico", "n": "nano", "μ": "micro", "m": "milli", "c": "centi", "d": "deci", "k": "kilo", "M": "mega",
    "G": "giga", "T": "tera",
}  # fmt: skip
_SI: Final = (
    "m:meter metre|g:gram gramme|s:second|L:liter litre|N:newton|J:joule|W:watt|V:volt|A:ampere amp|Hz:hertz|Pa:pascal"
    "|mol:mole|eV:electronvolt|F:farad|T:tesla|H:henry|C:coulomb|Ω:ohm|K:kelvin|Wh:watthour|bit:|B:byte|cal:calorie|bar:"
)
_OTHERS: Final = (
    "min:minute mins|h:hour hr hrs|day:|week:|month:|year:yr yrs|in:inch inche|ft:foot feet|yd:yard|mi:mile"
    "|lb:lbs pound|oz:ounce|gal:gallon|qt:quart|pt:pint|ton:tonne|acre:|hectare:ha|degree:deg|rad:radian|sr:steradian"
    "|celsius:|fahrenheit:|dollar:usd|cent:|euro:eur|yen:jpy|rupee:inr|rpm:|dB:decibel|ppm:|au:|ly:|unit:|piece:pcs"
    "|dozen:|men:|women:|way:|box:boxe|cat:|dog:|hen:|egg:|bag:|car:|cow:|pig:|pie:|hat:|pen:|cup:|toy:|boy:|girl:"
)
_COMPOUND: Final = {
    "mph": "mi/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h", "mps": "m/s", "fps": "ft/s", "sqft": "ft^2",
    "sqm": "m^2", "cc": "cm^3", "psi": "lb/in^2",
}  # fmt: skip
_CURRENCIES: Final = {"＄": "dollar", "€": "euro", "£": "lb", "¥": "yen", "₹": "rupee"}  # noqa: RUF001  # `\$`, noted
"""Signs before a number. A pound is a pound: nobody compares a weight with a price."""


def _known() -> Iterator[tuple[str, str]]:
    """Yield each name of a unit with the base that it stands for; symbols keep their case, words have none."""
    for symbol, _, names in (entry.partition(":") for entry in _OTHERS.split("|")):
        yield from ((name, symbol) for name in (symbol, *names.split()))
    for symbol, _, names in (entry.partition(":") for entry in _SI.split("|")):
        yield from ((name, symbol) for name in (symbol, *names.split()))
        for prefix, long in _PREFIXES.items():
            yield from ((name, prefix + symbol) for name in (prefix + symbol, *(long + word for word in names.split())))
    yield from {"l": "L", "ml": "mL", "um": "μm", "sec": "s", "secs": "s", "kgs": "kg", "kms": "km"}.items()


_BASES: Final = dict(_known())
_SINGLE: Final = frozenset("mgshJNWVKLl")
"""Symbols of one letter that count after a blank in italics, too."""

_NEVER_GLUED: Final = frozenset(
    re.findall(r"\S+", "mg ms mh mH mT mV mA mN mW mK mL ml kT kV kA cd cm/s dm dg ds au in pt rad gal")
)
"""Known units that are products as well: mass times g, Boltzmann's constant times a temperature."""

_NO_UNITS: Final = frozenset(
    re.findall(
        r"\w+",
        "sin cos tan cot csc sinh cosh tanh arcsin arccos arctan sech coth log exp sqrt mod gcd lcm max lim det "
        "dim ker deg arg sgn frac infinity infty theta alpha beta gamma delta epsilon zeta lambda sigma omega "
        "kappa and or with where when else only otherwise modulo plus minus times over equals choose factorial "
        "squared cubed not none some either both undefined thousand million billion trillion hundred",
    )
)

_PARTS: Final = re.compile(
    r"\s*(?:(?P<per>/|\bper\b)|(?P<dot>\\cdot|[*·⋅])|(?P<power>square|cubic|sq|cu)\b\.?\s"
    r"|(?P<name>[^\W\d_]+)\.?(?:\s?\^\s?\{?(?P<exponent>-?\d)\}?|\s(?P<word>squared|cubed)\b)?)"
)
_WORD: Final = re.compile(r"[A-Za-z\u0370-\u03ff]+")
_LONG_WORD: Final = re.compile(r"[^\W\d_]{4}")
_FOREIGN: Final = re.compile(r"[^\W\d_A-Za-z\u0370-\u03ff]+")
"""Letters of scripts in which no formula is written: neither Latin nor Greek."""
_VOWEL: Final = re.compile(r"[aeiou\u00c0-\u017f]", re.IGNORECASE)


def currency(sign: str) -> str:
    """Return the unit that a currency's sign stands for."""
    return _CURRENCIES.get(sign, "")


def unit_name(text: str, *, measured: bool = False) -> str | None:
    """Return the one name of the unit that a text behind a number is; empty if it is blank, `None` if it is no unit.

    Args:
        text: what stands behind the number, with the blank before it.
        measured: the number is a measurement for sure, as one with a power of ten is: then any symbol counts.

    >>> unit_name(" kilometers per hour") == unit_name("km/h"), unit_name("x"), unit_name(" m"), unit_name("mg")
    (True, None, 'm', None)
    """
    roman = measured or ROMAN[0] in text
    inner = text.strip(" ".join(ROMAN) + " ").replace(ROMAN[0], " ").replace(ROMAN[1], " ")
    if not inner.strip() or inner in _CURRENCIES:
        return currency(inner)
    glued = not roman and not text.startswith(" ")
    factors = inner in _NEVER_GLUED or (_WORD.fullmatch(inner) and inner not in _BASES and inner not in _COMPOUND)
    if len(inner) > LONGEST_UNIT or (glued and factors):
        return None
    return _product(inner, roman=roman, glued=glued)


_TAIL: Final = re.compile(
    rf"(?s:(.{{0,2000}}?(?:[\d}})\]!]|\\[a-zA-Z]+|\w(?=\s?{ROMAN[0]}))))(\s?[^\d{{}}()\[\]\\]{{1,{LONGEST_UNIT}}}"
    rf"(?:\^\{{?-?\d\}}?[^\d{{}}()\[\]\\]{{0,{LONGEST_UNIT}}}){{0,3}})"
)


def split_unit(text: str) -> tuple[str, str]:
    r"""Return a noted expression without the unit behind it, and the unit.

    >>> split_unit(r"2\pi cm"), split_unit(r"2\pi r")
    (('2\\pi', 'cm'), ('2\\pi r', ''))
    """
    found = _TAIL.fullmatch(text)
    if found is None:
        return text, ""
    unit = unit_name(found[2] if ROMAN[0] in found[2] else found[2].strip())
    return (found[1], unit) if unit else (text, "")


def _product(text: str, *, roman: bool, glued: bool) -> str | None:
    bases, sign, power, at, names = Counter[str](), 1, 1, 0, list[str]()
    shortest = 2 if roman else 3 if _LONG_WORD.search(text) else 4  # `red` in `12 red apples` is a word
    while at < len(text):
        part = _PARTS.match(text, at)
        if part is None:
            return None
        at = part.end()
        if part["per"]:
            sign = -1
        elif part["power"]:
            power = 3 if part["power"].startswith("cu") else 2
        elif part["name"]:
            base = _base(part["name"], roman, shortest)
            if base is None:
                return None
            exponent = {"squared": 2, "cubed": 3}.get(part["word"] or "", int(part["exponent"] or 1)) * power
            for one, of in _factors(base):
                bases[one] += sign * exponent * of
            names.append(part["name"])
            power = 1
    singles = sum(len(name) == 1 and _WORD.match(name) is not None for name in names)
    if not names or (not roman and singles == len(names) and (singles > 1 or glued) and "/" not in text):
        return None  # `m g` is a product, and so is `3m`
    return " ".join(f"{base}^{exponent}" if exponent != 1 else base for base, exponent in sorted(bases.items()))


def _factors(base: str) -> Iterator[tuple[str, int]]:
    over = 1
    for part in re.split("(/)", base):
        name, _, exponent = part.partition("^")
        if name == "/":
            over = -1
        else:
            yield name, over * int(exponent or 1)


def _base(name: str, roman: bool, shortest: int) -> str | None:
    """Return the base of one name; a word that is no known unit is its own, in the singular."""
    lower = name.lower()
    for known in (name, lower, lower.removesuffix("s")):
        if known in _COMPOUND:
            return _COMPOUND[known]
        if known in _BASES and (roman or len(name) > 1 or name in _SINGLE) and (len(known) > 2 or known == name):
            return _BASES[known]
    is_word = _FOREIGN.fullmatch(name) or (len(name) >= shortest and _VOWEL.search(name) and lower not in _NO_UNITS)
    return (lower.removesuffix("s") if len(lower) > 3 else lower) if is_word else None
