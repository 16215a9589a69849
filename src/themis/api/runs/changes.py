"""Which cases changed from one stored run to another: counted in one pass, and shown as they are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from themis.api.arguments import checked
from themis.api.runs.compare import labels_of_two, whole_names
from themis.api.runs.report import page_file
from themis.api.runs.view import RunView, ScoredCase
from themis.api.stores import Storage
from themis.effects.files import whole_file
from themis.effects.reading import AsOf
from themis.pure.changes import (
    CHANGED,
    UNCHANGED,
    ChangeCounts,
    ChangedCase,
    ChangeKind,
    MetricChanges,
    Standing,
    first_of_each,
    shown_case,
    standing_of,
)
from themis.pure.errors import DataError, SpecError, nearest
from themis.pure.identity import case_hash
from themis.pure.json import content_hash
from themis.pure.pairing import paired
from themis.pure.plan import CaseItem, case_items, items_at
from themis.pure.protocols import RunStore
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.changes import changed_case_text, changes_data, changes_html, changes_markdown, changes_text
from themis.pure.report.html import page_head
from themis.pure.report.markup import Markup, element

_SHOWN: Final = 20
"""Cases of each kind and metric that are shown in full where nobody says how many."""

_AT_ONCE: Final = 200
"""Cases that are read at a time where the second run has them in another order."""


@attrs.frozen
class _Changed:
    """A case that changed: its number in each run, and what changed by metric."""

    number_a: int
    number_b: int
    kinds: Mapping[str, ChangeKind]


@attrs.frozen(kw_only=True, repr=False)
class RunChanges:
    """What changed from one run to another, case by case.

    `str()` of it counts and names the cases, and `cases()` reads them.

    Attributes:
        label_a: what to call the first run.
        label_b: what to call the second run.
        metrics: the cases of each kind, by metric.
        paired: how many cases were looked at: both runs have them, with the same content.
    """

    label_a: str
    label_b: str
    metrics: tuple[MetricChanges, ...]
    paired: int
    _views: tuple[RunView, RunView] = attrs.field(alias="views")
    _changed: Sequence[_Changed] = attrs.field(alias="changed")

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        counts = ", ".join(f"{each.metric_id}: {each.changed} of {each.total}" for each in self.metrics)
        return f"RunChanges({self.label_a!r} to {self.label_b!r}, {counts})"

    @checked
    def cases(
        self, *, kinds: Collection[str] | str | None = None, metric: str | None = None, most: int | None = None
    ) -> Iterator[ChangedCase]:
        """Yield the cases that changed, in plan order, as both runs have them; the stores are read as they are taken.

        Args:
            kinds: of these kinds alone, such as `right_to_wrong`.
            metric: those that changed by this metric; `builtin/` may be left out.
            most: the first so many of each kind and metric.

        Raises:
            SpecError: there is no such kind, or the runs were not compared on this metric.
        """
        wanted = check_kinds([kinds] if isinstance(kinds, str) else kinds)
        known = [each.metric_id for each in self.metrics]
        if metric is not None:
            metric = f"builtin/{metric}" if metric not in known and f"builtin/{metric}" in known else metric
            if metric not in known:
                raise SpecError(f"metric: the runs were not compared on {metric!r}; {nearest(metric, known)}")
        if most is not None and most < 0:
            raise SpecError(f"most: a number from 0 up expected, found {most}")
        return self._read([*self._chosen(wanted, metric, most)])

    def _chosen(self, wanted: frozenset[ChangeKind], metric: str | None, most: int | None) -> Iterator[_Changed]:
        of_metric = (
            (place, {name: kind for name, kind in each.kinds.items() if metric in (None, name)})
            for place, each in enumerate(self._changed)
        )
        return (self._changed[place] for place in first_of_each(of_metric, most, wanted))

    def _read(self, chosen: Sequence[_Changed]) -> Iterator[ChangedCase]:
        a, b = self._views
        items_a = _items(a, [each.number_a for each in chosen])
        items_b = _items(b, [each.number_b for each in chosen])
        for each, item_a, item_b in zip(chosen, items_a, items_b, strict=True):
            yield ChangedCase(
                case_id=item_a.case.case_id,
                dataset_id=item_a.dataset_id,
                case_key=item_a.case_key,
                kinds=each.kinds,
                a=shown_case(a.in_full(item_a, a.events_of(item_a))),
                b=shown_case(b.in_full(item_b, b.events_of(item_b))),
            )

    @checked
    def to_dict(self, *, most: int | None = 0, kinds: Collection[str] | str | None = None) -> dict[str, Any]:
        """Return what changed as plain JSON: each kind with its cases' keys, and cases in full as `cases` chooses."""
        return changes_data(self.metrics, self.cases(most=most, kinds=kinds), paired=self.paired)

    @checked
    def text(self, *, most: int | None = 0, kinds: Collection[str] | str | None = None, width: int = 80) -> str:
        """Return what changed for a terminal: the kinds with the names of cases, and cases side by side."""
        cases = self.cases(most=most, kinds=kinds)
        shown = (changed_case_text(case, self.label_a, self.label_b, width) for case in cases)
        return "\n\n".join([changes_text(self.metrics), *shown])

    @checked
    def to_markdown(self, *, most: int | None = _SHOWN, kinds: Collection[str] | str | None = None) -> str:
        """Return what changed as Markdown, with the first cases of each kind and metric in full."""
        return changes_markdown(self.metrics, self.cases(most=most, kinds=kinds), self.label_a, self.label_b)

    @checked
    def write_html(
        self, path: str | Path, *, most: int | None = _SHOWN, kinds: Collection[str] | str | None = None
    ) -> None:
        """Write what changed as one page that opens offline: the runs side by side, and marked what differs.

        Args:
            path: the file to write, whose folder is made; it is there whole or not at all.
            most: how many cases of each kind and metric it shows.
            kinds: of these kinds alone.
        """
        pieces = changes_page(self, self.cases(most=most, kinds=kinds))
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.writelines(piece.encode() for piece in pieces)


