"""The matrix of a study, its identity, and whose turn it is."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import SpecError
from themis.pure.json import thaw
from themis.pure.study import StudyCell, Turns, Waiting, expand, study_digest, study_id

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "model": st.text("abc/", min_size=1, max_size=3),
    "prompt": st.text("xyz", min_size=1, max_size=2),
    "temperature": st.sampled_from([0, 0.5, 1, None, "low", [1, 2]]),
    "seed": st.integers(0, 3),
}


@st.composite
def axes(draw: st.DrawFn) -> dict[str, list[Any]]:
    chosen = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, unique=True))
    unique = {"unique_by": lambda value: repr(value)}
    return {axis: draw(st.lists(VALUES[axis], min_size=1, max_size=3, **unique)) for axis in chosen}  # type: ignore[arg-type]


@settings(max_examples=60)
@given(axes(), st.data())
def test_a_matrix_has_every_combination_once_in_order_and_excludes_leave_the_others_as_they_were(
    matrix: dict[str, list[Any]], data: st.DataObject
) -> None:
    cells = expand([matrix])
    combinations = [list(values) for values in itertools.product(*matrix.values())]
    assert [[thaw(cell.at[axis]) for axis in matrix] for cell in cells] == combinations
    assert len({cell.name for cell in cells}) == len(cells)
    scalar = {axis: [v for v in values if not isinstance(v, list)] for axis, values in matrix.items()}
    rule = {axis: data.draw(st.sampled_from(values)) for axis, values in scalar.items() if values}
    if not rule or len(cells) == 1 or all(len(matrix[axis]) == 1 for axis in rule):
        return
    left = expand([matrix], [rule])
    gone = [cell for cell in cells if all(repr(cell.at[axis]) == repr(value) for axis, value in rule.items())]
    assert list(left) == [cell for cell in cells if cell not in gone]
    # What was excluded comes back under a name, at the end; what is there is renamed in its place.
    assert expand([matrix], [rule], {"back": gone[0].at})[len(left) :] == (StudyCell(name="back", at=gone[0].at),)
    renamed = expand([matrix], (), {"mine": cells[0].at})
    assert [cell.at for cell in renamed] == [cell.at for cell in cells]
    assert renamed[0].name == "mine"


def test_a_value_that_is_added_renames_no_cell() -> None:
    before = expand([{"model": ["a"], "temperature": [0]}])
    after = expand([{"model": ["a", "b"], "temperature": [0, 1]}])
    assert before[0] in after


def test_faults_of_a_matrix_are_told_together() -> None:
    with pytest.raises(SpecError) as error:
        expand(
            [{"model": ["small", "large"], "temperature": [0, 1]}],
            [{"modle": "small"}, {"temperature": 2}, {}],
            {"best": {"model": "smal", "temperature": 0}, "more": {"temperature": 0}},
        )
    told = str(error.value)
    for part in (
        "exclude[0].modle: no axis; did you mean model?",
        "exclude[1].temperature: no value '2'",
        "exclude[2]: nothing is named",
        "cells.best: model: no model 'smal'; did you mean small?",
        "cells.more: model is left out, and it has 2 values",
    ):
        assert part in told
    with pytest.raises(SpecError, match="every cell is excluded"):
        expand([{"model": ["a"]}], [{"model": ["a"]}])
    with pytest.raises(SpecError, match="a matrix of 100,000 cells"):
        expand([{axis: list(range(10)) for axis in "abcde"}])
    with pytest.raises(SpecError, match="'a,b' is what several cells are called"):
        expand([{"model": ["a", "a,b"], "prompt": ["b"]}, {"model": ["a,b"]}])


def test_a_study_is_its_runs_in_whatever_order() -> None:
    assert study_id(["b", "a"]) == study_id(["a", "b"]) != study_id(["a"])
    swapped = study_digest({"a": "2", "b": "1"})
    assert study_digest({"a": "1", "b": "2"}) == study_digest({"b": "2", "a": "1"}) != swapped


@st.composite
def studies(draw: st.DrawFn) -> list[Waiting]:
    endpoints = draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=14))
    return [
        Waiting(name=str(number), endpoint=endpoint, asks=draw(st.sampled_from(["", f"{endpoint}1", f"{endpoint}2"])))
        for number, endpoint in enumerate(endpoints)
    ]


@given(studies(), st.integers(1, 3), st.randoms(use_true_random=False), st.sampled_from(["a", "b", "none"]))
def test_every_cell_has_its_turn_and_no_endpoint_is_held_up_by_another(
    cells: list[Waiting], each: int, rng: Any, stuck: str
) -> None:
    """The cells of one endpoint may never end: all others are run all the same."""
    turns, under_way, begun = Turns(cells, each), list[Waiting](), list[str]()
    of = {cell.name: cell for cell in cells}
    while True:
        ready = turns.ready()
        endpoints = [of[name].endpoint for name in ready]
        # They take turns: no endpoint has a second one before all that may have had their first.
        firsts = endpoints[: len(set(endpoints))]
        assert len(set(firsts)) == len(firsts)
        begun += ready
        under_way += [of[name] for name in ready]
        most = {"a": each, "b": each, "c": each, None: 1}
        assert all(count <= most[endpoint] for endpoint, count in Counter(c.endpoint for c in under_way).items())
        asked = [cell.asks for cell in under_way if cell.asks]
        assert len(set(asked)) == len(asked)
        # Nothing is left waiting that could begin.
        for cell in cells:
            if cell.name not in begun:
                busy = sum(other.endpoint == cell.endpoint for other in under_way)
                assert busy == most[cell.endpoint] or cell.asks in asked
        ending = [cell for cell in under_way if cell.endpoint != stuck]
        if not ending:
            break
        done = rng.choice(ending)
        under_way.remove(done)
        turns.ended(done.name)
    assert len(set(begun)) == len(begun)
    assert {cell.name for cell in cells if cell.endpoint != stuck} <= set(begun)
    assert turns.left == len(cells) - len(begun)
