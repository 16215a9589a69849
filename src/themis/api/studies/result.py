"""What came of a study: a projection over its runs, cell by cell."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

import attrs

from themis.api.runs.result import RunResult
from themis.api.studies.gate import SuiteGate, decide_row
from themis.pure.errors import SpecError, nearest
from themis.pure.json import EMPTY, JSONValue
from themis.pure.protocols import RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object, named_fields
from themis.pure.records.results import RunStatus
from themis.pure.stats.suites import SuiteDecision
from themis.pure.study import StudyCell, cell_name, study_digest, study_id
from themis.pure.usage import Prices

if TYPE_CHECKING:
    from themis.pure.leaderboards.records import Leaderboard


@attrs.frozen(kw_only=True, slots=False, repr=False)
class CellResult:
    """What came of one cell.

    Attributes:
        cell: which one.
        run_id: its run.
        result: the run as far as it is stored; `None` if nothing of it is.
        error: why it did not go through this time, if it did not.
    """

    cell: StudyCell
    run_id: str
    result: RunResult | None = None
    error: str | None = None

    def __repr__(self) -> str:
        return f"CellResult({self.name!r}, {self.status.value})"

    @property
    def name(self) -> str:
        """What the cell is called."""
        return self.cell.name

    @property
    def at(self) -> Mapping[str, JSONValue]:
        """The cell's value on each axis."""
        return self.cell.at

    @property
    def status(self) -> RunStatus:
        """The status of its run; `pending` if nothing of it is stored."""
        return RunStatus.PENDING if self.result is None else self.result.status

    @property
    def is_complete(self) -> bool:
        """Whether all of it is done, without an error."""
        return self.status == RunStatus.COMPLETED and self.error is None

    @property
    def problem(self) -> str | None:
        """Why it is not complete, in words; `None` if it is, or has not begun."""
        if self.error is not None or self.result is None:
            return self.error
        if self.status == RunStatus.PARTIAL_FAILURE:
            failed = self.result.progress.failed_cases
            return f"{failed} {'case has an error' if failed == 1 else 'cases have errors'}"
        return self.result.error_message


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CellStatus(HashableModel):
    """Where one cell stands.

    Attributes:
        name, run_id: the cell, and its run.
        at: its value on each axis.
        status: of its run: `pending`, `running`, `interrupted`, `completed`, `partial_failure` or `failed`.
        cases: how many it has.
        done: how many of them went through.
        errors: how many have an error.
        means: by metric, over the answers that have a score.
        cost: US dollars over the calls whose price is known; `None` if none is.
        problem: why it is not complete.
    """

    name: str
    run_id: str
    at: Mapping[str, JSONValue] = attrs.field(converter=json_object)
    status: str
    cases: int = 0
    done: int = 0
    errors: int = 0
    means: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    cost: float | None = None
    problem: str | None = None


