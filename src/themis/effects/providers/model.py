"""What the adapters share that ask with one request: a model that generates and judges, at an endpoint or a library.

A subclass says how its protocol renders and reads; everything that happens is here, once, and makes one attempt.
"""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from themis.effects.http_library import httpx
from themis.effects.providers.batch import HttpBatches
from themis.effects.providers.http import Answer, Endpoint, pooled_clients, post_json, request_id
from themis.effects.providers.options import refuse
from themis.pure.batches import BatchEndpoint
from themis.pure.calls import CallFailure, ProviderError, retry_after
from themis.pure.estimate import OUTPUT_TOKENS
from themis.pure.json import JSONValue, content_hash, decode, encode
from themis.pure.limits import TokenEstimate
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import TRANSPORT, GenerationResult
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt
from themis.pure.records.prompt import text_of
from themis.pure.security import names_secret, refuse_secrets
from themis.pure.wire.batch_wire import BATCH_WIRES
from themis.pure.wire.exchange import (
    Prompt,
    Reply,
    Sampling,
    conversation_of,
    prompt_of,
    prompt_tokens,
    stated,
    without_files,
)
from themis.pure.wire.failures import MISSHAPEN, malformed
from themis.pure.wire.providers import Quirk, batch_protocol, quirks_of, unsendable
from themis.pure.wire.streams import answer_of, is_stream

_STATED: Final = frozenset({"accept", "accept-encoding", "connection", "content-type", "user-agent"})
"""Headers that a request always states itself, in place of the client's."""


@attrs.frozen(kw_only=True)
class Model(abc.ABC):
    """A model that is asked with one request and answers once: generator and judge model in one.

    Attributes:
        provider: the first part of the component id.
        model: the name that the provider knows the model by.
        sampling: how it draws answers.
        provider_key: groups calls for limits; all models of one endpoint share it.
        component_id: what it is called in a run; `provider/model` unless stated. Two of one model, as judges with other
            settings, need names of their own.
    """

    version: ClassVar[str] = "1"

    provider: str
    model: str
    sampling: Sampling = attrs.field(factory=Sampling)
    provider_key: str
    component_id: str = attrs.field(validator=attrs.validators.min_len(1))

    @component_id.default
    def _named_after_the_model(self) -> str:
        return f"{self.provider}/{self.model}"

    def __attrs_post_init__(self) -> None:
        refuse(unsendable(self._quirks, self.sampling))
        refuse_secrets({"extra": self.sampling.extra})

    @property
    @abc.abstractmethod
    def _quirks(self) -> tuple[Quirk, ...]:
        """What the protocol does not take, or takes under another name."""

    @property
    def max_tokens(self) -> int | None:
        return self.sampling.max_tokens

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Return the hash of all that decides about answers."""

    @abc.abstractmethod
    def check(self) -> Sequence[str]:
        """Return what is missing for calls to succeed, one sentence each, without making one."""

    def request(self, case: Case, ctx: GenerateContext) -> dict[str, Any]:
        """Return the whole body that would be sent for a case: pure, and what candidates are cached under.

        Without `ctx.seed` it holds the configured seed, or none.
        """
        return self._body(prompt_of(case, ctx.prompt_spec), ctx.seed)

    def estimate(self, request: Mapping[str, Any]) -> TokenEstimate:
        return TokenEstimate(prompt=prompt_tokens(request), completion=self.max_tokens or OUTPUT_TOKENS)

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Ask the model once.

        Raises:
            ProviderError: no usable answer.
        """
        prompt = prompt_of(case, ctx.prompt_spec)
        body = self._body(prompt, ctx.seed)
        outcome = self.result(case, ctx, prompt, body, await self._answer(body))
        if isinstance(outcome, CallFailure):
            raise ProviderError(outcome)
        return outcome

    def result(
        self, case: Case, ctx: GenerateContext, prompt: Prompt, body: Mapping[str, Any], answer: Answer
    ) -> GenerationResult | CallFailure:
        """Read the result of a case out of the endpoint's answer."""
        reply = self._reply(prompt, answer)
        if isinstance(reply, CallFailure):
            return reply
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=reply.output,
            conversation=conversation_of(case.input, prompt, reply.output),
            artifacts=_artifacts(reply, answer, body),
            token_usage=reply.usage or None,
            latency_ms=answer.latency_ms,
        )

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        """Ask the model once for a judgment.

        Raises:
            ProviderError: no usable answer.
        """
        asked = prompt_of(prompt.content)
        body = self._body(asked, seed)
        answer = await self._answer(body)
        reply = self._reply(asked, answer)
        if isinstance(reply, CallFailure):
            raise ProviderError(reply)
        response_id = reply.transport.get("response_id")
        return JudgeResponse(
            judge_model_id=self.component_id,
            judge_model_version=self.version,
            judge_model_fingerprint=self.fingerprint(),
            effective_seed=self.sampling.seed_for(seed),
            raw_response=text_of(reply.output),
            token_usage=reply.usage or None,
            latency_ms=answer.latency_ms,
            artifacts=_artifacts(reply, answer, body),
            provider_request_id=request_id(answer.headers) or (response_id if isinstance(response_id, str) else None),
        )

    def _reply(self, prompt: Prompt, answer: Answer) -> Reply | CallFailure:
        reply = self.read(answer.body, is_structured=prompt.is_structured)
        if isinstance(reply, CallFailure):
            return reply.evolve(
                request_id=request_id(answer.headers),
                message=self._redact(reply.message),
                retry_after_s=retry_after(answer.headers, datetime.now(UTC)),
            )
        return reply

    def read(self, body: bytes, *, is_structured: bool) -> Reply | CallFailure:
        """Read an answer's body, whatever is in it."""
        try:
            payload = answer_of(body) if is_stream(body) else decode(body)
        except MISSHAPEN:
            return malformed("the body is no JSON, or not all of it", body[-100:])
        if payload is None and is_stream(body):
            return malformed("a stream of events without its end", body[-100:])
        try:
            return self._read(payload, is_structured=is_structured)
        except MISSHAPEN:
            return malformed("the answer does not follow the protocol", payload)

    @abc.abstractmethod
    async def _answer(self, body: Mapping[str, Any]) -> Answer:
        """Make the call."""

    @abc.abstractmethod
    def _redact(self, text: str) -> str:
        """Return a text without credentials."""

    @abc.abstractmethod
    def _body(self, prompt: Prompt, seed: int | None) -> dict[str, Any]:
        """Render the request's body."""

    @abc.abstractmethod
    def _read(self, payload: Any, *, is_structured: bool) -> Reply | CallFailure:
        """Read the answer."""


