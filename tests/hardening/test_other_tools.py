"""What is read and written of other tools' logs, against what those tools say of it, each from its own package.

They stand in an environment of their own (`make logs` makes it, and names its interpreter in THEMIS_TOOLS_PYTHON);
what is not installed there is skipped, and so are real logs where there are none (THEMIS_LOG_SAMPLES).
"""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import PostgresServer

from themis import (
    InMemoryRunStore,
    JsonlRunStore,
    PostgresRunStore,
    RunResult,
    SqliteRunStore,
    import_bundle_file,
    import_logs,
    import_outputs,
    score_run,
    verify,
    write_atif,
    write_bundle,
    write_eee,
    write_inspect_log,
    write_lm_eval_log,
)
from themis.pure.interchange.records import IMPORTED
from themis.pure.interchange.scorers.answered import Answered
from themis.pure.interchange.scorers.table import recomputed
from themis.pure.records.dataset import Case

from .conftest import Report, part_of

HERE = Path(__file__).parent
PYTHON = os.environ.get("THEMIS_TOOLS_PYTHON") or ""
SAMPLES = Path(os.environ.get("THEMIS_LOG_SAMPLES") or HERE.parents[2] / "shared" / "samples")
EXACT = "builtin/exact_match"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="real logs are not at hand (THEMIS_LOG_SAMPLES)")


