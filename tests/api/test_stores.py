"""Opening stores by name: a backend of one's own, and what is said about names and parameters that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from themis.api import stores
from themis.api.stores import open_store, register_store_backend, store_kinds
from themis.effects.stores.memory import InMemoryRunStore
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.errors import SpecError
from themis.pure.records.config import StorageConfig
from themis.testing.pipelines import Pipeline


class NamedStore(InMemoryRunStore):
    def __init__(self, *, label: str) -> None:
        super().__init__()
        self.label = label


def test_a_backend_of_ones_own_is_opened_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_kinds", store_kinds())
    register_store_backend("named", NamedStore)
    pipeline = Pipeline(
        cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    config = StorageConfig(store="named", parameters={"label": "mine"})
    result = pipeline.experiment(storage=config).run()
    assert isinstance(result.store, NamedStore)
    assert result.store.label == "mine"
    assert [line.run_id for line in result.store.list_runs()] == [result.run_id]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"store": "sqllite"}, "no store 'sqllite'; did you mean sqlite?"),
        ({"store": "oracle"}, "known names: jsonl, memory, postgres, sqlite"),
        ({"store": "sqlite", "parameters": {"file": "x"}}, "storage.parameters: .*file"),
        ({"store": "postgres"}, "storage.parameters: .*dsn"),
        ({"store": "sqlite", "parameters": {"path": "${oc.env:NOT_SET_ANYWHERE}"}}, "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_what_is_wrong_is_said(config: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        open_store(StorageConfig.from_dict(config))


def test_references_are_resolved_when_the_store_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS", str(tmp_path))
    store = open_store(StorageConfig(store="sqlite", parameters={"path": "${oc.env:RUNS}/s.sqlite3"}))
    assert isinstance(store, SqliteRunStore)
    assert store.path == tmp_path / "s.sqlite3"
    store.close()
