"""Human labels of a stored run: taking them in, from Python or a file, and choosing which answers come next."""

from __future__ import annotations

import getpass
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import attrs

from themis.api.arguments import checked
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.effects.segments import joins
from themis.effects.sources.rows import Row, file_format, read_rows
from themis.pure.case_view import shown_content
from themis.pure.chain import Entry, link_all, read_event
from themis.pure.errors import DataError, LiteralSecretError, SpecError, listed, nearest
from themis.pure.human_labels import ending_again, label_events, labelled_outputs
from themis.pure.identity import candidate_id
from themis.pure.plan import CaseItem, MetricSlot
from themis.pure.protocols import RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.human_label import HumanLabel, LabelValue, read_label_value
from themis.pure.records.prompt import text_of
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report.table import csv_of, of_cell
from themis.pure.security import find_secrets
from themis.pure.stats.labelling import choose_labels, score_uncertainty

_SHOWN: Final = 20
"""How many faults an error lists."""
_BATCH: Final = 4_000
"""Events in one append."""

ChosenBy: TypeAlias = Literal["random", "uncertainty"]
Told: TypeAlias = Callable[[int], None]
"""Is told, now and then, how many rows were read."""


@attrs.frozen(kw_only=True)
class LabelsTaken(HashableModel):
    """What became of labels that a run was given.

    Attributes:
        stored: labels that are new, or say something else than the ones they replace.
        unchanged: labels that the run had already, or had a later one of.
        empty: rows without a value, which were passed over.
    """

    stored: int
    unchanged: int = 0
    empty: int = 0

    def __str__(self) -> str:
        passed = {"known already": self.unchanged, "without a value": self.empty}
        more = ", ".join(f"{count:,} {what}" for what, count in passed.items() if count)
        return f"{self.stored:,} label{'' if self.stored == 1 else 's'} stored{more and f' ({more})'}"


