"""Runs written as logs of lm-evaluation-harness: `results_<time>.json`, and `samples_<task>_<time>.jsonl` beside it."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

from themis.api.bundles.logged import logged
from themis.api.runs.report import read_report
from themis.api.runs.view import RunView
from themis.api.stores import Storage
from themis.effects.files import whole_file
from themis.pure.errors import DataError
from themis.pure.interchange.lm_eval_export import results_of, rows_of, task_names
from themis.pure.json import encode, formatted
from themis.pure.protocols import RunStore


def write_lm_eval_log(store: RunStore | Storage, run_id: str, folder: str | Path) -> Path:
    """Write a run as lm-evaluation-harness logs one: `results_<time>.json`, and a file of samples for each dataset.

    Args:
        store: where the run is.
        run_id: the run.
        folder: where the files are written; those of the same names are replaced.

    Returns:
        The path of the results.

    Raises:
        RunNotFoundError: the store has no such run.
        DataError: the files can't be written.
    """
    view, target = RunView.of(store, run_id), Path(folder)
    of, names = logged(view), task_names(view.dataset_ids)
    time = of.began.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")
    counts: Counter[str] = Counter()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            files = {
                dataset: opened.enter_context(whole_file(target / f"samples_{name}_{time}.jsonl"))
                for dataset, name in names.items()
            }
            for item, state in view.cases():
                for row in rows_of(of, item, state, view.rows_of(state), counts[item.dataset_id]):
                    files[item.dataset_id].write(encode(row) + b"\n")
                counts[item.dataset_id] += 1
        with whole_file(target / f"results_{time}.json") as file:
            file.write(formatted(results_of(of, names, _estimates(view), counts)).encode() + b"\n")
    except OSError as error:
        raise DataError(f"{target}: can't be written: {error}") from error
    return target / f"results_{time}.json"


def _estimates(view: RunView) -> dict[str, dict[str, Any]]:
    """Return the estimate of each metric on each dataset."""
    found: dict[str, dict[str, Any]] = {}
    for each in read_report(view, by=("dataset",), with_digest=False).overview.groups:
        for group in each.groups:
            if group.name:
                found.setdefault(group.name, {})[each.metric_id] = group.estimate
    return found
