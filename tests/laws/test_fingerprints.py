"""Law 3: a fingerprint changes with everything that a component reaches, and not with layout or use.

Packages are drawn, written, imported in one form and in another, and their components' fingerprints compared. Each part
of a package holds a number of its own, so that an edit is another number.
"""

from __future__ import annotations

import ast
import datetime
import decimal
import enum
import functools
import importlib
import inspect
import io
import itertools
import json
import keyword
import linecache
import math
import operator
import os
import random
import re
import subprocess
import sys
import tempfile
import tokenize
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attr._make as attrs_make
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.effects.sources.source_code import source_of
from themis.pure.components.basic import DemoModel
from themis.pure.components.functions import metric
from themis.pure.fingerprints import fingerprint
from themis.pure.json import canonical_bytes
from themis.pure.records.generation import ParsedOutput
from themis.testing import strategies

# --- packages ---------------------------------------------------------------------------------------------

RULES = """
'''Rules.'''
import functools
SHIFT = 501
SHARED = {'k': 502, 'f': len}
def helper(x):
    return x + 503
class Base:
    def inherited(self, x):
        return x + 504
class Unused:
    def method(self):
        return 901
def decorate(extra):
    def around(function):
        seen = {}
        @functools.wraps(function)
        def inner(x):
            if x not in seen:
                seen[x] = function(x) + extra + 505
            return seen[x]
        return inner
    return around
REGISTRY = {}
def register(thing):
    REGISTRY[thing.__name__] = thing
    return thing
"""

LATER = """
from .latest import LAST
def helper(x):
    return x + 601 + LAST
"""
BESIDE = {"rules": RULES, "later": LATER, "latest": "LAST = 602\n"}
"""The modules beside the component's own."""

