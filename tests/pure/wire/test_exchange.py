from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.calls import CallFailure, FailureKind
from themis.pure.json import encode, freeze
from themis.pure.records.prompt import PromptSpec
from themis.pure.wire import anthropic_wire, openai_wire
from themis.pure.wire.exchange import Prompt, Reply, Sampling, prompt_of, prompt_tokens, without_files
from themis.pure.wire.failures import error_in

SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {"name": "verdict", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}},
}
TOOL: Any = {
    "type": "function",
    "function": {"name": "look_up", "description": "Looks up.", "parameters": {"type": "object"}},
}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def chat(model: str, prompt: Prompt, sampling: Sampling, seed: int | None = None) -> dict[str, Any]:
    return openai_wire.chat_body(model, prompt, sampling, seed)


# --- prompts ----------------------------------------------------------------------------------------------


def test_the_prompt_specification_is_applied() -> None:
    prompt = prompt_of("1 + 1?", PromptSpec(instructions="Be brief.", prefix="Q: ", suffix=" A:"))
    assert prompt.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Q: 1 + 1? A:"},
    ]
    assert prompt.text == "Be brief.\n\nQ: 1 + 1? A:"


def test_a_conversation_stays_one_and_keeps_every_field() -> None:
    turns: Any = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "42"},
    ]
    assert prompt_of(freeze(turns)).messages == turns
    assert prompt_of(freeze({"messages": turns, "tools": [TOOL]})).messages == turns


def test_tools_structure_and_images_pass_through() -> None:
    value = freeze({"question": "What?", "tools": [TOOL], "response_format": SCHEMA, "images": ["https://h/a.png"]})
    prompt = prompt_of(value, PromptSpec(prefix="> "))
    assert prompt.messages[0]["content"] == [
        {"type": "text", "text": "> What?"},
        {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
    ]
    body = chat("m", prompt, Sampling())
    assert body["tools"] == [TOOL]
    assert body["response_format"] == SCHEMA


def test_any_other_object_is_shown_as_json() -> None:
    assert prompt_of(freeze({"b": 1, "a": [2]})).text == '{"a":[2],"b":1}'


def test_an_image_counts_by_its_kind_and_not_by_its_bytes() -> None:
    assert prompt_tokens({"messages": ["data:image/png;base64," + "A" * 10**6]}) < 2000


# --- requests ---------------------------------------------------------------------------------------------

SAMPLING = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, stop=["\n"], logprobs=3, extra={"top_k": 5})
HELLO = prompt_of("hello")


def test_chat_body() -> None:
    assert chat("m", HELLO, SAMPLING, seed=4) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "stop": ["\n"],
        "seed": 4,
        "logprobs": True,
        "top_logprobs": 3,
        "top_k": 5,
    }
    assert chat("m", HELLO, Sampling()) == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def test_a_configured_seed_comes_before_the_candidates_own() -> None:
    assert chat("m", HELLO, Sampling(seed=0), seed=4)["seed"] == 0


def test_completion_body() -> None:
    assert openai_wire.completion_body("m", HELLO, SAMPLING, 4) == {
        "model": "m",
        "prompt": "hello",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "stop": ["\n"],
        "seed": 4,
        "logprobs": 3,
        "top_k": 5,
    }


def test_response_body_translates_parts_tools_and_structure() -> None:
    prompt = prompt_of({"text": "What?", "tools": [TOOL], "response_format": SCHEMA, "images": [PIXEL]})
    body = openai_wire.response_body("m", prompt, SAMPLING)
    assert body["input"] == [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": PIXEL}],
        }
    ]
    assert body["tools"] == [{"type": "function", **TOOL["function"]}]
    assert body["text"]["format"]["name"] == "verdict"
    assert body["max_output_tokens"] == 7
    assert body["include"] == ["message.output_text.logprobs"]
    assert body["store"] is False
    assert "seed" not in body


