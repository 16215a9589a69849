"""Untrusted text means nothing but itself in any format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pdflatex import assert_compiles, needs_pdflatex

from themis import InMemoryRunStore, evaluate
from themis.api.runs.report import Reporter, result_table
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.report import latex, markdown, markup
from themis.pure.report.table import COLUMNS, csv_lines
from themis.pure.text import one_line, printable
from themis.testing.hostile import HOSTILE, hostile_rows

STEERING = ("\x1b", "\x07", "\u202e", "\u2028", "\r")


def hostile_run() -> tuple[InMemoryRunStore, str]:
    store = InMemoryRunStore()
    result = evaluate(model="builtin/demo_model", data=hostile_rows(), metric="builtin/exact_match", store=store)
    return store, result.run_id


@pytest.fixture(scope="module")
def run() -> tuple[InMemoryRunStore, str]:
    return hostile_run()


def test_csv_holds_no_formula_and_no_terminal_escape(run: tuple[InMemoryRunStore, str]) -> None:
    text = Reporter(run[0]).export_csv(run[1])
    assert not any(character in text.replace("\r\n", "\n") for character in STEERING)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(HOSTILE)
    assert all(not cell.lstrip().startswith(tuple("=+-@")) for row in rows for cell in row.values())
    assert [row["case_id"].lstrip("'") for row in rows if "SUM" in row["case_id"]] == ["@SUM(A1)"]


@given(st.text(st.characters(codec="utf-8")))
def test_a_csv_cell_is_one_cell_and_no_formula(text: str) -> None:
    row = BenchmarkScoreRow(case_id=text, dataset_id="d", case_key="k", metric_id="m", value=-0.5, outcome="incorrect")
    header, cells = list(csv.reader(io.StringIO("".join(csv_lines([row])), newline="")))
    assert header == list(COLUMNS)
    assert cells[1:] == ["d", "k", "m", "-0.5", "", "incorrect", "", "", "{}"]
    assert not cells[0].lstrip().startswith(tuple("=+-@"))
    assert cells[0] == printable(cells[0])
    if text.isalnum():
        assert cells[0] == text


@given(st.text(st.characters(codec="utf-8")))
def test_html_text_and_json_can_not_leave_their_place(text: str) -> None:
    assert not set(markup.text(text)) & set("<>\"'")
    embedded = markup.embedded_json(json.dumps([text], ensure_ascii=False))
    assert not set(embedded) & set("<>&\u2028\u2029")
    assert json.loads(embedded) == [text]


@given(st.text(st.characters(codec="utf-8")))
def test_latex_has_no_command_of_the_text(text: str) -> None:
    escaped = latex.escape(text)
    known = {"textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar"}
    known |= {"textquotedbl", "textquotesingle", "textasciigrave", "texttt"}
    rest = escaped
    for name in known:
        rest = rest.replace(f"\\{name}{{", "{")
    for character in "{}$&#%_":
        rest = rest.replace(f"\\{character}", "")
    assert not set(rest) & set("\\$&#%_^~")


@given(st.text(st.characters(codec="utf-8")))
def test_markdown_and_terminal_text_stay_on_one_line_and_steer_nothing(text: str) -> None:
    for line in (markdown.escape(text), one_line(text)):
        assert "\n" not in line
        assert line == printable(line)


def test_markdown_has_neither_markup_nor_links_of_the_data() -> None:
    for text in HOSTILE:
        bare = markdown.escape(text)
        for character in "<>[]|`*_!:@$":
            assert bare.count(character) == bare.count(f"\\{character}"), (text, bare)
    assert markdown.table(["a"], [["x | y"]]).splitlines()[-1] == "| x \\| y |"


def test_a_terminal_sees_no_control_character(run: tuple[InMemoryRunStore, str]) -> None:
    from themis.api.runs.result import RunResult

    table = result_table(RunResult(snapshot=run[0].load_snapshot(run[1]), store=run[0]))
    assert not any(character in table for character in STEERING)


def test_json_and_rows_hold_texts_as_they_are(run: tuple[InMemoryRunStore, str]) -> None:
    data = json.loads(Reporter(run[0]).export_json(run[1]))
    assert [row["case_id"] for row in data["score_rows"]] == HOSTILE


@needs_pdflatex
@pytest.mark.slow
def test_latex_compiles_whatever_the_data_says(run: tuple[InMemoryRunStore, str], tmp_path: Path) -> None:
    assert_compiles([Reporter(run[0]).export_latex(run[1])], tmp_path)
