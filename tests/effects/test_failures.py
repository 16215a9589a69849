"""What fails, fails alone: a generator's error is its case's, a store's error ends the run cleanly and resumably."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from themis import Case, InMemoryRunStore, RunStatus, RuntimeConfig, SqliteRunStore, evaluate
from themis.core import GenerateContext, GenerationResult, StoredEvent
from themis.pure.errors import StoreError
from themis.testing.pipelines import Pipeline, ScriptedMetric

ROWS = [{"case_id": name, "input": name, "expected_output": "fine"} for name in ("good", "bad", "also good")]
PIPELINE = Pipeline(
    cases=60, samples=1, generator=("right", "wrong"), reducer=None, parser=None, metrics=(("right",),), judge=None
)
QUICK = RuntimeConfig(store_retry_delay=0.0)


class Model:
    """Answers, but for the case `bad`."""

    component_id = "test/model"
    version = "1"

    def __init__(self, bad: Any) -> None:
        self._bad = bad

    def fingerprint(self) -> str:
        return "test"

    async def generate(self, case: Case, ctx: GenerateContext) -> Any:
        if case.case_id == "bad":
            return await self._bad(ctx)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="fine")


class AnswersAll(Model):
    """Answers all cases in the way that `Model` does the bad one."""

    async def generate(self, case: Case, ctx: GenerateContext) -> Any:
        return await self._bad(ctx)


class SyncModel(Model):
    """The same, as a plain function in a thread."""

    def generate(self, case: Case, ctx: GenerateContext) -> Any:
        if case.case_id == "bad":
            time.sleep(2)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="fine")


async def raises(ctx: GenerateContext) -> None:
    raise ZeroDivisionError("no luck")


async def hangs(ctx: GenerateContext) -> None:
    await trio.sleep_forever()


async def returns_text(ctx: GenerateContext) -> str:
    return "text"


async def returns_far_too_much(ctx: GenerateContext) -> GenerationResult:
    return GenerationResult(candidate_id=ctx.candidate_id, final_output="x" * 50_000_000)


async def returns_nan(ctx: GenerateContext) -> GenerationResult:
    return GenerationResult(candidate_id=ctx.candidate_id, final_output={"p": float("nan")})


BAD: Mapping[str, tuple[Any, list[str]]] = {
    "raises": (Model(raises), ["no luck"]),
    "hangs": (Model(hangs), ["no answer within 0.2 s"]),
    "hangs in a thread": (SyncModel(None), ["no answer within 0.2 s"]),
    "returns the wrong type": (Model(returns_text), ["test/model.generate()", "returned str", "GenerationResult"]),
    "returns 50 MB": (Model(returns_far_too_much), ["test/model.generate()", "50,000,000 bytes", "'bad'"]),
    "returns NaN": (Model(returns_nan), ["final_output.p: nan is not JSON"]),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_generator_fails_its_own_case_only(how: str) -> None:
    model, words = BAD[how]
    runtime = RuntimeConfig(generation_timeout=0.2, generation_retry_attempts=1)
    result = evaluate(model=model, data=ROWS, metric=ScriptedMetric(), runtime=runtime)
    assert result.status is RunStatus.PARTIAL_FAILURE
    good, bad, also = result.cases
    assert good.scores
    assert also.scores
    (failure,) = bad.generation_failures
    assert bad.case_id == "bad"
    assert failure.component_id == "test/model"
    for word in words:
        assert word in failure.error_message
    assert result.benchmark.error_counts["scripted/metric"] == {"generation_failure": 1}


class UnreliableStore(InMemoryRunStore):
    """Raises in one write out of ten; sometimes after it wrote."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every
        self._dice = random.Random(7)
        self.raised = 0

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        fails = self._dice.randrange(self._every) == 0
        wrote = self._dice.random() < 0.5
        if fails:
            self.raised += 1
        if not fails or wrote:
            super().append(run_id, events, blobs)
        if fails:
            raise OSError("the disk hiccups")


