r"""Mathematical answers as text: a plain form to compare, the unit, and a bound on the work that a text can ask for.

The plain form takes away what changes nothing: dollar signs, spacing (`\,`, `\quad`), sizes (`\left`, `\displaystyle`),
other names of the same thing (`\dfrac`, `\le`), words around (`x = `, a full stop), thousands separators.
"""

from __future__ import annotations

import re
from itertools import accumulate
from math import prod
from typing import Final

LONGEST: Final = 1000
"""Characters of an expression that is compared as mathematics."""

DEEPEST: Final = 30
"""How deep brackets may stand in each other."""

LARGEST_EXPONENT: Final = 20_000
LARGEST_FACTORIAL: Final = 5_000

_SPACING: Final = re.compile(
    r"(?<!\\)\\(?:[,;:!> ]|quad\b|qquad\b|left\b|right\b|[Bb]igg?[lr]?\b|displaystyle\b|textstyle\b|limits\b)|~"
)
_WORDS: Final = re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|operatorname|mbox|rm)\s?\{([^{}]{0,80})\}")
_NAMES: Final = (
    (re.compile(r"\\[dt]frac\b"), r"\\frac"),
    (re.compile(r"\\frac\s?(\d)\s?(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\(leq?|leqslant)\b"), r"\\le "),
    (re.compile(r"\\(geq?|geqslant)\b"), r"\\ge "),
    (re.compile(r"\\neq?\b"), r"\\ne "),
    (re.compile(r"\\(times|cdot)\b"), r"\\cdot "),
    (re.compile(r"\\([bpBv])matrix\b"), r"\\\1matrix"),
    (re.compile(r"\^\s?\{?\s?(?:\\circ|°)\s?\}?|\\degree\b|°"), " degrees"),
    (re.compile(r"(?<=\d)(?:\{,\}|,)(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\\$|\$"), ""),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"([\^_])\{(\w)\}"), r"\1\2"),
)
_UNIT: Final = re.compile(r"(?<=[\d}.)])\s{0,8}([a-zA-Z][a-zA-Z /]{0,30}(?:\^\{?\d\}?)?)$")


def plain(text: str) -> str:
    r"""Return a mathematical answer without what changes nothing.

    >>> plain(r"$\dfrac{1}{2}\,\text{ cm}$.")
    '\\frac{1}{2} cm'
    """
    text = _SPACING.sub(" ", text.strip())
    text = _WORDS.sub(r" \1 ", text)
    for pattern, name in _NAMES:
        text = pattern.sub(name, text)
    text = " ".join(text.replace("−", "-").replace("–", "-").split())  # noqa: RUF001  # what models write for a minus
    return text.removesuffix(".").strip()


def compact(text: str) -> str:
    """Return the plain form without any blank, for comparing."""
    return plain(text).replace(" ", "")


def unit(text: str) -> str:
    """Return the unit behind a number, in the singular, or nothing.

    >>> unit("12 Hours"), unit("3 cm^2"), unit("x + 1")
    ('hour', 'cm^2', '')
    """
    found = _UNIT.search(plain(text))
    if found is None:
        return ""
    words = " ".join(found[1].split()).replace("{", "").replace("}", "")
    return words.lower().removesuffix("s") if len(words) > 3 else words


# --- how much work a text can ask for ---------------------------------------------------------------------

_NUMBER: Final = re.compile(r"\d+")
_POWER: Final = re.compile(r"(?P<base>[)}\]]?)\s{0,8}(?:\^|\*\*)\s{0,8}(?P<exponent>\(|\{|[+-]?\d+|\S)")
_TOWER: Final = re.compile(r"(?:\^|\*\*)[\s({+-]{0,8}\d+[\s)}]{0,8}(?:\^|\*\*)[\s({+-]{0,8}\d")
_INNER: Final = re.compile(r"\d[\s)}]{0,8}(?:\^|\*\*)[^a-zA-Z\\]{0,40}\d")
_FACTORIAL: Final = re.compile(r"(\d+|[)}\]])\s{0,8}!")
_COUNTING: Final = re.compile(r"binom|choose|[Gg]amma|factorial|subfactorial")


def too_much(text: str) -> str:
    """Return why comparing a text would take too long, or nothing.

    What a computer algebra system does in Python is counted while it runs; what it does in one step of the machine
    (a power, a factorial) can only be bounded before, and is here.

    >>> too_much("9**9**9"), too_much("x^{2^n} + 3^{10}")
    ('powers of powers of numbers', '')
    """
    if len(text) > LONGEST:
        return f"longer than {LONGEST} characters"
    if _depth(text) > DEEPEST:
        return f"brackets deeper than {DEEPEST}"
    return _powers(text) or _factorials(text)


def _depth(text: str) -> int:
    steps = ((char in "([{") - (char in ")]}") for char in text)
    return max(accumulate(steps, initial=0))


def _powers(text: str) -> str:
    if _TOWER.search(text):
        return "powers of powers of numbers"
    plain_base, grouped = 1, 1
    for power in _POWER.finditer(text):
        exponent = power["exponent"]
        if exponent in "({":
            exponent = _group(text, power.end())
        if _INNER.search(exponent) or exponent.count("^") + exponent.count("**") > 1 or "!" in exponent:
            return "powers of powers of numbers"
        size = _product(exponent)
        if power["base"]:
            grouped *= size
        else:
            plain_base = max(plain_base, size)
        if grouped * plain_base > LARGEST_EXPONENT:
            return f"an exponent above {LARGEST_EXPONENT:,}"
    return ""


def _group(text: str, start: int) -> str:
    depth = 1
    for at in range(start, len(text)):
        depth += (text[at] in "({[") - (text[at] in ")}]")
        if depth == 0:
            return text[start:at]
    return text[start:]


def _product(text: str) -> int:
    numbers = _NUMBER.findall(text)
    return prod(int(number[:12]) + 1 for number in numbers[:20]) if numbers else 1


def _factorials(text: str) -> str:
    reason = f"a factorial or binomial of more than {LARGEST_FACTORIAL:,}"
    counting = _COUNTING.search(text) is not None
    if not counting and "!" not in text:
        return ""
    if counting or any(not found[1].isdigit() for found in _FACTORIAL.finditer(text)):
        # Of a group, or by a function: everything in the text may be what it is taken of.
        deep = "^" in text or "**" in text or text.count("!") > 1
        return reason if deep or _product(text) > LARGEST_FACTORIAL else ""
    largest = max((int(found[1][:12]) for found in _FACTORIAL.finditer(text)), default=0)
    return reason if largest > LARGEST_FACTORIAL or text.count("!") > 8 else ""
