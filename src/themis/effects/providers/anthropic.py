"""Anthropic's models, through the Messages protocol."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import attrs

from themis.effects.providers.model import HttpModel
from themis.effects.providers.options import parts_of
from themis.pure.calls import CallFailure
from themis.pure.wire import anthropic_wire
from themis.pure.wire.exchange import Prompt, Reply, Sampling

ANTHROPIC_URL: Final = "https://api.anthropic.com/v1"
_PROTOCOL_VERSION: Final = "2023-06-01"
_VERSION_HEADER: Final = ("anthropic-version", _PROTOCOL_VERSION)


@attrs.frozen(kw_only=True)
class AnthropicModel(HttpModel):
    """A model that is asked through the Messages protocol."""

    @property
    def max_tokens(self) -> int:
        """The longest answer, in tokens; this protocol always has a limit."""
        return self.sampling.max_tokens or anthropic_wire.DEFAULT_MAX_TOKENS

    def _protocol(self) -> tuple[str, ...]:
        return ("messages", _PROTOCOL_VERSION)

    def _default_headers(self) -> Collection[tuple[str, str]]:
        return {_VERSION_HEADER}

    def _stated_sampling(self) -> Sampling:
        is_default = self.sampling.max_tokens == anthropic_wire.DEFAULT_MAX_TOKENS
        return attrs.evolve(self.sampling, max_tokens=None) if is_default else self.sampling

    @property
    def path(self) -> str:
        return "/messages"

    def _body(self, prompt: Prompt, seed: int | None) -> dict[str, Any]:
        return anthropic_wire.message_body(self.model, prompt, self.sampling)

    def _read(self, payload: Any, *, is_structured: bool) -> Reply | CallFailure:
        return anthropic_wire.read_message(payload, is_structured=is_structured)


def build_anthropic(
    model: str,
    *,
    api_key_env: str = "ANTHROPIC_API_KEY",
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> AnthropicModel:
    """Build an adapter; `themis.adapters` documents the options."""
    parts = parts_of(
        "anthropic",
        {"headers": headers or {}, **options},
        model=model,
        api_key_env=api_key_env,
        url_env="ANTHROPIC_BASE_URL",
        home=ANTHROPIC_URL,
        key_header="x-api-key",
        key_prefix="",
    )
    given, (name, version) = parts["endpoint"].headers, _VERSION_HEADER
    if name not in {header.lower() for header in given}:
        parts["endpoint"] = attrs.evolve(parts["endpoint"], headers={name: version, **given})
    return AnthropicModel(**parts)
