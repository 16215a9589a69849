"""Anthropic's Messages protocol: bodies out, replies in.

Source: the API reference at docs.anthropic.com ("Messages"). The prompt comes in OpenAI's chat form and is
translated. A structured answer is asked for as the call of one tool that takes the schema, which every model can do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.calls import CallFailure
from themis.pure.json import EMPTY
from themis.pure.wire.exchange import Prompt, Reply, Sampling, arguments_of, counted, counts, request_body
from themis.pure.wire.failures import failed_end, failure_in, finish_of, malformed, nothing_in
from themis.pure.wire.parts import inline_file, said_in, system_and_turns

DEFAULT_MAX_TOKENS: Final = 4096
"""This protocol wants a limit in every request."""

ANSWER_TOOL: Final = "answer"


def message_body(model: str, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
    """Return the body of `POST /messages`; this protocol has no seed and no log-probabilities."""
    system, turns = system_and_turns(prompt.messages)
    tools, choice = [_tool(tool) for tool in prompt.tools], _tool_choice(prompt.tool_choice)
    if prompt.is_structured:
        schema = prompt.schema or {"type": "object"}
        tools.append({"name": ANSWER_TOOL, "description": "Give the answer.", "input_schema": schema})
        choice = {"type": "tool", "name": ANSWER_TOOL}
    return request_body(
        model,
        sampling,
        max_tokens=sampling.max_tokens or DEFAULT_MAX_TOKENS,
        system=system or None,
        messages=_turns(turns),
        stop_sequences=sampling.stops,
        tools=tools or None,
        tool_choice=choice,
    )


def _turns(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Translate the turns; the results of all calls of one turn go back in one message ("Parallel tool use")."""
    turns: list[dict[str, Any]] = []
    for before, message in zip([EMPTY, *messages], messages, strict=False):
        turn = _turn(message)
        if message["role"] == before.get("role") == "tool":
            turns[-1]["content"] += turn["content"]
        else:
            turns.append(turn)
    return turns


def _turn(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        content = [_part(part) for part in content if part.get("type") != "text" or part.get("text")]
    if message["role"] == "tool":
        result = {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": content}
        return {"role": "user", "content": [result]}
    calls = message.get("tool_calls")
    if calls:
        said = [{"type": "text", "text": content}] if isinstance(content, str) and content else list(content or ())
        named = [(call.get("id"), call.get("function") or call) for call in calls]
        content = said + [
            {"type": "tool_use", "id": key, "name": f["name"], "input": arguments_of(f.get("arguments") or "{}")}
            for key, f in named
        ]
    return {"role": message["role"], "content": content}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") != "image_url":
        return dict(part)
    url = part["image_url"]["url"]
    inline = inline_file(url)
    if inline is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    source = {"type": "base64", "media_type": inline[0], "data": inline[1]}
    return {"type": "image", "source": source}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return dict(tool)
    described = {"description": function["description"]} if "description" in function else {}
    return {"name": function["name"], **described, "input_schema": function.get("parameters", {"type": "object"})}


def _tool_choice(choice: Any) -> dict[str, Any] | None:
    if isinstance(choice, Mapping):
        function = choice.get("function")
        return {"type": "tool", "name": function["name"]} if isinstance(function, Mapping) else dict(choice)
    return None if choice is None else {"type": {"required": "any"}.get(choice, choice)}


def read_message(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/messages`."""
    if (failure := failure_in(payload, "content")) is not None:
        return failure
    parts = payload.get("content") if isinstance(payload, Mapping) else None
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        return malformed("no content", payload)
    stop, said = payload.get("stop_reason"), said_in(parts)
    usage = usage_of(*map((payload.get("usage") or EMPTY).get, _COUNTS))
    if (failure := failed_end(stop)) is not None:
        return failure
    calls = [part for part in parts if part.get("type") == "tool_use"]
    if not parts and (failure := nothing_in(stop, usage)) is not None:
        return failure
    return Reply(
        output=output_of(said.text, calls, is_structured=is_structured),
        text=said.text,
        model=payload.get("model"),
        finish_reason=finish_of(stop),
        usage=usage,
        reasoning=said.reasoning or None,
        transport={
            "response_id": payload.get("id"),
            **({"tool_call_ids": [c.get("id") for c in calls]} if calls else {}),
        },
    )


def output_of(text: str, calls: Sequence[Mapping[str, Any]], *, is_structured: bool) -> Any:
    answers = [call["input"] for call in calls if call.get("name") == ANSWER_TOOL]
    if is_structured and answers:
        return answers[0]
    if calls:
        tool_calls = [{"name": call.get("name"), "arguments": call.get("input")} for call in calls]
        return {"content": text, "tool_calls": tool_calls}
    return text


_COUNTS: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


def usage_of(fresh: Any, cached: Any, written: Any, completion: Any) -> dict[str, int]:
    """Count tokens: cached ones are beside the prompt's here, and within it at OpenAI: one meaning is kept."""
    cached, completion = counted(cached), counted(completion)
    prompt = counted(fresh) + cached + counted(written)
    return counts(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=cached or None,
    )