@attrs.frozen(kw_only=True)
class HttpModel(Model):
    """A model behind an HTTP endpoint.

    Attributes:
        endpoint: where it is served.
        endpoint_name: stands for the address in the fingerprint, for servers that move.
        client: an `AsyncClient` of `httpx` or `httpx2` to use instead of the endpoint's own; it stays open.
    """

    endpoint: Endpoint
    endpoint_name: str | None = None
    client: httpx.AsyncClient | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def _quirks(self) -> tuple[Quirk, ...]:
        return quirks_of(self.provider, self.endpoint.base_url, self._protocol()[0], self.model)

    def fingerprint(self) -> str:
        """Return the hash of all that decides about answers: endpoint, protocol, model, sampling, adapter, headers."""
        facts = {
            "adapter": [self.provider, self.version, *self._protocol()],
            "endpoint": self.endpoint_name or self.endpoint.base_url,
            "model": self.model,
            "sampling": self._stated_sampling(),
        }
        # What is not there does not count: a model without headers is called what it always was.
        return content_hash({**facts, **{name: fact for name, fact in self._sent_besides().items() if fact}})

    def _sent_besides(self) -> dict[str, list[tuple[str, str]]]:
        """Return what reaches the server besides body and address, but for what can't change an answer."""
        client, default = self.client, self._default_headers()
        added = [] if client is None else [pair for pair in client.headers.multi_items() if pair[0] not in _STATED]
        query = [*(() if client is None else client.params.multi_items())]
        if self.endpoint_name is not None:  # the name stands for where the server is, and not for what it is asked
            query += parse_qsl(urlsplit(self.endpoint.base_url).query)
        headers = [pair for pair in self.endpoint.counted_headers(added) if pair not in default]
        return {"headers": headers, "query": [pair for pair in query if not names_secret(pair[0], "query")]}

    def _stated_sampling(self) -> Sampling:
        """Return the sampling without what the protocol would be sent anyway."""
        return self.sampling

    def _default_headers(self) -> Collection[tuple[str, str]]:
        return ()

    def describe(self) -> dict[str, JSONValue]:
        """Return how the model is asked, as far as it is stated: what is left to the server is not there."""
        sampling = {**attrs.asdict(self.sampling, recurse=False), "max_tokens": self.max_tokens}
        facts: dict[str, JSONValue] = {
            "model": self.model,
            "api": self._protocol()[0],
            "base_url": self.endpoint.base_url,
            "endpoint_name": self.endpoint_name,
            **sampling,
            # Their names alone: what a gateway takes for a credential can't be known.
            **{what: sorted({name for name, _ in sent}) for what, sent in self._sent_besides().items()},
            "api_key_env": self.endpoint.key_env,
        }
        return {name: fact for name, fact in facts.items() if fact is not None and fact not in ((), [], {})}

    def check(self) -> Sequence[str]:
        """Return what is missing for calls to succeed, one sentence each, without making one."""
        problem = self.endpoint.missing_key()
        faults = [] if problem is None else [problem]
        return (*faults, *(self.endpoint.network_faults() if self.client is None else ()))

    @property
    def batch(self) -> BatchEndpoint | None:
        """The provider's batch endpoint, if it has one."""
        protocol = batch_protocol(self.provider)
        return None if protocol is None else HttpBatches(self, BATCH_WIRES[protocol](self.path))

    def session(self) -> AbstractAsyncContextManager[None]:
        return pooled_clients()

    async def _answer(self, body: Mapping[str, Any]) -> Answer:
        return await post_json(self.endpoint, self.path, encode(body), self.client)

    def _redact(self, text: str) -> str:
        return self.endpoint.redact(text)

    @abc.abstractmethod
    def _protocol(self) -> tuple[str, ...]:
        """Return what tells this protocol apart in the fingerprint."""

    @property
    @abc.abstractmethod
    def path(self) -> str:
        """The operation's path, below the endpoint's address."""


def _artifacts(reply: Reply, answer: Answer, request: Mapping[str, Any]) -> dict[str, JSONValue]:
    artifacts = {
        "request": without_files(request),
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "logprobs": reply.logprobs,
        "reasoning": reply.reasoning,
    }
    transport: dict[str, JSONValue] = {**reply.transport}
    if (identifier := request_id(answer.headers)) is not None:
        transport["request_id"] = identifier
    if (processing := answer.headers.get("openai-processing-ms")) is not None:
        transport["processing_ms"] = processing
    return {**stated(artifacts), TRANSPORT: transport}
