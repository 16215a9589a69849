r"""Which option a multiple-choice answer chooses.

The answer is the stated one. Rules from the surest to the least sure; the first that finds an option decides:

1. what is set apart to state it: `boxed` (`\boxed{C}`, `\boxed{\text{(C)}}`, `<answer>C</answer>`, `[[C]]`), where the
   letter must be all of it but for its option's text, so that the `\boxed{E = mc^2}` of the working is none; a JSON
   `field` (`{"choice": "C"}`); `final answer` and `#### C`; `stated`, as in `Answer: C`.
2. `answer`: an option right behind "answer is", "option", "I choose", and the like in other languages.
3. `verdict`: an option before "is correct", "is the right answer", and the like in other languages.
4. `alone`: a line that is nothing but an option (`C`, `Option C`), or the whole answer.
5. `line`: the one line that starts like an option (`C) Paris`).
6. `emphasis`: the one option in bold or in parentheses.

Within a rule the last option stands if a correction ("wait", "actually") leads to it, and so does one of a less sure
rule behind a correction: `Answer: A. Wait, it's B.` is B. Several different ones without a correction contradict each
other, and the answer is unusable, as is one that states several options at once ("both A and B are correct"). A
restated list of options counts for nothing.
"A" and "I" are options only where a word can't be meant.
"""

# ruff: noqa: RUF001  # the letters and punctuation of other scripts are meant

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from themis.pure.components.text.choice_marks import (
    ALL_OF_IT,
    BOXED,
    CORRECTION,
    CUE,
    EMPHASIS,
    FIELD,
    FINAL_CUE,
    IMPERATIVE,
    JOINED_BEFORE,
    LINE,
    LIST_ITEM,
    LOCAL_LETTERS,
    NEGATED,
    OPENING,
    OPTION,
    PARENTHESISED,
    REJECTED,
    STATED,
    TENTATIVE,
    VERDICT,
)
from themis.pure.components.text.extraction import Extraction, found, nothing, unusable

_CONTINUES: Final = re.compile(
    r"\s+(?:because|since|as|for|due|based|which|and|or|but|given|in|with|from|on|not|that|by|so|is|\()", re.IGNORECASE
)
_JOINED: Final = re.compile(
    r"[\s*_)\]}\"']{0,6}(?:,\s{0,3}(?:and|or|und|et|y)?|&|\b(?:and|or|und|oder|et|ou|y|e|o)\b|\+|/|、|，|和|と|와|과|و)"
    r"[\s*_(\[{\"']{0,6}"
)
_DELIMITED: Final = re.compile(
    r"[\s*_`\"'”’」』》»】)\]}>$\\]*(?:$|[.,;:!?)\]}*—–|/_`'\"”’»」』》】>$\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af。．，、；：！？）】」\n])"
)  # punctuation and letters of other scripts, in which no word is "A"

_AROUND: Final = " !\t\r\n*_`\"'()[]{}<>$#.:-–—。．【】「」『』《》«»“”‘’✅☑✔→\\"


LONGEST_ANSWER: Final = 100_000
"""Characters that are read, from the end: a choice that is stated once more before that changes nothing."""


_CORRECTIONS: Final = 3
"""The last corrections behind a statement, of which each is tried: an answer that never ends makes thousands."""


@attrs.frozen
class _Final:
    """One option that the answer names as its choice: the letters, and where they stand."""

    letters: str
    start: int
    end: int


def choice_letter(text: str, letters: str = "ABCDEFGHIJ", *, multiple: bool = False) -> Extraction[str]:
    r"""Return the letter that an answer chooses.

    Args:
        text: the answer, without its reasoning block.
        letters: the options that there are, in order.
        multiple: several options may be chosen together; the value is then all of them in alphabetical order,
            such as `AC`. Else an answer that chooses several is unusable.

    >>> choice_letter("A good question. I think the answer is **(C)**.").value
    'C'
    >>> choice_letter("Answer: B ... Answer: D").invalid
    True
    """
    text = _readable(text[-LONGEST_ANSWER:])
    decided, end = _stated(text, letters, multiple)
    for correction in [*CORRECTION.finditer(text, end)][: -_CORRECTIONS - 1 : -1]:
        corrected, _ = _stated(text[correction.end() :].lstrip(",.!: "), letters, multiple)
        if corrected.value is not None or corrected.invalid:
            return corrected
    return decided


