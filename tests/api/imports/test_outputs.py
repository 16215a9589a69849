"""Answers made elsewhere as runs: stored, scored, imported twice, compared, bundled, verified; or refused whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from themis import (
    InMemoryRunStore,
    JsonlRunStore,
    RunResult,
    RunStatus,
    RunStore,
    SqliteRunStore,
    compare,
    import_bundle_file,
    import_outputs,
    metric,
    open_store,
    score_run,
    verify,
    write_bundle,
)
from themis.api.stores import as_storage
from themis.pure.errors import DataError, UnknownComponentError

ROWS: list[dict[str, Any]] = [
    {"id": "a", "input": "1+1", "expected_output": "2", "output": "2", "topic": "sums", "prompt_tokens": 4},
    {"id": "a", "input": "1+1", "expected_output": "2", "output": "It is 2", "topic": "sums", "prompt_tokens": 5},
    {"id": "b", "input": "2*2", "expected_output": "4", "output": "", "topic": "products"},
    {"id": "b", "input": "2*2", "expected_output": "4", "output": None, "error": "HTTP 500", "topic": "products"},
    {"id": "c", "input": "3*3", "expected_output": "9", "output": "9", "topic": "products"},
]
EXACT = "builtin/exact_match"


@pytest.fixture(params=["memory", "sqlite", "jsonl"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    kinds: dict[str, Callable[[], RunStore]] = {
        "memory": InMemoryRunStore,
        "sqlite": lambda: SqliteRunStore(tmp_path / "a.sqlite3"),
        "jsonl": lambda: JsonlRunStore(tmp_path / "log"),
    }
    made = kinds[request.param]()
    with closing(made):
        yield made


def written(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_an_import_is_a_run_like_any_other(store: RunStore, tmp_path: Path) -> None:
    result = import_outputs(written(tmp_path / "answers.jsonl"), name="theirs", metric=EXACT, store=store)
    # Right, wrong, empty (the model's), error, right; and the second answer of the third case is missing.
    assert result.benchmark.outcome_counts[EXACT] == {"correct": 2, "incorrect": 2, "error": 2}
    assert result.status == RunStatus.PARTIAL_FAILURE
    errors = {row.error_message for row in result.view.rows() if row.outcome == "error"}
    assert any("HTTP 500" in str(text) for text in errors)
    assert result.costs().total_tokens == 9
    assert [group.name for group in result.by_group("topic")[EXACT].groups] == ["products", "sums"]
    assert verify(store, result.run_id).verdict == "verified"
    [line] = store.list_runs()
    assert (line.name, line.generator_id) == ("theirs", "imported/outputs")


def test_importing_twice_is_importing_once(store: RunStore, tmp_path: Path) -> None:
    path = written(tmp_path / "answers.jsonl")
    first = import_outputs(path, name="theirs", metric=EXACT, store=store)
    head = store.head(first.run_id)
    for again in (path, written(tmp_path / "renamed.jsonl"), ROWS):
        assert import_outputs(again, name="theirs", metric=EXACT, store=store).run_id == first.run_id
        assert store.head(first.run_id) == head
    assert import_outputs(path, name="otherwise", metric=EXACT, store=store).run_id == first.run_id
    assert [line.name for line in store.list_runs()] == ["otherwise"]


def test_two_models_answers_to_the_same_cases_are_compared(store: RunStore) -> None:
    ids = [
        import_outputs([{**row, "output": text} for row in ROWS if row["output"]], metric=EXACT, store=store).run_id
        for text in ("2", "9")
    ]
    found = compare(store, ids[0], store, ids[1])
    assert [(each.pairs, each.changed) for each in found.comparisons if each.metric_id == EXACT] == [(2, 0)]


@pytest.mark.parametrize("place", range(len(ROWS)))
@pytest.mark.parametrize("field", ["output", "error", "prompt_tokens", "expected_output", "input", "topic"])
def test_one_thing_changed_is_another_run(place: int, field: str) -> None:
    changed = [dict(row) for row in ROWS]
    same_case = [row for row in changed if row["id"] == changed[place]["id"]]
    for row in same_case if field in ("expected_output", "input", "topic") else [changed[place]]:
        row[field] = 77 if field == "prompt_tokens" else "changed"
    first, second = import_outputs(ROWS), import_outputs(changed)
    is_unseen = ROWS[place].get("error") and field in ("output", "prompt_tokens")  # an error has neither
    assert (first.run_id == second.run_id) == bool(is_unseen)


def test_the_same_answers_of_any_kind_of_file_are_one_run(tmp_path: Path) -> None:
    header = ["id", "input", "expected_output", "output", "topic", "error"]
    rows = [{name: row.get(name) or "" for name in header} for row in ROWS]
    quoted = [",".join(json.dumps(str(row[name])) for name in header) for row in rows]
    (tmp_path / "a.csv").write_text("\n".join([",".join(header), *quoted]), encoding="utf-8")
    (tmp_path / "a.tsv").write_text(
        "\n".join("\t".join(map(str, cells)) for cells in [header, *(row.values() for row in rows)]), encoding="utf-8"
    )
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    written(tmp_path / "a.jsonl", rows)
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = {import_outputs(path).run_id for path in tmp_path.iterdir()}
    assert len(found) == 1


def test_stored_answers_are_scored_again_without_their_file(store: RunStore, tmp_path: Path) -> None:
    path = written(tmp_path / "answers.jsonl")
    stored = import_outputs(path, name="theirs", store=store)
    path.unlink()
    scored = score_run(store, stored.run_id, metric=["builtin/contains", EXACT], parser="builtin/text", name="again")
    assert scored.benchmark.outcome_counts["builtin/contains"] == {"correct": 3, "incorrect": 1, "error": 2}
    assert [failure.error_message for case in scored.cases for failure in case.generation_failures] == [
        "HTTP 500",
        "what was imported has no answer 1 to case 'c'",
    ]
    judged = score_run(store, stored.run_id, metric="builtin/llm_rubric", judge="builtin/demo_judge")
    assert judged.benchmark.outcome_counts["builtin/llm_rubric"]["error"] == 2
    reduced = score_run(store, scored.run_id, metric=EXACT)
    assert reduced.benchmark.outcome_counts[EXACT] == {"correct": 2, "incorrect": 2, "error": 2}
    for result in (stored, scored, reduced):
        assert verify(store, result.run_id).verdict == "verified"
    found = compare(store, scored.run_id, store, reduced.run_id)
    assert EXACT in {each.metric_id for each in found.comparisons}


def test_any_stored_run_can_be_scored_again(store: RunStore) -> None:
    from themis import evaluate

    rows = [{"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(8)]
    asked = evaluate(model="builtin/demo_model", data=rows, metric=EXACT, samples=2, store=store)
    scored = score_run(store, asked.run_id, metric="builtin/f1")
    assert scored.benchmark.metric_means["builtin/f1"] == asked.benchmark.metric_means[EXACT]


def test_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    broken = True

    @metric
    def picky(parsed: Any, case: Any) -> float:
        if broken and case.case_id == "c":
            raise KeyboardInterrupt
        return 1.0

    with closing(open_store(as_storage(tmp_path / "a.sqlite3"))) as store:
        with pytest.raises(KeyboardInterrupt):
            import_outputs(ROWS, metric=picky, store=store)
        broken = False
        result = import_outputs(ROWS, metric=picky, store=store)
        assert result.benchmark.outcome_counts["picky"]["error"] == 2
        assert len([line for line in store.list_runs() if line.run_id == result.run_id]) == 1


def test_bundles_of_it_go_anywhere(store: RunStore, tmp_path: Path) -> None:
    result = import_outputs(ROWS, metric=EXACT, store=store)
    path = write_bundle(store, result.run_id, "score", tmp_path / "b.json.gz")
    there = InMemoryRunStore()
    import_bundle_file(there, path)
    moved = RunResult(snapshot=there.load_snapshot(result.run_id), store=there)
    assert moved.digest == result.digest


def test_what_the_file_is_is_provenance(tmp_path: Path) -> None:
    result = import_outputs(written(tmp_path / "answers.jsonl"))
    facts = result.snapshot.provenance.provider_metadata["imported"]
    assert isinstance(facts, dict)
    assert (facts["tool"], facts["file"], len(str(facts["sha256"]))) == ("outputs", "answers.jsonl", 64)


def test_scores_made_elsewhere_are_kept_and_never_counted() -> None:
    rows = [{**row, "grade": n} for n, row in enumerate(ROWS)]
    result = import_outputs(rows, metric=EXACT, score_fields=["grade"])
    assert list(result.benchmark.metric_means) == [EXACT]
    first = result.cases[0].generated_candidates[0]
    assert first.artifacts == {"imported": {"scores": [{"name": "grade", "value": 0, "number": 0.0}]}}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "there is nothing to import"),
        ([{"input": "q"}], "there is no field 'output' for the answer; known names: input Say which field"),
        ([{"inputs": "q", "outputs": "x"}], "did you mean outputs?"),
        ([{"input": "q", "output": "x", "expected_outputs": "2"}], "is it misspelt?"),
        ([ROWS[0], {**ROWS[0], "input": "another"}], "has another input ('another' instead of '1+1')"),
        ([{**ROWS[0], "candidate_index": 0}] * 2, "answer 0 of case 'a' is at rows[0] already"),
        (["text"], "rows[0]: a row with the answer's fields expected, found 'text'"),
    ],
)
def test_wrong_rows_are_refused_and_nothing_is_stored(rows: list[Any], said: str, store: RunStore) -> None:
    with pytest.raises(DataError) as caught:
        import_outputs(rows, metric=EXACT, store=store)
    assert said in str(caught.value)
    store.initialize()
    assert not store.list_runs()


def test_an_unknown_metric_is_refused_before_anything_is_stored(store: RunStore) -> None:
    with pytest.raises(UnknownComponentError, match="exact_match"):
        import_outputs(ROWS, metric="builtin/exact_mach", store=store)
    assert not store.list_runs()
