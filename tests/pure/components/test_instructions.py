"""IFEval's instructions: each rule with what follows it and what does not, and what loose and strict have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("langdetect", reason="pip install 'themis-evals[ifeval]'")
pytest.importorskip("nltk", reason="pip install 'themis-evals[ifeval]'")
pytest.importorskip("punkt", reason="pip install 'themis-evals[ifeval]'")

from themis.pure.components.instructions import RULES, InstructionFollowing, follows, instruction_faults
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput
from themis.pure.records.scoring import Score, ScoreError

WORD = st.text(alphabet="abcdefgh", min_size=1, max_size=6)
PLAIN = st.lists(WORD, min_size=1, max_size=12).map(" ".join)
"""Words in lower case without any mark."""
COUNT = st.integers(1, 6)
RELATION = st.sampled_from(["less than", "at least"])
ENGLISH = "This is a plain English sentence about the weather, and here comes another one about tea."


def kept(count: int, relation: str, bound: int) -> bool:
    return count < bound if relation == "less than" else count >= bound


# --- keywords ---------------------------------------------------------------------------------------------


@given(st.lists(WORD, min_size=1, max_size=4), PLAIN, st.randoms())
def test_keywords_exist_in_any_case_and_order(keywords: list[str], text: str, random: Any) -> None:
    there = [word.upper() if random.random() < 0.5 else f"x{word}x" for word in keywords]
    random.shuffle(there)
    assert follows(f"{text} {' '.join(there)}", "keywords:existence", {"keywords": keywords})
    assert not follows(f"{text} {' '.join(there)}", "keywords:existence", {"keywords": [*keywords, "zz"]})


@given(st.integers(0, 6), RELATION, COUNT)
def test_a_keyword_is_counted_also_within_words(times: int, relation: str, bound: int) -> None:
    text = "other " + " ".join(["Zeitgeist", "myzeitz"][place % 2] for place in range(times))
    given_ = {"keyword": " zeit", "frequency": bound, "relation": relation}
    assert follows(text, "keywords:frequency", given_) == kept(times, relation, bound)


def test_a_keyword_is_a_text_and_no_pattern() -> None:
    assert not follows("abc", "keywords:existence", {"keywords": ["a.c"]})
    assert follows("costs $5 (net)", "keywords:existence", {"keywords": ["$5", "(net)"]})


@given(WORD)
def test_forbidden_words_are_whole_words(word: str) -> None:
    given_ = {"forbidden_words": [word]}
    assert not follows(f"say {word.upper()}!", "keywords:forbidden_words", given_)
    assert follows(f"say x{word}, {word}y and {word}_z", "keywords:forbidden_words", given_)


@given(st.integers(0, 9), RELATION, COUNT, st.sampled_from("qQ#!"))
def test_a_letter_is_counted_in_any_case_and_a_mark_as_it_is(
    times: int, relation: str, bound: int, letter: str
) -> None:
    text = "word " + "".join(letter.upper() if place % 2 else letter.lower() for place in range(times))
    given_ = {"letter": letter, "let_frequency": bound, "let_relation": relation}
    assert follows(text, "keywords:letter_frequency", given_) == kept(times, relation, bound)


# --- language and case ------------------------------------------------------------------------------------

SAID = {
    "de": "Das ist ein gewöhnlicher Satz über das Wetter, und gleich kommt noch einer hinterher.",
    "pt": "Esta é uma frase simples sobre o tempo e depois dela vem mais uma frase.",
    "ru": "Это обычное предложение о погоде, а за ним последует ещё одно.",  # noqa: RUF001  # Russian
    "hi": "यह मौसम के बारे में एक साधारण वाक्य है और इसके बाद एक और वाक्य आता है।",
    "ko": "이것은 날씨에 관한 평범한 문장이고 그 뒤에 또 하나의 문장이 옵니다.",
    "en": ENGLISH,
}


@pytest.mark.parametrize("language", SAID)
def test_languages_are_told_apart(language: str) -> None:
    for other, text in SAID.items():
        assert follows(text, "language:response_language", {"language": language}) == (language == other)


def test_a_text_without_a_language_counts_as_any() -> None:
    assert follows("12 34 !!", "language:response_language", {"language": "sw"})
    assert not follows("12 34 !!", "change_case:english_capital", {})  # it has no letter that is a capital


@settings(max_examples=20)
@given(st.integers(0, len(ENGLISH) - 1))
def test_case_is_that_of_the_whole_answer(place: int) -> None:
    upper, lower = ENGLISH.upper(), ENGLISH.lower()
    assert follows(upper, "change_case:english_capital", {})
    assert follows(lower, "change_case:english_lowercase", {})
    if ENGLISH[place].isalpha():
        for text, name in ((upper, "change_case:english_capital"), (lower, "change_case:english_lowercase")):
            assert not follows(text[:place] + text[place].swapcase() + text[place + 1 :], name, {})
    assert not follows(SAID["de"].upper(), "change_case:english_capital", {})
    assert not follows(SAID["de"].lower(), "change_case:english_lowercase", {})


@given(st.integers(0, 5), RELATION, COUNT)
def test_words_in_capitals(times: int, relation: str, bound: int) -> None:
    capitals = ["TEA", "I", "STATE-OF-THE-ART", "A", "O'NEIL"][:times]
    text = f"we Drink {' '.join(capitals)} now"
    given_ = {"capital_frequency": bound, "capital_relation": relation}
    assert follows(text, "change_case:capital_word_frequency", given_) == kept(times, relation, bound)


# --- length -----------------------------------------------------------------------------------------------


@given(st.integers(1, 6), RELATION, COUNT)
def test_sentences_are_not_ended_by_abbreviations(times: int, relation: str, bound: int) -> None:
    text = " ".join(["Dr. Smith went home.", "It was late!", "Why?"][place % 3] for place in range(times))
    given_ = {"num_sentences": bound, "relation": relation}
    assert follows(text, "length_constraints:number_sentences", given_) == kept(times, relation, bound)


@given(st.lists(WORD, min_size=1, max_size=9), RELATION, COUNT)
def test_words(words: list[str], relation: str, bound: int) -> None:
    given_ = {"num_words": bound, "relation": relation}
    for joined in (" ".join(words), ", ".join(words), "-".join(words)):
        assert follows(joined, "length_constraints:number_words", given_) == kept(len(words), relation, bound)


@given(st.lists(PLAIN, min_size=1, max_size=5), st.booleans(), COUNT)
def test_paragraphs_between_asterisks(paragraphs: list[str], ends: bool, bound: int) -> None:
    text = "\n***\n".join(["", *paragraphs, " "] if ends else paragraphs)
    name = "length_constraints:number_paragraphs"
    assert follows(text, name, {"num_paragraphs": bound}) == (len(paragraphs) == bound)
    assert not follows(f"a\n***\n \n***\n{text}", name, {"num_paragraphs": len(paragraphs) + 1})


@given(st.lists(PLAIN, min_size=1, max_size=5), st.data())
def test_the_first_word_of_a_paragraph(paragraphs: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(paragraphs)))
    name = "length_constraints:nth_paragraph_first_word"
    first = paragraphs[place - 1].split()[0]
    marked = data.draw(st.sampled_from(["{}", "'{}'", '"{}"', "{}.", "{}!?", "{}'s"]))
    written = [*paragraphs]
    written[place - 1] = marked.format(first.upper()) + " and more"
    text = "\n\n".join(written)
    given_ = {"num_paragraphs": len(paragraphs), "nth_paragraph": place, "first_word": first.upper()}
    assert follows(text, name, given_)
    assert not follows(text, name, {**given_, "first_word": f"{first}z"})
    assert not follows(text, name, {**given_, "num_paragraphs": len(paragraphs) + 1})
    assert not follows(f"{text}\n\nmore", name, given_)
    assert not follows(text, name, {**given_, "nth_paragraph": len(paragraphs) + 1})
    blank = f"\n\n{text}"  # the blank one takes a place and counts nothing
    assert not follows(blank, name, {**given_, "nth_paragraph": 1})
    if place < len(paragraphs):
        assert follows(blank, name, {**given_, "nth_paragraph": place + 1})


# --- content and form -------------------------------------------------------------------------------------


@given(st.integers(0, 5), COUNT)
def test_placeholders_stand_on_one_line(times: int, bound: int) -> None:
    text = "a [not\nclosed] " + " ".join("[name [x]" for _ in range(times))
    assert follows(text, "detectable_content:number_placeholders", {"num_placeholders": bound}) == (times >= bound)


@pytest.mark.parametrize(
    ("marker", "right", "wrong"),
    [
        ("P.S.", ["P.S. More", "text p. s. more", "P.P.S. More"], ["PS more", "P.S more"]),
        ("P.P.S", ["P.P.S More", "p. p. s more", "P.P.S."], ["P.S. more", "PPS"]),
        ("Note:", ["a note: b"], ["a note b"]),
    ],
)
def test_postscripts(marker: str, right: list[str], wrong: list[str]) -> None:
    given_ = {"postscript_marker": marker}
    assert all(follows(text, "detectable_content:postscript", given_) for text in right)
    assert not any(follows(text, "detectable_content:postscript", given_) for text in wrong)


@given(st.lists(st.sampled_from(["* a", "- b", "  * c", "\t-d", "**bold** e", "f", "", "1. g", "*", " "]), max_size=9))
@example(["*", "* a"])
@example(["*", "- b", "*"])
def test_bullets_are_those_of_the_published_pattern(lines: list[str]) -> None:
    text = "\n".join(["x", *lines])
    stars, dashes = r"^\s*\*[^\*].*$", r"^\s*-.*$"
    count = sum(len(re.findall(pattern, text, flags=re.MULTILINE)) for pattern in (stars, dashes))
    for bound in range(12):
        assert follows(text, "detectable_format:number_bullet_lists", {"num_bullets": bound}) == (count == bound)


@given(st.sampled_from(["yes", "no", "maybe"]), PLAIN)
def test_constrained_answers(word: str, text: str) -> None:
    assert follows(f"{text} My answer is {word}.", "detectable_format:constrained_response", {})
    assert not follows(f"{text} my answer is {word}.", "detectable_format:constrained_response", {})
    assert not follows(f"{text} My answer is {word}", "detectable_format:constrained_response", {})


@given(st.lists(st.sampled_from(["*a b*", "plain", "* *"]), min_size=1, max_size=5), COUNT)
def test_highlighted_parts(parts: list[str], bound: int) -> None:
    followed = follows(" . ".join(parts), "detectable_format:number_highlighted_sections", {"num_highlights": bound})
    assert followed == (parts.count("*a b*") >= bound)


def test_bold_parts_are_highlighted_once() -> None:
    assert follows("**a** and *b*", "detectable_format:number_highlighted_sections", {"num_highlights": 2})
    assert not follows("**a** and *b*", "detectable_format:number_highlighted_sections", {"num_highlights": 3})
    assert not follows("*a\nb* ** **", "detectable_format:number_highlighted_sections", {"num_highlights": 1})


@given(st.integers(0, 4), COUNT, st.sampled_from(["Section", "DAY", "PARAGRAPH"]))
def test_sections(times: int, bound: int, word: str) -> None:
    text = "intro\n" + "\n".join(f"{word} {number}\ntext" for number in range(1, times + 1))
    given_ = {"section_spliter": word, "num_sections": bound}
    assert follows(text, "detectable_format:multiple_sections", given_) == (times >= bound)
    assert not follows(text.swapcase(), "detectable_format:multiple_sections", given_)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_may_stand_in_a_fence(value: Any) -> None:
    text = json.dumps(value)
    for opening in ("```json\n", "```JSON\n", "```\n"):
        assert follows(f"{opening}{text}\n```", "detectable_format:json_format", {})
    assert follows(f" {text}\n", "detectable_format:json_format", {})
    assert not follows(f"Here: {text}", "detectable_format:json_format", {})


def test_deep_json_is_no_crash() -> None:
    assert isinstance(follows("[" * 100_000, "detectable_format:json_format", {}), bool)


@given(PLAIN)
def test_titles(title: str) -> None:
    assert follows(f"x\n<<{title}>>\ny", "detectable_format:title", {})
    for text in (f"<{title}>", f"<<{title}\n>>", "<< >>", "<<>>", f">>{title}<<", f"<<{title}"):
        assert not follows(text, "detectable_format:title", {})


@given(PLAIN, PLAIN)
def test_two_responses_differ(first: str, second: str) -> None:
    name = "combination:two_responses"
    assert follows(f"{first}\n******\n{second}", name, {}) == (first != second)
    assert follows(f"******\n{first}x******{first}y\n******\n", name, {})
    assert not follows(f"{first}\n******\n{second}\n******\nthird", name, {})
    assert not follows(first, name, {})


@given(PLAIN, PLAIN)
def test_the_request_is_repeated_first(request: str, answer: str) -> None:
    name = "combination:repeat_prompt"
    assert follows(f"\n{request.upper()}\n{answer}", name, {"prompt_to_repeat": f"{request} "})
    assert not follows(f"Sure! {request} {answer}", name, {"prompt_to_repeat": request})


@given(PLAIN, PLAIN)
def test_the_phrase_at_the_end(answer: str, phrase: str) -> None:
    name = "startend:end_checker"
    assert follows(f'"{answer} {phrase.upper()}"\n', name, {"end_phrase": f" {phrase}"})
    assert not follows(f"{answer} {phrase}.", name, {"end_phrase": phrase})


@given(PLAIN)
def test_quotes_around_all(answer: str) -> None:
    assert follows(f' "{answer}"\n', "startend:quotation", {})
    for text in (answer, f'"{answer}', f'{answer}"', f"'{answer}'", f"“{answer}”", '"'):
        assert not follows(text, "startend:quotation", {})


@given(PLAIN, st.integers(0, 200))
def test_no_comma(answer: str, place: int) -> None:
    assert follows(answer, "punctuation:no_comma", {})
    assert follows(f"{answer}、", "punctuation:no_comma", {})
    assert not follows(answer[:place] + "," + answer[place:], "punctuation:no_comma", {})


# --- all of them ------------------------------------------------------------------------------------------

ARGUMENTS: Mapping[str, Any] = {
    "text": "tea",
    "texts": ["tea"],
    "number": 1,
    "relation": "at least",
}


def arguments_of(instruction: str) -> dict[str, Any]:
    return {name: ARGUMENTS[kind] for name, kind in RULES[instruction].needs.items()}


def test_there_are_the_25_of_the_paper() -> None:
    assert len(RULES) == 25


@pytest.mark.parametrize("instruction", RULES)
@settings(max_examples=30)
@given(answer=st.text() | st.lists(st.sampled_from(["*", "\n", "a", '"', ", ", "[x]", "***", "Tea."])).map("".join))
def test_what_is_followed_strictly_is_followed_loosely(instruction: str, answer: str) -> None:
    given_ = arguments_of(instruction)
    strict, loose = follows(answer, instruction, given_), follows(answer, instruction, given_, loose=True)
    assert loose or not strict
    assert strict == follows(answer, instruction, given_)
    if not answer.strip():
        assert not strict


@pytest.mark.parametrize("instruction", RULES)
def test_an_empty_answer_follows_nothing(instruction: str) -> None:
    for answer in ("", " \n"):
        assert not follows(answer, instruction, arguments_of(instruction), loose=True)


@pytest.mark.parametrize(
    "answer",
    ["Sure, here it is:\nno commas", "no commas\nHope, that helps", "Sure,\nno commas\nBye, now", "no commas"],
)
def test_a_line_before_and_behind_is_forgiven(answer: str) -> None:
    assert follows(answer, "punctuation:no_comma", {}, loose=True)
    assert not follows(f"one,\ntwo,\n{answer}\n", "punctuation:no_comma", {}, loose=True)


def test_asterisks_are_forgiven() -> None:
    given_ = {"end_phrase": "the end"}
    assert not follows("And so, **the end**", "startend:end_checker", given_)
    assert follows("And so, **the end**", "startend:end_checker", given_, loose=True)


@pytest.mark.parametrize("instruction", [name for name, rule in RULES.items() if rule.needs])
def test_what_an_instruction_must_state_is_named(instruction: str) -> None:
    whole = arguments_of(instruction)
    assert instruction_faults(instruction, whole) == []
    for name in whole:
        for wrong in ({**whole, name: None}, {**whole, name: {}}, {key: whole[key] for key in whole if key != name}):
            [fault] = instruction_faults(instruction, wrong)
            assert fault.startswith(f"{instruction}: {name}: ")


# --- the metric -------------------------------------------------------------------------------------------


def outcome(metric: InstructionFollowing, answer: Any, expected: Any) -> Score | ScoreError:
    case, parsed = Case(case_id="a", input="x", expected_output=expected), ParsedOutput(value="what a parser left")
    ctx = ScoreContext(
        run_id="r",
        case=case,
        parsed_output=parsed,
        dataset_id="d",
        case_key="d/a",
        candidate=GenerationResult(candidate_id="a:0", final_output=answer),
    )
    return metric.score(parsed, case, ctx)


TWO = {
    "instructions": [
        {"id": "punctuation:no_comma", "kwargs": {"num_words": None}},
        {"id": "startend:quotation", "kwargs": None},
    ]
}


@pytest.mark.parametrize(
    ("answer", "strict", "loose", "share", "loose_share"),
    [
        ('"tea"', 1, 1, 1, 1),
        ("tea", 0, 0, 0.5, 0.5),
        ('Sure,\n"tea"', 0, 1, 0, 1),
        ("a, b", 0, 0, 0, 0),
        ('<think>yes, no</think>\n"tea"', 1, 1, 1, 1),
    ],
)
def test_prompt_and_instruction_level(
    answer: str, strict: float, loose: float, share: float, loose_share: float
) -> None:
    expected = [strict, loose, share, loose_share]
    metrics = [
        InstructionFollowing(level=level, loose=how) for level in ("prompt", "instruction") for how in (False, True)
    ]
    found = [outcome(metric, answer, TWO) for metric in metrics]
    assert [score.value for score in found if isinstance(score, Score)] == expected
    assert all(isinstance(score, Score) and score.details["instructions"] == 2 for score in found)


def test_a_reference_without_instructions_or_with_unknown_ones_is_an_error() -> None:
    wrong: tuple[Any, ...] = (None, "text", {}, {"instructions": []}, {"instructions": [{"id": "no:such"}]})
    for expected in wrong:
        assert isinstance(outcome(InstructionFollowing(), "tea", expected), ScoreError)
