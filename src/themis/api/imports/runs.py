"""Runs of answers that are there already: imported from a file, or stored, to be scored by other metrics.

An import is a run like any other whose generator gives what was made elsewhere. What the answers are is its identity:
importing them twice is importing them once, and one changed answer makes another run. The file, its hash and what its
tool says of itself are provenance.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from themis.api.bundles.transfer import in_memory
from themis.api.config.record import EvaluationConfig
from themis.api.experiment.experiment import Experiment, sampled
from themis.api.imports.answers import ImportedAnswers
from themis.api.runs.result import RunResult
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand, make_store, store_or_storage
from themis.effects.files import from_here
from themis.effects.reading import read_case
from themis.effects.sources.files import OTHERS, CaseFields
from themis.effects.sources.outputs import OutputFields, samples_of
from themis.effects.sources.rows import file_format, read_rows
from themis.effects.sources.tables import rows_of
from themis.effects.spool import Faults, Spool
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.errors import DataError
from themis.pure.events import EVENT_TYPES, FailedEvent, GenerationFailedEvent, ScoreFailedEvent, StepFailedEvent
from themis.pure.interchange.records import IMPORTED, SCORERS, LoggedRun, Tally
from themis.pure.json import EMPTY, content_hash
from themis.pure.plan import CaseItem, case_items
from themis.pure.protocols import RunStore
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.fields import shown
from themis.pure.records.generation import GenerationResult
from themis.pure.records.labels import RunLabels
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.security import without_secrets

_BLOCK: Final = 1 << 20
_MOST_NAMED: Final = 100
"""Files of one run that its provenance names."""
_DATASET: Final = "answers"
"""What tables of answers are on, whatever their files are called, so that answers of two models can be compared."""


@attrs.frozen(kw_only=True, eq=False)
class Imported:
    """Answers made elsewhere, ready to run.

    Attributes:
        experiment: gives them, and scores them; its run ends before what it was made in closes.
        tool: what they are from.
        model: what answered, if it is known.
        dataset_id: what they answer.
        cases: how many cases there are.
        answers_per_case: how many answers the case with the most of them has.
        answers: how many answers there are, those that are errors among them.
        errors: how many are errors.
        empty: how many hold nothing.
        missing: how many are missing for each case to have as many as the one with the most of them.
        scores: the scores that came with them, by name.
        lacks: what else the file lacks, in words.
    """

    experiment: Experiment
    tool: str
    model: str | None
    dataset_id: str
    cases: int
    answers_per_case: int
    answers: int
    errors: int
    empty: int
    missing: int
    scores: Mapping[str, Tally]
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return what was found in a line."""
        of = self.dataset_id if self.model is None else f"{self.model} on {self.dataset_id}"
        counts = {"with errors": self.errors, "empty": self.empty, "missing": self.missing}
        said = [f"{count:,} {what}" for what, count in counts.items() if count]
        said = [f"{self.cases:,} cases, {self.answers:,} answers", *said]
        scores = [f"{name} {_mean(tally)}" for name, tally in self.scores.items()]
        if scores:
            said.append(f"scored elsewhere: {'; '.join(scores)}")
        return f"{of} ({self.tool}): {', '.join([*said, *self.lacks])}"

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as plain JSON."""
        found = {
            field.name: value
            for field in attrs.fields(type(self))
            if field.name != "experiment" and (value := getattr(self, field.name)) is not None
        }
        scores = {name: {"scores": tally.scores, "mean": tally.mean} for name, tally in self.scores.items()}
        return {**found, "scores": scores}


def _mean(tally: Tally) -> str:
    return f"(n={tally.scores:,})" if tally.mean is None else f"{tally.mean:.4f} (n={tally.numbers:,})"


# --- from files -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened_outputs(
    outputs: str | Path | Any, fields: OutputFields, evaluation: EvaluationConfig, **more: Any
) -> Iterator[Imported]:
    """Read a table of answers, and hand out its run.

    Args:
        outputs: the path of a file, or rows, or a table of a library.
        fields: which columns are what.
        evaluation: how the answers are scored.
        more: further fields of the experiment.

    Raises:
        DataError: the file can't be read, or rows are not answers to cases; all that is wrong at once.
    """
    path: Path | None = None
    if isinstance(outputs, str | Path):
        path = Path(outputs)
        shown_path, kind = Path(from_here(str(path.absolute()))), file_format(path)
        rows = ((f"{shown_path}:{line}", row) for line, row in read_rows(shown_path, kind))
    else:
        rows = ((f"rows[{number}]", _row(row, number)) for number, row in enumerate(rows_of(outputs)))
        shown_path = Path("rows")
    faults = Faults()
    run = LoggedRun(tool="outputs", dataset_id=_DATASET, samples=samples_of(rows, fields, faults))
    paths = () if path is None else (path,)
    with opened_run(run, evaluation, str(shown_path), faults, paths=paths, **more) as imported:
        yield imported


@contextlib.contextmanager
def opened_run(
    run: LoggedRun,
    evaluation: EvaluationConfig,
    shown_path: str,
    faults: Faults | None = None,
    *,
    paths: Sequence[Path] = (),
    **more: Any,
) -> Iterator[Imported]:
    """Lay the answers of a log aside, and hand out its run, its files named and hashed. Errors: `opened_outputs`."""
    found = faults if faults is not None else Faults()
    with Spool(run.dataset_id) as spool:
        spool.fill(run.samples, found)
        found.refuse(f"{shown_path} can't be imported")
        if not len(spool):
            raise DataError(f"{shown_path}: there is nothing to import: it has no answers")
        about = {"tool": run.tool, "version": run.version, "model": run.model}
        named = {name: value for name, value in about.items() if value is not None}
        answers = spool.content()
        generator = ImportedAnswers(
            component_id=f"{IMPORTED}/{run.tool}",
            content=answers if run.model is None else content_hash([run.model, answers]),
            version=run.version or "1",
            find=lambda case, ctx: spool.answer(case.case_id, ctx.candidate_index),
            facts=named,
        )
        yield Imported(
            experiment=Experiment(
                generation=sampled(generator, spool.per_case),
                evaluation=evaluation,
                datasets=[spool.dataset()],
                provider_metadata={
                    IMPORTED: without_secrets({**named, **_source(paths), **_scorers(run), **run.facts})
                },
                **more,
            ),
            tool=run.tool,
            model=run.model,
            dataset_id=run.dataset_id,
            cases=len(spool),
            answers_per_case=spool.per_case,
            answers=spool.samples,
            errors=spool.failed,
            empty=spool.empty,
            missing=spool.missing,
            scores=spool.scores,
            lacks=run.lacks,
        )


def _row(row: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(f"rows[{number}]: a row with the answer's fields expected, found {shown(row)}")
    return row


def _scorers(run: LoggedRun) -> dict[str, Any]:
    return {SCORERS: run.scorers} if run.scorers else {}


def _source(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the names and hashes of a run's files, those beside the first one apart."""
    if not paths:
        return {}
    first, *others = paths
    beside = {other.name: hashed for other in others[:_MOST_NAMED] if (hashed := _hash_of(other)) is not None}
    more = {"file": first.name, "sha256": _hash_of(first), "beside": beside, "files": len(paths)}
    return {name: fact for name, fact in more.items() if fact and fact != 1}