def _stated(text: str, letters: str, multiple: bool) -> tuple[Extraction[str], int]:
    """Return what the surest rule finds, and where the last statement that it found ends."""
    for rules in _rules():
        finals = [
            (final, rule)
            for rule, find in rules
            for final in find(text, letters, multiple)
            if not NEGATED.match(text, final.end)
        ]
        if finals:
            finals.sort(key=lambda one: one[0].start)
            decided = _decide(text, [final for final, _ in finals], finals[-1][1], letters, multiple)
            return decided, finals[-1][0].end
    return nothing("the answer names no option"), len(text)


def _readable(text: str) -> str:
    """Turn full-width, circled and mathematical letters, and those of localised lists of options into A, B, C, ..."""
    if text.isascii():
        return text
    text = _STYLED.sub(lambda letter: unicodedata.normalize("NFKC", letter[0]), text)
    return LOCAL_LETTERS.sub(lambda match: _LOCAL[match[1]], text)


_STYLED: Final = re.compile("[\uff01-\uff5e\u24b6-\u24e9\U0001d400-\U0001d6a3]")
_LOCAL: Final = dict(zip("أابجدهঅআবডঢকখগঘঙ", "AABCDEAABCDABCDE", strict=True))
# The letters of the option lists in MMMLU (openai/MMMLU): Arabic alif, ba, jim, dal; Bengali a, ba, da, dha or ka, ...


def _decide(text: str, finals: Sequence[_Final], rule: str, letters: str, multiple: bool) -> Extraction[str]:
    last = finals[-1]
    others = [final for final in finals if final.letters != last.letters]
    if others and not CORRECTION.search(text, others[-1].end, last.start):
        named = sorted({final.letters for final in finals})
        return unusable(f"the answer contradicts itself: it gives {', '.join(named)}", rule)
    beyond = sorted(set(last.letters) - set(letters))
    if beyond:
        return unusable(f"the answer gives {', '.join(beyond)}, and the options are {letters}", rule)
    if len(last.letters) > 1 and not multiple:
        return unusable(f"the answer gives several options: {', '.join(last.letters)}", rule)
    return found(last.letters, rule)


# --- reading letters at a place ---------------------------------------------------------------------------


def _final_at(text: str, at: int, letters: str, multiple: bool) -> _Final | None:
    """Read the option, or the options joined by "and" or a comma, that stand right behind a cue."""
    opening = OPENING.match(text, at)
    at = opening.end() if opening else at
    first = _letters_at(text, at, letters, multiple)
    if first is None:
        return None
    chosen, start, end = first.letters, first.start, first.end
    while (joint := _JOINED.match(text, end)) is not None:
        more = _letters_at(text, joint.end(), letters, multiple, joined=True)
        if more is None:
            break
        chosen, end = chosen + more.letters, more.end
    return _Final("".join(sorted(set(chosen))), start, end)


def _letters_at(text: str, at: int, letters: str, multiple: bool, *, joined: bool = False) -> _Final | None:
    match = OPTION.match(text, at)
    if match is None:
        return None
    run = match[1]
    if len(run) > 1:
        # Letters without anything between: `AC` is two options if it can't be a word.
        is_options = run.isupper() and list(run) == sorted(set(run)) and set(run) <= set(letters)
        ends = _DELIMITED.match(text, match.end()) is not None
        return _Final(run, match.start(1), match.end()) if is_options and ends and (multiple or len(run) < 4) else None
    delimited = _DELIMITED.match(text, match.end()) is not None
    continued = _CONTINUES.match(text, match.end()) is not None
    may_be_word = run in "AI" or run.islower()
    if (may_be_word or joined) and not delimited and not (continued and run != "I"):
        return None
    if run.islower() and run.upper() not in letters:
        return None
    return _Final(run.upper(), match.start(1), match.end())


