"""What source text means: code as the hash of its syntax tree, and the names that it reads and changes.

No layout gets into a hash: not blanks, line breaks, comments, quotes, redundant parentheses or trailing commas.
Python's own `ast.dump` shows fields that came with one version or another, so trees are written out here: fields in
order of their names, empty ones left out, constants as ASCII. What one version of Python parses in other pieces than
the next, or a formatter is known to rewrite, has one form: f-strings, docstrings, the targets of `del`.

This room knows text alone: no module, no function object.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import types
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import attrs

_MUTATORS: Final = frozenset({*dir(dict), *dir(list), *dir(set), *dir(deque)}) - {
    *dir(types.MappingProxyType),
    *dir(tuple),
    *dir(frozenset),
}
"""Methods that containers have and their immutable forms don't: those that change them."""

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS: Final = (*_FUNCTIONS, ast.ClassDef)
_BODIES: Final = (*_FUNCTIONS, ast.Lambda)
_BLOCKS: Final = ("body", "handlers", "orelse", "finalbody", "cases")
_IMPORTS: Final = (ast.Import, ast.ImportFrom)
Columns = tuple[int, int, int, int]
"""First line, first column, last line, last column."""


@attrs.frozen
class Code:
    """A function, class, lambda or statement, as its text says it.

    Attributes:
        digest: the hash of its syntax tree.
        names: the names that it reads, each with the attributes behind it: `rules.norm` is `("rules", "norm")`.
        around: those of them that are read where it is defined: by decorators, defaults and a class's own body.
        imports: what it imports: level, module and name (`""` for the module itself).
    """

    digest: str
    names: frozenset[tuple[str, ...]]
    around: frozenset[tuple[str, ...]]
    imports: frozenset[tuple[int, str, str]] = frozenset()


@attrs.frozen
class Place:
    """Where a function or class stands."""

    node: ast.AST
    outermost: ast.AST | None
    qualname: str
    first_line: int

    def code(self) -> Code:
        return Code(_digest([self.node]), _chains([self.node]), _chains(_around(self.node)), _imports([self.node]))

    def changed(self) -> frozenset[str]:
        """Return the variables that are changed when the function is called.

        Those of other scopes that it, or a function beside it, changes; and those of its arguments that it changes in
        place.
        """
        return _changed_by(self.outermost or self.node) | _changed_arguments(self.node)


class Text:
    """The text of a module, or of a part of one: a notebook's cell, a function by itself."""

    def __init__(self, source: str) -> None:
        self._shift = 0
        try:
            self._body = ast.parse(source).body
        except IndentationError:  # a method by itself
            self._body = ast.parse(f"if 1:\n{source}").body
            self._shift = 1

    @functools.cached_property
    def _definitions(self) -> list[Place]:
        return self._places(_BLOCKS)

    @functools.cached_property
    def _lambdas(self) -> list[Place]:
        return [place for place in self._places(None) if isinstance(place.node, ast.Lambda)]

    def _places(self, fields: Collection[str] | None) -> list[Place]:
        """Return what stands in some fields of the tree, all of them by default."""
        found: list[Place] = []
        todo: list[tuple[ast.AST, ast.AST | None, str]] = [(node, None, "") for node in reversed(self._body)]
        while todo:
            node, outermost, prefix = todo.pop()
            inside = (outermost, prefix)
            if isinstance(node, (*_DEFINITIONS, ast.Lambda)):
                name = getattr(node, "name", "<lambda>")
                found.append(Place(node, outermost, prefix + name, _first_line(node) - self._shift))
                inside = (outermost, f"{prefix}{name}.")
                if isinstance(node, _BODIES):
                    inside = (outermost or node, f"{prefix}{name}.<locals>.")
            for field in node._fields if fields is None else fields:
                value = getattr(node, field, None)
                within = inside if field == "body" else (outermost, prefix)
                children = value if isinstance(value, list) else [value]
                todo.extend((child, *within) for child in children if isinstance(child, ast.AST))
        return found

    def function(self, name: str, line: int, columns: Iterable[Columns], seen: str | None = None) -> Place | None:
        """Return a function or lambda that begins in a line.

        Of lambdas, `columns` are places within its body, and `seen` is what its code is `shown` as.
        """
        if name != "<lambda>":
            named = (p for p in self._definitions if p.first_line == line and getattr(p.node, "name", None) == name)
            return next((place for place in named if isinstance(place.node, _FUNCTIONS)), None)
        here = [place for place in self._lambdas if place.first_line == line]
        if len(here) > 1:
            within = list(columns)
            # Python 3.12 has no places for a body that is a constant.
            here = here if within else [place for place in here if _shown(place.node) == seen] or here
            # Of lambdas within each other, the innermost that holds everything.
            here = sorted((place for place in here if self._holds(place.node, within)), key=lambda p: _area(p.node))
        return here[0] if here else None

    def _holds(self, node: Any, columns: Iterable[Columns]) -> bool:
        first, last = _span(node.body)
        return all(
            first <= (line + self._shift, column) and (end + self._shift, end_column) <= last
            for line, column, end, end_column in columns
        )

    def class_(self, qualname: str, line: int | None = None) -> Code | None:
        """Return a class by its qualified name; of several, the one that has `line` in it, or else the last."""
        here = [p for p in self._definitions if isinstance(p.node, ast.ClassDef) and p.qualname == qualname]
        if line is not None:
            here = [p for p in here if p.first_line <= line <= (p.node.end_lineno or 0) - self._shift] or here  # type: ignore[attr-defined]  # classes
        return max(here, key=lambda place: place.first_line).code() if here else None

    def whole(self) -> Code:
        return Code(_digest(self._body), _chains(self._body), frozenset(), _imports(self._body))

    def assigned(self, name: str) -> Code | None:
        """Return the top-level statements that bind a global name or can change what it is bound to."""
        body = [node for node in self._body if _makes(node, name)]
        return Code(_digest(body), _chains(body), _chains(body)) if body else None

    @functools.cached_property
    def rebound(self) -> frozenset[str]:
        """The global names that a function binds anew."""
        return frozenset(
            name for node in self._body for g in ast.walk(node) if isinstance(g, ast.Global) for name in g.names
        )

    @functools.cached_property
    def imported(self) -> tuple[tuple[str, int, str, str], ...]:
        """What is imported from modules: the name here (`*` for all), level, module and the name there."""
        return tuple(
            (alias.asname or alias.name, node.level, node.module or "", alias.name)
            for top in self._body
            for node in _outside_functions(top)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        )