def said(*words: str) -> Any:
    done = subprocess.run(
        [PYTHON, str(HERE / "tools.py"), *words],
        capture_output=True,
        check=False,
        timeout=600,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def version_of(package: str) -> str:
    """Return the version of a tool's package; without it the test is skipped."""
    if not PYTHON:
        pytest.skip(f"{package} is not at hand: `make logs` installs it (THEMIS_TOOLS_PYTHON)")
    asked = [PYTHON, str(HERE / "tools.py"), "version", package]
    done = subprocess.run(asked, capture_output=True, check=False, timeout=60)
    if done.returncode:
        pytest.skip(f"{package} is not installed in the environment of THEMIS_TOOLS_PYTHON")
    return f"{package} {json.loads(done.stdout.splitlines()[-1])[package]}"


def imported_scores(run: RunResult) -> dict[str, float | None]:
    """Return the imported numbers, by case, answer from 1, and scorer."""
    found: dict[str, float | None] = {}
    for item, state in run.view.cases():
        for index, candidate in state.candidates.items():
            kept: Any = (candidate.artifacts or {}).get(IMPORTED) or {}
            for score in kept.get("scores", ()):
                found[f"{item.case.case_id} {index + 1} {score['name']}"] = score.get("number")
    return found


def answers_of(run: RunResult) -> dict[str, Any]:
    return {
        f"{item.case.case_id} {index + 1}": candidate.final_output
        for item, state in run.view.cases()
        for index, candidate in state.candidates.items()
    }


# --- what the tools say of their own logs ------------------------------------------------------------------


@needs_samples
def test_inspect_says_the_same_of_its_logs(report: Report) -> None:
    version = version_of("inspect-ai")
    paths = [path for path in sorted((SAMPLES / "inspect").iterdir()) if path.name != "data_with_llm_scoring.json"]
    theirs = said("inspect", *map(str, paths))
    samples = scores = 0
    for path in paths:
        [run], log = import_logs(path), theirs[str(path)]
        if path.name.startswith("chunked"):  # Inspect writes this layout, and does not read it yet
            [twin] = [import_logs(other)[0] for other in paths if "agent-sums_" in other.name]
            assert ("refused" in log, run.run_id) == (True, twin.run_id)
            continue
        assert run.progress.total_cases == log["cases"]
        assert len(answers_of(run)) + log["errors"] >= log["samples"] >= len(answers_of(run))
        assert run.snapshot.datasets[0].dataset_id == log["task"]
        about: Any = run.snapshot.provenance.provider_metadata[IMPORTED]
        assert about["model"] == log["model"]
        ours = imported_scores(run)
        assert {name: ours.get(name) for name in log["scores"]} == pytest.approx(log["scores"])
        assert {name: answers_of(run).get(name, "") for name in log["answers"]} == log["answers"]
        if log["usage"].get("total_tokens"):
            assert run.costs().total_tokens == log["usage"]["total_tokens"], path.name
        samples, scores = samples + log["samples"], scores + len(log["scores"])
    report(
        "Inspect's own logs",
        f"{version}: {len(paths) - 1} logs, {samples} samples, {scores} scores and the tokens are the same",
    )


@needs_samples
def test_pydantic_evals_says_the_same(report: Report) -> None:
    version = version_of("pydantic-evals")
    path = SAMPLES / "pydantic_evals" / "report-2.62.0.json"
    [log], [run] = said("pydantic_evals", str(path)).values(), import_logs(path)
    assert run.progress.total_cases == log["cases"] + log["failures"]
    shown = {each["name"]: each["mean"] for each in run.to_dict()["imported_scores"]}
    assert shown["half"] == log["scores"]["half"]
    assert shown["EqualsExpected"] == pytest.approx(log["assertions"])
    report("pydantic-evals' own reports", f"{version}: {log['cases']} cases, {log['failures']} failures, its averages")


@needs_samples
def test_deepeval_says_the_same(report: Report) -> None:
    version = version_of("deepeval")
    paths = [SAMPLES / "deepeval" / f"latest_{name}-4.3.1.json" for name in ("run_full", "test_run")]
    theirs = said("deepeval", *map(str, paths))
    for path in paths:
        [run], log = import_logs(path), theirs[str(path)]
        assert run.progress.total_cases == log["cases"]
        for name, scores in log["scores"].items():
            found = {each["name"]: each for each in run.to_dict()["imported_scores"]}[name]
            assert (found["numbers"], found["mean"]) == (len(scores), pytest.approx(sum(scores) / len(scores)))
    report("deepeval's own runs", f"{version}: {len(paths)} runs, cases and scores are the same")


@needs_samples
def test_harbor_says_the_same_of_trajectories(report: Report, tmp_path: Path) -> None:
    version = version_of("harbor")
    paths = sorted((SAMPLES / "atif").iterdir())
    theirs = said("atif", *map(str, paths))
    for path in paths:
        [run], log = import_logs(path), theirs[str(path)]
        assert log["errors"] == []
        [[candidate]] = [list(state.candidates.values()) for _, state in run.view.cases()]
        assert candidate.trace is not None
        assert candidate.token_usage is not None
        assert candidate.artifacts is not None
        assert len(candidate.trace) == log["steps"]
        assert candidate.token_usage["prompt_tokens"] == log["totals"]["total_prompt_tokens"]
        assert candidate.token_usage["completion_tokens"] == log["totals"]["total_completion_tokens"]
        assert candidate.artifacts["cost"] == log["totals"]["total_cost_usd"]
        again = said("atif", *map(str, write_atif(run.store, run.run_id, tmp_path / path.name).iterdir()))
        assert [(each["errors"], each["steps"]) for each in again.values()] == [([], log["steps"])]
    report("trajectories in ATIF", f"{version}: {len(paths)} of them, read and written again")


@needs_samples
def test_logs_that_state_their_own_figures_have_them(report: Report) -> None:
    """What a tool wrote beside its rows: no package is needed."""
    held = 0
    for folder in sorted((SAMPLES / "helm").iterdir()):
        [run] = import_logs(folder)
        ours: dict[tuple[str, str], list[float]] = {}
        splits = {item.case.case_id: str(item.case.metadata["split"]) for item, _ in run.view.cases()}
        for name, value in imported_scores(run).items():
            case_id, _, metric = name.split(" ")
            if value is not None:
                ours.setdefault((splits[case_id], metric), []).append(value)
        for stat in json.loads((folder / "stats.json").read_text(encoding="utf-8")):
            found = ours.get((stat["name"].get("split"), stat["name"]["name"]))
            if found is not None and "perturbation" not in stat["name"]:
                assert sum(found) / len(found) == pytest.approx(stat["mean"]), stat["name"]
                held += 1
    for path in sorted((SAMPLES / "lm_eval").glob("results_2026-11*.json")):
        results = json.loads(path.read_text(encoding="utf-8"))
        for run in import_logs(path):
            [task] = run.view.dataset_ids
            assert run.progress.total_cases == results["n-samples"][task]["effective"]
            for each in run.to_dict()["imported_scores"]:
                assert each["mean"] == pytest.approx(results["results"][task][each["name"]])
                held += 1
    results = json.loads(next((SAMPLES / "lighteval").glob("results_*.json")).read_text(encoding="utf-8"))["results"]
    [run] = import_logs(SAMPLES / "lighteval")
    for each in run.to_dict()["imported_scores"]:
        stated = [value for task, values in results.items() if task != "all" for value in [values.get(each["name"])]]
        assert each["mean"] == pytest.approx(stated[0])
        held += 1
    stats = json.loads((SAMPLES / "promptfoo" / "out-0.121.20.json").read_text(encoding="utf-8"))["results"]["stats"]
    runs = import_logs(SAMPLES / "promptfoo" / "out-0.121.20.json")
    passes = [each for run in runs for name, each in imported_scores(run).items() if name.endswith(" pass")]
    assert (passes.count(1.0), passes.count(0.0)) == (stats["successes"], stats["failures"])
    used = [run.costs().total_tokens or 0 for run in runs]
    assert sum(used) == stats["tokenUsage"]["total"]
    [path] = (SAMPLES / "openai_evals").iterdir()
    [final] = [
        line["final_report"]
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        if "final_report" in line
    ]
    [run] = import_logs(path)
    assert run.to_dict()["imported_scores"][0]["mean"] == pytest.approx(final["accuracy"])
    report(
        "figures that logs state",
        f"{held + 5} means, counts and tokens of HELM, lm-eval, lighteval, promptfoo, OpenAI evals",
    )


# --- what the tools say of what is written -----------------------------------------------------------------

TURNS = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "2*2?"}]


