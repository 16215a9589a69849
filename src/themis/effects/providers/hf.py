"""Models of Hugging Face's `transformers`, run in this process by PyTorch.

Prompts that wait at the same time are computed together: shorter ones are filled up at the left, hidden from attention
(`attention_mask`), and counted from their own beginning (`position_ids`). The result is that of one prompt alone, up to
the rounding of floating-point sums, whose order depends on a batch's shape: log-probabilities differ in about the sixth
digit, or the second with 16 bits, and a greedy answer differs where two tokens are that close. `batch_size=1` rules
it out.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

import attrs

from themis.effects.providers.drawing import Row, Weights, leave_if_cancelled
from themis.effects.providers.in_process import InProcessModel, files_hash, split_in_process
from themis.pure.errors import MissingExtraError, SpecError, pip_install
from themis.pure.json import JSONValue

_OWN: Final = ("api", "batch_size", "device", "dtype", "revision", "component_id")
_DTYPES: Final = ("auto", "float32", "float16", "bfloat16")
_COUNTED: Final = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja")
"""Endings of the files that make a model and its tokenizer."""
_NO_LIMIT: Final = 1 << 30
"""Tokens that a model reads at once which states no limit."""


@attrs.frozen(kw_only=True)
class HfModel(InProcessModel):
    """A causal language model of `transformers`.

    Attributes:
        device: where it is computed: `cpu`, `cuda`, `cuda:1`, `mps`; a GPU where there is one, unless stated.
        dtype: its numbers; `auto` for those of its files.
        revision: a branch, tag or commit of a model from the hub.
    """

    provider: ClassVar[str] = "hf"
    extra: ClassVar[str] = "hf"
    libraries: ClassVar[Mapping[str, str]] = MappingProxyType({"torch": "torch", "transformers": "transformers"})

    batch_size: int = 8
    device: str | None = None
    dtype: str = "auto"
    revision: str | None = None

    def _content(self) -> str:
        if self._is_local():
            files = [path for path in Path(self.model).iterdir() if path.is_file() and path.suffix in _COUNTED]
            return files_hash(files)
        return _commit(self.model, self.revision)

    def _settings(self) -> dict[str, JSONValue]:
        return {"dtype": self.dtype, **({} if self.device is None else {"device": self.device})}

    def _load(self) -> Weights:
        import torch
        import transformers

        revision = {} if self._is_local() else {"revision": self._content()}
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        tokenizer = transformers.AutoTokenizer.from_pretrained(self.model, **revision)
        model = transformers.AutoModelForCausalLM.from_pretrained(self.model, dtype=self.dtype, **revision)
        return _Transformer(model.to(device).eval(), tokenizer)


@functools.lru_cache(maxsize=256)
def _commit(model: str, revision: str | None) -> str:
    """Return the commit that a model of the hub is at; the smallest of its files is fetched to see it."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise MissingExtraError(f"hf/{model}: huggingface-hub can't be imported: {pip_install('hf')}") from error
    try:
        return Path(hf_hub_download(model, "config.json", revision=revision)).parent.name
    except Exception as error:
        raise SpecError(
            f"hf/{model}: there is no such folder, and the hub has no such model, or can't be reached: {error}"
        ) from error


