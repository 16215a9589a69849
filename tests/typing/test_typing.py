"""Users' code type-checks under mypy --strict and pyright strict; wrong uses are rejected, each on its line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parent.parent / "src"
FILES = ("user_project.py", "inferred.py", "rejected.py")
EXPECTED = re.compile(r"#\s*error: (\S+) (\S+)$")
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.slow


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    for name in FILES:
        shutil.copy(HERE / name, folder)
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def program(name: str) -> str:
    path = shutil.which(name, path=BIN)
    if path is None:
        pytest.skip(f"{name} is not installed beside this Python: pip install -e '.[dev]'")
    return path


def expected(checker: int) -> Mapping[int, str]:
    """Return the error that each line of `rejected.py` must have: 1 for mypy's codes, 2 for pyright's rules."""
    lines = (HERE / "rejected.py").read_text(encoding="utf-8").splitlines()
    return {number: match[checker] for number, line in enumerate(lines, 1) if (match := EXPECTED.search(line))}


def test_mypy(tmp_path: Path) -> None:
    done = run(tmp_path, program("mypy"), "--strict", "--config-file=", *FILES, MYPYPATH=str(SOURCES))
    found = re.findall(r"^(\S+?):(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert [line for line in done.stdout.splitlines() if ": error: " in line and "rejected.py" not in line] == []
    assert {int(line): code for name, line, code in found if name == "rejected.py"} == expected(1), done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="pyright needs Node.js")
def test_pyright(tmp_path: Path) -> None:
    config = {"typeCheckingMode": "strict", "extraPaths": [str(SOURCES)], "include": ["."], "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    done = run(tmp_path, program("pyright"), "--outputjson")
    found = [
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each.get("rule", ""), each["message"])
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    ]
    assert [each for each in found if each[0] != "rejected.py"] == []
    missed = {line: rule for line, rule in expected(2).items() if (line, rule) not in {each[1:3] for each in found}}
    assert missed == {}, found
    assert [each for each in found if each[1] not in expected(2)] == []


@pytest.mark.skipif(shutil.which("node") is None, reason="pyright needs Node.js")
def test_the_public_surface_is_typed_in_full(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        program("pyright"),
        "--verifytypes",
        "themis",
        "--ignoreexternal",
        "--outputjson",
        PYTHONPATH=str(SOURCES),
    )
    report = json.loads(done.stdout)
    unknown = [
        f"{symbol['name']}: {symbol['diagnostics'][0]['message']}"
        for symbol in report["typeCompleteness"]["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"] and symbol["diagnostics"]
    ]
    assert report["typeCompleteness"]["packageRootDirectory"] == str(SOURCES / "themis")
    assert report["typeCompleteness"]["completenessScore"] == 1, unknown[:20]
