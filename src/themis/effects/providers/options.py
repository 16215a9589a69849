"""How an adapter's options are sorted and checked, and where its address comes from."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from themis.effects.providers.http import Endpoint, plain_url
from themis.pure.errors import SpecError, nearest
from themis.pure.wire.exchange import Sampling

_ENDPOINT_OPTIONS: Final = frozenset(attrs.fields_dict(Endpoint)) - {"base_url", "key_env", "url_env"}
_SAMPLING_OPTIONS: Final = frozenset(attrs.fields_dict(Sampling))
_MODEL_OPTIONS: Final = frozenset({"client", "component_id", "provider_key", "endpoint_name"})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Sequence) and all(isinstance(text, str) for text in value))


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_texts_by_name(value: Any) -> bool:
    return _is_object(value) and all(isinstance(text, str) for text in value.values())


_COUNT: Final = ("a whole number from 1 on", lambda value: _is_whole(value) and value >= 1)
_TEXT: Final = ("text", lambda value: isinstance(value, str))
_SECONDS: Final = ("a number of seconds above 0", lambda value: _is_number(value) and value > 0)
_KINDS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "temperature": ("a number from 0 on", lambda value: _is_number(value) and value >= 0),
    "top_p": ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1),
    "max_tokens": _COUNT,
    "seed": ("a whole number", _is_whole),
    "logprobs": ("a whole number from 0 on", lambda value: _is_whole(value) and value >= 0),
    "stop": ("text, or a list of texts", _is_texts),
    "extra": ("an object", _is_object),
    "headers": ("an object of texts", _is_texts_by_name),
    "key_needed": ("true or false", lambda value: isinstance(value, bool)),
    "key_header": _TEXT,
    "key_prefix": _TEXT,
    "ca_file": _TEXT,
    "connect_timeout_s": _SECONDS,
    "read_timeout_s": _SECONDS,
    "total_timeout_s": _SECONDS,
    "max_bytes": _COUNT,
    "provider_key": _TEXT,
    "endpoint_name": _TEXT,
    "model": ("a name", lambda value: isinstance(value, str) and bool(value.strip())),
    "base_url": _TEXT,
    "api_key_env": _TEXT,
    "api_version": _TEXT,
    "region": _TEXT,
    "profile": _TEXT,
    "component_id": _TEXT,
    "device": _TEXT,
    "dtype": _TEXT,
    "revision": _TEXT,
    "batch_size": _COUNT,
    "n_ctx": _COUNT,
    "n_threads": _COUNT,
    "n_gpu_layers": ("a whole number, -1 for all", _is_whole),
}
"""What each option can be; servers read `"no"` and `1e3` each in a way of their own, or refuse every case."""

_MAY_BE_NONE: Final = (_SAMPLING_OPTIONS - {"extra"}) | {
    *("ca_file", "endpoint_name", "base_url", "api_version", "region", "profile"),
    *("device", "revision", "n_threads"),
}


def wrong_kinds(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield each option's value that is of the wrong kind, with what would be right."""
    for name, value in options.items():
        kind, fits = _KINDS.get(name, ("", bool))
        if not kind or (value is None and name in _MAY_BE_NONE) or fits(value):
            continue
        if name == "headers" and _is_object(value):
            for header, content in value.items():
                if not isinstance(content, str):
                    yield f"headers.{header}: text expected, found {content!r}"
            continue
        kind = "a finite number" if kind.startswith("a number") and not _is_number(value) else kind
        yield f"{name}: {kind} expected, found {value!r}{_advice(name, value)}"


def _advice(name: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and _KINDS[name][1](int(value)):
        return f"; write {int(value)}"
    if isinstance(value, str) and value.casefold() in {"none", "null", ""} and name in _MAY_BE_NONE:
        return "; leave it out for none"
    return ""


def refuse(faults: Iterable[str]) -> None:
    """Raise all faults of an adapter's options at once, if there are any."""
    if told := "; ".join(faults):
        raise SpecError(told)


def unknown_options(adapter: str, options: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """Yield the fault of those options that an adapter does not have, if there are any."""
    unknown = [f"{name!r} ({nearest(name, known)})" for name in options if name not in known]
    if unknown:
        yield f"{adapter}(): unknown option {', '.join(unknown)}"


def split_options(adapter: str, options: Mapping[str, Any], **named: Any) -> list[dict[str, Any]]:
    """Sort an adapter's options into those of endpoint, sampling and model.

    Raises:
        SpecError: options that do not exist, and values of the wrong kind, among the `named` ones too: all at once.
    """
    kinds = (_ENDPOINT_OPTIONS, _SAMPLING_OPTIONS, _MODEL_OPTIONS)
    known = frozenset[str]().union(*kinds)
    refuse([*unknown_options(adapter, options, known), *wrong_kinds({**named, **options})])
    return [{name: value for name, value in options.items() if name in kind} for kind in kinds]


def parts_of(
    provider: str,
    options: Mapping[str, Any],
    *,
    model: str,
    api_key_env: str,
    url_env: str | None,
    home: str,
    endpoint: type[Endpoint] = Endpoint,
    no_address: str = "",
    **of_provider: Any,
) -> dict[str, Any]:
    """Return what every adapter is built from: its provider, model, endpoint, sampling, and the run's options.

    Args:
        provider: the first part of the component id.
        options: what the user gave.
        model: the model's name.
        api_key_env, url_env: the variables of the key and of the address.
        home: the provider's own address, where a key is needed.
        endpoint: the kind of endpoint.
        no_address: what to do where there is no address.
        **of_provider: the endpoint's options where the user has given none.
    """
    given = dict(options)
    base_url = given.pop("base_url", None)
    named = {"model": model, "base_url": base_url, "api_key_env": api_key_env}
    of_endpoint, of_sampling, of_model = split_options(provider, given, **named)
    url, came_from = address(base_url, url_env, home)
    if not url:
        raise SpecError(f"{provider}(): no address; {no_address}")
    of_endpoint = {"key_needed": url == home, **of_provider, **of_endpoint}
    of_model.setdefault("provider_key", provider_key_of(provider, url, home))
    return {
        "provider": provider,
        "model": model,
        "endpoint": endpoint(base_url=url, key_env=api_key_env, url_env=came_from, **of_endpoint),
        "sampling": Sampling(**of_sampling),
        **of_model,
    }


def address(given: str | None, url_env: str | None, default: str) -> tuple[str, str | None]:
    """Return the base URL to use, and the environment variable that it came from."""
    if given is not None:
        return given.rstrip("/"), None
    stated = os.environ.get(url_env, "").strip() if url_env else ""
    return (plain_url(stated), url_env) if stated else (default, None)


def provider_key_of(provider: str, base_url: str, default: str) -> str:
    """Return what groups calls to one endpoint: the provider, and the host unless it is the provider's own."""
    return provider if base_url == default else f"{provider}@{urlsplit(base_url).netloc}"
