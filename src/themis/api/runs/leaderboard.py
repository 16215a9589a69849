"""Leaderboards of stored runs: read compactly, a few numbers a case, and told in `pure/leaderboards`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import attrs

from themis._stages import STAGE_ORDER
from themis.api.arguments import checked
from themis.api.runs.result import RunResult, prices_of
from themis.api.runs.search import find_runs
from themis.api.runs.view import RunView, ScoredCase
from themis.api.stores import Storage, at_hand, find_run
from themis.effects.files import whole_file
from themis.pure.chain import read_event
from themis.pure.compilation import whole_name
from themis.pure.errors import DataError, RunNotFoundError, SpecError, listed, nearest
from themis.pure.events import GenerationCompletedEvent
from themis.pure.identity import case_hash
from themis.pure.json import EMPTY, decode, formatted
from themis.pure.leaderboards.board import Asked, columns_of, short_metric
from themis.pure.leaderboards.columns import Family
from themis.pure.leaderboards.records import BoardRun, Leaderboard, Row
from themis.pure.leaderboards.rows import Placed, place_runs
from themis.pure.leaderboards.scores import RunScores
from themis.pure.leaderboards.spent import Spending, spent_on
from themis.pure.plan import total_cases
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.pure.records.dataset import Dataset
from themis.pure.records.results import RunStatus
from themis.pure.report.grouping import check_cluster_by, cluster_of
from themis.pure.stats.arguments import Level, Size
from themis.pure.stats.estimates import UNBOUNDED
from themis.pure.usage import AnsweredCall, Prices, answered_call, call_cost, generated_call

Stores: TypeAlias = RunStore | Storage | Sequence[RunStore | Storage]
"""Where runs are kept: an open store, or a place; or several of either."""


@checked
def leaderboard(
    runs: Sequence[RunResult | str] | None = None,
    *,
    store: Stores | None = None,
    tag: str | None = None,
    rows: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    names: Mapping[str, str] = EMPTY,
    weights: Mapping[str, Size] = EMPTY,
    lower_is_better: Iterable[str] = (),
    cluster_by: str | None = None,
    confidence: Level = 0.95,
    prices: Prices = EMPTY,
    title: str = "Leaderboard",
) -> Leaderboard:
    """Return a leaderboard of runs: a row for each model, a column for each metric on each benchmark, and averages.

    A cell is the estimate of its run's report. The rows of a column are compared in one family, case by case: their
    ranks have intervals, and rows that can't be told apart share a letter. A row without a run of a benchmark has no
    average over it. Costs are those of the answers, whichever run asked for them, without judges.

    Args:
        runs: results, or ids (whole, their beginning, or names) of runs of the stores; all of the stores' if not given.
        store: where runs that are given by id are kept, or from which all, or those with a tag, are taken.
        tag: only runs with this tag.
        rows: the settings that tell rows apart: `model`, `temperature`, `prompt`, `name`, ...; runs that agree in them
            and share a cell are pooled, which the cell says. By default the model, and of runs that would share a cell
            whatever differs between them, so that nothing is pooled.
        columns: the benchmarks, by their datasets' ids, in this order; by default all.
        metrics: the metrics, in this order; `builtin/` may be left out; by default all.
        baseline: the row that the others are compared with; by default every two are compared.
        names: run id -> the name of its row, instead of `rows`.
        weights: benchmark -> its weight in the macro average; by default each counts the same.
        lower_is_better: metrics whose lowest mean is best.
        cluster_by: a key of the cases' metadata; cases with the same value there stay together.
        confidence: nominal coverage of each interval, and of all decisions of a column at once.
        prices: prices that come before the table's, as for `RunResult.costs`.
        title: what the leaderboard is called.

    Raises:
        RunNotFoundError: a run is in none of the stores.
        SpecError: an option names no setting, benchmark, metric or row that there is; or no store is given for an id.
        DataError: there is no run with a score to show.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> data = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(200)]
    >>> for model in ("builtin/demo_model", "builtin/demo_generator"):
    ...     result = evaluate(model=model, data=data, metric="builtin/exact_match", store=store)
    >>> for row in leaderboard(store=store):
    ...     cell = row["data exact_match"]
    ...     print(row.name, round(cell.estimate.mean, 3), cell.rank.best, cell.rank.worst, cell.letters)
    builtin/demo_generator 1.0 1 1 a
    builtin/demo_model 0.74 2 2 b
    """
    level = confidence
    taken, notes = _taken(runs, store, tag)
    shown = _chosen([view for view, _ in taken], columns, metrics)
    count = len(taken)
    taken = [(view, place) for view, place in taken if any(_columns_of(view, shown))]
    if not taken:
        wanted = f"{', '.join(shown.benchmarks)} scored by {', '.join(map(short_metric, shown.metrics))}"
        raise DataError(f"leaderboard: no run is of {wanted}")
    if len(taken) < count:
        notes.append(f"{count - len(taken)} runs that have none of the columns are left out")
    lower = frozenset(whole_name(metric, shown.metrics) for metric in lower_is_better)
    check_cluster_by(cluster_by, [dataset for view, _ in taken for dataset in view.snapshot.datasets])
    placed = [
        Placed(
            snapshot=view.snapshot,
            labels=view.ending.labels,
            store=place,
            columns=frozenset(_columns_of(view, shown)),
        )
        for view, place in taken
    ]
    in_rows, by = place_runs(placed, [rows] if isinstance(rows, str) else rows, names)
    named: dict[str, dict[str, str]] = {}
    for name, settings in in_rows:  # of runs that were given one name, those that they agree in
        named[name] = dict(named.get(name, settings).items() & settings.items())
    if baseline is not None and baseline not in named:
        raise SpecError(f"baseline: no row {baseline!r}; {nearest(baseline, named)}")
    _check_weights(weights, shown.benchmarks)
    runs_of_rows = [(view, row) for (view, _), (row, _) in zip(taken, in_rows, strict=True)]
    read = _Read(runs_of_rows, shown, cluster_by, prices)
    board_runs = []
    for (view, place), (row, _) in zip(taken, in_rows, strict=True):
        status = read.take(view, row)
        board_runs.append(
            BoardRun(
                run_id=view.run_id,
                row=row,
                store=place,
                name=view.ending.labels.name,
                tags=view.ending.labels.tags,
                status=status.value,
                benchmarks=view.dataset_ids,
                marks=[*_marks(view, status)],
            )
        )
    asked = Asked(
        family=Family(level=level, baseline=baseline, clusters=read.clusters if cluster_by is not None else None),
        benchmarks=shown.benchmarks,
        metrics=shown.metrics,
        lower_is_better=lower,
        weights=weights,
    )
    found = columns_of(read.scores, sorted(named), asked)
    board = Leaderboard(
        title=title,
        by=by,
        rows=[
            Row(
                name=name,
                settings=settings,
                cells=[cells[name] for cells in found.cells],
                spent=[
                    spent_on(benchmark, read.spent[name, benchmark], level)
                    for benchmark in shown.benchmarks
                    if (name, benchmark) in read.spent
                ],
            )
            for name, settings in named.items()
        ],
        columns=found.columns,
        runs=sorted(board_runs, key=lambda run: (run.row, run.run_id, run.store)),
        level=level,
        baseline=baseline,
        heat=found.heat,
        notes=[*notes, *read.notes(), *found.notes],
    )
    return board.ordered()


# --- which runs, columns and metrics ----------------------------------------------------------------------


def _taken(
    runs: Sequence[RunResult | str] | None, store: Stores | None, tag: str | None
) -> tuple[list[tuple[RunView, str]], list[str]]:
    """Return the runs, each with its store's place and once; and what was left out."""
    stores = [at_hand(each) for each in _several(store)]
    notes = []
    found: list[tuple[RunView, str]] = []
    if runs is None:
        if not stores:
            raise SpecError(
                f"store: a store, or where one is, or several, expected where no runs are named; found {store!r}"
            )
        for each in stores:
            lines = find_runs(each, tags=() if tag is None else [tag])
            begun = [line for line in lines if line.event_count]
            if len(begun) < len(lines):
                notes.append(f"{len(lines) - len(begun)} runs that did not begin are left out")
            found += [(RunView.of(each, line.run_id), each.location) for line in begun]
    else:
        for run in runs:
            if isinstance(run, RunResult):
                found.append((run.view, run.store.location))
            else:
                found += _named(run, stores)
        if tag is not None:
            found = [(view, place) for view, place in found if tag in view.ending.labels.tags]
    kept: dict[tuple[str, str], tuple[RunView, str]] = {}
    for view, place in sorted(found, key=lambda each: (each[0].run_id, each[1])):  # so that no order tells
        kept.setdefault((view.run_id, view.store.head(view.run_id).digest), (view, place))
    if not kept:
        where = ", ".join(each.location for each in stores)
        raise DataError(
            f"leaderboard: no run{f' with the tag {tag!r}' if tag else ''}{f' in {where}' if where else ''} to show"
        )
    return list(_with_shared_cases(list(kept.values()))), notes


