"""A real evaluation, end to end: 164 HumanEval problems, a real model, killed midway and resumed.

Needs a server on loopback that speaks the completions protocol (`REAL_MODEL_URL`, by default port 8081) and, to be
held against what the server saw, its log (`REAL_MODEL_LOG`).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.e2e.real_model import URL, needs_server

LOG = Path(os.environ.get("REAL_MODEL_LOG", Path.home() / ".cache/real-model/server.log"))
SCRIPT = Path(__file__).parent / "humaneval.py"
PROBLEMS = 164

pytestmark = [pytest.mark.real_model, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _server() -> None:
    needs_server()


def stored(path: Path) -> int:
    if not path.exists():
        return 0
    database = sqlite3.connect(path)
    try:
        query = "select count(*) from event where event_type = 'generation_completed'"
        return int(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # the schema is being made
        return 0
    finally:
        database.close()


def finished_by_server() -> int | None:
    """Return how many completions the server's log says it finished; `None` without a log."""
    if not LOG.exists():
        return None
    text = LOG.read_text(encoding="utf-8", errors="replace")
    return len(re.findall(r"stop processing", text)) - len(re.findall(r"cancel task", text))


def test_killed_midway_it_goes_on_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    store = tmp_path / "humaneval.sqlite3"
    command = [sys.executable, str(SCRIPT), URL, str(store)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while stored(store) < PROBLEMS // 3:
        assert first.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = stored(store)
    assert 0 < kept < PROBLEMS
    time.sleep(2)  # the server notices that its four callers are gone
    before = finished_by_server()
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    print(second.stdout)
    after = finished_by_server()
    if before is not None and after is not None:
        assert after - before == PROBLEMS - kept
    assert stored(store) == PROBLEMS
    assert_everything_is_recorded(store)


def assert_everything_is_recorded(store: Path) -> None:
    database = sqlite3.connect(store)
    query = "select payload from event where event_type = 'generation_completed'"
    results = [json.loads(row[0])["result"] for row in database.execute(query)]
    summary = database.execute("select planned, scored, errors from run_summary").fetchone()
    database.close()
    assert all(isinstance(result["final_output"], str) for result in results)
    assert all(result["token_usage"]["completion_tokens"] > 0 for result in results)
    assert all(result["latency_ms"] > 0 for result in results)
    assert {result["artifacts"]["finish_reason"] for result in results} <= {"stop", "length"}
    assert summary[0] == PROBLEMS
    assert summary[1] + summary[2] == PROBLEMS