def default_who() -> str:
    """Return who labels if nobody says it: the name that the user is logged in by."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


# --- taking labels in -------------------------------------------------------------------------------------


@attrs.frozen
class _Given:
    """A label and where it comes from."""

    label: HumanLabel
    where: str


@checked
def give_labels(store: RunStore | Storage, run_id: str, labels: Iterable[HumanLabel]) -> LabelsTaken:
    """Keep labels of a run's answers, all or none. What the run has already is passed over.

    Labels are events of the run, and change no result: they can be given once the answers are there, between attempts
    at the run and after them.

    Args:
        store: where the run is.
        run_id: the run.
        labels: those of the same person, answer and metric replace earlier ones; without a value they take these back.

    Raises:
        DataError: labels of no case, answer or metric of the run, or with a value that the metric can't have; lists
            them all. Nothing is stored.
        LiteralSecretError: a label holds a credential.
        RunLockedError: the run is being written: wait until it has ended.
        RunNotFoundError: the store has no such run.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"case_id": "sum", "input": "1 + 1", "expected_output": "2"}]
    >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", store=store)
    >>> label = HumanLabel(case_id="sum", metric_id="builtin/exact_match", value=True, who="ada")
    >>> print(give_labels(store, result.run_id, [label]))
    1 label stored
    >>> print(give_labels(store, result.run_id, [label]))
    0 labels stored (1 known already)
    """
    given = [_Given(label, f"labels[{number}]") for number, label in enumerate(labels)]
    store = at_hand(store)
    return _take(store, RunView.of(store, run_id), given, "labels")


def _take(store: RunStore, view: RunView, given: Sequence[_Given], source: str, empty: int = 0) -> LabelsTaken:
    _refuse_secrets(given)
    run_id = view.run_id
    store.acquire(run_id)
    try:
        entries, faults = _entries(view, given)
        if faults:
            raise DataError(listed(f"{source}: nothing was stored", _first(faults)))
        if entries:
            _append(store, run_id, entries)
        return LabelsTaken(stored=len(entries), unchanged=len(given) - len(entries), empty=empty)
    finally:
        store.release(run_id)


def _entries(view: RunView, given: Sequence[_Given]) -> tuple[list[Entry], list[str]]:
    wanted: defaultdict[str, list[_Given]] = defaultdict(list)
    for one in given:
        wanted[one.label.case_id].append(one)
    items: defaultdict[str, list[CaseItem]] = defaultdict(list)
    for item in view.items():
        if item.case.case_id in wanted:
            items[item.case.case_id].append(item)
    now = datetime.now(UTC)
    entries: list[Entry] = []
    faults: list[tuple[str, str]] = []
    for case_id, ones in wanted.items():
        of_case: defaultdict[int, list[_Given]] = defaultdict(list)
        for one in ones:
            found = [item for item in items[case_id] if one.label.dataset_id in (None, item.dataset_id)]
            if len(found) == 1:
                of_case[found[0].case_no].append(one)
            else:
                faults.append((one.where, _no_case(view, one.label, found)))
        for item in items[case_id]:
            labels = [one.label for one in of_case[item.case_no]]
            if labels:
                made, wrong = label_events(view.plan, item, view.state_of(item), labels, now)
                entries += (Entry(item.case_no, event) for event in made)
                places = {id(one.label): one.where for one in of_case[item.case_no]}
                faults += ((places[id(label)], f"case {case_id!r}: {problem}") for label, problem in wrong)
    order = {one.where: number for number, one in enumerate(given)}
    return entries, [f"{where}: {problem}" for where, problem in sorted(faults, key=lambda fault: order[fault[0]])]


def _no_case(view: RunView, label: HumanLabel, found: Sequence[CaseItem]) -> str:
    try:
        view.find(label.case_id, label.dataset_id)
    except DataError as error:
        return str(error)
    raise AssertionError(found)  # pragma: no cover  # it was not found, or several times


def _refuse_secrets(given: Sequence[_Given]) -> None:
    held = [one.where for one in given if any(find_secrets([one.label.value, one.label.note, one.label.who]))]
    if held:
        raise LiteralSecretError(
            listed("labels hold a credential, which would be stored with them; nothing was stored", _first(held))
        )


def _first(faults: Sequence[str]) -> list[str]:
    more = len(faults) - _SHOWN
    return [*faults[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def _append(store: RunStore, run_id: str, entries: Sequence[Entry]) -> None:
    head = store.head(run_id)
    run_events = store.run_events(run_id)
    last = read_event(run_events[-1], store.blob) if run_events else None
    said = [*joins(store, run_id, entries[0].event.occurred_at), *entries]
    ending = ending_again(last, head.count + len(said))
    whole = [*said, *([Entry(None, ending)] if ending is not None else [])]
    with store.transaction(run_id):
        for start in range(0, len(whole), _BATCH):
            events, blobs, head = link_all(head, whole[start : start + _BATCH])
            store.append(run_id, events, blobs)


# --- files ------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class LabelColumns:
    """Which columns of a file a label is read from; the usual names where nothing else is said.

    Attributes:
        case: `case_id`.
        dataset: `dataset_id`.
        candidate: `candidate_id`, or `sample`; a number counts the case's answers, from 0.
        metric: `metric`, or `metric_id`.
        value: `value`, or `label`.
        who: `who`, or `labeller` or `annotator`.
        note: `note`, or `comment`.
        probability: `probability`.
        when: `when`, or `given_at`; ISO 8601, in UTC where it names no zone.
    """

    case: str | None = None
    dataset: str | None = None
    candidate: str | None = None
    metric: str | None = None
    value: str | None = None
    who: str | None = None
    note: str | None = None
    probability: str | None = None
    when: str | None = None


_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "case": ("case_id",),
    "dataset": ("dataset_id",),
    "candidate": ("candidate_id", "sample"),
    "metric": ("metric", "metric_id"),
    "value": ("value", "label"),
    "who": ("who", "labeller", "annotator"),
    "note": ("note", "comment"),
    "probability": ("probability",),
    "when": ("when", "given_at"),
}


@checked
def import_labels(
    store: RunStore | Storage,
    run_id: str,
    source: str | Path | Iterable[Mapping[str, Any]],
    *,
    metric_id: str | None = None,
    who: str | None = None,
    columns: LabelColumns | None = None,
    told: Told | None = None,
) -> LabelsTaken:
    """Keep the labels of a file, or of plain rows, all or none; importing them again stores nothing twice.

    A row without a value is one that nobody has filled in: it is passed over, and counted.

    Args:
        store: where the run is.
        run_id: the run.
        source: a CSV, TSV, JSONL, JSON or Parquet file with a row per label, or the rows.
        metric_id: the metric of rows that name none; by default the run's judged metric, or its only one.
        who: whose the rows are that name nobody; by default the user's.
        columns: which columns hold what.
        told: is told how many rows were read, now and then.

    Raises:
        SpecError: the run has no metric of that name, or several where none is named.
        DataError: the file can't be read, or labels are of no case, answer or metric of the run, or have a value that
            the metric can't have; lists them with their rows. Nothing is stored.
        LiteralSecretError: a label holds a credential.
        RunLockedError: the run is being written: wait until it has ended.
        RunNotFoundError: the store has no such run.
    """
    store = at_hand(store)
    view = RunView.of(store, run_id)
    reader = _RowReader(view, metric_id, who or default_who(), columns or LabelColumns())
    is_file = isinstance(source, str | Path)
    where = str(source) if is_file else "rows"
    given: list[_Given] = []
    faults: list[str] = []
    empty = 0
    for position, row in _rows(source):
        place = f"{where}:{position}" if is_file else f"rows[{position}]"
        label = reader.label(row, place, faults)
        if label is None:
            empty += 1
        elif isinstance(label, HumanLabel):
            given.append(_Given(label, place))
        if told is not None and position % 1000 == 0:
            told(position)
    if faults:
        raise DataError(listed(f"{where}: nothing was stored", _first(faults)))
    return _take(store, view, given, where, empty)


def _rows(source: str | Path | Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, Row]]:
    if isinstance(source, str | Path):
        yield from read_rows(Path(source), file_format(Path(source)))
    else:
        yield from enumerate(source)


class _RowReader:
    """Makes labels of rows, whose columns it finds in the first one."""

    def __init__(self, view: RunView, metric_id: str | None, who: str, columns: LabelColumns) -> None:
        self._view = view
        self._metric = None if metric_id is None else labelled_metric(view, metric_id).metric_id
        self._who = who
        self._stated = attrs.asdict(columns)
        self._columns: dict[str, str] | None = None

    def label(self, row: Row, place: str, faults: list[str]) -> HumanLabel | Literal[False] | None:
        """Return a row's label, `None` where its value is empty, and `False` where it is wrong, which `faults` says."""
        if self._columns is None:
            self._columns = self._found(row)
        cells = {name: row.get(column) for name, column in self._columns.items()}
        if (value := _value(cells.get("value"))) is None:
            return None
        named = _text(cells.get("metric"))
        unnamed = None if named else self._default_metric()  # without one, no row can be read
        try:
            return HumanLabel(
                case_id=_text(cells.get("case")),
                dataset_id=_text(cells.get("dataset")) or None,
                candidate_id=named_answer(_text(cells.get("case")), _text(cells.get("candidate"))),
                metric_id=unnamed or labelled_metric(self._view, named).metric_id,
                value=value,
                who=_text(cells.get("who")) or self._who,
                note=_text(cells.get("note")),
                probability=_number(cells.get("probability")),
                given_at=_time(cells.get("when")),
            )
        except ValueError as error:
            faults.append(f"{place}: {error}")
            return False

    def _found(self, row: Row) -> dict[str, str]:
        """Return which column holds what."""
        names = [str(name) for name in row]
        faults, found = [], {}
        for what, usual in _USUAL.items():
            stated = self._stated[what]
            column = stated or next((name for name in usual if name in names), None)
            if column in names:
                found[what] = column
            elif stated is not None or what in ("case", "value"):
                wanted = stated or usual[0]
                faults.append(f"no column {wanted!r} for the {what}; {nearest(wanted, names)}")
        if faults:
            raise DataError(listed(f"columns found: {', '.join(names) or 'none'}", faults))
        return found

    def _default_metric(self) -> str:
        if self._metric is None:
            self._metric = labelled_metric(self._view, None).metric_id
        return self._metric


