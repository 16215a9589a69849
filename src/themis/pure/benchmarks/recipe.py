"""A recipe: what a benchmark is, as data, and the one function that makes a case's content of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from themis.pure.benchmarks.columns import (
    Column,
    Fault,
    Fields,
    Reads,
    Row,
    RowMisfitError,
    metadata_of,
    read_fields,
    stated_columns,
)
from themis.pure.benchmarks.samples import Sample
from themis.pure.errors import SpecError, nearest
from themis.pure.json import EMPTY, JSONValue, JSONValueError
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case
from themis.pure.records.fields import json_object, named_fields, sequence, texts
from themis.pure.records.prompt import PromptSpec

BenchmarkKind: TypeAlias = Literal[
    "math",
    "choice",
    "exact",
    "code",
    "judged",
    "likelihood",
    "instruction",
    "translation",
    "summarisation",
    "toolcall",
]


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ComponentChoice(HashableModel):
    """A builtin component of a recipe, with its options."""

    component_id: str
    options: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)

    @property
    def named(self) -> str:
        """What its scores are called: its id, unless the options give it another."""
        return str(self.options.get("component_id", self.component_id))


def _choices(value: Sequence[str | ComponentChoice]) -> tuple[ComponentChoice, ...]:
    return tuple(item if isinstance(item, ComponentChoice) else ComponentChoice(component_id=item) for item in value)


@attrs.frozen(kw_only=True)
class VariantFacts(HashableModel):
    """What differs in one variant, or in one form: the prompt, the data, how answers are read and scored."""

    variant: str
    prompt_spec: PromptSpec | None = None
    config: str | None = None
    files: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    parsers: tuple[ComponentChoice, ...] = attrs.field(default=(), converter=_choices)
    metrics: tuple[ComponentChoice, ...] = attrs.field(default=(), converter=_choices)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BenchmarkCatalogEntry(HashableModel):
    """What the catalog knows of a benchmark.

    Attributes:
        benchmark_id: its name, such as `mmlu_pro`.
        title: its name as its authors write it.
        measures: what it measures, in a sentence.
        kind: `math` (a short answer), `choice`, `exact` (a value), `code` (executed), `judged` (graded by a model),
            `likelihood` (nothing is written), `instruction` (checked by rules), `translation`, `summarisation`, or
            `toolcall`.
        dataset_id: the dataset on the Hugging Face hub.
        config: the dataset's configuration, if not its default; `<variant>` stands for the variant.
        files: patterns of the data files, where the dataset's configuration does not name them.
        split: the split that is evaluated.
        columns: the columns that are read.
        variants: the variants there are; the first is the default.
        default_variant: the variant of the name alone; empty if it has none.
        open_variants: what a variant may be besides, in words; empty if there are no others.
        forms: the ways in which a model is asked, where there are several, such as `chat` and `loglikelihood`. The name
            ends in one (`arc_easy:loglikelihood`, `belebele:deu_Latn:chat`); without one, it is the first.
        prompt_spec: the text around each question.
        variant_facts: what differs in some variants, or forms.
        parsers: how answers are read; the first that finds something wins.
        metrics: how they are scored.
        derived: metadata of the cases that the recipe makes of other columns.
        groups_by: what its figures are usually broken down by: columns among the cases' metadata.
        shots: how many worked examples papers show before each question; 0 if they show none, or fixed ones of theirs.
        shots_split: the split that examples are drawn from.
        shots_seed: the order in which they are drawn; `None` takes the split's first ones.
        reports_at: for which k its figures of several answers (pass@k, maj@k) are usually reported.
        workflow_overrides: what the judge goes by, such as the rubric.
        requires_judge: whether a judge model must be given.
        requires_sandbox: whether generated code is executed.
        package: the Python package that ships the data, if one does, and the file in it.
        extra: the extra that reading the data needs.
        license: the license of the data, as its authors state it.
        source: where the data, or the paper about it, is described.
        pitfalls: what to know before trusting a number.
    """

    benchmark_id: str
    title: str
    measures: str
    kind: BenchmarkKind
    dataset_id: str
    config: str | None = None
    files: tuple[str, ...] = attrs.field(default=(), converter=texts)
    split: str
    columns: tuple[Column, ...] = attrs.field(converter=sequence)
    variants: tuple[str, ...] = attrs.field(default=(), converter=texts)
    default_variant: str = ""
    open_variants: str = ""
    forms: tuple[str, ...] = attrs.field(default=(), converter=texts)
    prompt_spec: PromptSpec | None = None
    variant_facts: tuple[VariantFacts, ...] = attrs.field(default=(), converter=sequence)
    parsers: tuple[ComponentChoice, ...] = attrs.field(converter=_choices)
    metrics: tuple[ComponentChoice, ...] = attrs.field(converter=_choices)
    derived: tuple[str, ...] = attrs.field(default=(), converter=texts)
    groups_by: tuple[str, ...] = attrs.field(default=(), converter=texts)
    shots: int = 0
    shots_split: str = "validation"
    shots_seed: int | None = 0
    reports_at: tuple[int, ...] = attrs.field(default=(), converter=sequence)
    workflow_overrides: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    requires_judge: bool = False
    requires_sandbox: bool = False
    package: tuple[str, ...] = attrs.field(default=(), converter=texts)
    extra: str = "datasets"
    license: str
    source: str
    pitfalls: tuple[str, ...] = attrs.field(default=(), converter=texts)

    def parts_of(self, variant: str) -> tuple[str, str]:
        """Return what of a checked variant is the part of the data, and what is the form; either may be empty.

        >>> from themis.pure.benchmarks.registry import find_recipe
        >>> find_recipe("belebele")[0].entry.parts_of("deu_Latn:loglikelihood")
        ('deu_Latn', 'loglikelihood')
        """
        if not self.forms:
            return variant, ""
        part, _, last = variant.rpartition(":")
        return (part, last) if last in self.forms else (variant, self.forms[0])

    def columns_of(self, variant: str) -> tuple[Column, ...]:
        """Return the columns under their names in a variant."""
        part = self.parts_of(variant)[0]
        return tuple(column.named(part) for column in self.columns)

    def metadata_names(self, variant: str) -> list[str]:
        """Return which metadata the cases of a variant may have."""
        return [*(column.name for column in self.columns_of(variant) if column.role == "metadata"), *self.derived]

    def prompt_of(self, variant: str) -> PromptSpec | None:
        """Return the prompt of a variant."""
        return next((f.prompt_spec for f in self._facts_of(variant) if f.prompt_spec is not None), self.prompt_spec)

    def parsers_of(self, variant: str) -> tuple[ComponentChoice, ...]:
        """Return how a variant's answers are read."""
        return next((facts.parsers for facts in self._facts_of(variant) if facts.parsers), self.parsers)

    def metrics_of(self, variant: str) -> tuple[ComponentChoice, ...]:
        """Return how a variant's answers are scored; the first is the figure that is usually meant."""
        return next((facts.metrics for facts in self._facts_of(variant) if facts.metrics), self.metrics)

    def files_of(self, variant: str) -> tuple[str, ...]:
        """Return the patterns of a variant's files; none if the dataset's configuration names them."""
        found = next((facts.files for facts in self._facts_of(variant) if facts.files), self.files)
        return tuple(name.replace("<variant>", self.parts_of(variant)[0]) for name in found)

    def config_of(self, variant: str) -> str | None:
        """Return the dataset's configuration for a variant."""
        found = next((facts.config for facts in self._facts_of(variant) if facts.config is not None), self.config)
        return None if found is None else found.replace("<variant>", self.parts_of(variant)[0])

    def dataset_of(self, variant: str) -> str:
        """Return the dataset on the hub for a variant."""
        return self.dataset_id.replace("<variant>", self.parts_of(variant)[0])

    def split_of(self, variant: str) -> str:
        """Return the split for a variant."""
        return self.split.replace("<variant>", self.parts_of(variant)[0])

    def _facts_of(self, variant: str) -> list[VariantFacts]:
        named = (variant, *self.parts_of(variant))
        return [facts for facts in self.variant_facts if facts.variant in named]

    def name_of(self, variant: str) -> str:
        """Return the benchmark's name in a variant: with the variant, where that is not the default one, and the form.

        Figures of two forms differ by tens of points, so that none is left unsaid.
        """
        part, form = self.parts_of(variant)
        return ":".join(filter(None, (self.benchmark_id, "" if part == self.default_variant else part, form)))

    def checked_variant(self, variant: str) -> str:
        """Return a variant's name, or the default for none; with its form, where there are several.

        Raises:
            SpecError: there is no such variant; names those there are.
        """
        part, form = self.parts_of(variant)
        return ":".join(filter(None, (self._checked_part(part), form)))

    def _checked_part(self, variant: str) -> str:
        if not variant:
            return self.default_variant
        if variant in self.variants or (self.open_variants and variant.count(":") == 0):
            return variant
        known = [*self.variants, *self.forms]
        if not known and not self.open_variants:
            raise SpecError(f"{self.benchmark_id}:{variant}: {self.benchmark_id} has no variants; leave it out")
        hint = nearest(variant, known) if known else f"a variant is {self.open_variants}"
        raise SpecError(f"{self.benchmark_id}:{variant}: no such variant; {hint}")


