"""Inspect's own scorers of text.

Source: inspect_ai 0.3.285, `scorer/_match.py`, `_common.py`, `_pattern.py`, `_answer.py`, `_classification.py` and
`_choice.py`, and `solver/_multiple_choice.py`. Of numbers in other digits than ASCII's nothing is told; earlier
versions of `match` differ where it compares numbers.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.interchange.exported import text_of
from themis.pure.interchange.scorers.answered import Answered, is_short, pattern_of

_AROUND: Final = string.whitespace + string.punctuation
_AROUND_NUMBERS: Final = "!?:;()[]{}'\"`"
_SIGNS: Final = "-+\u2212\ufe63\uff0d\uff0b\ufe62"
_BETWEEN: Final = ".e,'\u2019\u02bc\uff07\uff0c\ufe50\u3001\u066c\u066b\uff0e"
_NEARLY: Final = re.compile(f"[{_SIGNS}]*[0-9][0-9{_SIGNS}{_BETWEEN}]*")
"""What Inspect may read as a number."""
_PLACES: Final = ("begin", "end", "any", "exact")


def targets(answered: Answered) -> Sequence[str]:
    """Return the targets of a sample; of one without any the empty text."""
    expected = answered.case.expected_output
    if expected is None:
        return [""]
    return [text_of(one) for one in expected] if isinstance(expected, list | tuple) else [text_of(expected)]


def match(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """`match(location, ignore_case, numeric)`."""
    place, numeric = options.get("location", "end"), options.get("numeric", False)
    if place not in _PLACES:
        return None
    said = answered.text.strip()
    found: list[bool | None] = []
    for target in targets(answered):
        text, wanted = said, target.strip()
        if options.get("ignore_case", True):
            text, wanted = text.casefold(), wanted.casefold()
        plain = _without_signs(wanted)
        if numeric and (_is_odd(text) or _is_odd(plain)):
            found.append(None)
        elif numeric and _number(plain) is not None:
            found.append(_is_number_at(text, plain, place))
        else:
            wanted = plain if numeric else wanted
            found.append(_is_at(text.strip(_AROUND), wanted.strip(_AROUND), place))
    return 1.0 if True in found else None if None in found else 0.0


def _is_odd(text: str) -> bool:
    """Tell whether a text has numbers that Inspect reads and nothing here: `½`, `1'000`, `--1`."""
    if any(sign.isnumeric() and not sign.isascii() for sign in text):
        return True
    words = [word.strip(_AROUND_NUMBERS) for word in _without_signs(text).split()]
    return any(_number(word) is None and _NEARLY.fullmatch(word) is not None for word in words)


def _is_at(text: str, wanted: str, place: str) -> bool:
    if place == "exact":
        return text == wanted
    return {"begin": text.startswith, "end": text.endswith, "any": text.__contains__}[place](wanted)


def _without_signs(text: str) -> str:
    """Drop signs of currencies, thousands and emphasis, and full stops that end something."""
    text = re.sub(r"\\([$,£€*_])", r"\1", text)
    return re.sub(r"\.(?=\s|$|\D)", "", re.sub(r"[$,£€*_]", "", text))


def _is_number_at(text: str, wanted: str, place: str) -> bool:
    plain, number = _without_signs(text), _normal(wanted)
    if place == "exact":
        return _normal(plain, trim=False) == number
    words = re.split(r"\s+", plain)
    known = [_normal(word) for word in words if _number(word) is not None]
    if place == "any":
        return number in known
    return (known[0 if place == "begin" else -1] if known else "") == number


def _number(text: str, *, trim: bool = True) -> float | None:
    try:
        value = float(text.strip(_AROUND_NUMBERS) if trim else text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _normal(text: str, *, trim: bool = True) -> str:
    value = _number(text, trim=trim)
    return text if value is None else f"{value:.5g}"


def includes(answered: Answered, options: Mapping[str, Any]) -> float:
    """`includes(ignore_case)`."""
    fold = str.casefold if options.get("ignore_case", True) else str
    return float(any(fold(target) in fold(answered.text) for target in targets(answered)))


def pattern(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """`pattern(pattern, ignore_case, match_all)`."""
    stated, ignore_case = options.get("pattern"), options.get("ignore_case", True)
    known = pattern_of(stated, "i" if ignore_case else "") if isinstance(stated, str) else None
    if known is None or not is_short(answered.text, known):
        return None
    found = known.search(answered.text)
    if found is None:
        return 0.0
    groups = [group for group in found.groups() or (found[0],) if group is not None]
    fold = str.lower if ignore_case else str
    wanted = targets(answered)
    right = [fold(group) in map(fold, wanted) for group in groups]
    if options.get("match_all", False):
        return float(bool(right) and all(right) and bool("".join(wanted)))
    # What was found counts only if it is a text that is not empty.
    return float(bool(next((group for group, is_right in zip(groups, right, strict=True) if is_right), "")))


_ANSWERS: Final = {
    "letter": r"(?is)ANSWER\s*:\s*([A-Za-z])(?:[^\w]|\n|$)(?!.*ANSWER\s*:)",
    "word": r"(?is)ANSWER\s*:\s*(\S+?)(?=[.,;:!?]?\s*(?:\n|$))(?!.*ANSWER\s*:)",
    "line": r"(?i)ANSWER\s*:\s*([^\n]+)\s*\Z",
}


def answer(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """`answer(pattern)`: `pattern` with one of three patterns, which are safe with any text."""
    stated = _ANSWERS.get(str(options.get("pattern")))
    if stated is None or len(answered.text) > 100_000:
        return None
    found = re.search(stated, answered.text)
    return 0.0 if found is None else float(found[1].lower() in [target.lower() for target in targets(answered)])


def exact(answered: Answered, options: Mapping[str, Any]) -> float:
    """`exact()`."""
    said = _words(answered.text)
    return float(any(_words(target) == said for target in targets(answered) if _words(target)))


def _words(text: str) -> str:
    return " ".join(filter(None, map(_word, re.split(" |-", text))))


def _word(token: str) -> str:
    plain = token.casefold()
    if _number(plain, trim=False) is None:
        bare = plain.strip(_AROUND)
        letters = "".join(sign for sign in plain if sign not in string.punctuation)
        plain = letters if _number(bare, trim=False) is None else bare
    value = _number(plain, trim=False)
    named = plain if value is None else str(value)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", named).split())


def choice(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """`choice()` behind `multiple_choice`; of choices that were shuffled an answer has other letters."""
    choices = answered.case.metadata.get("choices")
    if options.get("shuffled") or not isinstance(choices, list | tuple) or len(choices) > 26:
        return None
    letters = string.ascii_uppercase[: len(choices)]
    wanted = sorted(sign.upper() for target in targets(answered) for sign in target if sign not in ", ")
    if not set(wanted) <= set(letters):
        return None
    return float(_chosen(answered.text, letters, several=bool(options.get("multiple_correct"))) == wanted)


def _chosen(text: str, letters: str, *, several: bool) -> list[str]:
    """Return the letters behind the last ANSWER: that says nothing else."""
    plain = re.sub(r"(?:\$|\*\*)[ \t]*([A-Za-z\d][A-Za-z\d ,]*)(?:\$|\*\*)", r"\1", text)
    plain = re.sub(r"(?im)(^|[:,])([ \t]*)\(([a-z\d])\)(?=[ \t]*(?:,|\.|$))", r"\1\2\3", plain)
    found = re.findall(r"(?im)^ANSWER[ \t]*:\s*([a-z\d ,]+)(?:$|\n|\.)", plain) or re.findall(
        r"(?i)ANSWER\s{0,9}:\s{0,9}([a-z\d ,]+)(?:[^\w]|$)", plain
    )
    said = found[-1].strip().upper() if found else ""
    if several:
        said = said.replace(" AND ", ",").replace(" ", "")
        parts = {part for part in said.split(",") if part}
        parts = parts if parts <= set(letters) else set(said)
        return sorted(parts) if parts <= set(letters) else []
    single = [part for part in said.split(",") if part]
    return single if len(single) == 1 and single[0] in letters else []
