"""Which models answered, by the word of the servers: an alias such as `gpt-4o` may stand for another model tomorrow."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from themis.pure.events import CaseRunEvent
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object, named_fields
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.settings import described
from themis.pure.state import CaseState

_DATED: Final = re.compile(r"[-@](?:\d{3,8}|\d{4}-\d\d(?:-\d\d)?|v\d+)")
"""What providers put behind a model's name for a version of it: gpt-4-0613, gpt-4o-2024-08-06, gemini-1.5-pro-002."""


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ServedModels(HashableModel):
    """Which models the answers to one component came from.

    Attributes:
        component_id: the generator, or a judge model.
        asked: the model that was asked for, if the component says so.
        models: how many answers each model gave, by the name that the server states, the commonest first.
        unstated: how many answers came without such a name.
    """

    component_id: str
    asked: str | None = None
    models: Mapping[str, int] = attrs.field(default=EMPTY, converter=json_object)
    unstated: int = 0

    @property
    def others(self) -> tuple[str, ...]:
        """The models that are not the one asked for, nor a dated version of it."""
        return tuple(name for name in self.models if self.asked is not None and not is_model(name, self.asked))

    def __str__(self) -> str:
        counts = [f"{name} ({_answers(count)})" for name, count in self.models.items()]
        return ", ".join([*counts, *([f"no name ({_answers(self.unstated)})"] if self.unstated else [])])


def _answers(count: int) -> str:
    return "1 answer" if count == 1 else f"{count:,} answers"


def is_model(stated: str, asked: str) -> bool:
    """Tell whether a server's name of a model means the one that was asked for, or a dated version of it.

    >>> is_model("gpt-4o-2024-08-06", "openai/gpt-4o"), is_model("gpt-4o-mini", "gpt-4o")
    (True, False)
    """
    stated, asked = (name.rpartition("/")[2].lower().removesuffix("-latest") for name in (stated, asked))
    return stated == asked or (stated.startswith(asked) and _DATED.fullmatch(stated[len(asked) :]) is not None)


class ServedCounts:
    """Counts the names that servers state, from one case at a time."""

    def __init__(self) -> None:
        self._generator: Counter[str | None] = Counter()
        self._judges: defaultdict[str, Counter[str | None]] = defaultdict(Counter)

    def add(self, state: CaseState) -> None:
        for candidate in state.candidates.values():
            self._generator[_stated(candidate.artifacts)] += 1
        for execution in _executions(state):
            for response in execution.judge_responses:
                self._judges[response.judge_model_id][_stated(response.artifacts)] += 1

    def found(self, snapshot: RunSnapshot) -> Iterator[ServedModels]:
        """Yield what was counted, for each component some of whose answers came with a name."""
        generator = snapshot.identity.generator_ref.component_id
        asked = {(place, ref.component_id): _asked(each) for place, ref, each in described(snapshot)}
        counted = [("generator", generator, self._generator)]
        counted += [("judge_models", name, counts) for name, counts in sorted(self._judges.items())]
        for place, component_id, counts in counted:
            models = {name: count for name, count in counts.most_common() if name is not None}
            if models:
                yield ServedModels(
                    component_id=component_id,
                    asked=asked.get((place, component_id)),
                    models=models,
                    unstated=counts[None],
                )


def _executions(state: CaseState) -> Iterator[EvaluationExecution]:
    """Yield every workflow that was carried out: of metrics, by answer too, and of a stage that judges to go on."""
    for of in (state, *state.answers.values()):
        yield from of.executions.values()
    for outcome in vars(state).values():
        if isinstance(outcome, CaseRunEvent):
            held = (getattr(outcome, field.name) for field in attrs.fields(type(outcome)))
            yield from (value for value in held if isinstance(value, EvaluationExecution))


def _stated(artifacts: Mapping[str, JSONValue] | None) -> str | None:
    name = (artifacts or EMPTY).get("model")
    return name if isinstance(name, str) and name else None


def _asked(description: JSONValue) -> str | None:
    name = description.get("model") if isinstance(description, Mapping) else None
    return name if isinstance(name, str) else None
