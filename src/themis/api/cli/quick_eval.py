"""`themis quick-eval`: from data at hand to a table in one command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
from cyclopts import App, Parameter

from themis.api.cli import DONE
from themis.api.cli.options import (
    AS_USUAL,
    DEFAULT_STORE,
    PROMPT,
    By,
    Fields,
    Json,
    Options,
    ReportAt,
    Words,
    limited,
    read_prompt,
    storage_of,
    with_rule,
)

app: App = App(name="quick-eval", help="Evaluate a model on data at hand, in one command.")

Model = Annotated[
    str, Parameter(help="A builtin (builtin/demo_model), a model (openai/gpt-4o), or package.module:name.")
]
Metrics = Annotated[list[str], Parameter(consume_multiple=True, negative="", help="One or several metrics.")]


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Quick(Options):
    """How to evaluate, on any data."""

    parser: Annotated[
        Words, Parameter(help="A parser, or a fallback chain of them; a benchmark has its own if not given.")
    ] = None
    judge: Annotated[Words, Parameter(help="The models that judged metrics ask.")] = None
    at: ReportAt = None
    by: By = None
    store: Annotated[
        str,
        Parameter(help="Keep the run here, a SQLite file or kind:place; running again goes on from what is there."),
    ] = DEFAULT_STORE
    prompt: Annotated[str | None, PROMPT] = None
    unparsed: Annotated[
        Literal["incorrect", "missing"], Parameter(help="What an answer that no parser can read counts as.")
    ] = "incorrect"
    until: Annotated[
        str | None,
        Parameter(help="METRIC>=X: stop as soon as it is clear whether that holds, or does not."),
    ] = None
    require: Annotated[Words, Parameter(help="Exit with 1 unless METRIC>=X holds for the 95% interval.")] = None
    junit: Annotated[Path | None, Parameter(help="Write the gates as JUnit XML to this file.")] = None
    dry_run: Annotated[
        bool, Parameter(negative="", help="Say what the run would do, reuse and cost, and do nothing of it.")
    ] = False

    def evaluate(self, model: str, metrics: list[str], data: Any, *, as_json: bool) -> int:
        from themis.api.config.record import EvaluationConfig
        from themis.api.data import as_datasets
        from themis.api.experiment.experiment import Experiment, sampled

        datasets = as_datasets(data)
        experiment = Experiment(
            generation=sampled(self.model(model), self.answers, prompt=read_prompt(self.prompt)),
            evaluation=EvaluationConfig(metrics=metrics, judge_models=self.judge),
            datasets=datasets if self.limit is None else [limited(dataset, self.limit) for dataset in datasets],
            storage=storage_of(self.store),
            runtime=self.runtime(),
            seeds=None if self.seed is None else [self.seed + i for i in range(self.answers)],
        )
        return self.run(experiment, as_json=as_json)

    @property
    def answers(self) -> int:
        return 1 if self.samples is None else self.samples

    def model(self, name: str) -> Any:
        """Return the model of a name, with the options that were given."""
        from themis.api.components import resolve_component

        return resolve_component(name, "generator", **self.of_model())

    def runtime(self) -> dict[str, Any]:
        given = {"max_concurrent_tasks": self.concurrency, "max_cost": self.max_cost}
        return {name: value for name, value in given.items() if value is not None}

    def run(self, experiment: Any, *, as_json: bool) -> int:
        """Run an experiment as the options say, print its result, and return the exit code; or print its plan."""
        from themis.api.cli.plan import show_plan
        from themis.api.cli.run import run_and_show
        from themis.pure.records.stopping import as_rule

        read = {"parsers": self.parser} if self.parser else {}
        evaluation = experiment.evaluation.evolve(unparsed=self.unparsed, **read)
        named = experiment.evolve(evaluation=evaluation, name=self.name, tags=self.tags)
        asked = with_rule(named, as_rule(self.until))
        if self.dry_run:
            show_plan(asked, as_json=as_json)
            return DONE
        return run_and_show(asked, require=self.require, junit=self.junit, at=self.at, by=self.by, as_json=as_json)


NO_CHOICE = Quick()


@app.command
def inline(
    questions: Annotated[list[str], Parameter(name="QUESTION", negative="")],
    /,
    *,
    model: Model,
    metric: Metrics,
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
    from themis.api.data import inline_rows

    return quick.evaluate(model, metric, inline_rows(questions, expected), as_json=json_output)


@app.command(name="file")
def evaluate_file(
    data: Path,
    /,
    *,
    model: Model,
    metric: Metrics,
    quick: Quick = NO_CHOICE,
    fields: Fields = AS_USUAL,
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
    """
    from themis.effects.sources.files import OTHERS, file_dataset

    return quick.evaluate(model, metric, file_dataset(data, fields=fields.of_rows(OTHERS)), as_json=json_output)


@app.command
def huggingface(
    dataset: str,
    /,
    *,
    model: Model,
    metric: Metrics,
    split: str = "test",
    config: str | None = None,
    revision: str | None = None,
    quick: Quick = NO_CHOICE,
    fields: Fields = AS_USUAL,
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
    """
    from themis.effects.sources.hub import hub_dataset

    data = hub_dataset(
        dataset, split=split, config=config, revision=revision, fields=fields.of_rows(), limit=quick.limit
    )
    return quick.evaluate(model, metric, data, as_json=json_output)


@app.command
def benchmark(
    name: str,
    /,
    *,
    model: Model,
    source: str | None = None,
    revision: str | None = None,
    shuffle: int | None = None,
    shots: int | Literal["usual"] = 0,
    shots_split: str | None = None,
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
        shots: Few-shot examples before each question, never the question itself; usual shows as many as papers do.
        shots_split: The split they are drawn from, if not the usual one.
    """
    from themis.api.catalog.benchmark import Benchmark

    experiment = Benchmark.named(name).experiment(
        model=quick.model(model),
        judge=quick.judge[0] if quick.judge else None,
        samples=quick.answers,
        seed=quick.seed,
        prompt=read_prompt(quick.prompt),
        shots=shots,
        shots_split=shots_split,
        storage=storage_of(quick.store),
        runtime=quick.runtime(),
        source=source,
        revision=revision,
        limit=quick.limit,
        shuffle=shuffle,
    )
    return quick.run(experiment, as_json=json_output)


COMMANDS: Final[dict[str, Callable[..., int]]] = {
    "inline": inline,
    "file": evaluate_file,
    "huggingface": huggingface,
    "benchmark": benchmark,
}
