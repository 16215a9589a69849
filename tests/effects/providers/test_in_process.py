"""Models in process: how answers are drawn, that batches change nothing, and what is said before anything is loaded."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from themis import Experiment, PromptSpec, RuntimeConfig, adapters, evaluate
from themis.api.components import resolve_component
from themis.api.config.record import EvaluationConfig, GenerationConfig
from themis.api.config.write import config_of
from themis.api.experiment.verify import verify
from themis.effects.providers.in_process import files_hash
from themis.pure.calls import CallFailed
from themis.pure.errors import DataError, SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.judging import RenderedJudgePrompt
from themis.testing import assert_generator_contract
from themis.testing.bigram import END, PIECES, BigramModel, bigram_model, likeliest_after, logprobs_after, tokens_of

CHOICES = PromptSpec(suffix=" ", continuations="choices")


def context(seed: int | None = 5, **fields: Any) -> GenerateContext:
    return GenerateContext(
        run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=seed, **fields
    )


def said(model: BigramModel, value: Any = "the rain", seed: int | None = 5) -> str:
    return str(model.generate(Case(case_id="a", input=value), context(seed)).final_output)


# --- drawing ----------------------------------------------------------------------------------------------


def greedy(text: str, most: int) -> list[int]:
    found: list[int] = []
    last = tokens_of(text)[-1]
    while len(found) < most and (not found or found[-1] != END):
        last = likeliest_after(last)
        found.append(last)
    return found


def test_without_a_temperature_the_likeliest_token_is_taken() -> None:
    result = bigram_model(max_tokens=6).generate(Case(case_id="a", input="the rain"), context())
    tokens = greedy("the rain", 6)
    wanted = b"".join(PIECES[token] for token in tokens).decode(errors="replace")
    assert result.final_output == wanted
    assert result.finish_reason == ("stop" if tokens[-1] == END else "length")
    prompt = len(tokens_of("the rain")) + 1
    assert result.token_usage == {
        "prompt_tokens": prompt,
        "completion_tokens": len(tokens),
        "total_tokens": prompt + len(tokens),
    }
    assert said(bigram_model(max_tokens=6, temperature=0), seed=1) == wanted


@given(st.integers(0, 50), st.floats(0.3, 2.0), st.text("abc the", min_size=1, max_size=9))
def test_the_same_seed_gives_the_same_answer_and_the_models_own_goes_first(
    seed: int, temperature: float, text: str
) -> None:
    drawn = functools.partial(bigram_model, temperature=temperature, max_tokens=5)
    assert said(drawn(), text, seed) == said(drawn(), text, seed) == said(drawn(seed=seed), text, 999)


def test_other_seeds_give_other_answers_as_often_as_the_numbers_say() -> None:
    model, last = bigram_model(temperature=1.0, max_tokens=1), tokens_of("t")[-1]
    drawn = [said(model, "t", seed) for seed in range(3000)]
    ascii_pieces = {number: piece for number, piece in enumerate(PIECES) if number > END and piece.isascii()}
    top = max(ascii_pieces, key=lambda number: logprobs_after(last)[number])
    share = drawn.count(ascii_pieces[top].decode()) / len(drawn)
    assert abs(share - 2.718281828 ** logprobs_after(last)[top]) < 0.01  # about five standard errors


def test_a_nucleus_keeps_the_likeliest_alone() -> None:
    assert {said(bigram_model(temperature=1.0, top_p=1e-9, max_tokens=4), seed=seed) for seed in range(20)} == {
        said(bigram_model(max_tokens=4))
    }


def test_an_answer_ends_before_the_first_stop_text() -> None:
    whole = said(bigram_model(max_tokens=12))
    assert len(whole) > 4
    stop = whole[3:5]
    result = bigram_model(max_tokens=12, stop=[stop, "never"]).generate(Case(case_id="a", input="the rain"), context())
    assert result.final_output == whole[: whole.index(stop)]
    assert result.finish_reason == "stop"


def test_what_is_too_long_is_refused_and_never_cut() -> None:
    with pytest.raises(SpecError, match=r"the prompt has 5,001 tokens, and 256 for the answer .* 4,096 at once"):
        said(bigram_model(), "!" * 5000)
    with pytest.raises(SpecError, match="with the continuation"):
        bigram_model().loglikelihood("!" * 4095, ["!!"])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"text": "x", "response_format": {"type": "json_object"}}, "response_format"),
        ({"text": "x", "images": ["https://example.org/a.png"]}, "reads text alone"),
    ],
)
def test_what_cannot_be_done_in_process_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        said(bigram_model(), value)


# --- prompts ----------------------------------------------------------------------------------------------

TURNS = [{"role": "user", "content": "the rain"}]


def test_conversations_are_chats_and_texts_are_texts_unless_the_api_is_stated() -> None:
    chat = "<user>the rain\n<assistant>"
    plain = functools.partial(bigram_model, max_tokens=9)
    assert said(plain(), TURNS) == said(plain(), chat)
    assert said(plain(api="chat"), "the rain") == said(plain(), chat)
    assert said(plain(api="completions"), TURNS) == said(plain(), "the rain")
    turns = plain().generate(Case(case_id="a", input=TURNS), context()).conversation or ()
    assert [turn.role for turn in turns] == ["user", "assistant"]


def test_it_judges() -> None:
    answer = bigram_model(max_tokens=9).judge(RenderedJudgePrompt(prompt_id="p", content="the rain"), seed=3)
    assert answer.raw_response == said(bigram_model(max_tokens=9))
    assert (answer.judge_model_id, answer.effective_seed) == ("bigram/toy", 3)


# --- several at once --------------------------------------------------------------------------------------


@given(
    st.lists(st.text("abc the", max_size=9), min_size=1, max_size=7),
    st.integers(1, 4),
    st.sampled_from([None, 1.3]),
    st.sampled_from([None, [*"aeiotns "]]),
    st.integers(0, 1000),
)
def test_a_batch_answers_as_single_calls_do(
    texts: list[str], batch_size: int, temperature: float | None, stop: list[str] | None, seed: int
) -> None:
    model = bigram_model(batch_size=batch_size, temperature=temperature, stop=stop, max_tokens=6)
    asked = [(Case(case_id=str(i), input=text), context(seed=seed + i)) for i, text in enumerate(texts)]
    together = model.generate_many(asked)
    for (case, ctx), answer in zip(asked, together, strict=True):
        assert not isinstance(answer, Exception)
        assert answer.evolve(latency_ms=None) == model.generate(case, ctx).evolve(latency_ms=None)
    assert max(model.weights.batches) <= batch_size


def test_the_fault_of_one_call_is_not_that_of_the_others() -> None:
    model = bigram_model(batch_size=3, max_tokens=2)
    good, bad = Case(case_id="a", input="the"), Case(case_id="b", input="!" * 5000)
    answers = model.generate_many([(good, context()), (bad, context()), (good, context())])
    assert [type(answer).__name__ for answer in answers] == ["GenerationResult", "SpecError", "GenerationResult"]
    found = model.loglikelihood_many([("the", ["a"]), ("a", ["b"]), ("the", ["b"])])
    assert [type(one).__name__ for one in found] == ["LogLikelihoods", "SpecError", "LogLikelihoods"]


ROWS = [{"case_id": str(i), "input": f"the {i} rain", "expected_output": "x"} for i in range(14)]


@settings(max_examples=8)
@given(st.integers(1, 5), st.integers(1, 16), st.integers(1, 2))
def test_batches_and_concurrency_change_no_result(batch_size: int, concurrency: int, samples: int) -> None:
    def run(size: int, workers: int) -> str:
        return evaluate(
            model=bigram_model(batch_size=size, temperature=0.9, max_tokens=4),
            data=ROWS,
            metric="builtin/exact_match",
            samples=samples,
            runtime=RuntimeConfig(max_concurrent_tasks=workers),
        ).digest

    assert run(batch_size, concurrency) == run(1, 1)


def test_calls_of_a_run_that_wait_together_are_computed_together() -> None:
    model = bigram_model(batch_size=5, max_tokens=2)
    evaluate(model=model, data=ROWS, metric="builtin/exact_match", runtime=RuntimeConfig(max_concurrent_tasks=10))
    assert sum(model.weights.batches) == len(ROWS)
    assert len(model.weights.batches) < len(ROWS) / 2


def test_a_case_that_fails_leaves_its_batch_alone() -> None:
    rows = [*ROWS[:3], {"case_id": "long", "input": "!" * 5000, "expected_output": "x"}]
    result = evaluate(model=bigram_model(batch_size=4, max_tokens=2), data=rows, metric="builtin/exact_match")
    failed = [case.case_id for case in result.cases if case.generation_failures]
    assert failed == ["long"]


# --- log-likelihoods --------------------------------------------------------------------------------------

MC = [
    {"case_id": str(i), "input": {"question": f"the {i}", "choices": ["theory", "rain", "a"]}, "expected_output": "B"}
    for i in range(6)
]


def choice_run(model: Any, spec: PromptSpec = CHOICES, rows: Any = MC, **evaluation: Any) -> Any:
    dataset = Dataset(dataset_id="mc", cases=[Case(**row) for row in rows])
    settings = {"metrics": ["builtin/choice_accuracy", "builtin/likeliest_choice"], "parsers": "builtin/likeliest"}
    return Experiment(
        datasets=[dataset],
        generation=GenerationConfig(generator=model, prompt_spec=spec),
        evaluation=EvaluationConfig(**{**settings, **evaluation}),
    )


def test_a_multiple_choice_run_by_log_likelihoods() -> None:
    result = choice_run(bigram_model(batch_size=4)).run()
    for case, row in zip(result.cases, MC, strict=True):
        (answer,) = case.generated_candidates
        model = bigram_model().loglikelihood(f"{row['input']['question']} ", ["theory", "rain", "a"])  # type: ignore[index]
        assert answer.final_output == tuple(one.to_dict() for one in model.continuations)
        best = max(range(3), key=lambda i: model.continuations[i].logprob)
        assert case.parsed_output is not None
        assert case.parsed_output.value == "ABC"[best]
        assert {score.value for score in case.scores} == {float(best == 1)}
    assert verify(result.store, result.run_id).ok


def test_a_run_that_asks_for_likelihoods_is_another_run_and_the_same_answers_are_found_again() -> None:
    model = bigram_model()
    first, again = choice_run(model).compile(), choice_run(model).compile()
    other = choice_run(model, PromptSpec(suffix=" ")).compile()
    assert first.run_id == again.run_id != other.run_id


@pytest.mark.parametrize(
    "model",
    ["openai/gpt-4o", "vllm/m", "anthropic/claude", "gemini/g", "bedrock/b", "ollama/m", "builtin/demo_generator"],
)
def test_models_without_log_likelihoods_are_refused_by_name_before_anything_runs(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(SpecError, match=r"generation.prompt_spec.continuations: .* gives no log-likelihoods; .*hf/"):
        choice_run(model).compile()


def test_what_of_the_data_cannot_be_asked_is_refused_before_anything_runs() -> None:
    rows = [*MC, {"case_id": "bare", "input": {"question": "x"}}]
    with pytest.raises(DataError, match=r"case 'bare'.*'choices'"):
        choice_run(bigram_model(), rows=rows).compile()


def test_judges_are_asked_for_words() -> None:
    with pytest.raises(SpecError, match=r"evaluation.prompt_spec.continuations: a judge"):
        choice_run(bigram_model(), prompt_spec=PromptSpec(continuations="choices")).compile()


# --- what it is called, and what it lacks -----------------------------------------------------------------


def test_it_keeps_the_contract_of_generators() -> None:
    assert_generator_contract(bigram_model(max_tokens=3), deterministic=True, examples=20)


def test_settings_that_change_answers_change_the_name() -> None:
    models = [
        bigram_model(),
        bigram_model(temperature=0.5),
        bigram_model(api="chat"),
        bigram_model(max_tokens=3),
        bigram_model(stop="x"),
    ]
    for one, other in itertools.combinations(models, 2):
        assert one.fingerprint() != other.fingerprint()
    assert bigram_model(batch_size=9).fingerprint() == bigram_model().fingerprint()
    assert bigram_model(temperature=0.5).describe()["temperature"] == 0.5


def test_files_are_known_by_their_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, text in ((first, "one"), (second, "two")):
        folder.mkdir()
        (folder / "model.gguf").write_text(text)
    moved = tmp_path / "c"
    moved.mkdir()
    (moved / "model.gguf").write_text("one")
    hashes = [files_hash([folder / "model.gguf"]) for folder in (first, second, moved)]
    assert hashes[0] == hashes[2] != hashes[1]
    (first / "model.gguf").write_text("changed")
    assert files_hash([first / "model.gguf"]) != hashes[0]


GGUF = b"GGUF\x03\x00\x00\x00"


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda path: adapters.llama_cpp(str(path / "none.gguf")), "there is no such file"),
        (lambda path: adapters.llama_cpp(str(path / "text.gguf")), "no GGUF file"),
        (lambda path: adapters.llama_cpp(str(path / "a.gguf"), n_ctx=0, top_p=2), "top_p: .*n_ctx|n_ctx: .*"),
        (lambda path: adapters.llama_cpp(str(path / "a.gguf"), nctx=5), r"unknown option 'nctx' \(did you mean n_ctx"),
        (lambda path: adapters.llama_cpp(str(path / "a.gguf"), api="responses"), "api: 'chat' or 'completions'"),
        (lambda path: adapters.hf(str(path)), "no config.json"),
        (lambda path: adapters.hf("org/name", dtype="int8"), "dtype: one of auto"),
        (lambda path: adapters.hf("org/name", batch_size=2.0), "batch_size: .* write 2"),
        (lambda path: adapters.hf("org/name", logprobs=3), "unknown option 'logprobs'"),
    ],
)
def test_options_are_checked_before_anything_is_loaded(build: Any, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(GGUF)
    (tmp_path / "text.gguf").write_text("text")
    with pytest.raises(SpecError, match=problem):
        build(tmp_path)


def test_an_extra_that_is_not_installed_is_named_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "a.gguf").write_bytes(GGUF)
    (tmp_path / "config.json").write_text("{}")
    gguf, hf = adapters.llama_cpp(str(tmp_path / "a.gguf")), adapters.hf(str(tmp_path))
    assert gguf.check() == ["llama-cpp-python can't be imported: pip install 'themis-evals[llama-cpp]'"]
    assert hf.check() == ["torch and transformers can't be imported: pip install 'themis-evals[hf]'"]
    with pytest.raises(SpecError, match=r"llama_cpp/a.gguf: llama-cpp-python can't be imported"):
        evaluate(model=gguf, data=ROWS, metric="builtin/exact_match")


def test_a_run_says_how_the_model_was_asked_and_of_no_server() -> None:
    result = evaluate(model=bigram_model(max_tokens=2), data=ROWS[:2], metric="builtin/exact_match")
    answer = result.cases[0].generated_candidates[0]
    assert sorted(answer.artifacts or {}) == ["finish_reason"]
    assert "bigram 1" in str(result.snapshot.descriptions)


def test_a_config_names_the_file_and_what_was_stated(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(GGUF)
    model = adapters.llama_cpp(str(tmp_path / "a.gguf"), n_ctx=64, stop=["x"], temperature=0.5, api="chat")
    written = config_of(choice_run(model))["generation"]["generator"]
    named = written.pop("id")
    assert named == f"llama_cpp/{tmp_path}/a.gguf"
    assert written["n_ctx"] == 64
    assert resolve_component(named, **written) == model


def test_model_strings_name_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(GGUF)
    model = resolve_component(f"llama_cpp/{tmp_path}/a.gguf", n_ctx=64, temperature=0.5)
    assert (model.component_id, model.n_ctx, model.sampling.temperature) == ("llama_cpp/a.gguf", 64, 0.5)
    assert resolve_component(f"llama_cpp:{tmp_path}/a.gguf", n_ctx=64, temperature=0.5) == model
    assert resolve_component("hf/org/name").component_id == "hf/org/name"


def test_an_estimate_counts_the_context_with_each_continuation_and_no_answers() -> None:
    found = choice_run(bigram_model()).estimate()
    assert found.estimated_generation_output_tokens == 0
    assert found.estimated_generation_input_tokens == 6 * (3 + 3 + 2)  # of 12, 10 and 7 characters
    assert any("nothing is written" in line for line in found.assumptions)


def test_a_model_that_cannot_be_loaded_ends_the_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []

    def broken(self: BigramModel) -> Any:
        loads.append(1)
        raise ValueError("tensor 'blk.0' has a wrong shape")

    monkeypatch.setattr(BigramModel, "_load", broken)
    with pytest.raises(CallFailed, match=r"bigram/toy can't be loaded: ValueError: tensor 'blk\.0'"):
        evaluate(
            model=bigram_model(batch_size=4),
            data=ROWS,
            metric="builtin/exact_match",
            runtime=RuntimeConfig(max_concurrent_tasks=4),
        )
    assert len(loads) <= 4


def test_a_call_that_is_cancelled_leaves_the_model_to_others() -> None:
    begun, tokens = threading.Event(), []

    class Slow(type(bigram_model().weights)):  # type: ignore[misc]  # a class that is not exported
        ends = frozenset[int]()

        def go_on(self, last: Any) -> Any:
            begun.set()
            tokens.append(last)
            time.sleep(0.001)
            return super().go_on(last)

    model = bigram_model(max_tokens=4000, temperature=1.0)
    endless = attrs.evolve(model, weights=Slow())

    async def main() -> None:
        ask = functools.partial(endless.generate, Case(case_id="a", input="x"), context())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(functools.partial(trio.to_thread.run_sync, ask, abandon_on_cancel=True))
            await trio.to_thread.run_sync(begun.wait)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert endless._held.lock.acquire(timeout=60)
    assert len(tokens) < 3999  # its thread has seen it before it was through
