"""Piston: a code execution service of one's own (its API version 2, `docs/api-v2.md` of engineer-man/piston).

It compiles anew for each run. Its limits on time and memory can't exceed those that the service is configured with:
it refuses such requests, and says so.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.effects.sandboxes.remote import Body, RemoteSandbox, arguments, other_files
from themis.pure.records.sandbox import SandboxRequest, SandboxResult, SandboxStatus

_LANGUAGES: Final = {"python": "python", "cpp": "c++"}
_MIB: Final = 1024 * 1024
# The two-letter states of newer versions: time out, too much standard output or error, an internal error.
_STATES: Final[Mapping[str, SandboxStatus]] = {
    "TO": "timeout",
    "OL": "output_limit",
    "EL": "output_limit",
    "XX": "sandbox_error",
}
_NEARLY: Final = 0.95


class PistonSandbox(RemoteSandbox):
    """Runs programs on a Piston service.

    Args:
        url: its address without `/api/v2`; by default what `THEMIS_CODE_PISTON_URL` says.
    """

    name = "Piston"
    variable = "THEMIS_CODE_PISTON_URL"
    path = "/api/v2/execute"

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        """Return what is wrong: no address, no answer, or a language that is not installed there."""
        problems, runtimes = self._checked("/api/v2/runtimes")
        if problems:
            return problems
        known = {name for runtime in runtimes for name in (runtime.get("language"), *runtime.get("aliases", ()))}
        wanted = [_LANGUAGES.get(name, name) for name in languages]
        missing = [name for name in wanted if name not in known]
        return [f"{self.where} has no {name}; install it (POST /api/v2/packages)" for name in missing]

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

    def _read(self, answer: Any, request: SandboxRequest) -> SandboxResult:
        built = answer.get("compile")
        if built is not None and built.get("code") != 0:
            said = built.get("stderr") or built.get("output") or built.get("message") or ""
            return SandboxResult(status="build_failed", exit_code=built.get("code"), stderr=said)
        run = answer["run"]
        wall = run.get("wall_time")
        return SandboxResult(
            status=_status(run, request),
            exit_code=_exit_code(run),
            stdout=run["stdout"],
            stderr=run["stderr"] or run.get("message") or "",
            duration_ms=float(wall) if isinstance(wall, int | float) else None,
        )


def _status(run: Mapping[str, Any], request: SandboxRequest) -> SandboxStatus:
    state = _STATES.get(run.get("status") or "")
    if state is not None:
        return state
    used = run.get("memory")
    if run.get("signal") and isinstance(used, int) and used >= _NEARLY * request.memory_mb * _MIB:
        return "memory"
    if run.get("signal") == "SIGKILL" and run.get("status") is None:
        return "timeout"  # older versions name no state; time is what they kill for
    if run.get("signal"):
        return "signal"
    return "ok" if run["code"] == 0 else "nonzero_exit"


def _exit_code(run: Mapping[str, Any]) -> int | None:
    name = run.get("signal")
    if isinstance(name, str) and name in signal.Signals.__members__:
        return 128 + signal.Signals[name]
    code = run.get("code")
    return code if isinstance(code, int) else None
