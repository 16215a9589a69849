"""The whole file of a study as records, in the language of experiments' files: a key is a field here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import attrs

from themis.api.config.keys import Bound
from themis.api.config.record import (
    CandidatesConfig,
    ComponentConfig,
    DatasetConfig,
    EvaluationConfig,
    Generator,
    JudgeModel,
    Metric,
    Parser,
    PromptConfig,
    as_evaluation,
    as_runtime,
    as_several,
    as_spec,
)
from themis.api.data import Data, as_datasets
from themis.api.stores import as_storage
from themis.pure.errors import InvalidRecordError, SpecError
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import FrozenModel
from themis.pure.records.config import RuntimeConfig, StorageConfig, positive
from themis.pure.records.dataset import Dataset
from themis.pure.records.fields import (
    A_PATH,
    a_list,
    json_object,
    json_objects,
    named_fields,
    one_of,
    record_of,
    shown,
    text,
    text_mapping,
    texts,
)
from themis.pure.records.prompt import PromptSpec
from themis.pure.stats.suites import Tier

_Name: TypeAlias = Annotated[str, Bound("minLength", 1)]
_Count: TypeAlias = Annotated[int, Bound("minimum", 1)]


def _dataset(value: Data | DatasetConfig | None) -> Any:
    if value is None or isinstance(value, DatasetConfig):
        return value
    found = as_datasets(value)
    if len(found) != 1:
        raise SpecError(f"dataset: one dataset expected, found {len(found)}")
    return found[0]


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BenchmarkConfig(FrozenModel):
    """A benchmark of the catalog, or one of your own: data, with a prompt and how answers are read and scored.

    Attributes:
        benchmark: its name in the catalog, such as mmlu_pro; by default what it is called here.
        dataset: cases of your own, instead of the catalog's.
        prompt_spec: the text around each case's input; by default the catalog's.
        parsers: a fallback chain; by default the catalog's.
        metrics: one or several; by default the catalog's.
        judge_models: the models that judged metrics ask; by default those of the study's evaluation.
        workflow_overrides: for builtin judges, such as a rubric; by default the catalog's.
        path: a file or folder with the catalog's rows, relative to this config; by default the hub, or their package.
        revision: a branch, tag or commit on the hub; the newest commit if not given.
        split: of the catalog's data; the benchmark's own if not given.
        limit: take only the first cases.
        shuffle: a seed; `limit` takes the first cases of the order that it gives.
        shots: few-shot examples before each question.
        skip_misfits: skip and count rows that do not fit.
        metric: the metric that counts for the suite's averages; the first one if not given.
        require: conditions on its metrics, such as exact_match>=0.5.
        tier: `must` (each requirement has to be met), `should` (the gate says which share), or `shown`.
        weight: in the suite's macro average, and among the requirements of tier `should`.
    """

    benchmark: _Name | None = attrs.field(default=None, validator=text)
    dataset: Annotated[Dataset, DatasetConfig] | None = attrs.field(default=None, converter=_dataset)
    prompt_spec: Annotated[PromptSpec, PromptConfig] | None = attrs.field(default=None, converter=as_spec)
    parsers: tuple[Parser, ...] = attrs.field(default=(), converter=as_several)
    metrics: tuple[Metric, ...] = attrs.field(default=(), converter=as_several)
    judge_models: tuple[JudgeModel, ...] = attrs.field(default=(), converter=as_several)
    workflow_overrides: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    path: _Name | None = attrs.field(default=None, metadata=A_PATH)
    revision: _Name | None = None
    split: _Name | None = None
    limit: _Count | None = None
    shuffle: int | None = None
    shots: int = 0
    skip_misfits: bool = False
    metric: _Name | None = None
    require: tuple[_Name, ...] = attrs.field(default=(), converter=texts)
    tier: Tier = attrs.field(default="must", validator=one_of(*get_args(Tier)))
    weight: float = attrs.field(default=1.0, validator=positive)

    _OF_THE_CATALOG = ("benchmark", "path", "revision", "split", "limit", "shuffle", "shots", "skip_misfits")

    def __attrs_post_init__(self) -> None:
        if self.dataset is None:
            return
        given = [name for name in self._OF_THE_CATALOG if getattr(self, name)]
        faults = [f"{name}: for benchmarks of the catalog, and this one has a dataset; leave it out" for name in given]
        if not self.metrics:
            faults.append("metrics: a benchmark of your own needs one")
        if faults:
            raise InvalidRecordError("BenchmarkConfig", faults)


@attrs.frozen(kw_only=True)
class GateConfig(FrozenModel):
    """What a suite has to reach, beside what each benchmark requires. What is not known does not pass.

    Attributes:
        macro: a condition on the average of the benchmarks, by their weights, such as >=0.6.
        micro: a condition on the average of all cases.
        should: the share, by weight, of requirements of tier `should` that has to be met, from 0 to 1.
        basis: what has to reach a value: the 95 % interval in whole, or the mean.
    """

    macro: _Name | None = attrs.field(default=None, validator=text)
    micro: _Name | None = attrs.field(default=None, validator=text)
    should: float = 1.0
    basis: Literal["interval", "mean"] = attrs.field(default="interval", validator=one_of("interval", "mean"))


# --- axes, in any form that they are given in -------------------------------------------------------------


def _by_name(value: Any, name_of: Callable[[Any, int], str], axis: str) -> dict[str, Any]:
    """Take what varies: by name, or in a list, whose items are called what `name_of` says."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    if isinstance(value, str) or not isinstance(value, Sequence):
        value = [value]
    found = {name_of(item, number): item for number, item in enumerate(value, 1)}
    if len(found) < len(value):
        raise SpecError(f"{axis}: two have the same name; give them by name, as in {axis}={{'first': ...}}")
    return found