PARTS = {
    "a function": ("def plain(x):\n    return x + 101\n", "plain(x)"),
    "a constant": ("LIMIT = 102\n", "x + LIMIT"),
    "a method of a global instance": (
        "class Norm:\n    def apply(self, x):\n        return x + 103\nNORM = Norm()\n",
        "NORM.apply(x)",
    ),
    "an instance's arguments": (
        "class Scale:\n    def __init__(self, by):\n        self.by = by\nSCALE = Scale(104)\n",
        "SCALE.by + x",
    ),
    "a table of functions": ("def entry(x):\n    return x + 105\nTABLE = {'n': entry}\n", "TABLE['n'](x)"),
    "a nested table": (
        "def deep(x):\n    return x + 106\nDEEP = {'a': [{'b': (deep, len)}]}\n",
        "DEEP['a'][0]['b'][0](x)",
    ),
    "a table of lambdas": (
        "CHOICES = {'a': lambda x: x + 107, 'b': lambda x: x + 108, 'c': (lambda x: lambda y: x + y + 109)(1)}\n",
        "CHOICES['a'](x) + CHOICES['c'](x)",
    ),
    "a lambda of several": ("first, second = lambda x: x + 110, lambda x: x - 1\n", "first(x)"),
    "a table that is filled later": (
        "def late(x):\n    return x + 111\nLATE = {}\nLATE['n'] = late\nLATE.update(m=112)\n",
        "LATE['n'](x)",
    ),
    "a registry": ("@rules.register\ndef known(x):\n    return x + 113\n", "rules.REGISTRY['known'](x)"),
    "a classmethod": (
        "class K:\n    @classmethod\n    def make(cls, x):\n        return x + 114\n    @staticmethod\n"
        "    def stat(x):\n        return x + 115\n",
        "K.make(x) + K.stat(x)",
    ),
    "a property": (
        "def got(x):\n    return x + 116\ndef put(x):\n    return x + 117\n"
        "class P:\n    @property\n    def value(self):\n        return got(self._x)\n"
        "    @value.setter\n    def value(self, x):\n        self._x = put(x)\n",
        "type('P2', (P,), {})().__class__ and x",
    ),
    "an inherited method": ("class Child(rules.Base):\n    pass\nCHILD = Child()\n", "CHILD.inherited(x)"),
    "a decorated function": ("@rules.decorate(118)\ndef wrapped(x):\n    return x + 119\n", "wrapped(x)"),
    "a partial function": (
        "def added(x, y):\n    return x + y + 120\nADD = functools.partial(added, 121)\n",
        "ADD(x)",
    ),
    "a cached function": ("@functools.lru_cache\ndef costly(x):\n    return x + 122\n", "costly(x)"),
    "a module's function": ("", "rules.helper(x)"),
    "a module's constant": ("", "x + rules.SHIFT"),
    "a function that is imported when it is used": (
        "def late_import(x):\n    from .later import helper\n    return x + helper(x)\n",
        "late_import(x)",
    ),
    "an imported table": ("from .rules import SHARED as TAKEN\n", "x + TAKEN['k']"),
    "a default": ("def with_default(x, by=123, *, more=(124, 'é')):\n    return x + by\n", "with_default(x)"),
    "a closure": (
        "def closing(by):\n    def inner(x):\n        return x + by\n    return inner\nclosed = closing(125)\n",
        "closed(x)",
    ),
    "a closure over a table": (
        "def over(words):\n    kept = []\n    for word in words:\n        kept.append(word)\n"
        "    def inner(x):\n        return x + len(kept)\n    return inner\nclosed_over = over([126, 127])\n",
        "closed_over(x)",
    ),
    "text": (
        "def text(x):\n    '''Says 128.\n\n        Indented.\n    '''\n    return f'{x!r:>{x}} 129' 'é' and x\n",
        "text(x)",
    ),
    "a class's table": ("def inside(x):\n    return x + 130\nclass T:\n    table = {'n': inside}\n", "T.table['n'](x)"),
    "an alias": ("def aliased(x):\n    return x + 131\nALIAS = aliased\nBOTH = [ALIAS]\n", "BOTH[0](x)"),
    "a record": (
        "@attrs.frozen\nclass R:\n    by: int = 132\n    def of(self, x):\n        return x + self.by\nRECORD = R()\n",
        "RECORD.of(x)",
    ),
    "a library's object": ("def boxed(x):\n    return x + 133\nBOX = types.SimpleNamespace(f=boxed)\n", "BOX.f(x)"),
    "a table of what a call made": (
        "def making(by):\n    def inner(x):\n        return x + by + 134\n    return inner\n"
        "MADE = {'f': making(135)}\n",
        "MADE['f'](x)",
    ),
    "a default that was bound early": (
        "def binding(by):\n    def inner(x, by=by):\n        return x + by\n    return inner\nbound = binding(136)\n",
        "bound(x)",
    ),
    "a class made by a call": ("MADE_CLASS = type('Made', (rules.Base,), {})\n", "MADE_CLASS().inherited(x)"),
    "a decorator that returns the function": (
        "def stamped(function):\n    function.by = 137\n    return function\n"
        "@stamped\ndef marked(x):\n    return x + marked.by\n",
        "marked(x)",
    ),
    "a method of a tool": (
        "class Memo:\n    def __init__(self, f):\n        self.f = f\n"
        "    def __call__(self, x):\n        return self.f(x)\n"
        "@Memo\ndef memoed(x):\n    return x + 138\n",
        "memoed(x)",
    ),
    "a dispatching function": (
        "@functools.singledispatch\ndef by_type(x):\n    return x + 139\n"
        "@by_type.register\ndef _(x: int):\n    return x + 140\n",
        "by_type(x)",
    ),
    "an enumeration": ("class Level(enum.Enum):\n    HIGH = 141\n", "Level.HIGH.value + x"),
    "a dataclass": (
        "@dataclasses.dataclass\nclass D:\n    by: int = 142\n    def of(self, x):\n        return x + self.by\n",
        "D().of(x)",
    ),
}
"""By what they reach: what stands in the module, and how the component uses it."""

