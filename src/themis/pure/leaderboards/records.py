"""What a leaderboard is, as immutable records.

The rule of the room: a cell's estimate is that of its run's own report. What is not there is `None` and says why; it is
never averaged over. Decisions within a column are one family: a column more changes nothing in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias, TypeVar

import attrs

from themis.pure.errors import nearest
from themis.pure.json import EMPTY
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object, sequence, text_mapping
from themis.pure.stats.ranks import Rank
from themis.pure.stats.records import Estimate, Interval, SignificanceTest

T = TypeVar("T")

ColumnKind: TypeAlias = Literal["scores", "macro", "micro"]
"""What a column is: a metric on a benchmark; the average of several where each counts the same, or by its weight
(`macro`); or over all of their cases, where each case counts the same (`micro`)."""

Verdict: TypeAlias = Literal["better", "worse", "not told apart"]
"""What a comparison with the baseline shows."""

MODEL: Final = "model"
"""The setting that names a run's model."""


@attrs.frozen(kw_only=True)
class BoardRun(HashableModel):
    """A run that a leaderboard is of.

    Attributes:
        run_id: its id.
        row: the row that it is in.
        store: where it is kept.
        name: what it was called last.
        tags: all that it was given.
        status: `completed`, `partial_failure`, `interrupted` and so on.
        benchmarks: the ids of its datasets.
        marks: what keeps its figures from being those of a whole run, in words.
    """

    run_id: str
    row: str
    store: str = ""
    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    status: str = "completed"
    benchmarks: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    marks: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class Spent(HashableModel):
    """What a row's answers took on a benchmark, whichever run asked for them; judges are not in it.

    Attributes:
        benchmark: the benchmark.
        answers: how many answers there are.
        cost: US dollars over the answers whose price is known; `None` if none is.
        unpriced: answers that `cost` leaves out, for want of a price or of their usage.
        prompt_tokens, completion_tokens: as the provider counts them.
        measured: of how many answers it is known how long they took.
        latency_ms: the median of it; `None` if it is not known of any.
        latency_interval: of the median, over cases.
        latency_p90: the 90th percentile.
    """

    benchmark: str
    answers: int = 0
    cost: float | None = None
    unpriced: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    measured: int = 0
    latency_ms: float | None = None
    latency_interval: Interval | None = None
    latency_p90: float | None = None

    @property
    def is_lower_bound(self) -> bool:
        """Whether there are answers that `cost` leaves out."""
        return self.unpriced > 0


@attrs.frozen(kw_only=True)
class Difference(HashableModel):
    """Two rows compared in a column: `b` minus `a`, paired by case.

    Attributes:
        a: the one row.
        b: the other row.
        pairs: cases that both scored; of a `macro` column, benchmarks.
        left_out: cases that one of them lacks or has no score for, or whose content differs.
        difference: `b` minus `a` over the pairs.
        interval: of the difference, by itself.
        test: of no difference, two-sided.
        p_adjusted: of the claim that the one that scores higher is better, over both directions of all comparisons of
            the column (Holm); `None` if there is no test.
        apart: whether they are told apart: `p_adjusted` is at most the error rate.
        holds: whether that holds whatever the scores that are left out are; `None` if none is, or they are not told
            apart, or it is not known.
    """

    a: str
    b: str
    pairs: int
    left_out: int = 0
    difference: float | None = None
    interval: Interval
    test: SignificanceTest
    p_adjusted: float | None = None
    apart: bool = False
    holds: bool | None = None


@attrs.frozen(kw_only=True)
class Column(HashableModel):
    """A column: a metric on a benchmark, or an average.

    Attributes:
        name: what it is called; no other column is called so.
        kind: scores, or which average.
        benchmark: the dataset's id; `None` for averages.
        metric_id: the metric; of an average over several metrics, `None`.
        of: of an average, the columns that it is over.
        weights: of a `macro` average, by column; empty if each counts the same.
        higher_is_better: which end is best.
        differences: of every two rows, or of each row against the baseline; one family.
        notes: what a reader should know.
    """

    name: str
    kind: ColumnKind = "scores"
    benchmark: str | None = None
    metric_id: str | None = None
    of: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    weights: Mapping[str, float] = attrs.field(default=EMPTY, converter=json_object)
    higher_is_better: bool = True
    differences: tuple[Difference, ...] = attrs.field(default=(), converter=sequence)
    notes: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class Cell(HashableModel):
    """A row in a column.

    Attributes:
        estimate: mean, interval, n, and what is missing; `None` if there is no run of it.
        absent: why there is no estimate.
        runs: the runs that it is of; several are pooled, and `marks` says so.
        marks: what keeps it from being what a whole run would say: stopped early, interrupted, errors, pooled.
        rank: by the mean, with the interval that all comparisons of the column allow at once; `None` with a baseline.
        letters: rows of the column that share a letter are not told apart; empty with a baseline.
        is_best: no other row has a better mean.
        is_like_best: it is not told apart from a row whose mean is best.
        against: what the comparison with the baseline shows.
    """

    column: str
    estimate: Estimate | None = None
    absent: str | None = None
    runs: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    marks: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    rank: Rank | None = None
    letters: str = ""
    is_best: bool = False
    is_like_best: bool = False
    against: Verdict | None = None


