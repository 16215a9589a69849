"""Validating a benchmark: do its rows become cases, and does it tell a right answer from a wrong one?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

from themis.api.catalog.benchmark import Benchmark, Source, evaluation_of
from themis.api.config.record import GenerationConfig
from themis.api.experiment.experiment import Experiment
from themis.pure.benchmarks.columns import Row
from themis.pure.benchmarks.recipe import read_case
from themis.pure.benchmarks.registry import samples_of
from themis.pure.benchmarks.samples import Sample, likelihoods
from themis.pure.benchmarks.validation import BenchmarkValidationResult, StatedAnswers, ValidationCheck
from themis.pure.components.registry import make_builtin
from themis.pure.errors import DataError, MissingExtraError, ThemisError
from themis.pure.identity import case_key
from themis.pure.json import JSONValue
from themis.pure.likelihoods import asked_likelihoods
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.results import BenchmarkScoreRow

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
        checks += [_check_prompt(benchmark, asked), _check_components(benchmark, {one.variant for one in asked})]
        if checks[-1].status == "passed":
            checks += _check_answers(benchmark, asked)
        elif checks[-1].status == "skipped":
            checks += [attrs.evolve(checks[-1], name=which) for which in (_RIGHT, _WRONG)]
    return BenchmarkValidationResult(
        benchmark_id=benchmark.entry.benchmark_id, variant=benchmark.variant, checks=checks
    )


@attrs.frozen
class _Asked:
    """A made row with its variant and its case."""

    variant: str
    sample: Sample
    case: Case


def _samples(benchmark: Benchmark, *, stated: bool) -> tuple[Sample, ...]:
    """Return the made rows; those of one variant if the name states one and there are any."""
    every = samples_of(benchmark.entry.benchmark_id)
    checked = benchmark.entry.checked_variant
    of_variant = tuple(sample for sample in every if checked(sample.variant) == benchmark.variant)
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


def _asked(benchmark: Benchmark, samples: Sequence[Sample]) -> list[_Asked]:
    """Return the samples that the benchmark does not leave out, with their cases, each under an id of its own."""
    asked = []
    for number, sample in enumerate(samples, 1):
        variant = _variant(benchmark, sample)
        found = read_case(benchmark.recipe, variant, sample.row, number)
        if isinstance(found, Case) == sample.left_out:
            raise DataError(f"{benchmark.name}: the rules about what is left out are broken by made row {number}")
        if isinstance(found, Case):
            asked.append(_Asked(variant, sample, found.evolve(case_id=f"{number}/{found.case_id}")))
    return asked


# --- prompt and components --------------------------------------------------------------------------------


def _check_prompt(benchmark: Benchmark, asked: Sequence[_Asked]) -> ValidationCheck:
    lengths, problems = [], []
    for number, one in enumerate(asked, 1):
        prompt = benchmark.entry.prompt_of(one.variant) or PromptSpec()
        asked_for = asked_likelihoods(one.case, prompt)
        shown = [prompt.render(one.case)] if asked_for is None else asked_for.continuations
        lengths.append(sum(map(len, shown)))
        if not all(shown):
            problems.append(f"made row {number} gives an empty prompt")
    return _check("prompt", problems, f"{min(lengths)} to {max(lengths)} characters")


def _check_components(benchmark: Benchmark, variants: Collection[str]) -> ValidationCheck:
    """Check that parsers and metrics are there, and have what they need on this machine."""
    entry = benchmark.entry
    languages: list[str] = []
    problems, lacking = [], []
    chosen = [choice for name in sorted(variants) for choice in (*entry.parsers_of(name), *entry.metrics_of(name))]
    for choice in {choice.compute_hash(): choice for choice in chosen}.values():
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
    return _check("components", problems, ", ".join(choice.named for choice in entry.metrics_of(benchmark.variant)))


def _sandbox_lacks(languages: Sequence[str]) -> list[str]:
    from themis.effects.sandboxes import open_sandbox

    try:
        return [f"sandbox: {problem}" for problem in open_sandbox().check(languages)]
    except ThemisError as error:
        return [str(error)]


# --- answers ----------------------------------------------------------------------------------------------


def _check_answers(benchmark: Benchmark, asked: Sequence[_Asked]) -> list[ValidationCheck]:
    """Run the samples with both answers, end to end, and hold the scores against what the answers are worth."""
    scores: dict[tuple[str, str], list[BenchmarkScoreRow]] = {}
    for variant in sorted({one.variant for one in asked}):
        for row in _score_rows(benchmark, variant, [one for one in asked if one.variant == variant]):
            scores.setdefault((row.dataset_id, row.case_id), []).append(row)
    checks = []
    for which in (_RIGHT, _WRONG):
        problems = []
        for one in asked:
            expected = one.sample.right_score if which == _RIGHT else one.sample.wrong_score
            first = benchmark.entry.metrics_of(one.variant)[0].named
            for row in scores[which, one.case.case_id]:
                if row.value is None:
                    problems.append(f"case {row.case_id!r} has no score: {row.error_message}")
                elif row.metric_id == first and abs(row.value - expected) > _NEAR_ENOUGH:
                    problems.append(f"case {row.case_id!r} scores {row.value:g}, and {expected:g} was expected")
        checks.append(_check(which, problems, f"{len(asked)} scored as they should"))
    return checks


def _score_rows(benchmark: Benchmark, variant: str, asked: Sequence[_Asked]) -> Sequence[BenchmarkScoreRow]:
    entry, prompt = benchmark.entry, benchmark.entry.prompt_of(variant)
    answers = {
        case_key(which, one.case.case_id): _answer(
            one, prompt, one.sample.right if which == _RIGHT else one.sample.wrong
        )
        for which in (_RIGHT, _WRONG)
        for one in asked
    }
    if prompt is not None:  # an answer is stated, so that nothing needs to be asked for
        prompt = prompt.evolve(continuations=None)
    experiment = Experiment(
        generation=GenerationConfig(generator=StatedAnswers(answers), prompt_spec=prompt),
        evaluation=evaluation_of(entry, variant, "builtin/demo_judge"),
        datasets=[Dataset(dataset_id=which, cases=[one.case for one in asked]) for which in (_RIGHT, _WRONG)],
    )
    return experiment.run().benchmark.score_rows


def _answer(one: _Asked, prompt: PromptSpec | None, stated: str | int) -> JSONValue:
    asked = asked_likelihoods(one.case, prompt)
    return likelihoods(asked.continuations, stated) if asked is not None and isinstance(stated, int) else stated