def _models(value: Any) -> dict[str, Any]:
    def made(item: Any) -> Any:
        if not isinstance(item, Mapping) or not isinstance(item.get("id"), str):
            return item
        return ComponentConfig(id=item["id"], arguments={k: v for k, v in item.items() if k != "id"}).build("generator")

    found = _by_name(value, lambda item, n: str(getattr(item, "component_id", None) or item), "models")
    return {name: made(item) for name, item in found.items()}


def _prompts(value: Any) -> dict[str, Any]:
    return {name: as_spec(item) for name, item in _by_name(value, lambda _, n: f"prompt {n}", "prompts").items()}


def _datasets(value: Any) -> dict[str, Any]:
    def read(item: Any) -> Any:
        is_read = isinstance(item, DatasetConfig) or (
            isinstance(item, tuple) and all(isinstance(each, Dataset) for each in item)
        )
        return item if is_read else as_datasets(item)

    if isinstance(value, Dataset) or not isinstance(value, Mapping | Sequence | None):
        value = [value]
    if isinstance(value, str | Path):
        value = {Path(value).stem: value}
    elif isinstance(value, Sequence) and not all(isinstance(item, Dataset | str | Path) for item in value):
        value = {"data": value}  # rows or cases
    found = _by_name(
        value, lambda item, n: item.dataset_id if isinstance(item, Dataset) else Path(str(item)).stem, "datasets"
    )
    return {name: _called(read(item), name) for name, item in found.items()}


def _called(datasets: Any, name: str) -> Any:
    """Return data with their name in the study as their id, if they came without one."""
    if not isinstance(datasets, tuple):
        return datasets
    return tuple(each.evolve(dataset_id=name) if each.dataset_id == _UNNAMED else each for each in datasets)


_UNNAMED: Final = "data"
"""What rows and cases are called that no one gave an id."""


def _benchmarks(value: Any) -> dict[str, BenchmarkConfig]:
    found = _by_name(value, lambda item, n: str(getattr(item, "name", item)), "benchmarks")
    read = {
        name: record_of(BenchmarkConfig, item, f"benchmarks.{name}")
        if isinstance(item, Mapping | BenchmarkConfig)
        else BenchmarkConfig()
        for name, item in found.items()
    }
    return {
        name: each if not isinstance(each.dataset, Dataset) else each.evolve(dataset=_called((each.dataset,), name)[0])
        for name, each in read.items()
    }


def _options(value: Mapping[str, Any] | None) -> Mapping[str, tuple[JSONValue, ...]]:
    return {str(name): _option_values(f"options.{name}", values) for name, values in (value or {}).items()}


