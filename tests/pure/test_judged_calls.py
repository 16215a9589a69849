"""Call by call, a workflow's prompts, answers and verdicts are those of the execution, each with the call it is of."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given

from themis import InMemoryRunStore
from themis.pure.judged_calls import JudgedCall, dimension_scores, judged_calls, other_failures
from themis.pure.records.generation import TraceStep
from themis.pure.records.judging import (
    EvaluationExecution,
    JudgeCall,
    JudgeResponse,
    ParsedJudgment,
    RenderedJudgePrompt,
    WorkflowFailure,
    WorkflowTrace,
)
from themis.testing.pipelines import Pipeline, pipelines


@given(pipelines())
def test_nothing_is_lost_added_or_told_twice(pipeline: Pipeline) -> None:
    result = pipeline.experiment().run(store=InMemoryRunStore())
    executions = [each for case in result.cases for one in (case, *case.answers) for each in one.evaluation_executions]
    for execution in executions:
        calls = judged_calls(execution)
        assert [call.judge for call in calls] == [call.judge_model_id for call in execution.judge_calls]
        assert [call.prompt for call in calls if call.prompt is not None] == [
            prompt.content for prompt in execution.rendered_prompts
        ]
        assert tuple(call.response for call in calls if call.response is not None) == execution.judge_responses
        assert tuple(call.judgment for call in calls if call.judgment is not None) == execution.parsed_judgments
        told = [failure for call in calls for failure in call.failures] + [*other_failures(execution)]
        assert sorted(map(repr, told)) == sorted(map(repr, execution.failures))
        for call in calls:
            assert call.judgment is None or call.response is not None
        unclear = [first for first, second in pairwise(calls) if second.is_again]
        assert all(call.judgment is not None or call.failures for call in calls if call not in unclear)


def execution() -> EvaluationExecution:
    """Return a workflow of four calls: one said nothing, one's prompt failed, one was not answered, one is fine."""
    names = ("length", "style", "tone", "accuracy")
    calls = [JudgeCall(call_id=name, judge_model_id="j", dimension_id=name) for name in names]
    failures = [
        WorkflowFailure(call_id=name, step_id=f"{name}/{step}", step_type=step, error_message="no")
        for name, step in (("style", "render_prompt"), ("tone", "judge_call"), ("length", "parse_judgment"))
    ]
    steps = [
        TraceStep(step_name="length", step_type="judge_call", output={"error": "no"}),
        TraceStep(step_name="accuracy", step_type="judge_call", output={"label": "4", "score": 0.75}),
    ]
    return EvaluationExecution(
        execution_id="e",
        subject_kind="candidate_set",
        status="partial_failure",
        judge_calls=calls,
        rendered_prompts=[
            RenderedJudgePrompt(prompt_id=name, content=f"about {name}") for name in ("length", "tone", "accuracy")
        ],
        judge_responses=[JudgeResponse(judge_model_id="j", raw_response=text) for text in ("hm", "Score: 4")],
        parsed_judgments=[ParsedJudgment(label="4", score=0.75, rationale="mostly right")],
        failures=failures,
        trace=WorkflowTrace(trace_id="t", steps=steps),
    )


def test_what_is_missing_of_a_call_shifts_nothing_of_the_others() -> None:
    length, style, tone, accuracy = judged_calls(execution())
    assert (accuracy.prompt, accuracy.verdict(), accuracy.failures) == ("about accuracy", "4 (0.75)", ())
    assert (style.prompt, style.response, style.verdict()) == (None, None, "")
    assert (tone.prompt, tone.response, [f.step_type for f in tone.failures]) == ("about tone", None, ["judge_call"])
    assert length.response is not None
    assert (length.prompt, length.response.raw_response, length.judgment) == ("about length", "hm", None)


def test_a_call_is_named_by_dimension_judge_and_repeat() -> None:
    assert JudgedCall(judge="j", dimension="tone", repeat=2).title() == "tone, j, repeat 2"
    assert JudgedCall(judge="j").title() == "j"
    assert JudgedCall(judge="j", judgment=ParsedJudgment(label="met", score=1.0)).verdict() == "met (1)"
    assert JudgedCall(judge="j", judgment=ParsedJudgment(label="0.5", score=0.5)).verdict() == "0.5"


def test_one_dimension_is_the_metric_itself() -> None:
    assert dimension_scores(execution()) == {}
    calls = [JudgeCall(call_id=f"{name}{n}", judge_model_id="j", dimension_id=name) for name in "ab" for n in (0, 1)]
    scores = (1.0, 0.0, 1.0, 1.0)
    two = execution().evolve(
        judge_calls=calls,
        rendered_prompts=[RenderedJudgePrompt(prompt_id="p", content="?")] * 4,
        judge_responses=[JudgeResponse(judge_model_id="j", raw_response="x")] * 4,
        parsed_judgments=[ParsedJudgment(label="x", score=score) for score in scores],
        failures=(),
        trace=WorkflowTrace(
            trace_id="t", steps=[TraceStep(step_name=c.call_id, step_type="judge_call") for c in calls]
        ),
    )
    assert dimension_scores(two) == {"a": 0.5, "b": 1.0}
