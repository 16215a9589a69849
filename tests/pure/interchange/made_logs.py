"""Small logs of our own making, in the shapes that each tool writes; and files in memory to read them from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from themis.pure.errors import DataError
from themis.pure.interchange.formats import read_archive, read_file
from themis.pure.interchange.records import LoggedRun


@attrs.frozen
class MemoryFiles:
    """Files in memory; those of a Parquet file's rows are lists of them."""

    content: Mapping[str, Any]
    where: str = "logs"

    @property
    def names(self) -> Sequence[str]:
        return list(self.content)

    def read(self, name: str) -> bytes:
        data = self.content[name]
        return data if isinstance(data, bytes) else b"PAR1"

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        return ((n, line) for n, line in enumerate(self.read(name).splitlines(keepends=True), 1) if line.strip())

    def rows(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        if isinstance(self.content[name], bytes):
            raise DataError(f"{self.where}/{name}: not a Parquet file")
        return iter(enumerate(self.content[name], 1))


@attrs.frozen(kw_only=True)
class Made:
    """A log, and what is to be found in it.

    Attributes:
        files: by name; values that are no bytes are written as JSON, lists of names `.jsonl` as lines.
        name: the file that is named.
        runs: of each run its model, dataset, numbers of cases, answers and errors, and the means of its scores.
    """

    files: Mapping[str, Any]
    name: str
    archive: bool = False
    runs: Sequence[tuple[str | None, str, int, int, int, Mapping[str, float]]]

    def written(self) -> MemoryFiles:
        return MemoryFiles({name: encoded(name, value) for name, value in self.files.items()})


def encoded(name: str, value: Any) -> Any:
    if isinstance(value, bytes) or name.endswith(".parquet"):
        return value
    if name.endswith(".jsonl"):
        return "".join(json.dumps(line) + "\n" for line in value).encode()
    return json.dumps(value, indent=1).encode()


def runs_of(files: MemoryFiles, name: str, *, archive: bool = False) -> Iterator[LoggedRun]:
    found = read_archive(files) if archive else read_file(files, name)
    if found is None:
        raise DataError(f"{files.where}/{name}: no log")
    return found


# --- Inspect ----------------------------------------------------------------------------------------------

_HEADER: dict[str, Any] = {
    "version": 2,
    "status": "success",
    "eval": {
        "task": "sums",
        "task_version": 0,
        "model": "openai/gpt-4o",
        "created": "2026-01-01T00:00:00+00:00",
        "run_id": "r1",
        "dataset": {"name": "sums", "samples": 2, "sample_ids": ["b", "a"]},
        "packages": {"inspect_ai": "0.3.285"},
        "model_generate_config": {"temperature": 0.5},
        "config": {"epochs": 2},
    },
    "plan": {"steps": [{"solver": "generate"}]},
    "results": {"total_samples": 4, "completed_samples": 3, "scores": []},
}


def _inspect_sample(case_id: str, epoch: int, answer: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": case_id,
        "epoch": epoch,
        "input": [{"id": f"m{epoch}{case_id}", "role": "user", "content": "attachment://q", "source": "input"}],
        "target": "2",
        "choices": ["1", "2"],
        "metadata": {"topic": "sums", "nested": {"x": 1}},
        "messages": [
            {"id": "m0", "role": "system", "content": "Be brief"},
            {"id": "m1", "role": "user", "content": "attachment://q"},
            {"id": "m2", "role": "assistant", "content": [{"type": "text", "text": answer}]},
        ],
        "output": {
            "model": "gpt-4o-2024-08-06",
            "choices": [
                {"message": {"role": "assistant", "content": [{"type": "text", "text": answer}]}, "stop_reason": "stop"}
            ],
            "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
        },
        "scores": {"match": {"value": value, "answer": answer, "explanation": None}},
        "model_usage": {"openai/gpt-4o": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}},
        "total_time": 0.25,
        "attachments": {"q": "What is 1 + 1?"},
        **more,
    }


_SAMPLES = {
    "samples/a_epoch_1.json": _inspect_sample("a", 1, "2", "C"),
    "samples/a_epoch_2.json": _inspect_sample("a", 2, "3", "I"),
    "samples/b_epoch_1.json": _inspect_sample("b", 1, "", "P"),
    "samples/b_epoch_2.json": _inspect_sample(
        "b", 2, "", "N", error={"message": "timed out", "traceback": "..."}, scores={}
    ),
}
_MEANS = {"match": 0.5}