def _option_values(name: str, values: Any) -> tuple[JSONValue, ...]:
    found = a_list(values, name, "values")
    if not found:
        raise SpecError(f"{name}: an empty list; at least one value is needed")
    return tuple(json_object({"value": value})["value"] for value in found)


def _seeds(value: Any) -> tuple[int, ...]:
    found = () if value is None else (value,) if isinstance(value, int) else a_list(value, "seeds", "whole numbers")
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise SpecError(f"seeds: whole numbers expected, found {shown(seed)}")
    return found


def _generation(value: Any) -> CandidatesConfig:
    return CandidatesConfig() if value is None else record_of(CandidatesConfig, value, "generation")


def _gate(value: Any) -> GateConfig | None:
    return None if value is None else record_of(GateConfig, value, "gate")


def _cells(value: Any) -> Mapping[str, Mapping[str, JSONValue]]:
    return {str(name): json_object(at) for name, at in (value or {}).items()}


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StudyConfig(FrozenModel):
    """A matrix of runs: every model with every prompt, on every dataset and benchmark, by every option and seed.

    Attributes:
        models: what answers, by name: model strings, builtins' ids, or import paths, with arguments as an object.
        prompts: the texts around each case's input, by name; null is the benchmark's own, or none. By default that.
        datasets: what is evaluated, by name, as `evaluation` says.
        benchmarks: benchmarks of the catalog, or your own, by name; each brings its prompt, parsers and metrics.
        suite: a suite of the catalog, such as reasoning: its benchmarks join `benchmarks`, which may say more of them.
        options: what else varies, each with its values: an argument of the model (temperature), `samples`, or any
            dotted key of an experiment (evaluation.unparsed).
        seeds: of the first candidate; the others count on from it. By default seeds derive from what is asked.
        exclude: cells to leave out, each by its values on some axes: {model: large, temperature: 1}; a list means any.
            The axes are model, prompt, dataset, benchmark, seed and the options.
        cells: names for cells, by their values on the axes; one that the matrix does not have is added.
        generation: samples, selector and reducer of all cells.
        evaluation: how answers on `datasets` are parsed, scored and judged; its judges judge the benchmarks, too.
        gate: what the benchmarks together have to reach.
        storage: where all runs are kept, and look for what others asked for; in memory by default.
        runtime: limits, retries and one budget, of all cells together; no part of their identity.
        cells_at_once: cells of one endpoint under way at a time.
        name: what to call the study; its runs are called by it and their cell, and tagged with it.
        tags: words to find the runs by.
        environment_metadata: facts to keep beside the runs.
    """

    models: Annotated[Mapping[str, Generator], Bound("minItems", 1)] = attrs.field(converter=_models)
    prompts: Mapping[str, Annotated[PromptSpec, PromptConfig] | None] = attrs.field(default=EMPTY, converter=_prompts)
    datasets: Annotated[Mapping[str, tuple[Dataset, ...]], Mapping[str, Annotated[Dataset, DatasetConfig]]] = (
        attrs.field(default=EMPTY, converter=_datasets)
    )
    benchmarks: Annotated[Mapping[str, BenchmarkConfig], Mapping[str, BenchmarkConfig | None]] = attrs.field(
        default=EMPTY, converter=_benchmarks
    )
    suite: _Name | None = attrs.field(default=None, validator=text)
    options: Mapping[str, tuple[JSONValue, ...]] = attrs.field(default=EMPTY, converter=_options)
    seeds: tuple[int, ...] = attrs.field(default=(), converter=_seeds)
    exclude: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    cells: Mapping[str, Mapping[str, JSONValue]] = attrs.field(default=EMPTY, converter=_cells)
    generation: CandidatesConfig = attrs.field(factory=CandidatesConfig, converter=_generation)
    evaluation: EvaluationConfig = attrs.field(factory=EvaluationConfig, converter=as_evaluation)
    gate: GateConfig | None = attrs.field(default=None, converter=_gate)
    storage: StorageConfig = attrs.field(factory=StorageConfig, converter=as_storage)
    runtime: RuntimeConfig = attrs.field(factory=RuntimeConfig, converter=as_runtime)
    cells_at_once: _Count = 2
    name: _Name | None = attrs.field(default=None, validator=text)
    tags: tuple[_Name, ...] = attrs.field(default=(), converter=texts)
    environment_metadata: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
