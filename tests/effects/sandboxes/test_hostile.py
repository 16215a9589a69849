"""Hostile programs, for real: each ends with its reason, and what is outside is as it was."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from themis.effects.sandboxes import control_group

from .conftest import Run
from .test_local import processes_with

pytestmark = pytest.mark.sandbox

SECRET = "sk-hostile-secret-4711"


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Something to steal, to break and to end; all of it must be as it was in the end."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    treasure = tmp_path / "treasure.txt"
    treasure.write_text(SECRET)
    bystander = subprocess.Popen(["sleep", "600"])
    listing = {folder: sorted(Path(folder).iterdir()) for folder in ("/", "/etc", "/usr", "/usr/local", Path.home())}
    try:
        yield
        assert bystander.poll() is None
        assert treasure.read_text() == SECRET
        assert {folder: sorted(Path(folder).iterdir()) for folder in listing} == listing
    finally:
        bystander.kill()
        bystander.wait()


# --- using everything up ----------------------------------------------------------------------------------


def test_a_fork_bomb(run: Run) -> None:
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
    result = run(bomb, time_s=1, processes=16)
    assert result.status == "timeout"


def test_how_many_processes_there_can_be(run: Run) -> None:
    program = (
        "import os, time\nn = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            time.sleep(60)\n"
        "        n += 1\nexcept OSError:\n    print(n)\n"
    )
    assert 15 <= int(run(program, processes=16).stdout) <= 18


def test_ten_gigabytes_at_once(run: Run) -> None:
    result = run("x = bytearray(10 * 2**30)")
    assert result.status == "nonzero_exit"
    assert result.stderr.strip().endswith("MemoryError")


def test_memory_in_many_processes(run: Run) -> None:
    program = (
        "import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n        x = bytearray(100 * 2**20)\n"
        "        time.sleep(60)\ntime.sleep(60)\n"
    )
    assert run(program, memory_mb=300).status == "memory"


def test_what_forked_processes_share_counts_once(run: Run) -> None:
    program = (
        "import os, time\nx = bytearray(150 * 2**20)\nfor _ in range(6):\n    if os.fork() == 0:\n"
        "        time.sleep(0.3); os._exit(0)\nfor _ in range(6): os.wait()\nprint('fine')\n"
    )
    assert run(program, memory_mb=400).stdout == "fine\n"


@pytest.mark.parametrize(
    "hide",
    [
        "ctypes.CDLL(None, use_errno=True).memfd_create(b'x', 0)",
        "ctypes.CDLL(None, use_errno=True).shmget(0, 1 << 20, 0o1777)",
    ],
)
def test_memory_that_no_limit_counts_is_not_to_be_had(run: Run, hide: str) -> None:
    assert run(f"import ctypes; print({hide}, ctypes.get_errno())").stdout == "-1 1\n"


@pytest.mark.parametrize("folder", ["/box", "/tmp", "/dev/shm"])
def test_huge_files(run: Run, folder: str) -> None:
    one = f"open('{folder}/x', 'wb').write(b'x' * (17 * 2**20))"
    assert "File too large" in run(one, file_size_mb=16).stderr
    many = f"for i in range(9):\n    open('{folder}/%d' % i, 'wb').write(b'x' * 2**20)\n"
    assert "No space left on device" in run(many, file_size_mb=2).stderr


MAKE = {
    "files": "os.close(os.open(name, os.O_CREAT))",
    "folders": "os.mkdir(name)",
    "links": "os.symlink('/nowhere' * 9, name)",
    "hard links": "os.link(first, name)",
    "pipes": "os.mkfifo(name)",
    "long names": "os.close(os.open(name + 'x' * 200, os.O_CREAT))",
}


@pytest.mark.parametrize("folder", ["/box", "/tmp", "/dev/shm"])
@pytest.mark.parametrize("kind", MAKE)
def test_empty_files_are_memory_of_the_kernel(run: Run, kind: str, folder: str) -> None:
    program = (
        f"import os\nfirst = '{folder}/first'\nopen(first, 'w').close()\nfor number in range(1_400_000):\n"
        f"    name = '{folder}/%d' % number\n    {MAKE[kind]}\n"
        "    if number % 10_000 == 0: print(number, flush=True)\n"
    )
    result = run(program, memory_mb=64)
    assert result.status == "memory"
    assert int(result.stdout.split()[-1]) <= 200_000


def test_what_the_kernel_holds_for_a_program_is_memory_where_it_can_be_counted(run: Run) -> None:
    with control_group.limited(1 << 20) as group:
        if group is None:
            pytest.skip("no control group can be made here")
    program = (
        "import os, socket, time\nheld = []\nfor _ in range(30):\n    if os.fork() == 0:\n"
        "        for _ in range(100):\n"
        "            a, b = socket.socketpair()\n            b.setblocking(False)\n            b.send(bytes(1 << 17))\n"
        "            held.append((a, b))\n        time.sleep(9)\ntime.sleep(9)\n"
    )
    assert run(program, memory_mb=128).status == "memory"


def test_no_control_group_is_left_behind(run: Run) -> None:
    parent = control_group._parent()
    if parent is None:
        pytest.skip("no control group can be made here")
    run("print(1)")
    (parent / "themis-4194305-0").mkdir()  # above the highest number of a process (proc(5), pid_max)
    control_group._parent.cache_clear()
    control_group._parent()
    assert not [*parent.glob(f"themis-{os.getpid()}-*"), *parent.glob("themis-4194305-*")]


def test_what_files_hold_is_memory_and_a_mapped_file_counts_once(run: Run) -> None:
    fill = "import time\nfor n in range(4):\n    with open('/tmp/%d' % n, 'wb') as f: f.write(b'x' * (15 << 20))\n"
    assert run(fill + "time.sleep(9)", memory_mb=48).status == "memory"
    assert run(fill + "print('fine')", memory_mb=128).stdout == "fine\n"
    mapped = (
        "import mmap, time\nmaps = []\nfor n in range(4):\n    f = open('/dev/shm/%d' % n, 'w+b')\n"
        "    f.truncate(15 << 20)\n    m = mmap.mmap(f.fileno(), 15 << 20)\n    m[:] = b'x' * len(m)\n"
        "    maps.append(m)\ntime.sleep(0.3)\nprint('fine')\n"
    )
    assert run(mapped, memory_mb=128).stdout == "fine\n"  # 60 MiB of files and of memory


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output(run: Run, stream: str) -> None:
    result = run(f"import sys\nwhile True: sys.{stream}.write('x' * 4096)", output_bytes=100_000)
    assert result.status == "output_limit"
    assert len(getattr(result, stream)) == 100_000


def test_endless_output_into_what_belongs_to_the_sandbox(run: Run) -> None:
    result = run("import sys\nout = open('/proc/1/fd/2', 'w')\nwhile True: out.write('x' * 4096)")
    assert result.status in ("output_limit", "nonzero_exit")


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time; time.sleep(600)",
        "import signal, time\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: time.sleep(1)",
        "import os\nfor _ in range(4):\n    os.fork()\nwhile True: pass",
    ],
    ids=["loop", "sleep", "ignores signals", "many at once"],
)
def test_endless_programs(run: Run, program: str) -> None:
    assert run(program, time_s=0.5).status == "timeout"


def test_a_daemon_left_behind(run: Run) -> None:
    mark = "27182818.4"
    daemon = (
        "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        f"        os.execvp('sleep', ['sleep', '{mark}'])\n    os._exit(0)\nos.wait()\nprint('left')\n"
    )
    result = run(daemon, time_s=2)
    assert (result.status, result.stdout) == ("ok", "left\n")  # nobody waits for it, though it holds the output open
    assert not processes_with(mark)


def test_more_threads_than_processes(run: Run) -> None:
    program = (
        "import threading, time\nn = 0\ntry:\n    while True:\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n        n += 1\n"
        "except RuntimeError:\n    print(n, flush=True)\n    import os; os._exit(0)\n"
    )
    assert int(run(program, processes=16).stdout) <= 18


def test_more_open_files_than_there_are_to_be_had(run: Run) -> None:
    program = (
        "import os\nn = 0\ntry:\n    while True:\n        os.open('/dev/null', 0)\n        n += 1\n"
        "except OSError as error:\n    print(n, error.errno)\n"
    )
    count, error = map(int, run(program).stdout.split())
    assert (count < 20_000, error) == (True, 24)


@pytest.mark.parametrize("limit", ["AS", "FSIZE", "NPROC", "NOFILE", "CORE"])
def test_limits_are_not_to_be_raised(run: Run, limit: str) -> None:
    program = (
        f"import resource\nhard = resource.getrlimit(resource.RLIMIT_{limit})[1]\n"
        "if hard == resource.RLIM_INFINITY:\n    print('none')\n"
        f"try:\n    resource.setrlimit(resource.RLIMIT_{limit}, (hard + 1, hard + 1))\n    print('raised')\n"
        "except (ValueError, OSError):\n    print('no')\n"
    )
    assert run(program).stdout in ("no\n", "none\nno\n")


# --- reading what is no business of theirs ----------------------------------------------------------------


def test_the_environment(run: Run) -> None:
    result = run("import os; print(dict(os.environ)); print(open('/proc/self/environ').read())")
    assert result.status == "ok"
    assert SECRET not in result.stdout
    assert "OPENAI_API_KEY" not in result.stdout


def test_the_home_folder_and_other_files(run: Run, tmp_path: Path) -> None:
    wanted = [Path.home() / ".bashrc", Path.home() / ".ssh", tmp_path / "treasure.txt", Path(__file__), "/etc/shadow"]
    wanted += ["/etc/passwd", "/sys/kernel", "/var/log", "/run", "/proc/kcore"]
    program = (
        f"import os\nfor path in {list(map(str, wanted))!r}:\n    try:\n"
        "        print(path, os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(20))\n"
        "    except OSError as error:\n        print('no', error.errno)\n"
    )
    assert set(run(program).stdout.splitlines()) <= {"no 2", "no 13", "no 1"}


def test_links_out(run: Run, tmp_path: Path) -> None:
    program = (
        "import os\n"
        f"os.symlink({str(tmp_path / 'treasure.txt')!r}, 'link')\nos.symlink('/', 'root')\n"
        "for way in ('link', 'root/../../../etc/shadow', '/proc/self/root/etc/shadow', '/proc/1/root/etc/shadow',\n"
        "            '/proc/self/cwd/../../etc/shadow'):\n"
        "    try:\n        print(open(way).read())\n    except OSError:\n        print('no')\n"
        "try:\n    os.link('/proc/1/exe', 'hard')\n    print('linked')\nexcept OSError:\n    print('no')\n"
    )
    assert run(program).stdout == "no\n" * 6


def test_other_processes(run: Run) -> None:
    program = (
        "import os\npids = [int(name) for name in os.listdir('/proc') if name.isdigit()]\n"
        "print(max(pids) < 50, len(pids) < 10)\n"
    )
    assert run(program).stdout == "True True\n"


def test_snooping_on_processes_with_ptrace(run: Run) -> None:
    program = (
        "import ctypes, os, time\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "pid = os.fork()\nif pid == 0:\n    time.sleep(30)\n"
        "print(libc.ptrace(16, pid, 0, 0), ctypes.get_errno(), libc.ptrace(16, 1, 0, 0), ctypes.get_errno())\n"
        "print(libc.process_vm_readv(pid, 0, 0, 0, 0, 0), ctypes.get_errno())\n"
    )
    assert run(program).stdout == "-1 1 -1 1\n-1 1\n"


# --- reaching out -----------------------------------------------------------------------------------------


@pytest.fixture
def heard() -> Iterator[tuple[int, int, str, list[bytes]]]:
    """Listen on this machine, in three ways; yield the ports, the name and what came in."""
    got: list[bytes] = []
    name = f"themis-hostile-{os.getpid()}"
    tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{name}")
    abstract.listen()
    listeners = [tcp, udp, abstract]
    stopping = threading.Event()

    def listen(sock: socket.socket) -> None:
        sock.settimeout(0.05)
        while not stopping.is_set():
            try:
                got.append(sock.recv(100) if sock is udp else sock.accept()[0].recv(0))
            except TimeoutError:
                continue

    threads = [threading.Thread(target=listen, args=(sock,)) for sock in listeners]
    for thread in threads:
        thread.start()
    try:
        yield tcp.getsockname()[1], udp.getsockname()[1], name, got
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
        for sock in listeners:
            sock.close()


def test_the_network(run: Run, heard: tuple[int, int, str, list[bytes]]) -> None:
    tcp, udp, name, got = heard
    program = f"""
