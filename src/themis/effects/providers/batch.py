"""OpenAI's Batch protocol as a way to make many calls: half the price, and an answer within a day.

A batch carries the hash of its requests as metadata: because a process can die between the provider's answer and the
moment when the batch's id is stored, a batch of that hash that the provider knows already is taken up instead of
submitted again. `themis.effects.batching` carries whole runs out this way.

Source: the API reference at platform.openai.com/docs/api-reference/batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
import httpx

from themis.effects.providers.http import Answer, call
from themis.effects.providers.model import HttpModel
from themis.pure.calls import CallFailure, FailureKind, ProviderError
from themis.pure.json import decode, encode
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.wire.exchange import prompt_of
from themis.pure.wire.failures import error_in

_HASH: Final = "themis_requests"
_UNFINISHED: Final = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_MOST_REQUESTS: Final = 50_000
_LARGEST_FILE: Final = 100 << 20
"""Bytes of one batch's requests; OpenAI takes twice as many."""
_MOST_PAGES: Final = 20
_MOST_BYTES: Final = 1 << 29


@attrs.frozen(kw_only=True)
class BatchItem:
    """One generation of a batch.

    Attributes:
        key: names it within the batch, such as its candidate's cache key.
        case, ctx: what would be handed to `generate`.
    """

    key: str
    case: Case
    ctx: GenerateContext


@attrs.frozen(kw_only=True)
class BatchRequests:
    """The requests of one batch, rendered; `digest` names them, also to the provider."""

    digest: str
    content: bytes = attrs.field(repr=False)


@attrs.frozen
class OpenAIBatches:
    """The `BatchEndpoint` of a model that is asked in one of OpenAI's protocols."""

    model: HttpModel

    def render(self, items: Sequence[BatchItem]) -> Iterator[BatchRequests]:
        lines: list[bytes] = []
        size = 0
        for item in items:
            body = self.model.request(item.case, item.ctx)
            line = encode({"custom_id": item.key, "method": "POST", "url": self._url, "body": body})
            if lines and (len(lines) >= _MOST_REQUESTS or size + len(line) > _LARGEST_FILE):
                yield self._requests(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            yield self._requests(lines)

    @property
    def _url(self) -> str:
        return "/v1" + self.model.path

    def _requests(self, lines: Sequence[bytes]) -> BatchRequests:
        content = b"\n".join(lines)
        digest = hashlib.sha256(self.model.fingerprint().encode() + content).hexdigest()
        return BatchRequests(digest=digest, content=content)

    async def submit(self, requests: BatchRequests) -> str:
        upload = {"file": ("batch.jsonl", requests.content, "application/jsonl")}
        form = httpx.Request("POST", self.model.endpoint.base_url, data={"purpose": "batch"}, files=upload)
        file = await self._json("POST", "/files", form.read(), form.headers["content-type"])
        body = {
            "input_file_id": file["id"],
            "endpoint": self._url,
            "completion_window": "24h",
            "metadata": {_HASH: requests.digest},
        }
        return str((await self._json("POST", "/batches", encode(body)))["id"])

    async def known(self, digest: str) -> str | None:
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._json("GET", f"/batches?limit=100{after}")
            for batch in page.get("data") or ():
                usable = batch.get("status") in _UNFINISHED | {"completed"}
                if usable and (batch.get("metadata") or {}).get(_HASH) == digest:
                    return str(batch["id"])
            if not page.get("has_more"):
                return None
            after = f"&after={page['data'][-1]['id']}"
        return None

    async def ended(self, batch_id: str) -> Mapping[str, Any] | None:
        batch = await self._json("GET", f"/batches/{batch_id}")
        return None if batch.get("status") in _UNFINISHED else batch

    def failure(self, batch: Mapping[str, Any]) -> CallFailure | None:
        if _answer_files(batch):
            return None
        faults = (batch.get("errors") or {}).get("data") or ({"message": "no reason given"},)
        message = f"the batch is {batch.get('status')}: {faults[0].get('message')}"
        return CallFailure(kind=FailureKind.STATUS, status=400, code=faults[0].get("code"), message=message)

    async def answers(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        endpoint = self.model.endpoint
        endpoint = attrs.evolve(endpoint, max_bytes=max(endpoint.max_bytes, _MOST_BYTES))
        for file in _answer_files(batch):
            content = await call(endpoint, "GET", f"/files/{file}/content", b"", {}, self.model.client)
            for line in content.body.splitlines():
                if line.strip():
                    answer = decode(line)
                    answers[answer["custom_id"]] = answer
        return answers

    def is_answer(self, line: Any) -> bool:
        # A refusal is an answer, too: it was paid for. A failure that came as an answer is asked again.
        response = line.get("response") if isinstance(line, Mapping) else None
        if not isinstance(response, Mapping) or response.get("status_code") != 200:
            return False
        reply = self.model.read(encode(response.get("body")), is_structured=False)
        return not isinstance(reply, CallFailure) or reply.kind is FailureKind.REFUSAL

    def outcome(self, item: BatchItem, line: Any) -> GenerationResult | CallFailure:
        if line is None:
            return CallFailure(
                kind=FailureKind.TIMEOUT, message="the batch has ended without an answer to this request"
            )
        response = line.get("response")
        if not response:
            error = line.get("error") or {}
            return CallFailure(
                kind=FailureKind.STATUS, status=500, code=error.get("code"), message=str(error.get("message"))
            )
        body = encode(response.get("body"))
        if response["status_code"] != 200:
            return error_in(body).of_status(response["status_code"], "the request's line of the batch")
        request_id = response.get("request_id")
        answer = Answer(headers={"x-request-id": request_id} if request_id else {}, body=body, latency_ms=None)
        prompt = prompt_of(item.case.input, item.ctx.prompt_spec)
        return self.model.result(item.case, item.ctx, prompt, answer)

    async def _json(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> Mapping[str, Any]:
        headers = {"accept": "application/json", **({"content-type": kind} if body else {})}
        answer = await call(self.model.endpoint, method, path, body, headers, self.model.client)
        try:
            payload = decode(answer.body)
        except ValueError:
            payload = None
        if not isinstance(payload, Mapping):
            raise ProviderError(CallFailure(kind=FailureKind.MALFORMED, message=f"{path}: a JSON object expected"))
        return payload


def _answer_files(batch: Mapping[str, Any]) -> list[str]:
    """Return the files that a batch's answers are in; none for a batch that failed as a whole."""
    return [batch[name] for name in ("output_file_id", "error_file_id") if batch.get(name)]
