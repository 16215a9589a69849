"""Fingerprints of components: what a component would do, as a hash (law 3).

A component that states no `fingerprint()` gets one from its source code, its configuration, the values it closes
over, and everything of its own package that its code reaches, followed all the way down. Source counts as a syntax
tree (`themis.pure.syntax`): layout and comments don't. Bytecode counts only where there is no source, for it differs
between Python versions.

What a component changes while it is used must not change its name:

- A global that can change counts by the source of its assignment, and by the code of what it holds: functions and
  classes, not data. Whatever code a cache may hold is named by the code that fills it, so all code that is reached
  makes one set, and a cache that was filled adds nothing to it.
- A closed-over or default value counts as it is, unless the code changes it in place: then it counts as a global does.

Libraries count by name, and so do Themis' records and functions: of Themis itself only the components are followed.
Reading source is I/O: the function that does so is handed in.
"""

from __future__ import annotations

import functools
import re
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from themis.pure.builtin_names import kept_name
from themis.pure.errors import SpecError, said
from themis.pure.identity import IDENTITY_ALGORITHM
from themis.pure.introspection import (
    CACHED,
    assigned_in,
    bytecode_of,
    changed_at,
    class_at,
    closed_over,
    code_at,
    defaults_of,
    functions_of,
    imported_in,
    is_made,
    names_of,
    parts_of,
    rebound_in,
    slots_of,
    spot_of,
    whole_of,
)
from themis.pure.json import JSONValueError, content_hash, freeze
from themis.pure.records.base import HashableModel
from themis.pure.records.snapshot import ComponentRef
from themis.pure.syntax import Code

SourceOf = Callable[[Any], str | None]
"""Returns the text of the file that a function, a class, a module or the module of a name was read from, or `None` if
there is none (C code, `exec`). The text of the function alone does as well, but a lambda is not found in it."""

_OUR_COMPONENTS: Final = ("themis.pure.components.", "themis.pure.benchmarks.")
_GLUE: Final = "themis.pure.components.functions"
"""The wrappers around plain functions: they hand on and take back, as the pipeline does."""


def component_ref(component: Any, source_of: SourceOf, algorithm: str = IDENTITY_ALGORITHM) -> ComponentRef:
    """Name a component exactly.

    Args:
        component: the component.
        source_of: returns source text.
        algorithm: the identity algorithm whose names are wanted: that of the run to compare with.

    Raises:
        SpecError: it has no `component_id`, its `fingerprint()` returns no text, or it has no name of that algorithm.
    """
    name = getattr(component, "component_id", None)
    if not isinstance(name, str) or not name:
        raise SpecError(
            f"{type(component).__name__} has no component_id: found {name!r}; give the component a non-empty "
            "component_id, or make it from a plain function with @generator, @parser, @reducer or @metric"
        )
    version = getattr(component, "version", "")
    stated = fingerprint(component, source_of, algorithm)
    return ComponentRef(component_id=name, version=str(version), fingerprint=stated)


def fingerprint(component: Any, source_of: SourceOf, algorithm: str = IDENTITY_ALGORITHM) -> str:
    """Return the fingerprint that a component states, or one made from its code."""
    stated = getattr(component, "fingerprint", None)
    if callable(stated):
        try:
            value = stated()
        except Exception as error:
            name = getattr(component, "component_id", type(component).__name__)
            raise SpecError(f"{name}.fingerprint() raised {type(error).__name__}: {said(error)}") from error
        if not isinstance(value, str) or not value:
            raise SpecError(
                f"{component.component_id}.fingerprint() must return a non-empty str; it returned {value!r}"
            )
        return value
    kept = kept_name(component, algorithm)
    if kept is not None:
        return kept
    if algorithm != IDENTITY_ALGORITHM:
        raise SpecError(f"how {component.component_id} was named by {algorithm} can't be computed any more")
    # A component made around a function (`functools.wraps` says so) does what the function does.
    return code_fingerprint(component, source_of, [type(component), getattr(component, "__wrapped__", None)])


def code_fingerprint(value: Any, source_of: SourceOf, owners: Iterable[Any]) -> str:
    """Return the hash of a value and of all code that it reaches in the packages of its owners."""
    walk = _Walk(source_of, _Homes.of(owner for owner in owners if owner is not None))
    described = walk.describe(value)
    return content_hash({"value": described, "code": walk.reached()})


# --- whose code it is -------------------------------------------------------------------------------------


