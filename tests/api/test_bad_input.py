"""Bad input: one clear error that names what and where, and nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from themis import Case, StorageConfig, evaluate
from themis.pure.components.basic import DemoGenerator
from themis.pure.errors import ThemisError

ROW = {"case_id": "a", "input": "1+1", "expected_output": "2"}


class Nameless:
    """A generator without a `component_id`."""

    async def generate(self, case: object, ctx: object) -> None: ...


BAD: Mapping[str, tuple[dict[str, Any], list[str]]] = {
    "two cases of one id": ({"data": [ROW, ROW]}, ["'a'", "twice", "cases 1 and 2"]),
    "a case without input": ({"data": [ROW, {"case_id": "b"}]}, ["cases[1]", "input"]),
    "a null input": ({"data": [{"case_id": "b", "input": None}]}, ["cases[0]", "'b' has no input"]),
    "a component without an id": ({"model": Nameless()}, ["Nameless", "component_id"]),
    "NaN in an expected output": (
        {"data": [{"input": 1, "expected_output": {"x": [float("nan")]}}]},
        ["cases[0]", "expected_output.x[0]", "nan is not JSON"],
    ),
    "an unknown builtin": (
        {"metric": "builtin/exact_mach"},
        ["builtin/exact_mach", "did you mean", "builtin/exact_match"],
    ),
    "an unknown model": ({"model": "builtin/demo_generatr"}, ["builtin/demo_generator"]),
    "an import path to nothing": ({"metric": "no.such.module:thing"}, ["no.such.module", "sys.path"]),
    "no cases": ({"data": []}, ["no cases"]),
    "a metric that is none": ({"metric": DemoGenerator()}, ["builtin/demo_generator", "no metric"]),
    "a model that is none": ({"model": "builtin/exact_match"}, ["builtin/exact_match", "generate()"]),
    "seeds that do not match": ({"seeds": [1, 2]}, ["2 given", "1 candidate"]),
    "two metrics of one id": ({"metric": ["builtin/exact_match"] * 2}, ["metrics", "2 times"]),
    "a row that is none": ({"data": [ROW, "2+2"]}, ["cases[1]", "str", "'2+2'"]),
    "references under another name": ({"data": [{"input": 1, "answer": 2}]}, ["is it 'answer'?", "expected_field"]),
    "metadata that is an object": (
        {"data": [{"input": 1, "metadata": {"n": {"a": 3}, "m": {}}}]},
        ["cases[0]", "metadata.n", "metadata.m", "a list expected, found an object: {'a': 3}"],
    ),
    "a literal key": ({"judge_config": {"api_key": "abc"}}, ["judge_config.api_key", "environment variable"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error_and_stores_nothing(name: str, tmp_path: Path) -> None:
    changes, words = BAD[name]
    path = tmp_path / "runs" / "store.sqlite3"
    arguments: dict[str, Any] = {"model": "builtin/demo_generator", "data": [ROW], "metric": "builtin/exact_match"}
    with pytest.raises(ThemisError) as caught:
        evaluate(**{**arguments, **changes}, storage=StorageConfig(store="sqlite", parameters={"path": str(path)}))
    for word in words:
        assert word in str(caught.value)
    assert not path.exists()


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(ThemisError) as caught:
        evaluate(model=Nameless(), data=[ROW], metric=["builtin/exact_match"] * 2, seeds=[1, 2])
    assert "3 problems" in str(caught.value)


def test_a_store_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(ThemisError, match=r"store\.sqlite3.*check the path"):
        evaluate(
            model="builtin/demo_generator",
            data=[ROW],
            metric="builtin/exact_match",
            storage=StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "file" / "store.sqlite3")}),
        )


def test_an_unknown_store_names_the_nearest() -> None:
    with pytest.raises(ThemisError, match="did you mean sqlite"):
        evaluate(
            model="builtin/demo_generator",
            data=[ROW],
            metric="builtin/exact_match",
            storage=StorageConfig(store="sqlit"),
        )


def test_cases_are_data_like_rows() -> None:
    made = Case(case_id="a", input="1+1", expected_output="2")
    result = evaluate(model="builtin/demo_generator", data=[made], metric="builtin/exact_match")
    assert [case.case_id for case in result.cases] == ["a"]