class _Transformer:
    """A model of `transformers` with its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        config = model.config
        stated = (getattr(config, name, None) for name in ("max_position_embeddings", "n_positions"))
        self.context: int = next((length for length in stated if isinstance(length, int)), _NO_LIMIT)
        bos, eos = tokenizer.bos_token_id, _eos(model, tokenizer)
        begun = tokenizer("a").input_ids[:1]
        self._begins: list[int] = [bos] if bos is not None and begun == [bos] else []
        self.ends: frozenset[int] = frozenset(eos)
        self.start: int = bos if bos is not None else min(eos, default=0)
        takes = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in takes
        self._cache = "cache" if "cache" in takes else "past_key_values"  # as the library has renamed it
        self._past: Any = None
        self._mask: Any = None

    def encode(self, text: str) -> list[int]:
        return [*self._begins, *self._tokenizer(text, add_special_tokens=False).input_ids]

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        if self._tokenizer.chat_template is None:
            raise SpecError("the model has no chat template; ask it with api=completions")
        written = self._tokenizer.apply_chat_template(
            list(messages), tools=list(tools) or None, add_generation_prompt=True, tokenize=False
        )
        tokens: list[int] = self._tokenizer(written, add_special_tokens=False).input_ids
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def begin(self, prompts: Sequence[Sequence[int]]) -> Sequence[Row]:
        import torch

        longest = max(map(len, prompts))
        filled = [[self.start] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        shown = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self._past = None
        self._mask = torch.tensor(shown, device=self._model.device)
        return self._read(torch.tensor(filled, device=self._model.device))

    def go_on(self, tokens: Sequence[int]) -> Sequence[Row]:
        import torch

        self._mask = torch.cat([self._mask, self._mask.new_ones((len(tokens), 1))], dim=1)
        return self._read(torch.tensor([[token] for token in tokens], device=self._model.device))

    def _read(self, tokens: Any) -> Sequence[Row]:
        import torch

        with torch.inference_mode():
            out = self._model(
                input_ids=tokens,
                attention_mask=self._mask,
                use_cache=True,
                **{self._cache: self._past},
                **self._positions(tokens.shape[1]),
            )
        self._past = getattr(out, self._cache)
        rows: Sequence[Row] = out.logits[:, -1, :].float().cpu().numpy()
        return rows

    def _positions(self, count: int) -> dict[str, Any]:
        """Return where tokens stand in their own prompt, not counting what it was filled up with."""
        if not self._takes_positions:
            return {}
        places = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
        return {"position_ids": places[:, -count:]}

    def likelihoods(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int
    ) -> Sequence[tuple[list[float], bool]]:
        # The longest together, so that little is filled up, and first, so that what is too large fails at once.
        order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i][0]) - len(pairs[i][1]))
        found: dict[int, tuple[list[float], bool]] = {}
        for i in range(0, len(order), batch_size):
            leave_if_cancelled()
            chosen = order[i : i + batch_size]
            found |= zip(chosen, self._scored([pairs[number] for number in chosen]), strict=True)
        return [found[number] for number in range(len(pairs))]

    def _scored(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[list[float], bool]]:
        import torch

        # What comes behind a token changes nothing at it, so these are filled up at the right; the last is only said.
        read = [[*before, *own][:-1] for before, own in pairs]
        longest = max(map(len, read))
        tokens = torch.tensor([row + [self.start] * (longest - len(row)) for row in read], device=self._model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in read], device=self._model.device)
        with torch.inference_mode():
            logits = self._model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        return [_sum_up(row, len(before), own) for row, (before, own) in zip(logits, pairs, strict=True)]


def _sum_up(logits: Any, before: int, own: Sequence[int]) -> tuple[list[float], bool]:
    import torch

    rows = logits[before - 1 : before - 1 + len(own)].float()
    tokens = torch.tensor(list(own), device=rows.device)
    logprobs = torch.log_softmax(rows, dim=-1).gather(1, tokens[:, None])[:, 0]
    return [float(value) for value in logprobs], bool((rows.argmax(dim=-1) == tokens).all())


def _eos(model: Any, tokenizer: Any) -> set[int]:
    stated = getattr(model.generation_config, "eos_token_id", None)
    several = stated if isinstance(stated, list) else [stated]
    return {token for token in (*several, tokenizer.eos_token_id) if token is not None}


def build_hf(model: str, **options: Any) -> HfModel:
    """Build an adapter; `themis.adapters` documents the options."""
    sampling, own = split_in_process("hf", options, _OWN)
    if own.get("dtype", "auto") not in _DTYPES:
        raise SpecError(f"dtype: one of {', '.join(_DTYPES)} expected, found {own['dtype']!r}")
    if Path(model).is_dir() and not (Path(model) / "config.json").is_file():
        raise SpecError(f"hf/{model}: the folder has no config.json; name one that save_pretrained() wrote")
    return HfModel(model=model, sampling=sampling, **own)
