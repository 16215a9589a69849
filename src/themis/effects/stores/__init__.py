"""Where runs are kept: one contract (`themis.pure.protocols.RunStore`), several kinds, a row each.

To add a kind, write a module here and give it a row in `BUILTIN`; nothing else of Themis names kinds of stores.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs

from themis.pure.protocols import RunStore

PATH: Final = "path"
"""The place key of kinds that are on this disk: a config's path is relative to its file, and must exist to be read."""


@attrs.frozen
class StoreKind:
    """A kind of store, and what everything else needs to know of it.

    Attributes:
        name: what `StorageConfig(store=NAME)` and `--store NAME:PLACE` say.
        make: returns a store, not yet opened; the configuration's parameters are its keywords.
        place_key: the parameter that says where the store is; `None` if it ends with its process.
        default: the place, unless one is given.
    """

    name: str
    make: Callable[..., RunStore]
    place_key: str | None = PATH
    default: str | None = None


def _made(module: str, name: str, /, **parameters: Any) -> RunStore:
    """Return a store of a class here, which is imported when it is needed."""
    store: RunStore = getattr(importlib.import_module(f"{__name__}.{module}"), name)(**parameters)
    return store


BUILTIN: Final = (
    StoreKind("memory", partial(_made, "memory", "InMemoryRunStore"), place_key=None),
    StoreKind("sqlite", partial(_made, "sqlite", "SqliteRunStore"), default="runs/themis.sqlite3"),
    StoreKind("jsonl", partial(_made, "jsonl", "JsonlRunStore"), default="runs/themis"),
    StoreKind("postgres", partial(_made, "postgres", "PostgresRunStore"), place_key="dsn"),
)
