"""Amazon Bedrock's Converse: bodies out, replies in.

Source: "Converse" in the Amazon Bedrock API reference at docs.aws.amazon.com. It is close to the Messages protocol,
whose translation of the prompt is taken over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.calls import CallFailure
from themis.pure.json import EMPTY
from themis.pure.wire.anthropic_wire import message_body, output_of, usage_of
from themis.pure.wire.exchange import Prompt, Reply, Sampling, stated
from themis.pure.wire.failures import failed_end, failure_in, finish_of, malformed, nothing_in
from themis.pure.wire.parts import said_in


def converse_body(model: str, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
    """Return the body of `POST /model/NAME/converse`; this protocol has no seed and no log-probabilities."""
    asked = message_body(model, prompt, Sampling())
    config = stated(
        {
            "maxTokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "stopSequences": sampling.stops,
        }
    )
    tools = [{"toolSpec": _tool(tool)} for tool in asked.get("tools", ())]
    choice = asked.get("tool_choice") or EMPTY
    # There is no way to forbid calls; without tools there are none.
    tools = [] if choice.get("type") == "none" else tools
    chosen = (
        {choice["type"]: {"name": choice["name"]} if choice["type"] == "tool" else {}} if choice and tools else None
    )
    body = {
        "system": [{"text": asked["system"]}] if "system" in asked else None,
        "messages": [{"role": turn["role"], "content": _blocks(turn["content"])} for turn in asked["messages"]],
        "inferenceConfig": config or None,
        "toolConfig": {"tools": tools, **({"toolChoice": chosen} if chosen else {})} if tools else None,
    }
    return {**stated(body), **sampling.extra}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": tool["description"]} if tool.get("description") else {}
    return {"name": tool["name"], **described, "inputSchema": {"json": tool.get("input_schema", {"type": "object"})}}


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"text": content}] if isinstance(content, str) else [_block(block) for block in content or ()]


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"text": block["text"]}
    if kind == "tool_use":
        return {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}}
    if kind == "tool_result":
        return {"toolResult": {"toolUseId": block["tool_use_id"], "content": _blocks(block["content"])}}
    if kind == "image" and block["source"].get("type") == "base64":
        source = block["source"]
        return {"image": {"format": source["media_type"].rpartition("/")[2], "source": {"bytes": source["data"]}}}
    return dict(block)


def read_converse(payload: Any, *, is_structured: bool = False) -> Reply | CallFailure:
    """Read the answer of `/converse`."""
    if (failure := failure_in(payload, "output")) is not None:
        return failure
    output = payload.get("output") if isinstance(payload, Mapping) else None
    message = output.get("message") if isinstance(output, Mapping) else None
    blocks = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(blocks, Sequence) or isinstance(blocks, str):
        return malformed("no output.message.content", payload)
    stop, usage = payload.get("stopReason"), usage_of(*map((payload.get("usage") or EMPTY).get, _COUNTS))
    if (failure := failed_end(stop)) is not None:
        return failure
    said = said_in([{"type": "text", "text": block["text"]} for block in blocks if "text" in block])
    thoughts = [
        (block["reasoningContent"].get("reasoningText") or EMPTY).get("text")
        for block in blocks
        if "reasoningContent" in block
    ]
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    if not blocks and (failure := nothing_in(stop, usage)) is not None:
        return failure
    return Reply(
        output=output_of(said.text, calls, is_structured=is_structured),
        text=said.text,
        finish_reason=finish_of(stop),
        usage=usage,
        reasoning="\n\n".join(filter(None, thoughts)) or None,
        transport={"tool_call_ids": [call.get("toolUseId") for call in calls]} if calls else {},
    )


_COUNTS: Final = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens")
