"""How far a run is, in short; runs that were to end early; reports for a terminal and for a file."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from themis import InMemoryRunStore, JsonlRunStore, SqliteRunStore, evaluate
from themis.api.runs.inspect import StateSummary, get_execution_state, state_summary
from themis.api.runs.report import Reporter
from themis.testing.pipelines import Pipeline

from .conftest import Themis

BROKEN = """
from themis import generator

@generator
def broken(case):
    if case.case_id < "30":
        raise ValueError("not today")
    return case.expected_output
"""


@pytest.fixture
def run(project: Path, themis: Themis) -> None:
    (project / "broken.py").write_text(BROKEN, encoding="utf-8")
    assert themis("run", "experiment.yaml", "generation.generator=broken:broken").code == 3


@pytest.mark.usefixtures("run")
def test_the_state_is_short_and_names_the_first_that_failed(themis: Themis) -> None:
    shown = themis("inspect", "state", "latest").out
    assert len(shown.splitlines()) < 20
    assert "partial_failure, through judge" in shown
    (failed,) = [line for line in shown.splitlines() if "answers not generated" in line]
    assert "(ValueError)" in failed
    assert " more" in failed
    whole = themis("inspect", "state", "latest", "--all").out
    assert whole.count("case_key:") >= 40
    assert len(themis("inspect", "state", "latest", "--json").data["case_states"]) == 40


def test_the_summary_counts_what_the_states_say() -> None:

    store = InMemoryRunStore()
    pipeline = Pipeline(12, 2, ("right", "right", "raise"), None, ("right",), (("right", "error"),), None)
    made = pipeline.experiment()
    for stage in ("generate", "parse", "judge"):
        run_id = made.run(store=store, until_stage=stage).run_id
        states = get_execution_state(store, run_id).case_states.values()
        found = state_summary(store, run_id)
        assert found.stages["generated"] == sum(not state.generation_failures for state in states)
        assert (found.stages["parsed"] > 0) == (stage != "generate")
        failed = sum(each.count for each in found.failures if "not generated" in each.what)
        assert failed == sum(bool(state.generation_failures) for state in states)
        assert StateSummary.from_dict(found.to_dict()) == found


def test_a_run_that_was_to_end_early_ends_well(project: Path, themis: Themis) -> None:
    done = themis("run", "experiment.yaml", "--until", "generate")
    assert done.code == 0
    assert "completed through stage 'generate', as it was asked to" in done.out
    assert "40 of 40 cases are not scored yet" in done.out
    assert "failure" not in done.out
    data = themis("run", "experiment.yaml", "--until", "parse", "--json").data
    assert (data["status"], data["progress"]["completed_cases"]) == ("completed", 40)
    assert data["metrics"]["builtin/exact_match"]["outcomes"] == {
        "correct": 0,
        "incorrect": 0,
        "error": 0,
        "not_reached": 40,
    }
    assert data["metrics"]["builtin/exact_match"]["parse_rate"] == 1.0
    assert "0 errors, 40 not done yet" in themis("quickcheck", "latest").out
    whole = themis("run", "experiment.yaml")
    assert "not scored yet" not in whole.out
    assert "completed through" not in whole.out


def test_a_report_is_text_on_a_terminal_and_markdown_elsewhere(project: Path, themis: Themis) -> None:
    assert themis("run", "experiment.yaml").code == 0
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "themis", "report", "latest"]
    subprocess.run(command, stdout=follower, stderr=subprocess.DEVNULL, check=True, cwd=project)
    os.close(follower)
    shown = b""
    while True:
        try:
            shown += os.read(leader, 1 << 16)
        except OSError:  # its end
            break
    os.close(leader)
    text = themis("report", "latest", "--format", "text").out
    assert shown.decode().replace("\r\n", "\n") == text
    assert "\\" not in text
    assert "builtin/exact_match" in text
    assert themis("report", "latest").out.startswith("# Evaluation run")


def test_a_store_that_is_handed_in_is_the_one_a_report_names(tmp_path: Path) -> None:
    for kind, store in (
        ("sqlite", SqliteRunStore(tmp_path / "s.sqlite3")),
        ("jsonl", JsonlRunStore(tmp_path / "s")),
        ("memory", InMemoryRunStore()),
    ):
        rows = [{"input": "1", "expected_output": "1"}]
        result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", store=store)
        assert store.load_snapshot(result.run_id).provenance.storage.store == kind
        assert f"| Store | {kind} |" in Reporter(store).export_markdown(result.run_id)
        store.close()
