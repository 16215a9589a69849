"""The command line of bubblewrap (bwrap(1)) for one program: what it may see, and as whom it runs.

Two ways, the same walls. An ordinary user's program gets a user namespace, in which `RLIMIT_NPROC` counts its
processes alone (Linux 5.14 and newer). The kernel exempts root from that limit, in a user namespace too, so root's
program runs as a user of its own instead, a number that no other program or account has: then the limit holds, and
the program owns no file.
"""

from __future__ import annotations

import itertools
import math
import os
import resource
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from themis.effects.guard import guarded_by
from themis.effects.sandboxes.promised_python import PromisedPython, folders_of_packages
from themis.pure.json import EMPTY
from themis.pure.records.sandbox import SandboxRequest

FOLDER: Final = "/box"
"""The working folder inside: private, in memory, gone with the program."""

WRITABLE: Final = {"/dev/shm": "1777", "/tmp": "1777", FOLDER: "0777"}  # noqa: S108  # inside
"""The folders that a program may write to, each in memory, with their modes."""

MIB: Final = 1024 * 1024
BWRAP: Final = "bwrap"
PYTHON: Final = "/python"
"""An environment of the promised Python inside: a link to it, and what packages are shown."""

CONFIGURATION: Final = f"{PYTHON}/pyvenv.cfg"
"""What makes an environment of it (PEP 405)."""

PYTHONS: Final = ("python", "python3")
_LINKED: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM: Final = tuple(
    f"{root}/{name}"
    for root in ("/usr", "/usr/local")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec", "include")
)
_SETTINGS: Final = (
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    "/usr/share/zoneinfo",
)
_NOBODY: Final = 65534
_FIRST_USER: Final = 1_500_000_000
_USERS: Final = 400_000_000
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_turns = itertools.count()


@attrs.frozen
class Place:
    """What a program finds around it.

    Attributes:
        visible: the part of the command line that shows it this machine, from `visible`.
        files: what is put beside that, by path inside.
        executable: the path of the file that may be executed, if any.
    """

    visible: tuple[str, ...]
    files: Mapping[str, bytes] = EMPTY
    executable: str = ""


def find(program: str) -> str | None:
    """Return where a program is on this machine, if it is where programs inside look for it."""
    return shutil.which(program) if program == BWRAP else shutil.which(program, path=_PATH)


def needed() -> tuple[str, ...]:
    return (BWRAP, "sh", "prlimit", "setpriv") if os.geteuid() == 0 else (BWRAP, "sh", "prlimit")


def command_line(
    request: SandboxRequest,
    place: Place,
    files: Mapping[str, int],
    pipes: tuple[int, int, int],
    *,
    status_fd: int,
    filter_fd: int,
) -> list[str]:
    """Return the whole command.

    Args:
        request: the program with its limits.
        place: where it is run.
        files: the descriptors from which its files are read, by path.
        pipes: the descriptors for the program's standard output and standard error, and one that a line on starts it.
        status_fd: where bwrap reports.
        filter_fd: where bwrap reads the seccomp program.
    """
    space = str(4 * request.file_size_mb * MIB)
    line = [find(BWRAP) or BWRAP, "--json-status-fd", str(status_fd), "--seccomp", str(filter_fd)]
    line += ["--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    line += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL", "--clearenv"]
    if os.geteuid() == 0:
        line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    else:
        line += ["--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY)]
    line += _environment()
    line += ["--proc", "/proc", "--dev", "/dev"]
    for folder, mode in WRITABLE.items():
        line += ["--perms", mode, "--size", space, "--tmpfs", folder]
    line += place.visible  # last, for what is to be seen may lie below /tmp
    for path, fd in files.items():
        line += ["--perms", "0755" if path == place.executable else "0644", "--file", str(fd), path]
    line += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", FOLDER, "--"]
    return [*line, *_writing_to(*pipes), *_as_nobody(), *_limits(request), *_in_full(request.command)]


def _writing_to(stdout: int, stderr: int, go: int) -> Sequence[str]:
    # bwrap's own first process inside is the program's equal, and its descriptors lie open in /proc/1/fd. They must
    # not be those of the program, or else what one program starts could write into its output.
    # Nothing starts before Themis says so, which it does once it holds the first process inside. The shell's name is
    # the mark by which all of it is found and ended should Themis be killed, from the very start on.
    start = f'read -r go </proc/self/fd/{go} || exit 125; exec "$@" >/proc/self/fd/{stdout} 2>/proc/self/fd/{stderr}'
    return ("sh", "-c", start, guarded_by())


def _environment() -> Iterator[str]:
    # One thread for numerical libraries: each more costs address space, and the clock would count it anyway.
    values = {
        "PATH": f"{PYTHON}/bin:{_PATH}",
        "HOME": FOLDER,
        "TMPDIR": "/tmp",  # noqa: S108  # inside
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    for name, value in values.items():
        yield from ("--setenv", name, value)


def _in_full(command: Sequence[str]) -> Sequence[str]:
    # A name would be looked for along PATH, where there may be another Python than the one that was promised.
    return (f"{PYTHON}/bin/python3", *command[1:]) if command[:1] and command[0] in PYTHONS else command


def visible(python: PromisedPython | None) -> tuple[str, ...]:
    """Return the part of the command line that lets this machine's system and a Python be seen, read-only.

    Both without what was installed into them: `site-packages` and their like are empty folders inside.
    """
    view = _View()
    parts = tuple(_parts(python)) if python is not None else ()
    for path in (*map(Path, (*_SYSTEM, *_LINKED, *_SETTINGS)), *parts):
        view.show(path)
    libraries = [path for path in (*map(Path, _SYSTEM), *parts) if path.is_dir() and not path.is_symlink()]
    for folder in (folder for library in libraries for folder in folders_of_packages(library)):
        view.line += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    if python is not None:
        for name in PYTHONS:
            view.link(Path(PYTHON, "bin", name), str(python.executable))
        for name, path in python.entries.items():
            view.show(path, Path(PYTHON, "lib", python.library, "site-packages", name))
    return tuple(view.line)


def _parts(python: PromisedPython) -> Iterator[Path]:
    """Yield what a Python consists of, but for what the system's folders show anyway."""
    shown = [Path(name) for name in _SYSTEM]
    own = [prefix for prefix in python.prefixes if prefix not in (Path("/"), Path("/usr"), Path("/usr/local"))]
    libraries = [path for prefix in own for path in sorted(prefix.glob("lib*")) if path.is_dir()]
    for path in (*libraries, *python.libraries, python.executable):
        if not any(path.is_relative_to(each) for each in shown):
            yield path
            shown.append(path)


class _View:
    """Collects the options that show something."""

    def __init__(self) -> None:
        self.line: list[str] = []
        self._made = {Path("/")}

    def show(self, path: Path, at: Path | None = None) -> None:
        """Show a file, folder or link, if it is there, in its place or in another."""
        if at is None and path.is_symlink():
            self.link(path, str(path.readlink()))
        elif path.exists():
            self._make_parents(at or path)
            self.line += ["--ro-bind", str(path), str(at or path)]

    def link(self, at: Path, to: str) -> None:
        self._make_parents(at)
        self.line += ["--symlink", to, str(at)]

    def _make_parents(self, path: Path) -> None:
        # bwrap makes those that are missing for root alone.
        for parent in reversed(path.parents):
            if parent not in self._made:
                self._made.add(parent)
                self.line += ["--perms", "0755", "--dir", str(parent)]


def _as_nobody() -> Sequence[str]:
    if os.geteuid() != 0:
        return ()
    user = _FIRST_USER + (os.getpid() * 1009 + next(_turns)) % _USERS
    return (
        "setpriv",
        f"--reuid={user}",
        f"--regid={user}",
        "--clear-groups",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--",
    )


def _limits(request: SandboxRequest) -> Iterator[str]:
    memory = request.memory_mb * MIB
    yield "prlimit"
    yield f"--as={memory}"
    yield f"--cpu={math.ceil(request.time_s) + 1}"
    yield f"--nproc={request.processes + 2}"  # in a user namespace bwrap's own process counts too
    yield f"--fsize={request.file_size_mb * MIB}"
    yield "--nofile=256"
    yield "--core=0"
    if resource.getrlimit(resource.RLIMIT_STACK)[1] == resource.RLIM_INFINITY:
        yield "--stack=unlimited"  # deep recursion is a matter of the memory limit, as contests have it
    yield "--"
