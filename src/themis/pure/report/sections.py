"""What a report says, as data: sections of facts, tables and plots, which every renderer shows in its own way.

The words are here, and nothing of how they look. Texts are kept as they are; each renderer escapes them for its
format. A new section is a function in `SECTIONS`.
"""

from __future__ import annotations

import itertools
import operator
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from themis.pure.interchange.records import IMPORTED
from themis.pure.json import EMPTY
from themis.pure.records.labels import RunLabels
from themis.pure.records.snapshot import ComponentRef, RunIdentity, RunSnapshot, Unparsed
from themis.pure.report.labelling import LabelledMetric
from themis.pure.report.overview import Bin, FailureCount, Quantity, RunOverview
from themis.pure.report.served import ServedModels
from themis.pure.report.settings import described, ordered_leaves, setting_text, settings_text
from themis.pure.report.summary import SummaryRow, bounds_text, ends_text, value_text
from themis.pure.stats import Estimate, GroupedEstimate, Interval
from themis.pure.stats.corrected import LabelWorth
from themis.pure.stats.several import SeveralAnswers
from themis.pure.stats.wording import interval_text, number
from themis.pure.stopping import Stop
from themis.pure.text import shortened
from themis.pure.usage import RunCosts, calls_text, is_free

Format: TypeAlias = Literal["html", "markdown", "latex", "terminal"]

EVERYWHERE: Final[tuple[Format, ...]] = ("html", "markdown", "latex", "terminal")

Facts: TypeAlias = tuple[tuple[str, str], ...]


@attrs.frozen(kw_only=True)
class Report:
    """One run, read for a report.

    Attributes:
        error_message: why it ended early, if it did.
        served: which models answered, where the servers say so.
        costs: what its calls used and cost; `None` if that was not asked for.
        stop: where its rule ended it, if it has one.
    """

    snapshot: RunSnapshot
    status: str
    completed_through_stage: str | None = None
    error_message: str | None = None
    overview: RunOverview
    labels: RunLabels = attrs.field(factory=RunLabels)
    served: tuple[ServedModels, ...] = ()
    costs: RunCosts | None = None
    stop: Stop | None = None

    def facts(self) -> Facts:
        """Return the facts at the head of a report, besides the run's id and its status."""
        benchmark, labels = self.overview.benchmark, self.labels
        return (
            *((("Name", labels.name),) if labels.name is not None else ()),
            *((("Tags", ", ".join(labels.tags)),) if labels.tags else ()),
            ("Model", self.snapshot.identity.generator_ref.component_id),
            ("Data", ", ".join(benchmark.dataset_ids)),
            ("Cases", f"{benchmark.total_cases:,}"),
            *((("Until", str(self.stop)),) if self.stop is not None else ()),
            ("Candidates", f"{self.overview.candidates:,}"),
            ("With an error", f"{benchmark.failed_cases:,}"),
        )


# --- plots ------------------------------------------------------------------------------------------------


@attrs.frozen
class ErrorBar:
    """A mean with its interval, and where missing scores could move it; `label` says the same in words."""

    estimate: Estimate
    label: str


@attrs.frozen
class Shares:
    """How a whole is divided: counts by name."""

    counts: Mapping[str, int]
    label: str


@attrs.frozen
class Histogram:
    """How values are distributed."""

    bins: Sequence[Bin]
    label: str
    log_scale: bool = False


Plot: TypeAlias = ErrorBar | Shares | Histogram


def histogram_of(bins: Sequence[Bin], name: str, *, log_scale: bool = False) -> Histogram | None:
    """Return the histogram of something, described in words; `None` if there is nothing to show."""
    spoken = ", ".join(
        f"{each.count} at {short(each.low)}"
        if each.low == each.high
        else f"{each.count} from {short(each.low)} to {short(each.high)}"
        for each in bins
    )
    return Histogram(bins, f"{name}: {spoken}", log_scale) if bins else None


def short(value: float) -> str:
    """Write a number for an axis.

    >>> short(0.5), short(1250.0), short(3400000.0)
    ('0.5', '1,250', '3.4e+06')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


# --- sections ---------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Table:
    """A table of texts.

    Attributes:
        header: the columns' names.
        rows: a text for each of them.
        align: `l` or `r` for each column; by default all but the first are figures, and stand to the right.
        narrow: the columns that 80 characters have room for; all by default.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str = attrs.field()
    narrow: tuple[str, ...] = attrs.field()

    @align.default
    def _figures(self) -> str:
        return "l" + "r" * (len(self.header) - 1)

    @narrow.default
    def _all(self) -> tuple[str, ...]:
        return self.header


