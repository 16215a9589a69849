"""Inspection: what a store holds of a run, and the summaries of it, which must say what the full report says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import Dataset, InMemoryRunStore, PromptSpec, RunResult, RunStore, SqliteRunStore, evaluate
from themis.api.runs.inspect import (
    QuickCheck,
    get_case_view,
    get_evaluation_execution,
    get_execution_state,
    get_run_snapshot,
    get_stored_run,
    get_timeline,
    get_traces,
    quickcheck,
    snapshot_report,
)
from themis.api.runs.view import RunView
from themis.effects.reading import read_events
from themis.pure.case_view import case_view
from themis.pure.chain import Entry, link_all, read_event
from themis.pure.errors import DataError, RunNotFoundError, SpecError
from themis.pure.events import (
    GenerationCompletedEvent,
    GenerationFailedEvent,
    ParseFailedEvent,
    ScoreCompletedEvent,
    StepCompletedEvent,
)
from themis.pure.json import JSONValueError, decode, encode
from themis.pure.plan import CaseItem, make_plan
from themis.pure.projections import Thresholds
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, Message, ParsedOutput, TraceStep
from themis.pure.records.judging import JudgeResponse
from themis.pure.records.results import RunStatus
from themis.pure.records.scoring import Score
from themis.pure.state import fold
from themis.testing.pipelines import Pipeline, ScriptedGenerator, dataset, pipelines

PIPELINE = Pipeline(
    cases=4,
    samples=2,
    generator=("right", "wrong"),
    reducer=("right",),
    parser=("right",),
    metrics=(("right",),),
    judge=("right", "wrong", "raise"),
)


class Flaky:
    """A parser that fails as long as it is told to; that is no part of what it is."""

    component_id = "flaky/parser"
    version = "1"
    fails = False

    def fingerprint(self) -> str:
        return "flaky"

    def parse(self, candidate: Any, ctx: Any) -> Any:
        if self.fails:
            raise ValueError("not today")
        return ParsedOutput(value=candidate.final_output)


@pytest.fixture
def store() -> RunStore:
    return InMemoryRunStore()


def same_as_the_report(found: QuickCheck, result: RunResult) -> None:
    benchmark = result.benchmark
    assert found.status == result.status
    assert found.completed_through_stage == result.completed_through_stage
    assert found.error_message == result.error_message
    assert found.total_cases == benchmark.total_cases
    assert [metric.metric_id for metric in found.metrics] == list(benchmark.metric_ids)
    for metric in found.metrics:
        outcomes = benchmark.outcome_counts[metric.metric_id]
        counts = {"correct": metric.correct, "incorrect": metric.incorrect, "error": metric.errors}
        assert counts | ({"not_reached": metric.not_reached} if metric.not_reached else {}) == dict(outcomes)
        assert metric.scored + metric.errors + metric.not_reached == metric.planned == sum(outcomes.values())
        assert metric.planned % found.total_cases == 0
        assert metric.mean == pytest.approx(benchmark.metric_means.get(metric.metric_id))


@given(
    pipelines(),
    st.booleans(),
    st.lists(st.sampled_from(["generate", "parse", "score", "judge", "again: reduce", "again: score"]), max_size=3),
)
def test_a_quick_check_says_what_the_report_says(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline, judged: bool, story: list[str]
) -> None:
    pipeline = pipeline if judged else attrs.evolve(pipeline, judge=None)
    with SqliteRunStore(tmp_path_factory.mktemp("s") / "s.sqlite3") as store:
        result = pipeline.experiment().run(store=store, until_stage="generate")
        same_as_the_report(quickcheck(store, result.run_id), result)
        for chapter in story:
            again, _, stage = chapter.rpartition(": ")
            whole = all(not case.generation_failures for case in result.cases)
            if not again:
                result = pipeline.experiment().run(store=store, until_stage=stage)  # type: ignore[arg-type]  # a stage
            elif whole:
                result = pipeline.experiment().replay(store=store, stage=stage)  # type: ignore[arg-type]  # a stage
            found = quickcheck(store, result.run_id)
            same_as_the_report(found, result)
            assert QuickCheck.from_dict(decode(encode(found))) == found
            assert found.started_cases == found.total_cases


@given(pipelines(), st.booleans(), st.booleans(), st.floats(0, 1))
def test_what_a_run_did_not_come_to_is_no_error_wherever_it_was_killed(
    tmp_path_factory: pytest.TempPathFactory, pipeline: Pipeline, judged: bool, tried_again: bool, part: float
) -> None:
    pipeline = pipeline if judged else attrs.evolve(pipeline, judge=None)
    made, whole = pipeline.experiment(), InMemoryRunStore()
    if tried_again:
        made.run(store=whole, until_stage="generate")
    run_id = made.run(store=whole).run_id
    events = [*whole.events(run_id)]
    begun = events[: max(1, round(part * len(events)))]
    with SqliteRunStore(tmp_path_factory.mktemp("s") / "s.sqlite3") as store:
        store.persist_snapshot(whole.load_snapshot(run_id))
        store.append(run_id, begun, {ref: whole.blob(ref) for ref in whole.blob_refs()})
        result = RunResult(snapshot=made.compile(), store=store)
        found = quickcheck(store, run_id)
        same_as_the_report(found, result)
        assert (found.status == RunStatus.INTERRUPTED) == (begun[-1].event_type != "run_completed")
        assert result.progress.completed_cases + result.progress.failed_cases <= found.total_cases
        unfinished = [case for case in result.cases if not (case.generated_candidates or case.generation_failures)]
        assert len(unfinished) <= min([metric.not_reached for metric in found.metrics], default=len(unfinished))


def categories(result: RunResult) -> set[str]:
    return {category for counts in result.benchmark.error_counts.values() for category in counts}


@pytest.mark.parametrize("until", ["generate", "reduce", "parse"])
def test_a_run_that_was_to_end_early_is_complete(store: RunStore, until: Any) -> None:
    made = attrs.evolve(PIPELINE, judge=None).experiment()
    result = made.run(store=store, until_stage=until)
    assert (result.status, result.completed_through_stage) == (RunStatus.COMPLETED, until)
    assert (result.progress.completed_cases, result.progress.failed_cases) == (4, 0)
    assert categories(result) == {"not_reached"}
    found = quickcheck(store, result.run_id)
    assert found.status == RunStatus.COMPLETED
    assert f"completed, through {until}" in str(found)
    assert "errors, 4 not done yet" in str(found)
    assert made.run(store=store).benchmark.error_counts == {"scripted/metric0": {}}


def test_scores_that_a_complete_run_lacks_are_failures_all_the_same(store: RunStore) -> None:
    whole = InMemoryRunStore()
    result = attrs.evolve(PIPELINE, judge=None, samples=1).experiment().run(store=whole)
    events = [(e.case_no, read_event(e, whole.blob)) for e in whole.events(result.run_id)]
    lacking = [Entry(case_no, event) for case_no, event in events if event.event_type != "score_completed"]
    linked, *_ = link_all(store.head(result.run_id), lacking)
    store.persist_snapshot(result.snapshot)
    store.append(result.run_id, linked, {})
    assert RunResult(snapshot=result.snapshot, store=store).status == RunStatus.PARTIAL_FAILURE
    assert quickcheck(store, result.run_id).status == RunStatus.PARTIAL_FAILURE


def test_scores_that_later_events_superseded_are_not_counted(tmp_path: Path) -> None:
    flaky = Flaky()
    pipeline = attrs.evolve(PIPELINE, samples=1, judge=None)
    experiment = pipeline.experiment()
    experiment = experiment.evolve(evaluation=experiment.evaluation.evolve(parsers=flaky))
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        first = experiment.run(store=store)
        assert quickcheck(store, first.run_id).metrics[0].scored == 4
        rescored = experiment.replay(stage="score", store=store)
        same_as_the_report(quickcheck(store, first.run_id), rescored)
        flaky.fails = True
        again = experiment.replay(stage="parse", store=store)
        same_as_the_report(quickcheck(store, first.run_id), again)
        assert quickcheck(store, first.run_id).metrics[0].scored == 0
        flaky.fails = False
        mended = experiment.replay(stage="parse", store=store)
        same_as_the_report(quickcheck(store, first.run_id), mended)
        assert quickcheck(store, first.run_id).metrics[0].scored == 4


def test_a_score_that_a_later_failure_superseded_is_not_counted_however_few_events_there_are(tmp_path: Path) -> None:
    pipeline = attrs.evolve(PIPELINE, samples=1, judge=None, metrics=(("right",), ("right",)))
    with SqliteRunStore(tmp_path / "s.sqlite3") as store:
        result = pipeline.experiment().run(store=store, until_stage="parse")
        what: dict[str, Any] = {
            "run_id": result.run_id,
            "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
            "case_id": "0",
            "dataset_id": "made",
            "case_key": "4:made:0",
            "candidate_id": "0-candidate-0",
        }
        name = "scripted/metric0"
        scored = ScoreCompletedEvent(**what, metric_id=name, score=Score(metric_id=name, value=1.0))
        events, _, head = link_all(store.head(result.run_id), [Entry(0, scored)])
        store.append(result.run_id, events, {})
        assert quickcheck(store, result.run_id).metrics[0].scored == 1
        events, _, _ = link_all(head, [Entry(0, ParseFailedEvent(**what, error_message="not today"))])
        store.append(result.run_id, events, {})
        assert quickcheck(store, result.run_id).metrics[0].scored == 0


def test_a_run_that_was_never_begun_is_pending(store: RunStore) -> None:
    snapshot = PIPELINE.experiment().compile()
    store.persist_snapshot(snapshot)
    found = quickcheck(store, snapshot.run_id)
    assert (found.status, found.attempts, found.started_cases) == (RunStatus.PENDING, 0, 0)
    assert (found.metrics[0].errors, found.metrics[0].not_reached, found.metrics[0].planned) == (0, 4, 4)
    assert "0 errors, 4 not done yet" in str(found)
    assert get_execution_state(store, snapshot.run_id).case_states == {}
    assert get_evaluation_execution(store, snapshot.run_id, "0", "scripted/judged") is None


def test_snapshot_and_state_are_what_is_stored(store: RunStore) -> None:
    result = PIPELINE.experiment().run(store=store)
    assert get_run_snapshot(store, result.run_id) == result.snapshot
    assert get_execution_state(store, result.run_id) == fold(result.run_id, read_events(store, result.run_id))
    for call in (get_run_snapshot, get_execution_state, quickcheck, get_stored_run, get_timeline, get_traces):
        with pytest.raises(RunNotFoundError):
            call(store, "0" * 64)


@given(pipelines())
def test_timeline_traces_and_the_stored_run_say_what_the_events_say(pipeline: Pipeline) -> None:
    store = InMemoryRunStore()
    run_id = pipeline.experiment().run(store=store).run_id
    events = tuple(read_events(store, run_id))
    state = fold(run_id, events)
    stored, timeline, traces = get_stored_run(store, run_id), get_timeline(store, run_id), get_traces(store, run_id)
    assert (stored.snapshot, stored.events) == (get_run_snapshot(store, run_id), events)
    assert stored.execution_state == state
    facts = ("event_type", "occurred_at", "case_id", "dataset_id", "case_key", "candidate_id", "metric_id")
    assert [tuple(getattr(entry, fact) for fact in facts) for entry in timeline.entries] == [
        tuple(getattr(event, fact, None) for fact in facts) for event in events
    ]
    assert [entry.index for entry in timeline.entries] == list(range(len(events)))
    assert {(item.case_key, item.metric_id) for item in traces.evaluation_traces} == {
        (key, metric)
        for key, case in state.case_states.items()
        for seen in (case, *case.answers.values())
        for metric in seen.executions
    }
    for view in (timeline, traces):
        assert view.from_dict(decode(encode(view))) == view


class Agent:
    """A generator that records the steps and the talk that led to each answer but the first case's."""

    component_id = "agent"
    version = "1"

    def fingerprint(self) -> str:
        return "agent"

    def generate(self, case: Case, ctx: Any) -> GenerationResult:
        answer = GenerationResult(candidate_id=ctx.candidate_id, final_output=case.input)
        if ctx.case_id == "1":
            return answer
        step = TraceStep(step_name="look", step_type="tool", input={"for": case.input}, output={"found": 1})
        return answer.evolve(trace=[step], conversation=[Message(role="user", content=case.input)])


