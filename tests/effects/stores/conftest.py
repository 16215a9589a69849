"""The stores under test, each with a way to make a fresh one; a real PostgreSQL server where there is one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from themis.api.stores import open_store
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig

STORES = ("memory", "sqlite", "jsonl", pytest.param("postgres", marks=pytest.mark.postgres))
SHARED = ("sqlite", "jsonl", pytest.param("postgres", marks=pytest.mark.postgres))
_numbers = itertools.count()


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], StorageConfig]:
    """Says where a fresh store of a kind is; each call names another."""

    def make(kind: str) -> StorageConfig:
        number = next(_numbers)
        parameters: Mapping[str, Any] = {}
        if kind == "postgres":
            parameters = {"dsn": request.getfixturevalue("postgres_dsn"), "schema": f"t{os.getpid()}_{number}"}
        elif kind != "memory":
            parameters = {"path": str(tmp_path_factory.mktemp("store") / "store")}
        return StorageConfig(store=kind, parameters=parameters)

    return make


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    """Every kind of store."""
    return str(request.param)


@pytest.fixture(params=SHARED)
def shared_kind(request: pytest.FixtureRequest) -> str:
    """Every kind of store that several processes can use."""
    return str(request.param)


@pytest.fixture
def opened() -> Iterator[Callable[[StorageConfig], RunStore]]:
    """Opens stores, and closes them in the end."""
    stores: list[RunStore] = []

    def open_one(config: StorageConfig) -> RunStore:
        store = open_store(config)
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        store.close()
