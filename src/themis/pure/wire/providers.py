"""Who serves models, as data: addresses and keys, and in one table what a provider or a family of models can't be sent.

The rule: **what can't be sent is refused before anything runs**, and never left out in silence, for an answer drawn in
another way than the run says is a wrong result. A field that goes by another name is sent by that name.

Sources: the providers' references, as named at each row; none of the providers was called.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from themis.pure.json import EMPTY
from themis.pure.records.base import FrozenModel


@attrs.frozen(kw_only=True)
class Provider(FrozenModel):
    """An endpoint that speaks OpenAI's chat completions.

    Attributes:
        base_url: its address; the variable `NAME_BASE_URL` states another.
        key_env: the variable that holds the key.
        key_needed: whether it answers nobody without a key.
        batches: whether it has OpenAI's batch endpoint, which keeps the metadata that a batch is found by.
    """

    base_url: str
    key_env: str
    key_needed: bool = True
    batches: bool = False


def _hosted(base_url: str, key_env: str, *, batches: bool = False) -> Provider:
    return Provider(base_url=base_url, key_env=key_env, batches=batches)


def _local(port: int, key_env: str) -> Provider:
    return Provider(base_url=f"http://localhost:{port}/v1", key_env=key_env, key_needed=False)


PROVIDERS: Final[Mapping[str, Provider]] = {
    "groq": _hosted("https://api.groq.com/openai/v1", "GROQ_API_KEY", batches=True),
    "together": _hosted("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "fireworks": _hosted("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "deepseek": _hosted("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "mistral": _hosted("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "xai": _hosted("https://api.x.ai/v1", "XAI_API_KEY"),
    "openrouter": _hosted("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "cerebras": _hosted("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", batches=True),
    "sambanova": _hosted("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "moonshot": _hosted("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "minimax": _hosted("https://api.minimax.io/v1", "MINIMAX_API_KEY"),
    "zai": _hosted("https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
    "dashscope": _hosted("https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    "deepinfra": _hosted("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    "nebius": _hosted("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    "novita": _hosted("https://api.novita.ai/openai/v1", "NOVITA_API_KEY"),
    "huggingface": _hosted("https://router.huggingface.co/v1", "HF_TOKEN"),
    "perplexity": _hosted("https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    "github": _hosted("https://models.github.ai/inference", "GITHUB_TOKEN"),
    "ollama": _local(11434, "OLLAMA_API_KEY"),
    "lmstudio": _local(1234, "LMSTUDIO_API_KEY"),
    "llamacpp": _local(8080, "LLAMACPP_API_KEY"),
    "sglang": _local(30000, "SGLANG_API_KEY"),
}
"""The providers beside those that have adapters with options or protocols of their own."""

OWN_ADAPTERS: Final = ("openai", "anthropic", "vllm", "azure", "gemini", "bedrock", "any-llm")
IN_PROCESS: Final = ("hf", "llama_cpp")
MODEL_STRINGS: Final = (*OWN_ADAPTERS, *IN_PROCESS, *PROVIDERS)
"""What a model string can begin with."""

OPENAI: Final = "openai"

BATCHES: Final[Mapping[str, str]] = {
    **{name: name for name in (OPENAI, "anthropic", "gemini")},
    **{name: OPENAI for name, known in PROVIDERS.items() if known.batches},
}
"""The protocol of a provider's batch endpoint, for those that have one. Sources: console.groq.com/docs/batch and
inference-docs.cerebras.ai/api-reference/batch beside those of `batch_wire`. Azure's is at another address than the
deployment; Novita's keeps no metadata; Together's, Mistral's, Fireworks' and xAI's are protocols of their own."""


def batch_protocol(provider: str) -> str | None:
    """Return the protocol of a provider's batch endpoint, if it has one.

    A server under a name of one's own is taken to have OpenAI's, as the gateways do.
    """
    return BATCHES.get(provider) if provider in MODEL_STRINGS else OPENAI


_OPENAI_HOST: Final = "api.openai.com"


@attrs.frozen(kw_only=True)
class Quirk(FrozenModel):
    """What one provider, protocol or family of models takes in another way.

    Attributes:
        provider, api: whom it is about; any if not given.
        family: a pattern that the model's name begins with; any model if not given.
        refuses: options that can't be sent, and why; a `temperature` or `top_p` of 1 is what happens without them.
        renames: options that go by another name in the body; `None` for those that are not sent.
        not_both: options of which only one can be sent.
        most: the most that an option's value can be; the most texts, for `stop`.
        no_blanks: options whose texts can't be blanks alone.
    """

    provider: str | None = None
    api: str | None = None
    family: str | None = None
    refuses: Mapping[str, str] = EMPTY
    renames: Mapping[str, str | None] = EMPTY
    not_both: tuple[str, ...] = ()
    most: Mapping[str, float] = EMPTY
    no_blanks: tuple[str, ...] = ()


_NO_FIELD: Final = "the {} protocol has no such field"
_REASONING: Final = "this model draws its answers in one way only"
_O_SERIES: Final = r"o[1-9]\d?(?![a-z0-9])"

