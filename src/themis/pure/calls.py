"""What a failed call means, and what to do about it: pure policy, with no clock and no randomness of its own.

A failure reaches this module as plain data (`CallFailure`), from an HTTP client, an SDK or a component.
`classify` is the one place that says whether it is worth another try, `delay_before_retry` how long to wait,
`RetryEntry` what is kept of it. The arithmetic of rates, concurrency and budgets is in `themis.pure.limits`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from random import Random
from typing import Final

import attrs

from themis.pure.errors import CallError
from themis.pure.records.base import FrozenModel


class FailureKind(StrEnum):
    """How a call failed, as far as it matters to whether it is tried again."""

    TIMEOUT = "timeout"
    """No complete answer in the time allowed."""
    CONNECTION = "connection"
    """The connection was refused, dropped, or broke the protocol."""
    ENVIRONMENT = "environment"
    """There is no way to the endpoint: a certificate that is not trusted, a name unknown, no route, a dead proxy."""
    STATUS = "status"
    """A complete answer with an HTTP status that is no success."""
    FAILED = "failed"
    """A success by its status, with an answer that reports a failure, or that the server broke off."""
    MALFORMED = "malformed"
    """A success by its status, with a body that is not what the protocol says."""
    TOO_LARGE = "too_large"
    """A body beyond the size that is read."""
    REDIRECT = "redirect"
    """The server sends the call elsewhere, and credentials don't follow."""
    REFUSAL = "refusal"
    """The model or a content filter declines to answer."""
    CREDENTIALS = "credentials"
    """The credential that the endpoint needs is not in the environment."""
    WRONG_LOOP = "wrong_loop"
    """The component needs asyncio, and was called from trio."""
    BUDGET = "budget"
    """The budget has no room for this call."""
    COMPONENT = "component"
    """The component raised an exception that says nothing about the network."""


@attrs.frozen(kw_only=True)
class CallFailure(FrozenModel):
    """One failed attempt, as plain data: never with a header or a credential.

    Attributes:
        kind: how it failed.
        message: what was found, redacted, for a person to read.
        status: the HTTP status, when a whole answer came, or the one that its body states.
        code: the provider's own code, such as `model_not_found` or `overloaded_error`.
        retry_after_s: how long the server asks to wait, in seconds.
        retryable: whether the component says that another try makes sense; it overrules the table.
        request_id: the provider's id of the request, for asking its support.
    """

    kind: FailureKind = attrs.field(converter=FailureKind)
    message: str = ""
    status: int | None = None
    code: str | None = None
    retry_after_s: float | None = None
    retryable: bool | None = None
    request_id: str | None = None


@attrs.frozen(kw_only=True)
class Diagnosis(FrozenModel):
    """What a failure means.

    Attributes:
        retryable: another try may succeed.
        reason: one or two words for the table of failures: `timeout`, `rate limited`, `http 500`, ...
        fatal: every other call to this endpoint fails the same way; the run stops at once.
        overload: the endpoint has too much to do; fewer calls at a time.
    """

    retryable: bool
    reason: str
    fatal: bool = False
    overload: bool = False


# 424 is Bedrock's ModelErrorException; 498 Groq's for a tier without capacity (console.groq.com/docs/errors).
_RETRYABLE_STATUS: Final = frozenset({408, 409, 424, 425, 429, 498})
# 529 is Anthropic's overloaded_error (docs.anthropic.com, "Errors").
_OVERLOAD_STATUS: Final = frozenset({429, 503, 529})
_EMPTY: Final = "account is empty"
_FATAL_STATUS: Final = {
    401: "wrong credentials",
    402: _EMPTY,
    403: "no permission",
    404: "unknown model or address",
}


def plain_code(code: str) -> str:
    """Return a provider's code without case and marks: `NotFoundError` and `not_found_error` are one."""
    return re.sub(r"[^a-z0-9]", "", code.casefold())