@attrs.frozen(kw_only=True)
class Section:
    """A part of a report.

    Attributes:
        title: its heading; without one it goes on with the section before.
        figure: the one figure that matters most.
        note: a sentence about what follows.
        parts_note: replaces the note where the parts replace the table.
        plot: a drawing; formats without drawings show its description if the section has nothing else.
        facts: names and values.
        table: figures, a line each.
        remarks: what to keep in mind.
        parts: the same in detail, one by one: a page shows them in place of the table.
        shown_in: the formats that it is for.
    """

    title: str = ""
    figure: str = ""
    note: str = ""
    parts_note: str = ""
    plot: Plot | None = None
    facts: Facts = ()
    table: Table | None = None
    remarks: tuple[str, ...] = ()
    parts: tuple[Section, ...] = ()
    shown_in: tuple[Format, ...] = EVERYWHERE


def sections(report: Report, shown_in: Format) -> list[Section]:
    return [section for make in SECTIONS for section in make(report) if shown_in in section.shown_in]


def _results(report: Report) -> Iterator[Section]:
    rows = report.overview.metrics
    if not rows:
        yield Section(title="Results", note="The run has no metric.")
        return
    level = f"{100 * rows[0].estimate.interval.level:g}%"
    units = " and ".join(dict.fromkeys(f"{row.estimate.unit}s" for row in rows))
    clustered = ", and the answers of a case are one cluster" if "answers" in units else ""
    narrow = ("metric", "value ± stderr", "n", "planned", "unparsed", "errored")
    yield Section(
        title="Results",
        note=f"n counts scored {units}; means are over them only{clustered}.",
        parts_note=f"Means are over scored {units} only{clustered}. The dot is the mean and the bar its interval; the "
        "pale band shows where the mean could lie if every missing score were wrong, or right.",
        table=Table(header=(*narrow, f"{level} interval"), rows=tuple(row.cells() for row in rows), narrow=narrow),
        parts=tuple(_metric(row, report.overview) for row in rows),
        remarks=(*_pooled(report.overview.benchmark.dataset_ids), *_of_answers(report)),
        shown_in=("html", "markdown", "terminal"),
    )
    methods = " and ".join(dict.fromkeys(row.estimate.interval.method for row in rows if row.estimate.interval.defined))
    yield Section(
        title="Results",
        note=f"n counts scored {units}; means are over them only{clustered}{methods and f'; intervals: {methods}'}.",
        table=Table(
            header=("metric", "mean ± stderr", f"{level} interval", "n"),
            rows=tuple(
                (row.metric_id, row.value(), ends_text(row.estimate.interval), str(row.estimate.scored)) for row in rows
            ),
        ),
        remarks=(*_pooled(report.overview.benchmark.dataset_ids), *_of_answers(report)),
        shown_in=("latex",),
    )
    yield Section(remarks=tuple(remark for row in rows for remark in _in_words(row, level)), shown_in=("terminal",))
    yield Section(
        title="Missing scores",
        note="The means if every missing score were wrong, or right.",
        table=Table(
            header=("metric", "missing", "if all missing were wrong or right", "parse rate", "were clusters ignored"),
            rows=tuple(
                (row.metric_id, str(row.estimate.missing), row.bounds(), row.parsed(), row.naive()) for row in rows
            ),
        ),
        # A paper's table of results has no line for what did not happen.
        shown_in=("markdown", "latex") if any(row.estimate.missing for row in rows) else ("markdown",),
    )


def _stop(report: Report) -> Iterator[Section]:
    stop = report.stop
    if stop is None:
        return
    figure = f"{stop.metric_id}: {interval_text(stop.interval)}"
    planned = f"{stop.of - stop.cases:,} cases were not planned any more" if stop.cases < stop.of else ""
    whole = Section(
        title="When the run ended",
        remarks=tuple(filter(None, (str(stop), figure, planned))),
        shown_in=("html", "markdown", "latex"),
    )
    yield whole
    yield attrs.evolve(whole, remarks=_wrapped(whole.remarks), shown_in=("terminal",))


def _pooled(dataset_ids: Sequence[str]) -> Iterator[str]:
    if len(dataset_ids) > 1:
        yield f"The means pool {len(dataset_ids)} datasets: each counts by how many scores it has."


def _of_answers(report: Report) -> Iterator[str]:
    """Yield what became of the answers: those that no parser could read, that were cut, that are empty."""
    overview = report.overview
    for row in overview.metrics:
        if row.unparsed:
            yield f"{row.metric_id}: {_with_unparsed(row, report.snapshot.identity.unparsed)}"
        if row.not_reached:
            yield (
                f"{row.metric_id}: {row.not_reached:,} of {row.estimate.planned:,} {row.estimate.unit}s are not scored "
                "yet: the run has not come to it"
            )
    for count, what in ((overview.truncated, "cut by the length limit"), (overview.empty, "empty")):
        if count:
            yield f"{count:,} of {overview.candidates:,} generated answers {'is' if count == 1 else 'are'} {what}"


