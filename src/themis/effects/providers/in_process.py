"""Models that run in this process: what a case becomes in tokens, and what is said of it; `drawing` has the answers.

Methods block, and are called in threads; the weights are used by one thread at a time. They are loaded when they are
first needed, and let go of when the run is over.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import hashlib
import importlib.util
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeAlias

import attrs

from themis.effects.providers.drawing import Answer, Drawn, Weights, draw
from themis.effects.providers.options import refuse, unknown_options, wrong_kinds
from themis.pure.calls import CallFailure, FailureKind, ProviderError
from themis.pure.errors import MissingExtraError, SpecError, pip_install
from themis.pure.json import JSONValue, content_hash
from themis.pure.likelihoods import split_tokens
from themis.pure.limits import TokenEstimate
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt
from themis.pure.records.likelihoods import Likelihood, LogLikelihoods
from themis.pure.records.prompt import as_messages
from themis.pure.wire.exchange import Prompt, Sampling, conversation_of, prompt_of, prompt_tokens, stated

Api: TypeAlias = Literal["chat", "completions"]
MAX_TOKENS: Final = 256
_SAMPLING: Final = ("temperature", "top_p", "max_tokens", "stop", "seed")


@attrs.define(eq=False)
class _Held:
    weights: Weights | None = None
    lock: threading.Lock = attrs.field(factory=threading.Lock)


@attrs.frozen(kw_only=True)
class InProcessModel(abc.ABC):
    """A model that this process runs: generator and judge model in one.

    Attributes:
        model: its name, or where its files are.
        sampling: how it draws answers.
        api: `chat`: everything is asked in the model's chat template; `completions`: everything is text that the model
            goes on from. If not given, conversations are asked as chats, and other inputs as text.
        batch_size: the most prompts that are computed at once.
        component_id: what it is called in a run.
    """

    provider: ClassVar[str]
    extra: ClassVar[str]
    libraries: ClassVar[Mapping[str, str]]
    version: ClassVar[str] = "1"

    model: str
    sampling: Sampling = attrs.field(factory=Sampling)
    api: Api | None = None
    batch_size: int = 1
    component_id: str = attrs.field(validator=attrs.validators.min_len(1))
    _held: _Held = attrs.field(factory=_Held, init=False, eq=False, repr=False)

    @component_id.default
    def _named_after_the_model(self) -> str:
        return f"{self.provider}/{Path(self.model).name if self._is_local() else self.model}"

    def _is_local(self) -> bool:
        return Path(self.model).exists()

    @property
    def max_tokens(self) -> int:
        return self.sampling.max_tokens or MAX_TOKENS

    def fingerprint(self) -> str:
        """Return the hash of all that decides about answers: the files' content, the settings, the sampling."""
        facts = {"adapter": [self.provider, self.version, self.api], "weights": self._content()}
        return content_hash({**facts, "settings": self._settings(), "sampling": self.sampling})

    def describe(self) -> dict[str, JSONValue]:
        """Return how the model is asked, as far as it is stated."""
        facts: dict[str, JSONValue] = {
            "model": self.model,
            "api": self.api,
            **{name: getattr(self.sampling, name) for name in _SAMPLING},
            "temperature": self.sampling.temperature or 0.0,
            "max_tokens": self.max_tokens,
            "batch_size": self.batch_size,
            "weights": self._content(),
            **self._settings(),
        }
        return stated(facts)

    def check(self) -> Sequence[str]:
        """Return what is missing, one sentence each, without loading anything."""
        missing = [package for module, package in self.libraries.items() if importlib.util.find_spec(module) is None]
        return [str(self._missing(missing))] if missing else []

    def _missing(self, packages: Iterable[str]) -> MissingExtraError:
        return MissingExtraError(f"{' and '.join(packages)} can't be imported: {pip_install(self.extra)}")

    async def aclose(self) -> None:
        """Let go of the weights; they are loaded again when they are needed again."""
        self._held.weights = None

    def request(self, case: Case, ctx: GenerateContext) -> dict[str, Any]:
        """Return what the model is asked, which is what candidates are cached under."""
        prompt = prompt_of(case, ctx.prompt_spec)
        if self._as_chat(case.input):
            return {"messages": prompt.messages, "tools": prompt.tools, "seed": ctx.seed}
        return {"prompt": prompt.text, "seed": ctx.seed}

    def estimate(self, request: Mapping[str, Any]) -> TokenEstimate:
        return TokenEstimate(prompt=prompt_tokens(request), completion=self.max_tokens)

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Ask the model once.

        Raises:
            SpecError: the case asks for what can't be done in process, or its prompt is too long.
        """
        result: GenerationResult = _only(self.generate_many([(case, ctx)]))
        return result

    def generate_many(self, asked: Sequence[tuple[Case, GenerateContext]]) -> list[GenerationResult | Exception]:
        """Ask the model for several at once; each answer is what `generate` would have returned."""
        prompts = [(prompt_of(case, ctx.prompt_spec), self._as_chat(case.input), ctx.seed) for case, ctx in asked]
        answers = self._answers(prompts)
        return [
            answer if isinstance(answer, Exception) else _generation(case, ctx, prompt, answer)
            for (case, ctx), (prompt, _, _), answer in zip(asked, prompts, answers, strict=True)
        ]

    def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        """Ask the model once for a judgment."""
        answer = _only(self._answers([(prompt_of(prompt.content), self.api == "chat", seed)]))
        return JudgeResponse(
            judge_model_id=self.component_id,
            judge_model_version=self.version,
            judge_model_fingerprint=self.fingerprint(),
            effective_seed=self.sampling.seed_for(seed),
            raw_response=answer.text,
            token_usage=answer.usage,
            latency_ms=answer.latency_ms,
            artifacts=answer.artifacts,
        )

    def loglikelihood(self, context: str, continuations: Sequence[str]) -> LogLikelihoods:
        """Say how likely the model goes on from a context with each of some texts.

        Raises:
            SpecError: a text is too long for the model, or has no token of its own.
        """
        result: LogLikelihoods = _only(self.loglikelihood_many([(context, continuations)]))
        return result

    def loglikelihood_many(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[LogLikelihoods | Exception]:
        """Say the same for several contexts at once."""
        with self._loaded() as weights:
            began = time.perf_counter()
            pairs = [_attempt(functools.partial(_pairs, weights, *one)) for one in asked]
            flat = [pair for found in pairs if not isinstance(found, Exception) for pair in found]
            scored = iter(weights.likelihoods(flat, self.batch_size))
            latency_ms = (time.perf_counter() - began) * 1000 / len(asked)
            return [
                found
                if isinstance(found, Exception)
                else _likelihoods(texts, found, [next(scored) for _ in found], latency_ms)
                for (_, texts), found in zip(asked, pairs, strict=True)
            ]

    def _as_chat(self, value: JSONValue) -> bool:
        return self.api == "chat" or (self.api is None and as_messages(value) is not None)

    def _answers(self, asked: Sequence[tuple[Prompt, bool, int | None]]) -> list[Answer | Exception]:
        with self._loaded() as weights:
            prompts = [
                _attempt(functools.partial(_prompt, weights, prompt, chat, self.max_tokens))
                for prompt, chat, _ in asked
            ]
            drawn = [
                Drawn(tokens, self.sampling, self.max_tokens, seed)
                for tokens, (_, _, seed) in zip(prompts, asked, strict=True)
                if not isinstance(tokens, Exception)
            ]
            for i in range(0, len(drawn), self.batch_size):
                draw(weights, drawn[i : i + self.batch_size])
            answers = iter([one.answer(weights) for one in drawn])
            return [tokens if isinstance(tokens, Exception) else next(answers) for tokens in prompts]

    @contextlib.contextmanager
    def _loaded(self) -> Iterator[Weights]:
        """Hold the weights, for one thread at a time."""
        with self._held.lock:
            if self._held.weights is None:
                try:
                    self._held.weights = self._load()
                except ImportError as error:
                    raise self._missing(self.libraries.values()) from error
                except Exception as error:  # whatever a library finds wrong with its files: no case can be asked
                    found = f"{self.component_id} can't be loaded: {type(error).__name__}: {error}"
                    raise ProviderError(CallFailure(kind=FailureKind.ENVIRONMENT, message=found)) from error
            yield self._held.weights

    @abc.abstractmethod
    def _load(self) -> Weights:
        """Load the model."""

    @abc.abstractmethod
    def _content(self) -> str:
        """Return the hash of the model's files, or what names them as exactly."""

    @abc.abstractmethod
    def _settings(self) -> dict[str, JSONValue]:
        """Return how the model is loaded, as far as it is stated and may change an answer."""


