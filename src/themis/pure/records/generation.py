"""What the stages up to parsing make: generations with their traces, reduced candidates, parsed outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import (
    checked_texts,
    counts,
    json_object,
    json_value,
    measured,
    non_empty,
    optional_object,
    sequence,
    summable,
    texts,
)

TRANSPORT: Final = "transport"
"""The artifact under which a generator keeps what differs between two identical calls (request id, timings,
server fingerprint); no part of a result's digest."""


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class Message(HashableModel):
    """One turn of a conversation."""

    role: str = attrs.field(validator=non_empty)
    content: JSONValue = attrs.field(converter=json_value)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class TraceStep(HashableModel):
    """One step of an agent or workflow; `timestamp` is ISO 8601 and no part of a result's digest."""

    step_name: str
    step_type: str
    input: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    output: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    timestamp: str | None = None


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class GenerationResult(HashableModel):
    """What a generator returned for one candidate.

    Attributes:
        candidate_id: names the candidate within its case.
        final_output: the answer, text or any JSON.
        trace: the steps an agent took.
        conversation: the messages exchanged.
        artifacts: anything else worth keeping, such as log-probabilities; what differs between identical
            calls goes under `transport`.
        token_usage: counts such as `prompt_tokens`, `completion_tokens`, `total_tokens`.
        latency_ms: how long the call took, in milliseconds.
    """

    candidate_id: str = attrs.field(validator=non_empty)
    final_output: JSONValue = attrs.field(converter=json_value)
    trace: tuple[TraceStep, ...] | None = attrs.field(default=None, converter=attrs.converters.optional(sequence))
    conversation: tuple[Message, ...] | None = attrs.field(default=None, converter=attrs.converters.optional(sequence))
    artifacts: Mapping[str, JSONValue] | None = attrs.field(default=None, converter=optional_object)
    token_usage: Mapping[str, int] | None = attrs.field(default=None, converter=optional_object, validator=counts)
    latency_ms: float | None = attrs.field(default=None, converter=measured, validator=summable)

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ends, if the provider said so: `stop`, `length`, `tool_calls`."""
        reason = (self.artifacts or EMPTY).get("finish_reason")
        return reason if isinstance(reason, str) else None

    @property
    def is_truncated(self) -> bool:
        """Whether the answer was cut by its length limit."""
        return self.finish_reason == "length"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in the answer, or nothing but blanks."""
        output = self.final_output
        return output is None or (isinstance(output, str) and not output.strip())


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class ReducedCandidate(HashableModel):
    """The one answer that a case's candidates were reduced to."""

    candidate_id: str = attrs.field(validator=non_empty)
    source_candidate_ids: tuple[str, ...] = attrs.field(default=(), converter=texts)
    final_output: JSONValue = attrs.field(converter=json_value)
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class ParsedOutput(HashableModel):
    """What a parser read out of an answer.

    `value=None` means that nothing was found; `metadata={"invalid": True}` marks an answer that is unusable.
    No metric sees either: the answer could not be parsed (`parse_null`, `parse_invalid`), and counts as the run says.
    """

    value: JSONValue = attrs.field(converter=json_value)
    format: str | None = None
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)

    @property
    def usable(self) -> bool:
        """Tell whether metrics may score this."""
        return self.value is not None and self.metadata.get("invalid") is not True