_CHUNKED: dict[str, Any] = {}
for _name, _sample in _SAMPLES.items():
    _folder = _name.removesuffix(".json")
    _kept = {k: v for k, v in _sample.items() if k not in ("messages", "attachments", "metadata")}
    _text = json.dumps(_sample["messages"]).replace("attachment://q", "attachment://0")
    _messages = json.loads(_text)
    _CHUNKED[f"{_folder}/sample.json"] = {
        **json.loads(json.dumps(_kept).replace("attachment://q", "attachment://0")),
        "message_refs": [[0, 2], [3, 4]],
    }
    _CHUNKED[f"{_folder}/messages/0.json"] = [*_messages[:2], {"id": "gone", "role": "user", "content": "left out"}]
    _CHUNKED[f"{_folder}/messages/3.json"] = _messages[2:]
    _CHUNKED[f"{_folder}/attachments/0.json"] = ["What is 1 + 1?"]
    _CHUNKED[f"{_folder}/metadata.json"] = _sample["metadata"]

_GPT = "openai/gpt-4o"
_INSPECT_RUN = (_GPT, "sums", 2, 4, 1, _MEANS)
INSPECT = Made(
    files={"_journal/start.json": _HEADER, **_SAMPLES, "summaries.json": [], "header.json": _HEADER},
    name="sums.eval",
    archive=True,
    runs=[_INSPECT_RUN],
)
INSPECT_CHUNKED = Made(
    files={"header.json": _HEADER, **_CHUNKED}, name="chunked.eval", archive=True, runs=[_INSPECT_RUN]
)
INSPECT_CRASHED = Made(
    files={
        "_journal/start.json": {name: _HEADER[name] for name in ("version", "eval", "plan")},
        "samples/a_epoch_1.json": _SAMPLES["samples/a_epoch_1.json"],
        "_journal/summaries/1.json": [],
    },
    name="crashed.eval",
    archive=True,
    runs=[(_GPT, "sums", 1, 1, 0, {"match": 1.0})],
)
INSPECT_JSON = Made(
    files={"sums.json": {**_HEADER, "samples": list(_SAMPLES.values())}}, name="sums.json", runs=[_INSPECT_RUN]
)

# --- lm-eval ----------------------------------------------------------------------------------------------

_TIME = "2026-01-01T00-00-00.000000"


def _lm_eval_row(doc: int, used: str, score: float, repeats: int = 2) -> dict[str, Any]:
    return {
        "doc_id": doc,
        "doc": {"question": f"{doc}+0?", "answer": str(doc), "meta": {"x": 1}},
        "target": str(doc),
        "arguments": {"gen_args_0": {"arg_0": f"Q: {doc}+0?\nA:", "arg_1": {"until": ["\n"]}}},
        "resps": [[f"answer {n}" for n in range(repeats)]],
        "filtered_resps": ["x"],
        "filter": used,
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "exact_match": score,
    }


def _lm_eval_choice(doc: int, *, old: bool = False) -> dict[str, Any]:
    asked = [["Q: which?\nA:", " no"], ["Q: which?\nA:", " yes"]]
    return {
        "doc_id": doc,
        "doc": {"gold": 1},
        "target": 1,
        "arguments": asked if old else {f"gen_args_{n}": {"arg_0": a, "arg_1": b} for n, (a, b) in enumerate(asked)},
        "resps": [[["-1.5", "False"]], [["-0.5", "True"]]],
        "filtered_resps": [["-1.5", "False"], ["-0.5", "True"]],
        "acc": 1.0,
        "acc_norm": 0.0,
    }


_RESULTS = {
    "results": {"gen": {"exact_match,strict": 0.5}, "choices": {"acc,none": 1.0}},
    "configs": {"gen": {"dataset_path": "d", "output_type": "generate_until"}, "choices": {}},
    "versions": {"gen": 1.0},
    "n-shot": {"gen": 0},
    "config": {"model": "hf", "model_args": "pretrained=tiny"},
    "model_name": "tiny",
    "lm_eval_version": "0.4.13",
    "date": 1.5,
}
LM_EVAL = Made(
    files={
        f"results_{_TIME}.json": _RESULTS,
        f"samples_gen_{_TIME}.jsonl": [
            *(_lm_eval_row(doc, "strict", doc % 2) for doc in range(4)),
            *(_lm_eval_row(doc, "flexible", 1.0) for doc in range(4)),
        ],
        f"samples_choices_{_TIME}.jsonl": [_lm_eval_choice(0), _lm_eval_choice(1, old=True)],
    },
    name=f"results_{_TIME}.json",
    runs=[
        ("tiny", "choices", 2, 2, 0, {"acc,none": 1.0, "acc_norm,none": 0.0}),
        ("tiny", "gen", 4, 8, 0, {"exact_match,strict": 0.5, "exact_match,flexible": 1.0}),
    ],
)
LM_EVAL_ALONE = Made(
    files={"samples.jsonl": [_lm_eval_row(0, "none", 1.0, repeats=1)]},
    name="samples.jsonl",
    runs=[(None, "samples", 1, 1, 0, {"exact_match,none": 1.0})],
)

