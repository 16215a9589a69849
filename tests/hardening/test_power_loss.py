"""The power fails at any moment of a run: what was acknowledged is there, and the run goes on from what is left."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from tests.hardening.attempts import Attempts
from tests.hardening.child import Log, experiment, key_of, opened, outcome
from tests.hardening.conftest import Report, part_of
from tests.hardening.disk import TRACED, Disk, calls, written

from themis.api.experiment.verify import verify
from themis.effects.reading import read_events
from themis.pure.chain import broken_links
from themis.pure.records.config import StorageConfig

IMAGES = part_of(400)
LONG = {"sqlite": 300_000, "jsonl": 70_000}
"""Answers so long that they are kept beside the events, and fill SQLite's log until it is written back."""


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_loss_of_power(kind: str, tmp_path: Path, rng: random.Random, report: Report) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed (Debian's package strace)")
    disk, trace = tmp_path / "disk", tmp_path / "trace"
    disk.mkdir()
    storage = StorageConfig(store=kind, parameters={"path": str(disk / "runs" / "store")})
    traced = (strace, "-f", "-y", "-xx", "-s", "100000000", "-e", f"trace={TRACED}", "-o", str(trace))
    run = Attempts(tmp_path / "logs", storage, size=LONG[kind], programs=False, wrapped=traced)
    undisturbed = run.to_the_end()
    seen, log = list(calls(trace)), tmp_path / "logs" / "acknowledged"
    # Where to stop: after any call that had to do with the store.
    whole = Disk(str(disk))
    moments = [number for number, call in enumerate(seen) if whole.see(call)]
    stops = sorted(rng.choices(moments, k=IMAGES))
    model, acknowledged, done = Disk(str(disk)), set[str](), 0
    empty = resumed = asked = 0
    for image, stop in enumerate(stops):
        for call in seen[done : stop + 1]:
            model.see(call)
            acknowledged |= {told.partition(" ")[2] for told in written(call, log).decode().splitlines()}
        done = stop + 1
        left = tmp_path / f"image{image}"
        model.image(rng, left)
        there, made = checked(storage, left, acknowledged, undisturbed)
        empty, resumed, asked = empty + (not there), resumed + bool(there and made), asked + made
        shutil.rmtree(left)
    report(
        f"loss of power, {kind}",
        f"{IMAGES} crash images from {len(moments):,} writes, syncs and renames; all that was acknowledged is in each, "
        f"each was verified, and resumed to the digest of an undisturbed run; {empty} from before anything was stored, "
        f"{resumed} from the middle; {asked:,} calls made, none that was stored",
    )


def checked(storage: StorageConfig, left: Path, acknowledged: set[str], undisturbed: str) -> tuple[int, int]:
    """Hold an image to what was acknowledged, and resume; return how many answers were there, and calls made."""
    place = storage.evolve(parameters={"path": str(left / "runs" / "store")})
    log = left.with_name(f"{left.name}.calls")
    with opened(place) as store:
        stored: set[str] = set()
        for summary in store.list_runs():
            events = tuple(store.events(summary.run_id))
            assert not list(broken_links(events, store.head(summary.run_id)))
            stored |= {key for event in read_events(store, summary.run_id) if (key := key_of(event)) is not None}
        assert acknowledged <= stored, f"lost: {sorted(acknowledged - stored)}"
        made = experiment(Log(log, "1"), LONG[storage.store], programs=False)
        assert json.loads(outcome(made, store, [])) == json.loads(undisturbed)
        (summary,) = store.list_runs()
        found = verify(store, summary.run_id, experiment=made)
        assert found.ok, found
    asked = [line.partition(" ")[2] for line in log.read_text(encoding="utf-8").splitlines()]
    log.unlink()
    assert stored.isdisjoint(asked), "what was stored was asked again"
    assert len(asked) == len(set(asked))
    return len(stored), len(asked)
