"""Law 6: stage caches are keyed by what a stage reads, never by `run_id`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from themis import InMemoryRunStore, PromptSpec, RunResult, RunStore, SqliteRunStore
from themis.api.experiment.experiment import Experiment
from themis.pure.errors import ThemisError
from themis.testing.pipelines import Pipeline, ScriptedMetric, dataset

CASES = 12
PIPELINE = Pipeline(
    cases=CASES,
    samples=1,
    generator=("right", "wrong"),
    reducer=("right",),
    parser=None,
    metrics=(("right",),),
    judge=("right", "wrong"),
)


def asked(experiment: Experiment) -> int:
    return sum(experiment.generation.generator.calls.counts.values())


def judged(experiment: Experiment) -> int:
    return sum(experiment.evaluation.judge_models[0].calls.counts.values())


@pytest.fixture
def store() -> InMemoryRunStore:
    store = InMemoryRunStore()
    PIPELINE.experiment().run(store=store)
    return store


def rerun(store: InMemoryRunStore, **changes: Any) -> tuple[Experiment, RunResult]:
    experiment = PIPELINE.experiment()
    generation = experiment.generation.evolve(**changes.get("generation", {}))
    evaluation = experiment.evaluation.evolve(**changes.get("evaluation", {}))
    experiment = experiment.evolve(generation=generation, evaluation=evaluation, **changes.get("other", {}))
    return experiment, experiment.run(store=store)


def test_another_metric_makes_no_generation_and_asks_no_judge(store: InMemoryRunStore) -> None:
    metrics = [*PIPELINE.experiment().evaluation.metrics, ScriptedMetric(component_id="scripted/more")]
    experiment, result = rerun(store, evaluation={"metrics": metrics})
    assert asked(experiment) == 0
    assert judged(experiment) == 0
    assert result.benchmark.total_cases == CASES
    assert all(case.generated_candidates for case in result.cases)


def test_another_prompt_makes_all_generations_anew(store: InMemoryRunStore) -> None:
    experiment, _ = rerun(store, generation={"prompt_spec": PromptSpec(prefix="Q: ")})
    assert asked(experiment) == CASES


def test_more_samples_keep_the_first_and_are_all_different(store: InMemoryRunStore) -> None:
    experiment, result = rerun(store, generation={"candidate_policy": {"num_samples": 8}})
    assert asked(experiment) == 7 * CASES
    for case in result.cases:
        assert len({candidate.candidate_id for candidate in case.generated_candidates}) == 8
    seeds = {event.payload.split('"seed":')[1].split("}")[0] for event in _generated(store, result.run_id)}
    assert len(seeds) == 8 * CASES


def _generated(store: InMemoryRunStore, run_id: str) -> list[Any]:
    return [event for event in store.events(run_id) if event.event_type == "generation_completed"]


def test_one_changed_case_makes_one_generation(store: InMemoryRunStore) -> None:
    made = dataset(CASES)
    cases = [*list(made.cases)[1:], next(iter(made.cases)).evolve(input={"n": "changed"})]
    experiment, _ = rerun(store, other={"datasets": made.evolve(cases=cases)})
    assert asked(experiment) == 1


def test_the_plan_says_so_before(store: InMemoryRunStore) -> None:
    experiment = PIPELINE.experiment()
    assert experiment.plan(store=store).repeats_nothing
    more = experiment.evolve(generation=experiment.generation.evolve(candidate_policy={"num_samples": 8}))
    plan = more.plan(store=store)
    generate = plan.stages[0]
    assert (generate.planned, generate.reused, generate.to_do) == (8 * CASES, CASES, 7 * CASES)
    assert plan.changed_fields == ("candidate_policy.num_samples",)
    assert generate.reasons == ("candidate_policy.num_samples",)


def test_rerun_reuses_nothing(store: InMemoryRunStore) -> None:
    experiment = PIPELINE.experiment()
    experiment.run(store=store, runtime=experiment.runtime.evolve(existing_run_policy="rerun"))
    assert asked(experiment) == CASES


def test_another_rubric_makes_no_generation_and_asks_the_judges_again(store: InMemoryRunStore) -> None:
    rubric = {"metrics": "builtin/majority_vote_judge"}
    first, _ = rerun(store, evaluation=rubric)
    again, _ = rerun(store, evaluation=rubric)
    other, _ = rerun(store, evaluation={**rubric, "workflow_overrides": {"rubric": "Be strict."}})
    assert [asked(experiment) for experiment in (first, again, other)] == [0, 0, 0]
    # The scripted judge says yes or no, which is no verdict here: it is asked once more, and neither answer again.
    assert [judged(experiment) for experiment in (first, again, other)] == [2 * CASES, 0, 2 * CASES]


def test_a_replay_lists_what_it_misses_before_anything_runs() -> None:
    experiment = PIPELINE.experiment()
    with pytest.raises(ThemisError, match=r"12 are not stored(.|\n)*case 4:made:0, candidate 0(.|\n)*and 2 more"):
        experiment.replay(stage="score", store=InMemoryRunStore())
    assert asked(experiment) == judged(experiment) == 0


def test_a_replay_with_another_metric_needs_no_call(store: InMemoryRunStore) -> None:
    experiment = PIPELINE.experiment()
    evaluation = experiment.evaluation.evolve(metrics=ScriptedMetric(component_id="scripted/other"))
    result = experiment.evolve(evaluation=evaluation).replay(stage="score", store=store)
    assert asked(experiment) == 0
    assert result.benchmark.metric_ids == ("scripted/other",)
    assert result.benchmark.error_counts["scripted/other"] == {}


@pytest.mark.parametrize("make", [lambda folder: InMemoryRunStore(), lambda folder: SqliteRunStore(folder / "s")])
def test_what_a_failing_replay_undid_is_done_by_the_next_run(
    make: Callable[[Path], RunStore], tmp_path: Path, fickle_parser: Any
) -> None:
    opened = make(tmp_path)
    experiment = attrs.evolve(PIPELINE, judge=None).experiment()
    experiment = experiment.evolve(evaluation=experiment.evaluation.evolve(parsers=fickle_parser))
    digest = experiment.run(store=opened).digest
    fickle_parser.broken = True
    broken = experiment.replay(stage="parse", store=opened)
    assert broken.benchmark.error_counts == {"scripted/metric0": {"parse_failure": CASES}}
    fickle_parser.broken = False
    assert experiment.run(store=opened).digest == digest
    opened.close()
