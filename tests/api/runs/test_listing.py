"""The runs of a store in a table: settings that differ, scores as in reports, cost, order, and what is kept of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from themis import (
    Case,
    GenerationResult,
    InMemoryRunStore,
    JsonlRunStore,
    PromptSpec,
    RunStore,
    SqliteRunStore,
    evaluate,
    generator,
    list_runs,
)
from themis.api.runs import listing
from themis.api.runs.report import read_report
from themis.api.runs.view import RunView
from themis.core import SpecError
from themis.pure.components.parsers import Regex
from themis.pure.report.figures import RunFigures

ROWS = [{"case_id": str(i), "input": f"q{i}", "expected_output": str(i)} for i in range(20)]
PRICES = {"lab/paid": {"prompt": 1.0, "completion": 10.0}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "themis" / "figures.sqlite3"


@pytest.fixture(params=["memory", "sqlite", "jsonl"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    if request.param == "memory":
        return InMemoryRunStore()
    return SqliteRunStore(tmp_path / "a.sqlite3") if request.param == "sqlite" else JsonlRunStore(tmp_path / "log")


def model(name: str, right: int, tokens: int = 0, most: int = 0) -> Any:
    @generator(component_id=name)
    def answer(case: Case) -> GenerationResult:
        usage = {"prompt_tokens": tokens, "completion_tokens": tokens} if tokens else None
        number = int(case.case_id)
        if number == 19 and right < 5:
            raise RuntimeError("down")
        said = str(number) if number < right else "no"
        return GenerationResult(candidate_id="c", final_output=said + " " * most, token_usage=usage)

    return answer


def run(store: RunStore, answering: Any, **more: Any) -> str:
    return evaluate(
        **{"model": answering, "data": ROWS, "metric": "builtin/exact_match", "store": store, **more}
    ).run_id


class Reads:
    """Counts how often a run's figures were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        made = listing._made

        def counted(view: RunView) -> RunFigures:
            self.count += 1
            return made(view)

        monkeypatch.setattr(listing, "_made", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def test_figures_are_those_of_the_report_and_are_kept(store: RunStore, reads: Reads) -> None:
    good, bad = run(store, model("lab/good", 15)), run(store, model("lab/bad", 4))
    reads.count = 0
    first = list_runs(store)
    assert [line.run.run_id for line in first] == [bad, good]
    assert [line.status for line in first] == ["partial_failure", "completed"]
    assert reads.count == 2
    for line in first:
        [score] = line.figures.scores if line.figures is not None else ()
        [row] = read_report(RunView.of(store, line.run.run_id)).overview.metrics
        assert (score.mean, score.low, score.high) == (
            row.estimate.mean,
            row.estimate.interval.low,
            row.estimate.interval.high,
        )
        assert (score.planned, score.scored) == (row.estimate.planned, row.estimate.scored)
    reads.count = 0
    assert list_runs(store) == first
    assert reads.count == 0
    assert [line.figures for line in list_runs(store, figures=False)] == [None, None]
    assert reads.count == 0


def test_what_was_kept_of_a_run_is_not_shown_of_a_later_state_of_it(tmp_path: Path) -> None:
    store, up = InMemoryRunStore(), tmp_path / "up"

    @generator(component_id="lab/recovering")
    def recovering(case: Case) -> str:
        if case.case_id == "3" and not up.exists():
            raise RuntimeError("down")
        return case.case_id

    found = []
    for _ in range(2):
        run(store, recovering)
        [line] = list_runs(store)
        assert line.figures is not None
        found.append((line.status, line.figures.scores[0].scored))
        up.touch()
    assert found == [("partial_failure", 19), ("completed", 20)]


def test_costs_are_listed_and_sorted_by() -> None:
    store = InMemoryRunStore()
    runtime = {"prices": PRICES}
    cheap = run(store, model("lab/paid", 10, tokens=100), runtime=runtime)
    dear = run(store, model("lab/paid", 9, tokens=1000), runtime=runtime)
    unknown = run(store, model("lab/unknown", 8, tokens=10))
    found = list_runs(store, sort="cost")
    assert [line.run.run_id for line in found] == [dear, cheap, unknown]
    costs = [line.figures.cost for line in found if line.figures is not None]
    assert costs[:2] == pytest.approx([20 * 11_000 / 1e6, 20 * 1_100 / 1e6])
    assert costs[2] is None
    assert [line.run.run_id for line in list_runs(store, sort="cost", reverse=True)] == [cheap, dear, unknown]
    assert found[0].figures is not None
    assert found[0].figures.tokens == 40_000


def test_settings_that_differ_are_told_of_each_run_and_no_others() -> None:
    store = InMemoryRunStore()
    for suffix in (None, "Be brief.", "Think."):
        run(store, "builtin/demo_model", prompt=None if suffix is None else PromptSpec(suffix=suffix))
    brief = list_runs(store)
    assert [dict(line.differing) for line in brief] == [{"prompt.suffix": "Think."}, {"prompt.suffix": "Be brief."}, {}]
    assert [dict(line.differing) for line in list_runs(store, limit=1)] == [{}]
    run(store, "builtin/demo_model", samples=2)
    assert list_runs(store)[0].differing["num_samples"] == 2


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("started", ["c", "b", "a"]),
        ("name", ["a", "b", "c"]),
        ("model", ["b", "a", "c"]),
        ("exact_match", ["c", "a", "b"]),
        ("builtin/exact_match", ["c", "a", "b"]),
        ("cases", ["c", "b", "a"]),
    ],
)
def test_runs_are_sorted(sort: str, names: list[str]) -> None:
    store = InMemoryRunStore()
    for name, of, right in (("a", "lab/2", 10), ("b", "lab/1", 9), ("c", "lab/3", 18)):
        run(store, model(of, right), name=name, tags=["x"] if name != "b" else [])
    assert [line.run.name for line in list_runs(store, sort=sort)] == names
    if sort != "cases":
        assert [line.run.name for line in list_runs(store, sort=sort, reverse=True)] == names[::-1]
    assert [line.run.name for line in list_runs(store, sort=sort, limit=2)] == names[:2]
    assert [line.run.name for line in list_runs(store, sort=sort, tags=["x"])] == [n for n in names if n != "b"]