# --- the rules --------------------------------------------------------------------------------------------


def _boxed(text: str, letters: str, multiple: bool) -> Iterator[_Final]:
    for match in BOXED.finditer(text):
        content = next(group for group in match.groups() if group is not None)
        final = _final_at(content, 0, letters, multiple)
        if final is not None and ALL_OF_IT.match(content, final.end):
            yield _Final(final.letters, match.start(), match.end())


def _after(cues: re.Pattern[str]) -> Callable[[str, str, bool], Iterator[_Final]]:
    def find(text: str, letters: str, multiple: bool) -> Iterator[_Final]:
        listed = _listed(text, letters)
        for cue in cues.finditer(text):
            final = _final_at(text, cue.end(), letters, multiple)
            if final is None or TENTATIVE.search(text, max(0, cue.start() - 40), cue.start()):
                continue
            is_question = IMPERATIVE.search(text, max(0, cue.start() - 60), final.start) is not None
            if not (is_question and final.start in listed):
                yield final

    return find


def _alone(text: str, letters: str, multiple: bool) -> Iterator[_Final]:
    whole = text.strip()
    at = 0
    for line in text.splitlines(keepends=True):
        bare, is_all = line.strip(_AROUND), line.strip() == whole
        if len(bare) == 1 and bare.isascii() and bare.isalpha() and (bare.isupper() or is_all):
            yield _Final(bare.upper(), at, at + len(line))
        elif 1 < len(bare) < 60:
            final = _final_at(bare, 0, letters, multiple)
            # A line may name the option in words; the whole answer may give its text besides, or join several.
            named = final is not None and final.start > 0
            ends = final is not None and (final.end == len(bare) or (is_all and bare[final.end] in ":)."))
            if final is not None and ends and (named or (is_all and len(final.letters) > 1)):
                yield _Final(final.letters, at, at + len(line))
        at += len(line)


def _verdict(text: str, letters: str, multiple: bool) -> Iterator[_Final]:
    for match in VERDICT.finditer(text):
        chosen, at = match[1], match.start(1)
        while (joined := JOINED_BEFORE.search(text, max(0, at - 30), at)) is not None:
            chosen, at = chosen + joined[1].upper(), joined.start(1)
        if set(chosen) <= set(letters) and not REJECTED.search(text, max(0, at - 30), at):
            yield _Final("".join(sorted(set(chosen))), at, match.end(1))


def _marked(pattern: re.Pattern[str]) -> Callable[[str, str, bool], Iterator[_Final]]:
    def find(text: str, letters: str, _: bool) -> Iterator[_Final]:
        listed = _listed(text, letters)
        for match in pattern.finditer(text):
            letter = match[1].upper()
            if letter in letters and match.start(1) not in listed:
                yield _Final(letter, match.start(1), match.end())

    return find


def _listed(text: str, letters: str) -> frozenset[int]:
    """Return where the letters of restated option lists stand: three or more in order from A, as items."""
    places: list[int] = []
    run: list[int] = []
    for match in LIST_ITEM.finditer(text):
        letter = match[1].upper()
        if run and len(run) < len(letters) and letter == letters[len(run)]:
            run.append(match.start(1))
            continue
        places += run if len(run) >= 3 else []
        run = [match.start(1)] if letter == letters[0] else []
    return frozenset(places + (run if len(run) >= 3 else []))


def _rules() -> tuple[tuple[tuple[str, Callable[[str, str, bool], Iterator[_Final]]], ...], ...]:
    # A function, and not a constant: a fingerprint follows the functions that a function names.
    return (
        (("boxed", _boxed), ("field", _after(FIELD)), ("final answer", _after(FINAL_CUE)), ("stated", _after(STATED))),
        (("answer", _after(CUE)),),
        (("verdict", _verdict),),
        (("alone", _alone),),
        (("line", _marked(LINE)),),
        (("emphasis", _marked(EMPHASIS)),),
        (("emphasis", _marked(PARENTHESISED)),),
    )
