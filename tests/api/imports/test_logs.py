"""Other tools' logs as runs: those made for the tests, and, where they are at hand, real ones."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from themis import (
    InMemoryRunStore,
    JsonlRunStore,
    Reporter,
    RunResult,
    SqliteRunStore,
    compare,
    import_bundle_file,
    import_logs,
    import_outputs,
    score_run,
    verify,
    write_bundle,
)
from themis.api.config.record import EvaluationConfig
from themis.api.imports.logs import opened_logs
from themis.api.runs.report import read_report, report_text
from themis.pure.errors import DataError
from themis.pure.interchange.records import IMPORTED
from themis.pure.json import encode

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SAMPLES = Path(os.environ.get("THEMIS_LOG_SAMPLES") or ROOT.parent / "shared" / "samples")
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="real logs are not at hand (THEMIS_LOG_SAMPLES)")


def _loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


made_logs = _loaded(ROOT / "tests" / "pure" / "interchange" / "made_logs.py")
zip_of = _loaded(ROOT / "tests" / "effects" / "test_log_files.py").zip_of


def written(made: Any, folder: Path) -> Path:
    """Write a made log, and return what is to be named of it."""
    content = made.written().content
    if made.archive:
        (folder / str(made.name)).write_bytes(zip_of(content))
    for name, data in [] if made.archive else content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            pyarrow = pytest.importorskip("pyarrow")
            pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(data), path)
        else:
            path.write_bytes(data)
    return folder / str(made.name)


every_log = pytest.mark.parametrize("made", made_logs.MADE.values(), ids=made_logs.MADE.keys())


@every_log
def test_a_log_becomes_runs_that_verify_and_move(made: Any, tmp_path: Path) -> None:
    path = written(made, tmp_path)
    if made.name.startswith("details/"):
        path = tmp_path  # what says which model it was stands elsewhere in the folder
    with closing(SqliteRunStore(tmp_path / "a.sqlite3")) as store, closing(JsonlRunStore(tmp_path / "log")) as other:
        results = import_logs(path, store=store)
        assert len(results) == len(made.runs)
        for result, (model, dataset, cases, answers, errors, means) in zip(results, made.runs, strict=True):
            about: Any = result.snapshot.provenance.provider_metadata[IMPORTED]
            assert about.get("model") == model
            assert [one.dataset_id for one in result.snapshot.datasets] == [dataset]
            assert result.progress.total_cases == cases
            per_case = result.view.plan.candidate_count
            assert (result.progress.failed_cases > 0) == (errors > 0 or answers < cases * per_case)
            assert verify(store, result.run_id).verdict == "verified"
            shown = read_report(result.view).overview.imported
            assert {each.name: each.mean for each in shown if each.mean is not None} == pytest.approx(means)
            bundle = write_bundle(store, result.run_id, "score", tmp_path / "b.json.gz")
            for there in (InMemoryRunStore(), other):
                import_bundle_file(there, bundle)
                assert RunResult(snapshot=there.load_snapshot(result.run_id), store=there).digest == result.digest
        heads = [store.head(result.run_id) for result in results]
        assert [store.head(result.run_id) for result in import_logs(path, store=store)] == heads


def test_an_imported_log_is_scored_again_and_its_own_scores_stand_apart(tmp_path: Path) -> None:
    store = InMemoryRunStore()
    [stored] = import_logs(written(made_logs.INSPECT, tmp_path), store=store)
    scored = score_run(store, stored.run_id, metric="builtin/exact_match")
    # As Inspect's own: 2 is right, 3 and nothing are not, and an error has no score.
    assert scored.benchmark.outcome_counts["builtin/exact_match"] == {"correct": 1, "incorrect": 2, "error": 1}
    assert list(scored.benchmark.metric_means) == ["builtin/exact_match"]
    text = " ".join(report_text(Reporter(store), scored.run_id, "text").split())
    assert "Scored elsewhere scorer (imported) | mean" in text
    assert "What inspect 0.3.285 scored these answers, as imported: none of it was made or checked here." in text
    assert scored.to_dict()["imported_scores"] == [{"name": "match", "scores": 3, "numbers": 3, "mean": 0.5}]


def test_where_scores_made_here_and_elsewhere_differ_is_listed(tmp_path: Path) -> None:
    store = InMemoryRunStore()
    [stored] = import_logs(written(made_logs.PYDANTIC_EVALS, tmp_path), store=store)
    scored = score_run(store, stored.run_id, metric=["builtin/exact_match", "builtin/contains"], name="again")
    found = {(each["name"], each["metric_id"]): each for each in scored.to_dict()["agreements"]}
    assert found["EqualsExpected", "builtin/exact_match"]["equal"] == 2
    half = found["half", "builtin/exact_match"]
    assert (half["scored"], half["equal"], list(half["differing"])) == (2, 0, ["c-candidate-0", "c-candidate-1"])
    text = " ".join(report_text(Reporter(store), scored.run_id, "text").split())
    assert "Scored here and elsewhere" in text
    assert "half and builtin/exact_match differ in c-candidate-0, c-candidate-1" in text


def test_a_case_with_one_answer_is_listed_by_its_name(tmp_path: Path) -> None:
    store = InMemoryRunStore()
    [stored] = import_logs(written(made_logs.DEEPEVAL, tmp_path), store=store)
    scored = score_run(store, stored.run_id, metric="builtin/exact_match")
    [found] = scored.to_dict()["agreements"]
    assert (found["scored"], found["equal"], list(found["differing"])) == (2, 2, [])
    rows = [{"id": str(n), "input": str(n), "expected_output": "1", "output": "1", "theirs": n % 2} for n in range(20)]
    odd = import_outputs(rows, metric="builtin/exact_match", score_fields=["theirs"])
    [found] = odd.to_dict()["agreements"]
    assert (found["scored"], found["equal"], list(found["differing"])) == (20, 10, ["0", "2", "4", "6", "8"])
    assert "differ in 0, 2, 4, 6, 8 and 5 more" in report_text(Reporter(odd.store), odd.run_id, "markdown")


def test_likelihoods_of_another_tool_are_scored_again(tmp_path: Path) -> None:
    store = InMemoryRunStore()
    choices = import_logs(written(made_logs.LM_EVAL, tmp_path), store=store)[0]
    scored = score_run(store, choices.run_id, metric="builtin/likeliest_choice", name="again")
    assert scored.benchmark.metric_means["builtin/likeliest_choice"] == 1.0


def test_a_folder_is_looked_through_and_what_is_no_log_passed_over(tmp_path: Path) -> None:
    for number, name in enumerate(("INSPECT", "LM_EVAL", "HELM", "EEE", "PYDANTIC_EVALS")):
        (tmp_path / str(number)).mkdir()
        written(getattr(made_logs, name), tmp_path / str(number))
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty.json").write_text("{}")
    results = import_logs(tmp_path)
    assert len(results) == 1 + 2 + 1 + 2 + 1
    with pytest.raises(DataError, match="no file in it is a log"):
        import_logs(written_only(tmp_path / "other"))


def written_only(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.txt").write_text("x")
    return folder


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"PK\x03\x04", b"\xff\xfe{", b'{"eval": {"task": "x"}, "status": "success"}']
)
def test_one_damaged_log_is_one_error_and_nothing_is_stored(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(damage)
    store = InMemoryRunStore()
    with pytest.raises(DataError, match=r"a\.json"):
        import_logs(path, store=store)
    assert not store.list_runs()


def test_one_damaged_sample_refuses_its_log_and_the_others_of_the_folder(tmp_path: Path) -> None:
    written(made_logs.INSPECT_JSON, tmp_path)
    content = dict(made_logs.INSPECT.written().content)
    content["samples/a_epoch_2.json"] = content["samples/a_epoch_2.json"][:40]
    (tmp_path / "z.eval").write_bytes(zip_of(content))
    store = InMemoryRunStore()
    with pytest.raises(DataError, match=r"z\.eval, samples/a_epoch_2\.json: not JSON"):
        import_logs(tmp_path, store=store)
    assert not store.list_runs()


def test_secrets_of_a_log_stay_there(tmp_path: Path) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    results = json.loads(json.dumps(made_logs.LM_EVAL.files[made_logs.LM_EVAL.name]))
    results["config"]["model_args"] = f"model=gpt-4o,api_key={key}"
    made = made_logs.Made(
        files={**made_logs.LM_EVAL.files, made_logs.LM_EVAL.name: results}, name=made_logs.LM_EVAL.name, runs=[]
    )
    for result in import_logs(written(made, tmp_path)):
        assert key.encode() not in encode(result.snapshot.to_dict())


def test_runs_of_two_tools_are_compared_by_what_their_cases_ask(tmp_path: Path) -> None:
    store = InMemoryRunStore()
    report = json.loads(json.dumps(made_logs.PYDANTIC_EVALS.files["report.json"]))
    report["cases"] = [
        {**report["cases"][0], "name": f"case {n}", "source_case_name": None, "inputs": f"{n}+0?", "output": str(n % 3)}
        | {"expected_output": str(n)}
        for n in reversed(range(4))
    ]
    report["failures"] = []
    made = made_logs.Made(files={"report.json": report}, name="report.json", runs=[])
    rows = [made_logs._lm_eval_row(n, "none", 1.0, repeats=1) for n in range(5)]
    lm_eval = made_logs.Made(
        files={"s.jsonl": [{**row, "resps": [[row["target"]]]} for row in rows]}, name="s.jsonl", runs=[]
    )
    ids = []
    for log in (made, lm_eval):
        [stored] = import_logs(written(log, tmp_path), store=store)
        ids.append(score_run(store, stored.run_id, metric="builtin/exact_match").run_id)
    found = compare(store, ids[0], store, ids[1])
    one = found.comparisons[0]
    assert (one.pairs, one.unmatched_a, one.unmatched_b, one.changed) == (4, 0, 1, 0)
    assert (one.mean_a, one.mean_b) == (0.75, 1.0)
    assert found.notes[0] == (
        "4 cases were paired by content, for the ids differ; the prompts of 4 of them differ, as in '0+0?' and "
        "'Q: 0+0? A:'"
    )


# --- real logs --------------------------------------------------------------------------------------------

REAL: dict[str, list[tuple[int, int, dict[str, float]]]] = {
    # Cases, answers, and the means that the tools themselves state in their results, to the digits that they state.
    "inspect/2025-02-11T15-17-00-05-00_popularity_dPiJifoWeEQBrfWsAopzWr.eval": [(10, 10, {})],
    "inspect/2026-11-25T18-00-52-00-00_sums_WAaFLRVDedgf2cpHursoUC.eval": [(4, 8, {"match": 0.5, "includes": 0.5})],
    "inspect/2026-11-25T18-00-53-00-00_agent-sums_LUhhno2Eoqok4gXSbzvTbQ.eval": [(3, 3, {"includes": 1.0})],
    "inspect/chunked-agent-sums.eval": [(3, 3, {"includes": 1.0})],
    "inspect/data_arc_qwen.json": [(3, 3, {"choice": 1 / 3})],
    "inspect/log_formats.eval": [(1, 1, {"match": 0.0})],
    "inspect/log_message_deduplication.eval": [(1, 1, {"closeness_log": 0.0})],
    "inspect/mmlu-summary-choices.eval": [(1, 1, {"choice": 0.0})],
    "lm_eval/results_2026-11-25T18-02-40.013046.json": [
        (4, 4, {"exact_match,strict": 0.0, "exact_match,flexible": 0.0}),
        (4, 4, {"acc,none": 0.75, "acc_norm,none": 0.75}),
    ],
    "lm_eval/samples_math_perturbed_full_2026-01-21T03-44-18.458309.jsonl": [(10, 10, {"exact_match,none": 0.0})],
    "promptfoo/out-0.121.20.json": [(2, 2, {"promptfoo": 0.5})] * 4,
    "promptfoo/out-0.121.20.jsonl": [(2, 2, {"promptfoo": 0.5})] * 4,
    "openai_evals/230417220821DPM75QNS_auto_gpt_completion_fn_test-match.jsonl": [(3, 3, {"match": 1 / 3})],
    "helm/commonsense-dataset=hellaswag,method=multiple_choice_joint,model=eleutherai_pythia-1b-v0": [
        (10, 10, {"exact_match": 0.3, "quasi_prefix_exact_match": 0.3})
    ],
    "helm/narrative_qa-model=openai_gpt2": [(5, 5, {"exact_match": 0.0})],
    "lighteval": [(3, 3, {"exact_match": 1.0})],
    "pydantic_evals/report-2.62.0.json": [(4, 4, {"EqualsExpected": 2 / 3, "half": 0.5})],
    "deepeval/latest_run_full-4.3.1.json": [(3, 3, {"Exact Match": 2 / 3})],
    "deepeval/latest_test_run-4.3.1.json": [(3, 3, {"Exact Match": 2 / 3})],
    "eee/aggregate.json": [(1, 1, {"score": 1.0})],
    "eee/samples.jsonl": [(1, 1, {"score": 1.0})],
    "atif/openhands_hello-world.trajectory.json": [(1, 1, {})],
    "atif/terminus_2_hello-world-context-summarization-linear-history.trajectory.json": [(1, 1, {})],
}
TOKENS = {
    # What the tools state of the whole run.
    "inspect/2026-11-25T18-00-52-00-00_sums_WAaFLRVDedgf2cpHursoUC.eval": 176,
    "inspect/2026-11-25T18-00-53-00-00_agent-sums_LUhhno2Eoqok4gXSbzvTbQ.eval": 1323,
    "inspect/chunked-agent-sums.eval": 1323,
    "inspect/mmlu-summary-choices.eval": 156,
    "eee/samples.jsonl": 17,
    "atif/openhands_hello-world.trajectory.json": 300,
    "atif/terminus_2_hello-world-context-summarization-linear-history.trajectory.json": 2412,
}


@needs_samples
@pytest.mark.parametrize("name", REAL)
def test_a_real_log_says_what_its_tool_says(name: str, tmp_path: Path) -> None:
    with closing(SqliteRunStore(tmp_path / "a.sqlite3")) as store:
        results = import_logs(SAMPLES / name, store=store)
        assert len(results) == len(REAL[name])
        for result, (cases, answers, means) in zip(results, REAL[name], strict=True):
            overview = read_report(result.view).overview
            assert result.progress.total_cases == cases
            assert result.view.plan.candidate_count * cases == answers
            shown = {each.name: each.mean for each in overview.imported}
            assert {scorer: shown.get(scorer) for scorer in means} == pytest.approx(means)
            assert verify(store, result.run_id).verdict == "verified"
        if name in TOKENS:
            assert results[0].costs().total_tokens == TOKENS[name]


@needs_samples
@pytest.mark.parametrize(
    ("name", "metrics", "parser", "theirs"),
    [
        ("inspect/2026-11-25T18-00-52-00-00_sums_WAaFLRVDedgf2cpHursoUC.eval", "contains", "text", "includes"),
        ("inspect/data_arc_qwen.json", "choice_accuracy", "choice_letter", "choice"),
        ("inspect/mmlu-summary-choices.eval", "choice_accuracy", "choice_letter", "choice"),
        ("deepeval/latest_run_full-4.3.1.json", "exact_match", "text", "Exact Match"),
        ("pydantic_evals/report-2.62.0.json", "exact_match", "text", "EqualsExpected"),
        ("openai_evals/230417220821DPM75QNS_auto_gpt_completion_fn_test-match.jsonl", "exact_match", "text", "match"),
        ("lighteval", "exact_match", "text", "exact_match"),
    ],
)
def test_scored_again_a_real_log_has_its_own_scores(name: str, metrics: str, parser: str, theirs: str) -> None:
    store = InMemoryRunStore()
    for stored in import_logs(SAMPLES / name, store=store):
        scored = score_run(store, stored.run_id, metric=f"builtin/{metrics}", parser=f"builtin/{parser}")
        for case in scored.cases:
            for candidate, score in _pairs(case):
                kept: Any = (candidate.artifacts or {}).get(IMPORTED) or {}
                found = {each["name"]: each.get("number") for each in kept["scores"]}
                assert (case.case_id, score) == (case.case_id, found[theirs])


def _pairs(case: Any) -> Iterator[tuple[Any, float]]:
    by_answer = {answer.candidate_id: answer.scores for answer in case.answers}
    for candidate in case.generated_candidates:
        scores = by_answer.get(candidate.candidate_id, case.scores)
        yield candidate, scores[0].value


@needs_samples
def test_a_folder_of_all_real_logs_comes_in_at_once() -> None:
    assert len(import_logs(SAMPLES)) >= 24


# --- size -------------------------------------------------------------------------------------------------


def test_a_log_of_many_rows_is_laid_aside_and_not_held(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"samples_{rows}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(rows):
                row = made_logs._lm_eval_row(number, "none", 1.0, repeats=1)
                file.write(json.dumps({**row, "resps": [["x" * 20_000]]}) + "\n")
        tracemalloc.start()
        try:
            with opened_logs(path, EvaluationConfig()) as ([imported], _):
                assert imported.experiment.compile().run_id
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(200), peak(1000)
    assert large < small + 800 * 20_000 / 8  # the answers alone take eight times that
