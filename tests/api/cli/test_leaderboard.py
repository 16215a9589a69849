"""`themis leaderboard`: runs by id and by tag, in every format, to files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.cli.conftest import Themis


@pytest.fixture
def runs(project: Path, themis: Themis) -> tuple[str, str]:
    del project
    assert themis("run", "experiment.yaml", "--name", "first", "--tag", "paper").code == 0
    assert themis("run", "experiment.yaml", "--seed", "9", "--name", "second").code == 0
    return "first", "second"


def test_runs_are_shown_in_the_formats_that_there_are(runs: tuple[str, str], themis: Themis) -> None:
    done = themis("leaderboard", *runs, "--rows", "name")
    assert done.code == 0, done.err
    assert "first" in done.out
    assert "share a letter are not told apart" in " ".join(done.out.split())
    data = themis("leaderboard", "--rows", "name", "--json").data
    assert sorted(row["name"] for row in data["rows"]) == ["first", "second"]
    assert [
        row["name"] for row in themis("leaderboard", "--tag", "paper", "--rows", "name", "--json").data["rows"]
    ] == ["first"]
    assert "seed" in themis("leaderboard").out  # what differs between runs of one model
    for kind, mark in (("markdown", "| --- |"), ("csv", "row,column"), ("latex", r"\toprule"), ("html", "<!doctype")):
        assert mark in themis("leaderboard", "--format", kind).out
    assert "For example" in themis("leaderboard", "--help").out


def test_the_format_of_a_file_is_that_of_its_ending(runs: tuple[str, str], themis: Themis, tmp_path: Path) -> None:
    del runs
    for name, mark in (
        ("a.tex", r"\begin{table}"),
        ("new/b.html", "<svg"),
        ("c.csv", "row,column"),
        ("d.md", "# Board"),
    ):
        done = themis("leaderboard", "--title", "Board", "--output", str(tmp_path / name))
        assert (done.code, done.out) == (0, ""), done.err
        assert mark in (tmp_path / name).read_text(encoding="utf-8")
    refused = themis("leaderboard", "--output", str(tmp_path / "board.pdf"))
    assert refused.code == 2
    assert "or name its format with --format" in refused.err


def test_what_is_mistyped_is_refused_by_one_message(runs: tuple[str, str], themis: Themis) -> None:
    del runs
    for words, said in (
        (("--rows", "tempurature"), "no run has a setting 'tempurature'"),
        (("--metric", "exact_mach"), "there is no metric 'exact_mach'"),
        (("--baseline", "gpt"), "no row 'gpt'"),
        (("--weight", "2", "--weight", "x=y"), "found 'x=y'"),
        (("nowhere",), "no run 'nowhere'"),
        (("--tag", "papier"), "no run with the tag 'papier'"),
        (("--store", "runs/nowhere.sqlite3"), "there is no store"),
        (("--confidence", "95"), "confidence is 95.0"),
    ):
        done = themis("leaderboard", *words)
        assert done.code == 2, words
        assert said in done.err
        assert "Traceback" not in done.err


def test_weights_reach_the_macro_average_and_stores_are_joined(runs: tuple[str, str], themis: Themis) -> None:
    del runs
    (name,) = {column["benchmark"] for column in themis("leaderboard", "--json").data["columns"] if column["benchmark"]}
    assert themis("leaderboard", "--weight", f"{name}=2").code == 0
    twice = themis("leaderboard", "--store", "runs/themis.sqlite3", "--store", "runs/themis.sqlite3", "--json")
    assert len(twice.data["runs"]) == 2  # the same run at the same place counts once
