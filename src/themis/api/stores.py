"""Stores by name: the kinds there are, opening one, and finding a run in one that must be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from themis.api.references import resolve_all_references
from themis.effects.files import nearest_files
from themis.effects.stores import BUILTIN, PATH, StoreKind
from themis.pure.errors import RunNotFoundError, SpecError, StoreError, nearest
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.pure.records.fields import record_of
from themis.pure.security import refuse_secrets

_LATEST: Final = "latest"
_SHOWN: Final = 8

_kinds: dict[str, StoreKind] = {kind.name: kind for kind in BUILTIN}


# --- kinds ------------------------------------------------------------------------------------------------


def register_store_backend(name: str, factory: Callable[..., RunStore]) -> None:
    """Make a store of one's own known by name; a name that is known already is given the new meaning.

    Args:
        name: what `StorageConfig(store=...)` will say.
        factory: called with `StorageConfig.parameters` as keywords; returns a `RunStore`.
    """
    _kinds[name] = StoreKind(name, factory)


def store_kinds() -> Mapping[str, StoreKind]:
    return dict(_kinds)


def lasts(storage: StorageConfig) -> bool:
    """Tell whether a store is still there when its process has ended."""
    kind = _kinds.get(storage.store)
    return kind is None or kind.place_key is not None


def _missing_path(storage: StorageConfig) -> str | None:
    """Return where a store is said to be on this disk, if nothing is there."""
    path = storage.parameters.get(PATH)
    return path if isinstance(path, str) and not Path(path).exists() else None


# --- naming -----------------------------------------------------------------------------------------------

Storage: TypeAlias = StorageConfig | Mapping[str, Any] | str | Path
"""Where a run is kept: a `StorageConfig` or a mapping of its fields, a SQLite file's path, or a text `KIND:PLACE`."""


def as_storage(value: Storage | object, name: str = "storage") -> StorageConfig:
    """Return what says where a run is kept; in memory if nothing is given.

    Args:
        value: a path is a SQLite file; `jsonl:runs/log`, `postgres:DSN` and `postgresql://...` name other kinds, and a
            kind alone (`memory`, `sqlite`) its usual place.
        name: what errors call it.

    Raises:
        SpecError: it is nothing of the kind, or no store has this name.

    >>> as_storage("runs/a.sqlite3").parameters, as_storage("jsonl:runs/log").store, as_storage("memory").parameters
    ({'path': 'runs/a.sqlite3'}, 'jsonl', {})
    """
    if value is None:
        return StorageConfig()
    if isinstance(value, StorageConfig | Mapping):
        return record_of(StorageConfig, value, name)
    if not isinstance(value, str | Path):
        hint = "; an open store is given as store=..." if hasattr(value, "persist_snapshot") else ""
        expected = "a StorageConfig, or text such as runs/themis.sqlite3 or jsonl:runs/log"
        raise SpecError(f"{name}: {expected}, expected; found {type(value).__name__}{hint}")
    text = str(value)
    if not text.strip() or "\0" in text:
        raise SpecError(f"{name}: where a store is expected, found {text!r}")
    if text in _kinds:
        return StorageConfig(store=text)
    kind, colon, place = text.partition(":")
    if not colon or len(kind) == 1 or isinstance(value, Path):  # a Windows drive
        return StorageConfig(store="sqlite", parameters={PATH: text})
    if kind == "postgresql":
        kind, place = "postgres", text
    place_keys = {known.name: known.place_key for known in _kinds.values() if known.place_key is not None}
    if kind not in place_keys:
        raise SpecError(f"{name} {text!r}: no store {kind!r}; {nearest(kind, place_keys)}, as in sqlite:runs/a.sqlite3")
    return StorageConfig(store=kind, parameters={place_keys[kind]: place})


def store_or_storage(store: RunStore | Storage | None) -> tuple[RunStore | None, StorageConfig | None]:
    """Return the open store that is given, or else where the store is that is meant.

    Raises:
        SpecError: it is neither.
    """
    if store is None or hasattr(store, "persist_snapshot"):
        return cast("RunStore | None", store), None
    return None, as_storage(store, "store")


