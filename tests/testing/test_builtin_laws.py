"""The builtin components keep the laws that are asked of everyone's."""

from __future__ import annotations

from typing import Any, Final

import pytest

from themis.pure.components.registry import builtins, component_ids, make_builtin
from themis.testing import (
    assert_generator_contract,
    assert_metric_laws,
    assert_parser_laws,
    assert_reducer_laws,
)

OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "builtin/choice_letter": {"options": 4},
    "builtin/json_schema": {"schema": {"type": "string"}},
    "builtin/regex": {"pattern": r"a(b)?", "group": 1},
}
"""What the components need that have no defaults for it."""

OUTSIDE_0_TO_1: Final = {"builtin/bleu": (0.0, 100.0), "builtin/chrf": (0.0, 100.0)}
SEVERAL_REFERENCES: Final = {
    "builtin/contains",
    "builtin/exact_match_normalized",
    "builtin/f1",
    "builtin/json_fields",
    "builtin/numeric_match",
    "builtin/rouge_l",
}
"""The metrics of which the best reference counts."""


def made(name: str) -> Any:
    component = make_builtin(name, **OPTIONS.get(name, {}))
    check = getattr(component, "check", None)
    if missing := list(check() or ()) if check is not None else []:
        pytest.skip(f"{name}: {missing[0]}")
    return component


def pure_metrics() -> list[str]:
    return [name for name in component_ids("metric") if hasattr(builtins()[name].make, "score")]


@pytest.mark.parametrize("name", pure_metrics())
def test_builtin_metrics(name: str) -> None:
    assert_metric_laws(
        made(name),
        value_range=OUTSIDE_0_TO_1.get(name, (0.0, 1.0)),
        unordered_references=name in SEVERAL_REFERENCES,
        examples=60,
    )


@pytest.mark.parametrize("name", component_ids("parser"))
def test_builtin_parsers(name: str) -> None:
    assert_parser_laws(made(name), examples=60)


@pytest.mark.parametrize("name", component_ids("reducer"))
def test_builtin_reducers(name: str) -> None:
    assert_reducer_laws(made(name), examples=60)


@pytest.mark.parametrize("name", component_ids("generator"))
def test_builtin_generators(name: str) -> None:
    assert_generator_contract(made(name), deterministic=True, examples=60)