def _with_unparsed(row: SummaryRow, policy: Unparsed) -> str:
    """Return a mean with the answers that could not be parsed and without them, or say why they are left out."""
    estimate, count = row.estimate, row.unparsed
    mean, parsed = (None if figure is None else f"{figure:.4f}" for figure in (estimate.mean, estimate.parsed_mean))
    if parsed is None:
        counted = "and count as incorrect" if estimate.unparsed else "and are missing"
        return f"none of the answers could be read: {count:,} could not, {counted}"
    if estimate.unparsed:
        return (
            f"{mean}; {parsed} over the {estimate.scored - estimate.unparsed:,} answers that could be read "
            f"({count:,} could not, and count as incorrect)"
        )
    why = "as the run has it" if policy == "missing" else "for the metric states no score_range"
    read = f"{parsed} is over the {estimate.scored:,} answers that could be read"
    return f"{read}; {count:,} could not, and are missing, {why}"


def _groups(report: Report) -> Iterator[Section]:
    for grouped in report.overview.groups:
        whole = _grouped(grouped)
        yield whole
        yield attrs.evolve(
            whole,
            table=_grouped(grouped, _LONGEST_GROUP).table,
            remarks=_wrapped(whole.remarks),
            shown_in=("terminal",),
        )


def _wrapped(remarks: Iterable[str]) -> tuple[str, ...]:
    """Return remarks in lines that a terminal of 80 columns has room for."""
    return tuple(line for remark in remarks for line in textwrap.wrap(remark, 80))


def _grouped(grouped: GroupedEstimate, longest: int | None = None) -> Section:
    level = f"{100 * grouped.micro.interval.level:g}%"
    shown = [(_cut(name, longest), estimate) for name, estimate in _lines_of(grouped)]
    by = _cut(grouped.by, longest)
    return Section(
        title=f"{grouped.metric_id} by {grouped.by}",
        note="Micro average: every case counts the same; macro average: every group does.",
        table=_estimates(by, shown, level),
        remarks=tuple(_shared_remarks(_lines_of(grouped), level)),
        shown_in=("html", "markdown", "latex"),
    )


_LONGEST_GROUP: Final = 32
"""Of a group's name in a terminal, where figures take the rest of 80 columns."""


def _cut(name: str, longest: int | None) -> str:
    return name if longest is None else shortened(name, longest)


def _lines_of(grouped: GroupedEstimate) -> Iterator[tuple[str, Estimate]]:
    for group in grouped.groups:
        yield _group_title(group.name, grouped.by), group.estimate
    yield "micro average", grouped.micro
    yield f"macro average of {grouped.macro.scored} groups", grouped.macro


def _group_title(name: str | None, by: str) -> str:
    return f"(no {by})" if name is None else name or "(empty)"


def _estimates(of: str, shown: Iterable[tuple[str, Estimate]], level: str) -> Table:
    """Return a table with a line for each of several named estimates."""
    figures = ("value ± stderr", "n", "planned", f"{level} interval")
    return Table(
        header=(of, *figures),
        rows=tuple(
            (name, value_text(each), str(each.scored), str(each.planned), ends_text(each.interval))
            for name, each in shown
        ),
        narrow=(of, *(name for name in figures if name != "planned")),
    )


def _shared_remarks(shown: Iterable[tuple[str, Estimate]], level: str) -> Iterator[str]:
    """Yield what the table has no room for; what is the same for several lines is said once."""
    said: dict[str, list[str]] = {}
    for name, estimate in shown:
        if not estimate.interval.defined:
            said.setdefault(f"no {level} interval: {estimate.interval.reason}", []).append(name)
        if estimate.missing or estimate.if_missing_wrong != estimate.if_missing_right:
            said.setdefault(f"{bounds_text(estimate)} if all missing were wrong, or all right", []).append(name)
        for warning in estimate.warnings:
            said.setdefault(warning, []).append(name)
    yield from (f"{', '.join(names)}: {text}" for text, names in said.items())


