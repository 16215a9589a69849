"""Gemini's and Bedrock's protocols: what is translated, and what their answers mean."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from themis.pure.calls import CallFailure, FailureKind, classify
from themis.pure.json import encode, freeze
from themis.pure.records.prompt import PromptSpec
from themis.pure.wire import anthropic_wire, converse_wire, gemini_wire, openai_wire
from themis.pure.wire.exchange import Reply, Sampling, prompt_of, prompt_tokens, without_files
from themis.pure.wire.failures import error_in

TOOL: Any = {"type": "function", "function": {"name": "f", "description": "F.", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
TURNS: Any = [
    {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": PIXEL}}]},
    {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "d"}]},
    {"role": "tool", "tool_call_id": "c", "content": "1"},
    {"role": "tool", "tool_call_id": "d", "content": [{"type": "text", "text": "2"}]},
]
SAMPLING = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, stop=["\n"])
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "v", "schema": {"type": "object"}}}


def test_what_gemini_is_asked() -> None:
    value = freeze({"messages": TURNS, "tools": [TOOL], "tool_choice": "required"})
    body = gemini_wire.content_body(prompt_of(value, PromptSpec(instructions="Be kind.")), SAMPLING, 4)
    call, result = {"name": "f", "args": {"x": 1}}, "functionResponse"
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "contents": [
            {
                "role": "user",
                "parts": [{"text": "x"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}],
            },
            {"role": "model", "parts": [{"functionCall": call}, {"functionCall": call}]},
            {"role": "user", "parts": [{result: {"name": "f", "response": {"result": text}}} for text in "12"]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "f", "description": "F.", "parametersJsonSchema": {"type": "object"}}]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"temperature": 0.5, "topP": 0.9, "maxOutputTokens": 7, "stopSequences": ["\n"], "seed": 4},
    }
    assert gemini_wire.content_body(prompt_of("x"), Sampling(), None) == {
        "contents": [{"role": "user", "parts": [{"text": "x"}]}]
    }


BODIES: Any = {
    "gemini": lambda prompt: gemini_wire.content_body(prompt, Sampling(), None),
    "converse": lambda prompt: converse_wire.converse_body("m", prompt, Sampling()),
    "messages": lambda prompt: anthropic_wire.message_body("m", prompt, Sampling()),
    "chat": lambda prompt: openai_wire.chat_body("m", prompt, Sampling(), None),
    "responses": lambda prompt: openai_wire.response_body("m", prompt, Sampling()),
}


@pytest.mark.parametrize("protocol", BODIES)
def test_a_file_is_recorded_by_its_hash_and_counts_as_an_image(protocol: str) -> None:
    data = "iVBORw0KGgo" * 4_000
    body = BODIES[protocol](prompt_of({"text": "x", "images": [f"data:image/png;base64,{data}"]}))
    assert data in encode(body).decode()
    assert data not in encode(without_files(body)).decode()
    assert hashlib.sha256(data.encode()).hexdigest() in encode(without_files(body)).decode()
    assert prompt_tokens(body) < 2000


def test_what_only_looks_like_a_file_is_recorded_as_it_is() -> None:
    call = {"toolUse": {"input": {"bytes": "abc", "data": "def", "mimeType": "text/plain"}}}
    assert without_files(call) == call


def test_results_come_before_what_follows_them() -> None:
    body = gemini_wire.content_body(prompt_of([*TURNS, {"role": "user", "content": "so?"}]), Sampling(), None)
    assert [[*part] for turn in body["contents"][2:] for part in turn["parts"]] == [["functionResponse"]] * 2 + [
        ["text"]
    ]


def test_extra_fields_reach_geminis_configuration() -> None:
    thinking = {"thinkingConfig": {"includeThoughts": True}}
    sampling = Sampling(max_tokens=5, extra={"generationConfig": thinking, "safetySettings": []})
    body = gemini_wire.content_body(prompt_of("x"), sampling, None)
    assert body["generationConfig"] == {"maxOutputTokens": 5, **thinking}
    assert body["safetySettings"] == []


def test_what_bedrock_is_asked() -> None:
    value = freeze({"messages": TURNS, "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}})
    body = converse_wire.converse_body("m", prompt_of(value, PromptSpec(instructions="Be kind.")), SAMPLING)
    call = {"name": "f", "input": {"x": 1}}
    assert body == {
        "system": [{"text": "Be kind."}],
        "messages": [
            {
                "role": "user",
                "content": [{"text": "x"}, {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}],
            },
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": key, **call}} for key in "cd"]},
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": key, "content": [{"text": text}]}} for key, text in ("c1", "d2")
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 7, "temperature": 0.5, "topP": 0.9, "stopSequences": ["\n"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "description": "F.", "inputSchema": {"json": {"type": "object"}}}}],
            "toolChoice": {"tool": {"name": "f"}},
        },
    }


def test_structure_is_asked_for_in_each_ones_way() -> None:
    prompt = prompt_of(freeze({"text": "x", "response_format": SCHEMA}))
    config = gemini_wire.content_body(prompt, Sampling(), None)["generationConfig"]
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}
    asked = converse_wire.converse_body("m", prompt, Sampling())["toolConfig"]
    assert asked["toolChoice"] == {"tool": {"name": "answer"}}
    said = [{"toolUse": {"toolUseId": "t", "name": "answer", "input": {"ok": True}}}]
    answer = {"output": {"message": {"content": said}}, "stopReason": "tool_use"}
    reply = converse_wire.read_converse(answer, is_structured=True)
    assert isinstance(reply, Reply)
    assert reply.output == {"ok": True}


def test_gemini_counts_its_thoughts_within_the_answer() -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 5, "totalTokenCount": 10}
    parts = [{"text": "hm", "thought": True}, {"text": "4"}]
    reply = gemini_wire.read_content(
        {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "usageMetadata": usage}
    )
    assert isinstance(reply, Reply)
    assert (reply.text, reply.reasoning) == ("4", "hm")
    assert reply.usage == {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10, "reasoning_tokens": 5}


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, FailureKind.REFUSAL),
        ({"candidates": [{"finishReason": "RECITATION"}]}, FailureKind.REFUSAL),
        ({"candidates": [{"content": {}, "finishReason": "MALFORMED_FUNCTION_CALL"}]}, FailureKind.FAILED),
        (
            {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "UNEXPECTED_TOOL_CALL"}]},
            FailureKind.FAILED,
        ),
        ({"candidates": []}, FailureKind.MALFORMED),
        ({"candidates": [{"index": 0}]}, FailureKind.FAILED),
        ({"promptFeedback": {}}, FailureKind.MALFORMED),
    ],
)
def test_what_gemini_did_not_answer(payload: Any, kind: FailureKind) -> None:
    failure = gemini_wire.read_content(payload)
    assert isinstance(failure, CallFailure)
    assert failure.kind is kind
    assert classify(failure).retryable == (kind is not FailureKind.REFUSAL)


@pytest.mark.parametrize(
    ("stop", "kind"),
    [
        ("guardrail_intervened", FailureKind.REFUSAL),
        ("content_filtered", FailureKind.REFUSAL),
        ("malformed_model_output", FailureKind.FAILED),
        ("malformed_tool_use", FailureKind.FAILED),
    ],
)
def test_what_bedrock_did_not_answer(stop: str, kind: FailureKind) -> None:
    payload = {"output": {"message": {"content": [{"text": "par"}]}}, "stopReason": stop}
    failure = converse_wire.read_converse(payload)
    assert isinstance(failure, CallFailure)
    assert failure.kind is kind


def test_googles_details_say_that_the_key_is_wrong() -> None:
    body = (
        b'{"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT",'
        b' "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}}'
    )
    assert classify(error_in(body).of_status(400, "h")).reason == "wrong credentials"