def _hash_of(path: Path) -> str | None:
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                hashed.update(block)
    except OSError:
        return None  # reading it says what is wrong
    return hashed.hexdigest()


def evaluation_of(metric: Any, parser: Any, judge: Any) -> EvaluationConfig:
    """Return how answers are scored, as it is given to the functions of this room."""
    return EvaluationConfig(metrics=metric, parsers=parser, judge_models=judge)


# --- carrying out -----------------------------------------------------------------------------------------


def stored_already(store: RunStore, snapshot: RunSnapshot, labels: RunLabels) -> RunResult | None:
    """Return the result of a run that the store has, if running it again could add nothing to it.

    That an answer is an error or missing stays so: no one is there to be asked again.
    """
    view = RunView(snapshot=snapshot, store=store)
    if not view.event_count or view.ending.completed_through_stage != "judge" or view.ending.labels != labels:
        return None
    if any(event.event_type in _TRIED_AGAIN for event in store.events(snapshot.run_id)):
        return None
    return RunResult(snapshot=store.load_snapshot(snapshot.run_id), store=store)


_TRIED_AGAIN: Final = {
    name
    for name, kind in EVENT_TYPES.items()
    if issubclass(kind, FailedEvent | ScoreFailedEvent | StepFailedEvent) and kind is not GenerationFailedEvent
}


