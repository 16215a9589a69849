r"""Reading verdicts out of a judge's answer: what the judge finally states, and nothing that it quotes.

A candidate can write whatever a judge writes, and a judge may repeat any of it. So these are the rules:

1. **The final stated verdict wins.** A statement begins a line or a sentence: `Verdict: correct`, `**Score:** 4/5`,
   `My grade is incorrect`, `[[B]]`. A last one that can't be read is an error, and an earlier one no substitute.
2. **JSON counts only as the whole answer, or as its last part**, in a fence or without one. Fields that contradict each
   other are an error.
3. **What is quoted is not stated**: block quotes, fences, text between a prompt's fences, text in quotation marks, and
   what follows a line that reports (`The answer says:`). A judge that has stated its verdict, goes on to report, and
   then seems to state another is unclear.
4. **A remark may follow the verdict** (`Verdict: incorrect, since the sum is off.`), and a last sentence may be nothing
   but the verdict (`The sum is off. Incorrect.`). An alternative, a range, a question or a part (`correct or incorrect`,
   `4-5`, `correct?`, `partly correct`) is no verdict; nor is the first word of an explanation.
5. Where nothing is stated so firmly, a weaker form is read if there is no second one that contradicts it: `The answer is
   incorrect.`, a `[[B]]` that ends a sentence, a last fence, a first sentence that is nothing but the verdict.
6. **What stays unclear is an error**, `UnclearVerdictError`, and never a score; neither is what lies outside of the scale.

Sources: 1 and 2: inspect_ai 3913, 4283 and 4697, promptfoo 10036, garak 1898 (first matches that candidates could set; a
pattern that fell back to an earlier grade). 3: promptfoo 10655, evalscope 1578. 4: inspect_ai 4872 (`GRADE: CI` read as C),
opencompass 2598 (the first letter of a sentence read as a grade). 6: evalscope 1575 (`[[90]]` clamped to full marks).

The readers take time in proportion to the text's length: what is looked at around each place is bounded.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, NoReturn, TypeVar

import attrs

from themis.pure.components.text.reasoning import after_reasoning
from themis.pure.errors import UnclearVerdictError
from themis.pure.text import shortened

T = TypeVar("T", str, float)

_NEAR: Final = 200
"""Characters that are looked at before a place, to tell what it is a part of."""
_LINE: Final = 400
"""Characters of a statement that are read."""
_MOST: Final = 1_000
"""Places that may state a verdict and are looked at, from the beginning of an answer and from its end."""


def read_label(text: str, labels: Sequence[str]) -> str:
    """Return the label that a judge's answer comes to.

    Args:
        text: the answer.
        labels: the labels that there are; case, blanks, hyphens and underscores don't matter.

    Raises:
        UnclearVerdictError: no verdict, one that is none of the labels, or several that contradict each other.

    >>> read_label("Correct in parts, but the sum is wrong.\\nVerdict: incorrect", ["correct", "incorrect"])
    'incorrect'
    """
    return _read(text, _label_form(labels))


def read_score(text: str, low: float, high: float) -> float:
    """Return the score that a judge's answer states, on its own scale.

    `4/5` on a scale that ends at 5 is 4; a percentage, or a fraction of another top, is taken of the scale's top.

    Raises:
        UnclearVerdictError: no score, one outside of the scale, or several that contradict each other.

    >>> read_score("Good, with slips.\\n**Score: 4/5**", 1, 5)
    4.0
    """
    return _read(text, _score_form(low, high))


def read_numbered(text: str, labels: Sequence[str], numbers: Iterable[int]) -> dict[int, str]:
    """Return the labels that an answer states for numbered items: `Verdict 3: met`.

    Raises:
        UnclearVerdictError: an item without a clear verdict; the message names all of them.
    """
    form, own = _label_form(labels), _Own.of(_prepared(text))
    found: dict[int, list[_Statement[str]]] = {}
    for statement in _statements(own, form, numbered=True):
        found.setdefault(statement.number or 0, []).append(statement)
    verdicts = {n: _final(own, found.get(n, [])) for n in numbers}
    missing = [str(n) for n, verdict in verdicts.items() if verdict is None]
    if missing:
        raise UnclearVerdictError(f"no verdict on criterion {', '.join(missing)}; one of {', '.join(labels)} expected")
    return {n: verdict for n, verdict in verdicts.items() if verdict is not None}


# --- what may be stated -----------------------------------------------------------------------------------


@attrs.frozen
class _Form(Generic[T]):
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

    def missing(self, text: str) -> NoReturn:
        raise UnclearVerdictError(f"no {self.kind} in {_short(text)}; {self.asked} was asked for")


_FIRM_LABEL: Final = "verdict|decision|judge?ment|winner|grade|preference|conclusion|assessment|evaluation"
_WEAK: Final = frozenset({"answer", "result", "label", "outcome", "response"})
"""Words that state a verdict, and as often name what is judged."""
_SCORE: Final = "score|rating|grade|points?|marks?|verdict"


def _cues(words: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w\"'-])(?P<cue>{words})(?![\w-])(?P<number>\s{{1,3}}\d{{1,4}}(?!\d))?"
        r"(?:[^\S\n]{0,3}\([^()\n]{0,40}\))?[*_`\"'\])]{0,6}[^\S\n]{0,4}[*_`]{0,6}"
        r"(?:(?:(?:is|was)\s{0,3})?(?P<mark>:|\uff1a|=|\||->|\u2192|[\u2013\u2014-](?=\s))|(?:is|was)\b|[*_`]{0,6}[^\S\n]{0,4}$)",
        re.IGNORECASE | re.MULTILINE,
    )


_LABEL_CUES: Final = _cues(f"{_FIRM_LABEL}|{'|'.join(sorted(_WEAK))}")
_SCORE_CUES: Final = _cues(_SCORE)
_LABEL_FIELDS: Final = frozenset(f"{_FIRM_LABEL}|judgment|judgement|label".split("|")) - {"judge?ment"}
_SCORE_FIELDS: Final = frozenset({"score", "rating", "grade", "points", "mark", "verdict"})
_OPPOSITE: Final = {"correct": "incorrect", "met": "not met", "pass": "fail", "passed": "fail"}
"""Fields that are true or false, with what each means if it is not true."""

_OPENING: Final = r"[^\w\\+~-]{0,12}(?:\\(?:boxed|text|textbf|mathrm)\s?\{[\s*]{0,4}){0,3}"
_SAID_OF: Final = (
    r"(?:(?:that\s+)?(?:the\s+|this\s+)?(?:answer|response|criterion|it)\s+(?:is|was)\s+)?"
    r"(?:(?:the\s+)?(?:answer|response|option|candidate|assistant|model)\s+(?=[a-z]\b))?"
)
_CLOSING: Final = " \t*_`\"'\u201d\u2019)]}>$"
_REASON: Final = re.compile(
    r"(?:because|since|as|for|due|given|is\s+(?:the\s+)?(?:better|best|winner)|wins|between)\b", re.IGNORECASE
)
_IN_PART: Final = re.compile(r"\W{0,4}(?:only\s+)?(?:partial|partly|mostly|almost|in\s+part|half|maybe|perhaps)", re.I)


def _label_form(labels: Sequence[str]) -> _Form[str]:
    known = {_plain(label): label for label in labels}
    longest = sorted(known, key=len, reverse=True)
    word = "|".join(r"[\s_\-]+".join(map(re.escape, label.split())) for label in longest)
    begins = re.compile(rf"{_OPENING}{_SAID_OF}{_OPENING}(?P<label>{word})(?!\w)", re.IGNORECASE)
    other = re.compile(rf"(?:\W|(?:or|and|nor)\b){{0,8}}(?P<label>{word})(?!\w)", re.IGNORECASE)
    anywhere = re.compile(rf"(?<![\w-])(?P<label>{word})(?![\w-])", re.IGNORECASE)

    def alone(text: str) -> str | None:
        return known.get(_plain(text)) if len(text) < _LINE else None

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
        rest = text[found.end() :].lstrip(_CLOSING)
        others = {known[_plain(one["label"])] for one in anywhere.finditer(rest)}
        label = known[_plain(found["label"])]
        return label if rest[:1] in (".", "!", ";", ":", "(", "\n", "\u2014", "\u2013") and others <= {label} else None

    return _Form(
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
    tail = rest.lstrip(_CLOSING)
    if not re.search(r"\w", tail[:_LINE]):
        return not re.search(r"[?~+%=/\\]", tail)
    if _IN_PART.match(tail):
        return False
    second = other(tail)
    if second is not None and _plain(second["label"]) != label:
        only = not tail[second.end() :].strip(_AROUND)
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


def _score_form(low: float, high: float) -> _Form[float]:
    def number(found: re.Match[str]) -> float:
        value, top = float(found["number"]), found["top"]
        if found["percent"]:
            value = value / 100 * high
        elif top is not None and float(top) > 0 and float(top) != high:
            value = value / float(top) * high
        if not low <= value <= high:
            raise UnclearVerdictError(f"the score {_short(found[0])} is outside of {low:g} to {high:g}")
        return value

    def alone(text: str) -> float | None:
        found = _NUMBER.match(text) if len(text) < _LINE else None
        return None if found is None or text[found.end() :].strip(_AROUND) else number(found)

    def stated(text: str) -> float | None:
        found = _NUMBER.match(text)
        if found is None:
            return None
        tail = text[found.end() :].lstrip(_CLOSING)
        if re.match(r"(?:[,\u2013\u2014/:;-]|or\b|to\b|and\b)\s{0,3}[+-]?\d|[?+~]", tail):
            return None  # a list, a range, a doubt
        ends = not tail or tail[0] in ".!;:(\u2013\u2014|\n,[" or tail.startswith("- ") or _REASON.match(tail)
        return number(found) if ends else None

    def in_field(name: str, value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        return stated(str(value)[:_LINE])

    def opens(text: str) -> float | None:
        first, _, rest = text.partition("\n")
        return alone(first) if rest and not re.search(r"^\W{0,8}\d[\d./ ]*\W{0,8}$", rest, re.MULTILINE) else None

    asked = f"a number from {low:g} to {high:g}"
    return _Form(asked, "score", _SCORE_CUES, _SCORE_FIELDS, stated, alone, in_field, opens)


# --- what is the judge's own ------------------------------------------------------------------------------


_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_TAG: Final = re.compile(r"<(/?)(\w{1,20})\s{0,8}>")
_TAGS_OF_VERDICTS: Final = re.compile(rf"{_FIRM_LABEL}|{_SCORE}|label", re.IGNORECASE)
_FENCE_LINE: Final = re.compile(
    r"^(?:[^\S\n]{0,3}(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)|[^\S\n]{0,3}(?P<block>>)[^\n]*"
    r"|(?P<prompt>={5} [0-9a-f]{24} ={5})[^\S\n]*)$",
    re.MULTILINE,
)


def _prepared(text: str) -> str:
    """Return an answer without reasoning and without characters that can't be seen; tags are headings."""
    seen = _INVISIBLE.sub("", after_reasoning(text)).replace("\r\n", "\n").replace("\r", "\n")
    return _unwrapped(_TAG.sub(_as_heading, seen).strip())


