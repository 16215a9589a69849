"""`themis export`: stages of a run as portable files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, stored_run
from themis.api.cli.output import show


def export(
    kind: Literal["generation", "reduction", "parse", "score", "evaluation"],
    run: RunName,
    path: Path,
    /,
    *,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Write one stage of a run as a portable bundle.

    For example:
      themis export generation latest answers.json.gz
      themis export evaluation 4f1c judgements.json --store runs/mine.sqlite3

    Args:
        kind: The stage; what it rests on comes along.
        path: The file, replaced if it is there; compressed if its name ends in .gz or .zst.
    """
    from themis.api.bundles.files import write_bundle

    opened, run_id = stored_run(store, run)
    written = write_bundle(opened, run_id, kind, path)
    show({"run_id": run_id, "kind": kind, "path": str(written)}, f"wrote {written}", as_json=json_output)