def test_runs_are_chosen_by_what_their_cases_tell() -> None:
    store = InMemoryRunStore()
    good, bad = run(store, model("lab/good", 15)), run(store, model("lab/bad", 4))
    assert [line.run.run_id for line in list_runs(store, status="partial_failure")] == [bad]
    assert [line.run.run_id for line in list_runs(store, status="completed")] == [good]
    assert len(list_runs(store, status="completed", figures=False)) == 2
    assert len(list_runs(store, metric="exact_match")) == len(list_runs(store, metric="builtin/exact_match")) == 2
    assert list_runs(store, metric="f1") == ()
    assert [line.run.run_id for line in list_runs(store, model="lab/bad", dataset="data")] == [bad]


def test_what_can_not_be_listed_so_is_refused() -> None:
    store = InMemoryRunStore()
    run(store, model("lab/a", 10))
    with pytest.raises(SpecError, match=r"sort: runs can't be sorted by 'exact_mach'; did you mean .*exact_match"):
        list_runs(store, sort="exact_mach")
    with pytest.raises(SpecError, match="their figures are read, and these were not asked for"):
        list_runs(store, sort="cost", figures=False)
    with pytest.raises(SpecError, match="no run is ever 'done'"):
        list_runs(store, status="done")
    with pytest.raises(SpecError, match="limit: a number from 0 up"):
        list_runs(store, limit=-1)


def _half(cache: Path) -> None:
    with sqlite3.connect(cache) as file:
        file.execute("update figures set content = substr(content, 1, 10)")


def _other(cache: Path) -> None:
    with sqlite3.connect(cache) as file:
        file.execute('update figures set content = \'{"status": 3, "more": []}\'')


@pytest.mark.parametrize(
    "spoil",
    [_half, _other, lambda cache: cache.write_bytes(b"no database" * 100), lambda cache: cache.unlink()],
    ids=["half", "other", "no file of its kind", "gone"],
)
def test_what_was_kept_is_never_trusted(spoil: Callable[[Path], None], cache: Path, reads: Reads) -> None:
    store = InMemoryRunStore()
    run(store, model("lab/a", 10))
    first = list_runs(store)
    spoil(cache)
    reads.count = 0
    assert list_runs(store) == first
    assert reads.count == 1


def test_a_folder_that_can_not_be_written_keeps_nothing_and_hinders_nothing(cache: Path) -> None:
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where the folder should be", encoding="utf-8")
    store = InMemoryRunStore()
    run(store, model("lab/a", 10))
    assert list_runs(store)[0].figures is not None