def _as_heading(tag: re.Match[str]) -> str:
    """Return what a tag stands for: it ends a line, and `<verdict>` begins a statement, unless somebody is quoted."""
    before = tag.string[max(0, tag.start() - _NEAR) : tag.start()]
    before = before[before.rfind("\n") + 1 :]
    if _REPORTING.search(before) or any(mark in before for mark in _QUOTES):
        return tag[0]
    return f"\n{tag[2]}: " if not tag[1] and _TAGS_OF_VERDICTS.fullmatch(tag[2]) else "\n"


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
class _Own:
    """An answer, and what of it is its author's own.

    Attributes:
        text: the answer.
        own: the same, with blanks for what is quoted.
        last_fence: where a fence begins that the answer ends with; its end, if there is none.
        reports: where the first line ends that introduces a quotation; the answer's end, if there is none.
    """

    text: str
    own: str
    last_fence: int
    reports: int

    @classmethod
    def of(cls, text: str) -> _Own:
        spans = list(_quoted(text))
        last = spans[-1][0] if spans and spans[-1][1] >= len(text) and text[spans[-1][0]] in " `~" else len(text)
        kept, at = [], 0
        for start, end in spans:
            if start < last:
                kept += [text[at:start], " " * (end - start)]
                at = end
        own = "".join([*kept, text[at:]])
        reports = next((found.start() for found in _COLON.finditer(own) if _reports(own, found.start())), len(text))
        return cls(text, own, last, reports)


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
_REPORTING: Final = re.compile(
    r"\b(?:sa(?:ys?|id|ying)|claim\w*|writ\w+|wrote|contain\w*|reads?|stat(?:es|ed|ing)|includ\w+|quot\w+|inject\w*"
    r"|attempt\w*|assert\w*|instruct\w*|embed\w*|appen\w+|print\w*|ends?\s+with|begins?\s+with|tries|tried|pretend\w*"
    r"|fake\w*|payload|verbatim|from\s+the\s+(?:answer|candidate|response|submission))\b",
    re.IGNORECASE,
)


