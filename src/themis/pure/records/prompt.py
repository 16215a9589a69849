"""Prompts as data: every part of a prompt is a part of the run's identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from themis.pure.json import CAME_LATER, JSONValue, encode, thaw
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_objects, named_fields


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class PromptSpec(HashableModel):
    """The text around a case's input when a model is asked.

    Attributes:
        instructions: the system message of a chat; the first paragraph of a plain prompt.
        prefix: put directly before the input.
        suffix: put directly behind the input.
        blocks: what comes between instructions and input, in order: `{"role": ..., "content": ...}` is a message
            (few-shot examples), `{"text": ...}` a paragraph.
        continuations: names the field of each case, in its input or its metadata, that holds texts which could go on
            from the prompt. The model is then asked how likely each is, and writes nothing: the prompt is the context
            (`themis.pure.likelihoods`).

    >>> spec = PromptSpec(instructions="Answer with a number.", prefix="Q: ", suffix=" A:")
    >>> spec.render("1 + 1?")
    'Answer with a number.\\n\\nQ: 1 + 1? A:'
    >>> spec.render_messages("1 + 1?")[1]
    {'role': 'user', 'content': 'Q: 1 + 1? A:'}
    """

    instructions: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    blocks: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    continuations: str | None = attrs.field(default=None, metadata=CAME_LATER)

    def __attrs_post_init__(self) -> None:
        for i, block in enumerate(self.blocks):
            if not ("text" in block or {"role", "content"} <= block.keys()):
                raise ValueError(
                    f"blocks[{i}]: {dict(block)!r} has neither 'text' nor 'role' and 'content'; "
                    "a block is a paragraph or a message"
                )

    def render(self, value: JSONValue) -> str:
        """Return the whole prompt as one text, for models that complete text."""
        messages = as_messages(value)
        if messages is not None:
            body = "\n\n".join(text_of(m["content"]) for m in messages if m.get("content") is not None)
        else:
            body = f"{self.prefix or ''}{text_of(value)}{self.suffix or ''}"
        parts = [
            self.instructions,
            *(text_of(b["text"] if "text" in b else b["content"]) for b in self.blocks),
            body,
        ]
        return "\n\n".join(part for part in parts if part is not None)

    def render_messages(self, value: JSONValue) -> list[dict[str, Any]]:
        """Return the prompt as chat messages: instructions, blocks, then the input as the user's message.

        An input that is a list of messages keeps its messages; prefix and suffix go around the last of the
        user's, if its content is text.
        """
        opening: list[dict[str, Any]] = []
        if self.instructions is not None:
            opening.append({"role": "system", "content": self.instructions})
        for block in self.blocks:
            content = block["text"] if "text" in block else block["content"]
            opening.append({"role": block.get("role", "user"), "content": thaw(content)})
        messages = as_messages(value)
        if messages is None:
            content = f"{self.prefix or ''}{text_of(value)}{self.suffix or ''}"
            return [*opening, {"role": "user", "content": content}]
        return [*opening, *self._around_last(thaw(messages))]

    def _around_last(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for message in reversed(messages):
            if message["role"] == "user":
                if isinstance(message["content"], str):
                    message["content"] = f"{self.prefix or ''}{message['content']}{self.suffix or ''}"
                break
        return messages


def as_messages(value: JSONValue) -> Sequence[Any] | None:
    """Return the messages of an input that is a conversation, or has one under `messages`; else `None`.

    Each has a `role`, and `content` or `tool_calls`: an assistant that only calls tools says nothing.
    """
    if isinstance(value, Mapping):
        value = value.get("messages")
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return None
    return value if all(map(_is_message, value)) else None


def _is_message(value: object) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("role"), str):
        return False
    return "content" in value or bool(value.get("tool_calls"))


def text_of(value: JSONValue) -> str:
    return value if isinstance(value, str) else encode(value).decode()
