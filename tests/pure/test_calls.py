from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.calls import (
    NO_RETRIES,
    CallFailed,
    CallFailure,
    FailureKind,
    ProviderError,
    RetryEntry,
    RetryPolicy,
    classify,
    delay_before_retry,
    quota_wait,
    retry_after,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("status", [408, 409, 424, 425, 429, 498, 500, 502, 503, 504, 520, 529, 599])
def test_these_statuses_are_worth_another_try(status: int) -> None:
    diagnosis = classify(CallFailure(kind=FailureKind.STATUS, status=status))
    assert diagnosis.retryable
    assert not diagnosis.fatal
    assert diagnosis.overload == (status in {429, 503, 529})


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422, 301, 600])
def test_these_statuses_are_not_worth_another_try(status: int) -> None:
    diagnosis = classify(CallFailure(kind=FailureKind.STATUS, status=status))
    assert not diagnosis.retryable
    assert not diagnosis.fatal


@pytest.mark.parametrize(
    ("status", "code"), [(401, None), (402, None), (403, None), (404, None), (400, "model_not_found")]
)
def test_wrong_key_unknown_model_and_an_unpaid_bill_stop_the_run(status: int, code: str | None) -> None:
    diagnosis = classify(CallFailure(kind=FailureKind.STATUS, status=status, code=code))
    assert diagnosis.fatal
    assert not diagnosis.retryable


def test_an_empty_account_is_no_rate_limit() -> None:
    diagnosis = classify(CallFailure(kind=FailureKind.STATUS, status=429, code="insufficient_quota"))
    assert (diagnosis.fatal, diagnosis.overload, diagnosis.reason) == (True, False, "account is empty")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (429, "credit_balance_exhausted", ""),
        (429, "exceeded_current_quota_error", ""),
        (429, "1113", ""),
        (400, "Arrearage", "Access denied, please make sure your account is in good standing."),
        (400, "invalid_request_error", "Your credit balance is too low to access the API."),
        (403, None, "Your team has used all available credits or reached its monthly spending limit."),
        (None, None, "Insufficient Balance"),
        (500, None, "This request requires more credits, or fewer max_tokens."),
        (200, None, "insufficient_balance"),
        (429, None, "Your prepayment credits are depleted."),
        (400, "invalid_request_error", "You have reached your specified API usage limits."),
        (429, "1234", "账户余额不足"),
        (429, None, "You have no credits remaining"),
    ],
)
def test_no_credit_stops_the_run_in_whatever_words(status: int | None, code: str | None, message: str) -> None:
    diagnosis = classify(CallFailure(kind=FailureKind.STATUS, status=status, code=code, message=message))
    assert (diagnosis.fatal, diagnosis.reason) == (True, "account is empty")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (422, "input: 'the account has insufficient balance'"),  # a validation error quotes what it was sent
        (429, "You exceeded your current quota, please check your plan and billing details"),  # Gemini, per minute
    ],
)
def test_words_that_may_mean_something_else_stop_nothing(status: int, message: str) -> None:
    assert not classify(CallFailure(kind=FailureKind.STATUS, status=status, message=message)).fatal


@given(
    st.sampled_from([400, None]), st.sampled_from(["Rate limit exceeded", "rate-limited upstream", "Too many requests"])
)
def test_a_rate_limit_is_one_where_the_status_does_not_say_so(status: int | None, message: str) -> None:
    diagnosis = classify(CallFailure(kind=FailureKind.STATUS, status=status, message=message))
    assert (diagnosis.retryable, diagnosis.overload) == (True, True)


@pytest.mark.parametrize("kind", ["timeout", "connection", "malformed", "too_large", "failed"])
def test_what_the_network_does_is_worth_another_try(kind: str) -> None:
    assert classify(CallFailure(kind=kind)).retryable


@pytest.mark.parametrize("kind", ["refusal", "redirect", "component", "credentials", "budget"])
def test_what_will_happen_again_is_not(kind: str) -> None:
    assert not classify(CallFailure(kind=kind)).retryable


def test_a_content_filter_is_a_refusal_whatever_its_status() -> None:
    diagnosis = classify(CallFailure(kind="status", status=400, code="content_filter"))
    assert diagnosis.reason == "refused"


