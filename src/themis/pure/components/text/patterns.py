r"""How much work a regular expression may take, told from the pattern alone.

The standard library's engine backtracks, and nothing can interrupt it: no clock, no signal, no thread. So a pattern
that could take exponential time is refused before it is used, and one that could take polynomial time reads only as
much text as keeps its work within a bound:

- *exponential*: a repetition without an upper bound whose body can match the same text in several ways, for it holds
  a repetition of variable length, an option, or alternatives that begin alike or with nothing: `(a+)+`, `(a?a)*`,
  `(a|ab)*`, `(()a|a)*`. A possessive repetition (`a++`) or an atomic group (`(?>a+)`) inside is harmless, for it
  matches in one way only.
- *degree*: how many unbounded repetitions can hand text to each other, `.*.*x` say. Two that share no character, or
  between which stands something that must match and the first one can't, don't count. Nor does one that ends the
  pattern, for nothing behind it can fail.
- *ways*: in how many ways options, bounded repetitions and alternatives can divide a text between them, on top of that:
  2 ** 16 in `(a|a){16}`.

The check may refuse a harmless pattern; each of its steps errs to that side alone. Characters are told apart one by one
where a pattern names them, and whatever it does not name stands for each other.
"""

from __future__ import annotations

import functools
import math
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import attrs

# The parser of `re` is not documented, but it is the only one that reads a pattern just as `re` does.
from re import _constants as c  # type: ignore[attr-defined]  # isort: skip  # not in the stubs
from re import _parser  # type: ignore[attr-defined]  # isort: skip  # not in the stubs

STEPS: Final = 100_000_000
"""Bound on `length ** (degree + 1)`: about a second of the engine's work (the one more is the search's start)."""

LONGEST: Final = 1_000_000
"""Characters that are read at most."""

_FEW: Final = 16
"""Repetitions up to which a repetition counts as bounded."""

_LEAST: Final = 30
"""Characters that a pattern must be good for at least."""

_FREE_WAYS: Final = 16
"""Ways that cost nothing: an option here and there is in every pattern."""

_LONGEST_RANGE: Final = 1_024
"""Characters of a range that are told apart; a longer one is taken for all that ASCII lacks."""

_MOST_PARTS: Final = 5_000

# What is in every alphabet: one at least of each kind that a category can tell from others, within ASCII and beyond.
_ALWAYS: Final = frozenset(string.printable + "éß中あ한αЖ−٣\u2003\x00")  # noqa: RUF001  # letters of scripts, a minus, a digit
Chars = frozenset[str]


@attrs.frozen
class _Variable:
    """A part that may match more or less, or nothing: in so many ways, or, without an upper bound, in any number."""

    chars: Chars
    ways: int | None = None


@attrs.frozen
class _Choice:
    """Alternatives that begin alike: another one may be tried if what follows fails."""

    ways: int


_NOTHING_BACK: Final = frozenset[str]()
"""The end of what, once it has matched, gives nothing back: an atomic group, an assertion."""

_Part: TypeAlias = Chars | _Variable | _Choice


@functools.lru_cache(maxsize=64)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern that is safe to use.

    Raises:
        ValueError: it is no pattern, or it could take longer than anyone waits.
    """
    try:
        tree = _parser.parse(pattern)
        known = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    reader = _Reader(tree)
    for body in _unbounded_bodies(tree):
        if reader.is_ambiguous(body):
            raise ValueError(
                "a repetition inside an unbounded repetition can take exponential time; make the inner one possessive "
                "(`a++`) or atomic (`(?>a+)`), or state an upper bound (`{0,5}`)"
            )
    if longest_text(pattern) < _LEAST:
        raise ValueError(
            "its options and repetitions can divide a text between them in too many ways; make them possessive "
            "(`a?+`, `a{0,9}+`), or put what they match into one"
        )
    return known


@functools.lru_cache(maxsize=64)
def longest_text(pattern: str) -> int:
    """Return how many characters a pattern may be searched in.

    >>> longest_text("a*b") > longest_text(".*.*b")
    True
    """
    powers, ways = _work(pattern)
    return min(LONGEST, int((STEPS / max(1, ways // _FREE_WAYS)) ** (1 / (powers + 1))))


def degree(pattern: str) -> int:
    r"""Return how many unbounded repetitions can hand text to each other.

    >>> degree(r"answer\s*:\s*(.*)"), degree(".*.*x"), degree(".*+x"), degree("a*b*a*x")
    (1, 2, 1, 2)
    """
    return _work(pattern)[0]


def _work(pattern: str) -> tuple[int, int]:
    """Return a pattern's degree, and its ways."""
    tree = _parser.parse(pattern)
    parts = [*_Reader(tree).parts(tree)]
    # A repetition alone is of degree 1, even a possessive one: the search tries it from every character on.
    powers = int(any(part == _NOTHING_BACK or (isinstance(part, _Variable) and part.ways is None) for part in parts))
    while parts and isinstance(parts[-1], _Variable):
        parts.pop()  # nothing behind it can fail
    row, choices, most = list[_Variable](), 1, 1
    for part in parts:
        if isinstance(part, _Choice):
            choices *= part.ways
        elif isinstance(part, _Variable):
            row.append(part)
            together = [each.ways for each in row if each.chars & part.chars]
            powers = max(powers, together.count(None))
            most = max(most, math.prod(ways for ways in together if ways is not None))
        elif part:
            row = [each for each in row if each.chars & part]
    return powers, choices * most


