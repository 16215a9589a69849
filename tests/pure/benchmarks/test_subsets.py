from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.benchmarks.subsets import Subset
from themis.pure.errors import SpecError
from themis.pure.identity import shuffled
from themis.pure.records.dataset import Case

IDS = st.lists(st.text(min_size=1), unique=True, max_size=20)


@given(ids=IDS, seed=st.integers())
def test_shuffling_keeps_every_case(ids: list[str], seed: int) -> None:
    assert sorted(shuffled(ids, seed)) == list(range(len(ids)))


@given(ids=IDS, more=IDS, seed=st.integers())
def test_new_cases_do_not_reorder_the_others(ids: list[str], more: list[str], seed: int) -> None:
    every = [*ids, *(name for name in more if name not in ids)]
    assert [every[place] for place in shuffled(every, seed) if place < len(ids)] == [
        ids[place] for place in shuffled(ids, seed)
    ]


@given(ids=IDS, seed=st.integers())
def test_the_order_of_the_data_does_not_matter(ids: list[str], seed: int) -> None:
    turned = ids[::-1]
    assert [ids[place] for place in shuffled(ids, seed)] == [turned[place] for place in shuffled(turned, seed)]


def test_seeds_give_different_orders() -> None:
    ids = [str(number) for number in range(20)]
    assert len({tuple(shuffled(ids, seed)) for seed in range(10)}) == 10


def test_a_filter_takes_one_value_or_several() -> None:
    case = Case(case_id="1", input="?", metadata={"category": "math", "year": "2024"})
    assert Subset(filter={"category": "math", "year": 2024}).holds(case)
    assert Subset(filter={"category": ["physics", "math"]}).holds(case)
    assert not Subset(filter={"category": "physics"}).holds(case)
    assert not Subset(filter={"field": "math"}).holds(case)


def test_a_filter_by_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(SpecError, match="no field 'categori'; did you mean category"):
        Subset(filter={"categori": "math"}).check_fields(["category"])
    with pytest.raises(SpecError, match="cases have no metadata"):
        Subset(filter={"category": "math"}).check_fields([])


@pytest.mark.parametrize("limit", [0, -1, True, 2.5])
def test_a_limit_is_a_whole_number_from_one_up(limit: object) -> None:
    with pytest.raises(SpecError, match="limit: a whole number from 1 up expected"):
        Subset(limit=limit)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("seed", [True, "1", 1.0])
def test_a_shuffle_is_a_seed(seed: object) -> None:
    with pytest.raises(SpecError, match=r"shuffle: a seed \(a whole number\) expected"):
        Subset(shuffle=seed)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("wanted", [["category"], "category", len])
def test_a_filter_is_fields_with_values(wanted: object) -> None:
    with pytest.raises(SpecError, match="filter: metadata fields with the values wanted expected"):
        Subset(filter=wanted)  # type: ignore[arg-type]  # wrong on purpose


def test_what_makes_a_part_is_recorded() -> None:
    subset = Subset(limit=5, shuffle=1, filter={"b": "x", "a": ["y", "z"]})
    assert subset.facts() == {"limit": "5", "shuffle": "1", "filter.a": "y, z", "filter.b": "x"}
    assert Subset().facts() == {}
