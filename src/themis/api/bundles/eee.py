"""Runs written for others to read: as Every Eval Ever has them, in two files of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from themis._version import __version__
from themis.api.runs.report import read_report
from themis.api.runs.view import RunView
from themis.api.stores import Storage
from themis.effects.files import whole_file
from themis.pure.compilation import whole_name
from themis.pure.errors import DataError, SpecError
from themis.pure.interchange.eee_export import Exported, aggregate, sample_rows
from themis.pure.json import encode, formatted
from themis.pure.plan import MetricSlot
from themis.pure.protocols import RunStore
from themis.pure.report.settings import model_of


def write_eee(store: RunStore | Storage, run_id: str, folder: str | Path, *, metric: str | None = None) -> Path:
    """Write a run as Every Eval Ever 0.3 has it: an aggregate, `<uuid>.json`, and `<uuid>_samples.jsonl`.

    Args:
        store: where the run is.
        run_id: the run.
        folder: where the files are written; those of the same names are replaced.
        metric: whose scores are written; the run's only one if not given.

    Returns:
        The aggregate's path.

    Raises:
        RunNotFoundError: the store has no such run.
        SpecError: the run has no such metric, or several and none was named.
        DataError: the run has no score by it, or the files can't be written.
    """
    view, target = RunView.of(store, run_id), Path(folder)
    chosen = _metric(view, metric)
    grouped = read_report(view, by=("dataset",), with_digest=False).overview.groups
    found = next((each for each in grouped if each.metric_id == chosen.metric_id), None)
    estimates = {group.name: group.estimate for group in found.groups if group.name} if found is not None else {}
    unscored = [name for name, estimate in estimates.items() if estimate.mean is None]
    if unscored or not estimates:
        raise DataError(f"run {run_id[:12]}: {chosen.metric_id} has no score on {', '.join(unscored) or 'any dataset'}")
    began = view.ending.started_at
    of = Exported(
        run_id=run_id,
        model=model_of(view.snapshot),
        metric=chosen,
        version=__version__,
        began=0 if began is None else int(began.timestamp()),
    )
    hashed, count = hashlib.sha256(), 0
    try:
        target.mkdir(parents=True, exist_ok=True)
        with whole_file(target / f"{of.name}_samples.jsonl") as file:
            for item, state in view.cases():
                for row in sample_rows(of, item, state, view.rows_of(state)):
                    line = encode(row) + b"\n"
                    hashed.update(line)
                    file.write(line)
                    count += 1
        with whole_file(target / f"{of.name}.json") as file:
            file.write(formatted(aggregate(of, estimates, hashed.hexdigest(), count)).encode() + b"\n")
    except OSError as error:
        raise DataError(f"{target}: can't be written: {error}") from error
    return target / f"{of.name}.json"


def _metric(view: RunView, name: str | None) -> MetricSlot:
    known = {slot.metric_id: slot for slot in view.metrics}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if not known:
        raise SpecError(f"run {view.run_id[:12]} has no metric, and so no score to write; `themis score` makes some")
    if name is None:
        raise SpecError(f"one metric's scores are written, and the run has {', '.join(known)}: name one with --metric")
    return known[whole_name(name, list(known))]
