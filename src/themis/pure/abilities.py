"""A run's components as the core knows them: what each can do, asked once when it enters.

A component's methods and settings are read off these records; the component itself is not asked again.
A component that lacks what its place needs is a fault of the experiment, which compiling reports with all others.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Self

import attrs

from themis.pure.batches import BatchEndpoint
from themis.pure.errors import SpecError
from themis.pure.families import metric_family
from themis.pure.json import EMPTY, JSONValue
from themis.pure.limits import TokenEstimate
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case

Method = Callable[..., Any]
"""A component's method; what it returns is checked by the stage that calls it."""


@attrs.frozen
class Call:
    """How a method is called: with which arguments, by position, whether anyone waits for it if it is async, and
    whether it may yield what it has to say one by one."""

    arguments: tuple[str, ...]
    is_awaited: bool = False
    may_yield: bool = False


def _called(*arguments: str, is_awaited: bool = False, may_yield: bool = False) -> dict[Any, Any]:
    """Return the metadata of a field that holds a method."""
    return {Call: Call(arguments, is_awaited, may_yield)}


@attrs.frozen(kw_only=True)
class Abilities:
    """What every component may offer.

    Attributes:
        component: the live object.
        component_id: its name; empty if it has none.
        check: returns what it lacks to do its work, one sentence each.
        session: opened around a run.
        aclose: releases what it holds open.
        faults: why it can't do the work of its place, one sentence each: a method that it lacks, or that can't be
            called as its place calls it.
    """

    component: Any = attrs.field(repr=False)
    component_id: str
    check: Callable[[], Iterable[str] | None] | None = attrs.field(default=None, metadata=_called(may_yield=True))
    session: Callable[[], AbstractAsyncContextManager[object]] | None = attrs.field(
        default=None, metadata=_called(is_awaited=True)
    )
    aclose: Callable[[], Awaitable[object]] | None = attrs.field(default=None, metadata=_called(is_awaited=True))
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.component_id or type(self.component).__name__

    @property
    def is_none(self) -> bool:
        """Whether this is a class, a function or a plain value, and no component at all."""
        return no_component(self.component) is not None

    @classmethod
    def read(cls, component: Any, *needed: str, calls: Mapping[str, Call] = EMPTY, **fields: Any) -> Self:
        """Read off a component whatever is not given, each field under its own name.

        Fields without a default are methods that it needs, and so are those that are `needed` besides. A field says
        how its method is called; `calls` says it of those that have no field under their own name.
        """
        own = {"component", "component_id", "faults", *fields}
        asked = {field.name: field.default for field in attrs.fields(cls) if field.name not in own}
        needed += tuple(name for name, default in asked.items() if default is attrs.NOTHING)
        found = {name: getattr(component, name, None) for name in (*asked, *needed)}
        read: dict[str, Any] = {name: found[name] for name in asked}
        name = str(getattr(component, "component_id", None) or "")
        stated = {field.name: field.metadata[Call] for field in attrs.fields(cls) if Call in field.metadata}
        faults = tuple(_faults(name or type(component).__name__, component, needed, found, {**stated, **calls}))
        return cls(component=component, component_id=name, faults=faults, **read, **fields)


def _faults(
    name: str, component: Any, needed: Iterable[str], found: Mapping[str, Any], calls: Mapping[str, Call]
) -> Iterator[str]:
    """Yield why a component can't be called: what would otherwise be an error of every case, after it was paid for."""
    none = no_component(component)
    if none is not None:
        yield none
        return
    yield from (f"{name} has no {method}() method" for method in needed if not callable(found[method]))
    for method, call in found.items():
        if callable(call) and method in calls:
            problem = call_problem(method, call, calls[method])
            if problem:
                yield f"{name}.{problem}"


def no_component(value: object) -> str | None:
    """Return what a value is that can be no component, and what to do; `None` if it may be one."""
    if isinstance(value, type):
        return f"{value.__name__} is a class; give an object of it, as in {value.__name__}()"
    if inspect.isroutine(value):
        name = value.__name__
        return f"{name} is a plain function; make a component of it with @generator, @parser, @reducer or @metric"
    kind = type(value)
    if kind.__module__.partition(".")[0] in ("builtins", "pathlib") and not inspect.ismodule(value):
        found = "None" if value is None else f"{kind.__name__}: {value!r:.60}"
        return f"a component or its name expected, found {found}"
    return None


