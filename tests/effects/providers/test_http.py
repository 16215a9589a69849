"""The HTTP seam against a real socket, and against servers that mean no good."""

from __future__ import annotations

import hashlib
import json
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from themis import StorageConfig, adapters, evaluate
from themis.effects.calls import CallRuntime
from themis.effects.http_library import httpx
from themis.effects.providers.http import UNCOUNTED_HEADERS, plain_url, pooled_clients
from themis.pure.calls import FailureKind, ProviderError
from themis.pure.errors import LiteralSecretError, SpecError, UnknownComponentError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import RenderedJudgePrompt
from themis.testing.endpoint import (
    Answer,
    Bomb,
    Cut,
    Drip,
    Drop,
    Endless,
    FakeEndpoint,
    ManyHeaders,
    Play,
    Redirect,
    Reject,
    Request,
    Truncate,
    WrongType,
    by_attempt,
)

KEY = "sk-test-1234567890abcdef"
CONTEXT = GenerateContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=5)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def ask(model: Any, value: Any = "hello world") -> GenerationResult:
    result: GenerationResult = trio.run(model.generate, Case(case_id="a", input=value), CONTEXT)
    return result


def failure_of(play: Play, **options: Any) -> ProviderError:
    with FakeEndpoint(script=lambda _: play) as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url, **options)
        with pytest.raises(ProviderError) as caught:
            ask(model)
    return caught.value


# --- the protocols ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "options", "path"),
    [
        (adapters.openai, {}, "/v1/chat/completions"),
        (adapters.openai, {"api": "responses"}, "/v1/responses"),
        (adapters.openai, {"api": "completions"}, "/v1/completions"),
        (adapters.vllm, {"top_k": 3}, "/v1/chat/completions"),
        (adapters.anthropic, {}, "/v1/messages"),
    ],
)
def test_every_protocol_generates_and_judges(build: Any, options: Any, path: str) -> None:
    with FakeEndpoint() as endpoint:
        model = build("tiny", base_url=endpoint.base_url, **options)
        result = ask(model)
        response = trio.run(model.judge, RenderedJudgePrompt(prompt_id="p", content="good?"))
    assert result.final_output == "echo: hello world"
    assert result.artifacts is not None
    assert (result.artifacts["model"], result.artifacts["finish_reason"]) == ("tiny", "stop")
    assert result.token_usage is not None
    assert result.token_usage["total_tokens"] > 0
    assert (response.raw_response, response.judge_model_id) == ("echo: good?", model.component_id)
    assert response.provider_request_id
    assert response.artifacts is not None
    assert (response.artifacts["model"], response.artifacts["finish_reason"]) == ("tiny", "stop")
    assert {served.request.path for served in endpoint.log} == {path}
    sent = endpoint.log[0].request.json()
    # The request is on record as it was sent, for generations and judgments alike.
    assert sent == result.to_dict()["artifacts"]["request"]
    assert endpoint.log[1].request.json() == response.to_dict()["artifacts"]["request"]
    assert sent == json.loads(json.dumps(model.request(Case(case_id="a", input="hello world"), CONTEXT)))


def test_two_identical_calls_differ_in_transport_and_latency_alone() -> None:
    with FakeEndpoint(script=by_attempt(Answer(headers={"x-request-id": "req-1"}))) as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        first, second = ask(model), ask(model)
    transports = [result.to_dict()["artifacts"]["transport"] for result in (first, second)]
    assert transports[0]["request_id"] == "req-1"
    assert transports[0] != transports[1]
    bare = [r.evolve(latency_ms=None, artifacts={**(r.artifacts or {}), "transport": {}}) for r in (first, second)]
    assert bare[0] == bare[1]


