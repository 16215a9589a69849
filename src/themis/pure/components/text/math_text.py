r"""Mathematical answers as text: a plain form to compare, its words, and a bound on the work that a text can ask for.

The plain form takes away what changes nothing: dollar signs, spacing (`\,`, `\quad`), sizes (`\left`, `\displaystyle`),
other names of the same thing (`\dfrac`, `\le`, a bare `pi`), separators of thousands as people, MATH's references
(`10,\!080`; Hendrycks et al. 2021, arXiv 2103.03874) and Swiss, Indian and European writers set them. Mathematics in
Unicode becomes its LaTeX: `√2`, `x²`, `½`, `∞`, `𝑥` (Unicode Technical Report 25, section 2). What stood in
`\text{...}` stays known as words, for order and case of their letters are no algebra.
"""

# ruff: noqa: RUF001, RUF002  # the signs that models write

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate
from math import prod
from typing import Final

from themis.pure.components.text.units import ROMAN

LONGEST: Final = 1000
"""Characters of an expression that is compared as mathematics."""

DEEPEST: Final = 30
"""How deep brackets may stand in each other."""

HEAVIEST: Final = 800
"""Characters of an expression, each counted once more for every bracket that it stands in: what a parser's work on it
grows with."""

LARGEST_EXPONENT: Final = 20_000
LARGEST_FACTORIAL: Final = 5_000
LARGEST_MATRIX_POWER: Final = 30

# --- Unicode's mathematics as LaTeX -----------------------------------------------------------------------

_SIGNS: Final = (
    "∞ infty|π pi|θ theta|α alpha|β beta|γ gamma|δ delta|ε epsilon|ϵ epsilon|ζ zeta|η eta|κ kappa|λ lambda|ξ xi|ρ rho"
    "|σ sigma|τ tau|φ phi|ϕ phi|χ chi|ψ psi|ω omega|Γ Gamma|Δ Delta|Θ Theta|Λ Lambda|Π Pi|Σ Sigma|Φ Phi|Ψ Psi|× times"
    "|⋅ cdot|· cdot|∙ cdot|∗ cdot|÷ div|± pm|∓ mp|≤ le|⩽ le|≥ ge|⩾ ge|≠ ne|≈ approx|≡ equiv|∼ sim|∝ propto|∈ in"
    "|∉ notin|∪ cup|∩ cap|∅ emptyset|⊂ subset|⊆ subseteq|⊃ supset|∖ setminus|→ to|⇒ Rightarrow|∑ sum|∏ prod|∫ int"
    "|∂ partial|∇ nabla|⟨ langle|⟩ rangle|ℏ hbar|ℓ ell|∀ forall|∃ exists|∧ land|∨ lor|¬ neg|⊥ perp|∠ angle|… ldots"
)
_LETTERS: Final = {"ℝ": "R", "ℤ": "Z", "ℕ": "N", "ℚ": "Q", "ℂ": "C"}
_LATEX: Final = str.maketrans(
    {sign: f"\\{name} " for sign, name in (pair.split() for pair in _SIGNS.split("|"))}
    | {sign: rf"\mathbb{{{letter}}}" for sign, letter in _LETTERS.items()}
    | dict.fromkeys("−–‐‑﹣－", "-")
    | dict.fromkeys("’＇′", "'")
    | {"∣": "|", "∶": ":", "٫": ".", "٬": ",", "µ": "μ", "Ω": "Ω", "Å": "Å"}
    | dict.fromkeys("\u200b\u200c\u200d\u2060\u2061\u2062\u2063\ufeff", "")
)
_RAISED: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᵏᵐᵗˣʸ", "0123456789+-=()niabkmtxy")
_LOWERED: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₖₙᵢⱼ", "0123456789+-=()aeoxknij")
_RAISED_RUN: Final = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᵏᵐᵗˣʸ]+")
_LOWERED_RUN: Final = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₖₙᵢⱼ]+")
_VULGAR: Final = re.compile(r"(\d+)\u2044(\d+)")
_ROOT: Final = re.compile(r"([√∛∜])\s{0,3}(?:\(([^()√∛∜]{0,200})\)|(\d+(?:\.\d+)?|\\[a-zA-Z]+|\w)|(?=\{))")
_ROOTS: Final = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}


