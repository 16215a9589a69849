"""Verify: whether a stored run's numbers follow from what it recorded, and what of it could not be checked."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import attrs
from returns.result import Result

from themis._stages import UntilStage
from themis.api.arguments import checked
from themis.api.components import resolve_component
from themis.api.experiment.many.manifest import manifest_of, text_of
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.effects.calls import CallRuntime
from themis.effects.driver import Caller
from themis.effects.host import run_anywhere
from themis.effects.jobs import JobError, in_order
from themis.effects.reading import stored_cases
from themis.effects.sources.source_code import source_of
from themis.effects.stores.base import EventStore
from themis.pure.abilities import PLACES, Abilities, Components
from themis.pure.chain import broken_links, read_event
from themis.pure.components.registry import make_builtin
from themis.pure.errors import SpecError, ThemisError, UnknownComponentError
from themis.pure.events import CaseRunEvent, RunEvent
from themis.pure.fingerprints import component_ref
from themis.pure.json import JSONValue, thaw
from themis.pure.pipeline.effects import Answer, Ask, Effect
from themis.pure.pipeline.recorded import MissingError, missing
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.pipeline.verification import (
    MOST_NOTES,
    Difference,
    Findings,
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
from themis.pure.plan import CaseItem, RunPlan, make_plan, total_cases
from themis.pure.protocols import ReadsParts, RunStore
from themis.pure.records.failure import StepFailure
from themis.pure.records.snapshot import ComponentRef, RunSnapshot
from themis.pure.records.stored import StoredEvent
from themis.pure.report.settings import described

if TYPE_CHECKING:
    from themis.api.experiment.experiment import Experiment


@checked
def verify(
    store: RunStore | Storage, run_id: str, *, experiment: Experiment | None = None, most: int = 10, jobs: int = 1
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
        jobs: how many worker processes of this machine share the cases, of a run in SQLite or PostgreSQL; with 1 it is
            this process. What is found is the same.

    Raises:
        RunNotFoundError: the store has no such run.
        SpecError: `jobs` is below 1, other processes can't open the store, or a component has no name to import it by.
        JobError: a worker process died, or can't import a component.
    """
    store = at_hand(store)
    if jobs < 1:
        raise SpecError(f"jobs: at least 1 expected, found {jobs}")
    snapshot = store.load_snapshot(run_id)
    if experiment is not None and not hasattr(experiment, "components"):
        raise SpecError(f"verify: experiment is a {type(experiment).__name__}; allowed: an Experiment")
    components, notes = components_at_hand(snapshot, experiment.components() if experiment is not None else None)
    setup = _setup(store, run_id, experiment, most) if jobs > 1 else None
    walked = _Verifying(store, snapshot, planned_run(snapshot, components), most, jobs, setup, notes=notes)
    run_anywhere(walked.walk)
    return Verification(
        run_id=snapshot.run_id,
        cases=walked.found.cases,
        recomputed=walked.found.recomputed,
        broken_links=walked.broken,
        altered=walked.altered,
        differences=walked.found.differences,
        not_verified=[*walked.notes, *walked.found.not_verified][:MOST_NOTES],
    )


class _Awaiting(Caller):
    """Drives programs whose components may have to be awaited; anything else they ask for is missing."""

    def __init__(self) -> None:
        super().__init__(CallRuntime())

    async def _perform(self, effect: Effect) -> Any:
        raise missing(effect)

    async def _call(self, ask: Ask) -> Result[Answer, StepFailure]:
        raise missing(ask)


WORKER: Final = "themis.api.experiment.verify_process"
_PART: Final = 1_000
"""So many cases a worker process is given at a time."""


def _setup(store: RunStore, run_id: str, experiment: Experiment | None, most: int) -> Any:
    """Return what a worker process is told: where the run is, and what its components are."""
    place = store.place if isinstance(store, EventStore) else None
    if place is None or not isinstance(store, ReadsParts):
        raise SpecError(
            f"jobs: worker processes can't open the store {store.location}; use one in SQLite or PostgreSQL, or 1"
        )
    manifest = text_of(manifest_of(experiment)) if experiment is not None else None
    return {"storage": place.to_dict(), "run_id": run_id, "manifest": manifest, "most": most}


