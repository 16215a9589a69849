"""Whatever functions of statistics are given: finite figures, a reason why there are none, or a StatisticsError.

The functions are those of the door, `themis.stats`, found anew in every run, with the methods of its classes. Arguments
are drawn from their signatures: mostly what they ask for, at the edges of it, and now and then what JSON, a command
line or a slip could bring. A call has a second of processor time.
"""

from __future__ import annotations

import inspect
import math
import signal
import types
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal, TypeVar

import attrs
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from themis import stats
from themis.pure.errors import StatisticsError
from themis.pure.records.base import HashableModel
from themis.pure.stats.arguments import Rule
from themis.pure.stats.pairs import CaseScores

SECONDS: Final = 1.0

# fmt: off
WRONG: Final = st.sampled_from([
    math.nan, math.inf, -math.inf, -1, 0, 95, 10**12, 10**400, 1e308, -0.0, "", "0.95", "Linear", "CR1", None, True,
    [], {}, [math.nan], [-1], [None], ["a"], [[1.0]], {"a": math.nan}, {1: 2}, (1, 0), (0, 1, 2), b"ab", object(), 1j,
    [10**400],
])
# fmt: on

NUMBERS: Final = [0.0, 1.0, 1.0, 0.5, 0.25, -1.0, 3.0, 1e-300, 5e-324, 1e100, -1e100, 0.1 + 0.2, 1e9]
KEYS: Final = [f"c{place}" for place in range(60)]


@attrs.frozen
class Row:
    """A row of a score table, as anyone may make it."""

    case_key: Any
    metric_id: Any
    value: Any
    outcome: Any = "correct"
    error_category: Any = None
    details: Any = attrs.field(factory=dict)


class Hung(BaseException):
    """The call takes more than a second."""


@contextmanager
def within_a_second() -> Iterator[None]:
    """Interrupt what takes more than a second of processor time."""

    def stop(*_: object) -> None:
        raise Hung

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


# --- drawing arguments from a signature -------------------------------------------------------------------


def fitting(hint: Any, size: int) -> st.SearchStrategy[Any]:
    """Draw what a type asks for; columns have `size` entries."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return limited(inner[0], inner[1])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([fitting(each, size) for each in inner])
    if origin is tuple and Ellipsis not in inner:
        return st.tuples(*[fitting(each, size) for each in inner])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(fitting(inner[0], size), fitting(inner[1], size), max_size=6)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return columns(inner[0], size)
    if origin is Callable or hint is Callable:
        return st.sampled_from([max, len, lambda rows: math.nan, lambda rows: None, lambda rows: 0.0])
    if isinstance(hint, TypeVar):
        return fitting(hint.__bound__ or Any, size)
    return plain(hint)


def columns(of_one: Any, size: int) -> st.SearchStrategy[Any]:
    is_nested = typing.get_origin(of_one) not in (None, Annotated)
    # A table of tables is not made of long ones: resampling thousands of ratings takes more than a second for good.
    one = fitting(of_one, min(size, 11) if is_nested else size)
    drawn = st.lists(one, min_size=size, max_size=size)
    if typing.get_origin(of_one) is None and of_one not in (float, int):
        return drawn
    same = one.map(lambda value: [value] * size)
    long = one.map(lambda value: [value] * 2000) if size == 12 and not is_nested else same
    return st.one_of(drawn, drawn, same, long)


def limited(base: Any, limits: Any) -> st.SearchStrategy[Any]:
    if isinstance(limits, Rule):
        return st.sampled_from([(0.0, 1.0), (-1e100, 1e100), (0.0, 5e-324), (-math.inf, math.inf), (0.0, 1e100)])
    edges = [limits.low, limits.high, 1, 2, 3, 0.05, 0.5, 0.95, 0.8, 5, 20, 1000, 199]
    kept = [base(edge) for edge in edges if limits.allows(base(edge))]
    return st.sampled_from(kept)


def plain(hint: Any) -> st.SearchStrategy[Any]:
    if hint in KNOWN:
        return KNOWN[hint]
    if getattr(hint, "_is_protocol", False):
        return st.builds(
            Row,
            st.sampled_from(KEYS[:12]),
            st.sampled_from(["m", "m", "other"]),
            st.none() | st.sampled_from(NUMBERS),
            st.sampled_from(["correct", "incorrect", "error"]),
            st.sampled_from([None, "parse"]),
            st.sampled_from([{}, {"a": 1.0}, {"a": True}, {"a": {"b": 1e100}}]),
        )
    if attrs.has(hint):
        return made(hint)
    return st.nothing()


@st.composite
def made(draw: st.DrawFn, kind: type) -> Any:
    """Draw a record by its fields' types."""
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {
        field.name: draw(fitting(hints[field.name], 3))
        for field in attrs.fields(kind)
        if field.init and (field.default is attrs.NOTHING or draw(st.booleans()))
    }
    try:
        return kind(**fields)
    except ValueError:
        assume(False)


@st.composite
def compared(draw: st.DrawFn) -> stats.PairedComparison:
    """Draw a comparison as functions make it."""
    scores = st.none() | st.sampled_from(draw(st.sampled_from([[0.0, 1.0], NUMBERS, [0.0, 0.5, 1.0], [1.0]])))
    a, b = ([(key, draw(scores)) for key in KEYS[: draw(st.integers(0, 9))]] for _ in "ab")
    clusters = draw(st.none() | st.dictionaries(st.sampled_from(KEYS[:9]), st.sampled_from("xyz"), max_size=9))
    return stats.paired_compare(a, b, clusters=clusters)


@st.composite
def sampled(draw: st.DrawFn) -> Any:
    """Draw what the bootstrap of means takes."""
    from themis.pure.stats.samples import by_cluster

    values = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=12))
    return by_cluster(values, draw(st.lists(st.sampled_from("abcdef"), min_size=len(values), max_size=len(values))))


