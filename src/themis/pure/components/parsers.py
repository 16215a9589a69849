"""The builtin parsers: from an answer to the value that metrics score.

Rules that hold for all of them: what is not found is `value=None` with a reason in the metadata; what is found and
can't be used (it contradicts itself, say) is marked `invalid` besides. Neither is scored. No parser raises,
whatever the answer is. Parsers of text read an answer that is no text as its compact JSON, and first take out the
model's reasoning as `strip_reasoning` says (see `TextParser`).
"""

from __future__ import annotations

from collections import deque
from string import ascii_uppercase
from typing import Any, Final, Literal

import attrs

from themis.pure.components.text.choice import choice_letter
from themis.pure.components.text.code import code_text
from themis.pure.components.text.extraction import Extraction
from themis.pure.components.text.json_text import json_value
from themis.pure.components.text.math_answer import math_answer
from themis.pure.components.text.patterns import compiled, longest_text
from themis.pure.components.text.reasoning import Answer, begins_with_reasoning, strip_reasoning
from themis.pure.errors import SpecError
from themis.pure.records.contexts import ParseContext
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.records.prompt import text_of

Stripping = bool | Literal["auto"]

MOST_OPTIONS: Final = "ABCDEFGHIJ"
"""The options of a multiple-choice question, where nothing says how many there are."""


def _stripping(instance: Any, attribute: Any, value: object) -> None:
    if value not in (True, False, "auto"):
        raise SpecError(f"{instance.component_id}: strip_reasoning must be True, False or 'auto', found {value!r}")


@attrs.frozen
class TextParser:
    """What the parsers of text share: `strip_reasoning` says whether a model's reasoning is taken out first.

    `True` takes out every reasoning block; `"auto"`, unless stated, does so only where a line begins with one or the
    prompt had begun one, so that an answer that speaks of such marks stays whole; `False` takes out nothing.
    """

    strip_reasoning: Stripping = attrs.field(default="auto", validator=_stripping, kw_only=True)


def read(candidate: ReducedCandidate, stripping: Stripping) -> Answer:
    """Return the text of an answer, without the model's reasoning; what is no text is read as its compact JSON."""
    text = text_of(candidate.final_output)
    if stripping is True or (stripping == "auto" and begins_with_reasoning(text)):
        return strip_reasoning(text)
    return Answer(text)


def parsed(answer: Answer, found: Extraction[Any], format: str) -> ParsedOutput:  # noqa: A002  # the record's name
    """Return what an extraction came to as the record that the stage needs."""
    metadata: dict[str, Any] = {"rule": found.rule} if found.rule else {}
    if answer.stripped:
        metadata["reasoning_stripped"] = True
    if found.value is None:
        cut = answer.unclosed and not answer.text
        metadata["reason"] = "the reasoning never ends: the answer was cut off before it began" if cut else found.reason
    if found.invalid:
        metadata["invalid"] = True
    return ParsedOutput(value=found.value, format=format, metadata=metadata)


@attrs.frozen
class JsonIdentity:
    """Takes the answer as it is, whatever JSON it is."""

    component_id: str = "builtin/json_identity"
    version: str = "1"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        if candidate.final_output is None:
            return ParsedOutput(value=None, format="json", metadata={"reason": "the answer is null"})
        return ParsedOutput(value=candidate.final_output, format="json")


@attrs.frozen
class Json(TextParser):
    """Finds the JSON in an answer: all of it, the last fence marked `json`, or the last object or array.

    The rules: `text.json_text`.
    An answer that is JSON and no text already is taken as it is. Nothing is repaired: an object that is opened and
    is no valid JSON is invalid.
    """

    component_id: str = "builtin/json"
    version: str = "2"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the value; `null` counts as nothing."""
        if not isinstance(candidate.final_output, str) and candidate.final_output is not None:
            return ParsedOutput(value=candidate.final_output, format="json")
        answer = read(candidate, self.strip_reasoning)
        found = json_value(answer.text)
        if found.value is None and not found.reason:
            found = Extraction(None, found.rule, reason="the answer is null")
        return parsed(answer, found, "json")


@attrs.frozen
class Text(TextParser):
    """Takes the answer as text without blanks around it; other JSON becomes its compact encoding."""

    component_id: str = "builtin/text"
    version: str = "2"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the text; an empty one, or `null`, is nothing."""
        answer = read(candidate, self.strip_reasoning)
        text = answer.text.strip() if candidate.final_output is not None else ""
        return parsed(answer, Extraction(text or None, reason="" if text else "the answer is empty"), "text")


