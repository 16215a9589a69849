"""Finding components: an object is taken as it is, a name is a builtin, a model string, or an import path."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from themis.pure.components.registry import component_ids, make_builtin
from themis.pure.errors import SpecError, UnknownComponentError, nearest
from themis.pure.wire.providers import MODEL_STRINGS

_MODEL: Final = re.compile(rf"^({'|'.join(MODEL_STRINGS)})[/:](?P<model>.+)$")
_IMPORT: Final = re.compile(r"^(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)$")


def resolve_component(value: Any, place: str | None = None, /, **options: Any) -> Any:
    """Return the component that a value stands for.

    Args:
        value: a component; or `builtin/exact_match`, `openai/gpt-4o` (also with `:`), `package.module:name`.
        place: which of a run's components it is, such as `metrics`: an error then names what fits there.
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
        make_importable(Path.cwd())
        return _imported(value, imported["module"], imported["name"], options)
    try:
        return make_builtin(value, **options)
    except UnknownComponentError:
        raise UnknownComponentError(_unknown(value, place)) from None


def make_importable(*folders: Path) -> None:
    """Let modules in folders be imported by name: those beside a config, and in the current folder."""
    for folder in folders:
        known = str(folder.resolve())
        if known not in sys.path:
            sys.path.append(known)


@contextlib.contextmanager
def own_modules(folders: Sequence[str]) -> Iterator[None]:
    """Import from folders while the block runs, and forget it afterwards: two projects may each have a `metrics.py`."""
    before, path = set(sys.modules), list(sys.path)
    make_importable(*map(Path, folders))
    try:
        yield
    finally:
        sys.path[:] = path
        places = {Path(folder).resolve() for folder in folders}
        for name in [name for name in set(sys.modules) - before if _home(name) in places]:
            del sys.modules[name]


def _home(name: str) -> Path | None:
    """Return the folder that a module was imported from: the one that holds its file, or its whole package.

    What lies deeper in a project's folder, such as the libraries of its environment, was imported from elsewhere.
    """
    whole = sys.modules.get(name.partition(".")[0])
    if whole is None or getattr(whole, "__file__", None) is None:
        return None
    file = Path(str(whole.__file__)).resolve()
    return file.parent.parent if hasattr(whole, "__path__") else file.parent


# --- unknown names ----------------------------------------------------------------------------------------

_ALSO_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "accuracy": ("exact_match", "choice_accuracy"),
    "acc": ("exact_match", "choice_accuracy"),
    "em": ("exact_match",),
    "equals": ("exact_match",),
    "includes": ("contains",),
    "judge": ("llm_rubric",),
    "llm_judge": ("llm_rubric",),
    "llm_as_judge": ("llm_rubric",),
    "llm_as_a_judge": ("llm_rubric",),
    "letter": ("choice_letter",),
    "multiple_choice": ("choice_letter", "choice_accuracy"),
}
"""What other tools call what some builtins do."""

_MAKERS: Final[Mapping[str, tuple[str, ...]]] = {
    r"gpt-oss|llama|qwen|gemma|phi|smol|mixtral|olmo": ("vllm", "ollama"),
    r"gpt|chatgpt|o\d|davinci": ("openai",),
    r"claude": ("anthropic",),
    r"gemini": ("gemini",),
    r"\w*stral": ("mistral",),
    r"deepseek": ("deepseek",),
    r"grok": ("xai",),
    r"sonar": ("perplexity",),
    r"kimi": ("moonshot",),
}
"""Who serves the models whose names begin so; the first row that fits counts."""

_MOST_NAMED: Final = 3
_BUILTIN_OR_MODEL: Final = "a builtin, a model such as openai/gpt-4o"


def _unknown(value: str, place: str | None) -> str:
    """Say that nothing has a name, and which names of the kind that is wanted are the nearest."""
    kind = None if place is None else place.removesuffix("s")  # places that take several are called by the plural
    is_model = kind in ("generator", "judge_model")
    close = [*(_models_like(value) if is_model or kind is None else ()), *_builtins_like(value, kind)]
    close = list(dict.fromkeys(close))[:_MOST_NAMED]
    ids = component_ids(kind)
    if close:
        found = f"did you mean {' or '.join(close)}?"
    elif len(ids) <= 2 * _MOST_NAMED:
        found = f"known names: {', '.join(ids)}"
    else:
        found = f"`themis catalog list components{f' --kind {kind}' if kind else ''}` shows those that there are"
    what = "model" if kind == "generator" else (kind or "component").replace("_", " ")
    form = "provider/name, such as openai/gpt-4o" if is_model else "a builtin" if kind else _BUILTIN_OR_MODEL
    return (
        f"no {what} {value!r}; {found} (a {what} is {form}, an import path such as package.module:name, or an object)"
    )


def _models_like(value: str) -> list[str]:
    provider, mark, model = value.partition("/") if "/" in value else value.partition(":")
    if provider in MODEL_STRINGS:
        return [f"{provider}/MODEL"]
    if not mark:
        makers = (names for pattern, names in _MAKERS.items() if re.match(pattern, value, re.IGNORECASE))
        return [f"{name}/{value}" for name in next(makers, ())]
    if provider == "builtin" or not model:
        return []
    close = difflib.get_close_matches(provider.lower(), MODEL_STRINGS, n=_MOST_NAMED, cutoff=0.75)
    # Names of the Hugging Face hub are an organization's and a model's.
    return [f"{name}/{model}" for name in close] or [f"vllm/{value}", f"hf/{value}"]


def _builtins_like(value: str, kind: str | None) -> list[str]:
    name = re.sub(r"\W+", "_", value.removeprefix("builtin/").lower())
    known = {component_id.removeprefix("builtin/"): component_id for component_id in component_ids(kind)}
    named = [other for other in _ALSO_CALLED.get(name, ()) if other in known]
    close = difflib.get_close_matches(name, known, n=_MOST_NAMED)
    within = [other for other in known if len(name) > 2 and name in other]
    return [known[other] for other in dict.fromkeys((*named, *close, *within))]


# --- import paths -----------------------------------------------------------------------------------------


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
