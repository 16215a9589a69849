"""OpenAI's models and every server that speaks one of its protocols: vLLM, llama.cpp, proxies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, cast
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import attrs

from themis.effects.providers.likelihoods import Loglikelihood, loglikelihood_of
from themis.effects.providers.model import HttpModel
from themis.effects.providers.options import address, parts_of, refuse, wrong_kinds
from themis.pure.calls import CallFailure
from themis.pure.errors import SpecError, nearest
from themis.pure.json import JSONValue
from themis.pure.wire import openai_wire
from themis.pure.wire.exchange import Prompt, Reply
from themis.pure.wire.providers import PROVIDERS

Api: TypeAlias = Literal["responses", "chat", "completions"]

OPENAI_URL: Final = "https://api.openai.com/v1"
VLLM_URL: Final = "http://127.0.0.1:8000/v1"
_APIS: Final = {
    # protocol: (path, reader of its answers)
    "responses": ("/responses", openai_wire.read_response),
    "chat": ("/chat/completions", openai_wire.read_chat),
    "completions": ("/completions", openai_wire.read_completion),
}


def _known_api(_: object, __: object, api: str) -> None:
    if api not in _APIS:
        raise SpecError(f"api: {api!r} is no protocol of OpenAI's; {nearest(api, _APIS)}")


@attrs.frozen(kw_only=True)
class OpenAIModel(HttpModel):
    """A model that is asked in one of OpenAI's protocols.

    Attributes:
        api: `responses`, `chat` or `completions`.
    """

    api: Api = attrs.field(validator=_known_api)

    def _protocol(self) -> tuple[str, ...]:
        return (self.api,)

    @property
    def path(self) -> str:
        path, _ = _APIS[self.api]
        return path

    @property
    def loglikelihood(self) -> Loglikelihood | None:
        """How it says how likely it goes on with a text; `None` for the protocols that show nothing of a prompt."""
        return loglikelihood_of(self) if self.api == "completions" else None

    def _body(self, prompt: Prompt, seed: int | None) -> dict[str, Any]:
        if self.api == "responses":
            return openai_wire.response_body(self.model, prompt, self.sampling)
        render = openai_wire.completion_body if self.api == "completions" else openai_wire.chat_body
        return render(self.model, prompt, self.sampling, seed, self._quirks)

    def _read(self, payload: Any, *, is_structured: bool) -> Reply | CallFailure:
        _, read = _APIS[self.api]
        return read(payload, is_structured=is_structured)


def build_openai(
    model: str,
    *,
    provider: str = "openai",
    api: str | None = None,
    api_key_env: str = "OPENAI_API_KEY",
    url_env: str | None = "OPENAI_BASE_URL",
    default_url: str = OPENAI_URL,
    **options: Any,
) -> OpenAIModel:
    """Build an adapter; `themis.adapters` documents the options."""
    parts = parts_of(provider, options, model=model, api_key_env=api_key_env, url_env=url_env, home=default_url)
    own = parts["endpoint"].base_url == OPENAI_URL
    return OpenAIModel(api=cast("Api", api or ("responses" if own else "chat")), **parts)


def build_provider(name: str, model: str, **options: Any) -> OpenAIModel:
    """Build an adapter for a provider of the table in `themis.pure.wire.providers`."""
    known, url_env = PROVIDERS[name], f"{name.upper()}_BASE_URL"
    at_home = options.get("base_url") is None and not os.environ.get(url_env, "").strip()
    defaults: dict[str, Any] = {
        "provider": name,
        "api_key_env": known.key_env,
        "url_env": url_env,
        "default_url": known.base_url,
        "key_needed": known.key_needed and at_home,
    }
    return build_openai(model, **{**defaults, **options})


_AZURE_ENV: Final = "AZURE_OPENAI_ENDPOINT"


def build_azure(
    model: str, *, base_url: str | None = None, api_version: str | None = None, **options: Any
) -> OpenAIModel:
    """Build an adapter for a deployment at Azure; `themis.adapters` documents the options.

    Source: "Azure OpenAI REST API reference" at learn.microsoft.com. With an API version the deployment is a part of
    the path; without one, the address is that of the version that is always the newest, and the deployment the model.
    """
    refuse(wrong_kinds({"model": model, "base_url": base_url, "api_version": api_version}))
    found, _ = address(base_url, _AZURE_ENV, "")
    if not found:
        raise SpecError(
            f"azure(): no address; set {_AZURE_ENV} or base_url to that of the resource, as the portal shows it"
        )
    parts = urlsplit(found)
    path, query = parts.path, parts.query
    if "/openai" not in path:
        path += f"/openai/deployments/{quote(model, safe='')}" if api_version else "/openai/v1"
    if api_version and "api-version=" not in query:
        query = "&".join(filter(None, (query, urlencode({"api-version": api_version}))))
    defaults: dict[str, Any] = {
        "provider": "azure",
        "api": "chat",
        "api_key_env": "AZURE_OPENAI_API_KEY",
        "url_env": None,
        "key_header": "api-key",
        "key_prefix": "",
        "key_needed": parts.scheme == "https",
    }
    return build_openai(
        model, base_url=urlunsplit((parts.scheme, parts.netloc, path, query, "")), **{**defaults, **options}
    )


_VLLM_OPTIONS: Final = (
    "top_k",
    "min_p",
    "min_tokens",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "ignore_eos",
    "skip_special_tokens",
    "chat_template_kwargs",
    "structured_outputs",
    "prompt_logprobs",
)
"""Fields beyond OpenAI's that vLLM's server reads (docs.vllm.ai, "OpenAI-Compatible Server")."""


def build_vllm(model: str, *, extra: Mapping[str, JSONValue] | None = None, **options: Any) -> OpenAIModel:
    """Build an adapter for a vLLM server; `themis.adapters` documents the options."""
    own = {name: options.pop(name) for name in _VLLM_OPTIONS if name in options}
    defaults: dict[str, Any] = {
        "provider": "vllm",
        "api_key_env": "VLLM_API_KEY",
        "url_env": "VLLM_BASE_URL",
        "default_url": VLLM_URL,
        "key_needed": False,
    }
    options = {**defaults, **options, "extra": {**own, **(extra or {})}}
    return build_openai(model, **options)
