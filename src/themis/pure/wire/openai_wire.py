"""OpenAI's three protocols (Responses, chat completions, completions): bodies out, replies in.

Source: the API reference at platform.openai.com/docs/api-reference; vLLM and llama.cpp serve the last two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.calls import CallFailure
from themis.pure.json import EMPTY, encode
from themis.pure.wire.exchange import Prompt, Reply, Sampling, arguments_of, counts, request_body, structured
from themis.pure.wire.failures import failed_end, failure_in, finish_of, malformed, nothing_in, refused
from themis.pure.wire.parts import is_reasoning, reasoning_in, said_in
from themis.pure.wire.providers import Quirk, field_of

# --- chat completions -------------------------------------------------------------------------------------


def chat_body(
    model: str, prompt: Prompt, sampling: Sampling, seed: int | None, quirks: tuple[Quirk, ...] = ()
) -> dict[str, Any]:
    """Return the body of `POST /chat/completions`."""
    return request_body(
        model,
        sampling,
        messages=list(prompt.messages),
        tools=list(prompt.tools) or None,
        tool_choice=prompt.tool_choice,
        response_format=prompt.response_format,
        stop=sampling.stops,
        logprobs=None if sampling.logprobs is None else True,
        top_logprobs=sampling.logprobs or None,
        **_renamed(sampling, seed, quirks),
    )


def _renamed(sampling: Sampling, seed: int | None, quirks: tuple[Quirk, ...]) -> dict[str, Any]:
    own = {"max_tokens": sampling.max_tokens, "seed": sampling.seed_for(seed)}
    names = {option: field_of(quirks, option) for option in own}
    return {name: own[option] for option, name in names.items() if name is not None}


def read_chat(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/chat/completions`."""
    choice = _first_choice(payload)
    if isinstance(choice, CallFailure):
        return choice
    message = choice.get("message", choice.get("delta"))
    if not isinstance(message, Mapping):
        return failed_end(choice.get("finish_reason")) or malformed("no choices[0].message", payload)
    finish, usage, said = choice.get("finish_reason"), usage_of(payload.get("usage")), said_in(message.get("content"))
    if message.get("refusal") or said.refusal:
        return refused(message.get("refusal") or said.refusal)
    if (failure := failed_end(finish)) is not None:
        return failure
    if not said.is_readable:
        return malformed("choices[0].message.content is neither text nor parts", payload)
    old_call = message.get("function_call")
    calls = message.get("tool_calls") or ([old_call] if old_call else ())
    reasoning, logprobs = reasoning_in(message), choice.get("logprobs")
    # No text is an answer, too: all tokens went to reasoning, or to calls of tools.
    if not (said.text or calls or reasoning) and (failure := nothing_in(finish, usage)) is not None:
        return failure
    return Reply(
        output=_output(said.text, calls, is_structured=is_structured),
        text=said.text,
        model=payload.get("model"),
        finish_reason=finish_of(finish),
        usage=usage,
        logprobs=logprobs.get("content", logprobs) if isinstance(logprobs, Mapping) else None,
        reasoning=reasoning,
        transport=_transport(payload, [call["id"] for call in calls if call.get("id")]),
    )


def _output(text: str, calls: Sequence[Any], *, is_structured: bool) -> Any:
    if calls:
        # A custom tool takes text, as `input`.
        functions = [call.get("function") or call.get("custom") or call for call in calls]
        tool_calls = [
            {"name": f.get("name"), "arguments": f["input"] if "input" in f else arguments_of(f.get("arguments"))}
            for f in functions
        ]
        return {"content": text, "tool_calls": tool_calls}
    return structured(text) if is_structured else text


def _first_choice(payload: Any) -> Mapping[str, Any] | CallFailure:
    if (failure := failure_in(payload, "choices")) is not None:
        return failure
    choices = payload.get("choices") if isinstance(payload, Mapping) else None
    first = choices[0] if isinstance(choices, Sequence) and choices else None
    return first if isinstance(first, Mapping) else malformed("no choices[0]", payload)


