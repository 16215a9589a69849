"""`themis inspect`: what a store holds of a run, piece by piece."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, stored

app: App = App(name="inspect", help="Look into a stored run.")

CaseId = Annotated[str, Parameter(name="CASE", env_var=(), help="The case's id.")]
DatasetId = Annotated[str | None, Parameter(help="The case's dataset, where several have a case of that id.")]


@app.command
def snapshot(run: RunName, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Show what a run is made of: identity and provenance.

    For example:
      themis inspect snapshot latest
    """
    from themis.api.cli.output import show
    from themis.api.inspection import get_run_snapshot
    from themis.api.stores import find_run

    opened = stored(store)
    header = get_run_snapshot(opened, find_run(opened, run)).header()
    show(header, lambda: _yaml(header), as_json=json_output)


@app.command
def state(run: RunName, /, *, store: Store = DEFAULT_STORE, json_output: Json = False) -> None:
    """Show how far a run is, and what failed.

    For example:
      themis inspect state latest
    """
    from themis.api.cli.output import show
    from themis.api.inspection import get_execution_state
    from themis.api.stores import find_run

    opened = stored(store)
    found = get_execution_state(opened, find_run(opened, run))
    show(found.to_dict(), lambda: _yaml(found.to_dict()), as_json=json_output)


@app.command
def evaluation(
    run: RunName,
    case_id: CaseId,
    metric: str,
    /,
    *,
    dataset: DatasetId = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Show what the judges were asked about a case, what they answered, and what came of it.

    For example:
      themis inspect evaluation latest case-7 builtin/llm_rubric

    Parameters
    ----------
    metric
        The judged metric.
    """
    from themis.api.cli.output import show
    from themis.api.inspection import get_evaluation_execution
    from themis.api.stores import find_run

    opened = stored(store)
    found = get_evaluation_execution(opened, find_run(opened, run), case_id, metric, dataset_id=dataset)
    data: Any = None if found is None else found.to_dict()
    show(data, lambda: "no judge was asked about it" if data is None else _yaml(data), as_json=json_output)


@app.command
def case(
    run: RunName,
    case_id: CaseId,
    /,
    *,
    dataset: DatasetId = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Show one case from the question to the score.

    For example:
      themis inspect case latest case-7
    """
    from themis.api.cli.output import show
    from themis.api.inspection import get_case_view
    from themis.api.stores import find_run

    opened = stored(store)
    found = get_case_view(opened, find_run(opened, run), case_id, dataset_id=dataset)
    show(found.to_dict(), lambda: str(found), as_json=json_output)


def _yaml(value: Any) -> str:
    """Return data as YAML, which people read more easily than JSON; what is empty is left out."""
    from themis.api.config_reading import write_yaml

    return write_yaml(_without_nothing(value))


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        slim = {key: _without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in slim.items() if item is not None and item not in ({}, [])}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value
