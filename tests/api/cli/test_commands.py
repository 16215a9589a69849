"""Every command on a starter project, as its user types it: what people read, what programs read, exit codes."""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from themis.api.cli import COMMANDS
from themis.api.cli.options import storage_of
from themis.effects.batching import BatchLog
from themis.pure.batches import Submission
from themis.pure.benchmarks.registry import samples_of
from themis.testing.endpoint import FakeEndpoint

Themis = Callable[..., Any]
"""Runs a command: `code`, `out`, `err`, `data` (see `conftest`)."""

LEAVES = [
    *[[name] for group in COMMANDS.values() for name, place, _ in group if not place.endswith(":app")],
    *[["quick-eval", name] for name in ("inline", "file", "huggingface", "benchmark")],
    *[["preview", "quick-eval", name] for name in ("inline", "file", "huggingface", "benchmark")],
    ["preview"],
    *[["import"], ["import", "outputs"]],
    *[["inspect", name] for name in ("snapshot", "state", "evaluation", "case")],
    *[["catalog", name] for name in ("list", "show", "validate")],
    *[["study", name] for name in ("plan", "run", "status", "report", "suites")],
]
LEAVES = [leaf for leaf in LEAVES if leaf not in (["inspect"], ["worker"], ["batch"])] + [
    ["worker", "run"],
    ["worker", "status"],
    ["batch", "run"],
    ["batch", "cancel"],
]


@pytest.mark.parametrize("leaf", LEAVES, ids=" ".join)
def test_help_has_an_example_and_fits_into_80_columns(leaf: list[str], themis: Themis) -> None:
    done = themis(*leaf, "--help")
    assert done.code == 0
    assert f"themis {' '.join(leaf)}" in done.out.partition("For example:")[2]
    assert "Exit codes: 0 done, 1 a gate failed" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_overview_says_what_each_command_says_of_itself(themis: Themis) -> None:
    overview = themis("--help").out
    examples = overview.partition("For example:")[2].partition("╭")[0].split("themis ")[1:]
    assert {example.split()[0] for example in examples} <= {name for of in COMMANDS.values() for name, _, _ in of}
    for group, commands in COMMANDS.items():
        assert group in overview
        for name, _, line in commands:
            assert " ".join(f"{name} {line}".split()) in " ".join(overview.replace("│", " ").split())
            assert line in " ".join(themis(name, "--help").out.split())


# --- carrying out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["plan", "estimate", "preview"])
def test_a_model_in_this_process_is_planned_to_cost_nothing(command: str, project: Path, themis: Themis) -> None:
    assert "about $0.0000 for the whole run\n" in themis(command, "experiment.yaml").out
    paid = 'generation.generator={id: openai/m, base_url: "http://127.0.0.1:9/v1"}'
    assert "the price of openai/m is not known" in themis(command, "experiment.yaml", paid).out


def test_a_run_and_its_report_are_grouped_by_what_was_asked_for(project: Path, themis: Themis) -> None:
    Path("questions.csv").write_text("input,expected_output,topic\n1 + 1,2,sums\n2 * 3,6,products\n", encoding="utf-8")
    command = ("run", "experiment.yaml", "datasets=[{path: questions.csv, metadata_fields: [topic]}]")
    refused = themis(*command, "--by", "topc")
    assert (refused.code, Path("runs").exists()) == (2, False)
    assert "by: 'topc' is no key of any case's metadata; did you mean topic?" in refused.err
    assert "builtin/exact_match by topic" in themis(*command, "--by", "topic,dataset").out
    assert "match by " not in themis("report", "latest").out
    for kind in ("markdown", "latex", "html", "json"):
        assert "products" in themis("report", "latest", "--by", "topic", "--format", kind).out
    assert "none leaves groups out, and stands alone" in themis("report", "latest", "--by", "none,topic").err


def test_what_did_it_cost_takes_one_command(project: Path, themis: Themis) -> None:
    with FakeEndpoint() as endpoint:
        model = f"generation.generator={{id: openai/tiny, base_url: {endpoint.base_url}}}"
        prices = "runtime.prices={openai/tiny: {prompt: 1000, completion: 2000}}"
        ran = themis("run", "experiment.yaml", model, prices, "--limit", "4", "--json").data["costs"]
        shown = themis("run", "experiment.yaml", model, prices, "--limit", "4").out
        report = ("report", "latest", "--format", "json")
        assert json.loads(themis(*report).out)["costs"] == ran
        twice = json.loads(themis(*report, "--price", "openai/tiny=2000,4000").out)["costs"]
        assert twice["cost"] == pytest.approx(2 * ran["cost"])
        themis("run", "experiment.yaml", model.replace("}", ", temperature: 0.5}"), "--limit", "3")
    [row] = ran["rows"]
    assert (row["model"], row["calls"], ran["is_lower_bound"]) == ("openai/tiny", 4, False)
    assert ran["cost"] == pytest.approx((row["prompt_tokens"] + 2 * row["completion_tokens"]) / 1000)
    assert "Tokens and cost\n" in shown
    assert f"${ran['cost']:.4f}" in shown
    assert max(map(len, shown.splitlines()[:20])) <= 80
    unpriced = themis("report", "latest").out
    assert "the cost is not known\\: price unknown, tokens counted\\: openai/tiny (3 calls)" in unpriced
    refused = themis(*report, "--price", "openai/tiny=1000", "--price", "tiny")
    assert refused.code == 2
    for found in ("'openai/tiny=1000'", "'tiny'"):
        assert f"MODEL=PROMPT,ANSWER expected, as in vllm/mine=0.1,0.4; found {found}" in refused.err