def _latex(text: str) -> str:
    """Return mathematics in Unicode as LaTeX."""
    if text.isascii():
        return text
    text = _RAISED_RUN.sub(lambda run: f"^{{{run[0].translate(_RAISED)}}}", text)
    text = _LOWERED_RUN.sub(lambda run: f"_{{{run[0].translate(_LOWERED)}}}", text)
    text = "".join(_compatible(char) for char in text)
    text = _VULGAR.sub(r"\\frac{\1}{\2}", text.translate(_LATEX))
    return _ROOT.sub(lambda root: _ROOTS[root[1]] + (f"{{{root[2] or root[3]}}}" if root[2] or root[3] else ""), text)


def _compatible(char: str) -> str:
    """Return a digit of any script as ASCII's, a letter of mathematics as the letter, `½` as `1⁄2`."""
    if char < "\x80" or char in _KEPT:
        return char
    digit = unicodedata.decimal(char, None)
    simple = unicodedata.normalize("NFKC", char) if digit is None else str(digit)
    return f" {simple}" if "\u2044" in simple else simple


_KEPT: Final = frozenset("＄\u00a0\u2007\u2009\u202f") | {chr(code) for code in _LATEX}

# --- the plain form ---------------------------------------------------------------------------------------

_SPACING: Final = re.compile(
    r"(?<!\\)\\(?:[;:> ]|quad\b|qquad\b|left\b|right\b|[Bb]igg?[lr]?\b|displaystyle\b|textstyle\b|limits\b"
    r"|(?:thin|med|thick)space\b)|~"
)
_TEXT: Final = re.compile(
    r"\\(?:text|textbf|textrm|textit|textsf|textnormal|mathrm|mathbf|mathsf|mathit|operatorname\*?|mbox|hbox|rm|bf)"
    r"(?:\s?\{((?:[^{}]|\{[^{}]{0,20}\}){0,200})\}|\s+(?=\S))"
)
_GROUP_SPACE: Final = r"(?:\\,|\\ |\\thinspace\s?|[\u00a0\u2007\u2009\u202f])"
_NUMBER_SIGNS: Final = (
    (re.compile(r"(?<![\d.,])\d{1,3}(?:" + _GROUP_SPACE + r"\d{3})+(?![\d])"), re.compile(_GROUP_SPACE)),
    (re.compile(r"(?<![\d.,])\d{1,3}(?:(?:\{,\}|,)\d{3})+(?!\d|,\d)"), re.compile(r"\{,\}|,")),
    (re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?!\d|,\d)"), re.compile(",")),
    (re.compile(r"(?<![\d.,'])\d{1,3}(?:'\d{3})+(?!\d)"), re.compile("'")),
    (re.compile(r"(?<![\d.,_a-zA-Z}])\d{1,3}(?:_\d{3})+(?!\d)"), re.compile("_")),
    (
        re.compile(r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![.\d])|(?<![\d.,])\d{1,3}(?:\.\d{3})+(?=,\d)"),
        re.compile(r"\."),
    ),
)
r"""How thousands are set apart, and what goes: `10\,080`, `1,234`, `12,34,567`, `1'234`, `1_000`, `1.234.567`."""
_NAMES: Final = (
    (re.compile(r"\\[,!]"), " "),
    (re.compile(r"[\u00a0\u2007\u2009\u202f]"), " "),
    (re.compile(r"\\[dtc]frac\b"), r"\\frac"),
    (re.compile(r"\\frac\s?(\d)\s?(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\sqrt\s?(\w)"), r"\\sqrt{\1}"),
    (re.compile(r"\\(?:leq?|leqslant)\b"), r"\\le "),
    (re.compile(r"\\(?:geq?|geqslant)\b"), r"\\ge "),
    (re.compile(r"\\neq?\b"), r"\\ne "),
    (re.compile(r"\\(?:times|cdot)\b"), r"\\cdot "),
    (re.compile(r"\\(?:varnothing)\b"), r"\\emptyset "),
    (re.compile(r"\\var(epsilon|phi|theta|rho|sigma)\b"), r"\\\1"),
    (re.compile(r"\\(?:l?dots[bcmo]?)\b|\.\.\."), r"\\ldots "),
    (re.compile(r"\\([bpBv])matrix\b"), r"\\\1matrix"),
    (re.compile(r"\^\s?\{?\s?(?:\\circ|°)\s?\}?\s?(?:([CF])\b)?|\\degree\b|°\s?(?:([CF])\b)?"), r" degrees\1\2 "),
    (re.compile(r"degreesC\b"), "celsius"),
    (re.compile(r"degreesF\b"), "fahrenheit"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![\\a-zA-Z])(?:infinity|inf)(?![a-zA-Z])"), r"\\infty "),
    (
        re.compile(
            r"(?<![\\a-zA-Z])(pi|sin|cos|tan|cot|ln|log|exp|theta|alpha|beta|gamma|delta|lambda|sigma|omega|phi)"
            r"(?![a-zA-Z])"
        ),
        r"\\\1 ",
    ),
    (re.compile(r"([\^_])\{(\w)\}"), r"\1\2"),
)
_DELIMITERS: Final = re.compile(r"(?<!\\)\\[()\[\]]")
_BOXED: Final = re.compile(r"\\(?:boxed|fbox)\s?\{(.*)\}", re.DOTALL)
_LEADING_NUMBER: Final = re.compile(r"\s*(?:[＄+-]?\s?\d[\d.,/%]*\s*)?")
_LONE_DOLLAR: Final = re.compile(r"^(\W{0,3})\$(?=\s?[\d.-])")