def test_message_body_translates_system_images_tools_and_structure() -> None:
    value: Any = {"text": "What?", "tools": [TOOL], "response_format": SCHEMA, "images": [PIXEL, "https://h/a.png"]}
    body = anthropic_wire.message_body("m", prompt_of(value, PromptSpec(instructions="Be kind.")), SAMPLING)
    assert body["system"] == "Be kind."
    assert body["messages"][0]["content"][1:] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "image", "source": {"type": "url", "url": "https://h/a.png"}},
    ]
    assert [tool["name"] for tool in body["tools"]] == ["look_up", "answer"]
    assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert body["stop_sequences"] == ["\n"]
    assert anthropic_wire.message_body("m", HELLO, Sampling())["max_tokens"] == anthropic_wire.DEFAULT_MAX_TOKENS


def test_anthropic_tool_turns() -> None:
    turns: Any = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "42"},
    ]
    body = anthropic_wire.message_body("m", prompt_of(turns), Sampling())
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "42"}]},
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON.filter(lambda value: value is not None), st.builds(PromptSpec, prefix=st.none() | st.text(max_size=5)))
def test_every_input_renders_to_json_in_every_protocol_the_same_each_time(value: Any, spec: PromptSpec) -> None:
    bodies = [
        (
            chat("m", prompt, SAMPLING),
            openai_wire.completion_body("m", prompt, SAMPLING, 1),
            openai_wire.response_body("m", prompt, SAMPLING),
            anthropic_wire.message_body("m", prompt, SAMPLING),
        )
        for prompt in (prompt_of(freeze(value), spec), prompt_of(freeze(value), spec))
    ]
    assert [encode(body) for body in bodies[0]] == [encode(body) for body in bodies[1]]


# --- replies ----------------------------------------------------------------------------------------------


def chat_reply(message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {"id": "x", "model": "m-1", "choices": [{"message": message, "finish_reason": finish, **more}]}


def test_a_chat_reply_with_everything() -> None:
    payload = chat_reply(
        {"content": "yes", "reasoning_content": "hm"}, "length", logprobs={"content": [{"token": "yes"}]}
    )
    payload |= {"created": 1, "system_fingerprint": "fp"}
    payload["usage"] = {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert openai_wire.read_chat(payload) == Reply(
        output="yes",
        text="yes",
        model="m-1",
        finish_reason="length",
        usage={
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "cached_tokens": 1,
            "reasoning_tokens": 1,
        },
        logprobs=[{"token": "yes"}],
        reasoning="hm",
        transport={"response_id": "x", "created": 1, "system_fingerprint": "fp"},
    )


def test_tool_calls_are_the_output_and_their_ids_are_transport() -> None:
    call = {"id": "call_1", "function": {"name": "f", "arguments": '{"x": 1}'}}
    reply = openai_wire.read_chat(chat_reply({"content": None, "tool_calls": [call]}, "tool_calls"))
    assert isinstance(reply, Reply)
    assert reply.output == {"content": "", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]}
    assert reply.transport["tool_call_ids"] == ["call_1"]


@pytest.mark.parametrize(("text", "output"), [('{"ok": true}', {"ok": True}), ('{"ok": tr', '{"ok": tr')])
def test_a_structured_answer_is_its_value_unless_it_was_cut(text: str, output: Any) -> None:
    reply = openai_wire.read_chat(chat_reply({"content": text}), is_structured=True)
    assert isinstance(reply, Reply)
    assert reply.output == output


@pytest.mark.parametrize(
    ("reader", "payload"),
    [
        (openai_wire.read_chat, chat_reply({"content": None, "refusal": "no"})),
        (openai_wire.read_chat, chat_reply({"content": "par"}, "content_filter")),
        (openai_wire.read_completion, {"choices": [{"text": "par", "finish_reason": "content_filter"}]}),
        (
            openai_wire.read_response,
            {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]},
        ),
        (openai_wire.read_response, {"output": [], "incomplete_details": {"reason": "content_filter"}}),
        (anthropic_wire.read_message, {"content": [], "stop_reason": "refusal"}),
    ],
)
def test_refusals_are_failures(reader: Any, payload: Any) -> None:
    failure = reader(payload)
    assert isinstance(failure, CallFailure)
    assert failure.kind is FailureKind.REFUSAL


