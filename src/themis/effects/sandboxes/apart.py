"""Runs a sandbox's program for a caller that is no coroutine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import trio

from themis.pure.records.sandbox import SandboxRequest, SandboxResult


def run_apart(run: Callable[[SandboxRequest], Awaitable[SandboxResult]], request: SandboxRequest) -> SandboxResult:
    """Run a program to its end, in an event loop of its own: the caller may be in one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(trio.run, run, request).result()
