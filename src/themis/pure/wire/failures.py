"""Failures that come as answers: an error in the body, whatever the status of the answer around it.

The rule: **a failed request is nobody's answer.** An answer reports a failure when

- it has an `error` (not null, not empty, not a code of success): beside `choices`, in the first choice, in its message,
  or alone. OpenRouter's "Errors" page: a provider that fails after the answer has begun is reported with status 200, in
  `error` or in the first choice; MiniMax's reference: `base_resp` with a `status_code` that is not 0;
- it ends for a reason that is none of the model's: `error`, `abort` (vLLM stops its engine), `load` (Ollama has only
  loaded the model), `network_error` (Z.ai), `insufficient_system_resource` (DeepSeek), and
  `MALFORMED_FUNCTION_CALL` (Gemini);
- it holds nothing: no choice; or no text, no reasoning and no call, with no reason for its end or no token counted.

What is stated of the failure (a number that is an HTTP status, a code, words) is classified by `themis.pure.calls`, as
if it had come as the status of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure import text
from themis.pure.calls import CallFailure, FailureKind, is_known_code, plain_code
from themis.pure.json import EMPTY, decode
from themis.pure.records.base import FrozenModel

MISSHAPEN: Final = (AttributeError, LookupError, TypeError, ValueError)
"""What a reader raises at a body that does not have its protocol's shape: the fault is the server's."""

_LONGEST_MESSAGE: Final = 500
_LONGEST_RAW: Final = 4 * _LONGEST_MESSAGE

# Words for a status, without case and marks: OpenAI's and Anthropic's codes, Google's (google.rpc.Code), the classes of
# exceptions that vLLM, SGLang and LiteLLM name; MiniMax's numbers.
_STATUS_OF: Final[Mapping[str, int]] = {
    plain_code(word): status
    for status, words in {
        400: "bad_request bad_request_error failed_precondition context_length_exceeded image_parse_error 1039 2013",
        401: "authentication_error unauthenticated unauthorized invalid_api_key invalid_authentication_error",
        402: "payment_required insufficient_credits insufficient_quota insufficient_balance billing_error",
        403: "permission_error permission_denied permission_denied_error forbidden",
        404: "not_found not_found_error model_not_found model_not_found_error",
        408: "request_timeout",
        429: "rate_limit_exceeded rate_limit_error rate_limited rate_limit too_many_requests "
        "resource_exhausted throttling",
        500: "server_error api_error internal internal_error internal_server_error unknown_error",
        502: "bad_gateway provider_error upstream_error",
        503: "unavailable service_unavailable service_unavailable_error",
        504: "timeout timeout_error gateway_timeout deadline_exceeded vector_store_timeout",
        529: "overloaded overloaded_error engine_overloaded_error",
    }.items()
    for word in words.split()
}
_STATUS: Final = re.compile(r"[45][0-9][0-9]")
_INVALID: Final = re.compile(r"(invalid|unsupported)")
_CODES: Final = ("code", "type", "status", "error_code", "reason")
_NUMBERS: Final = ("code", "status", "status_code", "http_code", "error_code")
_WORDS: Final = ("message", "msg", "detail", "error_msg", "status_msg", "error_message")
_SUCCESS: Final = frozenset({"0", "200", "ok", "success", "none"})

_FAILED_WORDS: Final = frozenset(
    {"error", "abort", "aborted", "cancel", "cancelled", "canceled", "failed", "failure", "load", "unload", "timeout"}
    | {"interrupted", "shutdown"}
)
_FAILED_ENDS: Final = frozenset(
    {"insufficientsystemresource", "malformedfunctioncall", "unexpectedtoolcall", "toomanytoolcalls"}
    | {"malformedresponse", "malformedmodeloutput", "malformedtooluse", "functioncallfiltermalformedfunctioncall"}
)
# OpenAI's and Azure's word; Z.ai's, Anthropic's, Bedrock's; Gemini's reasons (ai.google.dev, "FinishReason").
_REFUSED_ENDS: Final = frozenset(
    {"contentfilter", "contentfiltered", "sensitive", "refusal", "guardrailintervened", "safety", "recitation"}
    | {"blocklist", "prohibitedcontent", "spii", "imagesafety", "moderation", "flagged"}
)

_FINISH: Final = {
    **dict.fromkeys(
        ("stop", "eos", "eostoken", "endturn", "stopsequence", "endofturn", "complete", "finished"), "stop"
    ),
    **dict.fromkeys(("length", "maxtokens", "maxlength", "modellength", "maxoutputtokens", "tokenlimit"), "length"),
    **dict.fromkeys(("modelcontextwindowexceeded", "maxcontextlength"), "length"),
    **dict.fromkeys(("toolcalls", "toolcall", "tooluse", "functioncall"), "tool_calls"),
}


def shortened(words: str) -> str:
    """Return what a server says as one line of bearable length: it becomes a cell of tables and a line of logs."""
    return text.shortened(" ".join(words.split()), _LONGEST_MESSAGE)


def malformed(problem: str, payload: object) -> CallFailure:
    return CallFailure(kind=FailureKind.MALFORMED, message=f"{problem}; found {shortened(repr(payload))}")


def refused(words: object) -> CallFailure:
    return CallFailure(
        kind=FailureKind.REFUSAL, message=shortened(str(words or "the content filter stopped the answer"))
    )


@attrs.frozen(kw_only=True)
class StatedError(FrozenModel):
    """What a body says of a failure: words for a person, the provider's code, and the HTTP status that is meant."""

    message: str
    code: str | None = None
    status: int | None = None

    def failure(self) -> CallFailure:
        """Return the failure of an answer whose status is a success."""
        kind = FailureKind.FAILED if self.status is None else FailureKind.STATUS
        return CallFailure(
            kind=kind, status=self.status, code=self.code, message=f"an error as an answer: {self._words}"
        )

    def of_status(self, status: int, where: str) -> CallFailure:
        """Return the failure of an answer with an error's status.

        What the body states counts where the status says no more than that something failed: a gateway wraps the 401,
        429 or 503 of the provider behind it in a 400 or 500, and its client's faults in any 5xx.
        """
        stated = self.status or status
        meant = stated if status in {400, 500} or (status > 500 > stated) else status
        return CallFailure(kind=FailureKind.STATUS, status=meant, code=self.code, message=f"{where}: {self._words}")

    @property
    def _words(self) -> str:
        return self.message or self.code or "no reason given"


