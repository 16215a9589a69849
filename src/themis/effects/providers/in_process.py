"""Models that run in this process: what a case becomes in tokens, and how an answer is drawn from the model's numbers.

A library behind it offers `Weights`: tokens, and the numbers (logits) that its model gives to each next one. All else
is here, once, so that all of them draw, stop and count alike:

- without a temperature, or with 0, the likeliest token is taken, the first of several;
- otherwise a token is drawn with a random number that comes from the call's seed and nothing else: the same seed gives
  the same answer, whatever is asked at the same time;
- an answer ends before the first stop text that is in it, at a token that ends a text, or at `max_tokens`, which is 256
  unless stated; it is cut by the length if none of the others came first;
- tokens are counted as they were computed: the one that ends the answer is among them.

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
from random import Random
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

import attrs
import trio

from themis.effects.providers.options import refuse, wrong_kinds
from themis.pure.calls import CallFailure, FailureKind, ProviderError
from themis.pure.errors import MissingExtraError, SpecError, nearest
from themis.pure.json import JSONValue, content_hash
from themis.pure.likelihoods import split_tokens
from themis.pure.limits import TokenEstimate
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, Message
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt
from themis.pure.records.likelihoods import Likelihood, LogLikelihoods
from themis.pure.records.prompt import as_messages
from themis.pure.wire.exchange import Prompt, Sampling, prompt_of, prompt_tokens

Api: TypeAlias = Literal["chat", "completions"]
MAX_TOKENS: Final = 256
_SAMPLING: Final = ("temperature", "top_p", "max_tokens", "stop", "seed")

Row: TypeAlias = Any
"""The logits of the next token: a NumPy array of as many numbers as the model has tokens."""


class Weights(Protocol):
    """A model that is loaded.

    Attributes:
        name: what its files call it.
        context: the most tokens of prompt and answer together.
        start: the token that stands for an empty text.
        ends: the tokens that end an answer.
    """

    name: str
    context: int
    start: int
    ends: frozenset[int]

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens, behind the one that begins a text, where the model has one."""

    def encode_chat(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """Return the tokens of a conversation up to where the model's answer begins, by the model's own template."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of an answer's tokens, without those that only mark something."""

    def begin(self, prompts: Sequence[Sequence[int]]) -> Sequence[Row]:
        """Read prompts, and return the logits behind each."""

    def go_on(self, tokens: Sequence[int]) -> Sequence[Row]:
        """Read one more token behind each prompt, and return the logits behind it."""

    def likelihoods(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int
    ) -> Sequence[tuple[list[float], bool]]:
        """Return, for tokens behind others, each one's log-probability, and whether all are the likeliest."""


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
        return {name: fact for name, fact in facts.items() if fact is not None}

    def check(self) -> Sequence[str]:
        """Return what is missing, one sentence each, without loading anything."""
        missing = [package for module, package in self.libraries.items() if importlib.util.find_spec(module) is None]
        return [str(self._missing(missing))] if missing else []

    def _missing(self, packages: Iterable[str]) -> MissingExtraError:
        return MissingExtraError(f"{' and '.join(packages)} can't be imported: pip install 'themis[{self.extra}]'")

    async def aclose(self) -> None:
        """Let go of the weights; they are loaded again when they are needed again."""
        self._held.weights = None

    def request(self, case: Case, ctx: GenerateContext) -> dict[str, Any]:
        """Return what the model is asked, which is what candidates are cached under."""
        prompt = prompt_of(case.input, ctx.prompt_spec)
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
        prompts = [(prompt_of(case.input, ctx.prompt_spec), self._as_chat(case.input), ctx.seed) for case, ctx in asked]
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
            effective_seed=seed if self.sampling.seed is None else self.sampling.seed,
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
                else _likelihoods(texts, found, [next(scored) for _ in found], weights.name, latency_ms)
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
                _Drawn(tokens, self.sampling, self.max_tokens, seed)
                for tokens, (_, _, seed) in zip(prompts, asked, strict=True)
                if not isinstance(tokens, Exception)
            ]
            for i in range(0, len(drawn), self.batch_size):
                _draw(weights, drawn[i : i + self.batch_size])
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


# --- drawing an answer ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Answer:
    """An answer as it was drawn."""

    text: str
    artifacts: Mapping[str, JSONValue]
    usage: Mapping[str, int]
    latency_ms: float