_MOST_HELD: Final = 50_000
"""Cases of data that several runs share, which are held in memory; of more, each run's are read anew."""


def _with_shared_cases(found: Sequence[tuple[RunView, str]]) -> Iterator[tuple[RunView, str]]:
    """Yield the runs; those over the same data share its cases, so that these are read once."""
    data = [tuple(ref.fingerprint for ref in view.snapshot.identity.dataset_refs) for view, _ in found]
    counts, held, room = Counter(data), dict[tuple[str, ...], tuple[Dataset, ...]](), _MOST_HELD
    for (view, place), name in zip(found, data, strict=True):
        cases = total_cases(view.snapshot)
        if name not in held and counts[name] > 1 and cases <= room:
            held[name] = tuple(each.evolve(cases=tuple(each.cases)) for each in view.snapshot.datasets)
            room -= cases
        shared = held.get(name)
        yield view if shared is None else attrs.evolve(view, snapshot=view.snapshot.evolve(datasets=shared)), place


def _several(store: Stores | None) -> Sequence[RunStore | Storage]:
    if store is None:
        return []
    is_one = isinstance(store, str | Path | StorageConfig | Mapping) or not isinstance(store, Sequence)
    return [store] if is_one else list(store)  # type: ignore[list-item, arg-type]  # told apart by the line above


