"""What a sandbox is asked to run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import finite, named_fields, sequence, text_mapping


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SandboxRequest(HashableModel):
    """One program to run, with its files, input and limits."""

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


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SandboxResult(HashableModel):
    """What came of a run."""

    status: Literal["ok", "nonzero_exit", "timeout", "memory", "output_limit", "signal", "sandbox_error"]
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    duration_ms: float | None = attrs.field(default=None, validator=finite)
    label: str = ""