QUIRKS: Final = (
    # "Responses" and "Chat completions" at platform.openai.com/docs/api-reference; "Messages" at docs.anthropic.com.
    Quirk(
        api="responses", refuses=dict.fromkeys(("stop", "seed"), _NO_FIELD.format("Responses")), renames={"seed": None}
    ),
    Quirk(api="messages", refuses=dict.fromkeys(("seed", "logprobs"), _NO_FIELD.format("Messages"))),
    Quirk(api="messages", most={"temperature": 1}, no_blanks=("stop",)),
    Quirk(provider=OPENAI, most={"temperature": 2, "stop": 4, "logprobs": 20}),
    Quirk(provider=OPENAI, api="completions", most={"logprobs": 5}),
    # "Converse" in the Amazon Bedrock API reference.
    Quirk(api="converse", refuses=dict.fromkeys(("seed", "logprobs"), _NO_FIELD.format("Converse"))),
    Quirk(provider=OPENAI, api="chat", renames={"max_tokens": "max_completion_tokens"}),
    # "Reasoning models" at platform.openai.com/docs/guides: max_tokens is refused, at any host that serves them; so are
    # other temperatures than 1 (GPT-5.1 and later take them without reasoning), log-probabilities and, by most, stop.
    Quirk(
        api="chat",
        family=rf"{_O_SERIES}|gpt-([5-9]|\d\d)(?![a-z0-9])|codex-",
        renames={"max_tokens": "max_completion_tokens"},
    ),
    Quirk(
        family=rf"{_O_SERIES}|gpt-5(?![.\d]|-chat)",
        refuses={"temperature": _REASONING, "top_p": _REASONING, "logprobs": "this model shows none"},
    ),
    Quirk(api="chat", family=r"o1-(mini|preview)|o3(?!-mini|\d)|o4|gpt-5(?!-chat)", refuses={"stop": _REASONING}),
    # "Claude Opus 4.1" at docs.anthropic.com: one of the two, from this model on.
    Quirk(
        api="messages",
        family=r"claude-(opus-4-1|(sonnet|haiku|opus)-4-[5-9]|(sonnet|haiku|opus)-([5-9]|\d\d)(?!\d))",
        not_both=("temperature", "top_p"),
    ),
    # docs.mistral.ai, "Chat completion"; a field that it does not know is an error.
    Quirk(
        provider="mistral",
        refuses={"logprobs": "Mistral's chat completions have no such field"},
        renames={"seed": "random_seed"},
    ),
    # api-docs.deepseek.com, "Create chat completion", and "Reasoning model" for the second.
    Quirk(provider="deepseek", refuses={"seed": "DeepSeek takes none"}, renames={"seed": None}),
    Quirk(provider="deepseek", family="deepseek-reasoner", refuses={"logprobs": "this model shows none"}),
    # console.groq.com/docs/openai: "will result in a 400 error".
    Quirk(provider="groq", refuses={"logprobs": "Groq shows none"}),
    # docs.x.ai, "Chat completions": "not supported by reasoning models".
    Quirk(
        provider="xai",
        family=r"grok-(3-mini|code|[4-9](?!.*non-reasoning))",
        refuses={"stop": "xAI's reasoning models stop at no texts"},
    ),
)

_NEUTRAL: Final[Mapping[str, float]] = {"temperature": 1, "top_p": 1}
_PREFIXES: Final = re.compile(r"^(ft:|openai\.|.*/)*")


@functools.lru_cache(maxsize=1024)
def quirks_of(provider: str, base_url: str, api: str, model: str) -> tuple[Quirk, ...]:
    """Return the quirks of a model, from the general ones to the special ones; a provider is known by its address, too.

    >>> [quirk.renames.get("seed") for quirk in quirks_of("mistral", "http://proxy/v1", "chat", "mistral-small")]
    ['random_seed']
    """
    host, name = urlsplit(base_url).hostname, _PREFIXES.sub("", model.casefold())
    at = {provider} - {OPENAI} | {
        other for other, known in PROVIDERS.items() if urlsplit(known.base_url).hostname == host
    }
    at = {OPENAI} if host == _OPENAI_HOST else at
    return tuple(
        quirk
        for quirk in QUIRKS
        if (quirk.provider is None or quirk.provider in at)
        and quirk.api in {None, api}
        and (quirk.family is None or re.match(quirk.family, name))
    )


def field_of(quirks: tuple[Quirk, ...], option: str) -> str | None:
    """Return the name that an option is sent by; `None` if it is not sent."""
    name: str | None = option
    for quirk in quirks:
        name = quirk.renames.get(option, name)
    return name


def unsendable(quirks: tuple[Quirk, ...], sampling: Any) -> Iterator[str]:
    """Yield what of a sampling can't be sent, one phrase for each option."""
    given = {name: getattr(sampling, name) for name in attrs.fields_dict(type(sampling)) if name != "extra"}
    given = {name: value for name, value in given.items() if value not in (None, ()) and value != _NEUTRAL.get(name)}
    reasons = {name: (quirk, reason) for quirk in quirks for name, reason in quirk.refuses.items() if name in given}
    for name, (quirk, reason) in reasons.items():
        yield f"{name}: {reason}; {'use api=chat, or ' if quirk.api == 'responses' else ''}leave it out"
    for quirk in quirks:
        if quirk.not_both and all(name in given for name in quirk.not_both):
            yield f"{' and '.join(quirk.not_both)}: this model takes one of them only; leave one out"
    yield from _out_of_bounds(quirks, given)
    # One whole answer is read.
    if sampling.extra.get("stream"):
        yield "extra.stream: answers are read whole; leave it out"
    if sampling.extra.get("n") not in {None, 1}:
        yield "extra.n: one answer is read of each request; ask for several samples of a case instead (samples=...)"


def _out_of_bounds(quirks: tuple[Quirk, ...], given: Mapping[str, Any]) -> Iterator[str]:
    most = {name: bound for quirk in quirks for name, bound in quirk.most.items() if name in given}
    for name, bound in most.items():
        if (len(given[name]) if name == "stop" else given[name]) > bound:
            yield f"{name}: this endpoint takes {bound:g} at most; leave it out, or give less"
    for name in (name for quirk in quirks for name in quirk.no_blanks if name in given):
        if not all(text.strip() for text in given[name]):
            yield f"{name}: this protocol takes no text that is blank; leave it out"
