"""`themis import` and `themis score`: answers that are there already, as runs of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from glob import glob
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import attrs
from cyclopts import App, Parameter

from themis.api.cli import DONE, GATE_FAILED
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
from themis.api.cli.output import say, show, write, write_json

app: App = App(name="import")

Emit: TypeAlias = Callable[[dict[str, Any]], None]
"""Takes what a program is told."""

Called: TypeAlias = Annotated[
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

    def run(self, experiment: Any, store: Any, *, as_json: bool, emit: Emit) -> int:
        """Run an experiment over answers that are there, print its result or emit it, and return the exit code."""
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
            emit=emit,
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
def import_files(
    *paths: Annotated[Path, Parameter(name="PATH", env_var=())],
    called: Called = None,
    metric: Words = None,
    columns: Columns = USUAL_COLUMNS,
    fields: Fields = AS_USUAL,
    scoring: Scoring = BY_NOTHING,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> int:
    """Bring bundles, other tools' logs, or tables of answers into a store.

    What a file is, its content tells. A bundle is taken whole or not at all; what the store has already is passed
    over. The runs of a log become runs of the store; what the tool scored is kept beside what is scored here. No model
    is called.

    For example:
      themis import answers.json.gz
      themis import logs/2026-11-25T18-00-52_sums.eval
      themis import logs/ --metric builtin/exact_match --parser builtin/text
      themis import outputs answers.csv --as gpt-4o --metric builtin/exact_match

    Args:
        paths: Files, folders, or patterns such as 'logs/*.eval'.
        metric: One or several metrics; without any, the answers are stored, and `themis score` scores them.
    """
    from themis.api.imports.logs import is_bundle, opened_logs
    from themis.api.stores import make_store
    from themis.pure.text import one_line

    if not paths:
        raise _nothing_named()
    storage = storage_of(store)
    kept = closed_at_the_end(make_store(storage))
    data: list[dict[str, Any]] = []
    code = DONE
    with ExitStack() as logs:
        opened: list[Any] = []
        for path in [found for named in paths for found in _matching(named)]:
            if is_bundle(path):
                opened.append(path)
                continue
            evaluation = scoring.evaluation(metric)
            more = {"name": called, "tags": scoring.tags, "storage": storage}
            runs, passed_over = logs.enter_context(opened_logs(path, evaluation, columns.with_case(fields), **more))
            opened += runs
            if passed_over:
                say(one_line(f"themis: no logs, and passed over: {', '.join(passed_over[:5])}{_more(passed_over)}"))
        for each in opened:
            if isinstance(each, Path):
                _import_bundle(kept, each, as_json=json_output, emit=data.append)
            else:
                ended = import_and_show(each, kept, scoring, as_json=json_output, emit=data.append)
                code = max(code, ended)
    if json_output:
        write_json(data[0] if len(data) == 1 else data)
    return code


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 5} more" if len(names) > 5 else ""


def _nothing_named() -> Exception:
    from themis.pure.errors import SpecError

    return SpecError("name a file, a folder or a pattern to import; `themis import --help` shows examples")


def _matching(path: Path) -> Sequence[Path]:
    """Return what a pattern matches that no shell has spelled out."""
    if path.exists() or not any(sign in str(path) for sign in "*?["):
        return [path]
    return sorted(map(Path, glob(str(path), recursive=True))) or [path]  # noqa: PTH207  # of any folder


def _import_bundle(store: Any, path: Path, *, as_json: bool, emit: Emit) -> None:
    from themis.api.bundles.files import import_bundle_file

    store.initialize()
    found = import_bundle_file(store, path)
    if as_json:
        emit({"run_id": found.run_id, "kind": found.kind, "new_events": found.new_events})
    else:
        write(f"run {found.run_id}\n{found.new_events} new events of its {found.kind}")


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
        return import_and_show(imported, kept, scoring, as_json=json_output, emit=write_json)


def import_and_show(imported: Any, store: Any, scoring: Scoring, *, as_json: bool, emit: Emit) -> int:
    """Run what was imported, print what it was and what came of it or emit both, and return the exit code."""
    from themis.api.cli.run import run_with_progress
    from themis.api.imports.runs import carried_out
    from themis.pure.text import one_line

    about = {"imported": imported.to_dict()}
    if not as_json:
        write(one_line(f"imported {imported}"))
    if imported.experiment.evaluation.metrics:
        return scoring.run(imported.experiment, store, as_json=as_json, emit=lambda found: emit({**found, **about}))
    result = carried_out(imported.experiment, store, run_with_progress)
    if as_json:
        emit({"run_id": result.run_id, **about})
    else:
        write(
            f"run {result.run_id}\nstored in {one_line(store.location.removeprefix('sqlite:'))}\n"
            f"to score the answers: themis score {result.run_id[:12]} --metric builtin/exact_match"
        )
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
    return scoring.run(
        experiment, opened, as_json=json_output, emit=lambda found: write_json({**found, "scored": run_id})
    )


def recompute(run: RunName, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> int:
    """Make the scores that came with answers again, by their tool's rules.

    Known are rules of Inspect (match, includes, pattern, answer, exact, choice), lm-eval (exact_match and acc, with
    their filters), promptfoo (assertions on text), pydantic-evals and deepeval. Scores that differ are listed, and
    the command exits with 1. Nothing is stored, and no model is called.

    For example:
      themis recompute latest
      themis recompute gpt-4o --json
    """
    from themis.api.imports.recompute import recompute_scores
    from themis.pure.report.recomputed import recomputed_text

    opened, run_id = stored_run(store, run)
    found = recompute_scores(opened, run_id)
    show(
        {"run_id": run_id, "scorers": [each.to_dict() for each in found]},
        lambda: recomputed_text(found),
        as_json=json_output,
    )
    return GATE_FAILED if any(each.differ for each in found) else DONE