def noted(text: str) -> str:
    r"""Return the plain form in which words are marked (`units.ROMAN`), and a dollar is `＄`."""
    text = _latex(text.strip()).replace("\\$", "＄")
    boxed = _BOXED.fullmatch(text.strip("$ "))
    text = boxed[1] if boxed else text
    if text.count("$") % 2:
        text = _LONE_DOLLAR.sub(r"\1＄", text)
    text = text.replace("$", "").replace("\\!", "")
    for pattern, sign in _NUMBER_SIGNS:
        text = pattern.sub(lambda found: sign.sub("", found[0]), text)  # noqa: B023  # called at once
    text = _TEXT.sub(_word, _DELIMITERS.sub("", text))
    text = _SPACING.sub(" ", text)
    for pattern, name in _NAMES:
        text = pattern.sub(name, text)
    text = " ".join(text.split()).rstrip()
    return text.removesuffix(".").strip()


def _word(found: re.Match[str]) -> str:
    """Mark what stands in `\\text{...}`, but for a number before it."""
    number = _LEADING_NUMBER.match(found[1] or "")
    rest = found[1][number.end() :] if number else ""
    return (number[0] if number else "") + (f"{ROMAN[0]}{rest}{ROMAN[1]}" if rest else " ")


def plain(text: str) -> str:
    r"""Return a mathematical answer without what changes nothing.

    >>> plain(r"$\dfrac{1}{2}\,\text{ cm}$."), plain("√2 + x²"), plain(r"10,\!080")
    ('\\frac{1}{2} cm', '\\sqrt{2} + x^2', '10080')
    """
    return bare(noted(text))


def bare(text: str) -> str:
    """Return a noted form without its marks."""
    return " ".join(text.replace("＄", "").translate(_MARKS).split())


_MARKS: Final = str.maketrans(dict.fromkeys(ROMAN, " "))


# --- words ------------------------------------------------------------------------------------------------

_LABEL: Final = re.compile(
    rf"{ROMAN[0]}([^{ROMAN[0]}{ROMAN[1]}]*){ROMAN[1]}|(?<![\\a-zA-Z])((?:[^\W\d_]{{2,}}['’\s-]{{1,2}})*[^\W\d_]{{4,}}(?:\s[^\W\d_]{{2,}})*)"
)
_JOINT: Final = re.compile(rf"\s*,?\s*(?:{ROMAN[0]}\s*)?\b(?:and|or)\b(?:\s*{ROMAN[1]})?\s*(?:,\s*)?")
_NO_LABELS: Final = frozenset(
    re.findall(
        r"\w+",
        "sqrt frac matrix begin infty theta alpha beta gamma delta epsilon lambda sigma omega kappa zeta sinh cosh "
        "tanh arcsin arccos arctan pmatrix bmatrix cases array degrees celsius",
    )
)