def test_traces_are_listed_with_their_case_and_candidate(store: RunStore) -> None:
    rows = [{"input": "a", "expected_output": "a"}, {"input": "b", "expected_output": "b"}]
    result = evaluate(model=Agent(), data=rows, metric="builtin/exact_match", samples=2, store=store)
    traces = get_traces(store, result.run_id)
    names = [(item.case_id, item.candidate_id) for item in traces.generation_traces]
    assert names == [("2", "2-candidate-0"), ("2", "2-candidate-1")]
    assert names == [(item.case_id, item.candidate_id) for item in traces.conversation_traces]
    first, spoken = traces.generation_traces[0].trace, traces.conversation_traces[0].conversation
    assert first is not None
    assert first.steps[0].output == {"found": 1}
    assert spoken is not None
    assert spoken.messages[0].content == "b"
    assert traces.evaluation_traces == ()


def test_an_execution_is_found_by_case_and_metric(store: RunStore) -> None:
    result = PIPELINE.experiment().run(store=store)
    for case in result.cases:
        found = get_evaluation_execution(store, result.run_id, case.case_id, "scripted/judged")
        assert (found,) == case.evaluation_executions
    assert get_evaluation_execution(store, result.run_id, "0", "scripted/metric0") is None
    with pytest.raises(SpecError, match="did you mean scripted/judged"):
        get_evaluation_execution(store, result.run_id, "0", "scripted/judge")
    with pytest.raises(DataError, match=r"no case '77'; known names: 0, 1, 2, 3"):
        get_evaluation_execution(store, result.run_id, "77", "scripted/judged")