def _dimensions(report: Report) -> Iterator[Section]:
    found = report.overview.dimensions
    if not found:
        return
    level = f"{100 * found[0].estimate.interval.level:g}%"
    for metric_id, dimensions in itertools.groupby(found, key=operator.attrgetter("metric_id")):
        shown = [(each.name, each.estimate) for each in dimensions]
        whole = Section(
            title=f"{metric_id} by dimension",
            note="The mean of the judges' scores of each dimension.",
            table=_estimates("dimension", shown, level),
            remarks=tuple(_shared_remarks(shown, level)),
            shown_in=("html", "markdown", "latex"),
        )
        yield whole
        narrow = [(_cut(name, _LONGEST_GROUP), estimate) for name, estimate in shown]
        yield attrs.evolve(
            whole,
            table=_estimates("dimension", narrow, level),
            remarks=_wrapped(whole.remarks),
            shown_in=("terminal",),
        )


def _imported(report: Report) -> Iterator[Section]:
    found = report.overview.imported
    if not found:
        return
    known = report.snapshot.provenance.provider_metadata.get(IMPORTED)
    about = known if isinstance(known, Mapping) else EMPTY
    is_named = about.get("tool") not in (None, "outputs")  # a table of answers says nothing of who scored them
    tool = " ".join(str(about[name]) for name in ("tool", "version") if about.get(name)) if is_named else "another tool"
    yield Section(
        title="Scored elsewhere",
        note=f"What {tool} scored these answers, as imported: none of it was made or checked here.",
        table=Table(
            header=("scorer (imported)", "mean", "n", "scored"),
            rows=tuple(
                (each.name, "-" if each.mean is None else f"{each.mean:.4f}", f"{each.numbers:,}", f"{each.scores:,}")
                for each in found
            ),
        ),
    )
    agreements = report.overview.agreements
    if agreements:
        yield Section(
            title="Scored here and elsewhere",
            note="How many of the imported scores are what a metric makes of the same answers.",
            table=Table(
                header=("scorer (imported)", "metric", "equal", "of"),
                rows=tuple((each.name, each.metric_id, f"{each.equal:,}", f"{each.scored:,}") for each in agreements),
                align="llrr",
            ),
            remarks=tuple(each.differences for each in agreements if each.differing),
        )


def _labels(report: Report) -> Iterator[Section]:
    return of_labels(report.overview.labelled)


def of_labels(labelled: Iterable[LabelledMetric]) -> Iterator[Section]:
    """Yield what human labels say: each metric, its agreement with people, and the mean that they correct it to."""
    for found in labelled:
        corrected, level = found.corrected, f"{100 * found.corrected.interval.level:g}%"
        means = [
            (f"{found.metric_id} alone", corrected.judge.mean, corrected.judge.interval, corrected.judged),
            ("labels alone", corrected.labels.mean, corrected.labels.interval, corrected.labelled),
            ("corrected by labels", corrected.mean, corrected.interval, corrected.labelled),
        ]
        if found.rogan_gladen is not None:
            means.append(
                ("by its rates of errors", found.rogan_gladen.mean, found.rogan_gladen.interval, found.answers)
            )
        whole = Section(
            title=f"{found.metric_id} and human labels",
            note=f"{found.answers:,} answers of {found.cases:,} cases are labelled. The corrected mean estimates what "
            "labels of all answers would have; the interval of the metric alone takes it that it never errs.",
            table=Table(
                header=("mean", "value", f"{level} interval", "n"),
                rows=tuple(
                    (name, "-" if value is None else f"{value:.4f}", _ends(interval), f"{count:,}")
                    for name, value, interval, count in means
                ),
            ),
            remarks=tuple(_of_labels(found)),
            shown_in=("html", "markdown", "latex"),
        )
        yield whole
        narrow = _wrapped((whole.note, *whole.remarks))
        yield attrs.evolve(whole, note="", remarks=narrow, shown_in=("terminal",))


def _ends(interval: Interval) -> str:
    return f"{ends_text(interval)} ({interval.method})" if interval.defined else "-"


def _of_labels(found: LabelledMetric) -> Iterator[str]:
    corrected = found.corrected
    yield "Corrected means hold if the labelled answers are a random sample, or state how they were chosen."
    if corrected.mean is None:
        yield f"no corrected mean: {corrected.undefined['mean']}"
    if corrected.bias.mean is not None:
        yield f"{found.metric_id} scores {corrected.bias.mean:+.4f} against the labels on average"
    if corrected.sensitivity is not None and corrected.specificity is not None:
        yield (
            f"it finds {corrected.sensitivity:.1%} of what people call right, and {corrected.specificity:.1%} of what "
            "they call wrong"
        )
    yield from _of_agreement(found)
    if corrected.worth is not None:
        yield from _of_worth(corrected.worth)
    if found.words:
        yield f"{found.words:,} labels are words, which no score can be held against"
    if found.outdated:
        yield f"{found.outdated:,} labels are of answers that were made anew since, and do not count"
    yield from corrected.warnings


