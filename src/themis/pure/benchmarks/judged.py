"""Free answers: graded by a judge model against a reference or a rubric, or compared with an exact value."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.benchmarks.columns import Fields, Row, RowMisfitError
from themis.pure.benchmarks.images import image_addresses, with_images
from themis.pure.benchmarks.recipe import Content, VariantFacts, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.benchmarks.samples.judged import JUDGED_SAMPLES
from themis.pure.json import thaw
from themis.pure.records.prompt import PromptSpec

_SHORT: Final = PromptSpec(
    suffix="\n\nAnswer as briefly as you can. If you don't know the answer, say so instead of guessing."
)
_EXPLAINED: Final = PromptSpec(
    suffix="\n\nReason as far as you need to, then state your final answer in one last line: `Answer: ...`."
)
_FINAL_VALUE: Final = PromptSpec(
    suffix="\n\nFollow the procedure step by step. End with the final result alone, as one JSON object in a ```json "
    'block: {"final": <result>}, where the result is a number, a string or a list.'
)
_SCIENCE_RUBRIC: Final = (
    "The reference answer is either the correct result or a marking scheme with points. If it is a result: 10 if the "
    "answer comes to the same result, else 0. If it is a marking scheme: the points that the answer earns by it, as a "
    "share of all points, times 10. Give points for what the answer shows, not for what it announces."
)
_ROLE_RUBRIC: Final = (
    "The question states the role that is to be played. The best answer says in substance what the reference answer "
    "says, and says it as this character would: with the character's knowledge, manner and style of speech, never "
    "stepping out of the role. The worst answer contradicts the reference or the role."
)


def _reference_content(fields: Fields, variant: str) -> Content:
    """Ask the question as it stands, with its images; the reference is what a judge grades against."""
    return Content(with_images(fields["question"], fields.get("images")), fields["answer"])


def _hle_left_out(row: Row, variant: str) -> str | None:
    """Leave out what a variant names: `text_only` rows with an image, a category all rows of other categories."""
    flags = [flag.strip() for flag in variant.split(",") if flag.strip()]
    if "text_only" in flags and _has_image(row):
        return "has an image"
    wanted = {_plain(flag) for flag in flags} - {"text only"}
    facts = {_plain(row.get(name)) for name in ("category", "answer_type")}
    return None if wanted <= facts else f"is not of {', '.join(sorted(wanted - facts))}"


def _plain(value: Any) -> str:
    return str(value).replace("_", " ").strip().lower()


def _has_image(row: Row) -> bool:
    try:
        return bool(image_addresses(row.get("image")))
    except RowMisfitError:
        return False  # what is wrong with it is said when the row is read


def _healthbench_content(fields: Fields, variant: str) -> Content:
    """Continue the conversation; the reference is its rubric, whose points may be negative."""
    rubrics = [
        {
            "criterion": item["criterion"],
            "points": item["points"],
            "tags": [str(tag) for tag in item.get("tags") or ()],
        }
        for item in fields["rubrics"]
    ]
    if not any(item["points"] > 0 for item in rubrics):
        raise RowMisfitError("rubrics", "an item with positive points expected, and there is none to earn")
    messages = [{"role": message["role"], "content": message["content"]} for message in fields["question"]]
    return Content(messages, {"rubrics": rubrics})


def _lpfqa_content(fields: Fields, variant: str) -> Content:
    """Ask the question; the judge goes by the row's own instructions, which the reference answer completes."""
    return Content(fields["question"], {"reference": fields["answer"], "judging_instructions": fields["judge_system"]})


def _procbench_content(fields: Fields, variant: str) -> Content:
    """Give the procedure; the reference is the value that it ends in."""
    return Content(fields["question"], thaw(fields["answer"]))


def _other_task(row: Row, variant: str) -> str | None:
    """Leave out the rows of other tasks than the variant's."""
    task = row.get("task_name")
    return "is of another task" if variant and isinstance(task, str) and task != variant else None


def _rolebench_content(fields: Fields, variant: str) -> Content:
    """Put the model into the role, then ask; the first of the generated answers is the reference."""
    role, description = fields["role"], (fields.get("description") or "").strip()
    setting = f"You are {role}. Stay in this role: answer with {role}'s knowledge, manner and way of speaking."
    system = f"{setting}\n\n{description}" if description else setting
    messages = [{"role": "system", "content": system}, {"role": "user", "content": fields["question"]}]
    return Content(messages, fields["answer"][0])


def _rolebench_files(generalization: str) -> VariantFacts:
    return VariantFacts(
        variant=f"{generalization}_generalization_eng",
        files=tuple(
            f"rolebench-eng/{generalization}-generalization/{part}/test.jsonl" for part in ("general", "role_specific")
        ),
    )


def _financebench_content(fields: Fields, variant: str) -> Content:
    """Show the pages that hold the answer, then ask."""
    evidence = fields["context"]
    pages = (
        [item.get("evidence_text_full_page") for item in evidence if isinstance(item, Mapping)]
        if isinstance(evidence, Sequence)
        else []
    )
    shown = [page.strip() for page in pages if isinstance(page, str) and page.strip()]
    if not shown:
        raise RowMisfitError("context", "a list of objects with evidence_text_full_page expected, and none has one")
    return Content("\n\n".join([*dict.fromkeys(shown), fields["question"].strip()]), fields["answer"])