def test_log_probabilities_tools_and_structure_come_back() -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    structured = {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_object"}}
    with FakeEndpoint() as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url, logprobs=0)
        plain = ask(model)
        called = ask(model, {"text": "x", "tools": [tool]})
        shaped = ask(model, structured)
    assert plain.to_dict()["artifacts"]["logprobs"][0] == {"token": "echo:", "logprob": -0.5}
    assert called.to_dict()["final_output"]["tool_calls"][0]["name"] == "look_up"
    assert shaped.final_output == {"answer": "echo: x"}
    assert shaped.conversation is not None
    assert [message.role for message in shaped.conversation] == ["user", "assistant"]


@pytest.mark.parametrize("build", [adapters.openai, adapters.anthropic])
def test_images_are_sent_whole_and_recorded_as_their_hash(build: Any) -> None:
    pixels = "iVBORw0KGgo" * 500
    case_input = {"text": "what?", "images": [f"data:image/png;base64,{pixels}", "https://example.org/a.png"]}
    with FakeEndpoint() as endpoint:
        model = build("tiny", base_url=endpoint.base_url)
        result = ask(model, case_input)
    recorded = json.dumps(result.to_dict()["artifacts"]["request"])
    assert pixels.encode() in endpoint.log[0].request.body
    assert pixels not in recorded
    assert "https://example.org/a.png" in recorded
    assert hashlib.sha256(pixels.encode()).hexdigest() in recorded
    tokens = model.estimate(model.request(Case(case_id="a", input=case_input), CONTEXT)).prompt
    assert 900 < tokens < 1200  # an image costs about a thousand, whatever its size


def test_an_answer_cut_by_its_length_is_an_answer() -> None:
    with FakeEndpoint() as endpoint:
        result = ask(adapters.openai("tiny", base_url=endpoint.base_url, max_tokens=1))
    assert result.final_output == "echo:"
    assert result.artifacts is not None
    assert result.artifacts["finish_reason"] == "length"


def test_a_refusal_is_not_worth_another_try() -> None:
    with FakeEndpoint() as endpoint, pytest.raises(ProviderError) as caught:
        ask(adapters.openai("tiny", base_url=endpoint.base_url), "REFUSE this")
    assert caught.value.failure.kind is FailureKind.REFUSAL


def test_an_unknown_model_says_so() -> None:
    with FakeEndpoint(models=["tiny"]) as endpoint, pytest.raises(ProviderError, match="no model 'huge'") as caught:
        ask(adapters.openai("huge", base_url=endpoint.base_url))
    assert caught.value.failure.code == "model_not_found"


# --- failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (Drop(), FailureKind.CONNECTION),
        (Cut(), FailureKind.CONNECTION),
        (Truncate(), FailureKind.MALFORMED),
        (WrongType(), FailureKind.MALFORMED),
        (Endless(), FailureKind.TOO_LARGE),
        (Endless(size=10**10), FailureKind.TOO_LARGE),
        (Drip(interval_s=0.05), FailureKind.TIMEOUT),
        (Bomb(), FailureKind.TOO_LARGE),
        (ManyHeaders(), FailureKind.CONNECTION),
        (Reject(status=500), FailureKind.STATUS),
        (Redirect(to="/v1/chat/completions"), FailureKind.REDIRECT),
        (Redirect(to="http://[broken"), FailureKind.REDIRECT),
    ],
)
def test_each_misbehaviour_is_one_failed_attempt(play: Play, kind: FailureKind) -> None:
    limits = {"max_bytes": 1 << 20, "total_timeout_s": 0.5 if isinstance(play, Drip) else 30.0}
    assert failure_of(play, **limits).failure.kind is kind


def test_each_timeout_is_its_own() -> None:
    late = Answer(delay_s=5.0)
    read = failure_of(late, read_timeout_s=0.1).failure
    total = failure_of(late, total_timeout_s=0.1).failure
    assert (read.kind, total.kind) == (FailureKind.TIMEOUT, FailureKind.TIMEOUT)
    assert read.message.startswith("ReadTimeout")
    assert "within 0.1 s" in total.message
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never shakes hands
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(ProviderError) as caught:
            ask(adapters.openai("tiny", base_url=address, connect_timeout_s=0.1))
    assert caught.value.failure.message.startswith("ConnectTimeout")


