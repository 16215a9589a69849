"""`themis submit`, `themis worker` and `themis batch`: running experiments later, by other processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from themis.api.cli import DONE, INCOMPLETE
from themis.api.cli.options import NO_CHANGES, Changes, Config, Json, Overrides, storage_of, stored
from themis.api.cli.output import say, show
from themis.pure.errors import SpecError

worker: App = App(name="worker", help="Work off queued experiments.")
batch: App = App(name="batch", help="Work off an experiment that was submitted as a batch.")


def submit(
    config: Config,
    /,
    *overrides: Overrides,
    mode: Literal["worker-pool", "batch", "segments"] = "worker-pool",
    queue: Path | None = None,
    segment_size: int | None = None,
    changes: Changes = NO_CHANGES,
    json_output: Json = False,
) -> None:
    """Queue an experiment for a worker or as a batch.

    For example:
      themis submit experiment.yaml --queue queue
      themis submit experiment.yaml --mode batch --queue batches
      themis submit experiment.yaml --mode segments --store postgresql://db/evals

    Args:
        mode: For workers of this host, which take whole runs; for the provider's batch endpoint (half the price, within
            a day); or in segments, for workers of any host that reach the store, which work on it together.
        queue: The queue's folder; the config's queue_root or batch_root if not given.
        segment_size: How many cases a worker takes at a time, with --mode segments.
    """
    if mode == "segments":
        _submit_segments(changes.load(config, overrides), segment_size, config.parent, as_json=json_output)
        return
    from themis.api.deferred import submit as submit_experiment

    path = submit_experiment(changes.load(config, overrides), mode=mode, root=queue, modules=config.parent)
    command = "worker" if mode == "worker-pool" else "batch"
    text = f"run {path.stem}\nsubmitted as {path}\nnext: themis {command} run --queue {path.parent.parent}"
    show({"run_id": path.stem, "manifest": str(path)}, text, as_json=json_output)


def _submit_segments(experiment: Any, segment_size: int | None, modules: Path, *, as_json: bool) -> None:
    from themis.api.experiment.many.run import submit_to_store
    from themis.effects.host import run_sync

    snapshot = run_sync(lambda: submit_to_store(experiment, segment_size=segment_size, modules=modules), "submit")
    run_id = snapshot.run_id
    command = f"themis worker run --store STORE --run {run_id[:12]}"
    show({"run_id": run_id}, f"run {run_id}\nbegun in the store\nnext, on any host: {command}", as_json=as_json)


@worker.command(name="run")
def worker_run(
    *,
    queue: Path = Path("queue"),
    store: Annotated[str | None, Parameter(name="--store", env_var=())] = None,
    run: Annotated[str | None, Parameter(env_var=())] = None,
    segment: int | None = None,
    watch: Annotated[bool, Parameter(negative="")] = False,
    interval: float = 2.0,
    most: int | None = None,
    json_output: Json = False,
) -> int:
    """Run what waits in a queue, until it is empty.

    Start as many as you like: each experiment is run by one worker, and one whose worker died is taken over. With
    --store, workers of any host work together on a run that was submitted in segments, until nothing is left of it.

    For example:
      themis worker run --queue queue
      themis worker run --queue queue --watch
      themis worker run --store postgresql://db/evals --run 3f9a

    Args:
        queue: The queue's folder.
        store: The PostgreSQL store of runs that were submitted in segments, in place of a queue.
        run: The run to work on; with --store. All that wait if not given.
        segment: This segment alone, by its number; with --run.
        watch: When nothing waits, wait for more.
        interval: Seconds between two looks, with --watch.
        most: Stop after so many experiments.
    """
    if store is not None:
        return _work_on_segments(store, run, segment, interval if watch else None, as_json=json_output)
    if run is not None or segment is not None:
        raise SpecError("--run and --segment name parts of runs in a store: name that with --store")
    return _work_off(queue, json_output, most=most, watch_s=interval if watch else None)


def _work_on_segments(store: str, run: str | None, segment: int | None, watch_s: float | None, *, as_json: bool) -> int:
    from themis.api.experiment.many.work import Task, open_runs, work_on
    from themis.api.progress import shown
    from themis.api.stores import find_run
    from themis.effects.options import Progress

    storage, worked = storage_of(store), []
    while True:
        waiting = [find_run(stored(store), run)] if run is not None else open_runs(storage)
        for run_id in waiting:
            progress = Progress()
            with shown(progress):
                done = work_on(Task(run_id=run_id, storage=storage), segment, progress)
            worked.append({"run_id": run_id, **done.to_dict()})
            say(
                f"run {run_id[:12]}: {len(done.segments)} segments, {done.cases} cases"
                + (", ended" if done.ended else "")
            )
        if watch_s is None or run is not None:
            break
        time.sleep(watch_s)
    text = f"worked on {len(worked)} run" if len(worked) == 1 else f"worked on {len(worked)} runs"
    show(worked, text, as_json=as_json)
    return DONE


@worker.command(name="status")
def worker_status(*, queue: Path = Path("queue"), json_output: Json = False) -> None:
    """Show what waits, runs, is done and failed in a queue.

    For example:
      themis worker status --queue queue
    """
    from themis.api.deferred import queue_state

    state = queue_state(queue)
    show(state, lambda: _state_text(state), as_json=json_output)


@batch.command(name="run")
def batch_run(
    run: Annotated[str | None, Parameter(name="RUN", env_var=())] = None,
    /,
    *,
    queue: Path = Path("batches"),
    json_output: Json = False,
) -> int:
    """Run what was submitted with --mode batch: hand the prompts in, wait for the answers, and go on from there.

    Stop it whenever you like: run again, it asks for the batch that was handed in, and hands none in twice.

    For example:
      themis batch run --queue batches

    Args:
        run: Only this run, by its full id.
        queue: The folder that it was submitted to.
    """
    return _work_off(queue, json_output, submitted=run)


@batch.command(name="cancel")
def batch_cancel(
    run: Annotated[str | None, Parameter(name="RUN", env_var=())] = None,
    /,
    *,
    queue: Path = Path("batches"),
    json_output: Json = False,
) -> None:
    """Ask the provider to stop working on what was handed in; what it has answered by then is kept.

    Stop `themis batch run` first. Started again, it goes on from what was answered, and hands in the rest.

    For example:
      themis batch cancel --queue batches

    Args:
        run: Only this run, by its full id.
        queue: The folder that it was submitted to.
    """
    from themis.api.deferred import cancel_batches

    cancelled = cancel_batches(queue, submitted=run)
    lines = [f"run {name[:12]}: cancelled {', '.join(ids) or 'nothing'}" for name, ids in cancelled.items()]
    show(cancelled, "\n".join(lines) or "nothing waits", as_json=json_output)


def _work_off(queue: Path, as_json: bool, **how: Any) -> int:
    from themis.api.cli.run import run_with_progress
    from themis.api.deferred import work_off

    outcomes = []
    for outcome in work_off(queue, run=run_with_progress, **how):
        outcomes.append(outcome)
        why = f": {outcome.message}" if outcome.message else ""
        say(f"run {outcome.run_id[:12]} {outcome.status}{why}")
    text = f"{len(outcomes)} run" if len(outcomes) == 1 else f"{len(outcomes)} runs"
    show([outcome.to_dict() for outcome in outcomes], f"worked off {text}", as_json=as_json)
    return DONE if all(outcome.status == "completed" for outcome in outcomes) else INCOMPLETE


def _state_text(state: dict[str, Any]) -> str:
    lines = [f"waiting  {name[:12]}" for name in state["pending"]]
    lines += [f"running  {name[:12]} ({holder})" for name, holder in state["running"].items()]
    lines += [f"done     {name[:12]}" for name in state["done"]]
    lines += [f"failed   {name[:12]}: {why}" for name, why in state["failed"].items()]
    return "\n".join(lines) or "nothing was submitted"
