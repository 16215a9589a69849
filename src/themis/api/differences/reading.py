"""Two stored runs, read side by side: each case under all combinations of what differs between them."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import attrs

from themis.api.experiment.verify import components_at_hand
from themis.api.runs.view import RunView
from themis.effects.reading import recalled
from themis.pure.abilities import Abilities
from themis.pure.attribution import SwappedCase
from themis.pure.estimate import rough_tokens
from themis.pure.json import JSONValue
from themis.pure.pairing import asks, same_cases
from themis.pure.pipeline.effects import Ask, Recalled
from themis.pure.pipeline.swap_tables import Swapped, swapped_pair, swapped_single, told_cuts
from themis.pure.pipeline.swaps import (
    ERRORS,
    PREFIX,
    REFERENCES,
    TOGETHER,
    Candidates,
    CaseSide,
    RunSide,
    Side,
    Swaps,
)
from themis.pure.plan import CaseItem
from themis.pure.protocols import RunStore
from themis.pure.records.prompt import text_of
from themis.pure.report.differing import (
    Generation,
)
from themis.pure.report.settings import setting_text
from themis.pure.usage import COMPLETION_TOKENS, PROMPT_TOKENS, Price, call_cost


@attrs.define
class Tokens:
    """What calls to a model took: the sums of tokens over those that say it, and how many these are."""

    prompt: float = 0
    completion: float = 0
    calls: int = 0

    def add(self, usage: Mapping[str, int] | None, asked: JSONValue, answer: JSONValue) -> None:
        """Count a call; by the length of its texts, if it does not say what it took."""
        known = usage is not None and PROMPT_TOKENS in usage and COMPLETION_TOKENS in usage
        self.prompt += usage[PROMPT_TOKENS] if known and usage else rough_tokens(text_of(asked))
        self.completion += usage[COMPLETION_TOKENS] if known and usage else rough_tokens(text_of(answer))
        self.calls += 1

    def cost(self, model: str, calls: int, price: Price) -> float | None:
        """Return what so many more calls would cost."""
        if not self.calls:
            return None
        usage = {
            PROMPT_TOKENS: round(self.prompt / self.calls),
            COMPLETION_TOKENS: round(self.completion / self.calls),
        }
        each = call_cost(model, usage, price)
        return None if each is None else each * calls


@attrs.define
class Facts:
    """What is counted of the runs on the way."""

    only: tuple[list[str], list[str]] = attrs.Factory(lambda: ([], []))
    repeated: list[int] = attrs.Factory(lambda: [0, 0])
    errors: tuple[Counter[str], Counter[str]] = attrs.Factory(lambda: (Counter(), Counter()))
    scored: list[int] = attrs.Factory(lambda: [0, 0])
    edited: int = 0
    shared: int = 0
    asked: tuple[str, str] | None = None
    generated: tuple[Tokens, Tokens] = attrs.Factory(lambda: (Tokens(), Tokens()))
    judged: dict[str, Tokens] = attrs.Factory(lambda: defaultdict(Tokens))
    asks: dict[str, dict[str, Ask]] = attrs.Factory(lambda: defaultdict(dict))
    lacking: dict[str, dict[str, None]] = attrs.Factory(lambda: defaultdict(dict))

    def add(self, side: Side, case: CaseSide) -> None:
        self.scored[side] += sum(row.value is not None for row in case.rows)
        for candidate in case.state.candidates.values():
            self.generated[side].add(candidate.token_usage, case.item.case.input, candidate.final_output)
        for execution in (e for seen in (case.state, *case.state.answers.values()) for e in seen.executions.values()):
            for prompt, said in zip(execution.rendered_prompts, execution.judge_responses, strict=False):
                self.judged[said.judge_model_id].add(said.token_usage, prompt.content, said.raw_response)


@attrs.frozen
class Place:
    """Where a case stands in each run: its number and its key, if the run has it."""

    a: CaseItem | None
    b: CaseItem | None


@attrs.frozen
class Mixed:
    """Other stored runs that were made with the prompt of one of the two runs and the model of the other.

    Attributes:
        runs: by the side of the prompt and that of the model: the run, and its cases by key.
    """

    runs: Mapping[tuple[Side, Side], tuple[RunView, Mapping[str, CaseItem]]]

    @classmethod
    def found(cls, stores: tuple[RunStore, RunStore], views: tuple[RunView, RunView]) -> Mixed | None:
        """Look for both in the stores; one alone would not tell what the halves do in either order."""
        identities = [view.snapshot.identity for view in views]
        runs: dict[tuple[Side, Side], tuple[RunView, Mapping[str, CaseItem]]] = {}
        wanted: tuple[tuple[Side, Side], ...] = ((0, 1), (1, 0))
        for store in dict.fromkeys(stores):
            for run in store.list_runs():
                snapshot = store.load_snapshot(run.run_id)
                identity = snapshot.identity
                for prompt, model in wanted:
                    is_wanted = (
                        (prompt, model) not in runs
                        and identity.generation_prompt_spec == identities[prompt].generation_prompt_spec
                        and identity.generator_ref == identities[model].generator_ref
                        and identity.seeds == identities[model].seeds
                    )
                    if is_wanted:
                        view = RunView(snapshot=snapshot, store=store)
                        runs[prompt, model] = view, {item.case_key: item for item in view.items()}
        return cls(runs) if len(runs) == len(wanted) else None

    def __call__(self, item: CaseItem) -> dict[tuple[Side, Side], Candidates]:
        """Return the answers to a case that these runs have."""
        made = {}
        for sides, (view, items) in self.runs.items():
            same = items.get(item.case_key)
            if same is not None and same.case.input == item.case.input:
                made[sides] = view.state_of(same).candidates
        return made


@attrs.frozen
class SwappedRuns:
    views: tuple[RunView, RunView]
    metrics: tuple[str, str]
    swaps: Swaps
    generation: Generation
    mixed: Mixed | None = None
    places: list[Place] = attrs.field(factory=list)
    tables: list[SwappedCase] = attrs.field(factory=list)
    facts: Facts = attrs.field(factory=Facts)

    @classmethod
    def read(
        cls,
        stores: tuple[RunStore, RunStore],
        views: tuple[RunView, RunView],
        metrics: tuple[str, str],
        given: Sequence[Abilities],
    ) -> SwappedRuns:
        sides = [
            RunSide(view.snapshot, components_at_hand(view.snapshot, given)[0], metric)
            for view, metric in zip(views, metrics, strict=True)
        ]
        generation = Generation.of(views[0].snapshot, views[1].snapshot)

        @functools.cache
        def recall(side: Side, key: str) -> Recalled | None:
            found = (recalled(store, key) for store in (stores[side], stores[1 - side]))
            return next((each for each in found if each is not None), None)

        mixed = Mixed.found(stores, views) if generation.halves else None
        swaps = Swaps(
            sides[0],
            sides[1],
            recall,
            generation.factor,
            only_the_length_differs=generation.is_length,
            asked_alike=not generation.changes,
            parts=() if mixed is None else generation.halves,
            **({} if mixed is None else {"mixed": mixed}),
        )
        made = cls(views, metrics, swaps, generation, mixed)
        made._read()
        return made._with_cuts_told()

    def _with_cuts_told(self) -> SwappedRuns:
        name = told_cuts(self.tables, self.generation.factor)
        for factor in [each for each in self.facts.asks if PREFIX in each]:
            self.facts.asks[factor.replace(PREFIX, name)] |= self.facts.asks.pop(factor)
            self.facts.lacking[factor.replace(PREFIX, name)] |= self.facts.lacking.pop(factor)
        tables = [
            attrs.evolve(table, factors=tuple(each.replace(PREFIX, name) for each in table.factors))
            for table in self.tables
        ]
        return attrs.evolve(self, tables=tables)

    def _read(self) -> None:
        """Go through the cases of both runs side by side, holding those of the second that come before their turn."""
        a, b = self.views
        same = a.snapshot.identity.dataset_refs == b.snapshot.identity.dataset_refs
        names = {item.case_key: item.case_key for item in b.items()} if same else same_cases(a.items(), b.items())
        theirs = {ours: key for key, ours in names.items()}
        known, asked = {item.case_key for item in a.items()}, Counter[str]()
        waiting: dict[str, CaseSide] = {}
        of_b = self._cases(1)
        alone: list[tuple[Side, CaseSide]] = []

        def next_of_b() -> CaseSide | None:
            case = next(of_b, None)
            if case is not None and names.get(case.item.case_key) not in known:
                alone.append((1, case))
            elif case is not None:
                waiting[case.item.case_key] = case
            return case

        for case in self._cases(0):
            mate = theirs.get(case.item.case_key)
            while mate is not None and mate not in waiting and next_of_b() is not None:
                pass
            other = waiting.pop(mate, None) if mate is not None else None
            if other is None:
                alone.append((0, case))
            else:
                asked[asks(case.item)] += 1
                self._pair(case, other)
        while next_of_b() is not None:
            pass
        alone.extend((1, case) for case in waiting.values())  # planned there, and here beyond the run's end
        for side, case in alone:
            self._single(side, case, asked)

    def _cases(self, side: Side) -> Iterator[CaseSide]:
        view, metric = self.views[side], self.metrics[side]
        for item, state in view.cases():
            case = CaseSide(item, state, tuple(row for row in view.rows_of(state) if row.metric_id == metric))
            self.facts.add(side, case)
            yield case

    def _pair(self, a: CaseSide, b: CaseSide) -> None:
        found = swapped_pair(self.swaps, a, b)
        self._keep(Place(a.item, b.item), found)
        self.facts.shared += 1
        if ERRORS in found.table.factors:
            for side, case in ((0, a), (1, b)):
                self.facts.errors[side].update(
                    row.error_category for row in case.rows if row.value is None and row.error_category is not None
                )
        self.facts.edited += REFERENCES in found.table.factors
        if self.facts.asked is None and a.item.case.input != b.item.case.input:
            self.facts.asked = (setting_text(a.item.case.input), setting_text(b.item.case.input))

    def _single(self, side: Side, case: CaseSide, asked: Counter[str]) -> None:
        self.facts.only[side].append(case.item.case_key)
        self.facts.repeated[side] += asks(case.item) in asked
        place = Place(case.item, None) if side == 0 else Place(None, case.item)
        self._keep(place, swapped_single(self.swaps, side, case))

    def _keep(self, place: Place, found: Swapped) -> None:
        self.places.append(place)
        self.tables.append(found.table)
        for factor in found.table.factors:
            if TOGETHER in factor:
                self.facts.asks[factor] |= {ask.key: ask for ask in found.asks}
                self.facts.lacking[factor] |= dict.fromkeys(found.lacking)
