"""Every dress in which Piston and SandboxFusion answer, from a scripted server: a result, or nobody's answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.effects.sandboxes import Sandbox, remote
from themis.effects.sandboxes.piston import PistonSandbox
from themis.effects.sandboxes.sandbox_fusion import FusionSandbox
from themis.pure.records.sandbox import SandboxRequest, SandboxResult

from .test_remote import Answer, serving

REQUEST = SandboxRequest(
    command=("python3", "m.py"), files={"m.py": "print(1)"}, time_s=5, memory_mb=64, output_bytes=100_000, label="mine"
)
BUILT = SandboxRequest(
    command=("./m",), files={"m.cpp": "int main;"}, language="cpp", build=("g++", "m.cpp"), artifact="m", time_s=5
)
MIB = 2**20


@attrs.define
class Script:
    """Answers one after another, the last one for good; an answer of `bytes` is all that is sent on the connection."""

    answers: list[Answer]
    asked: list[tuple[str, Any]] = attrs.field(factory=list)

    def __call__(self, method: str, path: str, body: Any) -> Answer:
        self.asked.append((path, body))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def asked(kind: type[PistonSandbox | FusionSandbox], *answers: Any, request: SandboxRequest = REQUEST) -> Any:
    """Return a program's result, and how often the service was asked."""
    script = Script([answer if isinstance(answer, tuple) else (200, answer) for answer in answers])
    with serving(script) as url:
        result = trio.run(kind(url).run, request)
    assert result.label == request.label
    return result, len(script.asked)


# --- Piston -----------------------------------------------------------------------------------------------


def ran(**run: Any) -> dict[str, Any]:
    stage = {"stdout": "1\n", "stderr": "", "output": "1\n", "code": 0, "signal": None}
    return {"language": "python", "version": "3.12.0", "run": {**stage, **run}}


def isolated(**run: Any) -> dict[str, Any]:
    """Return an answer of the newer versions, which name a state."""
    figures = {"message": None, "status": None, "cpu_time": 8, "wall_time": 154, "memory": 1_160_000}
    return ran(**{**figures, **run})


def compiled(**stage: Any) -> dict[str, Any]:
    done = {"stdout": "", "stderr": "", "output": "", "code": 0, "signal": None}
    return {"language": "c++", "version": "10.2.0", "compile": {**done, **stage}, "run": None}


