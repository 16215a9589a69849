"""Bundles through the doors: into every kind of store, through files, all or nothing, whatever happens meanwhile."""

from __future__ import annotations

import gc
import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis import InMemoryRunStore, Reporter, RunResult, RunStore, SqliteRunStore, verify
from themis.api import bundles
from themis.api.bundle_files import import_bundle_file, read_bundle, write_bundle
from themis.api.bundles import (
    export_evaluation_bundle,
    export_generation_bundle,
    export_parse_bundle,
    export_reduction_bundle,
    export_score_bundle,
    import_bundle,
    import_evaluation_bundle,
    import_generation_bundle,
    import_parse_bundle,
    import_reduction_bundle,
    import_score_bundle,
)
from themis.api.runs.inspect import get_execution_state
from themis.effects.stores.jsonl import JsonlRunStore
from themis.pure.bundles.records import KINDS, Bundle, BundleKind
from themis.pure.errors import DataError, LiteralSecretError, RunLockedError, SchemaVersionError
from themis.pure.plan import UntilStage
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.testing.pipelines import Pipeline, pipelines

EXPORTS: dict[BundleKind, Callable[[RunStore, str], Bundle]] = {
    "generation": export_generation_bundle,
    "reduction": export_reduction_bundle,
    "parse": export_parse_bundle,
    "score": export_score_bundle,
    "evaluation": export_evaluation_bundle,
}
IMPORTS: dict[BundleKind, Callable[[RunStore, Any], None]] = {
    "generation": import_generation_bundle,
    "reduction": import_reduction_bundle,
    "parse": import_parse_bundle,
    "score": import_score_bundle,
    "evaluation": import_evaluation_bundle,
}
UNTIL: dict[BundleKind, UntilStage] = {
    "generation": "generate",
    "reduction": "reduce",
    "parse": "parse",
    "score": "score",
    "evaluation": "judge",
}
# A store that is to be held to the same goes here, with how it is opened in an empty folder.
STORES: dict[str, Callable[[Path], RunStore]] = {
    "memory": lambda folder: InMemoryRunStore(),
    "sqlite": lambda folder: SqliteRunStore(folder / "store.sqlite3"),
    "jsonl": lambda folder: JsonlRunStore(folder / "store"),
}

JUDGED = Pipeline(
    cases=6,
    samples=2,
    generator=("right", "wrong", "right", "raise"),
    reducer=("right",),
    parser=("right", "right", "null"),
    metrics=(("right", "error"),),
    judge=("right", "wrong", "raise"),
    repeats=2,
)
PLAIN = Pipeline(
    cases=3, samples=1, generator=("right", "wrong"), reducer=None, parser=None, metrics=(("right",),), judge=None
)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    opened = STORES[request.param](tmp_path)
    opened.initialize()
    yield opened
    opened.close()


def seen(store: RunStore, run_id: str, pipeline: Pipeline) -> tuple[object, ...]:
    """Return everything that must be the same: results, report, verification."""
    result = RunResult(snapshot=store.load_snapshot(run_id), store=store)
    found = verify(store, run_id, experiment=pipeline.experiment())
    assert found.ok, found
    return result.digest, result.status, Reporter(store).export_json(run_id), found.recomputed, result.usage.stages


