"""Law 7: an honest run never differs, what could not be checked is named, and the verdict then is not `verified`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given

from themis import (
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    InMemoryRunStore,
    evaluate,
    metric,
    parser,
    reducer,
    verify,
)
from themis.core import GenerationResult, ParseContext, ParsedOutput, ReducedCandidate, ScoreContext, ScoreError
from themis.effects.options import NotStoredError
from themis.pure.components.registry import make_builtin
from themis.pure.pipeline.verification import Verification
from themis.pure.records.dataset import Case
from themis.testing.pipelines import Pipeline, ScriptedJudge, ScriptedSandbox, dataset, whole_pipelines


@pytest.fixture(autouse=True)
def _sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("themis.effects.driver", "themis.api.experiment.run"):
        monkeypatch.setattr(f"{module}.open_sandbox", ScriptedSandbox)


def written(**fields: Any) -> Experiment:
    """Return a small experiment with components of one's own."""
    made = Pipeline(
        cases=3,
        samples=2,
        generator=("right", "wrong"),
        reducer=("right",),
        parser=None,
        metrics=(("right",),),
        judge=None,
    ).experiment()
    generation = made.generation.evolve(**fields.pop("generation", {}))
    return made.evolve(generation=generation, evaluation=made.evaluation.evolve(**fields))


def verified(experiment: Experiment, by: Experiment | None = None) -> Verification:
    store = InMemoryRunStore()
    return verify(store, experiment.run(store=store).run_id, experiment=by or experiment)


# --- honest runs ------------------------------------------------------------------------------------------


@given(whole_pipelines())
def test_an_honest_run_is_verified(pipeline: Pipeline) -> None:
    found = verified(pipeline.experiment([3, 0, 1]))
    assert found.verdict == "verified", found


@given(whole_pipelines())
def test_an_honest_run_that_was_stopped_and_resumed_is_verified(pipeline: Pipeline) -> None:
    experiment, store = pipeline.experiment(), InMemoryRunStore()
    experiment.run(store=store, until_stage="generate")
    experiment.run(store=store, until_stage="parse")
    run_id = experiment.run(store=store).run_id
    with contextlib.suppress(NotStoredError):  # where a generation failed, there is nothing to replay from
        experiment.replay(stage="parse", store=store)
    assert verify(store, run_id, experiment=experiment).verdict == "verified"


@reducer
async def longest(candidates: Sequence[GenerationResult]) -> GenerationResult:
    """Awaits, as reducers may."""
    await trio.lowlevel.checkpoint()
    return max(candidates, key=lambda candidate: len(str(candidate.final_output)))


def test_an_async_reducer_is_computed_again() -> None:
    found = verified(written(generation={"reducer": longest}))
    assert (found.verdict, found.recomputed["reduce"]) == ("verified", 3)


def test_verifying_works_inside_a_running_loop() -> None:
    experiment, store = written(generation={"reducer": longest}), InMemoryRunStore()
    run_id = experiment.run(store=store).run_id

    async def main() -> Verification:
        return verify(store, run_id, experiment=experiment)

    assert trio.run(main).verdict == "verified"


def test_selections_are_computed_again() -> None:
    pipeline = Pipeline(
        cases=4,
        samples=3,
        generator=("right", "wrong"),
        reducer=("right",),
        parser=None,
        metrics=(),
        judge=("right", "wrong"),
    )
    for made in (attrs.evolve(pipeline, selector=("right", "first")), attrs.evolve(pipeline, judges_selection=True)):
        found = verified(made.experiment())
        assert (found.verdict, found.recomputed["select"]) == ("verified", 4)


class Holder:
    """Something whose repr has its address in it."""


