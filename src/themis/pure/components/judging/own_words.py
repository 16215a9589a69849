"""What of a judge's answer is its own: not its reasoning, and not what it quotes.

Quoted is what stands in a block quote, a closed fence, between two fences of a prompt, in quotation marks, or after a
line that reports (`The answer says:`). Everything looks at bounded surroundings of a place, so that the time that it
takes grows with the text's length alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from themis.pure.components.judging.prompts import FENCE
from themis.pure.components.text.reasoning import LEFTOVERS, MARK

NEAR: Final = 200
"""Characters that are looked at before a place, to tell what it is a part of."""
VERDICTS: Final = "verdict|decision|judge?ment|winner|grade|preference|conclusion|assessment|evaluation"
SCORES: Final = "score|rating|grade|points?|marks?|verdict"
QUOTES: Final = '"\u201c\u201d\u201e\u00ab\u00bb'

_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_TAG: Final = re.compile(r"<(/?)(\w{1,20})\s{0,8}>")
_TAGS_OF_VERDICTS: Final = re.compile(rf"{VERDICTS}|{SCORES}|label", re.IGNORECASE)
_FENCE_LINE: Final = re.compile(
    r"^(?:[^\S\n]{0,3}(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)|[^\S\n]{0,3}(?P<block>>)[^\n]*"
    rf"|(?P<prompt>{FENCE})[^\S\n]*)$",
    re.MULTILINE,
)


def after_reasoning(text: str) -> str:
    """Return what stands behind the reasoning that an answer begins with; nothing, if that never ends.

    Marks further on are text like any other: an answer that quotes another one may quote its marks, and a quoted
    `</think>` must not take what was said before it away.

    >>> after_reasoning("<think>is it B?</think>C, for it says </think>B")
    'C, for it says </think>B'
    """
    at, inside = 0, False
    for mark in MARK.finditer(text):
        if not inside and text[at : mark.start()].strip():
            break
        at, inside = mark.end(), bool(mark["open"])
    return "" if inside else LEFTOVERS.sub("", text[at:])


def prepared(text: str) -> str:
    """Return an answer without reasoning and without characters that can't be seen; tags are headings."""
    seen = _INVISIBLE.sub("", after_reasoning(text)).replace("\r\n", "\n").replace("\r", "\n")
    return _unwrapped("\n".join(_without_tags(line) if "<" in line else line for line in seen.split("\n")).strip())


def _without_tags(line: str) -> str:
    """Return what tags stand for, in a line that quotes nobody: they end a line, and `<verdict>` begins a statement."""
    if line.lstrip().startswith(">") or REPORTING.search(line) or any(mark in line for mark in QUOTES):
        return line
    return _TAG.sub(lambda tag: f"\n{tag[2]}: " if not tag[1] and _TAGS_OF_VERDICTS.fullmatch(tag[2]) else "\n", line)


def _unwrapped(text: str) -> str:
    """Return what is inside, where one fence or block quote holds all of a text: then nothing else is said."""
    lines = text.split("\n")
    if text[:1] == ">" and all(line[:1] == ">" for line in lines if line.strip()):
        return "\n".join(line[1:] for line in lines).strip()
    fence = re.match(r"(`{3,}|~{3,})[^`\n]*\n", text)
    if fence and len(lines) > 2 and lines[-1].strip() == fence[1] and text.find(f"\n{fence[1]}", 3) == text.rfind("\n"):
        return "\n".join(lines[1:-1]).strip()
    return text


@attrs.frozen
class Own:
    """An answer, and what of it is its author's own.

    Attributes:
        text: the answer.
        own: the same, with blanks for what is quoted.
        last_fence: where a fence begins that the answer ends with; its end, if there is none.
        reports: where it first introduces a quotation, or opens one that its line does not close; its end, if nowhere.
    """

    text: str
    own: str
    last_fence: int
    reports: int

    @classmethod
    def of(cls, text: str) -> Own:
        spans = list(_quoted(text))
        last = spans[-1][0] if spans and spans[-1][1] >= len(text) and text[spans[-1][0]] in " `~" else len(text)
        kept, at = [], 0
        for start, end in spans:
            if start < last:
                kept += [text[at:start], " " * (end - start)]
                at = end
        own = "".join([*kept, text[at:]])
        return cls(text, own, last, min(_first_report(own), _first_open_quote(own)))


def _quoted(text: str) -> Iterator[tuple[int, int]]:
    """Yield where quotations begin and end: closed fences, block quotes, and parts of a prompt between its fences."""
    marks = list(_FENCE_LINE.finditer(text))
    last = {mark["prompt"]: mark for mark in marks if mark["prompt"]}
    closes = _closings(marks)
    at = 0
    for index, mark in enumerate(marks):
        if mark.start() < at:
            continue
        end = mark.end()
        if mark["prompt"]:
            end = last[mark["prompt"]].end()
        elif mark["fence"]:
            if index not in closes:
                continue  # never closed: what follows is not all quoted
            end = marks[closes[index]].end()
        at = end
        yield mark.start(), end