def test_an_answer_packed_as_asked_for_is_read() -> None:
    class Packed(Answer):
        async def act(self, exchange: Any) -> int | None:
            import gzip

            await exchange.send(200, gzip.compress(exchange.answer[1]), {"content-encoding": "gzip"})
            return 200

    with FakeEndpoint(script=lambda _: Packed()) as endpoint:
        assert ask(adapters.openai("tiny", base_url=endpoint.base_url)).final_output == "echo: hello world"


def test_json_is_read_whatever_it_is_said_to_be() -> None:
    play = Answer(headers={"content-type": "text/plain"})
    with FakeEndpoint(script=lambda _: play) as endpoint:
        assert ask(adapters.openai("tiny", base_url=endpoint.base_url)).final_output == "echo: hello world"


def test_a_rejection_carries_what_the_policy_reads() -> None:
    failure = failure_of(Reject(status=429, code="rate_limit_exceeded", retry_after="3", message="slow down")).failure
    assert (failure.status, failure.code, failure.retry_after_s) == (429, "rate_limit_exceeded", 3.0)
    assert "slow down" in failure.message


def test_no_connection() -> None:
    with pytest.raises(ProviderError) as caught:
        ask(adapters.openai("tiny", base_url="http://127.0.0.1:1/v1"))
    assert caught.value.failure.kind is FailureKind.CONNECTION


@pytest.mark.parametrize("play", [Endless(), Bomb()])
def test_a_malicious_body_costs_bounded_memory(play: Play) -> None:
    failure_of(play, max_bytes=1 << 20)  # what is made once: TLS settings, the bomb itself
    tracemalloc.start()
    try:
        failure_of(play, max_bytes=1 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_used_up_quota_is_reported_to_the_runtime() -> None:
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}

    async def main(url: str) -> float:
        runtime, model = CallRuntime(), adapters.openai("tiny", base_url=url)
        case = Case(case_id="a", input="x")
        await runtime.call(lambda: model.generate(case, CONTEXT), provider_key="p")
        held_until = runtime._gate.admission.endpoint("p").held_until
        return held_until - trio.current_time()

    with FakeEndpoint(script=lambda _: Answer(headers=spent)) as endpoint:
        assert 0 < trio.run(main, endpoint.base_url) <= 0.02


# --- clients ----------------------------------------------------------------------------------------------


def test_a_run_keeps_one_pool_per_endpoint() -> None:
    async def main(url: str) -> None:
        models = [adapters.openai(name, base_url=url) for name in ("one", "two")]
        async with pooled_clients():
            for model in models * 3:
                await model.generate(Case(case_id="a", input="x"), CONTEXT)

    with FakeEndpoint() as endpoint:
        trio.run(main, endpoint.base_url)
    assert (len(endpoint.log), endpoint.connections) == (6, 1)


def test_cancelled_calls_leave_no_connection_behind() -> None:
    async def main(endpoint: FakeEndpoint) -> list[int]:
        model, open_connections = adapters.openai("tiny", base_url=endpoint.base_url), list[int]()
        case = Case(case_id="a", input="x")

        async def settled(most: int) -> None:
            with trio.fail_after(10):
                while endpoint.open_connections > most:  # noqa: ASYNC110  # it lives in another thread
                    await trio.sleep(0.01)
            open_connections.append(endpoint.open_connections)

        async with pooled_clients():
            for _ in range(3):
                with trio.move_on_after(0.05):
                    async with trio.open_nursery() as nursery:
                        for _ in range(20):
                            nursery.start_soon(model.generate, case, CONTEXT)
            await settled(0)  # a connection in the middle of an answer is of no further use
            await model.generate(Case(case_id="b", input="quick"), CONTEXT)
            await settled(1)
        await settled(0)
        return open_connections

    def script(request: Any) -> Play:
        return Answer(delay_s=0.0 if b"quick" in request.body else 0.3)

    with FakeEndpoint(script=script) as endpoint:
        assert trio.run(main, endpoint) == [0, 1, 0]


