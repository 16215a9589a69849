"""Doors take what users hand them: paths, mappings, tables; and say so before anything runs where they don't."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    PromptSpec,
    RunResult,
    RuntimeConfig,
    StorageConfig,
    evaluate,
)
from themis.api.data import as_datasets
from themis.api.stores import as_storage, open_existing
from themis.effects.sources.tables import rows_of
from themis.pure.errors import DataError, SpecError, ThemisError
from themis.pure.records.generation import GenerationResult
from themis.pure.references import ReferenceWarning

ROWS = [{"input": "1+1", "expected_output": "2"}, {"input": "2+3", "expected_output": "5"}]


def run(**changes: Any) -> RunResult:
    return evaluate(**{"model": "builtin/demo_generator", "data": ROWS, "metric": "builtin/exact_match", **changes})


@attrs.frozen
class Paid:
    """A model whose calls are counted."""

    calls: list[str] = attrs.field(factory=list, eq=False)
    component_id: str = "tests/paid"
    version: str = "1"

    def fingerprint(self) -> str:
        return "paid"

    async def generate(self, case: Case, ctx: Any) -> GenerationResult:
        self.calls.append(case.case_id)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="2")


def refusal(**changes: Any) -> str:
    """Return why a run is refused, which must be before its model is called."""
    model = Paid()
    with pytest.raises(ThemisError) as caught:
        run(**{"model": model, **changes})
    assert model.calls == []
    return str(caught.value)


# --- storage, store, runtime ------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["storage", "store"])
@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (lambda path: str(path / "a.sqlite3"), "sqlite"),
        (lambda path: path / "a.sqlite3", "sqlite"),
        (lambda path: f"sqlite:{path}/a.sqlite3", "sqlite"),
        (lambda path: f"jsonl:{path}/log", "jsonl"),
        (lambda path: {"store": "jsonl", "parameters": {"path": str(path / "log")}}, "jsonl"),
        (lambda path: StorageConfig(store="sqlite", parameters={"path": str(path / "a.sqlite3")}), "sqlite"),
    ],
)
def test_a_place_is_taken_for_a_store(argument: str, given: Callable[[Path], Any], kind: str, tmp_path: Path) -> None:
    where = given(tmp_path)
    result = run(**{argument: where})
    assert as_storage(where).store == kind
    with_it = open_existing(as_storage(where))
    assert [line.run_id for line in with_it.list_runs()] == [result.run_id]
    assert with_it.load_snapshot(result.run_id).provenance.storage == as_storage(where)
    with_it.close()


def test_every_method_of_an_experiment_takes_a_place(tmp_path: Path) -> None:
    experiment = Experiment(
        generation={"generator": "builtin/demo_generator"},
        evaluation={"metrics": "builtin/exact_match"},
        datasets=ROWS,
    )
    path = tmp_path / "a.sqlite3"
    made = experiment.run(store=path, runtime={"max_concurrent_tasks": 2})
    assert experiment.replay(stage="parse", store=str(path)).run_id == made.run_id
    assert experiment.plan(store=path).run_id == made.run_id
    with contextlib.closing(InMemoryRunStore()) as store:
        assert experiment.run(store=store).run_id == made.run_id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"storage": 3}, "storage: a StorageConfig, or text such as runs/themis.sqlite3"),
        ({"storage": "sqlit:a"}, "no store 'sqlit'; did you mean sqlite?"),
        ({"storage": {"stor": "sqlite"}}, "storage.stor: unknown field; did you mean store?"),
        ({"storage": InMemoryRunStore()}, "an open store is given as store=..."),
        ({"store": 3}, "store: a StorageConfig, or text such as"),
        ({"runtime": "fast"}, "runtime: a RuntimeConfig, or a mapping of its fields, expected; found str: 'fast'"),
        ({"runtime": {"max_concurency": 3}}, "runtime.max_concurency: unknown field"),
        ({"runtime": {"generation_mode": "bach"}}, "generation_mode: one of 'calls', 'batch' expected, found 'bach'"),
        ({"unparsed": "wrong"}, "unparsed: one of 'incorrect', 'missing' expected, found 'wrong'"),
        ({"subscribers": print}, "subscribers: a list expected"),
        (
            {"subscribers": [print]},
            "subscribers: builtin_function_or_method has none of the hooks",
        ),
        ({"tracing_provider": "otel"}, "tracing_provider: str has no start_span()"),
        ({"seeds": 3, "samples": 2}, "seeds: 1 given for 2"),
    ],
)
def test_what_is_none_is_said_before_the_first_call(changes: dict[str, Any], words: str) -> None:
    assert words in refusal(**changes)


def test_sections_of_an_experiment_are_taken_as_mappings() -> None:
    written = Experiment(
        generation={"generator": "builtin/demo_generator", "candidate_policy": {"num_samples": 2}},
        evaluation={"metrics": ["builtin/exact_match"]},
        datasets=ROWS,
        runtime={"max_concurrent_tasks": 3},
        storage="memory",
    )
    built = Experiment(
        generation=GenerationConfig(generator="builtin/demo_generator", candidate_policy={"num_samples": 2}),
        evaluation=EvaluationConfig(metrics="builtin/exact_match"),
        datasets=as_datasets(ROWS),
        runtime=RuntimeConfig(max_concurrent_tasks=3),
    )
    assert written == built
    for prompt in ({"template": "Q: {input}"}, "Q: {input}"):
        generation = GenerationConfig(generator="builtin/demo_generator", prompt_spec=prompt)
        assert generation.prompt_spec == PromptSpec(template="Q: {input}")
        assert EvaluationConfig(prompt_spec=prompt).prompt_spec == generation.prompt_spec
    with pytest.raises(ThemisError, match="prompt: templat: unknown key; did you mean template"):
        GenerationConfig(generator="builtin/demo_generator", prompt_spec={"templat": "x"})
    with pytest.raises(ThemisError, match=r"generation\.generatr: unknown field; did you mean generator"):
        Experiment(generation={"generatr": "x"}, datasets=ROWS)


# --- data -------------------------------------------------------------------------------------------------


class Polars:
    """A frame as polars makes them, with what is read of it."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def iter_rows(self, *, named: bool = False) -> Iterator[Any]:
        return iter(self._rows if named else [tuple(row.values()) for row in self._rows])


