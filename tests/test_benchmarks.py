"""Each benchmark runs once, at a size where it says nothing about speed: what it measures is still there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from benchmarks import __main__ as suite
from benchmarks import http_throughput, leaderboard, processes, starting, steps
from benchmarks.peers import __main__ as peers

from themis import InMemoryRunStore, SqliteRunStore

CASES = 12


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    steps.prepare(folder, CASES)
    return folder


def test_the_engine_is_measured_in_both_stores(tmp_path: Path) -> None:
    from benchmarks import engine

    with SqliteRunStore(tmp_path / "s.sqlite3") as durable:
        for store in (InMemoryRunStore(), durable):
            found = engine.measure(store, CASES)
            assert found["per_s"] == pytest.approx(CASES / found["seconds"])
            assert found["peak_mb"] > 10


@pytest.mark.parametrize("step", steps.STEPS)
def test_every_step_is_measured_over_a_stored_run(step: str, stored: Path) -> None:
    found = steps.measure(step, CASES, stored)
    assert 0 < found["seconds"] < 60
    assert steps.measure(step, CASES, stored)["seconds"] > 0, "a second round finds the run as the first did"


def test_many_runs_are_compared(tmp_path: Path) -> None:
    leaderboard.prepare(tmp_path, 3, CASES)
    for metric in leaderboard.METRICS:
        found = leaderboard.measure(tmp_path, metric)
        assert found["pairs"] == 3
        assert found["peak_mb"] > 10


def test_a_resume_has_one_case_to_do(stored: Path) -> None:
    model = steps.ResumedModel()
    with SqliteRunStore(stored / steps.STORE_FILE) as store:
        (line,) = store.list_runs()
        assert store.load_snapshot(line.run_id).run_id == steps.experiment(stored, model).compile().run_id
        names = ["builtin/exact_match"]
        assert len(list(store.settled_cases(line.run_id, len(names)))) == CASES - 1


def test_calls_are_compared_with_a_bare_loop() -> None:
    rows, busy = http_throughput.compare(CASES, 1)
    assert [row.name for row in rows] == ["bare", "calls", "evaluate"]
    assert rows[0].ratio == 1
    assert busy > 0


def test_starting_is_compared_with_a_bare_interpreter() -> None:
    found = starting.compare(1)
    assert list(found) == list(starting.COMMANDS)
    assert starting.peak_mb("import themis") > 5


def test_the_floor_is_the_one_that_is_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes.floor_speed(100) > 0
    stated = tmp_path / "floor.py"
    stated.write_text("print('floor 100 2.0 50')")
    monkeypatch.setenv("THEMIS_FLOOR", str(stated))
    assert processes.floor_speed(100) == 50


def test_the_table_and_the_json_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "rows", lambda plan: iter([made("run: sqlite"), made("resume")]))
    suite.main(suite.QUICK, tmp_path / "results.json")
    printed = capsys.readouterr().out
    data = json.loads((tmp_path / "results.json").read_text())
    assert [row["name"] for row in data["rows"]] == ["run: sqlite", "resume"]
    assert data["rows"][0]["ratio"] == 0.25
    assert "0.20-0.50" in printed
    assert "resume of 200,000 cases, extrapolated from 2,000: 200.0 s" in printed


def made(name: str) -> suite.Row:
    return suite.Row(name, 2_000, 2.0, 90.0, "floor/s", 40_000, (0.2, 0.25, 0.5), 50)


def test_a_peer_that_fails_says_so_in_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "with_broken.py"
    broken.write_text("raise SystemExit('no such host')")
    monkeypatch.setattr(peers, "HERE", tmp_path)
    found = peers.Measured(peers.Peer("broken", "nothing"), 3)
    peers.once(found, sys.executable, 0)
    row = peers.line(found, found)
    assert "no such host" in row
    assert row.startswith("broken ?")


def test_our_side_of_the_comparison_with_peers_runs() -> None:
    found = peers.side_by_side({peers.OURS: sys.executable}, 5, 1)
    assert found[0].note == ""
    assert found[0].seconds[0] > 0