# The providers' words, from their error references. A 429 for an empty account looks like a rate limit by its status
# alone, and no waiting cures it.
_FATAL_CODES: Final = {
    plain_code(code): reason
    for reason, codes in {
        "unknown model": "model_not_found not_found_error",
        # OpenAI and others; Google; MiniMax's numbers.
        "wrong credentials": "invalid_api_key authentication_error invalid_authentication_error "
        "api_key_invalid 1004 2049",
        "no permission": "permission_error",
        # OpenAI; Moonshot; DashScope; Z.ai (1113) and MiniMax (1008) by number; Anthropic; any.
        _EMPTY: "insufficient_quota credit_balance_exhausted billing_hard_limit_reached billing_not_active "
        "exceeded_current_quota_error arrearage 1113 1008 billing_error insufficient_credits insufficient_balance",
    }.items()
    for code in codes.split()
}
# Z.ai's 1301, 1302 and 1305 and MiniMax's 1002, 1026 and 1027 among them.
_REFUSAL_CODES: Final = frozenset(
    {"contentfilter", "contentpolicyviolation", "responsibleaipolicyviolation", "datainspectionfailed"}
    | {"moderationblocked", "1301", "1026", "1027"}
)
_OVERLOAD_CODES: Final = frozenset(
    {"overloadederror", "ratelimitexceeded", "ratelimiterror", "slowdown", "1302", "1305", "1002"}
)
_KNOWN_CODES: Final = frozenset(_FATAL_CODES) | _REFUSAL_CODES | _OVERLOAD_CODES
# Where neither status nor code tells: words of DeepSeek, Anthropic (400), xAI (403), Hugging Face, gateways. Those of a
# 429 at Gemini ("exceeded your current quota") stand for a limit per minute, too, and are none of them.
_NO_CREDIT: Final = re.compile(
    r"insufficient[ _-](account[ _-])?(balance|credits?|funds|quota)|not enough (balance|credits?|funds)"
    r"|balance[ _-](is[ _-])?(too low|not enough|exhausted|insufficient)"
    r"|credits? (are |is |have been )?(depleted|exhausted|used up)"
    r"|\b(no|out of|run out of|used all( of)?( your| its)?( available)?) credits?\b|requires more credits"
    r"|exceeded your monthly included credits|(credit|spending) limit (exceeded|reached|has been reached)"
    r"|reached your specified API usage limits|in arrears|余额不足|欠费",
    re.IGNORECASE,
)
_SLOW_DOWN: Final = re.compile(r"rate[ _-]?limit(ed)?\b|too many requests", re.IGNORECASE)
_BY_KIND: Final = {
    FailureKind.TIMEOUT: Diagnosis(retryable=True, reason="timeout"),
    FailureKind.CONNECTION: Diagnosis(retryable=True, reason="connection failed"),
    FailureKind.ENVIRONMENT: Diagnosis(retryable=False, reason="endpoint out of reach", fatal=True),
    FailureKind.FAILED: Diagnosis(retryable=True, reason="generation failed"),
    FailureKind.MALFORMED: Diagnosis(retryable=True, reason="malformed answer"),
    FailureKind.TOO_LARGE: Diagnosis(retryable=True, reason="answer too large"),
    FailureKind.REDIRECT: Diagnosis(retryable=False, reason="redirected elsewhere"),
    FailureKind.REFUSAL: Diagnosis(retryable=False, reason="refused"),
    FailureKind.CREDENTIALS: Diagnosis(retryable=False, reason="no credentials", fatal=True),
    FailureKind.WRONG_LOOP: Diagnosis(retryable=False, reason="needs asyncio", fatal=True),
    FailureKind.BUDGET: Diagnosis(retryable=False, reason="budget exhausted", fatal=True),
    FailureKind.COMPONENT: Diagnosis(retryable=False, reason="component failed"),
}


def classify(failure: CallFailure) -> Diagnosis:
    """Say what a failure means: the only place that decides so.

    Timeouts, connection failures, malformed answers, answers that report a failure, 408, 409, 425, 429, every 5xx
    and overloads are worth another try. 400, 401, 402, 403, 404, refusals and a component's own exceptions are not; a
    wrong credential, a forbidden or unknown model and an empty account are fatal, by status, code or words.

    >>> classify(CallFailure(kind="status", status=429)).retryable
    True
    >>> classify(CallFailure(kind="status", status=404)).fatal
    True
    """
    is_stated = failure.kind in {FailureKind.STATUS, FailureKind.FAILED}
    diagnosis = _by_status(failure) if is_stated else _BY_KIND[failure.kind]
    if failure.retryable is None or diagnosis.fatal:
        return diagnosis
    return diagnosis.evolve(retryable=failure.retryable)


