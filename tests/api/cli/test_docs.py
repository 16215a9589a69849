"""The how-tos' commands work as printed, and print what is shown."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Themis = Callable[..., Any]
"""Runs a command: `code`, `out`, `err`, `data` (see `conftest`)."""

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
PAGES = ["command-line.md", "ci-gate.md", "deferred.md"]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ themis (?P<words>.*)\n(?P<shown>(?:(?!\$ ).*\n)*)", re.MULTILINE)
EXIT = re.compile(r"^\[exit code (\d+)\]\n", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_commands_work_as_printed(page: str, themis: Themis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "".join(BLOCK.findall((HOW_TO / page).read_text(encoding="utf-8")))
    found = list(COMMAND.finditer(text))
    assert found
    for each in found:
        done = themis(*shlex.split(each["words"]))
        code = EXIT.search(each["shown"])
        assert done.code == (int(code[1]) if code else 0), done.err
        shown = EXIT.sub("", each["shown"])
        assert doctest.OutputChecker().check_output(shown, done.out, doctest.ELLIPSIS), f"{each['words']}\n{done.out}"
