"""`hf/...` against transformers and PyTorch: a tiny model with random weights, made here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from themis import RuntimeConfig, adapters, evaluate
from themis.pure.errors import SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case

torch = pytest.importorskip("torch", reason="needs the extra hf: pip install 'themis-evals[hf]'")
transformers = pytest.importorskip("transformers", reason="needs the extra hf: pip install 'themis-evals[hf]'")

CORPUS = ["the rain in spain stays mainly in the plain", "a theory of the end", "yes no maybe so"]
TEXTS = ["the rain", "a", "the theory of rain in spain and the plain", "yes", "", "no maybe", "so so so so"]
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"


def tokenizer(*, begins: bool) -> Any:
    library: Any = importlib.import_module("tokenizers")
    decoders, pre_tokenizers, trainers = library.decoders, library.pre_tokenizers, library.trainers
    made = library.Tokenizer(library.models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(CORPUS, trainer)
    if begins:
        made.post_processor = library.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def save(folder: Path, kind: str, *, begins: bool, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    words = tokenizer(begins=begins)
    size, most = len(words), 128
    if kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=size, n_positions=most, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            vocab_size=size,
            max_position_embeddings=most,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            bos_token_id=0,
            eos_token_id=1,
        )
        model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():  # as they are drawn, all tokens are about as likely
        for weight in model.parameters():
            weight.mul_(8.0)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp(request.param), request.param, begins=request.param == "llama")


def context(seed: int | None = 5) -> GenerateContext:
    return GenerateContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=seed)


def loaded(folder: Path) -> tuple[Any, Any]:
    return (
        transformers.AutoModelForCausalLM.from_pretrained(folder).eval(),
        transformers.AutoTokenizer.from_pretrained(folder),
    )


def test_greedy_answers_are_those_of_the_librarys_own_generate(folder: Path) -> None:
    model, words = loaded(folder)
    asked = adapters.hf(str(folder), max_tokens=9)
    for text in filter(None, TEXTS):
        ids = words(text, return_tensors="pt").input_ids
        with torch.inference_mode():
            whole = model.generate(ids, max_new_tokens=9, do_sample=False, pad_token_id=1)[0]
        result = asked.generate(Case(case_id="a", input=text), context())
        assert result.final_output == words.decode(whole[ids.shape[1] :], skip_special_tokens=True)
        assert (result.token_usage or {})["prompt_tokens"] == ids.shape[1]
        assert (result.token_usage or {})["completion_tokens"] == len(whole) - ids.shape[1]
        assert result.finish_reason == ("stop" if whole[-1] == 1 else "length")


@pytest.mark.parametrize("temperature", [None, 0.7])
def test_batches_of_prompts_of_all_lengths_answer_as_single_calls_do(folder: Path, temperature: float | None) -> None:
    asked = adapters.hf(str(folder), max_tokens=7, batch_size=7, temperature=temperature)
    calls = [(Case(case_id=str(i), input=text), context(i)) for i, text in enumerate(TEXTS)]
    together = asked.generate_many(calls)
    alone = [asked.generate(*call) for call in calls]
    assert [one.final_output for one in together] == [one.final_output for one in alone]  # type: ignore[union-attr]


def test_log_likelihoods_are_those_of_the_logits(folder: Path) -> None:
    model, words = loaded(folder)
    asked = adapters.hf(str(folder), batch_size=3)
    continuations = ["the plain", "rain in spain", "a"]
    found = asked.loglikelihood("the rain in ", continuations)
    for one in found.continuations:
        before = words("the rain in").input_ids
        ids = words(f"the rain in {one.text}").input_ids
        with torch.inference_mode():
            rows = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), dim=-1)
        places = range(len(before), len(ids))
        assert one.tokens == len(places)
        assert one.logprob == pytest.approx(sum(float(rows[i - 1, ids[i]]) for i in places), abs=1e-4)
        assert one.is_greedy == all(int(rows[i - 1].argmax()) == ids[i] for i in places)


def test_log_likelihoods_in_batches_are_those_of_single_calls(folder: Path) -> None:
    asked = [(text, ["the plain", " rain", "a theory of all"]) for text in TEXTS]
    together = adapters.hf(str(folder), batch_size=8).loglikelihood_many(asked)
    for (text, continuations), found in zip(asked, together, strict=True):
        alone = adapters.hf(str(folder), batch_size=1).loglikelihood(text, continuations)
        assert not isinstance(found, Exception)
        for one, other in zip(found.continuations, alone.continuations, strict=True):
            assert one.logprob == pytest.approx(other.logprob, rel=1e-4, abs=1e-4)
            assert (one.tokens, one.is_greedy) == (other.tokens, other.is_greedy)


def test_what_a_greedy_answer_says_is_a_greedy_continuation(folder: Path) -> None:
    asked = adapters.hf(str(folder), max_tokens=3)
    said = asked.generate(Case(case_id="a", input="the rain"), context())
    if said.finish_reason == "length" and str(said.final_output).isascii() and said.final_output:
        (one,) = asked.loglikelihood("the rain", [str(said.final_output)]).continuations
        assert one.is_greedy or one.tokens != 3  # another tokenizing of the same text


def test_a_run_has_one_digest_whatever_the_batches(folder: Path) -> None:
    rows = [{"case_id": str(i), "input": text or "x", "expected_output": "y"} for i, text in enumerate(TEXTS)]
    digests = {
        evaluate(
            model=adapters.hf(str(folder), batch_size=size, max_tokens=4),
            data=rows,
            metric="builtin/exact_match",
            runtime=RuntimeConfig(max_concurrent_tasks=workers),
        ).digest
        for size, workers in ((1, 1), (4, 8), (8, 8))
    }
    assert len(digests) == 1


def test_conversations_need_a_template_and_use_it(folder: Path, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "the rain"}]
    with pytest.raises(SpecError, match="no chat template; ask it with api=completions"):
        adapters.hf(str(folder)).generate(Case(case_id="a", input=turns), context())
    model, words = loaded(folder)
    words.chat_template = TEMPLATE
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    asked = adapters.hf(str(tmp_path), max_tokens=4, api="completions")
    chat = adapters.hf(str(tmp_path), max_tokens=4).generate(Case(case_id="a", input=turns), context())
    ids = words("<user>the rain<assistant>", add_special_tokens=False).input_ids
    assert (chat.token_usage or {})["prompt_tokens"] == len(ids)
    assert asked.generate(Case(case_id="a", input=turns), context()).token_usage != chat.token_usage


def test_other_weights_of_one_name_are_another_model(folder: Path, tmp_path: Path) -> None:
    one = save(tmp_path / "1" / "m", "llama", begins=True)
    same = save(tmp_path / "2" / "m", "llama", begins=True)
    other = save(tmp_path / "3" / "m", "llama", begins=True, seed=1)
    names = [adapters.hf(str(path)).fingerprint() for path in (one, same, other)]
    assert names[0] == names[1] != names[2]
    assert adapters.hf(str(one)).component_id == "hf/m"


def test_what_is_too_long_is_refused_and_never_cut(folder: Path) -> None:
    with pytest.raises(SpecError, match="128 at once"):
        adapters.hf(str(folder), max_tokens=120).generate(Case(case_id="a", input="yes no " * 9), context())
