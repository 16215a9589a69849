"""Each format that a run is written in: what comes back has its cases, outputs and scores."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis import (
    Case,
    Dataset,
    InMemoryRunStore,
    RunResult,
    evaluate,
    generator,
    import_logs,
    import_outputs,
    metric,
    write_atif,
    write_eee,
    write_inspect_log,
    write_lm_eval_log,
)
from themis.pure.components.metrics import each_reference
from themis.pure.errors import DataError
from themis.pure.interchange.exported import text_of
from themis.pure.interchange.records import IMPORTED
from themis.pure.records.generation import GenerationResult, Message, TraceStep

EXACT = "builtin/exact_match"
WRITERS: dict[str, Callable[[RunResult, Path], Path]] = {
    "inspect": lambda run, folder: write_inspect_log(run.store, run.run_id, folder / "a.eval"),
    "lm_eval": lambda run, folder: write_lm_eval_log(run.store, run.run_id, folder / "logs"),
    "eee": lambda run, folder: write_eee(run.store, run.run_id, folder / "eee", metric=EXACT),
    "atif": lambda run, folder: write_atif(run.store, run.run_id, folder / "steps"),
}
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
WORDS = TEXT.filter(str.strip)
MESSAGES = st.lists(
    st.builds(lambda role, said: {"role": role, "content": said}, st.sampled_from(["system", "user"]), WORDS),
    min_size=1,
).map(lambda turns: [*turns, {"role": "user", "content": "?"}])
OUTPUTS = TEXT | st.sampled_from(["x", {"z": [1, None]}, 3, ["a"], True])


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw answers to a few cases; at least one has an answer and a reference."""
    answers = draw(st.integers(1, 3))
    found: list[dict[str, Any]] = [{"case_id": "first", "input": "1+1", "expected_output": "2", "output": "2"}]
    for case_id in draw(st.lists(WORDS, max_size=3, unique=True).filter(lambda ids: "first" not in ids)):
        case = {
            "case_id": case_id,
            "input": draw(WORDS | MESSAGES),
            "expected_output": draw(st.none() | WORDS | st.lists(WORDS, min_size=2, max_size=2)),
            **draw(st.fixed_dictionaries({}, optional={"topic": WORDS, "level": st.integers(0, 9)})),
        }
        for index in range(answers):
            answer = draw(st.fixed_dictionaries({"output": OUTPUTS}) | st.fixed_dictionaries({"error": WORDS}))
            usage = draw(st.sampled_from([{}, {"prompt_tokens": 4, "completion_tokens": 2}]))
            found.append({**case, "candidate_index": index, **answer, **usage})
    return found


KEEPS = {
    # What a format has room for besides a case's id, input and reference, and an answer's text.
    "inspect": {"tokens", "metadata", "scores"},
    "lm_eval": {"dataset", "metadata", "scores", "exact case"},
    "eee": {"tokens", "dataset", "metadata"},
    "atif": {"tokens", "dataset", "metadata", "scores", "exact case", "exact output"},
}


def told(run: RunResult, name: str) -> dict[Any, Any]:
    """Return of each answer what a format keeps of it; its scores as they were made here, or imported."""
    keeps, found = KEEPS[name], {}
    for item, state in run.view.cases():
        for index, candidate in state.candidates.items():
            one = run.view.plan.candidate_count == 1
            rows = [row for row in run.view.rows_of(state) if one or row.candidate_id == candidate.candidate_id]
            kept: Any = (candidate.artifacts or {}).get(IMPORTED) or {}
            names = {
                "score": EXACT,
                **{
                    f"{metric},{used}": metric
                    for metric in (EXACT, "builtin/f1")
                    for used in ["none" if one else f"answer-{index + 1}"]
                },
            }
            scores = {row.metric_id: row.value for row in rows} or {
                names.get(each["name"], each["name"]): each.get("number") for each in kept.get("scores", ())
            }
            answer: dict[str, Any] = {"text": text_of(candidate.final_output), EXACT: scores.get(EXACT)}
            if "scores" in keeps:
                answer["f1"] = scores.get("builtin/f1")
            if "exact output" in keeps:
                answer["output"] = candidate.final_output
            if "tokens" in keeps:
                used = dict(candidate.token_usage or {})
                answer["tokens"] = [used.get("prompt_tokens"), used.get("completion_tokens")]
            if "exact case" in keeps:
                answer["case"] = item.case
            if "metadata" in keeps:
                answer["metadata"] = {key: str(value) for key, value in item.case.metadata.items()}
            answer["asked"] = (item.dataset_id if "dataset" in keeps else None, *_asked(item.case))
            found[item.case.case_id, index] = answer
    return found


