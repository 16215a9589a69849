"""All recipes by name; `name:variant` names a variant of one."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Final

from themis.pure.benchmarks.answers import ANSWERS
from themis.pure.benchmarks.bias import BIAS
from themis.pure.benchmarks.choice import CHOICE
from themis.pure.benchmarks.code import CODE
from themis.pure.benchmarks.judged import JUDGED
from themis.pure.benchmarks.knowledge import KNOWLEDGE
from themis.pure.benchmarks.likelihoods import LIKELIHOODS
from themis.pure.benchmarks.math import MATH
from themis.pure.benchmarks.recipe import BenchmarkRecipe
from themis.pure.benchmarks.rules import RULES
from themis.pure.benchmarks.safety import SAFETY
from themis.pure.benchmarks.samples import Sample
from themis.pure.benchmarks.texts import TEXTS
from themis.pure.benchmarks.understanding import UNDERSTANDING
from themis.pure.errors import SpecError, nearest

_FAMILIES: Final = (
    MATH,
    CHOICE,
    KNOWLEDGE,
    UNDERSTANDING,
    LIKELIHOODS,
    BIAS,
    ANSWERS,
    RULES,
    TEXTS,
    CODE,
    JUDGED,
    SAFETY,
)


@functools.cache
def recipes() -> Mapping[str, BenchmarkRecipe]:
    found = {recipe.entry.benchmark_id: recipe for recipe in itertools.chain(*_FAMILIES)}
    return dict(sorted(found.items()))


def find_recipe(name: str) -> tuple[BenchmarkRecipe, str]:
    """Return a benchmark's recipe and the variant that its name names, or the default one.

    Raises:
        SpecError: no benchmark, or no variant, of that name; names the nearest.

    >>> recipe, variant = find_recipe("superchem:zh")
    >>> recipe.entry.title, variant
    ('SUPERChem', 'zh')
    """
    benchmark_id, _, variant = name.partition(":")
    recipe = recipes().get(benchmark_id)
    if recipe is None:
        raise SpecError(f"no benchmark {benchmark_id!r}; {nearest(benchmark_id, recipes(), 'themis catalog list')}")
    return recipe, recipe.entry.checked_variant(variant)


def samples_of(benchmark_id: str) -> tuple[Sample, ...]:
    """Return a benchmark's made rows."""
    return recipes()[benchmark_id].samples
