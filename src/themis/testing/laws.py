"""Properties of components, to be asserted in one line: `assert_metric_laws(my_metric)`.

Each assertion draws inputs with hypothesis, tries the component on them, and raises `BrokenLawError` with the
smallest input that shows a breach. Nothing is random from run to run unless a `seed` is given. No test framework is
needed; hypothesis comes with the extra `testing`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from themis.pure.calls import CallFailed
from themis.pure.errors import CallError, DataError, MissingExtraError, SpecError, listed, pip_install
from themis.pure.json import canonical_bytes
from themis.pure.protocols import CandidateReducer, Generator, Parser, PureMetric
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.scoring import Score, ScoreError
from themis.testing.lawbook import (
    BrokenLawError,
    Check,
    Input,
    Trial,
    hold_size,
    hold_to_laws,
    hold_variants,
    large_texts,
    parse_input,
    score_input,
    shown,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from themis.pure.json import JSONValue

    Answers: TypeAlias = SearchStrategy[ParsedOutput] | SearchStrategy[JSONValue] | SearchStrategy[str]
    Candidates: TypeAlias = SearchStrategy[Sequence[GenerationResult]]
    Property: TypeAlias = Callable[[list[Input]], None]


def assert_metric_laws(
    metric: PureMetric,
    *,
    cases: SearchStrategy[Case] | None = None,
    outputs: Answers | None = None,
    value_range: tuple[float, float] | None = None,
    unordered_references: bool = False,
    variants: Sequence[PureMetric] = (),
    examples: int = 200,
    seed: int | None = None,
) -> None:
    """Assert what every pure metric must keep.

    It scores any usable JSON, with any reference or none, without an exception; its values are finite and in the
    stated range; it changes none of its inputs; the same answer gets the same score, no matter what
    was scored before or in which order an object has its keys; what it returns survives JSON; its fingerprint stays; an
    answer of a megabyte takes less than two seconds of the processor.

    Args:
        metric: the metric, or a function that `@metric` decorates.
        cases: the cases to draw; by default any, with references of every kind, often near to the answer.
        outputs: the parsed outputs to draw, or their values alone; by default any that a run would score.
        value_range: the least and the greatest value, both included; by default the metric's own `value_range`
            attribute, if it has one.
        unordered_references: the metric claims that the order of a list of references doesn't change the value.
        variants: the metric in other configurations; where one scores otherwise, its fingerprint must differ.
        examples: how many inputs to draw.
        seed: draws other inputs.

    Raises:
        BrokenLawError: a law is broken; the message names it, the input, what was returned and what to do.
        SpecError: it is no pure metric, or it lacks something that it needs.
        MissingExtraError: hypothesis is not installed.

    >>> from themis import metric
    >>> @metric
    ... def brief(parsed: ParsedOutput) -> bool:
    ...     return len(str(parsed.value)) < 10
    >>> assert_metric_laws(brief, value_range=(0, 1))
    """
    stated = value_range if value_range is not None else getattr(metric, "value_range", None)
    trial = Trial(PureMetric.score, (Score, ScoreError), settle=_unwrapped, checks=_range_check(stated))
    order = _hold_order_of_references if unordered_references else None
    _assert_laws(
        trial, metric, "a pure metric", lambda draw: draw.scored(cases, outputs), variants, examples, seed, order
    )
    if cases is None and outputs is None:  # else these are all that it is made for
        case = Case(case_id="1", input="1", expected_output="1")
        hold_size(
            trial, metric, [_large(text, score_input(ParsedOutput(value=text), case)) for text in large_texts(seed)]
        )


def assert_parser_laws(
    parser: Parser,
    *,
    outputs: SearchStrategy[Any] | None = None,
    variants: Sequence[Parser] = (),
    examples: int = 200,
    seed: int | None = None,
) -> None:
    """Assert what every parser must keep.

    It reads any JSON without an exception (what it finds nothing in gets `ParsedOutput(value=None)`), returns the
    same for the same answer, changes nothing, survives JSON, and keeps its fingerprint. No text of a megabyte takes
    more than two seconds of the processor.

    Args:
        parser: the parser, or a function that `@parser` decorates.
        outputs: the answers to draw, or reduced candidates with them; by default any.
        variants, examples, seed: as for `assert_metric_laws`.

    Raises:
        BrokenLawError, SpecError, MissingExtraError: as for `assert_metric_laws`.

    >>> from themis.pure.components.parsers import Text
    >>> assert_parser_laws(Text())
    """
    trial = Trial(Parser.parse, (ParsedOutput,))
    _assert_laws(trial, parser, "a parser", lambda draw: draw.parsed(outputs), variants, examples, seed)
    if outputs is None:
        hold_size(trial, parser, [_large(text, parse_input(_candidate(text))) for text in large_texts(seed)])


def _candidate(text: str) -> ReducedCandidate:
    return ReducedCandidate(candidate_id="1-0", source_candidate_ids=["1-0"], final_output=text)


def _large(text: str, given: Input) -> Input:
    return attrs.evolve(given, example=(f"answer: {text[:8]!r} over and over, {len(text):,} characters",))


def assert_reducer_laws(
    reducer: CandidateReducer,
    *,
    candidates: Candidates | None = None,
    unordered: bool = False,
    variants: Sequence[CandidateReducer] = (),
    examples: int = 200,
    seed: int | None = None,
) -> None:
    """Assert what every reducer must keep.

    It reduces any candidates (one or more, with any JSON) to one, or refuses them with a `DataError` because none is
    usable; it names only theirs as its sources, does the same for the same candidates, changes nothing, survives JSON,
    and keeps its fingerprint.

    Args:
        reducer: the reducer, sync or async, or a function that `@reducer` decorates.
        candidates: the sequences of candidates to draw; by default any, whose answers often agree.
        unordered: the reducer claims that the order of the candidates doesn't change the final output.
        variants, examples, seed: as for `assert_metric_laws`.

    Raises:
        BrokenLawError, SpecError, MissingExtraError: as for `assert_metric_laws`.

    >>> from themis.pure.components.basic import MajorityVote
    >>> assert_reducer_laws(MajorityVote())
    """
    trial = Trial(
        CandidateReducer.reduce, (ReducedCandidate,), settle=_awaited, checks=(_check_sources,), expected=(DataError,)
    )
    order = _hold_order_of_candidates if unordered else None
    _assert_laws(trial, reducer, "a reducer", lambda draw: draw.reduced(candidates), variants, examples, seed, order)


def assert_generator_contract(
    generator: Generator,
    *,
    cases: SearchStrategy[Case] | None = None,
    deterministic: bool = False,
    expected_errors: tuple[type[Exception], ...] = (),
    variants: Sequence[Generator] = (),
    examples: int = 50,
    seed: int | None = None,
) -> None:
    """Assert what a run relies on in a generator.

    It answers any case with a `GenerationResult` (a failed call is an answer too: a subclass of `CallError`),
    changes nothing, and returns what survives JSON; `request(case, ctx)`, where there is one, renders the same
    request each time; its fingerprint stays. Each example makes real calls: mind what they cost.

    Args:
        generator: the generator, sync or async, or a function that `@generator` decorates.
        cases: the cases to draw; by default any.
        deterministic: the generator claims that the same case and seed get the same answer.
        expected_errors: exceptions that it may raise besides failed calls.
        variants, examples, seed: as for `assert_metric_laws`.

    Raises:
        BrokenLawError, SpecError, MissingExtraError: as for `assert_metric_laws`.

    >>> from themis.pure.components.basic import DemoModel
    >>> assert_generator_contract(DemoModel(), deterministic=True)
    """
    trial = Trial(
        Generator.generate,
        (GenerationResult,),
        settle=_awaited,
        checks=(_check_request,),
        expected=(CallError, CallFailed, *expected_errors),
        deterministic=deterministic,
        compared=_without_times,
    )
    _assert_laws(trial, generator, "a generator", lambda draw: draw.generated(cases), variants, examples, seed)


# --- drawing ----------------------------------------------------------------------------------------------


def _assert_laws(
    trial: Trial,
    component: Any,
    kind: str,
    draw: Callable[[Any], SearchStrategy[Input]],
    variants: Sequence[Any],
    examples: int,
    seed: int | None,
    order: Callable[[Trial, Any, Input], None] | None = None,
) -> None:
    """Hold a component to the laws of its kind; `draw` takes the module of inputs, which needs hypothesis."""
    _need(component, trial.method, kind)
    from themis.testing import law_inputs

    def prove(inputs: list[Input]) -> None:
        hold_to_laws(trial, component, inputs)
        hold_variants(trial, component, variants, inputs[0])
        if order is not None:
            order(trial, component, inputs[0])

    _for_all(draw(law_inputs), prove, component, examples, seed)


def _for_all(strategy: SearchStrategy[Input], prove: Property, component: Any, examples: int, seed: int | None) -> None:
    """Prove a property for lists of inputs; raise the smallest breach alone, without hypothesis' report."""
    import hypothesis
    from hypothesis import strategies as st

    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=seed is None,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[phase for phase in hypothesis.Phase if phase.name not in ("explain", "reuse")],
        verbosity=hypothesis.Verbosity.quiet,
    )
    latest: list[Input] = []

    def remembering(inputs: list[Input]) -> None:
        nonlocal latest
        latest = inputs
        prove(inputs)

    drawn = hypothesis.given(inputs=st.lists(strategy, min_size=1, max_size=3))(remembering)
    if seed is not None:
        drawn = hypothesis.seed(seed)(drawn)
    try:
        settings(drawn)()
    except BrokenLawError as broken:
        raise BrokenLawError(broken.law, broken.component_id, broken.example, broken.found) from broken.__cause__
    except hypothesis.errors.Flaky:
        example = [line for given in latest for line in given.example]
        found = "it broke a law on this input, and did not when it was asked once more"
        raise BrokenLawError("determinism", component.component_id, example, found) from None


