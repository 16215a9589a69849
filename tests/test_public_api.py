"""The public API is complete, pinned, named in the field's terms, and documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

HERE = Path(__file__).parent
REFERENCE = HERE.parent.parent / "shared" / "reference" / "python-api.txt"
COPY = HERE / "documented_api.json"
SURFACE = HERE / "public_surface.json"
GLOSSARY = HERE.parent / "docs" / "reference" / "glossary.md"
DOCUMENTED_DOORS: Final = ("themis", "themis.catalog", "themis.core", "themis.adapters")
DOORS: Final = (*DOCUMENTED_DOORS, "themis.engines", "themis.planner", "themis.stats", "themis.testing")

FORBIDDEN = {"util", "utils", "helper", "helpers", "manager", "common", "misc", "impl", "tmp", "cfg", "ctx", "num"}


def documented() -> dict[str, dict[str, list[str] | None]]:
    copy: dict[str, dict[str, list[str] | None]] = json.loads(COPY.read_text(encoding="utf-8"))
    return copy


def surface() -> dict[str, list[str]]:
    return {door: sorted(importlib.import_module(door).__all__) for door in DOORS}


def exported() -> Iterator[tuple[str, str, Any]]:
    for door, names in surface().items():
        for name in names:
            yield door, name, getattr(importlib.import_module(door), name)


# --- what a generated reference says ----------------------------------------------------------------------

Documented = Mapping[str, Mapping[str, list[str] | None]]
"""By door: each name (`evaluate`, `Experiment.run`) with its parameters as `path`, `*`, `overrides=None`; `None` where
the reference shows no signature."""

_HEADING = re.compile(r"^([\w.]+) ¶$")
_QUALIFIER = re.compile(r"\n(?:classmethod|async|property)\n¶$", re.MULTILINE)
_TABLE_ROW = re.compile(r"^(\w+) \|$")


def read_reference(text: str) -> dict[str, dict[str, list[str] | None]]:
    """Return what a reference documents."""
    lines = _QUALIFIER.sub(" ¶", text).splitlines()
    found: dict[str, dict[str, list[str] | None]] = {door: {} for door in DOCUMENTED_DOORS}
    found["themis"] = {row[1]: None for line in lines if (row := _TABLE_ROW.match(line)) and row[1] != "Name"}
    headings = [(number, match[1]) for number, line in enumerate(lines) if (match := _HEADING.match(line))]
    starts = [(number, name) for number, name in headings if name in DOCUMENTED_DOORS]
    for (start, door), end in zip(starts, [*(n for n, _ in starts[1:]), len(lines)], strict=True):
        inside = [(number, name) for number, name in headings if start < number < end]
        for number, name in _qualified(inside):
            found[door][name] = _signature(lines[number + 1 : end], name.rpartition(".")[2])
    return found


def _qualified(headings: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield headings with a method's class before it: classes come first, so what follows the last one is functions."""
    last_class = max((number for number, name in headings if name[:1].isupper()), default=-1)
    owner = ""
    for number, name in headings:
        is_class = name[:1].isupper()
        owner = name if is_class else owner
        yield number, name if is_class or number > last_class else f"{owner}.{name}"


def _signature(lines: list[str], name: str) -> list[str] | None:
    """Return the parameters of the signature that follows a heading, if one does."""
    start = next((i for i, line in enumerate(lines[:4]) if line.startswith(f"{name}(")), None)
    if start is None:
        return None
    text = ""
    for line in lines[start:]:
        text += line
        if text.count("(") == text.count(")"):
            break
    arguments = ast.parse(f"def {text.partition(' -> ')[0]}: ...").body[0]
    assert isinstance(arguments, ast.FunctionDef)
    return list(_parameters(arguments.args))


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    defaults: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults)) + [*arguments.defaults]
    yield from map(_parameter, arguments.args, defaults)
    if arguments.kwonlyargs:
        yield "*"
    yield from map(_parameter, arguments.kwonlyargs, arguments.kw_defaults)


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    return argument.arg if default is None else f"{argument.arg}={ast.unparse(default)}"


