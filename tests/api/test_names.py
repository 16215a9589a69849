"""Names that nothing has, and components that can't be called, are refused before anything runs, at every door."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import (
    Case,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    RuntimeConfig,
    evaluate,
    generator,
    metric,
    parser,
    reducer,
)
from themis.api.components import resolve_component
from themis.api.data import as_datasets
from themis.pure.abilities import PLACES, Call, Components, MetricAbilities
from themis.pure.components.registry import component_ids, make_builtin
from themis.pure.errors import SpecError, UnknownComponentError
from themis.pure.families import FAMILIES
from themis.pure.records.generation import GenerationResult

ROW = {"case_id": "a", "input": "1+1", "expected_output": "2"}


class Counted:
    """A generator that counts its calls."""

    component_id = "tests/counted"
    version = "1"
    provider_key = "tests"

    def __init__(self) -> None:
        self.calls = 0

    def generate(self, case: Case, ctx: Any) -> GenerationResult:
        self.calls += 1
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="2")


def refusal(**changes: Any) -> str:
    """Return why a run is refused, which must be before its model is called."""
    model = Counted()
    with pytest.raises(SpecError) as caught:
        evaluate(**{"model": model, "data": [ROW], "metric": "builtin/exact_match", **changes})
    assert model.calls == 0
    return str(caught.value)


# --- names of components ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "name", "words"),
    [
        ("generator", "gpt-4o", "no model 'gpt-4o'; did you mean openai/gpt-4o?"),
        ("generator", "claude-sonnet-4-5", "did you mean anthropic/claude-sonnet-4-5?"),
        ("generator", "gpt-oss-20b", "did you mean vllm/gpt-oss-20b or ollama/gpt-oss-20b?"),
        ("generator", "meta-llama/Llama-3-8B", "did you mean vllm/meta-llama/Llama-3-8B or hf/meta-llama/Llama-3-8B?"),
        ("generator", "opnai/gpt-4o", "did you mean openai/gpt-4o?"),
        ("generator", "openai", "did you mean openai/MODEL?"),
        ("judge_models", "gpt-4o", "no judge model 'gpt-4o'; did you mean openai/gpt-4o?"),
        ("metrics", "accuracy", "no metric 'accuracy'; did you mean builtin/exact_match or builtin/choice_accuracy"),
        ("metrics", "Exact-Match", "did you mean builtin/exact_match "),
        ("metrics", "llm-as-a-judge", "did you mean builtin/llm_rubric"),
        ("metrics", "xyz", "no metric 'xyz'; `themis catalog list components --kind metric` shows"),
        ("parsers", "jsn", "no parser 'jsn'; did you mean builtin/json?"),
        ("reducer", "vote", "no reducer 'vote'; did you mean builtin/majority_vote?"),
    ],
)
def test_an_unknown_name_is_told_the_nearest_of_its_kind_in_a_line(place: str, name: str, words: str) -> None:
    with pytest.raises(UnknownComponentError) as caught:
        resolve_component(name, place)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


KIND = {"generator": "generator", "parsers": "parser", "metrics": "metric", "reducer": "reducer"}


@given(place=st.sampled_from(sorted(KIND)), data=st.data())
def test_no_name_of_another_kind_is_suggested(place: str, data: st.DataObject) -> None:
    known = data.draw(st.sampled_from(component_ids()))
    cut = data.draw(st.integers(0, len(known) - 1))
    with pytest.raises(UnknownComponentError) as caught:
        resolve_component(f"{known[:cut]}~{known[cut + 1 :]}", place)
    suggested = str(caught.value).partition("(a ")[0]
    own = set(component_ids(KIND[place]))
    assert not [each for each in component_ids() if f"{each} " in f"{suggested.replace('?', ' ')} " and each not in own]


def test_all_unknown_names_are_told_at_once() -> None:
    told = refusal(model="gpt-4o", metric=["accuracy", "f1"], parser="jsn")
    assert [word in told for word in ("openai/gpt-4o", "builtin/choice_accuracy", "builtin/json")] == [True] * 3


# --- names of stages, providers and options ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runtime": RuntimeConfig(stage_concurrency={"generation": 3})}, "did you mean generate?"),
        ({"runtime": RuntimeConfig(stage_concurrency={"parse": 3})}, "runtime.stage_concurrency.parse"),
        ({"runtime": RuntimeConfig(provider_concurrency={"opnai": 3})}, "did you mean openai? this run calls tests"),
        ({"runtime": RuntimeConfig(provider_rate_limits={"bogus@host:1": 3})}, "runtime.provider_rate_limits.bogus@"),
        ({"runtime": RuntimeConfig(provider_token_limits={"test": 3})}, "did you mean tests?"),
    ],
)
def test_limits_for_what_no_call_can_be_are_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refusal(**changes)


def test_limits_of_a_shared_configuration_are_taken() -> None:
    shared = RuntimeConfig(
        stage_concurrency={"generate": 2, "judge": 1},
        provider_concurrency={"tests": 2, "openai": 8, "vllm@gpu1:8000": 4},
    )
    experiment = Experiment(generation=GenerationConfig(generator=Counted()), datasets=as_datasets([ROW]))
    assert experiment.run(runtime=shared).progress.total_cases == 1
    wrong = RuntimeConfig(provider_concurrency={"bogus": 1})
    with pytest.raises(SpecError, match="bogus"):  # not the one that was compiled with
        experiment.run(runtime=wrong)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"judge_config": {"repeat": 3}}, "judge_config.repeat: no judge reads it; did you mean repeats?"),
        ({"workflow_overrides": {"rubrik": "?"}}, "workflow_overrides.rubrik: no judge reads it; did you mean rubric"),
    ],
)
def test_options_that_no_builtin_judge_reads_are_refused(changes: dict[str, Any], words: str) -> None:
    assert words in refusal(metric="builtin/llm_rubric", judge="builtin/demo_judge", **changes)


# --- signatures -------------------------------------------------------------------------------------------


class TwoArguments:
    component_id = "tests/two"
    version = "1"

    def score(self, parsed: Any, case: Any) -> float:
        return 1.0


class Awaited(TwoArguments):
    async def score(self, parsed: Any, case: Any, ctx: Any) -> float:  # type: ignore[override]
        return 1.0


def test_a_metric_that_can_not_be_called_is_refused_with_both_signatures() -> None:
    told = refusal(metric=TwoArguments())
    assert "metrics: tests/two.score(parsed, case) can't be called as score(parsed, case, ctx)" in told
    assert "score() is async, and nothing waits for it" in refusal(metric=Awaited())


def test_classes_and_plain_functions_are_no_components() -> None:
    def mine(parsed: Any) -> float:
        return 1.0

    assert refusal(metric=TwoArguments).endswith(
        "metrics: TwoArguments is a class; give an object of it, as in " + "TwoArguments()"
    )
    assert "metrics: mine is a plain function; make a component of it with" in refusal(metric=mine)
    assert "generator: mine is a plain function" in refusal(model=mine)
    assert evaluate(model=Counted(), data=[ROW], metric=metric(mine)).benchmark.metric_means == {"mine": 1.0}


def test_methods_that_yield_are_refused() -> None:
    """`async def` with a `yield` in it looks like a component that streams, and is never awaited."""

    class Yields:
        component_id = "tests/yields"
        version = "1"

        async def generate(self, case: Any, ctx: Any) -> Any:
            yield "2"

        def score(self, parsed: Any, case: Any, ctx: Any) -> Any:
            yield 1.0

        def parse(self, candidate: Any, ctx: Any) -> Any:
            yield "2"

        def reduce(self, candidates: Any, ctx: Any) -> Any:
            yield "2"

        async def judge(self, prompt: Any) -> Any:
            yield "5"

        def check(self) -> Any:  # here, it is how one says what is lacking
            yield "no key"

    for place, method in (("model", "generate"), ("metric", "score"), ("parser", "parse"), ("judge", "judge")):
        assert f"tests/yields.{method}() yields, and its place takes what it returns" in refusal(**{place: Yields()})
    assert "tests/yields.reduce() yields" in refusal(reducer=Yields(), samples=2)
    assert "check" not in refusal(metric=Yields())


@pytest.mark.parametrize("value", [None, [], ["builtin/f1"], {}, 3, True, b"x", Path("a.gguf")], ids=repr)
@pytest.mark.parametrize("place", ["model", "metric", "parser", "judge", "reducer"])
def test_plain_values_are_no_components(place: str, value: Any) -> None:
    if value is None and place == "reducer":
        return  # there is none, then
    several = place not in ("model", "reducer")
    told = refusal(**{place: [value] if several else value})
    assert "a component or its name expected, found" in told
    assert "component_id" not in told


@pytest.mark.parametrize(
    ("decorate", "function", "words"),
    [
        (metric, lambda a, b, c, d: 1.0, "(a, b, c, d) can't be called as <lambda>(parsed, case, ctx): missing"),
        (metric, lambda parsed, *, answr: 1.0, "asks for what no metric is told: 'answr': did you mean answer?"),
        (parser, lambda text, *, case: 1.0, "asks for what no parser is told: 'case'"),
        (parser, lambda a, b, c: a, "can't be called as <lambda>(candidate, ctx)"),
        (reducer, lambda a, b, c: a, "can't be called as <lambda>(candidates, ctx)"),
        (generator, lambda a, b, c: a, "can't be called as <lambda>(case, ctx)"),
        (metric, max, "nobody can tell what max takes"),
        (metric, "mine", "@metric takes a function, and a name as component_id=...; found 'mine'"),
        (metric, TwoArguments, "found the class TwoArguments"),
    ],
)
def test_functions_that_can_be_no_component_are_refused_where_they_are_written(
    decorate: Any, function: Any, words: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(words)):
        decorate(component_id="tests/mine")(function)


def test_async_and_yielding_functions_are_refused_where_nobody_waits() -> None:
    async def waits(parsed: Any) -> float:
        return 1.0

    def yields(parsed: Any) -> Any:
        yield 1.0

    class Called:
        async def __call__(self, parsed: Any) -> float:
            return 1.0

    decorate: Any
    for function in (waits, Called(), functools.partial(waits)):
        for decorate in (metric, parser):
            with pytest.raises(SpecError, match="is async, and nothing waits for it"):
                decorate(component_id="tests/mine")(function)
    for decorate in (metric, parser, reducer, generator):
        with pytest.raises(SpecError, match=r"yields\(\) yields"):
            decorate(component_id="tests/mine")(yields)
    reducer(component_id="tests/mine")(waits)
    generator(component_id="tests/mine")(waits)


METHODS: Mapping[str, Mapping[str, int]] = {
    "generator": {"generate": 2, "request": 2, "loglikelihood": 2, "generate_many": 1, "estimate": 1, "check": 0},
    "selector": {"select": 2},
    "reducer": {"reduce": 2},
    "parsers": {"parse": 2},
    "metrics": {"score": 3},
    "judge_models": {"judge": 1},
}
"""How many arguments each method is given; the first is what its place needs."""


@given(
    place=st.sampled_from(sorted(METHODS)),
    data=st.data(),
    taken=st.integers(0, 5),
    defaults=st.integers(0, 5),
    needed=st.booleans(),
)
def test_a_method_is_refused_if_and_only_if_it_can_not_be_called(
    place: str, data: st.DataObject, taken: int, defaults: int, needed: bool
) -> None:
    """Signatures of any number of parameters, some with defaults, and a keyword that nobody gives."""
    method = data.draw(st.sampled_from(sorted(METHODS[place])))
    parameters = [f"p{i}" if i < taken - defaults else f"p{i}=0" for i in range(taken)]
    source = f"def {method}({', '.join(['self', *parameters, *(['*', 'more'] if needed else [])])}): pass"
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    whole = {name: (lambda *_, **__: None) for name in list(METHODS[place])[:1]}
    kind = type("Kind", (), {**whole, "component_id": "k", "version": "1", method: namespace[method]})
    given = METHODS[place][method]
    fits = taken - min(defaults, taken) <= given <= taken and not needed
    several = place in ("parsers", "metrics", "judge_models")
    made = PLACES[place]([kind()] if several else kind())
    (able,) = made if several else (made,)
    assert (able.faults == ()) is fits


def test_every_builtin_and_every_family_can_be_called() -> None:
    for place, kind in (("metrics", "metric"), ("parsers", "parser"), ("reducer", "reducer"), ("selector", "selector")):
        for name in component_ids(kind):
            component = make_builtin(name, **({"pattern": "a"} if name == "builtin/regex" else {}))
            several = place in ("metrics", "parsers")
            made = PLACES[place]([component] if several else component)
            assert (made[0] if several else made).faults == (), name
    told = {field.name for field in attrs.fields(MetricAbilities) if Call in field.metadata}
    assert {family.method for family in FAMILIES.values()} - {""} <= told


def test_a_component_of_unknown_signature_is_taken() -> None:
    class Native:
        component_id = "tests/native"
        version = "1"
        score = staticmethod(max)

    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(max)
    assert MetricAbilities.of(Native()).faults == ()
    components = Components.of(generator=Counted(), metrics=[Native()])
    assert components.metric["tests/native"].family == "pure"


def test_an_experiment_is_refused_as_evaluate_is() -> None:
    experiment = Experiment(
        generation=GenerationConfig(generator=Counted()),
        evaluation=EvaluationConfig(metrics=TwoArguments()),
        datasets=as_datasets([ROW]),
    )
    with pytest.raises(SpecError, match="can't be called as score"):
        experiment.compile()
    with pytest.raises(SpecError, match="can't be called as score"):
        experiment.plan()