@attrs.define
class _Verifying:
    store: RunStore
    snapshot: RunSnapshot
    run: Run
    most: int
    jobs: int
    setup: Any
    notes: list[str]
    broken: list[str] = attrs.field(factory=list)
    altered: list[str] = attrs.field(factory=list)
    found: Findings = attrs.field(factory=Findings)
    events: int = 0
    places: dict[int, int] = attrs.field(factory=dict)
    through: UntilStage | None = None
    last: RunEvent | None = None

    async def walk(self) -> None:
        """Look at everything; what can't be read ends the walk, and is named."""
        try:
            self.altered += altered_identity(self.snapshot)
            self.altered += altered_cases(self.snapshot)
            self.broken += broken_links(self._counted(), self.store.head(self.snapshot.run_id))
            self._of_the_run()
            view = RunView(snapshot=self.snapshot, store=self.store)
            if view.stop is not None and self.last is not None:
                self.altered += filter(None, [misplaced_stop(self.last, view.stop.cases)])
            if self.setup is None:
                cases = CaseVerifier(self.store, self.snapshot, self.run, self.through, self.most)
                self.found = await cases.verified(stored_cases(self.store, self.snapshot), view.is_planned)
            else:
                for more in in_order(WORKER, {**self.setup, "through": self.through}, self._parts(view), self.jobs):
                    self.found = self.found.and_then(Findings.from_dict(more), self.most)
            self.altered += self.found.altered
            if self.found.unreadable:
                self.broken.append(self.found.unreadable)
                return
            count, seen = self.store.head(self.snapshot.run_id).count, self.events + self.found.events
            if seen != count:
                self.altered.append(f"events: the run has {count}, and {seen} of them are of it or of one of its cases")
        except JobError:
            raise  # it says nothing of the run
        except ThemisError as error:
            self.broken.append(str(error))

    def _parts(self, view: RunView) -> Iterator[Any]:
        """Yield what worker processes are asked for: cases, and those of them that don't belong to the run."""
        cases = total_cases(self.snapshot)
        for first in range(0, cases, _PART):
            stop = min(first + _PART, cases)
            yield [first, stop, [number for number in range(first, stop) if not view.is_planned(number)]]

    def _counted(self) -> Iterator[StoredEvent]:
        """Yield all events, and note of those of the whole run how many there are with each."""
        for count, stored in enumerate(self.store.events(self.snapshot.run_id), 1):
            if stored.case_no is None:
                self.places[stored.sequence] = count
            yield stored

    def _of_the_run(self) -> None:
        run_id = self.snapshot.run_id
        stored = self.store.run_events(run_id)
        self.events = len(stored)
        events = [(self.places.get(one.sequence, one.sequence), read_event(one, self.store.blob)) for one in stored]
        checks = run_checks(self.snapshot, events, self.store.head(run_id).count)
        self.altered += checks.altered
        self.notes += checks.not_verified
        self.last = events[-1][1] if events else None
        self.through = cast("UntilStage | None", checks.through)


class CaseVerifier:
    """Looks at a run's cases one by one.

    Args:
        store: where the run is.
        snapshot: the run's.
        run: the run, with the components that are at hand.
        through: the stage that the run says it went through, if it does.
        most: how many differing records to report at most.
    """

    def __init__(self, store: RunStore, snapshot: RunSnapshot, run: Run, through: UntilStage | None, most: int) -> None:
        self._store, self._snapshot, self._run, self._most = store, snapshot, run, most
        self._through = make_plan(snapshot, through) if through is not None else None
        self._driver = _Awaiting()

    async def verified(
        self, cases: Iterable[tuple[CaseItem, Sequence[StoredEvent]]], is_planned: Callable[[int], bool]
    ) -> Findings:
        """Return what was found of cases; what can't be read ends the walk.

        Args:
            cases: with what is stored of them.
            is_planned: tells of a case's number whether the case belongs to the run.
        """
        seen = _Seen(self._most)
        try:
            for item, stored in cases:
                # What was not planned need not be there; where it is, it follows from what it rests on all the same.
                planned = is_planned(item.case_no)
                seen.cases += planned or bool(stored)
                seen.events += len(stored)
                await self._look_at(item, stored, self._through if planned else None, seen)
        except ThemisError as error:
            return seen.findings(str(error))
        return seen.findings()

    async def _look_at(
        self, item: CaseItem, stored: Sequence[StoredEvent], through: RunPlan | None, seen: _Seen
    ) -> None:
        events = [read_event(one, self._store.blob) for one in stored]
        places: list[str] = []
        for one, event in zip(stored, events, strict=True):
            if isinstance(event, CaseRunEvent):
                places += misplaced(item, self._snapshot.run_id, one, event)
            else:
                places.append(f"event {one.sequence} ({one.event_type}): it is stored under case {item.case_key}")
        seen.altered += places
        if places:
            return  # what follows from events of another case is of no use
        seen.altered += altered_labels(self._run.plan, item, events)
        for check in case_checks(self._run, item, events, through):
            stage = check.step.stage
            if check.program is None:
                seen.differs(check.unfounded(item.case_key))
                continue
            try:
                again = await self._driver.drive(check.program)
            except MissingError as error:
                seen.note(f"case {item.case_key}, {stage}: {error} is not recorded")
                continue
            except Exception as error:  # components' errors are outcomes: this is a record that no program can work on
                seen.differs(check.unfounded(item.case_key, f"its record is {type(error).__name__}: {error}"))
                continue
            if stage != "generate":
                seen.recomputed[stage] += 1
            found = compared(check, item.case_key, again)
            if isinstance(found, str):
                seen.note(found)
            elif found is not None:
                seen.differs(found)