KILLED = {"code": None, "signal": "SIGKILL", "stdout": ""}
PISTON: dict[str, tuple[list[Any], str, str, int]] = {
    # what: answers, status, a part of what is said, how often the service is asked
    "an answer": ([ran()], "ok", "", 1),
    "an answer of the newer versions": ([isolated()], "ok", "", 1),
    "no output": ([ran(stdout="", output="")], "ok", "", 1),
    "an exit code": (
        [isolated(code=3, status="RE", message="Exited with error status 3")],
        "nonzero_exit",
        "status 3",
        1,
    ),
    "a signal": ([ran(code=None, signal="SIGSEGV")], "signal", "", 1),
    "a signal, seen by the shell inside": ([isolated(code=139, status="RE")], "signal", "", 1),
    "time": ([isolated(**KILLED, status="TO", message="Time limit exceeded")], "timeout", "Time limit", 1),
    "memory": ([isolated(**KILLED, status="SG", memory=64 * MIB)], "memory", "", 1),
    "memory, seen by the shell inside": ([isolated(code=137, status="RE", memory=62 * MIB)], "memory", "", 1),
    "output": ([isolated(**KILLED | {"stdout": "x" * 100_000}, status="OL")], "output_limit", "", 1),
    "what the compiler says": ([compiled(code=1, stderr="expected ';'")], "build_failed", "expected ';'", 1),
    # What the service failed at.
    "output beyond the service's own limit": (
        [isolated(**KILLED | {"stdout": "x" * 1024}, status="OL", message="stdout length exceeded")],
        "sandbox_error",
        "own limit of output, after 1024 bytes of the 100000 that are allowed; set PISTON_OUTPUT_MAX_SIZE=100000",
        1,
    ),
    "errors beyond it": ([isolated(**KILLED, stderr="x" * 999, status="EL")], "sandbox_error", "after 999 bytes", 1),
    "an error inside": ([isolated(**KILLED, status="XX", message="no box left")], "sandbox_error", "no box left", 1),
    "killed, and nobody says why": ([ran(**KILLED)], "sandbox_error", "does not say why", 2),
    "killed once": ([ran(**KILLED), ran()], "ok", "", 2),
    "killed by a machine without memory": ([isolated(**KILLED, status="SG"), isolated()], "ok", "", 2),
    "killed by itself": ([isolated(**KILLED, status="SG")], "signal", "", 2),
    "neither a code nor a signal": ([ran(code=None)], "sandbox_error", "neither an exit code nor a signal", 1),
    "a code that is no number": ([ran(code="0")], "sandbox_error", "'0' is no whole number", 1),
    "a code that is a truth": ([ran(code=True)], "sandbox_error", "True is no whole number", 1),
    "no output at all": ([ran(stdout=None)], "sandbox_error", "None is no output", 1),
    "no run": ([compiled()], "sandbox_error", "another form", 1),
    "a message in place of a result": (
        [{"message": "python-3.9 runtime is unknown"}],
        "sandbox_error",
        "is unknown",
        1,
    ),
    "a compiler that is missing": (
        [compiled(code=127, stderr="g++: command not found")],
        "sandbox_error",
        "the compiler did not run to its end (exit code 127): g++: command not found",
        1,
    ),
    "a compiler that was ended": ([compiled(code=None, signal="SIGKILL")], "sandbox_error", "no status, SIGKILL", 1),
    "a compiler out of time": (
        [compiled(code=None, signal="SIGKILL", status="TO")],
        "sandbox_error",
        "did not run to its end (TO, SIGKILL): it is silent",
        1,
    ),
    "a compiler whose child was ended": ([compiled(code=137)], "sandbox_error", "(exit code 137)", 1),
}


@pytest.mark.parametrize("what", PISTON)
def test_what_piston_answers(what: str) -> None:
    answers, status, said, times = PISTON[what]
    request = BUILT if "compile" in answers[0] else REQUEST
    result, count = asked(PistonSandbox, *answers, request=request)
    assert (result.status, count) == (status, times), result
    assert said in result.stderr
    if status == "ok" and what != "no output":
        assert (result.exit_code, result.stdout) == (0, "1\n")


def test_waiting_for_piston_is_no_time_of_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_WAITS_S", (0.8, 0.0, 0.0))
    quick = attrs.evolve(REQUEST, time_s=0.6)
    result, times = asked(PistonSandbox, (503, {"message": "busy"}), ran(**KILLED), request=quick)
    assert (result.status, times) == ("sandbox_error", 3)
    assert "does not say why" in result.stderr


# --- SandboxFusion ----------------------------------------------------------------------------------------


def fused(status: str = "Success", message: str = "", built: Any = None, **run: Any) -> dict[str, Any]:
    done = {"status": "Finished", "execution_time": 0.02, "return_code": 0, "stdout": "1\n", "stderr": ""}
    found = {"status": status, "message": message, "compile_result": built, "executor_pod_name": None, "files": {}}
    return {**found, "run_result": {**done, **run}}


def built(**stage: Any) -> dict[str, Any]:
    done = {"status": "Finished", "execution_time": 0.9, "return_code": 0, "stdout": "", "stderr": ""}
    return {**fused("Failed", built={**done, **stage}), "run_result": None}


