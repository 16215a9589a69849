"""The made rows of every benchmark, by name."""

from __future__ import annotations

from themis.pure.benchmarks.samples import Sample
from themis.pure.benchmarks.samples.choice import CHOICE_SAMPLES
from themis.pure.benchmarks.samples.code import CODE_SAMPLES
from themis.pure.benchmarks.samples.judged import JUDGED_SAMPLES
from themis.pure.benchmarks.samples.math import MATH_SAMPLES


def samples_of(benchmark_id: str) -> tuple[Sample, ...]:
    return {**MATH_SAMPLES, **CHOICE_SAMPLES, **CODE_SAMPLES, **JUDGED_SAMPLES}[benchmark_id]