def test_case_ids_of_two_datasets_are_told_apart(store: RunStore) -> None:
    experiment = PIPELINE.experiment().evolve(datasets=[dataset(2, "one"), dataset(3, "two")])
    run_id = experiment.run(store=store).run_id
    with pytest.raises(DataError) as caught:
        get_evaluation_execution(store, run_id, "1", "scripted/judged")
    assert "dataset_id='one' (case_key '3:one:1')" in str(caught.value)
    assert "dataset_id='two' (case_key '3:two:1')" in str(caught.value)
    by_dataset = get_evaluation_execution(store, run_id, "1", "scripted/judged", dataset_id="two")
    by_key = get_evaluation_execution(store, run_id, "1", "scripted/judged", case_key="3:two:1")
    assert by_dataset == by_key is not None
    assert RunView.of(store, run_id).find("2").dataset_id == "two"
    with pytest.raises(DataError, match="no case '2' with dataset_id 'one'"):
        get_evaluation_execution(store, run_id, "2", "scripted/judged", dataset_id="one")


def test_a_snapshot_report_is_json_and_says_what_is_run() -> None:
    snapshot = PIPELINE.experiment().compile()
    report: Any = snapshot_report(snapshot, {"ticket": [1, None]})
    assert json.loads(json.dumps(report)) == report
    assert report["run_id"] == snapshot.run_id
    assert (report["total_cases"], report["candidates_per_case"]) == (4, 2)
    assert [metric["family"] for metric in report["metrics"]] == ["pure", "llm"]
    assert report["components"]["generator"]["component_id"] == "scripted/generator"
    assert report["run_metadata"] == {"ticket": [1, None]}
    assert "run_metadata" not in snapshot_report(snapshot)
    with pytest.raises(JSONValueError, match=r"run_metadata\.when"):
        snapshot_report(snapshot, {"when": object()})  # type: ignore[dict-item]  # that is the point