def error_in(body: bytes) -> StatedError:
    """Read the body of an answer whose status is an error's, in any of the providers' forms.

    >>> error_in(b'{"error": {"message": "slow down", "type": "rate_limit_error"}}')
    StatedError(message='slow down', code='rate_limit_error', status=429)
    """
    try:
        payload = decode(body)
    except ValueError:
        return StatedError(message=shortened(body[:_LONGEST_RAW].decode(errors="replace").strip()))
    return _stated(_error_of(payload) or _first(payload))


def failure_in(payload: Any, *answers: str) -> CallFailure | None:
    """Return the failure that a body reports although its status is a success, if it does.

    Args:
        payload: the decoded body.
        answers: the fields that an answer of this protocol is in; a body with none of them that states an error's
            number or words is a failure.

    >>> failure_in({"choices": [{"error": {"code": 502, "message": "upstream"}, "finish_reason": "error"}]}).status
    502
    """
    error = _error_of(payload)
    if error:
        return _stated(error).failure()
    body = _first(payload)
    if not isinstance(body, Mapping) or any(body.get(name) for name in answers):
        return None
    stated = _stated(body)
    return stated.failure() if stated.status or any(body.get(name) for name in _WORDS) else None


def failed_end(reason: object, words: object = None) -> CallFailure | None:
    """Return the failure that a reason for an answer's end stands for: a refusal, or one that is none of the model's.

    >>> failed_end("network_error").kind.value, failed_end("SAFETY").kind.value, failed_end("length")
    ('failed', 'refusal', None)
    """
    if isinstance(reason, Mapping):
        words = reason.get("message", words)
        reason = reason.get("type")
    if not isinstance(reason, str):
        return None
    plain = plain_code(reason)
    if plain in _REFUSED_ENDS:
        return refused(words or f"the content filter stopped the answer ({reason})")
    parts = set(re.split(r"[^a-z]+", reason.casefold()))
    if plain in _FAILED_ENDS or parts & _FAILED_WORDS:
        message = f"the answer was ended by the server, not by the model: {reason}"
        return CallFailure(kind=FailureKind.FAILED, message=message if words is None else f"{message}: {words}")
    return None


