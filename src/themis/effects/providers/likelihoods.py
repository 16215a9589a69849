"""Log-likelihoods of servers that complete text: which way each is asked, and the asking."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from themis.effects.providers.http import post_json
from themis.effects.providers.model import HttpModel
from themis.pure.calls import CallFailure, ProviderError
from themis.pure.json import decode, encode
from themis.pure.likelihoods import split_tokens
from themis.pure.records.likelihoods import Likelihood, LogLikelihoods
from themis.pure.wire import likelihoods as wire
from themis.pure.wire.failures import MISSHAPEN, malformed
from themis.pure.wire.openai_wire import usage_of

Loglikelihood: TypeAlias = Callable[[str, Sequence[str]], Awaitable[LogLikelihoods]]


def loglikelihood_of(model: HttpModel) -> Loglikelihood:
    """Return how a server that completes text is asked for log-likelihoods."""
    return functools.partial(_WAYS.get(model.provider, _echoed), model)


async def _echoed(model: HttpModel, context: str, continuations: Sequence[str]) -> LogLikelihoods:
    return await _in_one(model, context, continuations, wire.echo_body, wire.read_echo)


async def _prompt_logprobs(model: HttpModel, context: str, continuations: Sequence[str]) -> LogLikelihoods:
    return await _in_one(model, context, continuations, wire.prompt_logprobs_body, wire.read_prompt_logprobs)


async def _in_one(
    model: HttpModel, context: str, continuations: Sequence[str], render: Callable[..., Any], read: Callable[..., Any]
) -> LogLikelihoods:
    """Ask about all continuations in one request."""
    prompts = wire.prompts_of(context, continuations)
    body = {**render(model.model, prompts), **model.sampling.extra}
    began = time.perf_counter()
    payload = await _posted(model, model.path, body)
    tokens = _read(model, payload, lambda: read(payload, prompts))
    return LogLikelihoods(
        continuations=_read(model, payload, lambda: wire.likelihoods_of(continuations, prompts, tokens)),
        artifacts={"request": body, "model": payload.get("model")},
        token_usage=usage_of(payload.get("usage")) or None,
        latency_ms=(time.perf_counter() - began) * 1000,
    )


async def _forced(model: HttpModel, context: str, continuations: Sequence[str]) -> LogLikelihoods:
    """Ask llama.cpp's server about one token at a time, by the addresses of its own."""
    own = attrs.evolve(model, endpoint=attrs.evolve(model.endpoint, base_url=_root(model.endpoint.base_url)))
    began = time.perf_counter()
    known: dict[str, list[int]] = {}
    for text in dict.fromkeys([*wire.prompts_of(context, continuations), ""]):
        payload = await _posted(own, "/tokenize", wire.tokenize_body(text))
        known[text] = _read(own, payload, functools.partial(wire.read_tokens, payload))
    start, found, read = next(iter(known[""]), None), [], 0
    for text in continuations:
        # A model with no token for the beginning of a text can't be asked about a text behind nothing.
        before, tokens = split_tokens(lambda part: known[part], -1 if start is None else start, context, text)
        if before == [-1]:
            before, tokens = tokens[:1], tokens[1:]
        scored = []
        for i, token in enumerate(tokens):
            body = wire.forced_body([*before, *tokens[:i]], token)
            payload = await _posted(own, "/completion", body)
            scored.append(_read(own, payload, functools.partial(wire.read_forced, payload, token)))
        read += len(before) + len(tokens)
        found.append(
            Likelihood.of(text, [one.logprob for one in scored], is_greedy=all(one.is_likeliest for one in scored))
        )
    return LogLikelihoods(
        continuations=found,
        artifacts={"model": model.model},
        token_usage={"prompt_tokens": read, "completion_tokens": 0, "total_tokens": read},
        latency_ms=(time.perf_counter() - began) * 1000,
    )


def _root(base_url: str) -> str:
    return base_url.removesuffix("/v1")


_WAYS: Final[Mapping[str, Callable[..., Awaitable[LogLikelihoods]]]] = {
    "vllm": _prompt_logprobs,
    "llamacpp": _forced,
}
"""How servers are asked that don't echo a prompt with its log-probabilities, or do better."""


async def _posted(model: HttpModel, path: str, body: Mapping[str, Any]) -> Any:
    answer = await post_json(model.endpoint, path, encode(body), model.client)
    try:
        return decode(answer.body)
    except ValueError:
        raise ProviderError(malformed("the body is no JSON", answer.body[-100:])) from None


def _read(model: HttpModel, payload: Any, read: Callable[[], Any]) -> Any:
    """Return what is read out of an answer, or raise the failure that it is."""
    try:
        found = read()
    except MISSHAPEN:
        found = malformed("the answer does not follow the protocol", payload)
    if isinstance(found, CallFailure):
        raise ProviderError(found.evolve(message=model.endpoint.redact(found.message)))
    return found