def _need(component: Any, method: str, kind: str) -> None:
    """Refuse what can't be tried: the wrong kind, a component that lacks something, no hypothesis."""
    name = getattr(component, "component_id", None)
    if not callable(getattr(component, method, None)) or not isinstance(name, str):
        raise SpecError(
            f"{component!r} is not {kind}: it needs component_id and {method}(); for a plain function, use "
            f"@themis.{kind.rpartition(' ')[2]}"
        )
    try:
        import hypothesis  # noqa: F401  # asked for before anything is tried
    except ImportError:
        raise MissingExtraError(f"the laws need hypothesis: {pip_install('testing')}") from None
    check = getattr(component, "check", None)
    if faults := list(check() or ()) if callable(check) else []:
        raise SpecError(listed(f"{name} can't be tried", faults))


# --- laws of one kind -------------------------------------------------------------------------------------


def _range_check(value_range: tuple[float, float] | None) -> tuple[Check, ...]:
    if value_range is None:
        return ()
    low, high = value_range
    if not low <= high:
        raise SpecError(f"value_range must be (least, greatest), found {value_range!r}")

    def check(component: Any, given: Input, answer: Any) -> None:
        if isinstance(answer, Score) and not low <= answer.value <= high:
            found = f"{shown(answer)}, and the range is {low:g} to {high:g}"
            raise BrokenLawError("range", component.component_id, given.example, found)

    return (check,)