def _finance_row(number: str, question: str, answer: str) -> dict[str, Any]:
    return {
        "financebench_id": number,
        "question": question,
        "answer": answer,
        "evidence": [{"evidence_text": answer, "evidence_text_full_page": f"In 2020 it was {answer}."}],
        "company": "Example",
        "doc_name": "EXAMPLE_2020_10K",
        "question_type": "metrics-generated",
    }


def _short_samples(question: str, **more: str) -> tuple[Sample, ...]:
    asked = (("Which lake is the deepest?", "Lake Baikal", "Lake Como"), ("Who wrote Faust?", "Goethe", "Schiller"))
    return tuple(
        Sample(row={question: text, "answer": right, **more}, right=right, wrong=wrong.split()[-1])
        for text, right, wrong in asked
    )


_judged: Final = functools.partial(
    hub_recipe, kind="judged", content=_reference_content, parsers=("builtin/text",), requires_judge=True
)

JUDGED: Final = (
    _judged(
        "frontierscience",
        "openai/frontierscience",
        samples=JUDGED_SAMPLES["frontierscience"],
        title="FrontierScience",
        measures="Olympiad and research problems in physics, chemistry and biology, marked by a scheme.",
        reads={"problem": "question", "answer": "answer"},
        labels=("subject", "task_group_id"),
        groups_by=("subject",),
        prompt_spec=_EXPLAINED,
        metrics=("builtin/llm_rubric",),
        workflow_overrides={"rubric": _SCIENCE_RUBRIC, "scale": [0, 10]},
        license="Apache 2.0",
        pitfalls=(
            "The reference is a marking scheme that the judge must apply: use a strong judge, and look at its "
            "agreement.",
            "The dataset carries a canary; keep its problems out of training data.",
            "An answer counts as correct with all points only; the mean is the share of points.",
        ),
    ),
    _judged(
        "healthbench",
        "openai/healthbench",
        samples=JUDGED_SAMPLES["healthbench"],
        content=_healthbench_content,
        title="HealthBench",
        measures="Answers in conversations about health, marked item by item with rubrics that physicians wrote.",
        files=("2025-05-07-06-14-12_oss_eval.jsonl",),
        reads={"prompt_id": "id", "prompt": ("question", "messages"), "rubrics": "rubrics"},
        labels=("example_tags",),
        metrics=("builtin/rubric_points",),
        license="MIT",
        pitfalls=(
            "One judge call for each rubric item, some eleven a case: the judging costs more than the answers.",
            "Points may be negative; a case's score is earned over possible points, clipped to 0 to 1, while the "
            "authors clip the mean alone.",
            "An answer counts as correct with every possible point only: read the mean.",
        ),
    ),
    _judged(
        "hle",
        "cais/hle",
        samples=JUDGED_SAMPLES["hle"],
        title="Humanity's Last Exam",
        measures="Expert questions at the edge of knowledge in a hundred subjects, with short or lettered answers.",
        open_variants="a comma list of `text_only` (leaves out questions with an image) and of categories or answer "
        "types, such as `text_only,math`",
        reads={"id": "id", "question": "question", "answer": "answer", "image": "images"},
        labels=("category", "answer_type"),
        groups_by=("category",),
        prompt_spec=_EXPLAINED,
        metrics=("builtin/reference_grader",),
        license="MIT",
        pitfalls=(
            "The dataset is gated: accept its terms on its page, and give the hub your token.",
            "A model that takes no images wants the variant text_only.",
            "Reviews found wrong references, in chemistry and biology above all: small differences mean little.",
            "The dataset carries a canary; keep its questions out of training data.",
        ),
        leaves_out=_hle_left_out,
    ),
    _judged(
        "lpfqa",
        "m-a-p/LPFQA",
        samples=JUDGED_SAMPLES["lpfqa"],
        content=_lpfqa_content,
        title="LPFQA",
        measures="Long-tail professional knowledge, by questions from professionals' forums.",
        split="train",
        reads={
            "prompt_id": "id",
            "prompt": "question",
            "response_reference": "answer",
            "judge_prompt_template": "judge_template",
            "judge_system_prompt": "judge_system",
        },
        labels=("primary_domain",),
        groups_by=("primary_domain",),
        metrics=("builtin/case_instructions",),
        license="CC BY-NC 4.0",
        pitfalls=(
            "Each row brings instructions for its judge, many in Chinese; the judge must read them.",
            "The row's template only places reference and answer; here both are shown between fences instead, so that "
            "an answer can't speak as the judge.",
        ),
    ),
    _judged(
        "procbench",
        "ifujisawa/procbench",
        samples=JUDGED_SAMPLES["procbench"],
        content=_procbench_content,
        title="ProcBench",
        measures="Whether a model follows a procedure of many explicit steps to its end, in 23 tasks.",
        kind="exact",
        files=("combined_dataset.jsonl",),
        split="train",
        open_variants="a task's name, such as task07; without one, all 23",
        reads={"problem_name": "id", "prompt": "question", "label.final": ("answer", "json")},
        labels=("task_name", "example_name"),
        groups_by=("task_name",),
        prompt_spec=_FINAL_VALUE,
        parsers=("builtin/json", "builtin/text"),
        metrics=("builtin/procbench_final_accuracy",),
        requires_judge=False,
        license="CC BY 4.0",
        pitfalls=(
            "Only the final value counts; the authors also score how many steps are right in a row.",
            "5,520 questions in 23 tasks of different difficulty: compare by task_name.",
        ),
        leaves_out=_other_task,
    ),
    _judged(
        "rolebench",
        "ZenMoore/RoleBench",
        samples=JUDGED_SAMPLES["rolebench"],
        content=_rolebench_content,
        title="RoleBench (English)",
        measures="Whether a model answers in a character's voice, on new instructions or in new roles.",
        variants=("instruction_generalization_eng", "role_generalization_eng"),
        variant_facts=(_rolebench_files("instruction"), _rolebench_files("role")),
        default_variant="instruction_generalization_eng",
        reads={"question": "question", "generated": ("answer", "texts"), "role": "role", "desc": "description"},
        labels=("role", "desc"),
        metrics=("builtin/llm_rubric",),
        workflow_overrides={"rubric": _ROLE_RUBRIC},
        license="Apache 2.0",
        pitfalls=(
            "References were written by GPT-4: the score is likeness to it as much as quality.",
            "The judge's taste weighs heavily here; compare with one judge, and look at its agreement with itself.",
        ),
    ),
    _judged(
        "simpleqa_verified",
        "google/simpleqa-verified",
        samples=JUDGED_SAMPLES["simpleqa_verified"],
        title="SimpleQA Verified",
        measures="A thousand short factual questions, graded correct, incorrect or not attempted.",
        split="eval",
        reads={"original_index": "id", "problem": "question", "answer": "answer"},
        labels=("topic", "answer_type", "multi_step", "requires_reasoning"),
        groups_by=("topic",),
        prompt_spec=_SHORT,
        metrics=("builtin/reference_grader",),
        license="MIT",
        pitfalls=(
            "Not attempted scores 0 like incorrect; how often a model declines is in the rows' details, under votes.",
            "Without tools it measures memory; with a search tool it measures the tool.",
        ),
    ),
    _judged(
        "simpleqa",
        "basicv8vc/SimpleQA",
        title="SimpleQA",
        measures="4,326 short factual questions, graded correct, incorrect or not attempted.",
        reads={"problem": "question", "answer": "answer"},
        prompt_spec=_SHORT,
        metrics=("builtin/reference_grader",),
        license="MIT",
        source="https://arxiv.org/abs/2411.04368",
        pitfalls=(
            "Not attempted scores 0 like incorrect; how often a model declines is in the rows' details, under votes.",
            "Some references are wrong or out of date: simpleqa_verified holds a thousand checked ones.",
            "Without tools it measures memory; with a search tool it measures the tool.",
        ),
        samples=_short_samples("problem"),
    ),
    _judged(
        "chinese_simpleqa",
        "OpenStellarTeam/Chinese-SimpleQA",
        title="Chinese SimpleQA",
        measures="3,000 short factual questions in Chinese, graded correct, incorrect or not attempted.",
        split="train",
        reads={"id": "id", "question": "question", "answer": "answer"},
        labels=("primary_category", "secondary_category"),
        groups_by=("primary_category",),
        prompt_spec=_SHORT,
        metrics=("builtin/reference_grader",),
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/2411.07140",
        pitfalls=(
            "Not attempted scores 0 like incorrect; how often a model declines is in the rows' details, under votes.",
            "The judge must read Chinese; the text around the question is English.",
        ),
        samples=_short_samples("question", id="c-1", primary_category="地理", secondary_category="城市"),
    ),
    _judged(
        "financebench",
        "PatronusAI/financebench",
        content=_financebench_content,
        title="FinanceBench (open)",
        measures="150 questions about companies' filings, with the page that holds the answer.",
        split="train",
        reads={
            "financebench_id": "id",
            "question": "question",
            "answer": "answer",
            "evidence": ("context", "json"),
        },
        labels=("company", "doc_name", "question_type"),
        groups_by=("question_type",),
        prompt_spec=_EXPLAINED,
        metrics=("builtin/reference_grader",),
        license="CC BY-NC 4.0",
        source="https://arxiv.org/abs/2311.11944",
        pitfalls=(
            "The page with the evidence is shown (the oracle setting); closed-book and retrieval figures are lower.",
            "With 150 questions the 95% interval is some 15 points wide.",
        ),
        samples=(
            Sample(
                row=_finance_row("f-1", "What was the revenue?", "7 million dollars"),
                right="7 million dollars",
                wrong="3",
            ),
            Sample(
                row=_finance_row("f-2", "What was the loss?", "2 million euros"), right="2 million euros", wrong="9"
            ),
        ),
    ),
)
