"""Law 2: a run keeps the name it was given. What earlier versions stored opens, and says what it said."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from themis import StorageConfig, quickcheck, verify
from themis.api.bundles.transfer import export_generation_bundle, import_generation_bundle
from themis.api.runs.report import Reporter
from themis.api.runs.result import RunResult
from themis.api.stores import open_store
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.errors import SchemaVersionError
from themis.pure.identity import FIRST_ALGORITHM, IDENTITY_ALGORITHM, misnamed, run_name
from themis.pure.records.snapshot import RunSnapshot

STORES = Path(__file__).parents[1] / "golden" / "stores"
KINDS = ("sqlite", "jsonl")


def _maker() -> Any:
    spec = importlib.util.spec_from_file_location("golden_stores", STORES / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()
VERSIONS = sorted(path.stem for path in STORES.glob("*.json"))
FACTS = {version: json.loads((STORES / f"{version}.json").read_text("utf-8")) for version in VERSIONS}
RUNS = [
    (version, kind, title) for version in VERSIONS for kind, found in FACTS[version].items() for title in sorted(found)
]
CHANGED: dict[str, dict[str, dict[str, int | None]]] = {
    "several candidates": {"builtin/majority_vote": {"reduce": None}, "builtin/numeric_match": {"score": None}},
    "plain": {"builtin/text": {"parse": None}, "builtin/f1": {"score": 6}},
    "parse failures": {"builtin/json": {"parse": None}},
    "judged": {"builtin/llm_rubric": {"judge": None}},
    "selected": {"builtin/best_of_n": {}},
}
"""Runs with components that do something else by now, and so have other names, with what is recomputed of their stage:
the vote is over parsed answers, parsers and metrics read more of what models write, and judges' answers are read by
stricter rules."""

OTHER_RESULTS = {"several candidates"}
"""Runs whose results they change: the winner of a vote is another record."""

STATUS_NOW = {"parse failures": "completed"}
"""Answers that no parser could read were failures of the run then."""


@contextlib.contextmanager
def opened(version: str, kind: str, folder: Path) -> Iterator[Any]:
    name = f"{version}.sqlite3" if kind == "sqlite" else f"{version}-jsonl"
    copy = shutil.copytree if kind == "jsonl" else shutil.copyfile
    copy(STORES / name, folder / name)
    store = open_store(StorageConfig(store=kind, parameters={"path": str(folder / name)}))
    try:
        yield store
    finally:
        store.close()


def test_there_is_a_store_of_the_first_algorithm() -> None:
    assert FIRST_ALGORITHM.replace("/", "-") in VERSIONS
    assert sum(path.stat().st_size for path in STORES.rglob("*") if path.is_file()) < 300_000 * len(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_run_is_listed_under_its_id(version: str, kind: str, tmp_path: Path) -> None:
    with opened(version, kind, tmp_path) as store:
        listed = {line.run_id: line.status for line in store.list_runs()}
    assert listed == {facts["run_id"]: "completed" for facts in FACTS[version][kind].values()}


@pytest.mark.parametrize(("version", "kind", "title"), RUNS)
def test_a_stored_run_says_what_it_said(version: str, kind: str, title: str, tmp_path: Path) -> None:
    facts = FACTS[version][kind][title]
    run_id = facts["run_id"]
    with opened(version, kind, tmp_path) as store:
        snapshot = store.load_snapshot(run_id)
        assert snapshot.run_id == run_id
        assert snapshot.identity_algorithm == version.replace("-", "/")
        assert misnamed(run_id, snapshot.identity, snapshot.identity_algorithm) is None
        assert RunResult(snapshot=snapshot, store=store).digest == facts["digest"]
        assert quickcheck(store, run_id).run_id == run_id
        said = MAKER.facts(store, run_id, facts["digest"])
        said["recomputed"].pop("select", None)  # the first version looked at no selection
        for stages in CHANGED.get(title, {}).values():
            now = {**facts["recomputed"], **stages}
            facts = {**facts, "recomputed": {stage: count for stage, count in now.items() if count is not None}}
        assert said == {**facts, "status": STATUS_NOW.get(title, facts["status"])}
        assert run_id in Reporter(store).export_json(run_id)
        found = verify(store, run_id)
        # Its events began before headers were hashed: that, and that alone, can't be checked.
        headers = ("header: the run did not record its hash, as runs of earlier versions did not",)
        first = version == "themis-1"
        assert found.verdict == ("verified in part" if first else "verified")
        changed = tuple(f"{name}: not at hand" for name in CHANGED.get(title, ()))
        known = tuple(note for note in found.not_verified if not note.startswith(changed or ("-",)))
        assert known == (headers if first else ())
        assert len(known) + len(changed) == len(found.not_verified)


@pytest.mark.parametrize(("version", "kind", "title"), RUNS)
def test_a_stored_run_replays_under_its_id(version: str, kind: str, title: str, tmp_path: Path) -> None:
    facts, experiment = FACTS[version][kind][title], MAKER.experiments()[title]
    with opened(version, kind, tmp_path) as store:
        again = experiment.replay(stage="parse", store=store)
        if title in CHANGED:
            assert again.run_id != facts["run_id"]
            return
        assert (again.run_id, again.digest) == (facts["run_id"], facts["digest"])


@pytest.mark.parametrize("title", sorted(FACTS["themis-1"]["sqlite"]))
def test_the_same_experiment_has_the_results_that_it_had(title: str) -> None:
    experiment, facts = MAKER.experiments()[title], FACTS["themis-1"]["sqlite"][title]
    # Answers that no parser could read had no score then.
    again = experiment.evolve(evaluation=experiment.evaluation.evolve(unparsed="missing")).run()
    assert (again.digest == facts["digest"]) == (title not in OTHER_RESULTS)
    rows = [
        [row.case_key, row.metric_id, "" if row.value is None else str(row.value)] for row in again.benchmark.score_rows
    ]
    assert rows == facts["values"]
    assert again.snapshot.identity_algorithm == IDENTITY_ALGORITHM


def test_a_stored_run_moves_in_a_bundle_and_keeps_its_id(tmp_path: Path) -> None:
    facts = FACTS["themis-1"]["sqlite"]["plain"]
    other = InMemoryRunStore()
    with opened("themis-1", "sqlite", tmp_path) as store:
        bundle = export_generation_bundle(store, facts["run_id"])
    import_generation_bundle(other, bundle)
    kept = other.load_snapshot(facts["run_id"])
    assert (kept.run_id, kept.identity_algorithm) == (facts["run_id"], FIRST_ALGORITHM)


# --- a name that this version can't make ------------------------------------------------------------------


def of_the_future(run_id: str = "f" * 64) -> RunSnapshot:
    snapshot: RunSnapshot = MAKER.experiments()["plain"].compile()
    return snapshot.evolve(identity_algorithm="themis/99").stored_as(run_id)


@pytest.mark.parametrize("kind", ["memory", *KINDS])
def test_a_run_of_a_newer_algorithm_is_listed_and_read_under_its_id(kind: str, tmp_path: Path) -> None:
    snapshot = of_the_future()
    parameters = {} if kind == "memory" else {"path": str(tmp_path / "runs")}
    store = open_store(StorageConfig(store=kind, parameters=parameters))
    store.persist_snapshot(snapshot)
    assert [line.run_id for line in store.list_runs()] == [snapshot.run_id]
    loaded = store.load_snapshot(snapshot.run_id)
    assert (loaded.run_id, loaded.identity_algorithm) == (snapshot.run_id, "themis/99")
    assert quickcheck(store, snapshot.run_id).run_id == snapshot.run_id
    with pytest.raises(SchemaVersionError, match=r"'themis/99'.* upgrade"):
        misnamed(loaded.run_id, loaded.identity, loaded.identity_algorithm)
    store.close()


def test_a_bundle_of_a_newer_algorithm_is_refused() -> None:
    store, snapshot = InMemoryRunStore(), of_the_future()
    store.persist_snapshot(snapshot)
    bundle = export_generation_bundle(store, snapshot.run_id)
    data = json.loads(json.dumps(bundle.to_dict()))
    with pytest.raises(SchemaVersionError, match=r"'themis/99'.* upgrade"):
        import_generation_bundle(InMemoryRunStore(), type(bundle).from_dict(data))


def test_an_id_does_not_outlive_the_identity_that_it_is_made_of() -> None:
    snapshot = MAKER.experiments()["plain"].compile()
    stored = snapshot.stored_as("a" * 64)
    assert stored.evolve(datasets=()).run_id == stored.run_id == "a" * 64
    assert "a" * 64 in str(misnamed(stored.run_id, stored.identity, stored.identity_algorithm))
    seeded = stored.identity.evolve(seeds=[1])
    assert stored.evolve(identity=seeded).run_id == run_name(seeded, IDENTITY_ALGORITHM) != snapshot.run_id
    assert stored.evolve(identity_algorithm=FIRST_ALGORITHM).run_id == run_name(snapshot.identity, FIRST_ALGORITHM)
