"""A sandbox on this machine, and a short way to run a Python program in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from themis.effects.sandboxes import remote
from themis.effects.sandboxes.local import LocalSandbox
from themis.pure.records.sandbox import SandboxRequest, SandboxResult

Run = Callable[..., SandboxResult]


@pytest.fixture(scope="session")
def box() -> LocalSandbox:
    box = LocalSandbox()
    problems = box.check(["python", "cpp"])
    if problems:
        pytest.skip("; ".join(problems))
    return box


@pytest.fixture(autouse=True)
def _services_are_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_WAITS_S", (0.0, 0.0, 0.0))


@pytest.fixture
def run(box: LocalSandbox) -> Run:
    def run(program: str, **limits: Any) -> SandboxResult:
        request = SandboxRequest(command=("python3", "main.py"), files={"main.py": program}, **limits)
        return trio.run(box.run, request)

    return run
