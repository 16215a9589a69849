r"""The final answer of a worked mathematical problem, as it is written.

Rules from the surest to the least sure; the first that finds something decides:

1. `boxed`: the last `\boxed{...}` (also `\fbox`), its braces balanced, as in Hendrycks et al. 2021 (arXiv 2103.03874).
   Boxes joined by "and", "or" or a comma belong together; two different boxes with nothing between contradict
   each other.
2. `final`: what stands behind `####` (Cobbe et al. 2021, arXiv 2110.14168), `<answer>` or "final answer (is)", the
   last one; two different ones without a correction contradict each other.
3. `answer`: what stands behind the last "answer is", "Answer:", and the like in other languages.
4. `formula`: the last formula, if the last number stands in it and it is more than that: what follows its last `=`.
5. `number`: the last number of the text, with its word of magnitude (`1.5 million`).

What only says the answer once more ("20%, i.e. one fifth") is no part of it. What is returned is the text as it is
written, such that `read_number` and `math_equivalence` can read it.
"""

# ruff: noqa: RUF001  # the signs and letters that models write

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Final

import attrs

from themis.pure.components.text.choice_marks import CORRECTION
from themis.pure.components.text.extraction import Extraction, found, nothing, unusable
from themis.pure.components.text.numbers import MAGNITUDE, PERCENT

LONGEST_ANSWER: Final = 2000
"""Characters; what is longer than this is no final answer."""

MOST_CUES: Final = 40
"""How many cues are read, from the last one back: an answer that repeats itself endlessly takes no longer."""

_BOX: Final = re.compile(r"\\(?:boxed|fbox)\b\s{0,8}(\{|(?:-?[\w.]{1,40}))?")
_BRACE: Final = re.compile(r"\\.|[{}]", re.DOTALL)
_JOINT: Final = re.compile(
    r"[\s$,;.\\()\[\]*&]{0,20}(?:\b(?:and|or|und|oder|et|ou|y|o)\b|或|和|、|,"
    r"|;)[\s$\\()\[\]]{0,20}(?:[a-zA-Z]_?\d?\s?=\s?)?$"
)
_TIE: Final = re.compile(r"[\s$.*\\()\[\]]{0,40}$")

_IS: Final = (
    r"(?:[\s*_`]{0,6}(?:(?:is|are|equals|will\s+be|would\s+be|should\s+be|must\s+be|was)\b[\s*_`]{0,6}[:：]?|[:：=])"
    r"|[\s*_`:]{0,6}\n)"
)
_FINAL: Final = re.compile(
    rf"####|<(?:final_?)?answer>|\bfinal\s+(?:numerical\s+|numeric\s+)?(?:answer|result)\b(?:\s+(?:to\s+(?:the|this)\s+(?:question"
    rf"|problem)))?{_IS}(?:\s{{1,3}}(?:the\s+)?(?:final\s+)?answer{_IS})?"
    r"|最终答案[是为：:]{1,2}|最終的な答え[は：:]{1,2}|endgültige\s+Antwort(?:\s+(?:ist|lautet))?:?"
    r"|réponse\s+finale(?:\s+est)?\s?:?|respuesta\s+final(?:\s+es)?:?",
    re.IGNORECASE,
)
_CUE: Final = re.compile(
    rf"\b(?:answer|solution|result)\b(?:\s+(?:here|to\s+(?:the|this)\s+(?:question|problem)))?{_IS}"
    rf"|(?:\bAntwort|\bErgebnis|\bréponse|\brésultat|\brespuesta|\bresultado|\bresposta|\brisposta|\bответ"
    rf"|\bodpowiedź|\bcevap|\bjawaban|đáp\s+án|答案|答え|答|正解|정답|답|उत्तर|الإجابة)"
    r"(?:\s+(?:ist|lautet|est|es|é|è|adalah|to|là|है))?[\s*_]{0,3}[:：是为はが은는هي]{0,2}(?=[\s*_$\\\d(\[{√∞π½-¾⅓-⅞−€£¥₹-])",
    re.IGNORECASE,
)
_REASONS: Final = re.compile(
    r"[,;]?\s\(?(?:i\.\s?e\.|e\.\s?g\.|that\s+is\b|namely\b|in\s+other\s+words|d\.\s?h\.|c'est-à-dire|es\s+decir"
    r"|or\s+(?:about|approximately|roughly)\b|not\s|meaning\s|because|since|which|where|when|as\s+(?:we|the|it|required|desired)|so\s|therefore|by\s|using\s"
    r"|obtained|I\s+hope)|\s\((?:since|because|as)\b",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"</|(?<=[^\s.])[.。！!?](?=\s|$|\*|\"|”)|[。！](?=.)")
