"""The result of a run: of the run as it was when it was returned, and at hand in every form that people ask for."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import pickle
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import InMemoryRunStore, JsonlRunStore, RunResult, RunStore, SqliteRunStore, evaluate
from themis.effects.options import NotStoredError
from themis.pure.components.basic import DemoModel
from themis.pure.errors import MissingExtraError, RunningLoopError, SpecError, StoreError
from themis.pure.events import GenerationCompletedEvent
from themis.pure.records.config import RuntimeConfig
from themis.testing.pipelines import Pipeline, pipelines

ROWS = [{"case_id": str(n), "input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(10)]
STORES: dict[str, Callable[[Path], RunStore]] = {
    "memory": lambda path: InMemoryRunStore(),
    "sqlite": lambda path: SqliteRunStore(path / "s.sqlite3"),
    "jsonl": lambda path: JsonlRunStore(path / "s"),
}
each_store = pytest.mark.parametrize("kind", STORES)


def demo(store: RunStore | None = None, **more: Any) -> RunResult:
    return evaluate(model="builtin/demo_model", data=ROWS, metric="builtin/exact_match", store=store, **more)


def told(result: RunResult) -> Any:
    """All that a result says, read anew."""
    fresh = attrs.evolve(result)
    data = fresh.to_dict(cases=True)
    rows = [row.to_dict() for row in fresh.benchmark.score_rows]
    return data, rows, fresh.digest, fresh.status, fresh.progress, fresh.usage, fresh.completed_through_stage


# --- as of its end ----------------------------------------------------------------------------------------


@given(
    pipelines(),
    st.lists(st.sampled_from(["generate", "parse", "judge", "again: reduce", "again: judge"]), min_size=1, max_size=3),
)
def test_what_comes_later_changes_no_earlier_result(pipeline: Pipeline, story: list[str]) -> None:
    store, made = InMemoryRunStore(), pipeline.experiment()
    earlier = [made.run(store=store, until_stage="generate")]
    said = [told(earlier[0])]
    for chapter in story:
        again, _, stage = chapter.rpartition(": ")
        if not again:
            result = made.run(store=store, until_stage=stage)  # type: ignore[arg-type]  # a stage
        elif any(case.generation_failures for case in earlier[0].cases):
            continue
        else:
            result = made.replay(store=store, stage=stage)  # type: ignore[arg-type]  # a stage
        earlier.append(result)
        said.append(told(result))
    assert [told(result) for result in earlier] == said


@each_store
def test_a_replay_that_changes_scores_leaves_the_earlier_result(kind: str, tmp_path: Path, fickle_parser: Any) -> None:
    made = Pipeline(3, 1, ("right",), None, None, (("right",),), None).experiment()
    made = made.evolve(evaluation=made.evaluation.evolve(parsers=fickle_parser))
    with closing(STORES[kind](tmp_path)) as store:
        first = made.run(store=store)
        fickle_parser.broken = True
        second = made.replay(stage="parse", store=store)
        assert first.benchmark.metric_means == {"scripted/metric0": 1.0}
        assert second.benchmark.metric_means == {}
        assert [case.parse_error is None for case in first.cases] == [True] * 3
        assert [case.parse_error is None for case in second.cases] == [False] * 3
        assert first.digest != second.digest


@each_store
def test_a_result_whose_run_was_made_anew_says_so(kind: str, tmp_path: Path) -> None:
    with closing(STORES[kind](tmp_path)) as store:
        first = demo(store)
        demo(store, runtime=RuntimeConfig(existing_run_policy="rerun"))
        with pytest.raises(StoreError, match="made anew since this result"):
            len([*first.cases])
        assert "can't be read" in repr(first)


def test_labels_that_are_given_later_are_seen() -> None:
    result = demo()
    result.label("1", value=True, who="ada")
    assert [label.who for label in result.labels()] == ["ada"]
    assert result.digest == attrs.evolve(result).digest


# --- forms ------------------------------------------------------------------------------------------------


@each_store
def test_a_result_is_the_same_after_pickling(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = demo(STORES[kind](Path("runs")))
    packed, copied, said = pickle.dumps(result), copy.deepcopy(result), told(result)
    monkeypatch.chdir("/")
    again = pickle.loads(packed)
    assert said == told(copied) == told(again)
    assert again.end == result.end
    for each in (again, copied, result):
        each.store.close()


def test_a_pickled_store_in_memory_still_knows_what_it_may_reuse() -> None:
    first = evaluate(model=DemoModel(error_rate=0.5), data=ROWS, metric="builtin/exact_match", store=InMemoryRunStore())
    store = pickle.loads(pickle.dumps(first.store))
    model = DemoModel(error_rate=0.5)
    made = evaluate(model=model, data=ROWS, metric="builtin/exact_match_normalized", store=store)
    assert {event.cache_hit for event in made.view.events() if isinstance(event, GenerationCompletedEvent)} == {True}


def test_a_postgres_store_is_not_pickled_for_its_address() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
    from themis.effects.stores.postgres import PostgresRunStore

    with pytest.raises(TypeError, match="may hold a password"):
        pickle.dumps(PostgresRunStore("postgresql://me@nowhere/x"))


def test_a_result_is_figures_in_a_line() -> None:
    result = demo()
    mean = result.benchmark.metric_means["builtin/exact_match"]
    assert repr(result) == (
        f"RunResult(run_id='{result.run_id[:12]}…', status=completed, cases=10, errors=0, "
        f"builtin/exact_match={mean:.4f} (n=10))"
    )


def test_a_result_in_a_notebook_is_a_table_and_no_script() -> None:
    rows = [{"input": "1", "expected_output": "1"}]
    name = "<script>alert(1)</script>"
    html = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", name=name)._repr_html_()
    assert "<table>" in html
    assert "builtin/exact_match" in html
    assert "1.0000" in html
    assert name not in html
    assert "&lt;script&gt;" in html


def test_a_result_as_plain_data_is_what_the_command_prints() -> None:
    result = demo()
    data = result.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert (data["run_id"], data["status"], data["digest"]) == (result.run_id, "completed", result.digest)
    assert "cases" not in data
    assert result.to_dict(cases=True)["cases"] == [case.to_dict() for case in result.cases]


@given(pipelines())
def test_a_frame_has_a_row_for_each_score_row(pipeline: Pipeline) -> None:
    result = pipeline.experiment().run(store=InMemoryRunStore())
    frame, rows = result.to_polars(), [*result.benchmark.score_rows]
    assert frame["value"].to_list() == [row.value for row in rows]
    assert frame["outcome"].to_list() == [row.outcome for row in rows]
    assert frame["case_key"].to_list() == [row.case_key for row in rows]
    assert [*frame.columns] == [*result.to_pandas().columns]


def test_a_frame_has_question_and_answer_beside_the_score() -> None:
    frame = demo(samples=2).to_pandas()
    assert len(frame) == 20
    right = frame[frame["outcome"] == "correct"]
    assert (right["answer"] == right["expected_output"]).all()
    assert (right["parsed"] == right["expected_output"]).all()
    wrong = frame[frame["outcome"] == "incorrect"]
    assert (wrong["answer"] != wrong["expected_output"]).all()
    assert frame["value"].dtype == "float64"


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_without_its_library_says_what_to_install(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = demo()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=f"pip install {library}"):
        getattr(result, f"to_{library}")()


# --- some of the cases ------------------------------------------------------------------------------------


@given(pipelines(), st.sampled_from(["correct", "incorrect", "error", "not_reached"]), st.booleans(), st.booleans())
def test_cases_are_chosen_by_their_rows(pipeline: Pipeline, outcome: Any, named: bool, early: bool) -> None:
    result = pipeline.experiment().run(store=InMemoryRunStore(), until_stage="parse" if early else "judge")
    metric = result.benchmark.metric_ids[0] if named and result.benchmark.metric_ids else None
    wanted = {
        row.case_key
        for row in result.benchmark.score_rows
        if row.outcome == outcome and metric in (None, row.metric_id)
    }
    found = result.cases.where(outcome=outcome, metric=metric)
    assert len(found) == len(wanted)
    assert [*found] == [case for case in result.cases if case.case_key in wanted]


def test_cases_that_cant_be_meant_are_refused() -> None:
    cases = demo().cases
    assert len(cases.where(metric="exact_match", dataset="data")) == 10
    for wrong in ({"outcome": "wrong"}, {"metric": "exact"}, {"dataset": "dat"}):
        with pytest.raises(SpecError, match=f"the run has no {next(iter(wrong))}"):
            cases.where(**wrong)  # type: ignore[arg-type]  # that is the point


# --- done again -------------------------------------------------------------------------------------------


def test_a_replay_from_a_memory_store_of_its_own_says_to_hand_the_store_in() -> None:
    experiment = Pipeline(2, 1, ("right",), None, None, (("right",),), None).experiment()
    result = experiment.run()
    for again in (functools.partial(experiment.replay, stage="score"), experiment.rejudge):
        with pytest.raises(NotStoredError, match=r"in memory, and holds no runs.*store=result\.store"):
            again()
    assert experiment.replay(stage="score", store=result.store).digest == result.digest


@pytest.mark.parametrize("verb", ["run", "replay", "rejudge"])
def test_in_a_running_loop_an_error_names_the_verb_that_was_called(verb: str) -> None:
    experiment = Pipeline(1, 1, ("right",), None, None, (), None).experiment()

    async def cell() -> None:
        getattr(experiment, verb)(**({"stage": "score"} if verb == "replay" else {}))

    with pytest.raises(RunningLoopError, match=rf"Experiment\.{verb}\(\) was called .*`await Experiment\.{verb}_async"):
        asyncio.run(cell())