@attrs.frozen
class Content:
    """What a row becomes: what the model is asked, the reference for its answer, and metadata that no column holds."""

    input: Any
    expected: Any
    labels: Mapping[str, str] = EMPTY


ContentOf: TypeAlias = Callable[[Fields, str], Content]
"""Makes a case's content of a row's fields and the variant; raises `RowMisfitError` where it can't."""

LeavesOut: TypeAlias = Callable[[Row, str], str | None]
"""Returns why a row is no part of a variant, or `None` if it is one; reads rows before they are checked."""


def _nothing_left_out(row: Row, variant: str) -> str | None:
    return None


@attrs.frozen(kw_only=True)
class BenchmarkRecipe:
    """A benchmark's entry with the functions from its rows to cases, and made rows to check and show them with."""

    entry: BenchmarkCatalogEntry
    content: ContentOf
    leaves_out: LeavesOut = _nothing_left_out
    samples: tuple[Sample, ...]


def hub_recipe(
    benchmark_id: str,
    dataset_id: str,
    *,
    kind: BenchmarkKind,
    content: ContentOf,
    reads: Reads,
    samples: Sequence[Sample],
    labels: Sequence[str] = (),
    optional: Sequence[str] = (),
    leaves_out: LeavesOut = _nothing_left_out,
    **facts: Any,
) -> BenchmarkRecipe:
    """Return the recipe of a dataset on the hub.

    `facts` are the entry's other fields. Unless they say otherwise, the split is `test`, and the dataset's page on the
    hub is what describes it.
    """
    stated = {"split": "test", "source": f"https://huggingface.co/datasets/{dataset_id}", **facts}
    columns = stated_columns(reads, labels, optional)
    entry = BenchmarkCatalogEntry(
        benchmark_id=benchmark_id, dataset_id=dataset_id, kind=kind, columns=columns, **stated
    )
    return BenchmarkRecipe(entry=entry, content=content, leaves_out=leaves_out, samples=tuple(samples))


