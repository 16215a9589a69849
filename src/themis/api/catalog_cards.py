"""Writes the catalog's reference pages: `python -m themis.api.catalog_cards docs/reference/catalog`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from themis.api.catalog import EXAMPLE_OPTIONS, example_component
from themis.pure.benchmarks.cards import benchmark_card, component_card, index_card
from themis.pure.benchmarks.registry import recipes
from themis.pure.benchmarks.samples.every import samples_of
from themis.pure.components.registry import builtins


def catalog_cards() -> Mapping[str, str]:
    """Return every page by its path: one for each benchmark and component, and the index."""
    pages = {f"benchmarks/{name}.md": benchmark_card(recipe, samples_of(name)) for name, recipe in recipes().items()}
    for name, entry in builtins().items():
        page = f"components/{name.removeprefix('builtin/')}.md"
        pages[page] = component_card(name, entry.kind, example_component(name), EXAMPLE_OPTIONS.get(name, {}))
    entries = [recipe.entry for recipe in recipes().values()]
    pages["index.md"] = index_card(entries, {name: entry.kind for name, entry in builtins().items()})
    return pages


def write_cards(folder: Path) -> None:
    """Write every page below a folder, and remove pages there that are none any more."""
    pages = catalog_cards()
    for path in folder.rglob("*.md"):
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_cards(Path(sys.argv[1]))
