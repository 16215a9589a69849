"""Validating a benchmark: do its rows become cases, and does it tell a right answer from a wrong one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from themis.api.catalog.benchmark import Benchmark, Source, evaluation_of
from themis.api.config.record import GenerationConfig
from themis.api.experiment.experiment import Experiment
from themis.pure.benchmarks.columns import Row
from themis.pure.benchmarks.recipe import read_case
from themis.pure.benchmarks.samples import Sample
from themis.pure.benchmarks.samples.every import samples_of
from themis.pure.benchmarks.validation import BenchmarkValidationResult, StatedAnswers, ValidationCheck
from themis.pure.components.registry import make_builtin
from themis.pure.errors import DataError, MissingExtraError, ThemisError
from themis.pure.identity import case_key
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.prompt import PromptSpec

_RIGHT, _WRONG = "right answers", "wrong answers"
_NEAR_ENOUGH = 1e-9


def validate_benchmark(name: str, *, source: Source | None = None) -> BenchmarkValidationResult:
    """Check that a benchmark loads, has cases, and scores answers as it should.

    Nothing is downloaded: the rows are made ones in the dataset's columns. Their right answers must score what they
    are worth, and their wrong ones less. Judged benchmarks are scored by the demo judge, code is executed in the local
    sandbox.

    Args:
        name: the benchmark, such as `mmlu_pro` or `superchem:zh`; the name alone checks the variants too.
        source: other rows to check for their columns: `"hub"`, a file, a folder, or the rows themselves.

    Raises:
        SpecError: there is no benchmark of that name.
        RunningLoopError: an event loop runs here; call it from a thread.

    >>> result = validate_benchmark("simpleqa_verified")
    >>> result.ok, [check.name for check in result.checks]
    (True, ['rows', 'prompt', 'components', 'right answers', 'wrong answers'])
    """
    benchmark = Benchmark.named(name)
    samples = _samples(benchmark, stated=":" in name)
    checks = [_check_rows(benchmark, samples, source)]
    if checks[0].status == "passed":
        asked = _asked(benchmark, samples)
        checks += [_check_prompt(benchmark, asked), _check_components(benchmark)]
        if checks[-1].status == "passed":
            checks += _check_answers(benchmark, asked)
        elif checks[-1].status == "skipped":
            checks += [attrs.evolve(checks[-1], name=which) for which in (_RIGHT, _WRONG)]
    return BenchmarkValidationResult(
        benchmark_id=benchmark.entry.benchmark_id, variant=benchmark.variant, checks=checks
    )


def _samples(benchmark: Benchmark, *, stated: bool) -> tuple[Sample, ...]:
    """Return the made rows; those of one variant if the name states one and there are any."""
    every = samples_of(benchmark.entry.benchmark_id)
    of_variant = tuple(sample for sample in every if sample.variant == benchmark.variant)
    return of_variant if stated and of_variant else every


def _check(name: str, problems: Sequence[str], seen: str = "") -> ValidationCheck:
    if problems:
        return ValidationCheck(name=name, status="failed", details=problems)
    return ValidationCheck(name=name, status="passed", details=[seen] if seen else [])


# --- rows -------------------------------------------------------------------------------------------------


def _check_rows(benchmark: Benchmark, samples: Sequence[Sample], source: Source | None) -> ValidationCheck:
    """Check that rows load, through the same door as a run's."""
    made: dict[str, list[Row]] = {}
    for sample in samples:
        if not sample.left_out:
            made.setdefault(_variant(benchmark, sample), []).append(sample.row)
    sources: Mapping[str, Source] = made if source is None else {benchmark.variant: source}
    seen, problems = 0, []
    for variant, given in sources.items():
        try:
            seen += len(Benchmark(benchmark.recipe, variant).dataset(source=given).cases)
        except ThemisError as error:
            problems.append(str(error))
    return _check("rows", problems, f"{seen} cases")


def _variant(benchmark: Benchmark, sample: Sample) -> str:
    return benchmark.entry.checked_variant(sample.variant) or benchmark.variant


