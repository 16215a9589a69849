"""A compiled experiment: what can change a result (identity) apart from what can't (provenance)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, TypeAlias, get_args

import attrs

from themis.pure.identity import FIRST_ALGORITHM, dataset_fingerprint, run_name
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.dataset import Dataset
from themis.pure.records.fields import json_object, named_fields, non_empty, sequence, text_mapping
from themis.pure.records.prompt import PromptSpec
from themis.pure.records.stopping import StoppingRule

Unparsed: TypeAlias = Literal["incorrect", "missing"]
"""What an answer that could not be parsed counts as: `incorrect`, the lowest score of each metric that states one; or
`missing`, no score."""


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ComponentRef(HashableModel):
    """Names a component exactly: its id, its stated version, and the hash of its code and configuration."""

    component_id: str = attrs.field(validator=non_empty)
    version: str = ""
    fingerprint: str = attrs.field(validator=non_empty)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ComponentRefs(HashableModel):
    """The components of a run, by the place they take in it."""

    generator: ComponentRef
    selector: ComponentRef | None = None
    reducer: ComponentRef | None = None
    parsers: tuple[ComponentRef, ...] = attrs.field(default=(), converter=sequence)
    metrics: tuple[ComponentRef, ...] = attrs.field(default=(), converter=sequence)
    judge_models: tuple[ComponentRef, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class DatasetRef(HashableModel):
    """Names a dataset exactly: `fingerprint` is the hash of its metadata and all of its cases, in order."""

    dataset_id: str = attrs.field(validator=non_empty)
    revision: str | None = None
    fingerprint: str = attrs.field(validator=non_empty)

    @classmethod
    def of(cls, dataset: Dataset, case_hashes: Iterable[str] | None = None) -> DatasetRef:
        """Name a dataset by its content; `case_hashes` are its cases' hashes in order, if they are known already."""
        content = dataset_fingerprint(dataset, case_hashes)
        return cls(dataset_id=dataset.dataset_id, revision=dataset.revision, fingerprint=content)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunIdentity(HashableModel):
    """Everything that can change a result, and nothing else."""

    dataset_refs: tuple[DatasetRef, ...] = attrs.field(converter=sequence)
    generator_ref: ComponentRef
    selector_ref: ComponentRef | None = None
    reducer_ref: ComponentRef | None = None
    parser_refs: tuple[ComponentRef, ...] = attrs.field(default=(), converter=sequence)
    metric_refs: tuple[ComponentRef, ...] = attrs.field(default=(), converter=sequence)
    judge_model_refs: tuple[ComponentRef, ...] = attrs.field(default=(), converter=sequence)
    candidate_policy: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    generation_prompt_spec: PromptSpec | None = None
    evaluation_prompt_spec: PromptSpec | None = None
    judge_config: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    workflow_overrides: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    seeds: tuple[int, ...] = attrs.field(default=(), converter=sequence)
    unparsed: Unparsed = attrs.field(default="incorrect", validator=attrs.validators.in_(get_args(Unparsed)))
    until: StoppingRule | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunProvenance(HashableModel):
    """Where and how a run was made; no part of its identity."""

    themis_version: str
    python_version: str
    platform: str
    git_commit: str | None = None
    dependency_versions: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
    provider_metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    storage: StorageConfig = attrs.field(factory=StorageConfig)
    runtime: RuntimeConfig = attrs.field(factory=RuntimeConfig)
    environment_metadata: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)


@attrs.frozen(kw_only=True, field_transformer=named_fields, slots=False)
class RunSnapshot(HashableModel):
    """A compiled experiment: the contract between planning, running, storing and replaying.

    Attributes:
        identity: what can change a result; `run_id` is its hash.
        identity_algorithm: how that hash is made. A run keeps its algorithm, and so its id; where none is stated it
            is the first.
        provenance: where and how the run was made.
        component_refs: the components by place.
        datasets: the datasets with their cases.
        metric_kinds: the family of each metric, by metric id.
        metric_thresholds: the value from which a metric's score counts as correct, where the metric states one.
        metric_ranges: the lowest and highest score of a metric, where it states them.
        descriptions: how each component was set, by place as in `component_refs`, for people; no part of the identity.
            Runs of earlier versions have none.
    """

    identity: RunIdentity
    provenance: RunProvenance
    component_refs: ComponentRefs
    datasets: tuple[Dataset, ...] = attrs.field(converter=sequence)
    metric_kinds: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
    metric_thresholds: Mapping[str, float] = attrs.field(default=EMPTY, converter=json_object)
    metric_ranges: Mapping[str, tuple[float, float]] = attrs.field(default=EMPTY, converter=json_object)
    descriptions: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    identity_algorithm: str = attrs.field(default=FIRST_ALGORITHM, validator=non_empty)

    @functools.cached_property
    def run_id(self) -> str:
        """The run's name, 64 hexadecimal digits: what it is stored under, and else the hash of its identity.

        Raises:
            SchemaVersionError: it has to be computed, by an algorithm of a newer Themis.
        """
        return run_name(self.identity, self.identity_algorithm)

    def stored_as(self, run_id: str) -> Self:
        """Return the snapshot of the run that is stored under this id; whether it is the right one is not checked."""
        copy = self.evolve()
        copy.__dict__["run_id"] = run_id
        return copy

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with some fields changed. It keeps the run's id, unless what that is made of changes."""
        copy = super().evolve(**changes)
        if "run_id" in self.__dict__ and not {"identity", "identity_algorithm"} & changes.keys():
            copy.__dict__["run_id"] = self.__dict__["run_id"]
        return copy

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot as plain data, every dataset's cases included."""
        data = self.header()
        data["datasets"] = [dataset.to_dict() for dataset in self.datasets]
        return data

    def header(self) -> dict[str, Any]:
        """Return the snapshot as plain data without its cases, which a store keeps apart."""
        slim = self.evolve(datasets=tuple(dataset.evolve(cases=()) for dataset in self.datasets))
        return super(RunSnapshot, slim).to_dict()
