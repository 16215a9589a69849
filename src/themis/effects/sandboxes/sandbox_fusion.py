"""SandboxFusion: ByteDance's code execution service (`POST /run_code`, `sandbox_api.py` of bytedance/SandboxFusion)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from themis.effects.sandboxes.remote import BUILD_S, Body, RemoteError, RemoteSandbox, arguments, other_files
from themis.pure.records.sandbox import SandboxRequest, SandboxResult, SandboxStatus

_TRIALS: Final = {"python": "print(1)", "cpp": "int main() {}"}


class FusionSandbox(RemoteSandbox):
    """Runs programs on a SandboxFusion service.

    Args:
        url: its address; by default what `THEMIS_CODE_SANDBOX_FUSION_URL` says.
    """

    name = "SandboxFusion"
    variable = "THEMIS_CODE_SANDBOX_FUSION_URL"
    path = "/run_code"

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        """Return what is wrong: no address, no answer, or a language in which a trivial program does not run."""
        problems: list[str] = []
        for name in languages or ("python",):
            body = {"code": _TRIALS.get(name, ""), "language": name, "run_timeout": 5}
            found, answer = self._checked(self.path, "POST", body)
            if not found and answer.get("status") != "Success":
                found = [f"{self.where} can't run {name}: {answer.get('message')}"]
            problems += [problem for problem in found if problem not in problems]
        return problems

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

    def _read(self, answer: Any, request: SandboxRequest) -> SandboxResult:
        if answer["status"] == "SandboxError":
            raise RemoteError(f"SandboxFusion: {answer.get('message') or 'no reason given'}")
        built, run = answer.get("compile_result"), answer.get("run_result")
        if built is not None and (built["status"] != "Finished" or built.get("return_code") != 0):
            said = built.get("stderr") or built["status"]
            return SandboxResult(status="build_failed", exit_code=built.get("return_code"), stderr=said)
        if run is None or run["status"] not in ("Finished", "TimeLimitExceeded"):
            raise RemoteError(f"SandboxFusion: the run ended with {run and run['status']}")
        code, seconds = run.get("return_code"), run.get("execution_time")
        status: SandboxStatus
        if run["status"] == "TimeLimitExceeded":
            status = "timeout"
        elif code == 0:
            status = "ok"
        else:
            status = "signal" if code < 0 or code > 128 else "nonzero_exit"
        return SandboxResult(
            status=status,
            exit_code=128 - code if isinstance(code, int) and code < 0 else code,
            stdout=run.get("stdout") or "",
            stderr=run.get("stderr") or "",
            duration_ms=None if seconds is None else 1000.0 * seconds,
        )
