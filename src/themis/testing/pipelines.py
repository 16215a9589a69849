"""Whole pipelines for property tests: components that answer, err and fail by script, and strategies for them.

What a scripted component does for a case is a function of the case and the candidate alone, so that the same
pipeline must come to the same results however it is scheduled. How long it takes is drawn separately.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import attrs
import trio
from hypothesis import strategies as st

from themis.api.config.record import EvaluationConfig, GenerationConfig
from themis.api.experiment.experiment import Experiment
from themis.pure.errors import NoAnswerError, UnclearVerdictError
from themis.pure.records.contexts import (
    EvalScoreContext,
    GenerateContext,
    ParseContext,
    ReduceContext,
    ScoreContext,
    SelectContext,
)
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.generation import GenerationResult, Message, ParsedOutput, ReducedCandidate, TraceStep
from themis.pure.records.judging import (
    AggregationResult,
    EvaluationExecution,
    JudgeCall,
    JudgeResponse,
    ParsedJudgment,
    RenderedJudgePrompt,
    Subject,
)
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.records.snapshot import Unparsed

BEHAVIOURS = ("right", "wrong", "null", "invalid", "raise", "wrong type", "nan", "error")


def pick(script: Sequence[str], *parts: object) -> str:
    """Choose from a script by what is asked: the same question always gets the same behaviour."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return script[int.from_bytes(digest[:4]) % len(script)]


class ScriptedError(Exception):
    """What scripted components raise."""


@attrs.define
class Calls:
    """Counts the calls that components received, by what was asked."""

    counts: Counter[str] = attrs.field(factory=Counter)

    def note(self, *parts: object) -> None:
        self.counts["/".join(map(str, parts))] += 1


@attrs.frozen
class _Scripted:
    """A component that behaves by script."""

    script: tuple[str, ...] = ("right",)
    version: str = "1"

    def behave(self, problem: str, *parts: object) -> str:
        """Choose from the script by what is asked, and raise where that is what it says."""
        behaviour = pick(self.script, *parts)
        if behaviour == "raise":
            raise ScriptedError(problem)
        return behaviour


@attrs.frozen
class ScriptedGenerator(_Scripted):
    """A generator that behaves by script; it dawdles for as many checkpoints as `dawdle` says per call."""

    component_id: str = "scripted/generator"
    dawdle: tuple[int, ...] = (0,)
    calls: Calls = attrs.field(factory=Calls, eq=False)

    def fingerprint(self) -> str:
        return "generator " + ",".join(self.script)

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        self.calls.note(ctx.case_key, ctx.candidate_index)
        for _ in range(self.dawdle[sum(self.calls.counts.values()) % len(self.dawdle)]):
            await trio.lowlevel.checkpoint()
        behaviour = self.behave(f"no answer to {case.case_id}", case.case_id, ctx.candidate_index)
        if behaviour == "wrong type":
            return "not a result"  # type: ignore[return-value]  # that is the point
        output = case.expected_output if behaviour == "right" else f"{behaviour} {ctx.candidate_index}"
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=output,
            trace=[TraceStep(step_name="think", step_type="thought")],
            conversation=[Message(role="assistant", content=output)],
            token_usage={"total_tokens": 3},
            latency_ms=1.0 * sum(self.calls.counts.values()),
        )


@attrs.frozen
class ScriptedReducer(_Scripted):
    """A reducer that takes the last candidate, or fails by script."""

    component_id: str = "scripted/reducer"

    async def reduce(self, candidates: Sequence[GenerationResult], ctx: ReduceContext) -> ReducedCandidate:
        await trio.lowlevel.checkpoint()
        behaviour = self.behave("cannot reduce", ctx.case_id)
        if behaviour == "wrong type":
            return None  # type: ignore[return-value]  # that is the point
        if behaviour == "no answer":
            raise NoAnswerError("nothing to go by")
        last = candidates[-1]
        return ReducedCandidate(
            candidate_id=last.candidate_id,
            source_candidate_ids=[c.candidate_id for c in candidates],
            final_output=last.final_output,
        )


@attrs.frozen
class ScriptedParser(_Scripted):
    """A parser that returns the answer, nothing, an unusable answer, or fails, by script."""

    component_id: str = "scripted/parser"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        behaviour = self.behave("cannot parse", ctx.candidate_id)
        if behaviour == "wrong type":
            return 5  # type: ignore[return-value]  # that is the point
        if behaviour == "null":
            return ParsedOutput(value=None)
        return ParsedOutput(value=candidate.final_output, metadata={"invalid": behaviour == "invalid"})


def _subject(case: Case, ctx: ScoreContext) -> tuple[str, ...]:
    """Return what a metric's behaviour goes by: the case, and the answer where there are several."""
    return (case.case_id,) if ctx.candidate_id is None else (case.case_id, ctx.candidate_id)