def _reports(text: str, end: int) -> bool:
    """Tell whether the line that ends here says that a quotation follows."""
    line = text[max(text.rfind("\n", max(0, end - _NEAR), end) + 1, end - _NEAR) : end]
    return _REPORTING.search(line) is not None


_OPENED: Final = re.compile(r"(?:\n|^)[^\S\n]{0,3}[`~]{3,20}\w{0,20}\Z")


def _introduced(text: str, at: int) -> bool:
    """Tell whether the line here comes right after one that reports."""
    before = text[max(0, at - _NEAR) : text.rfind("\n", max(0, at - _NEAR), at) + 1]
    before = _OPENED.sub("", before.rstrip()).rstrip(" \"'\u201c*_\n\t")
    return before.endswith((":", "\uff1a")) and _reports(before, len(before))


# --- what it states ---------------------------------------------------------------------------------------


@attrs.frozen
class _Statement(Generic[T]):
    """A place that states a verdict, or would if it could be read; `value` is `None` then."""

    at: int
    text: str
    value: T | None
    firm: bool
    number: int | None = None


_FILLERS: Final = frozenset(
    "so thus therefore hence finally overall in conclusion summary short to conclude my the this our final total "
    "resulting here is are and step based on above that of a grader judge s".split()
)
_QUOTES: Final = "\"\u201c\u201d\u201e\u00ab\u00bb"
_SENTENCE: Final = re.compile(r"[.!?][*_`)\]]{0,4}\s|[;\u2013\u2014\u2192]")
_BRACKETED: Final = re.compile(r"\[\[\s{0,4}([^\[\]\n]{1,40}?)\s{0,4}\]\](?=[^\w\n\[]{0,12}(?:\n|$))")


