"""The catalog: benchmarks and builtin components by name.

    from themis import catalog

    catalog.list_benchmark_ids()
    result = catalog.run("humaneval", model="openai/gpt-4o", limit=20)

A variant is named behind a colon (`superchem:zh`). Everything here is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from themis._doors import open_door

if TYPE_CHECKING:
    from themis.api.catalog.benchmark import Benchmark as Benchmark
    from themis.api.catalog.entries import builtin_component_refs as builtin_component_refs
    from themis.api.catalog.entries import get_benchmark as get_benchmark
    from themis.api.catalog.entries import list_benchmark_ids as list_benchmark_ids
    from themis.api.catalog.entries import list_benchmarks as list_benchmarks
    from themis.api.catalog.entries import list_component_ids as list_component_ids
    from themis.api.catalog.entries import load as load
    from themis.api.catalog.run import run as run
    from themis.api.catalog.run import run_async as run_async
    from themis.api.catalog.validate import validate_benchmark as validate_benchmark
    from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry as BenchmarkCatalogEntry
    from themis.pure.benchmarks.recipe import BenchmarkRecipe as BenchmarkRecipe
    from themis.pure.benchmarks.validation import BenchmarkValidationResult as BenchmarkValidationResult
    from themis.pure.benchmarks.validation import ValidationCheck as ValidationCheck
else:
    __getattr__, __dir__ = open_door(__name__)
