"""Syntax trees as hashes: the same under every Python version, whatever the layout; and names found in text."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure import syntax
from themis.pure.syntax import Text

GOLDEN: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "identity" / "code.json").read_text("utf-8")
)


def digest(source: str) -> str:
    return Text(source).whole().digest


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_trees(name: str) -> None:
    """They were made by Python 3.11, and every other version has to make the same."""
    source = GOLDEN[name]["source"]
    assert digest(source) == GOLDEN[name]["digest"]
    assert digest(ast.unparse(ast.parse(source))) == GOLDEN[name]["digest"]


SAME = [
    ("f( a,b )", "f(a, b)"),
    ("x = (1)", "x = 1"),
    ("x = 'a'", 'x = "a"'),
    ("x = u'a'", "x = 'a'"),
    ("f(a, b)", "f(\n    a,\n    b,\n)"),
    ("x = 'ab'", "x = ('a'\n    'b')"),
    ("x = f'a{b}c'", 'x = f"a{b}" "c"'),
    ("x = 'a' f''", "x = 'a'"),
    ("if a:\n    b", "if a: b"),
    ("if a:\n    b\n# c\n\nd", "if a:\n  b\nd"),
    ("del (a, b)", "del a, b"),
    ("for (a, b) in c: pass", "for a, b in c: pass"),
    ("x = 0XFF + 1_000", "x = 0xff + 1000"),
    ("def f():\n    '''A.\n\n    B.\n    '''", 'def f():\n  """A.\n\n      B."""'),
    ("class A():\n    pass", "class A: pass"),
    ("return_ = a, b", "return_ = (a, b,)"),
]
OTHER = [
    ("f(a, b)", "f(b, a)"),
    ("x = 1", "x = 1.0"),
    ("x = 1", "x = True"),
    ("x = 'a'", "x = b'a'"),
    ("x = ''", "x = None"),
    ("x = f'{a}'", "x = f'{a!r}'"),
    ("x = f'{a}'", "x = f'{a:>3}'"),
    ("x = f'{a}b'", "x = f'b{a}'"),
    ("x = 'ab', 'c'", "x = 'a', 'bc'"),
    ("x = (1,)", "x = (1)"),
    ("a + b * c", "(a + b) * c"),
    ("if a: b\nelse: c", "if a: c\nelse: b"),
    ("def f(a, b=1): pass", "def f(a, *, b=1): pass"),
    ("def f(): 'A.'", "def f(): 'B.'"),
    ("{**a, 'b': 1}", "{'b': 1, **a}"),
    ("x[1:2]", "x[:2]"),
    ("case = a.b", "case = a.c"),
    ("async def f(): pass", "def f(): pass"),
    ("a and b", "a or b"),
    ("'a' == b", "b == 'a'"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_layout_is_left_out(one: str, other: str) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_meaning_is_not(one: str, other: str) -> None:
    assert digest(one) != digest(other)


def test_an_f_string_is_the_same_in_whatever_pieces_it_comes() -> None:
    """As versions of Python differ in how they part one."""
    whole, parted = ast.JoinedStr([ast.Constant("ab")]), ast.JoinedStr([ast.Constant(text) for text in ("a", "", "b")])
    assert syntax._digest([whole]) == syntax._digest([parted]) == syntax._digest([ast.Constant("ab")])


def test_a_deep_tree_is_no_trouble() -> None:
    depth = 900
    assert digest(" + ".join(["1"] * depth)) != digest(" + ".join(["1"] * (depth + 1)))


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
)
def test_constants_count_by_value(left: str, right: str) -> None:
    assert (digest(f"x = {left!r}") == digest(f"x = {right!r}")) == (left == right)


def at(source: str, function: Any) -> str:
    code = function.__code__
    columns = [
        (line, column, end, end_column)
        for line, end, column, end_column in code.co_positions()
        if None not in (line, end, column, end_column) and (line, column) < (end, end_column)
    ]
    place = Text(source).function(code.co_name, code.co_firstlineno, columns, syntax.shown(code))
    assert place is not None
    return ast.unparse(place.node)


LAMBDAS = """
made = [lambda x: x + 1, lambda x: x + 2, (lambda x: lambda y: x + y)(1), lambda: 7, lambda *a, k=lambda: 3: [
    b for b in a], [lambda: i for i in range(2)][0], {'é': lambda é: (é)}['é'],
    lambda: None]; made.append(made[4].__kwdefaults__['k'])
