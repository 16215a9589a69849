"""Structured output is scored field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.json_fields import JsonFields
from themis.pure.json import thaw
from themis.pure.records.scoring import Score, ScoreError
from themis.testing.single import score_one

CASES: list[tuple[Any, Any, float, Any]] = [
    ({"a": 1, "b": "x"}, {"a": 1.0, "b": "x"}, 1.0, {"a": True, "b": True}),
    ({"a": "1", "b": "x"}, {"a": 1, "b": "x"}, 0.5, {"a": False, "b": True}),
    ({"a": 1}, {"a": 1, "b": None}, 1.0, {"a": True, "b": True}),
    ({"a": 1, "c": 2}, {"a": 1, "b": 2}, 0.5, {"a": True, "b": False}),
    ({"p": {"x": 1, "y": 3}}, {"p": {"x": 1, "y": 2}, "q": [1, 2]}, 1 / 3, {"p": {"x": True, "y": False}, "q": False}),
    ({"p": "text"}, {"p": {"x": 1}}, 0.0, {"p": {"x": False}}),
    ({"q": [2, 1], "e": {}}, {"q": [1, 2], "e": {}}, 0.5, {"q": False, "e": True}),
    ('Here it is: {"a": 1}', {"a": 1}, 1.0, {"a": True}),
    ("no object", {"a": 1}, 0.0, {"a": False}),
    (None, {"a": 1}, 0.0, {"a": False}),
]


@pytest.mark.parametrize(("answer", "reference", "share", "fields"), CASES)
def test_each_field_is_right_or_wrong(answer: Any, reference: Any, share: float, fields: Any) -> None:
    found = score_one(JsonFields(), answer, reference)
    assert isinstance(found, Score)
    assert found.value == pytest.approx(share)
    assert found.details["fields"] == fields


def test_the_best_of_several_references_counts_and_fields_that_it_lacks_are_counted() -> None:
    found = score_one(JsonFields(), {"a": 1, "b": 2, "c": 3}, [{"a": 2}, {"a": 1, "b": 2}, {"a": 1}])
    assert isinstance(found, Score)
    assert found.value == 1.0
    assert thaw(found.details) == {"fields": {"a": True, "b": True}, "unexpected": 1, "reference": 1}


@pytest.mark.parametrize("reference", [None, [], {}, "text", 3, [{"a": 1}, "text"]])
def test_a_reference_without_fields_is_an_error(reference: Any) -> None:
    assert isinstance(score_one(JsonFields(), {"a": 1}, reference), ScoreError)


objects = st.dictionaries(
    st.text("ab", max_size=2), st.none() | st.booleans() | st.integers(0, 2), min_size=1, max_size=4
)


@given(objects, objects)
def test_the_score_is_the_share_of_fields_that_are_right(reference: dict[str, Any], answer: dict[str, Any]) -> None:
    found = score_one(JsonFields(), answer, reference)
    assert isinstance(found, Score)
    same = [type(answer.get(name)) is type(value) and answer.get(name) == value for name, value in reference.items()]
    assert found.value == pytest.approx(sum(same) / len(same))
    assert found.details["fields"] == dict(zip(reference, same, strict=True))
