"""SIGKILL at any moment, also while a run starts; and servers that are stopped under it."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from tests.hardening.attempts import Attempts
from tests.hardening.child import CALLS_MADE
from tests.hardening.conftest import Report, part_of
from tests.postgres_server import PostgresServer

from themis.effects.sandboxes.local import LocalSandbox
from themis.pure.records.config import StorageConfig

KILLS, STOPS = part_of(60), part_of(46)
A_RUN = 10
"""Kills of one run; then the next begins."""
CLEAR = re.compile(r"StoreError: postgres:\S+: .*check that the server runs|StoreError: \S+ could not write after")


def storage(kind: str, name: str, folder: Path, request: pytest.FixtureRequest) -> StorageConfig:
    if kind == "postgres":
        dsn = request.getfixturevalue("server").dsn
        return StorageConfig(store=kind, parameters={"dsn": dsn, "schema": re.sub(r"\W", "_", name)})
    return StorageConfig(store=kind, parameters={"path": str(folder / name)})


@pytest.fixture(scope="session")
def programs() -> bool:
    """Whether programs can be run here; the scenarios go without them where they can't."""
    return not LocalSandbox().check()


@pytest.mark.parametrize("kind", ["sqlite", "jsonl", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_kills(
    kind: str, programs: bool, tmp_path: Path, rng: random.Random, report: Report, request: pytest.FixtureRequest
) -> None:
    whole = Attempts(tmp_path / "whole", storage(kind, f"whole_{kind}", tmp_path, request), programs=programs)
    undisturbed, starting_s = whole.to_the_end(), 0.0
    kills = while_starting = runs = again = processes = 0
    longest_s = 0.0
    while kills < KILLS:
        runs += 1
        place = storage(kind, f"run{runs}_{kind}", tmp_path, request)
        attempts = Attempts(tmp_path / f"logs{runs}", place, programs=programs)
        said, here = "", 0
        while not said:
            process, began = attempts.start(), time.monotonic()
            processes += 1
            if kills == KILLS or here == A_RUN:
                said, errors = process.communicate()
                assert said, errors
            elif rng.random() < 0.25:
                time.sleep(rng.uniform(0.0, starting_s or 1.0))
            else:
                attempts.wait_for_calls(process, rng.randint(1, CALLS_MADE // 6))
                starting_s = starting_s or time.monotonic() - began
                time.sleep(rng.uniform(0.0, 0.06))  # past the journal's interval
            if not said:
                asked = any(number == attempts.number for number, _ in attempts.lines("calls"))
                said, killed = attempts.kill(process)
                kills, here = kills + killed, here + killed
                while_starting += killed and not asked
            attempts.look()
        attempts.check(said, undisturbed)
        again, longest_s = again + attempts.again, max(longest_s, attempts.longest_s)
    assert while_starting or KILLS < 60
    report(
        f"SIGKILL, {kind}",
        f"{kills} kills, {while_starting} of them before the first call; {runs} runs in {processes} processes, all "
        f"with the digest of an undisturbed one; of {runs * len(whole.lines('calls')):,} calls {again} were lost with "
        f"a kill and made again, none that was stored; nothing left after {longest_s:.1f} s at most",
    )


@pytest.mark.postgres
def test_a_server_that_is_stopped_at_once(
    server: PostgresServer,
    programs: bool,
    tmp_path: Path,
    rng: random.Random,
    report: Report,
    request: pytest.FixtureRequest,
) -> None:
    whole = Attempts(tmp_path / "whole", storage("postgres", "whole_stops", tmp_path, request), programs=programs)
    undisturbed = whole.to_the_end()
    stops = failed = runs = again = 0
    while stops < STOPS:
        runs += 1
        place = storage("postgres", f"stops{runs}", tmp_path, request)
        attempts = Attempts(tmp_path / f"logs{runs}", place, programs=programs)
        said = ""
        while not said:
            process = attempts.start()
            if stops < STOPS:
                attempts.wait_for_calls(process, rng.randint(1, CALLS_MADE // 6))
                time.sleep(rng.uniform(0.0, 0.06))
                server.stop()
                time.sleep(rng.choice([0.0, 0.0, 3.0]))  # a run rides out a short stop, and gives up in a long one
                server.start()
                stops += 1
            said, errors = process.communicate()
            assert said or CLEAR.match(errors), errors
            failed += not said
            attempts.look()
        attempts.check(said, undisturbed)
        again += attempts.again
    report(
        "PostgreSQL stopped at once",
        f"{stops} stops; {failed} times the run ended with one clear error, else it went on by itself; {runs} runs, "
        f"all with the digest of an undisturbed one; of {runs * len(whole.lines('calls')):,} calls {again} were lost "
        "with a stop and made again, none that was stored",
    )