HELD_ELSEWHERE = {
    "a function that is imported when it is used": [601, 602],
    "an inherited method": [504],
    "a class made by a call": [504],
    "a decorated function": [505],
    "a module's function": [503],
    "a module's constant": [501],
    "an imported table": [502],
}
CHANGES_AND_COUNTS = {
    "counter": "COUNT = 0\ndef counted(x):\n    global COUNT\n    COUNT += 1\n    return x\n",
    "cache": "SEEN = {}\nclass Found:\n    def __init__(self, x):\n        self.x = x\n"
    "def remembered(x):\n    if x not in SEEN:\n        SEEN[x] = Found(x)\n    return SEEN[x].x\n",
    "state": "class State:\n    def __init__(self):\n        self.log = []\nSTATE = State()\n"
    "def logged(x):\n    STATE.log.append(x)\n    return x\n",
    "default": "def memoised(x, _seen={}):\n    _seen[x] = x\n    return _seen[x]\n",
    "named default": "def noted(x, *, seen=[]):\n    seen.append(x)\n    return x\n",
    "closure": "def counting():\n    calls = 0\n    def inner(x):\n        nonlocal calls\n"
    "        calls += 1\n        return x\n    return inner\nclosed_counter = counting()\n",
}
USES = ["counted(x)", "remembered(x)", "logged(x)", "memoised(x)", "noted(x)", "closed_counter(x)"]


def module(parts: Sequence[str], uses: Sequence[str] = ()) -> str:
    head = "import dataclasses\nimport enum\nimport functools\nimport types\n"
    head += "import attrs\nfrom themis import metric\nfrom . import rules\n"
    unused = (
        "def unused(x):\n    return x + 902\nUNUSED = {'a': 903}\nclass Other:\n    def f(self):\n        return 904\n"
    )
    body = "".join(PARTS[part][0] for part in parts) + unused
    terms = [PARTS[part][1] for part in parts] + list(uses)
    lines = "".join(f"    y = {term}\n" for term in terms)
    return f"{head}{body}@metric\ndef component(parsed):\n    x = 7\n{lines}    return 1.0\n"


NUMBERS = itertools.count()
ROOT = tempfile.TemporaryDirectory(prefix="themis-law-3-")


Change = Callable[[str], str]


def imported(main: str, change: Change = str) -> Any:
    """Import a package of its own name each time, so that nothing is shared."""
    name = f"drawn_{next(NUMBERS)}"
    folder = Path(ROOT.name) / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    for file, text in {**BESIDE, "main": main}.items():
        (folder / f"{file}.py").write_text(change(text), encoding="utf-8")
    importlib.invalidate_caches()
    sys.path.insert(0, ROOT.name)
    try:
        return importlib.import_module(f"{name}.main")
    finally:
        sys.path.remove(ROOT.name)


def named(main: str, change: Change = str) -> str:
    found = imported(main, change)
    name = fingerprint(found.component, source_of)
    for loaded in [key for key in sys.modules if key.partition(".")[0] == found.__package__]:
        del sys.modules[loaded]
    return name


# --- edits ------------------------------------------------------------------------------------------------

_STARTS: Final = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


