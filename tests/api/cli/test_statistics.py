"""`compare --statistic`, `--of` and `rank` at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.cli.conftest import Themis


@pytest.fixture
def two_runs(project: Path, themis: Themis) -> tuple[str, str]:
    del project
    assert themis("run", "experiment.yaml", "--name", "first").code == 0
    assert themis("run", "experiment.yaml", "--seed", "9", "--name", "second").code == 0
    return "first", "second"


def test_compare_adds_statistics_to_what_it_says(two_runs: tuple[str, str], themis: Themis) -> None:
    done = themis("compare", *two_runs, "--statistic", "median", "--statistic", "p90")
    assert done.code == 0
    assert "measure" in done.out
    assert "quantile 0.9" in done.out
    data = themis("compare", *two_runs, "--statistic", "mean", "--contrast", "ratio", "--json").data
    assert [each["statistic"] for each in data["statistics"]] == ["mean"] * len(data["comparisons"])
    assert {each["family_size"] for each in data["statistics"]} == {len(data["statistics"])}
    assert "statistics" not in themis("compare", *two_runs, "--json").data


def test_compare_measures_what_cases_took(two_runs: tuple[str, str], themis: Themis) -> None:
    price = ("--price", "builtin/demo_model=1,4")
    data = themis("compare", *two_runs, "--of", "cost", "--of", "latency", *price, "--json").data
    assert [each["name"] for each in data["statistics"]] == ["cost", "latency_ms"]
    assert data["statistics"][0]["statistic"] == "mean"


def test_compare_refuses_what_is_no_statistic(two_runs: tuple[str, str], themis: Themis) -> None:
    done = themis("compare", *two_runs, "--statistic", "medain")
    assert done.code == 2
    assert "did you mean median" in done.err
    assert themis("compare", *two_runs, "--of", "time").code == 2


def test_rank_shows_each_run_by_the_name_it_was_asked_for(two_runs: tuple[str, str], themis: Themis) -> None:
    done = themis("rank", *two_runs, "--metric", "builtin/exact_match")
    assert done.code == 0, done.err
    assert "first" in done.out
    assert "second" in done.out
    assert "1 pairs of runs" in done.out
    data = themis("rank", *two_runs, "--metric", "builtin/exact_match", "--json").data
    assert len(data["ranks"]) == 2
    assert themis("rank", "first").code == 2
    assert "For example" in themis("rank", "--help").out
