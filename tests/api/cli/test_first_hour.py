"""What a newcomer types: options of `quick-eval`, a config without a storage, modules at hand, `doctor`, prompts."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis.api.catalog.entries import list_benchmarks
from themis.api.cli.options import Changes
from themis.api.cli.quick_eval import Quick
from themis.pure.benchmarks.registry import samples_of
from themis.pure.wire.providers import MODEL_STRINGS

from .conftest import Themis

DATA = [{"input": f"{n}+1", "expected_output": str(n + 1)} for n in range(4)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and a module, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in DATA), encoding="utf-8")
    (tmp_path / "first_hour_parts.py").write_text(PARTS, encoding="utf-8")
    return tmp_path


PARTS = """\
from themis import generator, metric, parser

@generator
def adder(case):
    return f"It is {sum(map(int, str(case.input).split('+')))}"

@parser
def last_word(candidate):
    return str(candidate.final_output).split()[-1]

@metric
def right(parsed, case) -> bool:
    return parsed.value == case.expected_output

def plain(case):
    return "2"
"""

QUICK = ("quick-eval", "file", "rows.jsonl")


# --- quick-eval -------------------------------------------------------------------------------------------


def test_components_of_a_module_in_this_folder_are_found_at_every_option(themis: Themis, folder: Path) -> None:
    parts = [f"first_hour_parts:{name}" for name in ("adder", "right", "last_word")]
    done = themis(*QUICK, "--model", parts[0], "--metric", parts[1], "--parser", parts[2], "--json")
    assert done.code == 0, done.err
    assert done.data["metrics"]["right"]["mean"] == 1.0
    done = themis(*QUICK, "--model", "builtin/demo_model", "--metric", parts[1], "--parser", parts[2])
    assert done.code == 0, done.err
    done = themis(*QUICK, "--model", "first_hour_parts:plain", "--metric", "f1")
    assert (done.code, "plain is a plain function; make a component of it with @generator" in done.err) == (2, True)


ENDPOINT = ["--base-url", "http://localhost:1/v1", "--api", "completions", "--stop", "\n", "END", "--temperature", "0"]


@pytest.mark.parametrize("form", ["inline", "file", "benchmark", "run"])
def test_how_the_model_is_asked_is_said_alike_everywhere(form: str, themis: Themis, folder: Path) -> None:
    (folder / "aime.json").write_text(json.dumps([{"problem_idx": 1, "problem": "1+1?", "answer": "2"}]))
    tree = {"generation": {"generator": "vllm/m"}, "datasets": [{"path": "rows.jsonl"}]}
    (folder / "e.json").write_text(json.dumps(tree), encoding="utf-8")
    words = {
        "inline": ["quick-eval", "inline", "1+1", "--model", "vllm/m", "--metric", "json_schema"],
        "file": [*QUICK, "--model", "vllm/m", "--metric", "f1"],
        "benchmark": ["quick-eval", "benchmark", "aime_2026", "--source", "aime.json", "--model", "vllm/m"],
        "run": ["plan", "e.json"],
    }[form]
    plain = themis(*words, *(["--dry-run"] if form != "run" else []), "--json")
    asked = themis(*words, *ENDPOINT, *(["--dry-run"] if form != "run" else []), "--json")
    assert (plain.code, asked.code) == (0, 0), asked.err
    assert plain.data["run_id"] != asked.data["run_id"]
    wrong = themis(*words, "--api", "chatty")
    assert wrong.code == 2
    assert not (folder / "runs").exists()  # a plan makes no store


def test_a_dry_run_names_what_would_stop_the_run(themis: Themis, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    (folder / "qa.csv").write_text("input,answer\n1+1,2\n", encoding="utf-8")
    words = ["quick-eval", "file", "qa.csv", "--model", "groq/m", "--metric", "exact_match"]
    dry, real = themis(*words, "--dry-run"), themis(*words)
    for done, code in ((dry, 0), (real, 2)):
        assert done.code == code
        assert "GROQ_API_KEY is not set" in done.err
        assert "is it 'answer'?" in done.err
    assert "generate" in dry.out


def test_a_benchmark_takes_another_parser_and_unparsed(themis: Themis, folder: Path) -> None:
    (folder / "aime.json").write_text(json.dumps([{"problem_idx": 1, "problem": "1+1?", "answer": "2"}]))
    words = ["quick-eval", "benchmark", "aime_2026", "--source", "aime.json", "--model", "builtin/demo_model"]
    runs = [themis(*words, *more, "--json") for more in ([], ["--parser", "builtin/text"], ["--unparsed", "missing"])]
    assert [done.code for done in runs] == [0, 0, 0], [done.err for done in runs]
    assert len({done.data["run_id"] for done in runs}) == 3
    store = "runs/themis.sqlite3"
    told = themis("inspect", "snapshot", runs[1].data["run_id"], "--store", store, "--json").data
    assert [ref["component_id"] for ref in told["identity"]["parser_refs"]] == ["builtin/text"]


def test_the_options_of_run_are_those_of_quick_eval() -> None:
    shared = {
        "limit",
        "seed",
        "samples",
        "temperature",
        "max_tokens",
        "stop",
        "base_url",
        "api",
        "concurrency",
        "max_cost",
    }
    for record in (Quick, Changes):
        assert shared <= {field.name for field in attrs.fields(record)}


# --- where a run is kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage", "words", "kept"),
    [
        (None, [], "runs/themis.sqlite3"),
        ({"store": "jsonl", "parameters": {"path": "log"}}, [], "log"),
        (None, ["storage.store=jsonl", "storage.parameters.path=log"], "log"),
        (None, ["--store", "other.sqlite3"], "other.sqlite3"),
        ({"store": "memory"}, [], None),
    ],
)
def test_a_run_without_a_storage_is_kept_where_quick_eval_keeps_its(
    storage: Any, words: list[str], kept: str | None, themis: Themis, folder: Path
) -> None:
    tree = {
        "generation": {"generator": "builtin/demo_model"},
        "evaluation": {"metrics": "builtin/exact_match"},
        "datasets": [{"path": "rows.jsonl"}],
        **({"storage": storage} if storage else {}),
    }
    (folder / "e.json").write_text(json.dumps(tree), encoding="utf-8")
    done = themis("run", "e.json", *words)
    assert done.code in (0, 3), done.err
    made = {path.name for path in folder.rglob("*") if path.name in ("themis.sqlite3", "log", "other.sqlite3")}
    assert made == ({Path(kept).name} if kept else set())
    if kept == "runs/themis.sqlite3":
        assert themis("resume", "e.json").code == done.code
        assert themis("report", "latest").code == 0


# --- doctor -----------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=lambda: listening.accept()[0].close(), daemon=True).start()
        yield listening.getsockname()[1]


def test_doctor_says_what_is_there_and_never_a_key(
    themis: Themis, monkeypatch: pytest.MonkeyPatch, server: int, folder: Path
) -> None:
    for name in ("ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    secret = "open-sesame-4242-tuvwxyz"
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://me:{secret}@example.com/v1")
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{server}/v1")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:9/v1")
    done = themis("doctor", "--json")
    assert done.code == 0
    found = {(each["section"], each["name"]): each for each in done.data}
    assert {name for section, name in found if section == "endpoints"} == {*MODEL_STRINGS} - {
        "hf",
        "llama_cpp",
        "any-llm",
    }
    there = {name: each["there"] for (section, name), each in found.items() if section == "endpoints"}
    assert [there[name] for name in ("openai", "vllm", "anthropic", "groq", "ollama")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert found["endpoints", "groq"]["detail"] == "GROQ_API_KEY is not set"
    assert "nothing answers at http://127.0.0.1:9/v1" in found["endpoints", "ollama"]["detail"]
    assert found["extras", "testing"]["there"]
    assert {"python", "cpp"} <= {name for section, name in found if section == "sandbox"}
    told = themis("doctor")
    assert "OPENAI_API_KEY: key set" in told.out
    assert secret not in done.out + told.out + done.err + told.err


def test_doctor_says_why_there_is_no_sandbox(themis: Themis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMIS_CODE_SANDBOX", "locale")
    told = themis("doctor").out
    assert "lacks  sandbox" in told
    assert "did you mean local?" in told


# --- prompts ----------------------------------------------------------------------------------------------


def test_the_catalog_shows_each_benchmark_s_prompt(themis: Themis) -> None:
    for entry in list_benchmarks():
        told = themis("catalog", "show", entry.benchmark_id).out
        for variant in entry.forms or entry.variants or ("",):
            spec = entry.prompt_of(variant)
            for part in (spec.instructions, spec.prefix, spec.suffix) if spec is not None else ():
                assert all(line.strip() in told for line in (part or "").splitlines()), (entry.benchmark_id, variant)
        assert "{input}" in told
        for column in samples_of(entry.benchmark_id)[0].row:
            assert f"  {column}: " in told.partition("a made row of its data:")[2]
