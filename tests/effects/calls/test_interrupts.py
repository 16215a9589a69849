"""Ctrl-C, with real processes and real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from themis.effects.stores.sqlite import SqliteRunStore
from themis.testing.endpoint import Answer, FakeEndpoint, Play, Request

CHILD = Path(__file__).parent / "interrupted_child.py"
CASES = 120


def start(endpoint: FakeEndpoint, store: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), endpoint.base_url, str(store), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupt_at(number: int, child: list[subprocess.Popen[str]]) -> Callable[[Request], Play]:
    """Answer at once up to a request, interrupt the child when it comes, and leave it and all later ones waiting."""
    seen = 0

    def script(request: Request) -> Play:
        nonlocal seen
        seen += 1
        if seen == number:
            child[0].send_signal(signal.SIGINT)
        return Answer(delay_s=0.0 if seen < number else 60.0)

    return script


def generations(path: Path) -> int:
    store = SqliteRunStore(path)
    try:
        (line,) = store.list_runs()
        return sum(event.event_type == "generation_completed" for event in store.events(line.run_id))
    finally:
        store.close()


def test_the_first_stops_in_good_order_and_says_how_to_go_on(tmp_path: Path) -> None:
    path, children = tmp_path / "runs.sqlite3", list[subprocess.Popen[str]]()
    with FakeEndpoint(script=interrupt_at(50, children)) as endpoint:
        children.append(start(endpoint, path))
        out, err = children[0].communicate(timeout=60)
        assert "stopping" in out  # the calls under way were cancelled
    assert children[0].returncode not in {0, None}
    assert err.strip().splitlines()[-1].startswith("KeyboardInterrupt: run ")
    assert "what finished is stored in " in err
    assert str(path) in err
    assert "run the same experiment again to go on" in err
    finished = generations(path)
    assert 49 - 32 <= finished <= 49  # at most the calls under way are lost
    with FakeEndpoint() as endpoint:
        out, err = start(endpoint, path).communicate(timeout=60)
    assert (out.strip(), err) == (str(CASES), "")
    assert len(endpoint.log) == CASES - finished


def test_the_second_ends_the_process_at_once_even_when_a_component_does_not_let_go(tmp_path: Path) -> None:
    path, children = tmp_path / "runs.sqlite3", list[subprocess.Popen[str]]()
    with FakeEndpoint(script=interrupt_at(50, children)) as endpoint:
        children.append(start(endpoint, path, "stubborn"))
        child = children[0]
        assert child.stdout is not None
        assert child.stdout.readline() == "stopping\n"  # the first has arrived, and one call does not end
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "exited at once; what was stored by now is kept" in err
    finished = generations(path)
    with FakeEndpoint() as endpoint:
        out, err = start(endpoint, path).communicate(timeout=60)
    assert (out.strip(), err) == (str(CASES), "")
    assert len(endpoint.log) == CASES - finished
