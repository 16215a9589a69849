"""`themis import` and `themis score`: answers that are there already, as runs of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
from cyclopts import App, Parameter

from themis.api.cli import DONE
from themis.api.cli.options import (
    AS_USUAL,
    DEFAULT_STORE,
    By,
    Fields,
    Json,
    ReportAt,
    RunName,
    Store,
    Words,
    closed_at_the_end,
    storage_of,
    stored_run,
)
from themis.api.cli.output import show, write

app: App = App(name="import")

Called = Annotated[
    str | None, Parameter(name="--as", help="What to call the run, such as the model that answered; `list` shows it.")
]


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Scoring:
    """How answers that are there are scored."""

    parser: Annotated[Words, Parameter(help="A parser, or a fallback chain of them.")] = None
    judge: Annotated[Words, Parameter(help="The models that judged metrics ask.")] = None
    reducer: Annotated[str | None, Parameter(help="Makes one answer of several; each is scored if not given.")] = None
    unparsed: Annotated[
        Literal["incorrect", "missing"], Parameter(help="What an answer that no parser can read counts as.")
    ] = "incorrect"
    at: ReportAt = None
    by: By = None
    require: Annotated[Words, Parameter(help="Exit with 1 unless METRIC>=X holds for the 95% interval.")] = None
    junit: Annotated[Path | None, Parameter(help="Write the gates as JUnit XML to this file.")] = None
    tags: Annotated[
        list[str] | None,
        Parameter(name="--tag", negative="", help="A word to find the run by; repeat it for more."),
    ] = None

    def evaluation(self, metrics: list[str] | None) -> Any:
        from themis.api.config.record import EvaluationConfig

        return EvaluationConfig(
            metrics=metrics or (),
            parsers=self.parser,
            judge_models=self.judge,
            unparsed=self.unparsed,
        )

    def run(self, experiment: Any, store: Any, *, as_json: bool, about: dict[str, Any]) -> int:
        """Run an experiment over answers that are there, print its result, and return the exit code."""
        from themis.api.cli.run import run_and_show, run_with_progress
        from themis.api.imports.runs import carried_out

        if self.reducer is not None:
            experiment = experiment.evolve(generation=experiment.generation.evolve(reducer=self.reducer))
        return run_and_show(
            experiment,
            require=self.require,
            junit=self.junit,
            at=self.at,
            by=self.by,
            as_json=as_json,
            carry_out=lambda given: carried_out(given, store, run_with_progress),
            about=about,
        )


BY_NOTHING = Scoring()


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class Columns:
    """Which fields of the rows make an answer."""

    output_field: Annotated[str | None, Parameter(help="The field with the answer, if it is not 'output'.")] = None
    sample_field: Annotated[
        str | None,
        Parameter(help="The field with the answer's number among its case's, if it is not 'candidate_index'."),
    ] = None
    error_field: Annotated[
        str | None, Parameter(help="The field that says why there is no answer, if it is not 'error'.")
    ] = None
    score_field: Annotated[
        list[str] | None,
        Parameter(negative="", help="A field with a score made elsewhere, to keep beside those made here; repeat it."),
    ] = None

    def with_case(self, fields: Fields) -> Any:
        from themis.effects.sources.files import OTHERS
        from themis.effects.sources.outputs import OutputFields

        return OutputFields(
            case=fields.of_rows(OTHERS),
            output=self.output_field,
            sample=self.sample_field,
            error=self.error_field,
            scores=tuple(self.score_field or ()),
        )


USUAL_COLUMNS = Columns()


@app.default
def import_bundle(path: Path, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Bring a bundle, or answers made elsewhere, into a store.

    A bundle is taken whole or not at all; what the store has already is passed over.

    For example:
      themis import answers.json.gz
      themis import answers.json.gz --store runs/mine.sqlite3
      themis import outputs answers.csv --as gpt-4o --metric builtin/exact_match

    Args:
        path: The bundle.
    """
    from themis.api.bundles.files import import_bundle_file
    from themis.api.stores import open_store

    found = import_bundle_file(closed_at_the_end(open_store(storage_of(store))), path)
    data = {"run_id": found.run_id, "kind": found.kind, "new_events": found.new_events}
    show(data, f"run {found.run_id}\n{found.new_events} new events of its {found.kind}", as_json=json_output)


