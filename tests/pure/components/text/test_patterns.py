"""The check of patterns against an engine that counts: what it says a pattern may cost is never less than it costs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis.pure.components.text.patterns import (
    LONGEST,
    _work,
    compiled,
    degree,
    longest_text,
)

# The parser of `re` is what the check reads, too.
from re import _constants as c  # type: ignore[attr-defined]  # isort: skip  # not in the stubs
from re import _parser  # type: ignore[attr-defined]  # isort: skip  # not in the stubs

MOST_STEPS = 400_000


class _TooManyStepsError(Exception):
    pass


class Engine:
    """A backtracking matcher that counts its steps: it tries all ways, as an engine does whose match fails at last."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = 0

    def ends(self, tree: Sequence[Any], start: int) -> Iterator[int]:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise _TooManyStepsError
        if not tree:
            yield start
            return
        (op, argument), rest = tree[0], tree[1:]
        for end in self.one(op, argument, start):
            yield from self.ends(rest, end)

    def one(self, op: Any, argument: Any, start: int) -> Iterator[int]:  # noqa: C901  # one branch a node
        if op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            if start < len(self.text) and self.fits(op, argument, self.text[start]):
                yield start + 1
        elif op in (c.MAX_REPEAT, c.MIN_REPEAT):
            low, high, body = argument
            yield from self.repeated(low, high, body, start)
        elif op is c.SUBPATTERN:
            yield from self.ends([*argument[3]], start)
        elif op is c.BRANCH:
            for branch in argument[1]:
                yield from self.ends([*branch], start)
        elif op is c.ATOMIC_GROUP:
            yield from [*self.ends([*argument], start)][:1]
        elif op is c.POSSESSIVE_REPEAT:
            low, high, body = argument
            yield from self.possessive(low, high, body, start)
        elif op is c.AT:
            if argument is not c.AT_END or start == len(self.text):
                yield start
        elif op is c.GROUPREF:
            yield from range(start, len(self.text) + 1)  # whatever the group may have held
        elif op is c.GROUPREF_EXISTS:
            for branch in argument[1:]:
                yield from self.ends([*(branch or [])], start)
        else:
            assert op in (c.ASSERT, c.ASSERT_NOT)
            found = [*self.ends([*argument[1]], start)]  # one that looks back reads as much
            if bool(found) is (op is c.ASSERT):
                yield start

    def fits(self, op: Any, argument: Any, char: str) -> bool:
        if op is c.IN:
            return any(
                value[0] <= ord(char) <= value[1] if kind is c.RANGE else value == ord(char) for kind, value in argument
            )
        return op is c.ANY or (chr(argument) == char) == (op is c.LITERAL)

    def repeated(self, low: int, high: int, body: Any, start: int) -> Iterator[int]:
        if high > 0:
            for end in self.ends([*body], start):
                if end > start or low > 0:  # an empty turn is not repeated
                    yield from self.repeated(max(0, low - 1), high - 1, body, end)
        if low == 0:
            yield start

    def possessive(self, low: int, high: int, body: Any, start: int) -> Iterator[int]:
        count, end = 0, start
        while count < high:
            found = next(iter([*self.ends([*body], end)]), None)
            if found is None or found == end:
                break
            count, end = count + 1, found
        if count >= low:
            yield end


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeats = ["*", "+", "?", "*?", "{0,3}", "{2}", "{1,2}", "{2,}", "*+", "?+"]
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, st.sampled_from(repeats)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda body: f"(?>{body})"),
        inner.map(lambda body: f"(?={body})"),
        inner.map(lambda body: f"({body})"),
        inner.map(lambda body: f"(?!{body})"),
        inner.map(lambda body: rf"({body})\1"),
        st.tuples(inner, inner).map(lambda pair: f"(a)?(?(1){pair[0]}|{pair[1]})"),
    )


def _numbered(pattern: str) -> str:
    """Let each reference to a group name the last one that stands before it."""
    parts = re.split(r"(\\1|\(\?\(1\))", pattern)
    for at in range(1, len(parts), 2):
        groups = re.compile(r"\((?!\?)").findall("".join(parts[:at]))
        parts[at] = parts[at].replace("1", str(len(groups)))
    return "".join(parts)


patterns = st.recursive(st.sampled_from(["a", "b", "[ab]", ".", "[^b]", "", "a*", "ab"]), _larger, max_leaves=7)


