"""The driver: performs what programs ask for, and decides nothing.

One loop, one branch for each kind of effect. A program's own code runs between two effects without a pause, so a stage
that needs no one costs no task, no thread and no trip through the scheduler.

Cancellation is raised where the driver waits, in `drive`, and never inside a program: the program is dropped as it
stands. Nothing is lost by that. What it made was handed to the journal by its `Keep`, which does not wait, before
anything that waits after it, a `Tell` for one; and an answer that is on its way has not been made yet. What goes wrong
in a component is answered as a value; all that leaves `drive` as an exception ends the run.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, TypeVar

import attrs
import trio
from returns.result import Failure, Result, Success

from themis.effects.calls import CallRuntime
from themis.effects.failures import AWAITED
from themis.effects.gathering import Gatherer
from themis.effects.hooks import Hooks
from themis.effects.journal import Journal
from themis.effects.options import NotStoredError, Progress
from themis.effects.reading import all_recalled, recalled
from themis.effects.sandboxes import Sandbox, open_sandbox
from themis.pure.abilities import CallerAbilities, Method
from themis.pure.calls import CallFailed
from themis.pure.errors import WorkflowBuildError, said
from themis.pure.events import CaseRunEvent
from themis.pure.pipeline.effects import (
    PAID,
    Answer,
    Ask,
    Effect,
    Execute,
    Keep,
    Program,
    Recall,
    Recalled,
    Tell,
    Together,
    Within,
)
from themis.pure.pipeline.failures import failure_of
from themis.pure.pipeline.judge import ask_judge, judged, plan_calls
from themis.pure.protocols import EvaluationWorkflow, RunStore
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.failure import StepFailure
from themis.pure.records.judging import EvaluationExecution, Subject
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.usage import total_tokens

T = TypeVar("T")

_LOOKUPS: Final = 1_000
"""The most cache keys that a store on a server is asked for at once."""


@attrs.define(eq=False)
class Caller:
    """Drives programs that ask components, and ask for nothing else.

    Args:
        calls: limits, retries and timeouts of what is paid for.
        side_by_side: how many programs of one `Together` go on at once.
    """

    _calls: CallRuntime
    _side_by_side: int = 1_000
    _gatherers: dict[Method, Gatherer] = attrs.field(factory=dict, init=False)

    async def drive(self, program: Program[T]) -> T:
        """Drive a program to its end and return what it returns."""
        send, keep = program.send, self._keep
        answer: Any = None
        while True:
            try:
                effect = send(answer)
            except StopIteration as done:
                value: T = done.value
                return value
            # The commonest effects first: these lines run for every event of every case.
            if type(effect) is Keep:
                answer = keep(effect)
            elif type(effect) is Ask:
                answer = await (self._call(effect) if effect.stage in PAID else self._compute(effect))
            else:
                answer = await self._perform(effect)

    def _keep(self, effect: Keep) -> None:
        raise AssertionError("there is no journal here")

    async def _perform(self, effect: Effect) -> Any:
        assert isinstance(effect, Together)
        return await self._together(effect.programs)

    async def _compute(self, ask: Ask) -> Result[Answer, StepFailure]:
        """Call a component that costs nothing."""
        try:
            value = ask.method(*ask.args, **ask.keywords)
            return Success(Answer(await value if inspect.isawaitable(value) else value))
        except AWAITED as error:
            return Failure(failure_of(ask.of.component_id, error))

    async def _call(self, ask: Ask) -> Result[Answer, StepFailure]:
        """Call a model. What it raises comes as `CallFailed`; anything else is a fault of ours, and ends the run."""
        caller, calls = ask.caller, self._calls
        # Rendered and counted only where a limit is on tokens.
        estimate = caller.estimate if calls.reserves and ask.request is not None else None
        try:
            outcome = await calls.call(
                self._awaitable(ask),
                stage=ask.stage,
                provider_key=caller.provider_key,
                model=caller.component_id,
                estimate=estimate(ask.request) if estimate is not None else None,
            )
        except CallFailed as error:
            if error.fatal:  # the wrong key, the budget: this ends the run
                raise
            return Failure(failure_of(caller.component_id, error))
        history = outcome.retry_history
        return Success(Answer(outcome.value, tuple([entry.to_dict() for entry in history]) if history else ()))

    def _awaitable(self, ask: Ask) -> Callable[[], Awaitable[Any]]:
        """Return how a model's method is called: with others at once, as the coroutine that it is, or in a thread."""
        if ask.many is not None:
            if ask.many not in self._gatherers:
                self._gatherers[ask.many] = Gatherer(ask.many, ask.caller.batch_size)
            return functools.partial(self._gatherers[ask.many].ask, ask.args)
        method = functools.partial(ask.method, *ask.args, **ask.keywords)
        is_async = ask.caller.is_async if ask.method is ask.caller.call else inspect.iscoroutinefunction(ask.method)
        return method if is_async else functools.partial(_in_thread, method)

    async def _together(self, programs: Sequence[Program[Any]]) -> tuple[Any, ...]:
        if len(programs) == 1:
            return (await self.drive(programs[0]),)
        results: dict[int, Any] = {}
        numbered = iter(enumerate(programs))

        async def worker() -> None:
            for number, program in numbered:
                results[number] = await self.drive(program)

        async with trio.open_nursery() as nursery:
            for _ in range(min(len(programs), self._side_by_side)):
                nursery.start_soon(worker)
        return tuple(results[number] for number in range(len(programs)))


async def _in_thread(method: Callable[[], Any]) -> Any:
    value = await trio.to_thread.run_sync(_told, method, abandon_on_cancel=True)
    return await value if inspect.isawaitable(value) else value