def _asked(case: Case) -> tuple[str, list[str]]:
    expected = each_reference(case.expected_output)
    return text_of(case.input), list(map(text_of, expected))


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=5)
@given(rows=rows())
def test_what_is_written_comes_back_as_it_was(name: str, rows: list[dict[str, Any]]) -> None:
    run = import_outputs(rows, metric=[EXACT, "builtin/f1"], name="theirs", store=InMemoryRunStore())
    with tempfile.TemporaryDirectory() as folder:
        written = WRITERS[name](run, Path(folder))
        [back] = import_logs(written)
        heads = [path.read_bytes() for path in sorted(written.parent.rglob("*")) if path.is_file()]
        WRITERS[name](run, Path(folder))
        assert heads == [path.read_bytes() for path in sorted(written.parent.rglob("*")) if path.is_file()]
    assert told(back, name) == told(run, name)


def test_what_can_t_be_written_is_said(tmp_path: Path) -> None:
    run = import_outputs([{"id": "1", "input": "1", "output": "1"}], store=InMemoryRunStore())
    (tmp_path / "file").write_text("x")
    for write in (write_lm_eval_log, write_atif):
        with pytest.raises(DataError, match="can't be written"):
            write(run.store, run.run_id, tmp_path / "file" / "logs")


def test_names_of_files_stay_in_their_folder(tmp_path: Path) -> None:
    odd = ["../../up", "a/b", "C:\\x", ".hidden", "x" * 300, "..", "Ω*?[x]", "nul\x00"]
    datasets = [
        Dataset(dataset_id=name, cases=[Case(case_id=case_id, input=case_id) for case_id in odd]) for name in odd[:-1]
    ]
    run = evaluate(model="builtin/demo_model", data=datasets, metric=(), store=InMemoryRunStore())
    for name in ("lm_eval", "atif", "inspect"):
        folder = tmp_path / name / "inner"
        back = import_logs(WRITERS[name](run, folder))
        assert sum(result.progress.total_cases for result in back) == len(odd) * len(datasets)
        assert [path.name for path in (tmp_path / name).iterdir()] == ["inner"]
        if name != "inspect":
            assert {each for result in back for each in result.view.dataset_ids} == set(odd[:-1])


def test_the_steps_of_an_agent_are_those_of_its_trajectory(tmp_path: Path) -> None:
    call = {"tool_call_id": "c", "function_name": "bash", "arguments": {"command": "ls"}}
    steps = [
        {"step_id": 1, "source": "system", "message": "Be brief"},
        {"step_id": 2, "source": "user", "message": "Create a file", "timestamp": "2026-01-01T00:00:00Z"},
        {
            "step_id": 3,
            "source": "agent",
            "message": "",
            "reasoning_content": "Look first",
            "tool_calls": [call],
            "observation": {"results": [{"source_call_id": "c", "content": "done"}]},
            "metrics": {"prompt_tokens": 100, "completion_tokens": 50},
        },
        {"step_id": 4, "source": "agent", "message": "Done", "metrics": {"prompt_tokens": 10}},
    ]
    log = {"schema_version": "ATIF-v1.8", "session_id": "s", "agent": {"name": "a", "version": "1"}, "steps": steps}
    (tmp_path / "t.json").write_text(json.dumps(log))
    [run] = import_logs(tmp_path / "t.json")
    [written] = write_atif(run.store, run.run_id, tmp_path / "out").iterdir()
    assert json.loads(written.read_text())["steps"] == steps


