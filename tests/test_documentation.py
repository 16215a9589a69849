"""What the documentation shows is run, and what it shows as output is checked."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pytest

import themis

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|mailto:)(?P<target>[^)#\s]+)")


def modules() -> list[str]:
    found = pkgutil.walk_packages(themis.__path__, "themis.")
    return [name for _, name, _ in found if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_run_and_print_what_they_show(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": page.stem}
    printed: str | None = None
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        body = block["body"]
        if block["language"] == "python" and ">>>" in body:
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
            example = doctest.DocTestParser().get_doctest(body, space, page.name, str(page), 0)
            runner.run(example, clear_globs=False)
            assert runner.failures == 0
            space.update(example.globs)
        elif block["language"] == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(body, str(page), "exec"), space)
            printed = output.getvalue()
        elif block["language"] in ("", "text") and printed is not None:
            assert body == printed
            printed = None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        assert (page.parent / link["target"]).exists(), link["target"]


def test_the_picture_of_the_pipeline_is_the_stage_table() -> None:
    from themis.pure.pipeline import stage_table

    assert stage_table() in (ROOT / "docs" / "how-to" / "embed-the-core.md").read_text(encoding="utf-8")
