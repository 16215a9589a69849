"""The cells of a study as experiments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from themis.api.catalog.benchmark import Benchmark
from themis.api.config.change import with_value
from themis.api.config.record import CandidatesConfig
from themis.api.config.study import BenchmarkConfig, StudyConfig
from themis.api.experiment.experiment import Experiment
from themis.pure.benchmarks.suites import find_suite
from themis.pure.errors import DataError, MissingExtraError, SpecError, ThemisError, listed
from themis.pure.json import JSONValue
from themis.pure.plan import candidate_count
from themis.pure.study import Axes, StudyCell, expand

_SHORT: Final[Mapping[str, str]] = {
    "samples": "generation.candidate_policy.num_samples",
    "until": "evaluation.until",
    "unparsed": "evaluation.unparsed",
}
_OF_THE_STUDY: Final = ("runtime", "storage", "name", "tags", "seeds", "environment_metadata")
"""What is one for all cells, or an axis of its own."""
SEED: Final = "seed"


@attrs.frozen
class CellExperiment:
    """A cell with the experiment that it is."""

    cell: StudyCell
    experiment: Experiment = attrs.field(repr=False)


def option_key(name: str) -> str:
    """Return the dotted key of an option: what has no dot is an argument of the model.

    >>> option_key("temperature"), option_key("samples"), option_key("evaluation.unparsed")
    ('generation.generator.temperature', 'generation.candidate_policy.num_samples', 'evaluation.unparsed')
    """
    return _SHORT.get(name, name if "." in name else f"generation.generator.{name}")


def option_faults(options: Sequence[str]) -> Iterator[str]:
    """Yield why an option can't vary from cell to cell."""
    for name in options:
        first = option_key(name).split(".")[0]
        if first in _OF_THE_STUDY or name in _OF_THE_STUDY:
            yield f"options.{name}: {first if first in _OF_THE_STUDY else name} is the whole study's"
        elif name in ("model", "prompt", "dataset", "benchmark", "seed"):
            yield f"options.{name}: an axis of its own; list its values under {name}s"


def with_options(experiment: Experiment, options: Mapping[str, JSONValue], folder: Path | None = None) -> Experiment:
    """Return an experiment with these options; `seed` is that of the first candidate, the others count on from it.

    Raises:
        SpecError: one of them can't have its value; all such at once.
    """
    faults = []
    for name, value in options.items():
        if name == SEED:
            continue
        try:
            experiment = with_value(experiment, option_key(name), value, folder)
        except (ThemisError, ValueError, TypeError) as error:
            faults.append(f"options.{name}: {error}")
    if faults:
        raise SpecError("; ".join(faults))
    first: Any = options.get(SEED)
    if first is None:
        return experiment
    if isinstance(first, bool) or not isinstance(first, int):
        raise SpecError(f"{SEED}: a whole number expected, found {first!r}")
    return experiment.evolve(seeds=range(first, first + candidate_count(experiment.generation.candidate_policy)))


def grid_cells(experiment: Experiment, options: Mapping[str, Sequence[JSONValue]]) -> tuple[CellExperiment, ...]:
    """Return an experiment with every combination of some options' values.

    Raises:
        SpecError: an option that there is none of, or a value that one can't have; all at once.
    """
    faults = list(option_faults([name for name in options if name != SEED]))
    if faults:
        raise SpecError(listed("the grid", faults))
    cells = expand([options])
    return _built(cells, lambda cell: with_options(experiment, cell.at), "the grid")


def study_cells(study: StudyConfig, folder: Path | None = None) -> tuple[CellExperiment, ...]:
    """Return the cells of a study as experiments; what several of them share is one object.

    Args:
        study: the matrix.
        folder: what paths in options are relative to.

    Raises:
        SpecError: something in it can't be; every fault at once.
        DataError: a benchmark's data can't be read.
    """
    benchmarks = benchmarks_of(study)
    matrices, faults = _matrices(study, benchmarks), list(option_faults([*study.options]))
    if not study.datasets and not benchmarks:
        faults.append("datasets: what is to be evaluated is missing; give datasets, benchmarks or a suite")
    if not study.models:
        faults.append("models: at least one is needed")
    if study.datasets and not study.evaluation.metrics:
        faults.append("evaluation.metrics: how answers on datasets are scored is missing")
    if faults:
        raise SpecError(listed("the study", faults))
    cells = expand(matrices, study.exclude, study.cells)

    @functools.cache
    def base(place: tuple[str, str], prompt: str | None) -> Experiment:
        return _base(study, benchmarks, place, prompt)

    def build(cell: StudyCell) -> Experiment:
        at = dict(cell.at)
        axis = "dataset" if "dataset" in at else "benchmark"
        model, prompt, place = at.pop("model"), at.pop("prompt", None), at.pop(axis)
        found = base((axis, str(place)), None if prompt is None else str(prompt))
        found = found.evolve(generation=found.generation.evolve(generator=study.models[str(model)]))
        return with_options(found, at, folder)

    return _built(cells, build, "the study")


