"""A run handed from any store to any other, as a bundle of any stage, is the same run there."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from themis import Reporter, RunResult, verify
from themis.api.bundles.files import import_bundle_file, write_bundle
from themis.api.stores import open_store
from themis.pure.bundles.records import KINDS, BundleKind
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.testing.pipelines import Pipeline

PIPELINE = Pipeline(
    cases=6,
    samples=2,
    generator=("right", "wrong", "right", "raise"),
    reducer=("right",),
    parser=("right", "right", "null"),
    metrics=(("right", "error"),),
    judge=("right", "wrong", "raise"),
)
UNTIL = {"generation": "generate", "reduction": "reduce", "parse": "parse", "score": "score", "evaluation": "judge"}


def seen(store: RunStore, run_id: str) -> tuple[object, ...]:
    found = verify(store, run_id, experiment=PIPELINE.experiment())
    assert found.ok, found
    result = RunResult(snapshot=store.load_snapshot(run_id), store=store)
    report = json.loads(Reporter(store).export_json(run_id))
    del report["costs"]  # attempts that were made good are not handed on, nor what they used
    return result.digest, result.status, report


@pytest.mark.parametrize("bundle_kind", KINDS)
def test_a_run_is_the_same_wherever_it_is_handed(
    bundle_kind: BundleKind, kind: str, fresh: Callable[[str], StorageConfig], tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = open_store(StorageConfig(store="memory"))
    run_id = PIPELINE.experiment().run(store=here, until_stage=UNTIL[bundle_kind]).run_id  # type: ignore[arg-type]  # str
    path = tmp_path_factory.mktemp("bundle") / "run.json.gz"
    write_bundle(here, run_id, bundle_kind, path)
    there, again = open_store(fresh(kind)), open_store(fresh(kind))
    try:
        import_bundle_file(there, path)
        assert seen(there, run_id) == seen(here, run_id)
        before = there.head(run_id)
        import_bundle_file(there, path)
        assert there.head(run_id) == before
        further = tmp_path_factory.mktemp("bundle") / "run.json"
        write_bundle(there, run_id, bundle_kind, further)
        import_bundle_file(again, further)
        assert seen(again, run_id) == seen(here, run_id)
        # What is there of a run takes in what another machine did of it since.
        PIPELINE.experiment().run(store=here)
        write_bundle(here, run_id, "evaluation", path)
        import_bundle_file(again, path)
        assert seen(again, run_id) == seen(here, run_id)
    finally:
        there.close()
        again.close()
