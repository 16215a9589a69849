"""How calling a component can end: a value, or a failure that says whose it is and why."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import attrs
from returns.result import Failure, Result, Success

from themis.pure.calls import CallFailed, FailureKind
from themis.pure.errors import said
from themis.pure.events import StepCompletedEvent, StepFailedEvent
from themis.pure.json import JSONValue
from themis.pure.pipeline.run import Run
from themis.pure.plan import CaseItem
from themis.pure.records.failure import StepFailure
from themis.pure.records.judging import WorkflowFailure
from themis.pure.security import redact
from themis.pure.state import step_key

T = TypeVar("T")

LONGEST_MESSAGE = 2000
"""Characters of an exception's message that are kept; a component may put a whole response into one."""


def attempt(component_id: str, call: Callable[..., T], *args: object) -> Result[T, StepFailure]:
    """Call a component; its exception becomes a failure and never leaves, unless it is a Ctrl-C.

    A library that calls `sys.exit`, or a task of the component's own that was cancelled, costs one case too.

    >>> attempt("mine", int, "x").failure().error_type
    'ValueError'
    """
    try:
        return Success(call(*args))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure(failure_of(component_id, error))


def failure_of(component_id: str, error: BaseException) -> StepFailure:
    """Describe an exception as data; of a failed call, what the component itself raised where that says more."""
    if isinstance(error, CallFailed):
        return _failed_call(component_id, error)
    message = said(error) or type(error).__name__
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]}... ({len(message)} characters)"
    return StepFailure(
        component_id=component_id,
        error_type=type(error).__name__,
        error_message=_unicode(redact(message)),
        traceback_digest=_traceback_digest(error),
    )


def _failed_call(component_id: str, error: CallFailed) -> StepFailure:
    raised = error.__cause__
    is_own = error.failure.kind is FailureKind.COMPONENT and raised is not None
    described = failure_of(component_id, raised) if is_own and raised is not None else None
    return StepFailure(
        component_id=component_id,
        error_type=described.error_type if described else error.failure.kind.value,
        error_message=described.error_message if described else _unicode(redact(str(error)[:LONGEST_MESSAGE])),
        traceback_digest=described.traceback_digest if described else "",
        retryable=error.diagnosis.retryable,
        retry_history=tuple(entry.to_dict() for entry in error.retry_history),
    )


def _unicode(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _traceback_digest(error: BaseException) -> str:
    try:
        names = [frame.f_code.co_qualname for frame, _ in traceback.walk_tb(error.__traceback__)]
    except Exception:  # of a class that answers no questions
        return ""
    return hashlib.sha256("\n".join([type(error).__name__, *names]).encode()).hexdigest()


def checked(component_id: str, value: object, kind: type[T], method: str) -> Result[T, StepFailure]:
    """Check that a component returned a `kind`."""
    return Success(value) if isinstance(value, kind) else Failure(wrong_type(component_id, value, kind, method))


def wrong_type(component_id: str, value: object, kind: type, method: str) -> StepFailure:
    return StepFailure(
        component_id=component_id,
        error_type="TypeError",
        error_message=f"{component_id}.{method}() returned {type(value).__name__}, and {kind.__name__} is needed",
    )


def case_fields(run: Run, item: CaseItem) -> dict[str, Any]:
    """Return the fields that all events of a case share."""
    return {
        "run_id": run.plan.run_id,
        "occurred_at": run.clock(),
        "case_id": item.case.case_id,
        "dataset_id": item.dataset_id,
        "case_key": item.case_key,
    }


def failed_fields(run: Run, item: CaseItem, failure: StepFailure) -> dict[str, Any]:
    return {**case_fields(run, item), **{name: getattr(failure, name) for name in _FAILURE}}


_FAILURE: Final = tuple(field.name for field in attrs.fields(StepFailure))


@attrs.frozen
class WorkflowStep:
    """One call or one sandbox run of a workflow on a case; `candidate_id` is that of its context."""

    workflow_id: str
    step_id: str
    step_type: str
    candidate_id: str | None = None

    @property
    def key(self) -> str:
        return step_key(self.workflow_id, self.step_id, self.candidate_id)


def step_event(
    run: Run,
    item: CaseItem,
    step: WorkflowStep,
    output: Mapping[str, JSONValue],
    source_run_id: str | None = None,
) -> StepCompletedEvent:
    """Record one answered call or one sandbox run, so that it is never made twice."""
    return StepCompletedEvent(
        **case_fields(run, item),
        **attrs.asdict(step),
        output=output,
        cache_hit=source_run_id is not None,
        source_run_id=source_run_id,
    )


def failed_step_event(run: Run, item: CaseItem, step: WorkflowStep, failure: WorkflowFailure) -> StepFailedEvent:
    """Record a call that failed for good in this attempt; the next one tries it again."""
    return StepFailedEvent(
        **case_fields(run, item),
        **attrs.asdict(step),
        error_message=failure.error_message,
        retry_history=failure.retry_history,
    )
