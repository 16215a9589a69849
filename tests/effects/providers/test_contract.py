"""The contract that every protocol keeps: one suite, asked of each through a socket."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from themis import RuntimeConfig, adapters, evaluate
from themis.pure.batches import BatchEndpoint, BatchItem
from themis.pure.calls import CallFailed, CallFailure, FailureKind, ProviderError, classify
from themis.pure.errors import SpecError
from themis.pure.json import encode
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.testing.endpoint import FakeEndpoint, Play, Reject, Say, Stream, Truncate, by_attempt
from themis.testing.endpoint_protocols import REASONING

CONTEXT = GenerateContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=5)
Build = Callable[..., Any]


def _at_azure(model: str, *, base_url: str, **options: Any) -> Any:
    root = base_url.removesuffix("/v1")
    return adapters.openai(model, provider="azure", base_url=root, api_version="2024-10-21", **options)


PROTOCOLS: Mapping[str, Build] = {
    "chat": adapters.openai,
    "completions": lambda model, **options: adapters.openai(model, api="completions", **options),
    "responses": lambda model, **options: adapters.openai(model, api="responses", **options),
    "messages": adapters.anthropic,
    "azure": _at_azure,
    "gemini": lambda model, **options: adapters.from_model_string(f"gemini/{model}", **options),
    "converse": lambda model, **options: adapters.from_model_string(f"bedrock/{model}", **options),
}
# `/completions` has neither roles nor calls, and shows no reasoning.
CONVERSING = [name for name in PROTOCOLS if name != "completions"]
# Converse streams in a binary form of its own, from another address.
STREAMED = [name for name in PROTOCOLS if name != "converse"]
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
every_streamed_protocol = pytest.mark.parametrize("protocol", STREAMED)
every_conversing_protocol = pytest.mark.parametrize("protocol", CONVERSING)
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "AZURE_OPENAI_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)


def ask(protocol: str, value: Any = "hello world", play: Play | None = None, **options: Any) -> GenerationResult:
    with FakeEndpoint(script=None if play is None else lambda _: play) as endpoint:
        model = PROTOCOLS[protocol]("tiny", base_url=endpoint.base_url, **options)
        result: GenerationResult = trio.run(model.generate, Case(case_id="a", input=value), CONTEXT)
    return result


def failure(protocol: str, value: Any = "hello world", play: Play | None = None) -> CallFailure:
    with pytest.raises(ProviderError) as caught:
        ask(protocol, value, play)
    return caught.value.failure


def facts(result: GenerationResult) -> Mapping[str, Any]:
    found: Mapping[str, Any] = result.to_dict()["artifacts"]
    return found


# --- answers ----------------------------------------------------------------------------------------------


@every_protocol
def test_an_answer_its_usage_and_its_end(protocol: str) -> None:
    result = ask(protocol)
    assert result.final_output == "echo: hello world"
    assert (facts(result)["finish_reason"], facts(result).get("model", "tiny")) == ("stop", "tiny")
    usage = result.token_usage or {}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert "reasoning" not in facts(result)


@every_protocol
def test_an_answer_cut_off_is_an_answer_that_says_so(protocol: str) -> None:
    result = ask(protocol, max_tokens=1)
    assert (result.final_output, facts(result)["finish_reason"]) == ("echo:", "length")


@every_conversing_protocol
def test_reasoning_is_beside_the_answer(protocol: str) -> None:
    result = ask(protocol, "THINK hard")
    assert (result.final_output, facts(result)["reasoning"]) == ("echo: THINK hard", REASONING)


@every_conversing_protocol
def test_calls_of_tools_and_their_results_go_there_and_back(protocol: str) -> None:
    called = ask(protocol, {"text": "x", "tools": [TOOL]}).to_dict()["final_output"]
    assert called["tool_calls"] == [{"name": "look_up", "arguments": {"text": "echo: x"}}]
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call]},  # says nothing, and has no content at all
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {"role": "user", "content": [{"type": "text", "text": "so?"}]},
    ]
    result = ask(protocol, {"messages": turns, "tools": [TOOL], "tool_choice": "none"} if protocol == "chat" else turns)
    assert result.final_output == "echo: so?"
    assert [message.role for message in result.conversation or ()] == ["user", "assistant", "tool", "user", "assistant"]
    assert "look_up" in str(facts(result)["request"])


@every_conversing_protocol
def test_a_refusal_is_nobodys_answer_and_is_not_asked_again(protocol: str) -> None:
    found = failure(protocol, "REFUSE this")
    assert found.kind is FailureKind.REFUSAL
    assert not classify(found).retryable


@every_streamed_protocol
@pytest.mark.parametrize("content_type", ["text/event-stream; charset=utf-8", "application/json"])
def test_a_stream_that_was_not_asked_for_is_the_same_answer(protocol: str, content_type: str) -> None:
    values: Sequence[Any] = ["hello world", {"text": "x", "tools": [TOOL]}, "THINK hard"]
    for value in values if protocol in CONVERSING else values[:1]:
        plain, streamed = ask(protocol, value), ask(protocol, value, Stream(content_type=content_type))
        assert streamed.evolve(latency_ms=None) == plain.evolve(latency_ms=None)


@every_streamed_protocol
@pytest.mark.parametrize("events", [0, 1, 2])
def test_a_stream_without_its_end_is_a_failure_that_is_asked_again(protocol: str, events: int) -> None:
    found = failure(protocol, play=Stream(events=events))
    assert (found.kind, classify(found).retryable) == (FailureKind.MALFORMED, True)


@every_streamed_protocol
def test_an_error_in_a_stream_is_one(protocol: str) -> None:
    class Broken(Stream):
        async def act(self, exchange: Any) -> int | None:
            body = b'data: {"id": "x"}\n\nevent: error\ndata: {"error": {"code": 401, "message": "no key"}}\n\n'
            await exchange.send(200, body, {"content-type": "text/event-stream"})
            return 200

    found = failure(protocol, play=Broken())
    assert (found.status, classify(found).fatal) == (401, True)


# --- failures ---------------------------------------------------------------------------------------------

ERROR = {"message": "busy", "code": 503}


@every_protocol
@pytest.mark.parametrize(
    "play",
    [
        Reject(status=503, message="busy"),
        Say(body={"error": ERROR}),
        Say(body=[{"error": ERROR}]),
        Say(beside={"error": ERROR}),
        Say(status=503, body={"message": "busy"}),
        Say(status=400, body={"error": ERROR}),
        Say(body={"type": "error", "error": {"type": "service_unavailable", "message": "busy"}}),
    ],
)
def test_an_error_in_every_dress_is_a_failure_that_is_asked_again(protocol: str, play: Play) -> None:
    found = failure(protocol, play=play)
    diagnosis = classify(found)
    assert (found.status, diagnosis.retryable, diagnosis.overload) == (503, True, True)
    assert "busy" in found.message


NOTHING: Mapping[str, Mapping[str, Any]] = {
    "chat": {"choices": []},
    "azure": {"choices": [], "prompt_filter_results": []},
    "completions": {"choices": None},
    "responses": {"output": [], "usage": {"input_tokens": 0, "output_tokens": 0}},
    "messages": {"content": [], "stop_reason": None},
    "gemini": {"candidates": []},
    "converse": {"output": {"message": {"content": []}}, "stopReason": None},
}


@every_protocol
def test_an_answer_that_holds_nothing_is_a_failure_that_is_asked_again(protocol: str) -> None:
    assert classify(failure(protocol, play=Say(beside=NOTHING[protocol]))).retryable
    assert classify(failure(protocol, play=Say(body={}))).retryable


@every_protocol
def test_the_wait_that_a_server_asks_for_counts_with_a_status_of_success_too(protocol: str) -> None:
    for play in (
        Say(body={"error": {"code": 429, "message": "slow"}}, headers={"retry-after": "7"}),
        Reject(status=429, retry_after="7"),
    ):
        assert failure(protocol, play=play).retry_after_s == 7.0


def run(protocol: str, *plays: Play) -> tuple[Any, FakeEndpoint]:
    with FakeEndpoint(script=by_attempt(*plays)) as endpoint:
        result = evaluate(
            model=PROTOCOLS[protocol]("tiny", base_url=endpoint.base_url),
            data=[{"input": "x", "expected_output": "echo: x"}],
            metric="builtin/exact_match",
            runtime=RuntimeConfig(generation_retry_attempts=4, generation_retry_delay=0.0),
        )
    return result, endpoint


@every_protocol
def test_failed_requests_are_asked_again_until_one_is_answered(protocol: str) -> None:
    result, endpoint = run(protocol, Say(body={"error": ERROR}), Say(beside=NOTHING[protocol]), Truncate())
    assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == 1
    assert len(endpoint.log) == 4


@every_protocol
def test_a_request_that_fails_for_good_is_missing_and_not_wrong(protocol: str) -> None:
    result, _ = run(protocol, *[Say(body={"error": ERROR})] * 4)
    counts = result.benchmark.outcome_counts["builtin/exact_match"]
    assert (counts.get("incorrect", 0), counts["error"]) == (0, 1)
    assert result.benchmark.metric_means.get("builtin/exact_match") is None


@every_protocol
@pytest.mark.parametrize(
    "play",
    [
        Reject(status=401),
        Reject(status=402),
        Say(body={"error": {"code": 401, "message": "No auth credentials found"}}),
        Say(body={"error": {"code": "402", "message": "x"}}),
        Say(beside={"error": {"message": "Insufficient credits"}}),
        Say(status=429, body={"error": {"type": "insufficient_quota", "code": "credit_balance_exhausted"}}),
        Say(status=400, body={"error": {"message": "Your credit balance is too low"}}),
    ],
)
def test_wrong_keys_and_empty_accounts_stop_the_run_at_once(protocol: str, play: Play) -> None:
    with FakeEndpoint(script=lambda _: play) as endpoint, pytest.raises(CallFailed) as caught:
        evaluate(
            model=PROTOCOLS[protocol]("tiny", base_url=endpoint.base_url),
            data=[{"input": str(number), "expected_output": "y"} for number in range(50)],
            metric="builtin/exact_match",
        )
    assert caught.value.fatal
    assert len(endpoint.log) <= 8  # those that were under way


# --- batches ----------------------------------------------------------------------------------------------

# Azure's are at another address than the deployment, and Converse has none.
BATCHED = [name for name in PROTOCOLS if name not in {"azure", "converse"}]
every_batched_protocol = pytest.mark.parametrize("protocol", BATCHED)


def item(text: str, number: int = 0) -> BatchItem:
    ctx = attrs.evolve(CONTEXT, case_id=text, candidate_id=f"{text}:0")
    return BatchItem(key=f"{number:064x}", case=Case(case_id=text, input=text), ctx=ctx)


async def in_batch(batch: BatchEndpoint, items: Sequence[BatchItem], *, cancel: bool = False) -> Mapping[str, Any]:
    (requests,) = batch.render(items)
    batch_id = await batch.submit(requests)
    if cancel:
        await batch.cancel(batch_id)
    while (ended := await batch.ended(batch_id)) is None:
        pass
    return {} if batch.failure(ended) else await batch.answers(ended)


@every_batched_protocol
def test_an_answer_of_a_batch_is_that_of_the_single_call(protocol: str) -> None:
    with FakeEndpoint(batch_polls=3) as endpoint:
        model = PROTOCOLS[protocol]("tiny", base_url=endpoint.base_url)
        asked = item("hello world")
        lines = trio.run(in_batch, model.batch, [asked, item("other", 1)])
        batched = model.batch.outcome(asked, lines[asked.key])
        single = trio.run(model.generate, asked.case, asked.ctx)
    assert batched.latency_ms is None
    without: dict[str, Any] = {"latency_ms": None, "artifacts": {}}
    assert batched.evolve(**without) == single.evolve(**without)
    assert facts(batched)["request"] == facts(single)["request"]


@every_batched_protocol
def test_failures_within_a_batch_are_those_of_single_calls(protocol: str) -> None:
    """Each by its own result: the others have their answers, and only refusals were paid for."""
    errors = {
        "busy": (503, "overloaded_error"),
        "limit": (429, "rate_limit_error"),
        "key": (401, "authentication_error"),
    }
    with FakeEndpoint() as endpoint:
        complete = endpoint.protocols._complete

        def failing(route: str, body: bytes) -> tuple[int, bytes]:
            for text, (status, code) in errors.items():
                if f'"{text}"'.encode() in body:
                    return status, encode({"error": {"message": f"{text}!", "type": code, "code": status}})
            return complete(route, body)

        endpoint.protocols._complete = failing  # type: ignore[method-assign]  # requests of a batch that fail
        batch = PROTOCOLS[protocol]("tiny", base_url=endpoint.base_url).batch
        items = {text: item(text, number) for number, text in enumerate([*errors, "hello", "REFUSE"])}
        lines = trio.run(in_batch, batch, [*items.values()])
    found = {text: batch.outcome(asked, lines[asked.key]) for text, asked in items.items()}
    for text, (status, _) in errors.items():
        assert (found[text].status, text in found[text].message) == (status, True)
    assert [classify(found[text]).retryable for text in errors] == [True, True, False]
    assert classify(found["key"]).fatal
    assert found["hello"].final_output == "echo: hello"
    paid = {text for text, asked in items.items() if batch.is_answer(lines[asked.key])}
    assert paid == {"hello", "REFUSE"}
    if protocol in CONVERSING:
        assert found["REFUSE"].kind is FailureKind.REFUSAL


@every_batched_protocol
def test_what_was_cancelled_is_nobodys_answer_and_is_asked_again(protocol: str) -> None:
    with FakeEndpoint() as endpoint:
        batch = PROTOCOLS[protocol]("tiny", base_url=endpoint.base_url).batch
        asked = item("hello")
        lines = trio.run(lambda: in_batch(batch, [asked], cancel=True))
    line = lines.get(asked.key)
    assert classify(batch.outcome(asked, line)).retryable
    assert not batch.is_answer(line)


@every_batched_protocol
def test_a_batch_answer_that_breaks_the_protocol_is_a_failure(protocol: str) -> None:
    with FakeEndpoint(script=lambda _: Say(body=[1, 2])) as endpoint:
        batch = PROTOCOLS[protocol]("tiny", base_url=endpoint.base_url).batch
        (requests,) = batch.render([item("hello")])
        with pytest.raises(ProviderError) as caught:
            trio.run(batch.submit, requests)
    assert caught.value.failure.kind is FailureKind.MALFORMED
    broken: list[Any] = [{}, {"result": 3}, {"response": []}, {"response": {"status_code": 200}}, None, "x"]
    for line in broken:
        assert isinstance(batch.outcome(item("hello"), line), CallFailure)
        assert not batch.is_answer(line)


UNBATCHED: Mapping[str, Build] = {
    "azure": _at_azure,
    "converse": PROTOCOLS["converse"],
    **{name: functools.partial(adapters.openai, provider=name) for name in ("together", "ollama")},
    "vllm": adapters.vllm,
}


@pytest.mark.parametrize("name", UNBATCHED)
def test_a_provider_without_batches_is_refused_by_name_before_anything_runs(name: str, tmp_path: Path) -> None:
    with FakeEndpoint() as endpoint, pytest.raises(SpecError, match="/tiny has no batch endpoint") as caught:
        evaluate(
            model=UNBATCHED[name]("tiny", base_url=endpoint.base_url),
            data=[{"input": "x", "expected_output": "y"}],
            metric="builtin/exact_match",
            runtime=RuntimeConfig(generation_mode="batch", batch_root=str(tmp_path)),
        )
    assert "openai/..., anthropic/..., gemini/..., groq/..., cerebras/..." in str(caught.value)
    assert not endpoint.log
