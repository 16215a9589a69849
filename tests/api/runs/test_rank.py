"""Stored runs, ranked: paired by case and content, named, and refused where they can't be ranked."""

from __future__ import annotations

from typing import Any

import pytest

from themis import InMemoryRunStore, evaluate, generator, rank
from themis.core import SpecError


def answers(name: str, right: int) -> Any:
    @generator(component_id=name)
    def answer(case: Any, ctx: Any) -> str:
        return str(case.expected_output) if int(case.case_id) % 10 < right else "no"

    return answer


def rows(count: int, changed: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "case_id": str(i),
            "input": "again" if i < changed else "x",
            "expected_output": f"a{i}",
            "metadata": {"t": i % 30},
        }
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def store() -> InMemoryRunStore:
    return InMemoryRunStore()


@pytest.fixture(scope="module")
def runs(store: InMemoryRunStore) -> list[str]:
    made = []
    for name, right, count, changed in (("good", 9, 120, 0), ("bad", 3, 120, 20), ("worse", 3, 100, 0)):
        data = rows(count, changed)
        made.append(evaluate(model=answers(name, right), data=data, metric="builtin/exact_match", store=store).run_id)
    return made


def test_runs_are_ranked_over_the_cases_that_every_two_of_them_share(store: InMemoryRunStore, runs: list[str]) -> None:
    good, bad, worse = runs
    found = rank(store, runs, labels={good: "good", bad: "bad", worse: "worse"})
    assert found.metric_id == "builtin/exact_match"
    assert [(each.name, each.rank, each.best, each.worst) for each in found.ranks] == [
        ("good", 1, 1, 1),
        ("bad", 2, 2, 3),
        ("worse", 2, 2, 3),
    ]
    pairs = {(each.label_a, each.label_b): each.pairs for each in found.comparisons}
    assert pairs == {("bad", "good"): 100, ("bad", "worse"): 80, ("good", "worse"): 100}
    assert {each.family_size for each in found.comparisons} == {3}
    lowest = rank(store, runs, higher_is_better=False)
    assert lowest.ranks[-1].best == 3
    clustered = rank(store, runs, cluster_by="t")
    assert {each.clusters for each in clustered.comparisons} == {30}


def test_what_can_t_be_ranked_is_refused(store: InMemoryRunStore, runs: list[str]) -> None:
    with pytest.raises(SpecError, match="two or more different runs"):
        rank(store, [runs[0], runs[0]])
    with pytest.raises(SpecError, match="a label of its own"):
        rank(store, runs, labels=dict.fromkeys(runs, "same"))
    with pytest.raises(SpecError, match="there is no metric 'f1'"):
        rank(store, runs, "f1")
