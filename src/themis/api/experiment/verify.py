"""Verify: whether a stored run's numbers follow from what it recorded, and what of it could not be checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import attrs
from returns.result import Result

from themis._stages import UntilStage
from themis.api.arguments import checked
from themis.api.components import resolve_component
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.effects.calls import CallRuntime
from themis.effects.driver import Caller
from themis.effects.host import run_anywhere
from themis.effects.reading import stored_cases
from themis.effects.sources.source_code import source_of
from themis.pure.abilities import PLACES, Components
from themis.pure.chain import broken_links, read_event
from themis.pure.errors import SpecError, ThemisError, UnknownComponentError
from themis.pure.events import CaseRunEvent, RunEvent
from themis.pure.fingerprints import component_ref
from themis.pure.pipeline.effects import Answer, Ask, Effect
from themis.pure.pipeline.recorded import MissingError, missing
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.pipeline.verification import (
    Difference,
    Verification,
    altered_cases,
    altered_identity,
    altered_labels,
    case_checks,
    compared,
    misplaced,
    misplaced_stop,
    run_checks,
)
from themis.pure.plan import CaseItem, RunPlan, make_plan
from themis.pure.protocols import RunStore
from themis.pure.records.failure import StepFailure
from themis.pure.records.snapshot import ComponentRef, RunSnapshot
from themis.pure.records.stored import StoredEvent

if TYPE_CHECKING:
    from themis.api.experiment.experiment import Experiment


@checked
def verify(
    store: RunStore | Storage, run_id: str, *, experiment: Experiment | None = None, most: int = 10
) -> Verification:
    """Check that a stored run's numbers follow from its recorded outputs, and that nothing it rests on was altered.

    The cases are held against the fingerprint in the run's identity, the header against the hash that the run began
    with, the number of events against what its end recorded; the hash chain is walked; and every outcome after
    generation is made again from what is stored, judging and code execution from their recorded answers. No model is
    called, nothing is run in a sandbox, and nothing is written.

    Args:
        store: where the run is.
        run_id: the run.
        experiment: where its components come from; without it, builtins and importable ones are found by name.
        most: how many differing records to report at most.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    store = at_hand(store)
    snapshot = store.load_snapshot(run_id)
    if experiment is not None and not hasattr(experiment, "components"):
        raise SpecError(f"verify: experiment is a {type(experiment).__name__}; allowed: an Experiment")
    components, notes = components_at_hand(snapshot, experiment.components() if experiment is not None else None)
    walked = _Verifying(store, snapshot, planned_run(snapshot, components), most, notes=notes)
    run_anywhere(walked.walk)
    return Verification(
        run_id=snapshot.run_id,
        cases=walked.cases,
        recomputed=dict(walked.recomputed),
        broken_links=walked.broken,
        altered=walked.altered,
        differences=walked.differences,
        not_verified=walked.notes,
    )


class _Awaiting(Caller):
    """Drives programs whose components may have to be awaited; anything else they ask for is missing."""

    def __init__(self) -> None:
        super().__init__(CallRuntime())

    async def _perform(self, effect: Effect) -> Any:
        raise missing(effect)

    async def _call(self, ask: Ask) -> Result[Answer, StepFailure]:
        raise missing(ask)