def test_a_report_estimates_the_details_that_were_asked_for(project: Path, themis: Themis) -> None:
    rows = [{"input": "?", "expected_output": {"name": n, "total": 1}} for n in range(4)]
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    words = ["quick-eval", "file", "rows.jsonl", "--model", "builtin/demo_generator", "--metric", "json_fields"]
    assert themis(*words).code == 0
    done = json.loads(themis("report", "latest", "--details", "fields", "--format", "json").out)
    assert {name: one["mean"] for name, one in done["details"].items()} == {
        "builtin/json_fields:fields.name": 1.0,
        "builtin/json_fields:fields.total": 1.0,
    }
    refused = themis("report", "latest", "--details", "fields.nam")
    assert refused.code == 2
    assert "number or a boolean at 'fields.nam'; there are fields.name, fields.total, unexpected" in refused.err


def test_the_starter_project_runs_and_goes_on(project: Path, themis: Themis) -> None:
    first = themis("run", "experiment.yaml", "--limit", "8")
    assert first.code == 0
    assert "builtin/exact_match" in first.out
    assert "stored in runs/themis.sqlite3" in first.out
    assert first.err == ""
    again = themis("resume", "experiment.yaml", "--limit", "8", "--json").data
    assert (again["status"], again["progress"]["total_cases"]) == ("completed", 8)
    whole = themis("run", "experiment.yaml", "--json").data
    assert set(whole["metrics"]) == {"builtin/exact_match", "close_enough"}
    assert whole["progress"]["total_cases"] == 40


def test_a_run_stops_at_a_stage_and_resumes(project: Path, themis: Themis) -> None:
    done = themis("run", "experiment.yaml", "--until", "generate", "--json")
    assert done.data["completed_through_stage"] == "generate"
    assert themis("resume", "experiment.yaml", "--json").data["completed_through_stage"] == "judge"


def test_a_run_stops_as_soon_as_its_rule_decides(project: Path, themis: Themis) -> None:
    Path("many.csv").write_text(
        "input,expected_output\n" + "".join(f"{n} + {n},{2 * n}\n" for n in range(300)), "utf-8"
    )
    command = ("run", "experiment.yaml", "datasets=[{path: many.csv}]")
    rule = ("--until", "exact_match>=0.5")
    done = themis(*command, *rule, "--require", "exact_match>=0.5")
    assert done.code == 0
    text = " ".join(done.out.split())
    assert "builtin/exact_match>=0.5: passes (looked at every 50 cases, stopped after 50 of 300)" in text
    assert "250 cases were not planned any more" in text
    assert "passed: builtin/exact_match>=0.5: lower end of the 95 % interval" in text
    again = themis(*command, *rule, "--json").data
    assert (again["stop"]["cases"], again["progress"]["total_cases"]) == (50, 50)
    assert (again["stop"]["decision"], again["status"]) == ("passes", "completed")
    assert "nothing to do" in themis("plan", *command[1:], *rule).out
    assert themis("resume", *command[1:], *rule, "--json").data["digest"] == again["digest"]
    assert themis("list", "--json").data[0]["total_cases"] == 50
    assert "stopped after 50 of 300" in themis("quickcheck", "latest").out
    assert themis("verify", "latest", "--config", "experiment.yaml").code == 0
    for kind in ("markdown", "html"):
        assert "stopped after 50 of 300" in themis("report", "latest", "--format", kind).out
    fails = themis(*command, "evaluation.until=exact_match>=0.95", "--json")
    assert (fails.code, fails.data["stop"]["decision"]) == (0, "fails")
    failed = themis(*command, "--until", "exact_match>=0.95", "--require", "exact_match>=0.95")
    assert failed.code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--until", "prase"], "--until prase: a stage, or a rule such as 'exact_match>=0.8'"),
        (["--until", "a>=0.5", "--until", "b>=0.5"], "--until: one rule decides when a run stops, found 2"),
        (["--until", "parse", "--until", "score"], "--until: one last stage expected, found parse, score"),
        (["--until", "exact_match>=0.5", "--until", "parse"], "is not scored before stage 'score'"),
        (["--until", "exact_match>=2"], "a value between 0 and 1 expected"),
    ],
)
def test_what_until_does_not_take(project: Path, themis: Themis, words: list[str], said: str) -> None:
    done = themis("run", "experiment.yaml", *words)
    assert done.code == 2
    assert said in done.err