def _options(instance: Any, attribute: Any, value: object) -> None:
    capitals = isinstance(value, str) and len(value) > 1 and ascii_uppercase.startswith(value)
    number = isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= 26
    if not (value is None or capitals or number):
        raise SpecError(
            f"{instance.component_id}: options is how many there are (2 to 26), or their letters from A on (such as "
            f"'ABCD'), found {value!r}"
        )


@attrs.frozen
class ChoiceLetter(TextParser):
    """Reads which option a multiple-choice answer chooses, as a capital letter (the rules: `text.choice`).

    Options: `options`, how many there are or their letters (else the context's metadata `options`, else A to J);
    `multiple`, several may be chosen together, and the value is all their letters in order, such as `AC`.
    """

    options: int | str | None = attrs.field(default=None, validator=_options)
    multiple: bool = False
    component_id: str = "builtin/choice_letter"
    version: str = "3"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the letter; several different finals, or a letter beyond the options, are invalid."""
        answer = read(candidate, self.strip_reasoning)
        letters = _letters(self.options if self.options is not None else ctx.metadata.get("options"))
        return parsed(answer, choice_letter(answer.text, letters, multiple=self.multiple), "choice")


def _letters(options: object) -> str:
    if isinstance(options, str) and options and ascii_uppercase.startswith(options):  # metadata may hold their texts
        return options
    if isinstance(options, int) and 2 <= options <= 26:
        return ascii_uppercase[:options]
    return MOST_OPTIONS


@attrs.frozen
class MathAnswer(TextParser):
    r"""Reads the final answer of a worked problem as it is written: `\boxed{}`, "answer is", the last number.

    The rules: `text.math_answer`. `builtin/numeric_match` and `builtin/math_equivalence` read what it returns.
    """

    component_id: str = "builtin/math_answer"
    version: str = "2"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the answer's LaTeX or text; an unclosed or empty box, or finals that differ, are invalid."""
        answer = read(candidate, self.strip_reasoning)
        return parsed(answer, math_answer(answer.text), "math")


@attrs.frozen
class CodeText(TextParser):
    """Reads the program out of an answer: the right fence of several, code without a fence, or code in prose.

    Option: `language`, which of several programs is wanted (`python`, `cpp`, `java`, `javascript`, `go`, `rust`, ...).
    Of several in Python, the one that defines the context's metadata `entry_point` counts, where that is there.
    """

    language: str = "python"
    component_id: str = "builtin/code_text"
    version: str = "3"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the program, which ends with one line break."""
        answer = read(candidate, self.strip_reasoning)
        name = ctx.metadata.get("entry_point")
        found = code_text(answer.text, self.language, name if isinstance(name, str) else None)
        return parsed(answer, found, "code")


def _pattern(instance: Any, attribute: Any, value: Any) -> None:
    try:
        compiled(str(value))
    except ValueError as error:
        raise SpecError(f"{instance.component_id}: pattern {value!r}: {error}") from error


@attrs.frozen
class Regex(TextParser):
    """Reads what the last match of a pattern holds.

    Options: `pattern` (Python's `re`, flags inside as `(?im)`), `group` (number or name; 0 is the whole match; unless
    stated, the first group if there is one). The engine can't be interrupted: a pattern that could take exponential
    time is refused, and one of polynomial time reads only the end of a long answer (see `text.patterns`), as
    `read_from` in the metadata then says.
    """

    pattern: str = attrs.field(validator=_pattern)
    group: int | str | None = None
    component_id: str = "builtin/regex"
    version: str = "3"

    def __attrs_post_init__(self) -> None:
        known = compiled(self.pattern)
        names = [*range(known.groups + 1), *known.groupindex]
        if self.group is not None and (isinstance(self.group, bool) or self.group not in names):
            raise SpecError(
                f"{self.component_id}: pattern {self.pattern!r} has no group {self.group!r}; it has {names}"
            )

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the group's text; a group that took no part in the match is nothing."""
        answer = read(candidate, self.strip_reasoning)
        start = max(0, len(answer.text) - longest_text(self.pattern))
        output = parsed(answer, self._found(answer.text, start), "text")
        return output.evolve(metadata={**output.metadata, "read_from": start}) if start else output

    def _found(self, text: str, start: int) -> Extraction[str]:
        known = compiled(self.pattern)
        matches = deque(known.finditer(text, start), maxlen=1)
        if not matches:
            return Extraction(None, reason=f"the answer has no match of {self.pattern!r}")
        (last,) = matches
        value = last[self.group if self.group is not None else min(known.groups, 1)]
        return Extraction(value, reason="the group took no part in the match" if value is None else "")


PARSERS: Final[tuple[Any, ...]] = (ChoiceLetter, CodeText, Json, JsonIdentity, MathAnswer, Regex, Text)