def _told(method: Callable[[], Any]) -> Any:
    """Call a method; what it raises that nothing here could handle is told by an exception that it can."""
    try:
        return method()
    except (KeyboardInterrupt, trio.Cancelled):
        raise
    except BaseException as error:
        if isinstance(error, AWAITED) and _can_be_read(error):
            raise
        name, text = type(error).__name__, said(error)
    raise RuntimeError(f"{name}: {text}")


def _can_be_read(error: BaseException) -> bool:
    """Tell whether an exception answers what everything that handles exceptions asks it."""
    try:
        return all(isinstance(getattr(error, name), object) for name in ("__traceback__", "__cause__", "__context__"))
    except Exception:
        return False


class SandboxTurns:
    """Opens the sandbox when the first program is to be run, and runs as many at once as there are cores."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self._sandbox = sandbox
        self._turns: Final = trio.Semaphore(max(1, os.cpu_count() or 1))

    async def run(self, request: SandboxRequest) -> SandboxResult:
        async with self._turns:
            if self._sandbox is None:
                self._sandbox = open_sandbox()
            return await self._sandbox.run(request)


@attrs.define(eq=False, kw_only=True)
class Driver(Caller):
    """Drives the programs of a run.

    Args:
        calls, side_by_side: as for a `Caller`.
        store: where earlier results are.
        journal: where new ones go.
        hooks: tells subscribers.
        progress: its tokens are counted up with each answer.
        offline: what must not be asked of anyone: `generate`, `judge`.
        sandboxes: runs programs; other runs may have it too.

    Raises:
        NotStoredError: an offline run needs an answer that is not stored.
    """

    _store: RunStore
    _journal: Journal
    _hooks: Hooks
    _progress: Progress
    _offline: Collection[str]
    _sandboxes: SandboxTurns = attrs.field(factory=SandboxTurns)
    _lookups: Gatherer | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lookups = self._lookups_of_store()

    def _keep(self, effect: Keep) -> None:
        self._journal.append(effect.case_no, effect.event, effect.cache_key)

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Recall():
                return await self._recall(effect.key)
            case Tell():
                return await self._hooks.call(effect.hook, *effect.args)
            case Execute():
                return await self._sandboxes.run(effect.request)
            case Together():
                return await self._together(effect.programs)
            case Within():
                return await self._within(effect)
            case Keep() | Ask():
                raise AssertionError("the loop does these")

    async def _recall(self, key: str) -> Recalled | None:
        if self._lookups is None:
            return recalled(self._store, key)
        found: Recalled | None = await self._lookups.ask((key,))
        return found

    def _lookups_of_store(self) -> Gatherer | None:
        """Return what looks up for many cases at once, where a question to the store is a trip to a server."""
        if not getattr(self._store, "is_remote", False):
            return None

        def look_up(asked: Sequence[tuple[str]]) -> Sequence[Recalled | None]:
            return all_recalled(self._store, [key for (key,) in asked])

        return Gatherer(look_up, _LOOKUPS, linger_s=0)

    async def _call(self, ask: Ask) -> Result[Answer, StepFailure]:
        if ask.stage in self._offline:
            raise NotStoredError(_not_stored(ask))
        if ask.stage == "judge":
            return await self._judged(ask)
        answer = await super()._call(ask)
        if ask.stage == "generate" and isinstance(answer, Success):
            usage = getattr(answer.unwrap().value, "token_usage", None)
            if usage:
                self._progress.tokens += total_tokens(usage)
        return answer

    async def _judged(self, ask: Ask) -> Result[Answer, StepFailure]:
        """Call a judge, in a span of its own: a metric's step may ask several, several times."""
        span, status = self._hooks.start_span("judge_call", ask.caller.asked), "error"
        try:
            answer = await super()._call(ask)
            status = "ok" if isinstance(answer, Success) else "error"
        finally:
            self._hooks.end_span(span, status)
        return answer

    async def _within(self, effect: Within) -> CaseRunEvent:
        span, status = self._hooks.start_span(effect.span, effect.attributes), "error"
        try:
            event = await self.drive(effect.program)
            self._hooks.describe_span(span, event)
            status = "error" if event.event_type.endswith("_failed") else "ok"
        finally:
            self._hooks.end_span(span, status)
        return event


def _not_stored(ask: Ask) -> str:
    where = getattr(ask.args[-1], "case_key", None)
    case = f"case {where}: " if where else ""
    return f"{case}{ask.what} is not stored, and a replay makes no model calls; run the experiment first"


class DefaultWorkflowRunner:
    """The shipped `WorkflowRunner`: asks all judges of a workflow at once, within the run's limits.

    Args:
        judge_models: the judges that calls can name.
        calls: limits, retries and timeouts; by default there are none.
    """

    def __init__(self, judge_models: Sequence[Any], calls: CallRuntime | None = None) -> None:
        self._judges = {judge.component_id: CallerAbilities.of(judge, "judge") for judge in judge_models}
        self._caller = Caller(calls or CallRuntime())

    async def run_evaluation(
        self, workflow: EvaluationWorkflow, subject: Subject, metric_id: str, ctx: EvalScoreContext
    ) -> EvaluationExecution:
        """Make a workflow's calls and return everything that happened.

        Raises:
            WorkflowBuildError: the workflow could not plan its calls.
        """
        planned = plan_calls(metric_id, workflow, subject, ctx)
        if not isinstance(planned, Success):
            raise WorkflowBuildError(f"{metric_id}: {planned.failure().error_message}")
        answer: Callable[..., Any] = functools.partial(ask_judge, self._judges)
        return await self._caller.drive(judged(metric_id, planned.unwrap(), ctx, answer))
