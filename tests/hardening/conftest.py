"""Scenarios that must go on holding; what they counted is printed as a table at the end."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.postgres_server import PostgresServer, postgres_server

HERE = Path(__file__).parent
SEED = int(os.environ.get("HARDENING_SEED") or secrets.randbelow(1_000_000))
_rows: list[tuple[str, str]] = []
_began = time.monotonic()

Report = Callable[[str, str], None]


@pytest.fixture
def report() -> Report:
    """Keeps a line of the table: the scenario, and what was counted."""
    return lambda scenario, counted: _rows.append((scenario, counted))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """What a scenario draws from: another each time, unless HARDENING_SEED names one."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("hardening")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _rows:
        terminalreporter.section(f"what held (HARDENING_SEED={SEED}, {(time.monotonic() - _began) / 60:.0f} minutes)")
        for row in ("scenario", "what was counted"), ("---", "---"), *_rows:
            terminalreporter.line(f"| {' | '.join(row)} |")
