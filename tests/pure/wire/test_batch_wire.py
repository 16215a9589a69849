"""The batch protocols' exchanges, answered by hand: what is asked of which address, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.batches import BatchRequests, Sighting, Submission
from themis.pure.calls import CallFailure, FailureKind, classify
from themis.pure.json import decode, encode
from themis.pure.wire.batch_wire import BATCH_WIRES, Exchange, WireCall

PATHS = {"openai": "/chat/completions", "anthropic": "/messages", "gemini": "/models/tiny:generateContent"}
NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
REQUESTS = BatchRequests(digest="d" * 64, keys=("k1", "k2"), lines=(b'{"n":1}', b'{"n":2}'))
SUBMISSION = Submission(digest=REQUESTS.digest, size=2, first_key="k1", began_at=NOW)


def wire(provider: str) -> Any:
    return BATCH_WIRES[provider](PATHS[provider])


def played(exchange: Exchange[Any], *answers: Any) -> tuple[list[WireCall], Any]:
    """Answer an exchange, each call in its turn; bytes are sent as they are."""
    calls: list[WireCall] = []
    waiting = iter(answers)
    try:
        calls.append(next(exchange))
        while True:
            answer = next(waiting)
            calls.append(exchange.send(answer if isinstance(answer, bytes) else encode(answer)))
    except StopIteration as end:
        assert not [*waiting]
        return calls, end.value


def test_openai_takes_a_file_and_then_the_batch() -> None:
    (file, batch), batch_id = played(wire("openai").submit(REQUESTS), {"id": "file-1"}, {"id": "batch_1"})
    assert (file.method, file.path, batch_id) == ("POST", "/files", "batch_1")
    boundary = file.content_type.partition("boundary=")[2].encode()
    purpose, content = file.body.split(b"--" + boundary)[1:3]
    assert purpose.endswith(b"\r\n\r\nbatch\r\n")
    assert content.endswith(b'\r\n\r\n{"n":1}\n{"n":2}\r\n')
    assert decode(batch.body) == {
        "input_file_id": "file-1",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"themis_requests": "d" * 64},
    }


@pytest.mark.parametrize(
    ("provider", "path", "expected", "answer"),
    [
        ("anthropic", "/messages/batches", {"requests": [{"n": 1}, {"n": 2}]}, {"id": "b"}),
        (
            "gemini",
            "/models/tiny:batchGenerateContent",
            {
                "batch": {
                    "displayName": f"themis-{'d' * 64}",
                    "inputConfig": {"requests": {"requests": [{"n": 1}, {"n": 2}]}},
                }
            },
            {"name": "b"},
        ),
    ],
)
def test_the_others_take_the_requests_in_one_call(provider: str, path: str, expected: Any, answer: Any) -> None:
    (call,), batch_id = played(wire(provider).submit(REQUESTS), answer)
    assert (call.method, call.path, decode(call.body), batch_id) == ("POST", path, expected, "b")


ENDED: Mapping[str, Any] = {
    "openai": {"status": "completed", "output_file_id": "f"},
    "anthropic": {"processing_status": "ended", "id": "b", "results_url": "https://elsewhere/results"},
    "gemini": {
        "metadata": {"state": "JOB_STATE_SUCCEEDED"},
        "response": {"inlinedResponses": {"inlinedResponses": []}},
    },
}
RUNNING: Mapping[str, Any] = {
    "openai": {"status": "finalizing"},
    "anthropic": {"processing_status": "canceling"},
    "gemini": {"metadata": {"state": "BATCH_STATE_RUNNING"}},
}


@pytest.mark.parametrize("provider", PATHS)
def test_a_batch_is_asked_about_until_it_has_ended(provider: str) -> None:
    (call,), found = played(wire(provider).ended("batches/b"), ENDED[provider])
    assert (call.method, call.path.endswith("batches/b"), found) == ("GET", True, ENDED[provider])
    assert played(wire(provider).ended("b"), RUNNING[provider])[1] is None


def test_results_are_read_from_the_endpoint_itself() -> None:
    """The address in `results_url` is the server's word, and would be sent the credential."""
    line = {"custom_id": "k1", "result": {"type": "succeeded", "message": {}}}
    (call,), answers = played(wire("anthropic").answers(ENDED["anthropic"]), encode(line) + b"\n\n")
    assert (call.path, answers) == ("/messages/batches/b/results", {"k1": line})


@pytest.mark.parametrize(
    ("provider", "batch", "words"),
    [
        (
            "openai",
            {"status": "failed", "errors": {"data": [{"code": "x", "message": "too much"}]}},
            "failed: too much",
        ),
        ("openai", {"status": "expired"}, "expired: no reason given"),
        ("anthropic", {"processing_status": "ended", "results_url": None}, "archived"),
        ("gemini", {"metadata": {"state": "JOB_STATE_EXPIRED"}}, "expired"),
        ("gemini", {"metadata": {"state": "BATCH_STATE_FAILED"}, "error": {"message": "bad"}}, "failed: bad"),
    ],
)
def test_a_batch_that_failed_as_a_whole_says_why(provider: str, batch: Mapping[str, Any], words: str) -> None:
    failure = wire(provider).failure(batch)
    assert failure is not None
    assert words in failure.message