@attrs.frozen
class _Homes:
    """Where a component's own code lives: its package; or the folder that a single file or a script stands in."""

    packages: frozenset[str]
    folders: frozenset[str]

    @classmethod
    def of(cls, owners: Iterable[Any]) -> _Homes:
        packages = {_module_of(owner).partition(".")[0] for owner in owners}
        single = {name for name in packages if name != "themis" and not hasattr(sys.modules.get(name), "__path__")}
        folders = {_folder(sys.modules.get(name)) for name in single}
        return cls(frozenset(packages), frozenset(folder for folder in folders if folder is not None))

    def hold(self, module: str) -> bool:
        package = module.partition(".")[0]
        if package == "themis":
            return module.startswith(_OUR_COMPONENTS) and module != _GLUE
        if package in self.packages or package == "__main__":
            return True
        return bool(self.folders) and _folder(sys.modules.get(package)) in self.folders


def _module_of(value: Any) -> str:
    # A wrapper that a library made has the name of the wrapped function's module, and the library's globals.
    if isinstance(value, types.FunctionType):
        return str(value.__globals__.get("__name__", ""))
    return str(getattr(value, "__module__", None) or "")


def _folder(module: types.ModuleType | None) -> str | None:
    """Return the folder that a top-level module or package stands in; none for installed ones and built-in ones."""
    path = str(getattr(module, "__file__", None) or "").replace("\\", "/")
    parts = path.split("/")[: -2 if hasattr(module, "__path__") else -1]
    installed = parts[-1:] in (["site-packages"], ["dist-packages"])
    return None if not path or installed else "/".join(parts)


# --- the walk ---------------------------------------------------------------------------------------------