@pytest.fixture
def run() -> RunResult:
    """A run with several answers a case, tokens, errors, and what no file can be named."""
    rows: list[dict[str, Any]] = []
    for number in range(40):
        case = {
            "id": f"../{number}" if number % 9 == 8 else f"case {number}",
            "input": TURNS if number % 7 == 6 else f"{number} + 0?",
        }
        for index in range(3):
            answer = (
                {"error": "HTTP 500"}
                if (number + index) % 11 == 10
                else {"output": str(number + (index == number % 4))}
            )
            usage = {"prompt_tokens": 5, "completion_tokens": index + 1, "latency_ms": 10.0}
            rows.append({**case, **answer, **usage, "expected_output": str(number), "topic": f"t{number % 3}"})
    return import_outputs(rows, metric=[EXACT, "builtin/f1"], name="theirs", store=InMemoryRunStore())


def test_inspect_reads_our_figures(run: RunResult, report: Report, tmp_path: Path) -> None:
    version = version_of("inspect-ai")
    path = write_inspect_log(run.store, run.run_id, tmp_path / "a.eval")
    log = said("inspect", str(path))[str(path)]
    for name, estimate in run.estimate().items():
        assert log["metrics"][name] == {"mean": estimate.mean, "stderr": estimate.standard_error}
    assert log["samples"] == 120
    assert log["errors"] == 120 - len(answers_of(run))
    assert log["usage"]["input_tokens"] == 5 * len(answers_of(run))
    made = {
        row.candidate_id: row.value
        for row in run.benchmark.score_rows
        if row.metric_id == EXACT and row.value is not None
    }
    assert sum(value for name, value in log["scores"].items() if name.endswith(EXACT)) == sum(made.values())
    report(
        "exports to Inspect",
        f"{version} reads {log['samples']} samples, their scores, means, errors and tokens as ours",
    )


def test_lm_eval_and_its_readers_read_our_figures(run: RunResult, report: Report, tmp_path: Path) -> None:
    version = version_of("lm-eval")
    path = write_lm_eval_log(run.store, run.run_id, tmp_path)
    log = said("lm_eval", str(path))[str(path)]
    assert log["results"] == [str(path)]
    [(samples, (task, time))] = log["samples"].items()
    assert task == "answers"
    assert path.name == f"results_{time}.json"
    for name, estimate in run.estimate().items():
        [line] = [
            line
            for line in log["table"].splitlines()
            if f"|{name} " in line.replace(" |", "|").replace("| ", "|") or f"{name}" in line
        ]
        assert f"{estimate.mean:.4f}" in line
        assert f"{estimate.standard_error:.4f}" in line
    assert said("datasets", samples) == {samples: 40 * 4}
    other = version_of("every-eval-ever")
    [found] = said("converted", str(tmp_path))
    assert sorted(found["results"].values()) == sorted(each.mean or 0.0 for each in run.estimate().values())
    report(
        "exports to lm-eval",
        f"{version}: its table and file names; its samples by `datasets`; {other} converts them to our means",
    )


