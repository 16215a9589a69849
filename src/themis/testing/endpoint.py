"""A scripted model endpoint on loopback: speaks the providers' protocols, and misbehaves by script.

    with FakeEndpoint(script=by_attempt(Reject(status=429, retry_after="0.1"), Drop())) as endpoint:
        model = themis.adapters.openai("tiny", base_url=endpoint.base_url)
        ...
    assert [served.play for served in endpoint.log] == ["Reject", "Drop", "Answer"]

Every answer is a function of its request, so that runs against it are repeatable. It runs on its own trio loop in
a thread of its own, and needs no test framework; `python -m themis.testing.endpoint` serves one by itself, while the
process lives that started it. It speaks as much HTTP/1.1 as clients of model endpoints do: keep-alive, and bodies
with a `Content-Length`.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import math
import os
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import attrs
import trio

from themis.testing.endpoint_protocols import Answerer, Protocols, as_events, echo

_REASONS: Final = {200: "OK", 307: "Temporary Redirect", 429: "Too Many Requests", 500: "Internal Server Error"}
_JSON: Final = "application/json"
_MEGABYTE: Final = 1 << 20


@attrs.frozen(kw_only=True)
class Request:
    """One request as the endpoint saw it.

    Attributes:
        method, path: of its first line.
        headers: with lower-case names.
        body: the bytes.
        attempt: how often this very request has come by now, from 1.
        in_flight: how many requests the endpoint was working on, this one included.
        at_s: when it was read, on `time.monotonic`.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    attempt: int
    in_flight: int
    at_s: float

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def digest(self) -> str:
        return hashlib.sha256(b"%s %s %s" % (self.method.encode(), self.path.encode(), self.body)).hexdigest()


@attrs.frozen(kw_only=True)
class Served:
    """One line of the endpoint's log: a request and what was played to it."""

    request: Request
    play: str
    status: int | None


class _HangUp(Exception):  # noqa: N818  # ends a connection, on either side, which is no error here
    pass


