"""Themis evaluates language models reproducibly.

    from themis import evaluate
    result = evaluate(model="builtin/demo_model", data=[{"input": "1+1", "expected_output": "2"}],
                      metric="builtin/exact_match")

Everything here is loaded when it is first used, so that `import themis` is quick and `import themis.pure` loads
nothing that does I/O.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from themis.api.authoring import EvaluationConfig as EvaluationConfig
    from themis.api.authoring import GenerationConfig as GenerationConfig
    from themis.api.evaluating import evaluate as evaluate
    from themis.api.evaluating import evaluate_async as evaluate_async
    from themis.api.experiment import Experiment as Experiment
    from themis.api.results import RunResult as RunResult
    from themis.effects.stores.memory import InMemoryRunStore as InMemoryRunStore
    from themis.effects.stores.sqlite import SqliteRunStore as SqliteRunStore
    from themis.effects.stores.sqlite import sqlite_store as sqlite_store
    from themis.pure.components.functions import generator as generator
    from themis.pure.components.functions import metric as metric
    from themis.pure.components.functions import parser as parser
    from themis.pure.components.functions import reducer as reducer
    from themis.pure.protocols import RunStore as RunStore
    from themis.pure.records.config import RuntimeConfig as RuntimeConfig
    from themis.pure.records.config import StorageConfig as StorageConfig
    from themis.pure.records.dataset import Case as Case
    from themis.pure.records.dataset import Dataset as Dataset
    from themis.pure.records.prompt import PromptSpec as PromptSpec
    from themis.pure.records.results import RunEstimate as RunEstimate
    from themis.pure.records.results import RunStatus as RunStatus
    from themis.pure.records.snapshot import RunSnapshot as RunSnapshot

_HOMES = {
    "Case": "themis.pure.records.dataset",
    "Dataset": "themis.pure.records.dataset",
    "EvaluationConfig": "themis.api.authoring",
    "Experiment": "themis.api.experiment",
    "GenerationConfig": "themis.api.authoring",
    "InMemoryRunStore": "themis.effects.stores.memory",
    "PromptSpec": "themis.pure.records.prompt",
    "RunEstimate": "themis.pure.records.results",
    "RunResult": "themis.api.results",
    "RunSnapshot": "themis.pure.records.snapshot",
    "RunStatus": "themis.pure.records.results",
    "RunStore": "themis.pure.protocols",
    "RuntimeConfig": "themis.pure.records.config",
    "SqliteRunStore": "themis.effects.stores.sqlite",
    "StorageConfig": "themis.pure.records.config",
    "evaluate": "themis.api.evaluating",
    "evaluate_async": "themis.api.evaluating",
    "generator": "themis.pure.components.functions",
    "metric": "themis.pure.components.functions",
    "parser": "themis.pure.components.functions",
    "reducer": "themis.pure.components.functions",
    "sqlite_store": "themis.effects.stores.sqlite",
}

__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]  # one table, no second list


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'themis' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