def finish_of(reason: object) -> str | None:
    """Return why an answer ends in one vocabulary, OpenAI's; a word of the server's own stays as it is.

    >>> finish_of("MAX_TOKENS"), finish_of("eos_token"), finish_of({"type": "length", "length": 5}), finish_of("other")
    ('length', 'stop', 'length', 'other')
    """
    if isinstance(reason, Mapping):  # SGLang's own form
        reason = reason.get("type")
    return _FINISH.get(plain_code(reason), reason) if isinstance(reason, str) else None


def nothing_in(reason: object, usage: Mapping[str, int]) -> CallFailure | None:
    """Return the failure of an answer without text, reasoning and calls, unless the model has ended it itself.

    A model may say nothing, and then that is its answer. It did not where the server states no reason for the end, or
    counts no token at all, not even the prompt's (ollama/ollama, issue 13371).
    """
    counted = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    if reason is None or (None not in counted and not any(counted)):
        message = (
            f"an empty answer that no model has ended (finish_reason {reason!r}, {sum(filter(None, counted))} tokens)"
        )
        return CallFailure(kind=FailureKind.FAILED, message=message)
    return None


def _first(payload: Any) -> Any:
    """Return the object of a body that is a list of one, as Gemini's stream sends its errors."""
    is_list = isinstance(payload, Sequence) and not isinstance(payload, str)
    return payload[0] if is_list and payload else payload


def _error_of(payload: Any) -> Any:
    """Return the error of a body, with what stands beside it; something empty if there is none."""
    return next((error for error in _errors(_first(payload)) if _is_error(error)), None)


def _errors(body: Any) -> Iterator[Any]:
    if not isinstance(body, Mapping):
        return
    beside = {name: body[name] for name in (*_NUMBERS, *_CODES) if name in body}
    for name in ("error", "errors"):
        error = _first(body.get(name))
        if isinstance(error, str) and error and beside:
            error = {**beside, "message": error}
        yield body if error is True else error
    if body.get("type") == "error" or body.get("object") == "error":
        yield body
    base = body.get("base_resp")
    yield {"code": str(base.get("status_code")), **base} if isinstance(base, Mapping) else None
    choice = _first(body.get("choices"))
    if isinstance(choice, Mapping):
        message = choice.get("message")
        yield choice.get("error")
        yield message.get("error") if isinstance(message, Mapping) else None


def _is_error(error: Any) -> bool:
    if not isinstance(error, Mapping):
        return bool(error) and str(error).casefold() not in _SUCCESS
    told = [error.get(name) for name in (*_NUMBERS, *_CODES) if error.get(name) is not None]
    if told and all(str(value).casefold() in _SUCCESS for value in told):
        return False
    return any(value not in (None, "", 0, False) for value in error.values())


def _stated(error: Any) -> StatedError:
    if not isinstance(error, Mapping):
        return StatedError(message=shortened(str(error)))
    # A gateway's own words are general; those of the provider behind it (OpenRouter's `metadata.raw`) say what it is.
    given = error.get("metadata")
    metadata: Mapping[str, Any] = given if isinstance(given, Mapping) else EMPTY
    words = next((error[name] for name in _WORDS if error.get(name)), error)
    raw = metadata.get("raw")
    codes = [error[name] for name in _CODES if isinstance(error.get(name), str) and error[name]]
    codes += [str(detail["reason"]) for detail in _details(error) if detail.get("reason")]
    if metadata.get("reasons"):  # the prompt was flagged by OpenRouter's moderation, which answers 403
        codes = ["content_filter"]
    code = next(filter(is_known_code, codes), next(filter(_status_of, codes), codes[0] if codes else None))
    numbers = [str(error.get(name)) for name in _NUMBERS]
    status = next((int(number) for number in numbers if _STATUS.fullmatch(number)), None)
    return StatedError(
        message=shortened(f"{words}: {raw}" if raw else str(words)),
        code=None if code is not None and code.isdecimal() and status is not None else code,
        status=status or next(filter(None, map(_status_of, codes)), None),
    )


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return Google's details of an error, which say that a 400 means the key (google.rpc.ErrorInfo)."""
    found = error.get("details")
    is_list = isinstance(found, Sequence) and not isinstance(found, str)
    return [detail for detail in found if isinstance(detail, Mapping)] if is_list and found else []


def _status_of(code: str) -> int | None:
    plain = plain_code(code)
    return _STATUS_OF.get(plain) or (400 if _INVALID.match(plain) else None)
