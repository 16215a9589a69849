"""What the documentation shows is run, and what it shows as output is checked.

- A `python` block is run, in one namespace a page; a plain block after it is what it printed. With `>>>`, a doctest.
- A `console` block is typed into one shell session a page: `$ command`, then its output, where `...` stands for what
  varies, then `[exit code N]` if that is not 0.
- An `sh` block is run whole, in the same session; a plain block after it is what it printed.
- `<!-- not run: why -->` before a block keeps it from being run; such blocks are listed as skipped, with the reason.

All blocks of a page share one folder, which is empty at first.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import pkgutil
import re
import runpy
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

import themis
from themis.api.stores import store_kinds

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
COMMAND = re.compile(r"^\$ (?P<command>.*(?:\n> .*)*)\n(?P<shown>(?:(?!\$ ).*\n)*)", re.MULTILINE)
EXIT = re.compile(r"^\[exit code (\d+)\]\n\Z", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<target>[^)#\s]+)")
LANGUAGES = {"python", "console", "sh", "text", "", "json", "jsonl", "yaml", "toml", "sql", "mermaid"}


class Shell:
    """A bash in a folder, 80 columns wide, with nothing of the machine's settings but its paths."""

    def __init__(self, folder: Path, programs: Path | None = None) -> None:
        kept_of_ours = ("PYTHONPATH",) if programs is None else ()
        kept = {name: os.environ[name] for name in (*kept_of_ours, "LANG", "TMPDIR") if name in os.environ}
        path = f"{programs or Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**kept, "PATH": path, "HOME": str(folder), "COLUMNS": "80"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, command: str) -> tuple[str, int]:
        """Return what a command printed, on either stream, and its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        mark = secrets.token_hex(16)
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '%s %d\\n' {mark} $?\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            before, found, code = line.partition(mark)
            lines.append(before)
            if found:
                return "".join(lines), int(code)
        raise AssertionError(f"the shell ended at: {command}\n{''.join(lines)}")


class Session:
    """The blocks of one page, run in order."""

    def __init__(self, page: Path, shell: Shell) -> None:
        self.page = page
        self.shell = shell
        self.space: dict[str, object] = {"__name__": page.stem}
        self.printed: str | None = None

    def run(self, language: str, body: str) -> None:
        if language == "python" and ">>>" in body:
            self._doctest(body)
        elif language == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(body, str(self.page), "exec"), self.space)
            self.printed = output.getvalue()
        elif language == "console":
            self._console(body)
        elif language == "sh":
            self.printed, code = self.shell.run(body)
            assert code == 0, f"{body}\n{self.printed}"
        elif language in ("", "text") and self.printed is not None:
            assert_shown(body, self.printed, "the block before")
            self.printed = None

    def _doctest(self, body: str) -> None:
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        example = doctest.DocTestParser().get_doctest(body, self.space, self.page.name, str(self.page), 0)
        runner.run(example, clear_globs=False)
        assert runner.failures == 0
        self.space.update(example.globs)

    def _console(self, body: str) -> None:
        found = list(COMMAND.finditer(body))
        assert "".join(match[0] for match in found) == body, f"not a command and its output:\n{body}"
        for match in found:
            command = match["command"].replace("\n> ", "\n")
            printed, code = self.shell.run(command)
            wanted = EXIT.search(match["shown"])
            assert code == (int(wanted[1]) if wanted else 0), f"exit code {code} of: {command}\n{printed}"
            assert_shown(EXIT.sub("", match["shown"]), printed, command)


def assert_shown(shown: str, printed: str, command: str) -> None:
    """Hold what a page shows against what was printed; `...` stands for anything."""
    if shown != printed and not doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS):
        raise AssertionError(f"{command} printed:\n{printed}\nand not:\n{shown}")


def modules() -> list[str]:
    found = pkgutil.walk_packages(themis.__path__, "themis.")
    return [name for _, name, _ in found if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert failed == 0


def shown_on(name: str) -> list[Path]:
    """Return the pages that have a block to be run, or blocks that are not."""
    runs = re.compile(r"^```(python|console|sh)$", re.MULTILINE)
    return [page for page in PAGES if (name == "runs") == bool(runs.search(page.read_text(encoding="utf-8")))]


@pytest.mark.parametrize("page", shown_on("runs"), ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_run_and_print_what_they_show(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("THEMIS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("themis.api.stores._kinds", dict(store_kinds()))
    with Shell(tmp_path) as shell, forgotten(tmp_path):
        session = Session(page, shell)
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            assert block["language"] in LANGUAGES, block["language"]
            if block["reason"] is None:
                session.run(block["language"], block["body"])


@contextlib.contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """Forget the modules of a folder in the end: another page may have one of the same name."""
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


def not_run() -> list[tuple[str, str]]:
    return [
        (f"{page.relative_to(ROOT)}: {block['body'].splitlines()[0]}", block["reason"])
        for page in PAGES
        for block in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if block["reason"]
    ]


@pytest.mark.parametrize(("command", "reason"), not_run())
def test_commands_that_are_shown_and_not_run(command: str, reason: str) -> None:
    pytest.skip(f"{command}: {reason}")


@pytest.fixture(scope="module")
def made_when_built() -> set[Path]:
    reference = ROOT / "docs" / "reference"
    return {reference / name for name in runpy.run_path(str(reference / "generate.py"))["pages"]()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path, made_when_built: set[Path]) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["target"]).resolve()
        assert target.exists() or target in made_when_built, link["target"]


def test_the_picture_of_the_pipeline_is_the_stage_table() -> None:
    from themis.pure.pipeline.table import stage_table

    assert stage_table() in (ROOT / "docs" / "how-to" / "embed-the-core.md").read_text(encoding="utf-8")


def test_a_page_that_shows_what_is_not_so_is_found(tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        session = Session(tmp_path, shell)
        session.run(
            "console", "$ x=1\n$ echo $x; echo two >&2\n1\n...\n$ exit_with() { return 3; }; exit_with\n[exit code 3]\n"
        )
        for body in ("$ echo a\nb\n", "$ false\n", "$ true\n[exit code 1]\n", "no command\n", "$ exit\n"):
            with pytest.raises(AssertionError):
                session.run("console", body)
        session.run("python", "print(1)")
        with pytest.raises(AssertionError, match="printed"):
            session.run("text", "2\n")
