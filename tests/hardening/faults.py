"""Kinds of faults of an endpoint, each with how its case must end."""

from __future__ import annotations

import gzip
import json
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
import trio

from themis.testing.endpoint import (
    Bomb,
    Cut,
    Drip,
    Drop,
    Endless,
    Exchange,
    ManyHeaders,
    Play,
    Redirect,
    Reject,
    Say,
    Stream,
    Truncate,
    WrongType,
    head,
)

Ending: TypeAlias = Literal["retried", "harmless", "taken", "failed"]
"""How a case ends whose first request meets a fault: right after another try, right at once, with the odd answer that
was sent, or failed at once."""

Json: TypeAlias = dict[str, Any]


@attrs.frozen(kw_only=True)
class Edited(Play):
    """Sends the right answer, changed."""

    edit: Callable[[Json], Any]

    async def act(self, exchange: Exchange) -> int | None:
        answer = json.loads(exchange.answer[1])
        changed = self.edit(answer)
        return await exchange.send(200, json.dumps(answer if changed is None else changed).encode())


@attrs.frozen(kw_only=True)
class Raw(Play):
    """Sends bytes made of the right body, and hangs up."""

    make: Callable[[bytes], bytes]

    async def act(self, exchange: Exchange) -> int | None:
        await exchange.stream.send_all(self.make(exchange.answer[1]))
        raise trio.BrokenResourceError  # which ends a connection


@attrs.frozen(kw_only=True)
class Reset(Play):
    """Breaks the connection off, without a good-bye."""

    async def act(self, exchange: Exchange) -> int | None:
        assert isinstance(exchange.stream, trio.SocketStream)
        exchange.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise trio.BrokenResourceError


def body(make: Callable[[bytes], bytes], **fields: str) -> Raw:
    """Return a play that sends another body, with fields of the header besides."""

    def sent(right: bytes) -> bytes:
        other = make(right)
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        return head(200, {"content-type": "application/json", "content-length": str(len(other)), **names}) + other

    return Raw(make=sent)


def const(text: bytes) -> Callable[[bytes], bytes]:
    return lambda _: text


def message(**fields: Any) -> Edited:
    """Return a play with other fields of the message."""
    return Edited(edit=lambda answer: answer["choices"][0]["message"].update(fields))


def choice(**fields: Any) -> Edited:
    return Edited(edit=lambda answer: answer["choices"][0].update(fields))


def beside(**fields: Any) -> Edited:
    return Edited(edit=lambda answer: answer.update(fields))


def usage(number: Any) -> Edited:
    return beside(usage={"prompt_tokens": number, "completion_tokens": number, "total_tokens": number})


def headers(**fields: str) -> Say:
    return Say(beside={}, headers={name.replace("_", "-"): value for name, value in fields.items()})


NINES: Final = "9" * 400
DEEP: Final = 20_000