def labelled_metric(view: RunView, metric_id: str | None) -> MetricSlot:
    """Return the metric that labels are about: the one named, the run's only judged one, or its only one.

    A builtin metric may be named without `builtin/`.

    Raises:
        SpecError: the run has none of that name, or several.
    """
    names = [metric.metric_id for metric in view.metrics]
    if metric_id is not None:
        for name in (metric_id, f"builtin/{metric_id}"):
            if name in names:
                return view.metrics[names.index(name)]
        raise SpecError(f"metric: the run has no metric {metric_id!r}; {nearest(metric_id, names)}")
    judged = [metric for metric in view.metrics if metric.family == "llm"]
    found = judged if len(judged) == 1 else view.metrics
    if len(found) != 1:
        raise SpecError(f"metric: say which one the labels are for: {', '.join(names) or 'the run has none'}")
    return found[0]


def named_answer(case_id: str, name: str | None) -> str | None:
    """Return the id of the answer that a name means: a number counts a case's answers, from 0."""
    if name and name.isascii() and name.isdecimal():
        return candidate_id(case_id, int(name))
    return name or None


def _text(cell: Any) -> str:
    return "" if cell is None else of_cell(str(cell).strip())


def _value(cell: Any) -> LabelValue:
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, int | float):
        return None if cell != cell else float(cell)  # pandas writes NaN where there is nothing
    return read_label_value(_text(cell)) if _text(cell) else None


def _number(cell: Any) -> float | None:
    try:
        return float(cell) if _text(cell) else None
    except (TypeError, ValueError):
        raise ValueError(f"probability: a number expected, found {cell!r}") from None


