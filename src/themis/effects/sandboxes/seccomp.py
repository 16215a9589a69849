"""The system call filter of the local sandbox, as the classic BPF program that seccomp(2) takes.

Namespaces keep a program away from other processes, files and networks. The filter takes away what they leave:
memory that no limit counts (`memfd_create`, System V shared memory), socket families that no network namespace
holds (AF_VSOCK reaches the host of a virtual machine), new namespaces, and the parts of the kernel that
sandboxes are escaped through (`bpf`, `io_uring`, `userfaultfd`, `ptrace`, keyrings). A refused call fails with
EPERM; the program goes on. Numbers: the kernel's `unistd_64.h` and `asm-generic/unistd.h`.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import Final

_AUDIT: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_DENIED: Final = {
    # name: (x86_64, aarch64)
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fsconfig": (431, 431),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "acct": (163, 89),
}
_CLONE: Final = {"x86_64": 56, "aarch64": 220}
_SOCKETS: Final = {"x86_64": (41, 53), "aarch64": (198, 199)}
_CLONE3: Final = 435
_NEW_NAMESPACES: Final = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_FAMILIES: Final = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: all of them end at the network namespace
_X32: Final = 0x40000000  # x86_64 only: the bit that marks a call of the x32 interface

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # offsets in struct seccomp_data; both machines are little-endian
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def is_supported() -> bool:
    return platform.machine() in _AUDIT


def program() -> bytes:
    """Return the filter for this machine's processor: `x86_64` or `aarch64`."""
    machine = platform.machine()
    column = 0 if machine == "x86_64" else 1
    code = [
        _step(_LOAD, _ARCH_AT),
        _step(_JUMP_EQUAL, _AUDIT[machine], 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        code += [_step(_JUMP_AT_LEAST, _X32, 0, 1), _step(_RETURN, _ERRNO | errno.EPERM)]
    for numbers in _DENIED.values():
        code += _when(numbers[column], _ERRNO | errno.EPERM)
    # The flags of clone3 lie in memory, where a filter can't look: the C library falls back to clone.
    code += _when(_CLONE3, _ERRNO | errno.ENOSYS)
    code += [
        _step(_JUMP_EQUAL, _CLONE[machine], 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_JUMP_ANY_BIT, _NEW_NAMESPACES, 0, 1),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    for number in _SOCKETS[machine]:
        allowed = [step for family in _FAMILIES for step in _when(family, _ALLOW)]
        check = [_step(_LOAD, _FIRST_ARGUMENT_AT), *allowed, _step(_RETURN, _ERRNO | errno.EAFNOSUPPORT)]
        code += [_step(_JUMP_EQUAL, number, 0, len(check)), *check]
    code.append(_step(_RETURN, _ALLOW))
    return b"".join(code)


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", operation, if_true, if_false, value)


def _when(value: int, verdict: int) -> list[bytes]:
    return [_step(_JUMP_EQUAL, value, 0, 1), _step(_RETURN, verdict)]