class Lazy(Polars):
    """A lazy frame of polars."""

    iter_rows = None  # type: ignore[assignment]

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__(rows)
        del self.__dict__["_rows"]
        self.rows = rows

    def __getattribute__(self, name: str) -> Any:
        if name == "iter_rows":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def collect(self) -> Polars:
        return Polars(self.rows)


class Pandas(Polars):
    """A frame as pandas makes them: it iterates over its columns' names."""

    iter_rows = property()

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows[0])

    @property
    def columns(self) -> list[str]:
        return list(self._rows[0])

    def iterrows(self) -> Iterator[Any]:
        return iter(enumerate(self._rows))

    def to_dict(self, orient: str = "dict") -> Any:
        return self._rows if orient == "records" else {}


class Arrow:
    """A table as pyarrow makes them."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows, self.column_names = rows, list(rows[0])

    def to_pylist(self) -> list[dict[str, Any]]:
        return self._rows


class HuggingFace:
    """A dataset as `datasets` makes them."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows, self.column_names = rows, list(rows[0])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)


TABLES: list[Callable[[list[dict[str, Any]]], Any]] = [Polars, Lazy, Pandas, Arrow, HuggingFace]


@pytest.mark.parametrize("table", [*TABLES, list, iter, tuple])
def test_tables_are_the_rows_that_they_hold(table: Any) -> None:
    rows = [{**row, "topic": "sums", "level": n} for n, row in enumerate(ROWS)]
    (dataset,) = as_datasets(table(rows))
    assert [(case.case_id, case.input, case.expected_output) for case in dataset.cases] == [
        ("1", "1+1", "2"),
        ("2", "2+3", "5"),
    ]
    assert [case.metadata for case in dataset.cases] == [{"topic": "sums", "level": 0}, {"topic": "sums", "level": 1}]


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2)


