"""Foreign exceptions become `CallFailure` records here, by one table; `themis.pure.calls` decides what they mean.

Exceptions are recognised by the names of their classes, so that no SDK has to be imported.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from themis.pure.calls import CallFailure, FailureKind, ProviderError, retry_after
from themis.pure.errors import said

# (top-level package, class) to kind; subclasses included. A timeout is a transport error in httpx and a
# connection error in the SDKs, so timeouts stand first.
_KINDS: Final = (
    ("builtins", "TimeoutError", FailureKind.TIMEOUT),
    ("trio", "TooSlowError", FailureKind.TIMEOUT),
    ("builtins", "ConnectionError", FailureKind.CONNECTION),
    ("socket", "gaierror", FailureKind.CONNECTION),
    ("trio", "BrokenResourceError", FailureKind.CONNECTION),
    ("trio", "ClosedResourceError", FailureKind.CONNECTION),
    *((library, "TimeoutException", FailureKind.TIMEOUT) for library in ("httpx", "httpx2")),
    *((library, "TransportError", FailureKind.CONNECTION) for library in ("httpx", "httpx2")),
    ("openai", "APITimeoutError", FailureKind.TIMEOUT),
    ("openai", "APIConnectionError", FailureKind.CONNECTION),
    ("anthropic", "APITimeoutError", FailureKind.TIMEOUT),
    ("anthropic", "APIConnectionError", FailureKind.CONNECTION),
    ("aiohttp", "ServerTimeoutError", FailureKind.TIMEOUT),
    ("aiohttp", "ClientConnectionError", FailureKind.CONNECTION),
    ("requests", "Timeout", FailureKind.TIMEOUT),
    ("requests", "ConnectionError", FailureKind.CONNECTION),
)
# What asyncio, sniffio and trio say of a coroutine that expects asyncio and does not find it.
_NO_LOOP: Final = (
    "no running event loop",
    "no current event loop",
    "unknown async library, or not in async context",
    "trio.run received unrecognized yield message",
)
_WRAP_HINT: Final = (
    "the component needs asyncio, and Themis runs on trio: wrap it, as in "
    "themis.adapters.asyncio_component(component); for a LangGraph graph use themis.adapters.langgraph(graph)"
)


AWAITED: Final = (Exception, SystemExit, asyncio.CancelledError)
"""What costs a case where a component is awaited: not a Ctrl-C, and none of what ends the shell's own tasks."""


def to_failure(error: BaseException) -> CallFailure:
    """Describe what a component or an adapter raised."""
    if isinstance(error, ProviderError):
        return error.failure
    retryable = _stated(error, "retryable")
    status = _status(error)
    text = ": ".join(filter(None, (type(error).__name__, said(error))))
    return CallFailure(
        kind=FailureKind.STATUS if status else _kind(error),
        message=f"{text} ({_WRAP_HINT})" if _needs_asyncio(error) else text,
        status=status,
        code=_text(_stated(error, "code")),
        retry_after_s=retry_after(_headers(error), datetime.now(UTC)),
        retryable=retryable if isinstance(retryable, bool) else None,
        request_id=_text(_stated(error, "request_id")),
    )


def _kind(error: BaseException) -> FailureKind:
    if _needs_asyncio(error):
        return FailureKind.WRONG_LOOP
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(error).__mro__}
    for package, name, kind in _KINDS:
        if (package, name) in names:
            return kind
    return FailureKind.COMPONENT


def _needs_asyncio(error: BaseException) -> bool:
    return isinstance(error, RuntimeError | TypeError) and any(sign in said(error) for sign in _NO_LOOP)


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an SDK's exception carries."""
    for holder in (error, _stated(error, "response")):
        for name in ("status_code", "status"):
            status = _stated(holder, name)
            if isinstance(status, int) and not isinstance(status, bool) and 400 <= status < 600:
                return status
    return None


def _headers(error: BaseException) -> Mapping[str, str]:
    for headers in (_stated(_stated(error, "response"), "headers"), _stated(error, "headers")):
        with contextlib.suppress(Exception):  # a mapping of its own kind may raise
            if headers and isinstance(headers, Mapping):
                return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def _stated(holder: object, name: str) -> Any:
    """Return an attribute that an exception or its response may have; nothing if it raises when it is asked."""
    try:
        return getattr(holder, name, None)
    except Exception:  # `httpx.RequestError.request` raises where none was set, say
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