def _sentence_before(text: str, at: int) -> str | None:
    """Return what stands before a place in its sentence; `None` if that is longer than what is looked at."""
    earliest = max(0, at - _NEAR)
    line = text.rfind("\n", earliest, at) + 1
    near = text[line or earliest : at]
    ends = [found.end() for found in _SENTENCE.finditer(near)]
    if ends:
        return near[ends[-1] :]
    return near if line or not earliest else None


def _statements(own: _Own, form: _Form[T], *, numbered: bool = False) -> Iterator[_Statement[T]]:
    """Yield the statements of an answer, the firm ones and the others, in their order."""
    text = own.own
    for cue in _ends_of(form.cues.finditer(text)):
        head = _sentence_before(text, cue.start())
        if head is None or any(mark in head for mark in _QUOTES) or bool(cue["number"]) != numbered:
            continue
        words = re.findall(r"[^\W_]+", head.lower())
        if not all(word in _FILLERS or (word.isdigit() and len(word) < 3) for word in words):
            continue
        value = _behind(text, cue.end())
        if _ends_quotation(value):
            continue
        found, marked = form.stated(value), bool(cue["mark"])
        firm = cue["cue"].lower() not in _WEAK and (marked or found is not None)
        if (firm or found is not None) and not _introduced(text, cue.start()):
            firm = firm and cue.start() < own.last_fence
            number = int(cue["number"]) if cue["number"] else None
            yield _Statement(cue.start(), value, found, firm, number)


