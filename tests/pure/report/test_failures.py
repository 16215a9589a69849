"""Failures are counted by kind, and each count says what it counts."""

from __future__ import annotations

from hypothesis import example, given

from themis import RuntimeConfig, adapters, evaluate
from themis.api.runs.report import read_report, result_data, result_table
from themis.pure.records.scoring import ScoreError
from themis.testing.endpoint import Drop, FakeEndpoint, Reject, Request
from themis.testing.pipelines import Pipeline, pipelines


def test_answers_are_counted_and_not_cases() -> None:
    def script(request: Request) -> Reject | Drop:
        return Reject(status=429) if "odd" in request.body.decode() else Drop()

    rows = [{"input": name, "expected_output": "x"} for name in ("odd 1", "even 2", "odd 3")]
    runtime = RuntimeConfig(generation_retry_attempts=2, generation_retry_delay=0.001)
    with FakeEndpoint(script=script) as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        result = evaluate(model=model, data=rows, metric="builtin/exact_match", samples=3, runtime=runtime)
    lines = result_table(result).splitlines()
    assert "answers not generated: 6 rate limited (429), 3 connection failed" in lines
    assert result_data(result)["failures"] == [
        {"what": "answers not generated", "kind": "rate limited (429)", "count": 6},
        {"what": "answers not generated", "kind": "connection failed", "count": 3},
    ]
    assert "failed attempts, whose tokens are not known: 18" in lines


@example(Pipeline(8, 1, ("right",), None, ("right", "raise"), (("right", "error"),), ("right", "raise", "unusable")))
@example(Pipeline(8, 2, ("right", "raise"), None, ("right", "raise"), (("error",),), ("raise", "unusable")))
@given(pipelines())
def test_every_failure_of_a_run_is_counted_once(pipeline: Pipeline) -> None:
    result = pipeline.experiment().run()
    counts: dict[str, int] = {}
    for each in read_report(result.view).overview.failures:
        assert each.count > 0
        counts[each.what] = counts.get(each.what, 0) + each.count
    generated = sum(counts.get(f"{what} not generated", 0) for what in ("answers", "candidates"))
    cases = result.cases
    assert generated == sum(len(case.generation_failures) for case in cases)
    assert counts.get("cases not reduced", 0) == sum(case.reduction_error is not None for case in cases)
    workflows = [each for case in cases for one in (case, *case.answers) for each in one.evaluation_executions]
    calls = sum(counts.get(what, 0) for what in ("judge calls", "verdicts not read", "steps of workflows"))
    assert calls == sum(len(each.failures) for each in workflows)
    answers = [one for case in cases for one in (case.answers or (case,))]
    assert counts.get("answers not parsed", 0) == sum(one.parse_error is not None for one in answers)
    unscored = sum(isinstance(score, ScoreError) for one in answers for score in one.scores)
    unjudged = sum(each.status != "completed" and each.aggregation_output is None for each in workflows)
    assert sum(count for what, count in counts.items() if what.startswith("scores not made by")) >= unscored - unjudged
