"""References to the environment, `${oc.env:NAME}` and `${oc.env:NAME,default}`, in configs and store parameters.

A credential must never end up in a record (law 10). So a reference is resolved where its value can't be one, and
refused where it looks like one. In a store's parameters it stays a reference, which is resolved when the store is
opened; and in a model's headers one to a credential stays, which is resolved with each call.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from themis.effects.stores import PATH
from themis.pure.errors import SpecError
from themis.pure.json import thaw
from themis.pure.security import named_otherwise, names_secret

_REFERENCE: Final = re.compile(r"(?P<escape>\\?)\$\{oc\.env:(?P<body>[^}]*)\}?")
_BODY: Final = re.compile(r"^(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:,(?P<default>.*))?$", re.DOTALL)


class EnvironmentText(str):
    """Text that came from the environment, where everything is text: it may mean a number."""

    __slots__ = ()


class UnresolvedText(EnvironmentText):
    """Text with a reference that can't be resolved, which is a fault that was found."""

    __slots__ = ()


Place: TypeAlias = tuple[str | int, ...]
"""Where something is in a config, from the outside in."""


def dotted(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def change_texts(tree: Any, change: Callable[[str, Place], str], place: Place = ()) -> Any:
    """Return a config with each text changed that may hold references.

    In cases text is data; in a store's parameters references stay until the store is opened, for they may be
    credentials, but for that of its path.
    """
    if place[:1] == ("datasets",) and place[2:] == ("cases",):
        return tree
    if isinstance(tree, dict):
        return {name: change_texts(item, change, (*place, name)) for name, item in tree.items()}
    if isinstance(tree, list):
        return [change_texts(item, change, (*place, i)) for i, item in enumerate(tree)]
    is_kept = place[:2] == ("storage", "parameters") and place[2:] != (PATH,)
    return change(tree, place) if isinstance(tree, str) and not is_kept else tree


class Resolution:
    """Resolves the references of a config; `faults` and `credentials` collect those that can't be or must not be."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.credentials: list[str] = []

    def __call__(self, text: str, place: Place) -> str:
        try:
            return resolve_text(text, lambda name: not names_secret(name, "variable"))
        except _CredentialError as error:
            if place[-2:-1] == ("headers",):
                return text  # an endpoint reads it with each call
            self.credentials.append(f"{dotted(place)}: {error}")
        except SpecError as error:
            self.faults.append(f"{dotted(place)}: {_hint(text, place) or error}")
        return UnresolvedText(text)


def _hint(text: str, place: Place) -> str:
    """Say what to write where a model's key is meant: the name of its variable alone."""
    name = named_otherwise(text) if str(place[-1]) in ("api_key", "api_key_env") else None
    return f"{text!r}: models read their keys when they call; write api_key_env: {name}" if name else ""


def escaped(tree: Any) -> Any:
    """Return a config in which no text is taken for a reference."""

    def change(text: str, _: Place) -> str:
        is_other = named_otherwise(_slashes(text)[1]) is not None
        return f"\\{text}" if is_other else re.sub(r"(?=\$\{oc\.env:)", r"\\", text)

    return change_texts(tree, change)


def _slashes(text: str) -> tuple[int, str]:
    """Return how many backslashes a text begins with, and the rest of it."""
    bare = text.lstrip("\\")
    return len(text) - len(bare), bare


class _CredentialError(SpecError):
    """A variable holds a credential by its name, where none may be."""


def resolve_text(text: str, allowed: Callable[[str], bool] = lambda _: True) -> str:
    """Return text with its references replaced; a backslash before one keeps it as it is.

    What refers to the environment in the form of another tool, such as `env:NAME`, is refused, and not sent as it is.

    Args:
        text: what may hold references.
        allowed: which variables may be read here.

    Raises:
        SpecError: a variable is not set and has no default, or may not be read, or the reference is malformed.
    """

    def value(found: re.Match[str]) -> str:
        if found["escape"]:
            return found[0][1:]
        body = _BODY.match(found["body"])
        if body is None or not found[0].endswith("}"):
            raise SpecError(f"{found[0]!r} is no reference; write ${{oc.env:NAME}} or ${{oc.env:NAME,default}}")
        name: str = body["name"]
        if not allowed(name):
            raise _CredentialError(
                f"{name} holds a credential by its name, and would be stored; leave it out: model adapters "
                "read their keys from the environment when they call (api_key_env names another variable)"
            )
        set_to = os.environ.get(name, body["default"])
        if set_to is None:
            raise SpecError(f"the environment variable {name} is not set; set it, or write ${{oc.env:{name},default}}")
        return set_to

    slashes, bare = _slashes(text)
    variable = named_otherwise(bare)
    if variable is not None:
        if slashes:
            return text[1:]
        raise SpecError(f"{text!r} is no reference to the environment here; write ${{oc.env:{variable}}}")
    resolved = _REFERENCE.sub(value, text)
    has_reference = any(not found["escape"] for found in _REFERENCE.finditer(text))
    return EnvironmentText(resolved) if has_reference else resolved


def resolve_all_references(value: Any) -> Any:
    """Return plain JSON with every reference in it resolved: for parameters that are used and not stored."""
    return change_texts(thaw(value), lambda text, _: str(resolve_text(text)), ("parameters",))