@attrs.frozen(kw_only=True)
class Exchange:
    """What a play acts on: the request, the connection, and the right answer."""

    request: Request
    stream: trio.abc.Stream
    answer: tuple[int, bytes]

    async def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Send a whole answer; return its status."""
        fields = {"content-type": _JSON, "content-length": str(len(body)), **(headers or {})}
        await self.stream.send_all(head(status, fields) + body)
        return status


def head(status: int, fields: Mapping[str, str]) -> bytes:
    """Return an answer's first line and headers."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# --- plays ------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Play:
    """What the endpoint does with one request; `delay_s` passes first."""

    delay_s: float = 0.0

    async def act(self, exchange: Exchange) -> int | None:
        """Act; return the status sent, or `None` if none got through. Raise to hang up."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Answer(Play):
    """Answers as a model would."""

    headers: Mapping[str, str] = attrs.field(factory=dict)

    async def act(self, exchange: Exchange) -> int | None:
        return await exchange.send(*exchange.answer, self.headers)


@attrs.frozen(kw_only=True)
class Reject(Play):
    """Answers with an error status."""

    status: int = 500
    code: str | None = None
    message: str = "rejected by the script"
    retry_after: str | None = None

    async def act(self, exchange: Exchange) -> int | None:
        error = {"error": {"message": self.message, "type": self.code or "server_error", "code": self.code}}
        headers = {} if self.retry_after is None else {"retry-after": self.retry_after}
        return await exchange.send(self.status, json.dumps({"type": "error", **error}).encode(), headers)


@attrs.frozen(kw_only=True)
class Say(Play):
    """Sends a body of one's own; `beside` adds fields to the right answer instead.

    Attributes:
        body: any JSON.
        beside: fields of the right answer to replace or to add.
        headers: more headers.
    """

    status: int = 200
    body: Any = None
    beside: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)

    async def act(self, exchange: Exchange) -> int | None:
        body = self.body if self.beside is None else {**json.loads(exchange.answer[1]), **self.beside}
        return await exchange.send(self.status, json.dumps(body).encode(), self.headers)


@attrs.frozen(kw_only=True)
class Stream(Play):
    """Sends the right answer as a stream of events, which was not asked for.

    Attributes:
        events: how many to send; all if not given.
        content_type: what the stream is said to be.
    """

    events: int | None = None
    content_type: str = "text/event-stream; charset=utf-8"

    async def act(self, exchange: Exchange) -> int | None:
        events = as_events(json.loads(exchange.answer[1]))
        body = "".join([": comment\n\n", *events[: self.events]]).encode()
        return await exchange.send(200, body, {"content-type": self.content_type})


@attrs.frozen(kw_only=True)
class Drop(Play):
    """Hangs up without a word."""

    async def act(self, exchange: Exchange) -> int | None:
        raise _HangUp


@attrs.frozen(kw_only=True)
class Cut(Play):
    """Hangs up in the middle of the body."""

    async def act(self, exchange: Exchange) -> int | None:
        _, body = exchange.answer
        await exchange.stream.send_all(head(200, {"content-length": str(len(body))}) + body[: len(body) // 2])
        raise _HangUp


@attrs.frozen(kw_only=True)
class Truncate(Play):
    """Sends a whole body that is half of the JSON."""

    async def act(self, exchange: Exchange) -> int | None:
        _, body = exchange.answer
        return await exchange.send(200, body[: len(body) // 2])


@attrs.frozen(kw_only=True)
class WrongType(Play):
    """Sends a page for people with status 200, as proxies do."""

    async def act(self, exchange: Exchange) -> int | None:
        return await exchange.send(200, b"<html><body>Please log in</body></html>", {"content-type": "text/html"})


@attrs.frozen(kw_only=True)
class Endless(Play):
    """Sends a body until the client has had enough.

    Attributes:
        size: bytes to promise in `Content-Length`; `None` for a chunked body without an end.
    """

    size: int | None = None

    async def act(self, exchange: Exchange) -> int | None:
        block = b" " * 65536
        promise = {"transfer-encoding": "chunked"} if self.size is None else {"content-length": str(self.size)}
        await exchange.stream.send_all(head(200, {"content-type": _JSON, **promise}))
        chunk = b"%x\r\n%s\r\n" % (len(block), block) if self.size is None else block
        for _ in range(math.ceil((self.size or 1 << 60) / len(block))):
            await exchange.stream.send_all(chunk)
        raise _HangUp


@attrs.frozen(kw_only=True)
class Drip(Play):
    """Sends the right answer, one byte at a time."""

    interval_s: float = 1.0

    async def act(self, exchange: Exchange) -> int | None:
        status, body = exchange.answer
        await exchange.stream.send_all(head(status, {"content-type": _JSON, "content-length": str(len(body))}))
        for byte in body:
            await trio.sleep(self.interval_s)
            await exchange.stream.send_all(bytes([byte]))
        return status


@attrs.frozen(kw_only=True)
class Bomb(Play):
    """Sends a small gzip body that unpacks to `size` bytes."""

    size: int = 256 * _MEGABYTE

    async def act(self, exchange: Exchange) -> int | None:
        return await exchange.send(200, _bomb(self.size), {"content-encoding": "gzip"})


@functools.cache
def _bomb(size: int) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(size // _MEGABYTE):
            file.write(bytes(_MEGABYTE))
    return packed.getvalue()


@attrs.frozen(kw_only=True)
class ManyHeaders(Play):
    """Sends the right answer behind a wall of headers."""

    count: int = 100_000

    async def act(self, exchange: Exchange) -> int | None:
        return await exchange.send(*exchange.answer, {f"x-filler-{i}": "x" for i in range(self.count)})


@attrs.frozen(kw_only=True)
class Redirect(Play):
    """Sends the client elsewhere."""

    to: str
    status: int = 307

    async def act(self, exchange: Exchange) -> int | None:
        return await exchange.send(self.status, b"", {"location": self.to})


# --- scripts ----------------------------------------------------------------------------------------------

Script: TypeAlias = Callable[[Request], Play]


def by_attempt(*plays: Play) -> Script:
    return lambda request: plays[request.attempt - 1] if request.attempt <= len(plays) else Answer()


def flaky(rate: float, plays: Sequence[Play], *, seed: int = 0, most_failures: int | None = None) -> Script:
    """Play one of `plays` to a part of all attempts, chosen by the request's hash: the same in every run.

    Args:
        rate: the part that fails, from 0 to 1.
        plays: what they are played; each is as likely.
        seed: another choice.
        most_failures: attempts of one request that fail at most.
    """

    def script(request: Request) -> Play:
        if most_failures is not None and request.attempt > most_failures:
            return Answer()
        key = f"{seed} {request.attempt} {request.digest}".encode()
        draw = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2**64
        return plays[int(draw / rate * len(plays))] if draw < rate else Answer()

    return script


# --- the server -------------------------------------------------------------------------------------------


class FakeEndpoint:
    """A model endpoint on loopback, open while its `with` block runs.

    Args:
        script: what to play to a request; the right answer if not given.
        answer: text and body of a request to the model's text; an echo if not given.
        allows: requests that are worked on at once; any beyond are answered 429 at once.
        latency_s: how long each right answer takes, or a function of the request.
        models: what `/v1/models` lists; a request for another model is answered 404. Any model if empty.
        batch_polls: how often a batch is asked for before it is done.
        port: 0 for any that is free.
        tls: the server's certificate and key, to speak HTTPS.

    Attributes:
        log: what was played to which request, in the order of its ends.
        most_in_flight: the most requests at once.
        connections: how many were opened.
        open_connections: how many are open now.
    """

    def __init__(
        self,
        *,
        script: Script | None = None,
        answer: Answerer = echo,
        allows: int | None = None,
        latency_s: float | Callable[[Request], float] = 0.0,
        models: Sequence[str] = (),
        batch_polls: int = 2,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._script = script or (lambda _: Answer())
        self._allows = allows
        self._latency_s = latency_s
        self._port = port
        self._tls = tls
        self._in_flight = 0
        self._attempts: Counter[str] = Counter()
        self._started = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._serve,), name="fake-endpoint", daemon=True)
        self.protocols: Protocols = Protocols(answer, models, batch_polls)
        self.log: list[Served] = []
        self.most_in_flight: int = 0
        self.connections: int = 0
        self.open_connections: int = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        trio.from_thread.run_sync(self._scope.cancel, trio_token=self._token)
        self._thread.join()

    @property
    def base_url(self) -> str:
        """The address to configure: `http://127.0.0.1:port/v1`."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}/v1"

    async def _serve(self) -> None:
        listeners = await trio.open_tcp_listeners(self._port, host="127.0.0.1", backlog=1024)
        self._port = listeners[0].socket.getsockname()[1]
        self._token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as self._scope:
            self._started.set()
            await trio.serve_listeners(self._connection, listeners)

    async def _connection(self, socket: trio.SocketStream) -> None:
        stream: trio.abc.Stream = socket
        if self._tls is not None:
            stream = trio.SSLStream(socket, self._tls, server_side=True, https_compatible=True)
        self.connections += 1
        self.open_connections += 1
        reader = _Reader(stream)
        try:
            while True:
                await self._exchange(stream, *await reader.request())
        except (_HangUp, trio.BrokenResourceError):
            pass
        finally:
            self.open_connections -= 1
            await trio.aclose_forcefully(stream)

    async def _exchange(
        self, stream: trio.abc.Stream, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        request = Request(
            method=method,
            path=path,
            headers=headers,
            body=body,
            attempt=0,
            in_flight=self._in_flight,
            at_s=time.monotonic(),
        )
        self._attempts[request.digest] += 1
        request = attrs.evolve(request, attempt=self._attempts[request.digest])
        play, status = self._play_for(request), None
        try:
            await trio.sleep(play.delay_s)
            exchange = Exchange(
                request=request, stream=stream, answer=self.protocols.answer(method, path, headers, body)
            )
            status = await play.act(exchange)
        finally:
            self._in_flight -= 1
            self.log.append(Served(request=request, play=type(play).__name__, status=status))

    def _play_for(self, request: Request) -> Play:
        if self._allows is not None and request.in_flight > self._allows:
            return Reject(status=429, code="rate_limit_exceeded")
        play = self._script(request)
        if isinstance(play, Answer) and self._latency_s:
            latency_s = self._latency_s(request) if callable(self._latency_s) else self._latency_s
            return attrs.evolve(play, delay_s=play.delay_s + latency_s)
        return play


class _Reader:
    """Cuts a byte stream into requests."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def request(self) -> tuple[str, str, dict[str, str], bytes]:
        """Return method, path, headers and body of the next request; raise `_HangUp` when the client is done."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._more()
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            await self._more()
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        method, path, _ = first.split(" ", 2)
        return method, path, headers, body

    async def _more(self) -> None:
        data = await self._stream.receive_some(65536)
        if not data:
            raise _HangUp
        self._buffer += data


def _main() -> None:
    parent = os.getppid()
    with FakeEndpoint() as endpoint:
        print(endpoint.base_url, flush=True)  # noqa: T201  # what the caller waits for
        while os.getppid() == parent:  # killed or not, it leaves no server behind
            time.sleep(0.2)


if __name__ == "__main__":
    _main()