def _named(name: str, stores: Sequence[RunStore]) -> Iterator[tuple[RunView, str]]:
    """Yield the runs that a name means: one in each store that has it."""
    missing = []
    for store in stores:
        try:
            yield RunView.of(store, find_run(store, name)), store.location
        except RunNotFoundError as error:
            missing.append(str(error))
    if len(missing) == len(stores):
        raise RunNotFoundError(listed("leaderboard", missing) if missing else f"no store is given for the run {name!r}")


@attrs.frozen
class _Shown:
    benchmarks: Sequence[str]
    metrics: Sequence[str]


def _chosen(views: Sequence[RunView], columns: Sequence[str] | None, metrics: Sequence[str] | None) -> _Shown:
    known_metrics = sorted({slot.metric_id for view in views for slot in view.metrics})
    known = sorted({dataset_id for view in views for dataset_id in view.dataset_ids})
    if not known_metrics:
        raise DataError("leaderboard: no run has a metric; `themis score RUN --metric NAME` scores stored answers")
    faults = [f"columns: no run is of {name!r}; {nearest(name, known)}" for name in columns or () if name not in known]
    chosen = []
    for name in metrics or ():
        try:
            chosen.append(whole_name(name, known_metrics))
        except SpecError as error:
            faults.append(f"metrics: {error}")
    if faults:
        raise SpecError(listed("leaderboard", faults))
    return _Shown(
        known if columns is None else list(dict.fromkeys(columns)),
        known_metrics if metrics is None else list(dict.fromkeys(chosen)),
    )