def _prompt(weights: Weights, prompt: Prompt, chat: bool, max_tokens: int) -> list[int]:
    if prompt.response_format is not None:
        raise SpecError("response_format: a model in process can't be held to a form; ask for it in words")
    if any(not isinstance(message.get("content") or "", str) for message in prompt.messages):
        raise SpecError("a model in process reads text alone, and the prompt has images or other files")
    tokens = weights.encode_chat(prompt.messages, prompt.tools) if chat else weights.encode(prompt.text)
    tokens = tokens or [weights.start]
    _fits(weights, len(tokens), max_tokens)
    return tokens


def _fits(weights: Weights, tokens: int, more: int) -> None:
    if tokens + more > weights.context:
        room = f"and {more} for the answer (max_tokens)" if more else "with the continuation"
        raise SpecError(
            f"the prompt has {tokens:,} tokens, {room}, and the model reads {weights.context:,} at once (n_ctx); "
            "nothing is cut off in silence: shorten it, or give a larger n_ctx if the model has one"
        )


def _pairs(weights: Weights, context: str, continuations: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    pairs = [split_tokens(weights.encode, weights.start, context, text) for text in continuations]
    for before, own in pairs:
        _fits(weights, len(before) + len(own), 0)
    return pairs


def _likelihoods(
    texts: Sequence[str],
    pairs: Sequence[tuple[list[int], list[int]]],
    scored: Sequence[tuple[list[float], bool]],
    latency_ms: float,
) -> LogLikelihoods:
    found = [
        Likelihood.of(text, logprobs, is_greedy=greedy) for text, (logprobs, greedy) in zip(texts, scored, strict=True)
    ]
    read = sum(len(before) + len(own) for before, own in pairs)
    usage = {"prompt_tokens": read, "completion_tokens": 0, "total_tokens": read}
    return LogLikelihoods(continuations=found, artifacts={}, token_usage=usage, latency_ms=latency_ms)


def _generation(case: Case, ctx: GenerateContext, prompt: Prompt, answer: Answer) -> GenerationResult:
    return GenerationResult(
        candidate_id=ctx.candidate_id,
        final_output=answer.text,
        conversation=conversation_of(case.input, prompt, answer.text),
        artifacts=answer.artifacts,
        token_usage=answer.usage,
        latency_ms=answer.latency_ms,
    )


def _attempt(make: Callable[[], Any]) -> Any:
    """Return what is made, or why it can't be: one call's fault is not that of those that came with it."""
    try:
        return make()
    except Exception as error:
        return error


def _only(answers: Sequence[Any]) -> Any:
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return answer


# --- options and files ----------------------------------------------------------------------------------


def split_in_process(adapter: str, options: Mapping[str, Any], own: Sequence[str]) -> tuple[Sampling, dict[str, Any]]:
    """Sort an adapter's options into its sampling and all else.

    Raises:
        SpecError: options that do not exist, and values of the wrong kind: all at once.
    """
    known = (*_SAMPLING, *own)
    refuse([*unknown_options(adapter, options, known), *wrong_kinds(options), *_wrong_api(options.get("api"))])
    sampling = Sampling(**{name: value for name, value in options.items() if name in _SAMPLING})
    return sampling, {name: value for name, value in options.items() if name in own}


def _wrong_api(api: object) -> Iterator[str]:
    if api not in (None, "chat", "completions"):
        yield f"api: 'chat' or 'completions' expected, found {api!r}"


def files_hash(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of one file's content, or of several files' names and contents, so that it moves with them."""
    hashes = [(path.name, _file_hash(str(path), *_state(path))) for path in sorted(paths)]
    return hashes[0][1] if len(hashes) == 1 else content_hash(hashes)


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=1024)
def _file_hash(path: str, size: int, changed_ns: int) -> str:
    """Return a file's SHA-256; a file of the same size and time is not read again."""
    with open(path, "rb") as file:  # noqa: PTH123  # what `file_digest` takes
        return hashlib.file_digest(file, "sha256").hexdigest()
