"""`themis run` and `themis resume`: running the experiment of a config file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from themis._stages import UntilStage
from themis.api.cli.options import (
    NO_CHANGES,
    ONE_PROCESS,
    By,
    ByMany,
    Changes,
    Config,
    Grid,
    Json,
    Overrides,
    ReportAt,
    Until,
    Words,
    closed_at_the_end,
    read_grid,
    read_until,
    report_at,
    with_rule,
)
from themis.api.cli.output import write_json

if TYPE_CHECKING:
    from themis.api.experiment.many.engines import WorkEngine


def run(
    config: Config,
    /,
    *overrides: Overrides,
    changes: Changes = NO_CHANGES,
    until: Until = None,
    require: Words = None,
    require_on: Literal["interval", "mean"] = "interval",
    junit: Path | None = None,
    at: ReportAt = None,
    by: By = None,
    grid: Grid = None,
    many: ByMany = ONE_PROCESS,
    json_output: Json = False,
) -> int:
    """Run the experiment of a config file.

    What is stored already is not done again: run the same command after an interruption, and it goes on.

    For example:
      themis run experiment.yaml
      themis run experiment.yaml --limit 20 --store runs/try.sqlite3
      themis run experiment.yaml runtime.max_cost=5 generation.generator.top_p=0.9
      themis run experiment.yaml --samples 8 --report-at 1,4,8
      themis run experiment.yaml --by topic
      themis run experiment.yaml --grid temperature=0,0.5,1 --grid samples=1,8
      themis run experiment.yaml --require "exact_match>=0.8" --junit gate.xml
      themis run experiment.yaml --until "exact_match>=0.8"
      themis run experiment.yaml --until parse
      themis run experiment.yaml --store postgresql://db/evals --engine dask --workers 4

    Args:
        require: Exit with 1 unless METRIC>=X (or >, <=, <).
        require_on: What has to reach X: the 95% 'interval' in whole, or the 'mean'. Missing scores count as worst.
        junit: Write the gates as JUnit XML to this file.
    """
    stage, rule = read_until(until)
    experiment = with_rule(changes.load(config, overrides), rule)
    if grid:
        _refuse_beside_grid({"--junit": junit, "--report-at": at, "--by": by})
        named = experiment if experiment.name is not None else experiment.evolve(name=config.stem)
        return run_grid(
            named,
            read_grid(grid),
            until=stage,
            require=require,
            on=require_on,
            many=many,
            modules=config.parent,
            as_json=json_output,
        )
    return run_and_show(
        experiment,
        until=stage,
        require=require,
        on=require_on,
        junit=junit,
        at=at,
        by=by,
        many=many,
        modules=config.parent,
        as_json=json_output,
    )


def resume(
    config: Config,
    /,
    *overrides: Overrides,
    changes: Changes = NO_CHANGES,
    until: Until = None,
    json_output: Json = False,
) -> int:
    """Go on with a run that was interrupted.

    Like run, but refuses to start anew: the run must be in the store.

    For example:
      themis resume experiment.yaml
      themis resume experiment.yaml --max-cost 10
    """
    from themis.api.experiment.plan import require_stored
    from themis.api.stores import open_existing

    stage, rule = read_until(until)
    experiment = with_rule(changes.load(config, overrides), rule)
    require_stored(experiment, closed_at_the_end(open_existing(experiment.storage)))
    return run_and_show(experiment, until=stage, as_json=json_output)


def _refuse_beside_grid(given: dict[str, Any]) -> None:
    """Refuse options that say how one run is shown, where several are.

    Raises:
        SpecError: one of them is given.
    """
    from themis.pure.errors import SpecError

    named = [name for name, value in given.items() if value is not None]
    if named:
        raise SpecError(
            f"{' and '.join(named)}: of one run, and --grid makes several; `themis report RUN` shows each of them so"
        )


def run_grid(
    experiment: Any,
    grid: dict[str, list[Any]],
    *,
    until: UntilStage,
    require: list[str] | None,
    on: Literal["interval", "mean"],
    many: ByMany,
    modules: Path,
    as_json: bool,
) -> int:
    """Run an experiment with every combination of some options, print what came of each, and return the exit code."""
    from themis.api.cli.study import run_cells, show_study
    from themis.api.runs.gates import read_gates
    from themis.api.stores import make_store
    from themis.api.studies.cells import grid_cells
    from themis.api.studies.run import StudySettings

    engine, cells = many.chosen(), grid_cells(experiment, grid)
    metrics = [metric.component_id for metric in experiment.components().metrics]
    answers = min(cell.experiment.generation.answers_per_case for cell in cells)
    gates = read_gates(require or (), on, metrics, answers)
    settings = StudySettings(
        name=experiment.name,
        runtime=experiment.runtime,
        storage=experiment.storage,
        store=closed_at_the_end(make_store(experiment.storage)),
        until_stage=until,
        engine=engine,
        segment_size=many.segment_size,
        modules=modules,
    )
    result = run_cells(cells, settings)
    return show_study(result, as_json=as_json, prices=experiment.runtime.prices, gates=gates)


def run_and_show(
    experiment: Any,
    *,
    until: UntilStage = "judge",
    require: list[str] | None = None,
    on: Literal["interval", "mean"] = "interval",
    junit: Path | None = None,
    at: str | None = None,
    by: list[str] | None = None,
    many: ByMany = ONE_PROCESS,
    modules: Path | None = None,
    as_json: bool = False,
    carry_out: Callable[[Any], Any] | None = None,
    emit: Callable[[dict[str, Any]], None] = write_json,
) -> int:
    """Run an experiment, print the result, and return the exit code.

    Args:
        carry_out: runs it, if not `run_with_progress` does; the other arguments are those of `run`.
        emit: takes it as JSON.
    """
    from themis.api.cli.result import show_result
    from themis.api.runs.gates import check_gates, read_gates
    from themis.pure.report.grouping import check_by, read_by

    engine, groups = many.chosen(), read_by(by)
    check_by(groups or (), experiment.datasets)
    ks = report_at(at, experiment.generation.answers_per_case)
    metrics = [metric.component_id for metric in experiment.components().metrics]
    gates = read_gates(require or (), on, metrics, experiment.generation.answers_per_case)
    if carry_out is not None:
        result = carry_out(experiment)
    elif engine is None:
        result = run_with_progress(experiment, until=until)
    else:
        result = _run_by_many(experiment, engine, until, many.segment_size, modules)
    return show_result(
        result,
        as_json=as_json,
        gates=check_gates(gates, result),
        junit=junit,
        at=ks,
        by=groups,
        prices=experiment.runtime.prices,
        emit=emit,
    )


def run_with_progress(experiment: Any, store: Any = None, until: UntilStage = "judge") -> Any:
    """Run an experiment and return the result.

    Args:
        experiment: what to run.
        store: where the run is kept; the experiment's own, closed when the command ends, if not given.
        until: the last stage.
    """
    from themis.api.experiment.run import run_snapshot
    from themis.api.stores import make_store
    from themis.effects.host import run_sync
    from themis.effects.options import RunOptions

    components = experiment.components()
    snapshot = experiment.compile_with(components)
    kept = store if store is not None else closed_at_the_end(make_store(experiment.storage))
    options = RunOptions(
        runtime=experiment.runtime,
        storage=experiment.storage,
        store=kept,
        labels=experiment.labels,
    )
    return run_sync(lambda: run_snapshot(snapshot, components, options, until_stage=until), "run")


def _run_by_many(
    experiment: Any, engine: WorkEngine, until: UntilStage, segment_size: int | None, modules: Path | None
) -> Any:
    from themis.api.experiment.many.run import run_experiment
    from themis.api.stores import make_store
    from themis.effects.host import run_sync
    from themis.effects.options import RunOptions

    components = experiment.components()
    snapshot = experiment.compile_with(components)
    options = RunOptions(
        runtime=experiment.runtime,
        storage=experiment.storage,
        store=closed_at_the_end(make_store(experiment.storage)),
        labels=experiment.labels,
    )

    async def main() -> Any:
        return await run_experiment(
            experiment,
            snapshot,
            components,
            options,
            engine,
            until_stage=until,
            segment_size=segment_size,
            modules=modules,
        )

    return run_sync(main, "run")
