"""One run over four hosts, which are network namespaces here: links are cut and mend, and one host vanishes.

It needs to be root and the command `ip`. The server is one more host; a cut link is one that drops everything, without
a word to either end.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from tests.laws.many.coordinator import SAMPLES, experiment
from tests.laws.test_killed_workers import Attempts, acknowledging, asked_again
from tests.postgres_server import PostgresServer, postgres_server

from themis.api.experiment.many.run import submit_to_store
from themis.api.experiment.verify import verify
from themis.effects.host import run_sync
from themis.effects.stores.postgres import PostgresRunStore
from themis.pure.records.config import StorageConfig

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (extra postgres)")

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.hardening, pytest.mark.postgres]
CASES, WAIT_S = 400, 0.5
BRIDGE, SERVER = "themis-br", "10.77.0.1"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


@attrs.frozen
class Host:
    """A network namespace with one link to the others."""

    number: int

    @property
    def name(self) -> str:
        return f"themis-{self.number}"

    @property
    def link(self) -> str:
        """The link's end outside."""
        return f"themis-v{self.number}"

    def set_up(self) -> None:
        ip("netns", "add", self.name)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", self.link, "master", BRIDGE, "up")
        ip("-n", self.name, "addr", "add", f"10.77.0.{self.number + 10}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")
        ip("-n", self.name, "link", "set", "lo", "up")

    def cut(self) -> None:
        ip("link", "set", self.link, "down")

    def mend(self) -> None:
        ip("link", "set", self.link, "up")

    def start(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        return self.python("-m", "themis", *words, log=log)

    def python(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, *words],
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            )


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command ip (Debian's package iproute2)")
    made = [Host(number) for number in range(4)]
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{SERVER}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for host in made:
            host.set_up()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    try:
        yield made
    finally:
        for host in made:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", host.name)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", BRIDGE)


@pytest.fixture
def server(hosts: list[Host]) -> Iterator[PostgresServer]:
    with postgres_server() as found:
        with (found.folder / "data" / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write("host all all 10.77.0.0/24 trust\n")
        found.stop()
        found.start(listen=f"127.0.0.1,{SERVER}")
        yield found


def test_links_are_cut_and_a_host_vanishes_and_the_run_ends_in_the_same_digest(
    hosts: list[Host], server: PostgresServer, tmp_path: Path, report: Callable[[str, str], None]
) -> None:
    whole = experiment(str(tmp_path / "whole"), cases=CASES, wait_s=0.0).run()
    dsn = server.dsn.replace("127.0.0.1", SERVER)
    attempts = Attempts(dsn, "themis", tmp_path / "log", "workers", 4)
    attempts.log.touch()
    storage = StorageConfig(store="postgres", parameters={"dsn": dsn, "schema": "themis"})
    made = experiment(str(attempts.log), storage, cases=CASES, wait_s=WAIT_S)
    snapshot = run_sync(lambda: submit_to_store(made, segment_size=3, modules=ROOT), "submit")
    words = ("worker", "run", "--store", dsn, "--run", snapshot.run_id)
    draw, cuts = random.Random(4), list[float]()
    gone, *others = hosts
    with acknowledging(attempts):
        workers = {host: host.start(*words, log=tmp_path / host.name) for host in hosts}
        wait_for_calls(attempts, 20)
        gone.cut()  # and it never comes back
        deadline = time.monotonic() + 1_500
        while any(workers[host].poll() is None for host in others) and time.monotonic() < deadline:
            host = draw.choice(others)
            if len(cuts) < 12:
                host.cut()
                cuts.append(draw.choice((1.0, 2.0, 5.0, 12.0)) if cuts else 30.0)
                time.sleep(cuts[-1])
                host.mend()
            time.sleep(draw.uniform(0.2, 2.0))
            for each in others:  # what a launcher does: one that ended with an error is started again
                if workers[each].poll() not in (None, 0):
                    workers[each] = each.start(*words, log=tmp_path / each.name)
        assert [workers[host].poll() for host in others] == [0, 0, 0], said(tmp_path, hosts)
        workers[gone].kill()
        workers[gone].wait()
    with PostgresRunStore(dsn) as store:
        (line,) = store.list_runs()
        assert line.status == "completed", said(tmp_path, hosts)
        result = experiment(str(tmp_path / "none"), cases=CASES).run(store=store)
        assert result.digest == whole.digest
        found = verify(store, snapshot.run_id, experiment=experiment(str(tmp_path / "none"), cases=CASES))
        assert (found.verdict, found.broken_links) == ("verified", ())
        made_events = [one for one in store.events(snapshot.run_id) if one.event_type == "generation_completed"]
        assert len(made_events) == CASES * SAMPLES
    # Of the host that vanished nobody hears: what it asked after it was cut off from the store, before it noticed, is
    # what others may ask, too.
    assert asked_again(attempts.log) == []
    report(
        "Hosts as network namespaces",
        f"4 hosts, one of them cut off for good, {len(cuts)} cuts of {min(cuts):g} to {max(cuts):g} s of the others: "
        "the digest of an undisturbed run, no call whose answer stood in the store was made again",
    )


HOLDING = """\
import sys
from themis.effects.stores.postgres_server import Server
connection = Server(sys.argv[1], "public").connect()
connection.execute("select pg_advisory_lock(77)")
print("has it", flush=True)
connection.execute("select pg_sleep(3)" if sys.argv[2] == "answered" else "select 1")
"""


@pytest.mark.parametrize("when", ["idle", "answered"])
def test_a_host_that_vanishes_gives_back_its_locks_soon(
    when: str, hosts: list[Host], server: PostgresServer, tmp_path: Path, report: Callable[[str, str], None]
) -> None:
    """Also if it vanishes before an answer reaches it: no keepalive is sent to who has not confirmed what was."""
    host, log = hosts[0], tmp_path / "log"
    command = HOLDING if when == "answered" else f"{HOLDING}import time; time.sleep(600)"
    worker = host.python("-c", command, server.dsn.replace("127.0.0.1", SERVER), when, log=log)
    try:
        wait_until(lambda: "has it" in log.read_text(encoding="utf-8"), 60)
        host.cut()
        cut = time.monotonic()
        with psycopg.connect(server.dsn) as db:
            query = "select pg_try_advisory_lock(77)"
            wait_until(lambda: db.execute(query).fetchone() == (True,), 60)
    finally:
        worker.kill()
        worker.wait()
    report(f"a host vanishes, {when}", f"its locks were free after {time.monotonic() - cut:.1f} s")


def wait_until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def wait_for_calls(attempts: Attempts, most: int) -> None:
    wait_until(lambda: len(attempts.log.read_text(encoding="utf-8").splitlines()) >= most, 120)


def said(folder: Path, hosts: list[Host]) -> str:
    return "\n".join((folder / host.name).read_text(encoding="utf-8")[-2_000:] for host in hosts)
