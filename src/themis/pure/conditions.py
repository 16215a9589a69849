"""A small language of conditions on cases: `topic = 'law' and score < 0.5`.

    condition = and {"or" and}
    and       = not {"and" not}
    not       = "not" not | "(" condition ")" | test
    test      = value [("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
              | ["not"] "in" (list | value) | ["not"] "contains" value | "is" ["not"] "null"]
    value     = field | text | number | "true" | "false" | "null"
    list      = "(" value {"," value} ")"

Texts stand in single or double quotes, a quote within is written twice; fields stand as they are, or in backticks where
they have blanks in them. Nothing is ever run: a condition is read into functions made here.

A condition holds or does not, and `not` turns that round. A field that a case lacks is null, which equals null alone
and is neither less nor greater than anything. Text that says a number or a truth counts as such beside one, for CSV
files have nothing else; `in` and `contains` look for a part of a text, regardless of case, or for an item of a list.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from themis.pure.errors import SpecError, listed, nearest
from themis.pure.json import JSONValue

Look: TypeAlias = Callable[[str], JSONValue]
"""Returns a case's value of a field; `None` if it has none."""
_Test: TypeAlias = Callable[[Look], bool]
_Value: TypeAlias = Callable[[Look], JSONValue]

_DEEPEST: Final = 50
"""How many conditions may stand within each other."""

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+)
    |(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |(?P<quoted>`[^`]+`)
    |(?P<number>[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<name>[^\W\d]\w*(?:[-./:]\w+)*)
    |(?P<sign><=|>=|<>|!=|==|[=<>(),])""",
    re.VERBOSE,
)
_WORDS: Final = frozenset({"and", "or", "not", "in", "contains", "is", "null", "true", "false"})
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUAL: Final = frozenset({"=", "=="})
_UNEQUAL: Final = frozenset({"!=", "<>"})
_HINTS: Final = {
    "&": "and",
    "|": "or",
    "!": "not, or !=",
    "~": "contains",
    "like": "contains",
    "matches": "contains",
    "=<": "<=",
    "=>": ">=",
    "none": "null",
}


@attrs.frozen
class Condition:
    """A condition that was read.

    Attributes:
        text: how it was written.
        fields: the fields that it looks at, each with where it stands in the text.
        holds: whether it holds, told what returns a field's value.
    """

    text: str
    fields: Mapping[str, int]
    holds: Callable[[Look], bool] = attrs.field(repr=False, eq=False)

    def check_fields(self, known: Collection[str], listing: str) -> None:
        """Refuse fields that there are not.

        Args:
            known: the fields there are.
            listing: which they are, for people.

        Raises:
            SpecError: names all that are not known, where they stand, and the nearest of those there are.
        """
        unknown = {name: place for name, place in self.fields.items() if name not in known}
        if not unknown:
            return
        faults = [
            f"{_at(self.text, place)}: no case has a field {name!r}; {_meant(name, known)}"
            for name, place in unknown.items()
        ]
        raise SpecError(f"{listed('where', faults)}{_pointed(self.text, *unknown.values())}\n{listing}")


def _meant(name: str, known: Collection[str]) -> str:
    close = nearest(name, known)
    return close if close.startswith("did you mean") else f"a text stands in quotes, as in '{name}'"


def read_condition(text: str) -> Condition:
    """Return the condition that a text states.

    Raises:
        SpecError: it states none: what is wrong, and where.

    >>> condition = read_condition("topic = 'law' and not score >= 0.5")
    >>> condition.holds({"topic": "law", "score": 0.25}.get), condition.holds({"topic": "art"}.get)
    (True, False)
    """
    reader = _Reader(text)
    test = reader.condition(0)
    if reader.here is not None:
        raise reader.fault("'and', 'or' or the end expected")
    return Condition(text, reader.fields, test)


@attrs.frozen
class _Token:
    kind: str
    text: str
    place: int

    @property
    def word(self) -> str:
        """The word or sign that it is; nothing for a text, a number or a field in backticks."""
        return self.text.lower() if self.kind in ("name", "sign") else ""


class _Reader:
    """Reads a condition, token by token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*_tokens(text)]
        self._next = 0
        self.fields: dict[str, int] = {}

    @property
    def here(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def fault(self, expected: str, hint: str = "") -> SpecError:
        here = self.here
        found = "the end" if here is None else here.text
        hint = hint or (_HINTS.get(here.word, "") if here is not None else "")
        place = len(self._text.rstrip()) if here is None else here.place
        return _fault(self._text, place, f"{expected}; found {found}", hint)

    def _is(self, *words: str) -> bool:
        """Tell whether one of these comes next, and go past it."""
        if self.here is None or self.here.word not in words:
            return False
        self._next += 1
        return True

    def condition(self, depth: int) -> _Test:
        if depth > _DEEPEST:
            raise self.fault(f"at most {_DEEPEST} conditions within each other expected")
        tests = [self._all(depth)]
        while self._is("or"):
            tests.append(self._all(depth))
        return tests[0] if len(tests) == 1 else lambda look: any(test(look) for test in tests)

    def _all(self, depth: int) -> _Test:
        tests = [self._negated(depth)]
        while self._is("and"):
            tests.append(self._negated(depth))
        return tests[0] if len(tests) == 1 else lambda look: all(test(look) for test in tests)

    def _negated(self, depth: int) -> _Test:
        is_negated = False
        while self._is("not"):
            is_negated = not is_negated
        if self._is("("):
            test = self.condition(depth + 1)
            if not self._is(")"):
                raise self.fault("')' expected")
        else:
            test = self._test()
        return _not(test) if is_negated else test

    def _test(self) -> _Test:
        value = self._value()
        sign = None if self.here is None else self.here.word
        if self._is(*_EQUAL, *_UNEQUAL, *_ORDERS):
            return _compared(value, sign or "", self._value())
        if self._is("is"):
            is_negated = self._is("not")
            if not self._is("null"):
                raise self.fault("'null' or 'not null' expected after 'is'")
            return (lambda look: value(look) is not None) if is_negated else (lambda look: value(look) is None)
        is_negated = self._is("not")
        if self._is("in"):
            test = self._within(value)
        elif self._is("contains"):
            test = _has(self._value(), value)
        elif is_negated:
            raise self.fault("'in' or 'contains' expected after 'not'")
        else:
            return lambda look: _alike(value(look), True)  # a value as others are
        return _not(test) if is_negated else test

    def _within(self, value: _Value) -> _Test:
        if not self._is("("):
            return _has(value, self._value())
        items = [self._value()]
        while self._is(","):
            items.append(self._value())
        if not self._is(")"):
            raise self.fault("',' or ')' expected")
        return lambda look: any(_alike(value(look), item(look)) for item in items)

    def _value(self) -> _Value:
        here = self.here
        if here is None or here.kind == "sign" or here.word in _WORDS - {"null", "true", "false"}:
            raise self.fault("a field or a value expected, as in topic = 'law'")
        self._next += 1
        if here.kind == "text":
            return _constant(here.text[1:-1].replace(here.text[0] * 2, here.text[0]))
        if here.kind == "number":
            return _constant(_number(here.text))
        if here.word in _CONSTANTS:
            return _constant(_CONSTANTS[here.word])
        name = here.text.strip("`")
        self.fields.setdefault(name, here.place)
        return lambda look: look(name)


_CONSTANTS: Final[Mapping[str, JSONValue]] = {"null": None, "true": True, "false": False}


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _unreadable(text, place)
        if found.lastgroup != "blank":
            yield _Token(found.lastgroup or "", found[0], place)
        place = found.end()


def _unreadable(text: str, place: int) -> SpecError:
    char = text[place]
    if char in "'\"`":
        return _fault(text, place, f"the quote {char} is not closed")
    if char in "\u2018\u2019\u201c\u201d\u00b4":
        return _fault(text, place, f"{char} is no quote that is known here; ' or \" are")
    pair = text[place : place + 2]
    return _fault(text, place, f"{char!r} means nothing here", _HINTS.get(pair, _HINTS.get(char, "")))


def _fault(text: str, place: int, what: str, hint: str = "") -> SpecError:
    return SpecError(
        f"where: {_at(text, place)}: {what}{f'; did you mean {hint}?' if hint else ''}{_pointed(text, place)}"
    )


def _at(text: str, place: int) -> str:
    return "at its end" if place >= len(text.rstrip()) else f"character {place + 1}"


def _pointed(text: str, *places: int) -> str:
    """Return the text with marks below these places; nothing of one that has several lines."""
    if "\n" in text or len(text) > _LONGEST:
        return ""
    marks = "".join("^" if place in places else " " for place in range(max(places) + 1))
    return f"\n  {text}\n  {marks}"


_LONGEST: Final = 200


# --- values -----------------------------------------------------------------------------------------------


def _constant(value: JSONValue) -> _Value:
    return lambda look: value


def _number(text: str) -> float:
    plain = text.replace("_", "")
    return int(plain) if plain.lstrip("+-").isdigit() and len(plain) < _DIGITS else float(plain)


_DIGITS: Final = 300


def _not(test: _Test) -> _Test:
    return lambda look: not test(look)


def _compared(a: _Value, sign: str, b: _Value) -> _Test:
    if sign in _EQUAL:
        return lambda look: _alike(a(look), b(look))
    if sign in _UNEQUAL:
        return lambda look: not _alike(a(look), b(look))
    order = _ORDERS[sign]

    def holds(look: Look) -> bool:
        one, other = _of_one_kind(a(look), b(look))
        both = (one, other)
        if any(isinstance(each, bool) for each in both):
            return False
        is_of_one = all(isinstance(each, int | float) for each in both) or all(isinstance(each, str) for each in both)
        return is_of_one and order(one, other)

    return holds


def _has(item: _Value, whole: _Value) -> _Test:
    def holds(look: Look) -> bool:
        within, wanted = whole(look), item(look)
        if isinstance(within, str):
            return isinstance(wanted, str) and wanted.casefold() in within.casefold()
        return isinstance(within, Sequence) and any(_alike(each, wanted) for each in within)

    return holds


def _alike(a: JSONValue, b: JSONValue) -> bool:
    one, other = _of_one_kind(a, b)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _of_one_kind(a: JSONValue, b: JSONValue) -> tuple[Any, Any]:
    """Return two values, of which a text that stands beside a number or a truth is read as one, if it says one."""
    if isinstance(a, str) and not isinstance(b, str):
        return _read(a, b), b
    if isinstance(b, str) and not isinstance(a, str):
        return a, _read(b, a)
    return a, b


def _read(text: str, beside: JSONValue) -> JSONValue:
    if isinstance(beside, bool):
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if isinstance(beside, int | float):
        found = _NUMBER.fullmatch(text.strip())
        return float(found[0]) if found is not None else text
    return text


_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
