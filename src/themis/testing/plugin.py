"""The pytest plugin: fixtures for evaluations in tests, and a marker that makes a test of a run.

It loads in every pytest run where themis is installed, so it imports nothing of it until a test asks.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest

if TYPE_CHECKING:
    from themis.api.experiment.experiment import Experiment
    from themis.api.runs.result import RunResult
    from themis.effects.stores.memory import InMemoryRunStore
    from themis.effects.stores.sqlite import SqliteRunStore
    from themis.testing.endpoint import FakeEndpoint

    RecordedRun = Callable[..., RunResult]

_PROPERTY: Final = "themis_evaluation"
"""The name under which a test's report (and JUnit XML) carries its gates and its result table."""

_MARKER: Final = (
    "evaluation(metric, at_least, on='interval', max_errors=0, cassette=None): the test returns an Experiment (or a "
    "RunResult); it passes if the metric's interval (or 'mean') reaches at_least, with at most max_errors cases in "
    "error; with a cassette, the run is replayed from there"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--themis-record`."""
    parser.getgroup("themis").addoption(
        "--themis-record",
        action="store_true",
        help="call the models and record the cassettes of recorded_run and of evaluation marks anew",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


# --- fixtures ---------------------------------------------------------------------------------------------


@pytest.fixture
def themis_store(tmp_path: Path) -> Iterator[SqliteRunStore]:
    """A SQLite store in the test's temporary folder, open until the test ends."""
    from themis.effects.stores.sqlite import SqliteRunStore

    with closing(SqliteRunStore(tmp_path / "themis.sqlite3")) as store:
        store.initialize()
        yield store


@pytest.fixture
def themis_memory_store() -> InMemoryRunStore:
    """A store in memory."""
    from themis.effects.stores.memory import InMemoryRunStore

    return InMemoryRunStore()


@pytest.fixture
def fake_endpoint() -> Iterator[FakeEndpoint]:
    """A model endpoint on loopback that echoes; for other scripts open `themis.testing.FakeEndpoint` in the test."""
    from themis.testing.endpoint import FakeEndpoint

    with FakeEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def recorded_run(request: pytest.FixtureRequest) -> RecordedRun:
    """A function `(experiment, cassette=None) -> RunResult` that runs on recorded answers, with no model.

    The cassette is a path, relative to the test's file; by default `cassettes/<test's name>.json.gz`. With
    `--themis-record` the models are called, and the cassette is written anew.
    """
    return functools.partial(_recorded, request.node)


def _recorded(item: pytest.Item, experiment: Experiment, cassette: str | Path | None = None) -> RunResult:
    from themis.testing.cassettes import record_run, replay_run

    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in item.name)
    path = item.path.parent / (cassette if cassette is not None else f"cassettes/{name}.json.gz")
    return (record_run if item.config.getoption("--themis-record") else replay_run)(experiment, path)


# --- the marker -------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked test: what it returns is evaluated and held against its marks."""
    marks = [_Mark.of(mark, pyfuncitem.nodeid) for mark in pyfuncitem.iter_markers("evaluation")]
    if not marks:
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    returned = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    _evaluate(pyfuncitem, returned, list(reversed(marks)))
    return True


class _Mark:
    """One mark's arguments, checked; `pytest.mark` itself takes anything."""

    def __init__(
        self,
        metric: str,
        at_least: float,
        on: Literal["interval", "mean"] = "interval",
        max_errors: int = 0,
        cassette: str | None = None,
    ) -> None:
        if on not in ("interval", "mean"):
            raise TypeError(f"on must be 'interval' or 'mean', found {on!r}")
        if isinstance(at_least, bool) or not isinstance(at_least, int | float):
            raise TypeError(f"at_least must be a number, found {at_least!r}")
        self.metric, self.at_least, self.on = str(metric), float(at_least), on
        self.max_errors, self.cassette = max_errors, cassette

    @classmethod
    def of(cls, mark: pytest.Mark, where: str) -> _Mark:
        """Read a mark; `pytest.fail` where it is not well-formed."""
        try:
            return cls(*mark.args, **mark.kwargs)
        except TypeError as error:
            problem = str(error).replace("_Mark.__init__()", "it")
            pytest.fail(f"{where}: the evaluation mark is wrong: {problem}; it is {_MARKER}", pytrace=False)


def _evaluate(item: pytest.Function, returned: object, marks: list[_Mark]) -> None:
    from themis.api.experiment.experiment import Experiment
    from themis.api.runs.gates import check_gates, metric_of, read_gates
    from themis.api.runs.report import read_report
    from themis.api.runs.result import RunResult
    from themis.pure.errors import ThemisError
    from themis.pure.plan import make_plan
    from themis.pure.report.terminal import run_summary

    if not isinstance(returned, Experiment | RunResult):
        found = type(returned).__name__
        if inspect.iscoroutine(returned):
            returned.close()
        pytest.fail(
            f"a test with an evaluation mark returns an Experiment or a RunResult, found {found}: write "
            "`return experiment`, in a plain `def`",
            pytrace=False,
        )
    snapshot = returned.compile() if isinstance(returned, Experiment) else returned.snapshot
    metric_ids = [ref.component_id for ref in snapshot.component_refs.metrics]
    answers = len(make_plan(snapshot).answers)
    try:  # before anything is paid for
        gates = [read_gates([f"{mark.metric}>={mark.at_least!r}"], mark.on, metric_ids, answers)[0] for mark in marks]
        result = _run(item, returned, marks) if isinstance(returned, Experiment) else returned
    except ThemisError as error:
        pytest.fail(str(error), pytrace=False)
    report = read_report(result.view, with_digest=False)
    rows = {row.metric_id: row for row in report.overview.metrics}
    verdicts = check_gates(gates, result)
    lines, failed = [], []
    for mark, gate, verdict in zip(marks, gates, verdicts, strict=True):
        row = rows[metric_of(gate)]
        errors = row.outcomes["error"]
        problem = (
            f"; {errors} {row.estimate.unit}s in error, and {mark.max_errors} may be"
            if errors > mark.max_errors
            else ""
        )
        passed = verdict.passed and not problem
        lines.append(f"{'passed' if passed else 'FAILED'}  {gate}: {verdict.reason}{problem}")
        failed += [] if passed else [lines[-1]]
    if result.error_message is not None:
        failed.append(f"FAILED  the run ended early: {result.error_message}")
    item.user_properties.append((_PROPERTY, "\n".join([*lines, run_summary(report)])))
    if failed:
        pytest.fail("\n".join([*failed, f"run {result.run_id[:12]} in {result.store.location}"]), pytrace=False)


def _run(item: pytest.Function, experiment: Experiment, marks: list[_Mark]) -> RunResult:
    cassettes = {mark.cassette for mark in marks if mark.cassette is not None}
    if len(cassettes) > 1:
        pytest.fail(f"one run has one cassette, found {', '.join(sorted(cassettes))}", pytrace=False)
    return _recorded(item, experiment, cassettes.pop()) if cassettes else experiment.run()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show the evaluations: each with its gates and its result table."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    shown = [(report.nodeid, text) for report in reports for name, text in report.user_properties if name == _PROPERTY]
    if not shown:
        return
    terminalreporter.section("evaluations")
    for nodeid, text in dict(shown).items():
        terminalreporter.write_line(nodeid)
        for line in text.splitlines():
            terminalreporter.write_line(f"  {line}")
