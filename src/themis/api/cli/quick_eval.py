"""`themis quick-eval`: from a file to a table in one command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

app = App(name="quick-eval", help="Evaluate a model on data at hand, in one command.")


@app.command(name="file")
def evaluate_file(
    data: Path,
    /,
    *,
    model: str,
    metric: Annotated[list[str], Parameter(consume_multiple=True)],
    parser: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    judge: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    samples: Annotated[int, Parameter(name=["--samples", "--epochs"])] = 1,
    limit: int | None = None,
    store: Path = Path("runs/themis.sqlite3"),
    concurrency: Annotated[int, Parameter(name=["--concurrency", "--max-connections"])] = 32,
    seed: int | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    input_field: str | None = None,
    expected_field: str | None = None,
    id_field: str | None = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Evaluate a model on the rows of a file.

    Example: themis quick-eval file questions.jsonl --model openai/gpt-4o --metric builtin/exact_match --limit 20

    Parameters
    ----------
    data
        A JSONL, JSON, CSV or Parquet file; a row has an `input` and, where there is one, an `expected_output`.
    model
        A builtin (builtin/demo_model), a model string (openai/gpt-4o), or an import path (package.module:name).
    metric
        One or several metrics.
    parser
        A parser, or a fallback chain of them.
    judge
        The models that judged metrics ask.
    samples
        Candidates per case; their majority is the answer.
    limit
        Take only the first cases.
    store
        The SQLite file to keep the run in; running again goes on from what is there.
    concurrency
        Cases under way at once.
    seed
        The seed of the first candidate; the others count on from it.
    temperature
        The model's sampling temperature.
    max_tokens
        The longest answer, in tokens.
    input_field
        The field with the question, if it is not `input`.
    expected_field
        The field with the reference, if it is not `expected_output`.
    id_field
        The field with the case's id, if it is not `case_id` or `id`.
    json_output
        Print the result as JSON.
    """
    from themis.api.cli.live import shown
    from themis.api.components import resolve_component
    from themis.api.evaluating import make_experiment
    from themis.api.running import run_snapshot
    from themis.effects.engine import Progress
    from themis.effects.host import run_sync
    from themis.effects.sources.files import CaseFields, file_dataset
    from themis.pure.records.config import RuntimeConfig, StorageConfig

    sampling = {"temperature": temperature, "max_tokens": max_tokens}
    fields = CaseFields(input=input_field, expected=expected_field, case_id=id_field)
    experiment = make_experiment(
        model=resolve_component(model, **{name: value for name, value in sampling.items() if value is not None}),
        data=file_dataset(data, fields=fields, limit=limit),
        metric=metric,
        parser=parser,
        judge=judge,
        samples=samples,
        seeds=None if seed is None else [seed + i for i in range(samples)],
        storage=StorageConfig(store="sqlite", parameters={"path": str(store)}),
        runtime=RuntimeConfig(max_concurrent_tasks=concurrency),
    )
    roster = experiment.roster()
    snapshot = experiment.compile_with(roster)
    progress = Progress()
    with shown(progress):
        result = run_sync(
            lambda: run_snapshot(
                snapshot, roster, storage=experiment.storage, runtime=experiment.runtime, progress=progress
            ),
            "quick-eval",
        )
    return show_result(result, store, as_json=json_output)


def show_result(result: object, store: Path, *, as_json: bool) -> int:
    """Print a run's result and return the exit code."""
    from themis.api.cli import DONE, INCOMPLETE
    from themis.api.reporting import result_data, result_table
    from themis.api.results import RunResult

    assert isinstance(result, RunResult)
    if as_json:
        sys.stdout.write(json.dumps(result_data(result), indent=2) + "\n")
    else:
        sys.stdout.write(f"{result_table(result)}\n\nrun {result.run_id}\nstored in {store}\n")
        if result.error_message:
            sys.stdout.write(f"ended early: {result.error_message}\n")
    return DONE if result.status == "completed" else INCOMPLETE
