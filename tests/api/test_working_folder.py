"""Paths mean what they meant when they were read, wherever the process goes afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from themis import Experiment, evaluate
from themis.api.config.read import build
from themis.api.data import as_datasets
from themis.effects.files import from_here

TREE = {
    "generation": {"generator": "builtin/demo_generator"},
    "evaluation": {"metrics": "builtin/exact_match"},
    "datasets": [{"path": "data/rows.jsonl"}],
    "storage": {"store": "sqlite", "parameters": {"path": "runs/a.sqlite3"}},
    "runtime": {"queue_root": "queue", "batch_root": "batches"},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in whose parent folder the test runs."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "rows.jsonl").write_text('{"input": "1+1", "expected_output": "2"}\n', encoding="utf-8")
    (folder / "e.json").write_text(json.dumps(TREE), encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_config_s_paths_stay_where_they_are(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment.from_config("project/e.json")
    run_id = experiment.compile().run_id
    monkeypatch.chdir(project.parent / "elsewhere")
    result = experiment.run()
    assert (result.run_id, result.progress.total_cases) == (run_id, 1)
    assert (project / "runs" / "a.sqlite3").exists()
    assert experiment.runtime.queue_root == str(project / "queue")
    assert experiment.runtime.batch_root == str(project / "batches")
    assert list(Path.cwd().iterdir()) == []
    written = experiment.to_config(project.parent / "elsewhere" / "again.json")
    assert written["datasets"][0]["path"] == "../project/data/rows.jsonl"


def test_a_file_of_data_stays_where_it_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dataset,) = as_datasets("project/data/rows.jsonl")
    monkeypatch.chdir(project.parent / "elsewhere")
    assert [case.input for case in dataset.cases] == ["1+1"]
    result = evaluate(model="builtin/demo_generator", data=dataset, metric="builtin/exact_match")
    assert result.progress.total_cases == 1


def test_what_is_recorded_and_shown_is_as_short_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    experiment = Experiment.from_config("e.json")
    assert experiment.compile().provenance.storage.parameters == {"path": "runs/a.sqlite3"}
    (project / "data" / "rows.jsonl").write_text('{"input": "1"}\n{"input": \n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"^the data can't be used: rows: data/rows\.jsonl:2: this line is not JSON"):
        Experiment.from_config("e.json").compile()


PARTS = st.lists(st.sampled_from(["a", "b", "..", "."]), min_size=1, max_size=4).map("/".join)


@given(path=PARTS, place=PARTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_path_means_the_same_from_every_folder(
    path: str, place: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "root" / "x" / "y" / "z" / "w" / "v"
    (root / place).mkdir(parents=True, exist_ok=True)
    tree = {
        **TREE,
        "datasets": [{"cases": [{"input": "1"}]}],
        "storage": {"store": "jsonl", "parameters": {"path": path}},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        kept = build(Experiment, tree, Path("config"))
        patch.chdir(root / place)
        assert kept.storage.parameters["path"] == str(root / "config" / path)
        assert (Path.cwd() / from_here(str(root / path))).resolve() == (root / path).resolve()