def _items(view: RunView, numbers: Sequence[int]) -> Iterator[CaseItem]:
    """Yield the cases of these numbers: from one pass where they ascend, or else some at a time."""
    if all(one < other for one, other in itertools.pairwise(numbers)):
        wanted = {*numbers}
        yield from (item for item in case_items(view.snapshot) if item.case_no in wanted)
        return
    for first in range(0, len(numbers), _AT_ONCE):
        yield from items_at(view.snapshot, numbers[first : first + _AT_ONCE])


def changes_page(changes: RunChanges, cases: Iterable[ChangedCase], before: Iterable[Markup] = ()) -> Iterator[str]:
    """Yield a page with what changed, piece by piece, behind sections that are made already."""
    style = page_file("page.css")
    yield page_head(f"{changes.label_a} and {changes.label_b} - Themis", style)
    yield "<body>\n"
    yield element(
        "header",
        element("p", "Themis comparison", class_="eyebrow"),
        element("h1", element("code", changes.label_a), " and ", element("code", changes.label_b)),
    )
    yield '\n<main class="last">\n'
    yield from before
    yield from changes_html(changes.metrics, cases, changes.label_a, changes.label_b)
    yield "\n</main>\n</body>\n</html>\n"


def check_kinds(names: Collection[str] | None) -> frozenset[ChangeKind]:
    """Return the kinds that names mean; all kinds of changes if none is named.

    Raises:
        SpecError: one of them is no kind of change.
    """
    if names is None:
        return frozenset(CHANGED)
    for name in names:
        if name not in CHANGED:
            raise SpecError(f"kinds: no change is of a kind {name!r}; {nearest(name, CHANGED)}")
    return frozenset(kind for kind in CHANGED if kind in names)


@checked
def changed_cases(
    store_a: RunStore | Storage,
    run_a: str,
    store_b: RunStore | Storage,
    run_b: str,
    metric_ids: Sequence[str] | None = None,
    *,
    label_a: str | None = None,
    label_b: str | None = None,
) -> RunChanges:
    """Return which cases changed from one run to another, by kind: right to wrong, parsed to unparsed, and so on.

    Cases are paired, and left out, as `compare` does it, and by each metric every case is of one kind: those that went
    up are the wins that `compare` counts, those that went down its losses. What is read is held by its numbers alone.

    Args:
        store_a: where the first run is kept.
        run_a: its id.
        store_b: where the second run is kept; may be the same store.
        run_b: its id.
        metric_ids: these metrics alone; `builtin/` before a name may be left out. By default all shared ones.
        label_a: what to call the first run; by default the start of its id.
        label_b: what to call the second run.

    Raises:
        RunNotFoundError: a store has no such run.
        DataError: not both runs have a metric that was asked for.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"case_id": str(n), "input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(40)]
    >>> models = ("builtin/demo_generator", "builtin/demo_model")
    >>> runs = [evaluate(model=each, data=rows, metric="builtin/exact_match", store=store).run_id for each in models]
    >>> found = changed_cases(store, runs[0], store, runs[1])
    >>> [(each.kind, each.count) for each in found.metrics[0].kinds]
    [('right_to_wrong', 9), ('same', 31)]
    >>> case = next(found.cases(kinds="right_to_wrong"))
    >>> case.case_id, case.a.answers[0].answer, case.b.answers[0].answer
    ('3', '6', '7')
    """
    return changes_of(
        RunView.of(store_a, run_a), RunView.of(store_b, run_b), metric_ids, label_a=label_a, label_b=label_b
    )


def changes_of(
    a: RunView,
    b: RunView,
    metric_ids: Sequence[str] | None = None,
    *,
    label_a: str | None = None,
    label_b: str | None = None,
) -> RunChanges:
    """Return which cases changed from one run to another, as `changed_cases` does."""
    metrics = _shared(a, b, metric_ids)
    counts = {metric: ChangeCounts(metric) for metric in metrics}
    in_a, in_b = {ours: name for name, (ours, _) in metrics.items()}, {of: name for name, (_, of) in metrics.items()}
    changed: list[_Changed] = []
    total = 0
    for key, ours, theirs in _pairs(_Side(a, in_a), _Side(b, in_b)):
        total += 1
        alike = ours.parsed == theirs.parsed
        kinds = {
            metric: counts[metric].add(key, ours.standings[metric], theirs.standings[metric], parsed_alike=alike)
            for metric in metrics
        }
        told = {metric: kind for metric, kind in kinds.items() if kind not in UNCHANGED}
        if told:
            changed.append(_Changed(ours.number, theirs.number, told))
    name_a, name_b = labels_of_two(a.run_id, b.run_id, label_a, label_b)
    return RunChanges(
        label_a=name_a,
        label_b=name_b,
        metrics=tuple(found.result() for found in counts.values()),
        paired=total,
        views=(a, b),
        changed=changed,
    )


