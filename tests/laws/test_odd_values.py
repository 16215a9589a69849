"""One odd value costs one case: whatever a component hands over or raises, the run goes on.

What was accepted can be read from every store, reported, and verified.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from themis import (
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    GenerationResult,
    InMemoryRunStore,
    JsonlRunStore,
    ParsedOutput,
    Reporter,
    RunStatus,
    RunStore,
    Score,
    ScoreError,
    SqliteRunStore,
    verify,
)
from themis.pure.records.generation import Message, TraceStep
from themis.pure.records.judging import JudgeResponse


class Addressed:
    """Its repr holds an address."""

    __repr__ = object.__repr__


class UnspeakableError(Exception):
    """Its text can't be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def circle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


class Half(float):
    """A float of its own kind, as numpy's are."""


class UnreadableError(Exception):
    """It raises when it is asked for what an exception of a client may state."""

    @property
    def response(self) -> Any:
        raise RuntimeError("no response was set")

    retryable = status_code = headers = code = request_id = response


class LeavingError(BaseException):
    """None that `except Exception` sees."""


ODD: Final[Mapping[str, Any]] = {
    "4,301 digits": 10**4300,
    "4,301 digits below 0": -(10**4300),
    "a float of its own kind": Half(1.5),
    "more than can be added up": 1.7e308,
    "400 digits": 10**400,
    "400 digits below 0": -(10**400),
    "65 bits": 2**64,
    "below 0": -1,
    "a lone surrogate": "a\ud800b",
    "NUL": "\0",
    "nothing": None,
    "a fraction": 1.5,
    "NaN": math.nan,
    "infinity": -math.inf,
    "text": "text",
    "no text": "",
    "bytes": b"x",
    "an object": Addressed(),
    "a set": {1},
    "deep": nested(50_000),
    "too deep": nested(250),
    "a circle": circle(),
    "keys that are numbers": {1: 2},
    "keys that are pairs": {(1, 2): 3},
    "true": True,
    "a list": [1],
    "an exception": UnspeakableError(),
}


def odd_of(case_id: str) -> Any:
    return ODD[case_id]


def is_odd(case_id: str) -> bool:
    return case_id in ODD


Made = Callable[[str, Any], Any]


def _raise(error: BaseException) -> Any:
    raise error


_LEAVING: Final = (SystemExit, GeneratorExit, asyncio.CancelledError, LeavingError)


def _leave(odd: Any) -> Any:
    raise _LEAVING[list(map(type, ODD.values())).index(type(odd)) % len(_LEAVING)]


def _result(candidate_id: str, **fields: Any) -> GenerationResult:
    return GenerationResult(**{"candidate_id": candidate_id, "final_output": "x", **fields})


def _response(**fields: Any) -> JudgeResponse:
    return JudgeResponse(**{"judge_model_id": "odd/judge", "raw_response": "Score: 1", **fields})


GENERATED: Final[Mapping[str, Made]] = {
    "an output": lambda name, odd: _result(name, final_output=odd),
    "a token count": lambda name, odd: _result(name, token_usage={"prompt_tokens": odd, "total_tokens": odd}),
    "token counts": lambda name, odd: _result(name, token_usage=odd),
    "an artifact": lambda name, odd: _result(name, artifacts={"a": odd}),
    "a finish reason": lambda name, odd: _result(name, artifacts={"finish_reason": odd}),
    "a latency": lambda name, odd: _result(name, latency_ms=odd),
    "a trace": lambda name, odd: _result(name, trace=[TraceStep(step_name=odd, step_type="t", output={"o": odd})]),
    "a conversation": lambda name, odd: _result(name, conversation=[Message(role="user", content=odd)]),
    "a generator's answer": lambda _, odd: odd,
    "a generator's exception": lambda _, odd: _raise(ValueError(odd)),
    "a generator's own exception": lambda _, odd: _raise(UnspeakableError()),
    "a generator's unreadable exception": lambda _, odd: _raise(UnreadableError()),
    "a generator that leaves": lambda _, odd: _leave(odd),
}
PARSED: Final[Mapping[str, Made]] = {
    "a parsed value": lambda _, odd: ParsedOutput(value=odd),
    "a parsed format": lambda _, odd: ParsedOutput(value="x", format=odd),
    "a parser's metadata": lambda _, odd: ParsedOutput(value="x", metadata={"a": odd}),
    "a parser's answer": lambda _, odd: odd,
    "a parser's exception": lambda _, odd: _raise(ValueError(odd)),
    "a parser that leaves": lambda _, odd: _leave(odd),
}
SCORED: Final[Mapping[str, Made]] = {
    "a score": lambda name, odd: Score(metric_id=name, value=odd),
    "a score's details": lambda name, odd: Score(metric_id=name, value=1.0, details={"a": odd}),
    "a score's metric": lambda _, odd: Score(metric_id=odd, value=1.0),
    "a score error's reason": lambda name, odd: ScoreError(metric_id=name, reason=odd),
    "a metric's answer": lambda _, odd: odd,
    "a metric's exception": lambda _, odd: _raise(ValueError(odd)),
    "a metric's own exception": lambda _, odd: _raise(UnspeakableError()),
    "a metric that leaves": lambda _, odd: _leave(odd),
    "a recursion": lambda name, odd: SCORED["a recursion"](name, odd),
}
JUDGED: Final[Mapping[str, Made]] = {
    "a judge's text": lambda _, odd: _response(raw_response=odd),
    "a judge's token count": lambda _, odd: _response(token_usage={"total_tokens": odd}),
    "a judge's artifact": lambda _, odd: _response(artifacts={"a": odd}),
    "a judge's request id": lambda _, odd: _response(provider_request_id=odd),
    "a judge's answer": lambda _, odd: odd,
    "a judge's exception": lambda _, odd: _raise(ValueError(odd)),
    "a judge's unreadable exception": lambda _, odd: _raise(UnreadableError()),
    "a judge that leaves": lambda _, odd: _leave(odd),
}