def carried_out(experiment: Experiment, store: RunStore, run: Callable[[Experiment, RunStore], RunResult]) -> RunResult:
    """Run an experiment over answers that are there already, unless the store has its run; return the result.

    The result rests on the store alone, for what the answers were read from is gone soon.
    """
    store.initialize()
    if isinstance(store, InMemoryRunStore):  # it keeps what it is given
        experiment = experiment.evolve(datasets=in_memory(experiment.compile()).datasets)
    found = stored_already(store, experiment.compile(), experiment.labels)
    if found is not None:
        return found
    result = run(experiment, store)
    return RunResult(snapshot=store.load_snapshot(result.run_id), store=store, end=result.end)


def kept_and_run(experiment: Experiment, store: RunStore | Storage | None) -> RunResult:
    """Carry an experiment over answers out in the store that is given, or else its own."""
    opened, storage = store_or_storage(store)
    kept = opened or make_store(storage or experiment.storage)
    return carried_out(experiment, kept, lambda one, into: one.run(store=into))


def import_outputs(
    outputs: str | Path | Any,
    *,
    name: str | None = None,
    metric: object | Sequence[object] = (),
    parser: object | Sequence[object] | None = None,
    judge: object | Sequence[object] | None = None,
    output_field: str | None = None,
    input_field: str | None = None,
    expected_field: str | None = None,
    id_field: str | None = None,
    metadata_fields: Sequence[str] | None = None,
    sample_field: str | None = None,
    error_field: str | None = None,
    score_fields: Sequence[str] = (),
    store: RunStore | Storage | None = None,
    **more: Any,
) -> RunResult:
    """Take answers that were made elsewhere as a run, and score them; no model is called for them.

    A row is one answer to one case: `output`, the case's `input`, and where there are any `expected_output`, `case_id`,
    the number of the answer among the case's (`candidate_index`) and why there is none (`error`). Rows of one `case_id`
    are answers to one case. `token_usage` or `prompt_tokens`, `completion_tokens` and `total_tokens`, `latency_ms`,
    `model` and `finish_reason` are kept with the answer; what a row holds besides is the case's metadata.

    Args:
        outputs: a JSONL, JSON, CSV, TSV or Parquet file, rows, or a data frame.
        name: what to call the run.
        metric: one or several metrics; without any the answers are stored, to be scored by `score_run`.
        parser: a parser, or a fallback chain of them.
        judge: the models that judged metrics ask.
        output_field: the field of the answer; `output` if not given.
        input_field: the field of the case's input; `input` if not given.
        expected_field: the field of the reference; `expected_output` if not given.
        id_field: the field of the case's id; `case_id` or `id` if not given.
        metadata_fields: fields to keep as the case's metadata; all others if not given.
        sample_field: the field of the answer's number; `candidate_index` if not given.
        error_field: the field that says why there is no answer; `error` if not given.
        score_fields: fields with scores made elsewhere, which are kept beside the run's own.
        store: where to keep the run: an open store, or its place; in memory if not given.
        more: further fields of the experiment, such as `storage`, `runtime` and `tags`.

    Raises:
        DataError: the file can't be read, or rows are not answers to cases; all that is wrong at once, nothing stored.

    >>> rows = [{"input": "1+1", "expected_output": "2", "output": "2"},
    ...         {"input": "2+2", "expected_output": "4", "output": "5"}]
    >>> import_outputs(rows, name="theirs", metric="builtin/exact_match").benchmark.metric_means
    {'builtin/exact_match': 0.5}
    """
    fields = OutputFields(
        case=CaseFields(
            input=input_field,
            expected=expected_field,
            case_id=id_field,
            metadata=(OTHERS,) if metadata_fields is None else tuple(metadata_fields),
        ),
        output=output_field,
        sample=sample_field,
        error=error_field,
        scores=tuple(score_fields),
    )
    evaluation = evaluation_of(metric, parser, judge)
    with opened_outputs(outputs, fields, evaluation, name=name, **more) as imported:
        return kept_and_run(imported.experiment, store)