class Layout:
    """Lays source out anew, as a careless or a careful formatter would: the same tokens, other blanks and lines."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.width = self.rng.choice([1, 2, 3, 8])
        self.depth = 0
        self.calls: list[bool] = []  # for each open bracket, whether a comma may end what is in it
        self.wraps = False
        self.previous = tokenize.TokenInfo(tokenize.NEWLINE, "", (0, 0), (0, 0), "")

    def of(self, source: str) -> str:
        return "".join(itertools.chain.from_iterable(map(self.written, tokens_of(source))))

    def written(self, token: tokenize.TokenInfo) -> Iterator[str]:
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            self.depth += 1 if token.type == tokenize.INDENT else -1
        elif token.type == tokenize.NEWLINE:
            yield ")" if self.wraps else ""
            yield self.rng.choice(["\n", "\n\n", "  # why\n", "\n# a comment\n\n"])
            self.wraps = False
        else:
            yield self.before(token)
            yield requoted(token.string, self.rng) if token.type == tokenize.STRING else token.string
            if token.string == "return" and not self.calls and self.rng.random() < 0.5:
                self.wraps = True
                yield " ("
            if token.string in {"(", "[", "{"}:
                self.calls.append(token.string == "(" and self.is_callable())
        self.previous = token

    def before(self, token: tokenize.TokenInfo) -> str:
        comma = ""
        if token.string in {")", "]", "}"}:
            takes_comma = self.calls.pop() and self.previous.string not in {",", "("}
            comma = "," if takes_comma and self.rng.random() < 0.5 else ""
        elif token.string == "for" and self.calls:
            self.calls[-1] = False
        if self.previous.type in _STARTS:
            return " " * (self.width * self.depth)
        if self.previous.string in {"@", "."} or token.string in {".", "("}:
            return comma
        inside = ["\n", " # inside\n   "] if self.calls else []
        return comma + self.rng.choice([" ", "  ", *inside])

    def is_callable(self) -> bool:
        name = self.previous.type == tokenize.NAME and not keyword.iskeyword(self.previous.string)
        return name or self.previous.string in {")", "]"}


def tokens_of(source: str) -> Iterator[tokenize.TokenInfo]:
    left_out = (tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER)
    tokens = whole_f_strings(tokenize.generate_tokens(io.StringIO(source).readline), source.splitlines(keepends=True))
    return (t for t in tokens if t.type not in left_out)


def whole_f_strings(tokens: Iterable[tokenize.TokenInfo], lines: Sequence[str]) -> Iterator[tokenize.TokenInfo]:
    """Put f-strings together again, which are tokens in tokens from Python 3.12 on (PEP 701)."""
    depth, begin = 0, (0, 0)
    for token in tokens:
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            depth, begin = depth + 1, begin if depth else token.start
        elif kind == "FSTRING_END":
            depth -= 1
            if not depth:
                first, last = begin[0] - 1, token.end[0]
                text = "".join([*lines[first : last - 1], lines[last - 1][: token.end[1]]])[begin[1] :]
                yield tokenize.TokenInfo(tokenize.STRING, text, begin, token.end, token.line)
        elif not depth:
            yield token


def requoted(text: str, rng: random.Random) -> str:
    if re.fullmatch(r"'[^'\"\\\n{}]*'", text) and rng.random() < 0.7:
        return f'"{text[1:-1]}"'
    if re.fullmatch(r"\'\'\'[^'\"\\]*\'\'\'", text):
        lines = text[3:-3].split("\n")
        return '"""' + "\n".join([lines[0], *(f"{line}   " if line.strip() else "" for line in lines[1:])]) + '"""'
    return text


layouts = st.one_of(
    st.just(lambda source: ast.unparse(ast.parse(source))),
    st.integers(0, 10**6).map(lambda seed: Layout(seed).of),
    st.integers(0, 10**6).map(lambda seed: lambda source: Layout(seed).of(ast.unparse(ast.parse(source)))),
)
chosen = st.lists(st.sampled_from(sorted(PARTS)), unique=True, min_size=1, max_size=6)


@given(chosen, layouts)
def test_layout_does_not_count(parts: list[str], layout: Any) -> None:
    source = module(parts)
    assert layout(source) != source
    assert named(source, layout) == named(source)


def edit_of(number: int) -> Change:
    return lambda text: re.sub(rf"\b{number}\b", "777", text)


def numbers(parts: list[str]) -> list[int]:
    found = [int(n) for part in parts for n in re.findall(r"\b1\d\d\b", PARTS[part][0])]
    return found + [n for part in parts for n in HELD_ELSEWHERE.get(part, [])]


@given(chosen, st.data())
def test_every_edit_of_what_is_reached_counts(parts: list[str], data: st.DataObject) -> None:
    source = module(parts)
    edited = data.draw(st.sampled_from(numbers(parts)))
    assert named(source, edit_of(edited)) != named(source)


@pytest.mark.parametrize("part", PARTS)
def test_each_number_of_each_part_counts(part: str) -> None:
    source = module([part])
    names = {named(source)}
    for number in numbers([part]):
        names.add(named(source, edit_of(number)))
    assert len(names) == 1 + len(numbers([part]))


@given(chosen, st.sampled_from([901, 902, 903, 904]))
def test_what_is_not_reached_does_not_count(parts: list[str], edited: int) -> None:
    source = module(parts)
    assert named(source, edit_of(edited)) == named(source)


@given(chosen)
def test_use_does_not_count(parts: list[str]) -> None:
    source = module(parts, USES).replace("@metric", "".join(CHANGES_AND_COUNTS.values()) + "@metric")
    package = imported(source)
    before = fingerprint(package.component, source_of)
    for _ in range(3):
        package.component(None)
    assert (package.COUNT, package.STATE.log, [*package.SEEN]) == (3, [7, 7, 7], [7])
    assert fingerprint(package.component, source_of) == before


@pytest.mark.parametrize("kind", CHANGES_AND_COUNTS)
def test_what_changes_by_use_counts_by_its_code(kind: str) -> None:
    source = module([], USES).replace("@metric", "".join(CHANGES_AND_COUNTS.values()) + "@metric")
    text = CHANGES_AND_COUNTS[kind]
    edited = (
        text.replace("return x\n", "return x + 1\n")
        if kind != "cache"
        else text.replace("self.x = x", "self.x = x + 1")
    )
    edited = edited.replace("return _seen[x]", "return _seen[x] + 1")
    assert edited != text
    assert named(source.replace(text, edited)) != named(source)


# --- one thing at a time ----------------------------------------------------------------------------------


def closing_over(limit: object) -> Any:
    @metric(component_id="m")
    def m(parsed: ParsedOutput) -> bool:
        return str(parsed.value) == limit

    return m


@given(strategies.json_scalars(), strategies.json_scalars())
def test_closures_count(left: Any, right: Any) -> None:
    same = canonical_bytes([left]) == canonical_bytes([right])
    assert (fingerprint(closing_over(left), source_of) == fingerprint(closing_over(right), source_of)) == same


class Holding:
    """A component with a value for its configuration."""

    component_id = "tests/holding"

    def __init__(self, value: Any) -> None:
        self.value = value


def make(by: int) -> Any:
    return lambda x: x + by


class Mood(enum.Enum):
    GOOD = 1
    BAD = 2


CONFIGURED = [
    *(1, "1", 1.5, True, None, b"1", float("nan")),
    *([1], {1}, {"a": 1}, {"a": [1]}, {"b": {"a": 1}}),
    *(len, max, str.upper, "a".upper, "b".upper, math.sqrt, math.exp),
    *(make(1), make(2), [make(1), make(2)], [make(2), make(1)], lambda x: x + 1, lambda x: x - 1),
    *(functools.partial(make, 1), functools.partial(make, 2), operator.itemgetter(1), operator.itemgetter(2)),
    *(Mood.GOOD, Mood.BAD, re.compile("a"), re.compile("a", re.IGNORECASE)),
    *(
        datetime.timedelta(1),
        datetime.timedelta(2),
        datetime.date(2020, 1, 1),
        decimal.Decimal("1.5"),
        range(3),
        range(4),
    ),
    *(Path("a/b"), Path("a/c"), Holding(1), Holding(2), Holding(Holding(1))),
    *(ParsedOutput(value=1), ParsedOutput(value=2)),
]


def test_configuration_counts() -> None:
    names = [fingerprint(Holding(value), source_of) for value in CONFIGURED]
    assert len({*names}) == len(names)
    assert names == [fingerprint(Holding(value), source_of) for value in CONFIGURED]
    assert fingerprint(DemoModel(error_rate=0.1), source_of) != fingerprint(DemoModel(error_rate=0.2), source_of)


def test_a_component_may_hold_itself() -> None:
    held = Holding(None)
    held.value = [held]
    assert fingerprint(held, source_of) == fingerprint(held, source_of)


def test_what_a_record_derives_or_fills_while_it_is_used_does_not_count() -> None:
    @attrs.define
    class Counting:
        limit: int = 1
        component_id: str = "tests/counting"
        calls: int = attrs.field(default=0, init=False)

    used = Counting()
    used.calls = 5
    assert fingerprint(used, source_of) == fingerprint(Counting(), source_of)
    assert fingerprint(used, source_of) != fingerprint(Counting(limit=2), source_of)


def test_what_a_library_adds_to_a_class_does_not_count() -> None:
    class Plain:
        component_id = "tests/plain"

        def score(self) -> float:
            return 1.0

    before = fingerprint(Plain(), source_of)
    # As attrs adds `__replace__` to every class from Python 3.13 on: its own function, the class's module name.
    added = types.FunctionType(inspect.unwrap(attrs.evolve).__code__, vars(attrs_make), "__replace__")
    added.__module__ = Plain.__module__
    Plain.__replace__ = added  # type: ignore[attr-defined]
    assert fingerprint(Plain(), source_of) == before


SINGLE = """
import helpers
from helpers import *
@helpers.metric
def component(parsed):
    return helpers.check(parsed) and TABLE['k']