READERS = (
    openai_wire.read_chat,
    openai_wire.read_completion,
    openai_wire.read_response,
    anthropic_wire.read_message,
)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("payload", [None, [], "text", {}, {"choices": []}, {"output": "x"}, {"content": "x"}])
def test_what_does_not_follow_the_protocol_is_malformed(reader: Any, payload: Any) -> None:
    failure = reader(payload)
    assert isinstance(failure, CallFailure)
    assert failure.kind is FailureKind.MALFORMED


def test_a_response_that_failed_inside_a_success_is_classified_by_its_code() -> None:
    payload = {"output": [], "status": "failed", "error": {"code": "server_error", "message": "oops"}}
    failure = openai_wire.read_response(payload)
    assert isinstance(failure, CallFailure)
    assert (failure.status, failure.code) == (500, "server_error")
    assert "oops" in failure.message


def test_an_anthropic_reply_counts_cached_tokens_within_the_prompt() -> None:
    payload = {
        "id": "msg",
        "model": "c",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 2},
    }
    reply = anthropic_wire.read_message(payload)
    assert isinstance(reply, Reply)
    assert (reply.output, reply.finish_reason, reply.reasoning) == ("yes", "length", "hm")
    assert reply.usage == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "cached_tokens": 4}


def test_an_anthropic_structured_answer_is_the_input_of_its_tool() -> None:
    payload = {"content": [{"type": "tool_use", "name": "answer", "input": {"ok": True}}], "stop_reason": "tool_use"}
    reply = anthropic_wire.read_message(payload, is_structured=True)
    assert isinstance(reply, Reply)
    assert reply.output == {"ok": True}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"error": {"message": "m", "type": "t", "code": "c"}}', ("m", "c", None)),
        (b'{"error": {"message": "m", "type": "t", "code": null}}', ("m", "t", None)),
        (
            b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}',
            ("busy", "overloaded_error", 529),
        ),
        (b'{"object": "error", "message": "m", "type": "NotFoundError", "code": 404}', ("m", "NotFoundError", 404)),
        (b'{"error": "text"}', ("text", None, None)),
        (b"<html>", ("<html>", None, None)),
        (b"", ("", None, None)),
    ],
)
def test_errors_in_every_form(body: bytes, found: tuple[str, str | None, int | None]) -> None:
    stated = error_in(body)
    assert (stated.message, stated.code, stated.status) == found


@given(st.binary(max_size=200))
def test_errors_are_read_from_any_bytes(body: bytes) -> None:
    assert len(error_in(body).message) <= 500


# --- what is recorded of files ----------------------------------------------------------------------------

URI = "data:image/png;base64,AAAA"
WORDS = st.sampled_from(
    [URI, "data: a, b", "data:", "data:x,y", "database, of course", "data:image/png;base64,AAAA and so on"]
)


@given(st.sampled_from(["text", "content", "input", "prompt", "arguments"]), WORDS | st.text().map("data:".__add__))
def test_words_that_begin_like_a_file_stay_as_they_are(field: str, words: str) -> None:
    body = {"messages": [{"role": "user", field: words, "parts": [words, {field: words}]}]}
    assert without_files(body) == body


@pytest.mark.parametrize("field", ["url", "image_url", "file_data", "fileUri"])
def test_a_file_where_an_address_stands_is_recorded_by_its_hash(field: str) -> None:
    kept = without_files({"parts": [{field: URI}, {field: {"url": URI}}]})
    assert "AAAA" not in str(kept)
    assert str(kept).count("data:image/png;sha256,") == 2
    for address in ("https://h/data:image/png;base64,AAAA", "data:image/png", "data:, no kind of file"):
        assert without_files({field: address}) == {field: address}
