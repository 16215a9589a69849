"""Streams that were not asked for: whatever they are cut into, they make up the same answer, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.wire.openai_wire import read_chat
from themis.pure.wire.streams import answer_of, is_stream
from themis.testing.endpoint_protocols import Protocols, as_events, echo

REQUESTS: dict[str, dict[str, Any]] = {
    "/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "THINK it over"}], "logprobs": True},
    "/completions": {"model": "m", "prompt": "it over"},
    "/responses": {"model": "m", "input": [{"role": "user", "content": "THINK it over"}]},
    "/messages": {"model": "m", "messages": [{"role": "user", "content": "THINK it over"}], "max_tokens": 9},
}


def events_of(route: str) -> tuple[dict[str, Any], list[str]]:
    _, body = Protocols(echo, (), 1).answer("POST", "/v1" + route, {}, json.dumps(REQUESTS[route]).encode())
    answer: dict[str, Any] = json.loads(body)
    return answer, as_events(answer)


@given(st.sampled_from([*REQUESTS]), st.data())
def test_no_beginning_of_a_stream_is_an_answer(route: str, data: st.DataObject) -> None:
    _, events = events_of(route)
    whole = "".join(events).encode()
    last = len("".join(events[:-3]).encode())  # the end itself, the usage, and the mark behind them
    cut = data.draw(st.integers(0, last))
    assert is_stream(whole)
    assert answer_of(whole) is not None
    assert answer_of(whole[:cut]) is None


@pytest.mark.parametrize("route", REQUESTS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_the_answer_is_the_same_whatever_ends_the_lines(route: str, newline: str) -> None:
    answer, events = events_of(route)
    found = answer_of(("retry: 5\n\n: keep-alive\n\n" + "".join(events)).replace("\n", newline).encode())
    for name in ("model", "usage", "output", "content"):
        assert found.get(name) == answer.get(name)
    if "choices" in answer:
        message, whole = found["choices"][0].get("message"), answer["choices"][0].get("message")
        assert found["choices"][0]["finish_reason"] == answer["choices"][0]["finish_reason"]
        assert (message or {}).get("content") == (whole or {}).get("content")


def chunks(*deltas: dict[str, Any], finish: str | None = "stop") -> bytes:
    said = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    lines = [*said, {"choices": [{"delta": {}, "finish_reason": finish}]}]
    return "".join(f"data: {json.dumps(line)}\n\n" for line in lines).encode()


@given(st.lists(st.text(max_size=4), max_size=8))
def test_pieces_of_text_are_put_together_in_their_order(pieces: list[str]) -> None:
    reply: Any = read_chat(answer_of(chunks(*({"content": piece} for piece in pieces))))
    assert reply.text == "".join(pieces)


def test_calls_side_by_side_grow_by_their_index() -> None:
    calls: list[dict[str, Any]] = [
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}}]},
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}, {"index": 1, "function": {"arguments": "}"}}]},
    ]
    reply: Any = read_chat(answer_of(chunks(*calls, finish="tool_calls")))
    found = [{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}]
    assert reply.output == {"content": "", "tool_calls": found}


def test_reasoning_in_parts_and_then_text() -> None:
    thinking: list[dict[str, Any]] = [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
        {"content": "4"},
    ]
    reply: Any = read_chat(answer_of(chunks(*thinking)))
    assert (reply.text, reply.reasoning) == ("4", "hm")


@pytest.mark.parametrize("finish", ["error", "abort"])
def test_an_end_that_is_the_servers_is_one_in_a_stream_too(finish: str) -> None:
    found: Any = read_chat(answer_of(chunks({"content": "half"}, finish=finish)))
    assert found.kind.value == "failed"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": 1}', b"<html>", b"[1]"])
def test_what_is_no_stream(body: bytes) -> None:
    assert not is_stream(body)
