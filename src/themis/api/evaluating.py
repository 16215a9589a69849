"""`evaluate`: the shortest way from a model, rows and a metric to a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from themis.api.config.record import EvaluationConfig, GenerationConfig
from themis.api.experiment import Experiment, as_dataset
from themis.api.runs.result import RunResult
from themis.effects.host import run_sync
from themis.pure.errors import SpecError
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.dataset import Case, Dataset

Data = Dataset | Sequence[Dataset] | Sequence[Case] | Sequence[Mapping[str, Any]]


def as_datasets(data: Data) -> tuple[Dataset, ...]:
    """Return data of any accepted kind as datasets."""
    if isinstance(data, Dataset):
        return (data,)
    items = list(data)
    if items and all(isinstance(item, Dataset) for item in items):
        return tuple(item for item in items if isinstance(item, Dataset))
    return (as_dataset(items),)


def inline_rows(questions: Sequence[str], expected: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return questions, with their answers if there are any, as rows.

    Raises:
        SpecError: not as many answers as questions.

    >>> inline_rows(["1+1"], ["2"])
    [{'input': '1+1', 'expected_output': '2'}]
    """
    if expected is None:
        return [{"input": question} for question in questions]
    if len(expected) != len(questions):
        raise SpecError(f"{len(expected)} expected answers for {len(questions)} questions; give one for each")
    return [
        {"input": question, "expected_output": answer} for question, answer in zip(questions, expected, strict=True)
    ]


def make_experiment(
    *,
    model: object,
    data: Data,
    metric: object | Sequence[object],
    parser: object | Sequence[object] | None = None,
    judge: object | Sequence[object] | None = None,
    samples: int = 1,
    reducer: object | None = None,
    storage: StorageConfig | None = None,
    runtime: RuntimeConfig | None = None,
    seeds: Sequence[int] | None = None,
    workflow_overrides: Mapping[str, Any] | None = None,
    judge_config: Mapping[str, Any] | None = None,
    environment_metadata: Mapping[str, str] | None = None,
    themis_version: str | None = None,
    python_version: str | None = None,
    platform: str | None = None,
) -> Experiment:
    """Return the experiment that `evaluate` runs; arguments as there."""
    if samples > 1 and reducer is None:
        reducer = "builtin/majority_vote"
    return Experiment(
        generation=GenerationConfig(
            generator=model, candidate_policy={"num_samples": samples} if samples != 1 else {}, reducer=reducer
        ),
        evaluation=EvaluationConfig(
            metrics=metric,
            parsers=parser,
            judge_models=judge,
            workflow_overrides=workflow_overrides or {},
            judge_config=judge_config or {},
        ),
        datasets=as_datasets(data),
        storage=storage or StorageConfig(),
        runtime=runtime or RuntimeConfig(),
        seeds=seeds,
        environment_metadata=environment_metadata or {},
        themis_version=themis_version,
        python_version=python_version,
        platform=platform,
    )


async def evaluate_async(
    *,
    model: object,
    data: Data,
    metric: object | Sequence[object],
    parser: object | Sequence[object] | None = None,
    judge: object | Sequence[object] | None = None,
    samples: int = 1,
    reducer: object | None = None,
    storage: StorageConfig | None = None,
    runtime: RuntimeConfig | None = None,
    seeds: list[int] | None = None,
    workflow_overrides: dict[str, object] | None = None,
    judge_config: dict[str, object] | None = None,
    environment_metadata: dict[str, str] | None = None,
    themis_version: str | None = None,
    python_version: str | None = None,
    platform: str | None = None,
    store: RunStore | None = None,
    subscribers: Sequence[object] | None = None,
    tracing_provider: TracingProvider | None = None,
) -> RunResult:
    """Evaluate a model on data, from async code: under trio or a running asyncio loop (a notebook).

    Args:
        model: a generator, a builtin's id, a model string such as `openai/gpt-4o`, or an import path.
        data: a dataset, several, cases, or plain rows with `input` and, where there is one, `expected_output`.
        metric: one or several metrics.
        parser: a parser, or a fallback chain of them.
        judge: the models that judged metrics ask.
        samples: candidates per case.
        reducer: makes one answer of several candidates; by default the majority vote.
        storage: where to keep the run; in memory by default.
        runtime: limits, retries and timeouts.
        seeds: one per candidate.
        workflow_overrides: for builtin judges, such as `{"rubric": "..."}`.
        judge_config: configuration of judging.
        environment_metadata: facts to keep beside the run.
        themis_version, python_version, platform: detected when not given.
        store: an open store, instead of `storage`.
        subscribers: told of everything that happens.
        tracing_provider: takes spans.
    """
    experiment = make_experiment(
        model=model,
        data=data,
        metric=metric,
        parser=parser,
        judge=judge,
        samples=samples,
        reducer=reducer,
        storage=storage,
        runtime=runtime,
        seeds=seeds,
        workflow_overrides=workflow_overrides,
        judge_config=judge_config,
        environment_metadata=environment_metadata,
        themis_version=themis_version,
        python_version=python_version,
        platform=platform,
    )
    return await experiment.run_async(store=store, subscribers=subscribers, tracing_provider=tracing_provider)


def evaluate(
    *,
    model: object,
    data: Data,
    metric: object | Sequence[object],
    parser: object | Sequence[object] | None = None,
    judge: object | Sequence[object] | None = None,
    samples: int = 1,
    reducer: object | None = None,
    storage: StorageConfig | None = None,
    runtime: RuntimeConfig | None = None,
    seeds: list[int] | None = None,
    workflow_overrides: dict[str, object] | None = None,
    judge_config: dict[str, object] | None = None,
    environment_metadata: dict[str, str] | None = None,
    themis_version: str | None = None,
    python_version: str | None = None,
    platform: str | None = None,
    store: RunStore | None = None,
    subscribers: Sequence[object] | None = None,
    tracing_provider: TracingProvider | None = None,
) -> RunResult:
    """Evaluate a model on data, from sync code; arguments as for `evaluate_async`.

    Raises:
        RunningLoopError: an event loop runs here; await `evaluate_async` instead.

    >>> rows = [{"input": "1+1", "expected_output": "2"}]
    >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match")
    >>> result.benchmark.metric_means
    {'builtin/exact_match': 1.0}
    """
    arguments = dict(locals())

    async def main() -> RunResult:
        return await evaluate_async(**arguments)

    return run_sync(main, "evaluate")
