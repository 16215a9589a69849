"""Piston and SandboxFusion, against services on loopback that keep their contract and really run the programs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
import pytest
import trio

from themis.effects.sandboxes import Sandbox
from themis.effects.sandboxes.local import LocalSandbox
from themis.effects.sandboxes.piston import PistonSandbox
from themis.effects.sandboxes.sandbox_fusion import FusionSandbox
from themis.pure.components.registry import make_builtin
from themis.pure.records.sandbox import SandboxRequest, SandboxResult

from .test_metrics import ADD, CPP_SUM, PY_SUM, SUM, judged, verdict

pytestmark = pytest.mark.sandbox

Answer = tuple[int, Any]
Handler = Callable[[str, str, Any], Answer]


@contextmanager
def serving(handle: Handler) -> Iterator[str]:
    """Serve JSON on loopback: `handle(method, path, body)` returns status and answer (a `str` is sent as it is)."""

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(None)

        def do_POST(self) -> None:
            self._respond(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _respond(self, body: Any) -> None:
            status, answer = handle(self.command, self.path, body)
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# --- the services -----------------------------------------------------------------------------------------


def carried_out(language: str, name: str, text: str, **limits: Any) -> SandboxResult:
    if language in ("c++", "cpp"):
        make = ("g++", "-o", "a.out", "main.cpp")
        request = SandboxRequest(command=("./a.out",), files={"main.cpp": text}, build=make, artifact="a.out", **limits)
    else:
        request = SandboxRequest(command=("python3", name), files={name: text}, **limits)
    # A sandbox of its own for each call: one serves one event loop, and each call has its own.
    return trio.run(LocalSandbox().run, request)


@attrs.define
class Piston:
    """What `docs/api-v2.md` of engineer-man/piston says, with a state in `run.status` or, as older ones, without."""

    states: bool = True
    most_ms: int = 30_000
    seen: list[Any] = attrs.field(factory=list)

    def __call__(self, method: str, path: str, body: Any) -> Answer:
        if (method, path) == ("GET", "/api/v2/runtimes"):
            return 200, [
                {"language": "python", "version": "3.12.0", "aliases": ["py", "python3"]},
                {"language": "c++", "version": "10.2.0", "aliases": ["cpp", "g++"], "runtime": "gcc"},
            ]
        if (method, path) != ("POST", "/api/v2/execute"):
            return 404, {"message": "Not Found"}
        self.seen.append(body)
        for key in ("language", "version"):
            if not isinstance(body.get(key), str):
                return 400, {"message": f"{key} is required as a string"}
        if body["run_timeout"] > self.most_ms:
            return 400, {"message": f"run_timeout cannot exceed the configured limit of {self.most_ms}"}
        main = body["files"][0]
        result = carried_out(
            body["language"],
            main["name"],
            main["content"],
            stdin=body["stdin"],
            time_s=body["run_timeout"] / 1000,
            memory_mb=body["run_memory_limit"] // 2**20,
        )
        if result.status == "build_failed":
            stage = {"stdout": "", "stderr": result.stderr, "code": 1, "signal": None, "output": result.stderr}
            return 200, {"language": "c++", "version": "10.2.0", "compile": stage, "run": None}
        killed = result.status in ("timeout", "memory", "output_limit")
        run = {
            "stdout": result.stdout,
            "stderr": result.stderr,
            "output": result.stdout + result.stderr,
            "code": None if killed or result.status == "signal" else result.exit_code,
            "signal": "SIGKILL" if killed else "SIGSEGV" if result.status == "signal" else None,
        }
        if self.states:
            status = {"timeout": "TO", "output_limit": "OL", "memory": "SG", "signal": "SG"}.get(result.status)
            memory = body["run_memory_limit"] if result.status == "memory" else 1_000_000
            run |= {"status": status, "message": None, "memory": memory, "cpu_time": 5, "wall_time": 9}
        return 200, {"language": "python", "version": "3.12.0", "run": run}


@attrs.define
class Fusion:
    """What `sandbox_api.py` of bytedance/SandboxFusion does."""

    seen: list[Any] = attrs.field(factory=list)

    def __call__(self, method: str, path: str, body: Any) -> Answer:
        if (method, path) != ("POST", "/run_code"):
            return 404, {"detail": "Not Found"}
        if not isinstance(body.get("code"), str) or body.get("language") not in ("python", "cpp"):
            return 422, {"detail": [{"loc": ["body"], "msg": "field required"}]}
        self.seen.append(body)
        result = carried_out(
            body["language"],
            "main.py",
            body["code"],
            stdin=body.get("stdin") or "",
            time_s=body["run_timeout"],
            memory_mb=body.get("memory_limit_MB", 512),
        )
        finished = {"status": "Finished", "execution_time": 0.01, "return_code": 0, "stdout": "", "stderr": ""}
        compiled = dict(finished) if body["language"] == "cpp" else None
        answer: dict[str, Any] = {"status": "Success", "message": "", "compile_result": compiled, "run_result": None}
        answer |= {"executor_pod_name": None, "files": {}}
        if result.status == "build_failed":
            return 200, answer | {
                "status": "Failed",
                "compile_result": finished | {"return_code": 1, "stderr": result.stderr},
            }
        run = finished | {"stdout": result.stdout, "stderr": result.stderr}
        if result.status == "timeout":
            run |= {"status": "TimeLimitExceeded", "return_code": None}
        elif result.status != "ok":
            code = result.exit_code or 0
            run["return_code"] = 128 - code if code > 128 else code
        return 200, answer | {"status": "Success" if result.status == "ok" else "Failed", "run_result": run}


@pytest.fixture(params=["piston", "old piston", "sandbox_fusion"])
def remote(request: pytest.FixtureRequest, box: LocalSandbox) -> Iterator[tuple[Sandbox, Piston | Fusion]]:
    service = Fusion() if request.param == "sandbox_fusion" else Piston(states=request.param == "piston")
    with serving(service) as url:
        yield (FusionSandbox if isinstance(service, Fusion) else PistonSandbox)(url), service


# --- what they are for ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "status", "code"),
    [
        ("print(input())", "ok", 0),
        ("import sys; sys.exit(3)", "nonzero_exit", 3),
        ("while True: pass", "timeout", None),
        ("import os; os.kill(os.getpid(), 11)", "signal", 139),
    ],
)
def test_how_programs_end(remote: tuple[Sandbox, Any], program: str, status: str, code: int | None) -> None:
    request = SandboxRequest(
        command=("python3", "main.py"), files={"main.py": program}, stdin="hi", time_s=0.5, label="x"
    )
    result = trio.run(remote[0].run, request)
    assert (result.status, result.label) == (status, "x")
    assert code is None or result.exit_code == code
    assert result.stdout == ("hi\n" if status == "ok" else "")


def test_limits_are_passed_on(remote: tuple[Sandbox, Any]) -> None:
    request = SandboxRequest(command=("python3", "main.py"), files={"main.py": "print(1)"}, time_s=1.5, memory_mb=256)
    trio.run(remote[0].run, request)
    [seen] = remote[1].seen
    if isinstance(remote[1], Piston):
        assert (seen["run_timeout"], seen["run_memory_limit"]) == (1500, 256 * 2**20)
    else:
        assert (seen["run_timeout"], seen["memory_limit_MB"]) == (1.5, 256)


@pytest.mark.parametrize(("answer", "expected"), [(CPP_SUM, "passed"), ("int main() { x; }", "compile_error")])
def test_cpp(remote: tuple[Sandbox, Any], answer: str, expected: str) -> None:
    case = SUM | {"language": "cpp", "tests": SUM["tests"][:2]}
    assert verdict(judged(remote[0], make_builtin("aethercode_pass_rate"), case, answer)) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("    return a + b", "passed"),
        ("    return 7", "wrong_answer"),
        ("    import os; os._exit(0)", "runtime_error"),
        ("    import os; os.kill(os.getppid(), 9)", "no_verdict"),
    ],
)
def test_functions(box: LocalSandbox, answer: str, expected: str) -> None:
    for service, sandbox in ((Piston(), PistonSandbox), (Fusion(), FusionSandbox)):
        with serving(service) as url:
            metric = make_builtin("humaneval_pass_rate")
            assert verdict(judged(sandbox(url), metric, ADD, answer)) == expected


@pytest.mark.parametrize("language", ["cpp", "python"])
def test_checkers(remote: tuple[Sandbox, Any], language: str) -> None:
    from .test_metrics import CPP_CHECKER, PY_CHECKER

    checker = CPP_CHECKER if language == "cpp" else PY_CHECKER
    case = SUM | {"tests": SUM["tests"][:1], "checker": checker}
    metric = make_builtin("codeforces_pass_rate")
    assert verdict(judged(remote[0], metric, case, "print(*input().split())")) == "passed"
    assert verdict(judged(remote[0], metric, case, PY_SUM)) == "wrong_answer"


def test_memory_and_output_with_a_piston_that_says_so(box: LocalSandbox) -> None:
    with serving(Piston()) as url:
        hog = (
            "import os, time\nfor _ in range(9):\n    if os.fork() == 0:\n        x = bytearray(2**26); time.sleep(9)\n"
        )
        for program, status in ((hog + "time.sleep(9)", "memory"), ("while True: print('x' * 999)", "output_limit")):
            request = SandboxRequest(command=("python3", "m.py"), files={"m.py": program}, memory_mb=128)
            assert trio.run(PistonSandbox(url).run, request).status == status


# --- before paying ----------------------------------------------------------------------------------------


def test_checks_pass_where_all_is_there(remote: tuple[Sandbox, Any]) -> None:
    assert list(remote[0].check(["python", "cpp"])) == []


def test_checks_name_what_is_missing(box: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THEMIS_CODE_PISTON_URL", raising=False)
    monkeypatch.delenv("THEMIS_CODE_SANDBOX_FUSION_URL", raising=False)
    assert "set THEMIS_CODE_PISTON_URL" in PistonSandbox().check()[0]
    assert "set THEMIS_CODE_SANDBOX_FUSION_URL" in FusionSandbox().check()[0]
    assert "set THEMIS_CODE_PISTON_URL" in once(PistonSandbox()).stderr
    for sandbox in (PistonSandbox("http://127.0.0.1:1"), FusionSandbox("http://127.0.0.1:1")):
        result = trio.run(sandbox.run, SandboxRequest(command=("uname", "-a")))
        assert "needs a program among the files" in result.stderr
    with serving(Piston()) as url:
        monkeypatch.setenv("THEMIS_CODE_PISTON_URL", url + "/")
        assert list(PistonSandbox().check(["python"])) == []
        assert "has no cobol; install it" in PistonSandbox().check(["cobol"])[0]
        assert "does not answer as it should" in FusionSandbox(url).check()[0]
    assert "does not answer as it should" in PistonSandbox(url).check()[0]


# --- services that fail -----------------------------------------------------------------------------------


def once(sandbox: Sandbox, **limits: Any) -> SandboxResult:
    return trio.run(sandbox.run, SandboxRequest(command=("python3", "m.py"), files={"m.py": "print(1)"}, **limits))


def test_a_refusal_is_told_in_the_services_words(box: LocalSandbox) -> None:
    with serving(Piston(most_ms=3000)) as url:
        result = once(PistonSandbox(url), time_s=10)
    assert result.status == "sandbox_error"
    assert "run_timeout cannot exceed the configured limit of 3000" in result.stderr


@pytest.mark.parametrize("answer", ["<html>", "[]", "{}", '{"run": null}', '{"status": "Success"}', "null", "3"])
def test_answers_in_another_form_are_the_sandboxs_failure(answer: str) -> None:
    with serving(lambda *_: (200, answer)) as url:
        for sandbox in (PistonSandbox(url), FusionSandbox(url)):
            assert once(sandbox).status == "sandbox_error"


def test_a_busy_service_is_asked_again(box: LocalSandbox) -> None:
    calls: list[str] = []
    piston = Piston()

    def busy_at_first(method: str, path: str, body: Any) -> Answer:
        calls.append(path)
        return (503, {"message": "busy"}) if len(calls) == 1 else piston(method, path, body)

    with serving(busy_at_first) as url:
        assert once(PistonSandbox(url)).stdout == "1\n"
    assert len(calls) == 2


def test_a_failure_of_the_service_says_so() -> None:
    failure = {"status": "SandboxError", "message": "no runner", "compile_result": None, "run_result": None}
    with serving(lambda *_: (200, failure)) as url:
        result = once(FusionSandbox(url))
    assert (result.status, result.stderr) == ("sandbox_error", "SandboxFusion: no runner")