def test_an_injected_client_is_used_and_stays_open() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"model": "m", "choices": [{"message": {"content": "mocked"}}]})

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), headers={"x-own": "1"})
    model = adapters.openai("tiny", client=client, base_url="https://example.org/v1")
    assert ask(model).final_output == "mocked"
    assert str(seen[0].url) == "https://example.org/v1/chat/completions"
    assert seen[0].headers["x-own"] == "1"
    assert not client.is_closed
    assert "client" not in repr(model)
    trio.run(client.aclose)


# --- identity ---------------------------------------------------------------------------------------------


def test_the_fingerprint_follows_everything_that_decides_about_answers() -> None:
    builders: list[Callable[[], Any]] = [
        lambda: adapters.openai("m"),
        lambda: adapters.openai("n"),
        lambda: adapters.openai("m", api="chat"),
        lambda: adapters.openai("m", base_url="http://h/v1"),
        lambda: adapters.openai("m", temperature=0.0),
        lambda: adapters.openai("m", temperature=0.1),
        lambda: adapters.openai("m", api="chat", stop="x"),
        lambda: adapters.openai("m", api="chat", seed=1),
        lambda: adapters.openai("m", extra={"a": 1}),
        lambda: adapters.vllm("m", base_url="http://h/v1"),
        lambda: adapters.anthropic("m"),
    ]
    prints = [build().fingerprint() for build in builders]
    assert len(set(prints)) == len(prints)
    assert prints == [build().fingerprint() for build in builders]


def test_the_fingerprint_ignores_tuning_keys_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = adapters.openai("m").fingerprint()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    tuned = adapters.openai("m", total_timeout_s=1.0, provider_key="x", api_key_env="OTHER")
    assert tuned.fingerprint() == plain
    named = [adapters.vllm("m", base_url=f"http://h{i}/v1", endpoint_name="gpus").fingerprint() for i in (1, 2)]
    assert named[0] == named[1]


def test_headers_and_whatever_else_is_sent_count() -> None:
    def at(url: str = "http://h/v1", **options: Any) -> str:
        name: str = adapters.openai("m", base_url=url, **options).fingerprint()
        return name

    def client(**options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)), **options)

    prints = [
        at(),
        at(headers={"X-Model": "a"}),
        at(headers={"X-Model": "b"}),
        at(headers={"X-Model": "a", "X-Route": "a"}),
        at(headers={"OpenAI-Organization": "a"}),
        at(headers={"OpenAI-Project": "a"}),
        at(client=client(params={"deployment": "b"})),
        at("http://h/v1?deployment=a"),
        at(endpoint_name="gpus"),
        at("http://h/v1?deployment=a", endpoint_name="gpus"),
        at("http://h/v1?deployment=b", endpoint_name="gpus"),
        adapters.anthropic("m").fingerprint(),
        adapters.anthropic("m", headers={"anthropic-version": "2030-01-01"}).fingerprint(),
        adapters.anthropic("m", headers={"anthropic-beta": "long"}).fingerprint(),
    ]
    assert len({*prints}) == len(prints)
    assert at(client=client(headers={"x-model": "a"})) == at(headers={"X-Model": " a "}) == prints[1]
    assert at(client=client()) == at(headers={}) == prints[0]
    assert at("http://other/v1?deployment=a&api_key=", endpoint_name="gpus") == prints[9]
    assert adapters.anthropic("m", headers={"Anthropic-Version": "2023-06-01"}, max_tokens=4096).fingerprint() in prints


@pytest.mark.parametrize("name", sorted({*UNCOUNTED_HEADERS, "api-key", "cookie", "x-goog-api-key"}))
def test_headers_that_cannot_change_an_answer_do_not_count(name: str) -> None:
    plain = adapters.openai("m")
    client = httpx.AsyncClient(headers={name.title(): "1234"})
    assert attrs.evolve(plain, client=client).fingerprint() == plain.fingerprint()


