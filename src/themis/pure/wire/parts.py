"""What a message's content says, as text or in parts: the text, the reasoning beside it, a refusal.

The rule: text parts are the answer, in their order; reasoning is kept beside it and is never a part of it; a part of
another kind (a picture, a citation) says nothing.

Sources: the references of OpenAI (`text`, `output_text`, `refusal`; `summary` and `content` of a `reasoning` item),
Mistral ("Reasoning": a `thinking` part holds a list of `text` parts), OpenRouter ("Reasoning tokens":
`reasoning_details`), Anthropic ("Extended thinking") and LiteLLM (`thinking_blocks`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.records.base import FrozenModel

_TEXT: Final = frozenset({"text", "output_text", "input_text", None})
_REASONING: Final = frozenset(
    {"thinking", "reasoning", "thought", "reasoning_text", "summary_text", "reasoning.text", "reasoning.summary"}
)
_SYSTEM: Final = frozenset({"system", "developer"})
_DATA_URI: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_WITHIN: Final = ("thinking", "reasoning", "summary", "content", "text")
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
"""Where a message keeps its reasoning: the field of DeepSeek, Moonshot, Z.ai, SGLang and llama.cpp; that of OpenRouter,
Groq, Cerebras, Together, Ollama and newer vLLM; Ollama's own; the lists of OpenRouter and LiteLLM. The first that is
not empty counts, for several of them say the same."""


@attrs.frozen(kw_only=True)
class Said(FrozenModel):
    """What a content says; `is_readable` is false for what is no content at all, such as a number."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    is_readable: bool = True


def said_in(content: Any) -> Said:
    """Read a content: text, a list of parts, one part, or nothing.

    >>> said_in([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}])
    Said(text='yes', reasoning='hm', refusal='', is_readable=True)
    """
    if content is None or isinstance(content, str):
        return Said(text=content or "")
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, Sequence) or not all(isinstance(part, str | Mapping) for part in parts):
        return Said(is_readable=False)
    return Said(
        text="".join(_texts(parts)),
        reasoning="\n\n".join(filter(None, map(_reasoning_of, parts))),
        refusal="".join(str(part["refusal"]) for part in parts if isinstance(part, Mapping) and part.get("refusal")),
    )


def reasoning_in(message: Mapping[str, Any]) -> str | None:
    """Return the reasoning that a message keeps beside its content."""
    for name in _REASONING_FIELDS:
        found = message.get(name)
        said = found if isinstance(found, str) else "\n\n".join(_reasonings(found))
        if said.strip():
            return said
    return said_in(message.get("content")).reasoning or None


def plain_text(content: Any) -> str:
    """Return the text of a content alone."""
    return said_in(content).text


def is_reasoning(part: Any) -> bool:
    """Tell whether a part of a content holds reasoning."""
    return bool(said_in(part).reasoning)


def system_and_turns(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the text of the system's messages, and the other messages."""
    system = "\n\n".join(plain_text(message["content"]) for message in messages if message["role"] in _SYSTEM)
    return system, [message for message in messages if message["role"] not in _SYSTEM]


def inline_file(url: str) -> tuple[str, str] | None:
    """Return the media type and the base64 of a data URI; `None` for another address."""
    found = _DATA_URI.fullmatch(url)
    return None if found is None else (found[1], found[2])


def _texts(parts: Sequence[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif part.get("type") in _TEXT and not part.get("thought"):  # Gemini marks its reasoning so
            text = part.get("text")
            yield str(text.get("value") or "") if isinstance(text, Mapping) else str(text or "")


def _reasoning_of(part: Any) -> str:
    is_it = isinstance(part, Mapping) and (part.get("type") in _REASONING or part.get("thought") is True)
    return _within(part) if is_it else ""


def _within(block: Mapping[str, Any]) -> str:
    return next((said for name in _WITHIN if (said := _flat(block.get(name)))), "")


def _reasonings(value: Any) -> Iterator[str]:
    """Yield the texts of a list of blocks, or of an object, that is reasoning as a whole."""
    for block in [value] if isinstance(value, Mapping) else value if isinstance(value, Sequence) else ():
        said = _within(block) if isinstance(block, Mapping) else block if isinstance(block, str) else ""
        if said:
            yield said


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return _flat(next((value[name] for name in _WITHIN if value.get(name)), None))
    return "".join(map(_flat, value)) if isinstance(value, Sequence) else ""
