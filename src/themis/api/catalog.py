"""The catalog's verbs: list, look up, load, run and validate what ships with Themis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import trio

from themis.api.benchmarks import Benchmark, Source
from themis.api.results import RunResult
from themis.effects.host import run_async as run_on_host
from themis.effects.host import run_sync
from themis.effects.sources.source_code import source_of
from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry
from themis.pure.benchmarks.registry import find_recipe, recipes
from themis.pure.components.registry import builtins, make_builtin
from themis.pure.errors import SpecError, UnknownComponentError, nearest
from themis.pure.fingerprints import component_ref
from themis.pure.protocols import RunStore
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.snapshot import ComponentRef


def list_benchmark_ids() -> list[str]:
    """Return the names of all benchmarks, sorted.

    >>> list_benchmark_ids()[:2]
    ['aethercode', 'aime_2025']
    """
    return list(recipes())


def list_benchmarks() -> list[BenchmarkCatalogEntry]:
    """Return what the catalog knows of each benchmark, sorted by name."""
    return [recipe.entry for recipe in recipes().values()]


def get_benchmark(name: str) -> BenchmarkCatalogEntry:
    """Return what the catalog knows of a benchmark; a variant's name gives the entry that describes all of them.

    Raises:
        SpecError: there is none of that name; names the nearest.

    >>> get_benchmark("mmlu_pro").dataset_id
    'TIGER-Lab/MMLU-Pro'
    """
    return find_recipe(name)[0].entry


def list_component_ids(*, kind: str | None = None) -> list[str]:
    """Return the ids of the builtin components, sorted.

    Args:
        kind: only those of a kind: `generator`, `selector`, `reducer`, `parser`, `metric` or `judge_model`.

    Raises:
        SpecError: there is no such kind.

    >>> "builtin/exact_match" in list_component_ids(kind="metric")
    True
    """
    kinds = {entry.kind for entry in builtins().values()}
    if kind is not None and kind not in kinds:
        raise SpecError(f"no kind of component {kind!r}; {nearest(kind, kinds)}")
    return sorted(name for name, entry in builtins().items() if kind in (None, entry.kind))


def builtin_component_refs() -> dict[str, ComponentRef]:
    """Return the builtin components' references, as they stand in a run's identity: id, version and fingerprint.

    Fingerprints are computed from the components' code and options: the default ones, or, where a component has none
    for what it needs, those of `example_component`.
    """
    return {name: component_ref(example_component(name), source_of) for name in list_component_ids()}


EXAMPLE_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "builtin/regex": {"pattern": "(?m)^Answer: (.+)$"},
    "builtin/json_schema": {"schema": {"type": "object"}},
}
"""Options of the components that can't be made without any."""


def example_component(component_id: str) -> Any:
    """Return a builtin component, with example options where it needs some."""
    return make_builtin(component_id, **EXAMPLE_OPTIONS.get(component_id, {}))


def load(name: str, **options: Any) -> Any:
    """Return a builtin component or a benchmark.

    A component comes made with the options given, or its default ones. A benchmark comes as a `Benchmark`, which reads
    no data until its `dataset(...)` or `experiment(...)` is asked for.

    Args:
        name: a component's id (`builtin/exact_match`, or `exact_match`), or a benchmark's name (`mmlu_pro`,
            `superchem:zh`).
        **options: of a component: its fields.

    Raises:
        SpecError: nothing has this name, and the nearest is named; or the component takes other options.

    >>> load("builtin/exact_match").component_id, load("superchem:zh").name
    ('builtin/exact_match', 'superchem:zh')
    """
    if name.partition(":")[0] in recipes():
        if options:
            raise SpecError(f"{name} is a benchmark and takes no options here; its dataset() and experiment() do")
        return Benchmark.named(name)
    try:
        return make_builtin(name, **options)
    except TypeError as error:
        raise SpecError(f"{name}: {str(error).rpartition('__init__() ')[2]}") from None
    except UnknownComponentError:
        known = [*recipes(), *builtins()]
        raise UnknownComponentError(f"no component or benchmark {name!r}; {nearest(name, known)}") from None


async def run_async(
    name: str,
    *,
    model: object | None = None,
    store: RunStore | None = None,
    judge: object | None = None,
    source: Source | None = None,
    revision: str | None = None,
    limit: int | None = None,
    shuffle: int | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  # the field's word
    skip_misfits: bool = False,
    samples: int = 1,
    seed: int | None = None,
    storage: StorageConfig | None = None,
    runtime: RuntimeConfig | None = None,
) -> RunResult:
    """Run a benchmark, from async code: under trio or a running asyncio loop.

    Args:
        name: the benchmark, such as `mmlu_pro` or `superchem:zh`.
        model: a generator, a builtin's id, a model string such as `openai/gpt-4o`, or an import path; a demo model
            if not given.
        store: an open store; by default what `storage` says.
        judge: the model that grades answers, where the benchmark needs one.
        source: where the rows are: `"hub"`, a file, a folder, or the rows themselves; by default the package that
            ships them if one does, else the hub.
        revision: a branch, tag or commit on the hub; the newest commit if not given.
        limit: take only the first cases.
        shuffle: a seed; the cases come in the order it gives them, and `limit` takes the first of those.
        filter: metadata fields with the value, or the values, wanted.
        skip_misfits: whether rows that don't fit are skipped and counted; else they fail the load.
        samples: candidates per case; their majority is the answer.
        seed: of the first candidate.
        storage: where the run is kept; in memory by default.
        runtime: limits, retries and timeouts.

    Raises:
        SpecError: no such benchmark or variant, no judge where one is needed, or a component lacks something: all of
            it before the first call to a model.
        DataError: the data can't be read, or don't fit.
    """
    benchmark = Benchmark.named(name)

    def build() -> Any:
        return benchmark.experiment(
            model=model,
            judge=judge,
            samples=samples,
            seed=seed,
            storage=storage,
            runtime=runtime,
            source=source,
            revision=revision,
            limit=limit,
            shuffle=shuffle,
            filter=filter,
            skip_misfits=skip_misfits,
        )

    async def main() -> RunResult:
        # Data may have to be downloaded; the event loop must not stand still meanwhile.
        experiment = await trio.to_thread.run_sync(build)
        result: RunResult = await experiment.run_async(store=store)
        return result

    return await run_on_host(main)


def run(
    name: str,
    *,
    model: object | None = None,
    store: RunStore | None = None,
    judge: object | None = None,
    source: Source | None = None,
    revision: str | None = None,
    limit: int | None = None,
    shuffle: int | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  # the field's word
    skip_misfits: bool = False,
    samples: int = 1,
    seed: int | None = None,
    storage: StorageConfig | None = None,
    runtime: RuntimeConfig | None = None,
) -> RunResult:
    """Run a benchmark, from sync code; arguments as for `run_async`.

    Raises:
        RunningLoopError: an event loop runs here; await `run_async` instead.

    >>> rows = [{"problem_idx": 1, "problem": "1 + 1?", "answer": "2"}]
    >>> run("aime_2026", source=rows, model="builtin/demo_generator").progress.total_cases
    1
    """
    arguments = dict(locals())

    async def main() -> RunResult:
        return await run_async(**arguments)

    return run_sync(main, "catalog.run")