def is_known_code(code: str) -> bool:
    """Tell whether a provider's code decides what its failure means, whatever the status."""
    return plain_code(code) in _KNOWN_CODES


def _by_status(failure: CallFailure) -> Diagnosis:
    status, code = failure.status or 0, plain_code(failure.code or "")
    if code in _REFUSAL_CODES:
        return _BY_KIND[FailureKind.REFUSAL]
    if code in _FATAL_CODES:
        return Diagnosis(retryable=False, reason=_FATAL_CODES[code], fatal=True)
    if status != 422 and _NO_CREDIT.search(failure.message):  # a 422 quotes what it was sent
        return Diagnosis(retryable=False, reason=_EMPTY, fatal=True)
    if status in _FATAL_STATUS:
        return Diagnosis(retryable=False, reason=_FATAL_STATUS[status], fatal=True)
    if status in _OVERLOAD_STATUS or code in _OVERLOAD_CODES:
        return Diagnosis(retryable=True, reason="rate limited" if status == 429 else "overloaded", overload=True)
    if status in {0, 400} and _SLOW_DOWN.search(failure.message):
        return Diagnosis(retryable=True, reason="rate limited", overload=True)
    if failure.kind is FailureKind.FAILED and not status:
        return _BY_KIND[FailureKind.FAILED]
    return Diagnosis(retryable=status in _RETRYABLE_STATUS or 500 <= status < 600, reason=f"http {status}")


# --- when to try again ------------------------------------------------------------------------------------


MAX_WAIT: Final = 300.0
"""Seconds that a server may ask a call to wait, unless a run states another bound."""


@attrs.frozen(kw_only=True)
class RetryPolicy(FrozenModel):
    """How often a call is tried, and how long the waits between are.

    Attributes:
        attempts: tries of one call, the first included; 1 for no retry.
        delay_s: the longest first wait, in seconds.
        backoff: what each further wait grows by.
        max_delay_s: the longest wait that this policy chooses by itself, in seconds.
        max_retry_after_s: the longest wait a server may ask for; a call asked to wait longer fails, so that
            a run never sleeps for an hour unseen.
    """

    attempts: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    delay_s: float = attrs.field(default=0.5, validator=attrs.validators.ge(0))
    backoff: float = attrs.field(default=2.0, validator=attrs.validators.ge(1))
    max_delay_s: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))
    max_retry_after_s: float = attrs.field(default=MAX_WAIT, validator=attrs.validators.ge(0))


NO_RETRIES: Final = RetryPolicy(attempts=1)


@attrs.frozen(kw_only=True)
class RetryEntry(FrozenModel):
    """One failed attempt in a call's history.

    Attributes:
        attempt: which one, from 1.
        reason: the diagnosis's reason.
        kind: how it failed.
        delay_s: the wait chosen before the next attempt, in seconds; `None` when there was none.
        status: the HTTP status, if one came.
    """

    attempt: int
    reason: str
    kind: FailureKind = attrs.field(converter=FailureKind)
    delay_s: float | None = None
    status: int | None = None


def delay_before_retry(policy: RetryPolicy, failure: CallFailure, attempt: int, rng: Random) -> float | None:
    """Return the seconds to wait after failed attempt number `attempt` (from 1), or `None` to give up.

    What the server asks for comes first. Without one the wait is exponential backoff with full jitter: uniform
    between 0 and the bound, which spreads clients best (M. Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015).

    >>> policy = RetryPolicy(attempts=3, delay_s=1.0)
    >>> 0 <= delay_before_retry(policy, CallFailure(kind="timeout"), 2, Random(1)) <= 2
    True
    >>> delay_before_retry(policy, CallFailure(kind="timeout"), 3, Random(1)) is None
    True
    """
    if attempt >= policy.attempts or not classify(failure).retryable:
        return None
    if failure.retry_after_s is not None:
        return failure.retry_after_s if failure.retry_after_s <= policy.max_retry_after_s else None
    # Past 2**64 the bound is the longest wait for any numbers; the cap keeps the power finite.
    grown = policy.delay_s * policy.backoff ** min(attempt - 1, 64)
    return rng.uniform(0.0, min(policy.max_delay_s, grown))