import ctypes, socket
def attempt(what, call):
    try:
        call()
        print(what, "went through")
    except OSError as error:
        print(what, "no")
attempt("tcp", lambda: socket.create_connection(("127.0.0.1", {tcp}), 2))
attempt("tcp6", lambda: socket.create_connection(("::1", {tcp}), 2))
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\\0{name}"))
attempt("outside", lambda: socket.create_connection(("192.0.2.1", 80), 2))
attempt("udp outside", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)))
attempt("name", lambda: socket.getaddrinfo("example.com", 80))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"stolen", ("127.0.0.1", {udp}))  # its own loopback
except OSError:
    pass
print("done")
"""
    result = run(program, time_s=10)
    assert result.stdout.splitlines()[-1] == "done"
    assert "went through" not in result.stdout
    assert got == []


# --- breaking things --------------------------------------------------------------------------------------


def test_writes_outside(run: Run, tmp_path: Path) -> None:
    places = ["/", "/usr", "/usr/bin", "/etc", "/root", "/dev", "/proc", "/proc/sys/kernel", "/var/tmp", str(tmp_path)]
    program = (
        "import os\n"
        f"for place in {places!r}:\n    try:\n        open(place + '/hostile', 'w').write('x')\n"
        "        print('wrote', place)\n    except OSError:\n        print('no')\n"
        "try:\n    os.remove('/usr/bin/python3')\nexcept OSError:\n    print('no')\n"
        "try:\n    open('/proc/sysrq-trigger', 'w').write('b')\nexcept OSError:\n    print('no')\n"
    )
    assert run(program).stdout == "no\n" * (len(places) + 2)
    assert not (tmp_path / "hostile").exists()


def test_kill_everything(run: Run) -> None:
    # kill(2): all that one may signal but oneself and the namespace's first process; here that is the child alone.
    program = (
        "import os, signal, time\npid = os.fork()\nif pid == 0:\n    time.sleep(60)\n"
        "os.kill(-1, signal.SIGKILL)\nprint(os.waitpid(pid, 0)[1])\n"
    )
    assert run(program).stdout == "9\n"


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM", "SIGSTOP"])
def test_signals_to_the_parent(run: Run, signal: str) -> None:
    program = (
        f"import os, signal\nfor pid in (1, os.getppid(), -os.getpgrp()):\n    if pid > 0 and pid != os.getpid():\n"
        f"        try:\n            os.kill(pid, signal.{signal})\n        except OSError:\n            pass\n"
        "print('here')\n"
    )
    result = run(program, time_s=5)
    assert (result.status, result.stdout) == ("ok", "here\n")


def test_forging_what_the_sandbox_says_of_the_end(run: Run) -> None:
    program = """
