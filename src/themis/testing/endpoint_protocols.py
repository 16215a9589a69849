"""What a fake model says, in the providers' own words: the answers of OpenAI, Anthropic, Google and Amazon, as bytes.

Deterministic: every id, count and log-probability is a function of the request.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from themis.testing.bigram import BEGIN, likeliest_after, logprobs_after, text_of, tokens_of
from themis.testing.endpoint_batches import Batches, Reply, error_reply, reply

Answerer: TypeAlias = Callable[[str, Mapping[str, Any]], str]
"""The prompt's last text and the whole request body to the model's text."""

_CREATED: Final = 1_700_000_000


def echo(prompt: str, body: Mapping[str, Any]) -> str:
    return f"echo: {prompt}"


class Protocols:
    """Answers requests; remembers files and batches, and nothing else."""

    def __init__(self, answer: Answerer, models: Sequence[str], batch_polls: int) -> None:
        self._answer = answer
        self._models = tuple(models)
        self._batching = Batches(lambda route, body: self._complete(route, body), batch_polls)
        self.files: dict[str, bytes] = self._batching.files
        self.batches: dict[str, dict[str, Any]] = self._batching.batches

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Return status and body of the right answer."""
        route, _, query = path.removeprefix("/v1").partition("?")
        if (found := self._batching.answer(method, route, query, headers, body)) is not None:
            return found
        if route == "/models":
            return reply({"object": "list", "data": [{"id": name, "object": "model"} for name in self._models]})
        if route in _OF_LLAMA_CPP:
            return reply(_OF_LLAMA_CPP[route](json.loads(body)))
        return self._complete(route, body)

    def _complete(self, route: str, body: bytes) -> Reply:
        speak = next((speaker for name, speaker in _SPEAKERS.items() if route.endswith(name)), None)
        if speak is None:
            return error_reply(404, f"no such address: {route}", "not_found")
        try:
            request = json.loads(body)
        except ValueError:
            return error_reply(400, "the body is not JSON", "invalid_json")
        request = {**_model_in(route), **request}
        if self._models and request.get("model") not in self._models:
            return error_reply(404, f"no model {request.get('model')!r}", "model_not_found")
        text = self._answer(_last_text(request), request)
        return reply(speak(request, text, hashlib.sha256(body).hexdigest()[:24]))


def _model_in(route: str) -> dict[str, str]:
    """Return the model that an address names, as Google's and Amazon's do."""
    found = re.fullmatch(r"/models?/(?P<name>[^/]+)(:generateContent|/converse)", route)
    return {} if found is None else {"model": unquote(found["name"])}


def _last_text(request: Mapping[str, Any]) -> str:
    turns = request.get("messages") or request.get("input") or request.get("prompt") or request.get("contents") or ""
    if isinstance(turns, str):
        return turns
    last = turns[-1]
    content = last.get("content", last.get("parts")) if isinstance(last, dict) else last
    if isinstance(content, list):
        return " ".join(part.get("text", f"[{part.get('type')}]") for part in content)
    return str(content)


def _count(value: object) -> int:
    return len(json.dumps(value).split())


def _structured(request: Mapping[str, Any], text: str) -> str:
    form = request.get("response_format") or (request.get("text") or {}).get("format") or {}
    return json.dumps({"answer": text}) if form.get("type") in {"json_object", "json_schema"} else text


def _cut(request: Mapping[str, Any], text: str, limit_name: str) -> tuple[str, bool]:
    words, limit = text.split(" "), request.get(limit_name) or request.get("max_tokens")
    return (" ".join(words[:limit]), True) if limit and len(words) > limit else (text, False)


REASONING: Final = "Let me think."
"""What the model thinks beside its answer where the prompt says THINK."""