@attrs.frozen(kw_only=True, slots=False, repr=False)
class StudyResult(Sequence[CellResult]):
    """What came of a study: its cells' results, in the order of the matrix.

    Attributes:
        name: what the study is called.
        cells: its cells.
        store: where its runs are kept.
        gate: what its benchmarks together have to reach; `None` if it has none.
    """

    name: str
    cells: tuple[CellResult, ...]
    store: RunStore = attrs.field(repr=False)
    gate: SuiteGate | None = attrs.field(default=None, repr=False)

    def __repr__(self) -> str:
        done = sum(cell.is_complete for cell in self.cells)
        return f"StudyResult({self.name!r}, {done} of {len(self)} cells complete)"

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[CellResult]:
        return iter(self.cells)

    @overload
    def __getitem__(self, place: str | int) -> CellResult: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[CellResult, ...]: ...

    def __getitem__(self, place: str | int | slice) -> CellResult | tuple[CellResult, ...]:
        """Return a cell by its name, or by its place.

        Raises:
            KeyError: no cell has this name; names the nearest.
        """
        if not isinstance(place, str):
            return self.cells[place]
        found = {cell.name: cell for cell in self.cells}
        if place not in found:
            raise KeyError(f"no cell {place!r}; {nearest(place, found)}")
        return found[place]

    @property
    def runs(self) -> tuple[RunResult, ...]:
        """The runs of which anything is stored."""
        return tuple(cell.result for cell in self.cells if cell.result is not None)

    @property
    def study_id(self) -> str:
        """The study's identity: the hash of its cells' run ids, whatever their order and names are."""
        return study_id([cell.run_id for cell in self.cells])

    @functools.cached_property
    def digest(self) -> str:
        """The hash of all results there are, by run id: that of a study which was interrupted and went on is that of
        one which was not."""
        return study_digest({run.run_id: run.digest for run in self.runs})

    @functools.cached_property
    def is_complete(self) -> bool:
        """Whether every cell is complete."""
        return all(cell.is_complete for cell in self.cells)

    @property
    def status(self) -> str:
        """`completed` if every cell is, else `incomplete`."""
        return "completed" if self.is_complete else "incomplete"

    @functools.cached_property
    def suite(self) -> tuple[SuiteDecision, ...]:
        """What the gate says of each model, or row of settings, with the averages over the benchmarks."""
        if self.gate is None:
            return ()
        rows = dict[str, dict[str, RunResult | None]]()
        for cell in self.cells:
            if "benchmark" in cell.at:
                rows.setdefault(row_of(cell.cell), {})[str(cell.at["benchmark"])] = cell.result
        return tuple(decide_row(self.gate, row, runs) for row, runs in rows.items())

    def leaderboard(
        self,
        *,
        metrics: Sequence[str] | None = None,
        baseline: str | None = None,
        cluster_by: str | None = None,
        prices: Prices = EMPTY,
    ) -> Leaderboard:
        """Return the leaderboard of the study: a row for each model, prompt and option, a column for each dataset.

        Args:
            metrics: the metrics, in this order; by default all.
            baseline: the row that the others are compared with; by default every two are compared.
            cluster_by: a key of the cases' metadata; cases with the same value there stay together.
            prices: as for `RunResult.costs`.

        Raises:
            DataError: nothing of the study is stored.
        """
        from themis.api.runs.leaderboard import leaderboard

        weights = {} if self.gate is None else self._weights(self.gate)
        return leaderboard(
            self.runs,
            names=self._rows(),
            weights=weights,
            metrics=metrics,
            baseline=baseline,
            cluster_by=cluster_by,
            prices=prices,
            title=self.name,
        )

    def _rows(self) -> dict[str, str]:
        """Return each run's row; of two cells that would share a place there, the data's name tells the rows apart."""
        found, seen = dict[str, str](), set[tuple[str, tuple[str, ...]]]()
        for cell in self.cells:
            if cell.result is not None:
                row, data = row_of(cell.cell), cell.result.view.dataset_ids
                row = row if (row, data) not in seen else cell.name
                seen.add((row, data))
                found[cell.run_id] = row
        return found

    def _weights(self, gate: SuiteGate) -> dict[str, float]:
        """Return the weights of benchmarks by their datasets' ids, as leaderboards name them."""
        return {
            dataset: gate.benchmarks[str(cell.at["benchmark"])].config.weight
            for cell in self.cells
            if cell.result is not None and cell.at.get("benchmark") in gate.benchmarks
            for dataset in cell.result.view.dataset_ids
            if gate.benchmarks[str(cell.at["benchmark"])].config.weight != 1.0
        }

    def statuses(self, prices: Prices = EMPTY) -> tuple[CellStatus, ...]:
        """Return where each cell stands; each run is read once.

        Args:
            prices: as for `RunResult.costs`.
        """
        return tuple(_status(cell, prices) for cell in self.cells)

    def where(self, **at: JSONValue) -> tuple[CellResult, ...]:
        """Return the cells with these values on axes, as in `result.where(model="small")`.

        Raises:
            SpecError: there is no such axis.
        """
        known = {axis for cell in self.cells for axis in cell.at}
        for axis in at:
            if axis not in known:
                raise SpecError(f"no axis {axis!r}; {nearest(axis, known)}")
        return tuple(cell for cell in self.cells if all(cell.at.get(axis) == value for axis, value in at.items()))


def row_of(cell: StudyCell) -> str:
    """Return the row of a cell: its values on all axes but the data's."""
    return cell_name({axis: value for axis, value in cell.at.items() if axis not in ("dataset", "benchmark")})


def _status(cell: CellResult, prices: Prices) -> CellStatus:
    found = CellStatus(name=cell.name, run_id=cell.run_id, at=cell.at, status=cell.status.value, problem=cell.problem)
    if cell.result is None:
        return found
    progress, costs = cell.result.progress, cell.result.costs(prices)
    return found.evolve(
        cases=progress.total_cases,
        done=progress.completed_cases,
        errors=progress.failed_cases,
        means=cell.result.benchmark.metric_means,
        cost=costs.cost,
    )


def stored_result(store: RunStore, run_id: str) -> RunResult | None:
    """Return the result of a run as far as it is stored; `None` if nothing of it is."""
    end = store.head(run_id)
    if end.count == 0:
        return None
    return RunResult(snapshot=store.load_snapshot(run_id), store=store, end=end)