def test_every_eval_ever_accepts_what_is_written(run: RunResult, report: Report, tmp_path: Path) -> None:
    version = version_of("every-eval-ever")
    for metric in (EXACT, "builtin/f1"):
        write_eee(run.store, run.run_id, tmp_path / metric, metric=metric)
    paths = [str(path) for path in tmp_path.rglob("*.json*")]
    assert said("eee", *paths) == {path: [] for path in paths}
    report("exports to Every Eval Ever", f"{version} finds nothing wrong with {len(paths)} files")


def test_harbor_accepts_what_is_written(run: RunResult, report: Report, tmp_path: Path) -> None:
    version = version_of("harbor")
    paths = [str(path) for path in write_atif(run.store, run.run_id, tmp_path).iterdir()]
    found = said("atif", *paths)
    assert {path: log["errors"] for path, log in found.items()} == {path: [] for path in paths}
    assert sum((log["totals"] or {}).get("total_prompt_tokens") or 0 for log in found.values()) == 5 * len(
        answers_of(run)
    )
    report("exports to ATIF", f"{version} finds nothing wrong with {len(paths)} trajectories")


# --- their scorers -----------------------------------------------------------------------------------------


WORDS = [
    *("Paris", "the", "answer", "is", "42", "42.0", "1,000", "$5", "(3)", "**7**", "60%", "-1", "x=2", "", "\n"),
    *("ANSWER:", "A", "B,", "yes."),
]
TARGETS = ["Paris", "paris", "42", "5", "1000", "3", "7", "60", "-1", "2", "A", "yes", "the answer", "."]
PATTERNS = [r"(\d+)", r"answer is (\w+)", r"(\w)=(\d)", r"\d+", r"ANSWER:\s*([A-D])", r"(?:(yes)|(no))"]
CHOSEN = ["A", "b", "A, C", "(B)", "**C**", "D", "A and C", "$B$", "AC"]


def _text(rng: random.Random) -> str:
    return rng.choice([" ", " ", "\n"]).join(rng.choice(WORDS) for _ in range(rng.randint(0, 6)))


def _filters(rng: random.Random) -> list[dict[str, Any]]:
    pattern = {"function": "regex", "regex_pattern": rng.choice(PATTERNS), "group_select": rng.choice([0, -1])}
    before: list[list[dict[str, Any]]] = [
        [],
        [pattern],
        [{"function": "remove_whitespace"}, {"function": "lowercase"}],
        [{"function": "take_first_k", "k": 2}, {"function": "majority_vote"}],
    ]
    return [*rng.choice(before), {"function": "take_first"}]


def _flags(rng: random.Random, *names: str) -> dict[str, Any]:
    return {name: rng.random() < 0.5 for name in names}


SCORERS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "inspect/match": lambda rng: {
        "location": rng.choice(["begin", "end", "any", "exact"]),
        **_flags(rng, "ignore_case", "numeric"),
    },
    "inspect/includes": lambda rng: _flags(rng, "ignore_case"),
    "inspect/pattern": lambda rng: {"pattern": rng.choice(PATTERNS), **_flags(rng, "ignore_case", "match_all")},
    "inspect/answer": lambda rng: {"pattern": rng.choice(["letter", "word", "line"])},
    "inspect/exact": lambda rng: {},
    "inspect/choice": lambda rng: _flags(rng, "multiple_correct"),
    "lm-eval/exact_match": lambda rng: {
        **_flags(rng, "ignore_case", "ignore_punctuation", "ignore_numbers"),
        **({"regexes_to_ignore": [r"\$", ","]} if rng.random() < 0.5 else {}),
        "filters": _filters(rng),
    },
    "pydantic-evals/EqualsExpected": lambda rng: {},
    "pydantic-evals/Contains": lambda rng: {
        "value": rng.choice(["42", "paris", "The"]),
        **_flags(rng, "case_sensitive"),
    },
}


def _drawn(rng: random.Random, name: str) -> dict[str, Any]:
    answers = [_text(rng) for _ in range(3)]
    expected: Any = rng.choice(TARGETS) if rng.random() < 0.8 else [rng.choice(TARGETS), rng.choice(TARGETS)]
    metadata: dict[str, Any] = {}
    if name == "inspect/choice":
        between, end = rng.choice(["", "\n"]), rng.choice(["", ".", " ok"])
        answers = [f"{answers[0]}{between}ANSWER: {rng.choice(CHOSEN)}{end}"]
        expected, metadata = rng.choice(["A", "B", ["A", "C"], "C"]), {"choices": list(string.ascii_lowercase[:4])}
    return {
        "name": name,
        "options": SCORERS[name](rng),
        "answers": answers,
        "expected": expected,
        "metadata": metadata,
    }


