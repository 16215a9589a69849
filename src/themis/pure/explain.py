"""What a run would reuse, what it would do, and because of which changed fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import attrs

from themis._stages import STAGE_ORDER
from themis.pure.compilation import canonical_identity
from themis.pure.json import EMPTY, JSONValue
from themis.pure.pipeline.table import ROWS, STAGES, next_steps, settled_steps
from themis.pure.plan import RunPlan
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.snapshot import RunIdentity
from themis.pure.state import CaseState, answer_state, has_failures


@attrs.frozen(kw_only=True)
class StageExplanation(HashableModel):
    """One stage of a run before it is run: steps planned, those already stored, those to do, and why."""

    stage: str
    planned: int
    reused: int
    to_do: int
    reasons: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class RunExplanation(HashableModel):
    """What a run would do.

    Attributes:
        run_id: the run.
        stored: whether this very run is stored, wholly or in part.
        compared_run_id: the stored run that it is nearest to, if it is a new one.
        changed_fields: what differs from that run, as dotted names of the identity.
        stages: stage by stage.
        until: the rule that may end the run before all that is planned here is done.
    """

    run_id: str
    stored: bool
    compared_run_id: str | None = None
    changed_fields: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    stages: tuple[StageExplanation, ...] = attrs.field(default=(), converter=sequence)
    until: str | None = None

    @property
    def repeats_nothing(self) -> bool:
        """Whether everything is stored already, so that the run would do nothing."""
        return all(stage.to_do == 0 for stage in self.stages)

    def __str__(self) -> str:
        lines = [f"run {self.run_id}"]
        if self.repeats_nothing:
            lines.append("nothing to do: every result is stored already")
        elif self.compared_run_id:
            changed = ", ".join(self.changed_fields) or "nothing that counts"
            lines.append(f"nearest stored run {self.compared_run_id}: changed {changed}")
        for stage in self.stages:
            why = f" ({'; '.join(stage.reasons)})" if stage.reasons else ""
            lines.append(
                f"{stage.stage:<9} {stage.planned:>8} planned {stage.reused:>8} stored {stage.to_do:>8} to do{why}"
            )
        if self.until is not None and not self.repeats_nothing:
            lines.append(f"at most: the run ends as soon as {self.until} is decided")
        return "\n".join(lines)


def changed_fields(old: RunIdentity, new: RunIdentity) -> tuple[str, ...]:
    """Return the dotted names of what differs between two identities.

    >>> from themis.pure.json import freeze
    >>> tuple(_changes("a", freeze({"x": 1, "y": [1]}), freeze({"x": 2, "y": [1]})))
    ('a.x',)
    """
    # What is written in another form is not changed: an identity of an earlier version may not be canonical.
    before, after = (canonical_identity(identity, judges=True).canonical_data() for identity in (old, new))
    return tuple(path for key in after for path in _changes(key, before[key], after[key]))


def _changes(path: str, old: JSONValue, new: JSONValue) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changes(f"{path}.{key}", old.get(key), new.get(key))
    else:
        yield path


def stage_reasons(changed: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return, for each stage, which of the changed fields make it do its work anew, upstream ones included."""
    reasons: dict[str, tuple[str, ...]] = {}
    upstream: tuple[str, ...] = ()
    for stage, row in ROWS.items():
        own = tuple(path for path in changed if path.partition(".")[0] in row.identity)
        reasons[stage] = (*upstream, *(path for path in own if path not in upstream))
        if stage != "score":  # judging reads the answer, not the other metrics' scores
            upstream = reasons[stage]
    return reasons


@attrs.define
class StageCounter:
    """Counts the steps of a run, stage by stage, as cases go by; one pass, constant memory."""

    plan: RunPlan
    planned: Counter[str] = attrs.field(factory=Counter)
    done: Counter[str] = attrs.field(factory=Counter)
    failed: Counter[str] = attrs.field(factory=Counter)
    unusable: int = 0

    def add(self, state: CaseState, reusable_generations: int = 0) -> None:
        """Count one case.

        Args:
            state: what is stored of the case under this run.
            reusable_generations: candidates that other runs have stored.
        """
        plan, clean = self.plan, state.without_failures()
        # An answer that can't be scored leaves its metrics out; until then all of them are planned.
        wanted = {row.stage: len(row.planned(plan)) for row in STAGES}
        have = Counter(row.stage for row, _, _ in settled_steps(plan, clean))
        have["generate"] += min(reusable_generations, plan.candidate_count - have["generate"])
        answers = [answer_state(clean, index).parsed for index in plan.answers]
        if all(parsed is not None for parsed in answers) and not next_steps(plan, clean):
            wanted = have  # an unusable answer is not scored: the case is finished as it is
            self.unusable += sum(parsed is not None and not parsed.usable for parsed in answers)
        for stage in STAGE_ORDER[: plan.last + 1]:
            self.planned[stage] += wanted[stage]
            self.done[stage] += have[stage]
        if has_failures(state):
            self.failed["cases"] += 1

    def explanations(self, reasons: Mapping[str, tuple[str, ...]] = EMPTY) -> tuple[StageExplanation, ...]:
        recomputed = ("computed again from what is stored: cheaper than looking it up",)
        return tuple(
            StageExplanation(
                stage=stage,
                planned=self.planned[stage],
                reused=self.done[stage],
                to_do=self.planned[stage] - self.done[stage],
                reasons=(reasons.get(stage) or recomputed) if self.planned[stage] > self.done[stage] else (),
            )
            for stage in STAGE_ORDER[: self.plan.last + 1]
            if self.planned[stage]
        )
