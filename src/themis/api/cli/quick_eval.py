"""`themis quick-eval`: from data at hand to a table in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
from cyclopts import App, Parameter

from themis.api.cli.options import (
    CONCURRENCY,
    DEFAULT_STORE,
    MAX_COST,
    MAX_TOKENS,
    NAME,
    SEED,
    TAG,
    TEMPERATURE,
    By,
    Json,
    ReportAt,
    Words,
    limited,
    storage_of,
    with_rule,
)

app: App = App(name="quick-eval", help="Evaluate a model on data at hand, in one command.")

Model = Annotated[
    str, Parameter(help="A builtin (builtin/demo_model), a model (openai/gpt-4o), or package.module:name.")
]
Metrics = Annotated[list[str], Parameter(consume_multiple=True, negative="", help="One or several metrics.")]
MetadataFields = Annotated[list[str] | None, Parameter(negative="")]
Parsers = Annotated[Words, Parameter(help="A parser, or a fallback chain of them.")]


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Quick:
    """How to evaluate, on any data."""

    judge: Annotated[Words, Parameter(help="The models that judged metrics ask.")] = None
    samples: Annotated[int, Parameter(name=["--samples", "--epochs"], help="Answers per case; each is scored.")] = 1
    at: ReportAt = None
    by: By = None
    limit: Annotated[int | None, Parameter(help="Take only the first cases.")] = None
    store: Annotated[
        str,
        Parameter(help="Keep the run here, a SQLite file or kind:place; running again goes on from what is there."),
    ] = DEFAULT_STORE
    concurrency: Annotated[int, CONCURRENCY] = 32
    max_cost: Annotated[float | None, MAX_COST] = None
    seed: Annotated[int | None, SEED] = None
    temperature: Annotated[float | None, TEMPERATURE] = None
    max_tokens: Annotated[int | None, MAX_TOKENS] = None
    unparsed: Annotated[
        Literal["incorrect", "missing"], Parameter(help="What an answer that no parser can read counts as.")
    ] = "incorrect"
    name: Annotated[str | None, NAME] = None
    tags: Annotated[list[str] | None, TAG] = None
    until: Annotated[
        str | None,
        Parameter(help="METRIC>=X: stop as soon as it is clear whether that holds, or does not."),
    ] = None
    require: Annotated[Words, Parameter(help="Exit with 1 unless METRIC>=X holds for the 95% interval.")] = None
    junit: Annotated[Path | None, Parameter(help="Write the gates as JUnit XML to this file.")] = None

    def evaluate(self, model: str, metrics: list[str], parser: Words, data: Any, *, as_json: bool) -> int:
        from themis.api.config.record import EvaluationConfig
        from themis.api.experiment.experiment import Experiment, sampled
        from themis.api.experiment.rows import as_datasets

        datasets = as_datasets(data)
        experiment = Experiment(
            generation=sampled(self.model(model), self.samples),
            evaluation=EvaluationConfig(
                metrics=metrics, parsers=parser, judge_models=self.judge, unparsed=self.unparsed
            ),
            datasets=datasets if self.limit is None else [limited(dataset, self.limit) for dataset in datasets],
            storage=storage_of(self.store),
            runtime=self.runtime(),
            seeds=None if self.seed is None else [self.seed + i for i in range(self.samples)],
        )
        return self.run(experiment, as_json=as_json)

    def model(self, name: str) -> Any:
        """Return the model of a name, with the sampling options that were given."""
        from themis.api.components import resolve_component
        from themis.api.config.read import make_importable

        make_importable(Path.cwd())  # what is named may be a module that lies here
        sampling = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return resolve_component(name, **{key: value for key, value in sampling.items() if value is not None})

    def runtime(self) -> Any:
        from themis.pure.records.config import RuntimeConfig

        return RuntimeConfig(max_concurrent_tasks=self.concurrency, max_cost=self.max_cost)

    def run(self, experiment: Any, *, as_json: bool) -> int:
        """Run an experiment, print its result, and return the exit code."""
        from themis.api.cli.run import run_and_show
        from themis.pure.records.stopping import as_rule

        labelled = with_rule(experiment.evolve(name=self.name, tags=self.tags), as_rule(self.until))
        return run_and_show(labelled, require=self.require, junit=self.junit, at=self.at, by=self.by, as_json=as_json)


NO_CHOICE = Quick()


@app.command
def inline(
    questions: Annotated[list[str], Parameter(name="QUESTION", negative="")],
    /,
    *,
    model: Model,
    metric: Metrics,
    parser: Parsers = None,
    expected: Words = None,
    quick: Quick = NO_CHOICE,
    json_output: Json = False,
) -> int:
    """Evaluate a model on questions that are typed in.

    For example:
      themis quick-eval inline "What is 1 + 1?" --expected 2 --model openai/gpt-4o \\
          --metric builtin/exact_match

    Args:
        questions: One or several questions.
        expected: The answer of each, in the same order.
    """
    from themis.api.experiment.rows import inline_rows

    return quick.evaluate(model, metric, parser, inline_rows(questions, expected), as_json=json_output)


@app.command(name="file")
def evaluate_file(
    data: Path,
    /,
    *,
    model: Model,
    metric: Metrics,
    parser: Parsers = None,
    quick: Quick = NO_CHOICE,
    input_field: str | None = None,
    expected_field: str | None = None,
    id_field: str | None = None,
    metadata_field: MetadataFields = None,
    json_output: Json = False,
) -> int:
    """Evaluate a model on the rows of a file.

    For example:
      themis quick-eval file questions.jsonl --model openai/gpt-4o \\
          --metric builtin/exact_match --limit 20
      themis quick-eval file questions.csv --model openai/gpt-4o \\
          --metric builtin/exact_match --by topic

    Args:
        data: A JSONL, JSON, CSV or Parquet file; a row has an `input` and, where there is one, an `expected_output`.
        input_field: The field with the question, if it is not `input`.
        expected_field: The field with the reference, if it is not `expected_output`.
        id_field: The field with the case's id, if it is not `case_id` or `id`.
        metadata_field: A field to keep as the cases' metadata; all further ones if not given.
    """
    from themis.effects.sources.files import OTHERS, CaseFields, file_dataset

    kept = metadata_field or (OTHERS,)
    fields = CaseFields(input=input_field, expected=expected_field, case_id=id_field, metadata=kept)
    return quick.evaluate(model, metric, parser, file_dataset(data, fields=fields), as_json=json_output)


@app.command
def huggingface(
    dataset: str,
    /,
    *,
    model: Model,
    metric: Metrics,
    parser: Parsers = None,
    split: str = "test",
    config: str | None = None,
    revision: str | None = None,
    quick: Quick = NO_CHOICE,
    input_field: str | None = None,
    expected_field: str | None = None,
    id_field: str | None = None,
    metadata_field: MetadataFields = None,
    json_output: Json = False,
) -> int:
    """Evaluate a model on a dataset of the Hugging Face hub.

    For example:
      themis quick-eval huggingface HuggingFaceH4/MATH-500 --input-field problem --expected-field answer \\
          --model openai/gpt-4o --parser builtin/math_answer --metric builtin/math_equivalence

    Args:
        dataset: Its name on the hub.
        split: The split.
        config: The configuration; the default one if not given.
        revision: A branch, tag or commit; the newest commit if not given.
        input_field: The column with the question, if it is not `input`.
        expected_field: The column with the reference, if it is not `expected_output`.
        id_field: The column with the case's id, if it is not `case_id` or `id`.
        metadata_field: A column to keep as the cases' metadata, such as one for --by; none if not given.
    """
    from themis.api.catalog.hub import hub_dataset
    from themis.effects.sources.files import CaseFields

    kept = metadata_field or ()
    fields = CaseFields(input=input_field, expected=expected_field, case_id=id_field, metadata=kept)
    data = hub_dataset(dataset, split=split, config=config, revision=revision, fields=fields, limit=quick.limit)
    return quick.evaluate(model, metric, parser, data, as_json=json_output)


@app.command
def benchmark(
    name: str,
    /,
    *,
    model: Model,
    source: str | None = None,
    revision: str | None = None,
    shuffle: int | None = None,
    quick: Quick = NO_CHOICE,
    json_output: Json = False,
) -> int:
    """Evaluate a model on a benchmark of the catalog, with its own prompt, parser and metric.

    For example:
      themis quick-eval benchmark mmlu_pro --model openai/gpt-4o --limit 50 --shuffle 1

    Args:
        name: The benchmark (`themis catalog list`), such as `mmlu_pro` or `superchem:zh`.
        source: Where the rows are: hub, a file or a folder; the package that ships them or the hub if not given.
        revision: A branch, tag or commit on the hub; the newest commit if not given.
        shuffle: A seed; the cases come in the order it gives them, and --limit takes the first of those.
    """
    from themis.api.catalog.benchmark import Benchmark

    experiment = Benchmark.named(name).experiment(
        model=quick.model(model),
        judge=quick.judge[0] if quick.judge else None,
        samples=quick.samples,
        seed=quick.seed,
        storage=storage_of(quick.store),
        runtime=quick.runtime(),
        source=source,
        revision=revision,
        limit=quick.limit,
        shuffle=shuffle,
    )
    return quick.run(experiment, as_json=json_output)
