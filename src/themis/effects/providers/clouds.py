"""Models at Google and at Amazon, each asked in the cloud's own protocol: `generateContent` and Converse."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Final
from urllib.parse import quote

import attrs

from themis.effects.providers.model import HttpModel
from themis.effects.providers.options import parts_of, refuse, wrong_kinds
from themis.effects.providers.signing import SignedEndpoint, configured_region
from themis.pure.calls import CallFailure
from themis.pure.wire import converse_wire, gemini_wire
from themis.pure.wire.exchange import Prompt, Reply

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
    """A model that is asked through Converse, with a bearer key or with signed requests."""

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
    parts = parts_of(
        "gemini",
        options,
        model=model,
        api_key_env=api_key_env,
        url_env="GEMINI_BASE_URL",
        home=GEMINI_URL,
        key_header="x-goog-api-key",
        key_prefix="",
    )
    return GeminiModel(**parts)


def build_bedrock(
    model: str,
    *,
    api_key_env: str = "AWS_BEARER_TOKEN_BEDROCK",
    region: str | None = None,
    profile: str | None = None,
    **options: Any,
) -> BedrockModel:
    """Build an adapter for Amazon Bedrock; `themis.adapters` documents the options."""
    refuse(wrong_kinds({"region": region, "profile": profile}))
    stated = region or next((os.environ[name] for name in _REGIONS if os.environ.get(name)), "")
    chosen = stated or configured_region(profile)
    signed: dict[str, Any] = {"region": chosen, "profile": profile, **({} if region is None else {"key_needed": True})}
    parts = parts_of(
        "bedrock",
        options,
        model=model,
        api_key_env=api_key_env,
        url_env="BEDROCK_BASE_URL",
        home=f"https://bedrock-runtime.{chosen}.amazonaws.com" if chosen else "",
        endpoint=SignedEndpoint,
        no_address=f"set {_REGIONS[0]} or region to the region, as in us-east-1, or base_url",
        **signed,
    )
    return BedrockModel(**parts)
