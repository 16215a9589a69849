"""The cases of a run that somebody wants to see: by outcome, score, error, words, and conditions on their metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from themis import Case, InMemoryRunStore, JsonlRunStore, RunStore, SqliteRunStore, evaluate, find_cases, generator
from themis.api.runs.cases import case_filter, first_cases
from themis.api.runs.view import RunView
from themis.core import SpecError
from themis.pure.case_view import CaseView
from themis.pure.components.parsers import Regex
from themis.pure.projections import UNPARSED
from themis.pure.records.stored import StoredEvent

COUNT = 40


def rows(count: int = COUNT) -> list[dict[str, Any]]:
    return [
        {
            "case_id": f"q{i}",
            "input": f"what is {i}",
            "expected_output": f"{i} is it",
            "metadata": {
                "topic": ("law", "art", "maths")[i % 3],
                "level": str(i % 5),
                "score": i,
                "two words": i % 2 == 0,
            },
        }
        for i in range(count)
    ]


@generator(component_id="t/mixed")
def mixed(case: Case) -> str:
    number = int(case.case_id[1:])
    if number % 8 == 7:
        raise RuntimeError("down")
    if number % 8 == 6:
        return "no idea, sorry"
    return f"= {number} is it" if number % 2 else f"= {number} or so"


@pytest.fixture(scope="module", params=["memory", "sqlite", "jsonl"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, str]:
    folder = tmp_path_factory.mktemp("cases")
    stores: dict[str, Callable[[], RunStore]] = {
        "memory": InMemoryRunStore,
        "sqlite": lambda: SqliteRunStore(folder / "a.sqlite3"),
        "jsonl": lambda: JsonlRunStore(folder / "log"),
    }
    store = stores[request.param]()
    metrics = ["builtin/exact_match", "builtin/f1"]
    made = evaluate(model=mixed, data=rows(), metric=metrics, parser=Regex(pattern=r"= (.+)"), store=store)
    return store, made.run_id


Test = Callable[[int, CaseView], bool]


def by_row(view: CaseView, test: Callable[[Any], bool]) -> bool:
    return any(test(row) for row in view.score_rows)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, lambda n, view: True),
        ({"outcome": "incorrect"}, lambda n, view: by_row(view, lambda row: row.outcome == "incorrect")),
        (
            {"outcome": ["error", "correct"]},
            lambda n, view: by_row(view, lambda row: row.outcome in ("error", "correct")),
        ),
        (
            {"outcome": "correct", "metric": "f1"},
            lambda n, view: by_row(view, lambda row: (row.metric_id, row.outcome) == ("builtin/f1", "correct")),
        ),
        (
            {"min_score": 0.1, "max_score": 0.9},
            lambda n, view: by_row(view, lambda row: row.value is not None and 0.1 <= row.value <= 0.9),
        ),
        ({"max_score": 0.0, "metric": "f1"}, lambda n, view: n % 8 == 6),
        ({"unparsed": True}, lambda n, view: by_row(view, lambda row: row.error_category in UNPARSED)),
        ({"error": "generation_failure"}, lambda n, view: n % 8 == 7),
        ({"text": "SORRY"}, lambda n, view: n % 8 == 6),
        ({"text": '"what is" 3'}, lambda n, view: n == 3),
        ({"dataset": "data"}, lambda n, view: True),
        ({"where": "topic = 'law'"}, lambda n, view: n % 3 == 0),
        ({"where": "level >= 3"}, lambda n, view: n % 5 >= 3),
        ({"where": "metadata.score >= 30 and score is not null"}, lambda n, view: n >= 30 and n % 8 != 7),
        ({"where": "`two words` and not topic in ('law', 'art')"}, lambda n, view: n % 2 == 0 and n % 3 == 2),
        ({"where": "metric = 'builtin/f1' and score > 0 and score < 1"}, lambda n, view: n % 2 == 0 and n % 8 != 6),
        ({"where": "parsed contains 'or so' and case != 'q2'"}, lambda n, view: n % 2 == 0 and n % 8 != 6 and n != 2),
        ({"where": "answer is null"}, lambda n, view: n % 8 == 7),
        ({"where": "error = 'generation_failure' or input contains 'IS 12'"}, lambda n, view: n % 8 == 7 or n == 12),
        (
            {"where": "topic = 'law'", "outcome": "incorrect", "metric": "exact_match"},
            lambda n, view: n % 3 == 0 and n % 2 == 0,
        ),
    ],
)
def test_the_cases_that_meet_all_conditions_are_found(
    stored: tuple[RunStore, str], asked: dict[str, Any], wanted: Test
) -> None:
    store, run_id = stored
    every = [*find_cases(store, run_id)]
    assert len(every) == COUNT
    expected = [view.case_id for n, view in enumerate(every) if wanted(n, view)]
    assert len(expected) > 0
    found = find_cases(store, run_id, **asked)
    assert [view.case_id for view in found] == expected
    assert len(found) == len(expected)
    view = RunView.of(store, run_id)
    shown, count = first_cases(view, case_filter(view, **asked), 2)
    assert ([each.case_id for each in shown], count) == (expected[:2], len(expected))


def test_results_are_chosen_alike() -> None:
    result = evaluate(model=mixed, data=rows(), metric="builtin/f1", parser=Regex(pattern=r"= (.+)"))
    chosen = result.cases.where("topic = 'law'", unparsed=True)
    assert [case.case_id for case in chosen] == ["q6", "q30"]
    assert len(chosen) == 2


def test_a_run_without_metrics_is_asked_for_its_cases_alone() -> None:
    store = InMemoryRunStore()
    run_id = evaluate(model=mixed, data=rows(), metric=[], store=store).run_id
    assert len(find_cases(store, run_id, "topic = 'law'")) == 14
    assert len(find_cases(store, run_id, text="sorry")) == 5
    assert len(find_cases(store, run_id, outcome="incorrect")) == 0
    assert len(find_cases(store, run_id, "score is null and answer contains 'or so'")) == 15


def test_several_answers_are_each_held_against_the_condition() -> None:
    store, calls = InMemoryRunStore(), list[str]()

    @generator(component_id="t/second")
    def second(case: Case) -> str:
        calls.append(case.case_id)
        return "right" if calls.count(case.case_id) > 1 and case.case_id == "q1" else "wrong"

    data = [{**row, "expected_output": "right"} for row in rows(3)]
    run_id = evaluate(model=second, data=data, metric="builtin/exact_match", samples=2, store=store).run_id
    assert [view.case_id for view in find_cases(store, run_id, "answer = 'right' and score = 1")] == ["q1"]
    assert len(find_cases(store, run_id, "answer = 'right' and score = 0")) == 0


class Counting(InMemoryRunStore):
    read = 0

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        for event in super().events_by_case(run_id):
            self.read += 1
            yield event


def test_cases_are_read_as_they_are_taken() -> None:
    store = Counting()
    run_id = evaluate(model=mixed, data=rows(400), metric="builtin/f1", store=store).run_id
    store.read = 0
    assert next(iter(find_cases(store, run_id, "topic = 'art'"))).case_id == "q1"
    assert 0 < store.read < 30


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"outcome": "wrong"}, "outcome: the run has no outcome 'wrong'; known names: correct, error, incorrect"),
        ({"metric": "f2"}, "metric: the run has no metric 'f2'; "),
        ({"error": "parse_nul"}, "error: the run has no error 'parse_nul'; did you mean parse_null"),
        ({"dataset": "dota"}, "dataset: the run has no dataset 'dota'; did you mean data?"),
        ({"min_score": 1.0, "max_score": 0.0}, "min_score 1 lies above max_score 0"),
        ({"min_score": float("nan")}, "min_score"),
        ({"text": "!?"}, "text: no word to look for in '!?'"),
        ({"where": "topc = 'law'"}, "character 1: no case has a field 'topc'; did you mean topic?"),
        ({"where": "topc = 'law'"}, "the cases' metadata have level, score, topic, two words"),
        ({"where": "metadata.case = 'law'"}, "no case has a field 'metadata.case'"),
    ],
)
def test_what_can_not_be_asked_for_is_refused(stored: tuple[RunStore, str], asked: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as found:
        find_cases(*stored, **asked)
    assert said in str(found.value)


def test_all_that_is_wrong_is_said_at_once(stored: tuple[RunStore, str]) -> None:
    with pytest.raises(SpecError, match=r"(?s)3 problems.*outcome.*error.*metric"):
        find_cases(*stored, outcome="x", error="y", metric="z")


def test_a_field_of_the_last_case_alone_is_known() -> None:
    store = InMemoryRunStore()
    data = [*rows(5), {"input": "a", "expected_output": "b", "metadata": {"late": 1}}]
    run_id = evaluate(model="builtin/demo_model", data=data, metric="builtin/f1", store=store).run_id
    assert len(find_cases(store, run_id, "late = 1")) == 1
    assert len(find_cases(store, run_id, "late != 1")) == 5


def test_the_store_may_be_given_as_a_path(tmp_path: Path) -> None:
    place = tmp_path / "a.sqlite3"
    run_id = evaluate(model="builtin/demo_model", data=rows(5), metric="builtin/f1", storage=str(place)).run_id
    assert len(find_cases(place, run_id)) == 5