def _ends_of(found: Iterator[re.Match[str]]) -> list[re.Match[str]]:
    """Return the first and the last places: nobody states a thousand verdicts, and a text that does ends in time."""
    places = list(found)
    return places if len(places) <= 2 * _MOST else [*places[:_MOST], *places[-_MOST:]]


def _behind(text: str, at: int) -> str:
    """Return the rest of a line; of the next one that is not empty, if nothing is left of it."""
    for _ in range(3):
        end = text.find("\n", at, at + _LINE)
        line = text[at : end if end >= 0 else at + _LINE]
        if line.strip(" \t*_`:") or end < 0:
            return line
        at = end + 1
    return ""


def _ends_quotation(value: str) -> bool:
    """Tell whether a text closes a quotation that it does not open."""
    return value.count("\u201d") > value.count("\u201c") or (
        value.count('"') % 2 == 1 and re.search(r"\S\"[\s.,;:!?)]*", value) is not None
    )


def _bracketed(own: _Own, form: _Form[T]) -> Iterator[_Statement[T]]:
    """Yield what stands in double brackets at the end of a line: firm if it is all of a sentence (MT-Bench's form)."""
    for found in _ends_of(_BRACKETED.finditer(own.own)):
        head = _sentence_before(own.own, found.start())
        if head is None or _REPORTING.search(head) or any(mark in head for mark in _QUOTES):
            continue
        value, alone = form.alone(found[1]), not head.strip(_AROUND)
        if not _introduced(own.own, found.start()) and (alone or value is not None):
            yield _Statement(found.start(), found[0], value, alone and found.start() < own.last_fence)


def _final(own: _Own, statements: Sequence[_Statement[T]]) -> T | None:
    """Return what firm statements come to: the last one, unless it may be reported, and another was made before."""
    firm = [statement for statement in statements if statement.firm]
    if not firm or firm[-1].value is None:
        return None
    last = firm[-1]
    before = [statement for statement in firm if statement.at < own.reports]
    if last.at > own.reports and before and before[-1].value != last.value:
        return None
    return last.value


def _read(text: str, form: _Form[T]) -> T:
    answer = _prepared(text)
    data = _decoded(answer)
    if data is not None:
        value = _in_json(data, form)
        return form.missing(answer) if value is None else value
    alone = form.alone(answer)
    if alone is not None:
        return alone
    own = _Own.of(answer)
    last_part = _last_json(own, form)
    end = last_part.at if last_part is not None else len(answer)
    stated = [one for one in itertools.chain(_statements(own, form), _bracketed(own, form)) if one.at < end]
    stated = sorted([*stated, *([last_part] if last_part is not None else [])], key=lambda one: one.at)
    last = _last_sentence(own, form) if last_part is None else None
    firm = [one for one in stated if one.firm]
    if firm:
        return _settled(own, form, stated, last)
    values = {one.value for one in stated if one.value is not None}
    values |= {value for value in (last, None if stated else form.opens(answer[: 50 * _LINE])) if value is not None}
    if len(values) > 1:
        raise UnclearVerdictError(
            f"several verdicts in {_short(answer)}: {', '.join(sorted(map(str, values)))}; {form.asked} was asked for"
        )
    return values.pop() if values else form.missing(answer)


def _settled(own: _Own, form: _Form[T], stated: Sequence[_Statement[T]], last: T | None) -> T:
    """Return the verdict of firm statements, and of a last sentence that is nothing but one."""
    final = _final(own, stated)
    if last is not None and last != final:
        firm = [one for one in stated if one.firm]
        if isinstance(last, str) and not (firm[0].at < own.reports < len(own.text)):
            return last  # the last word
        raise UnclearVerdictError(f"the last sentence, {last}, contradicts {_short(firm[-1].text)}")
    if final is None:
        said = _short(next(one for one in reversed(stated) if one.firm).text)
        raise UnclearVerdictError(f"the {form.kind} {said} is unclear or none of what was asked for: {form.asked}")
    return final


