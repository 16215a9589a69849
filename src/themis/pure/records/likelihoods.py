"""How likely a model finds texts: what is asked for, and what comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from themis.pure.errors import InvalidRecordError
from themis.pure.json import JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import (
    finite,
    measured,
    named_fields,
    non_empty,
    optional_object,
    sequence,
    summable,
    texts,
)


def _at_least(least: int) -> Any:
    return attrs.validators.and_(attrs.validators.instance_of(int), attrs.validators.ge(least))


def _no_probability_above_1(record: object, field: attrs.Attribute[float], value: float) -> None:
    finite(record, field, value)
    if value > 1e-3:  # rounding, in models of few bits
        raise InvalidRecordError(type(record).__name__, [f"{field.name}: at most 0 expected, found {value!r}"])


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class AskedLikelihoods(HashableModel):
    """What a model is asked: how likely it goes on from a context with each of some texts."""

    context: str
    continuations: tuple[str, ...] = attrs.field(converter=texts)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Likelihood(HashableModel):
    """How likely one continuation is.

    Attributes:
        text: the continuation, as the case has it.
        logprob: the natural logarithm of its probability behind the context: the sum over its tokens, in nats.
        tokens: how many tokens of the model it has there.
        bytes: how many bytes of UTF-8 its text has.
        is_greedy: whether each of its tokens is the likeliest in its place: what the model says at temperature 0.
    """

    text: str = attrs.field(validator=non_empty)
    logprob: float = attrs.field(validator=_no_probability_above_1)
    tokens: int = attrs.field(validator=_at_least(1))
    bytes: int = attrs.field(validator=_at_least(1))
    is_greedy: bool = attrs.field(validator=attrs.validators.instance_of(bool))

    @classmethod
    def of(cls, text: str, logprobs: Sequence[float], *, is_greedy: bool) -> Likelihood:
        """Sum up the log-probabilities of a continuation's tokens."""
        size = len(text.encode())
        return cls(text=text, logprob=math.fsum(logprobs), tokens=len(logprobs), bytes=size, is_greedy=is_greedy)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class LogLikelihoods(HashableModel):
    """What a model answers: one `Likelihood` for each continuation, in the order asked, and what the call took."""

    continuations: tuple[Likelihood, ...] = attrs.field(converter=sequence)
    artifacts: Mapping[str, JSONValue] | None = attrs.field(default=None, converter=optional_object)
    token_usage: Mapping[str, int] | None = attrs.field(default=None, converter=optional_object)
    latency_ms: float | None = attrs.field(default=None, converter=measured, validator=summable)
