"""The batch endpoints of OpenAI, Anthropic and Gemini: each a multi-step exchange, as generators without a socket.

An exchange yields the calls that are to be made, is sent each answer's body, and returns what came of it. `read` makes
one request's result the answer that the single call would have been, or the failure: one that its provider cancelled,
let expire or failed is nobody's answer.

A process can die between the provider's answer to a submission and the moment when the batch's id is on disk. `find`
then looks for the batch. OpenAI keeps our digest as metadata, Gemini as the display name. Anthropic keeps no name of
ours, and shows the requests' keys with their results only: of the batches that are young enough and of the right size,
the newest whose results have our first key is ours, and one that is still being worked on may be.

Sources: platform.openai.com/docs/api-reference/batch; "Message Batches" at docs.anthropic.com; "Batch API" at
ai.google.dev.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Protocol, TypeAlias, TypeVar

import attrs

from themis.pure.batches import BatchRequests, Sighting, Submission
from themis.pure.calls import CallFailure, FailureKind
from themis.pure.json import EMPTY, decode, encode
from themis.pure.records.base import FrozenModel
from themis.pure.wire.failures import error_in

T = TypeVar("T")

_MEGABYTE: Final = 1 << 20
_MOST_PAGES: Final = 20
_SKEW: Final = timedelta(hours=1)
"""How far the provider's clock may be from ours."""
_WHERE: Final = "the request's line of the batch"


@attrs.frozen(kw_only=True)
class WireCall(FrozenModel):
    """One HTTP request below the endpoint's address."""

    method: str
    path: str
    body: bytes = attrs.field(default=b"", repr=False)
    content_type: str = "application/json"


@attrs.frozen(kw_only=True)
class BatchReply(FrozenModel):
    """The answer to one request of a batch: the body that the single call would have had."""

    body: Any
    request_id: str | None = None


Exchange: TypeAlias = Generator[WireCall, bytes, T]
Fields: TypeAlias = Mapping[str, Any]


class BatchWire(Protocol):
    """A provider's batch protocol; it is made for the path of the operation that single calls go to.

    Attributes:
        most_requests, most_bytes: of one batch.
    """

    most_requests: ClassVar[int]
    most_bytes: ClassVar[int]

    def line(self, key: str, body: Fields) -> Fields:
        """Return one request of a batch, from the body that the single call would have."""

    def submit(self, requests: BatchRequests) -> Exchange[str]: ...
    def find(self, submission: Submission) -> Exchange[Sighting | None]: ...
    def ended(self, batch_id: str) -> Exchange[Fields | None]: ...
    def cancel(self, batch_id: str) -> Exchange[None]: ...
    def failure(self, batch: Fields) -> CallFailure | None: ...
    def answers(self, batch: Fields) -> Exchange[dict[str, Any]]: ...
    def read(self, line: Fields) -> BatchReply | CallFailure: ...


def _get(path: str) -> Exchange[Fields]:
    return _object((yield WireCall(method="GET", path=path)))


def _post(path: str, body: bytes = b"", content_type: str = "application/json") -> Exchange[Fields]:
    return _object((yield WireCall(method="POST", path=path, body=body, content_type=content_type)))


def _object(body: bytes) -> Fields:
    payload = decode(body)
    if not isinstance(payload, Mapping):
        raise TypeError("a JSON object expected")
    return payload


def _lines(body: bytes) -> Iterator[Fields]:
    return (_object(line) for line in body.splitlines() if line.strip())


def _failed(batch_is: object, words: object, code: str | None = None) -> CallFailure:
    message = f"the batch is {batch_is}: {words or 'no reason given'}"
    return CallFailure(kind=FailureKind.STATUS, status=400, code=code, message=message)


def _error(error: object, status: int = 500) -> CallFailure:
    """Return the failure of one request, from its error; `status` where that states none."""
    stated = error_in(encode({"error": error or "no reason given"}))
    return stated.of_status(stated.status or status, _WHERE)


