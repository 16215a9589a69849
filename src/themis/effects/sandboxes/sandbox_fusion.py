"""SandboxFusion: ByteDance's code execution service (`POST /run_code`: `sandbox/server/sandbox_api.py` and
`sandbox/runners/base.py` of bytedance/SandboxFusion).

It reads what a program wrote once, when the program has ended: more than a pipe holds is cut, or keeps the program from
ending, and on a busy machine nothing is found in time (its issues 30 and 62). Such answers are not the program's.
"""

from __future__ import annotations

from typing import Any, Final

from themis.effects.sandboxes.remote import (
    BUILD_S,
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

_CARRIED: Final = 64 * 1024
"""What a pipe holds on Linux (pipe(7))."""
_UNREADABLE: Final = "[DecodeError] "
_ENDED: Final[dict[str, SandboxStatus]] = {
    "TimeLimitExceeded": "timeout",
    "MemoryLimitExceeded": "memory",  # asked for in its issue 43
}


class FusionSandbox(RemoteSandbox):
    """Runs programs on a SandboxFusion service.

    Args:
        url: its address; by default what `THEMIS_CODE_SANDBOX_FUSION_URL` says.
    """

    name = "SandboxFusion"
    variable = "THEMIS_CODE_SANDBOX_FUSION_URL"
    path = "/run_code"

    def _body(self, request: SandboxRequest) -> Body:
        if any(arguments(request)):
            raise RemoteError("SandboxFusion passes no arguments to programs; give them on the standard input")
        return {
            "code": request.files.get(request.main_file, ""),
            "language": request.language,
            "stdin": request.stdin,
            "files": dict(other_files(request)),
            "compile_timeout": BUILD_S,
            "run_timeout": request.time_s,
            "memory_limit_MB": request.memory_mb,
        }

    def _read(self, answer: Any, request: SandboxRequest, took_s: float) -> SandboxResult:
        if answer["status"] == "SandboxError":
            raise RemoteError(f"SandboxFusion: {answer.get('message') or 'no reason given'}")
        built, run = answer.get("compile_result"), answer.get("run_result")
        if built is not None and (built["status"] != "Finished" or built["return_code"] != 0):
            code = whole(built["return_code"]) if built["status"] == "Finished" else None
            return failed_build(code, built.get("stderr") or "", built["status"])
        if run is None or run["status"] not in ("Finished", *_ENDED):
            raise RemoteError(f"SandboxFusion: the run ended with {run and run['status']}")
        status, code = (_ENDED[run["status"]], None) if run["status"] in _ENDED else ending(whole(run["return_code"]))
        stdout = text(run["stdout"])
        written = len(stdout.encode("utf-8", "surrogatepass"))
        if written >= request.output_bytes:
            status = "output_limit"
        elif written >= _CARRIED:
            raise RemoteError(
                f"the program wrote {_CARRIED} bytes or more, of which SandboxFusion may lose some; use another sandbox"
            )
        if stdout.startswith(_UNREADABLE):
            raise RemoteError(f"SandboxFusion could not read what the program wrote: {stdout}")
        seconds = run.get("execution_time")
        result = SandboxResult(
            status=status,
            exit_code=code,
            stdout=stdout,
            stderr=run.get("stderr") or "",
            duration_ms=None if seconds is None else 1000.0 * seconds,
        )
        is_empty = status == "ok" and not result.stdout and not result.stderr
        if is_empty or (code is not None and is_killed(code)):
            raise UnclearError(result)  # its output may have been missed, or its machine may have no memory left
        return result
