"""`themis export` and `themis import`: stages of a run as portable files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, closed_at_the_end, storage_of, stored_run
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


def import_bundle(path: Path, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Bring a bundle into a store.

    The bundle is taken whole or not at all; what the store has already is passed over.

    For example:
      themis import answers.json.gz
      themis import answers.json.gz --store runs/mine.sqlite3

    Args:
        path: The bundle.
    """
    from themis.api.bundles.files import import_bundle_file
    from themis.api.stores import open_store

    found = import_bundle_file(closed_at_the_end(open_store(storage_of(store))), path)
    data = {"run_id": found.run_id, "kind": found.kind, "new_events": found.new_events}
    show(data, f"run {found.run_id}\n{found.new_events} new events of its {found.kind}", as_json=json_output)
