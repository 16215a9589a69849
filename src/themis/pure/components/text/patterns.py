r"""How much work a regular expression may take, told from the pattern alone.

The standard library's engine backtracks, and nothing can interrupt it: no clock, no signal, no thread. So a pattern
that could take exponential time is refused before it is used, and one that could take polynomial time reads only as
much text as keeps its work within a bound:

- *exponential*: a repetition without an upper bound whose body can match the same text in several ways, for it holds
  a repetition of variable length, an option, or alternatives that begin alike: `(a+)+`, `(a?a)*`, `(a|ab)*`.
  A possessive repetition (`a++`) or an atomic group (`(?>a+)`) inside is harmless, for it matches in one way only.
- *degree*: how many unbounded repetitions in a row can hand text to each other, `.*.*x` say. Two that share no
  character, or between which stands something that the first one can't match, don't count. Nor does one that ends the
  pattern, for nothing behind it can fail.

The check may refuse a harmless pattern; it lets no harmful one pass but those that hide a repetition behind a
back-reference, which it refuses as well.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any, Final

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

_SAMPLE: Final = frozenset(string.printable + "éß中あ한αЖ−")  # noqa: RUF001  # letters of other scripts, a minus
Chars = frozenset[str]


@attrs.frozen
class Repetition:
    """A repetition without an upper bound: what it can match, and whether it gives anything back."""

    chars: Chars


@functools.lru_cache(maxsize=64)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern that is safe to use.

    Raises:
        ValueError: it is no pattern, or it could take exponential time.
    """
    try:
        tree = _parser.parse(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    for body in _unbounded_bodies(tree):
        if _ambiguous(body):
            raise ValueError(
                "a repetition inside an unbounded repetition can take exponential time; make the inner one possessive "
                "(`a++`) or atomic (`(?>a+)`), or state an upper bound (`{0,5}`)"
            )
    return re.compile(pattern)


@functools.lru_cache(maxsize=64)
def longest_text(pattern: str) -> int:
    """Return how many characters a pattern may be searched in.

    >>> longest_text("a*b") > longest_text(".*.*b")
    True
    """
    return min(LONGEST, int(STEPS ** (1 / (degree(pattern) + 1))))


def degree(pattern: str) -> int:
    r"""Return how many unbounded repetitions in a row can hand text to each other.

    >>> degree(r"answer\s*:\s*(.*)"), degree(".*.*x"), degree(".*+x")
    (1, 2, 1)
    """
    items: list[Chars | Repetition] = list(_flat(_parser.parse(pattern)))
    # A repetition alone is of degree 1, even a possessive one: the search tries it from every character on.
    best, row = int(any(isinstance(item, Repetition) or not item for item in items)), list[Chars]()
    while items and isinstance(items[-1], Repetition):
        items.pop()  # nothing behind it can fail
    for item in items:
        if not item:
            continue
        chars: Chars = item.chars if isinstance(item, Repetition) else item
        row = [before for before in row if before & chars]
        if isinstance(item, Repetition):
            row.append(chars)
        best = max(best, len(row))
    return best


# --- the pattern as a row of characters and repetitions ---------------------------------------------------


def _flat(tree: Any) -> Iterator[Chars | Repetition]:
    for op, argument in tree:
        if op is c.MAX_REPEAT or op is c.MIN_REPEAT:
            low, high, body = argument
            for _ in range(min(low, 1) if high > _FEW else low):
                yield from _flat(body)
            if high > _FEW:
                yield Repetition(_chars(body))
        elif op in (c.POSSESSIVE_REPEAT, c.ATOMIC_GROUP):
            yield frozenset()  # gives nothing back
        elif op is c.SUBPATTERN:
            yield from _flat(argument[3])
        elif op in (c.BRANCH, c.ASSERT, c.ASSERT_NOT):
            for part in _children(op, argument):
                yield from (item for item in _flat(part) if isinstance(item, Repetition))
        elif op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            yield _chars([(op, argument)])


def _chars(tree: Any) -> Chars:
    """Return the characters of the sample that a pattern's parts can match."""
    return frozenset().union(*(_chars_of(op, argument) for op, argument in tree))


def _chars_of(op: Any, argument: Any) -> Chars:
    if op is c.LITERAL:
        return _either_case(chr(argument))
    if op is c.NOT_LITERAL:
        return _SAMPLE - {chr(argument)}
    if op is c.IN:
        found = frozenset().union(*(_members(kind, value) for kind, value in argument))
        return _SAMPLE - found if argument[0][0] is c.NEGATE else found
    if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT, c.SUBPATTERN, c.ATOMIC_GROUP, c.BRANCH):
        return frozenset().union(*map(_chars, _children(op, argument)))
    return frozenset() if op is c.AT else _SAMPLE  # anything: `.`, a back-reference, what is not known here


def _either_case(char: str) -> Chars:
    return frozenset((char, char.lower(), char.upper()))  # the pattern may ignore case


def _members(kind: Any, value: Any) -> Chars:
    if kind is c.LITERAL:
        return _either_case(chr(value))
    if kind is c.RANGE:
        inside = frozenset(char for char in _SAMPLE if value[0] <= ord(char) <= value[1]) | {chr(value[0])}
        return frozenset().union(*map(_either_case, inside))
    if kind is c.CATEGORY:
        return frozenset(char for char in _SAMPLE if _CATEGORIES[value].match(char))
    return frozenset()  # NEGATE


_CATEGORIES: Final = {
    c.CATEGORY_DIGIT: re.compile(r"\d"),
    c.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    c.CATEGORY_SPACE: re.compile(r"\s"),
    c.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    c.CATEGORY_WORD: re.compile(r"\w"),
    c.CATEGORY_NOT_WORD: re.compile(r"\W"),
}

# --- ambiguity --------------------------------------------------------------------------------------------


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


def _ambiguous(body: Any) -> bool:
    """Tell whether the body of a repetition might match the same text in several ways."""
    for op, argument in body:
        if op in (c.MAX_REPEAT, c.MIN_REPEAT):
            if argument[0] != argument[1] or _ambiguous(argument[2]):
                return True
        elif op is c.BRANCH:
            firsts = [_chars(branch[:1]) if len(branch) else _SAMPLE for branch in argument[1]]
            if sum(map(len, firsts)) > len(frozenset().union(*firsts)) or any(map(_ambiguous, argument[1])):
                return True
        elif op in (c.GROUPREF, c.GROUPREF_EXISTS) or (
            op in (c.SUBPATTERN, c.ASSERT, c.ASSERT_NOT) and any(map(_ambiguous, _children(op, argument)))
        ):
            return True
    return False