@attrs.frozen(kw_only=True)
class Row(HashableModel):
    """A row: a model, or whatever settings tell rows apart.

    Attributes:
        name: what it is called; no other row is called so.
        settings: those that tell it apart, by name.
        cells: one for each column, in their order.
        spent: what its answers took, by benchmark.
    """

    name: str
    settings: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
    cells: tuple[Cell, ...] = attrs.field(default=(), converter=sequence)
    spent: tuple[Spent, ...] = attrs.field(default=(), converter=sequence)

    def __getitem__(self, column: str) -> Cell:
        """Return the cell of a column.

        Raises:
            KeyError: there is no such column; names the nearest.
        """
        return _named(column, {cell.column: cell for cell in self.cells}, "column")


@attrs.frozen(kw_only=True)
class HeatMap(HashableModel):
    """How rows did on each case of a column, the cases that all found hardest first.

    Attributes:
        column: the column.
        rows: the rows, as they come in the leaderboard.
        cases: how many cases there are that any of them scored.
        bands: for each row, the mean score of each band of cases; `None` where it has none. All bands have as many
            cases, but for one.
        low: the lowest possible score, or the lowest there is.
        high: the highest.
    """

    column: str
    rows: tuple[str, ...] = attrs.field(converter=sequence)
    cases: int
    bands: tuple[tuple[float | None, ...], ...] = attrs.field(converter=sequence)
    low: float = 0.0
    high: float = 1.0

    def in_order(self, names: Sequence[str]) -> HeatMap:
        """Return the same with its rows in the order of these names."""
        bands = dict(zip(self.rows, self.bands, strict=True))
        kept = [name for name in names if name in bands]
        return self.evolve(rows=kept, bands=[bands[name] for name in kept])


@attrs.frozen(kw_only=True)
class Leaderboard(HashableModel):
    """Rows of estimates, best first; iterating yields the rows.

    Attributes:
        title: what it is called.
        by: the settings that tell rows apart.
        rows: best first: by the first average, or else by the first column; those without an estimate come last.
        columns: benchmarks and metrics, then averages.
        runs: what it is of.
        level: nominal coverage of each interval, and of all ranks of a column at once.
        baseline: the row that the others are compared with; `None` if every two are compared.
        heat: of each column, the cases by the rows.
        notes: what a reader should know.
    """

    title: str = "Leaderboard"
    by: tuple[str, ...] = attrs.field(default=(MODEL,), converter=sequence)
    rows: tuple[Row, ...] = attrs.field(default=(), converter=sequence)
    columns: tuple[Column, ...] = attrs.field(default=(), converter=sequence)
    runs: tuple[BoardRun, ...] = attrs.field(default=(), converter=sequence)
    level: float = 0.95
    baseline: str | None = None
    heat: tuple[HeatMap, ...] = attrs.field(default=(), converter=sequence)
    notes: tuple[str, ...] = attrs.field(default=(), converter=sequence)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Return the table of means, as notebooks show it."""
        from themis.pure.leaderboards.page import board_fragment

        return board_fragment(self)

    def to_text(self) -> str:
        """Return it for a terminal of 80 columns: means with letters, then each column with intervals and ranks."""
        from themis.pure.leaderboards.texts import board_text

        return board_text(self)

    def to_markdown(self) -> str:
        """Return it as Markdown; the best mean of a column is bold, those not told apart from it are italic."""
        from themis.pure.leaderboards.texts import board_markdown

        return board_markdown(self)

    def to_csv(self) -> str:
        """Return it as CSV: a line for each row and column, with all figures."""
        from themis.pure.leaderboards.texts import board_csv

        return board_csv(self)

    def to_latex(self) -> str:
        """Return it as a table for a paper; needs `booktabs`. The caption says how intervals were made."""
        from themis.pure.leaderboards.tex import board_latex

        return board_latex(self)

    def to_html(self) -> str:
        """Return it as one page that opens offline: intervals, score against cost, and cases by rows as plots."""
        from themis.pure.leaderboards.page import board_page

        return board_page(self)

    def ordered(self) -> Leaderboard:
        """Return the same with its rows best first."""
        first = next((place for place, each in enumerate(self.columns) if each.kind == "macro"), 0)
        sign = -1.0 if self.columns and self.columns[first].higher_is_better else 1.0

        def place(row: Row) -> tuple[bool, float, str]:
            estimate = row.cells[first].estimate if row.cells else None
            mean = None if estimate is None else estimate.mean
            return mean is None, 0.0 if mean is None else sign * mean, row.name

        rows = sorted(self.rows, key=place)
        names = [row.name for row in rows]
        return self.evolve(rows=rows, heat=[each.in_order(names) for each in self.heat])

    def __getitem__(self, name: str) -> Row:
        """Return a row by its name.

        Raises:
            KeyError: there is no such row; names the nearest.
        """
        return _named(name, {row.name: row for row in self.rows}, "row")


def _named(name: str, known: Mapping[str, T], what: str) -> T:
    if name not in known:
        raise KeyError(f"no {what} {name!r}; {nearest(name, known)}")
    return known[name]
