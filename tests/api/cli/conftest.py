"""The command line in this process: what was printed, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis.api import cli


@attrs.frozen
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Themis = Callable[..., Done]


@pytest.fixture
def themis(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Themis:
    """Return what runs a command in this process, in 80 columns and without colour."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def call(*words: object) -> Done:
        capsys.readouterr()
        before = set(sys.modules)
        try:
            code = cli.run_command([str(word) for word in words])
        finally:
            for name in set(sys.modules) - before:  # the project's own modules, as a new process would not know them
                if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == Path.cwd():
                    del sys.modules[name]
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, themis: Themis) -> Path:
    """Return a starter project, in whose folder the test runs."""
    monkeypatch.chdir(tmp_path)
    assert themis("init").code == 0
    return tmp_path
