"""`themis explain`: why two numbers differ, on a terminal, as Markdown and as JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.cli.conftest import Themis

from themis import evaluate, sqlite_store
from themis.pure.components.registry import make_builtin

STORE = "runs.sqlite3"
ROWS = [{"case_id": f"q{n}", "input": f"{n} + {n}?", "expected_output": f"The {2 * n}"} for n in range(20)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("explain")
    store = sqlite_store(made / STORE)
    usual: dict[str, Any] = {"model": "builtin/demo_model", "store": store}
    word = make_builtin("builtin/regex", pattern=r"(\w+)$")
    evaluate(data=ROWS, parser=word, metric=["builtin/exact_match", "builtin/f1"], name="one", **usual)
    evaluate(data=ROWS[5:], metric=["builtin/exact_match", "builtin/f1"], name="two", **usual)
    evaluate(data=ROWS, metric="builtin/exact_match_normalized", name="three", **usual)
    store.close()
    with contextlib.chdir(made):
        yield made


pytestmark = pytest.mark.usefixtures("folder")


def test_a_table_and_the_cases_for_every_shared_metric(themis: Themis) -> None:
    said = themis("explain", "one", "two", "--store", STORE, "--cases", "1")
    assert said.code == 0
    assert "a: one, builtin/exact_match: mean 0.0000 of 20 scores" in said.out
    assert "a: one, builtin/f1" in said.out
    assert "builtin/regex" in said.out
    assert "5 in a alone" in said.out
    assert "Shapley 1953" in said.out
    assert "of data, a alone" in said.out


def test_json_has_every_share_and_how_it_came_about(themis: Themis) -> None:
    said = themis("explain", "one", "two", "--metric", "f1", "--store", STORE, "--json")
    (found,) = json.loads(said.out)["explanations"]
    assert {each["factor"] for each in found["factors"]} == {"parser", "cases"}
    assert sum(each["share"] for each in found["factors"]) == pytest.approx(found["difference"])
    assert all(each["points"] == pytest.approx(100 * each["share"]) for each in found["factors"])
    assert "sum to the difference" in found["method"]
    assert json.loads(themis("explain", "one", "two", "--metric", "f1", "--store", STORE, "--format", "json").out) == (
        json.loads(said.out)
    )


def test_markdown_is_a_document(themis: Themis) -> None:
    said = themis("explain", "one", "two", "--metric", "f1", "--store", STORE, "--format", "markdown")
    assert said.out.startswith("# Why the means differ\n")
    assert "| factor | a | b | points | cases | how known |" in said.out


def test_another_metric_of_the_second_run(themis: Themis) -> None:
    words = ("explain", "one", "three", "--store", STORE)
    refused = themis(*words)
    assert refused.code == 2
    assert "the runs share no metric; name one of each" in refused.err
    said = themis(*words, "--metric", "exact_match", "--metric-b", "exact_match_normalized")
    assert said.code == 0
    assert "metric" in said.out
    several = themis(*words, "--metric", "exact_match", "f1", "--metric-b", "exact_match_normalized")
    assert (several.code, "one --metric expected" in several.err) == (2, True)
