"""The published schema: valid, as generated, and of one mind with the checks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import Draft202012Validator

from themis.api.config.read import build
from themis.api.config.schema import config_schema
from themis.api.experiment.experiment import Experiment
from themis.pure.errors import SpecError

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "config.schema.json"
GOOD: dict[str, Any] = {
    "generation": {"generator": "builtin/demo_model"},
    "datasets": [{"cases": [{"input": 1}]}],
}


def test_the_schema_is_valid() -> None:
    Draft202012Validator.check_schema(config_schema())


def test_the_published_schema_is_the_generated_one() -> None:
    """After a change: `themis schema > docs/reference/config.schema.json`."""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == config_schema()


def test_every_key_is_described() -> None:
    properties = config_schema()["properties"]
    bare = [f"{name}.{key}" for name in ("generation", "evaluation", "storage", "runtime")
            for key, schema in properties[name]["properties"].items() if "description" not in schema]  # fmt: skip
    assert bare == []


WRONG: list[dict[str, Any]] = [
    {"datasets": [{"cases": [{"input": 1}]}]},
    {**GOOD, "datasets": []},
    {**GOOD, "datasets": [{"path": "a", "cases": []}]},
    {**GOOD, "datasets": [{"cases": [{"input": None}]}]},
    {**GOOD, "extra": 1},
    {**GOOD, "generation": {"generator": 3}},
    {**GOOD, "generation": {"generator": {"temperature": 0}}},
    {**GOOD, "runtime": {"max_concurrent_tasks": 0}},
    {**GOOD, "runtime": {"max_concurrent_tasks": "8"}},
    {**GOOD, "runtime": {"existing_run_policy": "again"}},
    {**GOOD, "seeds": ["a"]},
    {**GOOD, "storage": "sqlite"},
]
RIGHT: list[dict[str, Any]] = [
    GOOD,
    {**GOOD, "runtime": None, "seeds": None},
    {**GOOD, "runtime": {"max_cost": 1, "stage_concurrency": {"judge": 2}, "generation_timeout": None}},
    {**GOOD, "evaluation": {"metrics": ["a", {"id": "b", "x": [1]}], "parsers": "c", "judge_models": None}},
    {**GOOD, "generation": {"generator": "a", "prompt_spec": {"blocks": [{"text": "x"}]}}},
]


@pytest.mark.parametrize("config", [*WRONG, *RIGHT])
def test_editors_and_the_command_judge_alike(config: dict[str, Any], tmp_path: Path) -> None:
    """Whatever the schema lets through is wrong by its components' names alone."""
    try:
        build(Experiment, config, tmp_path)
        is_right = True
    except SpecError as error:
        is_right = all(re.search("no (model|metric|parser) '", line) for line in str(error).splitlines()[-1:])
    assert is_right == Draft202012Validator(config_schema()).is_valid(config)
    assert is_right == (config in RIGHT)
