"""Running the cells of a study: several at once, within one set of limits and one budget.

A cell is run as any run is (`run_snapshot`), or by an engine's workers (`run_experiment`). What is decided here is
nothing: whose turn it is says `themis.pure.study.Turns`, and which call may start `themis.pure.limits.Admission`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import trio

from themis._stages import STAGE_ORDER, UntilStage
from themis.api.experiment.run import (
    Shared,
    check_run,
    close_components,
    noted,
    price_of,
    run_snapshot,
    spent_before,
)
from themis.api.progress import StudyProgress, shown
from themis.api.stores import make_store
from themis.api.studies.cells import CellExperiment, cells_named
from themis.api.studies.result import CellResult, StudyResult, stored_result
from themis.effects.calls import CallRuntime
from themis.effects.driver import SandboxTurns
from themis.effects.engine import root_cause
from themis.effects.options import RunOptions
from themis.effects.prices import budget_prices, known_prices
from themis.pure.abilities import Components
from themis.pure.errors import MissingExtraError, SpecError, listed, said
from themis.pure.identity import content_hash
from themis.pure.plan import total_cases
from themis.pure.protocols import RunStore
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.labels import RunLabels
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.study import Turns, Waiting

if TYPE_CHECKING:
    from themis.api.experiment.many.engines import WorkEngine


@attrs.frozen(kw_only=True)
class CellRun:
    """A cell that is to be run: compiled, with its components."""

    cell: CellExperiment
    components: Components
    snapshot: RunSnapshot

    @property
    def name(self) -> str:
        return self.cell.cell.name

    @property
    def run_id(self) -> str:
        return self.snapshot.run_id

    @property
    def waiting(self) -> Waiting:
        """How it takes its turn."""
        identity = self.snapshot.identity.to_dict()
        # By the data's names, and not their content: the first cases of a dataset are asked as in the whole of it.
        datasets = [dataset.dataset_id for dataset in self.snapshot.datasets]
        asked = [identity["generator_ref"], identity.get("generation_prompt_spec"), datasets]
        return Waiting(name=self.name, endpoint=self.components.generator.provider_key, asks=content_hash(asked))


def compiled(cells: Sequence[CellExperiment]) -> tuple[CellRun, ...]:
    """Compile the cells of a study.

    Raises:
        SpecError: a cell can't be run as it is written, or two cells are one run; all at once.
    """
    found, faults = list[CellRun](), dict[str, list[str]]()
    for cell in cells:
        try:
            components = cell.experiment.components()
            snapshot = cell.experiment.compile_with(components)
        except MissingExtraError:
            raise
        except (SpecError, ValueError) as error:
            faults.setdefault(str(error), []).append(cell.cell.name)
            continue
        found.append(CellRun(cell=cell, components=components, snapshot=snapshot))
    problems = [f"{problem} ({cells_named(names)})" for problem, names in faults.items()]
    by_run = dict[str, list[str]]()
    for run in found:
        by_run.setdefault(run.run_id, []).append(run.name)
    problems += [
        f"{cells_named(names)} are one run: nothing that tells them apart changes a result"
        for names in by_run.values()
        if len(names) > 1
    ]
    if problems:
        raise SpecError(listed("the study can't be run", problems))
    return tuple(found)


@attrs.frozen(kw_only=True)
class StudySettings:
    """How a study is run, apart from its cells.

    Attributes:
        name: what it is called.
        tags: words to find its runs by.
        runtime: limits, retries and the budget of all cells together.
        storage: where the runs are kept, unless an open store is handed in.
        store: an open store.
        subscribers: told of everything that happens.
        cells_at_once: of one endpoint.
        until_stage: the last stage.
        engine: has workers do the cases of a cell; cells then come one after another.
        segment_size: how many cases a worker takes at a time.
        modules: a folder whose modules components name.
    """

    name: str
    tags: tuple[str, ...] = ()
    runtime: RuntimeConfig
    storage: StorageConfig
    store: RunStore | None = None
    subscribers: Sequence[object] = ()
    cells_at_once: int = 2
    until_stage: UntilStage = "judge"
    engine: WorkEngine | str | None = None
    segment_size: int | None = None
    modules: Path | None = None

    def labels(self, run: CellRun) -> RunLabels:
        """Return what a cell's run is called: names no truth, but helps to find it."""
        own = run.cell.experiment.labels
        return RunLabels(
            name=f"{self.name}/{run.name}", tags=[*dict.fromkeys((f"study:{self.name}", *self.tags, *own.tags))]
        )


