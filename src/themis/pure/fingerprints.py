"""Fingerprints of components: what a component would do, as a hash (law 3).

A component that states no `fingerprint()` gets one from its source code, its configuration, the values it closes
over and the functions and constants of its own package that its code names, followed all the way down. Comments
and layout don't count. Source text is compared and not bytecode, so that the fingerprint is the same under every
Python version. A global that can change at run time (a table, a cache) counts by the source of its assignment, so
that using a component does not change its name. Libraries count by name, and so do Themis' records and functions:
of Themis itself only the components are followed. Reading source is I/O: the function that does so is handed in.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
import textwrap
import tokenize
import types
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from themis.pure.errors import SpecError
from themis.pure.json import JSONValueError, content_hash, freeze
from themis.pure.records.base import HashableModel
from themis.pure.records.snapshot import ComponentRef

SourceOf = Callable[[Any], str | None]
"""Returns the source text of a function or class, or `None` where there is none (C code, a REPL)."""

_GENERATED: Final = ("<attrs generated", "<string>", "<frozen")


def component_ref(component: Any, source_of: SourceOf) -> ComponentRef:
    """Name a component exactly.

    Raises:
        SpecError: it has no `component_id`, or its `fingerprint()` returns no text.
    """
    name = getattr(component, "component_id", None)
    if not isinstance(name, str) or not name:
        raise SpecError(
            f"{type(component).__name__} has no component_id: found {name!r}; give the component a non-empty "
            "component_id, or make it from a plain function with @generator, @parser, @reducer or @metric"
        )
    version = getattr(component, "version", "")
    return ComponentRef(component_id=name, version=str(version), fingerprint=fingerprint(component, source_of))


def fingerprint(component: Any, source_of: SourceOf) -> str:
    """Return the fingerprint that a component states, or one made from its code."""
    stated = getattr(component, "fingerprint", None)
    if callable(stated):
        value = stated()
        if not isinstance(value, str) or not value:
            raise SpecError(
                f"{component.component_id}.fingerprint() must return a non-empty str; it returned {value!r}"
            )
        return value
    # A component made around a function (`functools.wraps` says so) does what the function does.
    owners = [type(component), getattr(component, "__wrapped__", None)]
    packages = {_package(owner) for owner in owners if owner is not None}
    return content_hash(_Walk(source_of, packages).describe(component))


def _package(value: Any) -> str:
    return str(getattr(value, "__module__", "")).partition(".")[0]


class _Walk:
    """One walk over everything that a component's behaviour rests on."""

    def __init__(self, source_of: SourceOf, packages: set[str]) -> None:
        self._source_of = source_of
        self._packages = packages
        self._seen: dict[int, int] = {}
        self._kept: list[object] = []  # what was seen must stay alive, for ids to stay its own

    def describe(self, value: Any) -> Any:
        """Return JSON that changes when what `value` does changes."""
        if value is None or isinstance(value, bool | int | float | str):
            return _scalar(value)
        if id(value) in self._seen:
            return {"seen": self._seen[id(value)]}
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        for kinds, describe in _DESCRIBERS:
            if isinstance(value, kinds):
                return describe(self, value)
        return self._instance(value)

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        return {"map": [[self.describe(key), self.describe(item)] for key, item in value.items()]}

    def _sequence(self, value: Any) -> Any:
        return [self.describe(item) for item in value]

    def _set(self, value: Any) -> Any:
        return {"set": sorted(content_hash(self.describe(item)) for item in value)}

    def _pattern(self, value: re.Pattern[Any]) -> Any:
        return {"pattern": repr(value.pattern), "flags": value.flags}

    def _record(self, value: HashableModel) -> Any:
        return {"record": type(value).__qualname__, "hash": value.compute_hash()}

    def _partial(self, value: functools.partial[Any]) -> Any:
        return {"partial": [self.describe(part) for part in (value.func, value.args, value.keywords)]}

    def _method(self, value: types.MethodType) -> Any:
        return {"method": self.describe(value.__func__), "of": self.describe(value.__self__)}

    def _module(self, value: types.ModuleType) -> Any:
        return {"module": value.__name__}

    def _enum(self, value: Enum) -> Any:
        return {"enum": type(value).__qualname__, "name": value.name}

    def _function(self, function: types.FunctionType) -> Any:
        if not self._is_ours(function):
            return {"name": f"{function.__module__}.{function.__qualname__}"}
        return {
            "source": self._code_of(function),
            "defaults": self.describe(function.__defaults__),
            "keywords": self.describe(function.__kwdefaults__),
            "closure": [self.describe(_cell(cell)) for cell in function.__closure__ or ()],
            "names": self._globals(function),
        }

    def _class(self, kind: type) -> Any:
        if not self._is_ours(kind):
            return {"name": f"{kind.__module__}.{kind.__qualname__}"}
        functions = sorted(_own_functions(kind), key=lambda function: function.__qualname__)
        return {
            "source": self._code_of(kind),
            "bases": [self.describe(base) for base in kind.__bases__ if base is not object],
            "closures": [
                [self.describe(_cell(c)) for c in f.__closure__ or () if _cell(c) is not kind] for f in functions
            ],
            "names": [self._globals(function) for function in functions],
        }

    def _instance(self, value: Any) -> Any:
        return {"class": self.describe(type(value)), "state": self.describe(_state(value))}

    def _is_ours(self, value: Any) -> bool:
        """Tell whether the code belongs to the component's own package or to a script, and not to a library."""
        package = _package(value)
        if package == "themis":
            return str(value.__module__).startswith("themis.pure.components")
        return package in self._packages or package == "__main__"

    def _code_of(self, value: Any) -> Any:
        source = self._source_of(value)
        if source is not None:
            return code_text(source)
        code = getattr(value, "__code__", None)
        # Without source (a REPL, exec) only bytecode is left; it differs between Python versions.
        return (
            {"bytecode": code.co_code.hex(), "consts": repr(code.co_consts)} if code else {"name": value.__qualname__}
        )

    def _globals(self, function: types.FunctionType) -> Any:
        space = function.__globals__
        names = sorted(name for name in set(_names(function.__code__)) if name in space)
        return {name: self._global(name, space[name], function) for name in names}

    def _global(self, name: str, value: Any, function: types.FunctionType) -> Any:
        if isinstance(value, _STEADY) or (isinstance(value, tuple) and all(isinstance(v, _SCALARS) for v in value)):
            return self.describe(value)
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):  # functools.cache and the like
            return self.describe(wrapped)
        return {"assigned": _assignment(self._source_of(sys.modules.get(function.__module__)), name)}


