"""`evaluate`: the shortest way from a model, rows and a metric to a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from themis.api.config.read import as_prompt
from themis.api.config.record import EvaluationConfig, as_runtime
from themis.api.data import Data, as_datasets
from themis.api.experiment.experiment import Experiment, sampled
from themis.api.runs.result import RunResult
from themis.api.stores import Storage, as_storage
from themis.effects.host import sync_variant
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.snapshot import Unparsed
from themis.pure.records.stopping import StoppingRule


async def evaluate_async(
    *,
    model: object,
    data: Data,
    metric: object | Sequence[object],
    input_field: str | None = None,
    expected_field: str | None = None,
    parser: object | Sequence[object] | None = None,
    judge: object | Sequence[object] | None = None,
    samples: int = 1,
    reducer: object | None = None,
    prompt: PromptSpec | Mapping[str, Any] | Path | str | None = None,
    storage: Storage | None = None,
    runtime: RuntimeConfig | Mapping[str, Any] | None = None,
    seeds: Sequence[int] | int | None = None,
    workflow_overrides: Mapping[str, Any] | None = None,
    judge_config: Mapping[str, Any] | None = None,
    unparsed: Unparsed = "incorrect",
    until: StoppingRule | str | None = None,
    name: str | None = None,
    tags: str | Sequence[str] = (),
    environment_metadata: Mapping[str, str] | None = None,
    themis_version: str | None = None,
    python_version: str | None = None,
    platform: str | None = None,
    store: RunStore | Storage | None = None,
    subscribers: Sequence[object] | None = None,
    tracing_provider: TracingProvider | None = None,
) -> RunResult:
    """Evaluate a model on data, from async code: under trio or a running asyncio loop (a notebook).

    Args:
        model: a generator, a builtin's id, a model string such as `openai/gpt-4o`, or an import path.
        data: rows with `input` and, where there is one, `expected_output`; further fields are the cases' metadata. Rows
            are mappings, a data frame of pandas or polars, a dataset of Hugging Face `datasets`, or the path of a
            JSONL, JSON, CSV, TSV or Parquet file. Or cases, a dataset, or several.
        metric: one or several metrics.
        input_field: the rows' field that is the input; `input` if not given.
        expected_field: the field of the reference; `expected_output` if not given.
        parser: a parser, or a fallback chain of them.
        judge: the models that judged metrics ask.
        samples: candidates per case.
        reducer: makes one answer of several candidates; by default the majority vote.
        prompt: the text around each input: a `PromptSpec`, its keys as in a config file, a file of them, or a template
            over the cases' fields such as `"Question: {input}"`.
        storage: where to keep the run: the path of a SQLite file, `jsonl:FOLDER`, or a `StorageConfig`; in memory by
            default.
        runtime: limits, retries and timeouts: a `RuntimeConfig`, or a mapping of its fields.
        seeds: one per candidate.
        workflow_overrides: for builtin judges, such as `{"rubric": "..."}`.
        judge_config: configuration of judging.
        unparsed: what an answer that no parser can read counts as: `incorrect`, or `missing`.
        until: stop as soon as it is clear whether a metric's mean reaches a value: `exact_match>=0.8`, or a
            `StoppingRule`; cases come in a seeded order then.
        name: what to call the run; no part of its identity.
        tags: words to find the run by; no part of its identity.
        environment_metadata: facts to keep beside the run.
        themis_version, python_version, platform: detected when not given.
        store: an open store; or, as for `storage`, where it is.
        subscribers: told of everything that happens.
        tracing_provider: takes spans.
    """
    experiment = Experiment(
        generation=sampled(model, samples, reducer, as_prompt(prompt)),
        evaluation=EvaluationConfig(
            metrics=metric,
            parsers=parser,
            judge_models=judge,
            workflow_overrides=workflow_overrides or {},
            judge_config=judge_config or {},
            unparsed=unparsed,
            until=until,
        ),
        datasets=as_datasets(data, input_field=input_field, expected_field=expected_field),
        storage=as_storage(storage),
        runtime=as_runtime(runtime),
        seeds=seeds,
        name=name,
        tags=tags,
        environment_metadata=environment_metadata or {},
        themis_version=themis_version,
        python_version=python_version,
        platform=platform,
    )
    return await experiment.run_async(store=store, subscribers=subscribers, tracing_provider=tracing_provider)


@sync_variant(evaluate_async, "evaluate")
def evaluate() -> None:
    """Evaluate a model on data, from sync code; arguments as for `evaluate_async`.

    Raises:
        RunningLoopError: an event loop runs here; await `evaluate_async` instead.

    >>> rows = [{"input": "1+1", "expected_output": "2"}]
    >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match")
    >>> result.benchmark.metric_means
    {'builtin/exact_match': 1.0}
    """