async def run_study(cells: Sequence[CellExperiment], settings: StudySettings) -> StudyResult:
    """Run all cells that are not complete yet, and return what came of all.

    A cell that fails leaves the others; what failed says so in its result.

    Raises:
        SpecError: a cell can't be run as it is written, or lacks something; everything about all cells at once, before
            the first call.
        KeyboardInterrupt: it was interrupted; what finished is stored.
    """
    runs = compiled(cells)
    store = settings.store if settings.store is not None else make_store(settings.storage)
    store.initialize()
    try:
        found = await _Study(runs, settings, store).run()
    except BaseException:
        if settings.store is None:
            store.close()  # nobody gets a result to close it by
        raise
    return StudyResult(name=settings.name, cells=tuple(found), store=store)


def study_as_stored(runs: Sequence[CellRun], name: str, store: RunStore) -> StudyResult:
    """Return where the cells of a study stand by what is stored."""
    found = (CellResult(cell=run.cell.cell, run_id=run.run_id, result=stored_result(store, run.run_id)) for run in runs)
    return StudyResult(name=name, cells=tuple(found), store=store)


def is_done(cell: CellResult, until_stage: UntilStage) -> bool:
    """Tell whether nothing is left of a cell."""
    through: Any = None if cell.result is None else cell.result.completed_through_stage
    return cell.is_complete and through in STAGE_ORDER[STAGE_ORDER.index(until_stage) :]


