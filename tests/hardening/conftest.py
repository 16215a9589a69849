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
ORDINARY = {
    "attacks on the sandbox": "tests/effects/sandboxes/test_hostile.py",
    "kills while a sandbox starts": "tests/effects/sandboxes/test_left_behind.py",
    "servers that mean no good": "tests/effects/calls/test_malicious.py",
    "odd values in every place": "tests/laws/test_odd_values.py",
    "the HTML report in Chromium": "tests/e2e/test_html_report.py",
}
"""Tests of every day that `make hardening` runs besides, for the table."""
SEED = int(os.environ.get("HARDENING_SEED") or secrets.randbelow(1_000_000))
_rows: list[tuple[str, str]] = []
_began = time.monotonic()

Report = Callable[[str, str], None]


def part_of(count: int) -> int:
    """Return how often to do what is to be done so often: fewer times if HARDENING_PART says so, such as 0.1."""
    return max(1, round(count * float(os.environ.get("HARDENING_PART", "1"))))


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
    passed = [report.nodeid.partition("::")[0] for report in terminalreporter.stats.get("passed", ())]
    rows = [*_rows, *((name, f"{passed.count(file)} tests") for name, file in ORDINARY.items() if file in passed)]
    if rows:
        terminalreporter.section(f"what held (HARDENING_SEED={SEED}, {(time.monotonic() - _began) / 60:.0f} minutes)")
        for row in ("scenario", "what was counted"), ("---", "---"), *rows:
            terminalreporter.line(f"| {' | '.join(row)} |")
