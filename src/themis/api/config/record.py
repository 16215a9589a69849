"""The whole config file as records. A key is a field here: its type, bounds, default and description are nowhere else.

A type `Annotated[T, F]` is a `T` in Python and is written as an `F` in a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

import attrs

from themis.api.components import resolve_component
from themis.api.config.keys import Bound
from themis.api.data import Data, as_datasets
from themis.api.stores import as_storage
from themis.effects.sources.files import OTHERS, CaseFields, FileCases, file_dataset
from themis.effects.sources.hub import hub_dataset
from themis.effects.sources.rows import FileFormat
from themis.pure.errors import InvalidRecordError
from themis.pure.json import EMPTY, JSONValue
from themis.pure.plan import CountPolicy, answers_of
from themis.pure.records.base import FrozenModel
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.dataset import Dataset
from themis.pure.records.fields import (
    A_PATH,
    a_list,
    facts,
    json_object,
    named_fields,
    one_of,
    record_of,
    text,
    text_mapping,
)
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.snapshot import Unparsed
from themis.pure.records.stopping import as_rule

_Name: TypeAlias = Annotated[str, Bound("minLength", 1)]
_Count: TypeAlias = Annotated[int, Bound("minimum", 1)]


@attrs.frozen(kw_only=True)
class ComponentConfig:
    """A builtin's id, a model such as openai/gpt-4o, or package.module:name; with arguments, an object.

    Attributes:
        id: which component.
        arguments: all other keys.
    """

    REST: ClassVar = "arguments"

    id: _Name
    arguments: Mapping[str, JSONValue] = EMPTY

    def build(self, place: str) -> Any:
        return resolve_component(self.id, place, **self.arguments)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CaseConfig:
    """A case, written out.

    Attributes:
        case_id: its number, if not given.
        input: what the model is asked: text, a list of messages, or any JSON.
        expected_output: the reference, if there is one.
        metadata: facts about the case, such as its topic: text, numbers, booleans or lists. A key may name its group,
            or its cluster.
    """

    case_id: _Name | None = None
    input: JSONValue
    expected_output: JSONValue = None
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=facts)


@attrs.frozen(kw_only=True)
class DatasetConfig:
    """Cases written out, or a file of them.

    Attributes:
        dataset_id: the file's name, if not given.
        cases: the cases, written out.
        path: a file, relative to this config.
        format: of the file, where its name does not tell.
        input_field: the file's field that is the input; `input` if not given.
        expected_field: the field of the reference; `expected_output` if not given.
        id_field: the field of the case's id; `case_id` or `id` if not given.
        metadata_fields: fields to keep as the cases' metadata; `*` keeps all that are nothing else of a case.
        limit: take only the first cases.
        revision: the version of the data.
        metadata: facts about the dataset.
    """

    EITHER: ClassVar = ("cases", "path")
    _OF_A_FILE: ClassVar = ("format", "input_field", "expected_field", "id_field", "metadata_fields", "limit")

    dataset_id: _Name | None = None
    cases: Annotated[tuple[CaseConfig, ...], Bound("minItems", 1)] = ()
    path: _Name | None = attrs.field(default=None, metadata=A_PATH)
    format: FileFormat | None = None
    input_field: _Name | None = None
    expected_field: _Name | None = None
    id_field: _Name | None = None
    metadata_fields: tuple[str, ...] = ()
    limit: _Count | None = None
    revision: str | None = None
    metadata: Mapping[str, str] = EMPTY

    def __attrs_post_init__(self) -> None:
        of_a_file = [name for name in self._OF_A_FILE if self.cases and getattr(self, name)]
        faults = [f"{name}: for files, and the cases are written out here; leave it out" for name in of_a_file]
        if faults:
            raise InvalidRecordError("DatasetConfig", faults)

    def build(self) -> Dataset:
        """Return the dataset; a file is read as needed."""
        facts: dict[str, Any] = {"revision": self.revision, "metadata": self.metadata}
        if self.path is None:
            numbered = enumerate((attrs.asdict(case, recurse=False) for case in self.cases), 1)
            cases = [{**case, "case_id": case["case_id"] or str(number)} for number, case in numbered]
            return Dataset(dataset_id=self.dataset_id or "data", cases=cases, **facts)
        fields = CaseFields(
            input=self.input_field,
            expected=self.expected_field,
            case_id=self.id_field,
            metadata=self.metadata_fields,
        )
        return file_dataset(
            self.path, dataset_id=self.dataset_id, fields=fields, limit=self.limit, kind=self.format, **facts
        )

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetConfig:
        """Return how a dataset is written."""
        source = dataset.cases
        facts: dict[str, Any] = {
            "dataset_id": dataset.dataset_id,
            "revision": dataset.revision,
            "metadata": dataset.metadata,
        }
        if not isinstance(source, FileCases):
            return cls(cases=tuple(CaseConfig(**attrs.asdict(case, recurse=False)) for case in source), **facts)
        return cls(
            path=str(source.path),
            format=source.stated_kind,  # type: ignore[arg-type]  # checked when the file was opened
            input_field=source.fields.input,
            expected_field=source.fields.expected,
            id_field=source.fields.case_id,
            metadata_fields=source.fields.metadata,
            limit=source.limit,
            **facts,
        )


@attrs.frozen(kw_only=True)
class ExamplesConfig:
    """Few-shot examples, drawn from a file or from a split on the Hugging Face hub.

    Attributes:
        path: a file, relative to this config.
        hub: a dataset of the Hugging Face hub, such as openai/gsm8k.
        count: how many are shown with each case.
        seed: of the order in which they are drawn; null takes the first ones.
        split: of the dataset on the hub; train if not given.
        config: of the dataset on the hub; the default one if not given.
        revision: a branch, tag or commit on the hub; the newest commit if not given.
        format: of the file, where its name does not tell.
        input_field: the field that is the input; `input` if not given.
        expected_field: the field that is shown as the answer; `expected_output` if not given.
    """

    EITHER: ClassVar = ("path", "hub")

    path: _Name | None = attrs.field(default=None, metadata=A_PATH)
    hub: _Name | None = None
    count: _Count
    seed: int | None = 0
    split: _Name = "train"
    config: _Name | None = None
    revision: _Name | None = None
    format: FileFormat | None = None
    input_field: _Name | None = None
    expected_field: _Name | None = None

    def pool(self) -> Dataset:
        """Return what the examples are drawn from."""
        fields = CaseFields(input=self.input_field, expected=self.expected_field, metadata=(OTHERS,))
        if self.hub is not None:
            return hub_dataset(self.hub, split=self.split, config=self.config, revision=self.revision, fields=fields)
        return file_dataset(str(self.path), fields=fields, kind=self.format)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class PromptConfig(PromptSpec):
    """The text around a case's input when a model is asked, and what it is shown before.

    Attributes:
        examples: few-shot examples that are drawn when this is read; they become blocks.
    """

    examples: ExamplesConfig | None = None

    def build(self) -> PromptSpec:
        spec = PromptSpec(**{field.name: getattr(self, field.name) for field in attrs.fields(PromptSpec)})
        if self.examples is None:
            return spec
        return spec.with_examples(self.examples.pool(), self.examples.count, seed=self.examples.seed)

    @classmethod
    def of(cls, spec: PromptSpec) -> PromptConfig:
        """Return how a prompt is written: its examples are written out."""
        return cls(**attrs.asdict(spec, recurse=False))


# Behind the form, the place that it is in: an error names what fits there.
Generator: TypeAlias = Annotated[Any, ComponentConfig, "generator"]
Selector: TypeAlias = Annotated[Any, ComponentConfig, "selector"]
Reducer: TypeAlias = Annotated[Any, ComponentConfig, "reducer"]
Parser: TypeAlias = Annotated[Any, ComponentConfig, "parsers"]
Metric: TypeAlias = Annotated[Any, ComponentConfig, "metrics"]
JudgeModel: TypeAlias = Annotated[Any, ComponentConfig, "judge_models"]
Until: TypeAlias = Annotated[Any, str]
CandidatePolicy: TypeAlias = Annotated[Mapping[str, JSONValue], Mapping[CountPolicy, _Count]]


def as_several(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def as_spec(value: PromptSpec | Mapping[str, Any] | Path | str | None) -> PromptSpec | None:
    if value is None or isinstance(value, PromptSpec | PromptConfig):
        return value  # a config's is built when all of the file is read
    from themis.api.config.read import as_prompt

    return as_prompt(value)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CandidatesConfig(FrozenModel):
    """How many candidates are made, by whichever model, and what becomes of them.

    Attributes:
        candidate_policy: `num_samples`, `pass_k`, `best_of`, `self_consistency_count`; the largest counts.
        selector: chooses among candidates.
        reducer: makes one answer of them.
    """

    candidate_policy: CandidatePolicy = attrs.field(default=EMPTY, converter=json_object)
    selector: Selector = None
    reducer: Reducer = None


def _model_first(kind: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    return sorted(named_fields(kind, fields), key=lambda field: field.name in attrs.fields_dict(CandidatesConfig))


@attrs.frozen(kw_only=True, field_transformer=_model_first)
class GenerationConfig(CandidatesConfig):
    """How candidates are made.

    Attributes:
        generator: a component, a builtin's id, a model string, or an import path.
        prompt_spec: the text around each case's input, and the examples before it.
    """

    generator: Generator
    prompt_spec: Annotated[PromptSpec, PromptConfig] | None = attrs.field(default=None, converter=as_spec)

    @property
    def answers_per_case(self) -> int:
        """How many answers each case has: as many as candidates, or one if a selector or reducer makes one of them."""
        makes_one = self.selector is not None or self.reducer is not None
        return len(answers_of(self.candidate_policy, makes_one=makes_one))


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvaluationConfig(FrozenModel):
    """How answers are parsed, scored and judged.

    Attributes:
        metrics: one or several.
        parsers: a fallback chain: the first that finds something usable wins.
        judge_models: the models that judged metrics ask.
        prompt_spec: the text around a judge's prompt.
        judge_config: configuration of judging, such as `{"repeats": 3}`.
        workflow_overrides: for builtin judges, such as `{"rubric": "..."}`.
        unparsed: what an answer that no parser can read counts as: `incorrect`, the lowest score of each metric that
            states its range; or `missing`, no score, and the results say what that could hide.
        until: stop as soon as it is clear whether a metric's mean reaches a value, such as `exact_match>=0.8`, however
            often one looks; options follow after commas: every=100 (cases between two looks; 50 by default),
            alpha=0.01 (0.05), seed=1 (of the order of cases; 0), cluster_by=topic, of=cases (population).
    """

    metrics: tuple[Metric, ...] = attrs.field(default=(), converter=as_several)
    parsers: tuple[Parser, ...] = attrs.field(default=(), converter=as_several)
    judge_models: tuple[JudgeModel, ...] = attrs.field(default=(), converter=as_several)
    prompt_spec: PromptSpec | None = attrs.field(default=None, converter=as_spec)
    judge_config: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    workflow_overrides: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    unparsed: Unparsed = attrs.field(default="incorrect", validator=one_of(*get_args(Unparsed)))
    until: Until | None = attrs.field(default=None, converter=as_rule)


def _datasets(value: Data) -> tuple[Dataset, ...]:
    if isinstance(value, tuple) and all(isinstance(item, DatasetConfig) for item in value):
        return value  # nothing is made of a file that holds a credential
    return as_datasets(value)


def _generation(value: GenerationConfig | Mapping[str, Any]) -> GenerationConfig:
    return record_of(GenerationConfig, value, "generation")


def as_evaluation(value: EvaluationConfig | Mapping[str, Any] | None) -> EvaluationConfig:
    return EvaluationConfig() if value is None else record_of(EvaluationConfig, value, "evaluation")


def as_runtime(value: RuntimeConfig | Mapping[str, Any] | None) -> RuntimeConfig:
    return RuntimeConfig() if value is None else record_of(RuntimeConfig, value, "runtime")


def _seeds(value: Sequence[int] | int | None) -> tuple[int, ...]:
    return () if value is None else (value,) if isinstance(value, int) else a_list(value, "seeds", "whole numbers")


def _words(value: str | Iterable[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else a_list(value, "tags", "str")


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ExperimentConfig(FrozenModel):
    """What to evaluate and how. Text may hold ${oc.env:NAME} or ${oc.env:NAME,default}.

    Attributes:
        generation: how candidates are made.
        evaluation: how they are parsed, scored and judged.
        datasets: what is evaluated.
        storage: where the run is kept; in memory by default.
        runtime: how the run is carried out; no part of its identity.
        seeds: one per candidate, or none: then they derive from the generation's identity.
        name: what to call the run; no part of its identity.
        tags: words to find the run by; no part of its identity.
        environment_metadata: facts to keep beside the run; no part of its identity.
        themis_version: detected if not given.
        python_version: detected if not given.
        platform: detected if not given.
        git_commit: detected if not given.
        dependency_versions: detected if not given.
        provider_metadata: facts about the providers.
    """

    generation: GenerationConfig = attrs.field(converter=_generation)
    evaluation: EvaluationConfig = attrs.field(factory=EvaluationConfig, converter=as_evaluation)
    datasets: Annotated[tuple[Annotated[Dataset, DatasetConfig], ...], Bound("minItems", 1)] = attrs.field(
        converter=_datasets
    )
    storage: StorageConfig = attrs.field(factory=StorageConfig, converter=as_storage)
    runtime: RuntimeConfig = attrs.field(factory=RuntimeConfig, converter=as_runtime)
    seeds: tuple[int, ...] = attrs.field(default=(), converter=_seeds)
    name: _Name | None = attrs.field(default=None, validator=text)
    tags: tuple[_Name, ...] = attrs.field(
        default=(), converter=_words, validator=attrs.validators.deep_iterable(member_validator=text)
    )
    environment_metadata: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
    themis_version: str | None = attrs.field(default=None, validator=text)
    python_version: str | None = attrs.field(default=None, validator=text)
    platform: str | None = attrs.field(default=None, validator=text)
    git_commit: str | None = attrs.field(default=None, validator=text)
    dependency_versions: Mapping[str, str] | None = None
    provider_metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
