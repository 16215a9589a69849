"""GGUF files, run in this process by llama.cpp (llama-cpp-python).

Every prompt is read anew: nothing is kept of the one before, so that the rounding of an answer does not depend on what
was asked earlier. Several continuations of one context do share it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

import attrs

from themis.effects.providers.drawing import Row, Weights, leave_if_cancelled, likeliest
from themis.effects.providers.in_process import InProcessModel, files_hash, split_in_process
from themis.pure.errors import SpecError
from themis.pure.json import JSONValue

_OWN: Final = ("api", "n_ctx", "n_gpu_layers", "n_threads", "component_id")


@attrs.frozen(kw_only=True)
class LlamaCppModel(InProcessModel):
    """A model of a GGUF file.

    Attributes:
        n_ctx: the most tokens of prompt and answer together.
        n_gpu_layers: layers that a GPU computes; -1 for all.
        n_threads: threads; as many as the machine has cores for unless stated.
    """

    provider: ClassVar[str] = "llama_cpp"
    extra: ClassVar[str] = "llama-cpp"
    libraries: ClassVar[Mapping[str, str]] = MappingProxyType({"llama_cpp": "llama-cpp-python"})

    n_ctx: int = 2048
    n_gpu_layers: int = 0
    n_threads: int | None = None

    def _content(self) -> str:
        return files_hash([Path(self.model)])

    def _settings(self) -> dict[str, JSONValue]:
        return {"n_ctx": self.n_ctx, "n_gpu_layers": self.n_gpu_layers}

    def _load(self) -> Weights:
        import llama_cpp

        return _Gguf(
            llama_cpp.Llama(
                self.model,
                n_ctx=self.n_ctx,
                n_gpu_layers=self.n_gpu_layers,
                n_threads=self.n_threads,
                verbose=False,
            )
        )


class _Gguf:
    """The weights of a GGUF file."""

    def __init__(self, llama: Any) -> None:
        import llama_cpp

        self._llama, self._library = llama, llama_cpp
        self._vocab = llama_cpp.llama_model_get_vocab(llama.model)
        self._template = llama.metadata.get("tokenizer.chat_template")
        self.context: int = llama.n_ctx()
        self._begins: bool = llama_cpp.llama_vocab_get_add_bos(self._vocab)
        self.start: int = llama.token_bos() if llama.token_bos() >= 0 else llama.token_eos()
        ends_text = llama_cpp.llama_vocab_is_eog
        self.ends: frozenset[int] = frozenset(t for t in range(llama.n_vocab()) if ends_text(self._vocab, t))

    def encode(self, text: str) -> list[int]:
        return self._tokens(text, begins=self._begins)

    def _tokens(self, text: str, *, begins: bool) -> list[int]:
        tokens: list[int] = self._llama.tokenize(text.encode(), add_bos=begins, special=True)
        return tokens

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        if self._template is None:
            raise SpecError("the model has no chat template; ask it with api=completions")
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        marks = {"eos_token": self._llama.token_eos(), "bos_token": self._llama.token_bos()}
        pieces = {
            name: self._library.llama_vocab_get_text(self._vocab, token).decode() if token >= 0 else ""
            for name, token in marks.items()
        }
        written = Jinja2ChatFormatter(self._template, **pieces)(messages=list(messages), tools=list(tools) or None)
        begun = self._begins and not written.prompt.startswith(pieces["bos_token"])
        return self._tokens(written.prompt, begins=begun)

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self._piece, tokens)).decode(errors="replace")

    def _piece(self, token: int) -> bytes:
        size = 1024
        buffer = ctypes.create_string_buffer(size)
        length = self._library.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
        return buffer.raw[: max(length, 0)]

    def begin(self, prompts: Sequence[Sequence[int]]) -> Sequence[Row]:
        (prompt,) = prompts
        self._llama.reset()
        self._llama.eval(list(prompt))
        return [self._last()]

    def go_on(self, tokens: Sequence[int]) -> Sequence[Row]:
        self._llama.eval(list(tokens))
        return [self._last()]

    def _last(self) -> Row:
        import numpy

        logits = self._library.llama_get_logits_ith(self._llama.ctx, -1)
        return numpy.ctypeslib.as_array(logits, shape=(self._llama.n_vocab(),)).copy()

    def likelihoods(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int
    ) -> Sequence[tuple[list[float], bool]]:
        read: Sequence[int] = ()
        first: Row = None
        found = []
        for before, own in pairs:
            leave_if_cancelled()
            if before != read:
                (first,) = self.begin([before])
                read = before
            self._llama.n_tokens = len(before)  # what is read next takes the place of the continuation before
            found.append(_sum_up(own, self._rows(first, own)))
        return found

    def _rows(self, first: Row, tokens: Sequence[int]) -> Iterator[Row]:
        yield first
        for token in tokens[:-1]:
            yield self.go_on([token])[0]


def _sum_up(tokens: Sequence[int], rows: Iterator[Row]) -> tuple[list[float], bool]:
    import numpy

    logprobs, is_greedy = [], True
    for token, row in zip(tokens, rows, strict=True):
        exact = row.astype(numpy.float64)
        most = exact.max()
        logprobs.append(float(exact[token] - most - numpy.log(numpy.exp(exact - most).sum())))
        is_greedy = is_greedy and likeliest(row) == token
    return logprobs, is_greedy


def build_llama_cpp(model: str, **options: Any) -> LlamaCppModel:
    """Build an adapter; `themis.adapters` documents the options."""
    sampling, own = split_in_process("llama_cpp", options, _OWN)
    if not Path(model).is_file():
        raise SpecError(f"llama_cpp/{model}: there is no such file; name a GGUF file, as in llama_cpp/models/tiny.gguf")
    with Path(model).open("rb") as file:
        if file.read(4) != b"GGUF":
            raise SpecError(f"llama_cpp/{model}: this is no GGUF file: its first four bytes are others")
    return LlamaCppModel(model=model, sampling=sampling, **own)
