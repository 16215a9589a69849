"""Runs written as trajectories in ATIF: a folder of files, one for each answer."""

from __future__ import annotations

from pathlib import Path

from themis.api.bundles.logged import logged
from themis.api.runs.view import RunView
from themis.api.stores import Storage
from themis.effects.files import whole_file
from themis.pure.errors import DataError
from themis.pure.interchange.atif_export import trajectory_of
from themis.pure.interchange.exported import in_a_name
from themis.pure.json import formatted
from themis.pure.protocols import RunStore


def write_atif(store: RunStore | Storage, run_id: str, folder: str | Path) -> Path:
    """Write a run's answers as trajectories in ATIF 1.8, each in a file of its own.

    Args:
        store: where the run is.
        run_id: the run.
        folder: where the files are written; those of the same names are replaced.

    Returns:
        The folder's path.

    Raises:
        RunNotFoundError: the store has no such run.
        DataError: the files can't be written.
    """
    view, target = RunView.of(store, run_id), Path(folder)
    of, width = logged(view), len(str(view.total_cases))
    try:
        target.mkdir(parents=True, exist_ok=True)
        for number, (item, state) in enumerate(view.cases(), 1):
            rows = view.rows_of(state)
            for index in range(of.answers):
                answer = f"_{index + 1}" if of.answers > 1 else ""
                name = f"{number:0{width}}_{in_a_name(item.case.case_id, 60)}{answer}.trajectory.json"
                with whole_file(target / name) as file:
                    file.write(formatted(trajectory_of(of, item, state, rows, index)).encode() + b"\n")
    except OSError as error:
        raise DataError(f"{target}: can't be written: {error}") from error
    return target