def _of_agreement(found: LabelledMetric) -> Iterator[str]:
    told = [(each.who, coefficient) for each in found.labellers for coefficient in (each.raw, each.kappa)]
    whole = [("metric and labellers", found.alpha), ("labellers among each other", found.among_labellers)]
    for name, agreement in (*told, *whole):
        if agreement is not None and agreement.value is not None:
            over = f" over {agreement.units:,} answers"
            yield f"{name}: {agreement.method} {agreement.value:.3f}{over}, {interval_text(agreement.interval)}"


def _of_worth(worth: LabelWorth) -> Iterator[str]:
    now, cases = number(worth.half_width), number(worth.with_more_cases)
    labels = None if worth.with_more_labels is None else number(worth.with_more_labels)
    if labels is None:
        yield f"the interval is ±{now}; {worth.more} more cases without labels narrow it to ±{cases}"
    else:
        yield f"the interval is ±{now}; {worth.more} more labels narrow it to ±{labels}, as many more cases to ±{cases}"
    if worth.alone is not None:
        yield f"without the metric it would take {worth.alone:,.0f} labels to be as precise"


def _details(report: Report) -> Iterator[Section]:
    details = report.overview.details
    if not details:
        return
    level = f"{100 * details[0].interval.level:g}%"
    table = _estimates("detail", [(one.metric_id, one) for one in details], level)
    yield Section(
        title="Details of the scores",
        table=attrs.evolve(table, narrow=table.header),
        remarks=tuple(remark for one in details for remark in _of_detail(one)),
    )


def _of_detail(detail: Estimate) -> Iterator[str]:
    if not detail.interval.defined:
        yield f"{detail.metric_id}: no interval: {detail.interval.reason}"
    warnings = detail.warnings
    if detail.missing:
        reasons = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in detail.missing_by_category.items())
        bounds = "" if detail.if_missing_wrong is None else f"; {bounds_text(detail)} if all were wrong, or all right"
        yield f"{detail.metric_id}: {warnings[0]} ({reasons}){bounds}"
        warnings = warnings[1:]
    yield from (f"{detail.metric_id}: {warning}" for warning in warnings)


def _several_answers(report: Report) -> Iterator[Section]:
    several = report.overview.several
    if not several:
        return
    figures, graded = ("pass@k", "pass^k", "maj@k"), report.overview.graded
    of_all = [(each.metric_id, k, of_k) for each in several for k, of_k in _by_k(each, graded)]
    with_error = [(name, k, *(value_text(one) if one else "-" for one in of_k)) for name, k, of_k in of_all]
    ranges = [(name, k, *(ends_text(one.interval) if one else "-" for one in of_k)) for name, k, of_k in of_all]
    yield Section(
        title=f"{several[0].answers} answers a case",
        note="pass@k: one of k answers is correct; pass^k: all k are; maj@k: the commonest of the first k is.",
        table=Table(header=("metric", "k", *figures), rows=tuple(with_error)),
        parts=tuple(_several_answers_of(each, figures, graded) for each in several),
        remarks=tuple(remark for each in several for remark in _of_several(each, graded)),
    )
    yield Section(
        title="Intervals of several answers",
        table=Table(header=("metric", "k", *figures), rows=tuple(ranges)),
        shown_in=("markdown", "latex"),
    )


def _by_k(several: SeveralAnswers, graded: Sequence[str]) -> Iterator[tuple[str, tuple[Estimate | None, ...]]]:
    """Yield each k with its figures; `None` in place of those that a graded metric has not: nothing passes by it."""
    for passes, all_pass, majority in zip(several.pass_at, several.pass_all, several.majority, strict=True):
        of_k = (None, None) if several.metric_id in graded else (passes, all_pass)
        yield passes.metric_id.removeprefix("pass@"), (*of_k, majority)


def _several_answers_of(several: SeveralAnswers, figures: tuple[str, ...], graded: Sequence[str]) -> Section:
    rows = [
        (k, *(f"{value_text(one)}\n{ends_text(one.interval)}" if one else "-" for one in of_k))
        for k, of_k in _by_k(several, graded)
    ]
    return Section(title=several.metric_id, table=Table(header=("k", *figures), rows=tuple(rows)))


