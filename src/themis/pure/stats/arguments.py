"""What functions of statistics may be given: the one place that checks arguments.

The rule of the room: a public function states what it takes in its signature, by the types below, and bears
`@checked_arguments`. That refuses everything else with a `StatisticsError` that says where, what, found and allowed, of
all arguments at once. What no type can say (that two columns are of one length, that one number is below another) is
said by `same_length` and `refuse_unless` in the function's body. A `Literal` is a list of names: `"Linear"` is not
`"linear"`.

    @checked_arguments
    def interval_of(values: Sequence[Score], *, level: Level = 0.95, clusters: Sequence[Hashable] | None = None):
        same_length("interval_of", values=values, clusters=clusters)

Numbers are finite, scores of at most `LARGEST` in size, and counts are at most `MOST`, so that no sum leaves its range.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Annotated, Any, Final, Literal, ParamSpec, TypeAlias, TypeVar

import attrs

from themis.pure.errors import StatisticsError, ThemisError, listed, nearest
from themis.pure.records.fields import LARGEST_NUMBER

P = ParamSpec("P")
R = TypeVar("R")

LARGEST: Final = LARGEST_NUMBER

_WIDEST: Final = 1e120
"""The largest size of any number, so that what comes of the largest scores may be handed on."""

MOST: Final = 10**9
"""The largest count: of cases, pairs, wins."""


# --- what can be said of an argument ----------------------------------------------------------------------


@attrs.frozen
class Limits:
    """What a number must lie within, and how that is said."""

    said: str
    low: float = -_WIDEST
    high: float = _WIDEST
    low_open: bool = False
    high_open: bool = False

    def allows(self, value: Any) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        return bool(above and (value < self.high if self.high_open else value <= self.high))


@attrs.frozen
class Rule:
    """What a value must be instead of what its type says, and how that is said."""

    said: str
    allows: Callable[[Any], bool]


Score: TypeAlias = float | None
"""A score, a difference or a measured value; `None` if there is none."""

Level: TypeAlias = Annotated[float, Limits("a number from 1e-9 to 1 - 1e-9, such as 0.95 for 95 %", 1e-9, 1.0 - 1e-9)]
"""Nominal coverage."""

Alpha: TypeAlias = Annotated[float, Limits("a number from 1e-9 to 1 - 1e-9, such as 0.05", 1e-9, 1.0 - 1e-9)]
"""An error rate."""

Power: TypeAlias = Annotated[float, Limits("a number above 0 and below 1, such as 0.8", 1e-9, 1.0 - 1e-9)]
"""A chance to find a difference."""

Proportion: TypeAlias = Annotated[float, Limits("a number from 0 to 1", 0.0, 1.0)]
"""A share, or a p-value."""

Difference: TypeAlias = Annotated[float, Limits("a number from -1 to 1", -1.0, 1.0)]
"""Of two shares."""

Size: TypeAlias = Annotated[float, Limits("a number of 0 or more", 0.0)]
"""A standard deviation, a variance, an effective number."""

Margin: TypeAlias = Annotated[float, Limits("a finite number above 0, in score units", 0.0, low_open=True)]
"""The largest difference that counts as none."""

Count: TypeAlias = Annotated[int, Limits(f"a whole number from 0 to {MOST:,}", 0, MOST)]
"""Of cases, wins, successes."""

OneOrMore: TypeAlias = Annotated[int, Limits(f"a whole number from 1 to {MOST:,}", 1, MOST)]
"""A number of samples, a k."""

Resamples: TypeAlias = Annotated[int, Limits("a whole number from 1 to 100,000", 1, 100_000)]
"""How many random draws."""

Seed: TypeAlias = Annotated[int, Limits("a whole number", -(2**128), 2**128)]
"""Of random draws."""


def _is_range(value: Any) -> bool:
    try:
        low, high = value
        return isinstance(low, int | float) and isinstance(high, int | float) and bool(low < high)
    except (TypeError, ValueError):
        return False


ScoreRange: TypeAlias = Annotated[tuple[float, float], Rule("(lowest, highest), two numbers in this order", _is_range)]
"""The lowest and the highest possible score; either may be infinite, for a score that has no bound."""


# --- faults -----------------------------------------------------------------------------------------------


def refused(where: str, faults: Sequence[str]) -> StatisticsError:
    """Return the error that lists what is wrong with the arguments of a function."""
    return StatisticsError(listed(where, faults))


def refuse_unless(condition: object, where: str, what: str, found: object, allowed: str) -> None:
    """Refuse an argument that no type can tell to be wrong.

    >>> refuse_unless(3 <= 2, "pass_at_k", "correct", 3, "at most the 2 samples")
    Traceback (most recent call last):
    ...
    themis.pure.errors.StatisticsError: pass_at_k: correct is 3; allowed: at most the 2 samples
    """
    if not condition:
        raise refused(where, [f"{what} is {_shown(found)}; allowed: {allowed}"])


def same_length(where: str, **columns: Sized | None) -> None:
    """Refuse columns that belong together and are not of one length; `None` is a column that was not given.

    >>> same_length("estimate_mean", values=[1.0, 0.0], clusters=["a"])
    Traceback (most recent call last):
    ...
    themis.pure.errors.StatisticsError: estimate_mean: values, clusters have 2, 1 entries; allowed: as many of each
    """
    sizes = {name: len(column) for name, column in columns.items() if column is not None}
    if len(set(sizes.values())) > 1:
        found = ", ".join(map(str, sizes.values()))
        raise refused(where, [f"{', '.join(sizes)} have {found} entries; allowed: as many of each"])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# --- checking by signature --------------------------------------------------------------------------------

_Fault: TypeAlias = tuple[str, object, str]
"""Where within the argument, what was found there, and what is allowed."""

_Check: TypeAlias = Callable[[Any], _Fault | None]


def checked_arguments(
    function: Callable[P, R], *, error: type[ThemisError] = StatisticsError, but: Collection[str] = ()
) -> Callable[P, R]:
    """Let a function refuse what its signature does not allow.

    Iterables are checked while they are read; all else before the function starts.

    Args:
        function: the function.
        error: what it raises.
        but: parameters that it checks by itself.
    """
    signature = inspect.signature(function)

    @functools.cache
    def checks() -> Mapping[str, tuple[_Check, bool]]:
        # When first called: a signature may name what its module defines further down.
        hints = _hints(function)
        known = {name: hints[name] for name in signature.parameters if name in hints and name not in but}
        return {name: (_check(hint), _is_lazy(hint)) for name, hint in known.items()}

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        faults = []
        for name, value in bound.arguments.items():
            if name not in checks():
                continue
            check, lazy = checks()[name]
            if (fault := check(value)) is not None:
                faults.append(_told(name, fault))
            elif lazy and not isinstance(value, Collection):
                bound.arguments[name] = _read(value, name, function.__qualname__, check)
        if faults:
            raise error(listed(function.__qualname__.removesuffix(".__init__"), faults))
        return function(*bound.args, **bound.kwargs)

    return checked


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return a function's types; without those that only a type checker can look up."""
    found: dict[str, Any] = {}
    for name, written in inspect.get_annotations(function).items():
        one = types.SimpleNamespace(__annotations__={name: written})
        with contextlib.suppress(NameError):
            found |= typing.get_type_hints(one, inspect.unwrap(function).__globals__, include_extras=True)
    return found