@app.command
def outputs(
    answers: Path,
    /,
    *,
    called: Called = None,
    metric: Words = None,
    columns: Columns = USUAL_COLUMNS,
    fields: Fields = AS_USUAL,
    scoring: Scoring = BY_NOTHING,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> int:
    """Take a file of answers made elsewhere as a run, and score them.

    No model is called for them. A row is one answer to one case; rows with the same id are answers to one case.
    Importing twice is importing once. What is wrong with the file is said all at once, and nothing is stored then.

    For example:
      themis import outputs answers.csv --as gpt-4o --metric builtin/exact_match
      themis import outputs answers.jsonl --as mine --output-field response \\
          --input-field question --expected-field answer --by topic \\
          --parser builtin/choice_letter --metric builtin/choice_accuracy
      themis import outputs answers.parquet --as mine

    Args:
        answers: A JSONL, JSON, CSV, TSV or Parquet file; a row has an `output`, the case's `input` and, where there
            are any, an `expected_output`, a `case_id`, an `error`, and tokens.
        metric: One or several metrics; without any, the answers are stored, and `themis score` scores them.
    """
    from themis.api.imports.runs import opened_outputs
    from themis.api.stores import make_store

    more = {"name": called, "tags": scoring.tags, "storage": storage_of(store)}
    with opened_outputs(answers, columns.with_case(fields), scoring.evaluation(metric), **more) as imported:
        kept = closed_at_the_end(make_store(imported.experiment.storage))
        return import_and_show(imported, kept, scoring, as_json=json_output)


def import_and_show(imported: Any, store: Any, scoring: Scoring, *, as_json: bool) -> int:
    """Run what was imported, print what it was and what came of it, and return the exit code."""
    from themis.api.cli.run import run_with_progress
    from themis.api.imports.runs import carried_out
    from themis.pure.text import one_line

    if imported.experiment.evaluation.metrics:
        if not as_json:
            write(f"imported {one_line(str(imported))}")
        return scoring.run(imported.experiment, store, as_json=as_json, about={"imported": imported.to_dict()})
    result = carried_out(imported.experiment, store, run_with_progress)
    data = {"run_id": result.run_id, "imported": imported.to_dict()}
    lines = [
        f"run {result.run_id}",
        f"stored in {store.location.removeprefix('sqlite:')}",
        f"imported {imported}",
        f"to score the answers: themis score {result.run_id[:12]} --metric builtin/exact_match",
    ]
    show(data, "\n".join(map(one_line, lines)), as_json=as_json)
    return DONE


def score(
    run: RunName,
    /,
    *,
    metric: Annotated[list[str], Parameter(consume_multiple=True, negative="", help="One or several metrics.")],
    called: Called = None,
    scoring: Scoring = BY_NOTHING,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> int:
    """Score a stored run's answers by other metrics, without a config.

    No answer is generated anew; judges are asked. What comes of it is a run of its own in the same store.

    For example:
      themis score latest --metric builtin/f1 builtin/contains
      themis score gpt-4o --parser builtin/choice_letter --metric builtin/choice_accuracy
      themis score 4f1c --metric builtin/llm_rubric --judge openai/gpt-4o
    """
    from themis.api.imports.runs import scoring as scoring_experiment

    opened, run_id = stored_run(store, run)
    experiment = scoring_experiment(
        opened, run_id, scoring.evaluation(metric), name=called, tags=scoring.tags, storage=storage_of(store)
    )
    return scoring.run(experiment, opened, as_json=json_output, about={"scored": run_id})
