"""Cassettes: runs recorded once, with the models, and replayed in tests without them.

A cassette is a store file of SQLite (`.sqlite3`, which keeps judges' answers too and any number of runs) or a bundle
file (`.json`, `.json.gz`, `.json.zst`). Parsers, metrics and reducers may change after the recording: what they make
of the recorded answers is computed anew. A test never writes into a cassette unless it is told to record.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final, NoReturn

import attrs

from themis.api.bundles.files import import_bundle_file, write_bundle
from themis.api.bundles.transfer import in_memory
from themis.api.experiment.experiment import Experiment
from themis.api.experiment.replay import SHOWN, missing_generations
from themis.api.experiment.run import run_snapshot
from themis.api.runs.result import RunResult
from themis.effects.host import run_anywhere
from themis.effects.options import RunOptions
from themis.effects.stores.memory import InMemoryRunStore
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.abilities import CallerAbilities
from themis.pure.chain import read_event
from themis.pure.errors import DataError, ThemisError, listed
from themis.pure.protocols import RunStore
from themis.pure.records.judging import RenderedJudgePrompt

_STORE_FILES: Final = (".sqlite3", ".sqlite", ".db")


class CassetteError(ThemisError):
    """A cassette is missing, or lacks an answer that the run needs."""


def replay_run(experiment: Experiment, path: str | Path) -> RunResult:
    """Run an experiment on recorded answers alone; no model is called.

    Args:
        experiment: what to run.
        path: the cassette; it is read and never changed.

    Raises:
        CassetteError: there is no such file, or it lacks an answer of the generator or of a judge.
        DataError: the file is no cassette.
    """
    source = Path(path)
    if not source.is_file():
        raise CassetteError(f"{source}: there is no cassette; record one: {_HOW}")
    store, components = _loaded(source), experiment.components()
    snapshot = experiment.compile_with(components)
    if missing := missing_generations(snapshot, components, store):
        raise CassetteError(
            listed(
                f"{source} lacks {len(missing)} generations of this experiment (did its data, prompt or generator "
                f"change?); record it anew: {_HOW}",
                missing[:SHOWN],
            )
        )
    refused: list[str] = []
    judges = tuple(_silent(judge, refused) for judge in components.judge_models)
    silent = attrs.evolve(components, judge_models=judges)
    runtime = experiment.runtime.evolve(existing_run_policy="auto", judge_retry_attempts=1)

    async def main() -> RunResult:
        options = RunOptions(runtime=runtime, storage=experiment.storage, store=store, offline=True)
        return await run_snapshot(snapshot, silent, options)

    result = run_anywhere(main)
    if refused:
        raise CassetteError(
            listed(f"{source} lacks {len(refused)} answers of judges; record it anew: {_HOW}", refused[:SHOWN])
        )
    return result


def record_run(experiment: Experiment, path: str | Path) -> RunResult:
    """Run an experiment with its models and keep the run as a cassette, in place of the one that is there.

    Args:
        experiment: what to run.
        path: the file; what its name ends in says which kind (see the module).

    Raises:
        CassetteError: a generation failed, so that the cassette would lack it; the old one stays.
        DataError: no such kind of file, or it can't be written.
    """
    target, store = Path(path), InMemoryRunStore()
    result = experiment.run(store=store)
    components = experiment.components()
    if missing := missing_generations(result.snapshot, components, store):
        raise CassetteError(listed(f"{target} is not recorded: {len(missing)} generations failed", missing[:SHOWN]))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix in _STORE_FILES:
        _write_store(store, result.run_id, target)
    else:
        write_bundle(store, result.run_id, "evaluation" if components.judge_models else "generation", target)
    return result


_HOW: Final = "pytest --themis-record, or themis.testing.record_run(experiment, path)"


def _silent(judge: CallerAbilities, refused: list[str]) -> CallerAbilities:
    """Return what stands in a judge's place and says nothing; that it was asked is noted."""

    async def refuse(prompt: RenderedJudgePrompt, *, seed: int | None = None) -> NoReturn:
        refused.append(f"{judge.component_id}, prompt {prompt.prompt_id}")
        raise CassetteError("the cassette has no answer to this")

    return CallerAbilities(component=judge.component, component_id=judge.component_id, call=refuse, is_async=True)


def _loaded(source: Path) -> InMemoryRunStore:
    store = InMemoryRunStore()
    if source.suffix not in _STORE_FILES:
        import_bundle_file(store, source)
        return store
    # Opening a store may write beside it, and into it.
    with tempfile.TemporaryDirectory() as folder, closing(SqliteRunStore(shutil.copy2(source, folder))) as copied:
        copied.initialize()
        for summary in reversed(copied.list_runs()):
            _copy_run(copied, store, summary.run_id)
    return store


def _write_store(store: RunStore, run_id: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        with closing(SqliteRunStore(Path(folder) / target.name)) as written:
            written.initialize()
            _copy_run(store, written, run_id)
        try:
            written.path.replace(target)
        except OSError as error:
            raise DataError(f"{target}: can't be written: {error}") from error


def _copy_run(source: RunStore, target: RunStore, run_id: str) -> None:
    blobs: dict[str, bytes] = {}

    def blob_of(ref: str) -> bytes:
        return blobs.setdefault(ref, source.blob(ref))

    events = list(source.events(run_id))
    for event in events:
        read_event(event, blob_of)
    snapshot = source.load_snapshot(run_id)
    target.acquire(run_id)
    try:
        target.persist_snapshot(in_memory(snapshot))
        target.append(run_id, events, blobs)
    finally:
        target.release(run_id)
