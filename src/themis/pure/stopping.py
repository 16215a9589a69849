"""Stopping early: in which order a run's cases come, and after which of them its rule decides.

The decision is a pure function of the scores and a seeded order of the cases. A run works through that order in blocks,
looks at the end of each, and stops at the first look at which the rule decides, so that nothing beyond it is paid for.
When and where the cases of a block are done makes no difference. The same program (`stop_program`) is driven by the
engine, which does the cases that it asks for, and by whoever reads the run, from what is stored; so a run's planned
cases are those up to its stop. All others are neither missing nor failed: they were not planned.

A case without a score counts as the worst for passing and as the best for failing. No completion of it overturns the
decision, which can only come earlier by it: then what was done behind the new stop is stored and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs

from themis.pure.errors import SpecError
from themis.pure.identity import SHUFFLE_VERSION, shuffled
from themis.pure.plan import RunPlan, case_items
from themis.pure.records.base import HashableModel
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stopping import StoppingRule
from themis.pure.report.grouping import group_name
from themis.pure.stats.records import Interval
from themis.pure.stats.sequence_units import scaled, unit_of
from themis.pure.stats.sequential import Decision, Evidence
from themis.pure.stats.wording import interval_text

Bounds: TypeAlias = tuple[float, float]
"""What a case's score is at least and at most, from 0 to 1."""


@attrs.frozen(kw_only=True)
class Stop(HashableModel):
    """Where a run stops, and what was decided there.

    Attributes:
        rule: as text.
        metric_id: the metric it is about.
        decision: whether the metric's mean was shown to be where the rule wants it.
        cases: how many cases were planned: those up to the stop, all if it is undecided.
        of: how many cases there are.
        every: how many cases come between two looks.
        alpha: the chance to decide wrongly.
        interval: that of the mean, valid at the stop; it is the worst that missing scores could make of it.
        beyond: how many cases behind the stop are stored all the same, as a failed case was made good later.
    """

    rule: str
    metric_id: str
    decision: Decision
    cases: int
    of: int
    every: int
    alpha: float
    interval: Interval
    beyond: int = 0

    def __str__(self) -> str:
        return f"{self.rule}: {self.outcome}"

    @property
    def outcome(self) -> str:
        """What was decided, and where, in words."""
        looked = f"looked at every {self.every:,} cases" if self.every > 1 else "looked at after every case"
        if self.decision == "undecided":
            where = f"went through all {self.of:,}"
        else:
            where = f"stopped after {self.cases:,} of {self.of:,}"
        beyond = f"; {self.beyond:,} more are stored and not counted" if self.beyond else ""
        return f"{self.decision} ({looked}, {where}{beyond})"


@attrs.frozen(kw_only=True)
class PairedStop(HashableModel):
    """Where a comparison of two runs was decided, case by case.

    Attributes:
        stop: where, and what; its cases are those that both runs planned, or should have.
        label_a: what to call the first run.
        label_b: what to call the second run.
        difference: the mean of `b - a` over the pairs up to the stop that are scored in both runs; `None` without one.
        left_out: how many cases up to the stop lack a score, are in one run alone or were changed between them: they
            count as the worst for passing and as the best for failing.
    """

    stop: Stop
    label_a: str
    label_b: str
    difference: float | None = None
    left_out: int = 0

    def __str__(self) -> str:
        found = "no pair" if self.difference is None else f"{self.label_b} - {self.label_a} = {self.difference:+.4g}"
        counted = f"; {self.left_out:,} cases are not scored alike in both, and count as worst" if self.left_out else ""
        return f"{found}, {interval_text(self.stop.interval)}: {self.stop.outcome}{counted}"


@attrs.frozen
class CaseOrder:
    """Cases in the order in which a run does them.

    Attributes:
        numbers: their places in the plan.
        sizes: how many of them, in this order, each cluster has; `None` where each is one by itself.
    """

    numbers: Sequence[int]
    sizes: Sequence[int] | None = None

    @property
    def largest(self) -> int:
        return 1 if self.sizes is None else max(self.sizes, default=1)

    def units(self) -> Iterator[Sequence[int]]:
        """Yield what is independent of all others: the numbers of a case, or of a cluster's."""
        start = 0
        for size in self.sizes if self.sizes is not None else (1,) * len(self.numbers):
            yield self.numbers[start : start + size]
            start += size

    def blocks(self, every: int) -> Iterator[list[Sequence[int]]]:
        """Yield the units between two looks."""
        block: list[Sequence[int]] = []
        held = 0
        for unit in self.units():
            block.append(unit)
            held += len(unit)
            if held >= every:
                yield block
                block, held = [], 0
        if block:
            yield block