def said_to_wait(failure: CallFailure, max_wait: float) -> CallFailure:
    """Return a failure that says so, if its server asks for a longer wait than a run makes.

    >>> failure = CallFailure(kind="status", status=429, message="too many", retry_after_s=3600.0)
    >>> said_to_wait(failure, 300.0).message
    'too many; it asks for a wait of 3,600 s, and max_wait is 300 s: run again then'
    """
    wait = failure.retry_after_s
    if wait is None or wait <= max_wait:
        return failure
    asked = f"it asks for a wait of {wait:,.0f} s, and max_wait is {max_wait:,.0f} s: run again then"
    return failure.evolve(message="; ".join(filter(None, (failure.message, asked))))


# --- what servers say about waiting -----------------------------------------------------------------------

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
# OpenAI's and Anthropic's names ("Rate limits" in either reference): (what is left, when it is full again).
_QUOTA_HEADERS: Final = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that an answer asks for in seconds, from `retry-after-ms` or `Retry-After` (RFC 9110).

    Args:
        headers: the answer's headers, with lower-case names.
        now: the time the answer came, with its zone: `Retry-After` may be a date.

    >>> from datetime import UTC
    >>> now = datetime(2030, 1, 1, tzinfo=UTC)
    >>> retry_after({"retry-after": "Tue, 01 Jan 2030 00:00:05 GMT"}, now)
    5.0
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    return _wait(headers.get("retry-after", "").strip(), now)


def quota_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds until a quota that this answer used up is full again; `None` if some is left.

    >>> from datetime import UTC
    >>> spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m0.5s"}
    >>> quota_wait(spent, datetime(2030, 1, 1, tzinfo=UTC))
    60.5
    """
    waits = [
        _wait(headers.get(reset, ""), now) for left, reset in _QUOTA_HEADERS if headers.get(left, "").strip() == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _wait(text: str, now: datetime) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    moment = _moment(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def _moment(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
        except ValueError:
            continue
        return moment if moment.tzinfo else None
    return None


# --- what a caller gets -----------------------------------------------------------------------------------


class ProviderError(CallError):
    """One attempt at a call failed; `failure` says how, as plain data that `classify` reads.

    Raise it after one attempt: the `CallRuntime` retries.
    """

    def __init__(self, failure: CallFailure) -> None:
        self.failure = failure
        super().__init__(failure.message or failure.kind.value)

    def __reduce__(self) -> tuple[type[ProviderError], tuple[CallFailure]]:
        return type(self), (self.failure,)


class CallFailed(CallError):  # noqa: N818  # says what happened, as trio.Cancelled and trio.BrokenResourceError do
    """A call failed for good: not worth another try, or all tries are used up.

    Attributes:
        failure: the last attempt's failure.
        diagnosis: what it means; `diagnosis.fatal` stops the run.
        retry_history: one entry per failed attempt, the last one included.
    """

    def __init__(self, failure: CallFailure, retry_history: tuple[RetryEntry, ...] = ()) -> None:
        self.failure = failure
        self.diagnosis: Diagnosis = classify(failure)
        self.retry_history = retry_history
        tries = f" after {len(retry_history)} attempts" if len(retry_history) > 1 else ""
        super().__init__(f"{self.diagnosis.reason}{tries}: {failure.message or failure.kind.value}")

    def __reduce__(self) -> tuple[type[CallFailed], tuple[CallFailure, tuple[RetryEntry, ...]]]:
        return type(self), (self.failure, self.retry_history)

    @property
    def fatal(self) -> bool:
        return self.diagnosis.fatal
