"""Law 2: `run_id` changes with what can change a result and with nothing else, and is never computed otherwise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import themis
from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    PromptSpec,
    RuntimeConfig,
    StorageConfig,
    adapters,
)
from themis.effects.sources.source_code import source_of
from themis.pure.compilation import canonical_identity
from themis.pure.components.basic import DemoGenerator, DemoModel
from themis.pure.fingerprints import code_fingerprint
from themis.pure.identity import (
    ALGORITHMS,
    candidate_key,
    case_key,
    derive_seed,
    generation_key,
    misnamed,
    run_name,
    shuffled,
    stage_key,
)
from themis.pure.json import canonical_bytes, content_hash
from themis.pure.projections import Digest
from themis.pure.records.fields import named_fields
from themis.pure.records.snapshot import ComponentRef, DatasetRef, RunIdentity, RunProvenance, RunSnapshot
from themis.testing import strategies


def identity() -> RunIdentity:
    return RunIdentity(
        dataset_refs=[DatasetRef(dataset_id="sums", revision="r1", fingerprint="d" * 64)],
        generator_ref=ComponentRef(component_id="openai/gpt-4o", version="1", fingerprint="g" * 64),
        reducer_ref=ComponentRef(component_id="builtin/majority_vote", version="1", fingerprint="r" * 64),
        metric_refs=[ComponentRef(component_id="builtin/exact_match", version="1", fingerprint="m" * 64)],
        candidate_policy={"num_samples": 3},
        generation_prompt_spec=PromptSpec(instructions="Antworte knapp: ü €", blocks=[{"text": "x"}]),
        judge_config={"temperature": 0.1, "huge": 2**70},
        seeds=[1, 2, 3],
    )


GOLDEN = Path(__file__).parents[1] / "golden" / "identity"
NAMES = json.loads((GOLDEN / "names.json").read_text("utf-8"))
RUNS = [
    (path.stem.replace("-", "/"), run["run_id"], run["snapshot"])
    for path in sorted(GOLDEN.glob("themis-*.json"))
    for run in json.loads(path.read_text("utf-8"))
]


# --- golden names: whatever changes one of these gives unchanged things another name ----------------------


def test_every_algorithm_has_golden_runs() -> None:
    assert {algorithm for algorithm, _, _ in RUNS} == {*ALGORITHMS}


@pytest.mark.parametrize(("algorithm", "run_id", "data"), RUNS)
def test_the_id_of_a_golden_run(algorithm: str, run_id: str, data: dict[str, Any]) -> None:
    snapshot = RunSnapshot.from_dict(data)
    assert (snapshot.identity_algorithm, snapshot.run_id) == (algorithm, run_id)
    assert misnamed(run_id, snapshot.identity, algorithm) is None
    assert RunSnapshot.from_dict(json.loads(json.dumps(snapshot.to_dict()))).run_id == run_id


def test_golden_hashes() -> None:
    assert run_name(identity(), "themis/1") == "2d009e41582a02dfe60a8c409ebff51a99658878bf5bcfa41992b421bd83913b"
    assert (
        Case(case_id="1", input={"q": "1+1", "n": 1.5}, expected_output=[2]).compute_hash()
        == "e80694da80a6d9d0ccbb33dea7429585a25af1fbf261e7e26ea66b92daa0053e"
    )
    assert (
        content_hash({"ö": [1, 1.0, 1e21, -0.0, None, True], "a": 2**64})
        == "6bb7aab78a9a2641b7700e2d469d017740f2bce07c8747e93007c6fe6b678600"
    )


def test_golden_names_within_a_run() -> None:
    named = "g" * 64
    assert NAMES["names"] == {
        "case_key": case_key("math", "7"),
        "seeds": [derive_seed(named, index) for index in range(4)],
        "stage_key": stage_key("judge", "a", "b"),
        "generation_key": generation_key(ComponentRef(component_id="m", fingerprint=named), b"request{}"),
        "candidate_keys": [candidate_key(named, 0, None), candidate_key(named, 1, 7)],
        "empty_digest": Digest().hexdigest(),
        "shuffles": {str(seed): shuffled(["a", "b", "c", "d", "e", "ü"], seed=seed) for seed in range(3)},
    }


def test_endpoints_without_headers_are_called_what_they_always_were() -> None:
    assert NAMES["endpoints"] == {
        "openai": adapters.openai("m", temperature=0.0).fingerprint(),
        "openai at": adapters.openai("m", base_url="http://h/v1?v=2").fingerprint(),
        "vllm": adapters.vllm("m", base_url="http://h/v1", top_k=3).fingerprint(),
        "anthropic": adapters.anthropic("m").fingerprint(),
    }


def test_the_demo_models_code_is_that_of_their_version() -> None:
    """They are named by version. Write the new hash down if one does the same as before; else raise its version."""
    demos: list[Any] = [DemoGenerator(), DemoModel()]
    assert NAMES["demo_models"] == {
        f"{demo.component_id} {demo.version}": code_fingerprint(demo, source_of, [type(demo)]) for demo in demos
    }


def test_one_file_writes_the_versions_of_algorithms() -> None:
    source = Path(themis.__file__).parent
    written = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if re.search(r"themis/\d", path.read_text("utf-8"))
    }
    assert written == {"pure/identity.py"}


def test_an_identity_that_gains_a_field_keeps_its_ids() -> None:
    @attrs.frozen(kw_only=True, field_transformer=named_fields)
    class Later(RunIdentity):
        temperature: float | None = 0.5

    fields = {field.name: getattr(identity(), field.name) for field in attrs.fields(RunIdentity)}
    for algorithm in ALGORITHMS:
        assert run_name(Later(**fields), algorithm) == run_name(identity(), algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(st.data())
def test_every_field_of_the_identity_counts(algorithm: str, data: st.DataObject) -> None:
    before = identity()
    field = data.draw(st.sampled_from([f.name for f in attrs.fields(RunIdentity)]))
    value = getattr(data.draw(strategies.records(RunIdentity)), field)
    named, renamed = run_name(before, algorithm), run_name(before.evolve(**{field: value}), algorithm)
    assert (renamed == named) == (canonical_bytes(value) == canonical_bytes(getattr(before, field)))


# --- what counts of an experiment -------------------------------------------------------------------------


def experiment(**changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "generation": GenerationConfig(generator="builtin/demo_generator"),
        "datasets": Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "x", "expected_output": "y"}]),
    }
    return Experiment(**{**fields, **changes})


@given(strategies.records(RunProvenance), strategies.records(RuntimeConfig))
def test_nothing_of_provenance_counts(provenance: RunProvenance, runtime: RuntimeConfig) -> None:
    changed = experiment(
        runtime=runtime,
        storage=StorageConfig(store="jsonl", parameters={"path": "elsewhere"}),
        themis_version="9",
        python_version="4.0",
        platform="moon",
        git_commit="abc",
        dependency_versions={"attrs": "0"},
        environment_metadata={"a": "b"},
    )
    assert changed.compile().run_id == experiment().compile().run_id


CHANGES: dict[str, dict[str, Any]] = {
    "an input": {"datasets": Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "X", "expected_output": "y"}])},
    "a reference": {
        "datasets": Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "x", "expected_output": "z"}])
    },
    "the dataset's metadata": {
        "datasets": Dataset(
            dataset_id="d", cases=[{"case_id": "1", "input": "x", "expected_output": "y"}], metadata={"a": "b"}
        )
    },
    "the generator": {"generation": GenerationConfig(generator="builtin/demo_model")},
    "the prompt": {
        "generation": GenerationConfig(generator="builtin/demo_generator", prompt_spec=PromptSpec(prefix="Q: "))
    },
    "the seeds": {"seeds": [7]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_can_change_a_result_changes_the_run_id(change: str) -> None:
    assert experiment(**CHANGES[change]).compile().run_id != experiment().compile().run_id


# --- what equals its default ------------------------------------------------------------------------------

JUDGED = {"metrics": "builtin/llm_rubric", "judge_models": "builtin/demo_judge"}
SELECTED = {"selector": "builtin/best_of_n", "reducer": "builtin/first", "candidate_policy": {"num_samples": 2}}
VOTE = {"reducer": "builtin/majority_vote"}

generations = st.sampled_from([{}, VOTE, SELECTED, {**VOTE, "candidate_policy": {"num_samples": 3}}])
evaluations = st.sampled_from([{"metrics": "builtin/exact_match"}, JUDGED, {}])
judging = st.fixed_dictionaries(
    {},
    optional={
        "judge_config": st.sampled_from([{"repeats": 2}, {"on_partial_failure": "aggregate"}]),
        "workflow_overrides": st.sampled_from([{"rubric": "Is it right?"}, {"scale": [0, 3]}]),
        "prompt_spec": st.sampled_from([PromptSpec(prefix="Look: "), PromptSpec(instructions="")]),
    },
)
empty_prompts = st.sampled_from([None, PromptSpec(), PromptSpec(prefix="", suffix=""), PromptSpec(blocks=[])])


def built(generation: dict[str, Any], evaluation: dict[str, Any], seeds: list[int] | None = None) -> Experiment:
    if generation.get("selector"):
        evaluation = {**evaluation, "judge_models": "builtin/demo_judge"}
    return experiment(
        generation=GenerationConfig(**{"generator": "builtin/demo_model", **generation}),
        evaluation=EvaluationConfig(**evaluation),
        seeds=seeds,
    )


def asks_judges(generation: dict[str, Any], evaluation: dict[str, Any]) -> bool:
    return "selector" in generation or evaluation is JUDGED


@st.composite
def defaulted(draw: Any, generation: dict[str, Any], evaluation: dict[str, Any]) -> Experiment:
    """The same experiment, with some of what equals its default written out."""
    count = generation.get("candidate_policy", {}).get("num_samples", 1)
    names = ["num_samples", "pass_k", "best_of", "self_consistency_count"]
    policy = {name: draw(st.integers(1, count)) for name in draw(st.sets(st.sampled_from(names)))}
    if count > 1 or draw(st.booleans()):
        policy[draw(st.sampled_from(names))] = count
    prompts = {"prompt_spec": draw(empty_prompts)}
    unread = {} if asks_judges(generation, evaluation) else {**draw(judging), "judge_models": "builtin/demo_judge"}
    return built({**generation, "candidate_policy": policy, **prompts}, {**prompts, **evaluation, **unread})


@given(st.data(), generations, evaluations)
def test_what_equals_its_default_leaves_run_and_results_as_they_are(
    data: st.DataObject, generation: dict[str, Any], evaluation: dict[str, Any]
) -> None:
    plain = built(generation, evaluation)
    written = data.draw(defaulted(generation, evaluation))
    assert written.compile().run_id == plain.compile().run_id
    assert written.compile().identity == plain.compile().identity
    assert written.run().digest == plain.run().digest


@given(st.data(), generations, evaluations)
def test_whatever_else_changes_makes_another_run(
    data: st.DataObject, generation: dict[str, Any], evaluation: dict[str, Any]
) -> None:
    count = generation.get("candidate_policy", {}).get("num_samples", 1)
    changes: list[Experiment] = [
        built({**VOTE, **generation, "candidate_policy": {"num_samples": count + 1}}, evaluation),
        built({**generation, "prompt_spec": PromptSpec(prefix="Q: ")}, evaluation),
        built({**generation, "prompt_spec": PromptSpec(instructions="")}, evaluation),
        built({**generation, "generator": "builtin/demo_generator"}, evaluation),
        built(generation, {**evaluation, "parsers": "builtin/text"}),
        built(generation, {**evaluation, "metrics": "builtin/f1"}),
        built(generation, evaluation, seeds=[*range(count)]),
    ]
    if asks_judges(generation, evaluation):
        drawn = data.draw(judging.filter(bool))
        changes.append(built(generation, {**evaluation, **drawn}))
    ids = [changed.compile().run_id for changed in (built(generation, evaluation), *changes)]
    assert len({*ids}) == len(ids)


@given(strategies.records(RunIdentity), st.booleans())
def test_a_canonical_identity_is_its_own(drawn: RunIdentity, judges: bool) -> None:
    once = canonical_identity(drawn.evolve(candidate_policy={"pass_k": 2, "num_samples": 2}), judges=judges)
    assert canonical_identity(once, judges=judges) == once


def test_the_evaluations_prompt_counts_for_a_selector_that_asks_no_judge() -> None:
    class Take:
        component_id = "tests/take"

        def select(self, candidates: Any, ctx: Any) -> Any:
            return candidates

    chosen: dict[str, Any] = {"selector": Take(), "candidate_policy": {"num_samples": 2}}
    generation = GenerationConfig(generator="builtin/demo_model", **chosen)
    told = EvaluationConfig(prompt_spec=PromptSpec(prefix="Look: "))
    asked = EvaluationConfig(judge_config={"repeats": 2})
    plain, with_prompt, with_judging = (
        experiment(generation=generation, evaluation=evaluation).compile().run_id
        for evaluation in (EvaluationConfig(), told, asked)
    )
    assert plain != with_prompt
    assert plain == with_judging