@metric
def addressed(parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> float:
    """Fails, and says where something is that is elsewhere the next time."""
    raise ValueError(f"cannot score {Holder()!r}")


@metric
def worded(parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> ScoreError:
    """Fails in other words each time."""
    return ScoreError(metric_id="worded", reason=f"cannot score {Holder()!r}")


@parser
def addressing(candidate: ReducedCandidate, ctx: ParseContext) -> str:
    """Fails with an address."""
    raise ValueError(f"cannot parse {Holder()!r}")


@pytest.mark.parametrize("fields", [{"metrics": [addressed, worded]}, {"parsers": [addressing]}])
def test_the_words_of_an_error_are_not_held_against_a_run(fields: dict[str, Any]) -> None:
    assert verified(written(**fields)).verdict == "verified"


class Deep:
    """Fails for want of stack, where the stack is short; what it does rests on the machine."""

    component_id, version, deep = "tests/deep", "1", True

    def fingerprint(self) -> str:
        return "deep"

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> float:
        if self.deep:
            raise RecursionError("maximum recursion depth exceeded")
        return 1.0


def test_what_the_machine_decides_is_named_and_no_difference() -> None:
    deep = Deep()
    experiment, store = written(metrics=[deep]), InMemoryRunStore()
    run_id = experiment.run(store=store).run_id
    assert verify(store, run_id, experiment=experiment).verdict == "verified"
    deep.deep = False
    found = verify(store, run_id, experiment=experiment)
    assert (found.verdict, found.differences) == ("verified in part", ())
    assert all("ended with RecursionError, which depends on the machine" in line for line in found.not_verified)
    assert len(found.not_verified) == 3


def test_a_rejudgment_that_was_interrupted_leaves_the_run_verified() -> None:
    """The new answers are stored, and the old executions still hold: each goes with its own."""
    pipeline = Pipeline(
        cases=1, samples=1, generator=("right",), reducer=None, parser=None, metrics=(), judge=("right",), repeats=2
    )
    experiment, store = pipeline.experiment(), InMemoryRunStore()
    run_id = experiment.run(store=store).run_id
    judge: Any = experiment.evaluation.judge_models[0]

    class Turncoat(ScriptedJudge):
        """Says no once, and then the process is gone."""

        async def judge(self, prompt: Any, *, seed: int | None = None) -> Any:
            if judge.calls.counts["again"]:
                raise KeyboardInterrupt
            judge.calls.note("again")
            return await ScriptedJudge(("wrong",), component_id=judge.component_id).judge(prompt, seed=seed)

        def fingerprint(self) -> str:
            return str(judge.fingerprint())

    turned = experiment.evolve(evaluation=experiment.evaluation.evolve(judge_models=Turncoat(judge.script)))
    with pytest.raises(KeyboardInterrupt):
        turned.rejudge(store=store, runtime=experiment.runtime.evolve(max_concurrent_tasks=1))
    assert verify(store, run_id, experiment=experiment).differences == ()


# --- what can't be checked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "missing"),
    [
        ({"parsers": ()}, "scripted/parser"),
        ({"metrics": ()}, "scripted/metric0"),
        ({"generation": {"reducer": None}}, "scripted/reducer"),
    ],
)
def test_a_component_that_is_not_at_hand_makes_it_verified_in_part(place: dict[str, Any], missing: str) -> None:
    pipeline = Pipeline(
        cases=2,
        samples=1,
        generator=("right",),
        reducer=("right",),
        parser=("right",),
        metrics=(("right",),),
        judge=None,
    )
    experiment, store = pipeline.experiment(), InMemoryRunStore()
    run_id = experiment.run(store=store).run_id
    generation = place.pop("generation", {})
    known = experiment.evolve(
        generation=experiment.generation.evolve(**generation), evaluation=experiment.evaluation.evolve(**place)
    )
    found = verify(store, run_id, experiment=known)
    assert found.verdict == "verified in part"
    assert not found.ok
    (line,) = found.not_verified
    assert line.startswith(f"{missing}: not at hand")
    assert "--config" in line


def test_a_builtin_with_options_is_found_by_the_settings_that_the_run_tells_of_it() -> None:
    store = InMemoryRunStore()
    run = evaluate(
        model="builtin/demo_model",
        data=[{"input": "a b", "expected_output": "c d"}],
        parser=make_builtin("builtin/regex", pattern=r"(\w+)$"),
        metric=make_builtin("builtin/exact_match_normalized", normalization="casefold"),
        store=store,
    )
    found = verify(store, run.run_id)
    assert found.verdict == "verified"
    assert {"parse", "score"} <= set(found.recomputed)


def test_a_changed_component_makes_it_verified_in_part() -> None:
    experiment, store = written(), InMemoryRunStore()
    run_id = experiment.run(store=store).run_id
    changed = experiment.evolve(
        evaluation=EvaluationConfig(metrics=attrs.evolve(experiment.evaluation.metrics[0], version="2"))
    )
    found = verify(store, run_id, experiment=changed)
    assert found.verdict == "verified in part"
    assert "is not the one that the run used" in found.not_verified[0]


def test_a_run_without_an_end_is_verified_in_part() -> None:
    experiment, store = written(), InMemoryRunStore()
    run_id = experiment.run(store=store).run_id
    store.acquire(run_id)
    cut = InMemoryRunStore()
    cut.persist_snapshot(store.load_snapshot(run_id))
    cut.acquire(run_id)
    cut.append(run_id, [*store.events(run_id)][:-1], {})
    found = verify(cut, run_id, experiment=experiment)
    assert found.verdict == "verified in part"
    assert found.not_verified[0].startswith("end: ")


# --- what differs -----------------------------------------------------------------------------------------


def _planted(kind: str) -> Callable[..., Any]:
    """Return a metric that comes to something else the second time it is asked about a case."""
    seen: set[str] = set()

    @metric(component_id="tests/moody")
    def moody(parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Any:
        again = case.case_id in seen
        seen.add(case.case_id)
        if not again:
            return 1.0
        return {"value": 0.0, "error": ScoreError(metric_id="tests/moody", reason="no")}[kind]

    return moody


@pytest.mark.parametrize("kind", ["value", "error"])
def test_what_does_not_follow_is_named_with_what_is_stored_and_what_follows(kind: str) -> None:
    moody: Any = _planted(kind)
    moody.fingerprint = lambda: "moody"
    found = verified(written(metrics=[moody]))
    assert found.verdict == "not verified"
    first = found.differences[0]
    assert (first.case_key, first.stage, first.metric_id) == ("4:made:0", "score", "tests/moody")
    assert '"value":1.0' in first.stored
    assert ('"value":0.0' if kind == "value" else "score_failed") in first.expected


def test_generations_are_named_by_what_is_asked() -> None:
    data = dataset(1)
    experiment = Experiment(generation=GenerationConfig(generator="builtin/demo_model"), datasets=data)
    assert verified(experiment).verdict == "verified"
