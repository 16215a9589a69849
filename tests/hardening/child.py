"""A run in a process of its own: `python child.py STORE_JSON LOGS ATTEMPT SIZE`, to be killed at any moment.

It has several samples of each case, a judge that is asked twice, and programs in the real sandbox. It logs every call
that it makes and every answer that it was told is durable, a line each, and prints at the end what came of it. The
answers of every sixth case are as long as SIZE says, in characters.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from themis import Dataset, EvaluationConfig, Experiment, GenerationConfig, RuntimeConfig
from themis.api.stores import open_store
from themis.effects.sandboxes import open_sandbox, register_sandbox
from themis.effects.stores.base import EventStore
from themis.pure.errors import StoreError
from themis.pure.events import GenerationCompletedEvent, RunEvent, StepCompletedEvent
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.pure.records.contexts import GenerateContext, ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.scoring import Score, ScoreError
from themis.testing.pipelines import ScriptedJudgeMetric

CASES, SAMPLES, JUDGMENTS = 24, 2, 2
CALLS_MADE = CASES * SAMPLES * (1 + JUDGMENTS + 1)
"""Each sample is a call, is judged twice, and is run."""
MARK = "HARDENING_MARK"
"""The environment variable with a word for the command line of every program, by which what is left of any is found."""


class Log:
    """Lines that survive a SIGKILL: each is one write to the operating system."""

    def __init__(self, path: Path, attempt: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._attempt = attempt

    def line(self, *words: object) -> None:
        os.write(self._file, f"{self._attempt} {' '.join(map(str, words))}\n".encode())


def key_of(event: RunEvent) -> str | None:
    """Return the call whose answer an event is, in the words of the log."""
    if isinstance(event, GenerationCompletedEvent):
        return f"candidate {event.candidate_id}"
    if isinstance(event, StepCompletedEvent):
        return f"{event.step_type} {event.candidate_id} {event.step_id.rsplit('/', 1)[-1]}"
    return None


@attrs.frozen
class Acknowledgements:
    log: Log

    def on_event(self, event: RunEvent) -> None:
        key = key_of(event)
        if key is not None:
            self.log.line(key)


@attrs.frozen
class Answer:
    log: Log
    size: int
    component_id: str = "hardening/generator"
    version: str = "1"

    def fingerprint(self) -> str:
        return f"the same in every attempt: {self.size}"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        self.log.line("candidate", ctx.candidate_id)
        await trio.sleep(0.002 * (1 + (ctx.seed or 0) % 3))
        length = self.size if int(case.case_id) % 6 == 0 else 128
        blocks = (hashlib.sha512(f"{ctx.seed} {n}".encode()).hexdigest() for n in range(length // 128))
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=f"{case.case_id}: {''.join(blocks)}")


@attrs.frozen
class Judge:
    log: Log
    component_id: str = "hardening/judge"
    version: str = "1"

    def fingerprint(self) -> str:
        return "the same in every attempt"

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        _, candidate_id, _, call_id = prompt.prompt_id.split("/")
        self.log.line("judge_call", candidate_id, call_id)
        await trio.sleep(0.002)
        verdict = "yes" if hashlib.sha256(str(prompt.content).encode()).digest()[0] % 3 else "no"
        return JudgeResponse(judge_model_id=self.component_id, raw_response=verdict, effective_seed=seed)


@attrs.frozen
class Runs:
    """A metric that runs the case's program."""

    component_id: str = "hardening/program"
    version: str = "1"

    def sandbox_requests(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Sequence[SandboxRequest]:
        return [
            SandboxRequest(
                command=("sh", "-c", 'sleep 0.01; echo "$0"', case.case_id, os.environ[MARK], str(ctx.candidate_id))
            )
        ]

    def score_results(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> Score | ScoreError:
        return Score(metric_id=self.component_id, value=float(results[0].stdout.strip() == case.case_id))


@attrs.frozen
class Logged:
    """The local sandbox."""

    log: Log

    async def run(self, request: SandboxRequest) -> SandboxResult:
        self.log.line("sandbox_run", request.command[-1], 0)
        return await open_sandbox("local").run(request)

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        return open_sandbox("local").check(languages)


def experiment(calls: Log, size: int, *, programs: bool = True) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=Answer(calls, size), candidate_policy={"num_samples": SAMPLES}),
        evaluation=EvaluationConfig(
            metrics=[ScriptedJudgeMetric(JUDGMENTS), *([Runs()] if programs else [])], judge_models=Judge(calls)
        ),
        datasets=Dataset(
            dataset_id="d", cases=[{"case_id": str(i), "input": i, "expected_output": str(i)} for i in range(CASES)]
        ),
        runtime=RuntimeConfig(max_concurrent_tasks=4),
    )


def opened(storage: StorageConfig) -> EventStore:
    """Return a store of ours, which closes itself."""
    store = open_store(storage)
    assert isinstance(store, EventStore)
    return store


def outcome(made: Experiment, store: RunStore, subscribers: Sequence[Acknowledgements]) -> str:
    """Run; return all that must be the same however often the run was stopped."""
    result = made.run(store=store, subscribers=subscribers)
    totals = {name: dict(counts) for name, counts in result.benchmark.outcome_counts.items()}
    return json.dumps([result.status, result.digest, result.progress.total_cases, totals])


def main(storage: str, logs: str, attempt: str, size: str) -> None:
    calls = Log(Path(logs) / "calls", attempt)
    register_sandbox("logged", lambda: Logged(calls))
    os.environ["THEMIS_CODE_SANDBOX"] = "logged"
    acknowledged = Acknowledgements(Log(Path(logs) / "acknowledged", attempt))
    programs = not os.environ.get("HARDENING_NO_PROGRAMS")
    try:
        with opened(StorageConfig.from_dict(json.loads(storage))) as store:
            said = outcome(experiment(calls, int(size), programs=programs), store, [acknowledged])
    except StoreError as error:
        sys.exit(f"StoreError: {error}")
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