# --- promptfoo --------------------------------------------------------------------------------------------


def _promptfoo_row(test: int, prompt: int, provider: str, output: str | None, **more: Any) -> dict[str, Any]:
    return {
        "testIdx": test,
        "promptIdx": prompt,
        "provider": {"id": provider, "label": ""},
        "vars": {"country": f"c{test}"},
        "prompt": {"raw": f"Capital of c{test}?", "label": "Capital of {{country}}?"},
        "response": {"output": output, "tokenUsage": {"prompt": 3, "completion": 1, "total": 4}, "cached": False},
        "success": output == "Paris",
        "score": 1 if output == "Paris" else 0,
        "failureReason": 0 if output == "Paris" else 1,
        "error": None if output == "Paris" else "Expected Paris",
        "latencyMs": 12,
        "cost": 0.001,
        "namedScores": {"exact": 1 if output == "Paris" else 0},
        "gradingResult": {
            "reason": "r",
            "componentResults": [{"pass": True, "score": 1, "reason": "ok", "assertion": {"type": "equals"}}],
        },
        "testCase": {"assert": [{"type": "equals", "value": "Paris"}], "metadata": {"continent": "Europe"}},
        **more,
    }


_PROMPTFOO_ROWS = [
    _promptfoo_row(0, 0, "openai:gpt-4o", "Paris"),
    _promptfoo_row(0, 0, "openai:gpt-4o", "Rome"),
    _promptfoo_row(1, 0, "openai:gpt-4o", None, failureReason=2, error="API error: 500"),
    _promptfoo_row(0, 1, "echo", "Paris"),
]
_PROMPTFOO_RUNS: list[tuple[str | None, str, int, int, int, Mapping[str, float]]] = [
    ("openai:gpt-4o", "promptfoo", 2, 3, 1, {"promptfoo": 0.5, "pass": 0.5, "exact": 0.5, "assert 1 (equals)": 1.0}),
    ("echo", "promptfoo", 1, 1, 0, {"promptfoo": 1.0, "pass": 1.0, "exact": 1.0, "assert 1 (equals)": 1.0}),
]
PROMPTFOO = Made(
    files={
        "out.json": {
            "evalId": "e",
            "results": {"version": 3, "timestamp": "t", "prompts": [], "results": _PROMPTFOO_ROWS, "stats": {}},
            "config": {},
            "metadata": {"promptfooVersion": "0.121.20"},
        }
    },
    name="out.json",
    runs=_PROMPTFOO_RUNS,
)
PROMPTFOO_LINES = Made(files={"out.jsonl": _PROMPTFOO_ROWS}, name="out.jsonl", runs=_PROMPTFOO_RUNS)

# --- OpenAI evals -----------------------------------------------------------------------------------------


def _event(sample: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"run_id": "r", "event_id": sample, "sample_id": f"t.s.{sample}", "type": kind, "data": data}


OPENAI_EVALS = Made(
    files={
        "log.jsonl": [
            {"spec": {"completion_fns": ["gpt-4"], "eval_name": "t.s.v0", "split": "s", "run_id": "r"}},
            {"final_report": {"accuracy": 0.5}},
            _event(10, "sampling", prompt=[{"role": "user", "content": "9+1?"}], sampled=["10"]),
            _event(2, "sampling", prompt="1+1?", sampled="2"),
            _event(10, "match", correct=False, expected="11", picked=None, sampled="10", options=["11"]),
            _event(2, "match", correct=True, expected="2", picked="2", sampled="2", options=["2"]),
            _event(3, "raw_sample", input="2+2?", ideal="4"),
            _event(3, "error", type="Timeout", message="timed out"),
        ]
    },
    name="log.jsonl",
    runs=[("gpt-4", "t.s.v0", 3, 3, 1, {"match": 0.5})],
)