def missing(documented: Documented) -> Iterator[str]:
    """Yield what is documented and not offered that way."""
    for door, names in documented.items():
        module = importlib.import_module(door)
        for name, parameters in names.items():
            try:
                value = _lookup(module, name)
            except AttributeError:
                yield f"{door}.{name}: there is no such name"
                continue
            if parameters is not None:
                yield from (f"{door}.{name}: {fault}" for fault in _faults(value, parameters))


def _lookup(module: Any, name: str) -> Any:
    value = module
    for part in name.split("."):
        value = getattr(value, part)
    return value


DETECTED: Final = {"python_version", "platform", "themis_version"}
"""Shown with a fixed default, and detected by Themis where they are not given."""


def _faults(value: Any, parameters: list[str]) -> Iterator[str]:
    ours = {name: p for name, p in inspect.signature(value).parameters.items() if name != "self"}
    positional = parameters[: parameters.index("*")] if "*" in parameters else parameters
    names = []
    for shown in parameters:
        name, _, default = shown.partition("=")
        if name == "*":
            continue
        names.append(name)
        if name not in ours:
            yield f"no parameter {name!r}"
            continue
        kind = ours[name].kind
        if shown not in positional and kind is not inspect.Parameter.KEYWORD_ONLY:
            yield f"{name!r} must be keyword-only"
        if default and name not in DETECTED and repr(ours[name].default) != repr(ast.literal_eval(default)):
            yield f"{name}={default} expected, found {ours[name].default!r}"
    order = [name for name, p in ours.items() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if order[: len(positional)] != [shown.partition("=")[0] for shown in positional]:
        yield f"positional parameters {positional} expected, found {order}"
    for name, p in ours.items():
        if name not in names and p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
            yield f"{name!r} is an addition that must have a default"


# --- complete ---------------------------------------------------------------------------------------------


def test_every_documented_name_is_there_with_its_parameters() -> None:
    assert list(missing(documented())) == []


def test_the_copy_is_what_the_reference_says() -> None:
    if not REFERENCE.is_file():
        pytest.skip("the reference lies beside the repository only where it is maintained; its copy was checked")
    assert read_reference(REFERENCE.read_text(encoding="utf-8")) == documented()


@pytest.mark.parametrize(
    ("name", "parameters", "fault"),
    [
        ("evaluate_asynchronously", None, "there is no such name"),
        ("Experiment.resume", None, "there is no such name"),
        ("verify", ["store", "run_id", "*", "mode"], "no parameter 'mode'"),
        ("verify", ["store", "*", "run_id"], "'run_id' must be keyword-only"),
        (
            "verify",
            ["run_id", "store"],
            "positional parameters ['run_id', 'store'] expected, found ['store', 'run_id']",
        ),
        ("verify", ["store", "run_id", "*", "most=11"], "most=11 expected, found 10"),
        ("verify", ["store"], "'run_id' is an addition that must have a default"),
    ],
)
def test_what_is_not_as_documented_is_found(name: str, parameters: list[str] | None, fault: str) -> None:
    assert f"themis.{name}: {fault}" in list(missing({"themis": {name: parameters}}))


def test_signatures_are_read_whole() -> None:
    core = documented()["themis.core"]
    assert core["Experiment.from_config"] == ["path", "*", "overrides=None"]
    assert core["event_from_dict"] == ["payload"]
    assert sum(parameters is not None for names in documented().values() for parameters in names.values()) == 61


# --- pinned -----------------------------------------------------------------------------------------------


def test_the_public_surface_is_the_one_that_was_agreed_on() -> None:
    """A name that is new or gone is a user-visible change: it goes into the changelog, and into this list.

    `python tests/test_public_api.py` writes the list anew.
    """
    assert surface() == json.loads(SURFACE.read_text(encoding="utf-8"))


def test_one_name_means_one_thing_whichever_door_it_is_taken_from() -> None:
    meanings: dict[str, set[int]] = {}
    for _, name, value in exported():
        if name != "cases":  # a strategy in themis.testing
            meanings.setdefault(name, set()).add(id(value))
    assert [name for name, ids in meanings.items() if len(ids) > 1] == []


def test_doors_list_what_they_offer_and_refuse_the_rest() -> None:
    for door in DOORS:
        module = importlib.import_module(door)
        assert set(module.__all__) <= set(dir(module))
        with pytest.raises(AttributeError, match="no_such_name"):
            _ = module.no_such_name


def test_no_name_is_hidden_by_a_module_of_a_package() -> None:
    """Importing `themis.x` makes it an attribute of `themis`, in place of an export of that name."""
    for door in DOORS:
        folders = getattr(importlib.import_module(door), "__path__", ())
        modules = {module.name for module in pkgutil.iter_modules(folders)}
        assert modules & set(surface()[door]) == set()


# --- named ------------------------------------------------------------------------------------------------


def words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def known_words() -> set[str]:
    """Return the glossary's terms, and the plain words that it lists for names."""
    text = GLOSSARY.read_text(encoding="utf-8")
    terms = {word for row in re.findall(r"\*\*(.+?)\*\*", text) for word in re.findall(r"\w+", row)}
    plain = text.partition("## Plain words in names")[2]
    return terms | set(re.findall(r"`(\w+)`", plain))


def is_known(word: str, known: set[str]) -> bool:
    return bool({word, word.removesuffix("s"), word.removesuffix("es"), f"{word}s"} & known)


def test_public_names_are_made_of_the_glossarys_terms() -> None:
    known = known_words()
    strange = {
        f"{door}.{name}: {word}" for door, name, _ in exported() for word in words(name) if not is_known(word, known)
    }
    assert sorted(strange) == []


def test_the_glossary_lists_no_word_that_no_name_uses() -> None:
    used = {word for _, name, _ in exported() for word in words(name)}
    plain = set(re.findall(r"`(\w+)`", GLOSSARY.read_text(encoding="utf-8").partition("## Plain words in names")[2]))
    assert sorted(word for word in plain if not is_known(word, used)) == []


def test_no_name_is_a_cupboard() -> None:
    assert [name for _, name, _ in exported() if FORBIDDEN & set(words(name))] == []


# --- documented -------------------------------------------------------------------------------------------


def undocumented() -> Iterator[str]:
    for door, name, value in exported():
        if not inspect.isclass(value) and not inspect.isfunction(value):
            continue
        if not inspect.getdoc(value):
            yield f"{door}.{name}"
        for member, method in vars(value).items() if inspect.isclass(value) else ():
            is_hook = getattr(value, "_is_protocol", False) and member.startswith(("before_", "after_", "on_"))
            if member.startswith("_") or is_hook or not (inspect.isfunction(method) or isinstance(method, property)):
                continue
            if not inspect.getdoc(method) and not inspect.getdoc(getattr(value, member)):
                yield f"{door}.{name}.{member}"


def test_everything_public_has_a_docstring() -> None:
    assert list(undocumented()) == []


def root_functions() -> list[str]:
    return [name for door, name, value in exported() if door == "themis" and inspect.isfunction(value)]


@pytest.mark.parametrize("name", root_functions())
def test_functions_of_the_first_door_say_what_they_take(name: str) -> None:
    function = getattr(importlib.import_module("themis"), name)
    text = inspect.getdoc(function) or ""
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) > 1 and not re.search(r"\bas\s+(for\s+)?`\w+`|as for\s+`\w+`", text):
        section = text.partition("Args:\n")[2]
        assert [p for p in parameters if not re.search(rf"^ +(\w+, )*{p}(, \w+)*:", section, re.MULTILINE)] == []


if __name__ == "__main__":
    SURFACE.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