def _asked(benchmark: Benchmark, samples: Sequence[Sample]) -> list[tuple[Sample, Case]]:
    """Return the samples that the benchmark does not leave out, with their cases, each under an id of its own."""
    asked = []
    for number, sample in enumerate(samples, 1):
        found = read_case(benchmark.recipe, _variant(benchmark, sample), sample.row, number)
        if isinstance(found, Case) == sample.left_out:
            raise DataError(f"{benchmark.name}: the rules about what is left out are broken by made row {number}")
        if isinstance(found, Case):
            asked.append((sample, found.evolve(case_id=f"{number}/{found.case_id}")))
    return asked


# --- prompt and components --------------------------------------------------------------------------------


def _check_prompt(benchmark: Benchmark, asked: Sequence[tuple[Sample, Case]]) -> ValidationCheck:
    prompt = benchmark.entry.prompt_of(benchmark.variant) or PromptSpec()
    lengths = [len(prompt.render(case)) for _, case in asked]
    problems = [f"made row {number} gives an empty prompt" for number, length in enumerate(lengths, 1) if not length]
    return _check("prompt", problems, f"{min(lengths)} to {max(lengths)} characters")


def _check_components(benchmark: Benchmark) -> ValidationCheck:
    """Check that parsers and metrics are there, and have what they need on this machine."""
    entry = benchmark.entry
    languages: list[str] = []
    problems, lacking = [], []
    for choice in (*entry.parsers, *entry.metrics):
        try:
            component = make_builtin(choice.component_id, **choice.options)
            languages += getattr(component, "sandbox_languages", ())
            lacks = component.check() if hasattr(component, "check") else ()
            lacking += [f"{choice.component_id}: {problem}" for problem in lacks or ()]
        except MissingExtraError as error:
            lacking.append(f"{choice.component_id}: {error}")
        except ThemisError as error:
            problems.append(str(error))
    if entry.requires_sandbox and not problems:
        lacking += _sandbox_lacks(languages)
    if lacking and not problems:
        return ValidationCheck(name="components", status="skipped", details=lacking)
    return _check("components", problems, ", ".join(choice.component_id for choice in entry.metrics))


def _sandbox_lacks(languages: Sequence[str]) -> list[str]:
    from themis.effects.sandboxes import open_sandbox

    try:
        return [f"sandbox: {problem}" for problem in open_sandbox().check(languages)]
    except ThemisError as error:
        return [str(error)]


# --- answers ----------------------------------------------------------------------------------------------


def _check_answers(benchmark: Benchmark, asked: Sequence[tuple[Sample, Case]]) -> list[ValidationCheck]:
    """Run the samples with both answers, end to end, and hold the scores against what the answers are worth."""
    scores = _scores(benchmark, asked)
    checks = []
    for which in (_RIGHT, _WRONG):
        problems = []
        for sample, case in asked:
            expected = sample.right_score if which == _RIGHT else sample.wrong_score
            value, error = scores[which, case.case_id]
            if value is None:
                problems.append(f"case {case.case_id!r} has no score: {error}")
            elif abs(value - expected) > _NEAR_ENOUGH:
                problems.append(f"case {case.case_id!r} scores {value:g}, and {expected:g} was expected")
        checks.append(_check(which, problems, f"{len(asked)} scored as they should"))
    return checks


def _scores(
    benchmark: Benchmark, asked: Sequence[tuple[Sample, Case]]
) -> Mapping[tuple[str, str], tuple[float | None, str | None]]:
    entry = benchmark.entry
    answers = {
        case_key(which, case.case_id): sample.right if which == _RIGHT else sample.wrong
        for which in (_RIGHT, _WRONG)
        for sample, case in asked
    }
    experiment = Experiment(
        generation=GenerationConfig(generator=StatedAnswers(answers), prompt_spec=entry.prompt_of(benchmark.variant)),
        evaluation=evaluation_of(entry, "builtin/demo_judge"),
        datasets=[Dataset(dataset_id=which, cases=[case for _, case in asked]) for which in (_RIGHT, _WRONG)],
    )
    rows = experiment.run().benchmark.score_rows
    return {(row.dataset_id, row.case_id): (row.value, row.error_message) for row in rows}