# --- from store to store ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)  # of each kind and store
@given(pipeline=pipelines(max_cases=4))
def test_what_is_imported_is_the_run(
    kind: BundleKind, name: str, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here, there = InMemoryRunStore(), STORES[name](tmp_path_factory.mktemp("store"))
    run_id = pipeline.experiment().run(store=here, until_stage=UNTIL[kind]).run_id
    bundle = EXPORTS[kind](here, run_id)
    IMPORTS[kind](there, bundle)
    assert seen(there, run_id, pipeline) == seen(here, run_id, pipeline)
    assert EXPORTS[kind](there, run_id) == bundle
    before = there.head(run_id)
    IMPORTS[kind](there, bundle)
    assert there.head(run_id) == before
    there.close()


@given(pipelines(max_cases=4), st.sampled_from(KINDS))
def test_a_run_goes_on_from_a_bundle_and_asks_nothing_again(pipeline: Pipeline, kind: BundleKind) -> None:
    here, there = InMemoryRunStore(), InMemoryRunStore()
    whole = pipeline.experiment().run(store=here)
    import_bundle(there, EXPORTS[kind](here, whole.run_id))
    again = pipeline.experiment()
    result = again.run(store=there)
    assert result.digest == whole.digest
    failed = {f"{c.case_key}/{f.candidate_index}" for c in whole.cases for f in c.generation_failures}
    generator: Any = again.generation.generator
    assert set(generator.calls.counts) == failed


@given(pipelines(max_cases=4), st.sampled_from(["reduce", "parse", "score"]))
def test_an_imported_run_is_replayed_like_a_local_one(pipeline: Pipeline, stage: Any) -> None:
    no_failures = attrs.evolve(pipeline, generator=("right",))
    here, there = InMemoryRunStore(), InMemoryRunStore()
    run_id = no_failures.experiment().run(store=here).run_id
    import_bundle(there, export_evaluation_bundle(here, run_id))
    replayed = [no_failures.experiment().replay(stage=stage, store=place).digest for place in (here, there)]
    assert replayed[0] == replayed[1]


def test_another_experiment_reuses_imported_generations(store: RunStore) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    import_generation_bundle(store, export_generation_bundle(here, run_id))
    other = attrs.evolve(PLAIN, metrics=(("error",),)).experiment()
    result = other.replay(stage="score", store=store)
    assert result.run_id != run_id
    assert not other.generation.generator.calls.counts


def test_large_artifacts_are_blobs_again(store: RunStore, tmp_path: Path) -> None:
    experiment = JUDGED.experiment()
    cases = [case.evolve(expected_output="x" * 100_000) for case in experiment.datasets[0].cases]
    experiment = experiment.evolve(datasets=experiment.datasets[0].evolve(cases=cases))
    here = InMemoryRunStore()
    whole = experiment.run(store=here)
    bundle = export_evaluation_bundle(here, whole.run_id)
    refs = {record.result_blob_ref for case in bundle.upstream for record in case.generation} - {None}
    assert refs
    path = write_bundle(here, whole.run_id, "evaluation", tmp_path / "large.json.gz")
    import_bundle_file(store, path)
    assert all(len(store.blob(ref)) > 100_000 for ref in refs if ref)
    assert RunResult(snapshot=store.load_snapshot(whole.run_id), store=store).digest == whole.digest
    assert verify(store, whole.run_id, experiment=experiment).ok
    assert export_evaluation_bundle(store, whole.run_id) == bundle


def test_a_bundle_completes_what_a_store_has_in_part(store: RunStore) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    import_bundle(store, export_generation_bundle(here, run_id))
    assert RunResult(snapshot=store.load_snapshot(run_id), store=store).completed_through_stage == "generate"
    import_bundle(store, export_score_bundle(here, run_id))
    assert seen(store, run_id, PLAIN) == seen(here, run_id, PLAIN)
    import_bundle(store, export_generation_bundle(here, run_id))
    assert RunResult(snapshot=store.load_snapshot(run_id), store=store).completed_through_stage == "judge"


class Flaky:
    """A parser and a reducer that fail as long as they are told to; that is no part of what they are."""

    component_id = "flaky/both"
    version = "1"
    fails = False

    def fingerprint(self) -> str:
        return "flaky"

    def parse(self, candidate: Any, ctx: Any) -> ParsedOutput:
        if self.fails:
            raise ValueError("not today")
        return ParsedOutput(value=candidate.final_output)

    def reduce(self, candidates: Any, ctx: Any) -> ReducedCandidate:
        if self.fails:
            raise ValueError("not today")
        first = candidates[0]
        return ReducedCandidate(candidate_id=first.candidate_id, final_output=first.final_output)


@pytest.mark.parametrize("stage", ["reduce", "parse"])
def test_a_result_and_the_failure_after_it_are_both_taken(store: RunStore, stage: Any) -> None:
    flaky, experiment, here = Flaky(), PLAIN.experiment(), InMemoryRunStore()
    experiment = experiment.evolve(
        generation=experiment.generation.evolve(reducer=flaky), evaluation=experiment.evaluation.evolve(parsers=flaky)
    )
    experiment.run(store=here)
    flaky.fails = True
    result = experiment.replay(stage=stage, store=here)
    assert result.status == "partial_failure"
    bundle = export_score_bundle(here, result.run_id)
    import_bundle(store, bundle)
    import_bundle(store, bundle)
    assert get_execution_state(store, result.run_id).case_states == get_execution_state(here, result.run_id).case_states
    assert RunResult(snapshot=result.snapshot, store=store).digest == result.digest


# --- what is refused --------------------------------------------------------------------------------------


def exported(kind: BundleKind = "score") -> Any:
    here = InMemoryRunStore()
    return EXPORTS[kind](here, PLAIN.experiment().run(store=here).run_id)


def is_untouched(store: RunStore) -> bool:
    return not store.list_runs()


def refused(store: RunStore, bundle: Bundle, match: str) -> None:
    with pytest.raises(DataError, match=match):
        import_bundle(store, bundle)
    assert is_untouched(store)
    store.acquire(bundle.run_id)  # the lock was given back
    store.release(bundle.run_id)


def test_a_bundle_that_is_not_its_runs_is_refused_whole(store: RunStore) -> None:
    bundle = exported("generation")
    records, snapshot = bundle.records, bundle.snapshot
    refused(store, bundle.evolve(run_id="0" * 64), "says run 0000")
    stranger = records[1].evolve(case_id="77", case_key="4:made:77")
    refused(store, bundle.evolve(records=[records[0], stranger, records[2]]), "case 4:made:77: the run has no such")
    forged = records[1].evolve(result_blob_ref="0" * 64)
    refused(store, bundle.evolve(records=[records[0], forged, records[2]]), "generation record of case 4:made:1")
    cases = [case.evolve(expected_output="forged") for case in snapshot.datasets[0].cases]
    dataset = snapshot.datasets[0].evolve(cases=cases)
    refused(store, bundle.evolve(snapshot=snapshot.evolve(datasets=[dataset])), "dataset made: the cases are not")
    refused(store, bundle.evolve(snapshot=snapshot.evolve(datasets=[])), "datasets are not those")
    refused(store, exported("score").evolve(upstream=()), "import the bundle of the stage before first")
    with pytest.raises(DataError, match="ScoreBundle expected, GenerationBundle found"):
        import_score_bundle(store, bundle)


def test_every_fault_is_named_up_to_a_point(store: RunStore) -> None:
    bundle = exported("generation")
    strangers = [bundle.records[0].evolve(case_key=f"4:made:x{i}") for i in range(20)]
    with pytest.raises(DataError) as caught:
        import_bundle(store, bundle.evolve(records=strangers))
    assert str(caught.value).count("the run has no such case") == 10
    assert "and 10 more" in str(caught.value)


def test_a_result_that_the_store_has_otherwise_is_not_changed(store: RunStore) -> None:
    bundle = exported("generation")
    import_bundle(store, bundle)
    head = store.head(bundle.run_id)
    changed = bundle.records[2].evolve(result=bundle.records[2].result.evolve(final_output="another"))
    with pytest.raises(DataError, match="case 4:made:2, candidate 0: the store has another result"):
        import_bundle(store, bundle.evolve(records=[*bundle.records[:2], changed]))
    assert store.head(bundle.run_id) == head


def test_a_run_that_is_being_written_is_left_alone(store: RunStore) -> None:
    bundle = exported()
    store.acquire(bundle.run_id)
    with pytest.raises(RunLockedError):
        import_bundle(store, bundle)
    store.release(bundle.run_id)
    assert is_untouched(store)


def test_a_store_that_fails_half_way_is_left_as_it_was(tmp_path: Path) -> None:
    class Failing(InMemoryRunStore):
        def append(self, *_: Any) -> None:
            raise OSError("disk full")

    store = Failing()
    with pytest.raises(OSError, match="disk full"):
        import_bundle(store, exported())
    assert is_untouched(store)


def test_a_credential_in_a_bundle_is_refused(store: RunStore) -> None:
    bundle = exported()
    key = "sk-" + "proj-" + "a1B2c3D4e5F6g7H8i9J0"
    provenance = bundle.snapshot.provenance.evolve(environment_metadata={"key": key})
    poisoned = bundle.evolve(snapshot=bundle.snapshot.evolve(provenance=provenance))
    with pytest.raises(LiteralSecretError) as caught:
        import_bundle(store, poisoned)
    assert key not in str(caught.value)
    assert is_untouched(store)


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["json", "json.gz", "json.zst"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_what_the_bundle_holds(store: RunStore, tmp_path: Path, kind: BundleKind, ending: str) -> None:
    here = InMemoryRunStore()
    run_id = JUDGED.experiment().run(store=here).run_id
    path = write_bundle(here, run_id, kind, tmp_path / f"run.{ending}")
    bundle = read_bundle(path)
    assert bundle == EXPORTS[kind](here, run_id)
    taken = import_bundle_file(store, path)
    assert (taken.run_id, taken.kind) == (run_id, kind)
    assert taken.new_events == store.head(run_id).count > 0
    assert import_bundle_file(store, path).new_events == 0
    assert EXPORTS[kind](store, run_id) == bundle
    again = write_bundle(store, run_id, kind, tmp_path / f"again.{ending}")
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.glob("*run.*")) == [path.name]


def test_a_file_is_plain_json_of_one_line_a_record(tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = JUDGED.experiment().run(store=here).run_id
    path = write_bundle(here, run_id, "score", tmp_path / "run.json")
    bundle = export_score_bundle(here, run_id)
    assert json.loads(path.read_text(encoding="utf-8")) == bundle.to_dict()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum('"score":{' in line and line.startswith("{") for line in lines) >= len(bundle.records) > 0


def test_other_layouts_and_orders_are_read_too(store: RunStore, tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    data = export_score_bundle(here, run_id).to_dict()
    (tmp_path / "pretty.json").write_text(json.dumps(data, indent=2), encoding="utf-8")
    import_bundle_file(store, tmp_path / "pretty.json")
    assert seen(store, run_id, PLAIN) == seen(here, run_id, PLAIN)
    lines = write_bundle(here, run_id, "generation", tmp_path / "run.json").read_text(encoding="utf-8").splitlines()
    first = lines.index(']},"records":[') + 1
    lines[first], lines[first + 1] = lines[first + 1], lines[first]
    (tmp_path / "reordered.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    other = InMemoryRunStore()
    assert import_bundle_file(other, tmp_path / "reordered.json").new_events == 5


@pytest.mark.parametrize("ending", ["json", "json.gz", "json.zst"])
def test_a_damaged_file_is_named_and_nothing_of_it_is_stored(store: RunStore, tmp_path: Path, ending: str) -> None:
    here = InMemoryRunStore()
    run_id = JUDGED.experiment().run(store=here).run_id
    path = write_bundle(here, run_id, "evaluation", tmp_path / f"run.{ending}")
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 20, len(whole) - 3):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=path.name):
            import_bundle_file(store, path)
        with pytest.raises(DataError, match=path.name):
            read_bundle(path)
        assert is_untouched(store)
    if ending == "json":
        path.write_bytes(whole + b"{}")
        with pytest.raises(DataError, match="behind the bundle's end"):
            import_bundle_file(store, path)
    else:
        path.write_bytes(b"not compressed at all")
        with pytest.raises(DataError, match="can't be read"):
            import_bundle_file(store, path)
    with pytest.raises(DataError, match="there is no such file"):
        import_bundle_file(store, tmp_path / "missing.json")


def edited(path: Path, line: int, old: str, new: str) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_bad_record_of_a_file_is_named_by_line(store: RunStore, tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id

    def written() -> tuple[Path, int]:
        path = write_bundle(here, run_id, "generation", tmp_path / "run.json")
        return path, path.read_text(encoding="utf-8").splitlines().index(']},"records":[') + 2

    for old, new, problem in [
        ('"candidate_index":0', '"candidate_index":"0"', "candidate_index: int expected"),
        ('"candidate_index":0', '"candidate_index":0,"surprise":1', "surprise"),
        ('"candidate_index":0', '"candidate_index":', "not|JSON|unexpected"),
    ]:
        path, line = written()
        edited(path, line, old, new)
        with pytest.raises(DataError, match=rf"run.json:{line + 1}: .*({problem})"):
            import_bundle_file(store, path)
        assert is_untouched(store)
    path, line = written()
    edited(path, 0, '"schema_version":1', '"schema_version":2')
    with pytest.raises(SchemaVersionError, match="upgrade"):
        import_bundle_file(store, path)
    path, line = written()
    edited(path, 0, '"kind":', '"surprise":1,"kind":')
    with pytest.raises(DataError, match="surprise"):
        import_bundle_file(store, path)
    path, line = written()
    edited(path, line, '"case_id":"1"', '"case_id":"0"')
    with pytest.raises(DataError, match=r"run.json.*generation record of case 4:made:1"):
        import_bundle_file(store, path)
    assert is_untouched(store)


def test_wrong_names_are_said(tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    with pytest.raises(DataError, match="did you mean score"):
        write_bundle(here, run_id, "scores", tmp_path / "x.json")
    with pytest.raises(DataError, match="can't be written"):
        write_bundle(here, run_id, "score", tmp_path / "no folder" / "x.json")
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DataError, match="a bundle is a JSON object, and list was found"):
        read_bundle(tmp_path / "list.json")


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    here = InMemoryRunStore()
    run_id = PLAIN.experiment().run(store=here).run_id
    one = write_bundle(here, run_id, "score", tmp_path / "one.json.gz").read_bytes()
    two = write_bundle(here, run_id, "score", tmp_path / "two.json.gz").read_bytes()
    assert one == two
    assert gzip.decompress(one).startswith(b'{"completed_through_stage":"judge"')


# --- memory -----------------------------------------------------------------------------------------------


def peak_of(call: Callable[[], object]) -> int:
    """Return how many bytes of Python objects a call held at most."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_eight_times_the_records_need_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "BATCH", 50)
    peaks: dict[str, list[int]] = {"export": [], "import": [], "held": []}
    for cases in (20, 150, 1200):  # the first compiles what reads records
        file = tmp_path / f"{cases}.json.gz"
        with SqliteRunStore(tmp_path / f"{cases}.here") as here, SqliteRunStore(tmp_path / f"{cases}.there") as there:
            run_id = attrs.evolve(PLAIN, cases=cases).experiment().run(store=here).run_id
            peaks["export"].append(peak_of(lambda: write_bundle(here, run_id, "score", file)))  # noqa: B023  # called at once
            peaks["import"].append(peak_of(lambda: import_bundle_file(there, file)))  # noqa: B023  # called at once
            peaks["held"].append(peak_of(lambda: read_bundle(file)))  # noqa: B023  # called at once
    assert peaks["held"][2] > 2 * peaks["held"][1]  # or the measurement means nothing
    assert peaks["export"][2] < 1.3 * peaks["export"][1]
    assert peaks["import"][2] < 1.3 * peaks["import"][1]


# --- SIGKILL ----------------------------------------------------------------------------------------------

CHILD = Path(__file__).parent / "bundles_child.py"
MANY = attrs.evolve(PLAIN, cases=350)
"""More cases than three batches of the child's."""


def killed(*arguments: object) -> bool:
    done = subprocess.run(
        [sys.executable, str(CHILD), *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def state_of(path: Path) -> list[tuple[str, int]]:
    database = sqlite3.connect(path)
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()
    with SqliteRunStore(path) as store:
        return [(line.run_id, line.event_count) for line in store.list_runs()]


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True], ids=["new run", "known run"])
def test_sigkill_during_an_import_leaves_the_store_as_before_or_as_after(known: bool, tmp_path: Path) -> None:
    here = InMemoryRunStore()
    whole = MANY.experiment().run(store=here)
    file = write_bundle(here, whole.run_id, "score", tmp_path / "run.json.gz")
    path = tmp_path / "store.sqlite3"
    with SqliteRunStore(path) as store:
        if known:
            import_generation_bundle(store, export_generation_bundle(here, whole.run_id))
    before = state_of(path)
    deaths = 0
    for where, number in [("insert into event", 1), ("insert into event", 2), ("insert into event", 4), ("commit", 0)]:
        deaths += killed("import", path, file, where, number)
        assert state_of(path) == before
    assert deaths == 4
    for microseconds in (100, 1000, 5000):  # while it commits, or just after
        killed("import", path, file, "committing", microseconds)
        if state_of(path) != before:
            break
    with SqliteRunStore(path) as store:
        head = store.head(whole.run_id)
        new = import_bundle_file(store, file).new_events
        assert new == 0 or head.count == dict(before).get(whole.run_id, 0)
        assert RunResult(snapshot=whole.snapshot, store=store).digest == whole.digest
        assert verify(store, whole.run_id, experiment=MANY.experiment()).ok


@pytest.mark.slow
def test_sigkill_during_an_export_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path, file = tmp_path / "store.sqlite3", tmp_path / "run.json"
    with SqliteRunStore(path) as store:
        run_id = MANY.experiment().run(store=store).run_id
        write_bundle(store, run_id, "generation", file)
    before, old = state_of(path), file.read_bytes()
    for number in (1, 350, 1399):
        assert killed("export", path, file, "event", number)
        assert file.read_bytes() == old
    assert state_of(path) == before
    assert not killed("export", path, file, "event", 0)
    assert read_bundle(file).kind == "evaluation"