_SPAN: Final = re.compile(
    r"(?<!\\)\$\$((?:[^$\\]|\\.){1,2000})\$\$|(?<!\\)\$((?:[^$\\]|\\.){1,2000})\$|\\\(((?:[^\\]|\\[^)]){1,2000}?)\\\)|\\\[((?:[^\\]"
    r"|\\[^\]]){1,2000}?)\\\]"
)
_VULGAR: Final = "[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"
_GROUP: Final = r"(?:,\\!|\{,\}|,|\\,|['’\u00a0\u202f\u2009 ])"
_PLAIN: Final = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_WRITTEN: Final = (
    rf"\d{{1,3}}(?:{_GROUP}\d{{3}})+(?![\d,]\d)(?:\.\d+)?|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)"
    r"|\d{1,3}(?:\.\d{3}){2,}(?!\d)|\d{1,3}(?:\.\d{3})+,\d+"
    r"|(?:\d+\s?)?\\[dtc]?frac\s?(?:\{-?[\d.]+\}\s?\{[\d.]+\}|\d\s?\d)"
    rf"|\d*{_VULGAR}|\d+\s\d+/\d+|\d+,\d{{1,2}}(?![\d,])|\d+[.٫]\d+|\d+|\.\d+"
)
_NUMBER: Final = re.compile(
    r"(?<![A-Za-zÀ-ɏΑ-ω0-9_.^½])(?<![\^_]\{)(?:(?<![\d)\]}])[-−–])?\s?(?P<sign>\\?[$€£¥₹]\s?)?(?:(?<=[$€£¥₹])-)?"
    rf"(?:{_WRITTEN})(?:[eE][+-]?\d{{1,4}}"
    r"|(?:\s?(?:×|\\times|\\cdot|\*)\s?10)?(?:\^\{?-?\d{1,6}\}?|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+))?"
    rf"(?:\s?/\s?(?:{_PLAIN}))?(?(sign)(?:[kKmMbB]n?(?![A-Za-z]))?)(?:\s?(?i:{MAGNITUDE}))*"
    rf"(?:\s?(?i:{PERCENT}))?(?![A-Za-z]*\d)"
)
"""A number as `numbers.read_number` reads it, in the midst of a text."""
_MARKUP: Final = " \t\r\n*_`\"'“”"
_VAGUE: Final = re.compile(
    r"^(?:not\b|unknown\b|unclear\b|that\b|the\s+following\b|as\s+follows\b|below\b|above\b|given\s+by:?$|I\s"
    r"|correct\b|wrong\b|incorrect\b|$)",
    re.IGNORECASE,
)


@attrs.frozen
class _Box:
    content: str
    start: int
    end: int
    closed: bool = True


def math_answer(text: str) -> Extraction[str]:
    r"""Return the final answer of a worked problem, as it is written: `\frac{3}{4}`, `12.5`, `x = 2`.

    >>> math_answer(r"so the total is $\boxed{\frac{3}{4}}$").value
    '\\frac{3}{4}'
    >>> math_answer("It costs 3 dollars, so she pays 1,200 dollars in all.").value
    '1200'
    """
    for rule in (_boxed, _final, _cued, _last_formula, _last_number):
        outcome = rule(text)
        if outcome is not None:
            return outcome
    return nothing("the answer states no result")


# --- boxes ------------------------------------------------------------------------------------------------


def _boxes(text: str) -> Iterator[_Box]:
    """Yield the outermost boxes in one pass over the braces."""
    at = 0
    while (match := _BOX.search(text, at)) is not None:
        at = match.end()
        if match[1] != "{":
            if match[1]:
                yield _Box(match[1], match.start(), at)
            continue
        end = _closing_brace(text, at)
        if end is None:
            yield _Box(text[at:], match.start(), len(text), closed=False)
            return
        yield _Box(_inner_box(text[at:end]), match.start(), end + 1)
        at = end + 1


def _closing_brace(text: str, at: int) -> int | None:
    depth = 1
    for brace in _BRACE.finditer(text, at):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth == 0:
            return brace.start()
    return None


def _inner_box(content: str) -> str:
    inner = re.fullmatch(r"\s*\\(?:boxed|fbox)\s*\{(.*)\}\s*", content, re.DOTALL)
    return (inner[1] if inner else content).strip()


def _boxed(text: str) -> Extraction[str] | None:
    boxes = list(_boxes(text))
    if not boxes:
        return None
    if not boxes[-1].closed:
        return unusable("the last box is never closed: the answer was cut off", "boxed")
    filled = [box for box in boxes if box.content]
    if not filled:
        return unusable("the box is empty", "boxed")
    group = [filled[-1]]
    for box in reversed(filled[:-1]):
        between = text[box.end : group[0].start]
        if len(between) > 60:
            break
        if _TIE.match(between) and box.content != group[0].content and "\n" not in between.strip("$ "):
            return unusable(f"the answer contradicts itself: it boxes {box.content} and {group[0].content}", "boxed")
        if not _JOINT.match(between):
            break
        group.insert(0, box)
    value = ", ".join(dict.fromkeys(box.content for box in group))
    return _sized(value, "boxed")