def _built(
    cells: Sequence[StudyCell], build: Callable[[StudyCell], Experiment], what: str
) -> tuple[CellExperiment, ...]:
    """Build every cell; what is wrong with several of them is told once."""
    found, faults = [], dict[str, list[str]]()
    for cell in cells:
        try:
            found.append(CellExperiment(cell, build(cell)))
        except MissingExtraError:
            raise
        except (SpecError, ValueError, TypeError) as error:
            faults.setdefault(str(error), []).append(cell.name)
    if faults:
        raise SpecError(listed(what, [f"{problem} ({cells_named(names)})" for problem, names in faults.items()]))
    return tuple(found)


def cells_named(names: Sequence[str]) -> str:
    """Name a few cells.

    >>> cells_named(["a"]), cells_named(["a", "b", "c", "d"])
    ("cell 'a'", "cells 'a', 'b' and 2 more")
    """
    shown = [*map(repr, names[:2]), *([f"{len(names) - 2} more"] if len(names) > 2 else [])]
    return f"cell{'s' if len(names) > 1 else ''} {' and '.join(filter(None, (', '.join(shown[:-1]), shown[-1])))}"


def benchmarks_of(study: StudyConfig) -> dict[str, BenchmarkConfig]:
    """Return a study's benchmarks, those of its suite first.

    Raises:
        SpecError: there is no such suite.
    """
    suite = [] if study.suite is None else find_suite(study.suite).benchmarks
    return {**{name: BenchmarkConfig() for name in suite}, **study.benchmarks}


def _matrices(study: StudyConfig, benchmarks: Mapping[str, BenchmarkConfig]) -> list[Axes]:
    before = {"model": [*study.models], **({"prompt": [*study.prompts]} if study.prompts else {})}
    after: dict[str, Sequence[JSONValue]] = {**study.options, **({SEED: study.seeds} if study.seeds else {})}
    places = {"dataset": [*study.datasets], "benchmark": [*benchmarks]}
    return [{**before, axis: names, **after} for axis, names in places.items() if names]


def _base(
    study: StudyConfig, benchmarks: Mapping[str, BenchmarkConfig], place: tuple[str, str], prompt: str | None
) -> Experiment:
    """Return what the cells on one dataset or benchmark have in common; any model will do."""
    axis, name = place
    spec = None if prompt is None else study.prompts[prompt]
    model = next(iter(study.models.values()))
    if axis == "benchmark":
        found = _benchmark(study, name, benchmarks[name], spec, model)
    else:
        found = Experiment(
            generation={"generator": model, "prompt_spec": spec},
            evaluation=study.evaluation,
            datasets=study.datasets[name],
        )
    made = {field.name: getattr(study.generation, field.name) for field in attrs.fields(CandidatesConfig)}
    return found.evolve(
        generation=found.generation.evolve(**made),
        storage=study.storage,
        runtime=study.runtime,
        environment_metadata={**study.environment_metadata, **found.environment_metadata},
    )


def _benchmark(study: StudyConfig, name: str, given: BenchmarkConfig, spec: Any, model: Any) -> Experiment:
    judges = given.judge_models or study.evaluation.judge_models
    own: dict[str, Any] = {
        key: value for key in ("parsers", "metrics", "workflow_overrides") if (value := getattr(given, key))
    }
    common = {"unparsed": study.evaluation.unparsed, "judge_config": study.evaluation.judge_config}
    if given.dataset is not None:
        return Experiment(
            generation={"generator": model, "prompt_spec": spec or given.prompt_spec},
            evaluation={"judge_models": judges, **own, **common},
            datasets=given.dataset,
        )
    try:
        found = Benchmark.named(given.benchmark or name).experiment(
            model=model,
            judge=judges,
            prompt=spec or given.prompt_spec,
            shots=given.shots,
            source=given.path,
            revision=given.revision,
            split=given.split,
            limit=given.limit,
            shuffle=given.shuffle,
            skip_misfits=given.skip_misfits,
        )
    except (SpecError, DataError) as error:
        raise type(error)(f"benchmarks.{name}: {error}") from error
    return found.evolve(evaluation=found.evaluation.evolve(**own, **common))
