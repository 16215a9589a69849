"""Runs of all shapes that a page has to read well: many answers, metrics, groups, dimensions, tests, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import pytest

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    ParsedOutput,
    PromptSpec,
    RuntimeConfig,
    adapters,
    metric,
)
from themis.api.runs.report import Reporter
from themis.catalog import load
from themis.effects import sandboxes
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult, Message, TraceStep
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.testing.endpoint import Drop, FakeEndpoint, Reject, flaky

Made: TypeAlias = tuple[Reporter, str]

SYSTEM = "You are a careful assistant. Answer with the number alone."
SPEC = PromptSpec(
    instructions=SYSTEM,
    prefix="Question: ",
    suffix="\nAnswer:",
    blocks=[{"role": "user", "content": "What is 1 + 1?"}, {"role": "assistant", "content": "2"}],
)
TOPICS = (
    "algebra",
    "geometry",
    "number theory and other things that have a very long name that goes on",
    "probability",
    "combinatorics_without_a_single_place_to_break_the_line_at_all",
    "",
)
PRICES = {
    "openai/tiny": {"prompt": 150.0, "completion": 600.0},
    "openai/judge": {"prompt": 2500.0, "completion": 10_000.0},
}


def sums(count: int) -> list[Case]:
    return [
        Case(
            case_id=f"sum-{n}",
            input=f"What is {n} + {n}? Tell how you know, step by step, and end with the number.",
            expected_output=str(2 * n),
            metadata={"topic": TOPICS[n % len(TOPICS)], "level": n % 3},
        )
        for n in range(count)
    ]


def _answer(prompt: str, body: Mapping[str, Any]) -> str:
    digits = [int(word) for word in "".join(c if c.isdigit() else " " for c in prompt).split()]
    return f"I add the two numbers, one after the other.\n\n{sum(digits) if sum(digits) % 5 else 'no idea'}"


def _run(
    model: object,
    metrics: Sequence[object],
    cases: Sequence[Case],
    *,
    samples: int = 1,
    runtime: RuntimeConfig | None = None,
    spec: PromptSpec | None = SPEC,
    parser: object = "builtin/text",
    reporting: Mapping[str, Any] | None = None,
    **evaluation: Any,
) -> Made:
    store = InMemoryRunStore()
    experiment = Experiment(
        generation=GenerationConfig(generator=model, prompt_spec=spec, candidate_policy={"num_samples": samples}),
        evaluation=EvaluationConfig(metrics=metrics, parsers=parser, **evaluation),
        datasets=Dataset(dataset_id="sums", cases=cases),
        runtime=runtime or RuntimeConfig(),
    )
    result = experiment.run(store=store)
    return Reporter(store, prices=PRICES, **(reporting or {})), result.run_id


def eight_samples() -> Made:
    with FakeEndpoint(answer=_answer) as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        return _run(model, ["builtin/contains", "builtin/f1"], sums(40), samples=8)


@metric
def rubric_of_five(parsed: ParsedOutput, case: Case) -> float:
    """From 1 to 5."""
    return 1.0 + len(str(case.input)) % 5


def five_metrics() -> Made:
    names = ["builtin/exact_match", "builtin/contains", "builtin/f1", "builtin/rouge_l", rubric_of_five]
    with FakeEndpoint(answer=_answer) as endpoint:
        return _run(adapters.openai("tiny", base_url=endpoint.base_url), names, sums(60))


def subgroups() -> Made:
    return _run(
        "builtin/demo_model", ["builtin/contains", "builtin/f1"], sums(90), reporting={"by": ["topic", "level"]}
    )


DIMENSIONS = {
    "accuracy": "Every statement of the answer is true, and the number at its end is the right one.",
    "completeness": "The answer leaves out nothing that was asked for.",
    "tone": "The answer is polite, and to the point.",
}


def _judge(prompt: str, body: Mapping[str, Any]) -> str:
    score = 1 + len(prompt) % 5
    return (
        f"The answer names the steps, but its second sentence is vague.\n\nScore: {score}"
        if score < 5
        else "I can't say."
    )


def judged() -> Made:
    with FakeEndpoint(answer=_answer) as endpoint, FakeEndpoint(answer=_judge) as court:
        return _run(
            adapters.openai("tiny", base_url=endpoint.base_url),
            ["builtin/llm_rubric", "builtin/contains"],
            sums(30),
            judge_models=[adapters.openai("judge", base_url=court.base_url)],
            workflow_overrides={"dimensions": DIMENSIONS},
        )


@attrs.frozen
class Programmer:
    """An agent that looks, writes and answers; what it writes is right for some tests."""

    component_id: str = "tests/programmer"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        program = f"a, b = map(int, input().split())\nprint(a + b)  # {case.case_id}\n"
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=f"```python\n{program}```",
            trace=[
                TraceStep(step_name="plan", step_type="llm", output={"thought": "Read two numbers, print their sum."}),
                TraceStep(
                    step_name="run_tests",
                    step_type="tool",
                    input={"command": "python main.py < sample.txt", "timeout_s": 5},
                    output={"stdout": "3\n", "exit_code": 0},
                ),
            ],
            conversation=[
                Message(role="user", content=str(case.input)),
                Message(role="assistant", content={"tool_calls": [{"name": "run_tests", "arguments": {}}]}),
                Message(role="tool", content="3"),
            ],
        )


@attrs.frozen
class PretendSandbox:
    """Runs nothing: says what would have come of a program on test number so and so."""

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        return ()

    async def run(self, request: SandboxRequest) -> SandboxResult:
        number, text = int(request.label.partition(":")[2]), request.files["main.py"]
        case = int(re.findall(r"code-(\d+)", text)[-1])
        right = str(sum(map(int, request.stdin.split())))
        if case % 4 == 1 and number % 5 == 3:
            return SandboxResult(status="timeout", label=request.label)
        if case % 4 == 2 and number > 7:
            error = f"Traceback (most recent call last):\nValueError: {'x' * 300} is no number"
            return SandboxResult(status="nonzero_exit", exit_code=1, stderr=error, label=request.label)
        wrong = case % 4 == 3 and number % 2 == 1
        return SandboxResult(status="ok", exit_code=0, stdout="41" if wrong else right, label=request.label)


def code() -> Made:
    tests = [{"input": f"{n} {n + 1}\n", "output": f"{2 * n + 1}\n"} for n in range(30)]
    expected: Any = {"mode": "stdio", "language": "python", "tests": tests}
    cases = [
        Case(case_id=f"code-{n}", input="Print the sum of two numbers.", expected_output=expected) for n in range(12)
    ]
    metrics = [load("builtin/codeforces_pass_rate", partial=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sandboxes._BACKENDS, "pretend", PretendSandbox)
        patch.setenv(sandboxes.VARIABLE, "pretend")
        return _run(Programmer(), metrics, cases, parser="builtin/code_text", spec=None)


@metric
def picky(parsed: ParsedOutput, case: Case) -> float:
    if len(str(case.input)) % 3 == 0:
        raise KeyError("the table has no such entry")
    return 0.5


def many_errors() -> Made:
    plays = (Reject(status=429, message="slow down"), Drop(), Reject(status=400, message="no such field: \x1b[2J<b>"))
    runtime = RuntimeConfig(generation_retry_attempts=1, max_concurrent_tasks=2)
    with FakeEndpoint(answer=_answer, script=flaky(0.5, plays)) as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        return _run(model, ["builtin/contains", picky], sums(60), samples=2, runtime=runtime)


RUNS: Mapping[str, Callable[[], Made]] = {
    run.__name__: run for run in (eight_samples, five_metrics, subgroups, judged, code, many_errors)
}
