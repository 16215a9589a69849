"""Why do these two numbers differ? The means of two stored runs, their difference attributed to what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from themis.api.arguments import checked
from themis.api.differences.reading import Place, SwappedRuns, Tokens
from themis.api.runs.compare import labels_of_two
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.effects.prices import known_prices
from themis.pure.abilities import Abilities
from themis.pure.attribution import Attribution, attribute
from themis.pure.compilation import whole_name
from themis.pure.errors import DataError, SpecError
from themis.pure.estimate import JUDGE_OUTPUT_TOKENS, rough_tokens
from themis.pure.json import EMPTY
from themis.pure.pipeline.effects import Ask
from themis.pure.pipeline.stored_only import NOT_RUN
from themis.pure.pipeline.swaps import (
    METADATA,
    REFERENCES,
    SETTINGS,
    TOGETHER,
)
from themis.pure.plan import CaseItem, candidate_count
from themis.pure.protocols import RunStore
from themis.pure.records.difference import CaseShare, DifferenceExplanation, FactorShare, HowKnown, NewCalls
from themis.pure.records.prompt import text_of
from themis.pure.report.differing import (
    CHANCE,
    Change,
    setting_change,
    title_of,
)
from themis.pure.state import CaseState, candidates_of
from themis.pure.usage import Price, Prices

if TYPE_CHECKING:
    from themis.api.experiment.experiment import Experiment

_NOTHING: Final = 1e-12
"""A share of a case that is no larger comes of rounding."""


@checked
def explain_difference(
    store_a: RunStore | Storage,
    run_a: str,
    store_b: RunStore | Storage,
    run_b: str,
    metric_id: str | None = None,
    *,
    metric_b: str | None = None,
    experiments: Sequence[Experiment] = (),
    label_a: str | None = None,
    label_b: str | None = None,
    cases: int = 5,
    prices: Prices = EMPTY,
) -> DifferenceExplanation:
    """Say why two runs' means of a metric differ: how much each thing that differs did, and in which cases.

    Data, errors, prompt, model, samples, selector, reducer, parser, metric, judge and what unparsed answers count as
    are swapped from the first run's to the second's one at a time, over stored answers: stages after generation are
    computed again, and judgments are taken from what is recorded. Nobody is asked anything, and nothing is written. The
    share of a factor is its Shapley value: what it changes the mean by, averaged over all orders of swapping. So the
    shares sum to the difference.

    Cases are paired by their keys and by what they ask. What can't be told apart by stored answers, such as a prompt
    and a model that both differ, has one share together, with the calls that would tell.

    Args:
        store_a: where the first run is kept.
        run_a: its id.
        store_b: where the second run is kept; may be the same store.
        run_b: its id.
        metric_id: the metric; not needed if the runs share one alone. `builtin/` before its name may be left out.
        metric_b: the metric of the second run, where its number is of another one.
        experiments: where components come from that are neither builtins nor can be imported by their ids.
        label_a: what to call the first run; by default the start of its id.
        label_b: what to call the second run.
        cases: how many cases to show with each factor, at most.
        prices: US dollars per million tokens, before those of the price table:
            `{"vllm/my-model": {"prompt": 0.1, "completion": 0.4}}`.

    Raises:
        RunNotFoundError: a store has no such run.
        DataError: a run lacks the metric or has no score of it, or the metric was not named and has to be.

    Source: Shapley (1953), A value for n-person games.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"input": f"{n} or 7?", "expected_output": str(n)} for n in range(40)]
    >>> all_cases, first_half = (
    ...     evaluate(model="builtin/demo_model", data=data, metric="builtin/exact_match", store=store).run_id
    ...     for data in (rows, rows[:20])
    ... )
    >>> found = explain_difference(store, all_cases, store, first_half)
    >>> [(each.factor, each.before, each.known) for each in found.factors]
    [('cases', '20 in a alone', 'stored answers')]
    >>> round(found.shares["cases"] - found.difference, 9)
    0.0
    """
    if cases < 0:
        raise SpecError(f"cases: a number from 0 up expected, found {cases}")
    stores = at_hand(store_a), at_hand(store_b)
    views = RunView.of(stores[0], run_a), RunView.of(stores[1], run_b)
    metrics = _metrics(views, metric_id, metric_b)
    found = _Telling(SwappedRuns.read(stores, views, metrics, list(_components_of(experiments))))
    return found.explanation(labels_of_two(run_a, run_b, label_a, label_b), cases, known_prices(prices))


def _components_of(experiments: Any) -> Iterator[Abilities]:
    """Yield the components of all experiments, which the checks of arguments do not know the type of."""
    for experiment in experiments if isinstance(experiments, Iterable) else (experiments,):
        if not hasattr(experiment, "components") or isinstance(experiment, type):
            raise SpecError(
                f"explain_difference: experiments has a {type(experiment).__name__}; allowed: a list of Experiment"
            )
        yield from experiment.components()


def shared_metrics(a: RunView, b: RunView) -> list[str]:
    """Return the metrics that both runs have."""
    in_b = {metric.metric_id for metric in b.metrics}
    return [metric.metric_id for metric in a.metrics if metric.metric_id in in_b]


def _metrics(views: tuple[RunView, RunView], metric_id: str | None, metric_b: str | None) -> tuple[str, str]:
    """Return the metric of each run.

    Raises:
        DataError: a run does not have it, or several could be meant.
    """
    there = [[metric.metric_id for metric in view.metrics] for view in views]
    for view, names in zip(views, there, strict=True):
        if not names:
            raise DataError(
                f"run {view.run_id[:12]} has no metric, and so no mean to explain: score it first, "
                f"themis score {view.run_id[:12]} --metric ..."
            )
    if metric_id is not None or metric_b is not None:
        wanted = metric_id or metric_b or "", metric_b or metric_id or ""
        try:
            a, b = (whole_name(name, names) for name, names in zip(wanted, there, strict=True))
        except SpecError as error:
            raise DataError(f"{error}; score a run by it first: themis score RUN --metric ...") from None
        return a, b
    shared = shared_metrics(*views)
    if len(shared) == 1:
        return shared[0], shared[0]
    if not shared and len(there[0]) == len(there[1]) == 1:
        return there[0][0], there[1][0]
    if shared:
        raise DataError(f"name one metric that both runs have, of {', '.join(shared)}")
    raise DataError(f"the runs share no metric; name one of each: {', '.join(there[0])}; {', '.join(there[1])}")


# --- telling ----------------------------------------------------------------------------------------------


@attrs.frozen
class _Telling:
    """What two runs that were read side by side come to."""

    runs: SwappedRuns

    def explanation(self, labels: tuple[str, str], most: int, price: Price) -> DifferenceExplanation:
        for view, scored in zip(self.runs.views, self.runs.facts.scored, strict=True):
            if not scored:
                raise DataError(f"run {view.run_id[:12]} has no score of the metric: there is no mean to explain")
        found = attribute(self.runs.tables)
        shares = dict.fromkeys((*self._quiet(), *found.shares), 0.0) | dict(found.shares)
        combinations = found.combinations
        if shares.get(METADATA) == 0.0:  # which metrics seldom read
            del shares[METADATA]
            combinations //= 2
        order = sorted(shares, key=lambda factor: -abs(shares[factor]))
        a, b = self.runs.views
        ranges = [
            next(each.score_range for each in view.metrics if each.metric_id == metric)
            for view, metric in zip(self.runs.views, self.runs.metrics, strict=True)
        ]
        return DifferenceExplanation(
            run_a=a.run_id,
            run_b=b.run_id,
            label_a=labels[0],
            label_b=labels[1],
            metric_a=self.runs.metrics[0],
            metric_b=self.runs.metrics[1],
            mean_a=found.mean_a,
            mean_b=found.mean_b,
            scored_a=self.runs.facts.scored[0],
            scored_b=self.runs.facts.scored[1],
            shared_cases=self.runs.facts.shared,
            factors=[self._factor(factor, shares[factor], found, most, price) for factor in order],
            combinations=combinations,
            is_exact=found.is_exact,
            score_range=ranges[0] if ranges[0] == ranges[1] else None,
            notes=tuple(self._notes()),
        )

    def _quiet(self) -> Iterator[str]:
        """Yield what differs between the runs, whether or not a case shows it."""
        seen = {name for table in self.runs.tables for each in table.factors for name in each.split(TOGETHER)}
        if self.runs.generation.changes and not seen & {*self.runs.generation.changes, "cut", "reasoning", "inputs"}:
            yield self.runs.generation.factor
        yield from (setting for setting in self.runs.swaps.differing if setting not in seen)

    def _notes(self) -> Iterator[str]:
        lacking = dict.fromkeys(name for names in self.runs.facts.lacking.values() for name in names)
        components = [name for name in lacking if name != NOT_RUN]
        if components:
            yield (
                f"not at hand, so that what they do can't be told apart: {', '.join(components)}; pass the experiments "
                "that they are of (--config)"
            )
        if NOT_RUN in lacking:
            yield "programs that neither run has run can't be scored offline: what rests on them is told together"
        for view, label in zip(self.runs.views, "ab", strict=True):
            status = view.status(lambda: False).value
            if status not in ("completed", "partial_failure"):
                yield f"run {label} is not complete ({status}): run it again, and the figures may change"

    def _factor(self, factor: str, share: float, found: Attribution, most: int, price: Price) -> FactorShare:
        parts = [
            (place, table, of_case[table.factors.index(factor)])
            for place, table, of_case in zip(self.runs.places, self.runs.tables, found.cases, strict=True)
            if factor in table.factors
        ]
        behind = sorted((each for each in parts if abs(each[2]) > _NOTHING), key=lambda each: -abs(each[2]))
        before, after = self._change(factor)
        known, new_calls = self._known(factor, len(parts), price)
        if known == "recomputed" and all(table.factors == (factor,) for _, table, _ in parts):
            known = "stored answers"  # nothing else differs: both runs stored what it comes to
        return FactorShare(
            factor=factor,
            title=title_of(factor),
            before=before,
            after=after,
            share=share,
            raised=sum(part > 0 for _, _, part in behind),
            lowered=sum(part < 0 for _, _, part in behind),
            known=known,
            notes=tuple(self._factor_notes(factor, len(parts))),
            new_calls=new_calls,
            cases=[self._case(place, part) for place, _, part in behind[:most]],
        )

    def _change(self, factor: str) -> Change:
        changes = [self._one_change(name) for name in factor.split(TOGETHER)]
        return "; ".join(before for before, _ in changes if before), "; ".join(after for _, after in changes if after)

    def _one_change(self, name: str) -> Change:
        facts = self.runs.facts
        if name in self.runs.generation.changes:
            return self.runs.generation.changes[name]
        if name in SETTINGS:
            return setting_change(self.runs.swaps, name)
        match name:
            case "cases":
                found = [
                    f"{len(only):,} in {side} alone" + (f", {again:,} of them ask what others ask" if again else "")
                    for side, only, again in zip("ab", facts.only, facts.repeated, strict=True)
                ]
                return found[0], found[1]
            case "errors":
                told = [", ".join(f"{n:,} {what}" for what, n in each.items()) or "none" for each in facts.errors]
                return told[0], told[1]
            case "references":
                return f"those of a ({facts.edited:,} differ)", "those of b"
            case "inputs" if facts.asked is not None:
                return repr(facts.asked[0]), repr(facts.asked[1])
            case "cut" | "reasoning":
                said = self.runs.generation.changes.values()
                return "; ".join(before for before, _ in said), "; ".join(after for _, after in said)
        return "", ""

    def _factor_notes(self, factor: str, cases: int) -> Iterator[str]:
        names = factor.split(TOGETHER)
        if {"cut", "reasoning", "inputs"} & {*names} or {*names} & {*self.runs.generation.changes} or CHANCE in names:
            yield f"the answers of {cases:,} cases differ"
        if self.runs.mixed is not None and factor in self.runs.generation.halves:
            others = " and ".join(view.run_id[:12] for view, _ in self.runs.mixed.runs.values())
            yield f"answers by the prompt of one run and the model of the other are those of {others}"
        if "samples" in names and self.runs.generation.changes:
            yield "further samples are taken to change scores in one run as they do in the other, which alone has them"
        yield from (f"{name} is not at hand" for name in self.runs.facts.lacking.get(factor, ()) if TOGETHER in factor)

    # --- how it is known, and what is not -----------------------------------------------------------------

    def _known(self, factor: str, cases: int, price: Price) -> tuple[HowKnown, NewCalls | None]:
        if self.runs.facts.asks.get(factor):
            return "needs new calls", self._judge_calls(self.runs.facts.asks[factor].values(), price)
        if self.runs.facts.lacking.get(factor):
            return "not at hand", None
        names = factor.split(TOGETHER)
        if len(names) > 1:
            return "needs new calls", self._hybrid_calls(names, price)
        if (factor in SETTINGS and factor != "judge") or factor in (REFERENCES, METADATA):
            return "recomputed", None
        if factor in self.runs.generation.changes or factor == CHANCE:
            return "stored answers", self._again(price) if cases else None
        return "stored answers", None

    def _generation_calls(self) -> int:
        counts = [candidate_count(view.snapshot.identity.candidate_policy) for view in self.runs.views]
        return self.runs.facts.shared * min(counts)

    def _cost(self, calls: int, price: Price) -> float | None:
        """Return what calls to both models would cost, as many to the one as to the other."""
        models = [view.snapshot.identity.generator_ref.component_id for view in self.runs.views]
        each = [
            tokens.cost(model, calls, price) for tokens, model in zip(self.runs.facts.generated, models, strict=True)
        ]
        known = [cost for cost in each if cost is not None]
        return sum(known) / len(known) if len(known) == len(each) else None

    def _hybrid_calls(self, names: Sequence[str], price: Price) -> NewCalls:
        calls = (2 ** len(names) - 2) * self._generation_calls()
        why = f"{' and '.join(map(title_of, names))} apart (all combinations, over the shared cases)"
        return NewCalls(calls=calls, cost=self._cost(calls, price), why=why)

    def _again(self, price: Price) -> NewCalls:
        calls = 2 * self._generation_calls()
        why = "how much of it is chance (both models, asked for new samples)"
        return NewCalls(calls=calls, cost=self._cost(calls, price), why=why)

    def _judge_calls(self, asked: Iterable[Ask], price: Price) -> NewCalls:
        total: float | None = 0.0
        count = 0
        for ask in asked:
            count += 1
            prompt: Any = ask.request
            tokens = Tokens(rough_tokens(text_of(prompt["prompt"])), JUDGE_OUTPUT_TOKENS, 1)
            usual = self.runs.facts.judged.get(ask.of.component_id, tokens)
            cost = (usual if usual.calls else tokens).cost(ask.of.component_id, 1, price)
            total = None if total is None or cost is None else total + cost
        why = "them apart (the judge of each run, asked about the other's answers)"
        return NewCalls(calls=count, cost=total, why=why)

    # --- cases --------------------------------------------------------------------------------------------

    def _case(self, place: Place, part: float) -> CaseShare:
        a, b = (
            _shown(view, metric, item)
            for view, metric, item in zip(self.runs.views, self.runs.metrics, (place.a, place.b), strict=True)
        )
        item = place.a or place.b
        assert item is not None
        return CaseShare(
            case_a=place.a.case_key if place.a is not None else None,
            case_b=place.b.case_key if place.b is not None else None,
            share=part,
            input=item.case.input,
            **{f"{name}_a": value for name, value in a.items()},
            **{f"{name}_b": value for name, value in b.items()},
        )


def _shown(view: RunView, metric: str, item: CaseItem | None) -> dict[str, Any]:
    if item is None:
        return {}
    state = view.state_of(item)
    rows = [row for row in view.rows_of(state) if row.metric_id == metric]
    values = [row.value for row in rows if row.value is not None]
    errors = [row.error_message or row.error_category for row in rows if row.error_category is not None]
    return {
        "score": sum(values) / len(values) if values else None,
        "expected": item.case.expected_output,
        "answer": _one_or_all([each.final_output for each in candidates_of(state)]),
        "parsed": _one_or_all([each.parsed.value for each in _read(state) if each.parsed is not None]),
        "error": errors[0] if errors else None,
    }


def _read(state: CaseState) -> Sequence[CaseState]:
    return tuple(state.answers.values()) or (state,)


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values or None