class Generator:
    component_id, version = "odd/generator", "1"

    def __init__(self, made: Made) -> None:
        self.made = made

    def fingerprint(self) -> str:
        return "g"

    def generate(self, case: Any, ctx: Any) -> Any:
        made = self.made if is_odd(case.case_id) else GENERATED["an output"]
        return made(ctx.candidate_id, odd_of(case.case_id) if is_odd(case.case_id) else "x")


class Parser:
    component_id, version = "odd/parser", "1"

    def __init__(self, made: Made) -> None:
        self.made = made

    def fingerprint(self) -> str:
        return "p"

    def parse(self, candidate: Any, ctx: Any) -> Any:
        return self.made("", odd_of(ctx.case_id)) if is_odd(ctx.case_id) else ParsedOutput(value="x")


class Metric:
    component_id, version = "odd/metric", "1"

    def __init__(self, made: Made) -> None:
        self.made = made

    def fingerprint(self) -> str:
        return "m"

    def score(self, parsed: Any, case: Any, ctx: Any) -> Any:
        if is_odd(case.case_id):
            return self.made(self.component_id, odd_of(case.case_id))
        return Score(metric_id=self.component_id, value=1.0)


class Judge:
    component_id, version = "odd/judge", "1"

    def __init__(self, made: Made) -> None:
        self.made = made

    def fingerprint(self) -> str:
        return "j"

    def judge(self, prompt: str, *, seed: int | None = None) -> Any:
        odd = next((value for name, value in ODD.items() if f"[{name}]" in prompt), self)
        return "Score: 1" if odd is self else self.made("", odd)


def experiment(place: str) -> Experiment:
    names = ["first", *ODD, "last"]
    rows = [{"case_id": name, "input": f"[{name}]", "expected_output": "x"} for name in names]
    generator = Generator(GENERATED.get(place, lambda name, _: _result(name)))
    judged: dict[str, Any] = {"metrics": Metric(SCORED.get(place, lambda name, _: Score(metric_id=name, value=1.0)))}
    if place in JUDGED:
        judged = {
            "metrics": "builtin/llm_rubric",
            "judge_models": Judge(JUDGED[place]),
            "workflow_overrides": {"rubric": "good"},
        }
    parser = Parser(PARSED.get(place, lambda *_: ParsedOutput(value="x")))
    return Experiment(
        generation=GenerationConfig(generator=generator),
        evaluation=EvaluationConfig(parsers=parser, **judged),
        datasets=[Dataset(dataset_id="d", cases=rows)],
    )


STORES: Final[Mapping[str, Callable[[Path], RunStore]]] = {
    "memory": lambda _: InMemoryRunStore(),
    "sqlite": SqliteRunStore,
    "jsonl": JsonlRunStore,
}
PLACES: Final = [*GENERATED, *PARSED, *SCORED, *JUDGED]


@pytest.mark.parametrize("place", PLACES)
def test_an_odd_value_costs_its_case_and_can_be_read_from_every_store(place: str, tmp_path: Path) -> None:
    made, digests = experiment(place), set()
    for kind, opened in STORES.items():
        path = tmp_path / kind
        store = opened(path)
        run = made.run(store=store)
        assert run.status in {RunStatus.COMPLETED, RunStatus.PARTIAL_FAILURE}
        if kind != "memory":
            store.close()
            store = opened(path)
        digests.add(Reporter(store).export_json(run.run_id).partition('"digest"')[2][:80])
        (metric,) = {row.metric_id for row in run.benchmark.score_rows}
        outcomes = {row.case_id: row.outcome for row in run.benchmark.score_rows if row.metric_id == metric}
        assert outcomes["first"] == outcomes["last"] == ("incorrect" if place in JUDGED else "correct")
        assert set(outcomes) == {"first", *ODD, "last"}
        for write in (Reporter(store).export_markdown, Reporter(store).export_html):
            write(run.run_id)
        found = verify(store, run.run_id, experiment=made)
        assert (found.broken_links, found.altered, found.differences) == ((), (), ())
        store.close()
    assert len(digests) == 1