def test_a_user_without_a_home_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("could not determine home directory")

    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("LOCALAPPDATA", "")
    monkeypatch.setattr(Path, "home", no_home)
    store = InMemoryRunStore()
    run(store, model("lab/a", 10))
    assert list_runs(store)[0].figures is not None


def test_a_run_that_can_not_be_read_is_listed_with_the_reason(tmp_path: Path) -> None:
    store = SqliteRunStore(tmp_path / "a.sqlite3")
    run(store, model("lab/a", 10), name="whole")
    run(store, model("lab/b", 10), name="broken")
    store.close()
    with sqlite3.connect(tmp_path / "a.sqlite3") as file:
        file.execute("update event set payload = '{' where run_no = 2 and event_type = 'score_completed'")
    broken, whole = list_runs(tmp_path / "a.sqlite3")
    assert (broken.run.name, broken.figures) == ("broken", None)
    assert "malformed JSON" in (broken.error or "")
    assert whole.figures is not None


# --- counted by the store ---------------------------------------------------------------------------------

PARSED = Regex(pattern=r"= (.+)")
METRICS = ["builtin/exact_match", "builtin/f1"]


def mixed(name: str, fails: bool = False) -> Any:
    @generator(component_id=name)
    def answer(case: Case) -> GenerationResult:
        number = int(case.case_id)
        if fails and number % 7 == 5:
            raise RuntimeError("down")
        text = "no idea" if number % 5 == 4 else f"= {number} {'or so' * (number % 3)}"
        usage = None if number % 4 == 3 else {"prompt_tokens": 10 + number % 3, "completion_tokens": number % 2}
        return GenerationResult(candidate_id="c", final_output=text, token_usage=usage)

    return answer


SCENARIOS: dict[str, dict[str, Any]] = {
    "all at once": {"model": model("lab/paid", 15, tokens=7), "parser": None},
    "unparsed answers": {"model": mixed("lab/paid")},
    "failed generations": {"model": mixed("lab/paid", fails=True)},
    "unparsed ones missing": {"model": mixed("lab/paid"), "unparsed": "missing"},
    "large answers": {"model": model("lab/paid", 15, tokens=7, most=200_000), "data": ROWS[:3]},
    "several answers": {"model": mixed("lab/paid"), "samples": 2},
    "ended by a rule": {"model": model("lab/paid", 15), "parser": None, "until": "exact_match>=0.1"},
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_a_store_counts_is_what_the_report_says(scenario: str, tmp_path: Path) -> None:
    store = SqliteRunStore(tmp_path / "a.sqlite3")
    words = {"metric": METRICS, "parser": PARSED, "runtime": {"prices": PRICES}, **SCENARIOS[scenario]}
    for _ in range(2):  # the second time failed cases are tried again
        view = RunView.of(store, run(store, words["model"], **words))
        counted, read = listing._counted(view), listing._read(view)
        assert (counted is None) == (scenario in ("large answers", "several answers", "ended by a rule"))
        assert counted in (None, read)


def test_cases_that_were_done_again_are_counted_once(tmp_path: Path) -> None:
    store, up = SqliteRunStore(tmp_path / "a.sqlite3"), tmp_path / "up"

    @generator(component_id="lab/paid")
    def recovering(case: Case) -> GenerationResult:
        if int(case.case_id) % 3 == 1 and not up.exists():
            raise RuntimeError("down")
        return GenerationResult(candidate_id="c", final_output=case.case_id, token_usage={"prompt_tokens": 5})

    for scored in (13, 20):
        view = RunView.of(store, run(store, recovering, runtime={"prices": PRICES}))
        counted = listing._counted(view)
        assert counted is not None
        assert counted == listing._read(view)
        assert counted.scores[0].scored == scored
        up.touch()


def test_answers_of_another_run_are_counted_as_its_own(tmp_path: Path) -> None:
    store = SqliteRunStore(tmp_path / "a.sqlite3")
    words = {"parser": PARSED, "runtime": {"prices": PRICES}}
    answering = mixed("lab/paid")
    first = run(store, answering, **words)
    second = run(store, answering, **words, metric=METRICS)
    costs = []
    for run_id in (first, second):
        view = RunView.of(store, run_id)
        counted = listing._counted(view)
        assert counted is not None
        assert counted == listing._read(view)
        costs.append(counted.cost)
    assert costs[0]
    assert not costs[1]