@given(rows=st.lists(st.fixed_dictionaries({"input": SCALARS, "x": SCALARS}), min_size=1, max_size=3))
def test_all_kinds_of_tables_say_the_same(rows: list[dict[str, Any]]) -> None:
    assert all(rows_of(table(rows)) == rows for table in TABLES)


def test_a_dataset_comes_as_it_is_and_not_as_it_is_shown() -> None:
    class Shown(HuggingFace):
        """A dataset that was asked to give out its rows as frames, as `datasets` makes them."""

        def __iter__(self) -> Iterator[Any]:
            return ({name: [value] for name, value in row.items()} for row in self._rows)

        def with_format(self, kind: str | None) -> HuggingFace:
            return HuggingFace(self._rows) if kind is None else self

    assert rows_of(Shown(ROWS)) == ROWS


def test_columns_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="several columns are named x; give each a name of its own"):
        rows_of(pandas.DataFrame([["1+1", "2", "3"]], columns=["input", "x", "x"]))


def test_missing_values_numbers_and_dates_become_json() -> None:
    class Scalar:
        dtype = "int64"

        def tolist(self) -> int:
            return 7

    day = datetime.date(2026, 1, 2)
    nat = type("NaTType", (), {})
    (row,) = rows_of(Polars([{"a": math.nan, "b": Scalar(), "c": day, "d": [math.nan, nat()], "e": {"f": Scalar()}}]))
    assert row == {"a": None, "b": 7, "c": "2026-01-02", "d": [None, None], "e": {"f": 7}}


@pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow", "datasets"])
def test_the_libraries_own_tables_are_taken(name: str) -> None:
    library = pytest.importorskip(name)
    columns = {"input": ["1+1", "2+3"], "expected_output": ["2", None], "level": [1, 2]}
    table = {
        "pandas": lambda: library.DataFrame(columns),
        "polars": lambda: library.DataFrame(columns),
        "pyarrow": lambda: library.table(columns),
        "datasets": lambda: library.Dataset.from_dict(columns),
    }[name]()
    (dataset,) = as_datasets(table)
    assert [(case.expected_output, case.metadata) for case in dataset.cases] == [
        ("2", {"level": 1}),
        (None, {"level": 2}),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qa.csv", "input,expected_output,topic\n1+1,2,sums\n2+3,5,sums\n"),
        ("qa.tsv", "input\texpected_output\n1+1\t2\n2+3\t5\n"),
        ("qa.jsonl", "".join(f"{json.dumps(row)}\n" for row in ROWS)),
        ("qa.json", json.dumps(ROWS)),
    ],
)
def test_a_file_is_loaded(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    for given_as in (path, str(path)):
        result = run(data=given_as)
        assert result.benchmark.metric_means == {"builtin/exact_match": 1.0}
    assert [dataset.dataset_id for dataset in as_datasets(path)] == ["qa"]


def test_fields_are_named(tmp_path: Path) -> None:
    rows = [{"question": "1+1", "answer": "2", "id": "a"}]
    path = tmp_path / "qa.jsonl"
    path.write_text(json.dumps(rows[0]), encoding="utf-8")
    for data in (rows, path):
        result = run(data=data, input_field="question", expected_field="answer")
        assert ([case.case_id for case in result.cases], result.benchmark.metric_means) == (
            ["a"],
            {"builtin/exact_match": 1.0},
        )
    with pytest.raises(SpecError, match="are cases already"):
        run(data=[Case(case_id="a", input="1")], input_field="question")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "a file's path expected; found NoneType"),
        (3, "found int"),
        ("missing.csv", "there is no such file"),
        ("notes.txt", "what kind of file this is"),
        ({"input": "1", "expected_output": "1"}, "put a single row into a list"),
        ({"input": ["1"], "expected_output": ["1"]}, "found columns: 'input', 'expected_output'"),
        ({"train": HuggingFace(ROWS), "test": HuggingFace(ROWS)}, "give one of them, as in data['train']"),
        ([{"question": "1", "answer": "1"}], "(fields found: question, answer)"),
        ([{"input": "1", "expected_ouput": "1"}], "'expected_ouput' is there: is it misspelt?"),
        ([{"input": "1", "metadata": 3}], "cases[0]: "),
        ([{"x": 1}] * 30, "cases[0] and 29 more: there is no field 'input' for the input (fields found: x); say which"),
        ([{"x": n, f"y{n}": n} for n in range(30)], "- and 20 more"),
        ([{"Input": 1}], "(fields found: Input; did you mean Input?)"),
        (["1+1", "2"], "cases[1]: a row with `input`, or a Case, expected; found '2' (str)"),
        (b"input\n1+1\n", "found bytes"),
        ("input\n1+1\n", "the path of a file expected, found 'input"),
        ("aime_2026", "'aime_2026' is a benchmark, and no file: themis.catalog.run('aime_2026', model=...) runs it"),
        ("openai/gsm8k", "datasets.load_dataset('openai/gsm8k', split='test')"),
        ("https://huggingface.co/datasets/openai/gsm8k", "themis quick-eval huggingface openai/gsm8k"),
        ("no_such_thing", "data: there is no file 'no_such_thing'"),
    ],
)
def test_data_that_are_none_are_said_what_they_are(data: Any, words: str) -> None:
    assert words in refusal(data=data)