def _columns_of(view: RunView, shown: _Shown) -> Iterator[str]:
    for dataset_id in view.dataset_ids:
        for slot in view.metrics:
            if dataset_id in shown.benchmarks and slot.metric_id in shown.metrics:
                yield f"{dataset_id} {slot.metric_id}"


def _check_weights(weights: Mapping[str, float], benchmarks: Sequence[str]) -> None:
    faults = [f"no benchmark {name!r}; {nearest(name, benchmarks)}" for name in weights if name not in benchmarks]
    if weights and not faults and not any(weights.get(name, 1.0) for name in benchmarks):
        faults.append("all are 0")
    if faults:
        raise SpecError(f"weights: {'; '.join(faults)}")


def _marks(view: RunView, status: RunStatus) -> Iterator[str]:
    if status not in (RunStatus.COMPLETED, RunStatus.PARTIAL_FAILURE):
        yield status.value
    through = view.ending.completed_through_stage
    if through is not None and through != STAGE_ORDER[-1]:
        yield f"in part, through {through}"
    if view.stop is not None:
        yield str(view.stop)


# --- reading ----------------------------------------------------------------------------------------------

_GENERATED: Final = attrs.fields(GenerationCompletedEvent).event_type.default


class _Read:
    """What was read of the runs: a few numbers of each case, and each case's key once."""

    def __init__(
        self, runs: Sequence[tuple[RunView, str]], shown: _Shown, cluster_by: str | None, prices: Prices
    ) -> None:
        self._shown = shown
        self._cluster_by = cluster_by
        self._prices = prices
        self._keys: dict[str, str] = {}
        self._contents: defaultdict[str, set[str]] = defaultdict(set)
        for view, _ in runs:
            for ref in view.snapshot.identity.dataset_refs:
                self._contents[ref.dataset_id].add(ref.fingerprint)
        self._metric_code: defaultdict[str, set[str]] = defaultdict(set)
        self.scores: dict[tuple[str, str, str], list[RunScores]] = {}
        self.spent: defaultdict[tuple[str, str], list[Spending]] = defaultdict(list)
        self.clusters: dict[str, str] = {}
        self._counted: dict[tuple[str, str], set[tuple[str, str]]] = {}
        runs_of = Counter((row, name) for view, row in runs for name in view.dataset_ids)
        for place, count in runs_of.items():
            if count > 1:
                self._counted[place] = set()

    def take(self, view: RunView, row: str) -> RunStatus:
        """Read a run into its row, and return its status."""
        whole = len(view.dataset_ids) == 1
        slots = [slot for slot in view.metrics if slot.metric_id in self._shown.metrics]
        for slot in slots:
            self._metric_code[slot.metric_id].add(slot.fingerprint)
        columns: dict[tuple[str, str], RunScores] = {
            (dataset_id, slot.metric_id): RunScores(
                run_id=view.run_id, score_range=slot.score_range, stop=view.stop, is_whole_run=whole
            )
            for dataset_id in view.dataset_ids
            if dataset_id in self._shown.benchmarks
            for slot in slots
        }
        spending = {dataset_id: Spending() for dataset_id in view.dataset_ids if dataset_id in self._shown.benchmarks}
        price, generator = prices_of(view, self._prices), view.snapshot.identity.generator_ref.component_id
        failed = False
        for case in view.scored():
            failed |= case.failed
            if case.item.dataset_id not in self._shown.benchmarks:
                continue
            key = self._key(case)
            for each in case.rows:
                column = columns.get((case.item.dataset_id, each.metric_id))
                if column is not None:
                    column.add(key, each.value, each.error_category)
            for cache_key, call in _calls(view, case, generator):
                if not self._is_counted(row, case.item.dataset_id, key, cache_key):
                    spending[case.item.dataset_id].add(key, call, call_cost(call.model, call.usage, price))
        if not whole:
            _state_ranges(columns)
        for (dataset_id, metric_id), found in columns.items():
            if found.keys:
                self.scores.setdefault((row, dataset_id, metric_id), []).append(found)
        for dataset_id, spent in spending.items():
            self.spent[row, dataset_id].append(spent)
        return view.status(lambda: failed)

    def _is_counted(self, row: str, dataset_id: str, key: str, cache_key: str | None) -> bool:
        """Tell whether another run of the row had this answer already: runs that share an answer asked for it once."""
        counted = self._counted.get((row, dataset_id))
        if counted is None or cache_key is None:
            return False
        was_there = (key, cache_key) in counted
        counted.add((key, cache_key))
        return was_there

    def _key(self, case: ScoredCase) -> str:
        """Return a case's name across runs: another content is another case, whose key meets that of no other."""
        text = case.item.case_key
        if len(self._contents[case.item.dataset_id]) > 1:
            text = f"{text} {case_hash(case.item.case)}"
        key = self._keys.setdefault(text, text)
        cluster = cluster_of(case.item.case, self._cluster_by)
        if cluster is not None:
            self.clusters[key] = cluster
        return key

    def notes(self) -> Iterator[str]:
        """Yield in what runs differ that should be the same."""
        for dataset_id, found in sorted(self._contents.items()):
            if len(found) > 1 and dataset_id in self._shown.benchmarks:
                yield (
                    f"{dataset_id}: runs have {len(found)} different versions or parts of it; rows are compared over "
                    "the cases that both have"
                )
        for metric_id, found in sorted(self._metric_code.items()):
            if len(found) > 1:
                yield f"{short_metric(metric_id)}: the metric itself differs between runs, and not only the answers"