@attrs.frozen
class ScriptedMetric(_Scripted):
    """A pure metric that scores by script: right is 1, wrong is 0; or it errs."""

    component_id: str = "scripted/metric"
    score_range: tuple[float, float] | None = None

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        behaviour = self.behave("cannot score", *_subject(case, ctx))
        if behaviour == "wrong type":
            return "1.0"  # type: ignore[return-value]  # that is the point
        if behaviour == "error":
            return ScoreError(metric_id=self.component_id, reason="by script")
        value = float("nan") if behaviour == "nan" else float(parsed.value == case.expected_output)
        return Score(metric_id=self.component_id, value=value)


@attrs.frozen
class ScriptedJudge(_Scripted):
    """A judge that says yes, no, something unusable, or fails, by script."""

    component_id: str = "scripted/judge"
    calls: Calls = attrs.field(factory=Calls, eq=False)

    def fingerprint(self) -> str:
        return "judge " + ",".join(self.script)

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        self.calls.note(prompt.prompt_id)
        await trio.lowlevel.checkpoint()
        behaviour = self.behave("the judge is out", prompt.content)
        verdict = {"right": "yes", "wrong": "no"}.get(behaviour, "hm")
        return JudgeResponse(judge_model_id=self.component_id, raw_response=verdict, effective_seed=seed)


@attrs.frozen
class ScriptedJudgeMetric:
    """A judged metric that asks every judge of the run `repeats` times and averages yes and no."""

    repeats: int = 1
    metric_family: str = "llm"
    component_id: str = "scripted/judged"
    version: str = "1"

    def build_workflow(self, subject: Any, ctx: EvalScoreContext) -> ScriptedWorkflow:
        return ScriptedWorkflow(self, ctx)


@attrs.frozen
class ScriptedWorkflow:
    """Asks; reads yes and no; anything else is unclear."""

    metric: ScriptedJudgeMetric
    ctx: EvalScoreContext

    def judge_calls(self) -> list[JudgeCall]:
        return [
            JudgeCall(call_id=f"{ref.component_id}-{i}", judge_model_id=ref.component_id, repeat_index=i)
            for ref in self.ctx.judge_model_refs
            for i in range(self.metric.repeats)
        ]

    def render_prompt(self, call: JudgeCall, subject: Subject, ctx: EvalScoreContext) -> RenderedJudgePrompt:
        name = "/".join((ctx.case_key, *_subject(ctx.case, ctx)[1:], call.call_id))
        answers = [candidate.final_output for candidate in getattr(subject, "candidates", ())]
        return RenderedJudgePrompt(prompt_id=name, content=f"{name} {answers}")

    def parse_judgment(self, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext) -> ParsedJudgment:
        if response.raw_response not in ("yes", "no"):
            raise UnclearVerdictError(f"no verdict in {response.raw_response!r}", "yes or no")
        return ParsedJudgment(label=response.raw_response)

    def score_judgment(self, call: JudgeCall, judgment: ParsedJudgment, ctx: EvalScoreContext) -> Score:
        return Score(metric_id=self.metric.component_id, value=float(judgment.label == "yes"))

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        return AggregationResult(method="mean", value=sum(score.value for score in scores) / len(scores))


@attrs.frozen
class ScriptedSelector(_Scripted):
    """A selector that turns the candidates round, keeps the first, or fails, by script."""

    component_id: str = "scripted/selector"

    async def select(self, candidates: Sequence[GenerationResult], ctx: SelectContext) -> Sequence[GenerationResult]:
        await trio.lowlevel.checkpoint()
        behaviour = self.behave("cannot select", ctx.case_id)
        if behaviour == "wrong type":
            return [*candidates, *candidates]
        return candidates[:1] if behaviour == "first" else candidates[::-1]


@attrs.frozen
class ScriptedJudgingSelector(ScriptedJudgeMetric):
    """A selector that asks the judges, and takes the last candidate where they say yes."""

    metric_family: str = "selection"
    component_id: str = "scripted/judging_selector"

    def choose(
        self, candidates: Sequence[GenerationResult], execution: EvaluationExecution
    ) -> Sequence[GenerationResult]:
        if execution.aggregation_output is None:
            raise ScriptedError("the judges did not agree")
        return candidates[-1:] if execution.aggregation_output.value == 1.0 else candidates[:1]


