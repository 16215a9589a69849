"""Deferred execution: an experiment is submitted as a manifest, and run later by whichever worker claims it.

A manifest says everything that a worker needs: the whole config, the folder its paths and modules are relative to,
and the `run_id` that it must compile to. So an edit between submission and work is noticed, and not run under
the old name. It holds no secret: credentials are read from the worker's environment when a call is made. Results
go into the store that the experiment names, which must be one that processes share.

A run has one writer, so a worker takes whole runs; several workers work on several runs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from themis.api.arguments import checked
from themis.api.components import own_modules
from themis.api.config.write import config_of
from themis.api.stores import lasts, make_store
from themis.effects.queue import Claim, FolderQueue, lock_holders
from themis.pure.errors import DataError, RunLockedError, SpecError, ThemisError
from themis.pure.json import decode, formatted, thaw
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object, sequence
from themis.pure.security import redact

if TYPE_CHECKING:
    from themis.api.experiment.experiment import Experiment
    from themis.api.runs.result import RunResult
    from themis.pure.protocols import RunStore

Mode = Literal["worker-pool", "batch"]

_ROOTS: Final = {"worker-pool": "queue_root", "batch": "batch_root"}
SCHEMA_VERSION: Final = 1


@attrs.frozen(kw_only=True)
class Manifest(HashableModel):
    """What a worker needs to run an experiment.

    Attributes:
        run_id: what the config must compile to.
        config: the config's content, as plain JSON.
        folder: what its paths are relative to.
        modules: folders whose modules it may name.
        mode: `worker-pool`, or `batch` for the provider's batch endpoint.
        submitted_at: when, in UTC.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    config: Mapping[str, Any] = attrs.field(converter=json_object)
    folder: str
    modules: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    mode: Mode = "worker-pool"
    submitted_at: datetime


@attrs.frozen(kw_only=True)
class WorkOutcome(HashableModel):
    """How the work on a manifest ended.

    Attributes:
        run_id: the run.
        status: the run's status; `failed` if it could not be run at all.
        digest: of the run's results, if it ran.
        message: why it failed or ended early.
        store: where the results are.
    """

    run_id: str
    status: str
    digest: str | None = None
    message: str | None = None
    store: str | None = None


@checked
def submit(
    experiment: Experiment,
    *,
    mode: Mode = "worker-pool",
    root: str | Path | None = None,
    modules: str | Path | None = None,
) -> Path:
    """Put an experiment into a queue and return the manifest's path. Submitting twice is submitting once.

    Args:
        experiment: what to run.
        mode: `worker-pool`, or `batch` to generate over the provider's batch endpoint.
        root: the queue's folder; the experiment's `runtime.queue_root` or `runtime.batch_root` if not given.
        modules: a folder whose modules the experiment names, beside the current one: that of its config file.

    Raises:
        SpecError: the experiment can't be run or written down, its store is in memory, or there is no folder.
    """
    if not hasattr(experiment, "compile"):
        raise SpecError(f"submit: experiment is a {type(experiment).__name__}; allowed: an Experiment")
    key = _ROOTS[mode]
    root = root if root is not None else getattr(experiment.runtime, key)
    if root is None:
        raise SpecError(f"no folder for the queue: set runtime.{key} in the config, or name one with --queue")
    if not lasts(experiment.storage):
        raise SpecError("storage: a worker is another process, and 'memory' ends with its process; use sqlite, say")
    changes: dict[str, Any] = {key: str(root), **({"generation_mode": "batch"} if mode == "batch" else {})}
    experiment = experiment.evolve(runtime=experiment.runtime.evolve(**changes))
    folder = Path.cwd()
    manifest = Manifest(
        run_id=experiment.compile().run_id,
        config=config_of(experiment, relative_to=folder),
        folder=str(folder),
        modules=[str(place) for place in ([Path(modules).resolve(), folder] if modules is not None else [folder])],
        mode=mode,
        submitted_at=datetime.now(UTC),
    )
    return FolderQueue(root).put(manifest.run_id, _text(manifest))


Runner = Callable[["Experiment", "RunStore"], "RunResult"]


