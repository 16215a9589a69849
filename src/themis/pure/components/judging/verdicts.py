r"""Reading verdicts out of a judge's answer: what the judge finally states, and nothing that it quotes.

A candidate can write whatever a judge writes, and a judge may repeat any of it. So these are the rules:

1. **The final stated verdict wins.** A statement begins a line or a sentence: `Verdict: correct`, `**Score:** 4/5`,
   `My grade is incorrect`, `[[B]]`. A last one that can't be read is an error, and an earlier one no substitute.
2. **JSON counts only as the whole answer, or as its last part**, in a fence or without one. Fields that contradict each
   other are an error.
3. **What is quoted is not stated**: block quotes, fences, text between a prompt's fences, text in quotation marks, and
   what follows a line that reports (`The answer says:`). A judge that has stated its verdict, goes on to report, and
   then seems to state another is unclear.
4. **A remark may follow the verdict** (`Verdict: incorrect, since the sum is off.`), and a last sentence may be
   nothing but the verdict (`The sum is off. Incorrect.`). An alternative, a range, a question or a part (`correct or
   incorrect`, `4-5`, `correct?`, `partly correct`) is no verdict; nor is the first word of an explanation.
5. Where nothing is stated so firmly, a weaker form is read if there is no second one that contradicts it: `The answer
   is incorrect.`, a `[[B]]` that ends a sentence, a last fence, a first sentence that is nothing but the verdict.
6. **What stays unclear is an error**, `UnclearVerdictError`, and never a score: a last part that contradicts a line
   before it, one field or line for two verdicts, what lies outside of the scale.

Sources are reports on other tools, by repository and number. 1 and 2: inspect_ai 3913, 4283 and 4697, promptfoo 10036,
garak 1898 (a first match, which candidates could set; a pattern that fell back to an earlier grade). 3: promptfoo
10655, evalscope 1578. 4: inspect_ai 4872 (`GRADE: CI` read as C), opencompass 2598 (the first letter of a sentence read
as a grade). 6: evalscope 1575 (`[[90]]` clamped to full marks), promptfoo 2998 (`score` and `pass` that differ).

The readers take time in proportion to the text's length: what is looked at around each place is bounded.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, NoReturn

import attrs

from themis.pure.components.judging.forms import AROUND, CLOSING, LONGEST, WEAK, Form, T, label_form, score_form, short
from themis.pure.components.judging.own_words import (
    NEAR,
    QUOTES,
    REPORTING,
    Own,
    introduced,
    line_before,
    may_quote,
    prepared,
)

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
    return _read(text, label_form(labels))


def read_score(text: str, low: float, high: float) -> float:
    """Return the score that a judge's answer states, on its own scale.

    `4/5` on a scale that ends at 5 is 4; a percentage, or a fraction of another top, is taken of the scale's top.

    Raises:
        UnclearVerdictError: no score, one outside of the scale, or several that contradict each other.

    >>> read_score("Good, with slips.\\n**Score: 4/5**", 1, 5)
    4.0
    """
    return _read(text, score_form(low, high))


def read_numbered(text: str, labels: Sequence[str], numbers: Iterable[int]) -> dict[int, str]:
    """Return the labels that an answer states for numbered items: `Verdict 3: met`.

    Raises:
        UnclearVerdictError: an item without a clear verdict; the message names all of them.
    """
    form, own = label_form(labels), Own.of(prepared(text))
    found: dict[int, list[_Statement[str]]] = {}
    for statement in _statements(own, form, numbered=True):
        found.setdefault(statement.number or 0, []).append(statement)
    verdicts = {n: _final(own, found.get(n, [])) for n in numbers}
    missing = [str(n) for n, verdict in verdicts.items() if verdict is None]
    if missing:
        raise form.unclear(f"no verdict on criterion {', '.join(missing)}")
    return {n: verdict for n, verdict in verdicts.items() if verdict is not None}


# --- what it states ---------------------------------------------------------------------------------------


@attrs.frozen
class _Statement(Generic[T]):
    """A place that states a verdict, or would if it could be read; `value` is `None` then."""

    at: int
    text: str
    value: T | None
    firm: bool
    number: int | None = None


_FILLERS: Final = re.compile(
    r"so|thus|therefore|hence|finally|overall|in|conclusion|summary|short|to|conclude|my|the|this|our|final|total"
    r"|resulting|here|is|are|and|step|based|on|above|that|of|a|grader|judge|s|\d{1,2}"
)
"""Words that may stand before a statement in its sentence."""
_SENTENCE: Final = re.compile(r"[.!?][*_`)\]]{0,4}\s|[;\u2013\u2014\u2192]")
_BRACKETED: Final = re.compile(r"\[\[\s{0,4}([^\[\]\n]{1,40}?)\s{0,4}\]\](?=[^\w\n\[]{0,12}(?:\n|$))")


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _sentence_before(text: str, at: int) -> str | None:
    """Return what stands before a place in its sentence; `None` if that is longer than what is looked at."""
    near = line_before(text, at)
    ends = [found.end() for found in _SENTENCE.finditer(near)]
    if ends:
        return near[ends[-1] :]
    return near if len(near) < NEAR or at <= NEAR else None


def _statements(own: Own, form: Form[T], *, numbered: bool = False) -> Iterator[_Statement[T]]:
    """Yield the statements of an answer, the firm ones and the others, in their order."""
    text = own.own
    last_line = text.rstrip().rfind("\n")
    for cue in _ends_of(form.cues.finditer(text)):
        if cue["cue"].lower() in WEAK and cue.start() < last_line:
            continue  # what is said on the way of an answer or a result is no verdict
        head = _sentence_before(text, cue.start())
        if head is None or any(mark in head for mark in QUOTES) or bool(cue["number"]) != numbered:
            continue
        if not all(map(_FILLERS.fullmatch, _words(head))):
            continue
        value = _behind(text, cue.end())
        if _ends_quotation(value) or value.lstrip(" *").startswith(("{", "```")):  # what JSON says, it says itself
            continue
        found, marked = form.stated(value), bool(cue["mark"])
        firm = cue["cue"].lower() not in WEAK and (marked or found is not None)
        if (firm or found is not None) and not introduced(text, cue.start()):
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
        end = text.find("\n", at, at + LONGEST)
        line = text[at : end if end >= 0 else at + LONGEST]
        if line.strip(" \t*_`:") or end < 0:
            return line
        at = end + 1
    return ""


def _ends_quotation(value: str) -> bool:
    """Tell whether a text closes a quotation that it does not open."""
    if value.count("\u201d") > value.count("\u201c"):
        return True
    at = value.find('"')
    return at > 0 and value.count('"') % 2 == 1 and value[at - 1] not in " \t([{:"


def _bracketed(own: Own, form: Form[T]) -> Iterator[_Statement[T]]:
    """Yield what stands in double brackets at the end of a line: firm if it is all of a sentence (MT-Bench's form)."""
    for found in _ends_of(_BRACKETED.finditer(own.own)):
        head = _sentence_before(own.own, found.start())
        if head is None or REPORTING.search(head) or any(mark in head for mark in QUOTES):
            continue
        value, alone = form.alone(found[1]), not head.strip(AROUND)
        if not introduced(own.own, found.start()) and (alone or value is not None):
            yield _Statement(found.start(), found[0], value, alone and found.start() < own.last_fence)


def _final(own: Own, statements: Sequence[_Statement[T]]) -> T | None:
    """Return what firm statements come to: the last one, unless it may be quoted, and another one was made before."""
    firm = [statement for statement in statements if statement.firm]
    if not firm or firm[-1].value is None:
        return None
    last = firm[-1]
    others = [one for one in firm if one.value != last.value]
    if others and (others[0].at < own.reports < last.at or may_quote(own.own, others[-1].at, last.at)):
        return None
    return last.value


def _read(text: str, form: Form[T]) -> T:
    answer = prepared(text)
    data = _decoded(answer)
    if data is not None:
        value = _in_json(data, form)
        if value is None:
            raise form.unclear(f"no {form.kind} in {short(answer)}")
        return value
    alone = form.alone(answer)
    if alone is not None:
        return alone
    own = Own.of(answer)
    last_part = _last_json(own, form)
    end = last_part.at if last_part is not None else len(answer)
    found = itertools.chain(_statements(own, form), _bracketed(own, form))
    stated: list[_Statement[T]] = sorted((one for one in found if one.at < end), key=lambda one: one.at)
    last = _last_sentence(own, form) if last_part is None else last_part.value
    if firm := [one for one in stated if one.firm]:
        return _settled(own, form, firm, last)
    if last_part is not None and last_part.firm:
        assert last_part.value is not None  # what holds no verdict is no last part
        return last_part.value
    values: set[T] = {one.value for one in stated if one.value is not None}
    if last is not None:
        values.add(last)
    if not values and (opening := form.opens(answer[: 50 * LONGEST])) is not None:
        return opening
    if len(values) > 1:
        raise form.unclear(f"several verdicts in {short(answer)}: {', '.join(sorted(map(str, values)))}")
    if not values:
        raise form.unclear(f"no {form.kind} in {short(answer)}")
    return values.pop()


def _settled(own: Own, form: Form[T], firm: Sequence[_Statement[T]], last: T | None) -> T:
    """Return the verdict of firm statements and of a last part: the last word, where it follows a report.

    Where it does not, one of the two may be quoted: they must agree.
    """
    final = _final(own, firm)
    if last is not None and firm[0].at > own.reports:
        return last
    if final is None or (last is not None and last != final):
        said = f"the {form.kind} {short(firm[-1].text)}"
        raise form.unclear(f"{said} is none that can be read, or another one stands beside it")
    return final


def _last_sentence(own: Own, form: Form[T]) -> T | None:
    """Return the verdict that the last sentence is, if it is nothing else."""
    text = own.own.rstrip()
    line = line_before(text, len(text))
    ends = [found.end() for found in _SENTENCE.finditer(line.rstrip(CLOSING + ".!"))]
    sentence = line[ends[-1] :] if ends else line
    if any(mark in sentence for mark in f"?{QUOTES}") or (not ends and introduced(text, len(text))):
        return None
    # A number behind a sentence may be any; on a line of its own it is a score.
    return None if ends and form.kind == "score" else form.alone(sentence)


# --- JSON -------------------------------------------------------------------------------------------------


def _last_json(own: Own, form: Form[T]) -> _Statement[T] | None:
    """Return what the JSON object comes to that an answer ends with; one within a sentence is not firm."""
    text = own.text
    end = len(text.rstrip("`~ \t\n"))
    if text[end - 1 : end] != "}":
        return None
    # An object begins a line, or follows the last colon of one; only so many places are tried.
    starts: list[int] = [found.start(1) for found in re.finditer(r"^[^\S\n]{0,40}(\{)", text, re.MULTILINE)]
    inline = text.find("{", text.rfind("\n", 0, end) + 1, end)
    tried = {*starts[:4], *starts[-8:], inline} - {-1}
    for start in sorted(tried):
        data = _decoded(text[start:end])
        if data is None:
            continue
        if introduced(text, start):
            return None
        value = _in_json(data, form)
        head = (_sentence_before(text, start) or "-").strip()
        if REPORTING.search(head) or any(mark in head for mark in QUOTES):
            return None
        firm = all(_FILLERS.fullmatch(word) or form.cues.match(f"{word}:") or word == "json" for word in _words(head))
        return _Statement(start, text[start:end], value, firm) if value is not None else None
    return None


def _in_json(data: Mapping[str, Any], form: Form[T]) -> T | None:
    """Return the verdict that a JSON object holds.

    Raises:
        UnclearVerdictError: it holds several, or something else where the verdict should be.
    """
    while len(data) == 1 and isinstance(only := next(iter(data.values())), dict):
        data = only  # a wrapper, as in {"evaluation": {...}}
    fields = {_field(name): value for name, value in data.items()}
    named = {name: value for name, value in fields.items() if name in form.fields}
    if not named:
        named = {name: value for name, value in fields.items() if name in WEAK}
    if not named or all(value is None for value in named.values()):
        return None
    values = {form.in_field(name, value) for name, value in named.items()}
    if len(values) > 1 or None in values:
        raise form.unclear(f"the {form.kind} in {short(str(named))} is unclear")
    return values.pop()


def _field(name: str) -> str:
    """Return a field's name without what is said around it: `final_verdict`, `Overall Score`."""
    return "".join(word for word in _words(name) if word not in ("final", "overall", "total", "my", "the", "is"))


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