def known() -> dict[Any, st.SearchStrategy[Any]]:
    from themis.pure.stats.samples import ClusteredSample

    column = st.lists(st.none() | st.sampled_from([0.0, 1.0]), max_size=9)
    runs = st.lists(compared(), max_size=3)
    return {
        float: st.sampled_from(NUMBERS),
        int: st.sampled_from([0, 1, 2, 5, 10**9]),
        str: st.sampled_from([*KEYS[:12], "m", "m:0.02", "m>=0.8", "a"]),
        bool: st.booleans(),
        type(None): st.none(),
        Any: st.sampled_from(NUMBERS),
        object: st.sampled_from([*NUMBERS, "a", (1, 2)]),
        Hashable: st.sampled_from(["a", "b", 1, 2, 0, "c"]),
        stats.PairedComparison: compared(),
        stats.RunComparison: runs.map(lambda each: stats.RunComparison(comparisons=tuple(each))),
        stats.Estimate: column.map(lambda values: stats.estimate_mean(values, planned=12)),
        stats.Interval: column.map(lambda values: stats.estimate_mean(values).interval),
        stats.EquivalenceTest: compared().map(lambda each: stats.equivalence(each, margin=0.1)),
        ClusteredSample: sampled(),
        CaseScores: column.map(lambda values: CaseScores.of(list(zip(KEYS, values, strict=False)), "score")),
    }


KNOWN: Final = known()


@st.composite
def arguments(draw: st.DrawFn, function: Callable[..., Any]) -> dict[str, Any]:
    """Draw the arguments of a call: most of them fit, some do not."""
    hints = typing.get_type_hints(function, include_extras=True)
    size = draw(st.sampled_from([0, 1, 2, 3, 5, 7, 12]))
    drawn = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self" or (parameter.default is not parameter.empty and draw(st.booleans())):
            continue
        fits = fitting(hints[name], draw(st.sampled_from([size] * 9 + [size + 1])))
        drawn[name] = draw(WRONG if draw(st.integers(0, 7)) == 0 else fits)
    return drawn


# --- what may come of it ----------------------------------------------------------------------------------


def assert_sound(found: Any) -> None:
    """All numbers are finite; what is not defined says why."""
    if isinstance(found, float):
        assert math.isfinite(found)
    elif isinstance(found, stats.Interval):
        assert (found.low is None) == (found.high is None)
        if found.low is None or found.high is None:
            assert found.reason
        else:
            assert found.low <= found.high
    elif isinstance(found, stats.SignificanceTest):
        assert (found.p_value is None) == bool(found.reason)
        assert found.p_value is None or 0.0 < found.p_value <= 1.0
    if attrs.has(type(found)):
        for field in attrs.fields(type(found)):
            assert_sound(getattr(found, field.name))
    elif isinstance(found, Mapping):
        for value in found.values():
            assert_sound(value)
    elif isinstance(found, Collection) and not isinstance(found, str | bytes):
        for value in found:
            assert_sound(value)


def assert_kept(function: Callable[..., Any], given_: Mapping[str, Any]) -> Any:
    """Call a function, and hold it to the promise."""
    try:
        with within_a_second():
            found = function(**given_)
    except StatisticsError as error:
        assert str(error)  # noqa: PT017  # an error without a word would be none
        return None
    assert_sound(found)
    return found


# --- all of them ------------------------------------------------------------------------------------------


NAMES: Final = sorted(dir(stats))


def functions() -> list[Callable[..., Any]]:
    return [found for name in NAMES if inspect.isfunction(found := getattr(stats, name))]


def classes() -> list[type]:
    """The classes that people make objects of: all but the records that functions return."""
    found = [getattr(stats, name) for name in NAMES]
    kinds = [each for each in found if inspect.isclass(each) and not issubclass(each, Exception)]
    return [
        each
        for each in kinds
        if not getattr(each, "_is_protocol", False)
        and (not issubclass(each, HashableModel) or hasattr(each, "__attrs_post_init__"))
    ]


def methods(kind: type) -> list[str]:
    return [
        name
        for name, value in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    ]


SUITE: Final = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


@pytest.mark.parametrize("function", functions(), ids=lambda function: function.__name__)
@SUITE
@given(data=st.data())
def test_every_function_keeps_the_promise(function: Callable[..., Any], data: st.DataObject) -> None:
    assert_kept(function, data.draw(arguments(function)))


@pytest.mark.parametrize(
    ("kind", "method"),
    [(kind, name) for kind in classes() for name in methods(kind) or [""]],
    ids=lambda value: getattr(value, "__name__", value),
)
@SUITE
@given(data=st.data())
def test_every_class_keeps_the_promise(kind: type, method: str, data: st.DataObject) -> None:
    it = assert_kept(kind, data.draw(arguments(vars(kind)["__init__"])))
    if it is None or not method:
        return
    if isinstance(vars(kind)[method], property):
        assert_kept(lambda: getattr(it, method), {})
    else:
        assert_kept(getattr(it, method), data.draw(arguments(vars(kind)[method])))


def test_the_door_is_not_empty() -> None:
    assert len(functions()) > 30
    assert {"StatsEngine", "PairedDesign", "PairedMethod"} <= {kind.__name__ for kind in classes()}
    assert len(methods(stats.StatsEngine)) >= 16


def test_what_hangs_or_is_not_finite_is_found() -> None:
    def hangs() -> None:
        while True:
            pass

    with pytest.raises(Hung):
        assert_kept(hangs, {})
    for unsound in (math.nan, [math.inf], stats.Interval(method="t"), {"a": stats.SignificanceTest(method="t")}):
        with pytest.raises(AssertionError):
            assert_sound(unsound)
