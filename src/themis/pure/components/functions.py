"""Components from plain functions: `@generator`, `@parser`, `@reducer`, `@metric`.

A decorated function stays callable as before, with its types; the component around it takes its id from the
function's name, and its fingerprint from the function's code. What the function returns may be a plain value:
the decorator wraps it into the record that the stage needs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, ParamSpec, TypeVar, cast, overload

from themis.pure.abilities import Call, call_problem
from themis.pure.errors import SpecError, nearest
from themis.pure.records.contexts import GenerateContext, ParseContext, ReduceContext, ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.scoring import Score, ScoreError

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class FunctionComponent(Generic[P, R_co]):
    """A plain function in a component's place.

    Attributes:
        component_id: the function's name, unless stated.
        version: stated, or empty.
        function: the function itself.
    """

    _decorator: ClassVar[str]
    _arguments: ClassVar[tuple[str, ...]]
    """What the function is given: all of these, or as many of the first as it takes."""
    _named: ClassVar[Collection[str]] = ()
    """What it is given by these names, if it asks for it."""
    _is_awaited: ClassVar[bool] = False

    def __init__(self, function: Callable[P, R_co], component_id: str | None, version: str) -> None:
        problem = self._problem(function)
        if problem is not None:
            raise SpecError(problem)
        name = component_id if component_id is not None else getattr(function, "__name__", "")
        if not name or name == "<lambda>":
            raise SpecError("a lambda has no name to be its component_id: write component_id=..., or use def")
        self.component_id: str = name
        self.version: str = version
        self.function = function
        self._takes = _positional(function)
        functools.update_wrapper(cast(Any, self), function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the function as it was written."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.component_id}>"

    @classmethod
    def _problem(cls, function: Any) -> str | None:
        """Return why a function can be no component of this kind: what would otherwise be an error of every case."""
        if isinstance(function, type) or not callable(function):
            found = f"the class {function.__name__}" if isinstance(function, type) else f"{function!r:.60}"
            return f"@{cls._decorator} takes a function, and a name as component_id=...; found {found}"
        name = getattr(function, "__name__", type(function).__name__)
        try:
            asked = inspect.signature(function).parameters.values()
        except ValueError:  # as of some functions written in C
            return f"@{cls._decorator}: nobody can tell what {name} takes; write a def around it"
        unknown = [
            p.name for p in asked if p.kind is p.KEYWORD_ONLY and p.name not in cls._named and p.default is p.empty
        ]
        if unknown:
            found = "; ".join(
                f"{name!r}: {nearest(name, cls._named)}" if cls._named else repr(name) for name in unknown
            )
            return f"{cls._decorator} {name} asks for what no {cls._decorator} is told: {found}"
        how = Call(cls._arguments[: _positional(function)], cls._is_awaited)
        problem = call_problem(name, function, how, **{p.name: None for p in asked if p.kind is p.KEYWORD_ONLY})
        return problem and f"@{cls._decorator}: {problem}"

    def _call(self, *args: Any) -> Any:
        """Call the function with as many of the stage's arguments as it takes."""
        call = cast(Callable[..., Any], self.function)
        return call(*args[: self._takes])


def _positional(function: Callable[..., Any]) -> int:
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 99
    taken = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(kind in taken for kind in kinds)


class FunctionGenerator(FunctionComponent[P, R_co]):
    """A generator made of `function(case, ctx)` or `function(case)`; it may be async."""

    _decorator = "generator"
    _arguments = ("case", "ctx")
    _is_awaited = True

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult | Awaitable[GenerationResult]:
        """Return one candidate; a value that is no `GenerationResult` becomes its final output."""
        value = self._call(case, ctx)
        return _later(value, ctx) if inspect.isawaitable(value) else _generation(value, ctx)


class AsyncFunctionGenerator(FunctionGenerator[P, R_co]):
    """The same for an `async def`: runs on the event loop, without a thread."""

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Return one candidate."""
        return _generation(await self._call(case, ctx), ctx)


async def _later(value: Awaitable[Any], ctx: GenerateContext) -> GenerationResult:
    return _generation(await value, ctx)


def _generation(value: Any, ctx: GenerateContext) -> GenerationResult:
    if isinstance(value, GenerationResult):
        return value
    return GenerationResult(candidate_id=ctx.candidate_id, final_output=value)


class FunctionParser(FunctionComponent[P, R_co]):
    """A parser made of `function(candidate, ctx)` or `function(candidate)`."""

    _decorator = "parser"
    _arguments = ("candidate", "ctx")

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return what was found; a value that is no `ParsedOutput` becomes its value."""
        value = self._call(candidate, ctx)
        return value if isinstance(value, ParsedOutput) else ParsedOutput(value=value)


