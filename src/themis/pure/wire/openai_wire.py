"""OpenAI's three protocols (Responses, chat completions, completions): bodies out, replies in.

Source: the API reference at platform.openai.com/docs/api-reference; vLLM and llama.cpp serve the last two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.calls import CallFailure, FailureKind
from themis.pure.json import EMPTY
from themis.pure.wire.exchange import (
    Prompt,
    Reply,
    Sampling,
    arguments_of,
    counts,
    malformed,
    refused,
    request_body,
    shortened,
    structured,
)

# --- chat completions -------------------------------------------------------------------------------------


def chat_body(model: str, prompt: Prompt, sampling: Sampling, seed: int | None, limit_field: str) -> dict[str, Any]:
    """Return the body of `POST /chat/completions`; `limit_field` names the field that `max_tokens` goes to."""
    return request_body(
        model,
        sampling,
        messages=list(prompt.messages),
        tools=list(prompt.tools) or None,
        tool_choice=prompt.tool_choice,
        response_format=prompt.response_format,
        stop=None if sampling.stop is None else list(sampling.stop),
        seed=seed if sampling.seed is None else sampling.seed,
        logprobs=None if sampling.logprobs is None else True,
        top_logprobs=sampling.logprobs or None,
        **{limit_field: sampling.max_tokens},
    )


def read_chat(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/chat/completions`."""
    choice = _first_choice(payload)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return malformed("no choices[0].message", payload)
    finish, content = choice.get("finish_reason"), message.get("content")
    if message.get("refusal") or finish == "content_filter":
        return refused(message.get("refusal"))
    text = "" if content is None else content  # null where all tokens went to reasoning, or to calls of tools
    if not isinstance(text, str):
        return malformed("choices[0].message.content is no text", payload)
    calls, logprobs = message.get("tool_calls") or (), choice.get("logprobs")
    return Reply(
        output=_output(text, calls, is_structured=is_structured),
        text=text,
        model=payload.get("model"),
        finish_reason=finish,
        usage=_usage(payload.get("usage")),
        logprobs=logprobs.get("content", logprobs) if isinstance(logprobs, Mapping) else None,
        reasoning=message.get("reasoning_content") or message.get("reasoning"),
        transport=_transport(payload, [call.get("id") for call in calls]),
    )


def _output(text: str, calls: Sequence[Any], *, is_structured: bool) -> Any:
    if calls:
        functions = [call.get("function") or call for call in calls]
        tool_calls = [{"name": f.get("name"), "arguments": arguments_of(f.get("arguments"))} for f in functions]
        return {"content": text, "tool_calls": tool_calls}
    return structured(text) if is_structured else text


def _first_choice(payload: Any) -> Mapping[str, Any]:
    choices = payload.get("choices") if isinstance(payload, Mapping) else None
    first = choices[0] if isinstance(choices, Sequence) and choices else None
    return first if isinstance(first, Mapping) else EMPTY


def _usage(usage: Any) -> dict[str, int]:
    if not isinstance(usage, Mapping):
        return {}
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    completion = usage.get("completion_tokens", usage.get("output_tokens"))
    prompt_details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    completion_details = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    return counts(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=usage.get("total_tokens"),
        cached_tokens=prompt_details.get("cached_tokens"),
        reasoning_tokens=completion_details.get("reasoning_tokens"),
    )


_VARYING: Final = {
    "id": "response_id",
    "created": "created",
    "created_at": "created",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
}


def _transport(payload: Mapping[str, Any], call_ids: Sequence[Any]) -> dict[str, Any]:
    facts = {name: payload[field] for field, name in _VARYING.items() if payload.get(field) is not None}
    return {**facts, "tool_call_ids": list(call_ids)} if call_ids else facts


# --- completions ------------------------------------------------------------------------------------------


def completion_body(model: str, prompt: Prompt, sampling: Sampling, seed: int | None) -> dict[str, Any]:
    """Return the body of `POST /completions`."""
    return request_body(
        model,
        sampling,
        prompt=prompt.text,
        max_tokens=sampling.max_tokens,
        stop=None if sampling.stop is None else list(sampling.stop),
        seed=seed if sampling.seed is None else sampling.seed,
        logprobs=sampling.logprobs,
    )


def read_completion(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/completions`."""
    choice = _first_choice(payload)
    text, finish = choice.get("text"), choice.get("finish_reason")
    if finish == "content_filter":
        return refused(None)
    if not isinstance(text, str):
        return malformed("no choices[0].text", payload)
    return Reply(
        output=structured(text) if is_structured else text,
        text=text,
        model=payload.get("model"),
        finish_reason=finish,
        usage=_usage(payload.get("usage")),
        logprobs=choice.get("logprobs"),
        transport=_transport(payload, ()),
    )


# --- responses --------------------------------------------------------------------------------------------


def response_body(model: str, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
    """Return the body of `POST /responses`; this protocol has no seed, and stops at no texts."""
    form = prompt.response_format
    schema = (form or EMPTY).get("json_schema")
    return request_body(
        model,
        sampling,
        input=[_input_message(message) for message in prompt.messages],
        tools=[_flat_tool(tool) for tool in prompt.tools] or None,
        tool_choice=_flat_tool(prompt.tool_choice) if isinstance(prompt.tool_choice, Mapping) else prompt.tool_choice,
        text={"format": {"type": "json_schema", **schema} if schema else form} if form else None,
        max_output_tokens=sampling.max_tokens,
        include=None if sampling.logprobs is None else ["message.output_text.logprobs"],
        top_logprobs=sampling.logprobs or None,
        store=False,
    )


def _flat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    return {"type": "function", **function} if isinstance(function, Mapping) else dict(tool)


def _input_message(message: Mapping[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        return {"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": message["content"]}
    content = message["content"]
    if not isinstance(content, str):
        content = [_input_part(part, message["role"]) for part in content]
    return {"role": message["role"], "content": content}


def _input_part(part: Mapping[str, Any], role: str) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    if part.get("type") == "image_url":
        image = part["image_url"]
        detail = {"detail": image["detail"]} if image.get("detail") is not None else {}
        return {"type": "input_image", "image_url": image["url"], **detail}
    return dict(part)


def read_response(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/responses`."""
    items = payload.get("output") if isinstance(payload, Mapping) else None
    if not isinstance(items, Sequence) or isinstance(items, str):
        return malformed("no output", payload)
    if payload.get("status") == "failed":
        # A failed generation is reported with HTTP status 200; the codes say which status is meant.
        code, words = str((payload.get("error") or {}).get("code")), str((payload.get("error") or {}).get("message"))
        status = {"server_error": 500, "rate_limit_exceeded": 429}.get(code, 400)
        return CallFailure(kind=FailureKind.STATUS, status=status, code=code, message=shortened(words))
    parts = [part for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    cut = (payload.get("incomplete_details") or {}).get("reason")
    refusals = [part.get("refusal") for part in parts if part.get("type") == "refusal"]
    if refusals or cut == "content_filter":
        return refused(refusals[0] if refusals else None)
    calls = [item for item in items if item.get("type") == "function_call"]
    texts = [part for part in parts if part.get("type") == "output_text"]
    text = "".join(str(part.get("text", "")) for part in texts)
    logprobs = [entry for part in texts for entry in part.get("logprobs") or ()]
    return Reply(
        output=_output(text, calls, is_structured=is_structured),
        text=text,
        model=payload.get("model"),
        finish_reason="length" if cut == "max_output_tokens" else "tool_calls" if calls else "stop",
        usage=_usage(payload.get("usage")),
        logprobs=logprobs or None,
        transport=_transport(payload, [call.get("call_id") for call in calls]),
    )
