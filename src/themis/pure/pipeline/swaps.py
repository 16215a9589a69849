"""Two runs, and the runs that their settings could make if some are taken from the one and some from the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from themis.pure.abilities import Components
from themis.pure.pipeline.effects import Recalled
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.plan import CaseItem, MetricSlot, candidate_count
from themis.pure.projections import Thresholds
from themis.pure.records.generation import GenerationResult
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.records.snapshot import ComponentRef, RunSnapshot
from themis.pure.state import CaseState

Side = Literal[0, 1]
"""The first run, or the second."""

Setting = Literal["samples", "selector", "reducer", "parser", "unparsed", "metric", "judge"]
SETTINGS: Final[Mapping[Setting, tuple[str, ...]]] = {
    "samples": ("candidate_policy",),
    "selector": ("selector_ref",),
    "reducer": ("reducer_ref",),
    "parser": ("parser_refs",),
    "unparsed": ("unparsed",),
    "metric": ("metric_refs",),
    "judge": ("judge_model_refs", "judge_config", "workflow_overrides", "evaluation_prompt_spec"),
}
"""What of a run can be swapped by itself, each with the fields of the identity that it stands for."""

CASES: Final = "cases"
ERRORS: Final = "errors"
REFERENCES: Final = "references"
METADATA: Final = "metadata"
INPUTS: Final = "inputs"
CUT: Final = "cut"
PREFIX: Final = "prefix"
"""The factor of answers one of which goes on where the other ends: where most of those that differ are so, they are cut
(`told_cuts`)."""
REASONING: Final = "reasoning"
SAME: Final = "same"
"""The factor of what differs although all that it was made of is the same."""
TOGETHER: Final = "+"
"""Stands between the names of factors that can't be told apart."""

Sides: TypeAlias = Mapping[str, Side]
"""From which run a factor is; one that is not named is the same in both."""


Candidates: TypeAlias = Mapping[int, GenerationResult]
RecallFrom = Callable[[Side, str], Recalled | None]


@attrs.frozen
class RunSide:
    """One of the two runs: its snapshot, the components of it that are at hand, and the metric that is explained."""

    snapshot: RunSnapshot
    components: Components
    metric_id: str

    @property
    def metric_ref(self) -> ComponentRef:
        return next(ref for ref in self.snapshot.identity.metric_refs if ref.component_id == self.metric_id)

    @property
    def asks_judge(self) -> bool:
        """Whether its metric does."""
        return self.snapshot.metric_kinds.get(self.metric_id) in ("llm", "selection", "trace")


@attrs.frozen
class CaseSide:
    """A case in one of the runs: its state, and the rows of the metric as they are stored."""

    item: CaseItem
    state: CaseState
    rows: tuple[BenchmarkScoreRow, ...]


@attrs.frozen(eq=False, slots=False)
class Swaps:
    """Two runs, and all that can be made of their settings.

    Attributes:
        a, b: the runs.
        recall: looks a cache key up in the stores of a run.
        generation: what the answers of both runs differ by, as a factor's name.
        asked_alike: nothing differs in how answers were asked for.
        parts: two halves of that which are known apart, where `mixed` has answers.
        mixed: returns a case's answers of other runs, made with one half of the first run and the other of the second:
            by the sides of both. It is empty where there are none.
        only_the_length_differs: nothing but how long an answer may be differs in how answers were asked for.
    """

    a: RunSide
    b: RunSide
    recall: RecallFrom
    generation: str
    only_the_length_differs: bool = False
    asked_alike: bool = True
    parts: tuple[str, ...] = ()
    mixed: Callable[[CaseItem], Mapping[tuple[Side, Side], Candidates]] = lambda item: {}
    _made: dict[tuple[Side, ...], Hybrid] = attrs.field(factory=dict, init=False)

    @functools.cached_property
    def differing(self) -> tuple[Setting, ...]:
        """The settings that differ."""
        found = (setting for setting in SETTINGS if self._of(self.a, setting) != self._of(self.b, setting))
        return tuple(setting for setting in found if setting not in self.follows)

    @functools.cached_property
    def follows(self) -> Mapping[Setting, Setting]:
        """The settings that mean nothing in one of the runs, each with the one that it is swapped with.

        What makes one answer of several samples goes with their number where one of the runs has a single sample, and
        so nothing to choose from; and a judge with the metric or the selector that asks it, where the other run asks
        none.
        """
        identities = [side.snapshot.identity for side in (self.a, self.b)]
        counts = [candidate_count(identity.candidate_policy) for identity in identities]
        single = identities[counts.index(min(counts))]
        found: dict[Setting, Setting] = {}
        if min(counts) == 1 < max(counts) and single.reducer_ref is None and single.selector_ref is None:
            found |= {"selector": "samples", "reducer": "samples"}
        asks = [side.asks_judge or side.snapshot.identity.selector_ref is not None for side in (self.a, self.b)]
        if asks[0] != asks[1]:
            of_metric = self.a.asks_judge != self.b.asks_judge
            found["judge"] = "metric" if of_metric else found.get("selector", "selector")
        return found

    def _of(self, side: RunSide, setting: Setting) -> tuple[object, ...]:
        identity = side.snapshot.identity
        if setting == "samples":
            return (candidate_count(identity.candidate_policy),)
        if setting == "metric":
            return (side.metric_ref,)
        if setting == "judge" and not self._is_judged:
            return ()
        return tuple(getattr(identity, field) for field in SETTINGS[setting])

    @functools.cached_property
    def _is_judged(self) -> bool:
        """Whether anything in either run asks a judge."""
        selectors = [side.snapshot.identity.selector_ref for side in (self.a, self.b)]
        return self.a.asks_judge or self.b.asks_judge or any(selectors)

    def hybrid(self, sides: Sides) -> Hybrid:
        """Return the run with settings of both."""
        key = tuple(sides.get(setting, 0) for setting in SETTINGS)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._hybrid(dict(zip(SETTINGS, key, strict=True)))
        return found

    def _hybrid(self, sides: Mapping[Setting, Side]) -> Hybrid:
        both = (self.a, self.b)
        fields: dict[str, Any] = {"seeds": ()}
        for setting, names in SETTINGS.items():
            fields |= {name: getattr(both[sides[setting]].snapshot.identity, name) for name in names}
        of_metric = both[sides["metric"]]
        fields["metric_refs"] = (of_metric.metric_ref,)
        selecting = both[sides["selector"]].snapshot
        snapshot = of_metric.snapshot.evolve(
            identity=of_metric.snapshot.identity.evolve(**fields), datasets=()
        ).stored_as(selecting.run_id)  # a selector's seed is made of it
        components = Components(
            generator=self.a.components.generator,
            selector=both[sides["selector"]].components.selector,
            reducer=both[sides["reducer"]].components.reducer,
            parsers=both[sides["parser"]].components.parsers,
            metrics=tuple(each for each in of_metric.components.metrics if each.component_id == of_metric.metric_id),
            judge_models=both[sides["judge"]].components.judge_models,
        )
        run = planned_run(snapshot, components)
        return Hybrid(run, run.plan.metrics[0], Thresholds(snapshot.metric_thresholds))


@attrs.frozen
class Hybrid:
    run: Run
    metric: MetricSlot
    thresholds: Thresholds