def test_a_comparison_is_decided_case_by_case(project: Path, themis: Themis) -> None:
    themis("run", "experiment.yaml")
    a = themis("list", "--json").data[0]["run_id"]
    themis("run", "experiment.yaml", "generation.generator={id: builtin/demo_model, error_rate: 1.0}")
    rule = ("--until", "exact_match>=-0.1, every=10")
    done = themis("compare", a, "latest", *rule, "--junit", "gate.xml")
    assert done.code == 1
    assert "FAILED: builtin/exact_match>=-0.1, every=10: " in done.out
    assert "fails (looked at every 10 cases, stopped after" in done.out
    assert len(list(ET.parse("gate.xml").getroot().iter("failure"))) == 1
    found = themis("compare", "latest", a, *rule, "--json")
    assert found.code == 0
    assert found.data["until"]["stop"]["decision"] == "passes"
    assert found.data["gates"][0]["passed"] is True
    assert "until" not in themis("compare", "latest", a, "--json").data
    assert themis("compare", "latest", a, "--until", "exact_match>=-1").code == 2


def test_plan_says_what_is_reused_and_why(project: Path, themis: Themis) -> None:
    before = themis("plan", "experiment.yaml", "--json").data
    assert not (project / "runs").exists()  # to look is not to make
    assert {stage["stage"]: stage["to_do"] for stage in before["stages"]}["generate"] == 40
    assert before["cost"] == {"us_dollars": 0.0, "unknown": []}
    themis("run", "experiment.yaml")
    changed = themis("plan", "experiment.yaml", "evaluation.metrics=builtin/f1")
    assert "40 stored        0 to do" in changed.out
    assert "changed metric_refs" in changed.out
    assert "nothing to do" in themis("plan", "experiment.yaml").out


def test_estimate_counts_steps_and_prices_tokens(project: Path, themis: Themis) -> None:
    data = themis("estimate", "experiment.yaml", "--samples", "2", "generation.reducer=majority_vote", "--json").data
    assert data["planned_generation_tasks"] == 80
    text = themis("estimate", "experiment.yaml", "generation.generator=openai/gpt-4o", "--max-tokens", "10").out
    assert "about $0." in text
    assert "planned generation tasks" in text


def test_replay_scores_stored_answers_anew_without_a_model(project: Path, themis: Themis) -> None:
    assert themis("replay", "experiment.yaml", "--stage", "score").code == 2
    first = themis("run", "experiment.yaml", "--json").data
    again = themis("replay", "experiment.yaml", "--stage", "score", "--json").data
    assert again["digest"] == first["digest"]
    other = themis("replay", "experiment.yaml", "evaluation.metrics=builtin/f1", "--stage", "score", "--json").data
    assert set(other["metrics"]) == {"builtin/f1"}


def test_rejudge_asks_the_judges_again(project: Path, themis: Themis) -> None:
    judged = ["evaluation.metrics=builtin/llm_rubric", "evaluation.judge_models=builtin/demo_judge", "--limit", "3"]
    rubric = "evaluation.workflow_overrides.rubric=Is it right?"
    assert themis("run", "experiment.yaml", *judged, rubric).code == 0
    assert themis("rejudge", "experiment.yaml", *judged, rubric, "--json").data["status"] == "completed"


def test_verify_passes_a_run_and_fails_an_edited_one(project: Path, themis: Themis) -> None:
    import sqlite3

    themis("run", "experiment.yaml")
    done = themis("verify", "latest", "--config", "experiment.yaml")
    assert (done.code, done.out.splitlines()[-1]) == (0, "verified")
    with contextlib.closing(sqlite3.connect(project / "runs" / "themis.sqlite3")) as db, db:
        db.execute("update event set payload = replace(payload, '\"value\":0.0', '\"value\":1.0')")
    done = themis("verify", "latest", "--config", "experiment.yaml", "--json")
    assert (done.code, done.data["ok"]) == (1, False)


# --- options and variables --------------------------------------------------------------------------------


