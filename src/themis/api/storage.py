"""Opening stores by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from themis.api.config.references import resolve_all_references
from themis.pure.errors import SpecError, nearest
from themis.pure.json import thaw
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.pure.security import refuse_secrets

StoreFactory = Callable[..., RunStore]


def _memory(**parameters: Any) -> RunStore:
    from themis.effects.stores.memory import InMemoryRunStore

    return InMemoryRunStore(**parameters)


def _sqlite(**parameters: Any) -> RunStore:
    from themis.effects.stores.sqlite import SqliteRunStore

    return SqliteRunStore(**{"path": "runs/themis.sqlite3", **parameters})


def _jsonl(**parameters: Any) -> RunStore:
    from themis.effects.stores.jsonl import JsonlRunStore

    return JsonlRunStore(**{"path": "runs/themis", **parameters})


def _postgres(**parameters: Any) -> RunStore:
    from themis.effects.stores.postgres import PostgresRunStore

    return PostgresRunStore(**parameters)


_BACKENDS: dict[str, StoreFactory] = {"memory": _memory, "sqlite": _sqlite, "jsonl": _jsonl, "postgres": _postgres}


def register_store_backend(name: str, factory: StoreFactory) -> None:
    """Make a store of one's own known by name; a name that is known already is given the new meaning.

    Args:
        name: what `StorageConfig(store=...)` will say.
        factory: called with `StorageConfig.parameters` as keywords; returns a `RunStore`.
    """
    _BACKENDS[name] = factory


def store_backends() -> Mapping[str, StoreFactory]:
    """Return the known backends."""
    return dict(_BACKENDS)


def open_store(config: StorageConfig) -> RunStore:
    """Open the store that a configuration names; references to the environment in its parameters are resolved now.

    Raises:
        SpecError, LiteralSecretError, MissingExtraError: as for `make_store`.
        StoreError: the store can't be opened.
    """
    store = make_store(config)
    store.initialize()
    return store


def make_store(config: StorageConfig) -> RunStore:
    """Return the store that a configuration names, not yet opened: nothing is made or changed on disk.

    Raises:
        SpecError: no backend of that name, or parameters that it does not take.
        LiteralSecretError: a password stands in the parameters, which are kept with every run.
        MissingExtraError: the backend needs an optional dependency.
    """
    factory = _BACKENDS.get(config.store)
    if factory is None:
        raise SpecError(f"storage.store: no store {config.store!r}; {nearest(config.store, _BACKENDS)}")
    refuse_secrets({"storage.parameters": config.parameters})
    parameters = resolve_all_references(thaw(config.parameters))
    try:
        return factory(**parameters)
    except TypeError as error:
        raise SpecError(f"storage.parameters: {error}") from error