def _last_sentence(own: _Own, form: _Form[T]) -> T | None:
    """Return the verdict that the last sentence is, if it is nothing else."""
    text = own.own.rstrip()
    line = text[max(text.rfind("\n", max(0, len(text) - _NEAR)) + 1, len(text) - _NEAR) :]
    ends = [found.end() for found in _SENTENCE.finditer(line.rstrip(_CLOSING + ".!"))]
    sentence = line[ends[-1] :] if ends else line
    if "?" in sentence or len(text) - len(line) and len(line) == _NEAR and not ends:
        return None
    is_line = not ends
    if is_line and _introduced(text, len(text)):
        return None
    if isinstance(value := form.alone(sentence), float) and not is_line:
        return None  # the number that a sentence ends with may be any
    return value


# --- JSON -------------------------------------------------------------------------------------------------


def _last_json(own: _Own, form: _Form[T]) -> _Statement[T] | None:
    """Return what the JSON object comes to that an answer ends with; one within a sentence is not firm."""
    text = own.text
    end = len(text.rstrip("`~ \t\n"))
    if text[end - 1 : end] != "}":
        return None
    # An object begins a line, or follows the last colon of one; only so many places are tried.
    starts = [found.start(1) for found in re.finditer(r"^[^\S\n]{0,40}(\{)", text, re.MULTILINE)]
    inline = text.find("{", text.rfind("\n", 0, end) + 1, end)
    tried = {*starts[:4], *starts[-8:], inline} - {-1}
    for start in sorted(tried):
        data = _decoded(text[start:end])
        if data is None:
            continue
        if _introduced(text, start):
            return None
        value = _in_json(data, form)
        head = (_sentence_before(text, start) or "-").strip()
        if _REPORTING.search(head) or any(mark in head for mark in _QUOTES):
            return None
        words = re.findall(r"[^\W_]+", head.lower())
        firm = all(word in _FILLERS or form.cues.match(f"{word}:") or word == "json" for word in words)
        return _Statement(start, text[start:end], value, firm) if value is not None else None
    return None


def _in_json(data: Mapping[str, Any], form: _Form[T]) -> T | None:
    """Return the verdict that a JSON object holds.

    Raises:
        UnclearVerdictError: it holds several, or something else where the verdict should be.
    """
    while len(data) == 1 and isinstance(only := next(iter(data.values())), dict):
        data = only
    fields = {_field(name): value for name, value in data.items()}
    named = {name: value for name, value in fields.items() if name in form.fields}
    if not named:
        named = {name: value for name, value in fields.items() if name in _WEAK}
    if not named or all(value is None for value in named.values()):
        return None
    values = {form.in_field(name, value) for name, value in named.items()}
    if len(values) > 1 or None in values:
        raise UnclearVerdictError(f"the {form.kind} in {_short(str(named))} is unclear; {form.asked} was asked for")
    return values.pop()


def _field(name: str) -> str:
    """Return a field's name without what is said around it: `final_verdict`, `Overall Score`."""
    words = re.findall(r"[^\W_]+", name.lower())
    return "".join(word for word in words if word not in ("final", "overall", "total", "my", "the", "is"))


def _decoded(text: str) -> Mapping[str, Any] | None:
    """Return a JSON object, or `None`; line breaks in its texts are forgiven, one field twice is not."""
    if text[:1] != "{" or text[-1:] != "}":
        return None
    try:
        data = json.loads(text, strict=False, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a field is there twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_AROUND: Final = " \t\r\n*_`\"'.,;:!()[]{}<>#$|\u2013\u2014\u201c\u201d\u2018\u2019\u3002-"


def _plain(text: str) -> str:
    bare = re.sub(r"\\(?:boxed|text|textbf|mathrm)\s?\{", "", text)
    return re.sub(r"[\s_\-]+", " ", bare.strip(_AROUND)).casefold()


def _short(text: str) -> str:
    return repr(shortened(" ".join(text[:_LINE].split()), 80))
