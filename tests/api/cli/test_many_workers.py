"""`themis run --engine`, `themis submit --mode segments` and `themis worker run --store`, with a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
pytestmark = pytest.mark.postgres

Themis = Callable[..., Any]
CONFIG = """\
generation: {generator: {id: "answers:Answers", log: calls}}
evaluation: {metrics: builtin/exact_match}
datasets: [{dataset_id: sums, path: rows.jsonl}]
runtime: {max_concurrent_tasks: 4}
"""
ANSWERS = """\
import os
import sys
import time
import attrs
from themis.core import GenerationResult

@attrs.frozen
class Answers:
    log: str
    component_id: str = "answers"
    version: str = "1"
    provider_key: str = "made"

    async def generate(self, case, ctx):
        if sys.argv[0].endswith("worker_process.py"):
            print("asked")  # as code of users may, in a process that answers on its stdout
        file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{time.monotonic()}\\n".encode())
        os.close(file)
        usage = {"prompt_tokens": 5, "completion_tokens": 5}
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=str(case.input), token_usage=usage)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    rows = [{"input": str(i), "expected_output": str(i)} for i in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (tmp_path / "e.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "answers.py").write_text(ANSWERS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def store(postgres_dsn: str, request: pytest.FixtureRequest) -> str:
    """A database of its own, named as `--store` names it."""
    name = f"many_{os.getpid()}_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return postgres_dsn.replace("/postgres", f"/{name}")


def themis(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, where an experiment's modules are nobody else's."""
    return subprocess.run(
        [sys.executable, "-m", "themis", *words], capture_output=True, text=True, check=False, timeout=300
    )


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "themis", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_an_engine_s_run_is_that_of_one_process(project: Path, store: str) -> None:
    alone = said(themis("run", "e.yaml", "--store", "runs/a.sqlite3", "--json"))
    many = said(themis("run", "e.yaml", "--store", store, "--engine", "processes", "--workers", "2", "--json"))
    assert (many["digest"], many["run_id"], many["status"]) == (alone["digest"], alone["run_id"], "completed")
    assert said(themis("verify", "latest", "--store", store, "--config", "e.yaml", "--json"))["verdict"] == "verified"
    assert len((project / "calls").read_text().splitlines()) == 80
    for command in (["list"], ["report", "latest"], ["quickcheck", "latest"], ["inspect", "snapshot", "latest"]):
        assert themis(*command, "--store", store).returncode == 0
    bundle = themis("export", "score", "latest", "b.json", "--store", store)
    assert bundle.returncode == 0, bundle.stderr
    assert themis("import", "b.json", "--store", "runs/b.sqlite3").returncode == 0
    assert said(themis("run", "e.yaml", "--store", "runs/b.sqlite3", "--json"))["digest"] == alone["digest"]
    assert len((project / "calls").read_text().splitlines()) == 80, "what was imported is not asked again"


def test_a_run_begun_in_a_file_goes_on_by_many_on_a_server_and_comes_back(project: Path, store: str) -> None:
    whole = said(themis("run", "e.yaml", "--store", "runs/whole.sqlite3", "--json"))
    (project / "calls").unlink()
    assert themis("run", "e.yaml", "--store", "runs/a.sqlite3", "--until", "generate").returncode == 0
    for words in (
        ("export", "generation", "latest", "there.json", "--store", "runs/a.sqlite3"),
        ("import", "there.json", "--store", store),
        ("run", "e.yaml", "--store", store, "--engine", "processes", "--workers", "2"),
        ("export", "evaluation", "latest", "back.json", "--store", store),
        ("import", "back.json", "--store", "runs/b.sqlite3"),
    ):
        done = themis(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert said(themis("verify", "latest", "--store", "runs/b.sqlite3", "--config", "e.yaml", "--json"))["verdict"] == (
        "verified"
    )
    assert said(themis("run", "e.yaml", "--store", "runs/b.sqlite3", "--json"))["digest"] == whole["digest"]
    assert len((project / "calls").read_text().splitlines()) == 40, "what was moved is not asked again"


def test_plain_workers_do_what_was_submitted_in_segments(project: Path, store: str) -> None:
    run_id = said(themis("submit", "e.yaml", "--mode", "segments", "--segment-size", "3", "--store", store, "--json"))[
        "run_id"
    ]
    workers = [started("worker", "run", "--store", store, "--run", run_id[:10], "--json") for _ in range(2)]
    worked = []
    for worker in workers:
        out, err = worker.communicate(timeout=300)
        assert worker.returncode == 0, err
        worked += json.loads(out)
    assert sum(each["cases"] for each in worked) == 40
    assert [each["ended"] for each in worked].count(True) == 1
    assert sorted(number for each in worked for number in each["segments"]) == list(range(14))
    assert len((project / "calls").read_text().splitlines()) == 40
    assert said(themis("worker", "run", "--store", store, "--json")) == [], "nothing waits any more"


def test_a_worker_with_other_code_refuses_and_asks_nothing(project: Path, store: str) -> None:
    run_id = said(themis("submit", "e.yaml", "--mode", "segments", "--store", store, "--json"))["run_id"]
    (project / "answers.py").write_text(ANSWERS.replace("str(case.input)", "'other'"), encoding="utf-8")
    refused = themis("worker", "run", "--store", store, "--run", run_id)
    assert refused.returncode == 2
    assert "answers: this worker's code or configuration of it is not the one" in refused.stderr
    assert not (project / "calls").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--store", "runs/a.sqlite3", "--engine", "processes"), "needs a store on a server"),
        (("--workers", "2"), "name who does the cases with --engine"),
        (("--engine", "processes", "--address", "tcp://h:1"), "takes no address"),
        (("--engine", "dusk"), "Invalid value"),
        (("--engine", "processes", "--workers", "0"), "workers: at least 1"),
        (("--engine", "processes", "--segment-size", "0"), "segment size: at least 1"),
        (("--engine", "processes", "--until", "builtin/exact_match>=0.5"), "takes one process"),
    ],
)
def test_what_can_not_be_done_by_many_is_refused_before_anything_is_begun(
    project: Path, store: str, words: tuple[str, ...], message: str
) -> None:
    chosen = () if "--store" in words else ("--store", store)
    done = themis("run", "e.yaml", *chosen, *words)
    assert done.returncode == 2, done.stderr
    assert message in " ".join((done.stderr + done.stdout).split())
    assert not (project / "calls").exists()


@pytest.mark.slow
def test_four_workers_together_keep_to_the_rate_of_the_run(project: Path, store: str) -> None:
    limit = "runtime.provider_rate_limits={made: 600}"
    done = themis(
        "run", "e.yaml", limit, "--store", store, "--engine", "processes", "--workers", "4", "--segment-size", "2"
    )
    assert done.returncode == 0, done.stderr
    times = sorted(float(line) for line in (project / "calls").read_text().splitlines())
    assert len(times) == 40
    for first, time in enumerate(times):
        assert sum(time <= other < time + 1.0 for other in times[first:]) <= 11
    assert times[-1] - times[0] >= 39 * 0.1 - 0.5


@pytest.mark.slow
def test_four_workers_together_keep_to_the_budget_of_the_run(project: Path, store: str) -> None:
    budget = (
        "runtime.max_tokens=155",
        "--store",
        store,
        "--engine",
        "processes",
        "--workers",
        "4",
        "--segment-size",
        "2",
    )
    done = themis("run", "e.yaml", *budget, "--json")
    assert done.returncode != 0
    calls = len((project / "calls").read_text().splitlines())
    # Ten tokens each; what a call will use is not known before of a model of one's own, so those under way come on top.
    assert 12 <= calls <= 15 + 4
    more = themis("run", "e.yaml", *(word.replace("155", "600") for word in budget), "--json")
    assert said(more)["status"] == "completed"
