"""Figures reach MLflow and Weights & Biases as a report states them, by their real libraries, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from themis import Case, GenerationResult, InMemoryRunStore, Reporter, SqliteRunStore, evaluate
from themis.api.tracking import MlflowSubscriber, WandbSubscriber, run_figures, run_settings
from themis.core import GenerateContext
from themis.pure.errors import MissingExtraError

ROWS = [{"case_id": str(n), "input": f"{n} + 1", "expected_output": str(n + 1)} for n in range(12)]


class Kept(MlflowSubscriber):  # type: ignore[misc]  # final for users; here what would be sent is kept
    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.told: list[tuple[Any, ...]] = []

    def _log(self, *told: Any) -> None:
        self.told.append(told)


@pytest.fixture
def any_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())


@pytest.mark.usefixtures("any_library")
def test_a_run_is_told_once_with_the_figures_of_its_report() -> None:
    store = InMemoryRunStore()
    kept = Kept(store)
    result = evaluate(
        model="builtin/demo_model", data=ROWS, metric="exact_match", store=store, subscribers=[kept], name="mine"
    )
    [(name, tags, settings, figures)] = kept.told
    assert name == "mine"
    assert tags == {"themis.run_id": result.run_id, "themis.status": "completed"}
    assert settings == run_settings(result)
    assert figures == run_figures(result)
    assert figures["builtin/exact_match"] == result.benchmark.metric_means["builtin/exact_match"]
    assert f"{figures['builtin/exact_match.low']:.3f}" in Reporter(store).export_markdown(result.run_id)


class Flaky:
    """A model that fails at one case while it may."""

    component_id = "tests/flaky"
    version = "1"
    fails = True

    def fingerprint(self) -> str:
        return "flaky"

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        if self.fails and case.case_id == "3":
            raise ValueError("not today")
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="1")


@pytest.mark.usefixtures("any_library")
def test_what_an_earlier_attempt_did_counts(tmp_path: Path) -> None:
    model, store = Flaky(), SqliteRunStore(tmp_path / "runs.sqlite3")
    kept = Kept(store)
    evaluate(model=model, data=ROWS, metric="exact_match", store=store, subscribers=[kept])
    model.fails = False
    evaluate(model=model, data=ROWS, metric="exact_match", store=store, subscribers=[kept])
    first, second = (told[3] for told in kept.told)
    assert (first["builtin/exact_match.scored"], first["builtin/exact_match.missing"]) == (11, 1)
    assert (second["builtin/exact_match.scored"], second["builtin/exact_match.missing"]) == (12, 0)
    assert [told[1]["themis.status"] for told in kept.told] == ["partial_failure", "completed"]


@pytest.mark.parametrize("subscriber", [MlflowSubscriber, WandbSubscriber])
def test_a_missing_library_is_told_before_anything_runs(subscriber: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'themis-evals\[{subscriber.library}\]'"):
        subscriber(InMemoryRunStore())


def run_script(script: str, folder: Path, **variables: str) -> str:
    # In a process of its own: both libraries start threads and keep what they were told for the process's life.
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    (folder / "script.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env={**kept, **variables, "HOME": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


EVALUATED = """
from themis import InMemoryRunStore, evaluate
from themis.api.tracking import MlflowSubscriber, WandbSubscriber

rows = [{"case_id": str(n), "input": f"{n} + 1", "expected_output": str(n + 1)} for n in range(12)]
store = InMemoryRunStore()

def run(subscriber):
    return evaluate(model="builtin/demo_model", data=rows, metric="exact_match", store=store, subscribers=[subscriber])
"""


@pytest.mark.slow
def test_mlflow_has_parameters_metrics_and_tags(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    script = f"""{EVALUATED}
import mlflow

mlflow.set_tracking_uri("file:" + "mlruns")
result = run(MlflowSubscriber(store, tags={{"team": "qa"}}))
with mlflow.start_run() as mine:
    run(MlflowSubscriber(store))
    assert mlflow.active_run().info.run_id == mine.info.run_id
with mlflow.start_run() as parent:
    run(MlflowSubscriber(store, nested=True, run_name="below"))
    assert mlflow.active_run().info.run_id == parent.info.run_id
below, _, own, opened = mlflow.MlflowClient().search_runs(["0"], order_by=["start_time DESC"])
assert below.info.run_name == "below"
assert below.data.tags["mlflow.parentRunId"] == parent.info.run_id
assert own.info.run_id == mine.info.run_id
assert own.data.metrics == opened.data.metrics
assert opened.info.status == "FINISHED"
assert opened.info.run_name == f"themis-{{result.run_id[:8]}}"
assert opened.data.params["model"] == "builtin/demo_model"
assert opened.data.tags["themis.run_id"] == result.run_id
assert opened.data.tags["team"] == "qa"
mean = opened.data.metrics["builtin/exact_match"]
print(mean == result.benchmark.metric_means["builtin/exact_match"], opened.data.metrics["builtin/exact_match.scored"])
"""
    assert run_script(script, tmp_path, MLFLOW_ALLOW_FILE_STORE="true") == "True 12.0\n"


@pytest.mark.slow
def test_a_run_that_failed_is_failed_in_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    script = f"""{EVALUATED}
import mlflow
from themis import adapters
from themis.pure.errors import ThemisError
from themis.testing import FakeEndpoint
from themis.testing.endpoint import Reject

mlflow.set_tracking_uri("file:" + "mlruns")
with FakeEndpoint(script=lambda request: Reject(status=401)) as endpoint:
    model = adapters.vllm("tiny", base_url=endpoint.base_url)
    try:
        evaluate(model=model, data=rows, metric="exact_match", store=store, subscribers=[MlflowSubscriber(store)])
    except ThemisError:
        pass
[found] = mlflow.MlflowClient().search_runs(["0"])
print(found.info.status, found.data.tags["themis.status"], found.data.metrics["builtin/exact_match.scored"])
"""
    assert run_script(script, tmp_path, MLFLOW_ALLOW_FILE_STORE="true") == "FAILED failed 0.0\n"


@pytest.mark.slow
def test_wandb_has_a_config_and_a_summary(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="needs the extra wandb")
    script = f"""{EVALUATED}
import wandb

result = run(WandbSubscriber(store, project="qa", mode="offline", settings=wandb.Settings(silent=True)))
assert wandb.run is None
with wandb.init(project="qa", mode="offline", settings=wandb.Settings(silent=True)) as mine:
    run(WandbSubscriber(store))
    assert wandb.run is mine
    assert mine.config["model"] == "builtin/demo_model"
    assert mine.config["themis.run_id"] == result.run_id
    mean = mine.summary["builtin/exact_match"]
    print(mean == result.benchmark.metric_means["builtin/exact_match"], mine.summary["builtin/exact_match.scored"])
"""
    assert run_script(script, tmp_path) == "True 12\n"
    assert len([*tmp_path.glob("wandb/offline-run-*")]) == 2
