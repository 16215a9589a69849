"""What a step did, in OpenTelemetry's names for generative AI; nothing that a model, a judge or a person wrote.

Source: the GenAI semantic conventions 0.1.0 (open-telemetry/semantic-conventions-genai, `client-inference.md` and
`gen-ai-events.md`), whose status is "development". Up to 1.41.0 they were a part of the general conventions, where what
is used here has the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    FailedEvent,
    GenerationCompletedEvent,
    ScoreCompletedEvent,
)
from themis.pure.json import EMPTY
from themis.pure.records.generation import TRANSPORT, GenerationResult
from themis.pure.records.scoring import Score
from themis.pure.text import shortened
from themis.pure.usage import CACHED_TOKENS, COMPLETION_TOKENS, PROMPT_TOKENS

Attributes: TypeAlias = dict[str, str | bool | int | float | list[str]]

EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
CACHE_HIT: Final = "themis.cache_hit"
RESPONSE_ID: Final = "gen_ai.response.id"

_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Providers whose well-known name differs from ours."""
_CUSTOM: Final = "custom"
_SETTINGS: Final = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "seed": "seed",
    "random_seed": "seed",
    "top_k": "top_k",
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
"""Settings of the protocols' requests, by their convention's name; `maxTokens` of some is `max_tokens` of others."""
_WHOLE: Final = frozenset({"max_tokens", "seed", "top_k"})
_NESTED: Final = ("generationConfig", "inferenceConfig")
"""Where Gemini's and Bedrock's requests hold their settings."""
_LARGEST: Final = 2**63
_LONGEST: Final = 256
_USAGE: Final = {
    PROMPT_TOKENS: "input_tokens",
    COMPLETION_TOKENS: "output_tokens",
    CACHED_TOKENS: "cache_read.input_tokens",
    "reasoning_tokens": "reasoning.output_tokens",
}


def asked_attributes(model: str, provider_key: str) -> Attributes:
    """Return what the span of a call says before it is answered; a request that names its model says it again."""
    _, _, name = model.partition("/")
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _provider(provider_key),
        "gen_ai.request.model": _told(name or model),
    }


def _provider(key: str | None) -> str:
    named = _told((key or "").partition("@")[0].removeprefix("any-llm:")) or _CUSTOM
    return _PROVIDERS.get(named, named)


def step_attributes(event: CaseRunEvent) -> Attributes:
    """Return what a step's span says beside its ids.

    What was taken from an earlier run was not asked for, and says that alone.
    """
    found: Attributes = {}
    if isinstance(event, GenerationCompletedEvent):
        if event.cache_hit:
            return {CACHE_HIT: True}
        found = _inference(event)
    elif isinstance(event, FailedEvent):
        found = {"error.type": event.error_type or event.event_type}
    return found


def response_id(event: CaseRunEvent) -> str | None:
    """Return the id that a server gave to a generation."""
    if not isinstance(event, GenerationCompletedEvent) or event.result is None:
        return None
    transport = (event.result.artifacts or EMPTY).get(TRANSPORT)
    found = transport.get("response_id") if isinstance(transport, Mapping) else None
    return _told(found) if isinstance(found, str) else None


def evaluation_results(event: CaseRunEvent) -> Iterator[Attributes]:
    """Yield the attributes of `gen_ai.evaluation.result`, one for each score and each that there is not."""
    metric_id = getattr(event, "metric_id", None)
    if metric_id is None:
        return
    scores: Sequence[Score] = ()
    if isinstance(event, ScoreCompletedEvent):
        scores = (event.score,)
    elif isinstance(event, EvaluationCompletedEvent):
        if event.execution is None:  # it is large, and in a blob
            return
        scores = event.execution.scores
    for score in scores:
        yield {"gen_ai.evaluation.name": score.metric_id, "gen_ai.evaluation.score.value": score.value}
    if not scores:
        yield {"gen_ai.evaluation.name": metric_id, "error.type": getattr(event, "error_type", "") or "no_score"}


def _inference(event: GenerationCompletedEvent) -> Attributes:
    found: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": _provider(event.provider_key)}
    result = event.result
    if result is None:  # it is large, and in a blob
        return found
    artifacts = result.artifacts or EMPTY
    request = artifacts.get("request")
    if isinstance(request, Mapping):
        found |= _requested(request)
    found["gen_ai.operation.name"] = _operation(result, request)
    stated = {"gen_ai.response.model": artifacts.get("model"), RESPONSE_ID: response_id(event)}
    found |= {name: _told(value) for name, value in stated.items() if isinstance(value, str)}
    if result.finish_reason is not None:
        found["gen_ai.response.finish_reasons"] = [_told(result.finish_reason)]
    usage = result.token_usage or EMPTY
    return found | {f"gen_ai.usage.{name}": usage[kind] for kind, name in _USAGE.items() if kind in usage}


def _operation(result: GenerationResult, request: object) -> str:
    if result.trace is not None:
        return "invoke_agent"
    return "text_completion" if isinstance(request, Mapping) and "prompt" in request else "chat"


def _requested(request: Mapping[str, Any]) -> Attributes:
    found: Attributes = {}
    if isinstance(request.get("model"), str):
        found["gen_ai.request.model"] = _told(request["model"])
    for settings in (request, *(request[name] for name in _NESTED if isinstance(request.get(name), Mapping))):
        for name, value in settings.items():
            plain = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
            known = _SETTINGS.get(plain)
            if known is not None and _fits(value):
                found[f"gen_ai.request.{known}"] = int(value) if known in _WHOLE else float(value)
            elif plain in ("stop", "stop_sequences"):
                texts = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else ()
                found["gen_ai.request.stop_sequences"] = [_told(text) for text in texts if isinstance(text, str)]
    return found


def _fits(value: object) -> bool:
    """Tell whether a value is a number that the protocol of spans can hold (OTLP: 64 bits)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _told(text: str) -> str:
    """Return a text that a server or a config chose, which may be of any length."""
    return shortened(text, _LONGEST)