def test_a_prompt_is_a_file_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no.yaml: there is no such file" in refusal(prompt="no.yaml")
    Path("asked.yaml").write_text("template: 'Q: {input}'\n", encoding="utf-8")
    assert run(prompt="asked.yaml").run_id == run(prompt="Q: {input}").run_id == run(prompt=Path("asked.yaml")).run_id


def test_a_rows_own_metadata_stay_as_they_are() -> None:
    (dataset,) = as_datasets([{"input": 1, "metadata": {"level": 3}, "topic": "x"}, Case(case_id="c", input="2")])
    assert [case.metadata for case in dataset.cases] == [{"topic": "x", "level": 3}, {}]
    same = Dataset(dataset_id="data", cases=[{"case_id": "1", "input": 1, "metadata": {"level": 3}}])
    assert as_datasets([{"input": 1, "metadata": {"level": 3}}]) == (same,)


# --- references under another name ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "row", "words"),
    [
        ("builtin/exact_match", {"answer": "2"}, "(further fields found: answer); is it 'answer'?"),
        ("builtin/f1", {"Ground Truth": "2", "topic": "sums"}, "is it 'Ground Truth'?"),
        ("builtin/exact_match", {"topic": "sums"}, "(further fields found: topic); name the field"),
        ("builtin/math_equivalence", {}, "no case has an expected_output to compare with; name"),
        (["builtin/exact_match", "builtin/json_schema"], {"target": "2"}, "builtin/exact_match: no case has"),
    ],
)
def test_references_under_another_name_are_refused_before_the_first_call(
    metric: Any, row: dict[str, str], words: str, tmp_path: Path
) -> None:
    rows = [{"input": "1+1", **row}, {"input": "2+3", **row}]
    assert words in refusal(metric=metric, data=rows)
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    kept = Experiment.from_config(_config(tmp_path, metric)).evolve(generation={"generator": (model := Paid())})
    with pytest.raises(SpecError) as caught:
        kept.run()
    assert words in str(caught.value)
    assert model.calls == []
    with pytest.warns(ReferenceWarning):  # without a score nothing is compared
        assert kept.run(until_stage="generate").progress.total_cases == 2


def _config(folder: Path, metric: Any) -> Path:
    tree = {
        "generation": {"generator": "builtin/demo_generator"},
        "evaluation": {"metrics": metric},
        "datasets": [{"path": "rows.jsonl"}],
    }
    path = folder / "e.json"
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def test_references_that_come_late_are_found() -> None:
    rows = [{"input": str(n), "topic": "x"} for n in range(300)] + ROWS
    model = Paid()
    with pytest.warns(UserWarning, match="no case has an expected_output"):
        run(model=model, data=rows)
    assert len(model.calls) == 302


def test_no_reference_is_needed_where_no_metric_compares() -> None:
    assert run(data=[{"input": "1", "answer": "2"}], metric="builtin/json_schema").progress.total_cases == 1


def test_data_errors_are_data_errors() -> None:
    with pytest.raises(DataError):
        rows_of(None)