def _closings(marks: Sequence[re.Match[str]]) -> dict[int, int]:
    """Return for each line that may open a fence the line that closes it (CommonMark 0.31, section 4.5)."""
    closes: dict[int, int] = {}
    nearest: dict[tuple[str, int], int] = {}
    for index in range(len(marks) - 1, -1, -1):
        fence = marks[index]["fence"]
        if not fence:
            continue
        at_least = [at for (char, length), at in nearest.items() if char == fence[0] and length >= min(len(fence), 64)]
        if at_least:
            closes[index] = min(at_least)
        if not marks[index]["info"].strip():
            nearest[fence[0], min(len(fence), 64)] = index
    return closes


_COLON: Final = re.compile(r"[:\uff1a][\"'\u201c*_` \t]{0,8}\n")
REPORTING: Final = re.compile(
    r"\b(?:sa(?:ys?|id|ying)|claim\w*|writ\w+|wrote|contain\w*|reads?|stat(?:es|ed|ing)|includ\w+|quot\w+|inject\w*"
    r"|attempt\w*|assert\w*|instruct\w*|embed\w*|appen\w+|print\w*|ends?\s+with|begins?\s+with|tries|tried|pretend\w*"
    r"|fake\w*|payload|verbatim|from\s+the\s+(?:answer|candidate|response|submission))\b",
    re.IGNORECASE,
)


_ABOUT: Final = re.compile(
    rf"{REPORTING.pattern}|\b(?:candidate|submission|phrase|evidence|record)\b",
    re.IGNORECASE,
)
_INTRODUCES: Final = re.compile(
    rf"(?:{REPORTING.pattern}|\b(?:candidate|answer|response|submission)(?:'s\s\w{{1,20}})?(?:\s(?:is|was))?(?=[:\uff1a]))"
    r"[^\n]{0,80}[:\uff1a\"\u201c]",
    re.IGNORECASE,
)
_REVISES: Final = re.compile(
    r"\b(?:wait|second\s+thought|correction|actually|reconsider\w*|revis\w+|reflection|scratch\s+that|however|instead|sorry"
    r"|mistake\w*|after\s+all|changed?|in\s+fact)\b",
    re.IGNORECASE,
)
_FAR: Final = 4_000


def may_quote(text: str, first: int, second: int) -> bool:
    """Tell whether of two verdicts the second may be a quotation, in a remark on the first.

    So it is where what stands between them is about what is judged, and revises nothing; unless the first one itself
    comes behind what introduces a quotation.
    """
    between = (
        text[first:second]
        if second - first <= 2 * _FAR
        else f"{text[first : first + _FAR]}\n{text[second - _FAR : second]}"
    )
    if _ABOUT.search(between) is None or _REVISES.search(between) is not None:
        return False
    return _INTRODUCES.search(text[max(0, first - _FAR) : first]) is None


_NAMES_IT: Final = re.compile(
    r"\W{0,20}(?:(?:the|this|its|full|whole|entire|original)\s)*(?:candidate|answer|response|submission|quote|output|text)"
    r"(?:'s|\u2019s)?(?:\s\w{1,20}){0,2}\W{0,20}",
    re.IGNORECASE,
)
"""A line of a few words that names what is judged: `The answer was:`."""


def line_before(text: str, end: int) -> str:
    """Return what stands before a place in its line, as far back as is looked at."""
    return text[max(0, end - NEAR) : end].rpartition("\n")[2]


def _reports(text: str, end: int) -> bool:
    """Tell whether the line that ends here says that a quotation follows."""
    line = line_before(text, end)
    return REPORTING.search(line) is not None or _NAMES_IT.fullmatch(line) is not None


def _first_report(text: str) -> int:
    return next((found.start() for found in _COLON.finditer(text) if _reports(text, found.start())), len(text))


def _first_open_quote(text: str) -> int:
    lines = re.finditer(r"^[^\n\"\u201c]*[\"\u201c][^\n]*$", text, re.MULTILINE)
    odd = (line for line in lines if line[0].count('"') % 2 or line[0].count("\u201c") > line[0].count("\u201d"))
    return next((line.end() for line in odd), len(text))


_OPENED: Final = re.compile(r"(?:\n|^)[^\S\n]{0,3}[`~]{3,20}\w{0,20}\Z")


def introduced(text: str, at: int) -> bool:
    """Tell whether the line here comes right after one that reports."""
    before = text[max(0, at - NEAR) : text.rfind("\n", max(0, at - NEAR), at) + 1]
    before = _OPENED.sub("", before.rstrip()).rstrip(" \"'\u201c*_\n\t")
    return before.endswith((":", "\uff1a")) and _reports(before, len(before))
