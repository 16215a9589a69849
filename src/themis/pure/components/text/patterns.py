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
  pattern, for nothing behind it can fail: an anchor, a back-reference or the rest of an alternative can.
- *ways*: in how many ways options, bounded repetitions and alternatives can divide a text between them, on top of that:
  2 ** 16 in `(a|a){16}`.
- *costs*: how much is tried at each division, as the end of a pattern is tried more often than its begin: 256
  characters in `a*(a{16}){16}`, what a look-around inside an unbounded repetition reads at each turn.

The check may refuse a harmless pattern; each of its steps errs to that side alone. Characters are told apart one by one
where a pattern names them, and whatever it does not name stands for each other.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
import operator
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import attrs

# The parser of `re` is not documented, but it is the only one that reads a pattern just as `re` does.
from re import _constants as c  # type: ignore[attr-defined]  # isort: skip  # not in the stubs
from re import _parser  # type: ignore[attr-defined]  # isort: skip  # not in the stubs

STEPS: Final = 450_000_000
"""Parts of a pattern that are tried at most: a second or so of the engine's work."""

LONGEST: Final = 1_000_000
"""Characters that are read at most."""

_LENGTHS: Final = range(1, LONGEST + 1)

_FEW: Final = 16
"""Repetitions up to which a repetition counts as bounded."""

_LEAST: Final = 30
"""Characters that a pattern must be good for at least."""

_FREE_WAYS: Final = 16
"""Ways that cost nothing: an option here and there is in every pattern."""

_WIDEST: Final = 32
"""Characters that a look-around inside an unbounded repetition may read."""

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
    cost: int = 1


@attrs.frozen
class _Choice:
    """Alternatives that begin alike: another one may be tried if what follows fails."""

    ways: int
    cost: int = 2


_NOTHING_BACK: Final = frozenset[str]()
"""The end of what, once it has matched, gives nothing back: an atomic group, an assertion."""

_MAY_FAIL: Final = _Choice(1)
"""What takes no text, or may take none, and can fail all the same: what stands before it is tried again."""

_BOUNDARY: Final = _Choice(1, cost=4)
"""That of a word: the kinds of two characters are looked up."""

