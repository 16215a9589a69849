"""Previews: what a model would be sent for the first cases, word for word, and what that would take."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from themis.pure.abilities import Components
from themis.pure.case_view import messages_of_request, shown_content
from themis.pure.errors import SpecError
from themis.pure.estimate import answer_tokens, prompt_tokens_of
from themis.pure.json import JSONValue, freeze
from themis.pure.pipeline.names import asked_generation
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.plan import CaseItem, case_items, total_cases
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import CaseName
from themis.pure.records.fields import json_objects, json_value, named_fields, sequence
from themis.pure.records.prompt import PromptSpec, text_of
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.text import one_line, printable
from themis.pure.usage import COMPLETION_TOKENS, PROMPT_TOKENS, Price
from themis.pure.wire.exchange import without_files


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CasePreview(CaseName):
    """What would be sent for one candidate of a case.

    Attributes:
        messages: the prompt as messages, whichever protocol it would be sent by.
        request: the whole request, files in it by their hashes; `None` where the generator makes its own, which can't
            be known: then `messages` are what the prompt asks of it.
        prompt_tokens: about how many tokens that is.
        answer_tokens: how many are expected at most in the answer.
        us_dollars: what the call would cost; `None` if the price is not known.
    """

    messages: tuple[Mapping[str, JSONValue], ...] = attrs.field(converter=json_objects)
    request: JSONValue = attrs.field(default=None, converter=json_value)
    prompt_tokens: int
    answer_tokens: int
    us_dollars: float | None = None


@attrs.frozen(kw_only=True)
class RunPreview(HashableModel):
    """What a run would send for its first cases. Nothing was sent, and nothing is stored.

    Attributes:
        run_id: the run.
        model: what would be asked.
        cases: the first cases.
        total_cases: how many there are.
        candidate_count: how often each would be asked.
        notes: what is not shown.
        cost: what the whole run would cost, in words.
    """

    run_id: str
    model: str
    cases: tuple[CasePreview, ...] = attrs.field(converter=sequence)
    total_cases: int
    candidate_count: int
    notes: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    cost: str = ""

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def preview_run(
    snapshot: RunSnapshot, components: Components, count: int = 3, price: Price | None = None
) -> RunPreview:
    """Return what would be sent for the first cases of a run.

    Args:
        snapshot: the compiled experiment.
        components: the run's.
        count: how many cases.
        price: prices the tokens, if prices are known.

    Raises:
        SpecError: no case is asked for.
    """
    if count < 1:
        raise SpecError(f"cases: a number from 1 up expected, found {count}")
    run = planned_run(snapshot, components)
    return RunPreview(
        run_id=snapshot.run_id,
        model=components.generator.component_id,
        cases=[_previewed(run, item, price) for item in itertools.islice(case_items(snapshot), count)],
        total_cases=total_cases(snapshot),
        candidate_count=run.plan.candidate_count,
        notes=_notes(run),
    )


def _previewed(run: Run, item: CaseItem, price: Price | None) -> CasePreview:
    asked, generator = asked_generation(run, item, 0), run.components.generator
    request: Any = asked.request
    if asked.likelihoods is None and generator.request is not None:
        request = generator.request(item.case, asked.ctx)  # with the candidate's seed, which is sent as well
    prompt, answer = prompt_tokens_of(run, item), answer_tokens(run)
    used = {PROMPT_TOKENS: prompt, COMPLETION_TOKENS: answer}
    return CasePreview(
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        messages=_messages(run, item, request),
        request=without_files(request),
        prompt_tokens=prompt,
        answer_tokens=answer,
        us_dollars=None if price is None else price(generator.component_id, used),
    )


def _messages(run: Run, item: CaseItem, request: Any) -> Sequence[Mapping[str, JSONValue]]:
    if isinstance(request, Mapping) and "continuations" in request:
        context = {"role": "context", "content": request["context"]}
        return [context, *({"role": "continuation", "content": text} for text in request["continuations"])]
    spec = run.identity.generation_prompt_spec or PromptSpec()
    found = messages_of_request(request) or spec.render_messages(item.case)
    return [{**message, "content": shown_content(freeze(message["content"]))} for message in found]


def _notes(run: Run) -> Iterator[str]:
    generator, spec = run.components.generator, run.identity.generation_prompt_spec or PromptSpec()
    if generator.request is None and spec.continuations is None:
        yield f"{generator.component_id} makes its own requests; shown is the prompt that it is given"
    kept = sum(not spec.is_shown(block) for block in spec.blocks)
    if kept:
        yield f"{kept} block(s) of the prompt are not shown to a model: they are data for generators of your own"
    if run.plan.judged_ids:
        yield f"{', '.join(run.plan.judged_ids)}: what a judge would be sent holds the answer, which is not there yet"


def _lines(preview: RunPreview) -> Iterator[str]:
    for case in preview.cases:
        price = "" if case.us_dollars is None else f", about ${case.us_dollars:.6f}"
        yield f"case {one_line(case.case_id)} of dataset {one_line(case.dataset_id)}"
        for message in case.messages:
            yield f"{one_line(str(message['role']))}:"
            yield from (f"  {line}" for line in printable(text_of(message["content"])).split("\n"))
        beside = _beside(case)
        if beside:
            yield f"sent besides: {one_line(text_of(beside))}"
        yield f"about {case.prompt_tokens:,} tokens, and at most {case.answer_tokens:,} in the answer{price}"
        yield ""
    asked = "" if preview.candidate_count == 1 else f", each asked {preview.candidate_count} times"
    shown = f"{len(preview.cases)} of {preview.total_cases:,} case(s)"
    yield f"{shown} for {one_line(preview.model)}{asked}; nothing was sent"
    yield from map(one_line, preview.notes)
    if preview.cost:
        yield one_line(preview.cost)


def _beside(case: CasePreview) -> JSONValue:
    """Return what of a request is not in its messages: the model, how it samples, tools."""
    if not isinstance(case.request, Mapping):
        return None
    shown = {"messages", "input", "prompt", "system", "context", "continuations"}
    return {name: item for name, item in case.request.items() if name not in shown}