class _Study:
    def __init__(self, runs: Sequence[CellRun], settings: StudySettings, store: RunStore) -> None:
        self._settings = settings
        self._store = store
        self._runs = {run.name: run for run in runs}
        self._results = {cell.name: cell for cell in study_as_stored(runs, settings.name, store)}
        is_auto = settings.runtime.existing_run_policy == "auto"
        self._left = {
            name: run
            for name, run in self._runs.items()
            if not (is_auto and is_done(self._results[name], settings.until_stage))
        }
        self._progress = StudyProgress(cells=len(runs), cells_done=len(runs) - len(self._left))
        self._progress_of = {
            name: self._progress.of_cell(total_cases(run.snapshot)) for name, run in self._left.items()
        }
        # By the object: a model that several cells share is closed after the last of them.
        self._needed = Counter(id(one.component) for run in self._left.values() for one in run.components)

    async def run(self) -> Iterator[CellResult]:
        if self._left:
            self._check()
            settings = self._settings
            with shown(self._progress) if settings.runtime.progress else trio.CancelScope():
                await (self._one_by_one() if settings.engine is not None else self._several())
        return iter(self._results[name] for name in self._runs)

    def _check(self) -> None:
        """Refuse what can't be run, before anything is paid for."""
        faults = dict[str, list[str]]()
        runtime, stage = self._settings.runtime, self._settings.until_stage
        for name, run in self._left.items():
            try:
                snapshot = noted(run.snapshot, check_run(run.snapshot, run.components, runtime, stage))
                self._left[name] = attrs.evolve(run, snapshot=snapshot)
            except SpecError as error:
                faults.setdefault(str(error).removeprefix("the run can't start: "), []).append(name)
        if faults:
            problems = [f"{problem} ({cells_named(names)})" for problem, names in faults.items()]
            raise SpecError(listed("the study can't start", problems))

    # --- in this process ----------------------------------------------------------------------------------

    async def _several(self) -> None:
        calls = await trio.to_thread.run_sync(self._calls)
        self._progress.calls_under_way = lambda: calls.under_way
        self._progress.cost = lambda: _sum(row.cost for row in calls.usage())
        shared = Shared(calls=calls, sandboxes=SandboxTurns(), close=self._close)
        turns = Turns([run.waiting for run in self._left.values()], self._settings.cells_at_once)

        def begin() -> None:
            if not calls.is_spent:  # there is no room for a further one
                for name in turns.ready():
                    nursery.start_soon(do, name)

        async def do(name: str) -> None:
            await self._do(name, shared)
            turns.ended(name)
            begin()

        try:
            async with trio.open_nursery() as nursery:
                begin()
        except BaseExceptionGroup as group:
            cause = root_cause(group)
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt(self._how_to_go_on()) from None
            raise cause from None

    def _calls(self) -> CallRuntime:
        """Return what makes the calls of all cells; what they used before counts, for the budget is the study's."""
        runtime = self._settings.runtime
        callers = {
            one.component_id: None
            for run in self._runs.values()
            for one in (run.components.generator, *run.components.judge_models)
            if one.provider_key is not None
        }
        price = budget_prices(runtime, tuple(callers)) or known_prices(runtime.prices)
        spent = [row for run in self._runs.values() for row in spent_before(self._store, run.snapshot, runtime, price)]
        return CallRuntime.from_config(runtime, price=price, spent=tuple(spent), tell_wait=self._progress.wait)

    async def _do(self, name: str, shared: Shared) -> None:
        run = self._left[name]
        options = self._options(run)
        stage = self._settings.until_stage
        running = run_snapshot(run.snapshot, run.components, options, until_stage=stage, shared=shared)
        await self._noting(name, running)

    async def _noting(self, name: str, running: Any) -> None:
        """Await a cell's run, and take note of what came of it."""
        run, error = self._left[name], None
        try:
            result = await running
        except Exception as failure:
            cause = root_cause(failure)
            error, result = f"{type(cause).__name__}: {said(cause)}", stored_result(self._store, run.run_id)
        self._results[name] = CellResult(cell=run.cell.cell, run_id=run.run_id, result=result, error=error)
        self._progress.cells_done += 1
        failed = error is not None or result is None or result.view.ending.error_message is not None
        self._progress.cells_failed += failed

    def _options(self, run: CellRun) -> RunOptions:
        settings = self._settings
        return RunOptions(
            runtime=settings.runtime,
            storage=settings.storage,
            store=self._store,
            subscribers=settings.subscribers,
            progress=self._progress_of[run.name],
            labels=settings.labels(run),
        )

    async def _close(self, components: Components) -> None:
        """Close what no other cell needs any more."""
        last = []
        for one in components:
            self._needed[id(one.component)] -= 1
            if self._needed[id(one.component)] <= 0:
                last.append(one)
        await close_components(last)

    def _how_to_go_on(self) -> str:
        done = self._progress.cells_done
        return (
            f"study {self._settings.name!r} interrupted, {done} of {len(self._runs)} cells done; what finished is "
            f"stored in {self._store.location}: run the same study again to go on from there"
        )

    # --- by an engine -------------------------------------------------------------------------------------

    async def _one_by_one(self) -> None:
        """Run the cells by many workers, one after another: limits and rates then are those of one run at a time."""
        from themis.api.experiment.many.run import run_experiment

        settings = self._settings
        assert settings.engine is not None
        for name, run in self._left.items():
            runtime = self._runtime_left(run)
            if runtime is None:
                return
            options = attrs.evolve(self._options(run), runtime=runtime.evolve(progress=False))
            running = run_experiment(
                run.cell.experiment,
                run.snapshot,
                run.components,
                options,
                settings.engine,
                until_stage=settings.until_stage,
                segment_size=settings.segment_size,
                modules=settings.modules,
            )
            await self._noting(name, running)

    def _runtime_left(self, run: CellRun) -> RuntimeConfig | None:
        """Return the runtime of a cell's run, with what other cells leave of the budget; `None` if that is nothing."""
        runtime = self._settings.runtime
        tokens, cost = runtime.max_tokens, runtime.max_cost
        for other in self._runs.values():
            if other is not run and (tokens is not None or cost is not None):
                rows = spent_before(self._store, other.snapshot, runtime, price_of(runtime, other.components))
                tokens = None if tokens is None else tokens - sum(row.total_tokens for row in rows)
                cost = None if cost is None else cost - sum(row.cost or 0.0 for row in rows)
        if any(left is not None and left <= 0 for left in (tokens, cost)):
            return None
        return runtime.evolve(max_tokens=tokens, max_cost=cost)


def _sum(costs: Any) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