def at_hand(store: RunStore | Storage, *, made: bool = False) -> RunStore:
    """Return the open store that is given, or open the one whose place is; it closes itself when nobody has it.

    Args:
        store: the store, or where it is.
        made: whether it is made where none is, to be written; to read, a mistyped path must not make one.

    Raises:
        SpecError: it is neither, or ends with its process.
        StoreError: there is none, or it can't be opened.
    """
    given, storage = store_or_storage(store)
    if given is not None:
        return given
    if storage is None:
        raise SpecError("store: an open store or where one is expected, such as runs/themis.sqlite3; found None")
    return open_store(storage) if made else open_existing(storage)


# --- opening ----------------------------------------------------------------------------------------------


def open_store(config: Storage) -> RunStore:
    """Open a store, which is made if it is not there; references to the environment are resolved now.

    Args:
        config: where it is: the path of a SQLite file, `jsonl:FOLDER`, or a `StorageConfig`.

    Raises:
        SpecError, LiteralSecretError, MissingExtraError: as for `make_store`.
        StoreError: the store can't be opened.
    """
    store = make_store(as_storage(config, "store"))
    store.initialize()
    return store


def make_store(config: StorageConfig) -> RunStore:
    """Return the store that a configuration names, not yet opened: nothing is made or changed on disk.

    Raises:
        SpecError: no store of that name, or parameters that it does not take.
        LiteralSecretError: the parameters, which are stored with every run, contain a password.
        MissingExtraError: the store needs an optional dependency.
    """
    kind = _kinds.get(config.store)
    if kind is None:
        raise SpecError(f"storage.store: no store {config.store!r}; {nearest(config.store, _kinds)}")
    refuse_secrets({"storage.parameters": config.parameters})
    parameters = resolve_all_references(config.parameters)
    if kind.place_key is not None and kind.default is not None:
        parameters = {kind.place_key: kind.default, **parameters}
    try:
        return kind.make(**parameters)
    except TypeError as error:
        raise SpecError(f"storage.parameters: {error}") from error


def open_existing(storage: StorageConfig) -> RunStore:
    """Open a store that is there already; a mistyped path must not make a new one.

    Raises:
        SpecError: the store is in memory, where nothing from another process can be.
        StoreError: there is no such file, or it can't be opened.
    """
    if not lasts(storage):
        raise SpecError(
            f"this needs a stored run, and the store is {storage.store!r}, which ends with its process; name one that "
            "lasts: --store runs/themis.sqlite3, or storage: {store: sqlite} in the config"
        )
    path = _missing_path(storage)
    if path is not None:
        hint = nearest_files(Path(path), same_suffix=True)
        raise StoreError(f"{path}: there is no store{hint}; --store names another")
    return open_store(storage)


def existing_or_empty(storage: StorageConfig) -> RunStore:
    """Return the store that is there, or an empty one in memory: to look into it must not make it."""
    return make_store(StorageConfig()) if not lasts(storage) or _missing_path(storage) else open_store(storage)


# --- finding a run ----------------------------------------------------------------------------------------


def find_run(store: RunStore, name: str) -> str:
    """Return the id of the run that a name means.

    Args:
        store: where to look.
        name: an id, the beginning of one, the name that the run was given, or `latest`.

    Raises:
        RunNotFoundError: no run, or more than one, is called so.
    """
    runs = store.list_runs()
    ids = [line.run_id for line in runs]
    if name == _LATEST and ids:
        return ids[0]
    named = [line.run_id for line in runs if line.name == name]
    found = named or [run_id for run_id in ids if name and run_id.startswith(name.lower())]
    if len(found) == 1 or name in found:
        return name if name in found else found[0]
    if named:
        raise RunNotFoundError(f"{len(named)} runs in {store.location} have the name {name!r}: {_listed(named)}")
    if found:
        raise RunNotFoundError(
            f"{name!r} begins the ids of {len(found)} runs in {store.location}; write more of it: {_listed(found)}"
        )
    what = f"it holds {_listed(ids)}" if ids else "it holds no runs"
    raise RunNotFoundError(f"no run {name!r} in {store.location}; {what}")


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(run_id[:12] for run_id in ids[:_SHOWN]) + more
