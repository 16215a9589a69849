"""`themis submit`, `themis worker` and `themis batch`: running experiments later, by other processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from themis.api.cli import DONE, INCOMPLETE
from themis.api.cli.options import NO_CHANGES, Changes, Config, Json, Overrides
from themis.api.cli.output import say, show

worker: App = App(name="worker", help="Work off queued experiments.")
batch: App = App(name="batch", help="Work off an experiment that was submitted as a batch.")


def submit(
    config: Config,
    /,
    *overrides: Overrides,
    mode: Literal["worker-pool", "batch"] = "worker-pool",
    queue: Path | None = None,
    changes: Changes = NO_CHANGES,
    json_output: Json = False,
) -> None:
    """Queue an experiment for a worker or as a batch.

    For example:
      themis submit experiment.yaml --queue queue
      themis submit experiment.yaml --mode batch --queue batches

    Args:
        mode: For workers of this host, or for the provider's batch endpoint: half the price, within a day.
        queue: The queue's folder; the config's queue_root or batch_root if not given.
    """
    from themis.api.deferred import submit as submit_experiment

    path = submit_experiment(changes.load(config, overrides), mode=mode, root=queue, modules=config.parent)
    command = "worker" if mode == "worker-pool" else "batch"
    text = f"run {path.stem}\nsubmitted as {path}\nnext: themis {command} run --queue {path.parent.parent}"
    show({"run_id": path.stem, "manifest": str(path)}, text, as_json=json_output)


@worker.command(name="run")
def worker_run(
    *,
    queue: Path = Path("queue"),
    watch: Annotated[bool, Parameter(negative="")] = False,
    interval: float = 2.0,
    most: int | None = None,
    json_output: Json = False,
) -> int:
    """Run what waits in a queue, until it is empty.

    Start as many as you like: each experiment is run by one worker, and one whose worker died is taken over.

    For example:
      themis worker run --queue queue
      themis worker run --queue queue --watch

    Args:
        queue: The queue's folder.
        watch: When nothing waits, wait for more.
        interval: Seconds between two looks, with --watch.
        most: Stop after so many experiments.
    """
    return _work_off(queue, json_output, most=most, watch_s=interval if watch else None)


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