def test_a_component_may_know_better_than_the_table_but_not_revive_a_fatal_failure() -> None:
    assert classify(CallFailure(kind="component", retryable=True)).retryable
    assert not classify(CallFailure(kind="timeout", retryable=False)).retryable
    assert not classify(CallFailure(kind="status", status=401, retryable=True)).retryable


@given(
    st.builds(
        CallFailure,
        kind=st.sampled_from(FailureKind),
        status=st.none() | st.integers(100, 999),
        code=st.none() | st.text(max_size=20),
        retryable=st.none() | st.booleans(),
    )
)
def test_every_failure_has_one_diagnosis_and_nothing_fatal_is_tried_again(failure: CallFailure) -> None:
    diagnosis = classify(failure)
    assert diagnosis == classify(CallFailure.from_dict(failure.to_dict()))
    assert diagnosis.reason
    assert not (diagnosis.fatal and diagnosis.retryable)


# --- waiting ----------------------------------------------------------------------------------------------

POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 2000),
    delay_s=st.floats(0, 100),
    backoff=st.floats(1, 10),
    max_delay_s=st.floats(0, 100),
)


@given(POLICIES, st.integers(1, 2000), st.integers())
def test_backoff_stays_within_its_bounds(policy: RetryPolicy, attempt: int, seed: int) -> None:
    delay = delay_before_retry(policy, CallFailure(kind="timeout"), attempt, Random(seed))
    if attempt >= policy.attempts:
        assert delay is None
    else:
        assert delay is not None
        assert 0 <= delay <= min(policy.max_delay_s, policy.delay_s * policy.backoff ** min(attempt - 1, 64))


def test_backoff_grows_and_spreads_over_its_whole_range() -> None:
    policy = RetryPolicy(attempts=10, delay_s=1.0, backoff=2.0)
    rng = Random(7)
    draws = [delay_before_retry(policy, CallFailure(kind="timeout"), 3, rng) or 0.0 for _ in range(2000)]
    assert min(draws) < 0.1
    assert max(draws) > 3.9
    assert 1.9 < sum(draws) / len(draws) < 2.1


def test_the_server_wish_comes_first_up_to_a_bound() -> None:
    policy = RetryPolicy(attempts=3, max_retry_after_s=100)
    asked = CallFailure(kind="status", status=429, retry_after_s=7.5)
    assert delay_before_retry(policy, asked, 1, Random(0)) == 7.5
    assert delay_before_retry(policy, asked.evolve(retry_after_s=101.0), 1, Random(0)) is None
    assert delay_before_retry(NO_RETRIES, asked, 1, Random(0)) is None


def test_same_seed_same_waits() -> None:
    waits = [
        [delay_before_retry(RetryPolicy(), CallFailure(kind="timeout"), n, rng) for n in (1, 2)]
        for rng in (Random(3), Random(3))
    ]
    assert waits[0] == waits[1]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Tue, 01 Jan 2030 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Tue, 01 Jan 2030 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@given(st.integers(0, 10**6))
def test_retry_after_reads_every_http_date(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": date}, NOW) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text(max_size=30)))
def test_retry_after_is_a_number_or_nothing_whatever_it_is_fed(headers: dict[str, str]) -> None:
    seconds = retry_after(headers, NOW)
    assert seconds is None or seconds >= 0


def test_quota_headers_of_both_providers() -> None:
    openai = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-remaining-tokens": "12",
        "x-ratelimit-reset-tokens": "1h",
    }
    assert quota_wait(openai, NOW) == 360.0
    anthropic = {
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2030-01-01T12:00:02Z",
    }
    assert quota_wait(anthropic, NOW) == 2.0
    assert quota_wait({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9s"}, NOW) is None


# --- errors -----------------------------------------------------------------------------------------------


def test_errors_survive_pickling() -> None:
    failure = CallFailure(kind="status", status=500, message="oops")
    entry = RetryEntry(attempt=1, reason="http 500", kind="status", status=500)
    failed = pickle.loads(pickle.dumps(CallFailed(failure, (entry, entry))))
    assert (failed.failure, failed.diagnosis.reason, failed.fatal, failed.retry_history) == (
        failure,
        "http 500",
        False,
        (entry, entry),
    )
    assert str(failed) == "http 500 after 2 attempts: oops"
    assert pickle.loads(pickle.dumps(ProviderError(failure))).failure == failure
