"""The sandbox on this machine: bubblewrap's walls, and a watch from outside over time, memory and output.

Where bubblewrap is missing or may not work, nothing is run.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Final, Self

import attrs
import trio
from returns.result import Success

from themis.effects.sandboxes import seccomp
from themis.effects.sandboxes.bubblewrap import (
    CONFIGURATION,
    FOLDER,
    MIB,
    PYTHONS,
    WRITABLE,
    Place,
    command_line,
    find,
    needed,
    visible,
)
from themis.effects.sandboxes.control_group import ControlGroup, limited
from themis.effects.sandboxes.process_usage import Usage, held_by_files, parent_of, proportional, usage_of
from themis.effects.sandboxes.promised_python import PYTHON_VARIABLE, PromisedPython, promised_python
from themis.effects.sandboxes.trials import trial_of, tried
from themis.pure.records.sandbox import SandboxRequest, SandboxResult, SandboxStatus

_INSTALL: Final = {
    "bwrap": "apt-get install bubblewrap",
    "prlimit": "apt-get install util-linux",
    "setpriv": "apt-get install util-linux",
    "g++": "apt-get install g++",
}
_COMPILERS: Final = {"cpp": "g++"}
_KEPT_BUILDS: Final = 32
_TRIAL_S: Final = 30
_FIRST_LOOKS: Final = 20
_SIGNAL_BASE: Final = 128
# A signal's exit status, as a shell has it: SIGXCPU says that the CPU limit of the kernel came first.
_STATUS: Final[Mapping[int, SandboxStatus]] = {0: "ok", _SIGNAL_BASE + signal.SIGXCPU: "timeout"}


@attrs.frozen
class _Ended:
    """How a program ended, in bytes."""

    status: SandboxStatus
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    duration_ms: float


class LocalSandbox:
    """Runs programs under bubblewrap on this machine; any number at once, all from one event loop.

    Args:
        python: the Python that runs programs, its version and all; by default what `THEMIS_CODE_PYTHON` says, and else
            the one that Themis runs on.
        packages: installed packages that programs may import; by default what `THEMIS_CODE_PACKAGES` says, else none.
    """

    def __init__(self, python: str | None = None, packages: Sequence[str] | None = None) -> None:
        self._asked_for = (python, packages)
        self._walls: tuple[str, ...] | None = None
        self._python: PromisedPython | None = None
        self._visible: tuple[str, ...] | None = None
        self._tried: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._builds: OrderedDict[str, _Ended] = OrderedDict()
        self._building: dict[str, trio.Lock] = {}

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        """Return what is missing, with what to do about it; nothing if programs in these languages can be run.

        A program of each language is run, within the same walls and limits as any other.
        """
        if self._walls is None:
            self._walls = tuple(_problems())
        if self._walls:
            return self._walls
        return [problem for language in dict.fromkeys(languages) for problem in self._try(language)[1]]

    def describe(self) -> Mapping[str, str]:
        """Return what programs run on, as far as it was tried by `check`."""
        packages = self._python.packages.items() if self._python is not None else ()
        facts = {"name": "local", **{language: version for language, (version, _) in self._tried.items() if version}}
        return facts | ({"packages": ", ".join(f"{name} {version}" for name, version in packages)} if packages else {})

    def _try(self, language: str) -> tuple[str, tuple[str, ...]]:
        """Return what runs a language, and what keeps it from running; found out once."""
        if language not in self._tried:
            self._tried[language] = self._try_python() if language == "python" else self._try_compiler(language)
        return self._tried[language]

    def _try_python(self) -> tuple[str, tuple[str, ...]]:
        found = promised_python(*self._asked_for)
        if not isinstance(found, Success):
            return "", found.failure()
        python = self._python = found.unwrap()
        self._visible = None
        trial = trial_of("python", python.modules, [*map(str, python.libraries)])
        version, problem = tried(self._carry_out, trial)
        if not problem and version != python.version:
            problem = f"programs would run on {version}"
        if not problem:
            return version, ()
        return version, (
            f"generated programs are to run on {python.version} ({python.executable}), and can't: {problem}; see that "
            f"every user may read it (chmod -R go+rX {python.prefixes[0]}), or name another with {PYTHON_VARIABLE}",
        )

    def _try_compiler(self, language: str) -> tuple[str, tuple[str, ...]]:
        program = _COMPILERS.get(language)
        if program is None:
            return "", ()
        if find(program) is None:
            return "", (_missing(program),)
        version, problem = tried(self._carry_out, trial_of(language))
        return version, (f"{program} is installed but does not work inside: {problem}",) if problem else ()

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """Run one program; build it first if need be, once for all requests with the same build."""
        program = request.build[0] if request.build else request.command[0] if request.command else ""
        problems = [*self.check(["python"] if program in PYTHONS else []), *_faults(request)]
        if not problems and program not in PYTHONS and find(program) is None:
            problems = [_missing(program)]
        if problems:
            return SandboxResult(status="sandbox_error", stderr="; ".join(problems), label=request.label)
        return await self._carry_out(request)

    async def _carry_out(self, request: SandboxRequest) -> SandboxResult:
        files = {name: text.encode("utf-8", "surrogatepass") for name, text in request.files.items()}
        if request.build:
            built = await self._build(request, files)
            if built.status == "sandbox_error":
                return _result(built, request.label)
            if built.status != "ok":
                return _result(attrs.evolve(built, status="build_failed", stdout=b""), request.label)
            files = {request.artifact: built.stdout}
        return _result(await _execute(request, self._place(files, request.artifact)), request.label)

    def _place(self, files: Mapping[str, bytes], executable: str = "") -> Place:
        if self._visible is None:
            self._visible = visible(self._python)
        placed = {f"{FOLDER}/{name}": data for name, data in files.items()}
        if self._python is not None:
            placed[CONFIGURATION] = f"home = {self._python.executable.parent}\n".encode()
        return Place(self._visible, placed, f"{FOLDER}/{executable}")

    async def _build(self, request: SandboxRequest, files: Mapping[str, bytes]) -> _Ended:
        """Return the artifact as the standard output of its build: so nothing of it lies on the disk."""
        make = SandboxRequest(
            command=("sh", "-c", '"$@" >&2 && exec cat "$0"', request.artifact, *request.build),
            files=request.files,
            time_s=60,
            memory_mb=2048,
            processes=64,
            output_bytes=64 * MIB,
            file_size_mb=128,
        )
        key = make.compute_hash()
        async with self._building.setdefault(key, trio.Lock()):
            if key not in self._builds:
                self._builds[key] = await _execute(make, self._place(files))
            self._builds.move_to_end(key)
            while len(self._builds) > _KEPT_BUILDS:
                self._building.pop(self._builds.popitem(last=False)[0], None)
            return self._builds[key]


def _missing(program: str) -> str:
    return f"{program} is not installed; {_INSTALL.get(program, f'install {program}')}"


def _problems() -> Iterator[str]:
    if not sys.platform.startswith("linux") or not seccomp.is_supported():
        yield "the local sandbox needs Linux on x86_64 or aarch64; set THEMIS_CODE_SANDBOX=piston or sandbox_fusion"
        return
    missing = [program for program in needed() if find(program) is None]
    yield from map(_missing, missing)
    if missing:
        return
    with _spawned(SandboxRequest(command=("true",)), Place(visible(None))) as spawned:
        complaint = _last_words(spawned)
    if spawned.process.returncode != 0:
        yield (
            f"bubblewrap is installed but does not work here: {complaint}; user namespaces "
            "may be forbidden: see the sysctls kernel.unprivileged_userns_clone, user.max_user_namespaces and "
            "kernel.apparmor_restrict_unprivileged_userns, or the seccomp profile of the container"
        )


def _last_words(spawned: _Spawned) -> str:
    """Wait for a sandbox that writes little and ends soon; return what it complained of."""
    spawned.let_go()
    try:
        _, complaint = spawned.process.communicate(timeout=_TRIAL_S)
    except subprocess.TimeoutExpired:
        spawned.process.kill()
        return f"no answer within {_TRIAL_S} seconds"
    os.set_blocking(spawned.stderr, False)
    with suppress(BlockingIOError):
        complaint += os.read(spawned.stderr, 4096)
    return complaint.decode(errors="replace").strip() or f"exit status {spawned.process.returncode}"


def _faults(request: SandboxRequest) -> Iterator[str]:
    for name in (*request.files, *([request.artifact] if request.build else [])):
        if not name or "/" in name or name in (".", ".."):
            yield f"files: {name!r} is no plain file name"


@attrs.frozen
class _Spawned:
    """A sandbox that was started, with our ends of its pipes."""

    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    complaints: IO[bytes]
    status: int
    stdout: int
    stderr: int
    start: int

    def let_go(self) -> None:
        """Let the program start."""
        with suppress(BrokenPipeError):
            os.write(self.start, b"go\n")


@contextmanager
def _spawned(request: SandboxRequest, place: Place, group: ControlGroup | None = None) -> Iterator[_Spawned]:
    """Start bubblewrap, and clean up behind it."""
    with ExitStack() as ours, ExitStack() as inherited:
        (our_status, status), (our_stdout, stdout), (our_stderr, stderr) = (_pipe(ours, inherited) for _ in range(3))
        go, start = _pipe(inherited, ours)
        fds = {path: inherited.enter_context(_in_memory(data)) for path, data in place.files.items()}
        filter_fd = inherited.enter_context(_in_memory(seccomp.program()))
        line = command_line(request, place, fds, (stdout, stderr, go), status_fd=status, filter_fd=filter_fd)
        if group is not None:
            line = group.joined_by(line)
        # Not trio's open_process: it starts processes from a worker thread, and --die-with-parent ends bubblewrap
        # when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), which idle worker threads do.
        process = subprocess.Popen(  # noqa: S603  # no shell; what is run is walled in
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[status, stdout, stderr, go, filter_fd, *fds.values()],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
        inherited.close()
        assert process.stdin is not None  # both were asked for
        assert process.stderr is not None
        try:
            yield _Spawned(process, process.stdin, process.stderr, our_status, our_stdout, our_stderr, start)
        finally:
            process.wait()
            for stream in (process.stdin, process.stderr):
                with suppress(BrokenPipeError):
                    stream.close()


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    fd = os.memfd_create("themis")
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


async def _execute(request: SandboxRequest, place: Place) -> _Ended:
    """Run one program to its end or to one of its limits; nothing of it lives on in any case."""
    started = time.monotonic()
    with (
        limited(request.memory_mb * MIB) as group,
        _spawned(request, place, group) as spawned,
        _Watch(request, spawned, group) as watch,
    ):
        try:
            await watch.carry_through()
        finally:
            with trio.CancelScope(shield=True):
                await watch.end_all()
        return watch.ended((time.monotonic() - started) * 1000)


class _Watch:
    """Feeds, reads and watches one sandbox, and ends it when it goes beyond a limit."""

    def __init__(self, request: SandboxRequest, spawned: _Spawned, group: ControlGroup | None) -> None:
        self._request = request
        self._group = group
        self._spawned = spawned
        self._process = spawned.process
        self._process_fd = os.pidfd_open(spawned.process.pid)
        self._inner_pid: int | None = None
        self._inner_fd: int | None = None
        self._status, self._out, self._err, self._complaints = (bytearray() for _ in range(4))
        self._exceeded: SandboxStatus | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fd in (self._process_fd, self._inner_fd):
            if fd is not None:
                os.close(fd)

    async def carry_through(self) -> None:
        """Return when the program has ended, or was ended, and all that it wrote is read."""
        async with trio.open_nursery() as helpers:
            helpers.start_soon(self._feed, self._spawned.stdin)
            helpers.start_soon(self._look)
            async with trio.open_nursery() as readers:
                readers.start_soon(self._collect, self._spawned.stdout, self._out)
                readers.start_soon(self._collect, self._spawned.stderr, self._err)
                readers.start_soon(self._collect, self._spawned.complaints.fileno(), self._complaints)
                readers.start_soon(self._listen)
                await trio.lowlevel.wait_readable(self._process_fd)
                await self.end_all()  # what was left behind holds the pipes open
            helpers.cancel_scope.cancel()

    async def end_all(self) -> None:
        """End every process inside; return when none is left."""
        self._kill()
        await trio.lowlevel.wait_readable(self._process_fd)
        if self._inner_fd is not None:
            # The kernel ends a pid namespace's first process last of all (pid_namespaces(7)).
            await trio.lowlevel.wait_readable(self._inner_fd)

    def ended(self, duration_ms: float) -> _Ended:
        """Return how it ended."""
        code = _reported(self._status).get("exit-code")
        if self._exceeded is not None:
            status: SandboxStatus = self._exceeded
        elif self._group is not None and self._group.ran_out():
            status = "memory"
        elif code is None:
            status = "sandbox_error"
        else:
            status = _STATUS.get(code, "signal" if code > _SIGNAL_BASE else "nonzero_exit")
        stderr = self._complaints if status == "sandbox_error" else self._err
        return _Ended(status, code, bytes(self._out), bytes(stderr), round(duration_ms, 3))

    def _kill(self) -> None:
        if self._inner_fd is None:
            self._process.kill()  # --die-with-parent takes the rest along
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._inner_fd, signal.SIGKILL)

    def _end(self, why: SandboxStatus) -> None:
        self._exceeded = self._exceeded or why
        self._kill()

    async def _feed(self, stdin: IO[bytes]) -> None:
        async with trio.lowlevel.FdStream(os.dup(stdin.fileno())) as stream:
            stdin.close()  # the program must see the end of its input
            with suppress(trio.BrokenResourceError):
                await stream.send_all(self._request.stdin.encode("utf-8", "surrogatepass"))

    async def _collect(self, fd: int, into: bytearray) -> None:
        async with trio.lowlevel.FdStream(os.dup(fd)) as stream:
            async for chunk in stream:
                into += chunk
                if len(into) > self._request.output_bytes:
                    del into[self._request.output_bytes :]
                    self._end("output_limit")
                    return

    async def _listen(self) -> None:
        async with trio.lowlevel.FdStream(os.dup(self._spawned.status)) as stream:
            async for chunk in stream:
                self._status += chunk
                pid = _reported(self._status).get("child-pid")
                if pid is not None and self._inner_pid is None:
                    self._meet(pid)

    def _meet(self, pid: int) -> None:
        """Get hold of the first process inside, if it still is bubblewrap's child: a number alone may be reused."""
        with suppress(OSError):
            fd = os.pidfd_open(pid)
            if parent_of(pid) == self._process.pid:
                self._inner_pid, self._inner_fd = pid, fd
                self._spawned.let_go()
            else:
                os.close(fd)

    async def _look(self) -> None:
        deadline, was_too_large = trio.current_time() + self._request.wall_s, False
        for look in itertools.count():
            due = trio.current_time() + (0.005 if look < _FIRST_LOOKS else 0.025)
            await trio.sleep_until(due)
            # While this process was kept from looking, it did not feed the program, read from it or see it end either.
            deadline += trio.current_time() - due
            usage = usage_of(self._inner_pid, self._process.pid) if self._inner_pid is not None else None
            if trio.current_time() > deadline or (usage is not None and usage.cpu_s > self._request.time_s):
                self._end("timeout")
                return
            # Until a child begins a program of its own it may share its parent's memory (vfork(2)), and all of that is
            # then counted for both. So what is too large has to be so twice.
            is_too_large = usage is not None and self._is_too_large(usage)
            if (is_too_large and was_too_large) or (self._group is not None and self._group.ran_out()):
                self._end("memory")
                return
            was_too_large = is_too_large

    def _is_too_large(self, usage: Usage) -> bool:
        limit = self._request.memory_mb * MIB
        held = held_by_files(usage.pids[0], WRITABLE) if usage.pids else 0
        if usage.resident + held <= limit:
            return False
        shared_out = proportional(usage.pids, held)
        return shared_out is None or shared_out > limit


def _reported(status: bytes | bytearray) -> dict[str, int]:
    """Return what bwrap has reported so far: one JSON object a line."""
    found: dict[str, int] = {}
    for line in bytes(status).split(b"\n")[:-1]:
        if line.strip():
            found.update(json.loads(line))
    return found


def _result(ended: _Ended, label: str) -> SandboxResult:
    return SandboxResult(
        status=ended.status,
        exit_code=ended.exit_code,
        stdout=ended.stdout.decode("utf-8", "replace"),
        stderr=ended.stderr.decode("utf-8", "replace"),
        duration_ms=ended.duration_ms,
        label=label,
    )