PREEXEC = "exception on running command python /tmp/t.py: Exception occurred in preexec_fn. | None"
FUSION: dict[str, tuple[list[Any], str, str, int]] = {
    "an answer": ([fused()], "ok", "", 1),
    "an exit code": ([fused("Failed", return_code=3, stdout="", stderr="no")], "nonzero_exit", "no", 1),
    "a signal": ([fused("Failed", return_code=-11, stdout="")], "signal", "", 1),
    "out of time": (
        [fused("Failed") | {"run_result": {"status": "TimeLimitExceeded", "stdout": "", "stderr": ""}}],
        "timeout",
        "",
        1,
    ),
    "out of memory": (
        [fused("Failed") | {"run_result": {"status": "MemoryLimitExceeded", "stdout": ""}}],
        "memory",
        "",
        1,
    ),
    "output": ([fused("Failed", stdout="x" * 100_000)], "output_limit", "", 1),
    "no output": ([fused(stdout="")], "ok", "", 2),
    "what the compiler says": ([built(return_code=1, stderr="expected ';'")], "build_failed", "expected ';'", 1),
    # What the service failed at.
    "an error of its own": ([fused("SandboxError", "no runner")], "sandbox_error", "SandboxFusion: no runner", 1),
    "an error before the program": (
        [fused("SandboxError", PREEXEC) | {"run_result": {"status": "Error", "return_code": None, "stdout": None}}],
        "sandbox_error",
        "Exception occurred in preexec_fn",
        1,
    ),
    "an error without words": ([fused("SandboxError", "")], "sandbox_error", "no reason given", 1),
    "an error of the run alone": (
        [fused() | {"run_result": {"status": "Error"}}],
        "sandbox_error",
        "ended with Error",
        1,
    ),
    "no run": ([fused() | {"run_result": None}], "sandbox_error", "the run ended with None", 1),
    "output that was not found in time": ([fused(stdout=""), fused()], "ok", "", 2),
    "output that was cut": ([fused(stdout="x" * 70_000)], "sandbox_error", "may lose some; use another sandbox", 1),
    "output that kept the program from ending": (
        [fused("Failed") | {"run_result": {"status": "TimeLimitExceeded", "stdout": "x" * 65_536}}],
        "sandbox_error",
        "may lose some",
        1,
    ),
    "output that it can't read": (
        [fused(stdout="[DecodeError] 'utf-8' codec ...")],
        "sandbox_error",
        "could not read",
        1,
    ),
    "output that is lost": ([fused(stdout=None)], "sandbox_error", "None is no output", 1),
    "no exit code": ([fused(return_code=None)], "sandbox_error", "None is no whole number", 1),
    "killed by a machine without memory": ([fused("Failed", return_code=-9, stdout=""), fused()], "ok", "", 2),
    "killed by itself": ([fused("Failed", return_code=137, stdout="")], "signal", "", 2),
    "a compiler that is missing": (
        [built(return_code=127, stderr="/bin/bash: g++: command not found\n")],
        "sandbox_error",
        "(exit code 127): /bin/bash: g++: command not found",
        1,
    ),
    "a compiler out of time": (
        [built(status="TimeLimitExceeded", return_code=None)],
        "sandbox_error",
        "did not run to its end (TimeLimitExceeded)",
        1,
    ),
    "a compiler that was ended": ([built(return_code=-9)], "sandbox_error", "(exit code -9)", 1),
    "another status": ([fused() | {"run_result": {"status": "Queued", "stdout": ""}}], "sandbox_error", "Queued", 1),
}


@pytest.mark.parametrize("what", FUSION)
def test_what_sandbox_fusion_answers(what: str) -> None:
    answers, status, said, times = FUSION[what]
    request = BUILT if answers[0].get("compile_result") else REQUEST
    result, count = asked(FusionSandbox, *answers, request=request)
    assert (result.status, count) == (status, times), result
    assert said in result.stderr


# --- both -------------------------------------------------------------------------------------------------