def test_options_come_from_variables_too(project: Path, themis: Themis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMIS_STORE", "runs/other.sqlite3")
    monkeypatch.setenv("THEMIS_LIMIT", "3")
    assert themis("run", "experiment.yaml", "--json").data["progress"]["total_cases"] == 3
    assert themis("run", "experiment.yaml", "--limit", "2", "--json").data["progress"]["total_cases"] == 2
    assert (project / "runs" / "other.sqlite3").exists()
    assert len(themis("list", "--json").data) == 2


def test_an_address_with_a_password_is_kept_by_the_variable_s_name(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql://me:hunter2@localhost/runs"
    assert storage_of(address).parameters == {"dsn": address}  # refused when the store is opened
    monkeypatch.setenv("THEMIS_STORE", address)
    assert storage_of(address).parameters == {"dsn": "${oc.env:THEMIS_STORE}"}


def test_the_field_s_spellings_are_aliases(project: Path, themis: Themis) -> None:
    ours = ["--samples", "2", "--concurrency", "3", "--seed", "7", "--limit", "2"]
    theirs = ["--epochs", "2", "--max-connections", "5", "--seed", "7", "--limit", "2"]
    reduced = "generation.reducer=majority_vote"
    run_ids = {themis("run", "experiment.yaml", reduced, *words, "--json").data["run_id"] for words in (ours, theirs)}
    assert len(run_ids) == 1


def test_sampling_options_reach_the_model(project: Path, themis: Themis, monkeypatch: pytest.MonkeyPatch) -> None:
    model = "generation.generator=openai/gpt-4o"
    plain, warm = (
        themis("estimate", "experiment.yaml", model, *words, "--json").data["run_id"]
        for words in ([], ["--temperature", "0.5", "--max-tokens", "9"])
    )
    config = project / "warm.yaml"
    written = (project / "experiment.yaml").read_text(encoding="utf-8")
    arguments = "{id: openai/gpt-4o, temperature: 0.5, max_tokens: 9}"
    config.write_text(written.replace("generator: builtin/demo_model", f"generator: {arguments}"), encoding="utf-8")
    assert themis("estimate", "warm.yaml", "--json").data["run_id"] == warm != plain


def test_a_run_in_memory_says_that_it_ends_with_the_command(project: Path, themis: Themis) -> None:
    done = themis("run", "experiment.yaml", "--store", "memory", "--json")
    assert done.data["status"] == "completed"
    assert "kept in memory" in done.err
    assert not (project / "runs").exists()


# --- quick-eval -------------------------------------------------------------------------------------------


def test_inline_questions(project: Path, themis: Themis) -> None:
    words = ["quick-eval", "inline", "1+1", "2+2", "--expected", "2", "4", "--model", "builtin/demo_generator"]
    done = themis(*words, "--metric", "exact_match", "f1", "--json")
    assert {name: row["mean"] for name, row in done.data["metrics"].items()} == {
        "builtin/exact_match": 1.0,
        "builtin/f1": 1.0,
    }
    done = themis(*words, "--expected", "5", "--metric", "exact_match")
    assert (done.code, "3 expected answers for 2 questions" in done.err) == (2, True)


def test_a_benchmark_by_name(project: Path, themis: Themis) -> None:
    rows = "".join(f"{json.dumps(dict(sample.row))}\n" for sample in samples_of("mmlu_pro"))
    (project / "rows.jsonl").write_text(rows, encoding="utf-8")
    words = ["quick-eval", "benchmark", "mmlu_pro", "--model", "builtin/demo_generator", "--source", "rows.jsonl"]
    done = themis(*words, "--limit", "1", "--json")
    assert done.code == 0, done.err
    assert (done.data["progress"]["total_cases"], set(done.data["metrics"])) == (1, {"builtin/choice_accuracy"})


def test_a_benchmark_with_several_samples_is_reported_at_its_usual_k(project: Path, themis: Themis) -> None:
    rows = "".join(f"{json.dumps(dict(sample.row))}\n" for sample in samples_of("aime_2025"))
    (project / "rows.jsonl").write_text(rows, encoding="utf-8")
    words = ["quick-eval", "benchmark", "aime_2025", "--model", "builtin/demo_model", "--source", "rows.jsonl"]
    assert "k = 1, 4, 16, 64" in themis("catalog", "show", "aime_2025").out
    for extra, ks in ((["--samples", "6"], [1, 4, 6]), (["--samples", "6", "--report-at", "2,3"], [2, 3])):
        several = themis(*words, *extra, "--json").data["several_answers"]["builtin/math_equivalence"]
        assert [one["metric_id"] for one in several["pass_at"]] == [f"pass@{k}" for k in ks]


# --- gates ------------------------------------------------------------------------------------------------


def test_several_answers_are_reported_and_gated_at_the_k_that_are_named(project: Path, themis: Themis) -> None:
    run = ["run", "experiment.yaml", "--samples", "4", "--report-at", "1,3"]
    done = themis(*run, "--require", "exact_match:pass@3>=0.9", "exact_match:maj@4>=0.99")
    assert done.code == 1
    assert "4 answers a case" in done.out
    assert [line.split(" | ")[1].strip() for line in done.out.splitlines() if line.startswith("builtin/exact_match |")][
        1:
    ] == ["1", "3"]
    assert "passed: builtin/exact_match:pass@3>=0.9: lower end" in done.out
    assert "FAILED: builtin/exact_match:maj@4>=0.99: lower end" in done.out
    several = themis(*run, "--json").data["several_answers"]["builtin/exact_match"]
    assert [estimate["metric_id"] for estimate in several["pass_at"]] == ["pass@1", "pass@3"]
    rows = json.loads(themis("report", "latest", "--format", "json").out)["score_rows"]
    assert len({(row["case_key"], row["candidate_id"]) for row in rows}) == 40 * 4
    assert "## 4 answers a case" in themis("report", "latest", "--report-at", "2").out


def test_a_requirement_on_the_interval_or_the_mean(project: Path, themis: Themis) -> None:
    run = ["run", "experiment.yaml", "--require", "exact_match>=0.7"]
    done = themis(*run, "--junit", "out/gate.xml")
    assert done.code == 1
    assert "FAILED: builtin/exact_match>=0.7: lower end of the 95 % interval" in done.out
    suite = ET.parse(project / "out" / "gate.xml").getroot()  # our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    done = themis(*run, "--require-on", "mean", "--json")
    assert (done.code, done.data["gates"][0]["passed"]) == (0, True)
    done = themis("run", "experiment.yaml", "--require", "exact_match<0.9", "exact_match<=0.8", "exact_match>0.5")
    assert done.code == 1
    assert "passed: builtin/exact_match<0.9: upper end of the 95 % interval" in done.out
    assert "FAILED: builtin/exact_match<=0.8: upper end of the 95 % interval" in done.out
    assert "passed: builtin/exact_match>0.5: lower end of the 95 % interval" in done.out


def test_an_incomplete_run_counts_before_its_gates(project: Path, themis: Themis) -> None:
    fails = "from themis import metric\n\n@metric\ndef odd(parsed, case):\n    return 1 / (case.case_id != '1+2')\n"
    (project / "odd.py").write_text(fails, encoding="utf-8")
    words = ["evaluation.metrics=odd:odd", "--require", "odd>=0.1", "--junit", "gate.xml"]
    done = themis("run", "experiment.yaml", *words)
    assert done.code == 3
    assert "ZeroDivisionError" in done.out
    assert ET.parse(project / "gate.xml").getroot().get("errors") == "1"  # our own


def test_compare_gates_on_the_paired_interval(project: Path, themis: Themis) -> None:
    better = ["generation.generator={id: builtin/demo_model, error_rate: 0.0}"]
    a = themis("run", "experiment.yaml", "--json").data["run_id"]
    b = themis("run", "experiment.yaml", *better, "--json").data["run_id"]
    gate = ["--fail-on-regression", "exact_match"]
    assert themis("compare", a[:12], b[:12], *gate).code == 0
    done = themis("compare", b, a, *gate, "--junit", "gate.xml", "--json")
    assert (done.code, done.data["gates"][0]["passed"]) == (1, False)
    assert ET.parse(project / "gate.xml").getroot().get("failures") == "1"  # our own
    assert themis("compare", b, a, "--fail-on-regression", "exact_match:0.9").code == 0
    assert themis("compare", b, a, "--fail-on-regression", "exact_mach").code == 2
    assert themis("compare", a, a, *gate).code == 0
    assert themis("compare", a, a, *gate, "--regression-on", "mean").code == 0


def test_compare_counts_an_incomplete_run_before_its_gates(project: Path, themis: Themis) -> None:
    base = themis("run", "experiment.yaml", "--json").data["run_id"]
    fails = "from themis import generator\n\n@generator\ndef odd(case):\n    if case.case_id == '1+2':\n"
    fails += "        raise RuntimeError('down')\n    return case.expected_output\n"
    (project / "odd.py").write_text(fails, encoding="utf-8")
    assert themis("run", "experiment.yaml", "generation.generator=odd:odd").code == 3
    done = themis("compare", base, "latest", "--fail-on-regression", "exact_match:0.1", "--junit", "gate.xml")
    assert done.code == 3
    assert "passed: builtin/exact_match:0.1" in done.out
    assert "1 pair lacks a score: counting them" in done.out
    assert "is not complete (partial_failure)" in done.out
    suite = ET.parse(project / "gate.xml").getroot()  # our own
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "1")


def test_compare_reports_and_gates_figures_of_several_answers(project: Path, themis: Themis) -> None:
    better = ["generation.generator={id: builtin/demo_model, error_rate: 0.0}"]
    a = themis("run", "experiment.yaml", "--samples", "4", "--json").data["run_id"]
    b = themis("run", "experiment.yaml", "--samples", "4", *better, "--json").data["run_id"]
    words = ["--metric", "builtin/exact_match", "--report-at", "1", "--json"]
    done = themis("compare", a, b, *words, "--fail-on-regression", "exact_match:pass@4:0.1")
    assert (done.code, done.data["gates"][0]["gate"]) == (0, "builtin/exact_match:pass@4:0.1")
    names = [each["metric_id"].removeprefix("builtin/exact_match") for each in done.data["comparisons"]]
    assert names == ["", ":maj@1", ":maj@4", ":pass@1", ":pass@4", ":pass^1", ":pass^4"]
    assert "each case has 4 answers" in themis("compare", a, b, "--report-at", "5").err


# --- looking and moving -----------------------------------------------------------------------------------


def test_list_and_report(project: Path, themis: Themis) -> None:
    run_id = themis("run", "experiment.yaml", "--json").data["run_id"]
    *_, line, settings, figures = themis("list").out.splitlines()
    assert (line[:12], settings.strip()) == (run_id[:12], "error_rate 0.25")
    mean = themis("report", "latest", "--format", "json").data["metrics"]["builtin/exact_match"]["mean"]
    assert f"exact_match {mean:.4f} [" in figures
    *_, settings, figures = themis("list", "--no-figures").out.splitlines()
    assert (settings.strip(), "[" in figures) == ("error_rate 0.25", False)
    [listed] = themis("list", "--json").data
    assert listed["scores"][0]["mean"] == mean
    assert (listed["cost"], listed["differing"]) == (0.0, {})
    assert "sort: runs can't be sorted by 'meen'" in themis("list", "--sort", "meen").err
    assert [line["run_id"] for line in themis("list", "--json").data] == [run_id]
    assert "# " in themis("report", "latest").out
    assert json.loads(themis("report", run_id[:8], "--format", "json").out)["run_id"] == run_id
    done = themis("report", "latest", "--output", "reports/a.md")
    assert (done.code, done.out) == (0, "")
    assert (project / "reports" / "a.md").read_text(encoding="utf-8") == themis("report", "latest").out


def test_a_run_is_found_by_its_name_and_tags_and_renamed_by_running_it_again(project: Path, themis: Themis) -> None:
    few = ("run", "experiment.yaml", "--limit", "3", "--json")
    a = themis(*few, "--name", "baseline", "--tag", "paper", "--tag", "v1").data
    assert (a["name"], a["tags"]) == ("baseline", ["paper", "v1"])
    b = themis(*few, "evaluation.metrics=builtin/f1", "name=tuned", "tags=[paper]", "--tag", "v2").data
    assert (b["name"], b["tags"]) == ("tuned", ["paper", "v2"])
    quick = ("quick-eval", "inline", "1 + 1", "--expected", "2", "--model", "builtin/demo_model", "--metric", "f1")
    c = themis(*quick, "--name", "quick", "--json").data

    def listed(*words: str) -> list[str]:
        return [line["run_id"] for line in themis("list", "--json", *words).data]

    ids = [run["run_id"] for run in (c, b, a)]
    assert listed() == ids
    assert listed("--tag", "paper") == ids[1:]
    assert listed("--tag", "paper", "--tag", "v2") == listed("--name", "tuned") == [b["run_id"]]
    assert listed("--name", "nothing") == []
    assert "    baseline #paper #v1; error_rate 0.25" in themis("list").out
    assert themis("quickcheck", "tuned", "--json").data["name"] == "tuned"
    for kind in ("markdown", "html"):
        assert all(word in themis("report", "baseline", "--format", kind).out for word in ("baseline", "paper"))
    shown = themis("inspect", "snapshot", "baseline").out
    assert shown.startswith("name: baseline\ntags:\n- paper\n- v1\n")
    assert "descriptions:\n  generator:\n    error_rate: 0.25\n" in shown
    again = themis("run", "experiment.yaml", "--limit", "3", "--name", "first", "--tag", "old")
    assert f"run {a['run_id']} (first)" in again.out
    assert [line["tags"] for line in themis("list", "--name", "first", "--json").data] == [["paper", "v1", "old"]]
    assert themis("verify", "first", "--config", "experiment.yaml").out.endswith("verified\n")
    clash = themis("run", "experiment.yaml", "--limit", "4", "--name", "first", "--json").data
    refused = themis("quickcheck", "first")
    assert (refused.code, "2 runs in" in refused.err, "have the name 'first'" in refused.err) == (2, True, True)
    assert themis("quickcheck", clash["run_id"][:12], "--json").data["name"] == "first"


@pytest.mark.parametrize("words", [("--name", ""), ("--tag", " "), ("name=''",), ("tags=[a, '']",)], ids=" ".join)
def test_an_empty_name_or_tag_is_refused_before_anything_is_run(
    words: tuple[str, ...], project: Path, themis: Themis
) -> None:
    refused = themis("run", "experiment.yaml", *words)
    assert (refused.code, "text expected, found" in refused.err) == (2, True), refused.err
    assert not Path("runs").exists()


def test_a_credential_in_a_name_is_refused_before_anything_is_run(project: Path, themis: Themis) -> None:
    key = "sk-" + "proj-" + "a1B2c3D4e5F6g7H8i9J0"
    refused = themis("run", "experiment.yaml", "--tag", key)
    assert (refused.code, key in refused.err, "tags[0]" in refused.err) == (2, False, True)
    assert not Path("runs").exists()


@pytest.mark.parametrize("kind", ["markdown", "json", "csv", "latex", "html", "parquet"])
def test_a_report_of_every_format(kind: str, project: Path, themis: Themis) -> None:
    themis("run", "experiment.yaml", "--limit", "3")
    assert themis("report", "latest", "--format", kind, "--output", "out/report").code == 0
    written = (project / "out" / "report").read_bytes()
    done = themis("report", "latest", "--format", kind)
    if kind == "parquet":
        assert (done.code, "--output" in done.err, written[:4]) == (2, True, b"PAR1")
    else:
        assert done.out.rstrip() == written.decode().rstrip()


def test_list_and_search_find_what_is_asked_for(project: Path, themis: Themis) -> None:
    a = themis("run", "experiment.yaml", "--limit", "3", "--json").data["run_id"]
    b = themis("run", "experiment.yaml", "evaluation.metrics=builtin/f1", "--limit", "3", "--json").data["run_id"]
    assert [line["run_id"] for line in themis("list", "--metric", "builtin/f1", "--json").data] == [b]
    assert [line["run_id"] for line in themis("list", "--json").data] == [b, a]
    assert themis("list", "--since", "2999-01-01", "--json").data == []
    assert themis("list", "--model", "openai/gpt-4o").out == "no runs\n"
    hits = themis("search", '"What is 1 + 3"', "--json").data
    assert {hit["case_id"] for hit in hits} == {"1+3"}
    assert "1+3" in themis("search", "1 3").out
    assert themis("search", "nowhere").out == "nothing found\n"


def test_a_run_in_a_folder_of_json_lines(project: Path, themis: Themis) -> None:
    first = themis("run", "experiment.yaml", "--store", "jsonl:runs/log", "--json").data
    assert themis("resume", "experiment.yaml", "--store", "jsonl:runs/log", "--json").data == first
    verify = ("verify", "latest", "--store", "jsonl:runs/log")
    in_part = themis(*verify)
    assert in_part.code == 3
    assert "pass the experiment (--config) to verify it too\nverified in part\n" in in_part.out
    assert themis(*verify, "--config", "experiment.yaml").code == 0


@pytest.mark.parametrize("kind", ["generation", "reduction", "parse", "score", "evaluation"])
def test_a_bundle_of_every_kind_moves_a_run(kind: str, project: Path, themis: Themis) -> None:
    run_id = themis("run", "experiment.yaml", "--json").data["run_id"]
    assert themis("export", kind, "latest", "stage.json.gz").code == 0
    moved = themis("import", "stage.json.gz", "--store", "runs/other.sqlite3", "--json").data
    assert (moved["run_id"], moved["kind"]) == (run_id, kind)
    assert [line["run_id"] for line in themis("list", "--store", "runs/other.sqlite3", "--json").data] == [run_id]
    done = themis("run", "experiment.yaml", "--store", "runs/other.sqlite3", "--json")
    assert done.data["digest"] == themis("run", "experiment.yaml", "--json").data["digest"]


def test_inspect_shows_a_run_piece_by_piece(project: Path, themis: Themis) -> None:
    judged = ["evaluation.metrics=builtin/llm_rubric", "evaluation.judge_models=builtin/demo_judge", "--limit", "2"]
    themis("run", "experiment.yaml", *judged, "evaluation.workflow_overrides.rubric=Is it right?")
    snapshot = themis("inspect", "snapshot", "latest", "--json").data
    assert snapshot["identity"]["workflow_overrides"] == {"rubric": "Is it right?"}
    assert "rubric: Is it right?" in themis("inspect", "snapshot", "latest").out
    assert themis("inspect", "state", "latest", "--json").data["completed_through_stage"] == "judge"
    execution = themis("inspect", "evaluation", "latest", "1+2", "builtin/llm_rubric", "--json").data
    assert execution["judge_responses"]
    assert "judge_responses:" in themis("inspect", "evaluation", "latest", "1+2", "builtin/llm_rubric").out
    assert "What is 1 + 2?" in themis("inspect", "case", "latest", "1+2").out
    assert themis("inspect", "case", "latest", "1+2", "--json").data["case_id"] == "1+2"
    done = themis("inspect", "case", "latest", "1+")
    assert (done.code, "1+" in done.err) == (2, True)


def test_quickcheck_sums_a_run_up(project: Path, themis: Themis) -> None:
    themis("run", "experiment.yaml")
    assert themis("quickcheck", "latest", "--json").data["status"] == "completed"
    assert "builtin/exact_match" in themis("quickcheck", "latest").out


def test_catalog(themis: Themis) -> None:
    assert any(entry["benchmark_id"] == "mmlu_pro" for entry in themis("catalog", "list", "--json").data)
    assert max(map(len, themis("catalog", "list").out.splitlines())) <= 80
    assert "builtin/exact_match" in themis("catalog", "list", "components", "--kind", "metric").out.splitlines()
    assert "TIGER-Lab/MMLU-Pro" in themis("catalog", "show", "mmlu_pro").out
    done = themis("catalog", "validate", "mmlu_pro")
    assert (done.code, done.out.splitlines()[-1]) == (0, "valid")


# --- later ------------------------------------------------------------------------------------------------


def test_submit_and_work_off(project: Path, themis: Themis) -> None:
    done = themis("submit", "experiment.yaml", "--queue", "queue", "--limit", "4", "--json").data
    assert "waiting" in themis("worker", "status", "--queue", "queue").out
    worked = themis("worker", "run", "--queue", "queue", "--json")
    assert worked.code == 0
    assert [(each["run_id"], each["status"]) for each in worked.data] == [(done["run_id"], "completed")]
    assert themis("worker", "status", "--queue", "queue", "--json").data["done"] == [done["run_id"]]
    assert themis("resume", "experiment.yaml", "--limit", "4").code == 0


def test_a_worker_with_a_failure_exits_with_3(project: Path, themis: Themis) -> None:
    themis("submit", "experiment.yaml", "--queue", "queue")
    (project / "questions.jsonl").write_text('{"input": "other"}\n', encoding="utf-8")
    done = themis("worker", "run", "--queue", "queue")
    assert done.code == 3
    assert "changed since" in done.err
    assert "failed" in themis("worker", "status", "--queue", "queue").out


@pytest.fixture
def submitted(project: Path, themis: Themis, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeEndpoint, str]]:
    """Return an endpoint, and the id of a run that was submitted as a batch for it."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FakeEndpoint() as endpoint:
        model = f"generation.generator={{id: openai/m, base_url: '{endpoint.base_url}', api: chat}}"
        words = ["experiment.yaml", model, "--limit", "3", "--mode", "batch", "--queue", "batches"]
        done = themis("submit", *words, "runtime.batch_poll_s=0.01", "--json")
        assert done.code == 0, done.err
        yield endpoint, done.data["run_id"]


@pytest.mark.usefixtures("submitted")
def test_a_batch_is_handed_in_and_its_answers_are_scored(themis: Themis) -> None:
    done = themis("batch", "run", "--queue", "batches", "--json")
    assert [each["status"] for each in done.data] == ["completed"], done.out + done.err
    assert done.code == 0


def test_a_batch_is_cancelled_and_a_later_run_hands_in_another(
    submitted: tuple[FakeEndpoint, str], themis: Themis
) -> None:
    endpoint, run_id = submitted
    # As a process leaves it that was stopped while it waited.
    endpoint.protocols.files["f"] = b""
    endpoint.protocols.answer("POST", "/v1/batches", {}, b'{"input_file_id": "f"}')
    BatchLog(Path("batches") / f"{run_id}.jsonl").add(Submission(digest="d", batch_id="batch_1"))
    assert themis("batch", "cancel", "--queue", "batches").out == f"run {run_id[:12]}: cancelled batch_1\n"
    assert endpoint.protocols.batches["batch_1"]["is_cancelled"]
    assert themis("batch", "cancel", run_id, "--queue", "batches", "--json").data == {run_id: []}
    done = themis("batch", "run", "--queue", "batches", "--json")
    assert [each["status"] for each in done.data] == ["completed"], done.out + done.err
    assert len(endpoint.protocols.batches) == 2
    assert themis("batch", "cancel", "--queue", "batches").out == "nothing waits\n"


# --- setting up -------------------------------------------------------------------------------------------


def test_schema_is_the_one_that_init_writes(project: Path, themis: Themis) -> None:
    assert themis("schema").data == json.loads((project / "config.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_options(shell: str, themis: Themis) -> None:
    script = themis("completion", shell).out
    for word in ("quick-eval", "compare", "fail-on-regression"):
        assert word in script


def test_init_writes_nothing_over(project: Path, themis: Themis) -> None:
    (project / "experiment.yaml").write_text("mine", encoding="utf-8")
    assert themis("init").code == 2
    assert (project / "experiment.yaml").read_text(encoding="utf-8") == "mine"
    assert themis("init", "--force").code == 0
    assert themis("init", "sub/folder", "--json").data["written"][0] == "sub/folder/experiment.yaml"


def test_clusters_are_named_by_a_key_of_the_cases(project: Path, themis: Themis) -> None:
    rows = "".join(f"{i} + {i},{2 * i},{'abc'[i % 3]}\n" for i in range(1, 31))
    (project / "sums.csv").write_text(f"input,expected_output,page\n{rows}", encoding="utf-8")
    command = ("run", "experiment.yaml", "datasets=[{path: sums.csv, metadata_fields: [page]}]", "--json")
    a = themis(*command).data["run_id"]
    b = themis(*command, "generation.generator={id: builtin/demo_model, error_rate: 0.5}").data["run_id"]
    for words in (("compare", a, b), ("report", b)):
        refused = themis(*words, "--cluster-by", "pge")
        assert refused.code == 2
        assert "cluster_by: 'pge' is no key of any case's metadata; did you mean page?" in refused.err
    compared = themis("compare", a, b, "--cluster-by", "page", "--json").data["comparisons"][0]
    assert (compared["clusters"], compared["interval"]["method"]) == (3, "clustered Bonett-Price (CR2)")
    asked = themis("compare", a, b, "--cluster-by", "page", "--correction", "cr1", "--json").data["comparisons"][0]
    assert asked["interval"]["method"] == "clustered Bonett-Price (CR1)"
    assert "(CR2)" in themis("report", b, "--cluster-by", "page", "--format", "json").out
    assert "(CR1)" in themis("report", b, "--cluster-by", "page", "--correction", "cr1", "--format", "json").out
