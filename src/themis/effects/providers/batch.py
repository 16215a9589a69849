"""OpenAI's Batch protocol as a way to make many calls: half the price, and an answer within a day.

A batch carries the hash of its requests as metadata: because a process can die between the provider's answer and the
moment when the batch's id is stored, a batch of that hash that the provider knows already is taken up instead of
submitted again. `themis.effects.batching` carries whole runs out this way.

Source: the API reference at platform.openai.com/docs/api-reference/batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from themis.effects.providers.http import Answer, call
from themis.effects.providers.openai import OpenAIModel
from themis.pure.calls import CallFailure, FailureKind, ProviderError
from themis.pure.errors import SpecError
from themis.pure.json import decode, encode
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.wire.exchange import error_in, prompt_of

_HASH: Final = "themis_requests"
_BOUNDARY: Final = "themis-batch-7d1f4c"
_UNFINISHED: Final = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
MOST_REQUESTS: Final = 50_000
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


def render_batch(model: OpenAIModel, items: Sequence[BatchItem]) -> BatchRequests:
    """Render items as the file that a batch is made from.

    Raises:
        SpecError: too many items, or two of one key.
    """
    if len(items) > MOST_REQUESTS:
        raise SpecError(f"a batch takes at most {MOST_REQUESTS:,} requests; {len(items):,} were given: split them")
    if len({item.key for item in items}) != len(items):
        raise SpecError("items: each needs a key of its own")
    content = b"\n".join(encode(_line(model, item)) for item in items)
    return BatchRequests(digest=hashlib.sha256(model.fingerprint().encode() + content).hexdigest(), content=content)


async def submit_batch(model: OpenAIModel, requests: BatchRequests, *, take_up: bool = True) -> str:
    """Submit a batch and return its id; with `take_up`, one of the same requests that is there already is taken.

    Raises:
        ProviderError: the provider refuses it, or can't be reached.
    """
    if take_up and (known := await known_batch(model, requests.digest)) is not None:
        return known
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    file = await _json(model, "POST", "/files", _form(requests.content), kind)
    body = {
        "input_file_id": file["id"],
        "endpoint": "/v1" + model.path,
        "completion_window": "24h",
        "metadata": {_HASH: requests.digest},
    }
    return str((await _json(model, "POST", "/batches", encode(body)))["id"])


async def batch_state(model: OpenAIModel, batch_id: str) -> Mapping[str, Any] | None:
    """Return what the provider says of a batch that has ended; `None` while it has not."""
    batch = await _json(model, "GET", f"/batches/{batch_id}")
    return None if batch.get("status") in _UNFINISHED else batch


def _line(model: OpenAIModel, item: BatchItem) -> dict[str, Any]:
    body = model.request(item.case, item.ctx)
    return {"custom_id": item.key, "method": "POST", "url": "/v1" + model.path, "body": body}


async def known_batch(model: OpenAIModel, digest: str) -> str | None:
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


def answer_files(batch: Mapping[str, Any]) -> list[str]:
    """Return the files that a batch's answers are in; none for a batch that failed as a whole."""
    return [batch[name] for name in ("output_file_id", "error_file_id") if batch.get(name)]


async def batch_answers(model: OpenAIModel, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the lines of a batch that has ended, by key: those that were answered, and those that failed.

    Raises:
        ProviderError: the batch failed as a whole.
    """
    files = answer_files(batch)
    if not files:
        faults = (batch.get("errors") or {}).get("data") or ({"message": "no reason given"},)
        message = f"the batch is {batch.get('status')}: {faults[0].get('message')}"
        raise ProviderError(
            CallFailure(kind=FailureKind.STATUS, status=400, code=faults[0].get("code"), message=message)
        )
    answers: dict[str, Any] = {}
    endpoint = attrs.evolve(model.endpoint, max_bytes=max(model.endpoint.max_bytes, _MOST_BYTES))
    for file in files:
        content = await call(endpoint, "GET", f"/files/{file}/content", b"", {}, model.client)
        for line in content.body.splitlines():
            if line.strip():
                answer = decode(line)
                answers[answer["custom_id"]] = answer
    return answers


def batch_outcome(model: OpenAIModel, item: BatchItem, line: Any) -> GenerationResult | CallFailure:
    """Read one line of a batch's answers; `None` is a request that the batch has no answer to."""
    if line is None:
        return CallFailure(kind=FailureKind.TIMEOUT, message="the batch has ended without an answer to this request")
    response = line.get("response")
    if not response:
        error = line.get("error") or {}
        return CallFailure(
            kind=FailureKind.STATUS, status=500, code=error.get("code"), message=str(error.get("message"))
        )
    body = encode(response.get("body"))
    if response["status_code"] != 200:
        message, code = error_in(body)
        return CallFailure(kind=FailureKind.STATUS, status=response["status_code"], code=code, message=message)
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
        raise ProviderError(CallFailure(kind=FailureKind.MALFORMED, message=f"{path}: a JSON object expected"))
    return payload


def _form(content: bytes) -> bytes:
    """Return the upload as a form (RFC 7578)."""
    start = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    return start.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
