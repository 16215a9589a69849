"""`themis preview` before each command that would run: the same options, nothing sent, nothing stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from themis.pure.benchmarks.registry import samples_of
from themis.testing.endpoint import FakeEndpoint

Themis = Callable[..., Any]
"""Runs a command: `code`, `out`, `err`, `data` (see `conftest`)."""

MODEL = ("--model", "openai/gpt-4o", "--temperature", "0")


def test_a_config(project: Path, themis: Themis) -> None:
    words = ("experiment.yaml", "generation.prompt_spec.template='Sum: {input}'", "--samples", "2", "--cases", "2")
    for command in (("preview",), ("preview", "run")):
        done = themis(*command, *words)
        assert done.code == 0, done.err
        assert done.out.count("\nuser:\n") == 2
        assert "Sum: " in done.out
        assert "2 of 40 case(s) for builtin/demo_model, each asked 2 times; nothing was sent" in done.out
    assert themis("preview", *words, "--json").data["run_id"] == themis("run", *words[:-2], "--json").data["run_id"]


def test_every_form_of_quick_eval(project: Path, themis: Themis) -> None:
    Path("rows.jsonl").write_text(
        "".join(f"{json.dumps(dict(s.row))}\n" for s in samples_of("mmlu_pro")), encoding="utf-8"
    )
    Path("qa.csv").write_text("input,expected_output,topic\n1 + 1?,2,sums\n2 + 2?,4,sums\n", encoding="utf-8")
    for form, options in (
        (("inline", "What is it?"), ("--metric", "f1")),
        (("file", "qa.csv"), ("--metric", "f1", "--prompt", "[{topic}] {input}")),
        (("benchmark", "mmlu_pro"), ("--source", "rows.jsonl")),
        (("benchmark", "mmlu_pro"), ("--source", "rows.jsonl", "--prompt", "Just a letter. {input}")),
    ):
        done = themis("preview", "quick-eval", *form, *options, *MODEL, "--cases", "1", "--json")
        assert done.code == 0, done.err
        (case,) = done.data["cases"]
        assert case["request"]["model"] == "gpt-4o"
        assert case["request"]["temperature"] == 0
        assert case["us_dollars"] is None or case["us_dollars"] > 0
        asked = case["messages"][-1]["content"]
        assert asked.startswith("[sums] 1 + 1?") or form[0] != "file"
        assert asked.startswith("Just a letter. ") == ("Just a letter. {input}" in options)
    assert not Path("runs").exists()


def test_no_call_is_made_and_quick_eval_then_makes_them(project: Path, themis: Themis, monkeypatch: Any) -> None:
    with FakeEndpoint() as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        words = (
            "quick-eval",
            "inline",
            "Who?",
            "--expected",
            "me",
            "--metric",
            "f1",
            "--prompt",
            "> {question}",
            *MODEL,
        )
        shown = themis("preview", *words, "--json").data["cases"][0]["request"]
        assert not endpoint.log
        assert themis(*words).code == 0
        assert [served.request.json() for served in endpoint.log] == [shown]


def test_a_prompt_of_a_file_with_examples(project: Path, themis: Themis) -> None:
    Path("train.jsonl").write_text(
        "".join(json.dumps({"input": f"{n} + {n}?", "expected_output": str(2 * n)}) + "\n" for n in range(5)),
        encoding="utf-8",
    )
    Path("few.yaml").write_text("template: 'Q: {input}'\nexamples: {path: train.jsonl, count: 2}\n", encoding="utf-8")
    words = ("quick-eval", "inline", "1 + 1?", "--expected", "2", "--metric", "f1", "--model", "demo_model")
    messages = themis("preview", *words, "--prompt", "@few.yaml", "--json").data["cases"][0]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2 + ["user"]
    assert "Q: 1 + 1?" not in [message["content"] for message in messages[:-1]]
    assert messages[-1]["content"] == "Q: 1 + 1?"
    assert themis(*words, "--prompt", "@few.yaml").code == 0
    Path("few.yaml").write_text("tempalte: x\nexamples: {path: nowhere.jsonl, count: 2}\n", encoding="utf-8")
    refused = themis(*words, "--prompt", "@few.yaml")
    assert refused.code == 2
    assert "few.yaml: tempalte: unknown key; did you mean template" in refused.err
    refused = themis(*words, "--prompt", "{nope}")
    assert (refused.code, "case '1': prompt_spec.template: there is no field 'nope'" in refused.err) == (2, True)