# --- one case ---------------------------------------------------------------------------------------------


def test_a_case_is_shown_whole(store: RunStore) -> None:
    experiment = PIPELINE.experiment()
    generation = experiment.generation.evolve(prompt_spec=PromptSpec(instructions="Be brief.", prefix="Q: "))
    result = experiment.evolve(generation=generation).run(store=store)
    for case in result.cases:
        view = get_case_view(store, result.run_id, case.case_id)
        assert view.result == case
        assert [message["content"] for message in view.prompt] == ["Be brief.", f'Q: {{"n":{case.case_id}}}']
        assert [row.metric_id for row in view.score_rows] == ["scripted/metric0", "scripted/judged"]
        text = str(view)
        assert "Be brief." in text
        for candidate in case.generated_candidates:
            assert f"candidate {candidate.candidate_id}:\n  {candidate.final_output}" in text
        failures = [f for execution in case.evaluation_executions for f in execution.failures]
        assert len(view.history) == len(failures)
        assert type(view).from_dict(view.to_dict()) == view


def test_failed_attempts_are_kept_in_a_cases_history(store: RunStore) -> None:
    failing = attrs.evolve(PIPELINE, samples=1, generator=("raise",), judge=None)
    run_id = failing.experiment().run(store=store).run_id
    failing.experiment().run(store=store)
    view = get_case_view(store, run_id, "0")
    assert [(tried.step, tried.error_message) for tried in view.history] == [("generation 0", "no answer to 0")] * 2
    assert "failed attempt, generation 0" in str(view)
    assert "generation_failure: no answer to 0" in str(view)