def _chat(request: Mapping[str, Any], text: str, key: str) -> dict[str, Any]:
    text, is_cut = _cut(request, _structured(request, text), "max_completion_tokens")
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    finish = "length" if is_cut else "stop"
    if "REFUSE" in text:
        message, finish = {"role": "assistant", "content": None, "refusal": "I can't help with that."}, "content_filter"
    elif request.get("tools") and request.get("tool_choice") != "none":
        function = {"name": request["tools"][0]["function"]["name"], "arguments": json.dumps({"text": text})}
        call = {"id": f"call_{key[:8]}", "type": "function", "function": function}
        message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    if "THINK" in text:
        message["reasoning_content"] = REASONING
    logprobs = None
    if request.get("logprobs"):
        logprobs = {"content": [{"token": word, "logprob": -len(word) / 10} for word in text.split()]}
    prompt, completion = _count(request["messages"]), _count(text)
    return {
        "id": f"chatcmpl-{key}",
        "object": "chat.completion",
        "created": _CREATED,
        "model": request["model"],
        "system_fingerprint": f"fp_{key[:8]}",
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": prompt // 2},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def _completion(request: Mapping[str, Any], text: str, key: str) -> dict[str, Any]:
    if request.get("echo") or request.get("prompt_logprobs") is not None:
        return _read_prompts(request, key)
    text, is_cut = _cut(request, text, "max_tokens")
    logprobs = None
    if request.get("logprobs") is not None:
        logprobs = {"tokens": text.split(), "token_logprobs": [-len(word) / 10 for word in text.split()]}
    prompt, completion = _count(request["prompt"]), _count(text)
    return {
        "id": f"cmpl-{key}",
        "object": "text_completion",
        "created": _CREATED,
        "model": request["model"],
        "choices": [{"index": 0, "text": text, "finish_reason": "length" if is_cut else "stop", "logprobs": logprobs}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }


def _read_prompts(request: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Say of each token of the prompts how likely it was, in OpenAI's words (`echo`) or in vLLM's."""
    prompts = request["prompt"] if isinstance(request["prompt"], list) else [request["prompt"]]
    speak = _echoed if request.get("echo") else _ranked
    choices = [{"index": i, "finish_reason": "length", **speak(prompt)} for i, prompt in enumerate(prompts)]
    read, written = sum(len(tokens_of(prompt)) + 1 for prompt in prompts), len(prompts)
    return {
        "id": f"cmpl-{key}",
        "object": "text_completion",
        "created": _CREATED,
        "model": request["model"],
        "choices": choices[::-1],  # no order is promised
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def _steps(prompt: str) -> list[tuple[int, int]]:
    tokens = [BEGIN, *tokens_of(prompt)]
    return [*itertools.pairwise(tokens)]


def _echoed(prompt: str) -> dict[str, Any]:
    steps = _steps(prompt)
    last = steps[-1][1] if steps else BEGIN
    steps.append((last, likeliest_after(last)))
    top = [{text_of([likeliest_after(a)]): max(logprobs_after(a))} for a, _ in steps]
    logprobs = {
        "tokens": ["<s>", *(text_of([b]) for _, b in steps)],
        "token_logprobs": [None, *(logprobs_after(a)[b] for a, b in steps)],
        "top_logprobs": [None, *top],
    }
    return {"text": prompt + text_of([steps[-1][1]]), "logprobs": logprobs}


def _ranked(prompt: str) -> dict[str, Any]:
    entries = [
        {
            str(b): {
                "logprob": logprobs_after(a)[b],
                "rank": 1 + sum(other > logprobs_after(a)[b] for other in logprobs_after(a)),
                "decoded_token": text_of([b]),
            }
        }
        for a, b in _steps(prompt)
    ]
    return {"text": "", "logprobs": None, "prompt_logprobs": [None, *entries]}


def _tokenized(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"tokens": [*([BEGIN] if request.get("add_special") else []), *tokens_of(request["content"])]}


def _forced(request: Mapping[str, Any]) -> dict[str, Any]:
    """Generate one token, which `logit_bias` decides, and say how likely it was without."""
    last, ((token, _),) = request["prompt"][-1], request["logit_bias"]
    best = likeliest_after(last)
    said = {"id": token, "token": text_of([token]), "logprob": logprobs_after(last)[token]}
    top = {"id": best, "token": text_of([best]), "logprob": logprobs_after(last)[best]}
    return {"content": text_of([token]), "completion_probabilities": [{**said, "top_logprobs": [top]}]}


_OF_LLAMA_CPP: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "/tokenize": _tokenized,
    "/completion": _forced,
}


def _response(request: Mapping[str, Any], text: str, key: str) -> dict[str, Any]:
    text, is_cut = _cut(request, _structured(request, text), "max_output_tokens")
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    if "message.output_text.logprobs" in request.get("include", ()):
        part["logprobs"] = [{"token": word, "logprob": -len(word) / 10} for word in text.split()]
    if "REFUSE" in text:
        part = {"type": "refusal", "refusal": "I can't help with that."}
    message = {"type": "message", "id": f"msg_{key}", "role": "assistant", "status": "completed", "content": [part]}
    summary = [{"type": "summary_text", "text": REASONING}] if "THINK" in text else []
    output: list[dict[str, Any]] = [{"type": "reasoning", "id": f"rs_{key}", "summary": summary}, message]
    if request.get("tools"):
        arguments = json.dumps({"text": text})
        name = request["tools"][0]["name"]
        output[1] = {"type": "function_call", "call_id": f"call_{key[:8]}", "name": name, "arguments": arguments}
    prompt, completion = _count(request["input"]), _count(text)
    return {
        "id": f"resp_{key}",
        "object": "response",
        "created_at": _CREATED,
        "model": request["model"],
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "error": None,
        "output": output,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": prompt // 2},
            "output_tokens": completion,
            "output_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": prompt + completion,
        },
    }


def _message(request: Mapping[str, Any], text: str, key: str) -> dict[str, Any]:
    text, is_cut = _cut(request, text, "max_tokens")
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if "THINK" in text:
        content = [{"type": "thinking", "thinking": REASONING, "signature": key}, *content]
    stop = "max_tokens" if is_cut else "end_turn"
    if "REFUSE" in text:
        content, stop = [], "refusal"
    elif request.get("tools"):
        call = {
            "type": "tool_use",
            "id": f"toolu_{key[:8]}",
            "name": request["tools"][0]["name"],
            "input": {"text": text},
        }
        content, stop = [*content, call], "tool_use"
    prompt = _count(request["messages"])
    return {
        "id": f"msg_{key}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": prompt, "output_tokens": _count(text), "cache_read_input_tokens": prompt // 2},
    }


def _gemini(request: Mapping[str, Any], text: str, key: str) -> dict[str, Any]:
    config = request.get("generationConfig") or {}
    text = json.dumps({"answer": text}) if config.get("responseMimeType") == "application/json" else text
    text, is_cut = _cut(config, text, "maxOutputTokens")
    parts: list[dict[str, Any]] = [{"text": text}]
    if "THINK" in text:
        parts = [{"text": REASONING, "thought": True}, *parts]
    if request.get("tools") and (request.get("toolConfig") or {}).get("functionCallingConfig") != {"mode": "NONE"}:
        name = request["tools"][0]["functionDeclarations"][0]["name"]
        parts = [{"functionCall": {"name": name, "args": {"text": text}}}]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "MAX_TOKENS" if is_cut else "STOP"}
    if "REFUSE" in text:
        candidate = {"finishReason": "SAFETY"}
    prompt, completion = _count(request["contents"]), _count(text)
    return {
        "candidates": [candidate],
        "modelVersion": request["model"],
        "responseId": key,
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": completion,
            "totalTokenCount": prompt + completion,
        },
    }


def _converse(request: Mapping[str, Any], text: str, key: str) -> dict[str, Any]:
    text, is_cut = _cut(request.get("inferenceConfig") or {}, text, "maxTokens")
    content: list[dict[str, Any]] = [{"text": text}]
    if "THINK" in text:
        content = [{"reasoningContent": {"reasoningText": {"text": REASONING, "signature": key}}}, *content]
    stop = "max_tokens" if is_cut else "end_turn"
    if "REFUSE" in text:
        content, stop = [{"text": "Blocked."}], "guardrail_intervened"
    elif request.get("toolConfig"):
        name = request["toolConfig"]["tools"][0]["toolSpec"]["name"]
        content, stop = [{"toolUse": {"toolUseId": f"t_{key[:8]}", "name": name, "input": {"text": text}}}], "tool_use"
    prompt, completion = _count(request["messages"]), _count(text)
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": {"inputTokens": prompt, "outputTokens": completion, "totalTokens": prompt + completion},
        "metrics": {"latencyMs": 1},
    }


# --- streams ----------------------------------------------------------------------------------------------


def as_events(answer: Mapping[str, Any]) -> list[str]:
    """Return an answer as the events that its protocol streams it in."""
    if "choices" in answer:
        return [*map(_event, _chunks(answer)), "data: [DONE]\n\n"]
    if "candidates" in answer:
        candidate = answer["candidates"][0]
        begun = [
            {**candidate, "finishReason": None, "content": {"parts": [part]}} for part in candidate["content"]["parts"]
        ]
        ended = {"finishReason": candidate["finishReason"], "content": {}}
        return [_event({**answer, "candidates": [piece]}) for piece in [{"content": {"parts": []}}, *begun, ended]]
    if "output" in answer:
        kind = f"response.{answer['status']}"
        items = [{"type": "response.output_item.done", "item": item} for item in answer["output"]]
        created = {"type": "response.created", "response": {**answer, "status": "in_progress", "output": []}}
        return [*map(_event, [created, *items, {"type": kind, "response": {**answer, "output": []}}])]
    return [*map(_event, _message_events(answer))]


def _event(data: Mapping[str, Any]) -> str:
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n"


def _chunks(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    choice = answer["choices"][0]
    head = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    message = choice.get("message") or {"text": choice.get("text")}
    pieces: list[dict[str, Any]] = [{"role": "assistant"}]
    for name, value in message.items():
        if isinstance(value, str):
            pieces += [{name: letters} for letters in (value[: len(value) // 2], value[len(value) // 2 :])]
        elif name == "tool_calls":
            pieces += [{name: [piece]} for index, call in enumerate(value) for piece in _call_pieces(index, call)]
    wrap = (lambda piece: piece) if "text" in message else (lambda piece: {"delta": piece})
    chunks = [{**head, "choices": [{"index": 0, **wrap(piece), "finish_reason": None}]} for piece in pieces[1:]]
    last = {"index": 0, **wrap({}), "finish_reason": choice["finish_reason"], "logprobs": choice.get("logprobs")}
    return [*chunks, {**head, "choices": [last]}, {**head, "choices": [], "usage": answer["usage"]}]


def _call_pieces(index: int, call: Mapping[str, Any]) -> list[dict[str, Any]]:
    arguments = call["function"]["arguments"]
    first = {**call, "index": index, "function": {**call["function"], "arguments": arguments[:3]}}
    return [first, {"index": index, "function": {"arguments": arguments[3:]}}]


def _message_events(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    start = {**answer, "content": [], "stop_reason": None, "usage": {**answer["usage"], "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(answer["content"]):
        field, kind = {
            "text": ("text", "text_delta"),
            "thinking": ("thinking", "thinking_delta"),
            "tool_use": ("partial_json", "input_json_delta"),
        }[block["type"]]
        whole = json.dumps(block["input"]) if field == "partial_json" else block[field]
        empty = {**block, "input": {}} if field == "partial_json" else {**block, field: ""}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        deltas = [{"type": kind, field: part} for part in (whole[:4], whole[4:])]
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    usage = {"output_tokens": answer["usage"]["output_tokens"]}
    delta_event = {"type": "message_delta", "delta": {"stop_reason": answer["stop_reason"]}, "usage": usage}
    return [*events, delta_event, {"type": "message_stop"}]


_SPEAKERS: Final[Mapping[str, Callable[[Mapping[str, Any], str, str], dict[str, Any]]]] = {
    "/chat/completions": _chat,
    "/completions": _completion,
    "/responses": _response,
    "/messages": _message,
    ":generateContent": _gemini,
    "/converse": _converse,
}