def _of_several(several: SeveralAnswers, graded: Sequence[str]) -> Iterator[str]:
    """Yield what a table of figures has no room for."""
    name, agreement = several.metric_id, several.agreement
    passes = () if name in graded else (*several.pass_at, *several.pass_all)
    if not passes:
        yield f"{name}: its scores are graded and it states no threshold, so that no answer passes or fails by it"
    if agreement.mean is not None:
        yield f"{name}: all answers agree in {agreement.mean:.1%} of cases, {interval_text(agreement.interval)}"
    if several.between_variance is not None and several.within_variance is not None:
        between, within = several.between_variance, several.within_variance
        yield f"{name}: the variance of scores is {between:.4f} between cases and {within:.4f} within"
    tied = {k: count for k, count in several.ties.items() if count}
    if tied:
        counts = ", ".join(f"{count} at k = {k}" for k, count in tied.items())
        yield f"{name}: the commonest answer was tied, so that the first counted, in cases: {counts}"
    said: dict[str, list[str]] = {}
    for one in (*passes, *several.majority, agreement):
        is_open = one.missing or one.if_missing_wrong != one.if_missing_right
        bounds = [f"{bounds_text(one)} if all missing were wrong, or all right"] if is_open else []
        for text in (*one.warnings, *bounds):
            said.setdefault(text, []).append(one.metric_id)
    yield from (f"{name}, {', '.join(of)}: {text}" for text, of in said.items())


def _in_words(row: SummaryRow, level: str) -> Iterator[str]:
    """Yield what a narrow table has no room for."""
    estimate, name = row.estimate, row.metric_id
    if row.interval() != "-":
        yield f"{name}: {level} interval {row.interval()}"
    else:
        yield f"{name}: no {level} interval: {estimate.interval.reason}"
    if row.naive() != "-":
        yield f"{name}: {estimate.clusters} clusters; were they ignored: {row.naive()}"
    if estimate.missing:
        yield f"{name}: {row.bounds()} if all missing were wrong, or all right"
    yield from (f"{name}: {warning}" for warning in estimate.warnings)


def _metric(row: SummaryRow, overview: RunOverview) -> Section:
    estimate = row.estimate
    figure, interval = "not defined" if estimate.mean is None else row.value(), interval_text(estimate.interval)
    counts = _outcomes(row, is_graded=row.metric_id in overview.graded)
    facts = [
        ("Planned", f"{estimate.planned:,}"),
        ("Scored", f"{estimate.scored:,}"),
        ("Missing", f"{estimate.missing:,}"),
        ("Unparsed", f"{row.unparsed:,}"),
        ("Other errors", f"{row.errored:,}"),
        *([("Not reached", f"{row.not_reached:,}")] if row.not_reached else ()),
        ("Parse rate", row.parsed()),
        ("All missing wrong, or right", row.bounds()),
    ]
    if estimate.clusters is not None:
        facts += [("Clusters", f"{estimate.clusters:,}"), ("If clusters were ignored", row.naive())]
    outcomes = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    scores = histogram_of(overview.scores.get(row.metric_id, ()), f"Distribution of {row.metric_id}")
    errors = Table(header=("Errors", f"{estimate.unit}s".capitalize(), "Share"), rows=tuple(_errors_of(row)))
    return Section(
        title=row.metric_id,
        figure=figure,
        note=interval,
        plot=ErrorBar(estimate, f"{row.metric_id}: mean {figure}, {interval}"),
        parts=(
            Section(
                title="Outcomes", plot=Shares(counts, f"Outcomes: {outcomes}"), table=errors if errors.rows else None
            ),
            Section(title="Scores", note="" if scores else "Nothing was scored.", plot=scores, facts=tuple(facts)),
        ),
        remarks=(*estimate.warnings, *(f"{field}: {reason}" for field, reason in estimate.undefined.items())),
    )


def _outcomes(row: SummaryRow, *, is_graded: bool) -> dict[str, int]:
    """Return how many scores are right and wrong; a graded one is neither."""
    counts = dict(row.outcomes)
    right, wrong = counts.pop("correct", 0), counts.pop("incorrect", 0)
    scored = {"scored": right + wrong} if is_graded else {"correct": right, "incorrect": wrong}
    return {**scored, **{name.replace("_", " "): count for name, count in counts.items()}}


def _errors_of(row: SummaryRow) -> Iterator[tuple[str, str, str]]:
    """Yield a metric's errors by kind, the commonest first."""
    for category, count in sorted(row.errors.items(), key=lambda pair: -pair[1]):
        if category != "not_reached":
            yield category.replace("_", " "), f"{count:,}", f"{count / row.estimate.planned:.1%}"


def _errors(report: Report) -> Iterator[Section]:
    yield from _failures(report.overview.failures)
    rows = tuple(
        (row.metric_id, kind, f"{count} {row.estimate.unit}{'' if count == '1' else 's'}", share)
        for row in report.overview.metrics
        for kind, count, share in _errors_of(row)
    )
    if not rows:
        return
    header = ("metric", "error", "count", "share")
    yield Section(title="Errors", table=Table(header=header, rows=rows, align="llrr"), shown_in=("markdown",))
    first = tuple(
        (row.case_key, row.metric_id, (row.error_category or "").replace("_", " "), row.error_message or "")
        for row in report.overview.first_errors
    )
    table = Table(header=("case", "metric", "error", "message"), rows=first, align="llll")
    yield Section(note="The first of them", table=table, shown_in=("markdown",))


