"""The stores under test, each with a way to make a fresh one; a real PostgreSQL server where there is one."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from themis.api.stores import open_store
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig

STORES = ("memory", "sqlite", "jsonl", pytest.param("postgres", marks=pytest.mark.postgres))
SHARED = ("sqlite", "jsonl", pytest.param("postgres", marks=pytest.mark.postgres))
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, on loopback; it runs as a user without rights."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        pytest.skip("no PostgreSQL server is installed (Debian's package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="themis-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = pwd.getpwnam("nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tools, data = binaries[-1].parent, folder / "data"

    def call(*words: object) -> None:
        done = subprocess.run(
            [*as_user, *map(str, words)], capture_output=True, text=True, check=False, cwd=folder, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        call(tools / "initdb", "-D", data, "-U", "themis", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c max_connections=60"
        call(tools / "pg_ctl", "-D", data, "-l", folder / "log", "-o", settings, "-w", "start")
        try:
            yield f"postgresql://themis@127.0.0.1:{port}/postgres"
        finally:
            call(tools / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