# --- HELM -------------------------------------------------------------------------------------------------


def _state(instance: str, trial: int, text: str, **more: Any) -> dict[str, Any]:
    return {
        "instance": {
            "id": instance,
            "input": {"text": "1+1?"},
            "references": [
                {"output": {"text": "2"}, "tags": ["correct"]},
                {"output": {"text": "3"}, "tags": []},
            ],
            "split": "test",
        },
        "train_trial_index": trial,
        "request": {"prompt": "Question: 1+1?\nAnswer:", "temperature": 0.0},
        "result": {
            "success": True,
            "completions": [{"text": text, "logprob": 0.0, "tokens": []}],
            "cached": False,
            "request_time": 0.5,
        },
        **more,
    }


def _stats(instance: str, trial: int, score: float) -> dict[str, Any]:
    stats = {"exact_match": score, "num_prompt_tokens": 7, "num_output_tokens": 1}
    return {
        "instance_id": instance,
        "train_trial_index": trial,
        "stats": [{"name": {"name": name}, "count": 1, "sum": value, "mean": value} for name, value in stats.items()],
    }


_HELM = {
    "r/run_spec.json": {
        "name": "sums:model=m",
        "adapter_spec": {"model": "org/m"},
        "scenario_spec": {"class_name": "S"},
    },
    "r/scenario_state.json": {
        "adapter_spec": {"model": "org/m", "method": "generation", "temperature": 0.0},
        "request_states": [
            _state("id1", 0, " 2"),
            _state("id1", 1, " 3"),
            _state("id2", 0, "A", output_mapping={"A": "2", "B": "3"}),
            _state("id3", 0, "", result={"success": False, "error": "server down", "completions": []}),
        ],
    },
    "r/per_instance_stats.json": [_stats("id1", 0, 1), _stats("id1", 1, 0), _stats("id2", 0, 1)],
    "r/stats.json": [],
}
HELM = Made(
    files=_HELM,
    name="r/scenario_state.json",
    runs=[("org/m", "sums:model=m", 3, 4, 1, {"exact_match": 2 / 3})],
)

# --- lighteval --------------------------------------------------------------------------------------------


def _detail(number: int, texts: Sequence[str], score: float, **more: Any) -> dict[str, Any]:
    return {
        "doc": {"query": f"{number}+0?", "choices": ["0", "1"], "gold_index": number, "id": str(number)},
        "model_response": {
            "input": f"Q: {number}+0?",
            "input_tokens": [1, 2, 3],
            "text": list(texts),
            "output_tokens": [[4]] * len(texts),
            "logprobs": [],
            **more,
        },
        "metric": {"exact_match": score},
    }


LIGHTEVAL = Made(
    files={
        f"details/m/t/details_sums|0_{_TIME}.parquet": [
            _detail(0, ["0"], 1.0),
            _detail(1, [], 0.0, logprobs=[-2.0, -1.0]),
        ],
        f"results/m/results_{_TIME}.json": {"config_general": {"model_name": "org/m", "lighteval_sha": "s"}},
    },
    name=f"details/m/t/details_sums|0_{_TIME}.parquet",
    runs=[("org/m", "sums|0", 2, 2, 0, {"exact_match": 0.5})],
)

# --- pydantic-evals ---------------------------------------------------------------------------------------


def _report_case(name: str, output: Any, *, right: bool, source: str | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "inputs": "1+1",
        "metadata": {"i": 1},
        "expected_output": "2",
        "output": output,
        "metrics": {"input_tokens": 4},
        "scores": {"half": {"name": "half", "value": 0.5, "reason": None}},
        "labels": {"label": {"name": "label", "value": "ok", "reason": None}},
        "assertions": {"EqualsExpected": {"name": "EqualsExpected", "value": right, "reason": "because"}},
        "task_duration": 0.5,
        "source_case_name": source,
    }


PYDANTIC_EVALS = Made(
    files={
        "report.json": {
            "name": "task",
            "cases": [
                _report_case("c [1/2]", "2", right=True, source="c"),
                _report_case("c [2/2]", "3", right=False, source="c"),
            ],
            "failures": [{"name": "d", "inputs": "2+2", "expected_output": "4", "error_message": "ValueError: boom"}],
            "analyses": [],
            "dataset_name": "sums",
            "experiment_metadata": {"prompt": "v2"},
        }
    },
    name="report.json",
    runs=[("task", "sums", 2, 3, 1, {"EqualsExpected": 0.5, "half": 0.5})],
)