class FunctionReducer(FunctionComponent[P, R_co]):
    """A reducer made of `function(candidates, ctx)` or `function(candidates)`; it may be async."""

    _decorator = "reducer"
    _arguments = ("candidates", "ctx")
    _is_awaited = True

    def reduce(
        self, candidates: Sequence[GenerationResult], ctx: ReduceContext
    ) -> ReducedCandidate | Awaitable[ReducedCandidate]:
        """Return the one answer; a value that is no `ReducedCandidate` becomes its final output."""
        value = self._call(candidates, ctx)
        return self._later(value, candidates) if inspect.isawaitable(value) else self._reduced(value, candidates)

    async def _later(self, value: Awaitable[Any], candidates: Sequence[GenerationResult]) -> ReducedCandidate:
        return self._reduced(await value, candidates)

    def _reduced(self, value: Any, candidates: Sequence[GenerationResult]) -> ReducedCandidate:
        if isinstance(value, ReducedCandidate):
            return value
        output = value.final_output if isinstance(value, GenerationResult) else value
        sources = tuple(candidate.candidate_id for candidate in candidates)
        name = value.candidate_id if isinstance(value, GenerationResult) else sources[0]
        return ReducedCandidate(candidate_id=name, source_candidate_ids=sources, final_output=output)


_FACTS: Final[Mapping[str, Callable[[GenerationResult, ScoreContext], Any]]] = {
    "answer": lambda candidate, ctx: candidate.final_output,
    "trace": lambda candidate, ctx: candidate.trace,
    "candidates": lambda candidate, ctx: ctx.candidates,
    "usage": lambda candidate, ctx: candidate.token_usage,
    "latency_ms": lambda candidate, ctx: candidate.latency_ms,
    "finish_reason": lambda candidate, ctx: candidate.finish_reason,
}
"""What a metric can ask for by the name of a keyword-only parameter."""


