"""No module imports itself by way of others, and no room of `themis.api` needs one that needs it.

Which layer may import which is import-linter's (`make contracts`).
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

Graph = Mapping[str, set[str]]
"""By name of a module or room: what it imports."""


def sources() -> dict[str, str]:
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        name = ".".join(path.relative_to(SRC).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def imported_when_loaded(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run when a module is loaded: none of a function's, none for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.orelse:
                yield from imported_when_loaded(ast.Module([statement], []))
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imported_when_loaded(child)


def targets(statement: ast.Import | ast.ImportFrom, modules: Mapping[str, str]) -> Iterator[str]:
    """Yield the modules of ours that an import names; the project writes no relative ones."""
    names = [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        assert statement.level == 0
        names = [f"{statement.module}.{name}" for name in names]
    for name in names:
        module = name if name in modules else name.rpartition(".")[0]
        if module in modules:
            yield module


def module_graph(modules: Mapping[str, str]) -> Graph:
    return {
        name: {target for found in imported_when_loaded(ast.parse(text)) for target in targets(found, modules)}
        for name, text in modules.items()
    }


def room_graph(modules: Mapping[str, str], home: str) -> Graph:
    """Return which rooms of a package need which, whenever and for whatever they import them."""
    rooms: dict[str, set[str]] = {}
    for name, text in modules.items():
        room = room_of(name, home)
        statements = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        found = {room_of(target, home) for statement in statements for target in targets(statement, modules)}
        rooms.setdefault(room, set()).update(found - {room, ""})
    return {room: needed for room, needed in rooms.items() if room}


def room_of(module: str, home: str) -> str:
    return module.removeprefix(f"{home}.").partition(".")[0] if module.startswith(f"{home}.") else ""


def circle(graph: Graph) -> list[str]:
    """Return a circle, its first name repeated at its end; nothing if there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(module_graph(sources())) == []


def test_no_room_of_the_api_needs_one_that_needs_it() -> None:
    rooms = room_graph(sources(), "themis.api")
    assert {"experiment", "config", "runs", "bundles", "catalog", "cli"} <= set(rooms)
    assert circle(rooms) == []


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ("from themis.a import name", True),
        ("from themis import a", True),
        ("import themis.a", True),
        ("try:\n    import themis.a\nexcept ImportError: pass", True),
        ("class C:\n    import themis.a", True),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import themis.a", True),
        ("if TYPE_CHECKING:\n    import themis.a", False),
        ("if typing.TYPE_CHECKING:\n    import themis.a", False),
        ("def f():\n    import themis.a", False),
        ("import themis.other", False),
    ],
)
def test_circles_are_found(imports: str, found: bool) -> None:
    modules = {"themis": "", "themis.a": "from themis.b import name", "themis.b": imports, "themis.other": ""}
    assert bool(circle(module_graph(modules))) is found


@pytest.mark.parametrize("imports", ["import themis.api.a.deep", "def f():\n    from themis.api.a import deep"])
def test_rooms_that_need_each_other_are_found(imports: str) -> None:
    modules = {"themis.api.a": "", "themis.api.a.deep": "import themis.api.b", "themis.api.b": imports}
    assert set(circle(room_graph(modules, "themis.api"))) == {"a", "b"}
