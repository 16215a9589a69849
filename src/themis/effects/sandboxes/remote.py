"""What sandboxes behind HTTP share: where they are, and one exchange with them."""

from __future__ import annotations

import abc
import base64
import os
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import httpx
import trio

from themis.pure.records.sandbox import SandboxRequest, SandboxResult

_BUSY: Final = frozenset({429, 502, 503, 504})
_WAITS_S: Final = (0.5, 2.0)
BUILD_S: Final = 60
_SLACK_S: Final = 30.0
_CHECK_S: Final = 10.0

Body = Mapping[str, Any]


class RemoteError(Exception):
    """The service could not be reached, can't take or refused the request, or answered beside its contract."""


class RemoteSandbox(abc.ABC):
    """A sandbox service: a subclass says what it is asked and how its answer is read.

    Args:
        url: its address; by default what the environment says.

    Attributes:
        name: what it is called.
        variable: the environment variable with its address.
        path: where programs are run.
    """

    name: ClassVar[str]
    variable: ClassVar[str]
    path: ClassVar[str]

    def __init__(self, url: str | None = None) -> None:
        self._url = (url if url is not None else os.environ.get(self.variable, "")).rstrip("/")
        self._tls = ssl.create_default_context()

    @property
    def where(self) -> str:
        return f"{self.name} at {self._url}"

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """Run one program; anything the service does wrong becomes a `sandbox_error`."""
        try:
            result = await self._result(request)
        except RemoteError as error:
            result = SandboxResult(status="sandbox_error", stderr=str(error))
        return result.evolve(label=request.label)

    async def _result(self, request: SandboxRequest) -> SandboxResult:
        if request.main_file not in (request.build or request.command):
            raise RemoteError(f"this sandbox needs a program among the files; {request.command} names none")
        answer = await self._posted(self._body(request), request)
        try:
            return self._read(answer, request)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RemoteError(f"{self.where} answered in another form than it should: {error!r}") from error

    @abc.abstractmethod
    def _body(self, request: SandboxRequest) -> Body:
        """Return what is posted to have a program run, or raise `RemoteError` if the service can't run it."""

    @abc.abstractmethod
    def _read(self, answer: Any, request: SandboxRequest) -> SandboxResult:
        """Read the answer, or raise `RemoteError` if it says that the service failed."""

    def _checked(self, path: str, method: str = "GET", body: Body | None = None) -> tuple[list[str], Any]:
        """Ask the service something before anything is paid for; return what is wrong, and its answer."""
        if not self._url:
            return [self._no_address()], None
        try:
            response = httpx.request(method, self._url + path, json=body, timeout=_CHECK_S, verify=self._tls)
            return [], self._answer(response)
        except (httpx.HTTPError, httpx.InvalidURL, RemoteError) as error:
            return [f"{self.where} ({self.variable}) does not answer as it should: {_told(error)}"], None

    async def _posted(self, body: Body, request: SandboxRequest) -> Any:
        """Post a request and return the answer's JSON; a busy or unreachable service is asked again, twice."""
        if not self._url:
            raise RemoteError(self._no_address())
        timeout = request.wall_s + BUILD_S + _SLACK_S
        async with httpx.AsyncClient(verify=self._tls, timeout=timeout) as client:
            for wait in (*_WAITS_S, None):
                try:
                    response = await client.post(self._url + self.path, json=body)
                    if response.status_code not in _BUSY or wait is None:
                        return self._answer(response)
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    if wait is None or not isinstance(error, httpx.TransportError):
                        raise RemoteError(f"{self.where}: {_told(error)}") from error
                await trio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _no_address(self) -> str:
        return f"no address of {self.name}: set {self.variable}, as in http://localhost:2000"

    def _answer(self, response: httpx.Response) -> Any:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.is_success and answer is not None:
            return answer
        said = answer.get("message") if isinstance(answer, Mapping) else response.text[:500]
        raise RemoteError(f"{self.where} answered with status {response.status_code}: {said}")


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