@attrs.frozen
class OpenAIBatches:
    """OpenAI's: the requests are a file, and so are the results, and the failures beside them."""

    path: str
    most_requests: ClassVar[int] = 50_000
    most_bytes: ClassVar[int] = 100 * _MEGABYTE  # twice as many are taken

    _hash: ClassVar[str] = "themis_requests"
    _unfinished: ClassVar[frozenset[str]] = frozenset({"validating", "in_progress", "finalizing", "cancelling"})

    def line(self, key: str, body: Fields) -> Fields:
        return {"custom_id": key, "method": "POST", "url": f"/v1{self.path}", "body": body}

    def submit(self, requests: BatchRequests) -> Exchange[str]:
        boundary = f"themis-{requests.digest}"
        form = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--{boundary}\r\n'
            'content-disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
            "content-type: application/jsonl\r\n\r\n"
        )
        content = b"".join((form.encode(), b"\n".join(requests.lines), f"\r\n--{boundary}--\r\n".encode()))
        file = yield from _post("/files", content, f"multipart/form-data; boundary={boundary}")
        body = {
            "input_file_id": file["id"],
            "endpoint": f"/v1{self.path}",
            "completion_window": "24h",
            "metadata": {self._hash: requests.digest},
        }
        return str((yield from _post("/batches", encode(body)))["id"])

    def find(self, submission: Submission) -> Exchange[Sighting | None]:
        after = ""
        for _ in range(_MOST_PAGES):
            page = yield from _get(f"/batches?limit=100{after}")
            for batch in page.get("data") or ():
                usable = batch.get("status") in self._unfinished | {"completed"}
                if usable and (batch.get("metadata") or EMPTY).get(self._hash) == submission.digest:
                    return Sighting(batch_id=str(batch["id"]))
            if not page.get("has_more"):
                break
            after = f"&after={page['data'][-1]['id']}"
        return None

    def ended(self, batch_id: str) -> Exchange[Fields | None]:
        batch = yield from _get(f"/batches/{batch_id}")
        return None if batch.get("status") in self._unfinished else batch

    def cancel(self, batch_id: str) -> Exchange[None]:
        yield from _post(f"/batches/{batch_id}/cancel")

    def failure(self, batch: Fields) -> CallFailure | None:
        if self._files(batch):
            return None
        fault = next(iter((batch.get("errors") or EMPTY).get("data") or ()), EMPTY)
        return _failed(batch.get("status"), fault.get("message"), fault.get("code"))

    def answers(self, batch: Fields) -> Exchange[dict[str, Any]]:
        answers: dict[str, Any] = {}
        for file in self._files(batch):
            content = yield WireCall(method="GET", path=f"/files/{file}/content")
            answers |= {line["custom_id"]: line for line in _lines(content)}
        return answers

    def _files(self, batch: Fields) -> list[str]:
        return [batch[name] for name in ("output_file_id", "error_file_id") if batch.get(name)]

    def read(self, line: Fields) -> BatchReply | CallFailure:
        response = line.get("response")
        if not response:
            return _error(line.get("error"))
        if response["status_code"] != 200:
            return error_in(encode(response.get("body"))).of_status(response["status_code"], _WHERE)
        return BatchReply(body=response.get("body"), request_id=response.get("request_id"))


@attrs.frozen
class AnthropicBatches:
    """Anthropic's: one call takes all requests, and the results are lines, each of which says how it ended."""

    path: str
    most_requests: ClassVar[int] = 100_000
    most_bytes: ClassVar[int] = 100 * _MEGABYTE  # 256 MB are taken

    @property
    def _batches(self) -> str:
        return f"{self.path}/batches"

    def line(self, key: str, body: Fields) -> Fields:
        return {"custom_id": key, "params": body}

    def submit(self, requests: BatchRequests) -> Exchange[str]:
        batch = yield from _post(self._batches, b'{"requests":[' + b",".join(requests.lines) + b"]}")
        return str(batch["id"])

    def find(self, submission: Submission) -> Exchange[Sighting | None]:
        if submission.began_at is None:
            return None
        after = ""
        for _ in range(_MOST_PAGES):
            page = yield from _get(f"{self._batches}?limit=100{after}")
            for batch in page.get("data") or ():  # the newest first
                if datetime.fromisoformat(batch["created_at"]) < submission.began_at - _SKEW:
                    return None
                if sum((batch.get("request_counts") or EMPTY).values()) != submission.size:
                    continue
                if batch.get("processing_status") != "ended":
                    return Sighting(batch_id=str(batch["id"]), is_certain=False)
                if batch.get("results_url") and submission.first_key in (yield from self.answers(batch)):
                    return Sighting(batch_id=str(batch["id"]))
            if not page.get("has_more"):
                break
            after = f"&after_id={page['last_id']}"
        return None

    def ended(self, batch_id: str) -> Exchange[Fields | None]:
        batch = yield from _get(f"{self._batches}/{batch_id}")
        return batch if batch.get("processing_status") == "ended" else None

    def cancel(self, batch_id: str) -> Exchange[None]:
        yield from _post(f"{self._batches}/{batch_id}/cancel")

    def failure(self, batch: Fields) -> CallFailure | None:
        return None if batch.get("results_url") else _failed("archived", "its results are kept for 29 days")

    def answers(self, batch: Fields) -> Exchange[dict[str, Any]]:
        # By the documented path, not by `results_url`: a credential goes to the endpoint's own address only.
        content = yield WireCall(method="GET", path=f"{self._batches}/{batch['id']}/results")
        return {line["custom_id"]: line for line in _lines(content)}

    def read(self, line: Fields) -> BatchReply | CallFailure:
        result = line["result"]
        if result["type"] == "succeeded":
            return BatchReply(body=result["message"])
        if result["type"] == "errored":
            error = result.get("error") or EMPTY
            return _error(error.get("error") or error)
        return CallFailure(kind=FailureKind.FAILED, code=result["type"], message=f"the request was {result['type']}")


