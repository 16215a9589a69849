"""The result of a run: counts and means at hand, cases read from the store as needed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from themis.api.arguments import checked
from themis.api.runs.cases import CaseResults
from themis.api.runs.view import RunView
from themis.effects.reading import AsOf
from themis.pure.errors import ThemisError
from themis.pure.json import EMPTY
from themis.pure.projections import result_digest
from themis.pure.records.results import BenchmarkResult, Lazy, ProgressSnapshot, RunStatus
from themis.pure.records.stored import ChainHead
from themis.pure.usage import Price, Prices, RunCosts, RunUsage, run_costs, run_usage

if TYPE_CHECKING:
    from datetime import datetime

    import pandas
    import polars

    from themis.api.runs.changes import RunChanges
    from themis.api.runs.labels import LabelsTaken
    from themis.pure.case_costs import CaseCosts, PaidStage
    from themis.pure.protocols import RunStore
    from themis.pure.records.human_label import HumanLabel, LabelValue
    from themis.pure.records.snapshot import RunSnapshot
    from themis.pure.report.labelling import LabelledMetric
    from themis.pure.report.suspicions import Suspicion
    from themis.pure.stats import Estimate, GroupedEstimate
    from themis.pure.stats.several import SeveralAnswers
    from themis.pure.stopping import Stop

_FAILURES_SHOWN: Final = 3
ROWS_LOOKED_AT: Final = 1000
"""Failed rows that are read at most: when everything fails, it mostly fails alike."""


@attrs.frozen(kw_only=True, slots=False, repr=False)
class RunResult:
    """The result of a run.

    Everything past `run_id` is computed when it is first asked for, from what the store holds, so that a result
    of a million cases takes no memory. It is of the run as it was when the result was returned: what is done to the run
    later, by a `rejudge` for example, is in that one's result. Human labels are the exception: they are read as of now.

    It can be pickled, and finds its run in its store again; one in memory is pickled with it.

    Attributes:
        snapshot: the compiled experiment.
        store: where the run is kept.
        end: the end of the run's chain of events, as of which everything is read.
    """

    snapshot: RunSnapshot
    store: RunStore
    end: ChainHead = attrs.field(
        default=attrs.Factory(lambda self: self.store.head(self.snapshot.run_id), takes_self=True)
    )

    def __reduce__(self) -> tuple[Callable[..., RunResult], tuple[RunStore, str, ChainHead]]:
        return _opened, (self.store, self.run_id, self.end)

    def __repr__(self) -> str:
        """Return the figures in a line; the first time, all cases are read for it."""
        name = f"RunResult(run_id='{self.run_id[:12]}…'"
        try:
            benchmark, progress = self.benchmark, self.progress
            means = [
                f"{metric}={mean:.4f} (n={sum(counts.get(each, 0) for each in ('correct', 'incorrect'))})"
                for metric, counts in benchmark.outcome_counts.items()
                if (mean := benchmark.metric_means.get(metric)) is not None
            ]
            counted = f"cases={progress.total_cases}, errors={progress.failed_cases}"
            return ", ".join([name, f"status={self.status.value}", counted, *means]) + ")"
        except ThemisError as error:
            return f"{name}, can't be read: {error})"

    def _repr_html_(self) -> str:
        """Return the report's summary, as notebooks show it."""
        from themis.api.runs.report import read_report
        from themis.pure.report.html import html_summary

        return html_summary(read_report(self.view, with_digest=False))

    @checked
    def to_dict(self, *, cases: bool = False) -> dict[str, Any]:
        """Return the run's figures as plain JSON: what `themis run --json` prints.

        Args:
            cases: each case's result, too, under `cases`; they are all in memory then.

        >>> from themis import evaluate
        >>> rows = [{"input": "1+1", "expected_output": "2"}]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> data = result.to_dict()
        >>> data["status"], data["metrics"]["builtin/exact_match"]["mean"]
        ('completed', 1.0)
        """
        from themis.api.runs.report import result_data

        data = result_data(self)
        return {**data, "cases": [case.to_dict() for case in self.cases]} if cases else data

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame of pandas with a row for each metric and answer, the question and the answer beside it.

        `value` has numbers, the other columns text: what is none, such as a structured input, is JSON text.

        Raises:
            MissingExtraError: pandas is not installed.

        >>> from themis import evaluate
        >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(10)]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> frame = result.to_pandas()
        >>> float(frame["value"].mean()), list(frame.columns[:6])
        (0.7, ['case_id', 'dataset_id', 'case_key', 'input', 'expected_output', 'answer'])
        """
        from themis.api.runs.frames import frame_columns, library

        frames = library("pandas")
        frame: pandas.DataFrame = frames.DataFrame(frame_columns(self.view)).astype({"value": "float64"})
        return frame

    def to_polars(self) -> polars.DataFrame:
        """Return a data frame of polars; rows, columns and errors as for `to_pandas`."""
        from themis.api.runs.frames import frame_columns, library

        frames, columns = library("polars"), frame_columns(self.view)
        schema = {name: frames.Float64 if name == "value" else frames.String for name in columns}
        frame: polars.DataFrame = frames.DataFrame(columns, schema=schema)
        return frame

    @functools.cached_property
    def view(self) -> RunView:
        """The run as of `end`, to read case by case."""
        return RunView(snapshot=self.snapshot, store=AsOf(self.store, self.run_id, self.end))

    @property
    def run_id(self) -> str:
        """The run's id: the hash of its identity."""
        return self.snapshot.run_id

    @functools.cached_property
    def status(self) -> RunStatus:
        """The run's status: `partial_failure` when it went through as it was asked to, and some cases have errors."""
        return self.view.status(lambda: self.view.tallies.has_failed())

    @property
    def completed_through_stage(self) -> str | None:
        """The last stage that the run went through for all cases."""
        return self.view.ending.completed_through_stage

    @property
    def error_message(self) -> str | None:
        """Why the last attempt ended early, if it did."""
        return self.view.ending.error_message

    @property
    def progress(self) -> ProgressSnapshot:
        """How many cases were planned, went through, and have an error."""
        return self.view.tallies.progress()

    @property
    def cases(self) -> CaseResults:
        """Every case's result, in plan order, read as needed; `cases.where(outcome="incorrect")` chooses some."""
        return CaseResults(self.view)

    @functools.cached_property
    def benchmark(self) -> BenchmarkResult:
        """The scores as numbers, with the counts of errors beside every mean."""
        rows = Lazy(self.view.total_cases * self.view.plan.rows_per_case, self.view.rows)
        return self.view.tallies.result(self.run_id, self.view.dataset_ids, rows)

    @functools.cached_property
    def digest(self) -> str:
        """The hash of all results, without times, latencies and transport facts (law 4)."""
        return result_digest(self.view.results())

    @property
    def stop(self) -> Stop | None:
        """Where the run's rule ended it, and what was decided; `None` for a run without such a rule.

        >>> from themis import evaluate
        >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(400)]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match",
        ...                   until="exact_match>=0.5")
        >>> result.stop.decision, result.stop.cases, result.stop.of
        ('passes', 50, 400)
        """
        return self.view.stop

    @functools.cached_property
    def usage(self) -> RunUsage:
        """Calls, tokens and time of the run, over all of its attempts."""
        return run_usage(self.run_id, self.view.events())

    @checked
    def several_answers(self, at: Sequence[int] | None = None) -> Mapping[str, SeveralAnswers]:
        """Return what several answers a case say together, by metric; empty where each case has one answer.

        Args:
            at: for which k: pass@k, pass^k and maj@k; by default those that are usual for a benchmark, or the powers of
                two, and all answers.

        Raises:
            DataError: a k that exceeds the answers of a case.

        >>> from themis import evaluate
        >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(20)]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match", samples=4)
        >>> several = result.several_answers(at=(1, 4))["builtin/exact_match"]
        >>> [(estimate.metric_id, estimate.mean) for estimate in several.pass_at]
        [('pass@1', 0.7375), ('pass@4', 1.0)]
        """
        from themis.api.runs.report import read_report

        overview = read_report(self.view, at=at, with_digest=False).overview
        return {each.metric_id: each for each in overview.several}

    @checked
    def estimate(self, details: str | None = None) -> Mapping[str, Estimate]:
        """Return each metric's mean with its interval, or that of what stands in its scores' details.

        Args:
            details: a path into the details, such as `fields.name`, or the start of one: each number or boolean there
                is a figure, named `METRIC:PATH`. Answers whose score lacks the path are missing, and counted.

        Raises:
            SpecError: no score has the path; names those there are, the nearest first.

        >>> from themis import evaluate
        >>> rows = [{"input": f"Order {n}", "expected_output": {"order": n, "paid": False}} for n in range(4)]
        >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/json_fields")
        >>> {name: estimate.mean for name, estimate in result.estimate(details="fields").items()}
        {'builtin/json_fields:fields.order': 1.0, 'builtin/json_fields:fields.paid': 1.0}
        """
        from themis.api.runs.report import read_report

        overview = read_report(self.view, details=details, with_digest=False).overview
        found = [row.estimate for row in overview.metrics] if details is None else overview.details
        return {each.metric_id: each for each in found}

    @checked
    def changes_from(self, before: RunResult, metric_ids: Sequence[str] | None = None) -> RunChanges:
        """Return which cases changed from another result to this one, by kind: right to wrong, and so on.

        It may be of another run, such as one whose answers were scored again here, or of this one as it was before it
        was judged anew.

        Args:
            before: the other result.
            metric_ids: these metrics alone; all that both have by default.

        Raises:
            DataError: not both runs have a metric that was asked for.

        >>> from themis import Experiment, InMemoryRunStore
        >>> rows = [{"case_id": str(n), "input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(20)]
        >>> strict = Experiment(
        ...     datasets=rows,
        ...     generation={"generator": "builtin/demo_model"},
        ...     evaluation={"metrics": "builtin/exact_match"},
        ... )
        >>> store = InMemoryRunStore()
        >>> before = strict.run(store=store)
        >>> lenient = strict.evolve(evaluation={"metrics": "builtin/contains"})
        >>> print(lenient.replay(stage="score", store=store).changes_from(before))
        builtin/exact_match to builtin/contains: no case changed
        """
        from themis.api.runs.changes import changes_of

        return changes_of(before.view, self.view, metric_ids)

    # --- human labels -------------------------------------------------------------------------------------

    @checked
    def label(
        self,
        case_id: str,
        value: LabelValue,
        *,
        metric: str | None = None,
        candidate: str | None = None,
        who: str | None = None,
        note: str = "",
        dataset: str | None = None,
        probability: float | None = None,
        when: datetime | None = None,
    ) -> LabelsTaken:
        """Keep a person's label of an answer; it changes no result.

        Args:
            case_id: the case.
            value: a number on the metric's scale, right (`True`) or wrong (`False`), or words; `None` takes the label
                of the same person back.
            metric: the metric whose score it is held against; by default the judged one, or the only one.
            candidate: which answer, where the case has several.
            who: who labels; by default the user.
            note: why.
            dataset: the case's dataset, where two have a case of this id.
            probability: with what probability the answer was chosen to be labelled, if the labels are no simple random
                sample.
            when: when it was given; by default now.

        Raises:
            DataError: the run has no such case, answer or metric, or the metric can't have this value.
            RunLockedError: the run is being written.

        >>> from themis import evaluate
        >>> rows = [{"case_id": "sum", "input": "1+1", "expected_output": "2"}]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> print(result.label("sum", True, who="ada"))
        1 label stored
        >>> [(label.case_id, label.value, label.who) for label in result.labels()]
        [('sum', True, 'ada')]
        """
        from themis.api.runs.labels import default_who, give_labels, labelled_metric
        from themis.pure.records.human_label import HumanLabel

        label = HumanLabel(
            case_id=case_id,
            dataset_id=dataset,
            candidate_id=candidate,
            metric_id=labelled_metric(self.view, metric).metric_id,
            value=value,
            who=who or default_who(),
            note=note,
            probability=probability,
            given_at=when,
        )
        return give_labels(self.store, self.run_id, [label])

    @checked
    def labels(self, metric: str | None = None) -> tuple[HumanLabel, ...]:
        """Return the labels that people gave and did not take back, case by case; of one metric, if it is named."""
        return tuple(label for case in self.view.scored() for label in case.labels if metric in (None, label.metric_id))

    def labelled(self) -> Mapping[str, LabelledMetric]:
        """Return what the labels say, by metric: the agreement with people, and the mean that they correct it to.

        >>> from themis import evaluate
        >>> rows = [{"case_id": str(n), "input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(40)]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> for n in range(20):
        ...     _ = result.label(str(n), n % 4 > 0, who="ada")
        >>> found = result.labelled()["builtin/exact_match"]
        >>> found.corrected.judge.mean, found.corrected.labels.mean, round(found.corrected.mean, 2)
        (0.775, 0.75, 0.74)
        """
        from themis.api.runs.report import read_report

        overview = read_report(self.view, with_digest=False).overview
        return {each.metric_id: each for each in overview.labelled}

    @functools.cached_property
    def suspicions(self) -> tuple[Suspicion, ...]:
        """Why metrics that scored 0 everywhere may have done so, where answers and references tell; reads all cases.

        >>> from themis import evaluate
        >>> rows = [{"input": f"{n}+{n}", "expected_output": 2 * n} for n in range(5)]
        >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match")
        >>> result.suspicions
        ()
        """
        from themis.api.runs.report import read_report

        return read_report(self.view, with_digest=False).overview.suspicions

    @checked
    def by_group(self, by: str = "dataset", details: str | None = None) -> Mapping[str, GroupedEstimate]:
        """Return each metric's mean by group of cases, over all cases, and over the groups, by metric.

        Args:
            by: a key of the cases' metadata, or `dataset`.
            details: as for `estimate`; the figures there are grouped beside the metrics.

        Raises:
            SpecError: no case has this key, or no score the details.

        >>> from themis import evaluate
        >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n), "metadata": {"odd": n % 2}} for n in range(20)]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> found = result.by_group("odd")["builtin/exact_match"]
        >>> [(group.name, group.estimate.scored) for group in found.groups]
        [('0', 10), ('1', 10)]
        """
        from themis.api.runs.report import read_report

        overview = read_report(self.view, by=(by,), details=details, with_digest=False).overview
        return {each.metric_id: each for each in overview.groups}

    @checked
    def costs(self, prices: Prices = EMPTY) -> RunCosts:
        """Return tokens and US dollars by stage and model, over all of the run's attempts, at the prices of its time.

        Models whose price is not known count their tokens, and `notice` names them; the cost is a lower bound then.

        Args:
            prices: prices that come before the table's, in US dollars per million tokens:
                `{"vllm/my-model": {"prompt": 0.1, "completion": 0.4}}`.
        """
        generator = self.snapshot.identity.generator_ref.component_id
        return run_costs(self.view.events(), generator, prices_of(self.view, prices))

    @checked
    def case_costs(self, prices: Prices = EMPTY, *, stage: PaidStage | None = None) -> CaseCosts:
        """Return what a case costs: US dollars, tokens and latency, each with mean, median and their intervals.

        It is what the case's answers and judgments took when they were made; those that came from another run's store
        count as well. A case with a call that failed, or does not say what it used, is missing, and counted as such.

        Args:
            prices: as for `costs`.
            stage: of `generate` or `judge` alone; of both together by default.

        >>> from themis import evaluate
        >>> rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(20)]
        >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
        >>> found = result.case_costs({"builtin/demo_model": {"prompt": 1.0, "completion": 4.0}})
        >>> found.cost.measured, found.prompt_tokens.mean, f"{found.cost.mean:.7f}"
        (20, 1.0, '0.0000050')
        """
        from themis.effects.reading import fresh_state
        from themis.pure.case_costs import case_costs
        from themis.pure.state import fold_case
        from themis.pure.stats import StatsEngine

        folded = ((fold_case(fresh_state(item), events), events) for item, events in self.view.case_events())
        return case_costs(folded, self.view.plan, prices_of(self.view, prices), StatsEngine(), stage)


def _opened(store: RunStore, run_id: str, end: ChainHead) -> RunResult:
    return RunResult(snapshot=store.load_snapshot(run_id), store=store, end=end)


def prices_of(view: RunView, own: Prices = EMPTY) -> Price:
    """Return what models' tokens cost when a run began."""
    from themis.effects.prices import known_prices

    stated = view.snapshot.provenance.runtime.prices
    return known_prices({**stated, **own}, view.ending.started_at)


def first_failures(result: RunResult) -> list[str]:
    """Return the first few different errors of a run, each with the first case that has it."""
    errors = (row for row in result.view.rows() if row.outcome == "error")
    seen: dict[str, str] = {}
    for row in itertools.islice(errors, ROWS_LOOKED_AT):
        what = f"{row.error_category}: {row.error_message}"
        seen.setdefault(what, f"case {row.case_id}, {row.metric_id}: {what}")
        if len(seen) == _FAILURES_SHOWN:
            break
    return list(seen.values())
