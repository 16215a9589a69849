"""What ships with Themis, by name: benchmarks and builtin components. Listing loads nothing that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry
from themis.pure.benchmarks.registry import find_recipe, recipes
from themis.pure.components.registry import builtins, component_ids, make_builtin
from themis.pure.errors import SpecError, UnknownComponentError, nearest
from themis.pure.fingerprints import component_ref
from themis.pure.records.snapshot import ComponentRef


def list_benchmark_ids() -> list[str]:
    """Return the names of all benchmarks, sorted.

    >>> list_benchmark_ids()[:2]
    ['aethercode', 'aime_2024']
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
    return component_ids(kind)


def builtin_component_refs() -> dict[str, ComponentRef]:
    """Return the builtin components' references, as a run's identity has them: id, version and fingerprint.

    Fingerprints are computed from the components' code and options: the default ones, or, where a component has none
    for what it needs, those of `example_component`.
    """
    from themis.effects.sources.source_code import source_of

    return {name: component_ref(example_component(name), source_of) for name in list_component_ids()}


EXAMPLE_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "builtin/regex": {"pattern": "(?m)^Answer: (.+)$"},
}
"""Options of the components that can't be made without any."""


def example_component(component_id: str) -> Any:
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
        from themis.api.catalog.benchmark import Benchmark

        return Benchmark.named(name)
    try:
        return make_builtin(name, **options)
    except UnknownComponentError:
        known = [*recipes(), *builtins()]
        near = nearest(name, known, "themis catalog list; themis catalog list components")
        raise UnknownComponentError(f"no component or benchmark {name!r}; {near}") from None
