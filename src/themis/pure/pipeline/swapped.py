"""A case's scores as they would be with some settings of one run and some of another, from what is stored of both.

The stages after generation are gone through by their own programs (`table.py`). What a run stored of a stage that saw
the same stands; anything else is computed again by the run's components, judgments and programs that were run from what
is recorded under their cache keys. What neither is stored nor can be computed is named: nobody is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import attrs

from themis._stages import STAGE_ORDER, Stage
from themis.pure.components.text.reasoning import strip_reasoning
from themis.pure.events import CaseRunEvent, StepCompletedEvent
from themis.pure.json import EMPTY
from themis.pure.pipeline.effects import Recalled
from themis.pure.pipeline.judge import JUDGE_STEP
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.step import Step
from themis.pure.pipeline.stored_only import UnknownScoreError, driven, said_by_judges
from themis.pure.pipeline.swaps import (
    CHOICES,
    CUT,
    ERRORS,
    INPUTS,
    METADATA,
    PREFIX,
    REASONING,
    REFERENCES,
    TOGETHER,
    Candidates,
    CaseSide,
    Hybrid,
    Setting,
    Side,
    Sides,
    Swaps,
)
from themis.pure.pipeline.table import ROWS, next_steps, settled_steps
from themis.pure.plan import CaseItem, candidate_count, make_plan
from themis.pure.projections import reproducible_part, score_rows
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import EvaluationExecution, JudgeResponse
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.state import CaseState, answer_state, apply, candidates_of, changed, new_state, without_stages

_OF_THE_RUN: Final = ("generation_failure", "evaluation_failure", "evaluation_partial_failure", "not_reached")
"""Errors that say nothing of an answer: they are not computed again, but taken as they are stored."""

Tally: TypeAlias = tuple[float, float]
"""A sum of scores, and of how many."""


def tally(rows: Sequence[BenchmarkScoreRow]) -> Tally:
    values = [row.value for row in rows if row.value is not None]
    return sum(values), len(values)


@attrs.frozen(eq=False, slots=False)
class Pair:
    """A case in both runs; `only` is the run that alone has it, if one does."""

    swaps: Swaps
    of: tuple[CaseSide, CaseSide]
    only: Side | None = None
    _said_by: dict[Side, Mapping[str, JudgeResponse]] = attrs.field(factory=dict, init=False)
    _items: dict[tuple[Side, Side, Side], CaseItem] = attrs.field(factory=dict, init=False)

    # --- what differs -------------------------------------------------------------------------------------

    def factors(self) -> Iterator[str]:
        """Yield what differs between the two runs in this case."""
        if self._unscored[0] != self._unscored[1]:
            yield ERRORS
        if self._data_factor is not None:
            yield self._data_factor
        yield from self.answers_factors
        yield from self.swaps.differing
        if "judge" not in self.swaps.differing and self._verdicts_differ():
            yield "judge"

    @functools.cached_property
    def _data_factor(self) -> str | None:
        """What differs of the case beside what is asked: its reference, or only what stands beside it."""
        one, other = (side.item for side in self.of)
        if one.case.expected_output != other.case.expected_output:
            return REFERENCES
        beside = [(item.case.metadata, item.dataset_metadata) for item in (one, other)]
        return METADATA if beside[0] != beside[1] else None

    @functools.cached_property
    def answers_factors(self) -> tuple[str, ...]:
        """What the answers differ by: nothing, one thing, or two halves of it that are known apart."""
        if self._mixed:
            answers = [*self._mixed.values()]
            same = all(self._same_answer(answers[0][index], each[index]) for each in answers for index in answers[0])
            return () if same else self.swaps.parts
        return () if self._answers_factor is None else (self._answers_factor,)

    @functools.cached_property
    def _mixed(self) -> Mapping[tuple[Side, Side], Candidates]:
        """The answers by the sides of both halves of what they differ by, where those of all four are there."""
        one, other = self.of
        settled = self._unscored == (frozenset(), frozenset()) and self.only is None
        alike = one.item.case.input == other.item.case.input and "samples" not in self.swaps.differing
        if not (self.swaps.parts and settled and alike):
            return {}
        wanted = set(one.state.candidates)
        found: dict[tuple[Side, Side], Candidates] = {
            (0, 0): one.state.candidates,
            (1, 1): other.state.candidates,
            **self.swaps.mixed(one.item),
        }
        there = len(found) == 4 and all(wanted <= set(each) for each in found.values())
        return {sides: {at: each[at] for at in wanted} for sides, each in found.items()} if there else {}

    @functools.cached_property
    def _answers_factor(self) -> str | None:
        if self.only is not None or self._forced is not None:
            return None
        inputs_differ = self.of[0].item.case.input != self.of[1].item.case.input
        of_a, of_b = (side.state.candidates for side in self.of)
        pairs = [(of_a[index], of_b[index]) for index in of_a if index in of_b]
        differing = [(one, other) for one, other in pairs if not self._same_answer(one, other)]
        if inputs_differ:
            generation = self.swaps.generation
            return INPUTS if self.swaps.asked_alike else f"{INPUTS}{TOGETHER}{generation}"
        if not differing:
            return None
        if self.swaps.only_the_length_differs or all(
            one.is_truncated != other.is_truncated for one, other in differing
        ):
            return CUT
        if all(_differ_by_reasoning(one, other) for one, other in differing):
            return REASONING
        return PREFIX if all(_goes_on(one, other) for one, other in differing) else self.swaps.generation

    def _same_answer(self, one: GenerationResult, other: GenerationResult) -> bool:
        return bool(_answer(one, whole=self._reads_candidates) == _answer(other, whole=self._reads_candidates))

    @functools.cached_property
    def _reads_candidates(self) -> bool:
        able = [each.components.metric.get(each.metric_id) for each in (self.swaps.a, self.swaps.b)]
        return any(metric is not None and bool(metric.reads_candidates) for metric in able)

    @functools.cached_property
    def _unscored(self) -> tuple[frozenset[int], frozenset[int]]:
        """Which rows of each run an error of the run's own left without a score."""
        one, other = (
            frozenset(n for n, row in enumerate(side.rows) if row.error_category in _OF_THE_RUN) for side in self.of
        )
        return one, other

    @functools.cached_property
    def _forced(self) -> Side | None:
        """The run whose answers and verdicts alone are there, as the other one has no score of this case."""
        gone = [len(lost) == len(side.rows) > 0 for lost, side in zip(self._unscored, self.of, strict=True)]
        return None if gone[0] == gone[1] else 0 if gone[1] else 1

    def _verdicts_differ(self) -> bool:
        """Tell whether a judge who was asked the same said something else."""
        if self.only is not None or self._forced is not None:
            return False
        one, other = ({key: each.raw_response for key, each in self._verdicts(side).items()} for side in (0, 1))
        return any(other.get(key, said) != said for key, said in one.items())

    # --- one combination ----------------------------------------------------------------------------------

    def scores(self, sides: Sides) -> Tally:
        """Return the scores of a combination.

        Raises:
            UnknownScoreError: they are not known.
        """
        chosen = dict(sides)
        lone = self.only if self.only is not None else self._forced
        if lone is not None:  # what the other run has of it is nothing
            chosen["answers"] = lone
            if self._forced is not None:
                chosen["judge"] = chosen["samples"] = lone
        else:
            # Of equal answers those are taken that have the samples which are asked for.
            *_, factor = "samples", *self.answers_factors
            chosen["answers"] = chosen.get(factor, 0)
        chosen |= {setting: chosen.get(leading, 0) for setting, leading in self.swaps.follows.items()}
        rows = self._rows(chosen)
        failing = chosen.get(ERRORS, 0)
        if self._forced is not None and failing != self._forced:
            return 0.0, 0
        lost = frozenset[int]() if self.only is not None else self._unscored[failing]
        return tally([row for number, row in enumerate(rows) if number not in lost])

    def has_samples_for(self, side: Side) -> bool:
        other = (self.swaps.b, self.swaps.a)[side].snapshot.identity
        return len(self.of[side].state.candidates) >= candidate_count(other.candidate_policy)

    def _rows(self, chosen: dict[str, Side]) -> list[BenchmarkScoreRow]:
        hybrid = self.swaps.hybrid(chosen)
        run, item = hybrid.run, self._item(chosen, chosen.get("metric", 0))
        state = changed(
            new_state(item.case.case_id, item.dataset_id, item.case_key), candidates=self._candidates(chosen, run)
        )
        if len(state.candidates) < run.plan.candidate_count and run.plan.is_reduced:
            return []  # neither run has all that the one answer is made of
        if run.plan.is_reduced:
            state = self._one_answer(chosen, run, state)
            if state.reduced is not None:
                state = self._scored(chosen, hybrid, self._parsed(chosen, run, state, None), None)
        elif not hybrid.metric.is_of_answers:
            state = self._scored(chosen, hybrid, state, None)
        else:
            answers = {}
            for index, candidate in state.candidates.items():
                lane = self._parsed(chosen, run, answer_state(state, index), index)
                answers[candidate.candidate_id] = self._scored(chosen, hybrid, lane, index)
            state = changed(state, answers=answers)
        return list(score_rows(run.plan, state, hybrid.thresholds))

    def _item(self, chosen: Mapping[str, Side], of: Side) -> CaseItem:
        """Return the case as it is asked about: named as in one of the runs, for seeds are made of its name."""
        key = of, chosen.get(self._data_factor or REFERENCES, 0), chosen["answers"]
        if key not in self._items:
            named, data, asked = (self.of[side].item for side in key)
            case = Case(
                case_id=named.case.case_id,
                input=asked.case.input,
                expected_output=data.case.expected_output,
                metadata=data.case.metadata,
            )
            self._items[key] = attrs.evolve(named, case=case, dataset_metadata=data.dataset_metadata)
        return self._items[key]

    def _candidates(self, chosen: Mapping[str, Side], run: Run) -> dict[int, GenerationResult]:
        if self._mixed and self.answers_factors:
            first, second = (chosen.get(part, 0) for part in self.swaps.parts)
            return dict(self._mixed[first, second])
        side = chosen["answers"]
        own, other = self.of[side].state.candidates, self.of[1 - side].state.candidates
        drawn = candidate_count((self.swaps.a, self.swaps.b)[side].snapshot.identity.candidate_policy)
        found = {}
        for index in range(run.plan.candidate_count):
            if index in own:
                found[index] = own[index]
            elif index in other and index < drawn:  # the run's own failed, which is a factor of its own
                found[index] = other[index]
            elif index >= drawn and self.only is None:
                raise UnknownScoreError()  # what samples do is taken from the run that has them
        return found

    # --- stages -------------------------------------------------------------------------------------------

    def _stored(self, setting: Setting, chosen: Mapping[str, Side], *others: Setting) -> Iterator[CaseSide]:
        """Yield the runs whose outcomes are those of a setting, and of others that the stage reads."""
        first = chosen.get(setting, 0)
        for side in (first, 1 - first):
            if side != self._absent and all(self._is_of(each, chosen, side) for each in (setting, *others)):
                yield self.of[side]

    def _is_of(self, setting: Setting, chosen: Mapping[str, Side], side: int) -> bool:
        return chosen.get(setting, 0) == side or (setting not in self.swaps.differing and setting not in chosen)

    @property
    def _absent(self) -> int | None:
        """The run that does not have the case, if one does not."""
        return None if self.only is None else 1 - self.only

    def _one_answer(self, chosen: Mapping[str, Side], run: Run, state: CaseState) -> CaseState:
        first, *others = CHOICES
        for stored in self._stored(first, chosen, *others, "parser"):
            made = without_stages(stored.state, "parse")
            if self._same_candidates(made, state) and not _before_parse(run, made):
                return changed(state, **{name: getattr(made, name) for name in made.__dict__ if name not in _OWN})
        while steps := _before_parse(run, state):
            for step in steps:
                state = self._done(chosen, run, state, step)
        return state

    def _same_candidates(self, stored: CaseState, state: CaseState) -> bool:
        one, other = candidates_of(stored), candidates_of(state)
        return len(one) == len(other) and all(map(self._same_answer, one, other))

    def _parsed(self, chosen: Mapping[str, Side], run: Run, state: CaseState, index: int | None) -> CaseState:
        assert state.reduced is not None  # what is parsed was reduced
        for stored in self._stored("parser", chosen):
            for seen in _answers(stored.state):
                same = seen.reduced is not None and seen.reduced.final_output == state.reduced.final_output
                if same and (seen.parsed is not None or seen.parse_failure is not None):
                    return changed(
                        state, parsed=seen.parsed, parser_id=seen.parser_id, parse_failure=seen.parse_failure
                    )
        return self._done(chosen, run, state, Step("parse", answer=index))

    def _scored(self, chosen: Mapping[str, Side], hybrid: Hybrid, state: CaseState, index: int | None) -> CaseState:
        run, name = hybrid.run, hybrid.metric.metric_id
        if hybrid.metric.is_of_answers and (state.parsed is None or not state.parsed.usable):
            return state
        for stored in self._stored("metric", chosen, "judge"):
            if _about(stored.item) != _about(self._item(chosen, 0)):
                continue
            for seen in _answers(stored.state) if hybrid.metric.is_of_answers else (stored.state,):
                if self._saw_the_same(seen, state) and any(name in held for held in _outcomes(seen)):
                    return changed(
                        state,
                        scores=seen.scores,
                        score_failures=seen.score_failures,
                        executions=seen.executions,
                        evaluation_failures=seen.evaluation_failures,
                    )
        stage: Stage = hybrid.metric.stage
        return self._done(chosen, run, state, Step(stage, 0, name, index))

    def _saw_the_same(self, seen: CaseState, state: CaseState) -> bool:
        return seen.parsed == state.parsed and self._same_candidates(seen, state)

    def _done(self, chosen: Mapping[str, Side], run: Run, state: CaseState, step: Step) -> CaseState:
        row = ROWS[step.stage]
        if not row.at_hand(run, step):
            raise UnknownScoreError(lacking=_needed(run, step))
        judging: Side = chosen.get("judge", 0)
        item = self._item(chosen, chosen.get("metric", 0) if step.stage == "score" else judging)
        verdicts = self._verdicts(judging)

        def recalled(key: str) -> Recalled | None:
            response = verdicts.get(key)
            if response is None:
                return self.swaps.recall(judging, key)
            event = StepCompletedEvent(
                run_id=run.plan.run_id,
                occurred_at=run.clock(),
                case_id=item.case.case_id,
                dataset_id=item.dataset_id,
                case_key=item.case_key,
                workflow_id=step.metric_id or step.stage,
                step_id=key,
                step_type=JUDGE_STEP,
                output=response.to_dict(),
            )
            return Recalled(event, run.plan.run_id)

        event: CaseRunEvent = driven(row.program(run, item, state, step), recalled)
        return apply(state, event)

    def _verdicts(self, side: Side) -> Mapping[str, JudgeResponse]:
        """Return what the judges of a run said of this case, by the cache keys of the calls."""
        if side == self._absent:
            return EMPTY
        if side not in self._said_by:
            own = (self.swaps.a, self.swaps.b)[side]
            fingerprints = {ref.component_id: ref.fingerprint for ref in own.snapshot.identity.judge_model_refs}
            found: dict[str, JudgeResponse] = {}
            for execution in _executions(own.snapshot, self.of[side].state):
                found |= dict(said_by_judges(execution, fingerprints))
            self._said_by[side] = found
        return self._said_by[side]


