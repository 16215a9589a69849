"""Subscribers that hand a run's figures to a tracker: MLflow or Weights & Biases (extras `mlflow`, `wandb`).

They wait for the run's end, and read from its store what a report reads: means over all cases, also those that an
earlier attempt did, each with its interval and with how many are missing. A run of the tracker that is open already is
written into; otherwise one is opened, named after ours, and closed. Nothing is sent that a model wrote; settings are
those that a component describes itself with, where no secret is.
"""

from __future__ import annotations

import abc
import importlib.util
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, final

from themis.api.runs.inspect import get_run_snapshot
from themis.api.runs.result import RunResult
from themis.pure.errors import MissingExtraError, pip_install
from themis.pure.events import RunCompletedEvent, RunEvent, RunFailedEvent, RunStartedEvent
from themis.pure.protocols import RunStore
from themis.pure.records.labels import RunLabels
from themis.pure.records.results import RunStatus
from themis.pure.report.settings import described, leaves, setting_text

_LONGEST_SETTING: Final = 250
_STATUS: Final = "themis.status"


def run_settings(result: RunResult) -> dict[str, str]:
    """Return what was run: the model, the datasets, and how each component was set.

    >>> from themis import evaluate
    >>> rows = [{"input": "1 + 1", "expected_output": "2"}]
    >>> run_settings(evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match"))
    {'model': 'builtin/demo_model', 'datasets': 'data', 'generator.error_rate': '0.25'}
    """
    snapshot = result.snapshot
    found = {
        "model": snapshot.identity.generator_ref.component_id,
        "datasets": ", ".join(ref.dataset_id for ref in snapshot.identity.dataset_refs),
    }
    for place, ref, description in described(snapshot):
        where = place if place == "generator" else f"{place}.{ref.component_id}"
        for name, value in leaves(description):
            found[f"{where}.{name}".rstrip(".")] = setting_text(value, _LONGEST_SETTING)
    return found


def run_figures(result: RunResult) -> dict[str, float]:
    """Return a run's figures: of each metric the mean, its interval, how many were scored and how many are missing.

    >>> from themis import evaluate
    >>> rows = [{"input": f"{n} + 1", "expected_output": str(n + 1)} for n in range(40)]
    >>> result = evaluate(model="builtin/demo_model", data=rows, metric="builtin/exact_match")
    >>> figures = run_figures(result)
    >>> [round(figures[f"builtin/exact_match{of}"], 3) for of in ("", ".low", ".high", ".scored", ".missing")]
    [0.825, 0.681, 0.913, 40.0, 0.0]
    """
    figures: dict[str, float | None] = {
        "cases": result.progress.total_cases,
        "failed_cases": result.progress.failed_cases,
    }
    for name, estimate in result.estimate().items():
        figures |= {
            name: estimate.mean,
            f"{name}.low": estimate.interval.low,
            f"{name}.high": estimate.interval.high,
            f"{name}.scored": estimate.scored,
            f"{name}.missing": estimate.missing,
        }
    for stage in result.usage.stages:
        for kind, count in stage.tokens.items():
            figures[f"{stage.stage}.{kind}"] = count
    return {name: float(figure) for name, figure in figures.items() if figure is not None}


class _AtTheEnd(abc.ABC):
    """Tells a tracker of a run when it has ended.

    Args:
        store: the store that the run is kept in.
        options: handed to the tracker where it opens a run.

    Raises:
        MissingExtraError: the tracker's library is not installed.
    """

    library: ClassVar[str]

    def __init__(self, store: RunStore, **options: Any) -> None:
        if importlib.util.find_spec(self.library) is None:
            raise MissingExtraError(f"{type(self).__name__} needs {self.library}: {pip_install(self.library)}")
        self._store = store
        self._options = options
        self._labels = RunLabels()

    def on_event(self, event: RunEvent) -> None:
        """Hand over a run that has ended."""
        if isinstance(event, RunStartedEvent):
            self._labels = event.labels
        elif isinstance(event, RunCompletedEvent | RunFailedEvent):
            result = RunResult(snapshot=get_run_snapshot(self._store, event.run_id), store=self._store)
            tags = {"themis.run_id": event.run_id, _STATUS: result.status.value}
            self._log(
                self._labels.name or f"themis-{event.run_id[:8]}", tags, run_settings(result), run_figures(result)
            )

    @abc.abstractmethod
    def _log(
        self, name: str, tags: Mapping[str, str], settings: Mapping[str, str], figures: Mapping[str, float]
    ) -> None: ...


@final
class MlflowSubscriber(_AtTheEnd):
    """Writes parameters, metrics and tags to MLflow, where `mlflow.set_tracking_uri` and its environment say.

    Options are those of `mlflow.start_run`, such as `experiment_id`. With `nested=True` each run has one of its own
    below the one that is open, as a sweep wants it: MLflow lets no parameter change within a run.
    """

    library = "mlflow"

    def _log(
        self, name: str, tags: Mapping[str, str], settings: Mapping[str, str], figures: Mapping[str, float]
    ) -> None:
        import mlflow

        is_ours = mlflow.active_run() is None or bool(self._options.get("nested"))
        if is_ours:
            mlflow.start_run(**{"run_name": name, **self._options})
        try:
            mlflow.set_tags(dict(tags))
            mlflow.log_params({_named(name): value for name, value in settings.items()})
            mlflow.log_metrics({_named(name): value for name, value in figures.items()})
        finally:
            if is_ours:
                mlflow.end_run("FAILED" if tags[_STATUS] == RunStatus.FAILED else "FINISHED")


@final
class WandbSubscriber(_AtTheEnd):
    """Writes a run's config and summary to Weights & Biases. Options are those of `wandb.init`, such as `project`."""

    library = "wandb"

    def _log(
        self, name: str, tags: Mapping[str, str], settings: Mapping[str, str], figures: Mapping[str, float]
    ) -> None:
        import wandb

        opened = wandb.run
        run: Any = opened or wandb.init(**{"name": name, **self._options})
        try:
            run.config.update({**tags, **settings}, allow_val_change=True)
            run.summary.update(dict(figures))
        finally:
            if opened is None:
                run.finish(exit_code=int(tags[_STATUS] == RunStatus.FAILED))


def _named(name: str) -> str:
    """Return a name as MLflow takes it: letters, digits, and `_-. /`."""
    return re.sub(r"[^\w.\-/ ]", "_", name)