def test_the_tries_before_an_answer_are_in_the_history_too(store: RunStore) -> None:
    entry: dict[str, Any] = {"attempt": 1, "reason": "HTTP 429", "kind": "rate_limited"}
    answer = JudgeResponse(judge_model_id="j", raw_response="yes", retry_history=[entry])
    what: dict[str, Any] = {
        "run_id": "r",
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
        "case_id": "1",
        "dataset_id": "d",
        "case_key": "1:d:1",
    }
    candidate: dict[str, Any] = {"candidate_id": "1-candidate-0", "candidate_index": 0}
    made = GenerationResult(candidate_id="1-candidate-0", final_output="x")
    events = [
        GenerationFailedEvent(**what, **candidate, error_message="gone", retry_history=[entry, entry]),
        GenerationCompletedEvent(**what, **candidate, result=made, retry_history=[entry]),
        StepCompletedEvent(**what, workflow_id="m", step_id="c", step_type="judge_call", output=answer.to_dict()),
    ]
    item = CaseItem(Case(case_id="1", input="?"), 0, "d", "1:d:1", {})
    plan = make_plan(Pipeline(1, 1, ("right",), None, None, (), None).experiment().compile())
    history = case_view(item, events, plan, Thresholds()).history
    assert [(tried.step, tried.error_message) for tried in history] == [
        ("generation 0", "HTTP 429"),
        ("generation 0", "gone"),
        ("generation 0", "HTTP 429"),
        ("step m/c", "HTTP 429"),
    ]


@attrs.frozen
class Evil(ScriptedGenerator):
    async def generate(self, case: Any, ctx: Any) -> Any:
        result = await super().generate(case, ctx)
        return result.evolve(final_output="\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\r\nsecond line\ttabbed é 漢")


def test_no_control_character_of_a_model_reaches_the_terminal(store: RunStore) -> None:
    experiment = attrs.evolve(PIPELINE, judge=None).experiment()
    experiment = experiment.evolve(generation=experiment.generation.evolve(generator=Evil()))
    text = str(get_case_view(store, experiment.run(store=store).run_id, "0"))
    assert r"\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\r" in text
    assert "second line\ttabbed é 漢" in text
    assert all(char.isprintable() or char in "\n\t" for char in text)


def test_long_texts_are_cut(store: RunStore) -> None:
    experiment = attrs.evolve(PIPELINE, judge=None).experiment()
    long = Dataset(dataset_id="long", cases=[{"case_id": "1", "input": "x", "expected_output": "y" * 9000}])
    text = str(get_case_view(store, experiment.evolve(datasets=long).run(store=store).run_id, "1"))
    assert "... (9000 characters)" in text
    assert len(text) < 40_000
