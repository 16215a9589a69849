"""Running a benchmark of the catalog by its name."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import trio

from themis.api.catalog.benchmark import Benchmark, Source
from themis.api.runs.result import RunResult
from themis.api.stores import Storage
from themis.effects.host import run_async as run_on_host
from themis.effects.host import sync_variant
from themis.pure.protocols import RunStore
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.stopping import StoppingRule


async def run_async(
    name: str,
    *,
    model: object | None = None,
    store: RunStore | Storage | None = None,
    judge: object | None = None,
    source: Source | None = None,
    revision: str | None = None,
    limit: int | None = None,
    shuffle: int | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  # the field's word
    skip_misfits: bool = False,
    samples: int = 1,
    seed: int | None = None,
    prompt: PromptSpec | Mapping[str, Any] | Path | str | None = None,
    shots: int | Literal["usual"] = 0,
    shots_split: str | None = None,
    until: StoppingRule | str | None = None,
    storage: Storage | None = None,
    runtime: RuntimeConfig | Mapping[str, Any] | None = None,
    run_name: str | None = None,
    tags: str | Sequence[str] = (),
) -> RunResult:
    """Run a benchmark, from async code: under trio or a running asyncio loop.

    Args:
        name: the benchmark, such as `mmlu_pro` or `superchem:zh`.
        store: an open store, or where it is; by default what `storage` says.
        model, judge, samples, seed, prompt, shots, shots_split, storage, runtime: what runs it, and how: as for
            `Benchmark.experiment`.
        run_name: what to call the run; no part of its identity.
        tags: words to find the run by; no part of its identity.
        until: stop as soon as it is clear whether a metric's mean reaches a value, as for `evaluate`.
        source, revision, limit, shuffle, filter, skip_misfits: which data: as for `Benchmark.dataset`.

    Raises:
        SpecError: no such benchmark or variant, no judge where one is needed, or a component lacks something: all of
            it before the first call to a model.
        DataError: the data can't be read, or don't fit.
    """
    build = functools.partial(
        Benchmark.named(name).experiment,
        model=model,
        judge=judge,
        samples=samples,
        seed=seed,
        prompt=prompt,
        shots=shots,
        shots_split=shots_split,
        storage=storage,
        runtime=runtime,
        name=run_name,
        tags=tags,
        source=source,
        revision=revision,
        limit=limit,
        shuffle=shuffle,
        filter=filter,
        skip_misfits=skip_misfits,
    )

    async def main() -> RunResult:
        # Data may have to be downloaded; the event loop must not be blocked.
        experiment = await trio.to_thread.run_sync(build)
        if until is not None:
            experiment = experiment.evolve(evaluation=experiment.evaluation.evolve(until=until))
        return await experiment.run_async(store=store)

    return await run_on_host(main)


@sync_variant(run_async, "catalog.run")
def run() -> None:
    """Run a benchmark, from sync code; arguments as for `run_async`.

    Raises:
        RunningLoopError: an event loop runs here; await `run_async` instead.

    >>> rows = [{"problem_idx": 1, "problem": "1 + 1?", "answer": "2"}]
    >>> run("aime_2026", source=rows, model="builtin/demo_generator").progress.total_cases
    1
    """
