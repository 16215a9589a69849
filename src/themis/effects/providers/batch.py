"""OpenAI's Batch protocol as a way to make many calls: half the price, and an answer within a day.

A batch is submitted once, whatever happens to this process. Its id is stored before the first poll; and because
the process can die between the provider's answer and the store, the batch carries the hash of its requests as
metadata, and a batch of that hash that the provider knows already is taken up instead of submitted again.

Source: the API reference at platform.openai.com/docs/api-reference/batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import trio

from themis.effects.providers.http import Answer, call
from themis.effects.providers.openai import OpenAIModel
from themis.pure.calls import Failure, FailureKind, ProviderError
from themis.pure.errors import SpecError
from themis.pure.json import decode, encode
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.wire.exchange import error_in, prompt_of

_HASH: Final = "themis_requests"
_BOUNDARY: Final = "themis-batch-7d1f4c"
_UNFINISHED: Final = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_MOST_REQUESTS: Final = 50_000
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


StoreId = Callable[[str], Awaitable[None]]
"""Stores a batch's id; when it returns, the id is durable."""


async def generate_batch(
    model: OpenAIModel,
    items: Sequence[BatchItem],
    *,
    store_id: StoreId,
    stored_id: str | None = None,
    poll_s: float = 30.0,
) -> list[GenerationResult | Failure]:
    """Make the generations of a batch; returns a result or failure for each item, in the order of the items.

    Args:
        model: whom to ask.
        items: what to ask, at most 50,000.
        store_id: called with the batch's id before it is first asked about.
        stored_id: the id that an earlier process stored for these very items.
        poll_s: seconds between two questions whether it is done.

    Raises:
        ProviderError: the batch as a whole failed, or the provider can't be reached.
        SpecError: too many items, or two of one key.
    """
    if len(items) > _MOST_REQUESTS:
        raise SpecError(f"a batch takes at most {_MOST_REQUESTS:,} requests; {len(items):,} were given: split them")
    if len({item.key for item in items}) != len(items):
        raise SpecError("items: each needs a key of its own")
    batch_id = stored_id
    if batch_id is None:
        batch_id = await _submitted(model, items)
        await store_id(batch_id)
    batch = await _finished(model, batch_id, poll_s)
    answers = await _answers(model, batch)
    return [_outcome(model, item, answers.get(item.key), str(batch.get("status"))) for item in items]


async def _submitted(model: OpenAIModel, items: Sequence[BatchItem]) -> str:
    content = b"\n".join(encode(_line(model, item)) for item in items)
    digest = hashlib.sha256(model.fingerprint().encode() + content).hexdigest()
    known = await _known(model, digest)
    if known is not None:
        return known
    file = await _json(model, "POST", "/files", _form(content), f"multipart/form-data; boundary={_BOUNDARY}")
    body = {
        "input_file_id": file["id"],
        "endpoint": "/v1" + model.path,
        "completion_window": "24h",
        "metadata": {_HASH: digest},
    }
    return str((await _json(model, "POST", "/batches", encode(body)))["id"])


def _line(model: OpenAIModel, item: BatchItem) -> dict[str, Any]:
    body = model.request(item.case, item.ctx)
    return {"custom_id": item.key, "method": "POST", "url": "/v1" + model.path, "body": body}


async def _known(model: OpenAIModel, digest: str) -> str | None:
    """Return the id of a batch of these requests that was submitted before and did not fail."""
    after = ""
    for _ in range(_MOST_PAGES):
        page = await _json(model, "GET", f"/batches?limit=100{after}")
        for batch in page.get("data") or ():
            usable = batch.get("status") in _UNFINISHED | {"completed"}
            if usable and (batch.get("metadata") or {}).get(_HASH) == digest:
                return str(batch["id"])
        if not page.get("has_more"):
            return None
        after = f"&after={page['data'][-1]['id']}"
    return None


async def _finished(model: OpenAIModel, batch_id: str, poll_s: float) -> Mapping[str, Any]:
    while True:
        batch = await _json(model, "GET", f"/batches/{batch_id}")
        if batch.get("status") not in _UNFINISHED:
            return batch
        await trio.sleep(poll_s)


async def _answers(model: OpenAIModel, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the batch's lines by key: those that were answered, and those that failed."""
    files = [batch[name] for name in ("output_file_id", "error_file_id") if batch.get(name)]
    if not files:
        faults = (batch.get("errors") or {}).get("data") or ({"message": "no reason given"},)
        message = f"the batch is {batch.get('status')}: {faults[0].get('message')}"
        raise ProviderError(Failure(kind=FailureKind.STATUS, status=400, code=faults[0].get("code"), message=message))
    answers: dict[str, Any] = {}
    endpoint = attrs.evolve(model.endpoint, max_bytes=max(model.endpoint.max_bytes, _MOST_BYTES))
    for file in files:
        content = await call(endpoint, "GET", f"/files/{file}/content", b"", {}, model.client)
        for line in content.body.splitlines():
            if line.strip():
                answer = decode(line)
                answers[answer["custom_id"]] = answer
    return answers


def _outcome(model: OpenAIModel, item: BatchItem, line: Any, status: str) -> GenerationResult | Failure:
    if line is None:
        return Failure(kind=FailureKind.TIMEOUT, message=f"the batch is {status}, without an answer to this request")
    response = line.get("response")
    if not response:
        error = line.get("error") or {}
        return Failure(kind=FailureKind.STATUS, status=500, code=error.get("code"), message=str(error.get("message")))
    body = encode(response.get("body"))
    if response["status_code"] != 200:
        message, code = error_in(body)
        return Failure(kind=FailureKind.STATUS, status=response["status_code"], code=code, message=message)
    request_id = response.get("request_id")
    answer = Answer(headers={"x-request-id": request_id} if request_id else {}, body=body, latency_ms=None)
    prompt = prompt_of(item.case.input, item.ctx.prompt_spec)
    return model.result(item.case, item.ctx, prompt, answer)


async def _json(
    model: OpenAIModel, method: str, path: str, body: bytes = b"", kind: str = "application/json"
) -> Mapping[str, Any]:
    headers = {"accept": "application/json", **({"content-type": kind} if body else {})}
    answer = await call(model.endpoint, method, path, body, headers, model.client)
    try:
        payload = decode(answer.body)
    except ValueError:
        payload = None
    if not isinstance(payload, Mapping):
        raise ProviderError(Failure(kind=FailureKind.MALFORMED, message=f"{path}: a JSON object expected"))
    return payload


def _form(content: bytes) -> bytes:
    """Return the upload as a form (RFC 7578)."""
    start = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    return start.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