class FunctionMetric(FunctionComponent[P, R_co]):
    """A pure metric made of `function(parsed, case, ctx)`, or of its first two or one arguments.

    What else it wants to see of an answer, it asks for by keyword-only parameters: see `metric`.
    """

    metric_family = "pure"
    _decorator = "metric"
    _arguments = ("parsed", "case", "ctx")
    _named = _FACTS

    def __init__(
        self,
        function: Callable[P, R_co],
        component_id: str | None,
        version: str,
        score_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(function, component_id, version)
        if score_range is not None:  # what is not stated is no part of the metric's fingerprint
            self._score_range = score_range
        named = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        self._asked = tuple(p.name for p in named if p.name in _FACTS)
        self.reads_candidates: bool = bool(self._asked)

    @property
    def score_range(self) -> tuple[float, float] | None:
        """Its lowest and highest score: as stated; 0 and 1 of a function that is annotated to return a bool."""
        returns = inspect.signature(self.function).return_annotation
        return getattr(self, "_score_range", (0.0, 1.0) if returns in (bool, "bool") else None)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Return a score; a number or a bool becomes its value."""
        facts = self._facts(parsed, ctx) if self._asked else {}
        value = cast(Callable[..., Any], self.function)(*(parsed, case, ctx)[: self._takes], **facts)
        if isinstance(value, bool | int | float):
            return Score(metric_id=self.component_id, value=float(value))
        if not isinstance(value, Score | ScoreError) and callable(getattr(value, "item", None)):
            return Score(metric_id=self.component_id, value=float(value.item()))  # a number of numpy's, or of its like
        return cast(Score, value)

    def _facts(self, parsed: ParsedOutput, ctx: ScoreContext) -> dict[str, Any]:
        candidate = ctx.candidate or GenerationResult(candidate_id="answer", final_output=parsed.value)
        return {name: _FACTS[name](candidate, ctx) for name in self._asked}


@overload
def generator(function: Callable[P, R_co], /) -> FunctionGenerator[P, R_co]: ...
@overload
def generator(
    *, component_id: str | None = None, version: str = ""
) -> Callable[[Callable[P, R_co]], FunctionGenerator[P, R_co]]: ...
def generator(function: Any = None, /, *, component_id: str | None = None, version: str = "") -> Any:
    """Make a generator of a function, sync or async.

    Args:
        function: takes a case, and the context if it wants it; returns a `GenerationResult` or its final output.
        component_id: the component's name; by default the function's.
        version: stated beside the name, for people.

    Raises:
        SpecError: the function has no name, and no `component_id` is given.

    >>> @generator
    ... def shout(case: Case) -> str:
    ...     return str(case.input).upper()
    >>> shout.component_id, shout(Case(case_id="1", input="hi"))
    ('shout', 'HI')
    """

    return _made(_generator, function, component_id, version)


@overload
def parser(function: Callable[P, R_co], /) -> FunctionParser[P, R_co]: ...
@overload
def parser(
    *, component_id: str | None = None, version: str = ""
) -> Callable[[Callable[P, R_co]], FunctionParser[P, R_co]]: ...
def parser(function: Any = None, /, *, component_id: str | None = None, version: str = "") -> Any:
    """Make a parser of a function.

    Args:
        function: takes a reduced candidate, and the context if it wants it; returns a `ParsedOutput` or its value.
        component_id: the component's name; by default the function's.
        version: stated beside the name, for people.

    Raises:
        SpecError: the function has no name, and no `component_id` is given.

    >>> @parser
    ... def last_word(candidate: ReducedCandidate) -> str | None:
    ...     return next(reversed(str(candidate.final_output).split()), None)
    >>> last_word(ReducedCandidate(candidate_id="1", final_output="It is Paris"))
    'Paris'
    """
    return _made(FunctionParser, function, component_id, version)


@overload
def reducer(function: Callable[P, R_co], /) -> FunctionReducer[P, R_co]: ...
@overload
def reducer(
    *, component_id: str | None = None, version: str = ""
) -> Callable[[Callable[P, R_co]], FunctionReducer[P, R_co]]: ...
def reducer(function: Any = None, /, *, component_id: str | None = None, version: str = "") -> Any:
    """Make a reducer of a function, sync or async.

    Args:
        function: takes candidates, and the context if it wants it; returns one of them, a final output, or a
            `ReducedCandidate`.
        component_id: the component's name; by default the function's.
        version: stated beside the name, for people.

    Raises:
        SpecError: the function has no name, and no `component_id` is given.

    >>> @reducer
    ... def shortest(candidates: Sequence[GenerationResult]) -> GenerationResult:
    ...     return min(candidates, key=lambda candidate: len(str(candidate.final_output)))
    >>> shortest.component_id
    'shortest'
    """
    return _made(FunctionReducer, function, component_id, version)


@overload
def metric(function: Callable[P, R_co], /) -> FunctionMetric[P, R_co]: ...
@overload
def metric(
    *, component_id: str | None = None, version: str = "", score_range: tuple[float, float] | None = None
) -> Callable[[Callable[P, R_co]], FunctionMetric[P, R_co]]: ...
def metric(
    function: Any = None,
    /,
    *,
    component_id: str | None = None,
    version: str = "",
    score_range: tuple[float, float] | None = None,
) -> Any:
    """Make a pure metric of a function.

    Args:
        function: takes the parsed output, the case and the context, or the first of them; returns a number, a bool, a
            `Score` or a `ScoreError`. By keyword-only parameters of these names it sees more of an answer: `answer`
            (the raw final output), `trace` (an agent's steps, or `None`), `usage` (token counts, or `None`),
            `latency_ms` (milliseconds, or `None`), `finish_reason` (`stop`, `length`, ..., or `None`), and `candidates`
            (those that the answer was made of: all of the case's, or itself alone where each is an answer).
        component_id: the component's name; by default the function's.
        version: stated beside the name, for people.
        score_range: the lowest and the highest score, higher being better. The lowest is what an answer scores that
            could not be parsed; without a range its score is missing. A function that is annotated to return a bool
            states 0 and 1.

    Raises:
        SpecError: the function has no name, and no `component_id` is given; or it asks for something else.

    >>> @metric
    ... def short(parsed: ParsedOutput) -> bool:
    ...     return len(str(parsed.value)) < 10
    >>> short(ParsedOutput(value="yes"))
    True
    >>> @metric
    ... def quick(parsed: ParsedOutput, *, latency_ms: float | None) -> bool:
    ...     return latency_ms is not None and latency_ms < 2_000
    >>> quick.reads_candidates
    True
    """
    kind = functools.partial(FunctionMetric, score_range=score_range)
    return _made(kind, function, component_id, version)


def _generator(function: Callable[..., Any], component_id: str | None, version: str) -> Any:
    kind = AsyncFunctionGenerator if inspect.iscoroutinefunction(function) else FunctionGenerator
    return kind(function, component_id, version)


def _made(kind: Callable[..., Any], function: Any, component_id: str | None, version: str) -> Any:
    """Return the component, or without a function yet the decorator that makes it."""
    make = functools.partial(kind, component_id=component_id, version=version)
    return make if function is None else make(function)