# --- from stores ------------------------------------------------------------------------------------------


def scoring(store: RunStore, run_id: str, evaluation: EvaluationConfig, **more: Any) -> Experiment:
    """Return an experiment that scores a stored run's answers by other metrics, parsers and judges.

    Args:
        store: where the run is, and where the new one is to be kept.
        run_id: the run.
        evaluation: how the answers are scored.
        more: further fields of the experiment.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    snapshot = store.load_snapshot(run_id)
    ref, identity = snapshot.identity.generator_ref, snapshot.identity
    described = snapshot.descriptions.get("generator")
    generator = ImportedAnswers(
        component_id=ref.component_id,
        content=ref.fingerprint,
        find=_Stored(store, snapshot).find,
        facts=described if isinstance(described, Mapping) else {},
        version=ref.version,
    )
    return Experiment(
        generation={
            "generator": generator,
            "candidate_policy": identity.candidate_policy,
            "prompt_spec": identity.generation_prompt_spec,
        },
        evaluation=evaluation,
        datasets=snapshot.datasets,
        seeds=identity.seeds,
        provider_metadata=snapshot.provenance.provider_metadata,
        **more,
    )


class _Stored:
    """Finds the answers of a stored run. Most come from the stage cache before this is asked."""

    def __init__(self, store: RunStore, snapshot: RunSnapshot) -> None:
        self._store = store
        self._snapshot = snapshot

    @functools.cached_property
    def _numbers(self) -> Mapping[str, int]:
        return {item.case_key: item.case_no for item in case_items(self._snapshot)}

    def find(self, case: Case, ctx: GenerateContext) -> GenerationResult | str:
        number, index = self._numbers[ctx.case_key], ctx.candidate_index
        item = CaseItem(case, number, ctx.dataset_id, ctx.case_key, EMPTY)
        state = read_case(self._store, self._snapshot.run_id, item)
        if index in state.candidates:
            return state.candidates[index]
        failure = state.generation_failures.get(index)
        return failure.error_message if failure is not None else "the stored run has no answer here"


def score_run(
    store: RunStore | Storage,
    run_id: str,
    *,
    metric: object | Sequence[object],
    parser: object | Sequence[object] | None = None,
    judge: object | Sequence[object] | None = None,
    **more: Any,
) -> RunResult:
    """Score a stored run's answers by other metrics, parsers and judges; no answer is made anew.

    What comes of it is a run of its own, in the same store.

    Args:
        store: where the run is.
        run_id: the run.
        metric: one or several metrics.
        parser: a parser, or a fallback chain of them.
        judge: the models that judged metrics ask.
        more: further fields of the experiment, such as `name`, `runtime` and `tags`.

    Raises:
        RunNotFoundError: the store has no such run.

    >>> from themis import InMemoryRunStore
    >>> store, rows = InMemoryRunStore(), [{"input": "1+1", "expected_output": "2", "output": "It is 2"}]
    >>> stored = import_outputs(rows, name="theirs", store=store)
    >>> score_run(store, stored.run_id, metric="builtin/contains").benchmark.metric_means
    {'builtin/contains': 1.0}
    """
    evaluation = evaluation_of(metric, parser, judge)
    store = at_hand(store)
    return kept_and_run(scoring(store, run_id, evaluation, **more), store)
