"""A body of server-sent events that was not asked for: the answer that its pieces make up.

The rule: some servers and proxies stream whatever they are asked (BerriAI/litellm, issue 34094). What they say is an
answer if it is there to its end; a stream that stops before is a failed request, like a body cut short.

Sources: the HTML standard, "Server-sent events"; "Streaming" in the references of OpenAI and Anthropic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from themis.pure.json import decode

_DONE: Final = "[DONE]"
_MARKS: Final = (b"data:", b"event:", b"id:", b"retry:", b":")
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_DELTAS: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def is_stream(body: bytes) -> bool:
    return body.lstrip().startswith(_MARKS)


def answer_of(body: bytes) -> Any:
    """Return the answer that a stream makes up, in the form of one that was not streamed; `None` if it has no end.

    >>> answer_of(b'data: {"choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]}\\n\\ndata: [DONE]\\n')
    {'choices': [{'finish_reason': 'stop', 'message': {'content': '4'}}]}
    """
    pieces = [*_events(body)]
    objects = [piece for piece in pieces if isinstance(piece, Mapping)]
    failed = next((piece for piece in objects if piece.get("error") or piece.get("type") == "error"), None)
    if failed is not None:
        return failed
    if any(str(piece.get("type")).startswith("response.") for piece in objects):
        return _response(objects)
    if any(piece.get("type") == "message_start" for piece in objects):
        return _message(objects)
    if any("candidates" in piece for piece in objects):
        return _candidate(objects)
    answer = _chat(objects)
    return answer if answer and (answer["choices"][0].get("finish_reason") or _DONE in pieces) else None


def _events(body: bytes) -> Iterator[Any]:
    """Yield each event's data, decoded; what is no JSON, but for the mark of the end, is left out."""
    for block in body.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        data = "\n".join(lines).strip()
        if data == _DONE:
            yield data
        elif data:
            try:
                yield decode(data)
            except ValueError:
                return  # cut in the middle


def _chat(pieces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    message: dict[str, Any] = {}
    for piece in pieces:
        answer |= {name: value for name, value in piece.items() if name != "choices" and value is not None}
        first: Mapping[str, Any] = next(iter(piece.get("choices") or ()), {})
        own = {name: value for name, value in first.items() if name not in ("delta", "message") and value is not None}
        _add(choice, own)
        _add(message, first.get("delta") or first.get("message") or {})
    if not (choice or message):
        return {}
    if "text" not in choice:
        choice["message"] = message
    return {**answer, "choices": [choice]}


def _add(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add a piece to what is there: texts and lists grow, calls grow by their index, anything else is replaced."""
    for name, value in piece.items():
        before = whole.get(name)
        if name == "tool_calls":
            whole[name] = _with_calls(before or [], value or ())
        elif name in {"role", "finish_reason", "id", "type", "name"} or before is None or value is None:
            whole[name] = before if value is None else value
        elif isinstance(value, str | list) and isinstance(before, str | list):
            whole[name] = _joined(before, value)
        elif isinstance(value, Mapping) and isinstance(before, Mapping):
            whole[name] = {**before}
            _add(whole[name], value)
        else:
            whole[name] = value


def _joined(before: str | list[Any], value: str | list[Any]) -> str | list[Any]:
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    # Mistral sends its reasoning as a list of parts, and then the answer as text.
    return _parts(before) + _parts(value)


def _parts(content: str | list[Any]) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _with_calls(calls: list[dict[str, Any]], pieces: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    for piece in pieces:
        index = piece.get("index")
        call = next((call for call in calls if index is not None and call.get("index") == index), None)
        if call is None:
            call = {}
            calls = [*calls, call]
        _add(call, piece)
    return calls


def _response(pieces: Sequence[Mapping[str, Any]]) -> Any:
    end = next((piece["response"] for piece in reversed(pieces) if piece.get("type") in _ENDS), None)
    items = [piece["item"] for piece in pieces if piece.get("type") == "response.output_item.done"]
    return end if end is None or end.get("output") else {**end, "output": items}


def _message(pieces: Sequence[Mapping[str, Any]]) -> Any:
    message: dict[str, Any] = {}
    blocks: dict[Any, dict[str, Any]] = {}
    for piece in pieces:
        kind, delta = piece.get("type"), piece.get("delta") or {}
        if kind == "message_start":
            message = dict(piece["message"])
        elif kind == "content_block_start":
            blocks[piece.get("index")] = dict(piece["content_block"])
        elif kind == "content_block_delta":
            field = _DELTAS.get(str(delta.get("type")))
            if field is not None:
                block = blocks[piece.get("index")]
                block[field] = block.get(field, "") + delta[field]
        elif kind == "message_delta":
            message |= delta
            message["usage"] = {**(message.get("usage") or {}), **(piece.get("usage") or {})}
    for block in blocks.values():
        arguments = block.pop("partial_json", None)
        if arguments:
            block["input"] = decode(arguments)
    return {**message, "content": [*blocks.values()]} if message.get("stop_reason") else None


def _candidate(pieces: Sequence[Mapping[str, Any]]) -> Any:
    """Put Gemini's pieces together, each of which is an answer with some of the parts."""
    whole: dict[str, Any] = {}
    candidate: dict[str, Any] = {}
    parts: list[Any] = []
    for piece in pieces:
        whole |= piece
        first: Mapping[str, Any] = next(iter(piece.get("candidates") or ()), {})
        candidate |= first
        parts += (first.get("content") or {}).get("parts") or ()
    return (
        {**whole, "candidates": [{**candidate, "content": {"parts": parts}}]} if candidate.get("finishReason") else None
    )