@given(
    pattern=patterns,
    end=st.sampled_from(["z", "z", "$", "", "(?!b)", "(?:z|a)"]),
    word=st.sampled_from(["a", "b", "ab", "ba", "aab", "abb"]),
    count=st.integers(4, 30),
)
@example(pattern="a*a*", end="$", word="a", count=30)
@example(pattern="(?:a*a*z|c)", end="", word="a", count=30)
@example(pattern="(a)?(?(1)a*a*z|c)", end="", word="a", count=30)
@example(pattern="(?:a*a*z){0,3}", end="", word="a", count=30)
def test_no_pattern_that_is_let_through_costs_more_than_is_said(pattern: str, end: str, word: str, count: int) -> None:
    pattern = _numbered(pattern) + end
    try:
        compiled(pattern)
    except ValueError:
        return
    work = _work(pattern)
    text = (word * count)[:count] + "!"
    engine, tree = Engine(text), [*_parser.parse(pattern)]
    said = 40 * len(pattern) * work.ways * work.steps(count + 1)
    try:
        for start in range(len(text) + 1):
            next(engine.ends(tree, start), None)
    except _TooManyStepsError:
        assert said > MOST_STEPS, f"{pattern!r} takes more than {MOST_STEPS} steps for {text!r}; {said} are said"
    else:
        assert engine.steps <= said, f"{pattern!r} takes {engine.steps} steps for {text!r}; {said} are said"


@pytest.mark.parametrize(
    ("pattern", "powers"),
    [
        ("a*b*a*x", 2),
        ("(?:a*){0,3}x", 3),
        ("(?:ab)*ab(?:ab)*x", 2),
        ("(?=.*.*y)z", 2),
        ("(?>.*.*y)z", 2),
        (r"(.*)\1x", 2),
        (r"(.*)\1", 2),
        ("a*a*$", 2),
        (r"a*a*\b", 2),
        ("(?:a*a*b|c)", 2),
        ("(?:a*a*b){0,3}", 2),
        ("(a)?(?(1)a*a*b|c)", 2),
    ],
)
def test_what_hands_text_to_each_other_is_counted(pattern: str, powers: int) -> None:
    assert degree(pattern) >= powers


@pytest.mark.parametrize("pattern", ["(?:(?:a{0,9}){0,9}){0,9}x", "(?:a|a){16}(?:a|a){16}x", "a?" * 30 + "x"])
def test_too_many_ways_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="too many"):
        compiled(pattern)


@pytest.mark.parametrize("pattern", ["(?:(?=a{5000})a)*c", "(?:a(?<=a{5000}))*c", "(?:(?!(?:a{16}){16})a)*c"])
def test_long_look_arounds_at_each_turn_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="look-around"):
        compiled(pattern)


def test_what_must_match_at_each_start_shortens_what_is_read() -> None:
    assert longest_text("(?:(?:a{16}){16}){16}b") < longest_text("a{16}b") == LONGEST
    assert longest_text("a(?:(?:a{16}){16}){16}b*c") < longest_text("ab*c")


def test_starts_that_can_not_overlap_are_counted_apart() -> None:
    assert longest_text("abcd.*z") > 1.5 * longest_text("aaaa.*z")


COMMON = [
    r"answer:?\s*(?:is\s+)?\(?([A-D])\)?",
    r"(?i)final answer\s*[:=]\s*(.+?)\s*$",
    r"\\boxed\{([^{}]*)\}",
    r"####\s*(-?[\d,]+(?:\.\d+)?)",
    r"(-?\d{1,3}(?:,\d{3})*(?:\.\d+)?)\s*(?:%|percent)?",
    r"<answer>(.*?)</answer>",
    r"(?:ответ|Ответ):?\s*([\u0410-\u044f]+)",
    r"(\d{4})-(\d{2})-(\d{2})",
    r"(?m)^\s*[-*]\s+(.*)$",
    r"\b(yes|no|true|false)\b",
]


@pytest.mark.parametrize("pattern", COMMON)
def test_common_patterns_read_long_answers(pattern: str) -> None:
    compiled(pattern)
    assert longest_text(pattern) >= 450


def test_the_check_takes_no_time_itself() -> None:
    for pattern in ("(?:" * 60 + "a" + "{0,16})" * 60 + "x", "a?" * 2_000 + "x", "[\u0400-\uffff]*" * 20 + "x"):
        with contextlib.suppress(ValueError):
            assert re.compile(pattern) is compiled(pattern)
