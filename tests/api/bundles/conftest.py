"""The stores that bundles are taken into, each in an empty folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from themis import InMemoryRunStore, RunStore, SqliteRunStore
from themis.effects.stores.jsonl import JsonlRunStore
from themis.testing.pipelines import ScriptedSandbox

# A store that is to be held to the same goes here, with how it is opened in an empty folder.
STORES: dict[str, Callable[[Path], RunStore]] = {
    "memory": lambda folder: InMemoryRunStore(),
    "sqlite": lambda folder: SqliteRunStore(folder / "store.sqlite3"),
    "jsonl": lambda folder: JsonlRunStore(folder / "store"),
}


@pytest.fixture(autouse=True)
def _sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("themis.effects.driver", "themis.api.experiment.run"):
        monkeypatch.setattr(f"{module}.open_sandbox", ScriptedSandbox)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    opened = STORES[request.param](tmp_path)
    opened.initialize()
    yield opened
    opened.close()


def is_untouched(store: RunStore) -> bool:
    return not store.list_runs()
