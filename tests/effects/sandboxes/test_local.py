"""The local sandbox as a place to run programs: what goes in, what comes out, and where it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from themis.effects.driver import SandboxTurns
from themis.effects.sandboxes import open_sandbox, register_sandbox
from themis.effects.sandboxes.local import LocalSandbox
from themis.pure.errors import SpecError
from themis.pure.records.sandbox import SandboxRequest, SandboxResult

from .conftest import Run

pytestmark = pytest.mark.sandbox

SOURCES = Path(__file__).parents[3] / "src"
ECHO = "import sys; sys.stdout.write(sys.stdin.read())"
SUM = "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b; }"


def cpp(source: str, stdin: str = "") -> SandboxRequest:
    return SandboxRequest(
        command=("./program",),
        files={"main.cpp": source},
        language="cpp",
        build=("g++", "-O2", "-o", "program", "main.cpp"),
        artifact="program",
        stdin=stdin,
    )


# --- in and out -------------------------------------------------------------------------------------------


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=200))
def test_what_goes_in_comes_out(run: Run, text: str) -> None:
    assert run(ECHO, stdin=text).stdout == text


def test_more_input_than_a_pipe_holds_and_a_program_that_reads_none_of_it(run: Run) -> None:
    large = "x" * 300_000
    assert run(ECHO, stdin=large, output_bytes=400_000).stdout == large
    assert run("print('done')", stdin=large).stdout == "done\n"


@pytest.mark.parametrize(
    ("program", "status", "code"),
    [
        ("", "ok", 0),
        ("import sys; sys.exit(3)", "nonzero_exit", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal", 139),
        ("1 / 0", "nonzero_exit", 1),
    ],
)
def test_how_a_program_ends(run: Run, program: str, status: str, code: int) -> None:
    result = run(program, label="mine")
    assert (result.status, result.exit_code, result.label) == (status, code, "mine")


def test_what_is_no_text_is_still_read(run: Run) -> None:
    result = run("import sys; sys.stdout.buffer.write(b'\\xff\\x00a'); sys.stderr.write('no')")
    assert (result.stdout, result.stderr) == ("\ufffd\x00a", "no")


def test_files_arguments_and_threads(box: LocalSandbox) -> None:
    program = "import sys, threading; t = threading.Thread(target=lambda: print(open(sys.argv[1]).read())); t.start()"
    request = SandboxRequest(command=("python3", "main.py", "data.txt"), files={"main.py": program, "data.txt": "ünï"})
    assert trio.run(box.run, request).stdout == "ünï\n"


def test_a_program_is_built_once_and_run_often(box: LocalSandbox) -> None:
    async def several() -> list[SandboxResult]:
        results: list[SandboxResult] = []

        async def one(number: int) -> None:
            results.append(await box.run(cpp(SUM, f"{number} 1")))

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(one, number)
        return results

    before = len(box._builds)
    assert sorted(result.stdout for result in trio.run(several)) == ["1", "2", "3", "4"]
    assert len(box._builds) == before + 1


def test_what_does_not_compile_says_why(box: LocalSandbox) -> None:
    result = trio.run(box.run, cpp("int main() { return undeclared; }"))
    assert result.status == "build_failed"
    assert "undeclared" in result.stderr


def test_a_language_that_is_not_here_is_not_the_programs_fault(box: LocalSandbox) -> None:
    result = trio.run(box.run, SandboxRequest(command=("no-such-language", "x"), files={"x": ""}))
    assert (result.status, result.stderr) == (
        "sandbox_error",
        "no-such-language is not installed; install no-such-language",
    )


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "..", ""])
def test_files_have_plain_names(box: LocalSandbox, name: str) -> None:
    result = trio.run(box.run, SandboxRequest(command=("python3", "main.py"), files={"main.py": "", name: ""}))
    assert result.status == "sandbox_error"
    assert "no plain file name" in result.stderr


# --- together ---------------------------------------------------------------------------------------------


def test_cancelling_ends_the_whole_tree(box: LocalSandbox) -> None:
    mark = "31415926.5"
    program = f"import subprocess, time; subprocess.Popen(['sleep', '{mark}']); print('up', flush=True); time.sleep(99)"
    request = SandboxRequest(command=("python3", "main.py"), files={"main.py": program}, time_s=60)

    async def cancelled() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(box.run, request)
            while not processes_with(mark):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    trio.run(cancelled)
    assert not processes_with(mark)


def test_killing_themis_ends_the_whole_tree(box: LocalSandbox) -> None:
    mark = "16180339.8"
    script = (
        "import trio\n"
        "from themis.effects.sandboxes.local import LocalSandbox\n"
        "from themis.pure.records.sandbox import SandboxRequest\n"
        f"trio.run(LocalSandbox().run, SandboxRequest(command=('sleep', '{mark}'), time_s=600))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as themis:
        while not processes_with(mark):
            assert themis.poll() is None
        themis.kill()
    deadline = time.monotonic() + 30
    while processes_with(mark):
        assert time.monotonic() < deadline, "the program lives on"


def processes_with(mark: str) -> list[str]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = line.read_bytes()
        except OSError:
            continue
        if text.split(b"\0")[:2] == [b"sleep", mark.encode()]:  # the program itself, and not what starts it
            found.append(line.parent.name)
    return found


@pytest.mark.slow
def test_a_run_outlives_idle_worker_threads(box: LocalSandbox) -> None:
    # What ends with the thread that started it would end here: trio lets idle worker threads go after ten seconds.
    request = SandboxRequest(
        command=("python3", "main.py"), files={"main.py": "import time; time.sleep(11.5); print('alive')"}, time_s=20
    )
    assert trio.run(box.run, request).stdout == "alive\n"


def test_programs_take_turns_and_what_the_sandbox_could_not_do_is_told_apart(box: LocalSandbox) -> None:
    requests = [SandboxRequest(command=("python3", "main.py"), files={"main.py": f"print({n})"}) for n in range(6)]
    requests.append(SandboxRequest(command=("no-such-language",)))
    results: dict[int, SandboxResult] = {}

    async def main() -> None:
        turns = SandboxTurns(box)

        async def run(number: int) -> None:
            results[number] = await turns.run(requests[number])

        async with trio.open_nursery() as nursery:
            for number in range(len(requests)):
                nursery.start_soon(run, number)

    trio.run(main)
    assert [results[n].stdout for n in range(6)] == [f"{n}\n" for n in range(6)]
    assert results[6].status == "sandbox_error"


def test_a_program_pays_for_no_time_in_which_themis_was_busy(box: LocalSandbox) -> None:
    large = "x" * 300_000
    short = SandboxRequest(command=("sleep", "0.3"), time_s=0.25)
    reading = SandboxRequest(command=("cat",), stdin=large, time_s=0.25, output_bytes=400_000)
    sleeping = SandboxRequest(command=("sleep", "60"), time_s=0.25)
    results: dict[SandboxRequest, SandboxResult] = {}

    async def one(request: SandboxRequest) -> None:
        results[request] = await box.run(request)

    async def beside_a_slow_metric() -> None:
        async with trio.open_nursery() as nursery:
            for request in (short, reading, sleeping):
                nursery.start_soon(one, request)
            await trio.sleep(0.1)
            time.sleep(short.wall_s + 0.3)  # noqa: ASYNC251  # what is meant: it holds the event loop

    trio.run(beside_a_slow_metric)
    assert (results[short].status, results[sleeping].status) == ("ok", "timeout")
    assert (results[reading].status, results[reading].stdout) == ("ok", large)


def test_it_works_off_the_main_thread(box: LocalSandbox) -> None:
    results = []
    request = SandboxRequest(command=("python3", "main.py"), files={"main.py": "print(1)"})
    thread = threading.Thread(target=lambda: results.append(trio.run(box.run, request)))
    thread.start()
    thread.join()
    assert results[0].stdout == "1\n"


# --- refusing ---------------------------------------------------------------------------------------------


def test_without_bubblewrap_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    box = LocalSandbox()
    assert box.check() == ("bwrap is not installed; apt-get install bubblewrap",)
    mark = tmp_path / "ran"
    request = SandboxRequest(command=("python3", "main.py"), files={"main.py": f"open({str(mark)!r}, 'w')"})
    result = trio.run(box.run, request)
    assert result.status == "sandbox_error"
    assert result.stderr == "bwrap is not installed; apt-get install bubblewrap"
    assert not mark.exists()


def test_where_it_may_not_build_its_walls_nothing_runs(box: LocalSandbox) -> None:
    if os.geteuid() != 0:
        pytest.skip("takes namespaces away, which only root may")
    # In a user namespace that maps one user, root can be no other user: there the sandbox can't be made.
    script = (
        "import trio\n"
        "from themis.effects.sandboxes.local import LocalSandbox\n"
        "from themis.pure.records.sandbox import SandboxRequest\n"
        "box = LocalSandbox()\n"
        "print(*box.check())\n"
        "print(trio.run(box.run, SandboxRequest(command=('echo', 'ran'))).status)\n"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )
    said, status = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert "bubblewrap is installed but does not work here" in said
    assert status == "sandbox_error"


def test_an_ordinary_user_has_the_same_walls(box: LocalSandbox, tmp_path: Path) -> None:
    python, packages = Path("/usr/bin/python3"), Path(trio.__file__).parents[1]
    if os.geteuid() != 0 or not python.exists() or not shutil.which("setpriv"):
        pytest.skip("becomes another user, which only root may")
    script = (
        "import trio\n"
        "from themis.effects.sandboxes.local import LocalSandbox\n"
        "from themis.pure.records.sandbox import SandboxRequest\n"
        "bomb = '''import os, sys\n"
        "n = 0\n"
        "try:\n"
        "    while True:\n"
        "        if os.fork() == 0:\n"
        "            os.execvp('sleep', ['sleep', '60'])\n"
        "        n += 1\n"
        "except OSError:\n"
        "    print(n, os.getuid(), open('/proc/self/status').read().count('CapEff:\\t0000000000000000'))\n"
        "'''\n"
        "request = SandboxRequest(command=('python3', 'main.py'), files={'main.py': bomb}, processes=8)\n"
        "print(trio.run(LocalSandbox().run, request))\n"
    )
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(python), "-c", script],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{SOURCES}:{packages}"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if "ModuleNotFoundError" in done.stderr or "ImportError" in done.stderr:
        pytest.skip("the system's Python can't import what Themis needs")
    assert "status='ok'" in done.stdout, done.stderr
    forks, rest = done.stdout.partition("stdout='")[2].split(" ", 1)
    assert 6 <= int(forks) <= 10
    assert rest.startswith("65534 1\\n")


# --- choosing ---------------------------------------------------------------------------------------------


def test_the_sandbox_is_chosen_by_name_and_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THEMIS_CODE_SANDBOX", raising=False)
    assert isinstance(open_sandbox(), LocalSandbox)
    monkeypatch.setenv("THEMIS_CODE_SANDBOX", "piston")
    assert type(open_sandbox()).__name__ == "PistonSandbox"
    assert isinstance(open_sandbox("local"), LocalSandbox)
    with pytest.raises(SpecError, match=r"sandbox 'pistn' .*did you mean piston"):
        open_sandbox("pistn")


def test_a_sandbox_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from themis.effects import sandboxes

    monkeypatch.setattr(sandboxes, "_BACKENDS", dict(sandboxes._BACKENDS))
    box = LocalSandbox()
    register_sandbox("mine", lambda: box)
    assert open_sandbox("mine") is box
    with pytest.raises(SpecError, match="'local' exists already"):
        register_sandbox("local", lambda: box)