def call_problem(method: str, call: Method, how: Call, **named: Any) -> str | None:
    """Return why a method can't be called as its place calls it, or why its answer could never be used."""
    written = (call, type(call).__call__)  # a function, or an object that is called like one
    if any(map(inspect.iscoroutinefunction, written)) and not how.is_awaited:
        return f"{method}() is async, and nothing waits for it; write it with a plain def"
    if any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in written) and (
        not how.may_yield
    ):
        return f"{method}() yields, and its place takes what it returns; write return in place of yield"
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # as of some functions written in C
        return None
    try:
        # A judge's seed has no place of its own: it is given by name to those that take one.
        named |= {"seed": None} if how == JUDGING and "seed" in signature.parameters else {}
        signature.bind(*how.arguments, **named)
    except TypeError as error:
        called = f"{method}({', '.join([*how.arguments, *(f'{name}=...' for name in named)])})"
        own = ", ".join(
            str(parameter.replace(annotation=parameter.empty)) for parameter in signature.parameters.values()
        )
        return f"{method}({own}) can't be called as {called}: {error}"
    return None


GENERATING: Final = Call(("case", "ctx"), is_awaited=True)
JUDGING: Final = Call(("prompt",), is_awaited=True)


@attrs.frozen(kw_only=True)
class CallerAbilities(Abilities):
    """A generator or a judge model: it may call an endpoint, and cost something.

    Attributes:
        call: `generate` or `judge`.
        is_async: `call` is a coroutine function; any other runs in a thread.
        provider_key: groups the calls to one endpoint.
        request: renders the whole request, purely.
        estimate: returns the tokens that a request is expected to take.
        max_tokens: the longest answer.
        batch: its provider's batch endpoint, if it has one.
        loglikelihood: says how likely it goes on from a context with each of some texts; `None` if it can't.
        generate_many, loglikelihood_many: the same for several at once, at most `batch_size`; one that has them is
            asked through them, one batch at a time.
        batch_size: how many.
        reads_text: a judge model whose prompt is annotated as `str`, and is handed the text alone.
        takes_seed: a judge model that has a parameter `seed`.
    """

    call: Method
    is_async: bool
    reads_text: bool = False
    takes_seed: bool = True
    provider_key: str | None = None
    request: Callable[[Case, GenerateContext], JSONValue] | None = attrs.field(
        default=None, metadata=_called("case", "ctx")
    )
    estimate: Callable[[Any], TokenEstimate] | None = attrs.field(default=None, metadata=_called("request"))
    max_tokens: int | None = None
    batch: BatchEndpoint | None = None
    loglikelihood: Method | None = attrs.field(
        default=None, metadata=_called("context", "continuations", is_awaited=True)
    )
    generate_many: Method | None = attrs.field(default=None, metadata=_called("asked"))
    loglikelihood_many: Method | None = attrs.field(default=None, metadata=_called("asked"))
    batch_size: int = 1

    @property
    def asked(self) -> Mapping[str, str]:
        """What a span says of who is asked; nothing of what calls no provider."""
        return {} if self.provider_key is None else {"model": self.component_id, "provider_key": self.provider_key}

    @classmethod
    def of(cls, component: Any, method: str, how: Call = GENERATING) -> Self:
        """Ask a generator (`method` is `generate`) or a judge model (`judge`)."""
        call, longest = getattr(component, method, None), getattr(component, "max_tokens", None)
        return cls.read(
            component,
            method,
            calls={method: how},
            call=call,
            is_async=inspect.iscoroutinefunction(call),
            **_judging(call),
            batch_size=several if isinstance(several := getattr(component, "batch_size", None), int) else 1,
            max_tokens=longest if isinstance(longest, int) else None,
        )


def _judging(call: Method | None) -> dict[str, bool]:
    """Return how a method takes a prompt and a seed; what has no signature is taken to be as the protocol says."""
    try:
        parameters = list(inspect.signature(call).parameters.values()) if call is not None else []
    except (TypeError, ValueError):
        parameters = []
    if not parameters:
        return {}
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    return {
        "reads_text": parameters[0].annotation in (str, "str"),
        "takes_seed": takes_any or any(parameter.name == "seed" for parameter in parameters),
    }


@attrs.frozen(kw_only=True)
class SelectorAbilities(Abilities):
    """A selector: one that selects by itself, or one that judges and chooses by the outcome."""

    select: Method | None = attrs.field(default=None, metadata=_called("candidates", "ctx", is_awaited=True))
    build_workflow: Method | None = attrs.field(default=None, metadata=_called("subject", "ctx"))
    choose: Method | None = attrs.field(default=None, metadata=_called("candidates", "judged"))

    @classmethod
    def of(cls, component: Any) -> Self:
        judges = hasattr(component, "build_workflow")
        return cls.read(component, "choose", select=None) if judges else cls.read(component, "select")


@attrs.frozen(kw_only=True)
class ReducerAbilities(Abilities):
    """A reducer.

    Attributes:
        reduce: its method.
        reads_parsed: it wants to be told what the run's parsers make of each candidate.
    """

    reduce: Method = attrs.field(metadata=_called("candidates", "ctx", is_awaited=True))
    reads_parsed: bool | None = None


