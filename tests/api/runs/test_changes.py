"""Which cases changed between stored runs: paired as a comparison pairs them, and read as both runs have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from themis import (
    Case,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    JsonlRunStore,
    RunResult,
    RunStore,
    SqliteRunStore,
    changed_cases,
    compare,
    evaluate,
    generator,
)
from themis.core import DataError, SpecError
from themis.pure.components.parsers import Regex

NUMBER = Regex(pattern=r"= (\S+)")


def rows(count: int = 30) -> list[dict[str, Any]]:
    return [{"case_id": str(i), "input": f"q{i}", "expected_output": str(i)} for i in range(count)]


def answers(name: str, of: Callable[[int], str]) -> Any:
    @generator(component_id=name)
    def answer(case: Case) -> str:
        return of(int(case.case_id))

    return answer


def first_answer(number: int) -> str:
    return f"= {number}" if number % 3 else f"= {number + 1}"


def second_answer(number: int) -> str:
    if number % 10 == 9:
        raise RuntimeError("the server is down")
    if number % 10 == 8:
        return "who knows"
    return f"= {number}" if number % 4 else f"= {number + 2}"


def run(store: RunStore, model: Any, data: Any = None, **more: Any) -> str:
    metrics = {"metric": "builtin/exact_match", "parser": NUMBER, **more}
    return evaluate(model=model, data=data or rows(), store=store, **metrics).run_id


FIRST, SECOND = answers("t/first", first_answer), answers("t/second", second_answer)


def expected(number: int) -> str:
    before, after = first_answer(number), second_answer(number) if number % 10 != 9 else None
    if after is None:
        return "answer_to_error"
    if after == "who knows":
        return "parsed_to_unparsed"
    was_right, is_right = before == f"= {number}", after == f"= {number}"
    if was_right != is_right:
        return "wrong_to_right" if is_right else "right_to_wrong"
    return "same" if before == after else "parsed_differently"


@pytest.fixture(params=["memory", "sqlite", "jsonl"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    if request.param == "memory":
        return InMemoryRunStore()
    return SqliteRunStore(tmp_path / "a.sqlite3") if request.param == "sqlite" else JsonlRunStore(tmp_path / "log")


def test_cases_are_told_by_kind_and_shown_as_both_runs_have_them(store: RunStore) -> None:
    a, b = run(store, FIRST), run(store, SECOND)
    found = changed_cases(store, a, store, b)
    [metric] = found.metrics
    for each in metric.kinds:
        if each.kind != "same":
            assert list(each.case_keys) == [f"4:data:{n}" for n in range(30) if expected(n) == each.kind], each.kind
    [compared] = compare(store, a, store, b).comparisons
    assert sum(each.better for each in metric.kinds) == compared.wins > 0
    assert sum(each.worse for each in metric.kinds) == compared.losses > 0
    cases = [*found.cases()]
    assert [int(case.case_id) for case in cases] == [n for n in range(30) if expected(n) != "same"]
    for case in cases:
        number = int(case.case_id)
        assert case.kind == case.kinds["builtin/exact_match"] == expected(number)
        assert case.a.answers[0].answer == first_answer(number)
        assert case.a.answers[0].parsed == first_answer(number)[2:]
        assert case.a.prompt[0]["content"] == f"q{number}"
        [theirs] = case.b.answers
        assert theirs.answer == (None if number % 10 == 9 else second_answer(number))
        assert (theirs.error is not None) == (number % 10 >= 8)
        assert theirs.scores[0].metric_id == "builtin/exact_match"
    assert {case.kind for case in found.cases(kinds="answer_to_error")} == {"answer_to_error"}
    assert len([*found.cases(most=1)]) == len(metric.kinds) - 1
    assert changed_cases(store, a, store, a).metrics[0].changed == 0
    back = changed_cases(store, b, store, a)
    assert back.metrics[0].of_kind("wrong_to_right").case_keys == metric.of_kind("right_to_wrong").case_keys


def test_cases_are_paired_and_left_out_as_in_a_comparison() -> None:
    store = InMemoryRunStore()
    other = [*rows()[1:], {"case_id": "new", "input": "q", "expected_output": "1"}]
    other[4] = {**other[4], "input": "changed"}
    a = run(store, FIRST)
    b = run(
        store,
        answers("t/any", lambda number: "= 1"),
        [{**row, "case_id": row["case_id"].replace("new", "77")} for row in other],
    )
    found = changed_cases(store, a, store, b)
    assert found.paired == found.metrics[0].total == 28
    assert compare(store, a, store, b).comparisons[0].pairs == 28
    renamed = [{**row, "case_id": str(100 + int(row["case_id"]))} for row in rows()]
    c = run(store, answers("t/late", lambda number: first_answer(number - 100)), renamed)
    by_content = changed_cases(store, a, store, c)
    assert (by_content.paired, by_content.metrics[0].changed) == (30, 0)


def test_cases_that_a_run_did_not_plan_are_left_out() -> None:
    store, data = InMemoryRunStore(), rows(200)
    a = run(store, FIRST, data)
    b = run(store, answers("t/right", lambda number: f"= {number}"), data, until="exact_match>=0.5")
    found = changed_cases(store, a, store, b).metrics[0]
    assert found.total == compare(store, a, store, b).comparisons[0].pairs < 200
    assert changed_cases(store, b, store, a).metrics[0].total == found.total


def test_several_answers_a_case_are_shown_one_by_one() -> None:
    store, asked = InMemoryRunStore(), dict[str, int]()

    @generator(component_id="t/wavering")
    def wavering(case: Case) -> str:
        asked[case.case_id] = asked.get(case.case_id, 0) + 1
        return f"= {case.case_id}" if asked[case.case_id] == 1 else "= no"

    a = run(store, answers("t/sure", lambda number: f"= {number}"), samples=2)
    b = run(store, wavering, samples=2)
    found = changed_cases(store, a, store, b)
    assert found.metrics[0].of_kind("score_fell").count == 30
    case = next(found.cases())
    assert len(case.a.answers) == len(case.b.answers) == 2
    assert sorted(score.value or 0.0 for answer in case.b.answers for score in answer.scores) == [0.0, 1.0]


def experiment(**evaluation: Any) -> Experiment:
    return Experiment(
        datasets=rows(),
        generation=GenerationConfig(generator=FIRST),
        evaluation=EvaluationConfig(**{"metrics": "builtin/exact_match", "parsers": NUMBER, **evaluation}),
    )


def test_a_replay_says_which_cases_a_new_parser_or_metric_changes() -> None:
    store = InMemoryRunStore()
    before = experiment().run(store=store)
    lazy = experiment(parsers=Regex(pattern=r"= (\d)")).replay(stage="parse", store=store)
    changes = lazy.changes_from(before)
    [metric] = changes.metrics
    cut = [n for n in range(10, 30) if n % 3]
    assert list(metric.of_kind("right_to_wrong").case_keys) == [f"4:data:{n}" for n in cut]
    other = experiment(metrics="builtin/contains").replay(stage="score", store=store).changes_from(before)
    assert other.metrics[0].metric_id == "builtin/exact_match to builtin/contains"
    assert other.metrics[0].total == 30


def test_a_result_is_compared_as_of_its_end(tmp_path: Path) -> None:
    store = InMemoryRunStore()
    results: list[RunResult] = []
    up = tmp_path / "up"

    @generator(component_id="t/recovering")
    def recovering(case: Case) -> str:
        if case.case_id == "3" and not up.exists():
            raise RuntimeError("down")
        return f"= {case.case_id}"

    for _ in range(2):
        made = experiment().evolve(generation=GenerationConfig(generator=recovering))
        results.append(made.run(store=store))
        up.touch()
    before, after = results
    assert before.run_id == after.run_id
    [metric] = after.changes_from(before).metrics
    assert [(each.kind, each.case_keys) for each in metric.kinds] == [
        ("error_to_answer", ("4:data:3",)),
        ("same", ()),
    ]


def test_what_is_asked_for_and_not_there_is_named() -> None:
    store = InMemoryRunStore()
    a, b = run(store, FIRST), run(store, SECOND, metric="builtin/f1")
    with pytest.raises(DataError, match="not both runs have 'builtin/exact_match'"):
        changed_cases(store, a, store, b, ["exact_match"])
    found = changed_cases(store, a, store, b)
    with pytest.raises(SpecError, match=r"no change is of a kind 'right_to_wrng'; .*right_to_wrong"):
        found.cases(kinds="right_to_wrng")
    with pytest.raises(SpecError, match="the runs were not compared on 'bleu'"):
        found.cases(metric="bleu")
    with pytest.raises(SpecError, match="most: a number from 0 up"):
        found.cases(most=-1)
