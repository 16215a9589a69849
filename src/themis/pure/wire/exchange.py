"""What every provider's protocol has in common: the prompt that goes out, the sampling, the reply that comes back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.json import EMPTY, JSONValue, decode, thaw
from themis.pure.records.base import FrozenModel, HashableModel
from themis.pure.records.dataset import Case
from themis.pure.records.fields import finite, is_count, json_object, json_value, named_fields, texts
from themis.pure.records.generation import Message
from themis.pure.records.prompt import PARTS, PromptSpec, as_messages, attach_images, text_in

_NO_PROMPT: Final = PromptSpec()
# OpenAI's names in both protocols, Anthropic's, Gemini's.
_ADDRESSES: Final = frozenset({"url", "image_url", "file_url", "file_data", "uri", "fileUri"})
_DATA_URI: Final = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[^,\s]{0,200})?,")
_IMAGE_BYTES: Final = 4 * 1000  # an image costs about a thousand tokens at either provider


def _optional_texts(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else texts(value)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Sampling(HashableModel):
    """How the model draws its answer; `None` leaves a choice to the server.

    Attributes:
        temperature, top_p: as the providers define them.
        max_tokens: the longest answer, in tokens.
        stop: texts that end the answer.
        seed: one seed for every call; without it each candidate's own is sent, where the protocol has one.
        logprobs: log-probabilities of the answer's tokens, with that many alternatives each (0 for none).
        extra: more fields of the request's body; they overrule the others.
    """

    temperature: float | None = attrs.field(default=None, validator=finite)
    top_p: float | None = attrs.field(default=None, validator=finite)
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = attrs.field(default=None, converter=_optional_texts)
    seed: int | None = None
    logprobs: int | None = None
    extra: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)

    @property
    def stops(self) -> list[str] | None:
        """The texts that end the answer, as bodies have them."""
        return None if self.stop is None else list(self.stop)

    def seed_for(self, candidate: int | None) -> int | None:
        """Return the seed of a call: the stated one, or the candidate's own."""
        return candidate if self.seed is None else self.seed


@attrs.frozen(kw_only=True)
class Prompt(FrozenModel):
    """What a model is asked, in OpenAI's chat form, which the other protocols translate from.

    Attributes:
        messages: with `role` and `content` each; the content is text or a list of parts.
        text: the same as one text, for models that complete text.
        tools: tool definitions.
        tool_choice: which tool to call, if any.
        response_format: the structure asked of the answer.
    """

    messages: Sequence[Mapping[str, Any]]
    text: str
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: JSONValue = None
    response_format: Mapping[str, Any] | None = None

    @property
    def is_structured(self) -> bool:
        return (self.response_format or EMPTY).get("type") in {"json_object", "json_schema"}

    @property
    def schema(self) -> Any:
        """The JSON schema asked of the answer, if there is one."""
        return ((self.response_format or EMPTY).get("json_schema") or EMPTY).get("schema")


def prompt_of(asked: Case | JSONValue, spec: PromptSpec | None = None, *, of: Case | JSONValue = None) -> Prompt:
    """Build the prompt from a case, or an input alone, and the prompt specification.

    The input is text, a list of messages, or an object with any of `messages`, `tools`, `tool_choice`,
    `response_format` and `images` (URLs or data URIs), its text under `text`, `prompt`, `question` or `input`.
    Any other JSON is shown to the model as JSON. Where `asked` is but a part of an input, `of` is the whole.

    >>> prompt_of({"text": "What is it?", "images": ["https://example.org/a.png"]}).messages[0]["content"][1]
    {'type': 'image_url', 'image_url': {'url': 'https://example.org/a.png'}}
    """
    spec = spec or _NO_PROMPT
    value = asked.input if isinstance(asked, Case) else asked
    if not isinstance(value, Mapping) or not any(part in value for part in PARTS):
        return Prompt(messages=spec.render_messages(asked, of=of), text=spec.render(asked, of=of))
    whole = asked if of is None else of
    shown = value if as_messages(value) else text_in(value)
    messages = spec.render_messages(shown, of=whole)
    attach_images(messages, value)
    return Prompt(
        messages=messages,
        text=spec.render(shown, of=whole),
        tools=thaw(value.get("tools") or ()),
        tool_choice=thaw(value.get("tool_choice")),
        response_format=thaw(value.get("response_format")),
    )


