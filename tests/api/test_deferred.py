"""Deferred execution: manifests that hold everything, run by workers that may die, into the shared store."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis.api.components import own_modules
from themis.api.deferred import queue_state, read_manifest, submit, work_off
from themis.api.experiment.experiment import Experiment
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.errors import DataError, LiteralSecretError, SpecError

ROOT = Path(__file__).parents[2]
CONFIG = """\
generation: {generator: builtin/demo_model}
evaluation: {metrics: builtin/exact_match, parsers: builtin/text}
datasets: [{dataset_id: sums, path: rows.jsonl}]
storage: {store: sqlite, parameters: {path: runs/a.sqlite3}}
runtime: {queue_root: queue, batch_root: batches}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write an experiment's files; the test runs in their folder, and its imports are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    rows = [{"input": f"{i}+1", "expected_output": str(i + 1)} for i in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (tmp_path / "e.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path / "e.yaml"


def load(config: Path, *overrides: str) -> Experiment:
    return Experiment.from_config(config, overrides=overrides)


def digest(experiment: Experiment) -> str:
    result = experiment.run()
    with contextlib.closing(result.store):
        return result.digest


def test_a_worker_runs_what_was_submitted_into_the_shared_store(config: Path, tmp_path: Path) -> None:
    experiments = [load(config), load(config, "datasets.0.limit=5", "generation.candidate_policy.num_samples=1")]
    for experiment in experiments:
        submit(experiment)
    outcomes = list(work_off("queue"))
    assert [outcome.status for outcome in outcomes] == ["completed", "completed"]
    with SqliteRunStore(tmp_path / "runs" / "a.sqlite3") as store:
        stored = {line.run_id for line in store.list_runs()}
    assert stored == {experiment.compile().run_id for experiment in experiments}
    assert {outcome.digest for outcome in outcomes} == {digest(experiment) for experiment in experiments}
    assert queue_state("queue")["pending"] == []
    assert list(work_off("queue")) == []


def test_submitting_twice_is_submitting_once(config: Path) -> None:
    assert submit(load(config)) == submit(load(config))
    assert len(list(work_off("queue"))) == 1


