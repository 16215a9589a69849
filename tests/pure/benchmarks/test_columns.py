from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.benchmarks.columns import KINDS, Column, label_text, metadata_of, read_fields, shown, typed_cell

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)

HELD: dict[str, tuple[list[Any], list[Any]]] = {
    "text": (["a"], ["", " ", 1, None, ["a"]]),
    "any text": (["", "a"], [1, None]),
    "integer": ([0, -3], [True, 1.0, "1"]),
    "number": ([0, 2.5], [True, math.nan, math.inf, "1"]),
    "score": ([0, 2.5], [True, math.nan, None, "1"]),
    "boolean": ([True, False], [0, "true"]),
    "name": (["a", 7], ["", True, 1.5]),
    "result": (["a", 7, 1.5], ["", True, [1]]),
    "texts": ([["a", ""]], [[], "ab", [1], None]),
    "any texts": ([[], ["a", ""]], ["ab", [1], None]),
    "options": ([{"A": "x"}, {"A": "x", "B": None}], [{}, {"A": None}, {"AB": "x"}, {"A": 1}, ["x"]]),
    "letters": ([["A"]], [[], "A", [1]]),
    "marks": ([[1, 0, 0]], [[], [2], "10", ["1"]]),
    "tests": ([[{"input": "", "output": "1"}]], [[], [{"input": "1"}], [{"input": 1, "output": "1"}], "x"]),
    "tests as JSON text": (['[{"input": "1", "output": "2", "testtype": "stdin"}]'], ["[]", "no", "{}", 1, None]),
    "messages": ([[{"role": "user", "content": "hi"}]], [[], [{"role": "user"}], "hi"]),
    "turns": ([[[{"role": "user", "content": "hi"}]]], [[], [[]], [{"role": "user", "content": "hi"}], "hi"]),
    "declarations": ([[], [{"name": "f", "parameters": {}}]], [None, [{"name": "f"}], {"name": "f", "parameters": {}}]),
    "rubrics": (
        [[{"criterion": "c", "points": -2, "tags": []}]],
        [[], [{"criterion": "c"}], [{"criterion": "c", "points": "2"}], [{"criterion": "", "points": 1}]],
    ),
    "images": (["", "data:x", b"GIF8", [], [{"bytes": b"GIF8", "path": None}]], [1, [1], {"bytes": None}]),
    "object": ([{}, {"a": 1}], [None, [], "{}"]),
    "any object": ([{}, {"a": 1}], [[], "{}"]),
    "json": ([0, "", [], {}], [None]),
    "label": (["a", 1, 1.5, True, [], ["a", 1], datetime.date(2024, 1, 1)], [{}, {"a": 1}, [{"a": 1}], b"x"]),
}


def test_every_kind_is_seen_to_hold_and_to_refuse() -> None:
    assert HELD.keys() == KINDS.keys()


@pytest.mark.parametrize(("kind", "value"), [(kind, v) for kind, (held, _) in HELD.items() for v in held])
def test_a_kind_holds(kind: str, value: Any) -> None:
    assert KINDS[kind].holds(value)


@pytest.mark.parametrize(("kind", "value"), [(kind, v) for kind, (_, refused) in HELD.items() for v in refused])
def test_a_kind_refuses(kind: str, value: Any) -> None:
    assert not KINDS[kind].holds(value)


@given(kind=st.sampled_from(sorted(KINDS)), value=ANY_JSON)
def test_no_value_breaks_a_kind(kind: str, value: Any) -> None:
    assert KINDS[kind].holds(value) in (True, False)


def test_all_faults_of_a_row_are_reported_with_what_was_found() -> None:
    columns = [
        Column(name="question", role="question", kind="text"),
        Column(name="answer", role="answer", kind="integer"),
        Column(name="label.final", role="rule", kind="json"),
    ]
    _, faults = read_fields(columns, {"Question": "?", "answer": "seven", "label": {}})
    assert [(fault.column, fault.problem) for fault in faults] == [
        ("question", "is missing; did you mean Question?"),
        ("answer", "a whole number expected, found str 'seven'"),
        ("label.final", "is missing; did you mean label?"),
    ]


def test_an_empty_value_is_refused_unless_the_column_may_hold_nothing() -> None:
    strict = Column(name="a", role="answer", kind="text")
    assert read_fields([strict], {"a": None})[1][0].problem == "text expected, found nothing"
    assert read_fields([strict.evolve(nullable=True)], {"a": None}) == ({"answer": None}, [])


def test_columns_of_one_role_come_as_a_list_in_their_order() -> None:
    columns = [Column(name=letter, role="options", kind="result") for letter in "AB"]
    assert read_fields(columns, {"B": "second", "A": "first"})[0] == {"options": ["first", "second"]}


def test_a_dotted_name_reaches_into_objects_unless_a_column_has_that_name() -> None:
    column = Column(name="label.final", role="answer", kind="json")
    assert read_fields([column], {"label": {"final": 3}})[0] == {"answer": 3}
    assert read_fields([column], {"label.final": 4, "label": {"final": 3}})[0] == {"answer": 4}


def test_metadata_are_texts_and_what_holds_nothing_is_left_out() -> None:
    columns = [Column(name=name, role="metadata", kind="label", nullable=True) for name in ("tags", "year", "none")]
    assert metadata_of(columns, {"tags": ["a", "b"], "year": 2024, "none": None}) == {"tags": "a, b", "year": "2024"}


def test_dates_and_truth_values_read_as_json_would() -> None:
    assert label_text(datetime.date(2024, 11, 17)) == "2024-11-17"
    assert label_text([True, None]) == "true, None"


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("0", "integer", 0),
        ("1.5", "number", 1.5),
        ("TRUE", "boolean", True),
        ("yes", "boolean", "yes"),
        ("seven", "integer", "seven"),
        ("007", "name", "007"),
        ('["a", "b"]', "texts", ["a", "b"]),
        ("['a']", "texts", "['a']"),
        ("12", "json", 12),
        ("abc", "json", "abc"),
        ("", "label", None),
        ("", "any text", ""),
    ],
)
def test_cells_of_text_tables_become_what_their_column_holds(cell: str, kind: str, value: Any) -> None:
    assert typed_cell(cell, kind) == value
    assert type(typed_cell(cell, kind)) is type(value)


def test_what_is_shown_of_a_value_is_short() -> None:
    assert len(shown("x" * 1000)) < 80