def labelled(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    r"""Return the words of a noted form, without case, and the mathematics between them.

    Words are what stood in `\text{...}`, and runs of letters that no formula has: four or more with a vowel among
    them, and not in the alphabet's order, as `abcd` is. `and` and `or` are commas.

    >>> labelled(noted(r"\text{Odd }n")), labelled(noted("xy + 3"))
    ((('odd',), ('n',)), ((), ('xy + 3',)))
    """
    words, between, at = list[str](), list[str](), 0
    text = _JOINT.sub(", ", text)
    for label in _LABEL.finditer(text):
        word = " ".join(_PUNCTUATION.sub(" ", label[1] if label[1] is not None else label[2]).casefold().split())
        symbol = (len(word) == 1 and len(label[1] or "") == 1) or (label[1] is None and not _is_word(word))
        if symbol or text.count("{", 0, label.start()) != text.count("}", 0, label.start()):
            continue  # a letter alone, as in `\\mathrm{e}`, or a part of a formula, as in `v_{\\text{max}}`
        between.append(text[at : label.start()].strip())
        at = label.end()
        words += [word] if word else []
    between.append(text[at:].strip())
    return tuple(words), tuple(part for part in between if _PUNCTUATION.sub("", part).strip())


_PUNCTUATION: Final = re.compile(r"[.,;:!?\"'“”‘’()\[\]]")


def _is_word(text: str) -> bool:
    letters = text.replace(" ", "")
    return text not in _NO_LABELS and re.search("[aeiou]", text) is not None and sorted(letters) != list(letters)


# --- how much work a text can ask for ---------------------------------------------------------------------

_NUMBER: Final = re.compile(r"\d+")
_POWER: Final = re.compile(r"(?P<base>[)}\]]?)\s{0,8}(?:\^|\*\*)\s{0,8}(?P<exponent>\(|\{|[+-]?\d+|\S)")
_TOWER: Final = re.compile(r"(?:\^|\*\*)[\s({+-]{0,8}\d+[\s)}]{0,8}(?:\^|\*\*)[\s({+-]{0,8}\d")
_INNER: Final = re.compile(r"\d[\s)}]{0,8}(?:\^|\*\*)[^a-zA-Z\\]{0,40}\d")
_MATRIX_POWER: Final = re.compile(r"matrix\}\s{0,8}(?:\\right)?[)\]\s]{0,8}\^\s{0,8}\{?\s{0,8}(\d+)")
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
    depths = _depths(text)
    if max(depths, default=0) > DEEPEST:
        return f"brackets deeper than {DEEPEST}"
    if len(text) + sum(depths) > HEAVIEST:
        return f"more than {HEAVIEST} characters, each counted once more for every bracket around it"
    return _powers(text) or _factorials(text)


def _depths(text: str) -> list[int]:
    """Return in how many brackets each character stands."""
    return [max(0, depth) for depth in accumulate((char in "([{") - (char in ")]}") for char in text)]


def _powers(text: str) -> str:
    if _TOWER.search(text):
        return "powers of powers of numbers"
    if any(int(power[1][:12]) > LARGEST_MATRIX_POWER for power in _MATRIX_POWER.finditer(text)):
        return f"a matrix to a power above {LARGEST_MATRIX_POWER}"
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
    if "!!" in text.replace(" ", ""):
        return "a factorial of a factorial"
    if counting or any(not found[1].isdigit() for found in _FACTORIAL.finditer(text)):
        # Of a group, or by a function: everything in the text may be what it is taken of.
        deep = "^" in text or "**" in text or text.count("!") > 1
        return reason if deep or _product(text) > LARGEST_FACTORIAL else ""
    largest = max((int(found[1][:12]) for found in _FACTORIAL.finditer(text)), default=0)
    return reason if largest > LARGEST_FACTORIAL or text.count("!") > 8 else ""
