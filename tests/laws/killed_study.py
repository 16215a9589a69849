"""A study against scripted endpoints that is killed again and again, and what is counted of it, small or large."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from tests.laws.crash.study_child import Settings

from themis.pure.json import content_hash
from themis.testing.endpoint import Drop, FakeEndpoint, Reject, Truncate, flaky

CHILD = Path(__file__).parent / "crash" / "study_child.py"
FAILURES = [Reject(status=429, retry_after="0.02"), Reject(status=500), Reject(status=503), Drop(), Truncate()]


def answer(text: str, body: Mapping[str, Any]) -> str:
    """Answer rightly more often, the larger the model's number."""
    draw = hashlib.sha256(json.dumps([text, body.get("seed"), body.get("temperature")]).encode()).digest()[0]
    return "yes" if draw < 96 + 32 * int(str(body.get("model"))[-1]) else "no"


@contextlib.contextmanager
def endpoints() -> Iterator[Sequence[FakeEndpoint]]:
    """Three that fail 30 % of all requests; one takes few at a time, and one is slow."""
    with (
        FakeEndpoint(script=flaky(0.3, FAILURES, seed=1), answer=answer) as plain,
        FakeEndpoint(script=flaky(0.3, FAILURES, seed=2), answer=answer, allows=3) as narrow,
        FakeEndpoint(script=flaky(0.3, FAILURES, seed=3), answer=answer, latency_s=0.02) as slow,
    ):
        yield plain, narrow, slow


@attrs.define(kw_only=True)
class Counts:
    """What was counted."""

    kills: int = 0
    processes: int = 0
    answered: int = 0
    again: int = 0
    rejected: int = 0


def killed_until_done(
    settings: Settings, served: Sequence[FakeEndpoint], kills: int, rng: random.Random
) -> tuple[str, Counts]:
    """Run a study that is killed so often, then to its end; return what it said, and the counts.

    No request is sent again after its answer was acknowledged.
    """
    counts = Counts()
    before = sum(len(each.log) for each in served)
    answered_before = [len(each.log) for each in served]
    said = ""
    while not said:
        command = [sys.executable, str(CHILD), settings.as_json()]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        counts.processes += 1
        if counts.kills < kills:
            wanted = before + rng.randint(1, max(2, settings.calls // (kills + 1)))
            while process.poll() is None and sum(len(each.log) for each in served) < wanted:
                time.sleep(0.002)
            time.sleep(rng.uniform(0.0, 0.06))  # past the journal's interval
            process.kill()
        said, errors = process.communicate()
        if process.returncode == -signal.SIGKILL:
            said = ""
            counts.kills += 1
        else:
            assert said, errors
        before = sum(len(each.log) for each in served)
    acknowledged = dict[str, float]()
    for line in Path(settings.log).read_text(encoding="utf-8").splitlines():
        moment, request = line.split()
        acknowledged.setdefault(request, float(moment))
    answered = Counter[str]()
    for each, start in zip(served, answered_before, strict=True):
        for one in each.log[start:]:
            request = content_hash(json.loads(one.request.body))
            late = one.request.at_s - acknowledged.get(request, float("inf"))
            assert late <= 0, f"{one.request.body!r} was sent {late:.3f} s after its answer was stored"
            answered[request] += one.play == "Answer"
            counts.rejected += one.play != "Answer"
    assert set(acknowledged) <= set(answered)
    assert len(answered) == settings.calls
    counts.answered = sum(answered.values())
    counts.again = counts.answered - settings.calls
    return said, counts
