"""Runs written as logs of Inspect: an `.eval` archive that its own reader and viewer open."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path
from typing import IO, Any

from themis.api.bundles.logged import logged
from themis.api.runs.report import read_report
from themis.api.runs.view import RunView
from themis.api.stores import Storage
from themis.effects.files import whole_file
from themis.pure.errors import DataError
from themis.pure.interchange.exported import Logged
from themis.pure.interchange.inspect_export import header_of, samples_of, summary_of
from themis.pure.json import encode
from themis.pure.protocols import RunStore


def write_inspect_log(store: RunStore | Storage, run_id: str, path: str | Path) -> Path:
    """Write a run as an `.eval` log of Inspect.

    Args:
        store: where the run is.
        run_id: the run.
        path: the file, replaced if it is there; Inspect wants its name to end in `.eval`.

    Returns:
        The file's path.

    Raises:
        RunNotFoundError: the store has no such run.
        DataError: the name ends otherwise, or the file can't be written.
    """
    view, target = RunView.of(store, run_id), Path(path)
    if target.suffix != ".eval":
        raise DataError(f"{target}: Inspect opens logs by their ending; let the name end in .eval")
    of = logged(view)
    estimates = {row.metric_id: row.estimate for row in read_report(view, with_digest=False).overview.metrics}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            _write(file, view, of, estimates)
    except OSError as error:
        raise DataError(f"{target}: can't be written: {error}") from error
    return target


def _write(file: IO[bytes], view: RunView, of: Logged, estimates: Any) -> None:
    summaries: list[dict[str, Any]] = []
    case_ids: list[str] = []
    usage: Counter[str] = Counter()
    completed = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, value: Any) -> None:
            # Without the time of day: a run is written the same each time.
            archive.writestr(zipfile.ZipInfo(name), encode(value), zipfile.ZIP_DEFLATED)

        for number, (item, state) in enumerate(view.cases(), 1):
            several = len(view.dataset_ids) > 1
            name = f"{item.dataset_id}:{item.case.case_id}" if several else item.case.case_id
            case_id = _name(name, number)
            case_ids.append(case_id)
            for sample in samples_of(of, item, state, view.rows_of(state), name, case_id):
                put(f"samples/{case_id}_epoch_{sample['epoch']}.json", sample)
                summaries.append(summary_of(sample))
                usage.update(sample["model_usage"].get(of.model, {}))
                completed += "error" not in sample
        header = header_of(of, estimates, case_ids, completed, usage)
        put("_journal/start.json", {name: header[name] for name in ("version", "eval", "plan")})
        put("summaries.json", summaries)
        put("header.json", header)


def _name(case_id: str, number: int) -> str:
    """Return what a case is called: its samples' members are named so, and unpacking must not take them elsewhere."""
    climbs = ".." in case_id or case_id.startswith("/") or "\\" in case_id
    return f"case-{number}" if climbs or not case_id.isprintable() else case_id
