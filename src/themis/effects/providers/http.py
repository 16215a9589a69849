"""The one seam to model endpoints: a JSON body out, a bounded answer in, every failure a `CallFailure` record.

Rules of this room:

- Credentials are read from the environment at call time, go into one header of one request, and are in no
  record, repr, message or exception of this module. Exceptions of the HTTP client, which hold the request, are
  described and dropped, never chained.
- Nothing that a server sends is read without a bound: size is counted while it streams and again while it is
  unpacked, headers are bounded by the HTTP client (100 KB), time by the total timeout.
- A redirect is followed to the same origin only, so no credential travels to another host.
- One attempt per call: retries are the `CallRuntime`'s.
"""

from __future__ import annotations

import base64
import io
import itertools
import logging
import os
import re
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode, urljoin, urlsplit, urlunsplit

import attrs
import trio

from themis.effects import bodies
from themis.effects.calls import report_quota
from themis.effects.http_library import LOGGERS, every, httpx
from themis.effects.providers.network import (
    CloseOnFailure,
    connection_failure,
    is_address,
    network_faults,
    proxy_for,
    tls_settings,
)
from themis.pure.calls import CallFailure, FailureKind, ProviderError, quota_wait, retry_after
from themis.pure.errors import LiteralSecretError, SpecError
from themis.pure.json import EMPTY, freeze_mapping
from themis.pure.security import find_secrets, is_placeholder, names_secret
from themis.pure.wire.failures import StatedError, error_in, shortened
from themis.pure.wire.streams import is_stream

_MEGABYTE: Final = 1 << 20
_REDIRECTS: Final = 3
UNCOUNTED_HEADERS: Final = {
    *("accept-encoding", "connection", "content-length", "user-agent"),
    *("traceparent", "tracestate", "baggage", "uber-trace-id", "b3", "x-b3-flags", "x-b3-parentspanid", "x-b3-sampled"),
    *("x-b3-spanid", "x-b3-traceid", "x-amzn-trace-id", "x-cloud-trace-context", "sentry-trace", "x-trace-id"),
    *("request-id", "x-request-id", "x-client-request-id", "x-correlation-id", "idempotency-key"),
}
"""Headers that can't change an answer, in lower case, beside credentials: ids of traces and requests, and how an
answer is carried. All others are a part of the run's identity: a gateway may choose the model by any of them."""

_OPERATIONS: Final = ("/chat/completions", "/completions", "/responses", "/messages")
_LARGEST_ERROR: Final = 1 << 16
_HEADERS: Final = {"accept-encoding": "gzip, deflate", "user-agent": "themis"}
# zlib's names for the containers (its manual, "inflateInit2").
_WINDOW_BITS: Final = {"identity": None, "": None, "gzip": 31, "x-gzip": 31, "deflate": 15}
REDACTED: Final = "[redacted]"


