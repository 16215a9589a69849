"""The batch endpoints of OpenAI, Anthropic and Gemini, as the scripted endpoint serves them.

A batch is done when it has been asked about often enough; its results come in another order than its requests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.parser import BytesParser
from typing import Any, TypeAlias

Reply: TypeAlias = tuple[int, bytes]


def reply(payload: Any, status: int = 200) -> Reply:
    return status, json.dumps(payload).encode()


def error_reply(status: int, message: str, code: str) -> Reply:
    return reply({"type": "error", "error": {"message": message, "type": code, "code": code}}, status)


class Batches:
    """Remembers files and batches.

    Attributes:
        files: by id.
        batches: by id, each as its provider shows it, with what was handed in under `handed_in`.
    """

    def __init__(self, complete: Callable[[str, bytes], Reply], polls: int) -> None:
        self._complete = complete
        self._polls = polls
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}

    def answer(self, method: str, route: str, query: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """Return the answer to a request that is about files or batches, and `None` to any other."""
        if route == "/files":
            return self._store_file(headers, body)
        if route.startswith("/files/") and route.endswith("/content"):
            return 200, self.files[route.split("/")[2]]
        if route.startswith("/messages/batches"):
            return self._anthropic(method, route.removeprefix("/messages/batches").strip("/"), body)
        if route.endswith(":batchGenerateContent"):
            return self._gemini_created(route, body)
        if route == "/batches" and "pageSize" in query:
            return reply({"operations": [_operation(batch) for batch in self._newest()]})
        if route.startswith("/batches"):
            name = route.removeprefix("/batches").strip("/")
            return self._gemini(name) if name.startswith("g") else self._openai(method, name, body)
        return None

    def _newest(self) -> Iterator[dict[str, Any]]:
        return reversed(self.batches.values())

    def _looked_at(self, name: str) -> tuple[dict[str, Any] | None, bool]:
        """Return a batch, and whether it has become done just now."""
        batch = self.batches.get(name)
        if batch is None or batch["is_done"]:
            return batch, False
        batch["polls"] += 1
        batch["is_done"] = batch["polls"] >= self._polls
        return batch, batch["is_done"]

    def _new(self, key: str, handed_in: Any, /, **shown: Any) -> dict[str, Any]:
        self.batches[key] = {**shown, "polls": 0, "is_done": False, "is_cancelled": False, "handed_in": handed_in}
        return self.batches[key]

    # --- OpenAI -------------------------------------------------------------------------------------------

    def _store_file(self, headers: Mapping[str, str], body: bytes) -> Reply:
        form = BytesParser().parsebytes(b"content-type: " + headers["content-type"].encode() + b"\r\n\r\n" + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.walk()}
        content = parts["file"].get_payload(decode=True)
        assert isinstance(content, bytes)  # decoded
        assert parts["purpose"].get_payload() == "batch"
        name = f"file-{hashlib.sha256(content).hexdigest()[:16]}"
        self.files[name] = content
        return reply({"id": name, "object": "file", "purpose": "batch", "bytes": len(content)})

    def _openai(self, method: str, route: str, body: bytes) -> Reply:
        if not route and method == "POST":
            name, asked = f"batch_{len(self.batches) + 1}", json.loads(body)
            lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
            return reply(self._new(name, lines, id=name, object="batch", status="in_progress", **asked))
        if not route:
            return reply({"object": "list", "data": [*self._newest()], "has_more": False})
        name, _, verb = route.partition("/")
        batch, is_new = self._looked_at(name) if not verb else (self.batches.get(name), False)
        if batch is None:
            return error_reply(404, f"no batch {name}", "not_found")
        if verb == "cancel":
            batch.update(status="cancelled", is_done=True, is_cancelled=True)
        if is_new and batch["status"] == "in_progress":
            content = "\n".join(json.dumps(self._openai_line(line)) for line in reversed(batch["handed_in"]))
            self.files[f"out-{name}"] = content.encode()
            batch.update(status="completed", output_file_id=f"out-{name}")
        return reply(batch)

    def _openai_line(self, line: Mapping[str, Any]) -> dict[str, Any]:
        status, body = self._complete(line["url"].removeprefix("/v1"), json.dumps(line["body"]).encode())
        response = {"status_code": status, "request_id": line["custom_id"], "body": json.loads(body)}
        return {"id": f"b-{line['custom_id']}", "custom_id": line["custom_id"], "response": response}

    # --- Anthropic ----------------------------------------------------------------------------------------

    def _anthropic(self, method: str, route: str, body: bytes) -> Reply:
        if not route and method == "POST":
            requests, name = json.loads(body)["requests"], f"msgbatch_{len(self.batches) + 1}"
            shown = {
                "id": name,
                "type": "message_batch",
                "created_at": datetime.now(UTC).isoformat(),
                "processing_status": "in_progress",
                "request_counts": {"processing": len(requests), "succeeded": 0, "errored": 0, "canceled": 0},
                "results_url": None,
            }
            return reply(self._new(name, requests, **shown))
        if not route:
            return reply({"data": [*self._newest()], "has_more": False, "first_id": None, "last_id": None})
        name, _, verb = route.partition("/")
        batch, is_new = self._looked_at(name) if not verb else (self.batches.get(name), False)
        if batch is None:
            return error_reply(404, f"no batch {name}", "not_found_error")
        if verb == "results":
            return 200, self.files[f"results-{name}"]
        if verb == "cancel":
            is_new = batch["is_done"] = batch["is_cancelled"] = True
        if is_new:
            lines = [self._anthropic_line(line, batch) for line in reversed(batch["handed_in"])]
            self.files[f"results-{name}"] = "\n".join(map(json.dumps, lines)).encode()
            batch.update(processing_status="ended", results_url=f"https://api.anthropic.com/v1/{route}/results")
            batch["request_counts"] = {"processing": 0, "succeeded": len(lines)}
        return reply(batch)

    def _anthropic_line(self, line: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
        status, body = self._complete("/messages", json.dumps(line["params"]).encode())
        result = {"type": "succeeded", "message": json.loads(body)}
        if batch["is_cancelled"]:
            result = {"type": "canceled"}
        elif status != 200:
            result = {"type": "errored", "error": {"type": "error", **json.loads(body)}}
        return {"custom_id": line["custom_id"], "result": result}

    # --- Gemini -------------------------------------------------------------------------------------------

    def _gemini_created(self, route: str, body: bytes) -> Reply:
        asked, name = json.loads(body)["batch"], f"g{len(self.batches) + 1}"
        metadata = {"displayName": asked["displayName"], "state": "BATCH_STATE_PENDING"}
        requests = asked["inputConfig"]["requests"]["requests"]
        operation = route.replace(":batchGenerateContent", ":generateContent")
        batch = self._new(name, requests, name=f"batches/{name}", metadata=metadata, operation=operation)
        return reply(_operation(batch))

    def _gemini(self, route: str) -> Reply:
        name, _, verb = route.partition(":")
        batch, is_new = self._looked_at(name) if not verb else (self.batches.get(name), False)
        if batch is None:
            return error_reply(404, f"no batch {name}", "NOT_FOUND")
        if verb == "cancel":
            batch["is_done"] = batch["is_cancelled"] = batch["done"] = True
            batch["metadata"]["state"] = "BATCH_STATE_CANCELLED"
            return reply({})
        if is_new:
            lines = [self._gemini_line(line, batch["operation"]) for line in reversed(batch["handed_in"])]
            batch.update(done=True, response={"inlinedResponses": {"inlinedResponses": lines}})
            batch["metadata"]["state"] = "BATCH_STATE_SUCCEEDED"
        return reply(_operation(batch))

    def _gemini_line(self, line: Mapping[str, Any], operation: str) -> dict[str, Any]:
        status, body = self._complete(operation, json.dumps(line["request"]).encode())
        answered = json.loads(body)
        result = {"response": answered} if status == 200 else {"error": {"code": status, **answered["error"]}}
        return {**result, "metadata": line["metadata"]}


def _operation(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {field: batch[field] for field in ("name", "metadata", "done", "response") if field in batch}
