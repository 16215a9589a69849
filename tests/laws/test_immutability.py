"""Law 9: records and the JSON inside them can't be changed, yet read like plain dicts and lists."""

from __future__ import annotations

import copy
import heapq
import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given

from themis.pure.json import FrozenDict, FrozenList, freeze, thaw
from themis.pure.records.dataset import Case
from themis.testing import strategies

DICT_WRITERS: dict[str, Callable[[Any], object]] = {
    "setitem": lambda d: d.__setitem__("a", 0),
    "delitem": lambda d: d.__delitem__("a"),
    "update": lambda d: d.update(a=0),
    "setdefault": lambda d: d.setdefault("new", 0),
    "pop": lambda d: d.pop("a"),
    "popitem": lambda d: d.popitem(),
    "clear": lambda d: d.clear(),
    "ior": lambda d: d.__ior__({"a": 0}),
}
LIST_WRITERS: dict[str, Callable[[Any], object]] = {
    "setitem": lambda v: v.__setitem__(0, 0),
    "append": lambda v: v.append(0),
    "sort": lambda v: v.sort(),
    "heapify": heapq.heapify,
    "unbound append": lambda v: list.append(v, 0),
    "iadd": lambda v: v.extend([0]),
}


@pytest.mark.parametrize("name", DICT_WRITERS)
def test_no_writer_changes_an_object(name: str) -> None:
    value = freeze({"a": 1, "b": {"c": [3, 2]}})
    with pytest.raises((TypeError, AttributeError)):
        DICT_WRITERS[name](value)
    assert value == {"a": 1, "b": {"c": [3, 2]}}


def test_a_second_init_changes_nothing() -> None:
    value = freeze({"a": 1})
    value.__init__({"a": 2})
    assert value == {"a": 1}


@pytest.mark.parametrize("name", LIST_WRITERS)
def test_no_writer_changes_an_array(name: str) -> None:
    value = freeze([3, 2, 1])
    with pytest.raises((TypeError, AttributeError)):
        LIST_WRITERS[name](value)
    assert value == [3, 2, 1]


@given(strategies.json_values())
def test_frozen_json_reads_like_the_plain_value(plain: Any) -> None:
    frozen = freeze(plain)
    assert frozen == plain
    assert plain == frozen
    assert json.loads(json.dumps(frozen)) == json.loads(json.dumps(plain))
    assert copy.deepcopy(frozen) == plain
    assert hash(frozen) == hash(freeze(thaw(frozen)))


@given(strategies.json_objects())
def test_what_was_frozen_does_not_follow_its_source(plain: dict[str, Any]) -> None:
    before = copy.deepcopy(plain)
    case = Case(case_id="1", input=plain if plain else {"x": 1}, expected_output=plain)
    plain["later"] = [1]
    assert case.expected_output == before


@given(strategies.cases())
def test_no_field_of_a_record_can_be_set(case: Case) -> None:
    for field in attrs.fields(Case):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(case, field.name, None)


def test_slices_and_sums_stay_frozen() -> None:
    value = freeze([1, [2], 3])
    assert type(value[1:]) is FrozenList
    assert value[1:] == [[2], 3]
    assert value + [4] == [1, [2], 3, 4]  # noqa: RUF005  # the sum itself is under test
    assert type(freeze({"a": 1}) | {"b": [1]}) is FrozenDict
