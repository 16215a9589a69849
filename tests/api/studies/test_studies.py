"""Studies in Python: their cells, and how they are run against endpoints and components."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from themis import Case, GenerationResult, InMemoryRunStore, Study, metric
from themis.api.studies.cells import grid_cells
from themis.api.studies.run import compiled
from themis.core import GenerateContext, ParsedOutput, RunStatus
from themis.pure.errors import SpecError
from themis.testing.endpoint import Answer, FakeEndpoint, Play, Reject, Request

ROWS = [{"input": f"{n}+{n}", "expected_output": f"echo: {n}+{n}"} for n in range(6)]
QUICK = {"generation_retry_delay": 0.001, "progress": False}


def study(**changes: Any) -> Study:
    given: dict[str, Any] = {
        "models": {
            "good": {"id": "builtin/demo_model", "error_rate": 0.1},
            "bad": {"id": "builtin/demo_model", "error_rate": 0.8},
        },
        "prompts": {"plain": None, "asked": "Q: {input}"},
        "datasets": {"sums": ROWS},
        "evaluation": {"metrics": "builtin/exact_match"},
        "runtime": QUICK,
    }
    return Study(**{**given, **changes})


def on(endpoint: FakeEndpoint, *names: str, **options: Any) -> dict[str, Any]:
    return {name: {"id": f"vllm/{name}", "base_url": endpoint.base_url, **options} for name in names}


# --- cells ------------------------------------------------------------------------------------------------


def test_a_cell_is_the_run_of_the_same_experiment() -> None:
    """What a study makes of its matrix is what one would write by hand."""
    made = study(
        options={"samples": [1, 2], "evaluation.unparsed": ["missing"]},
        seeds=[5],
        generation={"reducer": "builtin/majority_vote"},
    )
    cells = {each.cell.name: each.experiment for each in made.cell_experiments()}
    assert list(cells)[:2] == [
        "good,plain,sums,samples=1,evaluation.unparsed=missing,seed=5",
        "good,plain,sums,samples=2,evaluation.unparsed=missing,seed=5",
    ]
    found = cells["bad,asked,sums,samples=2,evaluation.unparsed=missing,seed=5"]
    by_hand = found.evolve(
        generation={
            "generator": made.models["bad"],
            "prompt_spec": "Q: {input}",
            "candidate_policy": {"num_samples": 2},
            "reducer": "builtin/majority_vote",
        },
        evaluation={"metrics": "builtin/exact_match", "unparsed": "missing"},
        seeds=[5, 6],
    )
    assert found.compile().run_id == by_hand.compile().run_id
    assert len({each.experiment.datasets for each in made.cell_experiments()}) == 1, "cells share what is the same"


def test_models_prompts_and_data_are_taken_in_any_form(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    made = Study(
        models=["builtin/demo_model", "builtin/demo_generator"],
        prompts="{input}",
        datasets=tmp_path / "rows.jsonl",
        evaluation={"metrics": "exact_match"},
    )
    assert [each.cell.name for each in made.cell_experiments()] == [
        "builtin/demo_model,prompt 1,rows",
        "builtin/demo_generator,prompt 1,rows",
    ]
    assert [dataset.dataset_id for dataset in study().datasets["sums"]] == ["sums"]


def test_faults_of_a_study_are_told_together_and_once() -> None:
    with pytest.raises(SpecError) as error:
        study(options={"runtime.max_cost": [1], "model": ["x"], "name": ["y"]}, datasets=None).cell_experiments()
    assert str(error.value).count("\n") == 4
    for part in (
        "options.runtime.max_cost: runtime is the whole",
        "options.model: an axis",
        "options.name",
        "datasets:",
    ):
        assert part in str(error.value)
    with pytest.raises(
        SpecError, match=r"unknown argument 'eror_rate'.*cells 'good,plain,sums,eror_rate=1', .* and 2 more"
    ):
        study(options={"eror_rate": [1]}).cell_experiments()
    with pytest.raises(SpecError, match="cells 'good,sums' and 'bad,sums' are one run"):
        compiled(
            study(models={"good": "builtin/demo_model", "bad": "builtin/demo_model"}, prompts=None).cell_experiments()
        )


def test_a_model_that_no_name_can_make_anew_takes_no_option() -> None:
    @attrs.frozen
    class Own:
        component_id: str = "own"
        version: str = "1"

        def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
            raise NotImplementedError

    with pytest.raises(SpecError, match=r"options\.temperature: own is an object"):
        study(models={"own": Own()}, options={"temperature": [0]}).cell_experiments()


def test_a_grid_varies_an_experiment() -> None:
    (cell, *_) = study().cell_experiments()
    made = grid_cells(cell.experiment, {"error_rate": [0, 0.5], "seed": [1, 2]})
    assert [each.cell.name for each in made] == [
        f"error_rate={rate},seed={seed}" for rate in ("0", "0.5") for seed in (1, 2)
    ]
    assert [each.experiment.seeds for each in made] == [(1,), (2,)] * 2
    with pytest.raises(SpecError, match="seed: a whole number expected, found 'one'"):
        grid_cells(cell.experiment, {"seed": ["one"]})


# --- running ----------------------------------------------------------------------------------------------


def test_a_study_runs_and_is_read_by_cell() -> None:
    result = study(name="first", tags=["paper"]).run()
    assert result.is_complete
    assert [cell.status for cell in result] == [RunStatus.COMPLETED] * 4
    assert result["good,plain,sums"].at == {"model": "good", "prompt": "plain", "dataset": "sums"}
    assert {cell.name for cell in result.where(model="bad")} == {"bad,plain,sums", "bad,asked,sums"}
    assert [(run.name, set(run.tags)) for run in result.store.list_runs()][-1] == (
        "first/good,plain,sums",
        {"study:first", "paper"},
    )
    with pytest.raises(KeyError, match="no cell 'good'"):
        result["good"]
    again = study(models=dict(reversed([*study().models.items()]))).run()
    assert (again.study_id, again.digest) == (result.study_id, result.digest), "order and names count for nothing"
    board = result.leaderboard()
    assert {row.name for row in board} == {"good,plain", "good,asked", "bad,plain", "bad,asked"}


def test_studies_run_under_trio_and_asyncio() -> None:
    digests = {trio.run(study().run_async).digest, asyncio.run(study().run_async()).digest, study().run().digest}
    assert len(digests) == 1


def test_cells_that_are_complete_are_left_alone_and_added_ones_run(tmp_path: Path) -> None:
    with FakeEndpoint() as endpoint:
        made = study(models=on(endpoint, "one"), storage=tmp_path / "runs.sqlite3")
        first = made.run()
        calls = len(endpoint.log)
        assert calls == 12
        assert made.run().digest == first.digest
        assert len(endpoint.log) == calls
        heads = {cell.run_id: first.store.head(cell.run_id).count for cell in first}
        grown = made.evolve(models=on(endpoint, "one", "two"), options={"temperature": [0.5]})
        assert made.status().is_complete
        assert not grown.status().is_complete
        more = made.evolve(models=on(endpoint, "one", "two")).run()
        assert len(endpoint.log) == calls + 12
        assert all(more.store.head(run_id).count == count for run_id, count in heads.items())
        assert more.study_id != first.study_id


def test_a_cell_that_fails_leaves_the_others_and_is_taken_up_again(tmp_path: Path) -> None:
    known = ["one"]
    with FakeEndpoint(script=lambda request: _unless_known(request, known)) as endpoint:
        made = study(models=on(endpoint, "one", "two"), prompts=None, storage=tmp_path / "runs.sqlite3")
        result = made.run()
        assert not result.is_complete
        assert [cell.is_complete for cell in result] == [True, False]
        assert "no such model" in str(result["two,sums"].error)
        known.append("two")
        calls = len(endpoint.log)
        assert made.run().is_complete
        assert len(endpoint.log) == calls + len(ROWS)


def _unless_known(request: Request, known: list[str]) -> Play:
    return Answer() if request.json()["model"] in known else Reject(status=404, message="no such model")


def test_what_several_cells_ask_for_is_asked_for_once() -> None:
    with FakeEndpoint(latency_s=0.01) as endpoint:
        made = study(
            models=on(endpoint, "one"),
            prompts=None,
            options={"evaluation.parsers": ["builtin/text", "builtin/math_answer"], "samples": [1, 2]},
            cells_at_once=4,
        )
        planned = made.plan()
        assert made.run().is_complete
    asked = Counter(served.request.digest for served in endpoint.log)
    assert set(asked.values()) == {1}
    assert sum(cell.to_ask for cell in planned.cells) == len(endpoint.log) == 2 * len(ROWS)


def test_the_first_cases_of_a_dataset_are_asked_once_with_the_whole_of_it(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    with FakeEndpoint(latency_s=0.01) as endpoint:
        made = study(
            models=on(endpoint, "one"),
            prompts=None,
            datasets={"rows": tmp_path / "rows.jsonl"},
            options={"datasets.0.limit": [3, 6]},
        )
        result = made.run()
    assert [cell.result.progress.total_cases for cell in result if cell.result is not None] == [3, 6]
    assert len(endpoint.log) == len(ROWS)


def test_one_set_of_limits_holds_for_all_cells() -> None:
    with FakeEndpoint(latency_s=0.01) as endpoint:
        made = study(
            models=on(endpoint, "one", "two", "three"), runtime={**QUICK, "max_concurrent_tasks": 3}, cells_at_once=6
        )
        assert made.run().is_complete
        assert endpoint.most_in_flight == 3


def test_one_budget_holds_for_all_cells_and_what_was_spent_before_counts(tmp_path: Path) -> None:
    with FakeEndpoint() as endpoint:
        made = study(models=on(endpoint, "one", "two", max_tokens=5), prompts=None, storage=tmp_path / "runs.sqlite3")
        whole = 2 * len(ROWS)
        tight = {**QUICK, "max_tokens": 60, "max_concurrent_tasks": 2}
        result = made.run(runtime=tight)
        assert not result.is_complete
        asked = len(endpoint.log)
        assert 0 < asked < whole
        assert any("budget" in str(cell.problem) for cell in result)
        assert not made.run(runtime=tight).is_complete
        assert len(endpoint.log) == asked, "a budget is the study's, not the process's"
        assert made.run().is_complete
        assert len(endpoint.log) == whole


def test_an_endpoint_that_asks_to_be_left_alone_does_not_hold_up_another() -> None:
    with FakeEndpoint() as quick:

        def wait(request: Request) -> Play:
            done = len(quick.log) >= 4 * len(ROWS)  # the last answer of the other endpoint opens this one
            return Answer() if done else Reject(status=429, retry_after="0.05")

        with FakeEndpoint(script=wait) as slow:
            models = {**on(slow, "slow", "slower", "slowest"), **on(quick, "quick", "quicker")}
            runtime = {**QUICK, "max_concurrent_tasks": 4, "generation_retry_attempts": 1000}
            assert study(models=models, runtime=runtime).run().is_complete


def test_all_that_is_lacking_is_told_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with FakeEndpoint() as endpoint:
        made = study(models={**on(endpoint, "one"), "gpt": "openai/gpt-4o"})
        with pytest.raises(
            SpecError, match=r"the study can't start: openai/gpt-4o: .*OPENAI_API_KEY.*'gpt,plain,sums'"
        ):
            made.run()
        assert not endpoint.log
        assert any("OPENAI_API_KEY" in problem for problem in made.plan().problems)


@attrs.define
class Opened:
    """A model that counts how often it is closed, and while how many of its cells are left."""

    component_id: str = "opened"
    version: str = "1"
    answered: int = attrs.field(default=0, eq=False)
    closed_after: list[int] = attrs.field(factory=list, eq=False)

    def fingerprint(self) -> str:
        return "opened"

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        self.answered += 1
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=str(case.input))

    async def aclose(self) -> None:
        self.closed_after.append(self.answered)


def test_a_model_that_cells_share_is_closed_once_after_the_last_of_them() -> None:
    model = Opened()
    assert study(models={"opened": model}).run().is_complete
    assert model.closed_after == [2 * len(ROWS)]


def test_a_case_with_an_error_makes_its_cell_incomplete_and_says_so() -> None:
    @metric(component_id="picky")
    def picky(parsed: ParsedOutput, case: Case) -> float:
        if case.input == "3+3":
            raise ValueError("no threes")
        return 1.0

    result = study(models={"a": "builtin/demo_model"}, prompts=None, evaluation={"metrics": picky}).run(
        store=InMemoryRunStore()
    )
    (cell,) = result
    assert (cell.status, cell.problem, result.is_complete) == (RunStatus.PARTIAL_FAILURE, "1 case has an error", False)
    (status,) = result.statuses()
    assert (status.cases, status.done, status.errors, status.means) == (6, 5, 1, {"picky": 1.0})
