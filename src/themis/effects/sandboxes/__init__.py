"""Where generated code is executed: one protocol, several backends, and never an un-sandboxed fallback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from themis.pure.errors import SpecError
from themis.pure.records.sandbox import SandboxRequest, SandboxResult


class Sandbox(Protocol):
    """Runs programs that must not be trusted."""

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """Run one program within its limits; what the program does wrong is in the result, not raised."""

    def check(self) -> Sequence[str]:
        """Return what is missing on this machine, with what to do about it; nothing if all is there."""


def open_sandbox(name: str = "local") -> Sandbox:
    """Return a sandbox by name.

    Raises:
        SpecError: there is none of that name.
    """
    raise SpecError(f"sandbox {name!r}: this version of Themis has no sandbox backend; pass one of your own")
