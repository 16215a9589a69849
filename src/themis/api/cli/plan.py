"""`themis plan` and `themis estimate`: what a run would do, before it does anything."""

from __future__ import annotations

from typing import Any

from themis._stages import UntilStage
from themis.api.cli.options import (
    NO_CHANGES,
    Changes,
    Config,
    Json,
    Overrides,
    Until,
    closed_at_the_end,
    read_until,
    with_rule,
)
from themis.api.cli.output import say, show
from themis.pure.text import one_line


def plan(
    config: Config,
    /,
    *overrides: Overrides,
    changes: Changes = NO_CHANGES,
    until: Until = None,
    json_output: Json = False,
) -> None:
    """Say what a run would do, reuse and cost, without doing it.

    For example:
      themis plan experiment.yaml
      themis plan experiment.yaml evaluation.metrics=builtin/f1
    """
    stage, rule = read_until(until)
    show_plan(with_rule(changes.load(config, overrides), rule), stage, as_json=json_output)


def show_plan(experiment: Any, until: UntilStage = "judge", *, as_json: bool) -> None:
    """Print what a run of an experiment would do, reuse and cost, and on stderr why it can't start, if it can't."""
    from themis.api.experiment.plan import planned_cost
    from themis.api.experiment.run import check_run
    from themis.api.stores import existing_or_empty
    from themis.pure.errors import SpecError

    store = closed_at_the_end(existing_or_empty(experiment.storage))
    explanation = experiment.plan(until_stage=until, store=store)
    cost = planned_cost(experiment, experiment.estimate())
    components = experiment.components()
    try:
        check_run(experiment.compile_with(components), components, experiment.runtime, until)
    except SpecError as error:
        say(f"themis: warning: {error}")
    data = {**explanation.to_dict(), "cost": cost.to_dict()}
    show(data, lambda: f"{explanation}\n{one_line(str(cost))}", as_json=as_json)


def estimate(
    config: Config, /, *overrides: Overrides, changes: Changes = NO_CHANGES, json_output: Json = False
) -> None:
    """Count a whole run's steps and tokens before it runs.

    For example:
      themis estimate experiment.yaml
      themis estimate experiment.yaml --samples 8 --json
    """
    from themis.api.experiment.plan import planned_cost

    experiment = changes.load(config, overrides)
    figures = experiment.estimate()
    cost = planned_cost(experiment, figures)
    data = {**figures.to_dict(), "cost": cost.to_dict()}
    show(data, lambda: f"{_text(figures.to_dict())}\n{one_line(str(cost))}", as_json=json_output)


def _text(figures: dict[str, object]) -> str:
    lines = [f"run {figures['run_id']}"]
    for name, value in figures.items():
        if isinstance(value, int):
            lines.append(f"{name.replace('_', ' '):<36} {value:>12,}")
    assumptions = figures["assumptions"]
    assert isinstance(assumptions, list | tuple)
    return "\n".join([*lines, *(f"  {text}" for text in assumptions)])