def _failures(failures: Sequence[FailureCount]) -> Iterator[Section]:
    if not failures:
        return
    by_what: dict[str, list[str]] = {}
    for each in failures:
        by_what.setdefault(each.what, []).append(f"{each.count:,} {each.kind}")
    facts = tuple((what, ", ".join(kinds)) for what, kinds in by_what.items())
    yield Section(title="Failures by kind", facts=facts, shown_in=("terminal",))
    yield Section(
        title="Failures by kind",
        note="What failed and was not made good by another try.",
        table=Table(
            header=("what", "how", "count"),
            rows=tuple((each.what, each.kind, f"{each.count:,}") for each in failures),
            align="llr",
        ),
        shown_in=("html", "markdown"),
    )


def _warnings(report: Report) -> Iterator[Section]:
    suspicions = tuple(suspicion.message for suspicion in report.overview.suspicions)
    remarks = tuple(f"{row.metric_id}: {text}" for row in report.overview.metrics for text in row.estimate.warnings)
    if suspicions or remarks:
        # The other formats show an estimate's warnings beside it.
        yield Section(title="Warnings", remarks=(*suspicions, *remarks), shown_in=("markdown",))
    if suspicions:
        yield Section(title="Warnings", remarks=suspicions, shown_in=("html", "latex", "terminal"))


# --- latency and tokens -----------------------------------------------------------------------------------

_QUANTITIES: Final = {
    "latency_ms": "Latency of a candidate",
    "prompt_tokens": "Prompt tokens",
    "completion_tokens": "Answer tokens",
}


def _quantities(report: Report) -> Iterator[Section]:
    parts = tuple(map(_quantity, report.overview.quantities))
    table = None
    if parts:
        header = ("quantity", *(name.lower() for name, _ in parts[0].facts))
        table = Table(header=header, rows=tuple((part.title, *(value for _, value in part.facts)) for part in parts))
    yield Section(
        title="Latency and tokens",
        note="" if parts else "The generator reported neither latency nor tokens.",
        table=table,
        parts=parts,
        shown_in=("html", "markdown"),
    )


def _quantity(quantity: Quantity) -> Section:
    described = quantity.described
    name = _QUANTITIES[described.name]
    figures = (
        ("Median", described.median),
        ("Mean", described.mean),
        ("90th percentile", described.percentile_90),
        ("99th percentile", described.percentile_99),
    )
    return Section(
        title=name,
        note=f"Mean: {interval_text(described.mean_interval)}",
        plot=histogram_of(quantity.bins, name, log_scale=quantity.log_scale),
        facts=(
            *((label, "-" if value is None else f"{number(value)} {quantity.unit}") for label, value in figures),
            ("Measured", f"{described.measured:,} of {described.planned:,}"),
        ),
    )


# --- what it cost ------------------------------------------------------------------------------------------


def _costs(report: Report) -> Iterator[Section]:
    costs = report.costs
    if costs is None or not costs.rows:
        return
    if all(is_free(row.model) for row in costs.rows if row.model):
        yield Section(
            title="Tokens and cost",
            note="All models ran in this process, for nothing.",
            shown_in=("html", "markdown"),
        )
        return
    figures = ("calls", "prompt tokens", "answer tokens", "cost")
    lines = [(row.stage, row.model or "-", row) for row in costs.rows if row.calls]
    rows = [
        (stage, model, f"{row.calls:,}", f"{row.prompt_tokens:,}", f"{row.completion_tokens:,}", row.text)
        for stage, model, row in lines
    ]
    calls, prompt, answer = (
        sum(getattr(row, name) for row in costs.rows) for name in ("calls", "prompt_tokens", "completion_tokens")
    )
    total = ("all", "", f"{calls:,}", f"{prompt:,}", f"{answer:,}", costs.text)
    whole = Section(
        title="Tokens and cost",
        figure=costs.text,
        note="US dollars, over all attempts at the run, from the usage that calls stated and known prices of models.",
        table=Table(header=("stage", "model", *figures), rows=(*rows, total), align="llrrrr"),
        remarks=tuple(_of_costs(costs)),
        shown_in=("html", "markdown", "latex"),
    )
    yield whole
    narrow = [(stage, shortened(model, _LONGEST_GROUP), *rest) for stage, model, *rest in (*rows, total)]
    header = ("stage", "model", "calls", "prompt", "answer", "cost")
    yield Section(
        title="Tokens and cost",
        table=Table(header=header, rows=tuple(narrow), align="llrrrr"),
        remarks=_wrapped(whole.remarks),
        shown_in=("terminal",),
    )