@attrs.frozen
class GeminiBatches:
    """Gemini's: one call takes all requests, and the batch that has ended holds their results.

    A batch is a long-running operation; its states are `BATCH_STATE_...` in the reference, `JOB_STATE_...` in guides.
    """

    path: str
    most_requests: ClassVar[int] = 50_000
    most_bytes: ClassVar[int] = 15 * _MEGABYTE  # "inline requests": 20 MB at most, for the whole call

    _name: ClassVar[str] = "themis-"
    _ends: ClassVar[frozenset[str]] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})

    def line(self, key: str, body: Fields) -> Fields:
        return {"request": body, "metadata": {"key": key}}

    def submit(self, requests: BatchRequests) -> Exchange[str]:
        name = encode(self._name + requests.digest)
        head = b'{"batch":{"displayName":' + name + b',"inputConfig":{"requests":{"requests":['
        path = f"{self.path.removesuffix(':generateContent')}:batchGenerateContent"
        batch = yield from _post(path, head + b",".join(requests.lines) + b"]}}}}")
        return str(batch["name"])

    def find(self, submission: Submission) -> Exchange[Sighting | None]:
        token = ""
        for _ in range(_MOST_PAGES):
            page = yield from _get(f"/batches?pageSize=100{token}")
            for batch in page.get("operations") or ():
                named = (batch.get("metadata") or EMPTY).get("displayName")
                if named == self._name + submission.digest and _state(batch) not in self._ends - {"SUCCEEDED"}:
                    return Sighting(batch_id=str(batch["name"]))
            if not page.get("nextPageToken"):
                break
            token = f"&pageToken={page['nextPageToken']}"
        return None

    def ended(self, batch_id: str) -> Exchange[Fields | None]:
        batch = yield from _get(f"/{batch_id}")
        return batch if batch.get("done") or _state(batch) in self._ends else None

    def cancel(self, batch_id: str) -> Exchange[None]:
        yield from _post(f"/{batch_id}:cancel")

    def failure(self, batch: Fields) -> CallFailure | None:
        if self._results(batch):
            return None
        error = batch.get("error") or EMPTY
        return _failed(_state(batch).lower(), error.get("message"), error.get("status"))

    def answers(self, batch: Fields) -> Exchange[dict[str, Any]]:
        yield from ()  # they have come with the batch
        return {line["metadata"]["key"]: line for line in self._results(batch)}

    def _results(self, batch: Fields) -> Sequence[Fields]:
        output = batch.get("response") or (batch.get("metadata") or EMPTY).get("output") or EMPTY
        found: Sequence[Fields] = (output.get("inlinedResponses") or EMPTY).get("inlinedResponses") or ()
        return found

    def read(self, line: Fields) -> BatchReply | CallFailure:
        return BatchReply(body=line["response"]) if line.get("response") else _error(line.get("error"))


def _state(batch: Fields) -> str:
    return str((batch.get("metadata") or EMPTY).get("state")).rpartition("STATE_")[2]


BATCH_WIRES: Final[Mapping[str, Callable[[str], BatchWire]]] = {
    "openai": OpenAIBatches,
    "anthropic": AnthropicBatches,
    "gemini": GeminiBatches,
}
