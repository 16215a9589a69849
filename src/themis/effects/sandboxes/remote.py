"""What sandboxes behind HTTP share: where they are, one exchange with them, and the trial before a run.

What a service fails at is nobody's answer: it becomes a `sandbox_error`, and its case is left unscored. A busy or
unreachable service, and one that fails inside, is asked again; one that refuses is not. Where an answer leaves open
whether the program or the service failed, it is asked once more: what comes of that counts.
"""

from __future__ import annotations

import abc
import base64
import json
import os
import signal
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs
import trio

from themis.effects.http_library import httpx
from themis.effects.sandboxes.trials import trial_of, tried
from themis.pure.records.sandbox import SandboxRequest, SandboxResult, SandboxStatus
from themis.pure.text import shortened

_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_WAITS_S: Final = (0.5, 2.0, 8.0)
_LONGEST_WAIT_S: Final = 60.0
_SIGNAL_BASE: Final = 128
_UNFOUND: Final = (126, 127)
"""A shell's exit codes for a program that it can't run or find (POSIX, Shell Command Language, 2.8.2)."""
_TRIAL_S: Final = 3.0  # what Piston allows unless it is told otherwise
BUILD_S: Final = 60
_SLACK_S: Final = 30.0

Body = Mapping[str, Any]


class RemoteError(Exception):
    """The service could not be reached, can't take or refused the request, or answered beside its contract."""


class UnclearError(Exception):
    """The program or the service failed; which one, the answer does not say.

    Args:
        result: what it is if it happens again; a `sandbox_error` is the service's failure.
    """

    def __init__(self, result: SandboxResult) -> None:
        super().__init__(result.stderr)
        self.result = result


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
        self._versions: dict[str, str] = {}

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
        try:
            return await self._once(request)
        except UnclearError:
            await trio.sleep(_WAITS_S[0])
        try:
            return await self._once(request)
        except UnclearError as unclear:
            return unclear.result

    async def _once(self, request: SandboxRequest) -> SandboxResult:
        answer, took_s = await self._posted(self._body(request), request)
        try:
            return self._read(answer, request, took_s)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            found = shortened(json.dumps(answer), 200)
            raise RemoteError(f"{self.where} answered in another form than it should: {error!r} in {found}") from error

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        """Return what is wrong: no address, no answer, or a language in which a trial program does not run."""
        if not self._url:
            return [self._no_address()]
        problems: list[str] = []
        for language in languages or ("python",):
            trial = attrs.evolve(trial_of(language), time_s=_TRIAL_S)
            version, problem = tried(self.run, trial)
            if version:
                self._versions[language] = version
            if problem and problem not in problems:
                problems.append(problem)
        return [f"{self.where} ({self.variable}) does not answer as it should: {problem}" for problem in problems]

    def describe(self) -> Mapping[str, str]:
        """Return what programs run on, as far as it was tried by `check`."""
        return {"name": self.name, **self._versions}

    @abc.abstractmethod
    def _body(self, request: SandboxRequest) -> Body:
        """Return what is posted to have a program run, or raise `RemoteError` if the service can't run it."""

    @abc.abstractmethod
    def _read(self, answer: Any, request: SandboxRequest, took_s: float) -> SandboxResult:
        """Read the answer.

        Args:
            answer: its JSON.
            request: what was asked.
            took_s: the seconds that the service took for it.

        Raises:
            RemoteError: it says that the service failed.
            UnclearError: it may have.
        """

    async def _posted(self, body: Body, request: SandboxRequest) -> tuple[Any, float]:
        """Post a request; return the answer's JSON, and the seconds that it took.

        A service that may do better later is asked again.
        """
        if not self._url:
            raise RemoteError(self._no_address())
        timeout = request.wall_s + BUILD_S + _SLACK_S
        async with httpx.AsyncClient(verify=self._tls, timeout=timeout) as client:
            for wait in (*_WAITS_S, None):
                asked_to_wait, started = 0.0, trio.current_time()
                try:
                    response = await client.post(self._url + self.path, json=body)
                    answer = _json_of(response)
                    if response.is_success and answer is not None:
                        return answer, trio.current_time() - started
                    problem = _refusal(response, answer)
                    if wait is None or not (response.status_code in _RETRIED or response.is_success):
                        raise RemoteError(f"{self.where} {problem}")
                    asked_to_wait = _retry_after(response)
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    if wait is None or not isinstance(error, httpx.TransportError):
                        raise RemoteError(f"{self.where}: {str(error) or type(error).__name__}") from error
                await trio.sleep(max(wait, asked_to_wait))
        raise AssertionError("the last attempt returns or raises")

    def _no_address(self) -> str:
        return f"no address of {self.name}: set {self.variable}, as in http://localhost:2000"


def _json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _refusal(response: httpx.Response, answer: Any) -> str:
    """Say what a service answered in place of a result, in its own words where it has some."""
    if response.is_success:
        return f"answered with what is no JSON: {shortened(response.text, 200)!r}"
    words = [answer.get(name) for name in ("message", "detail", "error")] if isinstance(answer, Mapping) else []
    said = next((word for word in words if word), None) or response.text or "nothing"
    return f"answered with status {response.status_code}: {shortened(str(said), 500)}"


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds that a service asks to wait for (RFC 9110, 10.2.3), as far as it says them in seconds."""
    try:
        return min(max(0.0, float(response.headers.get("retry-after", 0))), _LONGEST_WAIT_S)
    except ValueError:
        return 0.0


def whole(value: Any) -> int:
    """Return a number that a service must state as a whole one, such as an exit code."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def text(value: Any) -> str:
    """Return an output that a service must state: one that is lost is not one that is empty."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no output")
    return value


def ending(code: int) -> tuple[SandboxStatus, int]:
    """Return how a program ended that ended by itself, and its exit code as a shell has it: 128 and a signal's number.

    >>> ending(0), ending(3), ending(-11), ending(139)
    (('ok', 0), ('nonzero_exit', 3), ('signal', 139), ('signal', 139))
    """
    shown = _SIGNAL_BASE - code if code < 0 else code
    return ("ok" if code == 0 else "signal" if shown > _SIGNAL_BASE else "nonzero_exit"), shown


def is_killed(code: int) -> bool:
    """Tell whether a program was ended by SIGKILL, which is how a machine without memory ends any program."""
    return code in (-signal.SIGKILL, _SIGNAL_BASE + signal.SIGKILL)


def failed_build(code: int | None, said: str, ended: str) -> SandboxResult:
    """Return what a build that failed is: the program's doing only if the compiler itself says so.

    Raises:
        RemoteError: the compiler is missing, or was ended before it was done.
    """
    if code is None or code in _UNFOUND or code > _SIGNAL_BASE or code < 0:
        how = f"exit code {code}" if code is not None else ended
        raise RemoteError(
            f"the compiler did not run to its end ({how}): {shortened(said.strip(), 300) or 'it is silent'}"
        )
    return SandboxResult(status="build_failed", exit_code=code, stderr=said)


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