@attrs.define
class _Verifying:
    store: RunStore
    snapshot: RunSnapshot
    run: Run
    most: int
    notes: list[str]
    broken: list[str] = attrs.field(factory=list)
    altered: list[str] = attrs.field(factory=list)
    differences: list[Difference] = attrs.field(factory=list)
    recomputed: Counter[str] = attrs.field(factory=Counter)
    cases: int = 0
    seen: int = 0
    places: dict[int, int] = attrs.field(factory=dict)
    through: RunPlan | None = None
    last: RunEvent | None = None

    async def walk(self) -> None:
        """Look at everything; what can't be read ends the walk, and is named."""
        try:
            self.altered += altered_identity(self.snapshot)
            self.altered += altered_cases(self.snapshot)
            self.broken += broken_links(self._counted(), self.store.head(self.snapshot.run_id))
            self._of_the_run()
            driver = _Awaiting()
            view = RunView(snapshot=self.snapshot, store=self.store)
            if view.stop is not None and self.last is not None:
                self.altered += filter(None, [misplaced_stop(self.last, view.stop.cases)])
            for item, stored in stored_cases(self.store, self.snapshot):
                # What was not planned need not be there; where it is, it follows from what it rests on all the same.
                planned = view.is_planned(item.case_no)
                self.cases += planned or bool(stored)
                await self._case(driver, item, stored, self.through if planned else None)
            count = self.store.head(self.snapshot.run_id).count
            if self.seen != count:
                self.altered.append(
                    f"events: the run has {count}, and {self.seen} of them are of it or of one of its cases"
                )
        except ThemisError as error:
            self.broken.append(str(error))

    def _counted(self) -> Iterator[StoredEvent]:
        """Yield all events, and note of those of the whole run how many there are with each."""
        for count, stored in enumerate(self.store.events(self.snapshot.run_id), 1):
            if stored.case_no is None:
                self.places[stored.sequence] = count
            yield stored

    def _read(self, stored: StoredEvent) -> RunEvent:
        return read_event(stored, self.store.blob)

    def _of_the_run(self) -> None:
        run_id = self.snapshot.run_id
        stored = self.store.run_events(run_id)
        self.seen += len(stored)
        events = [(self.places.get(one.sequence, one.sequence), self._read(one)) for one in stored]
        checks = run_checks(self.snapshot, events, self.store.head(run_id).count)
        self.altered += checks.altered
        self.notes += checks.not_verified
        self.last = events[-1][1] if events else None
        if checks.through is not None:
            self.through = make_plan(self.snapshot, cast(UntilStage, checks.through))

    async def _case(
        self, driver: _Awaiting, item: CaseItem, stored: Sequence[StoredEvent], through: RunPlan | None
    ) -> None:
        self.seen += len(stored)
        events = [self._read(one) for one in stored]
        places: list[str] = []
        for one, event in zip(stored, events, strict=True):
            if isinstance(event, CaseRunEvent):
                places += misplaced(item, self.snapshot.run_id, one, event)
            else:
                places.append(f"event {one.sequence} ({one.event_type}): it is stored under case {item.case_key}")
        self.altered += places
        if places:
            return  # what follows from events of another case is of no use
        self.altered += altered_labels(self.run.plan, item, events)
        for check in case_checks(self.run, item, events, through):
            stage = check.step.stage
            if check.program is None:
                self._differs(check.unfounded(item.case_key))
                continue
            try:
                again = await driver.drive(check.program)
            except MissingError as error:
                self._note(f"case {item.case_key}, {stage}: {error} is not recorded")
                continue
            except Exception as error:  # components' errors are outcomes: this is a record that no program can work on
                self._differs(check.unfounded(item.case_key, f"its record is {type(error).__name__}: {error}"))
                continue
            if stage != "generate":
                self.recomputed[stage] += 1
            found = compared(check, item.case_key, again)
            if isinstance(found, str):
                self._note(found)
            elif found is not None:
                self._differs(found)

    def _differs(self, difference: Difference) -> None:
        if len(self.differences) < self.most:
            self.differences.append(difference)

    def _note(self, text: str) -> None:
        if len(self.notes) < 100:
            self.notes.append(text)


@attrs.frozen
class _RecordedJudge:
    """Stands for a judge, whose answers are recorded; it is never called."""

    component_id: str

    def judge(self) -> None:
        raise AssertionError("a recorded judge was called")


def components_at_hand(
    snapshot: RunSnapshot, given: Components | None, *, importing: bool = True
) -> tuple[Components, list[str]]:
    """Return the run's components as far as they are at hand, unchanged; say which are not.

    Args:
        snapshot: the run's.
        given: where they are looked for first.
        importing: whether a name may be one to import, which runs its module's code.
    """
    notes: list[str] = []
    by_id = {able.component_id: able.component for able in given} if given is not None else {}

    def find(place: str, ref: ComponentRef | None) -> Any:
        if ref is None:
            return None
        if place == "judge_models":
            return _RecordedJudge(ref.component_id)
        component = by_id.get(ref.component_id)
        try:
            if component is None and place != "generator" and (importing or ref.component_id.startswith("builtin/")):
                component = resolve_component(ref.component_id)
            current = component_ref(component, source_of, snapshot.identity_algorithm) if component else None
        except ThemisError as error:
            why = "nothing of this name" if isinstance(error, UnknownComponentError) else str(error)
            notes.append(f"{ref.component_id}: not at hand ({why}); pass the experiment (--config) to verify it too")
            return None
        if current is not None and current.fingerprint == ref.fingerprint:
            return component
        if place != "generator":  # its answers are recorded; only the seeds that it was given rest on it
            notes.append(f"{ref.component_id}: its code or configuration is not the one that the run used")
        return None

    placed: dict[str, Any] = {}
    for place in PLACES:
        refs = getattr(snapshot.component_refs, place)
        several = isinstance(refs, tuple)
        placed[place] = [one for ref in refs if (one := find(place, ref))] if several else find(place, refs)
    return Components.of(**placed), notes
