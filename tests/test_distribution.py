"""What the package is called in the index, and which extras it has, are told in one place each."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from themis.pure.errors import DISTRIBUTION, pip_install

ROOT: Final = Path(__file__).parents[1]
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: Final = set(PROJECT["optional-dependencies"])
OF_CONTRIBUTORS: Final = {"dev", "docs"}


def texts() -> dict[str, str]:
    """Return what people read or run: all but recorded stores, and the changelog of what was."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    names = tracked or [path.relative_to(ROOT).as_posix() for path in ROOT.glob("src/**/*.py")]
    kept = [name for name in names if name.endswith((".py", ".md", ".toml", ".yml")) and (ROOT / name).is_file()]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in kept if name != "CHANGELOG.md"}


def test_the_index_s_name_is_the_one_that_messages_tell() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert pip_install("math") == "pip install 'themis-evals[math]'"


def test_the_package_is_installed_under_its_name() -> None:
    assert importlib.metadata.version(DISTRIBUTION)


def test_no_text_tells_to_install_what_is_somebody_else_s() -> None:
    wrong = re.compile(r"(?<![\w.\-\"'`])themis\\?\[[a-z{]|pip install '?themis(?!-evals)\b")
    found = [f"{name}: {line}" for name, text in texts().items() for line in text.splitlines() if wrong.search(line)]
    assert [line for line in found if not line.startswith("tests/test_distribution.py")] == []


@pytest.mark.parametrize("name", sorted(name for name in texts() if name.startswith("src/")))
def test_code_takes_the_command_from_one_place_and_names_extras_that_exist(name: str) -> None:
    text = texts()[name]
    if name != "src/themis/pure/errors.py":
        assert DISTRIBUTION not in text, "the name is `DISTRIBUTION`, and the command `pip_install(extra)`"
    assert set(re.findall(r"pip_install\(['\"]([\w-]+)['\"]\)", text)) <= EXTRAS


def test_docs_name_extras_that_exist() -> None:
    pattern = re.compile(rf"{DISTRIBUTION}\[([\w,-]+)\]")
    told = {extra for text in texts().values() for names in pattern.findall(text) for extra in names.split(",")}
    assert told - {"extra", "name"} <= EXTRAS


def test_the_table_of_extras_names_each_of_them() -> None:
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)) == EXTRAS - OF_CONTRIBUTORS
