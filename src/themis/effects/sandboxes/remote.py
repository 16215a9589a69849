"""What sandboxes behind HTTP share: where they are, and one exchange with them."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs
import httpx
import trio

from themis.pure.records.sandbox import SandboxRequest, SandboxResult

_BUSY: Final = frozenset({429, 502, 503, 504})
_WAITS_S: Final = (0.5, 2.0)
_BUILD_S: Final = 60.0
_SLACK_S: Final = 30.0
_CHECK_S: Final = 10.0

Body = Mapping[str, Any]


class RemoteError(Exception):
    """The service could not be reached, refused the request, or answered beside its contract."""


@attrs.frozen
class Service:
    """A sandbox service.

    Attributes:
        name: what it is called.
        variable: the environment variable with its address.
        url: its address; read from the variable if not given.
    """

    name: str
    variable: str
    url: str
    _tls: ssl.SSLContext = attrs.field(factory=ssl.create_default_context, init=False, repr=False)

    @classmethod
    def named(cls, name: str, variable: str, url: str | None) -> Service:
        """Return the service at `url`, or where the environment says that it is."""
        address = url if url is not None else os.environ.get(variable, "")
        return cls(name, variable, address.rstrip("/"))

    def check(self, path: str, method: str = "GET", body: Body | None = None) -> tuple[list[str], Any]:
        """Ask the service something before anything is paid for; return what is wrong, and its answer."""
        if not self.url:
            return [f"no address of {self.name}: set {self.variable}, as in http://localhost:2000"], None
        try:
            response = httpx.request(method, self.url + path, json=body, timeout=_CHECK_S, verify=self._tls)
            return [], self._answer(response)
        except (httpx.HTTPError, httpx.InvalidURL, RemoteError) as error:
            return [f"{self.name} at {self.url} ({self.variable}) does not answer as it should: {_told(error)}"], None

    async def ask(self, path: str, body: Body, request: SandboxRequest) -> Any:
        """Post a request and return the answer's JSON; a busy or unreachable service is asked again, twice.

        Raises:
            RemoteError: there is no answer, or it is a refusal.
        """
        timeout = request.wall_s + _BUILD_S + _SLACK_S
        async with httpx.AsyncClient(verify=self._tls, timeout=timeout) as client:
            for wait in (*_WAITS_S, None):
                try:
                    response = await client.post(self.url + path, json=body)
                    if response.status_code not in _BUSY or wait is None:
                        return self._answer(response)
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    if wait is None or not isinstance(error, httpx.TransportError):
                        raise RemoteError(f"{self.name} at {self.url}: {_told(error)}") from error
                await trio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _answer(self, response: httpx.Response) -> Any:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_success and answer is not None:
            return answer
        said = answer.get("message") if isinstance(answer, Mapping) else response.text[:500]
        raise RemoteError(f"{self.name} at {self.url} answered with status {response.status_code}: {said}")


async def exchanged(
    service: Service,
    path: str,
    body: Body,
    request: SandboxRequest,
    read: Callable[[Any, SandboxRequest], SandboxResult],
) -> SandboxResult:
    """Have a service run a request; anything the service does wrong becomes a `sandbox_error`."""
    if not service.url:
        return failed(request, service.check("")[0][0])
    try:
        answer = await service.ask(path, body, request)
    except RemoteError as error:
        return failed(request, str(error))
    try:
        return read(answer, request)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return failed(request, f"{service.name} at {service.url} answered in another form than it should: {error!r}")


def failed(request: SandboxRequest, why: str) -> SandboxResult:
    return SandboxResult(status="sandbox_error", stderr=why, label=request.label)


def has_no_program(request: SandboxRequest) -> SandboxResult | None:
    """Return the failure of a request that a service can't take: none of its files is the program."""
    if request.main_file in (request.build or request.command):
        return None
    return failed(request, f"this sandbox needs a program among the files; {request.command} names none")


def arguments(request: SandboxRequest) -> Iterator[str]:
    """Yield the program's arguments: what follows the main file, or the program that was built, in the command."""
    skipped = 1 if request.build else 1 + request.command.index(request.main_file)
    yield from request.command[skipped:]


def other_files(request: SandboxRequest) -> Mapping[str, str]:
    """Return the files but the main one, in base64."""
    return {
        name: base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        for name, text in request.files.items()
        if name != request.main_file
    }


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