def test_a_store_that_raises_now_and_then_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("themis.effects.journal._LARGEST_BATCH", 3)
    store = UnreliableStore(every=10)
    experiment = PIPELINE.experiment(runtime=QUICK)
    result = experiment.run(store=store)
    assert store.raised > 2
    assert result.digest == PIPELINE.experiment().run().digest
    sequences = [event.sequence for event in store.events(result.run_id)]
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_store_that_fails_for_good_ends_the_run_with_one_clear_error() -> None:
    store = UnreliableStore(every=1)
    store._dice = random.Random(0)
    store._dice.random = lambda: 1.0  # type: ignore[method-assign]  # never writes
    with pytest.raises(StoreError, match=r"after 5 attempts: the disk hiccups.*run again to resume"):
        PIPELINE.experiment(runtime=QUICK).run(store=store)


def test_a_store_that_failed_once_is_waited_for_before_more_is_paid_for() -> None:
    store, calls = UnreliableStore(every=1), 0
    store._dice.random = lambda: 1.0  # type: ignore[method-assign]  # never writes

    async def answers_slowly(ctx: GenerateContext) -> GenerationResult:
        nonlocal calls
        calls += 1
        while calls > 8 and not store.raised:  # noqa: ASYNC110  # a thread raises, and tells no event
            await trio.sleep(0.001)
        await trio.sleep(0.001)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="fine")

    rows = [{"case_id": str(i), "input": i, "expected_output": "fine"} for i in range(1_000)]
    runtime = RuntimeConfig(store_retry_delay=0.3, max_concurrent_tasks=4)
    with pytest.raises(StoreError, match="could not write after 5 attempts"):
        evaluate(model=AnswersAll(answers_slowly), data=rows, metric=ScriptedMetric(), runtime=runtime, store=store)
    assert calls < 100  # those under way, and a few more on a slow machine


class SmallStore(SqliteRunStore):
    """A store on a disk with room for `pages` pages of 4 KB."""

    pages = 0

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        if self.pages:
            connection.execute(f"pragma max_page_count={self.pages}")
        return connection


def test_a_full_disk_ends_the_run_cleanly_and_resuming_works(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    with SqliteRunStore(path):
        pass
    store = SmallStore(path)
    store.pages = 40
    pipeline = Pipeline(
        cases=600, samples=1, generator=("right",), reducer=None, parser=None, metrics=(("right",),), judge=None
    )
    with pytest.raises(StoreError, match=r"s\.sqlite3.*full.*free the disk.*run again to resume"):
        pipeline.experiment(runtime=QUICK).run(store=store)
    store.close()
    with SqliteRunStore(path) as roomy:
        experiment = pipeline.experiment()
        result = experiment.run(store=roomy)
        assert result.digest == pipeline.experiment().run().digest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_ends_the_run_cleanly_and_room_lets_it_go_on(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("themis.effects.journal._LARGEST_BATCH", 200)
    pipeline = attrs.evolve(PIPELINE, cases=2_000)
    path = small_disk / "s.sqlite3"
    with SqliteRunStore(path) as store, pytest.raises(StoreError, match=r"s\.sqlite3.*full.*run again to resume"):
        pipeline.experiment(runtime=QUICK).run(store=store)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    with SqliteRunStore(path) as store:
        experiment = pipeline.experiment()
        assert experiment.run(store=store).digest == pipeline.experiment().run().digest
        assert 0 < sum(experiment.generation.generator.calls.counts.values()) < 2_000


def test_two_writers_of_one_run_are_refused_by_name(tmp_path: Path) -> None:
    experiment = PIPELINE.experiment()
    run_id = experiment.compile().run_id
    with SqliteRunStore(tmp_path / "s.sqlite3") as store, SqliteRunStore(tmp_path / "s.sqlite3") as other:
        other.acquire(run_id)
        with pytest.raises(StoreError, match=r"being written by process \d+"):
            experiment.run(store=store)
        other.release(run_id)
        assert experiment.run(store=store).status is RunStatus.COMPLETED
