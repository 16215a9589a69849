"""A benchmark at hand: its data as a dataset, and the experiment that runs it."""

from __future__ import annotations

import importlib.resources
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from themis.api.arguments import checked
from themis.api.config.read import as_prompt
from themis.api.config.record import EvaluationConfig, as_runtime
from themis.api.experiment.experiment import Experiment, sampled
from themis.api.stores import Storage, as_storage
from themis.effects.sources.benchmark_rows import FileRows, Rows, load_cases
from themis.effects.sources.hub import card_configs, fetch_files, folder_names
from themis.pure.benchmarks.columns import Row
from themis.pure.benchmarks.data_files import DATA_SUFFIXES, choose_files
from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry, BenchmarkRecipe, ComponentChoice
from themis.pure.benchmarks.registry import find_recipe
from themis.pure.benchmarks.subsets import Subset
from themis.pure.components.registry import make_builtin
from themis.pure.errors import DataError, MissingExtraError, SpecError, pip_install
from themis.pure.identity import case_hash, content_hash
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.dataset import Dataset
from themis.pure.records.prompt import PromptSpec

Source: TypeAlias = str | Path | Sequence[Row]
"""Where a benchmark's rows are: `"hub"`, a file, a folder like the hub's, or the rows themselves."""

HUB = "hub"
DEMO_MODEL = "builtin/demo_model"