@attrs.define
class _Seen:
    most: int
    cases: int = 0
    events: int = 0
    recomputed: Counter[str] = attrs.field(factory=Counter)
    altered: list[str] = attrs.field(factory=list)
    differences: list[Difference] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)

    def differs(self, difference: Difference) -> None:
        if len(self.differences) < self.most:
            self.differences.append(difference)

    def note(self, text: str) -> None:
        if len(self.notes) < MOST_NOTES:
            self.notes.append(text)

    def findings(self, unreadable: str = "") -> Findings:
        return Findings(
            cases=self.cases,
            events=self.events,
            recomputed=self.recomputed,
            altered=self.altered,
            differences=self.differences,
            not_verified=self.notes,
            unreadable=unreadable,
        )


@attrs.frozen
class _RecordedJudge:
    """Stands for a judge, whose answers are recorded; it is never called."""

    component_id: str

    def judge(self) -> None:
        raise AssertionError("a recorded judge was called")


def components_at_hand(
    snapshot: RunSnapshot, given: Iterable[Abilities] | None, *, importing: bool = True
) -> tuple[Components, list[str]]:
    """Return the run's components as far as they are at hand, unchanged; say which are not.

    A builtin that is not as its name alone makes it is made as the run describes it: its fingerprint tells whether
    that is the one.

    Args:
        snapshot: the run's.
        given: where they are looked for first; several may have one name.
        importing: whether a name may be one to import, which runs its module's code.
    """
    notes: list[str] = []
    by_id: dict[str, list[Any]] = {}
    for able in given or ():
        by_id.setdefault(able.component_id, []).append(able.component)
    settings = {(place, ref.fingerprint): said for place, ref, said in described(snapshot)}

    def the_one(components: Iterable[Any], ref: ComponentRef) -> Any:
        named = ((each, component_ref(each, source_of, snapshot.identity_algorithm)) for each in components)
        return next((each for each, its in named if its.fingerprint == ref.fingerprint), None)

    def find(place: str, ref: ComponentRef | None) -> Any:
        if ref is None:
            return None
        if place == "judge_models":
            return _RecordedJudge(ref.component_id)
        found, there = None, by_id.get(ref.component_id, [])
        problem = "its code or configuration is not the one that the run used"
        try:
            if not there and place != "generator" and (importing or ref.component_id.startswith("builtin/")):
                there = [resolve_component(ref.component_id)]
            found = the_one(there, ref)
        except ThemisError as error:
            why = "nothing of this name" if isinstance(error, UnknownComponentError) else str(error)
            problem = f"not at hand ({why}); pass the experiment (--config) to verify it too"
        if found is None and place != "generator":  # its answers are recorded; only its seeds would rest on it
            with contextlib.suppress(ThemisError):
                found = the_one(_as_described(ref, settings.get((place, ref.fingerprint))), ref)
            if found is None:
                notes.append(f"{ref.component_id}: {problem}")
        return found

    placed: dict[str, Any] = {}
    for place in PLACES:
        refs = getattr(snapshot.component_refs, place)
        several = isinstance(refs, tuple)
        placed[place] = [one for ref in refs if (one := find(place, ref))] if several else find(place, refs)
    return Components.of(**placed), notes


def _as_described(ref: ComponentRef, settings: JSONValue) -> Iterator[Any]:
    """Yield a builtin with the settings that a run tells of it."""
    if ref.component_id.startswith("builtin/") and isinstance(settings, Mapping):
        yield make_builtin(ref.component_id, **thaw(settings))
