"""What an answer that no parser can read counts as: stated by the run, shown in every report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from returns.result import Failure

from themis import GenerationResult, ParsedOutput, evaluate, generator, metric, parser
from themis.api import cli
from themis.api.config.record import EvaluationConfig
from themis.api.runs.report import read_report, result_data, result_table
from themis.pure.abilities import MetricAbilities
from themis.pure.components.registry import make_builtin
from themis.pure.errors import SpecError
from themis.pure.pipeline.execute import conclude_sandbox
from themis.pure.records.contexts import GenerateContext, ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ReducedCandidate
from themis.pure.records.sandbox import SandboxRequest
from themis.pure.records.scoring import Score
from themis.pure.records.snapshot import RunIdentity
from themis.testing.pipelines import ScriptedJudge, ScriptedJudgeMetric

ROWS = [{"case_id": str(n), "input": "?", "expected_output": str(n)} for n in range(20)]


@generator
def half(case: Case) -> str:
    return case.case_id if int(case.case_id) % 2 else "I don't know"


@parser
def number(candidate: ReducedCandidate) -> str | None:
    return text if (text := str(candidate.final_output)).isdigit() else None


@parser
def strict(candidate: ReducedCandidate) -> int:
    return int(str(candidate.final_output))


@metric
def unbounded(parsed: ParsedOutput) -> float:
    return 1.0


def test_a_run_whose_only_flaw_is_unparsed_answers_is_completed() -> None:
    for read in (number, strict):
        result = evaluate(model=half, data=ROWS, parser=read, metric=["builtin/contains", unbounded])
        assert result.status == "completed"
        assert (result.progress.completed_cases, result.progress.failed_cases) == (20, 0)
        assert result.benchmark.metric_means == {"builtin/contains": 0.5, "unbounded": 1.0}


def test_both_figures_are_shown() -> None:
    result = evaluate(model=half, data=ROWS, parser=number, metric=["builtin/contains", unbounded])
    table = result_table(result)
    both = "0.5000; 1.0000 over the 10 answers that could be read (10 could not, and count as incorrect)"
    assert f"builtin/contains: {both}" in table
    left_out = "10 could not, and are missing, for the metric states no score_range"
    assert f"unbounded: 1.0000 is over the 10 answers that could be read; {left_out}" in table
    data = result_data(result)["metrics"]
    assert (data["builtin/contains"]["mean"], data["builtin/contains"]["parsed_mean"]) == (0.5, 1.0)
    assert (data["builtin/contains"]["unparsed"], data["unbounded"]["unparsed"]) == (10, 10)
    assert (data["unbounded"]["mean"], data["unbounded"]["missing"]) == (1.0, 10)


def test_they_may_be_missing() -> None:
    result = evaluate(model=half, data=ROWS, parser=number, metric="builtin/contains", unparsed="missing")
    assert result.status == "completed"
    estimate = read_report(result.view).overview.metrics[0].estimate
    assert (estimate.mean, estimate.missing, estimate.unparsed) == (1.0, 10, 0)
    assert (estimate.if_missing_wrong, estimate.if_missing_right) == (0.5, 1.0)
    assert "10 could not, and are missing, as the run has it" in result_table(result)


def test_if_none_could_be_read_it_says_so() -> None:
    rows = [{**row, "case_id": str(2 * n)} for n, row in enumerate(ROWS)]
    result = evaluate(model=half, data=rows, parser=number, metric=["builtin/contains", unbounded])
    table = result_table(result)
    assert "builtin/contains: none of the answers could be read: 20 could not, and count as incorrect" in table
    assert "unbounded: none of the answers could be read: 20 could not, and are missing" in table
    assert result.benchmark.metric_means == {"builtin/contains": 0.0}


def test_the_setting_is_part_of_the_identity_and_its_default_is_not() -> None:
    def run_id(**fields: Any) -> str:
        return evaluate(model=half, data=ROWS, parser=number, metric="builtin/contains", **fields).run_id

    assert run_id() == run_id(unparsed="incorrect") != run_id(unparsed="missing")
    identity = evaluate(model=half, data=ROWS, metric="builtin/contains").snapshot.identity
    old = {name: value for name, value in identity.to_dict().items() if name != "unparsed"}
    assert RunIdentity.from_dict(old) == identity


def test_a_vote_without_an_answer_is_the_models_failure() -> None:
    """A model that babbles must not gain by being asked several times."""
    fields: dict[str, Any] = {"parser": number, "metric": ["builtin/contains", unbounded], "samples": 3}
    result = evaluate(model=half, data=ROWS, reducer="builtin/majority_vote", **fields)
    assert result.status == "completed"
    assert result.benchmark.metric_means == {"builtin/contains": 0.5, "unbounded": 1.0}
    assert result.benchmark.error_counts["builtin/contains"] == {"parse_null": 10}
    row = result.benchmark.score_rows[0]
    assert (row.value, row.outcome, row.candidate_id) == (0.0, "incorrect", None)
    assert row.error_message == "none of the 3 candidates has an answer that can be used"


def test_a_metric_states_its_range() -> None:
    @metric(score_range=(-1, 1))
    def signed(parsed: ParsedOutput) -> float:
        return 0.5

    result = evaluate(model=half, data=ROWS, parser=number, metric=signed)
    assert result.snapshot.metric_ranges == {"signed": (-1.0, 1.0)}
    assert result.benchmark.metric_means == {"signed": -0.25}

    @metric
    def is_odd(parsed: ParsedOutput) -> bool:
        return True

    assert is_odd.score_range == (0.0, 1.0)
    assert unbounded.score_range is None


def test_a_score_outside_its_range_is_an_error() -> None:
    @metric(score_range=(0, 1))
    def percent(parsed: ParsedOutput) -> float:
        return 50.0

    result = evaluate(model=half, data=ROWS[1:2], metric=percent)
    assert result.benchmark.score_rows[0].error_message == "percent.score() returned 50, and its score_range is 0 to 1"
    assert result.status == "partial_failure"


@attrs.frozen
class Narrow(ScriptedJudgeMetric):
    """A judged metric that states a range which a yes leaves."""

    score_range: tuple[float, float] = (0.0, 0.5)


@pytest.mark.parametrize("family", ["llm", "selection"])
@pytest.mark.parametrize(("says", "is_error"), [("right", True), ("wrong", False)])
def test_a_judged_score_outside_its_range_is_an_error_too(family: str, says: str, is_error: bool) -> None:
    result = evaluate(
        model=half,
        data=ROWS[1:2],
        metric=Narrow(metric_family=family),
        judge=ScriptedJudge(script=(says,)),
        samples=1 if family == "llm" else 2,
    )
    row = next(row for row in result.benchmark.score_rows)
    assert (row.error_message is not None) == is_error
    if is_error:
        assert "scripted/judged: its workflow came to 1, and its score_range is 0 to 0.5" in str(row.error_message)
        assert result.status == "partial_failure"
        [execution] = result.cases[0].evaluation_executions
        assert [response.raw_response for response in execution.judge_responses] == ["yes"]  # what was said stays
        assert (execution.scores, execution.aggregation_output) == ((), None)


def test_so_is_the_score_of_code_that_was_run() -> None:
    class Speed:
        component_id, version, metric_family, score_range = "speed", "1", "execution", (0.0, 1.0)

        def sandbox_requests(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> list[SandboxRequest]:
            return []

        def score_results(self, parsed: ParsedOutput, case: Case, results: object, ctx: ScoreContext) -> Score:
            return Score(metric_id="speed", value=float(str(parsed.value)))

    case, able = Case(case_id="1", input="?"), MetricAbilities.of(Speed())
    for value, refused in (("0.5", False), ("1.5", True)):
        parsed = ParsedOutput(value=value)
        ctx = ScoreContext(run_id="r", case=case, parsed_output=parsed, dataset_id="d", case_key="1:d:1")
        outcome = conclude_sandbox(able, (), {}, (), ctx)
        assert isinstance(outcome, Failure) == refused
        if refused:
            message = "speed.score_results() returned 1.5, and its score_range is 0 to 1"
            assert outcome.failure().error_message == message


@pytest.mark.parametrize(
    "stated", [(1, 0), (0, 0), (0, float("nan")), (0, float("inf")), 1, "01", (0, 1, 2), (False, 1)]
)
def test_what_is_no_range_is_refused(stated: Any) -> None:
    class Odd:
        component_id, version, score_range = "odd", "1", stated

        def score(self, parsed: ParsedOutput, case: Case, ctx: object) -> float:
            return 1.0

    with pytest.raises(SpecError, match=r"odd: score_range must be the lowest and the highest score"):
        evaluate(model=half, data=ROWS, metric=Odd())


def test_invalid_json_is_a_zero_of_json_schema() -> None:
    @generator
    def broken(case: Case) -> str:
        return '{"n": 1}' if int(case.case_id) % 2 else '{"n": 1'

    schema = make_builtin("json_schema", schema={"type": "object", "required": ["n"]})
    result = evaluate(model=broken, data=ROWS, parser="builtin/json", metric=schema)
    assert result.status == "completed"
    assert result.benchmark.metric_means == {"builtin/json_schema": 0.5}


def test_answers_that_were_cut_or_are_empty_are_counted() -> None:
    @generator
    def cut(case: Case, ctx: GenerateContext) -> GenerationResult:
        n = int(case.case_id)
        reason = "length" if n < 3 else "stop"
        text = "  \n" if n in (3, 4) else case.case_id
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=text, artifacts={"finish_reason": reason})

    result = evaluate(model=cut, data=ROWS, parser="builtin/text", metric="builtin/contains")
    assert "3 of 20 generated answers are cut by the length limit" in result_table(result)
    assert "2 of 20 generated answers are empty" in result_table(result)
    answers = result_data(result)["answers"]
    assert answers == {"generated": 20, "truncated": 3, "empty": 2, "unparsed_count_as": "incorrect"}


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps({"input": "?", "expected_output": "a"}) + "\n" for _ in range(4)))
    command = ["quick-eval", "file", str(data), "--model", "builtin/demo_model", "--metric", "exact_match"]
    command += ["--parser", "builtin/choice_letter", "--store", f"sqlite:{tmp_path / 'r.sqlite3'}", "--json"]
    assert cli.run_command([*command, "--unparsed", "missing"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"]["unparsed_count_as"] == "missing"
    assert cli.run_command([*command, "--unparsed", "right"]) == 2
    with pytest.raises(ValueError, match="unparsed"):
        EvaluationConfig(unparsed="wrong")  # type: ignore[arg-type]  # that is the point