@attrs.frozen
class Benchmark:
    """A benchmark of the catalog, or a variant of one. Nothing is read before its data are asked for.

    Attributes:
        recipe: what it is.
        variant: which variant of it; empty if it has none.
    """

    recipe: BenchmarkRecipe
    variant: str = ""

    @classmethod
    @checked
    def named(cls, name: str) -> Benchmark:
        """Return the benchmark of a name, such as `mmlu_pro` or `superchem:zh`.

        Raises:
            SpecError: there is none of that name; names the nearest.
        """
        return cls(*find_recipe(name))

    @property
    def entry(self) -> BenchmarkCatalogEntry:
        """What the catalog knows of it."""
        return self.recipe.entry

    @property
    def name(self) -> str:
        """Its name, with the variant where that is not the default one."""
        return self.entry.name_of(self.variant)

    @property
    def prompt(self) -> PromptSpec | None:
        """The text around its questions."""
        return self.entry.prompt_of(self.variant)

    @checked
    def dataset(
        self,
        *,
        source: Source | None = None,
        revision: str | None = None,
        split: str | None = None,
        limit: int | None = None,
        shuffle: int | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the field's word
        skip_misfits: bool = False,
    ) -> Dataset:
        """Return the benchmark's cases.

        Its metadata say which data they are: the dataset on the hub, the split, the subset, how many rows were left
        out by the benchmark's rules or skipped, and the hash of the cases' content.

        Args:
            source: where the rows are: `"hub"`, a file, a folder, or the rows themselves. By default the package
                that ships them if one does, else the hub.
            revision: a branch, tag or commit on the hub; the newest commit if not given. The commit is recorded.
            split: the benchmark's own if not given; another one is for few-shot examples.
            limit: take only the first cases.
            shuffle: a seed; the cases come in the order it gives them, and `limit` takes the first of those.
            filter: metadata fields with the value, or the values, wanted.
            skip_misfits: whether rows that don't fit are skipped and counted; else they fail the load.

        Raises:
            DataError: the data can't be read, or rows don't fit: all of them, with row and column.
            MissingExtraError: reading them needs an optional dependency.
        """
        subset = Subset(limit=limit, shuffle=shuffle, filter=filter)
        split = split or self.entry.split_of(self.variant)
        rows, commit = self._rows(source, revision, split)
        loaded = load_cases(self.recipe, self.variant, rows, subset, skip_misfits=skip_misfits)
        facts = {
            **subset.facts(),
            "benchmark": self.name,
            "data": self.entry.dataset_of(self.variant),
            "split": split,
            "content_hash": content_hash([case_hash(case) for case in loaded.cases]),
            **({"config": config} if (config := self.entry.config_of(self.variant)) else {}),
            **{f"left_out.{reason}": str(count) for reason, count in loaded.left_out.items()},
            **({"skipped_rows": str(loaded.skipped)} if loaded.skipped else {}),
        }
        return Dataset(dataset_id=self.name, cases=loaded.cases, revision=commit, metadata=facts)

    @checked
    def experiment(
        self,
        *,
        model: object = None,
        judge: object = None,
        samples: int = 1,
        seed: int | None = None,
        prompt: PromptSpec | Mapping[str, Any] | Path | str | None = None,
        shots: int | Literal["usual"] = 0,
        shots_split: str | None = None,
        storage: Storage | None = None,
        runtime: RuntimeConfig | Mapping[str, Any] | None = None,
        name: str | None = None,
        tags: str | Sequence[str] = (),
        **data: Any,
    ) -> Experiment:
        """Return the experiment that runs the benchmark.

        Args:
            model: a generator, a builtin's id, a model string such as `openai/gpt-4o`, or an import path; a demo model
                if not given.
            judge: the model that grades answers, where the benchmark needs one.
            samples: answers per case; each of them is scored.
            seed: of the first candidate; the others count on from it.
            prompt: instead of the benchmark's own (`prompt`), whose parser it then has to suit: as for `evaluate`.
            shots: few-shot examples before each question, drawn by seed 0 and never the question itself; `usual` shows
                as many as papers do, in their order (`entry.shots`).
            shots_split: the split they are drawn from, if not the usual one (`entry.shots_split`).
            storage: where the run is kept; in memory by default.
            runtime: limits, retries and timeouts.
            name: what to call the run; no part of its identity.
            tags: words to find the run by; no part of its identity.
            **data: which data: as for `dataset`.

        Raises:
            SpecError: the benchmark needs a judge and none is given.
            DataError: as `dataset`.
        """
        entry = self.entry
        if entry.requires_judge and not judge:
            raise SpecError(
                f"{self.name} is graded by a judge model, and none is given: pass judge='openai/gpt-4o' or another "
                "model; judge='builtin/demo_judge' tries it out without one"
            )
        dataset, asked = self.dataset(**data), as_prompt(prompt) or self.prompt
        number = entry.shots if shots == "usual" else shots
        if not isinstance(number, int):
            raise SpecError(f"{self.name}: shots: a number from 0 up or 'usual' expected, found {shots!r}")
        if number:
            split = shots_split or entry.shots_split
            pool = self.dataset(source=data.get("source"), revision=data.get("revision"), split=split)
            seed_of_shots = entry.shots_seed if split == entry.shots_split else 0
            asked = (asked or PromptSpec()).with_examples(pool, number, seed=seed_of_shots)
        return Experiment(
            generation=sampled(DEMO_MODEL if model is None else model, samples, prompt=asked),
            evaluation=evaluation_of(entry, self.variant, judge),
            datasets=dataset,
            storage=as_storage(storage),
            runtime=as_runtime(runtime),
            seeds=None if seed is None else [seed + index for index in range(samples)],
            name=name,
            tags=tags,
            environment_metadata={"benchmark.source": self._described(data.get("source"))},
        )

    def _rows(self, source: Source | None, revision: str | None, split: str) -> tuple[Rows, str | None]:
        entry, columns = self.entry, self.entry.columns_of(self.variant)
        if source is None and entry.package and split == entry.split_of(self.variant):
            return FileRows([_packaged(entry)], columns), None
        if source is None or source == HUB:
            found = fetch_files(
                entry.dataset_of(self.variant),
                split=split,
                config=entry.config_of(self.variant),
                patterns=entry.files_of(self.variant),
                revision=revision,
            )
            return FileRows(found.paths, columns), found.revision
        if isinstance(source, str | Path):
            return FileRows(self._local(Path(source), split), columns), revision
        return Rows(source), revision

    def _local(self, path: Path, split: str) -> list[Path]:
        if not path.is_dir():
            return [path]
        names = folder_names(path)
        data = [name for name in names if name.removesuffix(".gz").endswith(DATA_SUFFIXES)]
        if len(data) == 1:
            return [path / data[0]]
        entry = self.entry
        try:
            config, patterns = entry.config_of(self.variant), entry.files_of(self.variant)
            chosen = choose_files(names, card_configs(path), config, split, patterns)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
        return [path / name for name in chosen]

    def _described(self, source: Source | None) -> str:
        """Say where the rows came from: no part of the run's identity, which rests on their content."""
        if source is None and self.entry.package:
            return f"package {self.entry.package[0]}"
        if source is None or source == HUB:
            return f"hub {self.entry.dataset_of(self.variant)}"
        return f"local {Path(source).name}" if isinstance(source, str | Path) else "given rows"


def evaluation_of(entry: BenchmarkCatalogEntry, variant: str, judge: object) -> EvaluationConfig:
    """Return how answers to a benchmark are read and scored; the judge counts only where one is needed."""
    return EvaluationConfig(
        metrics=list(map(_component, entry.metrics_of(variant))),
        parsers=list(map(_component, entry.parsers_of(variant))),
        judge_models=judge if entry.requires_judge else (),
        workflow_overrides=entry.workflow_overrides,
    )


def _component(choice: ComponentChoice) -> Any:
    return make_builtin(choice.component_id, **choice.options) if choice.options else choice.component_id


def _packaged(entry: BenchmarkCatalogEntry) -> Path:
    package, file = entry.package
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(
            f"{entry.benchmark_id}: its problems come with a package: {pip_install(entry.extra)}; "
            "source='hub' reads them from the hub"
        )
    return Path(str(importlib.resources.files(package).joinpath(file)))
