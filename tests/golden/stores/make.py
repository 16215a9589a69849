"""Make the stores of this version: `python tests/golden/stores/make.py themis-2`, once per identity algorithm.

What it writes stays as it is from then on: later versions must open, list, report, verify and replay it. The
experiments have builtin components only, so that any version can build them.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any, Final

from themis import Dataset, EvaluationConfig, Experiment, GenerationConfig, PromptSpec, StorageConfig, verify
from themis.api.runs.inspect import quickcheck
from themis.api.runs.report import Reporter
from themis.api.stores import open_store

SUMS: Final = Dataset(
    dataset_id="sums",
    cases=[
        {"case_id": str(n), "input": f"What is {n} + {n}?", "expected_output": str(2 * n), "metadata": {"n": str(n)}}
        for n in range(3)
    ],
    metadata={"made": "by hand"},
)
WORDS: Final = Dataset(
    dataset_id="words",
    cases=[
        {"case_id": "a", "input": "Say ü € 漢", "expected_output": {"said": "ü € 漢"}},
        {"case_id": "b", "input": "Say nothing", "expected_output": "no JSON"},
        {"case_id": "c", "input": "Say 1.50", "expected_output": [1.5, None, True]},
    ],
)

_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "plain": {
        "generation": {"generator": "builtin/demo_model"},
        "evaluation": {"metrics": ["builtin/exact_match", "builtin/f1"], "parsers": ["builtin/text"]},
        "datasets": [SUMS, WORDS],
    },
    "several candidates": {
        "generation": {
            "generator": "builtin/demo_model",
            "candidate_policy": {"num_samples": 3},
            "reducer": "builtin/majority_vote",
            "prompt_spec": PromptSpec(instructions="Answer with a number.", prefix="Q: "),
        },
        "evaluation": {"metrics": ["builtin/numeric_match"]},
        "datasets": [SUMS],
    },
    "judged": {
        "generation": {"generator": "builtin/demo_model"},
        "evaluation": {
            "metrics": ["builtin/llm_rubric", "builtin/exact_match"],
            "judge_models": ["builtin/demo_judge"],
            "judge_config": {"repeats": 2},
            "workflow_overrides": {"rubric": "Is it right?"},
        },
        "datasets": [SUMS],
    },
    "selected": {
        "generation": {
            "generator": "builtin/demo_model",
            "candidate_policy": {"best_of": 2},
            "selector": "builtin/best_of_n",
            "reducer": "builtin/first",
        },
        "evaluation": {"metrics": ["builtin/exact_match"], "judge_models": ["builtin/demo_judge"]},
        "datasets": [SUMS],
        "seeds": [1, 2],
    },
    "parse failures": {
        "generation": {"generator": "builtin/demo_generator"},
        "evaluation": {"metrics": ["builtin/exact_match"], "parsers": ["builtin/json"]},
        "datasets": [WORDS],
    },
}


def experiments() -> dict[str, Experiment]:
    """Return the experiments by name."""
    return {
        name: Experiment(
            generation=GenerationConfig(**fields["generation"]),
            evaluation=EvaluationConfig(**fields["evaluation"]),
            datasets=fields["datasets"],
            seeds=fields.get("seeds"),
        )
        for name, fields in _FIELDS.items()
    }


def facts(store: Any, run_id: str, digest: str) -> dict[str, Any]:
    """Return what every later version must find of a stored run."""
    rows = csv.DictReader(io.StringIO(Reporter(store).export_csv(run_id)))
    return {
        "run_id": run_id,
        "digest": digest,
        "head": store.head(run_id).digest,
        "status": str(quickcheck(store, run_id).status.value),
        "values": [[row["case_key"], row["metric_id"], row["value"]] for row in rows],
        "recomputed": dict(verify(store, run_id).recomputed),
    }


def make(folder: Path, name: str) -> None:
    """Make a SQLite file and a folder of JSON lines, and write down beside them what is in them."""
    found: dict[str, dict[str, Any]] = {}
    for kind, path in (("sqlite", folder / f"{name}.sqlite3"), ("jsonl", folder / f"{name}-jsonl")):
        store = open_store(StorageConfig(store=kind, parameters={"path": str(path)}))
        found[kind] = {}
        for title, experiment in experiments().items():
            if kind == "jsonl" and title == "selected":
                continue  # the largest; one store that has it is enough
            result = experiment.run(store=store)
            found[kind][title] = facts(store, result.run_id, result.digest)
        store.close()
    with contextlib.closing(sqlite3.connect(folder / f"{name}.sqlite3")) as db:
        db.execute("vacuum")
        db.execute("pragma journal_mode = delete")
    shutil.rmtree(folder / f"{name}-jsonl" / "locks")
    text = json.dumps(found, ensure_ascii=False, sort_keys=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(Path(__file__).parent, sys.argv[1])
