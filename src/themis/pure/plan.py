"""Planning: from a snapshot to what has to be done, lazily, one case at a time.

A plan knows the shape of a run (how many candidates, which stages, which metrics) and its cases in order. What was
done already is not here, but in the state.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, get_args

import attrs

from themis._stages import STAGE_ORDER, Stage, UntilStage
from themis.pure.errors import SpecError, nearest
from themis.pure.families import FAMILIES, MetricStage
from themis.pure.identity import case_key
from themis.pure.json import JSONValue
from themis.pure.records.dataset import Case
from themis.pure.records.snapshot import ComponentRef, RunSnapshot

CountPolicy = Literal["num_samples", "pass_k", "best_of", "self_consistency_count"]
_COUNT_POLICIES: Final[tuple[CountPolicy, ...]] = get_args(CountPolicy)


def candidate_count(policy: Mapping[str, JSONValue]) -> int:
    """Return how many candidates a policy asks for: the largest of its counts, at least 1.

    Raises:
        SpecError: an unknown policy, or a count that is no positive whole number; all at once.

    >>> candidate_count({"num_samples": 4, "pass_k": 8})
    8
    """
    faults = []
    for name, count in policy.items():
        if name not in _COUNT_POLICIES:
            faults.append(f"candidate_policy.{name}: unknown; {nearest(name, _COUNT_POLICIES)}")
        elif isinstance(count, bool) or not isinstance(count, int) or count < 1:
            faults.append(f"candidate_policy.{name}: a whole number from 1 up expected, found {count!r}")
    if faults:
        raise SpecError("; ".join(faults))
    return max((int(count) for count in policy.values()), default=1)  # type: ignore[arg-type]  # checked above


ONE_ANSWER: Final[tuple[int | None, ...]] = (None,)


def answers_of(policy: Mapping[str, JSONValue], *, makes_one: bool) -> tuple[int | None, ...]:
    """Return the answers that each case has: its candidates, or one if a selector or reducer makes one of them.

    >>> answers_of({"num_samples": 3}, makes_one=False), answers_of({"num_samples": 3}, makes_one=True)
    ((0, 1, 2), (None,))
    """
    count = candidate_count(policy)
    return ONE_ANSWER if count == 1 or makes_one else tuple(range(count))


@attrs.frozen
class MetricSlot:
    """One metric of a run.

    Attributes:
        metric_id: its id.
        family: its family.
        fingerprint: the hash that names its code.
        score_range: its lowest and highest score, if it states them.
        unparsed: what an answer that could not be parsed scores; `None` if its score is missing.
    """

    metric_id: str
    family: str
    fingerprint: str
    score_range: tuple[float, float] | None = None
    unparsed: float | None = None

    @property
    def is_scored(self) -> bool:
        """Its outcome is a score, and not the execution of a workflow."""
        return FAMILIES[self.family].is_scored

    @property
    def is_of_answers(self) -> bool:
        """It scores one answer, and does not compare a case's candidates with each other."""
        return not FAMILIES[self.family].compares

    @property
    def stage(self) -> MetricStage:
        """The stage that does it."""
        return FAMILIES[self.family].stage


@attrs.frozen(kw_only=True, eq=False)
class RunPlan:
    """The shape of a run: everything about it that is the same for each of its cases. It is equal to itself alone.

    Attributes:
        run_id: the run.
        generator: what makes its candidates.
        candidate_count: how many candidates each case has.
        seeds: one for each candidate, or none.
        selects: it has a selector.
        answers: the answers that each case has, which are parsed, scored and judged: `(None,)` where a case has one,
            and the indices of all candidates where each of them is an answer.
        metrics: its metrics.
        until_stage: the last stage to do.
    """

    run_id: str
    generator: ComponentRef
    candidate_count: int
    seeds: tuple[int, ...]
    selects: bool
    answers: tuple[int | None, ...]
    metrics: tuple[MetricSlot, ...]
    until_stage: UntilStage

    @functools.cached_property
    def last(self) -> int:
        """The position of the last stage to do, in `STAGE_ORDER`."""
        return STAGE_ORDER.index(self.until_stage)

    @functools.cached_property
    def is_reduced(self) -> bool:
        """Whether each case's candidates are reduced to one answer."""
        return self.answers == ONE_ANSWER

    def answers_of(self, metric: MetricSlot) -> tuple[int | None, ...]:
        """Return the answers of a case that a metric scores one by one; what compares candidates sees them at once."""
        return self.answers if metric.is_of_answers else ONE_ANSWER

    @functools.cached_property
    def rows_per_case(self) -> int:
        """How many score rows a case has: one for each metric and answer."""
        return sum(len(self.answers_of(metric)) for metric in self.metrics)

    @functools.cached_property
    def scored_ids(self) -> tuple[str, ...]:
        return tuple(metric.metric_id for metric in self.metrics if metric.stage == "score")

    @functools.cached_property
    def judged_ids(self) -> tuple[str, ...]:
        return tuple(metric.metric_id for metric in self.metrics if metric.stage == "judge")


