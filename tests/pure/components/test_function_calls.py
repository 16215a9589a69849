"""Calls of functions: which are right, in every way that they may be written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.function_calls import FunctionCalls, read_calls
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.scoring import Score, ScoreError

BOOK: dict[str, Any] = {
    "name": "hotel.book",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string"},
            "nights": {"type": "integer"},
            "price": {"type": "float"},
            "quiet": {"type": "boolean"},
            "tags": {"type": "array"},
            "guest": {"type": "dict"},
            "note": {"type": "any"},
        },
        "required": ["city"],
    },
}


def outcome(answer: Any, calls: Any) -> Score | ScoreError:
    case = Case(case_id="a", input="x", expected_output={"calls": calls, "functions": [BOOK]})
    parsed = ParsedOutput(value=answer)
    ctx = ScoreContext(run_id="r", case=case, parsed_output=parsed, dataset_id="d", case_key="d/a")
    return FunctionCalls().score(parsed, case, ctx)


def native(*calls: dict[str, Any], name: str = "hotel_book") -> dict[str, Any]:
    return {"content": "", "tool_calls": [{"name": name, "arguments": arguments} for arguments in calls]}


def value(answer: Any, *accepted: dict[str, Any]) -> float:
    found = outcome(answer, [{"hotel.book": one} for one in accepted])
    assert isinstance(found, Score), found
    return found.value


@pytest.mark.parametrize(
    ("arguments", "accepted", "right"),
    [
        ({"city": "Rome"}, {"city": ["Rome", "Roma"]}, True),
        ({"city": "new-york, NY."}, {"city": ["New York NY"]}, True),
        ({"city": "it's"}, {"city": ['it"s']}, True),
        ({"city": "Paris"}, {"city": ["Rome"]}, False),
        ({}, {"city": ["Rome", ""]}, False),  # required
        ({"city": "Rome"}, {"city": ["Rome"], "nights": [2, ""]}, True),
        ({"city": "Rome"}, {"city": ["Rome"], "nights": [2]}, False),
        ({"city": "Rome", "nights": 2}, {"city": ["Rome"], "nights": [2, ""]}, True),
        ({"city": "Rome", "nights": 3}, {"city": ["Rome"], "nights": [2, ""]}, False),
        ({"city": "Rome", "nights": 2.0}, {"city": ["Rome"], "nights": [2]}, False),
        ({"city": "Rome", "nights": "2"}, {"city": ["Rome"], "nights": [2]}, False),
        ({"city": "Rome", "nights": True}, {"city": ["Rome"], "nights": [1]}, False),
        ({"city": "Rome", "nights": "two"}, {"city": ["Rome"], "nights": ["two"]}, True),  # as an accepted value is
        ({"city": "Rome", "price": 5}, {"city": ["Rome"], "price": [5.0]}, True),
        ({"city": "Rome", "quiet": True}, {"city": ["Rome"], "quiet": [True]}, True),
        ({"city": "Rome", "quiet": 1}, {"city": ["Rome"], "quiet": [True]}, False),
        ({"city": "Rome", "tags": ["A", "b"]}, {"city": ["Rome"], "tags": [["a", "B"]]}, True),
        ({"city": "Rome", "tags": ["b", "a"]}, {"city": ["Rome"], "tags": [["a", "b"]]}, False),
        (
            {"city": "Rome", "guest": {"name": "Ann"}},
            {"city": ["Rome"], "guest": [{"name": ["ann"], "age": [3, ""]}]},
            True,
        ),
        (
            {"city": "Rome", "guest": {"name": "Ann"}},
            {"city": ["Rome"], "guest": [{"name": ["ann"], "age": [3]}]},
            False,
        ),
        ({"city": "Rome", "guest": {"x": 1}}, {"city": ["Rome"], "guest": [{"name": ["ann", ""]}]}, False),
        ({"city": "Rome", "tags": [{"a": 1}]}, {"city": ["Rome"], "tags": [[{"a": [1, 2]}]]}, True),
        ({"city": "Rome", "tags": [{"a": 3}]}, {"city": ["Rome"], "tags": [[{"a": [1, 2]}]]}, False),
        ({"city": "Rome", "note": 7}, {"city": ["Rome"], "note": [7]}, True),
        ({"city": "Rome", "note": True}, {"city": ["Rome"], "note": [1]}, False),
        ({"city": "Rome", "note": 1}, {"city": ["Rome"], "note": [True]}, False),
        ({"city": "Rome", "stars": 5}, {"city": ["Rome"]}, False),
        ({"city": "Rome", "stars": 5}, {"city": ["Rome"], "stars": [5]}, False),  # not declared
    ],
)
def test_a_call_is_right_by_name_parameters_types_and_values(
    arguments: dict[str, Any], accepted: dict[str, Any], right: bool
) -> None:
    written = ", ".join(f"{name}={item!r}" for name, item in arguments.items())
    for answer in (native(arguments), f"[hotel.book({written})]", f"```python\nhotel_book({written})\n```"):
        assert value(answer, accepted) == right, answer


def test_another_function_or_number_of_calls_is_wrong() -> None:
    accepted = {"city": ["Rome"]}
    assert value(native({"city": "Rome"}, name="hotel_cancel"), accepted) == 0
    assert value(native({"city": "Rome"}, {"city": "Rome"}), accepted) == 0
    assert value(native(), accepted) == 0
    assert value("I would book a hotel in Rome.", accepted) == 0


@given(st.permutations(range(4)), st.permutations(range(4)), st.integers(0, 3))
def test_several_calls_may_come_in_any_order(said: list[int], expected: list[int], first: int) -> None:
    """Also where one expected call is met by several: it takes one that no other needs."""
    cities = [f"City{number}" for number in said]
    accepted = [
        {"city": [f"City{number}"] if number != first else [f"City{n}" for n in range(4)]} for number in expected
    ]
    assert value(native(*({"city": city} for city in cities)), *accepted) == 1
    assert value(native(*({"city": city} for city in [*cities[:3], "Nowhere"])), *accepted) == 0


def test_none_or_any_call() -> None:
    for answer, none in (("No function fits.", 1.0), (native(), 1.0), (native({}), 0.0), ("[f(a=1)]", 0.0)):
        found, other = outcome(answer, []), outcome(answer, "any")
        assert isinstance(found, Score)
        assert isinstance(other, Score)
        assert (found.value, other.value) == (none, 1 - none)
    assert isinstance(outcome("x", None), ScoreError)


@given(
    st.text()
    | st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_any_answer_is_read_without_a_crash(answer: Any) -> None:
    read_calls(answer)
    assert isinstance(outcome(answer, [{"hotel.book": {"city": ["Rome"]}}]), Score)


def test_code_is_never_run() -> None:
    for text in ("f(a=__import__('os').getcwd())", "f(a=open('x'))", "f(*[1])", "f(1)", "f(**{'a': 1})", "(" * 5000):
        assert read_calls(text) is None
