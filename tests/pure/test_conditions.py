"""Conditions on cases: what they mean, held against a meaning told otherwise, and what is said of wrong ones."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.core import SpecError
from themis.pure.conditions import read_condition

CASE: dict[str, Any] = {"topic": "law", "level": 3, "text_level": "3", "hard": True, "tags": ["a", "b"], "none": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("topic = 'law'", True),
        ('topic == "law"', True),
        ("topic != 'art'", True),
        ("topic <> 'law'", False),
        ("level > 2 and level <= 3", True),
        ("level < 3 or topic = 'law' and hard", True),
        ("(level < 3 or topic = 'law') and not hard", False),
        ("not not hard", True),
        ("hard = true", True),
        ("HARD = true", False),
        ("hard", True),
        ("level", False),
        ("text_level = 3", True),
        ("text_level > 2.5", True),
        ("text_level > '10'", True),
        ("level = '3'", True),
        ("level = 'three'", False),
        ("level != 'three'", True),
        ("level > 'two'", False),
        ("hard > 0", False),
        ("hard = 1", False),
        ("level = -3", False),
        ("level < 1e3", True),
        ("level = 3.0", True),
        ("topic in ('law', 'art')", True),
        ("topic not in ('art')", True),
        ("level in (1, 2, '3')", True),
        ("tags contains 'b'", True),
        ("'b' in tags", True),
        ("'c' not in tags", True),
        ("topic contains 'LA'", True),
        ("'aw' in topic", True),
        ("topic not contains 'x'", True),
        ("level contains '3'", False),
        ("none is null", True),
        ("missing is null", True),
        ("missing = null", True),
        ("missing != 'law'", True),
        ("missing > 1", False),
        ("topic is not null", True),
        ("`topic` = 'law'", True),
        ("topic = 'l''aw'", False),
        ("NOT topic = 'law' OR LEVEL is NULL", True),
    ],
)
def test_what_conditions_mean(text: str, holds: bool) -> None:
    assert read_condition(text).holds(CASE.get) is holds


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("", 1, "a field or a value expected, as in topic = 'law'; found the end"),
        ("topic =", 8, "a field or a value expected"),
        ("= 3", 1, "a field or a value expected, as in topic = 'law'; found ="),
        ("topic = 'law", 9, "the quote ' is not closed"),
        ("topic = \u201claw\u201d", 9, "is no quote that is known here"),
        ("topic = 'law' && hard", 15, "'&' means nothing here; did you mean and?"),
        ("topic like 'law'", 7, "'and', 'or' or the end expected; found like; did you mean contains?"),
        ("topic = 'a' 'b'", 13, "'and', 'or' or the end expected; found 'b'"),
        ("(topic = 'a'", 13, "')' expected; found the end"),
        ("topic = 'a')", 12, "found )"),
        ("topic in ('a', 'b'", 19, "',' or ')' expected"),
        ("topic in ()", 11, "a field or a value expected"),
        ("topic is 'law'", 10, "'null' or 'not null' expected after 'is'"),
        ("topic not = 'law'", 11, "'in' or 'contains' expected after 'not'"),
        ("topic = and", 9, "found and"),
        ("level =< 3", 8, "a field or a value expected"),
        ("level > 3 @", 11, "'@' means nothing here"),
    ],
)
def test_what_is_wrong_is_said_and_where(text: str, place: int, said: str) -> None:
    with pytest.raises(SpecError) as found:
        read_condition(text)
    first, *shown = str(found.value).split("\n")
    assert said in first
    where = "at its end" if place > len(text) else f"character {place}"
    assert first.startswith(f"where: {where}: ")
    assert shown == [f"  {text}", f"  {' ' * (place - 1)}^"]


def test_fields_that_there_are_not_are_named_all_at_once() -> None:
    condition = read_condition("topc = 'a' and (level > 3 or law = 2)")
    assert condition.fields == {"topc": 0, "level": 16, "law": 29}
    with pytest.raises(SpecError) as found:
        condition.check_fields({"topic", "level"}, "there are topic, level")
    lines = str(found.value).split("\n")
    assert lines[0] == "where; 2 problems:"
    assert "character 1: no case has a field 'topc'; did you mean topic?" in lines[1]
    assert "character 30: no case has a field 'law'; a text stands in quotes, as in 'law'" in lines[2]
    assert lines[4] == f"  ^{' ' * 28}^"
    assert lines[5] == "there are topic, level"
    condition.check_fields({"topc", "level", "law"}, "")


def test_conditions_within_each_other_are_bounded() -> None:
    assert read_condition("(" * 40 + "hard" + ")" * 40).holds(CASE.get)
    assert read_condition("not " * 20_000 + "hard").holds(CASE.get)
    assert read_condition(" or ".join(["hard = false"] * 5_000) + " or hard").holds(CASE.get)
    with pytest.raises(SpecError, match="at most 50 conditions within each other"):
        read_condition("(" * 20_000 + "hard" + ")" * 20_000)


# --- drawn ------------------------------------------------------------------------------------------------


@attrs.frozen
class Drawn:
    """A condition as text, and whether it holds of `CASE`, told by Python."""

    text: str
    holds: bool


NAMES = st.sampled_from(["level", "topic", "missing", "size"])
VALUES: dict[str, Any] = {"level": 3, "topic": "law", "missing": None, "size": 2.5}
NUMBERS = st.one_of(st.integers(-5, 5), st.sampled_from([2.5, 0.25, -1.5]))
TEXTS = st.text(alphabet="alw' \"x", max_size=4)


@st.composite
def comparisons(draw: st.DrawFn) -> Drawn:
    name, sign = draw(NAMES), draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
    value: Any = draw(TEXTS if name == "topic" else NUMBERS)
    own = VALUES[name]
    known = {"=": own == value, "!=": own != value}
    if sign in known:
        holds = known[sign]
    else:
        compared = None if own is None else (own > value) - (own < value)
        holds = compared is not None and compared in {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}[sign]
    shown = str(value) if not isinstance(value, str) else "'" + value.replace("'", "''") + "'"
    return Drawn(f"{name} {sign} {shown}", holds)


def joined(parts: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    several = st.lists(parts, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda each: Drawn(f"({' and '.join(d.text for d in each)})", all(d.holds for d in each))),
        several.map(lambda each: Drawn(f"({' OR '.join(d.text for d in each)})", any(d.holds for d in each))),
        parts.map(lambda each: Drawn(f"not ({each.text})", not each.holds)),
    )


@given(st.recursive(comparisons(), joined, max_leaves=8))
def test_conditions_mean_what_python_says(drawn: Drawn) -> None:
    assert read_condition(drawn.text).holds(VALUES.get) is drawn.holds


PIECES = st.sampled_from(
    ["and", "or", "not", "in", "is", "null", "(", ")", ",", "=", "<", "'a'", '"', "x", "3", "`", "&", "contains"]
)


@given(st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=8).map(" ".join)))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        condition = read_condition(text)
    except SpecError as error:
        said = str(error)
    else:
        said = f"where: {condition.text}"
        assert condition.holds(lambda name: None) in (True, False)
        assert condition.holds(lambda name: ["a"]) in (True, False)
    assert said.startswith("where: ")
