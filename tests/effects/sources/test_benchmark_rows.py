"""A benchmark's rows from memory and from files: all that does not fit is reported at once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from themis.effects.sources.benchmark_rows import FileRows, Loaded, Rows, load_cases
from themis.pure.benchmarks.columns import Row
from themis.pure.benchmarks.registry import find_recipe, samples_of
from themis.pure.benchmarks.subsets import Subset
from themis.pure.errors import DataError, SpecError

PROBLEMS: list[dict[str, Any]] = [{"problem_idx": n, "problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(1, 9)]


def load(name: str, rows: list[dict[str, Any]], skip: bool = False, **subset: Any) -> Loaded:
    recipe, variant = find_recipe(name)
    return load_cases(recipe, variant, Rows(rows), Subset(**subset), skip_misfits=skip)


def ids(loaded: Loaded) -> list[str]:
    return [case.case_id for case in loaded.cases]


def test_cases_come_in_the_rows_order_as_often_as_they_are_read() -> None:
    loaded = load("aime_2026", PROBLEMS)
    assert ids(loaded) == ids(loaded) == [str(n) for n in range(1, 9)]
    assert len(loaded.cases) == 8


def test_a_limit_takes_the_first_and_reads_no_further() -> None:
    read: list[str] = []

    class Watched(Rows):
        def __iter__(self) -> Iterator[tuple[str, Row]]:
            for place, row in super().__iter__():
                read.append(place)
                yield place, row

    recipe, variant = find_recipe("aime_2026")
    loaded = load_cases(recipe, variant, Watched(PROBLEMS), Subset(limit=3))
    assert read == ["row 1", "row 2", "row 3"]
    assert ids(loaded) == ["1", "2", "3"]


def test_shuffling_takes_the_limit_of_the_order() -> None:
    order = ids(load("aime_2026", PROBLEMS, shuffle=5))
    assert order != sorted(order)
    assert ids(load("aime_2026", PROBLEMS, shuffle=5, limit=3)) == order[:3]


def test_a_filter_looks_at_metadata() -> None:
    rows = [{**samples_of("hle")[0].row, "id": str(n), "category": "Math" if n % 2 else "Other"} for n in range(6)]
    assert ids(load("hle", rows, filter={"category": "Math"})) == ["1", "3", "5"]
    assert ids(load("hle", rows, filter={"category": "Math"}, limit=2)) == ["1", "3"]
    with pytest.raises(SpecError, match="no field 'Category'"):
        load("hle", rows, filter={"Category": "Math"})


def test_all_rows_that_do_not_fit_are_named_with_their_columns() -> None:
    rows: list[dict[str, Any]] = [dict(row) for row in PROBLEMS]
    del rows[1]["answer"]
    rows[3]["problem"] = 7
    for row in rows[4:]:
        row["answer"] = None
    with pytest.raises(DataError) as caught:
        load("aime_2026", rows)
    message = str(caught.value)
    assert "aime_2026: rows don't fit the benchmark's columns; 3 problems" in message
    assert "column 'answer' is missing" in message
    assert "in row 2" in message
    assert "column 'problem' text expected, found int 7, in row 4" in message
    assert "column 'answer' text or a number expected, found nothing, in row 5, row 6, row 7, row 8" in message


def test_many_faults_of_one_kind_take_one_line() -> None:
    rows = [{"problem_idx": n, "problem": "?"} for n in range(1000)]
    with pytest.raises(DataError, match=r"row 1, row 2, row 3, row 4, row 5 and 995 more$"):
        load("aime_2026", rows)


def test_rows_that_do_not_fit_may_be_skipped_and_are_counted() -> None:
    rows: list[dict[str, Any]] = [dict(row) for row in PROBLEMS]
    rows[2]["answer"] = {"a": 1}
    loaded = load("aime_2026", rows, skip=True)
    assert loaded.skipped == 1
    assert "3" not in ids(loaded)
    assert "text or a number expected, found dict" in loaded.problems[0]


def test_rows_may_be_a_dataset_of_the_hubs_library() -> None:
    datasets = pytest.importorskip("datasets")
    recipe, variant = find_recipe("aime_2026")
    given = datasets.Dataset.from_list(PROBLEMS)
    assert ids(load_cases(recipe, variant, Rows(given), Subset(limit=2))) == ["1", "2"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (7, "a list of objects"),
        ({"a": 1}, "a list of objects"),
        ([{}, "x"], "row 2: an object"),
        ("x", "row 1: an object"),
    ],
)
def test_what_are_no_rows_is_refused(rows: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Rows(rows)


def test_a_column_of_two_meanings_is_named_once() -> None:
    row = {**samples_of("humaneval")[0].row, "canonical_solution": 7}
    with pytest.raises(DataError, match=r"^humaneval: rows don't fit.*in row 1$"):
        load("humaneval", [row])


def test_rows_left_out_are_counted_by_reason() -> None:
    rows = [dict(sample.row) for sample in samples_of("codeforces")]
    assert load("codeforces", rows).left_out == {
        "reads a file, not standard input": 1,
        "is interactive": 1,
        "its official tests are incomplete": 1,
    }


def test_an_id_that_comes_again_ends_in_its_rows_number() -> None:
    rows = [dict(sample.row) for sample in samples_of("codeforces") if not sample.left_out]
    assert ids(load("codeforces", rows)) == ["9000/A", "9000/B", "9000/A#3"]
    named = [{**rows[0], "id": name} for name in ("a", "a#3", "a", "a#3", "a#3#4")]
    found = ids(load("codeforces", named))
    assert found == ["a", "a#3", "a#3#3", "a#3#4", "a#3#4#5"]
    assert len({*found}) == len(named)


def test_no_case_at_all_is_an_error_that_says_why() -> None:
    with pytest.raises(DataError, match="aime_2026: there are no rows"):
        load("aime_2026", [])
    rows = [dict(samples_of("procbench")[0].row)]
    with pytest.raises(DataError, match=r"no case is left of 1 rows: 1 left out \(is of another task\)"):
        load("procbench:task23", rows)
    hle = [dict(samples_of("hle")[0].row)]
    with pytest.raises(DataError, match=r"filter \{'category': \['Law'\]\} takes none"):
        load("hle", hle, filter={"category": "Law"})


# --- files ------------------------------------------------------------------------------------------------


def file_rows(name: str, *paths: Path) -> FileRows:
    recipe, variant = find_recipe(name)
    return FileRows(paths, recipe.entry.columns_of(variant))


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_several_files_are_one_list_of_rows_and_places_name_the_file(tmp_path: Path) -> None:
    first, second = write_lines(tmp_path / "a.jsonl", PROBLEMS[:2]), write_lines(tmp_path / "b.jsonl", [{"x": 1}])
    rows = file_rows("beyond_aime", first, second)
    assert [place for place, _ in rows] == ["a.jsonl:1", "a.jsonl:2", "b.jsonl:1"]
    recipe, variant = find_recipe("beyond_aime")
    with pytest.raises(DataError, match=r"column 'problem' is missing; .*in b\.jsonl:1"):
        load_cases(recipe, variant, rows, Subset())


def test_a_table_of_text_is_read_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "babe.csv"
    path.write_text(
        'uuid,text,label,outlet,topic,type,label_opinion\nx1,"A sentence, with a comma.",1,Daily,,left,factual\n',
        encoding="utf-8",
    )
    recipe, variant = find_recipe("babe")
    [case] = load_cases(recipe, variant, file_rows("babe", path), Subset()).cases
    assert case.expected_output == "B"
    assert case.metadata == {"outlet": "Daily", "type": "left", "label_opinion": "factual"}


@pytest.mark.parametrize("name", ["rows.json", "rows.json.gz"])
@pytest.mark.parametrize("as_lines", [True, False])
def test_json_may_hold_an_array_or_an_object_a_line(tmp_path: Path, name: str, as_lines: bool) -> None:
    text = "".join(json.dumps(row) + "\n" for row in PROBLEMS) if as_lines else json.dumps(PROBLEMS, indent=1)
    content = ("\ufeff" + text).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert [row for _, row in file_rows("aime_2026", tmp_path / name)] == PROBLEMS


def test_parquet_keeps_nested_columns(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [dict(sample.row) for sample in samples_of("superchem")]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "s.parquet")
    recipe, variant = find_recipe("superchem:zh")
    cases = load_cases(recipe, variant, file_rows("superchem:zh", tmp_path / "s.parquet"), Subset()).cases
    assert [case.expected_output for case in cases] == ["AC", "AC", "AC"]


def test_a_file_that_changes_between_two_readings_is_noticed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", PROBLEMS)
    recipe, variant = find_recipe("aime_2026")
    loaded = load_cases(recipe, variant, file_rows("aime_2026", path), Subset())
    assert len(list(loaded.cases)) == 8
    write_lines(path, [*PROBLEMS, {"problem_idx": 99, "problem": "?", "answer": "1"}])
    with pytest.raises(DataError, match="changed after it was first read"):
        list(loaded.cases)