@pytest.mark.parametrize(
    ("provider", "line", "status", "retryable"),
    [
        ("anthropic", {"result": {"type": "canceled"}}, None, True),
        ("anthropic", {"result": {"type": "expired"}}, None, True),
        (
            "anthropic",
            {"result": {"type": "errored", "error": {"type": "error", "error": {"type": "overloaded_error"}}}},
            529,
            True,
        ),
        (
            "anthropic",
            {"result": {"type": "errored", "error": {"type": "error", "error": {"type": "invalid_request_error"}}}},
            400,
            False,
        ),
        ("openai", {"response": None, "error": {"code": "batch_expired", "message": "too late"}}, 500, True),
        ("openai", {"response": {"status_code": 429, "body": {"error": {"message": "slow"}}}}, 429, True),
        ("gemini", {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}, 503, True),
        ("gemini", {"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}, 400, False),
    ],
)
def test_each_results_failure_is_classified_as_a_single_calls(
    provider: str, line: Mapping[str, Any], status: int | None, retryable: bool
) -> None:
    failure = wire(provider).read(line)
    assert isinstance(failure, CallFailure)
    assert failure.status == status
    assert (failure.kind is FailureKind.STATUS) is (status is not None)
    assert classify(failure).retryable is retryable


# --- lost submissions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "page", "found"),
    [
        ("openai", {"data": [{"id": "b", "status": "validating", "metadata": {"themis_requests": "d" * 64}}]}, "b"),
        ("openai", {"data": [{"id": "b", "status": "failed", "metadata": {"themis_requests": "d" * 64}}]}, None),
        ("openai", {"data": [{"id": "b", "status": "completed", "metadata": None}]}, None),
        ("gemini", {"operations": [{"name": "b", "metadata": {"displayName": f"themis-{'d' * 64}"}}]}, "b"),
        (
            "gemini",
            {
                "operations": [
                    {"name": "b", "metadata": {"displayName": f"themis-{'d' * 64}", "state": "S_STATE_FAILED"}}
                ]
            },
            None,
        ),
        ("gemini", {}, None),
    ],
)
def test_a_batch_that_keeps_our_name_is_found_by_it(provider: str, page: Any, found: str | None) -> None:
    _, sighting = played(wire(provider).find(SUBMISSION), page)
    assert sighting == (None if found is None else Sighting(batch_id=found))


@pytest.mark.parametrize(
    ("provider", "first", "next_path"),
    [
        ("openai", {"data": [{"id": "x"}], "has_more": True}, "/batches?limit=100&after=x"),
        ("gemini", {"operations": [], "nextPageToken": "t"}, "/batches?pageSize=100&pageToken=t"),
        ("anthropic", {"data": [], "has_more": True, "last_id": "x"}, "/messages/batches?limit=100&after_id=x"),
    ],
)
def test_every_page_is_looked_at(provider: str, first: Any, next_path: str) -> None:
    calls, sighting = played(wire(provider).find(SUBMISSION), first, {})
    assert ([call.path for call in calls][1:], sighting) == ([next_path], None)


def anthropic_batch(name: str, *, size: int, hours: float, is_ended: bool) -> dict[str, Any]:
    return {
        "id": name,
        "created_at": (NOW + timedelta(hours=hours)).isoformat().replace("+00:00", "Z"),
        "request_counts": {"processing": 0 if is_ended else size, "succeeded": size if is_ended else 0, "errored": 0},
        "processing_status": "ended" if is_ended else "in_progress",
        "results_url": "https://x" if is_ended else None,
    }


batches = st.lists(
    st.tuples(
        st.integers(1, 3), st.floats(-3, 3).filter(lambda hours: abs(hours + 1) > 0.01), st.booleans(), st.booleans()
    ),
    max_size=6,
)


@given(batches)
def test_a_batch_without_a_name_is_found_by_age_size_and_keys(drawn: list[tuple[int, float, bool, bool]]) -> None:
    """The newest that fits is the one; one that is not done might be, so no older one is taken before it has ended."""
    ordered = sorted(drawn, key=lambda batch: -batch[1])
    page = [
        anthropic_batch(str(number), size=size, hours=hours, is_ended=is_ended)
        for number, (size, hours, is_ended, _) in enumerate(ordered)
    ]
    exchange = wire("anthropic").find(SUBMISSION)
    answer: Any = next(exchange) and {"data": page}
    expected = next(
        (
            Sighting(batch_id=str(number), is_certain=is_ended)
            for number, (size, hours, is_ended, is_ours) in enumerate(ordered)
            if size == 2 and hours > -1 and (is_ours or not is_ended)
        ),
        None,
    )
    sighting = None
    try:
        while True:
            call = exchange.send(encode(answer))
            number = int(call.path.split("/")[3])
            answer = {"custom_id": "k1" if ordered[number][3] else "other", "result": {}}
    except StopIteration as end:
        sighting = end.value
    assert sighting == expected


def test_a_batch_without_a_name_that_nobody_began_to_submit_is_not_looked_for() -> None:
    assert played(wire("anthropic").find(Submission(digest="d", size=2, first_key="k1"))) == ([], None)