def _of_costs(costs: RunCosts) -> Iterator[str]:
    """Yield what a figure of costs leaves out."""
    if costs.notice is not None:
        bound = "the cost is not known" if costs.cost is None else "the cost is a lower bound"
        yield f"{bound}: {costs.notice}"
    failed, reused = (sum(getattr(row, name) for row in costs.rows) for name in ("failed_attempts", "reused"))
    if failed:
        yield f"failed attempts, whose tokens are not known: {failed:,}"
    if reused:
        yield f"taken from other runs, for nothing: {calls_text(reused)}"


# --- how the model was asked ------------------------------------------------------------------------------

_WHOLE: Final = 500
"""Of a setting, as descriptions hold it."""


def _settings(report: Report) -> Iterator[Section]:
    """Yield how the components were set: the generator setting by setting, the others on a line each."""
    components = [*described(report.snapshot)]
    of_generator = [
        (name or ref.component_id, value)
        for place, ref, each in components
        if place == "generator"
        for name, value in ordered_leaves(each)
    ]
    callers = [(ref.component_id, each) for place, ref, each in components if place in ("generator", "judge_models")]
    others = [(ref.component_id, each) for place, ref, each in components if place != "generator"]
    facts = (
        *((name, setting_text(value, _WHOLE)) for name, value in of_generator),
        *((name, settings_text(each, _WHOLE)) for name, each in others if each),
        *((f"The server of {each.component_id} says", str(each)) for each in report.served),
    )
    unasked = tuple(
        f"{each.component_id}: {each.asked} was asked for, and the server says that {name} answered "
        f"({each.models[name]:,} of {sum(each.models.values()) + each.unstated:,} answers)"
        for each in report.served
        for name in each.others
    )
    if facts:
        title = "How the model was asked"
        yield Section(
            title=title,
            note="Settings of the generator, then of all else",
            facts=facts,
            remarks=unasked,
            shown_in=("html", "markdown", "latex"),
        )
        lines = [f"{name}: {settings_text(each)}" for name, each in callers if each]
        lines += [f"{each.component_id}: the server says {each}" for each in report.served]
        if remarks := _wrapped((*lines, *unasked)):
            yield Section(title=title, remarks=remarks, shown_in=("terminal",))


# --- what was run -----------------------------------------------------------------------------------------


def _refs(identity: RunIdentity) -> Iterator[tuple[str, ComponentRef]]:
    """Yield every component that a run names, after its place: `generator_ref`, `parser_refs`."""
    for field in attrs.fields(RunIdentity):
        named = getattr(identity, field.name)
        for ref in named if isinstance(named, tuple) else (named,):
            if isinstance(ref, ComponentRef):
                yield field.name.partition("_")[0].capitalize(), ref


def _identity(report: Report) -> Iterator[Section]:
    identity, provenance = report.snapshot.identity, report.snapshot.provenance
    facts = (
        ("Run id", report.snapshot.run_id),
        ("Result digest", report.overview.digest or "not computed for a sample; run `themis verify`"),
        *((kind, f"{ref.component_id} {ref.version}, code {ref.fingerprint[:12]}") for kind, ref in _refs(identity)),
        *(
            ("Dataset", f"{' '.join(filter(None, (ref.dataset_id, ref.revision)))}, content {ref.fingerprint[:12]}")
            for ref in identity.dataset_refs
        ),
        ("Candidates per case", _listed(identity.candidate_policy) or "1"),
        ("Seeds", ", ".join(map(str, identity.seeds)) or "derived from each case"),
        ("Themis", provenance.themis_version),
        ("Python", f"{provenance.python_version} on {provenance.platform}"),
        ("Git commit", provenance.git_commit or "not known"),
        ("Store", provenance.storage.store),
        ("Environment", _listed(provenance.environment_metadata) or "-"),
        ("Libraries", _listed(provenance.dependency_versions) or "-"),
    )
    yield Section(
        title="Identity and provenance",
        note="What was run, with what, and where",
        facts=facts,
        shown_in=("html", "markdown"),
    )


def _listed(mapping: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in mapping.items())


SECTIONS: Final[tuple[Callable[[Report], Iterator[Section]], ...]] = (
    _results,
    _stop,
    _labels,
    _details,
    _groups,
    _dimensions,
    _several_answers,
    _imported,
    _errors,
    _warnings,
    _costs,
    _quantities,
    _settings,
    _identity,
)
