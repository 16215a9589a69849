"""A typical user's project: an own metric, parser, reducer and generator; evaluate, compare, look into the run.

Checked by mypy --strict and by pyright strict; never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_type

import attrs

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    GenerationResult,
    InMemoryRunStore,
    Leaderboard,
    ParsedOutput,
    Reporter,
    RunResult,
    RuntimeConfig,
    Score,
    ScoreError,
    Study,
    StudyResult,
    compare,
    evaluate,
    evaluate_async,
    export_generation_bundle,
    generator,
    get_execution_state,
    import_generation_bundle,
    leaderboard,
    metric,
    parser,
    quickcheck,
    read_seal,
    reducer,
    seal,
    sqlite_store,
    verify,
    verify_seal,
)
from themis.core import (
    CandidateReducer,
    ExecutionState,
    GenerateContext,
    GenerationBundle,
    Generator,
    Parser,
    PureMetric,
    ReducedCandidate,
    RunComparison,
    RunStore,
    ScoreContext,
    SealVerification,
    Verification,
)


@metric
def short(parsed: ParsedOutput) -> bool:
    return len(str(parsed.value)) < 10


@metric(component_id="mine/close", version="2")
def close(parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
    if not isinstance(parsed.value, int | float) or not isinstance(case.expected_output, int | float):
        return ScoreError(metric_id="mine/close", reason="no numbers")
    return Score(metric_id="mine/close", value=1.0 / (1.0 + abs(parsed.value - case.expected_output)))


@parser
def number(candidate: ReducedCandidate) -> float | None:
    text = str(candidate.final_output)
    return float(text) if text.isdigit() else None


@reducer
def longest(candidates: Sequence[GenerationResult]) -> GenerationResult:
    return max(candidates, key=lambda candidate: len(str(candidate.final_output)))


@generator
async def model(case: Case, ctx: GenerateContext) -> str:
    return f"{case.input} {ctx.seed}"


@attrs.frozen
class Agent:
    """A generator that is a class."""

    steps: int = 3
    component_id: str = "mine/agent"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=case.input)


as_metrics: list[PureMetric] = [short, close]
as_parser: Parser = number
as_reducer: CandidateReducer = longest
as_generators: list[Generator] = [model, Agent()]
as_stores: list[RunStore] = [InMemoryRunStore(), sqlite_store("runs/x.sqlite3")]


def main() -> None:
    rows = [{"input": "1+1", "expected_output": 2}]
    store = InMemoryRunStore()
    first = evaluate(model=model, data=rows, metric=[short, "builtin/exact_match"], parser=number, store=store)
    assert_type(first, RunResult)
    assert_type(first.run_id, str)
    assert_type(first.benchmark.metric_means["short"], float)
    for case in first.cases:
        assert_type(case.case_id, str)
        for score in case.scores:
            assert_type(score, Score | ScoreError)
    experiment = Experiment(
        generation=GenerationConfig(generator=Agent(steps=5), candidate_policy={"num_samples": 3}, reducer=longest),
        evaluation=EvaluationConfig(metrics=[short], parsers=number),
        datasets=[Dataset(dataset_id="sums", cases=[Case(case_id="1", input="1+1", expected_output=2)])],
        runtime=RuntimeConfig(max_concurrent_tasks=4),
    )
    second = experiment.run(store=store)
    assert_type(second, RunResult)
    assert_type(compare(store, first.run_id, store, second.run_id), RunComparison)
    board = leaderboard([first, second.run_id], store=[store, "runs/a.sqlite3"], rows=("model", "temperature"))
    assert_type(board, Leaderboard)
    assert_type([row["data exact_match"].is_like_best for row in board], list[bool])
    study = Study(
        models={"small": "builtin/demo_model"},
        prompts={"plain": None, "asked": "Q: {input}"},
        datasets={"sums": [{"input": "1+1", "expected_output": "2"}]},
        evaluation={"metrics": "exact_match"},
        options={"error_rate": [0.1, 0.5]},
        runtime={"max_concurrent_tasks": 2},
    )
    studied = study.run(store="runs/a.sqlite3")
    assert_type(studied, StudyResult)
    assert_type([(cell.name, cell.result) for cell in studied], list[tuple[str, RunResult | None]])
    assert_type(studied["small,plain,sums,error_rate=0.1"].is_complete, bool)
    assert_type(studied.leaderboard(), Leaderboard)
    assert_type(verify(store, second.run_id, experiment=experiment), Verification)
    assert_type(get_execution_state(store, second.run_id), ExecutionState)
    assert_type(Reporter(store).export_markdown(second.run_id), str)
    bundle = export_generation_bundle(store, second.run_id)
    assert_type(bundle, GenerationBundle)
    import_generation_bundle(InMemoryRunStore(), bundle)
    assert_type(quickcheck(store, first.run_id).total_cases, int)
    file = seal(store, first.run_id, "first.seal", key="key", hide=["split=private"])
    assert_type(verify_seal(file, key="allowed_signers"), SealVerification)
    assert_type([case.number for case in read_seal(file).cases()], list[int])


async def notebook() -> None:
    result = await evaluate_async(model="openai/gpt-4o", data=[{"input": "hi"}], metric=short, samples=3)
    assert_type(result, RunResult)
