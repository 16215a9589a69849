"""The builtin parsers as components: records, reasoning, options, and no text that makes one raise or hang."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.parsers import (
    PARSERS,
    ChoiceLetter,
    CodeText,
    Json,
    JsonIdentity,
    MathAnswer,
    Regex,
    Text,
)
from themis.pure.components.registry import make_builtin
from themis.pure.components.text.patterns import compiled, degree, longest_text
from themis.pure.errors import SpecError
from themis.pure.json import MAX_DEPTH
from themis.testing.single import parse_one

EVERY = [Regex(pattern=r"(\d+)") if make is Regex else make() for make in PARSERS]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("parser", EVERY, ids=lambda parser: parser.component_id)
@given(answer=JSON)
def test_no_parser_raises_on_any_answer(parser: Any, answer: Any) -> None:
    output = parse_one(parser, answer)
    if output.value is None:
        assert output.metadata["reason"]
    if output.metadata.get("invalid"):
        assert output.value is None


MARKS = st.sampled_from(
    ["<think>", "</think>", "```json\n", "```", "{", "}", "[", "]", '"', ":", "\\boxed{", "Answer: ", "A", "1", "\n"]
)


@pytest.mark.parametrize("parser", EVERY, ids=lambda parser: parser.component_id)
@given(parts=st.lists(MARKS, max_size=30))
def test_no_parser_raises_on_broken_marks(parser: Any, parts: list[str]) -> None:
    parse_one(parser, "".join(parts))


REASONED = '<think>Is it B? The number is 7. {"a": 1}\n```python\nx = 1\n```</think>\n'


@pytest.mark.parametrize(
    ("parser", "answer", "expected"),
    [
        (Text(), "hello", "hello"),
        (ChoiceLetter(), "Answer: C", "C"),
        (MathAnswer(), r"\boxed{9}", "9"),
        (CodeText(), "```python\ny = 2\n```", "y = 2\n"),
        (Json(), '{"b": 2}', {"b": 2}),
        (Regex(pattern=r"\d+"), "it is 12", "12"),
    ],
)
def test_reasoning_is_taken_out_first(parser: Any, answer: str, expected: Any) -> None:
    output = parse_one(parser, REASONED + answer)
    assert output.value == expected
    assert output.metadata["reasoning_stripped"] is True
    cut = parse_one(parser, REASONED.replace("</think>", ""))
    assert cut.value is None
    assert "cut off" in str(cut.metadata["reason"])


def test_reasoning_that_an_answer_only_speaks_of_stays() -> None:
    text = "Write `<think>` before your reasoning and `</think>` behind it."
    assert parse_one(Text(), text).value == text
    assert parse_one(Text(strip_reasoning=True), text).value != text
    assert parse_one(Text(strip_reasoning=False), "<think>x</think>y").value == "<think>x</think>y"
    with pytest.raises(SpecError, match="strip_reasoning must be True, False or 'auto', found 'yes'"):
        Text(strip_reasoning="yes")  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Sure: {"a": 1}.', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('First {"a": 0}, then\n```\n[1, 2]\n```', [1, 2]),
        ('Say {"text": "a } brace"}', {"text": "a } brace"}),
        ('{"a": 1} or rather {"a": 2}', {"a": 2}),
        ("I found [1, 2, 3].", [1, 2, 3]),
        ({"a": 1}, {"a": 1}),
        ("12", 12),
        ('"text"', "text"),
        ('```json\n{"a": 1}\n```\nIt prints:\n```\n3\n```', {"a": 1}),
        ('```json\n{"a": 1}\n```\n```python\n[1, 2]\n```', {"a": 1}),
        ('It is {"a": 1}. Run it:\n```\n3\n```', {"a": 1}),
        ('It is {"a": 1}.\n```bash\n[1]\n```', {"a": 1}),
        ('```JSON\n{"a": 1}\n```\n\n```json\n{"a": 2}\n```\n~~~\n{"b": 3}\n~~~', {"a": 2}),
        ('````json\n{"a": "```"}\n````\n```\n7\n```', {"a": "```"}),
        ("```\n3\n```", 3),
        ('```json\n"text"\n```', "text"),
    ],
)
def test_finds_json(answer: Any, expected: Any) -> None:
    assert parse_one(Json(), answer).value == expected


@given(
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from(["json", "JSON", "jsonc"]),
    st.lists(
        st.sampled_from(
            ["```\n3\n```", "```python\nprint(1)\n```", "```text\n[1]\n```", "Some [1] prose.", "~~~\nnull\n~~~"]
        )
    ),
)
def test_a_json_fence_is_never_lost_for_what_follows(value: Any, name: str, after: list[str]) -> None:
    text = "\n\n".join([f"```{name}\n{json.dumps(value)}\n```", *after])
    assert parse_one(Json(), text).value == value


def test_json_that_is_none() -> None:
    assert parse_one(Json(), '```json\n{"a": 1,}\n```\n```\n3\n```').metadata["invalid"] is True
    assert parse_one(Json(), "{'a': 1}").metadata["invalid"] is True
    assert parse_one(Json(), "no JSON at all").metadata == {"reason": "the answer holds no JSON"}
    assert parse_one(Json(), "null").value is None
    assert parse_one(Json(), "[" * (MAX_DEPTH + 5) + "]" * (MAX_DEPTH + 5)).value is None
    assert parse_one(JsonIdentity(), {"a": [1]}).value == {"a": [1]}
    assert parse_one(JsonIdentity(), None).value is None


def test_the_number_of_options_decides() -> None:
    assert parse_one(ChoiceLetter(options=4), "Answer: E").metadata["invalid"] is True
    assert parse_one(ChoiceLetter(options="ABCDE"), "Answer: E").value == "E"
    assert parse_one(ChoiceLetter(), "Answer: E", {"options": 4}).metadata["invalid"] is True
    assert parse_one(ChoiceLetter(multiple=True), "Answer: C and A").value == "AC"
    for wrong in (1, 27, "BCD", "", True):
        with pytest.raises(SpecError, match="options is how many"):
            ChoiceLetter(options=wrong)


def test_regex_takes_the_last_match_and_its_group() -> None:
    assert parse_one(Regex(pattern=r"score: (\d+)"), "score: 1, no, score: 2").value == "2"
    assert parse_one(Regex(pattern=r"score: (\d+)", group=0), "score: 1").value == "score: 1"
    assert parse_one(Regex(pattern=r"(?P<n>\d+)(x)?", group="n"), "12").value == "12"
    assert parse_one(Regex(pattern=r"\d(x)?"), "1").metadata["reason"] == "the group took no part in the match"
    assert "no match" in str(parse_one(Regex(pattern="z"), "a").metadata["reason"])
    with pytest.raises(SpecError, match="has no group 2"):
        Regex(pattern="(a)", group=2)
    with pytest.raises(SpecError, match="no regular expression"):
        Regex(pattern="(")


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "(a+)+b",
            "(a?a)*b",
            "(a|ab)*c",
            "([a-z]+,)*x",
            r"(\w+\s?)*$",
            "(a*)*",
            r"(.*)\1+",
            "(?i)(?:ab|Ab)*c",
            "(x+x+)+y",
        ),
        *("(?:()a|a)*x", "(?:|a)*x", "(?:(?=a)a|a)*x", r"(?:[\u0430-\u0432]x|[\u0431-\u0433]x)*y"),
        *(r"(?i)(?:[\u0430-\u0432]x|[\u0411-\u0413]x)*y", r"(?:[\u0400-\uffff]x|[\u0431-\u0433]x)*y"),
    ],
)
def test_exponential_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(SpecError, match="exponential time"):
        make_builtin("regex", pattern=pattern)


@pytest.mark.parametrize("pattern", ["(a++)+b", "(a|b)*c", "(?>a+)+b", r"(\d+)\s*/\s*(\d+)", r"answer:?\s*(.*)"])
def test_harmless_patterns_are_not(pattern: str) -> None:
    compiled(pattern)


def test_a_pattern_of_polynomial_time_reads_only_the_end() -> None:
    assert (degree("abc"), degree("a+b"), degree(".*.*x"), degree(r"\s*:\s*x"), degree(".*.*.*x")) == (0, 1, 2, 1, 3)
    long = "1" + " " * 3 * longest_text(".*.*x") + "2"
    output = parse_one(Regex(pattern=r".*?.*(\d)"), long)
    assert output.value == "2"
    assert output.metadata["read_from"] == len(long) - longest_text(r".*?.*(\d)")


UNITS = [
    "Answer: ",
    "(A) ",
    "A) x\n",
    "A ",
    "**A** ",
    "\\boxed{",
    "{",
    "}",
    "[",
    '"',
    "\\",
    "```python\n",
    "```\n",
    "    x = 1\n",
    "<think>",
    "</think>",
    "The answer is ",
    "1,",
    "1 ",
    "$",
    "####",
    "option A is not ",
    "[PYTHON]",
    "<code>",
    "def f():\n",
    "wait ",
    " ",
    "\n",
    "'''",
    "for a in b ",
    "and ",
    "A, ",
    "x, ",
    "aa ",
    "Word word, ",
]

TEXT_PARSERS = [parser for parser in EVERY if parser.component_id != "builtin/regex"]


def _time(read: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(3):
        start = thread_time()
        read(text)
        best = min(best, thread_time() - start)
    return best


def _growth(read: Callable[[str], object], unit: str) -> float:
    """Return how much longer eight times the text takes: 8 for linear work, 64 for quadratic; 0 for tiny times."""
    small, large = _time(read, unit * (4_000 // len(unit))), _time(read, unit * (32_000 // len(unit)))
    return large / small if large > 0.02 else 0.0


@pytest.mark.slow
@pytest.mark.parametrize("parser", TEXT_PARSERS, ids=lambda parser: parser.component_id)
def test_time_grows_with_the_length_and_not_faster(parser: Any) -> None:
    def read(text: str) -> object:
        return parse_one(parser, text)

    for unit in UNITS:
        # A busy machine may stretch one measurement, but hardly three in a row.
        assert any(_growth(read, unit) < 25 for _ in range(3)), unit


def test_the_measure_would_notice() -> None:
    slow = re.compile(r"(?:a+)b")
    assert _growth(slow.search, "a") > 25