def _answers(state: CaseState) -> tuple[CaseState, ...]:
    """Return the states of what was parsed of a case: its answers, or the one that it was reduced to."""
    return tuple(state.answers.values()) or (state,)


def _outcomes(state: CaseState) -> tuple[Mapping[str, Any], ...]:
    return state.scores, state.score_failures, state.executions, state.evaluation_failures


def _about(item: CaseItem) -> tuple[Any, ...]:
    case = item.case
    return case.input, case.expected_output, case.metadata, item.dataset_metadata


def _answer(result: GenerationResult, *, whole: bool) -> Any:
    """Return what of a generation parsers and metrics read."""
    if whole:
        return reproducible_part(result, frozenset({"request", "model"})), result.latency_ms
    return result.final_output, result.trace, result.conversation


def _executions(snapshot: RunSnapshot, state: CaseState) -> Iterator[EvaluationExecution]:
    """Yield all workflows of a case: those of metrics, and of whatever else asked a judge."""
    for _, _, outcome in settled_steps(make_plan(snapshot), state):
        told = (outcome, *attrs.astuple(cast(Any, outcome), recurse=False))
        yield from (each for each in told if isinstance(each, EvaluationExecution))


_OWN: Final = frozenset({"case_id", "dataset_id", "case_key", "candidates", "steps", "failed_steps", "labels"})
"""What of a state names it, and what was asked for on the way: neither goes over to another."""


