"""What a sandbox is asked to run, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import attrs

from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import checked_texts, finite, sequence, text_mapping

SandboxStatus: TypeAlias = Literal[
    "ok", "nonzero_exit", "timeout", "memory", "output_limit", "signal", "build_failed", "sandbox_error"
]


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class SandboxRequest(HashableModel):
    """One program to run, with its files, input and limits.

    Attributes:
        command: the program and its arguments, run in the folder of `files`: `("python3", "main.py")`.
        files: the files that the program finds in its working folder, by plain name.
        stdin: what it reads.
        language: `python` or `cpp`; backends that have no command line go by it.
        time_s: CPU seconds for the program and all that it starts. Time on the clock may be twice that and one
            second more, for a busy machine must not fail a program, and a sleeping one must still end.
        memory_mb: memory in MiB, for each process and for all together.
        processes: how many processes and threads may live at once.
        output_bytes: how much may be written to the standard output, and to the standard error.
        file_size_mb: how large a file may become in MiB; all files together may take four times that.
        label: names the request to the metric that made it; comes back with the result.
        build: a command that makes `artifact` of `files` first; requests with equal `build` and `files` share it.
        artifact: the file that `build` makes; the program then runs beside it, without `files`.
    """

    command: tuple[str, ...] = attrs.field(converter=sequence)
    files: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
    stdin: str = ""
    language: str = "python"
    time_s: float = attrs.field(default=10.0, validator=finite)
    memory_mb: int = 512
    processes: int = 32
    output_bytes: int = 64 * 1024
    file_size_mb: int = 16
    label: str = ""
    build: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    artifact: str = ""

    @property
    def wall_s(self) -> float:
        """The seconds on the clock after which the program is ended."""
        return 2 * self.time_s + 1

    @property
    def main_file(self) -> str:
        """The name of the file that the build or the command is about.

        >>> SandboxRequest(command=("python3", "main.py", "-v"), files={"main.py": "", "data.txt": ""}).main_file
        'main.py'
        """
        named = [part for part in self.build or self.command if part in self.files]
        return named[0] if named else next(iter(self.files), "")


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class SandboxResult(HashableModel):
    """The result of running a program.

    Attributes:
        status: `sandbox_error` says that the sandbox failed and the program was not judged; all others are the
            program's own doing.
        exit_code: of the program; 128 and a signal's number if a signal ended it.
        stdout: what it wrote, as far as it was allowed to.
        stderr: the same of its errors; what the compiler said if the build failed.
        duration_ms: time on the clock.
        label: the request's.
    """

    status: SandboxStatus
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    duration_ms: float | None = attrs.field(default=None, validator=finite)
    label: str = ""
