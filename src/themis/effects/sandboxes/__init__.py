"""Where generated code is executed: one protocol, several backends, and never an un-sandboxed fallback."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from themis.pure.errors import SpecError, nearest
from themis.pure.records.sandbox import SandboxRequest, SandboxResult

VARIABLE: Final = "THEMIS_CODE_SANDBOX"
"""The environment variable that names the sandbox to use; `local` without it."""


class Sandbox(Protocol):
    """Runs programs that must not be trusted."""

    async def run(self, request: SandboxRequest) -> SandboxResult:
        """Run one program within its limits; what the program does wrong is in the result, not raised."""

    def check(self, languages: Sequence[str] = ()) -> Sequence[str]:
        """Return what is missing to run programs in these languages, with what to do about it."""


@runtime_checkable
class DescribedSandbox(Sandbox, Protocol):
    """A sandbox that says what programs run on."""

    def describe(self) -> Mapping[str, str]:
        """Return its name, and what runs each language that was checked: `{"python": "CPython 3.12.1"}`."""


class SandboxWarning(UserWarning):
    """Programs of one run are run in different ways."""


def described(sandbox: Sandbox) -> Mapping[str, str]:
    """Return what a sandbox says that programs run on."""
    return sandbox.describe() if isinstance(sandbox, DescribedSandbox) else {"name": type(sandbox).__name__}


def _shipped(module: str, name: str) -> Callable[[], Sandbox]:
    def make() -> Sandbox:
        made: Sandbox = getattr(importlib.import_module(f"themis.effects.sandboxes.{module}"), name)()
        return made

    return make


_BACKENDS: Final[dict[str, Callable[[], Sandbox]]] = {
    "local": _shipped("local", "LocalSandbox"),
    "piston": _shipped("piston", "PistonSandbox"),
    "sandbox_fusion": _shipped("sandbox_fusion", "FusionSandbox"),
}


def register_sandbox(name: str, make: Callable[[], Sandbox]) -> None:
    """Let a sandbox be opened by a name of its own.

    Args:
        name: what `THEMIS_CODE_SANDBOX` and `open_sandbox` call it.
        make: makes it, without arguments; called once for each run that executes code.

    Raises:
        SpecError: the name is taken; results under one name must come from one sandbox.
    """
    if name in _BACKENDS:
        raise SpecError(f"sandbox {name!r} exists already; register yours under another name")
    _BACKENDS[name] = make


def open_sandbox(name: str | None = None) -> Sandbox:
    """Return a sandbox by name: by default the one that `THEMIS_CODE_SANDBOX` names, or else `local`.

    Raises:
        SpecError: there is none of that name.
    """
    chosen = name or os.environ.get(VARIABLE) or "local"
    make = _BACKENDS.get(chosen)
    if make is None:
        raise SpecError(f"sandbox {chosen!r} (from {VARIABLE} or by name) is unknown; {nearest(chosen, _BACKENDS)}")
    return make()
