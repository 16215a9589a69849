"""How a door opens: each of its names is loaded from its home when it is first used.

A door tells its names once, in the imports that type checkers see, and is opened with the functions made here:

    if TYPE_CHECKING:
        from themis.pure.records.dataset import Case as Case
    else:
        __getattr__, __dir__ = open_door(__name__)

The names are read from the door's own text, with no table or stub beside it that could say something else.
`X as X` hands a name on, to type checkers as here.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def open_door(door: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a module that is a door."""

    def names() -> list[str]:
        return sorted(name for name, home in _homes(door).items() if home != door)

    def load(name: str) -> Any:
        if name == "__all__":
            return names()
        home = _homes(door).get(name)
        if home is None:
            raise AttributeError(f"module {door!r} has no attribute {name!r}")
        if home == door:  # it is another door
            return importlib.import_module(f"{door}.{name}")
        value = getattr(importlib.import_module(home), name)
        setattr(sys.modules[door], name, value)
        return value

    return load, names


@functools.cache
def _homes(door: str) -> Mapping[str, str]:
    """Return a door's names, each with the module that it comes from."""
    import ast  # like the others, not before a name is used: `import themis` is to be quick
    import pkgutil
    from pathlib import Path

    text = pkgutil.get_data(door, Path(str(sys.modules[door].__file__)).name)
    assert text is not None  # whatever loaded the door can read it
    imports = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names if alias.asname == alias.name}