def case_order(snapshot: RunSnapshot, rule: StoppingRule) -> CaseOrder:
    """Return the order in which a run does its cases.

    Raises:
        SpecError: the order is one of another version of Themis.
    """
    if rule.cluster_by is None:
        return order_of([item.case_key for item in case_items(snapshot)], rule)
    by = rule.cluster_by
    clusters = {item.case_key: group_name(item.case.metadata.get(by)) for item in case_items(snapshot)}
    return order_of(list(clusters), rule, clusters)


def order_of(
    case_keys: Sequence[str], rule: StoppingRule, clusters: Mapping[str, str | None] | None = None
) -> CaseOrder:
    """Return cases in the order that a rule's seed gives them; a case without a cluster is one by itself.

    Raises:
        SpecError: the order is one of another version of Themis.
    """
    if rule.order != SHUFFLE_VERSION:
        raise SpecError(f"until: its order is of version {rule.order!r}, and this Themis knows {SHUFFLE_VERSION!r}")
    if clusters is None:
        return CaseOrder(shuffled(case_keys, rule.seed))
    members: dict[str, list[int]] = {}
    for number, key in enumerate(case_keys):
        cluster = clusters.get(key)
        members.setdefault(f"case {key}" if cluster is None else f"cluster {cluster}", []).append(number)
    names = list(members)
    held = [members[names[place]] for place in shuffled(names, rule.seed)]
    return CaseOrder([number for cluster in held for number in cluster], [len(cluster) for cluster in held])


def rule_bounds(plan: RunPlan, rule: StoppingRule, rows: Sequence[BenchmarkScoreRow]) -> Bounds:
    """Return what the mean of a case's scores, over its answers, is at least and at most, from 0 to 1."""
    score_range = range_of_rule(plan, rule)
    unit = unit_of([scaled(row.value, score_range) for row in rows if row.metric_id == rule.metric_id])
    return unit.low, unit.high


def range_of_rule(plan: RunPlan, rule: StoppingRule) -> tuple[float, float]:
    """Return the score range of the metric that a rule is about."""
    found = next((metric.score_range for metric in plan.metrics if metric.metric_id == rule.metric_id), None)
    if found is None:
        raise SpecError(f"until: the run has no metric {rule.metric_id!r} with a score_range")
    return found


def stop_program(
    rule: StoppingRule, score_range: tuple[float, float], order: CaseOrder
) -> Generator[list[int], Mapping[int, Bounds], Stop]:
    """Ask for the scores of one block of cases after the other, and return where it stops.

    It yields the numbers of the cases of a block, in order, and is sent the bounds of each.
    """
    largest, count = order.largest, len(order.numbers)
    evidence = Evidence(
        rule.operator, rule.value, score_range, rule.alpha, None if rule.of == "population" else count / largest
    )
    seen = 0
    decision: Decision = "undecided"
    for block in order.blocks(rule.every):
        bounds = yield [number for unit in block for number in unit]
        for unit in block:
            evidence.add(unit_of([bounds[number] for number in unit], largest))
            seen += len(unit)
        decision = evidence.decision()
        if decision != "undecided":
            break
    return Stop(
        rule=str(rule),
        metric_id=rule.metric_id,
        decision=decision,
        cases=seen,
        of=count,
        every=rule.every,
        alpha=rule.alpha,
        interval=evidence.interval(),
    )


def stop_of(
    rule: StoppingRule, score_range: tuple[float, float], order: CaseOrder, bounds_of: Callable[[int], Bounds]
) -> Stop:
    """Return where a run stops whose scores are all at hand."""
    program = stop_program(rule, score_range, order)
    try:
        numbers = next(program)
        while True:
            numbers = program.send({number: bounds_of(number) for number in numbers})
    except StopIteration as end:
        stop: Stop = end.value
        return stop