# --- the pattern as a row of parts ------------------------------------------------------------------------


class _Reader:
    """Reads what the parser makes of a pattern, with the characters that it has to tell apart."""

    def __init__(self, tree: Any) -> None:
        self._all = _ALWAYS.union(*map(_either_case, _named(tree)))

    def parts(self, tree: Any) -> Iterator[_Part]:
        """Yield the pattern's parts in order, each as often as it must match, and as often as it may.

        Raises:
            ValueError: there are too many.
        """
        for op, argument in tree:
            if op in (c.MAX_REPEAT, c.MIN_REPEAT):
                yield from self._repeated(*argument)
            elif op is c.SUBPATTERN:
                yield from self.parts(argument[3])
            elif op is c.GROUPREF:
                yield _Variable(self._all)
            elif op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
                yield self._chars_of(op, argument)
            elif op is not c.AT:
                if op is c.BRANCH and self._begin_alike(argument[1]):
                    yield _Choice(len(argument[1]))
                for body in _children(op, argument):
                    yield from _not_needed(self.parts(body))
                if op not in (c.BRANCH, c.GROUPREF_EXISTS):
                    yield _NOTHING_BACK

    def _repeated(self, low: int, high: int, body: Any) -> Iterator[_Part]:
        inner = [*self.parts(body)]
        is_plain = all(isinstance(part, frozenset) for part in inner)
        is_bounded = high <= _FEW
        if len(inner) * (high if is_bounded else 1) > _MOST_PARTS:
            raise ValueError("repetitions inside repetitions are too many; state smaller bounds")
        for _ in range(low if is_bounded else min(low, 1)):
            yield from inner
        if not is_bounded:
            yield _Variable(self._chars(body))
        elif is_plain and high > low:
            yield _Variable(self._chars(body), high - low + 1)
        else:
            for _ in range(high - low):
                yield _Variable(self._chars(body), 2)
                yield from _not_needed(inner)

    def is_ambiguous(self, body: Any) -> bool:
        """Tell whether the body of a repetition might match the same text in several ways."""
        for op, argument in body:
            if op in (c.MAX_REPEAT, c.MIN_REPEAT):
                if argument[0] != argument[1] or self.is_ambiguous(argument[2]):
                    return True
            elif op is c.BRANCH:
                if self._begin_alike(argument[1]) or any(map(self.is_ambiguous, argument[1])):
                    return True
            elif op in (c.GROUPREF, c.GROUPREF_EXISTS) or (
                op in (c.SUBPATTERN, c.ASSERT, c.ASSERT_NOT) and any(map(self.is_ambiguous, _children(op, argument)))
            ):
                return True
        return False

    def _begin_alike(self, branches: Sequence[Any]) -> bool:
        firsts = [self._first(branch) for branch in branches]
        return sum(map(len, firsts)) > len(frozenset().union(*firsts))

    def _first(self, tree: Any) -> Chars:
        """Return what a part of a pattern can begin with: anything, if it can match nothing."""
        found = _NOTHING_BACK
        for op, argument in tree:
            if op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
                return found | self._chars_of(op, argument)
            if op in (c.GROUPREF, c.GROUPREF_EXISTS):
                return self._all
            if op in (c.AT, c.ASSERT, c.ASSERT_NOT):
                continue
            begins = [self._first(body) for body in _children(op, argument)]
            found = found.union(*begins)
            is_skippable = op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT) and argument[0] == 0
            if not is_skippable and self._all not in begins:
                return found
        return self._all

    def _chars(self, tree: Any) -> Chars:
        """Return the characters that a pattern's parts can match."""
        return frozenset().union(*(self._chars_of(op, argument) for op, argument in tree))

    def _chars_of(self, op: Any, argument: Any) -> Chars:
        if op is c.LITERAL:
            return _either_case(chr(argument))
        if op is c.NOT_LITERAL:
            return self._all - {chr(argument)}
        if op is c.IN:
            found = frozenset().union(*(self._members(kind, value) for kind, value in argument))
            return self._all - _surely(argument) if argument[0][0] is c.NEGATE else found
        if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT, c.SUBPATTERN, c.ATOMIC_GROUP, c.BRANCH):
            return frozenset().union(*map(self._chars, _children(op, argument)))
        return frozenset() if op in (c.AT, c.ASSERT, c.ASSERT_NOT) else self._all  # `.`, a back-reference

    def _members(self, kind: Any, value: Any) -> Chars:
        if kind is c.LITERAL:
            return _either_case(chr(value))
        if kind is c.RANGE:
            low, high = map(chr, value)
            is_long = value[1] - value[0] >= _LONGEST_RANGE
            inside = (char for char in self._all if low <= char <= high or (is_long and not char.isascii()))
            return frozenset().union(*map(_either_case, inside))
        if kind is c.CATEGORY:
            return frozenset(char for char in self._all if _CATEGORIES[value].match(char))
        return frozenset()  # NEGATE


