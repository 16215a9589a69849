"""Models at Google and at Amazon, each asked in the cloud's own protocol: `generateContent` and Converse."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Final
from urllib.parse import quote

import attrs

from themis.effects.providers.http import Endpoint
from themis.effects.providers.model import HttpModel
from themis.effects.providers.options import address, provider_key_of, split_options
from themis.pure.calls import CallFailure
from themis.pure.errors import SpecError
from themis.pure.wire import converse_wire, gemini_wire
from themis.pure.wire.exchange import Prompt, Reply, Sampling

GEMINI_URL: Final = "https://generativelanguage.googleapis.com/v1beta"
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


@attrs.frozen(kw_only=True)
class _CloudModel(HttpModel):
    protocol: ClassVar[str]

    def _protocol(self) -> tuple[str, ...]:
        return (self.protocol,)


@attrs.frozen(kw_only=True)
class GeminiModel(_CloudModel):
    """A model that is asked through `generateContent`."""

    protocol: ClassVar[str] = "generateContent"

    @property
    def path(self) -> str:
        return f"/models/{quote(self.model, safe='')}:generateContent"

    def _body(self, prompt: Prompt, seed: int | None) -> dict[str, Any]:
        return gemini_wire.content_body(prompt, self.sampling, seed)

    def _read(self, payload: Any, *, is_structured: bool) -> Reply | CallFailure:
        return gemini_wire.read_content(payload, is_structured=is_structured)


@attrs.frozen(kw_only=True)
class BedrockModel(_CloudModel):
    """A model that is asked through Converse, with a bearer key."""

    protocol: ClassVar[str] = "converse"

    @property
    def path(self) -> str:
        return f"/model/{quote(self.model, safe='')}/converse"

    def _body(self, prompt: Prompt, seed: int | None) -> dict[str, Any]:
        return converse_wire.converse_body(self.model, prompt, self.sampling)

    def _read(self, payload: Any, *, is_structured: bool) -> Reply | CallFailure:
        return converse_wire.read_converse(payload, is_structured=is_structured)


def build_gemini(model: str, *, api_key_env: str = "GEMINI_API_KEY", **options: Any) -> GeminiModel:
    """Build an adapter for Gemini; `themis.adapters` documents the options."""
    key = {"key_header": "x-goog-api-key", "key_prefix": ""}
    parts = _parts("gemini", model, "GEMINI_BASE_URL", GEMINI_URL, {**key, **options}, api_key_env)
    return GeminiModel(provider="gemini", model=model, **parts)


def build_bedrock(model: str, *, api_key_env: str = "AWS_BEARER_TOKEN_BEDROCK", **options: Any) -> BedrockModel:
    """Build an adapter for Amazon Bedrock; `themis.adapters` documents the options."""
    region = next((os.environ[name] for name in _REGIONS if os.environ.get(name)), "")
    home = f"https://bedrock-runtime.{region}.amazonaws.com" if region else ""
    parts = _parts("bedrock", model, "BEDROCK_BASE_URL", home, options, api_key_env)
    return BedrockModel(provider="bedrock", model=model, **parts)


def _parts(provider: str, model: str, url_env: str, home: str, options: dict[str, Any], key_env: str) -> dict[str, Any]:
    base_url = options.pop("base_url", None)
    named = {"model": model, "base_url": base_url, "api_key_env": key_env}
    of_endpoint, of_sampling, of_model = split_options(provider, options, **named)
    url, came_from = address(base_url, url_env, home)
    if not url:
        raise SpecError(f"{provider}(): no address; set {_REGIONS[0]} to the region, as in us-east-1, or base_url")
    of_endpoint.setdefault("key_needed", url == home)
    of_model.setdefault("provider_key", provider_key_of(provider, url, home))
    endpoint = Endpoint(base_url=url, key_env=key_env, url_env=came_from, **of_endpoint)
    return {"endpoint": endpoint, "sampling": Sampling(**of_sampling), **of_model}