@attrs.frozen
class ScriptedExecution(_Scripted):
    """A metric that runs two programs and, as the second came out, a third; it scores, or fails, by script."""

    component_id: str = "scripted/execution"

    def sandbox_requests(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Sequence[SandboxRequest]:
        self.behave("nothing to run", *_subject(case, ctx))
        return [SandboxRequest(command=("run", case.case_id, str(number), str(parsed.value))) for number in range(2)]

    def next_requests(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Sequence[SandboxRequest]:
        return [SandboxRequest(command=("more", case.case_id, results[1].stdout))] if len(results) == 2 else []

    def score_results(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Score | ScoreError:
        if pick(self.script, *_subject(case, ctx)) == "error":
            return ScoreError(metric_id=self.component_id, reason="by script", retryable=case.case_id == "0")
        return Score(metric_id=self.component_id, value=sum(result.stdout == "yes" for result in results) / 3)


def scripted_result(request: SandboxRequest) -> SandboxResult:
    """Return what a scripted sandbox makes of a request: yes, no, or that it could not run it."""
    behaviour = pick(("yes", "no", "yes", "sandbox_error"), *request.command)
    if behaviour == "sandbox_error":
        return SandboxResult(status="sandbox_error", stderr="no sandbox today")
    return SandboxResult(status="ok", exit_code=0, stdout=behaviour, duration_ms=1.0)


@attrs.frozen
class ScriptedSandbox:
    """A sandbox that runs nothing."""

    async def run(self, request: SandboxRequest) -> SandboxResult:
        await trio.lowlevel.checkpoint()
        return scripted_result(request)

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        return ()


# --- strategies -------------------------------------------------------------------------------------------


@attrs.frozen
class Pipeline:
    """A drawn pipeline: what decides results (`experiment`) apart from what must not (`dawdle`)."""

    cases: int
    samples: int
    generator: tuple[str, ...]
    reducer: tuple[str, ...] | None
    parser: tuple[str, ...] | None
    metrics: tuple[tuple[str, ...], ...]
    judge: tuple[str, ...] | None
    repeats: int = 1
    selector: tuple[str, ...] | None = None
    judges_selection: bool = False
    execution: tuple[str, ...] | None = None
    judged_family: str = "llm"
    score_range: tuple[float, float] | None = None
    unparsed: Unparsed = "incorrect"

    def experiment(self, dawdle: Sequence[int] = (0,), **fields: Any) -> Experiment:
        """Return a fresh experiment with its own counting components."""
        metrics: list[Any] = [
            ScriptedMetric(script, component_id=f"scripted/metric{i}", score_range=self.score_range)
            for i, script in enumerate(self.metrics)
        ]
        if self.judge is not None:
            metrics.append(ScriptedJudgeMetric(self.repeats, self.judged_family))
        if self.execution is not None:
            metrics.append(ScriptedExecution(self.execution))
        selector: Any = None if self.selector is None else ScriptedSelector(self.selector)
        if self.judges_selection:
            selector = ScriptedJudgingSelector(self.repeats)
        reducer = None if self.reducer is None else ScriptedReducer(self.reducer)
        return Experiment(
            generation=GenerationConfig(
                generator=ScriptedGenerator(self.generator, dawdle=tuple(dawdle)),
                candidate_policy={"num_samples": self.samples},
                selector=selector,
                reducer=reducer,
            ),
            evaluation=EvaluationConfig(
                metrics=metrics,
                parsers=() if self.parser is None else ScriptedParser(self.parser),
                judge_models=() if self.judge is None else ScriptedJudge(self.judge),
                unparsed=self.unparsed,
            ),
            datasets=[dataset(self.cases)],
            **fields,
        )


def dataset(cases: int, dataset_id: str = "made") -> Dataset:
    rows: list[Mapping[str, Any]] = [
        {"case_id": str(i), "input": {"n": i}, "expected_output": f"answer {i}"} for i in range(cases)
    ]
    return Dataset(dataset_id=dataset_id, cases=rows)


def scripts(*behaviours: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Scripts over these behaviours; the first one is the commonest."""
    return st.lists(st.sampled_from((behaviours[0], *behaviours)), min_size=1, max_size=4).map(tuple)


def pipelines(max_cases: int = 6) -> st.SearchStrategy[Pipeline]:
    """Any pipeline: candidates, failing components of every stage, metric mixes, judges."""
    return st.builds(
        Pipeline,
        cases=st.integers(1, max_cases),
        samples=st.integers(1, 4),
        generator=scripts("right", "wrong", "raise", "wrong type"),
        reducer=st.none() | scripts("right", "raise", "wrong type", "no answer"),
        parser=st.none() | scripts("right", "null", "invalid", "raise", "wrong type"),
        metrics=st.lists(scripts("right", "raise", "nan", "error", "wrong type"), max_size=2).map(tuple),
        judge=st.none() | scripts("right", "wrong", "unusable", "raise"),
        repeats=st.integers(1, 3),
        judged_family=st.sampled_from(("llm", "selection", "trace")),
        score_range=st.sampled_from((None, (0.0, 1.0), (-1.0, 1.0))),
        unparsed=st.sampled_from(get_args(Unparsed)),
    )


def whole_pipelines(max_cases: int = 4) -> st.SearchStrategy[Pipeline]:
    """Any pipeline, with selectors of both kinds and metrics that run code besides; they need `ScriptedSandbox`."""
    return st.builds(
        attrs.evolve,
        pipelines(max_cases),
        selector=st.none() | scripts("right", "first", "raise", "wrong type"),
        execution=st.none() | scripts("right", "error", "raise"),
    ) | st.builds(
        attrs.evolve,
        pipelines(max_cases).filter(lambda pipeline: pipeline.judge is not None),
        judges_selection=st.just(True),
        execution=st.none() | scripts("right", "error", "raise"),
    )