def _not_needed(parts: Iterable[_Part]) -> Iterator[_Part]:
    """Leave out what must match: these parts may not be there at all."""
    return (part for part in parts if not (isinstance(part, frozenset) and part))


def _named(tree: Any) -> Iterator[str]:
    """Yield the characters that a pattern names, those of its ranges included."""
    for op, argument in tree:
        if op in (c.LITERAL, c.NOT_LITERAL):
            yield chr(argument)
        elif op is c.IN:
            yield from _listed(argument)
        for body in _children(op, argument):
            yield from _named(body)


def _listed(members: Any) -> Iterator[str]:
    for kind, value in members:
        if kind is c.LITERAL:
            yield chr(value)
        elif kind is c.RANGE:
            low, high = value
            yield from map(chr, range(low, high + 1) if high - low < _LONGEST_RANGE else (low, high))


def _surely(members: Any) -> Chars:
    """Return what a negated class surely leaves out, whether or not the pattern ignores case."""
    named = frozenset(_listed(members))
    categories = [_CATEGORIES[value] for kind, value in members if kind is c.CATEGORY]
    return named | {char for char in _ALWAYS if any(each.match(char) for each in categories)}


def _either_case(char: str) -> Chars:
    # The pattern may ignore case: 'µ' is also the Greek letter that shares its upper case.
    return frozenset((char, char.lower(), char.upper(), char.upper().lower(), char.lower().upper()))


_CATEGORIES: Final = {
    c.CATEGORY_DIGIT: re.compile(r"\d"),
    c.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    c.CATEGORY_SPACE: re.compile(r"\s"),
    c.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    c.CATEGORY_WORD: re.compile(r"\w"),
    c.CATEGORY_NOT_WORD: re.compile(r"\W"),
}


def _children(op: Any, argument: Any) -> Sequence[Any]:
    if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT, c.SUBPATTERN, c.ASSERT, c.ASSERT_NOT):
        return [argument[-1]]  # the body comes last
    if op is c.BRANCH:
        return list(argument[1])
    if op is c.ATOMIC_GROUP:
        return [argument]
    if op is c.GROUPREF_EXISTS:
        return [part for part in argument[1:] if part is not None]
    return []


def _unbounded_bodies(tree: Any) -> Iterator[Any]:
    for op, argument in tree:
        if op in (c.MAX_REPEAT, c.MIN_REPEAT) and argument[1] > _FEW:
            yield argument[2]
        for child in _children(op, argument):
            yield from _unbounded_bodies(child)