def conversation_of(value: JSONValue, prompt: Prompt, output: JSONValue) -> tuple[Message, ...] | None:
    """Return the whole conversation, where the input was one."""
    if as_messages(value) is None:
        return None
    said = [Message(role=message["role"], content=message.get("content")) for message in prompt.messages]
    return (*said, Message(role="assistant", content=output))


def prompt_tokens(request: JSONValue) -> int:
    """Estimate the tokens of a request's text: about four bytes each (OpenAI, "What are tokens?").

    >>> prompt_tokens({"messages": [{"role": "user", "content": "x" * 40}]})
    12
    """
    return _text_bytes(request) // 4 + 1


def without_files(request: Any, *, under: str = "") -> Any:
    """Return a request to be recorded: a file in it is replaced by its hash, and a data URI by its type and hash.

    Args:
        request: the body, or a part of it.
        under: the name of the field that holds the part.

    >>> without_files({"url": "data:image/png;base64,AAAA"})
    {'url': 'data:image/png;sha256,63c1dd951ffedf6f7fd968ad4efa39b8ed584f162f46e715114ee184f8de9201'}
    """
    if isinstance(request, str):
        if not _is_data_uri(request, under):
            return request
        head, _, data = request.partition(",")
        return f"{head.partition(';')[0]};sha256,{hashlib.sha256(data.encode()).hexdigest()}"
    if isinstance(request, Mapping):
        if (field := _file_field(request, under)) is not None:
            return {**request, field: hashlib.sha256(request[field].encode()).hexdigest()}
        return {name: without_files(item, under=name) for name, item in request.items()}
    return [without_files(item) for item in request] if isinstance(request, Sequence) else request


def _is_data_uri(text: str, under: str) -> bool:
    """Tell whether a field's text is a file (RFC 2397), and not words that begin like one."""
    return under in _ADDRESSES and _DATA_URI.match(text) is not None


def _file_field(value: Mapping[str, Any], under: str) -> str | None:
    """Return the field with a file's base64: Anthropic's and Gemini's `data`, Converse's `bytes`; `None` if no file."""
    is_data = value.get("type") == "base64" or under == "inlineData"
    name = "data" if is_data else "bytes" if under == "source" else ""
    return name if isinstance(value.get(name), str) else None


def _text_bytes(value: JSONValue, under: str = "") -> int:
    if isinstance(value, str):
        return _IMAGE_BYTES if _DATA_URI.match(value) else len(value.encode())
    if isinstance(value, Mapping):
        if _file_field(value, under) is not None:
            return _IMAGE_BYTES
        return sum(_text_bytes(item, name) for name, item in value.items())
    if isinstance(value, Sequence):
        return sum(map(_text_bytes, value))
    return 0


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Reply(FrozenModel):
    """A model's answer, read from any of the protocols.

    Attributes:
        output: the answer: text; the value, where structure was asked for; or the tool calls.
        text: the answer's text alone.
        model: the model's name as the server states it.
        finish_reason: why the answer ends: `stop`, `length`, `tool_calls`, or the server's own word.
        usage: token counts.
        logprobs: as the provider writes them.
        reasoning: the reasoning text, where a server shows it.
        transport: what differs between two identical calls.
    """

    output: JSONValue = attrs.field(converter=json_value)
    text: str = ""
    model: str | None = None
    finish_reason: str | None = None
    usage: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)
    logprobs: JSONValue = attrs.field(default=None, converter=json_value)
    reasoning: str | None = None
    transport: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


def request_body(model: str, sampling: Sampling, **fields: Any) -> dict[str, Any]:
    """Return a request's body: what all protocols name alike, the other fields, and `extra`, which overrules them."""
    fields = {"model": model, "temperature": sampling.temperature, "top_p": sampling.top_p, **fields}
    return {**stated(fields), **sampling.extra}


def stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not left to the server."""
    return {name: value for name, value in fields.items() if value is not None}


def counts(**numbers: object) -> dict[str, int]:
    """Return those of a server's numbers that are counts: an odd one costs itself, and not the answer."""
    return {name: number for name, number in numbers.items() if is_count(number)}


def counted(number: object) -> int:
    return number if is_count(number) else 0


def structured(text: str) -> JSONValue:
    """Return the value of an answer that was asked for as JSON; the text itself if it is none (cut short, say)."""
    try:
        value: JSONValue = decode(text)
    except ValueError:
        return text
    return value


def arguments_of(text: object) -> JSONValue:
    return structured(text) if isinstance(text, str) else thaw(text)  # type: ignore[arg-type]  # decoded JSON
