"""A PostgreSQL server of our own, on loopback, as a user without rights."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest


@attrs.frozen
class PostgresServer:
    """A server's folder and port; it runs between `start` and `stop`."""

    folder: Path
    port: int
    tools: Path
    as_user: Sequence[str]
    """What a command begins with that is to be run as the server is."""

    def own(self, folder: Path) -> None:
        """Give a folder to the user that the server is run as."""
        shutil.chown(folder, self.folder.owner())

    @property
    def dsn(self) -> str:
        return f"postgresql://themis@127.0.0.1:{self.port}/postgres"

    def start(self, listen: str = "127.0.0.1") -> None:
        settings = f"-p {self.port} -c listen_addresses={listen} -c unix_socket_directories={self.folder}"
        data, log = self.folder / "data", self.folder / "log"
        self.call("pg_ctl", "-D", data, "-l", log, "-o", f"{settings} -c max_connections=60", "-w", "start")

    def stop(self) -> None:
        """Stop at once, as when the machine loses its power, but for what the operating system holds."""
        self.call("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")

    def call(self, tool: str, *words: object) -> None:
        command = [*self.as_user, str(self.tools / tool), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Make a server and start it; skip the test where there is none."""
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
    server = PostgresServer(folder, port, binaries[-1].parent, as_user)
    try:
        no_sync = ("-U", "themis", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        server.call("initdb", "-D", folder / "data", *no_sync)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
