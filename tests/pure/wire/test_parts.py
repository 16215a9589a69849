"""Content in parts, reasoning beside it, calls without content, refusals: as the providers send and take them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.calls import CallFailure, FailureKind
from themis.pure.json import encode
from themis.pure.wire import anthropic_wire, openai_wire
from themis.pure.wire.exchange import Reply, Sampling, prompt_of
from themis.pure.wire.parts import plain_text, reasoning_in, said_in

WORDS = st.text(max_size=6)


def chat(message: dict[str, Any], finish: str | None = "stop") -> Reply:
    reply = openai_wire.read_chat({"choices": [{"message": message, "finish_reason": finish}]})
    assert isinstance(reply, Reply), reply
    return reply


def text_part(text: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(
        [text, {"type": "text", "text": text}, {"type": "output_text", "text": text, "annotations": []}]
    )


def reasoning_part(text: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(
        [
            {"type": "thinking", "thinking": text},
            {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True},
            {"type": "reasoning", "reasoning": text},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]},
            {"type": "reasoning_text", "text": text},
        ]
    )


OTHER_PARTS = st.sampled_from(
    [
        {"type": "reference", "reference_ids": [1]},
        {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
        {"type": "redacted_thinking", "data": "xx"},
        {"type": "text", "text": None},
        {},
    ]
)


@st.composite
def contents(draw: st.DrawFn) -> tuple[list[Any], str, str]:
    parts, text, reasoning = list[Any](), "", list[str]()
    for kind in draw(st.lists(st.sampled_from(["text", "reasoning", "other"]), max_size=6)):
        words = draw(WORDS)
        if kind == "text":
            text += words
        elif kind == "reasoning" and words:
            reasoning.append(words)
        part = {"text": text_part(words), "reasoning": reasoning_part(words), "other": OTHER_PARTS}[kind]
        parts.append(draw(part))
    return parts, text, "\n\n".join(reasoning)


@given(contents())
def test_text_parts_are_the_answer_and_reasoning_is_kept_beside(content: tuple[list[Any], str, str]) -> None:
    parts, text, reasoning = content
    said = said_in(parts)
    assert (said.text, said.reasoning, said.refusal) == (text, reasoning, "")
    reply = chat({"content": parts})
    assert (reply.text, reply.output, reply.reasoning) == (text, text, reasoning or None)


@given(WORDS)
def test_a_content_reads_the_same_as_text_as_a_part_and_as_a_list(text: str) -> None:
    assert said_in(text) == said_in({"type": "text", "text": text}) == said_in([{"type": "text", "text": text}])
    assert said_in(None) == said_in([]) == said_in("")


@pytest.mark.parametrize("content", [7, True, [7], [None], [["x"]]])
def test_what_is_no_content_is_malformed(content: Any) -> None:
    failure = openai_wire.read_chat({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]})
    assert isinstance(failure, CallFailure)
    assert failure.kind is FailureKind.MALFORMED


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_content": "", "reasoning": "hm"},
        {"reasoning_content": None, "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}]},
        {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "x"},
                {"type": "reasoning.summary", "summary": "hm"},
            ]
        },
        {"reasoning": {"content": "hm", "tokens": 3}},
        {"thinking": "hm"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]}]},
    ],
)
def test_reasoning_in_every_field_is_kept_and_is_never_the_answer(fields: dict[str, Any]) -> None:
    reply = chat({"content": "", **fields}, "length")
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("", "hm", "length")


def test_no_reasoning_is_none() -> None:
    fields: list[dict[str, Any]] = [{}, {"reasoning": None}, {"reasoning_content": " \n"}]
    for empty in (*fields, {"reasoning_details": []}, {"reasoning": 3}):
        assert reasoning_in(empty) is None


def test_calls_without_content_and_in_the_old_form() -> None:
    function = {"name": "f", "arguments": '{"x": 1}'}
    for calls in ({"tool_calls": [{"id": "c", "function": function}]}, {"function_call": function, "tool_calls": None}):
        contents: list[dict[str, Any]] = [{}, {"content": None}, {"content": ""}, {"content": []}]
        for content in contents:
            output = chat({**content, **calls}, "tool_calls").output
            assert output == {"content": "", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]}
    as_object = {"id": "c", "function": {"name": "f", "arguments": {"x": 1}}}
    assert chat({"content": [{"type": "text", "text": "so"}], "tool_calls": [as_object]}).output == {
        "content": "so",
        "tool_calls": [{"name": "f", "arguments": {"x": 1}}],
    }


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "I won't"},
        {"content": [{"type": "refusal", "refusal": "I won't"}]},
        {"content": [{"type": "text", "text": "Well, "}, {"type": "refusal", "refusal": "I won't"}]},
    ],
)
def test_a_refusal_is_one_as_a_field_and_as_a_part(message: dict[str, Any]) -> None:
    failure = openai_wire.read_chat({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert isinstance(failure, CallFailure)
    assert (failure.kind, failure.message) == (FailureKind.REFUSAL, "I won't")


def test_a_response_keeps_its_reasoning_beside_the_answer() -> None:
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "so"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "4"}]},
    ]
    reply = openai_wire.read_response({"status": "completed", "output": items})
    assert isinstance(reply, Reply)
    assert (reply.text, reply.reasoning) == ("4", "hm\n\nso")


def test_what_is_said_on_the_way_is_no_part_of_the_answer() -> None:
    def message(text: str, phase: str) -> dict[str, Any]:
        return {"type": "message", "phase": phase, "content": [{"type": "output_text", "text": text}]}

    both = [message("Let me see.", "commentary"), message("4", "final_answer")]
    for items, text in ((both, "4"), (both[:1], "Let me see.")):
        reply = openai_wire.read_response({"status": "completed", "output": items})
        assert isinstance(reply, Reply)
        assert reply.text == text


def test_custom_tools_take_text() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "{not json"}}
    assert chat({"content": None, "tool_calls": [custom]}).to_dict()["output"]["tool_calls"] == [
        {"name": "f", "arguments": "{not json"}
    ]
    item = {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x = 1"}
    reply = openai_wire.read_response({"status": "completed", "output": [item]})
    assert isinstance(reply, Reply)
    assert reply.to_dict()["output"]["tool_calls"] == [{"name": "f", "arguments": "x = 1"}]


@pytest.mark.parametrize("reason", ["max_output_tokens", "something_new"])
def test_an_incomplete_response_says_why_it_ends(reason: str) -> None:
    reply = openai_wire.read_response({"status": "incomplete", "incomplete_details": {"reason": reason}, "output": []})
    assert isinstance(reply, Reply)
    assert reply.finish_reason == ("length" if reason == "max_output_tokens" else reason)


# --- what is sent -----------------------------------------------------------------------------------------

TURNS: Any = [
    {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": "weather?"},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "two calls",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"city": "Oslo"}'}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "a", "content": "rain"},
    {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "sun"}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Mixed."}]},
    {"role": "user", "content": "thanks"},
]


def test_calls_become_items_of_their_own_in_responses() -> None:
    items = openai_wire.response_body("m", prompt_of(TURNS), Sampling())["input"]
    assert items == [
        {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"role": "user", "content": "weather?"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": ""},
        {"type": "function_call_output", "call_id": "a", "output": "rain"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "sun"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Mixed."}]},
        {"role": "user", "content": "thanks"},
    ]


def test_what_an_assistant_said_beside_its_calls_is_sent_before_them() -> None:
    turn: Any = [{"role": "user", "content": "x"}, {**TURNS[2], "content": "Let me see."}]
    items = openai_wire.response_body("m", prompt_of(turn), Sampling())["input"]
    assert [item.get("type", item.get("role")) for item in items] == [
        "user",
        "assistant",
        "function_call",
        "function_call",
    ]


def test_messages_takes_the_results_of_all_calls_in_one_turn_and_the_system_text_as_text() -> None:
    body = anthropic_wire.message_body("m", prompt_of(TURNS), Sampling())
    assert body["system"] == "Be brief."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert [part["input"] for part in body["messages"][1]["content"]] == [{"city": "Oslo"}, {}]
    assert [part["tool_use_id"] for part in body["messages"][2]["content"]] == ["a", "b"]


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True), max_size=4))
def test_every_call_is_answered_in_the_turn_behind_it(rounds: list[list[str]]) -> None:
    turns: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
    for number, names in enumerate(rounds):
        keys = [f"{name}{number}" for name in names]
        calls = [{"id": key, "function": {"name": "f", "arguments": "{}"}} for key in keys]
        turns += [{"role": "assistant", "content": None, "tool_calls": calls}]
        turns += [{"role": "tool", "tool_call_id": key, "content": key} for key in keys]
    body = anthropic_wire.message_body("m", prompt_of(turns), Sampling())
    for asked, answered in zip(body["messages"][1::2], body["messages"][2::2], strict=True):
        assert [part["id"] for part in asked["content"]] == [part["tool_use_id"] for part in answered["content"]]
    items = openai_wire.response_body("m", prompt_of(turns), Sampling())["input"]
    assert [i["call_id"] for i in items if i.get("type") == "function_call"] == [
        i["call_id"] for i in items if i.get("type") == "function_call_output"
    ]
    assert encode(items)


def test_plain_text_reads_parts() -> None:
    assert plain_text([{"type": "text", "text": "a"}, "b", {"type": "thinking", "thinking": "no"}]) == "ab"