def check_fields(record: object) -> None:
    """Refuse a record, an attrs class, whose fields are not what their types allow.

    Raises:
        StatisticsError: lists all such fields.
    """
    kind: type[Any] = type(record)
    faults = [
        _told(name, fault)
        for name, check in _field_checks(kind).items()  # type: ignore[arg-type]  # a class can be hashed
        if (fault := check(getattr(record, name))) is not None
    ]
    if faults:
        raise refused(kind.__name__, faults)


@functools.cache
def _field_checks(kind: type[Any]) -> Mapping[str, _Check]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: _check(hints[field.name]) for field in attrs.fields(kind)}


def _told(name: str, fault: _Fault) -> str:
    path, found, allowed = fault
    return f"{name}{path} is {_shown(found)}; allowed: {allowed}"


def _is_lazy(hint: Any) -> bool:
    return typing.get_origin(hint) in (Iterable, Iterator)


def _read(values: Iterable[Any], name: str, where: str, check: _Check) -> Iterator[Any]:
    for index, value in enumerate(values):
        if (fault := check([value])) is not None:
            path, found, allowed = fault
            raise refused(where, [_told(f"{name}[{index}]", (path.removeprefix("[0]"), found, allowed))])
        yield value


def _check(hint: Any) -> _Check:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _limited(inner[0], inner[1:])
    if origin is Literal:
        return _named(inner)
    if origin in (typing.Union, types.UnionType):
        return _either([_check(each) for each in inner])
    if origin is tuple and Ellipsis not in inner:
        return _pair([_check(each) for each in inner])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*map(_check, inner))
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return _column(_check(inner[0]), origin)
    if origin is Callable:
        return _simple("something that can be called", callable)
    if isinstance(hint, TypeVar):
        return _check(hint.__bound__ or Any)
    return _plain(hint)