def test_their_scorers_score_as_ours(rng: random.Random, report: Report, tmp_path: Path) -> None:
    versions = [version_of(name) for name in ("inspect-ai", "lm-eval", "pydantic-evals")]
    items = [_drawn(rng, name) for name in SCORERS for _ in range(part_of(2000))]
    (tmp_path / "items.json").write_text(json.dumps(items), encoding="utf-8")
    theirs = said("scorers", str(tmp_path / "items.json"))
    held, not_told, differing = 0, 0, []
    for item, value in zip(items, theirs, strict=True):
        case = Case(case_id="1", input="?", expected_output=item["expected"], metadata=item["metadata"])
        ours = recomputed(item, Answered(case, item["answers"]))
        if ours is None or value is None:
            not_told += 1
        elif ours == value:
            held += 1
        else:
            differing.append((item, value, ours))
    assert differing[:5] == []
    assert not_told < len(items) / 20
    report(
        "their scorers, made again",
        f"{', '.join(versions)}: {held:,} answers drawn, none differs, {not_told:,} not told",
    )


# --- stores, and size --------------------------------------------------------------------------------------


@needs_samples
def test_every_sample_goes_into_every_store_and_out_again(
    server: PostgresServer, report: Report, tmp_path: Path
) -> None:
    moved = written = 0
    with ExitStack() as opened:
        stores: dict[str, Any] = {
            "memory": InMemoryRunStore(),
            "jsonl": opened.enter_context(closing(JsonlRunStore(tmp_path / "log"))),
            "sqlite": opened.enter_context(closing(SqliteRunStore(tmp_path / "a.sqlite3"))),
            "postgres": opened.enter_context(closing(PostgresRunStore(server.dsn))),
        }
        for name, store in stores.items():
            for imported in import_logs(SAMPLES, store=store):
                run = imported
                assert verify(store, run.run_id).verdict == "verified"
                bundle = write_bundle(store, run.run_id, "score", tmp_path / "b.json.gz")
                for other in {"memory": [InMemoryRunStore()]}.get(name, [stores["memory"], InMemoryRunStore()]):
                    import_bundle_file(other, bundle)
                    there = RunResult(snapshot=other.load_snapshot(run.run_id), store=other)
                    assert there.digest == run.digest
                    moved += 1
                folder = tmp_path / name / run.run_id[:12]
                paths = []
                if any(item.case.expected_output is not None for item in run.view.items()):
                    run = score_run(store, run.run_id, metric=EXACT)
                    paths.append(write_eee(store, run.run_id, folder / "eee"))
                paths.append(write_inspect_log(store, run.run_id, folder / "a.eval"))
                paths.append(write_lm_eval_log(store, run.run_id, folder / "lm"))
                paths.append(write_atif(store, run.run_id, folder / "steps"))
                for path in paths:
                    back = import_logs(path, store=store)
                    assert sum(each.progress.total_cases for each in back) == run.progress.total_cases
                    written += 1
    report(
        "real logs and stores",
        f"{moved} moves between memory, JSONL, SQLite and PostgreSQL, {written} exports read again",
    )


CHILD = """
import sys, time
from themis import import_logs
[run] = import_logs(sys.argv[1], store=sys.argv[2])
assert run.progress.total_cases == int(sys.argv[3])
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")))
"""


def test_a_log_of_a_million_rows_streams(report: Report, tmp_path: Path) -> None:
    rows, path = part_of(1_000_000), tmp_path / "samples.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            row = {
                "doc_id": number,
                "doc": {"question": f"{number} + 0?", "answer": str(number)},
                "target": str(number),
                "arguments": {"gen_args_0": {"arg_0": f"Q: {number} + 0?\\nA:", "arg_1": {"until": ["\\n"]}}},
                "resps": [[f"It is {number}"]],
                "filter": "none",
                "exact_match": 1.0,
            }
            file.write(json.dumps(row) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(tmp_path / "a.sqlite3"), str(rows)],
        capture_output=True,
        check=True,
        timeout=3000,
    )
    peak = int(done.stdout) / 1024
    assert peak < 400
    report("a log of many rows", f"{rows:,} rows of lm-eval, imported into SQLite at a peak of {peak:.0f} MB")