RIGHT = {PistonSandbox: ran(), FusionSandbox: fused()}
BOTH = pytest.mark.parametrize("kind", RIGHT)
REFUSALS: dict[str, tuple[Answer, str]] = {
    "400": ((400, {"message": "cobol-* runtime is unknown"}), "status 400: cobol-* runtime is unknown"),
    "401": ((401, {"message": "Unauthorized"}), "status 401: Unauthorized"),
    "403": ((403, "<html>Forbidden</html>"), "status 403: <html>Forbidden</html>"),
    "404": ((404, {"detail": "Not Found"}), "status 404: Not Found"),
    "413": ((413, ""), "status 413: nothing"),
    "422": ((422, {"detail": [{"loc": ["body", "language"], "msg": "unexpected value"}]}), "unexpected value"),
}


@BOTH
@pytest.mark.parametrize("status", REFUSALS)
def test_what_is_refused_is_not_asked_again(kind: type[PistonSandbox | FusionSandbox], status: str) -> None:
    answer, said = REFUSALS[status]
    result, count = asked(kind, answer, RIGHT[kind])
    assert (result.status, count) == ("sandbox_error", 1)
    assert said in result.stderr


@BOTH
@pytest.mark.parametrize(
    "answer",
    [
        *((status, {"message": "busy"}) for status in (408, 429, 500, 502, 503, 504)),
        (502, "<html>Bad Gateway</html>"),
        (200, '{"run": {"stdout": "1'),
        (200, "<html>maintenance</html>"),
        (200, ""),
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again(kind: type[PistonSandbox | FusionSandbox], answer: Answer) -> None:
    result, count = asked(kind, answer, answer, RIGHT[kind])
    assert (result.status, result.stdout, count) == ("ok", "1\n", 3)
    result, count = asked(kind, answer)
    assert (result.status, count) == ("sandbox_error", 4)
    assert "busy" in result.stderr or "Bad Gateway" in result.stderr or "no JSON" in result.stderr


@BOTH
def test_a_service_says_how_long_to_wait(
    kind: type[PistonSandbox | FusionSandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(trio, "sleep", sleep)
    # Nobody really waits here, so that a connection that ends without a word would be taken for one that is kept.
    busy = "HTTP/1.1 429 Slow\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: "
    for said, seconds in {"7": 7.0, "-1": 0.0, "1e9": 60.0, "Mon, 01 Jan": 0.0}.items():
        with sending(f"{busy}{said}\r\n\r\n".encode()) as url:
            assert "status 429: nothing" in trio.run(kind(url).run, REQUEST).stderr
        assert waits == [seconds] * 3
        waits.clear()


def is_length(line: bytes) -> bool:
    return line.lower().startswith(b"content-length:")


@contextmanager
def sending(raw: bytes) -> Iterator[str]:
    """Serve connections that get some bytes, whatever was asked, and are closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as request:
                    lengths = [int(line.split(b":")[1]) for line in iter(request.readline, b"\r\n") if is_length(line)]
                    request.read(sum(lengths))  # a close with bytes unread would reset, and take the answer along
                    connection.sendall(raw)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@BOTH
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\xfe{}",
    ],
    ids=["nothing", "cut", "cut in a chunk", "no HTTP", "no UTF-8"],
)
def test_a_connection_that_breaks_is_nobodys_answer(kind: type[PistonSandbox | FusionSandbox], raw: bytes) -> None:
    with sending(raw) as url:
        result = trio.run(kind(url).run, REQUEST)
    assert result.status == "sandbox_error"
    assert result.stderr.startswith(kind.name)


@BOTH
def test_a_service_that_is_too_slow_is_nobodys_answer(
    kind: type[PistonSandbox | FusionSandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BUILD_S", -REQUEST.wall_s)
    monkeypatch.setattr(remote, "_SLACK_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections, and says nothing
        result = trio.run(kind(f"http://127.0.0.1:{server.getsockname()[1]}").run, REQUEST)
    assert (result.status, result.stderr.partition(": ")[2]) == ("sandbox_error", "ReadTimeout")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARTS = ("status", "message", "run", "compile", "run_result", "compile_result", "stdout", "stderr", "code", "signal")


@st.composite
def near(draw: st.DrawFn, right: Mapping[str, Any]) -> dict[str, Any]:
    """Return a right answer with one of its parts replaced by something else, or left out."""
    answer: dict[str, Any] = json.loads(json.dumps(right))
    inner = next(key for key in ("run", "run_result") if key in answer)
    target = draw(st.sampled_from([answer, answer[inner]]))
    name = draw(st.sampled_from(sorted(target) + list(PARTS)))
    if draw(st.booleans()):
        target.pop(name, None)
    else:
        target[name] = draw(JSON)
    return answer


SANDBOXES: dict[Any, Any] = {kind: kind("http://127.0.0.1:1") for kind in RIGHT}


@BOTH
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_is_not_a_right_answer_never_is_a_wrong_one(
    kind: type[PistonSandbox | FusionSandbox], data: st.DataObject
) -> None:
    """Whatever part of a right answer is damaged, it is read as it was, as another stated ending, or as nobody's."""
    answer = data.draw(near(RIGHT[kind]))
    sandbox = SANDBOXES[kind]
    run = answer.get("run" if kind is PistonSandbox else "run_result")
    try:
        result: SandboxResult = sandbox._read(answer, REQUEST, 0.1)
    except (remote.RemoteError, remote.UnclearError, KeyError, TypeError, ValueError, AttributeError):
        return
    assert isinstance(run, dict)
    if result.status == "ok":
        code = run.get("code" if kind is PistonSandbox else "return_code")
        assert type(code) is int
        assert (code, run["stdout"]) == (0, result.stdout)


# --- before paying ----------------------------------------------------------------------------------------


def checked(kind: type[PistonSandbox | FusionSandbox], *answers: Any, languages: tuple[str, ...] = ("python",)) -> Any:
    runtimes = [{"language": "python", "version": "3.12.0", "aliases": ["py"]}, {"language": "c++", "aliases": []}]
    script = Script([answer if isinstance(answer, tuple) else (200, answer) for answer in answers])

    def respond(method: str, path: str, body: Any) -> Answer:
        return (200, runtimes) if path.endswith("/runtimes") else script(method, path, body)

    with serving(respond) as url:
        sandbox: Sandbox = kind(url)
        return list(sandbox.check(languages)), sandbox.describe()  # type: ignore[attr-defined]  # both do


TOLD = json.dumps({"version": "CPython 3.12.0", "lacks": []})


def printed(kind: type[PistonSandbox | FusionSandbox], stdout: str) -> dict[str, Any]:
    return ran(stdout=stdout) if kind is PistonSandbox else fused(stdout=stdout)


@BOTH
def test_the_trial_says_what_runs_there(kind: type[PistonSandbox | FusionSandbox]) -> None:
    problems, described = checked(kind, printed(kind, TOLD))
    assert (problems, described) == ([], {"name": kind.name, "python": "CPython 3.12.0"})


@BOTH
def test_all_that_keeps_programs_from_running_is_said_before(kind: type[PistonSandbox | FusionSandbox]) -> None:
    lacks = json.dumps({"version": "CPython 3.12.0", "lacks": ["ctypes (ImportError: no)"]})
    for answer, said in [
        ((400, {"message": "run_timeout cannot exceed the configured limit of 1000"}), "configured limit of 1000"),
        ((500, {"message": "no box"}), "status 500: no box"),
        (printed(kind, lacks), "CPython 3.12.0 lacks ctypes (ImportError: no)"),
        (printed(kind, "hello"), "a trial program printed 'hello' in place of its version"),
        (printed(kind, "[1]"), "a trial program printed '[1]' in place of its version"),
    ]:
        [problem] = checked(kind, answer)[0]
        assert said in problem
        assert problem.startswith(f"{kind.name} at http://127.0.0.1:")
    both, _ = checked(kind, printed(kind, lacks), (400, {"message": "no compiler"}), languages=("python", "cpp"))
    assert len(both) == 2
