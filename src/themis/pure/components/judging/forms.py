"""How verdicts are written: as one of several labels, or as a score on a scale."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import attrs

from themis.pure.components.judging.own_words import SCORES, VERDICTS
from themis.pure.errors import UnclearVerdictError
from themis.pure.text import shortened

T = TypeVar("T", str, float)

LONGEST: Final = 400
"""Characters of a statement that are read."""


@attrs.frozen
class Form(Generic[T]):
    """How verdicts of one kind are written.

    Attributes:
        asked: what was asked for, in words.
        kind: what it is called.
        cues: the words that state one.
        fields: the JSON fields that hold one.
        stated: reads what stands behind a cue, remark and all.
        alone: reads a text that is nothing but the verdict.
        in_field: reads a JSON value.
        opens: reads a text that begins with the verdict, and goes on.
    """

    asked: str
    kind: str
    cues: re.Pattern[str]
    fields: frozenset[str]
    stated: Callable[[str], T | None]
    alone: Callable[[str], T | None]
    in_field: Callable[[str, object], T | None]
    opens: Callable[[str], T | None]

    def unclear(self, problem: str) -> UnclearVerdictError:
        return UnclearVerdictError(problem, self.asked)


WEAK: Final = frozenset({"answer", "result", "label", "outcome", "response"})
"""Words that state a verdict, and as often name what is judged."""


def _cues(words: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w\"'-])(?P<cue>{words})(?![\w-])(?P<number>\s{{1,3}}\d{{1,4}}(?!\d))?"
        r"(?:[^\S\n]{0,3}\([^()\n]{0,40}\))?[*_`\"'\])]{0,6}[^\S\n]{0,4}[*_`]{0,6}"
        r"(?:(?:(?:is|was)\s{0,3})?(?P<mark>:|\uff1a|=|\||->|\u2192|[\u2013\u2014-](?=\s))|(?:is|was)\b|[*_`]{0,6}[^\S\n]{0,4}$)",
        re.IGNORECASE | re.MULTILINE,
    )


_LABEL_CUES: Final = _cues(f"{VERDICTS}|{'|'.join(sorted(WEAK))}")
_SCORE_CUES: Final = _cues(SCORES)
_LABEL_FIELDS: Final = frozenset([*VERDICTS.split("|"), "judgment", "judgement", "label"]) - {"judge?ment"}
_SCORE_FIELDS: Final = frozenset({"score", "rating", "grade", "points", "mark", "verdict"})
_OPPOSITE: Final = {"correct": "incorrect", "met": "not met", "pass": "fail", "passed": "fail"}
"""Fields that are true or false, with what each means if it is not true."""

_OPENING: Final = r"[^\w\\+~-]{0,12}(?:\\(?:boxed|text|textbf|mathrm)\s?\{[\s*]{0,4}){0,3}"
_SAID_OF: Final = (
    r"(?:(?:that\s+)?(?:the\s+|this\s+)?(?:answer|response|criterion|it)\s+(?:is|was)\s+)?"
    r"(?:(?:the\s+)?(?:answer|response|option|candidate|assistant|model)\s+(?=[a-z]\b))?"
)
CLOSING: Final = " \t*_`\"'\u201d\u2019)]}>$"
_REASON: Final = re.compile(
    r"(?:because|since|as|for|due|given|is\s+(?:the\s+)?(?:better|best|winner)|wins|between|on\s+(?:a|the)\s+scale)\b",
    re.IGNORECASE,
)
_IN_PART: Final = re.compile(r"\W{0,4}(?:only\s+)?(?:partial|partly|mostly|almost|in\s+part|half|maybe|perhaps)", re.I)


def label_form(labels: Sequence[str]) -> Form[str]:
    known = {_plain(label): label for label in labels}
    longest = sorted(known, key=len, reverse=True)
    word = "|".join(r"[\s_\-]+".join(map(re.escape, label.split())) for label in longest)
    begins = re.compile(rf"{_OPENING}{_SAID_OF}{_OPENING}(?P<label>{word})(?!\w)", re.IGNORECASE)
    other = re.compile(rf"(?:\W|(?:or|and|nor)\b){{0,8}}(?P<label>{word})(?!\w)", re.IGNORECASE)
    anywhere = re.compile(rf"(?<![\w-])(?P<label>{word})(?![\w-])", re.IGNORECASE)

    def alone(text: str) -> str | None:
        return known.get(_plain(text)) if len(text) < LONGEST else None

    def stated(text: str) -> str | None:
        found = begins.match(text)
        if found is None:
            return None
        label, rest = known[_plain(found["label"])], text[found.end() :]
        return label if _is_remark(rest, other.match, _plain(label)) else None

    def in_field(name: str, value: object) -> str | None:
        if name in _OPPOSITE:
            truth = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
            return None if truth is None else known.get(name.removesuffix("ed") if truth else _OPPOSITE[name])
        return (stated(value) or alone(value)) if isinstance(value, str) else None

    def opens(text: str) -> str | None:
        found = begins.match(text)
        if found is None or len(found["label"]) < 2:
            return None
        rest = text[found.end() :].lstrip(CLOSING)
        others = {known[_plain(one["label"])] for one in anywhere.finditer(rest)}
        label = known[_plain(found["label"])]
        return label if rest[:1] in (".", "!", ";", ":", "(", "\n", "\u2014", "\u2013") and others <= {label} else None

    return Form(
        f"one of {', '.join(labels)}",
        "verdict",
        _LABEL_CUES,
        _LABEL_FIELDS | {name for name in _OPPOSITE if name.removesuffix("ed") in known},
        stated,
        alone,
        in_field,
        opens,
    )


def _is_remark(rest: str, other: Callable[[str], re.Match[str] | None], label: str) -> bool:
    """Tell whether what follows a label leaves it as it is: nothing, a reason, or another sentence."""
    tail = rest.lstrip(CLOSING)
    if not re.search(r"\w", tail[:LONGEST]):
        return not re.search(r"[?~+%=/\\]", tail)
    if _IN_PART.match(tail):
        return False
    second = other(tail)
    if second is not None and _plain(second["label"]) != label:
        only = not tail[second.end() :].strip(AROUND)
        if only or tail[0] in ",/|&" or tail[:3].lower() in ("or ", "and", "nor"):
            return False
    ends = tail[0] in ".!;:(\u2013\u2014|\n,[" or tail.startswith("- ")
    return ends or _REASON.match(tail) is not None


_NUMBER: Final = re.compile(
    rf"{_OPENING}(?P<number>[+-]?\d{{1,18}}(?:\.\d{{1,18}})?)(?!\w)[*_`\]}}]*\s{{0,3}}"
    r"(?:(?:/|out\s+of\b|of\b)[\s*_`]{0,4}(?P<top>\d{1,18}(?:\.\d{1,18})?)(?!\w))?[\s*_`]{0,3}(?P<percent>%|percent\b)?"
    r"(?:\s{0,3}(?:points?|stars?|marks?)\b)?",
    re.IGNORECASE,
)


def _leaves_score(tail: str) -> bool:
    """Tell whether what follows a number leaves it as it is: no list, no range, no doubt."""
    if re.match(r"(?:[,\u2013\u2014/:;-]|or\b|to\b|and\b)\s{0,3}[+-]?\d|[?+~]", tail):
        return False
    if not re.search(r"\w", tail):
        return not re.search(r"[?+~]", tail)  # stars, signs, marks
    return tail[0] in ".!;:(\u2013\u2014|\n,[" or tail.startswith("- ") or _REASON.match(tail) is not None


def score_form(low: float, high: float) -> Form[float]:
    asked = f"a number from {low:g} to {high:g}"

    def number(found: re.Match[str]) -> float:
        value, top = float(found["number"]), found["top"]
        if found["percent"]:
            value = value * high / 100
        elif top is not None and float(top) > 0 and float(top) != high:
            value = value * high / float(top)
        if not low <= value <= high:
            raise UnclearVerdictError(f"the score {short(found[0])} is outside of {low:g} to {high:g}", asked)
        return value

    def alone(text: str) -> float | None:
        found = _NUMBER.match(text) if len(text) < LONGEST else None
        return None if found is None or text[found.end() :].strip(AROUND) else number(found)

    def stated(text: str) -> float | None:
        found = _NUMBER.match(text)
        if found is None:
            return None
        return number(found) if _leaves_score(text[found.end() :].lstrip(CLOSING)) else None

    def in_field(name: str, value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        return stated(str(value)[:LONGEST])

    def opens(text: str) -> float | None:
        first, _, rest = text.partition("\n")
        return alone(first) if rest and not re.search(r"^\W{0,8}\d[\d./ ]*\W{0,8}$", rest, re.MULTILINE) else None

    return Form(asked, "score", _SCORE_CUES, _SCORE_FIELDS, stated, alone, in_field, opens)


AROUND: Final = " \t\r\n*_`\"'.,;:!()[]{}<>#$|\u2013\u2014\u201c\u201d\u2018\u2019\u3002-"


def _plain(text: str) -> str:
    bare = re.sub(r"\\(?:boxed|text|textbf|mathrm)\s?\{", "", text)
    return re.sub(r"[\s_\-]+", " ", bare.strip(AROUND)).casefold()


def short(text: str) -> str:
    return repr(shortened(" ".join(text[:LONGEST].split()), 80))
