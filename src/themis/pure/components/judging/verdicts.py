"""Reading verdicts out of a judge's answer, robustly and without guessing.

In this order: JSON that has the field; a line that states it (`Verdict: correct`, `Score: 4/5`, `[[B]]`), the last
one if there are several; an answer, or a last line, that is nothing but the verdict. The first word of an explanation
is no verdict. What can't be read, or lies outside the scale, raises `ValueError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.json import decode
from themis.pure.text import shortened

LONGEST: Final = 100_000
"""Characters of an answer that are read, from its end: verdicts stand there."""

_REASONING: Final = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_STATED: Final = re.compile(
    r"^[\s>#*_`\-]*(?:(?:my|the|final|overall)\s+)*"
    r"(?:verdict|answer|decision|judge?ment|winner|label|grade|result)\b[\s*_`]*(?::|=|\bis\b)([^\n]{1,80})$",
    re.IGNORECASE | re.MULTILINE,
)
_SCORED: Final = re.compile(
    r"^[\s>#*_`\-]*(?:(?:my|the|final|overall|total)\s+)*(?:score|rating|grade|points?)\b[\s*_`]*(?::|=|\bis\b)"
    r"[\s*_`\[(]*([^\n]{1,60})$",
    re.IGNORECASE | re.MULTILINE,
)
_BRACKETED: Final = re.compile(r"\[\[\s*([^\[\]\n]{1,40}?)\s*\]\]")
_NUMBER: Final = re.compile(
    r"^(?P<number>[+-]?\d+(?:\.\d+)?)\s*(?:(?:/|out\s+of|of)\s*(?P<top>\d+(?:\.\d+)?))?\s*(?P<percent>%)?(?:\s*points?)?$",
    re.IGNORECASE,
)
_AROUND: Final = " \t\r\n*_`\"'.,;:!()[]{}<>#-\u2013\u2014"
_LABEL_KEYS: Final = ("verdict", "label", "answer", "decision", "winner", "judgment", "judgement", "grade", "result")
_SCORE_KEYS: Final = ("score", "rating", "grade", "points", "verdict")


def _prepared(text: str) -> str:
    return _REASONING.sub(" ", text[-LONGEST:]).strip()


def read_label(text: str, labels: Sequence[str]) -> str:
    """Return the label that a judge's answer comes to.

    Args:
        text: the answer.
        labels: the labels that there are; case, blanks, hyphens and underscores don't matter.

    Raises:
        ValueError: no verdict, or one that is none of the labels.

    >>> read_label("Correct in parts, but the sum is wrong.\\nVerdict: incorrect", ["correct", "incorrect"])
    'incorrect'
    """
    answer, known = _prepared(text), {_plain(label): label for label in labels}
    for stated in _stated_labels(answer):
        found = known.get(_plain(stated))
        if found is None:
            raise ValueError(f"the verdict {_short(stated)} is none of {', '.join(labels)}")
        return found
    for part in (answer, _last_line(answer)):
        if _plain(part) in known:
            return known[_plain(part)]
    raise ValueError(f"no verdict in {_short(answer)}; one of {', '.join(labels)} was asked for")


def _stated_labels(answer: str) -> Iterator[str]:
    for data in _json_objects(answer):
        for key in _LABEL_KEYS:
            if isinstance(data.get(key), str | bool):
                yield str(data[key])
    for stated in _STATED.findall(answer)[-1:]:
        inner = _BRACKETED.search(stated)
        yield inner[1] if inner else stated
    yield from _BRACKETED.findall(answer)[-1:]


def read_score(text: str, low: float, high: float) -> float:
    """Return the score that a judge's answer states, on its own scale.

    `4/5` on a scale that ends at 5 is 4; a percentage, or a fraction of another top, is taken of the scale's top.

    Raises:
        ValueError: no score, or one outside of the scale.

    >>> read_score("Good, with slips.\\n**Score: 4/5**", 1, 5)
    4.0
    """
    answer = _prepared(text)
    for stated in (*_stated_scores(answer), answer, _last_line(answer)):
        score = _as_score(stated, high)
        if score is None:
            continue
        if not low <= score <= high:
            raise ValueError(f"the score {_short(stated)} is outside of {low:g} to {high:g}")
        return score
    raise ValueError(f"no score in {_short(answer)}; a number from {low:g} to {high:g} was asked for")


def _stated_scores(answer: str) -> Iterator[str]:
    for data in _json_objects(answer):
        for key in _SCORE_KEYS:
            value = data.get(key)
            if isinstance(value, int | float | str) and not isinstance(value, bool):
                yield str(value)
    yield from _SCORED.findall(answer)[-1:]
    yield from _BRACKETED.findall(answer)[-1:]


def _as_score(text: str, high: float) -> float | None:
    found = _NUMBER.match(text.strip(" \t\r\n*_`\"'.,;:!()[]"))
    if found is None:
        return None
    number, top = float(found["number"]), found["top"]
    if found["percent"]:
        return number / 100 * high
    if top is not None and float(top) > 0:
        return number if float(top) == high else number / float(top) * high
    return number


def _json_objects(answer: str) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects of an answer, the last one first."""
    ends = [i for i, character in enumerate(answer) if character == "}"][-8:]
    starts = [i for i, character in enumerate(answer) if character == "{"][-32:]
    for end in reversed(ends):
        for start in reversed(starts):
            if start < end and (data := _decoded(answer[start : end + 1])) is not None:
                yield {str(key).lower(): value for key, value in data.items()}
                break


def _decoded(text: str) -> Mapping[str, Any] | None:
    try:
        data = decode(text.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _plain(text: str) -> str:
    return re.sub(r"[\s_\-]+", " ", text.strip(_AROUND)).casefold()


def _last_line(answer: str) -> str:
    return answer.splitlines()[-1] if answer else ""


def _short(text: str) -> str:
    return repr(shortened(" ".join(text.split()), 80))