def usage_of(usage: Any) -> dict[str, int]:
    if not isinstance(usage, Mapping):
        return {}
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    completion = usage.get("completion_tokens", usage.get("output_tokens"))
    of_prompt = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    of_completion = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    return counts(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=usage.get("total_tokens"),
        cached_tokens=of_prompt.get("cached_tokens") if isinstance(of_prompt, Mapping) else None,
        reasoning_tokens=of_completion.get("reasoning_tokens") if isinstance(of_completion, Mapping) else None,
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


def completion_body(
    model: str, prompt: Prompt, sampling: Sampling, seed: int | None, quirks: tuple[Quirk, ...] = ()
) -> dict[str, Any]:
    """Return the body of `POST /completions`."""
    return request_body(
        model,
        sampling,
        prompt=prompt.text,
        stop=sampling.stops,
        logprobs=sampling.logprobs,
        **_renamed(sampling, seed, quirks),
    )


def read_completion(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/completions`."""
    choice = _first_choice(payload)
    if isinstance(choice, CallFailure):
        return choice
    text, finish, usage = choice.get("text"), choice.get("finish_reason"), usage_of(payload.get("usage"))
    if (failure := failed_end(finish)) is not None:
        return failure
    if not isinstance(text, str):
        return malformed("no choices[0].text", payload)
    if not text and (failure := nothing_in(finish, usage)) is not None:
        return failure
    return Reply(
        output=structured(text) if is_structured else text,
        text=text,
        model=payload.get("model"),
        finish_reason=finish_of(finish),
        usage=usage,
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
        input=[item for message in prompt.messages for item in _input_items(message)],
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


def _input_items(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the items of a chat message; an assistant's calls are items of their own, behind what it said."""
    role, content = message["role"], message.get("content")
    if role == "tool":
        output = content if isinstance(content, str) else [_input_part(part, role) for part in content or ()]
        yield {"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": output}
        return
    calls = message.get("tool_calls") or ()
    if not isinstance(content, str):
        # Reasoning goes back only with the server's own signature, which a prompt does not hold.
        content = [_input_part(part, role) for part in content or () if not is_reasoning(part)]
    if content or not calls:
        yield {"role": role, "content": content}
    for call in calls:
        function = call.get("function") or call
        arguments = function.get("arguments")
        yield {
            "type": "function_call",
            "call_id": call.get("id"),
            "name": function.get("name"),
            "arguments": arguments if isinstance(arguments, str) else encode(arguments or {}).decode(),
        }


def _input_part(part: Mapping[str, Any], role: str) -> dict[str, Any]:
    if part.get("type") == "text":
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    if part.get("type") == "image_url":
        image = part["image_url"]
        detail = {"detail": image["detail"]} if image.get("detail") is not None else {}
        return {"type": "input_image", "image_url": image["url"], **detail}
    if part.get("type") == "file" and isinstance(part.get("file"), Mapping):
        return {"type": "input_file", **part["file"]}
    return dict(part)


def read_response(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/responses`."""
    if (failure := failure_in(payload, "output")) is not None:
        return failure
    items = payload.get("output") if isinstance(payload, Mapping) else None
    if not isinstance(items, Sequence) or isinstance(items, str):
        return malformed("no output", payload)
    status, cut = payload.get("status"), (payload.get("incomplete_details") or {}).get("reason")
    messages = [item for item in items if item.get("type") == "message"]
    # What a model says on its way to the answer is marked as `commentary`, and is none, unless there is nothing else.
    final = [item for item in messages if item.get("phase") != "commentary"]
    parts = [part for item in final or messages for part in _parts(item.get("content"))]
    said = said_in(parts)
    if said.refusal:
        return refused(said.refusal)
    unfinished = status if status in {"failed", "cancelled", "queued", "in_progress"} else None
    failure = failed_end(cut) or (failed_end("failed", status) if unfinished else None)
    if failure is not None:
        return failure
    calls = [item for item in items if item.get("type") in {"function_call", "custom_tool_call"}]
    thoughts = [item for item in items if item.get("type") == "reasoning"]
    logprobs = [entry for part in parts for entry in part.get("logprobs") or ()]
    finish = "length" if cut == "max_output_tokens" else cut or ("tool_calls" if calls else "stop")
    usage = usage_of(payload.get("usage"))
    if not items and (failure := nothing_in(cut, usage)) is not None:
        return failure
    return Reply(
        output=_output(said.text, calls, is_structured=is_structured),
        text=said.text,
        model=payload.get("model"),
        finish_reason=finish,
        usage=usage,
        logprobs=logprobs or None,
        reasoning=reasoning_in({"reasoning": thoughts}),
        transport=_transport(payload, [call.get("call_id") for call in calls]),
    )


def _parts(content: Any) -> Sequence[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
