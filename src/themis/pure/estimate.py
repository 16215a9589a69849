"""Estimates: what a run would do and about how many tokens it would take, from its real prompts."""

from __future__ import annotations

from typing import Final

from themis.pure.abilities import Components
from themis.pure.likelihoods import asked_likelihoods
from themis.pure.pipeline.names import asked_generation
from themis.pure.pipeline.run import Run, planned_run
from themis.pure.plan import CaseItem, case_items, make_plan
from themis.pure.records.prompt import PromptSpec, text_of
from themis.pure.records.results import RunEstimate
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stopping import StoppingRule

_CHARACTERS_PER_TOKEN: Final = 4
"""The rule of thumb for English text of OpenAI's and Google's documentation; other languages take more tokens."""
OUTPUT_TOKENS: Final = 256
"""Assumed per answer where the generator states no limit."""
_JUDGE_OVERHEAD_TOKENS: Final = 250
"""Assumed for a judge's instructions and rubric, besides the question and the answer."""
JUDGE_OUTPUT_TOKENS: Final = 128


def rough_tokens(text: str) -> int:
    """Return about how many tokens a text has.

    >>> rough_tokens("four words make tokens")
    6
    """
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def estimate_run(snapshot: RunSnapshot, components: Components) -> RunEstimate:
    """Estimate a whole run, reading every case once.

    Args:
        snapshot: the compiled experiment.
        components: the run's; the generator's `request` shows the real prompt, its `max_tokens` the longest answer,
            and its `estimate` counts both.
    """
    plan = make_plan(snapshot)
    run, longest = planned_run(snapshot, components), components.generator.max_tokens
    spec = snapshot.identity.generation_prompt_spec
    writes = spec is None or spec.continuations is None
    answer = answer_tokens(run)
    cases = prompt_tokens = 0
    for item in case_items(snapshot):
        cases += 1
        prompt_tokens += prompt_tokens_of(run, item)
    judged = sum(len(plan.answers_of(metric)) for metric in plan.metrics if metric.stage == "judge")
    candidates = plan.candidate_count
    repeats = snapshot.identity.judge_config.get("repeats", 1)
    repeats = repeats if isinstance(repeats, int) and repeats > 0 else 1
    calls = cases * judged * max(1, len(snapshot.identity.judge_model_refs)) * repeats
    judge_prompt = calls * (_JUDGE_OVERHEAD_TOKENS + answer) + judged * prompt_tokens
    totals = (prompt_tokens * candidates, cases * candidates * answer, judge_prompt, calls * JUDGE_OUTPUT_TOKENS)
    return RunEstimate(
        run_id=plan.run_id,
        total_cases=cases,
        candidate_count=candidates,
        metric_count=len(plan.metrics),
        pure_metric_count=sum(m.is_scored for m in plan.metrics),
        workflow_metric_count=sum(not m.is_scored for m in plan.metrics),
        planned_generation_tasks=cases * candidates,
        planned_reduction_tasks=cases if plan.is_reduced else 0,
        planned_parse_tasks=cases * len(plan.answers),
        planned_score_tasks=cases * plan.rows_per_case,
        estimated_generation_input_tokens=totals[0],
        estimated_generation_output_tokens=totals[1],
        estimated_judge_prompt_tokens=totals[2],
        estimated_judge_output_tokens=totals[3],
        estimated_total_tokens=sum(totals),
        assumptions=_assumptions(longest, bool(judged), snapshot.identity.until, writes=writes),
    )


def answer_tokens(run: Run) -> int:
    """Return how many tokens an answer is taken to have: as many as it may."""
    spec, longest = run.identity.generation_prompt_spec, run.components.generator.max_tokens
    if spec is not None and spec.continuations is not None:
        return 0
    return OUTPUT_TOKENS if longest is None else longest


def prompt_tokens_of(run: Run, item: CaseItem) -> int:
    """Return about how many tokens the prompt of a case has."""
    generator = run.components.generator
    asked = asked_likelihoods(item.case, run.identity.generation_prompt_spec)
    if asked is not None:  # the context is read with each of them
        return sum(rough_tokens(asked.context + text) for text in asked.continuations)
    if generator.request is None:
        return rough_tokens((run.identity.generation_prompt_spec or PromptSpec()).render(item.case))
    request = asked_generation(run, item, 0).request
    return rough_tokens(text_of(request)) if generator.estimate is None else generator.estimate(request).prompt


def _assumptions(longest: int | None, judged: bool, until: StoppingRule | None, *, writes: bool) -> tuple[str, ...]:
    if not writes:
        answers = "the context is read with each continuation, and nothing is written"
    elif longest is None:
        answers = f"every answer has {OUTPUT_TOKENS} tokens: the generator states no limit"
    else:
        answers = f"every answer is as long as max_tokens allows ({longest})"
    lines = [f"a token is taken to be {_CHARACTERS_PER_TOKEN} characters of the rendered prompt", answers]
    if judged:
        lines.append(
            f"a judge call adds {_JUDGE_OVERHEAD_TOKENS} tokens of instructions and answers in {JUDGE_OUTPUT_TOKENS}; "
            "no verdict has to be asked for again"
        )
    lines.append("nothing is taken from the store; `plan` says what would be reused")
    if until is not None:
        lines.append(f"the run goes through all cases: it may end earlier, by its rule {until}")
    return tuple(lines)