def make_plan(snapshot: RunSnapshot, until_stage: UntilStage = "judge") -> RunPlan:
    """Return the shape of a run.

    Raises:
        SpecError: `until_stage` is no stage.
    """
    if until_stage not in get_args(UntilStage):
        raise SpecError(f"until_stage: {until_stage!r} is no stage; {nearest(str(until_stage), get_args(UntilStage))}")
    identity = snapshot.identity
    makes_one = identity.selector_ref is not None or identity.reducer_ref is not None
    return RunPlan(
        run_id=snapshot.run_id,
        generator=identity.generator_ref,
        candidate_count=candidate_count(identity.candidate_policy),
        seeds=identity.seeds,
        selects=identity.selector_ref is not None,
        answers=answers_of(identity.candidate_policy, makes_one=makes_one),
        metrics=metric_slots(snapshot),
        until_stage=until_stage,
    )


def metric_slots(snapshot: RunSnapshot) -> tuple[MetricSlot, ...]:
    return tuple(_metric_slot(snapshot, ref) for ref in snapshot.identity.metric_refs)


def _metric_slot(snapshot: RunSnapshot, ref: ComponentRef) -> MetricSlot:
    name, stated = ref.component_id, snapshot.metric_ranges.get(ref.component_id)
    return MetricSlot(
        metric_id=name,
        family=snapshot.metric_kinds.get(name, "pure"),
        fingerprint=ref.fingerprint,
        score_range=None if stated is None else (stated[0], stated[1]),
        unparsed=stated[0] if stated is not None and snapshot.identity.unparsed == "incorrect" else None,
    )


def workflow_stages(snapshot: RunSnapshot) -> dict[str, Stage]:
    """Return the workflows that a run may have, each with its stage: its selector's, and those of its metrics."""
    selector = snapshot.identity.selector_ref
    stages: dict[str, Stage] = {slot.metric_id: slot.stage for slot in metric_slots(snapshot) if not slot.is_scored}
    return stages if selector is None else {**stages, selector.component_id: "select"}


@attrs.frozen
class CaseItem:
    """A case with its place in the run: `case_no` counts through all datasets, from 0."""

    case: Case
    case_no: int
    dataset_id: str
    case_key: str
    dataset_metadata: Mapping[str, str]


def case_items(snapshot: RunSnapshot) -> Iterator[CaseItem]:
    """Yield a run's cases in plan order, reading lazy datasets as it goes."""
    number = 0
    for dataset in snapshot.datasets:
        dataset_id, metadata = dataset.dataset_id, dataset.metadata
        for case in dataset.cases:
            yield CaseItem(case, number, dataset_id, case_key(dataset_id, case.case_id), metadata)
            number += 1


def items_between(snapshot: RunSnapshot, wanted: range) -> Iterator[CaseItem]:
    """Yield a run's cases of consecutive numbers, reading no others where the datasets allow it."""
    first = 0
    for dataset in snapshot.datasets:
        count, dataset_id, metadata, cases = len(dataset.cases), dataset.dataset_id, dataset.metadata, dataset.cases
        part = range(max(wanted.start - first, 0), min(wanted.stop - first, count))
        if part:
            found = cases[part.start : part.stop] if isinstance(cases, tuple) else cases.part(part)
            for number, case in zip(itertools.count(first + part.start), found, strict=False):
                yield CaseItem(case, number, dataset_id, case_key(dataset_id, case.case_id), metadata)
        first += count


def items_at(snapshot: RunSnapshot, numbers: Sequence[int]) -> Iterator[CaseItem]:
    """Yield the cases of these numbers, in this order; lazy datasets are read once for all of them."""
    wanted, found = frozenset(numbers), dict[int, CaseItem]()
    first = 0
    for dataset in snapshot.datasets:
        count = len(dataset.cases)
        held = [number for number in wanted if first <= number < first + count]
        if held:
            name, metadata, cases = dataset.dataset_id, dataset.metadata, dataset.cases
            chosen = (
                ((number, cases[number - first]) for number in held)
                if isinstance(cases, tuple)
                else zip(itertools.count(first), itertools.islice(cases, max(held) - first + 1), strict=False)
            )
            for number, case in chosen:
                if number in wanted:
                    found[number] = CaseItem(case, number, name, case_key(name, case.case_id), metadata)
        first += count
    return (found[number] for number in numbers)


def total_cases(snapshot: RunSnapshot) -> int:
    return sum(len(dataset.cases) for dataset in snapshot.datasets)
