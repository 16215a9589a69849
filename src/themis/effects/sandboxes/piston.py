"""Piston: a code execution service of one's own (its API version 2: `docs/api-v2.md` and `docs/configuration.md` of
engineer-man/piston, and the answers that its `api/src/job.js` makes).

It compiles anew for each run. Its limits on time and memory can't exceed those that the service is configured with:
it refuses such requests, and says so. On output it has one limit alone, its own (`PISTON_OUTPUT_MAX_SIZE`, 1024 unless
set), and ends what writes more: below the limit of a request that is the service's failure, and not the program's.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.effects.http_library import httpx
from themis.effects.sandboxes.remote import (
    Body,
    RemoteError,
    RemoteSandbox,
    UnclearError,
    arguments,
    ending,
    failed_build,
    is_killed,
    other_files,
    text,
    whole,
)
from themis.pure.records.sandbox import SandboxRequest, SandboxResult, SandboxStatus

_LANGUAGES: Final = {"python": "python", "cpp": "c++"}
_MIB: Final = 1024 * 1024
_NEARLY: Final = 0.95
_CHECK_S: Final = 10.0


class PistonSandbox(RemoteSandbox):
    """Runs programs on a Piston service.

    Args:
        url: its address without `/api/v2`; by default what `THEMIS_CODE_PISTON_URL` says.
    """

    name = "Piston"
    variable = "THEMIS_CODE_PISTON_URL"
    path = "/api/v2/execute"

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        """Return what is wrong: no address, no answer, a language that is not installed there or does not run."""
        if not self._url:
            return super().check()
        try:
            runtimes = httpx.get(f"{self._url}/api/v2/runtimes", timeout=_CHECK_S, verify=self._tls)
            found = runtimes.raise_for_status().json()
            known = {name for one in found for name in (one["language"], *one.get("aliases", ()))}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, KeyError, AttributeError) as error:
            said = str(error) or type(error).__name__
            return [f"{self.where} ({self.variable}) does not answer as it should: {said}"]
        wanted = [_LANGUAGES.get(name, name) for name in languages]
        missing = [name for name in wanted if name not in known]
        if missing:
            return [f"{self.where} has no {name}; install it (POST /api/v2/packages)" for name in missing]
        return super().check(languages) if languages else []

    def _body(self, request: SandboxRequest) -> Body:
        main = {"name": request.main_file, "content": request.files.get(request.main_file, "")}
        others = [{"name": name, "content": data, "encoding": "base64"} for name, data in other_files(request).items()]
        return {
            "language": _LANGUAGES.get(request.language, request.language),
            "version": "*",
            "files": [main, *others],
            "stdin": request.stdin,
            "args": list(arguments(request)),
            "run_timeout": round(request.time_s * 1000),
            "run_memory_limit": request.memory_mb * _MIB,
        }

    def _read(self, answer: Any, request: SandboxRequest, took_s: float) -> SandboxResult:
        built = answer.get("compile")
        if built is not None and built.get("code") != 0:
            said = built.get("stderr") or built.get("output") or built.get("message") or ""
            ended = f"{built.get('status') or 'no status'}, {built.get('signal') or 'no signal'}"
            return failed_build(whole(built["code"]) if built.get("code") is not None else None, str(said), ended)
        if "run" not in answer and answer.get("message"):
            raise RemoteError(f"{self.where}: {answer['message']}")
        run = answer["run"]
        status, code = self._ending(run, request, took_s)
        wall = run.get("wall_time")
        result = SandboxResult(
            status=status,
            exit_code=code,
            stdout=text(run["stdout"]),
            stderr=text(run["stderr"]) or str(run.get("message") or ""),
            duration_ms=float(wall) if isinstance(wall, int | float) else None,
        )
        if status == "signal" and code is not None and is_killed(code):
            raise UnclearError(result)  # its machine may have no memory left
        return result

    def _ending(
        self, run: Mapping[str, Any], request: SandboxRequest, took_s: float
    ) -> tuple[SandboxStatus, int | None]:
        """Return how a program ended, by the state that newer versions name, and else by its signal or exit code."""
        state = run.get("status")
        code = _code(run)
        if state == "XX":
            raise RemoteError(f"{self.where} failed: {run.get('message') or 'an internal error'}")
        if state == "TO":
            return "timeout", code
        if state in ("OL", "EL"):
            self._refuse_cut_output(run, request)
            return "output_limit", code
        if code is None:
            raise RemoteError(f"{self.where} states neither an exit code nor a signal: {dict(run)}")
        if is_killed(code):
            used = run.get("memory")
            if isinstance(used, int) and used >= _NEARLY * request.memory_mb * _MIB:
                return "memory", code
            if state is None:
                return self._killed(run, request, took_s), code
        return ending(code)

    def _refuse_cut_output(self, run: Mapping[str, Any], request: SandboxRequest) -> None:
        written = max(len(str(run.get(stream) or "").encode()) for stream in ("stdout", "stderr"))
        if written < request.output_bytes:
            raise RemoteError(
                f"{self.where} ended the program at its own limit of output, after {written} bytes of the "
                f"{request.output_bytes} that are allowed; set PISTON_OUTPUT_MAX_SIZE={request.output_bytes} there"
            )

    def _killed(self, run: Mapping[str, Any], request: SandboxRequest, took_s: float) -> SandboxStatus:
        # Older versions name no state. They end a program for its time, and for output above a limit that they don't
        # tell; so does a machine that has no memory left (engineer-man/piston, issues 301, 535).
        if took_s >= request.time_s:
            return "timeout"
        raise UnclearError(
            SandboxResult(
                status="sandbox_error",
                stderr=f"{self.where} ended the program with SIGKILL after {took_s:.1f} s of {request.time_s:g} s and "
                "does not say why: for its output (PISTON_OUTPUT_MAX_SIZE), or for want of memory on its machine",
            )
        )


def _code(run: Mapping[str, Any]) -> int | None:
    """Return the exit code as a shell has it: 128 and a signal's number, where a signal ended the program."""
    name = run.get("signal")
    if isinstance(name, str) and name in signal.Signals.__members__:
        return 128 + signal.Signals[name]
    return whole(run["code"]) if run.get("code") is not None else None
