"""A provider's batch endpoint as a way to make many calls: half the price, and an answer within a day.

What is said to which address is `themis.pure.wire.batch_wire`'s; here it is carried out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs

from themis.effects.providers.http import Answer, call
from themis.pure.batches import BatchItem, BatchRequests, Sighting, Submission
from themis.pure.calls import CallFailure, FailureKind, ProviderError
from themis.pure.json import encode
from themis.pure.records.generation import GenerationResult
from themis.pure.wire.batch_wire import BatchReply, BatchWire, Exchange, WireCall
from themis.pure.wire.exchange import prompt_of
from themis.pure.wire.failures import MISSHAPEN, malformed

if TYPE_CHECKING:
    from themis.effects.providers.model import HttpModel

T = TypeVar("T")

_MOST_BYTES: Final = 1 << 29


@attrs.frozen
class HttpBatches:
    """The `BatchEndpoint` of a model behind an HTTP endpoint."""

    model: HttpModel
    wire: BatchWire

    def render(self, items: Sequence[BatchItem]) -> Iterator[BatchRequests]:
        keys: list[str] = []
        lines: list[bytes] = []
        size = 0
        for item in items:
            line = encode(self.wire.line(item.key, self.model.request(item.case, item.ctx)))
            if lines and (len(lines) >= self.wire.most_requests or size + len(line) > self.wire.most_bytes):
                yield self._requests(keys, lines)
                keys, lines, size = [], [], 0
            keys.append(item.key)
            lines.append(line)
            size += len(line)
        if lines:
            yield self._requests(keys, lines)

    def _requests(self, keys: Sequence[str], lines: Sequence[bytes]) -> BatchRequests:
        digest = hashlib.sha256(self.model.fingerprint().encode() + b"\n".join(lines)).hexdigest()
        return BatchRequests(digest=digest, keys=keys, lines=lines)

    async def submit(self, requests: BatchRequests) -> str:
        return await self._carried_out(self.wire.submit(requests))

    async def find(self, submission: Submission) -> Sighting | None:
        return await self._carried_out(self.wire.find(submission))

    async def ended(self, batch_id: str) -> Mapping[str, Any] | None:
        return await self._carried_out(self.wire.ended(batch_id))

    async def cancel(self, batch_id: str) -> None:
        await self._carried_out(self.wire.cancel(batch_id))

    def failure(self, batch: Mapping[str, Any]) -> CallFailure | None:
        return self.wire.failure(batch)

    async def answers(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return await self._carried_out(self.wire.answers(batch))

    def is_answer(self, line: Any) -> bool:
        # A refusal is an answer, too: it was paid for. A failure that came as an answer is asked again.
        read = self._read(line)
        if isinstance(read, CallFailure):
            return False
        reply = self.model.read(encode(read.body), is_structured=False)
        return not isinstance(reply, CallFailure) or reply.kind is FailureKind.REFUSAL

    def outcome(self, item: BatchItem, line: Any) -> GenerationResult | CallFailure:
        read = self._read(line)
        if isinstance(read, CallFailure):
            return read
        headers = {"x-request-id": read.request_id} if read.request_id else {}
        answer = Answer(headers=headers, body=encode(read.body), latency_ms=None)
        prompt = prompt_of(item.case, item.ctx.prompt_spec)
        return self.model.result(item.case, item.ctx, prompt, self.model.request(item.case, item.ctx), answer)

    def _read(self, line: Any) -> BatchReply | CallFailure:
        if line is None:
            message = "the batch has ended without an answer to this request"
            return CallFailure(kind=FailureKind.TIMEOUT, message=message)
        try:
            return self.wire.read(line)
        except MISSHAPEN:
            return malformed("the result does not follow the batch protocol", line)

    async def _carried_out(self, exchange: Exchange[T]) -> T:
        model = self.model
        endpoint = attrs.evolve(model.endpoint, max_bytes=max(model.endpoint.max_bytes, _MOST_BYTES))
        step = _next(exchange, None)
        while isinstance(step, WireCall):
            headers = {"accept": "application/json", **({"content-type": step.content_type} if step.body else {})}
            answer = await call(endpoint, step.method, step.path, step.body, headers, model.client)
            step = _next(exchange, answer.body)
        if isinstance(step, CallFailure):
            raise ProviderError(step)
        return step.value


@attrs.frozen
class _End(Generic[T]):
    value: T


def _next(exchange: Exchange[T], body: bytes | None) -> WireCall | _End[T] | CallFailure:
    """Send an exchange the answer it waits for; what the answer breaks in it is the server's fault."""
    try:
        return next(exchange) if body is None else exchange.send(body)
    except StopIteration as end:
        return _End(end.value)
    except MISSHAPEN:
        return malformed("the answer does not follow the batch protocol", body)
