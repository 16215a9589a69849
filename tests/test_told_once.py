"""What is told in one place stays there: who names the events and stages, and what a new stage or family touches.

Modules are read as syntax: names, attributes, parameters and text count; comments, docstrings and imports do not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs
import pytest

from themis._stages import STAGE_ORDER
from themis.pure.abilities import PLACES
from themis.pure.events import EVENT_TYPES
from themis.pure.families import FAMILIES
from themis.pure.pipeline.table import ROWS
from themis.pure.records.snapshot import RunIdentity
from themis.pure.state import CaseState

ROOT: Final = Path(__file__).parents[1]
SRC: Final = ROOT / "src"

MOST: Final = 3
"""Events, or stages, that a module may name without being one that tells of them all."""

TELL_ALL: Final = {
    "themis/_stages.py": "the stages' names and their order",
    "themis/pure/events.py": "the events",
    "themis/pure/state.py": "what each event does to a case",
    "themis/pure/pipeline/table.py": "what each stage is",
    "themis/pure/bundles/records.py": "the bundle classes that users import, each typed by the events it holds",
}


@attrs.frozen
class Named:
    """What a module names: in its code, and in its texts."""

    identifiers: frozenset[str]
    texts: frozenset[str]

    @classmethod
    def by(cls, source: str) -> Named:
        nodes = [*ast.walk(ast.parse(source))]
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        texts = (node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings)
        return cls(frozenset(_identifiers(nodes)), frozenset(text for text in texts if isinstance(text, str)))


def _identifiers(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            yield node.arg


@pytest.fixture(scope="module")
def modules() -> dict[str, Named]:
    paths = sorted(SRC.rglob("*.py"))
    return {str(path.relative_to(SRC)): Named.by(path.read_text(encoding="utf-8")) for path in paths}


def tells_of_many(named: Named) -> bool:
    """Tell whether a module lists the events or the stages."""
    classes = {kind.__name__ for kind in EVENT_TYPES.values()}
    counts = (named.identifiers & classes, named.texts & {*EVENT_TYPES}, named.texts & {*STAGE_ORDER})
    return max(map(len, counts)) > MOST


def test_events_and_stages_are_listed_where_they_are_told(modules: dict[str, Named]) -> None:
    assert {name for name, named in modules.items() if tells_of_many(named)} == {*TELL_ALL}


def names_the_stage(named: Named) -> bool:
    """Tell whether a module names stage `select`: it, its events, its component's place, what a case holds of it."""
    row, fields = ROWS["select"], {"selection", "selection_failure"}
    place, ref = "selector", "selector_ref"
    assert place in PLACES
    assert row.identity == (ref,)
    assert {ref} <= {field.name for field in attrs.fields(RunIdentity)}
    assert fields <= {field.name for field in attrs.fields(CaseState)}
    events = {event.__name__ for event in (*row.emits, *row.emits_on_failure)}
    return bool(named.identifiers & {*events, place, ref, *fields} or named.texts & {row.stage, place, ref})


def names_the_family(named: Named) -> bool:
    """Tell whether a module has the name of family `execution` as a text."""
    assert "execution" in FAMILIES
    return "execution" in named.texts


def listed(heading: str) -> list[str]:
    """Return the files in the table under a heading of the design page."""
    page = (ROOT / "docs/design/programs.md").read_text(encoding="utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([\w/]+\.py)` \|", section, re.MULTILINE)


def test_a_new_stage_touches_few_files(modules: dict[str, Named]) -> None:
    found = [name for name, named in modules.items() if names_the_stage(named)]
    assert found == sorted(f"themis/{name}" for name in listed("What a new stage touches"))
    assert len(found) <= 13


def test_a_new_metric_family_touches_few_files(modules: dict[str, Named]) -> None:
    found = [name for name, named in modules.items() if names_the_family(named)]
    assert found == sorted(f"themis/{name}" for name in listed("What a new metric family touches"))
    assert len(found) <= 6


@pytest.mark.parametrize(
    "lines",
    [
        [f"{kind.__name__}()" for kind in [*EVENT_TYPES.values()][: MOST + 1]],
        [f"known = {[*EVENT_TYPES][: MOST + 1]}"],
        [f"known = {[*STAGE_ORDER][: MOST + 1]}"],
    ],
)
def test_one_more_module_that_lists_them_is_seen(lines: Iterable[str]) -> None:
    assert tells_of_many(Named.by("\n".join(lines)))
    assert not tells_of_many(Named.by('"""' + "\n".join(lines) + '"""'))


@pytest.mark.parametrize("line", ["SelectionFailedEvent()", "f(selector=None)", "state.selection", "stage == 'select'"])
def test_one_more_module_that_names_the_stage_is_seen(line: str) -> None:
    assert names_the_stage(Named.by(line))
    assert not names_the_stage(Named.by(f"# {line}\nmetric_family = 'selection'"))


def test_one_more_module_that_names_the_family_is_seen() -> None:
    assert names_the_family(Named.by("metric.family == 'execution'"))
    assert not names_the_family(Named.by("state.execution"))