def _shared(a: RunView, b: RunView, metric_ids: Sequence[str] | None) -> dict[str, tuple[str, str]]:
    """Return the metrics to look at by their names here: of each the one in the first run, and that in the second.

    Runs that share none and have one each, such as one scored again by another metric, are looked at by these two.
    """
    of_a, of_b = ([metric.metric_id for metric in view.metrics] for view in (a, b))
    shared = sorted({*of_a} & {*of_b})
    if metric_ids is None and not shared and len(of_a) == len(of_b) == 1:
        return {f"{of_a[0]} to {of_b[0]}": (of_a[0], of_b[0])}
    chosen = whole_names(metric_ids, a, b)
    for name in chosen or ():
        if name not in shared:
            raise DataError(f"metric: not both runs have {name!r}; {nearest(name, shared)}")
    return {name: (name, name) for name in (shared if chosen is None else chosen)}


def view_before(store: RunStore, snapshot: RunSnapshot, named: str | None, *, judged_anew: bool) -> RunView:
    """Return the run that a replay's changes are from, as it is now.

    Args:
        store: where the runs are.
        snapshot: what is about to be done again.
        named: the run that was asked for, if one was.
        judged_anew: judges are asked again; the run itself is meant then, if it is there.

    Raises:
        DataError: no other run of the store has its answers.
    """
    end = store.head(snapshot.run_id)
    found = named
    if found is None and not (judged_anew and end.count):
        found = _run_with_its_answers(store, snapshot)
    if found is None and not end.count:
        raise DataError(f"{store.location} has no other run with the same answers, from which anything could change")
    if found is None or found == snapshot.run_id:
        return RunView(snapshot=snapshot, store=AsOf(store, snapshot.run_id, end))
    return RunView.of(store, found)


def _run_with_its_answers(store: RunStore, snapshot: RunSnapshot) -> str | None:
    """Return the newest other run that asks for the same answers, however they are scored."""
    for line in store.list_runs():
        if line.run_id != snapshot.run_id and line.event_count:
            found = store.load_snapshot(line.run_id).identity
            if all(getattr(found, name) == getattr(snapshot.identity, name) for name in _OF_ANSWERS):
                return line.run_id
    return None


_OF_ANSWERS: Final = ("dataset_refs", "generator_ref", "generation_prompt_spec", "candidate_policy", "seeds")


# --- pairs ------------------------------------------------------------------------------------------------


@attrs.frozen
class _Side:
    """A run, and what its metrics are called here."""

    view: RunView
    names: Mapping[str, str]

    def seen(self, case: ScoredCase, *, hashed: bool = False) -> _Seen:
        rows: dict[str, list[BenchmarkScoreRow]] = {name: [] for name in self.names.values()}
        for row in case.rows:
            if (name := self.names.get(row.metric_id)) is not None:
                rows[name].append(row)
        parsed: Any = self.view.parsed(case)
        standings = {name: standing_of(found, self.view.thresholds) for name, found in rows.items()}
        return _Seen(case.item.case_no, standings, content_hash(parsed) if hashed else parsed)


@attrs.frozen
class _Seen:
    """What is held of a case of one run: its number, where it stands by each metric, and what was parsed."""

    number: int
    standings: Mapping[str, Standing]
    parsed: Any


def _pairs(a: _Side, b: _Side) -> Iterator[tuple[str, _Seen, _Seen]]:
    """Yield the cases that both runs planned, with their keys in the first; runs of the same data are read at once."""
    if a.view.snapshot.identity.dataset_refs == b.view.snapshot.identity.dataset_refs:

        def wanted(number: int) -> bool:
            return a.view.is_planned(number) and b.view.is_planned(number)

        for ours, theirs in zip(a.view.scored(wanted), b.view.scored(wanted), strict=True):
            yield ours.item.case_key, a.seen(ours), b.seen(theirs)
        return
    names = paired(case_items(a.view.snapshot), case_items(b.view.snapshot)).names
    in_b: dict[str, tuple[_Seen, str | None]] = {}
    for case in b.view.scored():
        key = case.item.case_key
        # What is one by its content was not changed, whatever else is said of it.
        content = None if key in names else case_hash(case.item.case)
        in_b[names.get(key, key)] = b.seen(case, hashed=True), content
    for case in a.view.scored():
        found = in_b.get(case.item.case_key)
        if found is not None and found[1] in (None, case_hash(case.item.case)):
            yield case.item.case_key, a.seen(case, hashed=True), found[0]
