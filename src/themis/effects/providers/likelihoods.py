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
from themis.pure.wire.exchange import counts
from themis.pure.wire.failures import malformed

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
    payload = await _posted(model, model, model.path, body)
    tokens = _or_raise(model, read(payload, prompts))
    usage = payload.get("usage") or {}
    return LogLikelihoods(
        continuations=_or_raise(model, wire.likelihoods_of(continuations, prompts, tokens)),
        artifacts={"request": body, "model": payload.get("model")},
        token_usage=counts(**{name: usage.get(name) for name in _USAGE}) or None,
        latency_ms=(time.perf_counter() - began) * 1000,
    )


_USAGE: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


async def _forced(model: HttpModel, context: str, continuations: Sequence[str]) -> LogLikelihoods:
    """Ask llama.cpp's server about one token at a time, by the addresses of its own."""
    own = attrs.evolve(model, endpoint=attrs.evolve(model.endpoint, base_url=_root(model.endpoint.base_url)))
    began = time.perf_counter()
    known: dict[str, list[int]] = {}
    for text in dict.fromkeys([*wire.prompts_of(context, continuations), ""]):
        known[text] = _or_raise(
            model, wire.read_tokens(await _posted(model, own, "/tokenize", wire.tokenize_body(text)))
        )
    start, found, read = next(iter(known[""]), None), [], 0
    for text in continuations:
        # A model with no token for the beginning of a text can't be asked about a text behind nothing.
        before, tokens = split_tokens(lambda part: known[part], -1 if start is None else start, context, text)
        if before == [-1]:
            before, tokens = tokens[:1], tokens[1:]
        scored = []
        for i, token in enumerate(tokens):
            body = wire.forced_body([*before, *tokens[:i]], token)
            scored.append(_or_raise(model, wire.read_forced(await _posted(model, own, "/completion", body), token)))
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


async def _posted(model: HttpModel, to: HttpModel, path: str, body: Mapping[str, Any]) -> Any:
    answer = await post_json(to.endpoint, path, encode(body), model.client)
    try:
        return decode(answer.body)
    except ValueError:
        raise ProviderError(malformed("the body is no JSON", answer.body[-100:])) from None


def _or_raise(model: HttpModel, found: Any) -> Any:
    if isinstance(found, CallFailure):
        raise ProviderError(found.evolve(message=model.endpoint.redact(found.message)))
    return found
