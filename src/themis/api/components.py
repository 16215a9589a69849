"""Finding components: an object is taken as it is, a name is a builtin, a model string, or an import path."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import traceback
from collections.abc import Mapping
from typing import Any, Final

from themis.pure.components.registry import builtins, make_builtin
from themis.pure.errors import SpecError, UnknownComponentError, nearest
from themis.pure.wire.providers import MODEL_STRINGS

_COMMON: Final = ("openai", "anthropic", "vllm")
_MODEL: Final = re.compile(rf"^({'|'.join(MODEL_STRINGS)})[/:](?P<model>.+)$")
_IMPORT: Final = re.compile(r"^(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)$")


def resolve_component(value: Any, /, **options: Any) -> Any:
    """Return the component that a value stands for.

    Args:
        value: a component; or `builtin/exact_match`, `openai/gpt-4o` (also with `:`), `package.module:name`.
        options: configuration of a component that is named.

    Raises:
        UnknownComponentError: nothing has this name; names the nearest.
    """
    if not isinstance(value, str):
        return value
    if _MODEL.match(value):
        from themis.adapters import from_model_string

        return from_model_string(value, **options)
    imported = _IMPORT.match(value)
    if imported is not None:
        return _imported(value, imported["module"], imported["name"], options)
    try:
        return make_builtin(value, **options)
    except UnknownComponentError:
        model = "<model>" if value.startswith("builtin/") else value.partition("/")[2] or "<model>"
        named = value.partition("/")[0]
        close = difflib.get_close_matches(named, MODEL_STRINGS)
        known = [*builtins(), *(f"{provider}/{model}" for provider in dict.fromkeys((*_COMMON, *close)))]
        raise UnknownComponentError(
            f"no component {value!r}; {nearest(value, known)} (a component is a builtin, a model such as "
            "openai/gpt-4o, an import path such as package.module:name, or an object)"
        ) from None


def _imported(path: str, module: str, name: str, options: dict[str, Any]) -> Any:
    try:
        value = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise UnknownComponentError(f"{path!r}: {error}; check the module's name and sys.path") from error
    except AttributeError:
        names = dir(importlib.import_module(module))
        raise UnknownComponentError(f"{path!r}: {module} has no {name!r}; {nearest(name, names)}") from None
    except Exception as error:
        raise SpecError(f"{path!r}: importing {module} raised {raised(error)}") from error
    if isinstance(value, type):
        return _constructed(path, value, options)
    if options:
        raise SpecError(f"{path!r} is an object, not a class: it takes no arguments, and {sorted(options)} were given")
    return value


def _constructed(path: str, kind: type, options: Mapping[str, Any]) -> Any:
    try:
        return kind(**options)
    except TypeError as error:
        known = [name for name in parameters_of(kind) if name not in ("component_id", "version")]
        unknown = [option for option in options if option not in known]
        if not unknown:
            raise SpecError(f"{path}: {error}") from error
        hints = [f"{option!r} ({nearest(option, known) if known else 'it takes none'})" for option in unknown]
        raise SpecError(f"{path}: unknown argument {', '.join(hints)}") from error


def parameters_of(kind: type) -> Mapping[str, inspect.Parameter]:
    """Return what a class is made with, as far as it says so."""
    try:
        return inspect.signature(kind).parameters
    except (TypeError, ValueError):  # as with some types written in C
        return {}


def raised(error: Exception) -> str:
    """Say what somebody else's code raised, and in which line."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
