"""Opening stores by name: a backend of one's own, and what is said about names and parameters that are wrong."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

import themis
from themis import HumanLabel, evaluate, find_runs, write_bundle
from themis.api import stores
from themis.api.stores import as_storage, open_store, register_store_backend, store_kinds
from themis.effects.stores.memory import InMemoryRunStore
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.errors import SpecError, StoreError
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


# --- where a store is, for a store ------------------------------------------------------------------------

PUBLIC: Final = ("themis", "themis.catalog", "themis.core", "themis.planner")
OTHERWISE: Final = {
    "import_logs", "import_outputs",  # and their own tests
    "evaluate", "evaluate_async", "run", "run_async", "Experiment",  # see test_given_as
    "leaderboard",  # several stores, and its own tests
    "RunResult",  # a record of what was run
    "StudyResult",  # the same
    "StorageConfig", "WorkOutcome",  # `store` is a text of their own
}  # fmt: skip
WRITES_ANEW: Final = re.compile(r"import_\w*bundle(_file)?")


def takers() -> dict[str, Callable[..., Any]]:
    """Return every public function and class that is given a store, by name."""
    return {
        name: thing
        for door in map(importlib.import_module, PUBLIC)
        for name in door.__all__
        if callable(thing := getattr(door, name)) and name not in OTHERWISE and store_parameters(thing)
    }


def store_parameters(thing: Callable[..., Any]) -> list[str]:
    try:
        return [name for name in inspect.signature(thing).parameters if name in ("store", "store_a", "store_b")]
    except ValueError:  # a type of the interpreter's
        return []


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two runs in a file, and by name what the functions ask for beside the store."""
    folder = tmp_path_factory.mktemp("store")
    place, bundle = folder / "a.sqlite3", folder / "bundle.json"
    rows = [{"input": "1+1", "expected_output": "2"}, {"input": "2+3", "expected_output": "5"}]
    one, two = (
        evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", samples=n, storage=place)
        for n in (1, 2)
    )
    write_bundle(place, one.run_id, "evaluation", bundle)
    case = one.cases[0].case_id
    label = HumanLabel(case_id=case, metric_id="builtin/exact_match", value=True, who="me")
    return {
        "place": place,
        "run_id": one.run_id, "run_a": one.run_id, "run_b": two.run_id, "run_ids": [one.run_id, two.run_id],
        "query": "1", "case_id": case, "metric_id": "builtin/exact_match", "rule": "exact_match>=0.5", "count": 1,
        "labels": [label], "source": [], "kind": "evaluation", "path": bundle, "statistic": "mean",
        "metric": "builtin/contains", "folder": folder / "eee",
    }  # fmt: skip


def call(name: str, arguments: dict[str, Any], **changes: object) -> Any:
    function = takers()[name]
    required = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD
    ]
    places = dict.fromkeys(store_parameters(function), arguments["place"])
    kind = re.fullmatch(r"import_(\w+)_bundle", name)
    if kind and "bundle" in required:
        export = getattr(themis, f"export_{kind[1]}_bundle")
        arguments = {**arguments, "bundle": export(arguments["place"], arguments["run_id"])}
    return function(**{each: arguments[each] for each in required if each not in places}, **(places | changes))


@pytest.mark.parametrize("name", sorted(takers()))
def test_where_a_store_is_does_for_a_store(name: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    first = store_parameters(takers()[name])[0]
    assert inspect.signature(takers()[name]).parameters[first].annotation == "RunStore | Storage"
    for place in (arguments["place"], str(arguments["place"]), as_storage(arguments["place"])):
        if name.startswith("write_"):
            arguments = {
                **arguments,
                "path": tmp_path / ("a.eval" if name == "write_inspect_log" else "written.json"),
                "folder": tmp_path / "eee",
            }
        call(name, arguments, **{first: place})
    nothing: Any
    for nothing in (None, 3, []):
        with pytest.raises(SpecError, match=r"^store: .* expected"):
            call(name, arguments, **{first: nothing})
    missing = tmp_path / "a.sqlite"
    if WRITES_ANEW.fullmatch(name):
        call(name, arguments, **{first: missing})
        assert [line.run_id for line in find_runs(missing)] == [arguments["run_id"]]
    else:
        with pytest.raises(StoreError, match="there is no store"):
            call(name, arguments, **{first: missing})
        assert not missing.exists()


def test_a_place_is_opened_as_a_store(tmp_path: Path) -> None:
    with contextlib.closing(open_store(f"jsonl:{tmp_path / 'log'}")) as store:
        assert store.list_runs() == ()
