"""Gemini's `generateContent`: bodies out, replies in.

Source: the API reference at ai.google.dev/api/generate-content. The prompt comes in OpenAI's chat form and is
translated; a tool's result goes back under the name of the call that it answers, for calls have no ids here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.calls import CallFailure
from themis.pure.json import EMPTY
from themis.pure.wire.exchange import Prompt, Reply, Sampling, arguments_of, counted, counts, stated, structured
from themis.pure.wire.failures import failed_end, failure_in, finish_of, malformed, nothing_in, refused
from themis.pure.wire.parts import inline_file, is_reasoning, plain_text, said_in, system_and_turns

_MODES: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


def content_body(prompt: Prompt, sampling: Sampling, seed: int | None) -> dict[str, Any]:
    """Return the body of `POST /models/NAME:generateContent`."""
    system, turns = system_and_turns(prompt.messages)
    config = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "maxOutputTokens": sampling.max_tokens,
        "stopSequences": sampling.stops,
        "seed": sampling.seed_for(seed),
        "responseLogprobs": None if sampling.logprobs is None else True,
        "logprobs": sampling.logprobs or None,
        "responseMimeType": "application/json" if prompt.is_structured else None,
        "responseJsonSchema": prompt.schema if prompt.is_structured else None,
    }
    declared = [{"functionDeclarations": [_declaration(tool) for tool in prompt.tools]}] if prompt.tools else None
    extra: dict[str, Any] = dict(sampling.extra)
    config = {**stated(config), **extra.pop("generationConfig", {})}
    body = {
        "systemInstruction": {"parts": [{"text": system}]} if system else None,
        "contents": [*_contents(turns)],
        "tools": declared,
        "toolConfig": _tool_config(prompt.tool_choice),
        "generationConfig": config or None,
    }
    return {**stated(body), **extra}


def _contents(messages: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the turns; the results of all calls of one turn are one turn ("Function calling")."""
    names = {
        call.get("id"): (call.get("function") or call)["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
    }
    results: list[dict[str, Any]] = []
    for message in messages:
        content = message.get("content")
        if message["role"] == "tool":
            name = names.get(message.get("tool_call_id"), message.get("name"))
            results.append({"functionResponse": {"name": name, "response": {"result": plain_text(content)}}})
            continue
        if results:
            yield {"role": "user", "parts": results}
            results = []
        parts: list[dict[str, Any]] = (
            [{"text": content}] if isinstance(content, str) and content else [*map(_part, _listed(content))]
        )
        for call in message.get("tool_calls") or ():
            function = call.get("function") or call
            arguments = arguments_of(function.get("arguments") or "{}")
            parts.append({"functionCall": {"name": function["name"], "args": arguments}})
        yield {"role": "model" if message["role"] == "assistant" else "user", "parts": parts}
    if results:
        yield {"role": "user", "parts": results}


def _listed(content: Any) -> list[Any]:
    return [] if content is None or isinstance(content, str) else [part for part in content if not is_reasoning(part)]


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str) or part.get("type") in {"text", "output_text"}:
        return {"text": plain_text(part)}
    if part.get("type") != "image_url":
        return dict(part)
    url = part["image_url"]["url"]
    inline = inline_file(url)
    if inline is None:
        return {"fileData": {"fileUri": url}}
    return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}


def _declaration(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function") or tool
    described = {name: function[name] for name in ("name", "description") if name in function}
    return {**described, **({"parametersJsonSchema": function["parameters"]} if "parameters" in function else {})}


def _tool_config(choice: Any) -> dict[str, Any] | None:
    if choice is None:
        return None
    if isinstance(choice, Mapping):
        named = (choice.get("function") or choice).get("name")
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [named]}}
    return {"functionCallingConfig": {"mode": _MODES.get(choice, choice)}}


def read_content(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `generateContent`."""
    if (failure := failure_in(payload, "candidates", "promptFeedback")) is not None:
        return failure
    body = payload if isinstance(payload, Mapping) else EMPTY
    blocked = (body.get("promptFeedback") or EMPTY).get("blockReason")
    if blocked:
        return refused(f"the prompt was blocked ({blocked})")
    candidate = next(iter(body.get("candidates") or ()), None)
    if not isinstance(candidate, Mapping):
        return malformed("no candidates[0]", payload)
    finish, usage = candidate.get("finishReason"), _usage(body.get("usageMetadata") or EMPTY)
    if (failure := failed_end(finish, candidate.get("finishMessage"))) is not None:
        return failure
    parts = (candidate.get("content") or EMPTY).get("parts") or ()
    said = said_in(parts)
    calls = [part["functionCall"] for part in parts if isinstance(part.get("functionCall"), Mapping)]
    if not parts and (failure := nothing_in(finish, usage)) is not None:
        return failure
    tool_calls = [{"name": call.get("name"), "arguments": call.get("args") or {}} for call in calls]
    text = structured(said.text) if is_structured else said.text
    return Reply(
        output={"content": said.text, "tool_calls": tool_calls} if calls else text,
        text=said.text,
        model=body.get("modelVersion"),
        finish_reason="tool_calls" if calls and finish == "STOP" else finish_of(finish),
        usage=usage,
        logprobs=candidate.get("logprobsResult"),
        reasoning=said.reasoning or None,
        transport={"response_id": body["responseId"]} if body.get("responseId") else {},
    )


def _usage(usage: Mapping[str, Any]) -> dict[str, int]:
    # Thoughts are counted beside candidates here, and within completion_tokens at OpenAI: one meaning is kept.
    thoughts = usage.get("thoughtsTokenCount")
    completion = counted(usage.get("candidatesTokenCount")) + counted(thoughts)
    return counts(
        prompt_tokens=usage.get("promptTokenCount"),
        completion_tokens=completion if usage else None,
        total_tokens=usage.get("totalTokenCount"),
        cached_tokens=usage.get("cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )
