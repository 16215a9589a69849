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
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from themis.pure.records.sandbox import SandboxRequest

FOLDER: Final = "/box"
"""The working folder inside: private, in memory, gone with the program."""

MIB: Final = 1024 * 1024
BWRAP: Final = "bwrap"
_SYSTEM: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS: Final = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime")
_NOBODY: Final = 65534
_FIRST_USER: Final = 1_500_000_000
_USERS: Final = 400_000_000
_turns = itertools.count()


def search_path() -> str:
    return f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"


def find(program: str) -> str | None:
    return shutil.which(program) if program == BWRAP else shutil.which(program, path=search_path())


def needed() -> tuple[str, ...]:
    return (BWRAP, "sh", "prlimit", "setpriv") if os.geteuid() == 0 else (BWRAP, "sh", "prlimit")


def command_line(
    request: SandboxRequest,
    files: Mapping[str, int],
    pipes: tuple[int, int, int],
    *,
    status_fd: int,
    filter_fd: int,
    executable: str,
) -> list[str]:
    """Return the whole command.

    Args:
        request: the program with its limits.
        files: what is put into the working folder: names to file descriptors.
        pipes: the descriptors for the program's standard output and standard error, and one that a line on starts it.
        status_fd: where bwrap reports.
        filter_fd: where bwrap reads the seccomp program.
        executable: the name of the file that may be executed, if any.
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
    line += _read_only()
    line += ["--proc", "/proc", "--dev", "/dev"]
    for folder, mode in (("/dev/shm", "1777"), ("/tmp", "1777"), (FOLDER, "0777")):  # noqa: S108  # inside
        line += ["--perms", mode, "--size", space, "--tmpfs", folder]
    for name, fd in files.items():
        line += ["--perms", "0755" if name == executable else "0644", "--file", str(fd), f"{FOLDER}/{name}"]
    line += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", FOLDER, "--"]
    return [*line, *_writing_to(*pipes), *_as_nobody(), *_limits(request), *request.command]


def _writing_to(stdout: int, stderr: int, go: int) -> Sequence[str]:
    # bwrap's own first process inside is the program's equal, and its descriptors lie open in /proc/1/fd. They must
    # not be those of the program, or else what one program starts could write into its output.
    # Nothing starts before Themis says so, which it does once it holds the first process inside: were Themis killed
    # before that, the program would outlive it. A window of a few milliseconds stays, until bubblewrap has bound
    # itself to Themis' life.
    start = f'read -r go </proc/self/fd/{go} || exit 125; exec "$@" >/proc/self/fd/{stdout} 2>/proc/self/fd/{stderr}'
    return ("sh", "-c", start, "sh")


def _environment() -> Iterator[str]:
    # One thread for numerical libraries: each more costs address space, and the clock would count it anyway.
    values = {
        "PATH": search_path(),
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


def _read_only() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    yield from ("--perms", "0755", "--dir", "/etc")
    for name in _SETTINGS:
        if Path(name).exists():
            yield from ("--ro-bind", name, name)
    for prefix in dict.fromkeys((sys.base_prefix, sys.base_exec_prefix, sys.prefix)):
        if not Path(prefix).is_relative_to("/usr"):
            yield from ("--ro-bind", prefix, prefix)


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