"""
HELPERS = """
from themis import metric
TABLE = {'k': 1}
def check(parsed):
    return 2
"""


def script(folder: Path, helpers: str, setting: str = "0") -> list[str]:
    """Fingerprint a component of a single file in a fresh interpreter."""
    (folder / "mine.py").write_text(SINGLE, encoding="utf-8")
    (folder / "helpers.py").write_text(helpers, encoding="utf-8")
    code = (
        "import json, mine; from themis.effects.sources.source_code import source_of;"
        "from themis.pure.components.registry import component_ids, make_builtin;"
        "from themis.pure.fingerprints import fingerprint;"
        "made = [make_builtin(name) for name in component_ids() if name != 'builtin/regex'];"
        "print(json.dumps([fingerprint(c, source_of) for c in [mine.component, *made]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": setting},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names: list[str] = json.loads(done.stdout)
    return names


def test_a_file_beside_a_script_is_followed_and_every_process_says_the_same(tmp_path: Path) -> None:
    names = script(tmp_path, HELPERS)
    assert script(tmp_path, HELPERS, "1") == names
    assert script(tmp_path, HELPERS.replace("return 2", "return 3"))[0] != names[0]
    assert script(tmp_path, HELPERS.replace("'k': 1", "'k': 2"))[0] != names[0]


EXECUTED = """
from themis import metric
LIMIT = 1
TABLE = {'a': 2}
class K:
    component_id = 'tests/k'
    table = {'a': 3}
    def score(self, parsed, case, ctx):
        return 4 + LIMIT + TABLE['a'] + [n for n in (lambda: 5,)][0]()
component = K()
"""


@pytest.mark.parametrize("number", "12345")
def test_code_without_source_counts_by_its_bytecode_and_its_values(number: str) -> None:
    def run(source: str) -> str:
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(source, space)
        return fingerprint(space["component"], lambda value: None)

    assert run(EXECUTED) == run(EXECUTED)
    assert run(EXECUTED) != run(EXECUTED.replace(number, "7"))


def test_a_class_of_a_notebook_is_read_from_its_cell() -> None:
    def run(source: str) -> str:
        file = f"<cell {next(NUMBERS)}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(source, file, "exec"), space)
        return fingerprint(space["component"], lambda value: source_of(value) if inspect.isfunction(value) else None)

    plain = run(EXECUTED)
    assert plain == run(EXECUTED.replace("return 4 + ", "# why\n        return  (4)+"))
    assert {plain}.isdisjoint(run(EXECUTED.replace(number, "7")) for number in "12345")