def test_a_manifest_is_whole_by_itself(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = submit(load(config, "datasets.0.limit=3")).resolve()
    config.unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (outcome,) = work_off(path.parents[1])
    assert outcome.status == "completed"
    assert (tmp_path / "runs" / "a.sqlite3").exists()


def test_what_changed_since_submission_is_not_run_under_the_old_name(config: Path, tmp_path: Path) -> None:
    submit(load(config))
    (tmp_path / "rows.jsonl").write_text('{"input": "other"}\n', encoding="utf-8")
    (outcome,) = work_off("queue")
    assert outcome.status == "failed"
    assert "changed since; submit the experiment again" in str(outcome.message)
    assert not (tmp_path / "runs").exists()
    (failed,) = queue_state("queue")["failed"].values()
    assert failed == outcome.message


def test_two_projects_may_each_have_a_module_of_one_name(config: Path, tmp_path: Path) -> None:
    for name, value in (("one", 1.0), ("two", 0.5)):
        folder = tmp_path / name
        folder.mkdir()
        code = f"from themis import metric\n\n@metric\ndef mine(parsed, case):\n    return {value}\n"
        (folder / "own_metrics.py").write_text(code, encoding="utf-8")
        text = CONFIG.replace("builtin/exact_match", "own_metrics:mine").replace("rows.jsonl", "../rows.jsonl")
        (folder / "e.yaml").write_text(text, encoding="utf-8")
        script = "import sys; from themis.api.cli import main; main(['submit', 'e.yaml', '--queue', '../queue'])"
        subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True)
    assert [outcome.status for outcome in work_off("queue")] == ["completed", "completed"]
    means = set()
    for name in ("one", "two"):
        with SqliteRunStore(tmp_path / name / "runs" / "a.sqlite3") as store:
            events = [json.loads(e.payload) for e in store.events(store.list_runs()[0].run_id)]
        means |= {event["score"]["value"] for event in events if event["event_type"] == "score_completed"}
    assert means == {1.0, 0.5}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["storage="], "ends with its process"),
        (["runtime.queue_root="], "runtime.queue_root"),
        (["evaluation.metrics=builtin/pairwise_judge"], "judge"),
    ],
)
def test_what_no_worker_could_run_is_refused_at_submission(config: Path, overrides: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        submit(load(config, *overrides))
    assert not Path("queue").exists()


def test_no_secret_gets_into_a_manifest(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-abcdefghijklmnop1234")
    path = submit(load(config, "generation.generator=openai/gpt-4o"))
    assert "sk-proj" not in path.read_text(encoding="utf-8")
    literal = load(config)
    with pytest.raises(LiteralSecretError):
        submit(literal.evolve(environment_metadata={"note": "sk-proj-abcdefghijklmnop1234"}))


def test_a_run_that_another_process_is_writing_waits(config: Path, tmp_path: Path) -> None:
    experiment = load(config)
    submit(experiment)
    with SqliteRunStore(tmp_path / "runs" / "a.sqlite3") as store:
        store.acquire(experiment.compile().run_id)
        assert list(work_off("queue")) == []
        store.release(experiment.compile().run_id)
    assert [outcome.status for outcome in work_off("queue")] == ["completed"]


def test_an_interrupted_run_waits_on(config: Path) -> None:
    submit(load(config))

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(work_off("queue", run=interrupted))
    assert [outcome.status for outcome in work_off("queue")] == ["completed"]


def test_a_killed_worker_s_run_is_taken_over_and_nothing_is_paid_twice(config: Path, tmp_path: Path) -> None:
    """A worker is killed in its eighth call; the next one asks only what was not acknowledged."""
    (tmp_path / "deadly.py").write_text(DEADLY, encoding="utf-8")
    submit(load(config, "generation.generator=deadly:Deadly", "runtime.max_concurrent_tasks=1"))
    environment = {**os.environ, "DEADLY": "7"}
    command = [sys.executable, "-m", "themis", "worker", "run", "--queue", "queue"]
    killed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert queue_state("queue")["pending"]
    sys.modules.pop("deadly", None)
    with SqliteRunStore(tmp_path / "runs" / "a.sqlite3") as store:
        (line,) = store.list_runs()
        acknowledged = sum(event.event_type == "generation_completed" for event in store.events(line.run_id))
    (outcome,) = work_off("queue")
    assert outcome.status == "completed"
    calls = (tmp_path / "calls.log").read_text(encoding="utf-8").split()
    assert (len(set(calls)), len(calls)) == (12, 8 + 12 - acknowledged)


DEADLY = '''
import os, signal
import attrs
from themis import GenerationResult

@attrs.frozen
class Deadly:
    """A generator whose process is killed while it makes a call, if the environment says so."""
    component_id: str = "deadly"
    version: str = "1"

    async def generate(self, case, ctx):
        with open("calls.log", "a") as log:
            log.write(ctx.case_key + "\\n")
        with open("calls.log") as log:
            if len(log.readlines()) > int(os.environ.get("DEADLY", "1000")):
                os.kill(os.getpid(), signal.SIGKILL)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=case.expected_output)
'''


def test_manifests_that_are_none_or_too_new_are_refused(config: Path) -> None:
    data = json.loads(submit(load(config)).read_text(encoding="utf-8"))
    with pytest.raises(DataError, match=r"newer Themis \(schema 2\)"):
        read_manifest(json.dumps({**data, "schema_version": 2}))
    for text in ("", "[]", "{}", json.dumps({**data, "mode": "other"})):
        with pytest.raises(DataError, match="not a manifest"):
            read_manifest(text)


def test_a_broken_manifest_fails_alone(config: Path) -> None:
    submit(load(config))
    (Path("queue") / "pending" / "broken.json").write_text("{", encoding="utf-8")
    assert sorted(outcome.status for outcome in work_off("queue")) == ["completed", "failed"]


def test_the_record_survives_json(config: Path) -> None:
    manifest = read_manifest(submit(load(config), mode="worker-pool").read_text(encoding="utf-8"))
    assert type(manifest).from_dict(manifest.to_dict()) == manifest
    assert attrs.evolve(manifest, mode="batch").mode == "batch"


def test_what_was_imported_from_a_project_is_forgotten_and_what_lies_deeper_in_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / ".venv" / "lib"
    for place in (library / "lib_in_env", tmp_path / "own_package"):
        place.mkdir(parents=True)
        (place / "__init__.py").write_text("")
        (place / "part.py").write_text("")
    (tmp_path / "own_module.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path, str(library)])
    names = ("own_module", "own_package", "own_package.part", "lib_in_env", "lib_in_env.part")
    with own_modules([str(tmp_path)]):
        for name in names:
            importlib.import_module(name)
    assert [name for name in names if name in sys.modules] == ["lib_in_env", "lib_in_env.part"]
    for name in ("lib_in_env", "lib_in_env.part"):
        del sys.modules[name]
