"""What this machine has and lacks for Themis: extras, sandbox, keys, endpoints. Keys are looked for and never shown."""

from __future__ import annotations

import importlib.metadata
import ipaddress
import os
import platform
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import attrs

from themis._version import __version__
from themis.effects.sandboxes import described, open_sandbox
from themis.pure.errors import DISTRIBUTION, ThemisError, pip_install
from themis.pure.records.base import FrozenModel
from themis.pure.security import redact
from themis.pure.wire.providers import IN_PROCESS, MODEL_STRINGS

Section = Literal["machine", "extras", "sandbox", "endpoints"]

_FOR_DEVELOPERS: Final = frozenset({"dev", "docs"})
_LANGUAGES: Final = ("python", "cpp")
_PATIENCE_S: Final = 0.5


@attrs.frozen(kw_only=True)
class Finding(FrozenModel):
    """One thing that is there, or is not.

    Attributes:
        section: what it is about.
        name: an extra, a language of the sandbox, a provider.
        there: whether it can be used now.
        detail: what was found, and what to do where something lacks.
    """

    section: Section
    name: str
    there: bool
    detail: str


def look_around() -> tuple[Finding, ...]:
    """Return what this machine has and lacks. No provider is called; only endpoints of this host are knocked at."""
    return (*_machine(), *_extras(), *_sandbox(), *_endpoints())


def _found(section: Section, name: str, there: bool, detail: str) -> Finding:
    return Finding(section=section, name=name, there=there, detail=redact(detail))


def _machine() -> Iterator[Finding]:
    yield _found("machine", "themis", True, __version__)
    yield _found("machine", "python", True, platform.python_version())
    yield _found("machine", "platform", True, f"{platform.platform()}, {os.cpu_count()} processors")


# --- extras -----------------------------------------------------------------------------------------------

_REQUIREMENT: Final = re.compile(r"^(?P<name>[\w.-]+).*?\bextra\s*==\s*['\"](?P<extra>[\w.-]+)['\"]")


def _extras() -> Iterator[Finding]:
    for extra, names in _required().items():
        versions = {name: _version_of(name) for name in names}
        lacking = [name for name, version in versions.items() if version is None]
        there = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
        install = f"{pip_install(extra)} (lacks {', '.join(lacking)})"
        yield _found("extras", extra, not lacking, install if lacking else there)


def _required() -> Mapping[str, list[str]]:
    """Return the distributions that each extra needs."""
    wanted: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires(DISTRIBUTION) or ():
        found = _REQUIREMENT.match(requirement)
        if found is not None and found["extra"] not in _FOR_DEVELOPERS and found["name"] != DISTRIBUTION:
            wanted.setdefault(found["extra"], []).append(found["name"])
    return dict(sorted(wanted.items()))


def _version_of(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


# --- sandbox ----------------------------------------------------------------------------------------------


def _sandbox() -> Iterator[Finding]:
    try:
        sandbox = open_sandbox()
    except ThemisError as error:
        yield _found("sandbox", "sandbox", False, str(error))
        return
    for language in _LANGUAGES:
        problems = sandbox.check((language,))
        facts = ", ".join(f"{name} {fact}" for name, fact in described(sandbox).items()) if not problems else ""
        yield _found("sandbox", language, not problems, "; ".join(problems) or facts)


# --- endpoints --------------------------------------------------------------------------------------------


def _endpoints() -> Iterator[Finding]:
    for provider in MODEL_STRINGS:
        if provider not in IN_PROCESS and provider != "any-llm":
            yield _endpoint(provider)


def _endpoint(provider: str) -> Finding:
    from themis.adapters import from_model_string

    try:
        model: Any = from_model_string(f"{provider}/model")
    except ThemisError as error:
        return _found("endpoints", provider, False, str(error).partition("\n")[0])
    address = str(model.endpoint.base_url)
    problems = [problem.partition(";")[0] for problem in model.check() or ()]
    silent = None if problems else _silence(address)
    key = "key set" if os.environ.get(model.endpoint.key_env, "").strip() else "no key needed"
    detail = "; ".join(problems) or silent or f"{address}, {model.endpoint.key_env}: {key}"
    return _found("endpoints", provider, not problems and silent is None, detail)


def _silence(address: str) -> str | None:
    """Say that nothing answers at an address of this host; others are not knocked at."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if not _is_here(host):
        return None
    try:
        socket.create_connection((host, port), _PATIENCE_S).close()
    except OSError as error:
        return f"nothing answers at {address}: {error.strerror or error}"
    return None


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