def _before_parse(run: Run, state: CaseState) -> tuple[Step, ...]:
    """Return what is still to be done before there is an answer to parse."""
    steps = next_steps(run.plan, state)
    return tuple(step for step in steps if STAGE_ORDER.index(step.stage) < STAGE_ORDER.index("parse"))


def _needed(run: Run, step: Step) -> list[str]:
    if step.metric_id:
        return [step.metric_id]
    refs = getattr(run.identity, ROWS[step.stage].identity[0])
    there = {each.component_id for each in run.components}
    return [ref.component_id for ref in (refs if isinstance(refs, tuple) else (refs,)) if ref.component_id not in there]


# --- what answers differ by -------------------------------------------------------------------------------


def _goes_on(one: GenerationResult, other: GenerationResult) -> bool:
    """Tell whether one answer goes on where the other one ends."""
    texts = [each.final_output.strip() for each in (one, other) if isinstance(each.final_output, str)]
    short, whole = sorted(texts, key=len) if len(texts) == 2 else ("", "")
    return bool(short) and whole.startswith(short)


def _differ_by_reasoning(one: GenerationResult, other: GenerationResult) -> bool:
    """Tell whether answers are the same but for reasoning that was left in one of them, or for its marks."""
    if not isinstance(one.final_output, str) or not isinstance(other.final_output, str):
        return False
    stripped = [strip_reasoning(text) for text in (one.final_output, other.final_output)]
    return any(each.stripped for each in stripped) and stripped[0].text.strip() == stripped[1].text.strip()