class _Walk:
    """One walk over everything that a component's behaviour rests on."""

    def __init__(self, source_of: SourceOf, homes: _Homes) -> None:
        self._source_of = source_of
        self._homes = homes
        self._code: set[str] = set()
        self._todo: deque[Callable[[], Any]] = deque()
        self._described: dict[int, Any] = {}
        self._within: set[int] = set()
        self._modules: set[str] = set()
        self._visited: set[int | tuple[int, str]] = set()
        self._kept: list[object] = []  # what was seen must stay alive, for ids to stay its own

    def reached(self) -> list[str]:
        """Return the hashes of all code that was reached; what it reaches is looked into here."""
        while self._todo:
            self._todo.popleft()()
        return sorted(self._code)

    def describe(self, value: Any) -> Any:
        """Return JSON that changes when what `value` is, or what its own code does, changes."""
        if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, Enum)):
            return _scalar(value)
        if id(value) in self._described:
            return self._described[id(value)]
        if id(value) in self._within:
            return {"within": type(value).__qualname__}
        self._kept.append(value)
        self._within.add(id(value))
        try:
            described = self._describe(value)
        finally:
            self._within.discard(id(value))
        self._described[id(value)] = described
        return described

    def _describe(self, value: Any) -> Any:
        match value:
            case Enum():
                return {"enum": self.describe(type(value)), "name": value.name}
            case HashableModel():
                return {"record": type(value).__qualname__, "hash": value.compute_hash()}
            case bytes():
                return {"bytes": value.hex()}
            case Mapping():
                return {"map": [[self.describe(key), self.describe(item)] for key, item in value.items()]}
            case list() | tuple() | deque():
                return [self.describe(item) for item in value]
            case set() | frozenset():
                return {"set": sorted(content_hash(self.describe(item)) for item in value)}
            case re.Pattern():
                return {"pattern": repr(value.pattern), "flags": value.flags}
            case _:
                return self._describe_code(value)

    def _describe_code(self, value: Any) -> Any:
        match value:
            case functools.partial():
                return {"partial": [self.describe(part) for part in (value.func, value.args, value.keywords)]}
            case types.MethodType():
                return {"method": self.describe(value.__func__), "of": self.describe(value.__self__)}
            case types.ModuleType():
                return self._module(value)
            case types.FunctionType():
                return self._function(value)
            case _ if isinstance(value, _C_FUNCTIONS):
                of = getattr(value, "__self__", None)
                owner = None if of is None or isinstance(of, types.ModuleType) else self.describe(of)
                return {"name": f"{_module_of(value)}.{value.__qualname__}", "of": owner}
            case type():
                return self._class(value)
            case _ if isinstance(value, CACHED):
                return {"wraps": self.describe(value.__wrapped__)}
            case _:
                return {"class": self.describe(type(value)), "state": self.describe(self._state(value))}

    def _state(self, value: Any) -> Any:
        """Return an instance's configuration: its fields, by name."""
        kind = type(value)
        if hasattr(value, "__fspath__"):
            return value.__fspath__()
        if attrs.has(kind):
            # What is no argument is derived from arguments, or is filled while the component is used.
            return {field.name: getattr(value, field.name, None) for field in attrs.fields(kind) if field.init}
        names = {name for base in kind.__mro__ for name in slots_of(base)}
        slots = {name: getattr(value, name) for name in sorted(names) if hasattr(value, name)}
        own = {name: item for name, item in getattr(value, "__dict__", {}).items() if not name.startswith("__")}
        if own or slots or self._homes.hold(kind.__module__):
            return {**own, **slots} or None
        try:  # a date, a range, a decimal: what it would be pickled as
            return value.__reduce_ex__(2)
        except Exception:  # a lock, a connection: nothing that counts
            return None

    # --- code ---------------------------------------------------------------------------------------------

    def _module(self, value: types.ModuleType) -> Any:
        if not self._homes.hold(value.__name__):
            return {"module": value.__name__}
        code = whole_of(self._source_of(value))
        return {"module": value.__name__ if code is None else code.digest}

    def _function(self, function: types.FunctionType) -> Any:
        self._reach(vars(function).values())
        wrapped = getattr(function, "__wrapped__", None)
        if not self._homes.hold(_module_of(function)):
            self._reach(closed_over(function).values())
            name = f"{_module_of(function)}.{function.__code__.co_qualname}"
            return {"name": name, "wraps": self.describe(wrapped)}
        code = code_at(self._source_of(function), spot_of(function.__code__)) or bytecode_of(function.__code__)
        holds = function.__closure__ or function.__defaults__ or function.__kwdefaults__
        changed = self._changed_by(function) if holds else frozenset()
        described = {
            "code": code.digest if isinstance(code, Code) else code,
            "defaults": self._values(defaults_of(function), changed),
            "closure": self._values(closed_over(function), changed),
        }
        self._name(function, described, code)
        return described

    def _class(self, kind: type) -> Any:
        if not self._homes.hold(kind.__module__):
            return {"name": f"{kind.__module__}.{kind.__qualname__}"}
        code = self._code_of_class(kind)
        members = {name: value for name, value in sorted(vars(kind).items()) if not _MACHINERY.fullmatch(name)}
        functions = {
            name: f for name, value in members.items() for f in functions_of(value) if self._wrote(f) and not is_made(f)
        }
        described = {
            "code": code.digest if code is not None else kind.__qualname__,
            "bases": [self.describe(base) for base in kind.__bases__ if base is not object],
            "methods": {name: self.describe(function) for name, function in functions.items()},
        }
        if code is None:  # a class that was made by a call, or in a notebook: its other members have no source
            rest = {name: value for name, value in members.items() if not hasattr(value, "__get__")}
            described["members"] = self._values(rest, frozenset())
        self._name(kind, described, code)
        self._reach(members.values())
        return described

    def _wrote(self, function: types.FunctionType) -> bool:
        """Tell whether a method was written in the package: itself, or what a library's wrapper is around."""
        wrapped = getattr(function, "__wrapped__", None)
        return self._homes.hold(_module_of(wrapped if isinstance(wrapped, types.FunctionType) else function))

    def _values(self, values: Mapping[str, Any], changed: frozenset[str]) -> Any:
        self._reach(value for name, value in values.items() if name in changed)
        return {name: None if name in changed else self.describe(value) for name, value in values.items()}

    def _changed_by(self, function: types.FunctionType) -> frozenset[str]:
        return changed_at(self._source_of(function), spot_of(function.__code__))

    def _code_of_class(self, kind: type) -> Code | None:
        for function in (f for value in vars(kind).values() for f in functions_of(value)):
            if function.__code__.co_qualname == f"{kind.__qualname__}.{function.__code__.co_name}":
                line = function.__code__.co_firstlineno
                if (found := class_at(self._source_of(function), kind.__qualname__, line)) is not None:
                    return found
        source = self._source_of(kind)
        return class_at(source, kind.__qualname__, None) or class_at(source, kind.__name__, None)

    def _name(self, value: Any, described: Any, code: Code | Any) -> None:
        """Count a function or class among the code that is reached, and look later into what it names."""
        self._code.add(content_hash(described))
        own = [described["code"]] if isinstance(described["code"], str) else []
        self._todo.append(lambda: self._count_names(value, code, own))

    def _count_names(self, value: Any, code: Code | Any, of: Any) -> None:
        reader = value if isinstance(value, types.FunctionType) else None
        space = _space(value.__module__) if reader is None else reader.__globals__
        chains: set[tuple[str, ...]] = set()
        if reader is not None:
            read = {name for name in names_of(reader.__code__) if name in space}
            named = code.names if isinstance(code, Code) else {(name,) for name in read}
            chains |= {chain for chain in named if chain[0] in read}
        if isinstance(code, Code):
            chains |= code.around
            self._import(str(space.get("__package__") or ""), code.imports)
        self._code.add(content_hash({"of": of, "names": self._globals(chains, space, reader)}))

    def _import(self, package: str, imports: Iterable[tuple[int, str, str]]) -> None:
        """Count the modules that a function imports, whole: they need not be loaded yet."""
        for level, module, name in sorted(imports):
            home = _absolute(package, level, module)
            within = f"{home}.{name}" if home and name else home or name
            for found in (within, home):
                if found in self._modules:
                    break
                code = whole_of(self._source_of(found)) if found and self._homes.hold(found) else None
                if code is not None:
                    self._modules.add(found)
                    self._code.add(code.digest)
                    self._import(found.rpartition(".")[0], code.imports)
                    self._import(found, code.imports)  # if it is a package
                    break

    def _globals(self, chains: Iterable[tuple[str, ...]], space: Mapping[str, Any], reader: Any = None) -> Any:
        return {".".join(chain): self._global(chain, space, reader) for chain in sorted(chains) if chain[0] in space}

    def _global(self, chain: tuple[str, ...], space: Mapping[str, Any], reader: Any = None) -> Any:
        name, *attributes = chain
        value = space[name]
        if isinstance(value, types.ModuleType):
            if attributes and attributes[0] in vars(value) and self._homes.hold(value.__name__):
                return self._global(tuple(attributes), vars(value))
            return {"module": value.__name__} if attributes else self.describe(value)
        source = self._source_of(sys.modules.get(str(space.get("__name__"))))
        if _is_steady(value) and not (isinstance(value, _SCALARS) and name in rebound_in(source)):
            return self.describe(value)
        if source is None:  # a notebook, a REPL: the value is all there is
            return self._values({name: value}, frozenset() if reader is None else self._changed_by(reader))
        for origin, there in _origins(source, name, space):
            if there in vars(origin) and self._homes.hold(origin.__name__):
                return self._global((there,), vars(origin))
        return self._changing(name, value, space, source)

    def _changing(self, name: str, value: Any, space: Mapping[str, Any], source: str) -> Any:
        """Count a global that can change: by the source of its assignment, and the code of what it holds."""
        self._reach([value])
        assigned = assigned_in(source, name)
        if assigned is None:
            return {"assigned": name}
        if (id(space), name) not in self._visited:
            self._visited.add((id(space), name))
            rest = {chain for chain in assigned.names if chain[0] != name}
            self._todo.append(
                lambda: self._code.add(content_hash({"assigned": assigned.digest, "names": self._globals(rest, space)}))
            )
        return {"assigned": assigned.digest}

    def _reach(self, values: Iterable[Any]) -> None:
        """Count the code that values hold, and none of their data."""
        todo = [*values]
        while todo:
            value = todo.pop()
            if isinstance(value, _SCALARS) or id(value) in self._visited:
                continue
            self._visited.add(id(value))
            self._kept.append(value)
            if isinstance(value, types.FunctionType):
                # A function that another one made is that one's code; its values may be those of the moment.
                if "<locals>" not in value.__qualname__ and not is_made(value):
                    self.describe(value)
            elif isinstance(value, type):
                self.describe(value)
            else:
                todo += self._held(value)

    def _held(self, value: Any) -> Iterable[Any]:
        if isinstance(value, Mapping):
            return [*value.keys(), *value.values()]
        if isinstance(value, list | tuple | set | frozenset | deque):
            return value
        parts = [*parts_of(value)]
        if parts or not self._homes.hold(type(value).__module__):
            return parts
        state = self._state(value)
        return [type(value), *(state.values() if isinstance(state, dict) else ())]