def test_a_credential_in_a_header_does_not_count() -> None:
    plain = adapters.openai("m").fingerprint()
    kept = "${oc.env:OTHER_KEY}"
    for headers in (
        {"x-portkey-api-key": kept},
        {"Helicone-Auth": f"Bearer {kept}"},
        {"x-any": kept},
        {"X-Own": "one"},
    ):
        assert adapters.openai("m", headers=headers, key_header="x-own").fingerprint() == plain


@pytest.mark.parametrize(
    "headers",
    [
        {"x-portkey-api-key": "abc"},
        {"x-any": "sk-0123456789abcdefghij0123456789"},
        {"x-any": "${oc.env:OTHER_KEY} sk-0123456789abcdefghij0123456789"},
    ],
)
def test_a_credential_is_written_into_no_header(headers: dict[str, str]) -> None:
    with pytest.raises(LiteralSecretError, match=r"headers\.x-.*: a literal credential"):
        adapters.openai("m", headers=headers)


def test_a_gateway_that_picks_its_model_by_a_header_is_asked_for_each(tmp_path: Path) -> None:
    seen: list[str] = []

    def script(request: Request) -> Play:
        seen.append(request.headers["x-model"])
        return Answer()

    store = StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "runs.sqlite3")})
    with FakeEndpoint(script=script) as endpoint:
        runs = [
            evaluate(
                model=adapters.openai("auto", base_url=endpoint.base_url, headers={"x-model": model}),
                data=[{"input": "x", "expected_output": "echo: x"}],
                metric="builtin/exact_match",
                storage=store,
            )
            for model in ("a", "b", "a")
        ]
        for run in runs:
            run.store.close()
    assert seen == ["a", "b"]
    assert runs[0].run_id == runs[2].run_id != runs[1].run_id


@pytest.mark.parametrize(
    ("text", "component_id", "kind"),
    [
        ("openai/gpt-4o", "openai/gpt-4o", "OpenAIModel"),
        ("openai:gpt-4o", "openai/gpt-4o", "OpenAIModel"),
        ("vllm/Qwen/Qwen3-8B", "vllm/Qwen/Qwen3-8B", "OpenAIModel"),
        ("vllm:org/model:tag", "vllm/org/model:tag", "OpenAIModel"),
        ("anthropic/claude-x", "anthropic/claude-x", "AnthropicModel"),
    ],
)
def test_model_strings(text: str, component_id: str, kind: str) -> None:
    model = adapters.from_model_string(text)
    assert (model.component_id, type(model).__name__) == (component_id, kind)


