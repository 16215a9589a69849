"""Servers that mean no good cost bounded memory and one failed case, and get no credential of another's."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from themis import RuntimeConfig, adapters, evaluate
from themis.testing.endpoint import Answer, Bomb, Endless, FakeEndpoint, ManyHeaders, Play, Redirect, Request

CHILD = Path(__file__).parent / "malicious_child.py"
KEY = "key-for-one-host-alone"
LARGEST_ANSWER_MB = 64
"""The default of `max_bytes`."""


def one_in_six(play: Play) -> FakeEndpoint:
    def script(request: Request) -> Play:
        return play if b"question 3" in request.body else Answer()

    return FakeEndpoint(script=script)


@pytest.mark.slow
def test_memory_stays_bounded_in_a_process_of_its_own() -> None:
    plays: list[Play] = [
        ManyHeaders(),
        Redirect(to="/v1/chat/completions"),
        Bomb(size=1 << 30),
        Endless(size=10 * 10**9),
        Endless(),
    ]
    with ExitStack() as stack:
        urls = [stack.enter_context(endpoint).base_url for endpoint in (FakeEndpoint(), *map(one_in_six, plays))]
        command = [sys.executable, str(CHILD), *urls]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    print(done.stdout)
    lines = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert [line[1:] for line in lines] == [(5, 1)] * len(plays)
    assert all(grown <= 2 * LARGEST_ANSWER_MB for grown, _, _ in lines)


def test_another_host_that_a_redirect_names_is_not_even_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeEndpoint() as thief:
        # Another port is another origin.
        to_thief = Redirect(to=thief.base_url.replace("//", f"//{os.urandom(4).hex()}@") + "/chat/completions")
        with one_in_six(to_thief) as endpoint:
            result = evaluate(
                model=adapters.openai("tiny", base_url=endpoint.base_url),
                data=[
                    {"case_id": f"c{i}", "input": f"question {i}", "expected_output": f"echo: question {i}"}
                    for i in range(6)
                ],
                metric="builtin/exact_match",
                runtime=RuntimeConfig(generation_retry_delay=0.001),
            )
    assert thief.connections == 0
    assert all(served.request.headers["authorization"] == f"Bearer {KEY}" for served in endpoint.log)
    assert result.benchmark.outcome_counts["builtin/exact_match"] == {"correct": 5, "incorrect": 0, "error": 1}
    (failure,) = result.cases[3].generation_failures
    assert "names another address" in failure.error_message
