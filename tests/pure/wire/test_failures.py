"""A failed request is nobody's answer: whatever the status, the protocol and the place of the error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.calls import CallFailure, FailureKind, classify
from themis.pure.json import encode
from themis.pure.wire import anthropic_wire, openai_wire
from themis.pure.wire.exchange import Reply
from themis.pure.wire.failures import error_in, failed_end, failure_in

Reader = Callable[[Any], Reply | CallFailure]
RIGHT: Mapping[Reader, dict[str, Any]] = {
    openai_wire.read_chat: {"choices": [{"message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}]},
    openai_wire.read_completion: {"choices": [{"text": "4", "finish_reason": "stop"}]},
    openai_wire.read_response: {
        "status": "completed",
        "error": None,
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "4"}]}],
    },
    anthropic_wire.read_message: {"content": [{"type": "text", "text": "4"}], "stop_reason": "end_turn"},
}
CHOICES = (openai_wire.read_chat, openai_wire.read_completion)


def failure_of(reader: Reader, payload: Any) -> CallFailure:
    found = reader(payload)
    assert isinstance(found, CallFailure), found
    return found


@pytest.mark.parametrize("reader", RIGHT)
def test_the_right_answers_are_answers(reader: Reader) -> None:
    reply = reader(RIGHT[reader])
    assert isinstance(reply, Reply)
    assert reply.text == "4"


ERRORS = st.fixed_dictionaries(
    {"message": st.text(max_size=20)},
    optional={"param": st.none(), "metadata": st.just({"provider_name": "x"})},
)
STATUSES = st.sampled_from([400, 401, 402, 403, 404, 408, 429, 500, 502, 503, 524, 529])


@given(
    st.sampled_from([*RIGHT]),
    ERRORS,
    STATUSES,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["beside", "alone", "list"]),
)
def test_an_error_with_a_number_is_classified_as_that_status_would_be(
    reader: Reader, error: dict[str, Any], status: int, as_text: bool, by_status: bool, where: str
) -> None:
    error = {**error, "status" if by_status else "code": str(status) if as_text else status}
    payload: Any = {"beside": {**RIGHT[reader], "error": error}, "alone": {"error": error}, "list": [{"error": error}]}[
        where
    ]
    failure = failure_of(reader, payload)
    expected = classify(CallFailure(kind=FailureKind.STATUS, status=status))
    assert (failure.kind, failure.status) == (FailureKind.STATUS, status)
    assert classify(failure) == expected


@given(
    st.sampled_from(CHOICES),
    STATUSES | st.none(),
    st.sampled_from(["choice", "message"]),
    st.sampled_from(["stop", "error", None]),
)
def test_an_error_inside_a_choice_is_a_failure_whatever_stands_beside_it(
    reader: Reader, status: int | None, where: str, finish: str | None
) -> None:
    error = {"message": "upstream broke", "code": status}
    choice = {**RIGHT[reader]["choices"][0], "finish_reason": finish}
    choice |= {"error": error} if where == "choice" else {"message": {"content": "half an ans", "error": error}}
    failure = failure_of(reader, {"choices": [choice]})
    assert "upstream broke" in failure.message
    assert classify(failure).retryable == (
        status is None or classify(CallFailure(kind="status", status=status)).retryable
    )


@given(
    st.sampled_from([*RIGHT]),
    st.sampled_from([None, "", {}, [], False, {"code": 0, "message": ""}, {"code": None, "message": None}]),
)
def test_an_error_that_is_none_is_none(reader: Reader, error: Any) -> None:
    assert isinstance(
        reader({**RIGHT[reader], "error": error, "base_resp": {"status_code": 0, "status_msg": "success"}}), Reply
    )


@pytest.mark.parametrize(
    "finish",
    [
        *("error", "abort", "aborted", "load", "unload", "network_error", "insufficient_system_resource", "ERROR"),
        *("MALFORMED_FUNCTION_CALL", "function_call_filter: MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"),
        *("cancelled", "timeout"),
    ],
)
@pytest.mark.parametrize("text", ["", "half an ans"])
def test_an_answer_that_the_server_broke_off_is_a_failure_that_is_asked_again(finish: str, text: str) -> None:
    said: list[dict[str, Any]] = [{"message": {"content": text}}, {"text": text}]
    for reader, choice in zip(CHOICES, said, strict=True):
        failure = failure_of(reader, {"choices": [{**choice, "finish_reason": finish}]})
        assert failure.kind is FailureKind.FAILED
        assert classify(failure).retryable
        assert finish in failure.message


@pytest.mark.parametrize(
    "finish", ["stop", "length", "tool_calls", "eos", "end_turn", "stop_sequence", "max_tokens", "", None]
)
def test_ends_that_are_the_models_are_no_failures(finish: str | None) -> None:
    assert failed_end(finish) is None


@pytest.mark.parametrize(
    "finish", ["content_filter", "SAFETY", "RECITATION", "sensitive", "refusal", "prohibited_content"]
)
def test_filters_are_refusals_in_every_vocabulary(finish: str) -> None:
    failure = failed_end(finish)
    assert failure is not None
    assert failure.kind is FailureKind.REFUSAL


@pytest.mark.parametrize(
    ("said", "word"),
    [
        *(("stop", "stop"), ("eos_token", "stop"), ("end_turn", "stop"), ("function_call", "tool_calls")),
        *(("MAX_TOKENS", "length"), ("model_length", "length"), ({"type": "length", "length": 5}, "length")),
        ("repetition", "repetition"),
    ],
)
def test_ends_are_told_in_one_vocabulary(said: Any, word: str) -> None:
    reply = openai_wire.read_chat({"choices": [{"message": {"content": "x"}, "finish_reason": said}]})
    assert isinstance(reply, Reply)
    assert reply.finish_reason == word


def test_an_end_as_an_object_and_a_choice_without_a_message() -> None:
    aborted = {"message": {"content": "half"}, "finish_reason": {"type": "abort", "message": "out of memory"}}
    failure = failure_of(openai_wire.read_chat, {"choices": [aborted]})
    assert (failure.kind, "out of memory" in failure.message) == (FailureKind.FAILED, True)
    filtered = {"message": None, "finish_reason": "content_filter"}
    assert failure_of(openai_wire.read_chat, {"choices": [filtered]}).kind is FailureKind.REFUSAL


@pytest.mark.parametrize("choices", [None, [], [None], [{}], {}, "x", [{"finish_reason": "stop"}]])
def test_no_choice_is_no_answer(choices: Any) -> None:
    for reader in CHOICES:
        assert classify(failure_of(reader, {"id": "x", "choices": choices, "usage": {"prompt_tokens": 3}})).retryable


def test_an_empty_answer_counts_only_where_a_model_has_ended_it() -> None:
    def chat(finish: str | None, **usage: int) -> Reply | CallFailure:
        choice = {"message": {"content": None}, "finish_reason": finish}
        return openai_wire.read_chat({"choices": [choice], "usage": usage})

    assert isinstance(chat("stop"), Reply)
    assert isinstance(chat("stop", prompt_tokens=9, completion_tokens=0), Reply)
    assert isinstance(chat("length", prompt_tokens=9, completion_tokens=5), Reply)
    for failed in (chat(None), chat("stop", prompt_tokens=0, completion_tokens=0, total_tokens=0)):
        assert isinstance(failed, CallFailure)
        assert classify(failed).retryable


@pytest.mark.parametrize("status", ["failed", "cancelled", "queued", "in_progress"])
def test_a_response_that_is_not_finished_is_a_failure(status: str) -> None:
    payload = {**RIGHT[openai_wire.read_response], "status": status}
    assert classify(failure_of(openai_wire.read_response, payload)).retryable


@pytest.mark.parametrize(
    ("payload", "fatal", "retryable"),
    [
        ({"error": {"message": "Unauthorized", "code": 401}}, True, False),
        ({"code": 401, "message": "Unauthorized"}, True, False),
        ({"error": "Insufficient credits"}, True, False),
        ({"error": {"code": "invalid_api_key", "message": "no"}}, True, False),
        (
            {"error": {"type": "insufficient_quota", "code": "credit_balance_exhausted", "message": "no credits"}},
            True,
            False,
        ),
        ({"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}}, True, False),
        ({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, True, False),
        ({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, False, True),
        ({"choices": None, "base_resp": {"status_code": 2013, "status_msg": "invalid params"}}, False, False),
        ({"error": {"type": "overloaded_error", "message": "busy"}, "type": "error"}, False, True),
        ({"error": {"code": "invalid_image", "message": "no image"}}, False, False),
        ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota"}}, False, True),
        ({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "x"}}, False, False),
        ({"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"]}}}, False, False),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "rate-limited upstream"}}}, False, True),
        ({"detail": "worker is starting"}, False, True),
        ({"object": "error", "message": "m", "type": "InternalServerError", "code": 500}, False, True),
        ({"error": True, "message": "upstream broke"}, False, True),
        ({"errors": [{"message": "model overloaded", "code": 503}]}, False, True),
        ({"error": {"message": {"detail": "nested"}}}, False, True),
    ],
)
def test_errors_with_a_status_of_success(payload: Any, fatal: bool, retryable: bool) -> None:
    for reader in RIGHT:
        diagnosis = classify(failure_of(reader, payload))
        assert (diagnosis.fatal, diagnosis.retryable) == (fatal, retryable)


@pytest.mark.parametrize(
    ("status", "body", "fatal", "retryable"),
    [
        (500, {"error": {"message": "AuthenticationError", "code": 401}}, True, False),
        (400, {"error": {"message": "slow", "code": "429"}}, False, True),
        (400, {"detail": "rate limit exceeded"}, False, True),
        (400, {"error": {"message": "bad", "code": 400}}, False, False),
        (401, {"error": {"message": "bad", "code": 500}}, True, False),
        (429, {"error": {"message": "slow", "code": 400}}, False, True),
        (402, {}, True, False),
    ],
)
def test_a_gateways_status_and_that_of_the_provider_behind_it(
    status: int, body: Any, fatal: bool, retryable: bool
) -> None:
    diagnosis = classify(error_in(encode(body)).of_status(status, "h"))
    assert (diagnosis.fatal, diagnosis.retryable) == (fatal, retryable)


@pytest.mark.parametrize(
    ("status", "stated", "meant"), [(503, 500, 503), (502, 401, 401), (500, 503, 503), (400, 429, 429)]
)
def test_the_more_telling_of_two_statuses_counts(status: int, stated: int, meant: int) -> None:
    assert error_in(encode({"error": {"code": stated, "message": "m"}})).of_status(status, "h").status == meant


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 600) | st.text(max_size=5) | st.sampled_from(["error", "stop", "429"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "code", "message", "choices", "content", "output", "finish_reason", "type"]
            )
            | st.sampled_from(["metadata", "base_resp", "text", "status", "reasoning", "usage", "tool_calls"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_reading_a_failure_never_breaks(payload: Any) -> None:
    failure = failure_in(payload, "choices")
    assert failure is None or classify(failure).reason
    assert error_in(encode(payload)).message is not None


@given(words=st.text(st.sampled_from("ab \n\r\t\u2028\x85\x0b"), min_size=1), as_json=st.booleans())
def test_what_a_server_says_is_one_line(words: str, as_json: bool) -> None:
    """Pages of gateways and tracebacks of servers become cells of tables, and lines of logs."""
    body = encode({"error": {"message": f"x{words}"}}) if as_json else f"<p>{words}</p>".encode()
    message = error_in(body).message
    assert message.splitlines() == [message]
    assert message.split() == (f"x{words}" if as_json else f"<p>{words}</p>").split()