@attrs.frozen(kw_only=True)
class ParserAbilities(Abilities):
    parse: Method = attrs.field(metadata=_called("candidate", "ctx"))


_SCORED: Final = ("parsed", "case", "ctx")
_RUN: Final = ("parsed", "case", "results", "ctx")


@attrs.frozen(kw_only=True)
class MetricAbilities(Abilities):
    """A metric, with the methods of its family.

    Attributes:
        family: its family's name; empty if it has none, and `problem` then says why.
        threshold: the value from which its score counts as correct, if it states one.
        score_range: its lowest and highest score, if it states them.
        reads_candidates: it wants to be handed the case's candidates, as they were generated.
    """

    family: str
    problem: str = ""
    threshold: float | None = None
    score_range: tuple[float, float] | None = None
    reads_candidates: bool | None = None
    score: Method | None = attrs.field(default=None, metadata=_called(*_SCORED))
    sandbox_requests: Method | None = attrs.field(default=None, metadata=_called(*_SCORED, may_yield=True))
    next_requests: Method | None = attrs.field(default=None, metadata=_called(*_RUN, may_yield=True))
    score_results: Method | None = attrs.field(default=None, metadata=_called(*_RUN))
    sandbox_languages: tuple[str, ...] = ()
    build_workflow: Method | None = attrs.field(default=None, metadata=_called("subject", "ctx"))

    @classmethod
    def of(cls, component: Any) -> Self:
        family, problem, score_range = "", "", None
        try:
            family, score_range = metric_family(component), stated_range(component)
        except SpecError as error:
            problem = str(error)
        value = getattr(component, "threshold", None)
        return cls.read(
            component,  # what a metric needs, its family says
            family=family,
            problem=problem,
            score_range=score_range,
            threshold=float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None,
            sandbox_languages=tuple(getattr(component, "sandbox_languages", ())),
        )


def stated_range(metric: Any) -> tuple[float, float] | None:
    """Return the lowest and highest score that a metric states, or `None` if it states none.

    Raises:
        SpecError: it states something else than two finite numbers, the lower one first.
    """
    stated = getattr(metric, "score_range", None)
    if stated is None:
        return None
    if isinstance(stated, tuple | list) and len(stated) == 2 and all(map(_is_finite, stated)) and stated[0] < stated[1]:
        return float(stated[0]), float(stated[1])
    name = getattr(metric, "component_id", type(metric).__name__)
    raise SpecError(f"{name}: score_range must be the lowest and the highest score, as in (0, 1); found {stated!r}")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@attrs.frozen(kw_only=True)
class Components:
    """A run's components, in the places they take; the snapshot names them by fingerprint."""

    generator: CallerAbilities
    selector: SelectorAbilities | None = None
    reducer: ReducerAbilities | None = None
    parsers: tuple[ParserAbilities, ...] = ()
    metrics: tuple[MetricAbilities, ...] = ()
    judge_models: tuple[CallerAbilities, ...] = ()

    @functools.cached_property
    def metric(self) -> Mapping[str, MetricAbilities]:
        return {metric.component_id: metric for metric in self.metrics}

    @functools.cached_property
    def judge(self) -> Mapping[str, CallerAbilities]:
        return {judge.component_id: judge for judge in self.judge_models}

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Ask every component what it can do.

        Args:
            given: the components by their places: one, or for `parsers`, `metrics` and `judge_models` several.
        """
        return cls(**{place: PLACES[place](component) for place, component in given.items()})

    def placed(self) -> Iterator[tuple[str, Abilities]]:
        """Yield the components that are given, each with its place."""
        for place in PLACES:
            found = getattr(self, place)
            for able in found if isinstance(found, tuple) else () if found is None else (found,):
                yield place, able

    def __iter__(self) -> Iterator[Abilities]:
        return (able for _, able in self.placed())


def _if_any(of: Callable[[Any], Abilities]) -> Callable[[Any], Abilities | None]:
    return lambda component: None if component is None else of(component)


def _each(of: Callable[[Any], Abilities]) -> Callable[[Iterable[Any]], tuple[Abilities, ...]]:
    return lambda components: tuple(map(of, components))


PLACES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "generator": lambda component: CallerAbilities.of(component, "generate"),
    "selector": _if_any(SelectorAbilities.of),
    "reducer": _if_any(ReducerAbilities.read),
    "parsers": _each(ParserAbilities.read),
    "metrics": _each(MetricAbilities.of),
    "judge_models": _each(lambda component: CallerAbilities.of(component, "judge", JUDGING)),
}
"""The places of a run's components, under the names that they have everywhere, each with how a component is asked."""
