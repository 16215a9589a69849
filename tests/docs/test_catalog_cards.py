"""The catalog's reference pages are what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "reference" / "catalog_cards.py"


def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("catalog_cards", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CARDS = loaded()
PAGES = Path(__file__).parents[2] / "docs" / "reference" / "catalog"
HOW_TO = "make the pages anew: python docs/reference/catalog_cards.py docs/reference/catalog"


def test_there_is_a_page_for_each_benchmark_and_component_and_no_other() -> None:
    found = {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.md")}
    assert found == set(CARDS.catalog_cards()), HOW_TO


@pytest.mark.parametrize("name", sorted(CARDS.catalog_cards()))
def test_a_page_says_what_the_code_says(name: str) -> None:
    assert (PAGES / name).read_text(encoding="utf-8") == CARDS.catalog_cards()[name], HOW_TO


def test_pages_of_what_is_gone_are_removed(tmp_path: Path) -> None:
    old = tmp_path / "benchmarks" / "gone.md"
    old.parent.mkdir()
    old.write_text("# Gone\n")
    CARDS.write_cards(tmp_path)
    assert not old.exists()
    assert (tmp_path / "benchmarks" / "humaneval.md").exists()


def test_a_benchmarks_page_has_all_that_one_must_know() -> None:
    page = CARDS.catalog_cards()["benchmarks/superchem.md"]
    for part in ("Known pitfalls", "license of the data", "What the model is asked", "`superchem:zh`", "## Example"):
        assert part in page