# --- deepeval ---------------------------------------------------------------------------------------------

_DEEPEVAL = {
    "testFile": "test_x.py",
    "testCases": [
        {
            "name": f"test_case[{n}]",
            "input": f"{n}+0?",
            "actualOutput": output,
            "expectedOutput": str(n),
            "context": ["arith"],
            "success": output == str(n),
            "metricsData": [{"name": "Exact Match", "score": float(output == str(n)), "reason": "r"}],
            "runDuration": 0.5,
            "order": n,
        }
        for n, output in enumerate(["0", "2", None])
    ],
    "conversationalTestCases": [{}],
    "hyperparameters": {"model": "gpt-4o"},
}
DEEPEVAL = Made(
    files={"run.json": _DEEPEVAL},
    name="run.json",
    runs=[("gpt-4o", "test_x.py", 3, 3, 1, {"Exact Match": 0.5})],
)
DEEPEVAL_WRAPPED = Made(files={"run.json": {"testRunData": _DEEPEVAL}}, name="run.json", runs=DEEPEVAL.runs)

# --- Every Eval Ever --------------------------------------------------------------------------------------


def _eee_row(sample: str, task: str, outputs: Sequence[str], score: float, **more: Any) -> dict[str, Any]:
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "e/1",
        "model_id": "org/m",
        "evaluation_name": task,
        "sample_id": sample,
        "interaction_type": "single_turn",
        "input": {"raw": f"question {sample}", "reference": ["4"], "choices": ["3", "4"]},
        "output": {"raw": list(outputs)},
        "answer_attribution": [{"turn_idx": 0, "source": "output.raw", "extracted_value": "4", "is_terminal": True}],
        "evaluation": {"score": score, "is_correct": score == 1.0},
        "token_usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17},
        "performance": {"latency_ms": 3.5},
        "metadata": {"subject": "sums"},
        **more,
    }


_TALK = [{"turn_idx": 0, "role": "user", "content": "hi"}, {"turn_idx": 1, "role": "assistant", "content": "4"}]
_EEE_ROWS = [
    _eee_row("1", "one", ["4", "5"], 1.0),
    _eee_row("1", "two", [], 0.0, output=None, messages=_TALK, interaction_type="multi_turn"),
    _eee_row("2", "one", [], 0.0, error="refused", output=None),
]
_EEE_RUNS: list[tuple[str | None, str, int, int, int, Mapping[str, float]]] = [
    ("org/m", "one", 2, 3, 1, {"score": 1.0, "is_correct": 1.0}),
    ("org/m", "two", 1, 1, 0, {"score": 0.0, "is_correct": 0.0}),
]
EEE = Made(
    files={
        "x.json": {
            "schema_version": "0.3.0",
            "evaluation_id": "e/1",
            "evaluation_results": [],
            "eval_library": {"name": "inspect_ai", "version": "0.3"},
            "detailed_evaluation_results": {"file_path": "elsewhere/x_samples.jsonl"},
        },
        "x_samples.jsonl": _EEE_ROWS,
    },
    name="x.json",
    runs=_EEE_RUNS,
)
EEE_LINES = Made(files={"s.jsonl": _EEE_ROWS}, name="s.jsonl", runs=_EEE_RUNS)

# --- ATIF -------------------------------------------------------------------------------------------------

ATIF = Made(
    files={
        "t.json": {
            "schema_version": "ATIF-v1.8",
            "session_id": "s1",
            "agent": {"name": "openhands", "version": "1.1.0", "model_name": "openai/gpt-4o"},
            "steps": [
                {"step_id": 1, "source": "system", "message": "Be brief"},
                {"step_id": 2, "source": "user", "message": "Create a file", "timestamp": "2026-01-01T00:00:00Z"},
                {
                    "step_id": 3,
                    "source": "agent",
                    "message": "",
                    "tool_calls": [{"tool_call_id": "c", "function_name": "bash", "arguments": {"command": "ls"}}],
                    "observation": {"results": [{"source_call_id": "c", "content": "done"}]},
                    "metrics": {"prompt_tokens": 100, "completion_tokens": 50},
                },
                {"step_id": 4, "source": "agent", "message": "Done", "metrics": {"prompt_tokens": 10}},
            ],
        }
    },
    name="t.json",
    runs=[("openai/gpt-4o", "openhands", 1, 1, 0, {})],
)

MADE = {name.lower(): value for name, value in list(globals().items()) if isinstance(value, Made)}
