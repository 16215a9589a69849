"""Two runs, and the runs that their settings could make if some are taken from the one and some from the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from themis._stages import STAGE_ORDER
from themis.pure.abilities import Components
from themis.pure.families import FAMILIES
from themis.pure.pipeline.effects import Recalled
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.pipeline.table import STAGES
from themis.pure.plan import CaseItem, MetricSlot, candidate_count
from themis.pure.projections import Thresholds
from themis.pure.records.generation import GenerationResult
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.records.snapshot import ComponentRef, RunIdentity, RunSnapshot
from themis.pure.state import CaseState

Side = Literal[0, 1]
"""The first run, or the second."""

Setting: TypeAlias = str
"""What of a run can be swapped by itself, by name."""

CHOICES: Final[Mapping[Setting, str]] = {
    row.identity[0].replace("_refs", "").replace("_ref", ""): row.identity[0]
    for row in STAGES[STAGE_ORDER.index("generate") + 1 : STAGE_ORDER.index("parse")]
}
"""What makes one answer of a case's samples, each with its field of the identity."""

SETTINGS: Final[Mapping[Setting, tuple[str, ...]]] = {
    "samples": ("candidate_policy",),
    **{setting: (field,) for setting, field in CHOICES.items()},
    "parser": ("parser_refs",),
    "unparsed": ("unparsed",),
    "metric": ("metric_refs",),
    "judge": ("judge_model_refs", "judge_config", "workflow_overrides", "evaluation_prompt_spec"),
}
"""The settings, each with the fields of the identity that it stands for."""

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
        return FAMILIES[self.snapshot.metric_kinds.get(self.metric_id, "pure")].stage == "judge"

    @property
    def may_ask_judge(self) -> bool:
        """Whether its metric does, or perhaps what makes one answer of several."""
        identity = self.snapshot.identity
        return self.asks_judge or (bool(identity.judge_model_refs) and _chooses(identity))


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
        found: dict[Setting, Setting] = {}
        if min(counts) == 1 < max(counts) and not _chooses(identities[counts.index(1)]):
            found |= dict.fromkeys(CHOICES, "samples")
        if self.a.may_ask_judge != self.b.may_ask_judge:
            of_metric = self.a.asks_judge != self.b.asks_judge
            leading = "metric" if of_metric else next(iter(CHOICES))
            found["judge"] = found.get(leading, leading)
        return found

    def _of(self, side: RunSide, setting: Setting) -> tuple[object, ...]:
        identity = side.snapshot.identity
        if setting == "samples":
            return (candidate_count(identity.candidate_policy),)
        if setting == "metric":
            return (side.metric_ref,)
        if setting == "judge" and not (self.a.may_ask_judge or self.b.may_ask_judge):
            return ()
        return tuple(getattr(identity, field) for field in SETTINGS[setting])

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
        choosing = both[sides[next(iter(CHOICES))]].snapshot
        snapshot = of_metric.snapshot.evolve(
            identity=of_metric.snapshot.identity.evolve(**fields), datasets=()
        ).stored_as(choosing.run_id)  # a seed is made of it
        components = attrs.evolve(
            self.a.components,
            **{name: getattr(both[sides[name]].components, name) for name in CHOICES},
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


def _chooses(identity: RunIdentity) -> bool:
    """Tell whether a run makes one answer of several samples."""
    return any(getattr(identity, field) is not None for field in CHOICES.values())