def _hold_order_of_references(trial: Trial, metric: Any, given: Input) -> None:
    parsed, case, ctx = given.arguments
    if not isinstance(case.expected_output, Sequence) or isinstance(case.expected_output, str):
        return
    other = case.evolve(expected_output=list(reversed(case.expected_output)))
    turned = Input((parsed, other, ctx.evolve(case=other)), given.example)
    first, second = trial.call(metric, given), trial.call(metric, turned)
    if getattr(first, "value", None) != getattr(second, "value", None):
        found = f"{shown(first)}; with the references in reverse order, {shown(second)}"
        raise BrokenLawError("order independence", metric.component_id, given.example, found)


def _hold_order_of_candidates(trial: Trial, reducer: Any, given: Input) -> None:
    candidates, ctx = given.arguments
    other = tuple(reversed(candidates))
    turned = Input((other, ctx.evolve(candidate_ids=[each.candidate_id for each in other])), given.example)
    first, second = trial.call(reducer, given), trial.call(reducer, turned)
    if canonical_bytes(first.final_output) != canonical_bytes(second.final_output):
        found = f"{shown(first)}; with the candidates in reverse order, {shown(second)}"
        raise BrokenLawError("order independence", reducer.component_id, given.example, found)


def _check_sources(reducer: Any, given: Input, answer: Any) -> None:
    handed = {candidate.candidate_id for candidate in given.arguments[0]}
    if others := sorted(set(answer.source_candidate_ids) - handed):
        found = f"{shown(answer)} names {', '.join(map(repr, others))}"
        raise BrokenLawError("sources", reducer.component_id, given.example, found)


def _check_request(generator: Any, given: Input, answer: Any) -> None:
    render = getattr(generator, "request", None)
    if render is None:
        return
    first, second = canonical_bytes(render(*given.arguments)), canonical_bytes(render(*given.arguments))
    if first != second:
        found = f"request() returned {first.decode()[:300]}, then {second.decode()[:300]}"
        raise BrokenLawError("determinism", generator.component_id, given.example, found)


def _without_times(result: Any) -> bytes:
    """Return what of a generation must be the same again: not how long it took."""
    return canonical_bytes(result.evolve(latency_ms=None))


# --- what was returned ------------------------------------------------------------------------------------


def _unwrapped(component: Any, value: Any) -> Any:
    """Return the score or error inside a `Result`."""
    from returns.result import Result, Success

    if isinstance(value, Result):
        return value.unwrap() if isinstance(value, Success) else value.failure()
    return value


def _awaited(component: Any, value: Any) -> Any:
    """Await what an async component returned, within its session if it has one."""
    if not inspect.isawaitable(value):
        return value
    import trio

    async def main() -> Any:
        async with AsyncExitStack() as sessions:
            if hasattr(component, "session"):
                await sessions.enter_async_context(component.session())
            if hasattr(component, "aclose"):
                sessions.push_async_callback(component.aclose)
            return await value

    return trio.run(main)