_SCALARS: Final = (bool, int, float, str, bytes, types.NoneType)
_STEADY: Final[tuple[type, ...]] = (*_SCALARS, frozenset, re.Pattern, Enum, types.FunctionType, type, HashableModel)
_C_FUNCTIONS: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
)
_MACHINERY: Final = re.compile(
    "__(dict|weakref|doc|module|qualname|annotat.*|firstlineno|static_attributes|slots|match_args|attrs_.*|dataclass_.*"
    "|abstractmethods|orig_bases|parameters|type_params)__|_abc_impl"
)
"""What Python and libraries put into a class; it differs between their versions."""


def _scalar(value: Any) -> Any:
    try:
        return freeze(value)
    except JSONValueError:
        return {"repr": repr(value)}


def _space(module: str) -> Mapping[str, Any]:
    found = sys.modules.get(module)
    return {} if found is None else vars(found)


def _is_steady(value: Any) -> bool:
    return all(map(_is_steady, value)) if isinstance(value, tuple) else isinstance(value, _STEADY)


def _absolute(package: str, level: int, module: str) -> str:
    """Return the whole name of a module that is imported, relatively if `level` is not 0."""
    parents = package.split(".")
    parent = ".".join(parents[: len(parents) - level + 1]) if level else ""
    return ".".join(part for part in (parent, module) if part)


def _origins(source: str, name: str, space: Mapping[str, Any]) -> Iterator[tuple[types.ModuleType, str]]:
    """Yield the modules that a name is imported from, each with its name there."""
    package = str(space.get("__package__") or "")
    for here, level, module, there in imported_in(source):
        if here in (name, "*"):
            found = sys.modules.get(_absolute(package, level, module))
            if found is not None:
                yield found, name if there == "*" else there
