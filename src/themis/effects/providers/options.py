"""How an adapter's options are sorted, and where its address comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from themis.effects.providers.http import Endpoint, plain_url
from themis.pure.errors import SpecError, nearest
from themis.pure.wire.exchange import Sampling

_ENDPOINT_OPTIONS: Final = frozenset(attrs.fields_dict(Endpoint)) - {"base_url", "key_env", "url_env"}
_SAMPLING_OPTIONS: Final = frozenset(attrs.fields_dict(Sampling))
_MODEL_OPTIONS: Final = frozenset({"client", "component_id", "provider_key", "endpoint_name"})


def split_options(provider: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sort an adapter's options into those of endpoint, sampling and model; unknown ones are refused together."""
    kinds = (_ENDPOINT_OPTIONS, _SAMPLING_OPTIONS, _MODEL_OPTIONS)
    known = frozenset[str]().union(*kinds)
    faults = [f"{name!r} ({nearest(name, known)})" for name in options if name not in known]
    if faults:
        raise SpecError(f"{provider}(): unknown option {', '.join(faults)}")
    return [{name: value for name, value in options.items() if name in kind} for kind in kinds]


def address(given: str | None, url_env: str | None, default: str) -> tuple[str, str | None]:
    """Return the base URL to use, and the environment variable that it came from."""
    if given is not None:
        return given.rstrip("/"), None
    stated = os.environ.get(url_env, "").strip() if url_env else ""
    return (plain_url(stated), url_env) if stated else (default, None)


def provider_key_of(provider: str, base_url: str, default: str) -> str:
    """Return what groups calls to one endpoint: the provider, and the host unless it is the provider's own."""
    return provider if base_url == default else f"{provider}@{urlsplit(base_url).netloc}"
