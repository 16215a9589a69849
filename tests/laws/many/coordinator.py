"""Has an engine run an experiment: `coordinator.py DSN SCHEMA LOG ENGINE WORKERS [ADDRESS]`; says how it ended."""

from __future__ import annotations

import sys

from tests.laws.many.logging_components import Answers, Judge, Length

from themis import Dataset, EvaluationConfig, Experiment, GenerationConfig, RuntimeConfig
from themis.api.experiment.many.engines import engine_named
from themis.pure.records.config import StorageConfig

CASES, SAMPLES = 60, 2


def experiment(
    log: str, storage: StorageConfig | None = None, *, cases: int = CASES, wait_s: float = 0.01
) -> Experiment:
    return Experiment(
        generation=GenerationConfig(
            generator=Answers(log, wait_s), candidate_policy={"num_samples": SAMPLES}, reducer="builtin/majority_vote"
        ),
        evaluation=EvaluationConfig(metrics=[Length(), "builtin/llm_rubric"], judge_models=[Judge(log)]),
        datasets=Dataset(dataset_id="d", cases=[{"case_id": str(i), "input": i} for i in range(cases)]),
        runtime=RuntimeConfig(max_concurrent_tasks=8, progress=False),
        storage=storage or StorageConfig(),
    )


def main(dsn: str, schema: str, log: str, engine: str, workers: str, address: str = "") -> None:
    storage = StorageConfig(store="postgres", parameters={"dsn": dsn, "schema": schema})
    chosen = engine_named(engine, workers=int(workers), address=address or None)
    result = experiment(log, storage).run(engine=chosen, segment_size=4)
    sys.stdout.write(f"{result.status} {result.digest} {result.progress.total_cases}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