def test_turns_and_steps_of_any_kind_become_steps(tmp_path: Path) -> None:
    @generator(component_id="own")
    def own(case: Case, ctx: Any) -> GenerationResult:
        call: Any = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
        talk = [
            Message(role="user", content="1+1?"),
            Message(role="assistant", content={"content": None, "tool_calls": [call]}),
            Message(role="tool", content={"content": "2", "tool_call_id": "c1"}),
            Message(role="assistant", content=[{"type": "text", "text": "It is 2"}]),
        ]
        trace = [TraceStep(step_name="search", step_type="tool", input={"q": "x"}, output={"hits": 1})]
        plain = case.case_id == "trace"
        return GenerationResult(
            candidate_id="1",
            final_output="It is 2",
            conversation=None if plain else talk,
            trace=trace if plain else None,
        )

    data = [Case(case_id=name, input="1+1?") for name in ("talk", "trace")]
    run = evaluate(model=own, data=data, metric=(), store=InMemoryRunStore())
    talk, trace = (
        json.loads(path.read_text())["steps"] for path in sorted(write_atif(run.store, run.run_id, tmp_path).iterdir())
    )
    assert [step["source"] for step in talk] == ["user", "agent", "agent", "agent"]
    assert talk[1]["tool_calls"] == [{"tool_call_id": "c1", "function_name": "add", "arguments": {"a": 1}}]
    assert talk[1]["observation"] == {"results": [{"source_call_id": "c1", "content": "2"}]}
    assert talk[2]["message"] == [{"type": "text", "text": "It is 2"}]
    assert [step["message"] for step in trace] == ["1+1?", "", "It is 2"]
    assert trace[1]["tool_calls"] == [{"tool_call_id": "call-1", "function_name": "search", "arguments": {"q": "x"}}]


def test_likelihoods_are_those_of_a_log_of_choices(tmp_path: Path) -> None:
    likelihoods = [
        {"text": text, "logprob": logprob, "tokens": 1, "bytes": 1, "is_greedy": greedy}
        for text, logprob, greedy in (("A", -0.25, True), ("B", -1.5, False))
    ]
    rows: list[Any] = [{"id": "1", "input": "Which?", "expected_output": "A", "output": likelihoods}]
    run = import_outputs(rows, metric="builtin/likeliest_choice", store=InMemoryRunStore())
    path = write_lm_eval_log(run.store, run.run_id, tmp_path)
    [line] = next(tmp_path.glob("samples_*.jsonl")).read_text().splitlines()
    row = json.loads(line)
    assert row["resps"] == [[["-0.25", "True"]], [["-1.5", "False"]]]
    assert row["arguments"]["gen_args_1"] == {"arg_0": "Which?", "arg_1": "B"}
    [back] = import_logs(path)
    assert back.cases[0].generated_candidates[0].final_output == likelihoods


def test_a_metric_that_is_called_as_a_field_of_a_row_keeps_apart(tmp_path: Path) -> None:
    @metric(component_id="target", score_range=(0.0, 1.0))
    def target(answer: Any, case: Case) -> float:
        return 0.5

    rows = [{"id": "1", "input": "q", "expected_output": "right", "output": "x"}]
    run = import_outputs(rows, metric=target, store=InMemoryRunStore())
    path = write_lm_eval_log(run.store, run.run_id, tmp_path)
    [back] = import_logs(path)
    assert back.to_dict()["imported_scores"] == [{"name": "target_score,none", "scores": 1, "numbers": 1, "mean": 0.5}]
    assert [item.case.expected_output for item in back.view.items()] == ["right"]
    assert json.loads(path.read_text())["results"]["answers"]["target_score,none"] == 0.5