def _state_ranges(columns: Mapping[tuple[str, str], RunScores]) -> None:
    """State the range of metrics that state none as a report by dataset has it: of all of a run's scores, or none."""
    metrics = {metric_id for _, metric_id in columns}
    for metric in metrics:
        of_metric = [found for (_, metric_id), found in columns.items() if metric_id == metric]
        if all(found.score_range is None for found in of_metric):
            inside = all(value is None or 0.0 <= value <= 1.0 for found in of_metric for value in found.scores())
            for found in of_metric:
                found.score_range = (0.0, 1.0) if inside else UNBOUNDED


def _calls(view: RunView, case: ScoredCase, generator: str) -> Iterable[tuple[str | None, AnsweredCall]]:
    """Return the calls that a case's candidates came of, with their cache keys; of one that was made anew, the last."""
    calls = dict[int, tuple[str | None, AnsweredCall]]()
    for stored in case.stored:
        if stored.event_type != _GENERATED:
            continue
        data = decode(stored.payload)
        call = (
            generated_call(generator, data["result"])
            if isinstance(data["result"], dict)
            else answered_call(read_event(stored, view.store.blob), generator)
        )
        if call is not None:
            calls[data["candidate_index"]] = stored.cache_key, call
    return calls.values()


# --- by the name of a format ------------------------------------------------------------------------------

BoardFormat: TypeAlias = Literal["text", "markdown", "csv", "latex", "json", "html"]

_ENDINGS: Final[Mapping[str, BoardFormat]] = {
    ".txt": "text",
    ".md": "markdown",
    ".csv": "csv",
    ".tex": "latex",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
}


def format_of(path: Path) -> BoardFormat:
    """Return the format that a file's ending stands for.

    Raises:
        SpecError: it stands for none.

    >>> format_of(Path("table.tex"))
    'latex'
    """
    found = _ENDINGS.get(path.suffix.lower())
    if found is None:
        raise SpecError(f"{path}: a file that ends in {', '.join(_ENDINGS)} expected; or name its format with --format")
    return found


def board_text(board: Leaderboard, kind: BoardFormat) -> str:
    """Return a leaderboard in a format."""
    if kind == "json":
        return formatted(board.to_dict())
    text: str = getattr(board, f"to_{kind}")()
    return text


def write_board(board: Leaderboard, path: Path, kind: BoardFormat) -> None:
    """Write a leaderboard to a file, which is there whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = board_text(board, kind)
    with whole_file(path) as file:
        file.write((text if text.endswith("\n") else f"{text}\n").encode())