import os, sys
for fd in range(3, 256):
    try:
        os.write(fd, b'{"exit-code": 0}\\n')
    except OSError:
        pass
sys.exit(7)
"""
    result = run(program)  # what is open beside its own streams is these streams once more
    assert (result.status, result.exit_code) == ("nonzero_exit", 7)


CALLS = {  # by number on x86-64 and arm64 (arch/*/entry/syscalls, include/uapi/asm-generic/unistd.h)
    "mount": (165, 40),
    "umount": (166, 39),
    "pivot_root": (155, 41),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "settimeofday": (164, 170),
    "init_module": (175, 105),
    "kexec_load": (246, 104),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "pidfd_getfd": (438, 438),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_reach_deep_into_the_kernel(run: Run, name: str) -> None:
    number = CALLS[name][os.uname().machine != "x86_64"]
    program = (
        f"import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall({number}, 0, 0, 0, 0, 0), ctypes.get_errno())"
    )
    result, error = run(program).stdout.split()
    assert (result, int(error)) in {("-1", errno.EPERM), ("-1", errno.ENOSYS), ("-1", errno.EACCES)}


@pytest.mark.parametrize(
    "call",
    [
        "os.setuid(0)",
        "os.setgroups([0])",
        "os.chroot('/')",
        "os.mknod('/box/disk', 0o60666, os.makedev(8, 0))",
        "socket.sethostname('x')",
        "os.nice(-5)",
    ],
)
def test_powers_of_root(run: Run, call: str) -> None:
    assert run(f"import os, socket\ntry:\n    {call}\nexcept PermissionError:\n    print('no')").stdout == "no\n"


def test_no_way_to_more_powers(run: Run) -> None:
    result = run("import os; print(os.popen('su -c id 2>&1; cat /proc/self/status').read())")
    assert "uid=0" not in result.stdout
    assert "CapEff:\t0000000000000000" in result.stdout
    assert "NoNewPrivs:\t1" in result.stdout


@pytest.mark.parametrize("flag", [0x10000000, 0x00020000, 0x40000000], ids=["user", "mount", "network"])
def test_new_namespaces(run: Run, flag: int) -> None:
    calls = [f"unshare({flag})", f"syscall({56 if os.uname().machine == 'x86_64' else 220}, {flag} | 17, 0, 0, 0, 0)"]
    for call in calls:
        program = f"import ctypes; print(ctypes.CDLL(None, use_errno=True).{call}, ctypes.get_errno())"
        assert run(program).stdout == "-1 1\n"