def work_off(
    root: str | Path,
    *,
    run: Runner | None = None,
    most: int | None = None,
    watch_s: float | None = None,
    submitted: str | None = None,
) -> Iterator[WorkOutcome]:
    """Run what waits in a queue, one experiment after the other, and yield how each ended.

    Several processes may work on one queue; each experiment is run by one of them. An experiment whose worker died is
    taken over, and goes on from what is stored. An interrupted one waits on.

    Args:
        root: the queue's folder.
        run: runs an experiment in a store, which is closed afterwards; `Experiment.run` if not given.
        most: stop after so many.
        watch_s: when nothing waits, look again after so many seconds, forever; without it, stop.
        submitted: only the manifest of this run.

    Raises:
        SpecError: there is no such folder, and nothing to wait for.
    """
    if watch_s is None and not Path(root).is_dir():
        raise SpecError(f"{root}: there is no queue; `themis submit` makes one, and --queue names another")
    queue, done = FolderQueue(Path(root)), 0
    passed_over: set[str] = set()
    while most is None or done < most:
        waiting = (name for name in queue.names() if name not in passed_over and submitted in (None, name))
        claim = next(filter(None, map(queue.claim_named, waiting)), None)
        if claim is not None:
            outcome = _worked_off(claim, run or (lambda experiment, store: experiment.run(store=store)))
            if outcome is None:
                passed_over.add(claim.name)
            else:
                done += 1
                yield outcome
        elif watch_s is None:
            return
        else:
            time.sleep(watch_s)
            passed_over.clear()


def cancel_batches(root: str | Path, *, submitted: str | None = None) -> dict[str, list[str]]:
    """Ask the providers to stop the batches of what waits in a queue, and return their ids by run.

    What a batch has answered by then is kept, and paid for: working the queue off again goes on from there, and hands
    in the rest.

    Args:
        root: the queue's folder.
        submitted: only the manifest of this run.

    Raises:
        SpecError: another process is working on it; it has to be stopped first.
    """
    import trio

    from themis.effects import batching

    queue = FolderQueue(Path(root))
    cancelled = {}
    for name in (name for name in queue.names() if submitted in (None, name)):
        claim = queue.claim_named(name)
        if claim is None:
            raise SpecError(f"run {name[:12]} is being worked on by another process; stop that first")
        try:
            manifest = read_manifest(claim.text, name)
            with own_modules(manifest.modules):
                experiment = _experiment(manifest)
                generator, runtime = experiment.components().generator, experiment.runtime
                cancelled[name] = trio.run(batching.cancel_batches, generator, runtime, name)
        finally:
            claim.release()
    return cancelled


def _worked_off(claim: Claim, run: Runner) -> WorkOutcome | None:
    """Run one experiment; `None` if another process is writing its run, and it has to wait."""
    try:
        manifest = read_manifest(claim.text, claim.name)
        with own_modules(manifest.modules):
            experiment = _experiment(manifest)
            with contextlib.closing(make_store(experiment.storage)) as store:
                result = run(experiment, store)
                outcome = WorkOutcome(
                    run_id=claim.name,
                    status=result.status.value,
                    digest=result.digest,
                    message=result.error_message,
                    store=store.location,
                )
    except RunLockedError:
        claim.release()
        return None
    except Exception as error:
        said = str(error) if isinstance(error, ThemisError | OSError) else f"{type(error).__name__}: {error}"
        outcome = WorkOutcome(run_id=claim.name, status="failed", message=redact(said))
    except BaseException:
        claim.release()
        raise
    (claim.fail if outcome.status == "failed" else claim.finish)(_text(outcome))
    return outcome


def _experiment(manifest: Manifest) -> Experiment:
    from themis.api.config.read import build
    from themis.api.experiment.experiment import Experiment

    experiment = build(Experiment, thaw(manifest.config), Path(manifest.folder))
    found = experiment.compile().run_id
    if found != manifest.run_id:
        raise SpecError(
            f"run {manifest.run_id[:12]} was submitted, and its manifest compiles to {found[:12]} now: data, a "
            "component's code or Themis itself changed since; submit the experiment again"
        )
    return experiment


def read_manifest(text: str, name: str = "manifest") -> Manifest:
    """Return a manifest from its text.

    Raises:
        DataError: the text is no manifest, or one of a newer Themis.
    """
    try:
        data = decode(text)
        if isinstance(data, dict) and data.get("schema_version", 0) > SCHEMA_VERSION:
            raise DataError(f"{name}: written by a newer Themis (schema {data['schema_version']}); upgrade to run it")
        return Manifest.from_dict(data)
    except (ValueError, TypeError, AttributeError) as error:
        raise error if isinstance(error, DataError) else DataError(f"{name}: not a manifest: {error}") from None


def queue_state(root: str | Path) -> dict[str, Any]:
    """Return what is in a queue: the runs that wait, are being run (and by whom), are done, and failed."""
    queue = FolderQueue(Path(root))
    running = dict(lock_holders(queue))
    return {
        "pending": [name for name in queue.names() if name not in running],
        "running": running,
        "done": queue.names("done"),
        "failed": {name: _message(queue.outcome(name)) for name in queue.names("failed")},
    }


def _message(outcome: str | None) -> str:
    try:
        return str(decode(outcome or "")["message"])
    except (ValueError, KeyError, TypeError):
        return outcome or "unknown"


def _text(record: HashableModel) -> str:
    return formatted(record.to_dict()) + "\n"