@attrs.frozen
class LeftOut:
    """A row that is no part of the benchmark, and why."""

    reason: str


def read_case(recipe: BenchmarkRecipe, variant: str, row: Row, number: int) -> Case | LeftOut | list[Fault]:
    """Return the case of a row, why it has none, or what is wrong with it.

    The row's number in the split, from 1, is the case's id where the dataset has none.
    """
    reason = recipe.leaves_out(row, variant)
    if reason is not None:
        return LeftOut(reason)
    columns = recipe.entry.columns_of(variant)
    fields, faults = read_fields(columns, row)
    if faults:
        return faults
    try:
        content = recipe.content(fields, variant)
        return Case(
            case_id=_case_id(fields.get("id")) or f"{recipe.entry.split_of(variant)}-{number}",
            input=content.input,
            expected_output=content.expected,
            metadata={**metadata_of(columns, row), **content.labels},
        )
    except RowMisfitError as error:
        named = ", ".join(column.name for column in columns if column.role == error.role)
        return [Fault(named or error.role, error.problem)]
    except JSONValueError as error:
        return [Fault("(row)", str(error))]


def _case_id(value: Any) -> str | None:
    """Return a case's id; of several columns that make one together, their values in order."""
    return None if value is None else "/".join(map(str, value)) if isinstance(value, list) else str(value)