"""


def test_lambdas_are_found_in_the_middle_of_a_line() -> None:
    space: dict[str, Any] = {}
    exec(LAMBDAS, space)
    assert [at(LAMBDAS, function) for function in space["made"]] == [
        "lambda x: x + 1",
        "lambda x: x + 2",
        "lambda y: x + y",
        "lambda: 7",
        "lambda *a, k=lambda: 3: [b for b in a]",
        "lambda: i",
        "lambda é: é",
        "lambda: None",
        "lambda: 3",
    ]


CONSTANTS = """
made = [lambda: 1, lambda: 1.0, lambda: True, lambda: 'a', lambda: None, lambda x: 1, lambda *x: 1, lambda y: x,
    lambda: -2, lambda: 3 + 4, lambda: (1, 2), lambda: (1, 2.0), lambda k=lambda: 5: 6, lambda: x, lambda: f(1)]
"""


def test_lambdas_that_return_a_constant_are_told_apart() -> None:
    space: dict[str, Any] = {}
    exec(CONSTANTS, space)
    nodes = next(n for n in ast.walk(ast.parse(CONSTANTS)) if isinstance(n, ast.List)).elts
    assert [at(CONSTANTS, function) for function in space["made"]] == list(map(ast.unparse, nodes))


CLASSES = """
class A:
    class B:
        def f(self): return 1
def g():
    class B:
        def f(self): return 2
if a:
    class C: x = 1
else:
    class C:
        def f(self): return 3
"""


@pytest.mark.parametrize(
    ("qualname", "line", "number"),
    [("A.B", None, 1), ("g.<locals>.B", None, 2), ("C", 11, 3), ("C", 9, None), ("D", None, 0)],
)
def test_classes_are_found_by_name_and_line(qualname: str, line: int | None, number: int | None) -> None:
    found = Text(CLASSES).class_(qualname, line)
    wanted = "class C: x = 1" if number is None else f"class {qualname[-1]}:\n def f(self): return {number}"
    assert (found.digest if found else None) == (Text(wanted).class_(qualname[-1]).digest if number != 0 else None)  # type: ignore[union-attr]  # it is there


def test_a_method_by_itself_is_read() -> None:
    place = Text("    def f(self):\n        return '''\nat the margin'''\n").function("f", 1, ())
    assert place is not None
    assert place.code().digest == Text("def f(self): return '\\nat the margin'").function("f", 1, ()).code().digest  # type: ignore[union-attr]  # it is there


def test_names_come_with_their_attributes_and_decorators_apart() -> None:
    place = Text("@a.b(c)\ndef f(x=d):\n    return e.f.g(x)[h].i\n").function("f", 1, ())
    assert place is not None
    assert place.code().names == {("a", "b"), ("c",), ("d",), ("e", "f", "g"), ("x",), ("h",)}
    assert place.code().around == {("a", "b"), ("c",), ("d",)}


CHANGED = """
def outer(given, kept=[]):
    local, seen, calls = [], {}, 0
    local.append(given)
    def inner(x, memo={}, words=()):
        nonlocal calls
        calls += 1
        seen[x] = memo[x] = 1
        words = list(words)
        words.append(x)
        return local
    return inner
"""


def test_what_a_call_changes_is_told_from_what_a_definition_built() -> None:
    inner, outer = Text(CHANGED).function("inner", 5, ()), Text(CHANGED).function("outer", 2, ())
    assert inner is not None
    assert outer is not None
    assert inner.changed() == {"calls", "seen", "memo"}
    assert outer.changed() == {"calls", "seen"}


GLOBALS = """
from .a import b as c, d
try:
    from e import *
except ImportError:
    pass
TABLE = {}
TABLE['x'] = 1
register(TABLE)
OTHER = len(TABLE)
def f():
    global OTHER
    TABLE['y'] = 2
if __name__ == '__main__':
    print(TABLE)
"""


def test_globals_are_followed_to_where_they_come_from() -> None:
    text = Text(GLOBALS)
    assert text.imported == (("c", 1, "a", "b"), ("d", 1, "a", "d"), ("*", 0, "e", "*"))
    assert text.rebound == {"OTHER"}
    assigned = text.assigned("TABLE")
    assert assigned is not None
    assert assigned.digest == digest("TABLE = {}\nTABLE['x'] = 1\nregister(TABLE)")
    assert text.assigned("nothing") is None