KINDS: Final[Mapping[str, tuple[Play, Ending]]] = {
    # Statuses.
    **{
        f"status {code}": (Reject(status=code), "retried")
        for code in (408, 409, 424, 425, 498, 500, 502, 504, 520, 599)
    },
    **{f"status {code}": (Reject(status=code), "retried") for code in (429, 503, 529)},
    **{f"status {code}": (Reject(status=code), "failed") for code in (405, 406, 410, 413, 418, 422, 451)},
    "status 400": (Reject(status=400, code="invalid_request_error"), "failed"),
    "status 400 that is a 500": (Reject(status=400, code="server_error"), "retried"),
    "status 400 that says slow down": (Reject(status=400, message="Rate limit reached, slow down"), "retried"),
    "a refusal of the filter": (Reject(status=400, code="content_filter"), "failed"),
    "wait a moment": (Reject(status=429, retry_after="0.01"), "retried"),
    "wait less than nothing": (Reject(status=429, retry_after="-5"), "retried"),
    "wait not a number": (Reject(status=503, retry_after="nan"), "retried"),
    "wait until a time long gone": (Reject(status=503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), "retried"),
    "wait in words": (Reject(status=429, retry_after="soon"), "retried"),
    "status 204": (Raw(make=lambda _: head(204, {})), "retried"),
    "status 206 of a half": (
        Raw(make=lambda b: head(206, {"content-length": str(len(b) // 2)}) + b[: len(b) // 2]),
        "retried",
    ),
    "status 999": (Raw(make=lambda _: head(999, {"content-length": "0"})), "failed"),
    "a status of words": (Raw(make=lambda _: b"HTTP/1.1 fine thanks\r\n\r\n"), "retried"),
    "no HTTP at all": (Raw(make=lambda _: b"SSH-2.0-OpenSSH_9.6\r\n"), "retried"),
    "endless 100": (
        Raw(make=lambda b: b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + head(200, {"content-length": str(len(b))}) + b),
        "harmless",
    ),
    "elsewhere": (Redirect(to="http://127.0.0.1:9/v1/chat/completions"), "failed"),
    "in a circle": (Redirect(to="/v1/chat/completions"), "retried"),
    # Connections.
    "hangs up": (Drop(), "retried"),
    "hangs up in the middle": (Cut(), "retried"),
    "resets": (Reset(), "retried"),
    "drips": (Drip(interval_s=1.0), "retried"),
    "never ends": (Endless(), "retried"),
    "promises ten gigabytes": (Endless(size=10**10), "retried"),
    "a bomb": (Bomb(size=4 << 20), "retried"),
    "a wall of headers": (ManyHeaders(count=20_000), "retried"),
    # How a body is said to be.
    "a page for people": (WrongType(), "retried"),
    "a body shorter than promised": (body(lambda b: b, content_length="99999"), "retried"),
    "a length of words": (body(lambda b: b, content_length="many"), "retried"),
    "a length of 5000 digits": (body(lambda b: b, content_length="9" * 5000), "retried"),
    "not packed as said": (body(lambda b: b, content_encoding="gzip"), "retried"),
    "packed and cut off": (body(lambda b: gzip.compress(b)[:-12], content_encoding="gzip"), "retried"),
    "packed as nobody asked": (body(lambda b: b, content_encoding="br"), "retried"),
    "a chunk of no size": (Raw(make=lambda b: head(200, {"transfer-encoding": "chunked"}) + b"zz\r\n" + b), "retried"),
    "said to be text": (body(lambda b: b, content_type="text/plain"), "harmless"),
    "a stream nobody asked for": (Stream(), "harmless"),
    "half of a stream": (Stream(events=1), "retried"),
    # JSON.
    "half of the JSON": (Truncate(), "retried"),
    "an empty body": (body(const(b"")), "retried"),
    "null": (Say(body=None), "retried"),
    "a list": (Say(body=[]), "retried"),
    "a number": (Say(body=5), "retried"),
    "an empty object": (Say(body={}), "retried"),
    "an error with status 200": (Say(body={"error": {"message": "no luck", "type": "server_error"}}), "retried"),
    "nested without an end": (body(const(b'{"choices":' + b"[" * DEEP + b"]" * DEEP + b"}")), "retried"),
    "a number of 5000 digits": (body(lambda b: b[:-1] + b',"x":' + b"9" * 5000 + b"}"), "retried"),
    "NaN": (body(lambda b: b[:-1] + b',"x":NaN}'), "retried"),
    "twice the same key": (body(lambda b: b[:-1] + b',"choices":[]}'), "retried"),
    "UTF-16": (body(lambda b: b.decode().encode("utf-16")), "retried"),
    "no UTF-8": (body(lambda b: b.replace(b"echo", b"\xff\xfe")), "retried"),
    "a byte order mark": (body(lambda b: b"\xef\xbb\xbf" + b), "retried"),
    # What it says.
    "no choices": (beside(choices=[]), "retried"),
    "choices that are none": (beside(choices="many"), "retried"),
    "a choice that is none": (beside(choices=[5]), "retried"),
    "a message that is none": (choice(message=[]), "retried"),
    "no text": (message(content=None), "taken"),
    "a number for a text": (message(content=5), "retried"),
    "parts of a text that are none": (message(content=[5, None]), "retried"),
    "an empty text": (message(content=""), "taken"),
    "a lone surrogate": (message(content="\ud800"), "retried"),
    "control characters": (message(content="\x00\x1b[2J\u202e"), "taken"),
    "a text of half a megabyte": (message(content="x" * 500_000), "taken"),
    "a refusal": (message(content=None, refusal="I would rather not"), "failed"),
    "tool calls that are none": (message(tool_calls=5), "retried"),
    "an end of a strange kind": (choice(finish_reason=["stop", 5]), "harmless"),
    "log-probabilities that are none": (choice(logprobs=5), "harmless"),
    "no usage": (beside(usage=None), "harmless"),
    "a usage less than nothing": (usage(-5), "harmless"),
    "a usage of half a token": (usage(0.5), "harmless"),
    "a usage of words": (usage("many"), "harmless"),
    "a usage of 400 digits": (usage(10**400), "harmless"),
    "a usage of lists": (beside(usage=[[]]), "harmless"),
    "a model that is none": (beside(model={"a": 5}), "harmless"),
    "an id of a megabyte": (beside(id="x" * 200_000), "harmless"),
    "a quota of 400 nines": (
        headers(x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests=f"{NINES}s"),
        "harmless",
    ),
    "a quota of words": (headers(x_ratelimit_remaining_requests="many", x_ratelimit_reset_requests="soon"), "harmless"),
    "an id of the request with a line in it": (headers(x_request_id="\x00\x1b[2J"), "retried"),
}