def _time(cell: Any) -> datetime | None:
    if not _text(cell):
        return None
    try:
        time = cell if isinstance(cell, datetime) else datetime.fromisoformat(_text(cell))
    except ValueError:
        raise ValueError(f"when: a time such as 2026-01-31T12:00:00Z expected, found {cell!r}") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


# --- which come next --------------------------------------------------------------------------------------


@checked
def next_labels(
    store: RunStore | Storage,
    run_id: str,
    count: int,
    *,
    metric_id: str | None = None,
    by: ChosenBy = "random",
    who: str | None = None,
    seed: int = 0,
    blind: bool = True,
) -> list[dict[str, Any]]:
    """Return the answers to label next, as rows to fill in: `value`, `who` and `note` are empty.

    By default they are the next of a random sample, whose order depends on the run and the seed alone: 50 now and 50
    later are a sample of 100, and two people who are both asked for 50 label the same ones. `uncertainty` chooses more
    of those that the judge is unsure of, and states with what probability, which the estimate needs; what is labelled
    already comes again, with its value and the probability that it has now.

    Args:
        store: where the run is.
        run_id: the run.
        count: how many more.
        metric_id: the metric that the labels are for; by default the run's judged metric, or its only one.
        by: how they are chosen.
        who: whose labels count as given; by default anybody's.
        seed: of the sample; the same for all labels of a run.
        blind: leave out what the metric says, which a labeller should not know.

    Raises:
        SpecError: no such metric, or several to choose from.
        DataError: fewer than one asked for, no answer has a score, or the judge is as sure of all.
        RunNotFoundError: the store has no such run.
    """
    view = RunView.of(store, run_id)
    metric = labelled_metric(view, metric_id)
    scores: dict[str, tuple[int, BenchmarkScoreRow]] = {}
    labels: dict[str, HumanLabel] = {}
    for case in view.scored():
        for row in case.rows:
            if row.metric_id == metric.metric_id and row.value is not None:
                scores[_key(row.case_key, _named(view, metric, row))] = case.item.case_no, row
        for label in case.labels:
            if label.metric_id == metric.metric_id and not label.outdated and who in (None, label.who):
                labels[_key(case.item.case_key, label.candidate_id)] = label
    if not scores:
        raise DataError(f"no answer has a score of {metric.metric_id}, so there is none to label")
    limits = metric.score_range or (0.0, 1.0)
    unsure = [score_uncertainty(row.value or 0.0, limits) for _, row in scores.values()]
    chosen = choose_labels(
        [*scores],
        count,
        uncertainty=unsure if by == "uncertainty" else None,
        labelled=[*(labels.keys() & scores.keys())],
        seed=seed,
    )
    cases = {scores[choice.key][0] for choice in chosen}
    states = {item.case_no: (item, state) for item, state in view.numbered(cases)}
    rows = []
    for choice in chosen:
        case_no, row = scores[choice.key]
        item, state = states[case_no]
        shown = view.in_full(item, view.events_of(item), state)
        outputs = labelled_outputs(view.plan, state, metric.metric_id, _named(view, metric, row))
        known = labels.get(choice.key) if choice.is_labelled else None
        rows.append(
            {
                "case_id": row.case_id,
                "dataset_id": row.dataset_id,
                "candidate_id": _named(view, metric, row) or "",
                "metric": metric.metric_id,
                "prompt": _prompt(shown.prompt),
                "expected_output": shown.expected_output,
                "answer": outputs[0] if len(outputs) == 1 else outputs,
                **({} if blind else {"score": row.value, "outcome": row.outcome}),
                "value": "" if known is None else known.value,
                "who": (who or "") if known is None else known.who,
                "note": "" if known is None else known.note,
                **({"probability": choice.probability} if choice.probability is not None else {}),
            }
        )
    return rows


def label_sheet(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the rows of `next_labels` as lines of CSV, to be filled in and imported; no cell of it is a formula."""
    header = [*rows[0]] if rows else ["case_id", "value"]
    yield from csv_of(header, ([_cell(row[name]) for name in header] for row in rows))


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, float) else text_of(value)


def _key(case_key: str, candidate_id: str | None) -> str:
    return f"{case_key}\n{candidate_id or ''}"


def _named(view: RunView, metric: MetricSlot, row: BenchmarkScoreRow) -> str | None:
    """Return the name by which a label says which of several answers it is of."""
    return row.candidate_id if len(view.plan.answers_of(metric)) > 1 else None


def _prompt(messages: Iterable[Mapping[str, Any]]) -> str:
    return "\n\n".join(text_of(shown_content(message["content"])) for message in messages)