def _plain(hint: Any) -> _Check:
    if hint in (Any, object):
        return lambda value: None
    if hint is Hashable:
        return _simple("something that can be hashed, such as a string", _can_be_hashed)
    if hint is type(None):
        return _simple("None", lambda value: value is None)
    if hint is float:
        return _number_check
    if hint is int:
        return _simple("a whole number", _is_whole)
    if getattr(hint, "_is_protocol", False):
        return _attributes(hint)
    if hint is str:
        return _simple("a string", _is_text)
    said = "True or False" if hint is bool else f"a {hint.__name__}"
    return _simple(said, lambda value: isinstance(value, hint))


def _simple(said: str, allows: Callable[[Any], bool]) -> _Check:
    return lambda value: None if allows(value) else ("", value, said)


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair, which no store and no file can hold
        return False
    return True


def _can_be_hashed(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _number_check(value: Any) -> _Fault | None:
    if value.__class__ is float and -_WIDEST <= value <= _WIDEST:  # nearly all are
        return None
    return None if _is_number(value) else ("", value, f"a finite number of at most {_WIDEST:g} in size")


def _is_number(value: Any) -> bool:
    if value.__class__ is not float:
        if not hasattr(value, "__float__"):
            return False
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError):
            return False
    return bool(-_WIDEST <= value <= _WIDEST)


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _limited(base: Any, limits: Sequence[Limits | Rule]) -> _Check:
    of_base = _check(base)
    said = "; ".join(limit.said for limit in limits)

    def check(value: Any) -> _Fault | None:
        if not isinstance(limits[0], Rule) and of_base(value) is not None:
            return "", value, said
        return None if all(limit.allows(value) for limit in limits) else ("", value, said)

    return check


def _named(names: Sequence[Any]) -> _Check:
    texts = [name for name in names if isinstance(name, str)]

    def check(value: Any) -> _Fault | None:
        if any(value is name or (type(value) is type(name) and value == name) for name in names):
            return None
        allowed = " or ".join(map(repr, names))
        alike = next((name for name in texts if isinstance(value, str) and name.lower() == value.lower()), value)
        if isinstance(alike, str) and (found := nearest(alike, texts)).startswith("did you mean"):
            allowed += f" ({found})"
        return "", value, allowed

    return check


def _either(checks: Sequence[_Check]) -> _Check:
    def check(value: Any) -> _Fault | None:
        for each in checks:
            if each(value) is None:
                return None
        faults = [fault for each in checks if (fault := each(value)) is not None]
        inside = [fault for fault in faults if fault[0]]  # a list was given, and one of its entries is wrong
        return inside[0] if inside else ("", value, ", or ".join(allowed for _, _, allowed in faults))

    return check


def _pair(checks: Sequence[_Check]) -> _Check:
    said = f"a tuple of {len(checks)}"

    def check(value: Any) -> _Fault | None:
        if not isinstance(value, tuple | list) or len(value) != len(checks):
            return "", value, said
        return _first(enumerate(value), checks.__getitem__)

    return check


def _column(of_one: _Check, origin: type) -> _Check:
    sized = issubclass(origin, Collection) or origin is tuple
    said = "a list" if sized else "a list, or another iterable"

    def check(value: Any) -> _Fault | None:
        # Arrays are columns, too; a string would be one of letters.
        if isinstance(value, str | bytes | bytearray | Mapping | type) or not hasattr(value, "__iter__"):
            return "", value, said
        if not hasattr(value, "__len__"):
            return ("", value, said) if sized else None
        for index, each in enumerate(value):
            if (fault := of_one(each)) is not None:
                path, found, allowed = fault
                return f"[{index}]{path}", found, allowed
        return None

    return check


def _mapping(of_key: _Check, of_value: _Check) -> _Check:
    def check(value: Any) -> _Fault | None:
        if not isinstance(value, Mapping):
            return "", value, "a mapping"
        for key in value:
            if (fault := of_key(key)) is not None:
                return f"{fault[0]}'s key", fault[1], fault[2]
        return _first(value.items(), lambda _: of_value)

    return check


def _first(items: Iterable[tuple[Any, Any]], check_of: Callable[[Any], _Check]) -> _Fault | None:
    for place, each in items:
        if (fault := check_of(place)(each)) is not None:
            path, found, allowed = fault
            return f"[{place!r}]{path}", found, allowed
    return None


def _attributes(protocol: type) -> _Check:
    """Return the check of what a protocol says of its attributes."""
    properties = {
        name: _check(typing.get_type_hints(value.fget, include_extras=True)["return"])
        for kind in protocol.__mro__
        for name, value in vars(kind).items()
        if isinstance(value, property)
    }
    said = f"something with {', '.join(properties)}"

    def check(value: Any) -> _Fault | None:
        for name, of_one in properties.items():
            try:
                found = getattr(value, name)
            except AttributeError:
                return "", value, said
            if (fault := of_one(found)) is not None:
                return f".{name}{fault[0]}", fault[1], fault[2]
        return None

    return check