_SCALARS: Final = (bool, int, float, str, bytes, types.NoneType)
_STEADY: Final = (*_SCALARS, frozenset, re.Pattern, Enum, types.FunctionType, types.ModuleType, type, HashableModel)


@functools.lru_cache(maxsize=256)
def _assignments(source: str) -> Mapping[str, str]:
    """Return what a module assigns to its globals, as normalised source, by name."""
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = code_text(ast.get_source_segment(source, node) or "")
    return found


def _assignment(source: str | None, name: str) -> str:
    try:
        return _assignments(source or "").get(name, name)
    except SyntaxError:
        return name


_DESCRIBERS: Final[tuple[tuple[Any, Callable[[_Walk, Any], Any]], ...]] = (
    (Enum, _Walk._enum),
    (HashableModel, _Walk._record),
    (bytes, lambda _, value: {"bytes": value.hex()}),
    (Mapping, _Walk._mapping),
    ((list, tuple), _Walk._sequence),
    ((set, frozenset), _Walk._set),
    (re.Pattern, _Walk._pattern),
    (functools.partial, _Walk._partial),
    (types.MethodType, _Walk._method),
    (types.ModuleType, _Walk._module),
    (types.FunctionType, _Walk._function),
    (type, _Walk._class),
)


def _scalar(value: Any) -> Any:
    try:
        return freeze(value)
    except JSONValueError:
        return {"repr": repr(value)}


def _cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the cell is still empty
        return None


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the global names that a function and all functions within it read."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _own_functions(kind: type) -> Iterator[types.FunctionType]:
    """Yield the methods written in a class; those that a library adds to it differ between versions, not in meaning."""
    for value in vars(kind).values():
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, property):
            value = value.fget
        if isinstance(value, types.FunctionType) and _was_written_in(value, kind):
            yield value


def _was_written_in(function: types.FunctionType, kind: type) -> bool:
    # attrs gives what it adds the module's name, so the module is read off the function's globals.
    home = str(function.__globals__.get("__name__", "")).partition(".")[0]
    return home == _package(kind) and not function.__code__.co_filename.startswith(_GENERATED)


def _state(value: Any) -> Any:
    """Return an instance's configuration: its fields, by name."""
    if attrs.has(type(value)):
        return {field.name: getattr(value, field.name, None) for field in attrs.fields(type(value))}
    names = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
    slots = {name: getattr(value, name) for name in sorted(names) if hasattr(value, name) and name != "__weakref__"}
    own = {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("__")}
    return {**own, **slots} or None


def code_text(source: str) -> str:
    """Return source text without what can't matter: comments, blank lines, trailing blanks, outer indentation.

    >>> code_text("def f(x):  # why\\n\\n    return x\\n")
    'def f(x):\\n    return x'
    """
    text = textwrap.dedent(source)
    try:
        tokens = list(tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__))
    except (tokenize.TokenError, SyntaxError):  # a lambda cut out of the middle of an expression
        return text.strip()
    lines = text.splitlines()
    inside = {line for t in tokens if t.start[0] != t.end[0] for line in range(t.start[0], t.end[0] + 1)}
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    kept = [line if n in inside else line.rstrip() for n, line in enumerate(lines, 1) if n in inside or line.strip()]
    return "\n".join(kept).strip()