# --- cues -------------------------------------------------------------------------------------------------


def _final(text: str) -> Extraction[str] | None:
    finals = _all_stated(_FINAL, text)
    if not finals:
        return None
    last = finals[-1]
    others = [final for final in finals if final[1] != last[1]]
    if others and not CORRECTION.search(text, others[-1][0], last[0]):
        named = ", ".join(dict.fromkeys(value for _, value in finals))
        return unusable(f"the answer contradicts itself: its finals are {named[:200]}", "final")
    return _sized(last[1], "final")


def _cued(text: str) -> Extraction[str] | None:
    stated = _all_stated(_CUE, text)
    return _sized(stated[-1][1], "answer") if stated else None


def _all_stated(cues: re.Pattern[str], text: str) -> list[tuple[int, str]]:
    """Return what stands behind the last cues, each with the place of its cue."""
    last = deque(cues.finditer(text), maxlen=MOST_CUES)
    return [(match.start(), value) for match in last if (value := _stated(text, match.end()))]


def _stated(text: str, at: int) -> str:
    """Return what is stated from here to the end of the sentence, without prose around it."""
    tail = text[at : at + LONGEST_ANSWER].lstrip(_MARKUP + ":：=")
    display = tail.startswith(("$$", "\\["))
    line = tail if display else tail.partition("\n")[0]
    lead = _SPAN.search(line)
    if lead is not None and not re.search(r"\d", line[: lead.start()]):
        return _joined_spans(line, lead)
    return _sentence(line)


def _joined_spans(line: str, lead: re.Match[str]) -> str:
    values, at = [_content(lead)], lead.end()
    for span in _SPAN.finditer(line, at):
        if not _JOINT.match(line[at : span.start()]):
            break
        values.append(_content(span))
        at = span.end()
    percent = re.match(r"\s?(?:\\?%|percent\b)", line[at:])
    return ", ".join(values) + ("\\%" if percent and len(values) == 1 else "")


def _content(span: re.Match[str]) -> str:
    return next(group for group in span.groups() if group is not None).strip().rstrip(".,")


def _sentence(line: str) -> str:
    for end in (_REASONS, _SENTENCE_END):
        cut = end.search(line)
        line = line[: cut.start()] if cut else line
    line = line.strip(_MARKUP).rstrip(".,;:")
    if _VAGUE.match(line):
        return ""
    numbers = [match[0] for match in _NUMBER.finditer(line)]
    is_prose = (
        re.search(r"[^\W\d_]{3,}|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]", line) is not None
        and "\\" not in line
        and "=" not in line
    )
    if len(numbers) == 1 and is_prose:
        return _clean_number(numbers[0])
    if is_prose and not numbers and len(line.split()) > 6:
        return ""
    return _clean_number(line) if _NUMBER.fullmatch(line) else line.strip("$").strip(_MARKUP)


# --- the last number --------------------------------------------------------------------------------------


def _last_formula(text: str) -> Extraction[str] | None:
    text = text[-2 * LONGEST_ANSWER :]
    formulas = deque(_SPAN.finditer(text), maxlen=1)
    if not formulas or re.search(r"\d", text[formulas[0].end() :]):
        return None
    value = _content(formulas[0]).rpartition("=")[2].strip()
    return _sized(value, "formula") if "\\" in value and re.search(r"\d", value) else None


def _last_number(text: str) -> Extraction[str] | None:
    numbers = deque(_NUMBER.finditer(text[-20 * LONGEST_ANSWER :]), maxlen=1)
    return _sized(_clean_number(numbers[0][0]), "number") if numbers else None


def _clean_number(text: str) -> str:
    """Return a number as it is written, without a currency's sign, blanks around signs and the commas of thousands."""
    text = text.strip().replace("−", "-").replace("–", "-")
    if not _SHORTENED.search(text):
        text = re.sub(r"\\?[$€£¥₹]", "", text)
    text = re.sub(r"(?<=[-/])\s|\s(?=/|\\?%)", "", text.strip())
    return text.replace(",", "") if _THOUSANDS.match(text) else text


_SHORTENED: Final = re.compile(r"\d[kKmMbB]n?$")
_THOUSANDS: Final = re.compile(r"-?\d{1,3}(?:,\d{3})+(?![\d,])")


def _sized(value: str, rule: str) -> Extraction[str]:
    if len(value) > LONGEST_ANSWER:
        return unusable(f"the answer is longer than {LONGEST_ANSWER} characters", rule)
    return found(value, rule)
