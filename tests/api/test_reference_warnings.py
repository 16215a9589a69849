"""References that no answer can equal are warned of before the first call, and on the command line as one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis import Case, EvaluationConfig, Experiment, GenerationConfig, InMemoryRunStore
from themis.api.data import as_datasets
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult
from themis.pure.references import ReferenceWarning


@attrs.frozen
class Paid:
    """A model at an endpoint, whose calls are counted."""

    calls: list[str] = attrs.field(factory=list, eq=False)
    component_id: str = "tests/paid"
    version: str = "1"
    provider_key: str = "tests"

    def fingerprint(self) -> str:
        return "paid"

    def request(self, case: Case, ctx: GenerateContext) -> Any:
        return case.input

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        self.calls.append(case.case_id)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=str(case.expected_output))


def experiment(model: Paid, expected: list[Any], parser: str | None = None) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=model),
        evaluation=EvaluationConfig(metrics="builtin/exact_match", parsers=parser),
        datasets=as_datasets([{"input": n, "expected_output": each} for n, each in enumerate(expected)]),
    )


@pytest.mark.parametrize("parser", [None, "builtin/text"])
def test_a_warning_comes_before_the_first_call_and_as_an_error_it_stops_the_run(parser: str | None) -> None:
    model, store = Paid(), InMemoryRunStore()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ReferenceWarning)
        with pytest.raises(ReferenceWarning, match="all 6 references are numbers"):
            experiment(model, [*range(6)], parser).run(store=store)
    assert (model.calls, list(store.list_runs())) == ([], [])
    with pytest.warns(ReferenceWarning, match="builtin/numeric_match") as caught:
        result = experiment(model, [*range(6)], parser).run(store=store)
    assert len(caught) == 1
    assert len(model.calls) == 6
    assert set(result.benchmark.metric_means.values()) == {0.0}
    # What is replayed is paid for already, and its report says the same.
    assert experiment(model, [*range(6)], parser).replay(stage="parse", store=store).run_id == result.run_id


def test_a_run_that_can_be_right_is_not_warned_of() -> None:
    result = experiment(Paid(), [str(n) for n in range(6)]).run()  # a warning would be an error
    assert set(result.benchmark.metric_means.values()) == {1.0}


def test_the_command_line_warns_in_one_line_and_the_table_says_it_again(tmp_path: Path) -> None:
    rows = "".join(f"{json.dumps({'input': f'{n}+0', 'expected_output': n})}\n" for n in range(6))
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    words = ["quick-eval", "file", "rows.jsonl", "--model", "builtin/demo_generator", "--metric", "exact_match"]
    done = subprocess.run(
        [sys.executable, "-m", "themis", *words, "--parser", "builtin/text"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=True,
    )
    (warning,) = [line for line in done.stderr.splitlines() if "warning" in line.lower()]
    assert warning.startswith("themis: warning: builtin/exact_match, dataset ")
    assert "all 6 references are numbers" in warning
    assert "Warnings\nbuiltin/exact_match scored 0 everywhere: all 6 references are numbers" in done.stdout