_FROM_ENVIRONMENT: Final = re.compile(r"\$\{oc\.env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
"""Where a header's value comes from the environment, at call time."""


def plain_url(url: str) -> str:
    """Return a URL without user, password and secret query fields, and without a slash at its end.

    >>> plain_url("https://me:pw@host/v1/?api_key=abc&v=2")
    'https://host/v1?v=2'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if not names_secret(name, "query")])
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), query, ""))


def _secret_fields(url: str) -> list[tuple[str, str]]:
    """Return the fields of a URL's query that hold credentials."""
    return [(name, value) for name, value in parse_qsl(urlsplit(url).query) if names_secret(name, "query")]


def _can_matter(name: str, value: str, key_header: str) -> bool:
    is_named = name == key_header.lower() or names_secret(name, "header")
    is_credential = is_named or _FROM_ENVIRONMENT.search(value) is not None or any(find_secrets({name: value}))
    return not is_credential and name not in UNCOUNTED_HEADERS


def web_address(_: object, field: attrs.Attribute[str], url: str) -> None:
    """Hold a field to an endpoint's address without a credential (an attrs validator)."""
    parts = urlsplit(url)
    if "@" in parts.netloc or _secret_fields(url):
        raise LiteralSecretError(
            f"{field.name}: the address {plain_url(url)!r} contains a credential; put it in the environment "
            "(OPENAI_API_KEY, or the variable that api_key_env names) and leave it out of the address"
        )
    if not is_address(url, ("http", "https")):
        raise SpecError(f"{field.name}: an address like 'https://host/v1' expected, found {url!r}")
    operation = next((name for name in _OPERATIONS if parts.path.endswith(name)), None)
    if operation is not None:
        raise SpecError(f"{field.name}: the address without {operation!r} expected, found {url!r}; it is added")


def _no_credentials(_: object, field: attrs.Attribute[Mapping[str, str]], headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        literal = _FROM_ENVIRONMENT.sub("", value)
        if literal != value:
            is_credential = any(find_secrets(literal))
        else:
            is_credential = names_secret(name, "header") or any(find_secrets({name: value}))
        if is_credential:
            raise LiteralSecretError(
                f"{field.name}.{name}: a literal credential; name the environment variable that holds it "
                f"(api_key_env=..., key_header={name!r}, or {field.name}={{{name!r}: '${{oc.env:NAME}}'}})"
            )


@attrs.frozen(kw_only=True, cache_hash=True)
class Endpoint:
    """An address, and how to talk to it.

    Attributes:
        base_url: the address without the operation's path, and without credentials.
        key_env: the environment variable that holds the key.
        url_env: the environment variable that the address came from; credentials in it are used at call time.
        key_header, key_prefix: how the key is sent.
        key_needed: whether a call without a key is refused before it is sent.
        headers: sent with every request. A credential is written as `${oc.env:NAME}`, and is read from the environment
            with each call.
        ca_file: the certificate authorities to trust instead of the usual ones, in PEM form.
        connect_timeout_s: to open a connection.
        read_timeout_s: between two pieces of an answer, the first included.
        total_timeout_s: for the whole exchange.
        max_bytes: the largest answer that is read, unpacked.
    """

    base_url: str = attrs.field(validator=web_address)
    key_env: str
    url_env: str | None = None
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    key_needed: bool = True
    headers: Mapping[str, str] = attrs.field(default=EMPTY, converter=freeze_mapping, validator=_no_credentials)
    ca_file: str | None = None
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 300.0
    total_timeout_s: float = 600.0
    max_bytes: int = 64 * _MEGABYTE

    def timeout(self) -> httpx.Timeout:
        return httpx.Timeout(self.read_timeout_s, connect=self.connect_timeout_s, pool=None)

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc

    def url(self, path: str) -> str:
        """Return the address of an operation."""
        parts = urlsplit(self.base_url)
        query = "&".join(filter(None, (parts.query, urlencode(_secret_fields(self._env_url())))))
        return urlunsplit((parts.scheme, parts.netloc, parts.path + path, query, ""))

    def network_faults(self) -> Iterator[str]:
        """Yield what of the environment makes every call fail, as far as it shows without one."""
        return network_faults(self.base_url, self.ca_file)

    def missing_key(self) -> str | None:
        """Say what is missing from the environment, if anything is."""
        problem = self._missing_credential()
        if problem is not None:
            return problem
        for header, name in self._in_headers():
            if not os.environ.get(name):
                return f"{name} is not set; the header {header} holds it: export {name}=..."
        return None

    def _missing_credential(self) -> str | None:
        if self.key_needed and not self._key() and self._basic() is None:
            return f"{self.key_env} is not set; {self.host} needs a key: export {self.key_env}=..."
        return None

    def credentials(self) -> dict[str, str]:
        """Return the header that carries the credential, read from the environment now.

        Raises:
            ProviderError: the key is missing, or contains characters that a header can't.
        """
        problem, key, basic = self.missing_key(), self._key(), self._basic()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            problem = f"{self.key_env} holds characters that no key has (a line break, a blank?); set it anew"
        if problem is not None:
            raise ProviderError(CallFailure(kind=FailureKind.CREDENTIALS, message=problem))
        if key:
            return {self.key_header: f"{self.key_prefix}{key}"}
        return {} if basic is None else {"authorization": basic}

    def sent_headers(self) -> dict[str, str]:
        """Return the stated headers, with what the environment holds now in the place of its references."""
        return {
            header: _FROM_ENVIRONMENT.sub(lambda found: os.environ.get(found["name"], "").strip(), value)
            for header, value in self.headers.items()
        }

    def _in_headers(self) -> Iterator[tuple[str, str]]:
        """Yield the headers that hold credentials, each with the environment variable that it names."""
        for header, value in self.headers.items():
            yield from ((header, found["name"]) for found in _FROM_ENVIRONMENT.finditer(value))

    async def authorization(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        """Return the headers that carry the credential of one request; see `credentials`."""
        return self.credentials()

    def counted_headers(self, more: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
        """Return the headers that can change an answer, by name in lower case.

        Args:
            more: what the HTTP client adds; a header of the endpoint replaces one of the same name.
        """
        own = {name.lower() for name in self.headers}
        sent = [*self.headers.items(), *((name, value) for name, value in more if name.lower() not in own)]
        return sorted(
            (name.lower(), value.strip()) for name, value in sent if _can_matter(name.lower(), value, self.key_header)
        )

    def redact(self, text: str) -> str:
        """Return a text without any of this endpoint's credentials."""
        for secret in self._secrets():
            for form in (secret, quote(secret, safe=""), quote_plus(secret), unquote(secret)):
                text = text.replace(form, REDACTED)
        return text

    def _secrets(self) -> list[str]:
        url = self._env_url()
        secrets = [self._key(), urlsplit(url).password, *(value for _, value in _secret_fields(url))]
        secrets += [os.environ.get(name, "").strip() for _, name in self._in_headers()]
        return [*filter(None, secrets)]

    def echo_remover(self) -> Callable[[bytes], bytes]:
        """Return what takes credentials out of an answer's parts; what a placeholder such as `EMPTY` spells stays."""
        kept = [secret for secret in self._secrets() if not is_placeholder(secret)]
        forms = [(secret, secret.replace("/", "\\/"), quote(secret, safe="")) for secret in kept]
        echoes = [form.encode() for form in dict.fromkeys(itertools.chain.from_iterable(forms))]

        def without_echo(part: bytes) -> bytes:
            for echo in echoes:
                part = part.replace(echo, REDACTED.encode())
            return part

        return without_echo

    def _key(self) -> str:
        return os.environ.get(self.key_env, "").strip()

    def _env_url(self) -> str:
        url = os.environ.get(self.url_env, "") if self.url_env else ""
        return url if url and plain_url(url) == self.base_url else ""

    def _basic(self) -> str | None:
        parts = urlsplit(self._env_url())
        if parts.username is None and parts.password is None:
            return None
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
        return "Basic " + base64.b64encode(pair).decode()


@attrs.frozen(kw_only=True)
class Answer:
    """A successful answer: its headers with lower-case names, its unpacked body, and how long it took.

    `latency_ms` is `None` for an answer that came in a batch.
    """

    headers: Mapping[str, str]
    body: bytes
    latency_ms: float | None


# --- clients ----------------------------------------------------------------------------------------------


@attrs.define
class _Clients:
    """The clients of a run: those that no call is using, and the endpoints that have answered.

    A stack of single-connection clients per endpoint: one client with many connections would look at each of them
    several times per request (httpcore's pool does), which at 32 concurrent calls costs more than the rest.
    """

    idle: defaultdict[Endpoint, list[httpx.AsyncClient]] = attrs.field(factory=lambda: defaultdict(list))
    answered: set[Endpoint] = attrs.field(factory=set)


_clients: ContextVar[_Clients | None] = ContextVar("themis_clients", default=None)


@asynccontextmanager
async def pooled_clients() -> AsyncIterator[None]:
    """Keep connections open for the calls made inside, and close them all at the end.

    Calls outside of it open and close a connection each. Inside of another one, this one does nothing.
    """
    if _clients.get() is not None:
        yield
        return
    clients = _Clients()
    token = _clients.set(clients)
    try:
        yield
    finally:
        _clients.reset(token)
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            for client in itertools.chain.from_iterable(clients.idle.values()):
                await client.aclose()


@asynccontextmanager
async def _client_for(endpoint: Endpoint) -> AsyncIterator[httpx.AsyncClient]:
    clients = _clients.get()
    if clients is None:
        async with _new_client(endpoint) as once:
            yield once
        return
    stack = clients.idle[endpoint]
    # The one used last: its connection is the likeliest to be open still.
    client = stack.pop() if stack else _new_client(endpoint)
    try:
        yield client
    finally:
        stack.append(client)


def _new_client(endpoint: Endpoint) -> httpx.AsyncClient:
    faults = [*endpoint.network_faults()]
    if faults:
        raise ProviderError(CallFailure(kind=FailureKind.ENVIRONMENT, message="; ".join(faults)))
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)
    proxy = proxy_for(endpoint.base_url)
    return httpx.AsyncClient(
        timeout=endpoint.timeout(),
        limits=limits,
        verify=tls_settings(endpoint.ca_file),
        proxy=None if proxy is None else proxy.url,
        trust_env=False,
    )


# --- logs -------------------------------------------------------------------------------------------------

_asked: ContextVar[Endpoint | None] = ContextVar("themis_asked_endpoint", default=None)


class _Redaction(logging.Filter):
    """Takes credentials out of the HTTP client's logs: it writes addresses with their query, and answers' headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        endpoint = _asked.get()
        if endpoint is not None:
            record.msg, record.args = endpoint.redact(record.getMessage()), None
        return True


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_Redaction())


# --- exchange ---------------------------------------------------------------------------------------------


async def post_json(endpoint: Endpoint, path: str, body: bytes, client: httpx.AsyncClient | None = None) -> Answer:
    """Post a JSON body and return the answer, which is JSON, or a stream of it that was not asked for.

    Args:
        endpoint: whom to ask.
        path: the operation, such as `/chat/completions`.
        body: the JSON.
        client: used instead of the endpoint's own; it stays open.

    Raises:
        ProviderError: anything but a success with such a body.
    """
    headers = {"content-type": "application/json", "accept": "application/json"}
    answer = await call(endpoint, "POST", path, body, headers, client)
    kind = answer.headers.get("content-type", "application/json").lower()
    if "json" not in kind and not is_stream(answer.body) and not answer.body.lstrip().startswith(b"{"):
        text = shortened(endpoint.redact(answer.body[:2000].decode(errors="replace")))
        problem = f"a JSON answer expected, {kind.partition(';')[0]} found: {text}"
        raise ProviderError(CallFailure(kind=FailureKind.MALFORMED, message=problem))
    return answer


async def call(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    client: httpx.AsyncClient | None = None,
) -> Answer:
    """Make one request and return its answer; see `post_json`."""
    url = endpoint.url(path)
    plain = {**_HEADERS, **endpoint.sent_headers(), **headers}
    sent = _Sent(
        endpoint=endpoint,
        method=method,
        url=url,
        headers={**plain, **await endpoint.authorization(method, url, plain, body)},
        body=body,
        is_injected=client is not None,
    )
    token = _asked.set(endpoint)
    try:
        outcome = await _within_time(sent, client)
    finally:
        _asked.reset(token)
    # Raised out here, so that no exception of the client, which knows the headers, is its context.
    if isinstance(outcome, CallFailure):
        raise ProviderError(outcome.evolve(message=endpoint.redact(outcome.message)))
    return outcome


async def _within_time(sent: _Sent, client: httpx.AsyncClient | None) -> Answer | CallFailure:
    endpoint, host = sent.endpoint, sent.endpoint.host
    clients = _clients.get()
    answered: set[Endpoint] = set() if clients is None else clients.answered
    try:
        with trio.move_on_after(endpoint.total_timeout_s) as timer, bodies.stopping(timer):
            async with _client_for(endpoint) if client is None else nullcontext(client) as used:
                outcome = await _exchange(used, attrs.evolve(sent, is_first=endpoint not in answered))
                answered.add(endpoint)
                return outcome
    except ProviderError as error:
        return error.failure
    except every("TimeoutException") as error:
        return CallFailure(kind=FailureKind.TIMEOUT, message=f"{type(error).__name__}: {host} took too long")
    except every("TransportError") as error:
        return connection_failure(error, endpoint.base_url, has_answered=endpoint in answered)
    message = f"no complete answer from {host} within {endpoint.total_timeout_s:g} s"
    return CallFailure(kind=FailureKind.TIMEOUT, message=message)


@attrs.frozen(kw_only=True)
class _Sent:
    endpoint: Endpoint
    method: str
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    is_injected: bool
    is_first: bool = False

    def request(self, client: httpx.AsyncClient) -> httpx.Request:
        # An injected client adds headers and cookies of its own; ours has none, and skips the merging.
        if self.is_injected:
            return client.build_request(self.method, self.url, headers=self.headers, content=self.body)
        extensions = {
            "timeout": self.endpoint.timeout().as_dict(),
            **({"trace": CloseOnFailure()} if self.is_first else {}),
        }
        return httpx.Request(self.method, self.url, headers=self.headers, content=self.body, extensions=extensions)


async def _exchange(client: httpx.AsyncClient, sent: _Sent) -> Answer | CallFailure:
    began = trio.current_time()
    for _ in range(_REDIRECTS + 1):
        response = await client.send(sent.request(client), stream=True, follow_redirects=False)
        try:
            if not response.has_redirect_location:
                return await _read(response, sent, began)
            target = _target(sent.url, response.headers["location"])
        finally:
            await response.aclose()
        if response.status_code not in {307, 308} or _origin(target) != _origin(sent.url):
            message = (
                f"{sent.endpoint.host} answers {response.status_code} and names another address, "
                f"{_origin(target)}; if that is right, make it the base_url"
            )
            return CallFailure(kind=FailureKind.REDIRECT, status=response.status_code, message=message)
        sent = attrs.evolve(sent, url=target)
    return CallFailure(kind=FailureKind.REDIRECT, message=f"{sent.endpoint.host} redirects in a circle")


def _target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return "unreadable:"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def _read(response: httpx.Response, sent: _Sent, began: float) -> Answer | CallFailure:
    unechoed = sent.endpoint.echo_remover()
    headers = {
        name.decode("latin-1").lower(): unechoed(value).decode("latin-1") for name, value in response.headers.raw
    }
    now = datetime.now(UTC)
    pause_s = quota_wait(headers, now)
    if pause_s is not None:
        report_quota(pause_s)
    if response.status_code // 100 == 2:
        body = await _body(response, headers, sent.endpoint.max_bytes)
        if isinstance(body, CallFailure):
            return body
        return Answer(headers=headers, body=unechoed(body), latency_ms=(trio.current_time() - began) * 1000)
    error_body = await _body(response, headers, _LARGEST_ERROR)
    stated = StatedError(message="") if isinstance(error_body, CallFailure) else error_in(error_body)
    failure = stated.of_status(response.status_code, f"{sent.endpoint.host} answers {response.status_code}")
    wait_s = retry_after(headers, now)
    if wait_s is None and response.status_code == 429:
        wait_s = pause_s
    return failure.evolve(retry_after_s=wait_s, request_id=request_id(headers))


def request_id(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-request-id") or headers.get("request-id")


# --- bounded bodies ---------------------------------------------------------------------------------------


async def _body(response: httpx.Response, headers: Mapping[str, str], most: int) -> bytes | CallFailure:
    """Read a body and unpack it, never holding more than `most` bytes and one piece from the network.

    Of a large one no more is read than the run has room for (`themis.effects.bodies`).
    """
    too_large = CallFailure(kind=FailureKind.TOO_LARGE, message=f"the answer is larger than {most:,} bytes")
    promised = headers.get("content-length", "")
    if promised.isdecimal() and int(promised) > most:
        return too_large
    if response.is_stream_consumed:
        # An injected transport, such as a mock, has read and unpacked it already.
        return response.content if len(response.content) <= most else too_large
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in _WINDOW_BITS:
        return CallFailure(
            kind=FailureKind.MALFORMED, message=f"the body is packed as {encoding!r}, which was not asked for"
        )
    bits = _WINDOW_BITS[encoding]
    unpack = None if bits is None else zlib.decompressobj(bits)
    body = io.BytesIO()
    room = most
    taken = bodies.COUNTED_FROM
    if unpack is None and promised.isdecimal() and int(promised) > taken:
        await bodies.take(int(promised) - taken)
        taken = int(promised)
    stream = response.aiter_raw()
    try:
        async for raw in stream:
            piece = raw if unpack is None else unpack.decompress(raw, room + 1)
            room -= len(piece)
            if room < 0:
                await _hang_up(response, stream)
                return too_large
            body.write(piece)
            if body.tell() > taken:
                await bodies.take(more := max(bodies.COUNTED_FROM, body.tell() - taken))
                taken += more
    except zlib.error as error:
        await _hang_up(response, stream)
        return CallFailure(kind=FailureKind.MALFORMED, message=f"the packed body can't be read: {error}")
    return body.getvalue()


async def _hang_up(response: httpx.Response, stream: AsyncIterator[bytes]) -> None:
    """Close a connection in the middle of a body.

    The client's stream is a nest of generators, which end properly only by reading: what is read here is the
    little that had arrived before the connection was closed.
    """
    await response.aclose()
    with suppress(*every("HTTPError", "StreamError")):
        async for _ in stream:
            pass
