"""Finding what is stored: a store that must be there, and a run by the beginning of its id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from themis.api.storage import make_store, open_store
from themis.pure.errors import RunNotFoundError, SpecError, StoreError, nearest
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig

if TYPE_CHECKING:
    from themis.api.experiment import Experiment

LATEST: Final = "latest"
SHOWN: Final = 8


def open_existing(storage: StorageConfig) -> RunStore:
    """Open a store that is there already; a mistyped path must not make a new one.

    Raises:
        SpecError: the store is in memory, where nothing from another process can be.
        StoreError: there is no such file, or it can't be opened.
    """
    if storage.store == "memory":
        raise SpecError(
            "this needs a stored run, and the store is 'memory', which ends with its process; name one that lasts: "
            "--store runs/themis.sqlite3, or storage: {store: sqlite} in the config"
        )
    path = storage.parameters.get("path")
    if isinstance(path, str) and not Path(path).exists():
        folder = Path(path).parent
        beside = [str(p) for p in folder.iterdir() if p.suffix == Path(path).suffix] if folder.is_dir() else []
        hint = f"; {nearest(path, beside)}" if beside else ""
        raise StoreError(f"{path}: there is no store{hint}; --store names another")
    return open_store(storage)


def find_run(store: RunStore, name: str) -> str:
    """Return the id of the run that a name means.

    Args:
        store: where to look.
        name: an id, the beginning of one, or `latest`.

    Raises:
        RunNotFoundError: no run, or more than one, is called so.
    """
    ids = [line.run_id for line in store.list_runs()]
    if name == LATEST and ids:
        return ids[0]
    found = [run_id for run_id in ids if run_id.startswith(name.lower())] if name else []
    if len(found) == 1 or name in found:
        return name if name in found else found[0]
    if found:
        raise RunNotFoundError(
            f"{name!r} begins the ids of {len(found)} runs in {store.location}; write more of it: {_listed(found)}"
        )
    what = f"it holds {_listed(ids)}" if ids else "it holds no runs"
    raise RunNotFoundError(f"no run {name!r} in {store.location}; {what}")


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(run_id[:12] for run_id in ids[:SHOWN]) + more


def existing_or_empty(storage: StorageConfig) -> RunStore:
    """Return the store that is there, or an empty one in memory: to look into it must not make it."""
    path = storage.parameters.get("path")
    if storage.store == "memory" or (isinstance(path, str) and not Path(path).exists()):
        return make_store(StorageConfig())
    return open_store(storage)


def require_stored(experiment: Experiment, store: RunStore) -> None:
    """Make sure that an experiment's run is stored, at least in part.

    Raises:
        RunNotFoundError: the store does not hold the run; says what differs from the nearest that it holds.
    """
    explanation = experiment.plan(store=store)
    if explanation.stored:
        return
    changed = ", ".join(explanation.changed_fields)
    nearest_run = explanation.compared_run_id
    hint = f"; the nearest is {nearest_run[:12]}, which differs in {changed}" if nearest_run else ""
    raise RunNotFoundError(
        f"run {explanation.run_id[:12]} is not in {store.location}{hint}; `themis run` starts it, and `themis list` "
        "shows what is stored"
    )