_LOOP: Final = 5
"""What a turn of a repetition costs that is not of one character: for that the engine has a loop of its own."""

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
        if body.getwidth()[1] == 0:
            raise ValueError("a repetition of what takes no text: it is the same once")
        if _looked_around(body) > _WIDEST:
            raise ValueError(
                f"a look-around inside an unbounded repetition reads more than {_WIDEST} characters at each turn; put "
                "it before or behind the repetition"
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
    work = _work(pattern)
    return bisect.bisect_right(_LENGTHS, STEPS, key=work.steps)


def degree(pattern: str) -> int:
    r"""Return how many unbounded repetitions can hand text to each other.

    >>> degree(r"answer\s*:\s*(.*)"), degree(".*.*x"), degree(".*+x"), degree("a*b*a*x")
    (1, 2, 1, 2)
    """
    return _work(pattern).powers


@attrs.frozen
class _Work:
    """What a search costs.

    Attributes:
        ways: in how many ways a text can be divided beside what unbounded repetitions take.
        costs: what is tried at each start, at each division by one unbounded repetition, by two, and so on.
        apart: how far from each other two starts are at least that get beyond what must match at the start.
    """

    ways: int
    costs: Sequence[int]
    apart: int

    @property
    def powers(self) -> int:
        return len(self.costs) - 1

    def steps(self, length: int) -> int:
        """Return how many parts are tried at most in a text of this length."""
        first, *others = (cost * math.comb(length + level + 1, level + 1) for level, cost in enumerate(self.costs))
        return (first + sum(others) // self.apart) * max(1, self.ways // _FREE_WAYS)


def _work(pattern: str) -> _Work:
    whole = _parser.parse(pattern)
    tree, reader, ends = [*whole], _Reader(whole), list[list[_Part]]()
    # What may be there or not at a pattern's end is tried by itself: nothing before it is tried again if it fails.
    while tree and (tree[-1][0] is c.SUBPATTERN or _is_optional(*tree[-1])):
        op, argument = tree.pop()
        if op is c.SUBPATTERN:
            tree += argument[3]
        else:
            ends.append([*reader.parts(argument[2]), _MAY_FAIL])
    rows = [[*reader.parts(tree)], *ends]
    of_chars = 2 if _IGNORES_CASE.search(pattern) else 1
    divided = [_divided(row, of_chars) for row in rows]
    costs = [*map(sum, itertools.zip_longest(*(costs for _, costs in divided), fillvalue=0))]
    costs[-1] += sum(len([*reader.parts(body)]) + _looked_around(body) - 1 for body in _unbounded_bodies(whole))
    begins = itertools.takewhile(lambda part: isinstance(part, frozenset) and part, rows[0])
    return _Work(max(ways for ways, _ in divided), costs, _apart([*begins]))


def _is_optional(op: Any, argument: Any) -> bool:
    return op in (c.MAX_REPEAT, c.MIN_REPEAT) and argument[0] == 0 and argument[1] <= _FEW


_IGNORES_CASE: Final = re.compile(r"\(\?[a-z]*i")


def _divided(parts: list[_Part], cost_of_chars: int) -> tuple[int, list[int]]:
    """Return a row's ways and its costs."""
    ended = 1 + max((at for at, part in enumerate(parts) if not isinstance(part, _Variable)), default=-1)
    row, choices, most, costs = list[tuple[_Variable, int]](), 1, 1, Counter[int]({0: 1})
    # A repetition alone is of degree 1, even a possessive one: the search tries it from every character on.
    if any(part == _NOTHING_BACK or (isinstance(part, _Variable) and part.ways is None) for part in parts):
        costs[1] = 1
    for part in parts[:ended]:  # behind the last one nothing can fail
        if isinstance(part, _Variable):
            together = [each.ways for each, _ in row if each.chars & part.chars] + [part.ways]
            row.append((part, together.count(None)))
            most = max(most, math.prod(ways for ways in together if ways is not None))
        costs[max((count for _, count in row), default=0)] += (
            cost_of_chars if isinstance(part, frozenset) else part.cost
        )
        if isinstance(part, _Choice):
            choices *= part.ways
        elif isinstance(part, frozenset) and part:
            row = [(each, count) for each, count in row if each.chars & part]
    return choices * most, [costs[level] for level in range(max(costs) + 1)]


def _apart(begins: Sequence[Any]) -> int:
    """Return how far apart two places are at least where these characters can stand in a row."""
    shifts = (shift for shift in range(1, len(begins)) if all(map(operator.and_, begins, begins[shift:])))
    return next(shifts, max(1, len(begins)))


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
                yield from (_Variable(self._all), _MAY_FAIL)
            elif op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
                yield self._chars_of(op, argument)
            elif op is c.AT:
                yield _BOUNDARY if argument in (c.AT_BOUNDARY, c.AT_NON_BOUNDARY) else _MAY_FAIL
            else:
                if op is c.BRANCH and self._begin_alike(argument[1]):
                    yield _Choice(len(argument[1]))
                if op is c.POSSESSIVE_REPEAT and argument[1] > _FEW:
                    yield _Variable(self._chars(argument[2]))
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
        cost = 1 if is_plain and len(body) == 1 and body[0][0] is not c.SUBPATTERN else _LOOP
        turn = () if cost == 1 else (_Variable(_NOTHING_BACK, 1, 2 * _LOOP),)
        for _ in range(low if is_bounded else min(low, 1)):
            yield from (*turn, *inner, *turn)
        if high > low and not is_plain and body.getwidth()[0] == 0:
            yield _Choice(2 ** (high - low if is_bounded else 1))  # to match nothing, or not to try
        if not is_bounded:
            yield _Variable(self._chars(body), cost=cost)
        elif is_plain and high > low:
            yield _Variable(self._chars(body), high - low + 1, cost)
        else:
            for _ in range(high - low):
                yield from (_Variable(self._chars(body), 2, cost), *_not_needed(inner), *turn)

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
    """Return parts that may not be there at all: what must match in them keeps nothing apart, but can fail."""
    return (_MAY_FAIL if isinstance(part, frozenset) and part else part for part in parts)


def _looked_around(body: Any) -> int:
    """Return how many characters the look-arounds in a part of a pattern read at most."""
    return max(
        (
            min(argument[1].getwidth()[1], LONGEST)
            if op in (c.ASSERT, c.ASSERT_NOT)
            else max(map(_looked_around, _children(op, argument)), default=0)
            for op, argument in body
        ),
        default=0,
    )


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