def shown(code: types.CodeType) -> str:
    """Return what tells a lambda that returns a constant from others: its parameters and the constant."""
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    return repr((code.co_varnames, *counts, code.co_consts[-1:]))


def _shown(node: Any) -> str:
    made = compile(ast.Expression(node), "<lambda>", "eval").co_consts
    # Before it come those of its defaults.
    return shown([code for code in made if isinstance(code, types.CodeType)][-1])


def _first_line(node: Any) -> int:
    lines: list[int] = [node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))]
    return min(lines)


def _span(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)


def _area(node: Any) -> tuple[int, int]:
    (line, column), (end, end_column) = _span(node)
    return (end - line, end_column - column)


# --- names ------------------------------------------------------------------------------------------------


def _around(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a definition that are evaluated where it stands."""
    parts: list[ast.AST | None] = [*getattr(node, "decorator_list", ())]
    if isinstance(node, ast.ClassDef):
        parts += [*node.bases, *node.keywords]
        for statement in node.body:
            parts += _around(statement) if isinstance(statement, _DEFINITIONS) else [statement]
    elif isinstance(node, _BODIES):
        parts += [*node.args.defaults, *node.args.kw_defaults]
    return [part for part in parts if part is not None]


def _chains(nodes: Iterable[ast.AST]) -> frozenset[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    todo = list(nodes)
    while todo:
        node: ast.AST = todo.pop()
        attributes: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            attributes.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            found.add((inner.id, *reversed(attributes)))
        else:
            todo.extend(ast.iter_child_nodes(inner))
    return frozenset(found)


def _imports(nodes: Iterable[ast.AST]) -> frozenset[tuple[int, str, str]]:
    found: set[tuple[int, str, str]] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Import):
            found.update((0, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update((node.level, node.module or "", alias.name) for alias in node.names)
    return frozenset(found)


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _changed_by(outermost: ast.AST) -> frozenset[str]:
    """Return the names that a function, or one within it, changes although they are another scope's variables."""
    found: set[str] = set()
    for node in ast.walk(outermost):
        if isinstance(node, _BODIES):
            declared = {name for n in _own(node) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
            found |= declared | (_changed_in(node) - _bound_in(node))
    return frozenset(found)


def _changed_arguments(node: ast.AST) -> frozenset[str]:
    if not isinstance(node, _BODIES):
        return frozenset()
    stored = {n.id for n in _own(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    inner = {name for n in _own(node) if isinstance(n, _BODIES) for name in _changed_in(n) - _bound_in(n)}
    return frozenset(((_changed_in(node) | inner) & _arguments(node)) - stored)


def _changed_in(function: ast.AST) -> set[str]:
    """Return the names whose values a function's own statements change in place."""
    found: set[str | None] = set()
    for node in _own(function):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found.add(_root(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
            found.add(_root(node.func))
    return {name for name in found if name is not None}


def _bound_in(function: ast.AST) -> set[str]:
    stored = {n.id for n in _own(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | _arguments(function)


def _arguments(function: Any) -> set[str]:
    args = function.args
    every = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
    return {argument.arg for argument in every if argument is not None}


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function, without what is in the functions within it."""
    return (node for child in ast.iter_child_nodes(function) for node in _outside_functions(child))


def _outside_functions(top: ast.AST) -> Iterator[ast.AST]:
    todo = [top]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, _BODIES):
            todo.extend(ast.iter_child_nodes(node))


def _makes(top: ast.AST, name: str) -> bool:
    """Tell whether a statement binds a name, changes its value in place, or hands it to a call."""
    if isinstance(top, _DEFINITIONS):
        return top.name == name
    if isinstance(top, _IMPORTS):
        return False
    if isinstance(top, ast.If) and "__name__" in {chain[0] for chain in _chains([top.test])}:
        return False  # what is done when the file is run as a script
    for node in _outside_functions(top):
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            return True
        is_place = isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
        if is_place and _root(node) == name:
            return True
        if isinstance(node, ast.Expr) and name in {chain[0] for chain in _chains([node])}:
            return True
    return False


# --- trees ------------------------------------------------------------------------------------------------

_LEFT_OUT: Final = frozenset({"ctx", "kind", "type_comment", "str"})
"""`kind` is the u of u"..."; `str` is how the text of a t-string's expression was laid out."""


def _digest(nodes: list[Any]) -> str:
    return hashlib.sha256("\n".join(_written(nodes)).encode()).hexdigest()


def _written(nodes: list[Any]) -> Iterator[str]:
    """Write trees out, one token an item. A stack, and no recursion: a long sum is a deep tree."""
    todo: list[Any] = [nodes]
    while todo:
        item = todo.pop()
        if isinstance(item, _Token):
            yield item
        elif isinstance(item, list):
            todo.append(_Token("]"))
            todo.extend(reversed(item))
            todo.append(_Token("["))
        elif isinstance(item, ast.AST):
            kind, fields = _form(item)
            todo.append(_Token(")"))
            for name, value in reversed(fields):
                todo += (value, _Token(f"{name}="))
            todo.append(_Token(f"({kind}"))
        else:
            yield f"{type(item).__name__} {hex(item) if type(item) is int else ascii(item)}"


class _Token(str):
    """Written as it is; a plain `str` is a value."""

    __slots__ = ()


def _form(node: ast.AST) -> tuple[str, list[tuple[str, Any]]]:
    """Return a node's kind and its fields that count."""
    if isinstance(node, ast.Constant):
        return "Constant", [("value", node.value)]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        # A docstring may be a prompt, so its words count; formatters change the blanks around its lines.
        return "Docstring", [("value", "\n".join(line.strip() for line in node.value.value.strip().splitlines()))]
    if isinstance(node, ast.JoinedStr):
        parts = _pieces(node.values)
        if len(parts) == 1 and isinstance(parts[0], str):
            return "Constant", [("value", parts[0])]
        return ("JoinedStr", [("values", parts)]) if parts else ("Constant", [("value", "")])
    fields = [
        (name, value)
        for name, value in sorted(ast.iter_fields(node))
        if name not in _LEFT_OUT and value is not None and value != []
    ]
    if isinstance(node, ast.Delete):
        fields = [("targets", list(_flat(node.targets)))]
    return type(node).__name__, fields


def _pieces(values: Iterable[ast.expr]) -> list[Any]:
    pieces: list[Any] = []
    for value in values:
        inner = _pieces(value.values) if isinstance(value, ast.JoinedStr) else [value]
        for piece in inner:
            text = piece.value if isinstance(piece, ast.Constant) else piece
            if isinstance(text, str) and pieces and isinstance(pieces[-1], str):
                pieces[-1] += text
            elif text != "":
                pieces.append(text)
    return pieces


def _flat(targets: Iterable[ast.expr]) -> Iterator[ast.expr]:
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            yield from _flat(target.elts)
        else:
            yield target
