"""Dataset files: rows become cases lazily, and every fault names file and line."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import itertools
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import IO, Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from themis.effects.sources import rows
from themis.effects.sources.files import CaseFields, FileCases, file_dataset
from themis.pure.errors import DataError, MissingExtraError
from themis.pure.records.dataset import Case

ROWS: list[dict[str, Any]] = [
    {"case_id": "a", "input": "1+1", "expected_output": "2", "metadata": {"level": "easy"}},
    {"id": 7, "input": ["x", {"y": 2**70}], "expected_output": None},
    {"input": "no id"},
]


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_become_cases(tmp_path: Path) -> None:
    cases = FileCases(write_lines(tmp_path / "qa.jsonl", ROWS))
    assert list(cases) == [
        Case(case_id="a", input="1+1", expected_output="2", metadata={"level": "easy"}),
        Case(case_id="7", input=["x", {"y": 2**70}]),
        Case(case_id="3", input="no id"),
    ]
    assert len(cases) == 3
    assert list(cases) == list(cases)


def test_blank_lines_and_a_byte_order_mark_are_no_cases(tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"input": 1}\n\n   \n{"input": 2}')
    cases = FileCases(path)
    assert [case.input for case in cases] == [1, 2]
    assert len(cases) == 2


def test_fields_can_be_chosen_also_inside_objects(tmp_path: Path) -> None:
    row = {"doc": {"q": "Why?"}, "gold": "so", "uid": 5, "subject": "math", "n": 3, "a.b": "dotted"}
    fields = CaseFields(input="doc.q", expected="gold", case_id="uid", metadata=("subject", "n", "a.b"))
    [case] = FileCases(write_lines(tmp_path / "x.jsonl", [row]), fields)
    metadata = {"subject": "math", "n": "3", "a.b": "dotted"}
    assert case == Case(case_id="5", input="Why?", expected_output="so", metadata=metadata)


def test_a_star_keeps_what_makes_nothing_else_of_a_case(tmp_path: Path) -> None:
    row = {
        "doc": {"q": "Why?"},
        "gold": "so",
        "id": 5,
        "metadata": {"topic": "own"},
        "topic": "math",
        "level": 3,
        "share": 0.5,
        "public": True,
        "tags": ["a", 1],
        "empty": "",
        "nothing": None,
        "none_of": [],
        "object": {"a": 1},
        "objects": [{"a": 1}],
    }
    fields = CaseFields(input="doc.q", expected="gold", metadata="*")
    [case] = FileCases(write_lines(tmp_path / "x.jsonl", [row]), fields)
    kept = {"topic": "own", "level": 3, "share": 0.5, "public": True, "tags": ("a", 1)}
    assert case.metadata == kept
    with_named = attrs.evolve(fields, metadata=("*", "object", "level"))
    [case] = FileCases(tmp_path / "x.jsonl", with_named)
    assert case.metadata == {**kept, "object": '{"a":1}', "level": "3"}
    (tmp_path / "x.csv").write_text("input,expected_output,topic,level\n1+1,2,sums,1\n2*2,4,,2\n")
    metadata = [case.metadata for case in FileCases(tmp_path / "x.csv", CaseFields(metadata="*"))]
    assert metadata == [{"topic": "sums", "level": "1"}, {"level": "2"}]


def test_a_limit_takes_the_first(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"input": i} for i in range(10)])
    cases = FileCases(path, limit=4)
    assert [case.input for case in cases] == [0, 1, 2, 3]
    assert len(cases) == 4
    assert len(FileCases(path, limit=99)) == 10


def test_a_limit_does_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"input": 1}\nnot json\n')
    assert len(list(FileCases(path, limit=1))) == 1


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet", "jsonl.gz", "csv.gz"])
def test_every_format_gives_the_same_cases(tmp_path: Path, kind: str) -> None:
    rows = [
        {"id": "1", "input": 'say "hi",\nplease\t!', "expected_output": "hi ä"},
        {"id": "2", "input": "b", "expected_output": ""},
    ]
    path = tmp_path / f"data.{kind}"
    _write(path, kind, rows)
    wanted = [Case(case_id=r["id"], input=r["input"], expected_output=r["expected_output"]) for r in rows]
    assert list(FileCases(path)) == wanted
    assert len(FileCases(path)) == 2


def _write(path: Path, kind: str, rows: list[dict[str, Any]]) -> None:
    if kind == "parquet":
        arrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
        importlib.import_module("pyarrow.parquet").write_table(arrow.Table.from_pylist(rows), path)
        return
    plain = path.with_name("plain")
    base = kind.removesuffix(".gz")
    if base == "jsonl":
        write_lines(plain, rows)
    elif base == "json":
        plain.write_text(json.dumps(rows))
    else:
        with plain.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if base == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    path.write_bytes(gzip.compress(plain.read_bytes()) if kind.endswith(".gz") else plain.read_bytes())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.jsonl", '{"input": 1}\n{"input": oops}\n', "x.jsonl:2: this line is not JSON"),
        ("x.jsonl", '{"input": 1}\n{"input": NaN}\n', "x.jsonl:2: this line is not JSON"),
        ("x.jsonl", '{"input": 1, "n": 1234567890123456789012}\n{"input": 1234567890123456789012, "b": NaN}\n',
         "x.jsonl:2: this line is not JSON"),
        ("x.jsonl", '{"input": 1}\n[1]\n', "x.jsonl:2: an object with the case's fields expected, found list"),
        ("x.jsonl", '{"question": "?", "answer": "!"}\n', "(fields found: question, answer)"),
        ("x.jsonl", '{"question": "?", "answer": "!"}\n', "--input-field"),
        ("x.jsonl", '{"input": null}\n', "x.jsonl:1: case '1' has no input"),
        ("x.jsonl", '{"input": 1, "expected_ouput": 2}\n', "'expected_ouput' is there: is it misspelt?"),
        ("x.json", '{"input": 1}', "a list of objects expected, found dict"),
        ("x.json", '{"input": 1}\n{"input": 2}', "name the file .jsonl"),
        ("x.csv", "input,expected_output\na\n", "x.csv:2: this row has not as many fields as the header"),
        ("x.csv", "input,expected_output\na,b,c\n", "x.csv:2: this row has not as many fields"),
        ("x.csv", 'input\n"never closed\n', "unexpected end of data"),
    ],
)  # fmt: skip
def test_faults_name_file_and_line(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        list(FileCases(tmp_path / name))
    assert says in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("ends", ["at a row that is no case", "at the limit", "when nobody asks for more"])
def test_the_file_is_closed_as_soon_as_no_more_of_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"input": 1}, {"input": 2}, {"question": 3}])
    files = []

    def noted(path: Path) -> IO[bytes]:
        files.append(path.open("rb"))
        return files[-1]

    monkeypatch.setattr(rows, "opened", noted)
    cases = iter(FileCases(path, limit=2 if ends == "at the limit" else None))
    assert [next(cases).input, next(cases).input] == [1, 2]
    if ends == "at a row that is no case":
        with pytest.raises(DataError, match=r"x\.jsonl:3: ") as kept:
            next(cases)
        assert kept.tb is not None  # the error holds its frames, and they hold what they read
    elif ends == "at the limit":
        assert next(cases, None) is None
    else:
        cases.close()  # type: ignore[attr-defined]  # a generator, where an iterator is promised
    assert [file.closed for file in files] == [True]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_text_that_is_not_utf8_names_its_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'input\n"\xff"\n' if name == "x.csv" else b'{"input": 1}\n{"input": "\xff"}\n')
    with pytest.raises(DataError, match=rf"{name}:2: "):
        list(FileCases(tmp_path / name))


DAMAGED: list[tuple[str, bytes, str]] = [
    # Two of one name.
    ("x.csv", b"input,input\n1,2\n", ":1: columns 1 and 2 are both called 'input'; give each column a name of its own"),
    ("x.csv", b"\n\na,b,a,b,a\n", ":3: columns 1, 3 and 5 are all called 'a'; columns 2 and 4 are both called 'b'"),
    ("x.tsv", b"input\t\t\n1\t2\t3\n", ":1: columns 2 and 3 are without a name; give"),
    ("x.jsonl", b'{"input": 1}\n{"input": 1, "input": 2}\n', ":2: key 'input' is there twice in one object; keep one"),
    ("x.jsonl", b'{"input": {"a": [{"b" : 1, "c": "\\"b\\":", "b"\t: 2}]}}\n', ":1: key 'b' is there twice"),
    ("x.jsonl", b'{"input": 1, "\\u0069nput": 2}\n', ":1: key 'input' is there twice"),
    ("x.json", b'[{"input": 1},\n {"input": 1, "x": {"y": 1, "y": 1}}]', ":2: key 'y' is there twice in one object"),
    # Ragged rows: the line is the one that the row begins on.
    ("x.csv", b'input,b\n\n"1\n1",2\n3\n', ":5: this row has not as many fields as the header, which has 2: it has 1"),
    ("x.csv", b'input,b\n"1\n\n1",2,3\n', ":2: this row has not as many fields as the header, which has 2: it has 3"),
    ("x.csv", b'input,b\n1,2\n3,"4\n5,6\n', ":3: the row that begins here has a quote that is never closed"),
    ("x.csv", b'input,b\n1,"2"x\n', ":2: ',' expected after '\"'; quote fields that hold"),
    ("x.csv", b"input;b\n1;2\n", "looks like several names in one: a .csv file is read with commas"),
    ("x.csv", b"input\tb\n1\t2\n", "looks like several names in one"),
    # Line ends.
    ("x.csv", b"input,b\r1,2\r", ":1: a carriage return within a line; save the file with line feeds"),
    ("x.jsonl", b'{"input": 1}\r{"input": 2}\r', ":1: this line is not JSON: unexpected content after document"),
    ("x.jsonl", b'{"input": 1}\r{"input": 2}\r', "its lines end in a carriage return alone"),
    # What is behind, and what is of another form.
    ("x.jsonl", b'{"input": 1}\n{"input": 2} # no\n', ":2: this line is not JSON: unexpected content after document"),
    ("x.jsonl", b'{"input": 1},\n', ":1: this line is not JSON: unexpected content after document: column 13"),
    ("x.jsonl", b'{"input": 1}{"input": 2}\n', ":1: this line is not JSON: unexpected content after document"),
    ("x.jsonl", b'[\n{"input": 1}\n]\n', "column 2; found '['; a JSON lines file has one object a line"),
    ("x.jsonl", b'{\n "input": 1\n}\n', "a JSON lines file has one object a line"),
    ("x.jsonl", b'{"input": 1}\n\xc2\xa0\n', ":2: this line is not JSON"),
    ("x.json", b'[{"input": 1}] no', "not JSON: unexpected content after document: line 1 column 16"),
    ("x.json", b"\n", "not JSON: it is empty"),
    # Encodings.
    ("x.csv", "input\ncafé\n".encode("cp1252"), ":2: not UTF-8: invalid continuation byte (0xe9)"),
    ("x.jsonl", '{"input": 1}\n{"input": "café"}\n'.encode("cp1252"), ":2: not UTF-8: invalid continuation"),
    ("x.json", '[{"input": 1},\n{"input": "café"}]'.encode("cp1252"), ":2: not UTF-8: invalid continuation byte"),
    ("x.csv", b"input\n1\n\0\0\0", ":3: a NUL character; the file is damaged, or no UTF-8: save it as UTF-8"),
    ("x.jsonl", b'{"input": 1}\n\0\0\0', ":2: a NUL character"),
    ("x.json", b'[{"input":\n"a\0"}]', ":2: a NUL character"),
    ("x.csv", "input\n1\n".encode("utf-16-le"), ":1: a NUL character"),
    *((name, '[{"input":"é"}]\n'.encode("utf-16"), ": this file is UTF-16 (or UTF-32); save it as UTF-8")
      for name in ("x.csv", "x.json", "x.jsonl", "x.tsv")),
    ("x.csv", b"\xfe\xff\0i", ": this file is UTF-16; save it as UTF-8"),
    ("x.json", "[]".encode("utf-32-be").join([b"\0\0\xfe\xff", b""]), ": this file is UTF-32; save it as UTF-8"),
    # Other kinds of file under a wrong name.
    *((name, gzip.compress(b"input", mtime=0), ": this file is gzipped; let its name end in .gz")
      for name in ("x.csv", "x.jsonl")),
    ("x.csv", b"PK\x03\x04\x14", ": this file is a ZIP archive or a workbook"),
    ("x.json", b"PAR1\x15\x04", ": this file is a Parquet file; let its name end in .parquet"),
    ("x.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ": this file is a Git LFS pointer"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "says"), DAMAGED)
def test_a_damaged_file_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(FileCases(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "inputs"),
    [
        ("x.csv", b"\xef\xbb\xbfinput,b\r\n1,2\r\n\r\n3,4\r\n", ["1", "3"]),
        ("x.csv", b'\n\ninput,b\n"a\r\nb",2\n', ["a\r\nb"]),
        ("x.csv", b"input\n" + b"x" * 200_000 + b"\n", ["x" * 200_000]),
        ("x.jsonl", b'\xef\xbb\xbf\r\n{"input": 1}\r\n \t\r\n{"input": 2}', [1, 2]),
        ("x.jsonl", '{"input": "a\u2028b\u0085c"}\n'.encode(), ["a\u2028b\u0085c"]),
        ("x.jsonl", b'{"input": "\\"input\\": 1, \\"input\\": 2"}\n', ['"input": 1, "input": 2']),
        ("x.json", b'\xef\xbb\xbf[{"input": {"a": 1}, "b": {"a": 1}}]\r\n', [{"a": 1}]),
    ],
)
def test_what_looks_damaged_and_is_not_is_read(tmp_path: Path, name: str, content: bytes, inputs: list[Any]) -> None:
    (tmp_path / name).write_bytes(content)
    cases = FileCases(tmp_path / name)
    assert [case.input for case in cases] == inputs
    assert len(cases) == len(inputs)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    table=st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1)
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    change=st.sampled_from([-1, 0, 0, 1]),
    data=st.data(),
)
def test_a_table_comes_through_unchanged_or_says_where_it_is_ragged(
    tmp_path: Path, table: list[list[str]], end: str, mark: bool, change: int, data: st.DataObject
) -> None:
    header = ["input", "b", "c", "d"][: len(table[0])]
    place = data.draw(st.integers(0, len(table) - 1))
    broken = [row + ["more"] * change if change >= 0 else row[:-1] for row in table[place : place + 1]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([header, *table[:place]])
    line = text.getvalue().count("\n") + 1
    writer.writerows(broken + table[place + 1 :])
    path = tmp_path / "x.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    if change:
        with pytest.raises(DataError, match=rf"x\.csv:{line}: .* which has {len(header)}: it has {len(broken[0])};"):
            list(rows.read_rows(path, "csv"))
    else:
        assert [dict(row) for _, row in rows.read_rows(path, "csv")] == [
            dict(zip(header, row, strict=True)) for row in table
        ]


KEYS = st.sampled_from(["a", "b", '":', 'a": "', "ä", ""])
TREES = st.recursive(
    st.text(max_size=5) | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=4).map(tuple),
    max_leaves=12,
)


def as_json(value: Any) -> tuple[str, bool]:
    """Return JSON of a tree in which objects are tuples of pairs, and whether one of them has a key twice."""
    if isinstance(value, tuple):
        parts = [(json.dumps(key), *as_json(item)) for key, item in value]
        twice = len({key for key, _ in value}) < len(value) or any(found for _, _, found in parts)
        return "{" + ", ".join(f"{key}: {text}" for key, text, _ in parts) + "}", twice
    if isinstance(value, list):
        items = [as_json(item) for item in value]
        return f"[{', '.join(text for text, _ in items)}]", any(found for _, found in items)
    return json.dumps(value), False


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees=st.lists(TREES, min_size=1, max_size=3))
def test_a_key_that_is_there_twice_is_never_dropped_in_silence(tmp_path: Path, trees: list[Any]) -> None:
    texts = [as_json(tree) for tree in trees]
    lines = [f'{{"input": {text}}}' for text, _ in texts]
    (tmp_path / "x.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "x.json").write_text(f"[{','.join(lines)}]", encoding="utf-8")
    first = next((number for number, (_, twice) in enumerate(texts, 1) if twice), None)
    for kind in ("jsonl", "json"):
        path = tmp_path / f"x.{kind}"
        if first is None:
            assert [row for _, row in rows.read_rows(path, kind)] == [json.loads(line) for line in lines]
        else:
            with pytest.raises(DataError, match=rf"x\.{kind}:{first}: key .* is there twice in one object"):
                list(rows.read_rows(path, kind))


def test_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    table = arrow.Table.from_arrays([arrow.array([1]), arrow.array([2])], names=["input", "input"])
    importlib.import_module("pyarrow.parquet").write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet:1: columns 1 and 2 are both called 'input'"):
        list(FileCases(tmp_path / "x.parquet"))


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    write_lines(tmp_path / "questions.jsonl", ROWS)
    with pytest.raises(DataError, match=r"no such file; did you mean .*questions\.jsonl"):
        FileCases(tmp_path / "question.jsonl")


def test_a_folder_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this is a folder"):
        list(FileCases(tmp_path, kind="jsonl"))
    with pytest.raises(DataError, match="can't be told from its name"):
        FileCases(tmp_path / "x.txt")
    with pytest.raises(DataError, match="did you mean jsonl"):
        FileCases(tmp_path / "x.txt", kind="json_l")


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"input": 1}\n' * 100)[:-12])
    with pytest.raises(DataError, match=r"x\.jsonl\.gz: can't be read"):
        list(FileCases(path))


def test_a_change_of_the_file_is_noticed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", ROWS)
    cases = FileCases(path)
    list(cases)
    with path.open("a") as file:
        file.write('{"input": "more"}\n')
    with pytest.raises(DataError, match="was changed after it was first read"):
        list(cases)


def test_parquet_without_its_extra_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"themis-evals\[parquet\]"):
        list(FileCases(tmp_path / "x.parquet"))


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    (tmp_path / "x.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="not a Parquet file"):
        list(FileCases(tmp_path / "x.parquet"))


def test_a_dataset_is_named_after_its_file(tmp_path: Path) -> None:
    dataset = file_dataset(write_lines(tmp_path / "my-questions.v2.jsonl", ROWS), revision="r1")
    assert (dataset.dataset_id, dataset.revision, len(dataset.cases)) == ("my-questions", "r1", 3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(inputs=st.lists(st.tuples(json_values.filter(lambda v: v is not None), json_values), min_size=1, max_size=5))
def test_any_json_comes_through_unchanged(tmp_path: Path, inputs: list[tuple[Any, Any]]) -> None:
    rows = [{"input": given, "expected_output": wanted} for given, wanted in inputs]
    cases = list(FileCases(write_lines(tmp_path / "any.jsonl", rows)))
    assert [(case.input, case.expected_output) for case in cases] == inputs


PEAK = """
import itertools, resource, sys
from themis.effects.sources.files import FileCases
cases = FileCases(sys.argv[1])
assert len(cases) == int(sys.argv[2])
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert sum(1 for _ in cases) == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


def test_reading_takes_no_more_memory_for_more_lines(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl"
    line = json.dumps({"input": "x" * 200, "expected_output": "y" * 50}) + "\n"
    with path.open("w") as file:
        file.writelines(itertools.repeat(line, 100_000))
    script = [sys.executable, "-c", textwrap.dedent(PEAK), str(path), "100000"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4_000  # kilobytes; the file has 27,000
