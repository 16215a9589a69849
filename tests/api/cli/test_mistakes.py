"""The likeliest mistakes: each one message with what, where and what to do; no traceback; the right exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis.effects.stores.sqlite import SqliteRunStore

Themis = Callable[..., Any]
"""Runs a command: `code`, `out`, `err`, `data` (see `conftest`)."""


@attrs.frozen
class Mistake:
    """What was typed, what the message must say, and the exit code."""

    words: list[str]
    said: list[str]
    code: int = 2


RUN = ["run", "experiment.yaml"]
MISTAKES = {
    "a wrong key": Mistake(
        [*RUN, "runtime.max_concurent_tasks=3"],
        ["experiment.yaml: runtime.max_concurent_tasks", "did you mean max_concurrent_tasks?"],
    ),
    "a wrong type": Mistake(
        [*RUN, "runtime.max_concurrent_tasks=many"],
        ["runtime.max_concurrent_tasks", "a whole number expected, found text 'many'"],
    ),
    "an unknown component": Mistake(
        [*RUN, "evaluation.metrics=exact_mach"], ["evaluation.metrics", "did you mean builtin/exact_match"]
    ),
    "an unknown provider": Mistake([*RUN, "generation.generator=opnai/gpt-4o"], ["did you mean openai/gpt-4o"]),
    "a name that a module lacks": Mistake(
        [*RUN, "evaluation.metrics=metrics:close_enogh"], ["metrics has no 'close_enogh'", "close_enough"]
    ),
    "a module that can't be imported": Mistake(
        [*RUN, "evaluation.metrics=raises:f"], ["importing raises raised RuntimeError: no GPU", "raises.py:1"]
    ),
    "a module with a syntax error": Mistake(
        [*RUN, "evaluation.metrics=wrong_syntax:f"], ["importing wrong_syntax raised SyntaxError", "wrong_syntax.py:1"]
    ),
    "a missing config": Mistake(["run", "experimnt.yaml"], ["no such file", "did you mean experiment.yaml?"]),
    "broken YAML": Mistake(["run", "broken.yaml"], ["broken.yaml:2:1: not YAML"]),
    "a missing data file": Mistake(
        [*RUN, "datasets.0.path=question.jsonl"], ["datasets[0]", "no such file", "questions.jsonl"]
    ),
    "two cases of one id": Mistake([*RUN, "datasets.0.path=twice.jsonl"], ["'a' is there twice", "cases 1 and 2"]),
    "a broken row": Mistake([*RUN, "datasets.0.path=row.jsonl"], ["row.jsonl:2", "not JSON"]),
    "a bad override": Mistake([*RUN, "limit"], ["'limit': key=value expected"]),
    "an override of nothing": Mistake([*RUN, "datasets.3.limit=1"], ["no place 3 in a list of 1"]),
    "a variable that is not set": Mistake(
        [*RUN, "datasets.0.revision=${oc.env:THEMIS_NOT_SET}"], ["datasets[0].revision", "THEMIS_NOT_SET is not set"]
    ),
    "a literal key": Mistake(
        [*RUN, "generation.generator.api_key=sk-abcdefghijklmnopqrst"], ["generator.api_key", "into the environment"]
    ),
    "no key at all": Mistake(
        [*RUN, "generation.generator=openai/gpt-4o"], ["OPENAI_API_KEY is not set", "export OPENAI_API_KEY=..."]
    ),
    "no judge for a judged metric": Mistake(
        [*RUN, "evaluation.metrics=builtin/llm_rubric"], ["judge_models: none given", "builtin/demo_judge"]
    ),
    "a k beyond the answers": Mistake(
        [*RUN, "--samples", "3", "--report-at", "1,4"],
        ["k = 4: each case has 3 answers", "from 1 to 3"],
    ),
    "a k of one answer": Mistake([*RUN, "--report-at", "1"], ["each case has one answer", "ask for more samples"]),
    "no k at all": Mistake([*RUN, "--samples", "2", "--report-at", "all"], ["numbers expected, as in 1,4,8"]),
    "a gate on a k beyond the answers": Mistake(
        [*RUN, "--samples", "2", "--require", "exact_match:pass@3>=0.5"],
        ["there is no metric 'exact_match:pass@3'", "builtin/exact_match:pass@2"],
    ),
    "a gate on several answers of one": Mistake(
        [*RUN, "--require", "exact_match:pass@1>=0.5"], ["there is no metric 'exact_match:pass@1'"]
    ),
    "resume without a store that lasts": Mistake(
        ["resume", "experiment.yaml", "--store", "memory"], ["'memory'", "--store runs/themis.sqlite3"]
    ),
    "resume of what was never started": Mistake(
        ["resume", "experiment.yaml", "--limit", "7"], ["is not in", "differs in dataset_refs", "`themis run`"]
    ),
    "an unknown run": Mistake(["verify", "0000"], ["no run '0000' in sqlite:runs/themis.sqlite3", "it holds"]),
    "an ambiguous run": Mistake(["report", "ab"], ["begins the ids of 2 runs", "write more of it"]),
    "a mistyped store": Mistake(
        ["list", "--store", "runs/thems.sqlite3"], ["there is no store", "did you mean runs/themis.sqlite3?"]
    ),
    "a store that is none": Mistake([*RUN, "--store", "notes.txt"], ["notes.txt is not a SQLite file"]),
    "an unknown kind of store": Mistake([*RUN, "--store", "sqlit:a.db"], ["no store 'sqlit'", "did you mean sqlite"]),
    "a store that can't be written": Mistake([*RUN, "--store", "notes.txt/a.sqlite3"], ["check the path"]),
    "a mistyped option": Mistake([*RUN, "--limt", "3"], ["--limt", "--limit"]),
    "no number": Mistake([*RUN, "--limit", "three"], ["--limit", "three"]),
    "no cases": Mistake([*RUN, "--limit", "0"], ["limit: a number from 1 up expected, found 0"]),
    "an unknown command": Mistake(["runn", "experiment.yaml"], ["runn", "run"]),
    "a missing argument": Mistake(["run"], ["CONFIG"]),
    "a gate on nothing": Mistake([*RUN, "--require", "exact_mach>=0.5"], ["did you mean builtin/exact_match?"]),
    "a gate that is none": Mistake([*RUN, "--require", "exact_match"], ["METRIC>=X"]),
    "files that are there already": Mistake(["init"], ["there already", "--force", "experiment.yaml"]),
    "no bundle": Mistake(["import", "broken.yaml"], ["broken.yaml"]),
    "no queue": Mistake(["worker", "run", "--queue", "nowhere"], ["nowhere: there is no queue"]),
    "a queue without a folder": Mistake(["submit", "experiment.yaml"], ["runtime.queue_root", "--queue"]),
    "an unknown benchmark": Mistake(["catalog", "show", "mmlu_prooo"], ["did you mean mmlu_pro"]),
    "an unreachable server": Mistake(
        [*RUN, "generation.generator={id: openai/m, base_url: 'http://127.0.0.1:9/v1'}", "--limit", "2"],
        ["127.0.0.1:9"],
        code=3,
    ),
    "a metric that raises": Mistake(
        [*RUN, "evaluation.metrics=failing:failing", "--limit", "2", "--store", "memory"],
        ["2 with errors", "x"],
        code=3,
    ),
}


@pytest.fixture
def mistaken(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with everything that the mistakes need."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    files = {
        "broken.yaml": "generation: {generator: [\n",
        "twice.jsonl": '{"case_id": "a", "input": 1}\n{"case_id": "a", "input": 2}\n',
        "row.jsonl": '{"input": 1}\n{"input": \n',
        "raises.py": 'raise RuntimeError("no GPU here")\n',
        "wrong_syntax.py": "def f(:\n",
        "notes.txt": "text\n",
        "failing.py": "from themis import metric\n\n@metric\ndef failing(parsed, case):\n    raise ValueError('x')\n",
    }
    for name, text in files.items():
        (project / name).write_text(text, encoding="utf-8")
    return project


def check(done: Any, mistake: Mistake) -> None:
    printed = done.out + done.err
    assert done.code == mistake.code, printed
    assert "Traceback" not in printed
    for words in mistake.said:
        assert words in " ".join(printed.split()) or words in printed
    if mistake.code == 2:
        assert done.out == ""
        assert done.err.startswith(("themis: error: ", "╭─ Error"))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_message(name: str, mistaken: Path, themis: Themis) -> None:
    mistake = MISTAKES[name]
    if name in ("an unknown run", "an ambiguous run", "a mistyped store", "resume of what was never started"):
        assert themis("run", "experiment.yaml", "--limit", "1").code == 0
    if name == "an ambiguous run":
        # Two runs whose ids begin alike are found by their common beginning: there is always one of few characters.
        ids = [themis("run", "experiment.yaml", "--limit", n, "--json").data["run_id"] for n in range(1, 20)]
        mistake = attrs.evolve(mistake, words=["report", common_beginning(ids)], said=["begins the ids of"])
    check(themis(*mistake.words), mistake)
    if mistake.code == 2 and name not in ("an unknown run", "an ambiguous run", "a mistyped store"):
        assert not list(mistaken.glob("**/a.sqlite3"))


def common_beginning(ids: list[str]) -> str:
    beginnings = [run_id[0] for run_id in ids]
    return next(letter for letter in beginnings if beginnings.count(letter) > 1)


def test_a_missing_extra(mistaken: Path, themis: Themis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (mistaken / "rows.parquet").write_bytes(b"PAR1")
    done = themis("run", "experiment.yaml", "datasets=[{path: rows.parquet}]")
    check(done, Mistake([], ["rows.parquet", "pip install 'themis-evals[parquet]'"]))


def test_a_store_locked_by_another_process(project: Path, themis: Themis) -> None:
    run_id = themis("run", "experiment.yaml", "--json").data["run_id"]
    with SqliteRunStore(project / "runs" / "themis.sqlite3") as store:
        store.acquire(run_id)
        done = themis("run", "experiment.yaml", "--json")
        store.release(run_id)
    check(done, Mistake([], ["is being written by process", " since 20", " UTC; wait until it is done"]))


def test_debug_shows_the_traceback(project: Path, themis: Themis) -> None:
    with pytest.raises(Exception, match="no such file"):
        themis("run", "nothing.yaml", "--debug")


def test_a_fault_of_ours_is_said_to_be_one(project: Path, themis: Themis, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("sk-abcdefghijklmnopqrst leaked")

    monkeypatch.setattr("themis.api.experiment.experiment.Experiment.components", broken)
    done = themis("run", "experiment.yaml")
    assert (done.code, done.out) == (3, "")
    assert "RuntimeError: [secret] leaked; this is a fault in Themis or in a component: --debug shows where" in done.err


def test_everything_that_fails_never_exits_with_0(project: Path, themis: Themis) -> None:
    (project / "failing.py").write_text(
        "from themis import generator\n\n@generator\ndef fails(case):\n    raise ValueError('x')\n", encoding="utf-8"
    )
    for command in (["run"], ["run"], ["resume"]):
        done = themis(*command, "experiment.yaml", "generation.generator=failing:fails", "--limit", "2", "--json")
        assert done.code == 3
        assert done.data["progress"]["failed_cases"] == 2


def test_an_interruption_exits_with_130(project: Path, themis: Themis, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("themis.api.cli.run.run_with_progress", interrupted)
    done = themis("run", "experiment.yaml")
    assert done.code == 130
    assert "run the same command again to go on from there" in done.err