@pytest.mark.parametrize("mark", ["/", ":"])
@pytest.mark.parametrize(
    ("provider", "path"), [("openai", "chat/completions"), ("vllm", "chat/completions"), ("anthropic", "messages")]
)
def test_model_strings_work_wherever_a_component_id_does(
    mark: str, provider: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeEndpoint() as endpoint:
        monkeypatch.setenv(f"{provider.upper()}_BASE_URL", endpoint.base_url)
        result = evaluate(
            model=f"{provider}{mark}tiny",
            data=[{"input": "x", "expected_output": "echo: x"}],
            metric=["builtin/exact_match", "builtin/llm_rubric"],
            judge=f"{provider}{mark}judge",
            workflow_overrides={"rubric": "good"},
        )
    identity = result.snapshot.identity
    assert identity.generator_ref.component_id == f"{provider}/tiny"
    assert [ref.component_id for ref in identity.judge_model_refs] == [f"{provider}/judge"]
    assert {served.request.path for served in endpoint.log} == {f"/v1/{path}"}
    assert {served.request.json()["model"] for served in endpoint.log} == {"tiny", "judge"}
    assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == 1


def test_wrong_strings_and_options_are_told() -> None:
    with pytest.raises(UnknownComponentError, match="did you mean openai"):
        adapters.from_model_string("opnai/gpt-4o")
    with pytest.raises(SpecError, match=r"unknown option 'temprature' \(did you mean temperature\?\)"):
        adapters.openai("m", temprature=1.0)
    with pytest.raises(SpecError, match="'chats' is no protocol"):
        adapters.openai("m", api="chats")
    with pytest.raises(SpecError, match="an address like"):
        adapters.openai("m", base_url="localhost:8000")


def test_provider_keys_group_by_endpoint() -> None:
    keys = [
        adapters.openai("a").provider_key,
        adapters.openai("b").provider_key,
        adapters.vllm("a", base_url="http://h:1/v1").provider_key,
        adapters.vllm("a", base_url="http://h:2/v1").provider_key,
    ]
    assert keys == ["openai", "openai", "vllm@h:1", "vllm@h:2"]


# --- credentials ------------------------------------------------------------------------------------------


def test_the_key_is_read_when_the_call_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint() as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url)
        ask(model)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        ask(model)
        claude = adapters.anthropic("tiny", base_url=endpoint.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        ask(claude)
    headers = [served.request.headers for served in endpoint.log]
    assert [h.get("authorization") for h in headers] == [None, f"Bearer {KEY}", None]
    assert headers[2]["x-api-key"] == KEY


def test_a_missing_key_is_told_before_anything_is_sent() -> None:
    model = adapters.openai("gpt-4o")
    assert "export OPENAI_API_KEY" in model.check()[0]
    with pytest.raises(ProviderError, match="OPENAI_API_KEY is not set") as caught:
        ask(model)
    assert caught.value.failure.kind is FailureKind.CREDENTIALS
    assert adapters.openai("tiny", base_url="http://h/v1").check() == ()


def test_a_key_that_can_not_be_one_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\nx")
    with pytest.raises(ProviderError, match="OPENAI_API_KEY holds characters") as caught:
        ask(adapters.openai("gpt-4o"))
    assert "sk-secret" not in str(caught.value)


def test_what_a_server_says_of_the_key_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for play in (Reject(status=401, message=f"bad key {KEY}"), Redirect(to=f"http://{KEY}@h/{KEY}")):
        error = failure_of(play)
        assert KEY not in f"{error!r} {error} {error.failure}"
        assert error.__cause__ is None
        assert error.__context__ is None


def test_credentials_do_not_follow_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeEndpoint() as thief:
        error = failure_of(Redirect(to=thief.base_url + "/chat/completions"))
    assert thief.log == []
    assert "make it the base_url" in str(error)


def test_a_redirect_to_the_same_origin_is_followed() -> None:
    def script(request: Any) -> Play:
        return Answer() if request.path == "/v1/chat/completions" else Redirect(to="/v1/chat/completions")

    with FakeEndpoint(script=script) as endpoint:
        model = adapters.openai("tiny", base_url=endpoint.base_url.replace("/v1", "/old"))
        assert ask(model).final_output == "echo: hello world"


def test_credentials_in_the_environments_address_are_used_and_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint() as endpoint:
        url = endpoint.base_url.replace("http://", "http://me:pass-word@") + "?api_key=query-key&v=2"
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        model = adapters.openai("tiny")
        ask(model)
    request = endpoint.log[0].request
    assert request.headers["authorization"].startswith("Basic ")
    assert request.path == "/v1/chat/completions?v=2&api_key=query-key"
    assert "pass-word" not in repr(model)
    assert "query-key" not in repr(model)
    assert model.endpoint.base_url.endswith("/v1?v=2")
    assert model.endpoint.redact("pass-word query-key") == "[redacted] [redacted]"


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": f"https://me:{KEY}@h/v1"},
        {"base_url": f"https://h/v1?api_key={KEY}"},
        {"headers": {"Authorization": f"Bearer {KEY}"}},
    ],
)
def test_a_literal_credential_is_refused_without_showing_it(options: Any) -> None:
    with pytest.raises(LiteralSecretError) as caught:
        adapters.openai("m", **options)
    assert KEY not in str(caught.value)


def test_plain_url_keeps_what_is_no_secret() -> None:
    assert plain_url("https://h:1/v1/?api-version=3") == "https://h:1/v1?api-version=3"