class _Drawn:
    """One answer while it is drawn."""

    def __init__(self, prompt: Sequence[int], sampling: Sampling, max_tokens: int, seed: int | None) -> None:
        self.prompt = prompt
        self.tokens: list[int] = []
        self.finish = ""
        self.latency_ms = 0.0
        self._sampling = sampling
        self._max_tokens = max_tokens
        self._random = Random(seed if sampling.seed is None else sampling.seed)  # noqa: S311  # no secret

    def take(self, weights: Weights, row: Row) -> int:
        """Draw the next token."""
        token = likeliest(row) if not self._sampling.temperature else self._at_random(row, self._sampling.temperature)
        self.tokens.append(token)
        if token in weights.ends or (self._sampling.stop and self._cut(weights.decode(self.tokens)) is not None):
            self.finish = "stop"
        elif len(self.tokens) >= self._max_tokens:
            self.finish = "length"
        return token

    def _at_random(self, row: Row, temperature: float) -> int:
        import numpy

        # In double precision, and in the order of the tokens' probabilities, ties in the order of their numbers.
        scaled = numpy.asarray(row, dtype=numpy.float64) / temperature
        shares = numpy.exp(scaled - scaled.max())
        order = numpy.argsort(-shares, kind="stable")
        sums = numpy.cumsum(shares[order])
        top_p = 1.0 if self._sampling.top_p is None else self._sampling.top_p
        # The fewest tokens that have the share `top_p` together (Holtzman et al. 2020, "nucleus sampling").
        kept = int(numpy.searchsorted(sums, top_p * sums[-1])) + 1
        kept = min(kept, len(sums))
        drawn = int(numpy.searchsorted(sums[:kept], self._random.random() * sums[kept - 1], side="right"))
        return int(order[min(drawn, kept - 1)])

    def _cut(self, text: str) -> str | None:
        places = [place for stop in self._sampling.stop or () if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else None

    def answer(self, weights: Weights) -> Answer:
        said = [token for token in self.tokens if token not in weights.ends]
        text = weights.decode(said)
        cut = self._cut(text)
        counted = {"prompt_tokens": len(self.prompt), "completion_tokens": len(self.tokens)}
        return Answer(
            text=text if cut is None else cut,
            artifacts={"model": weights.name, "finish_reason": self.finish},
            usage={**counted, "total_tokens": sum(counted.values())},
            latency_ms=self.latency_ms,
        )


def likeliest(row: Row) -> int:
    """Return the token with the largest number, the first of several."""
    return int(row.argmax())


def _draw(weights: Weights, batch: Sequence[_Drawn]) -> None:
    began = time.perf_counter()
    rows = weights.begin([one.prompt for one in batch])
    while True:
        leave_if_cancelled()
        # What is finished already is only kept in step with the others.
        tokens = [
            one.tokens[-1] if one.finish else one.take(weights, row) for one, row in zip(batch, rows, strict=True)
        ]
        if all(one.finish for one in batch):
            break
        rows = weights.go_on(tokens)
    for one in batch:
        one.latency_ms = (time.perf_counter() - began) * 1000 / len(batch)


def leave_if_cancelled() -> None:
    """Raise `trio.Cancelled` if the call that this thread works for is: asked between two steps of the model."""
    with contextlib.suppress(RuntimeError):  # no thread of trio's: somebody calls the model by hand
        trio.from_thread.check_cancelled()


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
    name: str,
    latency_ms: float,
) -> LogLikelihoods:
    found = [
        Likelihood.of(text, logprobs, is_greedy=greedy) for text, (logprobs, greedy) in zip(texts, scored, strict=True)
    ]
    read = sum(len(before) + len(own) for before, own in pairs)
    usage = {"prompt_tokens": read, "completion_tokens": 0, "total_tokens": read}
    return LogLikelihoods(continuations=found, artifacts={"model": name}, token_usage=usage, latency_ms=latency_ms)


def _generation(case: Case, ctx: GenerateContext, prompt: Prompt, answer: Answer) -> GenerationResult:
    said = None
    if as_messages(case.input) is not None:
        asked = [Message(role=message["role"], content=message.get("content")) for message in prompt.messages]
        said = (*asked, Message(role="assistant", content=answer.text))
    return GenerationResult(
        candidate_id=ctx.candidate_id,
        final_output=answer.text,
        conversation=said,
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


# --- options and files ------------------------------------------------------------------------------------


def split_in_process(adapter: str, options: Mapping[str, Any], own: Sequence[str]) -> tuple[Sampling, dict[str, Any]]:
    """Sort an adapter's options into its sampling and all else.

    Raises:
        SpecError: options that do not exist, and values of the wrong kind: all at once.
    """
    known = (*_SAMPLING, *own)
    unknown = [f"{name!r} ({nearest(name, known)})" for name in options if name not in known]
    faults = [f"{adapter}(): unknown option {', '.join(unknown)}"] if unknown else []
    refuse([*faults, *wrong_kinds(options), *_wrong_api(options.get("api"))])
    sampling = Sampling(**{name: value for name, value in options.items() if name in _SAMPLING})
    return sampling, {name: value for name, value in options.items() if name in own}


def _wrong_api(api: object) -> Iterator[str]:
    if api not in (None, "chat", "completions"):
        yield f"api: 'chat' or 'completions' expected, found {api!r}"


def files_hash(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of files: of their names and of what is in them, so that it moves with them."""
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
