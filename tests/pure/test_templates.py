"""Templates are data: what is not a field's name stands as it is, and a value is never read as one."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from themis.pure.errors import DataError, SpecError
from themis.pure.json import freeze
from themis.pure.templates import as_shown, escaped, fill, names_in
from themis.testing.strategies import json_values

TEXTS = st.text(st.sampled_from("{}ab.[]!:% $\n")) | st.text()
NAMES = st.text(st.characters(exclude_characters="{}.[]!:", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name == name.strip()
)


@given(TEXTS)
def test_every_text_has_a_template_that_stands_for_it(text: str) -> None:
    assert fill(escaped(text), {}) == text
    assert names_in(escaped(text)) == ()


@given(st.lists(st.tuples(TEXTS, NAMES), max_size=4), st.data())
def test_values_stand_in_their_places_and_are_not_read(parts: list[tuple[str, str]], data: st.DataObject) -> None:
    fields = {name: data.draw(TEXTS) for _, name in parts}
    template = "".join(f"{escaped(text)}{{{name}}}" for text, name in parts)
    assert fill(template, fields) == "".join(text + fields[name] for text, name in parts)
    assert names_in(template) == tuple(dict.fromkeys(name for _, name in parts))


@given(TEXTS, TEXTS)
def test_filling_ends_with_a_text_or_one_of_two_errors(template: str, value: str) -> None:
    """What it takes, Python's own reader of format strings takes as the same."""
    fields = {"a": value, "b": value, "ab": value}
    try:
        filled = fill(template, fields)
    except (SpecError, DataError):
        return
    pieces = [(text, name, spec, how) for text, name, spec, how in string.Formatter().parse(template)]
    assert all(not spec and how is None for _, _, spec, how in pieces)
    assert filled == "".join(text + (fields[name] if name is not None else "") for text, name, _, _ in pieces)


@pytest.mark.parametrize(
    "template",
    [
        "{",
        "}",
        "a}",
        "{a",
        "{}",
        "{ a}",
        "{a.b}",
        "{a[0]}",
        "{a!r}",
        "{a:>10}",
        "{a.__class__}",
        '{"a": 1}',
        "{{a}",
        "{a}}",
    ],
)
def test_what_is_no_template_is_refused_with_its_place(template: str) -> None:
    with pytest.raises(SpecError, match=r"line 2, column \d+: .*doubled"):
        names_in(f"one {{{{ line\n{template}")


def test_what_is_wrong_is_found_at_its_column() -> None:
    with pytest.raises(SpecError, match="line 2, column 4: a lone '}'"):
        names_in("{x}\nabc} {y}")


def test_a_missing_field_is_told_with_those_that_are_there() -> None:
    with pytest.raises(DataError, match=r"there is no field 'c' \(fields found: a, b\)"):
        fill("{a} {c}", {"a": "1", "b": "2"})
    with pytest.raises(DataError, match="there is nothing in the field 'a'"):
        fill("{a}", {"a": None})


@given(json_values())
@example(freeze(["a"] * 27))
@example(freeze([[1], 2]))
def test_every_value_can_be_shown(value: object) -> None:
    assert isinstance(as_shown(value), str)  # type: ignore[arg-type]  # JSON, by its strategy


def test_options_are_numbered_where_letters_do_not_reach() -> None:
    assert as_shown(freeze(["x"] * 26)).splitlines()[-1] == "Z. x"
    assert as_shown(freeze(["x"] * 27)).splitlines()[0] == "1. x"
    assert as_shown(freeze(["x"] * 27)).splitlines()[-1] == "27. x"
    assert as_shown(freeze([["x"], "y"])) == '[["x"],"y"]'
