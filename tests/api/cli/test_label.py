"""`themis label`, from the sheet to the report."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from themis import evaluate, sqlite_store
from themis.api.cli import DONE, USAGE

EXACT = "builtin/exact_match"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "runs.sqlite3"
    rows = [{"case_id": f"c{n}", "input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(80)]
    with sqlite_store(path) as opened:
        evaluate(model="builtin/demo_model", data=rows, metric=EXACT, store=opened)
    return path


def test_a_sheet_is_written_filled_in_imported_and_reported(themis: Any, store: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheets" / "to-label.csv"
    done = themis("label", "latest", "--next", 40, "--output", sheet, "--store", store)
    assert (done.code, done.out) == (DONE, f"wrote 40 answers to label to {sheet}\n")
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    for row in rows:
        row["value"] = "correct" if row["answer"] == row["expected_output"] else "incorrect"
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert themis("label", "latest", "--from", sheet, "--who", "ada", "--store", store).out.endswith(
        "40 labels stored\n"
    )
    again = themis("label", "latest", "--from", sheet, "--who", "ada", "--store", store, "--json")
    assert again.data == {"path": str(sheet), "stored": 0, "unchanged": 40, "empty": 0}
    shown = themis("label", "latest", "--store", store)
    assert "corrected by labels" in shown.out
    assert "40 answers of 40 cases are labelled" in shown.out
    assert "labels narrow it to" in shown.out
    assert all(len(line) <= 80 for line in shown.out.splitlines()[6:])
    data = themis("label", "latest", "--store", store, "--json").data
    assert data[EXACT]["corrected"]["labelled"] == 40
    assert "corrected by labels" in themis("report", "latest", "--store", store).out
    assert themis("verify", "latest", "--store", store).code == DONE


def test_one_label_is_given_and_taken_back(themis: Any, store: Path) -> None:
    of = ("label", "latest", "c7", EXACT)
    assert themis(*of, "no", "--who", "ada", "--note", "14", "--store", store).out == "1 label stored\n"
    assert "wrong: 14" in themis("inspect", "case", "latest", "c7", "--store", store).out
    assert themis(*of, "--withdraw", "--who", "ada", "--store", store).out == "1 label stored\n"
    assert "label by" not in themis("inspect", "case", "latest", "c7", "--store", store).out
    assert "no labels" in themis("label", "latest", "--store", store).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["c7"], "a value, or --withdraw, expected"),
        (["c7", EXACT, "yes", "--withdraw"], "a value, or --withdraw, expected"),
        (["c7", EXACT, "3"], "scores from 0 to 1; found 3"),
        (["c7", "builtin/exact_mach", "1"], "did you mean builtin/exact_match"),
        (["c777", EXACT, "1"], "the run has no case 'c777'; did you mean"),
        (["--from", "nowhere.csv"], "there is no such file"),
        (["--from", "nowhere.csv", "--next", "3"], "one of CASE METRIC VALUE, --from, --next expected"),
        (["--next", "0"], "count is 0"),
        (["--next", "3", "--by", "uncertainty"], "take a random sample"),
        (["--from", "x.csv", "--column", "verdict"], "WHAT=COLUMN expected, as in value=verdict; found 'verdict'"),
        (["--from", "x.csv", "--column", "valeu=v"], "'valeu' is nothing of a label; did you mean value"),
    ],
)
def test_what_is_wrong_is_said(themis: Any, store: Path, words: list[str], said: str) -> None:
    done = themis("label", "latest", *words, "--store", store)
    assert done.code == USAGE
    assert said in " ".join(done.err.split())


def test_columns_of_another_tool_are_named(themis: Any, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("item,verdict,by\nc1,pass,eve\nc2,fail,eve\nc3,,eve\n", encoding="utf-8")
    columns = [word for what in ("case=item", "value=verdict", "who=by") for word in ("--column", what)]
    done = themis("label", "latest", "--from", path, *columns, "--store", store)
    assert (done.code, done.out) == (DONE, f"{path}: 2 labels stored (1 without a value)\n")


def test_help_has_examples(themis: Any) -> None:
    assert "themis label latest --next 100 --output to-label.csv" in themis("label", "--help").out
