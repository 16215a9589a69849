"""Every argument of every public function, of a wrong kind: an error of ours that says so, and never a hang."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import themis
from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    HumanLabel,
    InMemoryRunStore,
    PromptSpec,
    Reporter,
    RuntimeConfig,
    Score,
    StoppingRule,
    StorageConfig,
    catalog,
    evaluate,
    find_runs,
)
from themis.pure.errors import SpecError, ThemisError

ROWS: Final = [{"input": "1+1", "expected_output": "2"}, {"input": "2+3", "expected_output": "5"}]
ODD: Final[tuple[Any, ...]] = (
    None, "nonsense", "", 3, -1, 1.5, float("nan"), True, [1], ["a"], [], {"a": 1}, {1: 2}, Path("x/y"), (1, 2), {1},
    b"x", object(), Exception, len, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "\ud800",
)  # fmt: skip

WRONG: Final[Any] = 3
RIGHT: Final[dict[str, dict[str, Any]]] = {
    "evaluate": {"model": "builtin/demo_generator", "data": ROWS, "metric": "builtin/exact_match"},
    "run": {
        "name": "aime_2026",
        "source": [{"problem_idx": 1, "problem": "1 + 1?", "answer": "2"}],
        "model": "builtin/demo_generator",
    },
    "Experiment": {"datasets": ROWS, "generation": {"generator": "builtin/demo_generator"}},
    "Case": {"case_id": "a", "input": "b"},
    "Dataset": {"dataset_id": "a", "cases": [Case(case_id="a", input="b")]},
    "PromptSpec": {},
    "RuntimeConfig": {},
    "StorageConfig": {},
    "GenerationConfig": {"generator": "builtin/demo_generator"},
    "EvaluationConfig": {},
    "Score": {"metric_id": "m", "value": 1.0},
    "StoppingRule": {"metric_id": "m", "operator": ">=", "value": 0.5},
    "Experiment.replay": {"stage": "score"},
}
MADE: Final = (
    evaluate, catalog.run, Experiment, Case, Dataset, PromptSpec, RuntimeConfig, StorageConfig, GenerationConfig,
    EvaluationConfig, Score, StoppingRule,
)  # fmt: skip
READERS: Final = (
    "changed_cases", "compare", "compare_statistics", "compare_until", "explain_difference", "find_cases", "find_runs",
    "get_case_view",
    "get_evaluation_execution", "get_execution_state", "get_run_snapshot", "get_stored_run", "get_timeline",
    "get_traces", "give_labels", "import_bundle_file", "import_labels", "list_runs", "next_labels", "quickcheck",
    "rank", "read_bundle", "search", "submit", "verify", "write_bundle",
)  # fmt: skip


class Runs:
    """Two stored runs, and what functions ask for by these names."""

    def __init__(self, folder: Path) -> None:
        self.store = InMemoryRunStore()
        one, two = (evaluate(**RIGHT["evaluate"], store=self.store, samples=n) for n in (1, 2))
        self.experiment = Experiment(
            **RIGHT["Experiment"], evaluation={"metrics": "builtin/exact_match"}, storage=folder / "a.sqlite3"
        )
        self.experiment.run()
        self.result, bundle = one, folder / "bundle.json"
        themis.write_bundle(self.store, one.run_id, "score", bundle)
        label = HumanLabel(case_id="1", metric_id="builtin/exact_match", value=True, who="me")
        self.known: dict[str, Any] = {
            "run_id": one.run_id, "run_a": one.run_id, "run_b": two.run_id, "run_ids": [one.run_id, two.run_id],
            "query": "1", "case_id": "1", "metric_id": "builtin/exact_match", "rule": "exact_match>=-0.05", "count": 1,
            "labels": [label], "source": [], "kind": "score", "path": bundle, "experiment": self.experiment,
            "root": folder / "queue", "metric": "builtin/exact_match", "value": True, "who": "me", "case": "1",
            "before": two,
        }  # fmt: skip

    def functions(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        yield from ((thing.__name__, thing) for thing in MADE)
        yield from ((name, getattr(themis, name)) for name in READERS)
        yield "Reporter", Reporter
        for owner, thing in (
            ("Experiment", self.experiment), ("Reporter", Reporter(self.store)), ("RunResult", self.result),
            ("CaseResults", self.result.cases), ("RunChanges", self.result.changes_from(self.result)),
        ):  # fmt: skip
            for name, method in inspect.getmembers(thing, inspect.ismethod):
                if not name.startswith("_") and not inspect.iscoroutinefunction(method):
                    yield f"{owner}.{name}", method

    def right(self, name: str, parameters: list[inspect.Parameter]) -> dict[str, Any]:
        if name in RIGHT:
            return RIGHT[name]
        known = {"store": self.store, "store_a": self.store, "store_b": self.store, **self.known}
        return {each.name: known[each.name] for each in parameters if each.default is each.empty}


SKIPPED: Final = {
    "Experiment.compile_stored", "Experiment.compile_with",  # between modules of ours
    "CaseResults.index", "CaseResults.count",  # of any sequence
    "Experiment.from_dict", "Experiment.evolve",  # of records, which have tests of their own
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.mark.filterwarnings("ignore")
def test_whatever_is_given_is_taken_or_refused(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tried, escaped = 0, []
    for name, function in runs.functions():
        parameters = [
            each for each in inspect.signature(function).parameters.values() if each.kind is not each.VAR_KEYWORD
        ]
        if name in SKIPPED:
            continue
        right = runs.right(name, parameters)
        for parameter in parameters:
            for odd in ODD:
                tried += 1
                try:
                    function(**{**right, parameter.name: odd})
                except ThemisError:
                    pass
                except Exception as error:
                    escaped.append(f"{name}({parameter.name}={odd!r}): {type(error).__name__}: {error}")
    assert not escaped, "\n".join(escaped)
    assert tried > 4_000


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda runs: themis.verify(runs.store, WRONG), "verify: run_id is 3; allowed: a string"),
        (lambda runs: themis.rank(runs.store, "abc"), "rank: run_ids is 'abc'; allowed: a list"),
        (lambda runs: themis.compare(runs.store, WRONG, runs.store, WRONG), "compare; 2 problems:\n  - run_a is 3"),
        (lambda runs: Reporter(runs.store, by=WRONG), "Reporter: by is 3; allowed: a string, or a list, or None"),
        (lambda runs: find_runs(runs.store, status="complete"), "status: no run is ever 'complete'; did you mean"),
        (lambda runs: evaluate(**RIGHT["evaluate"], tags=WRONG), "tags: a list of str expected, int found: 3"),
        (lambda runs: evaluate(**RIGHT["evaluate"], name=WRONG), "name: str expected, int found: 3"),
        (lambda runs: evaluate(**RIGHT["evaluate"], input_field=WRONG), "input: str expected, int found: 3"),
    ],
)
def test_the_argument_is_named_with_what_it_is_and_may_be(call: Callable[[Runs], Any], words: str, runs: Runs) -> None:
    with pytest.raises(ThemisError) as caught:
        call(runs)
    assert words in str(caught.value)


def test_a_moment_without_a_zone_is_one_of_this_place(runs: Runs) -> None:
    now = datetime.datetime.now()  # noqa: DTZ005  # as people write it
    hour = datetime.timedelta(hours=1)
    assert len(find_runs(runs.store, since=now - hour, until=now + hour)) == 2
    assert find_runs(runs.store, since=now + hour) == ()


class Unreadable(InMemoryRunStore):
    """Fails when the run's engine reads what was stored first."""

    def load_snapshot(self, run_id: str) -> Any:
        raise SpecError("no such header")


def test_a_run_that_fails_before_its_first_event_ends() -> None:
    with pytest.raises(SpecError, match="no such header"):
        evaluate(**RIGHT["evaluate"], store=Unreadable())
