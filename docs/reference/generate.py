"""Makes the reference from the code while the site is built: nothing of it is written by hand, so it can't go stale.

A hook of MkDocs (`hooks` in `mkdocs.yml`). It adds a page for each public door, for each family of what the doors
offer, and for the command line, the config, the stage table and the SQL views; and it puts every page
that the navigation does not name at the end of its folder's section.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

DOORS: Final = {
    "themis": "What most programs need: evaluate, experiments, stores, reports, decorators.",
    "themis.core": "Every public type and protocol: for typing, embedding, and writing components.",
    "themis.catalog": "Builtin components and benchmarks by name.",
    "themis.adapters": "Model endpoints, agents and asyncio code as components.",
    "themis.planner": "The pure core for programs that do their own I/O: plans, programs of stages, effects, folds.",
    "themis.stats": "Statistics of plain numbers: estimates, comparisons, tests, agreement, planning.",
    "themis.testing": "Strategies, laws, fixtures and a scripted endpoint for tests.",
}

FAMILIES: Final = {
    "running": ("Running and reading", "Experiments, what runs them, and what they come to."),
    "records": ("Records", "Immutable, keyword-only, comparable by value. `[T]` fields take any iterable."),
    "events": ("Events", "All that ever happens to a run."),
    "protocols": ("Protocols", "What a component, a store, a subscriber must offer. None needs to be inherited from."),
    "errors": ("Errors", "Every exception that Themis raises on purpose."),
}

_FOLDERS: Final = {
    "How to": "how-to",
    "Explanation": "explanation",
    "Design decisions": "design",
    "Reference": "reference",
}

_BY_MODULE: Final = (
    ("themis.pure.errors", "errors"),
    ("themis.pure.events", "events"),
    ("themis.pure.protocols", "protocols"),
    ("themis.pure.records", "records"),
    ("themis.pure.state", "records"),
)


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages (MkDocs calls this once it has listed the files)."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, f"reference/{path}", content=text))
    return files


def on_config(config: Any) -> Any:
    """List in the navigation what is generated, and at the end of its section each page that is not listed by hand."""
    docs = Path(config["docs_dir"])
    sections = {title: entries for section in config["nav"] for title, entries in section.items()}
    for title, folder in _FOLDERS.items():
        found = sorted(f"{folder}/{page.name}" for page in docs.glob(f"{folder}/*.md"))
        sections[title] += [page for page in found if page not in sections[title]]
    sections["Reference"] += [f"reference/{path}" for path in pages()]
    sections["Reference"].append({"Catalog": _catalog(docs)})
    return config


def _catalog(docs: Path) -> list[Any]:
    def inside(folder: str) -> list[str]:
        return sorted(str(page.relative_to(docs)) for page in docs.glob(f"reference/catalog/{folder}/*.md"))

    return ["reference/catalog/index.md", {"Benchmarks": inside("benchmarks")}, {"Components": inside("components")}]


def pages() -> Mapping[str, str]:
    """Return the generated pages: their path under `reference/`, and their Markdown."""
    made = {f"{door}.md": _door(door, line) for door, line in DOORS.items()}
    made |= {f"{family}.md": _family(family) for family in FAMILIES}
    return {
        **made,
        "pipeline.md": _pipeline(),
        "command-line.md": _command_line(),
        "config.md": _config(),
        "sql.md": _sql(),
    }


def exports(door: str) -> Mapping[str, str]:
    """Return a door's public names, each with the full name of what it is."""
    module = importlib.import_module(door)
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)]
    homes = {alias.asname or alias.name: node.module for node in imports for alias in node.names}
    names = [name for name in getattr(module, "__all__", ()) if not name.startswith("__")]
    return {name: f"{homes.get(name) or getattr(module, name).__module__}.{name}" for name in sorted(names)}


def family_of(full_name: str) -> str:
    """Tell on which page something is described."""
    return next((family for prefix, family in _BY_MODULE if full_name.startswith(prefix)), "running")


def _door(door: str, line: str) -> str:
    rows = [f"| [`{name}`][{full}] | {_first_line(full)} |" for name, full in exports(door).items()]
    doc = inspect.cleandoc(importlib.import_module(door).__doc__ or "")
    text = [f"# {door}", "", line, "", _markdown(doc), "", "| name | is |", "| --- | --- |", *rows, ""]
    if door in ("themis", "themis.core"):
        return "\n".join(text)
    return "\n".join([*text, *(f"::: {full}\n" for full in exports(door).values() if full not in _described())])


def _family(family: str) -> str:
    title, line = FAMILIES[family]
    text = [f"# {title}", "", line, ""]
    if family == "errors":
        text += [_markdown(inspect.cleandoc(importlib.import_module("themis.pure.errors").__doc__ or "")), ""]
    return "\n".join([*text, *(f"::: {full}\n" for full in _described() if family_of(full) == family)])


def _described() -> list[str]:
    found = {full for door in ("themis", "themis.core") for full in exports(door).values()}
    return sorted(found, key=lambda full: full.rpartition(".")[2].lower())


def _first_line(full_name: str) -> str:
    module, _, name = full_name.rpartition(".")
    value = getattr(importlib.import_module(module), name)
    doc = inspect.getdoc(value) if inspect.isclass(value) or inspect.isroutine(value) else ""
    return (doc or "").partition("\n")[0].replace("|", "\\|")


def _markdown(doc: str) -> str:
    """Return a docstring with its indented parts fenced: they are code or a drawing."""
    out: list[str] = []
    fenced = False
    for line in doc.splitlines():
        if line.startswith("    ") != fenced and line.strip():
            fenced = not fenced
            out.append("```" + ("text" if fenced else ""))
        out.append(line.removeprefix("    ") if fenced else line)
    return "\n".join([*out, *(["```"] if fenced else [])])


def _pipeline() -> str:
    from themis.pure.pipeline.table import STAGES, stage_table

    drawing = "\n".join(f"  {row.stage:<9} -> {row.emits}, or {row.emits_on_failure}" for row in STAGES)
    head = (
        "The stages of a case, in order. `themis.pure.pipeline` holds the table; nothing else decides what comes next."
    )
    return f"# The pipeline\n\n{head}\n\n```text\n{drawing}\n```\n\n{stage_table()}\n"


def _command_line() -> str:
    from themis.api.cli import EXIT_CODES, make_app

    made = make_app().generate_docs(output_format="markdown", include_hidden=False)
    return f"# Command line\n\n{EXIT_CODES}\n\n" + made.partition("\n")[2]


def _config() -> str:
    from themis.api.config.schema import config_schema

    head = (
        "Every key of a [config file](../how-to/config.md), from its [JSON Schema](config.schema.json), "
        "which `themis schema` prints too."
    )
    schema = config_schema()
    rows = ["| key | type | default | is |", "| --- | --- | --- | --- |", *_keys(schema, schema, "")]
    return f"# Config keys\n\n{head}\n\n" + "\n".join(rows) + "\n"


def _keys(schema: Mapping[str, Any], root: Mapping[str, Any], prefix: str) -> Iterable[str]:
    for key, part in schema.get("properties", {}).items():
        inner = part.get("items", part) if "items" in part else part
        mark = "[]" if inner is not part and "properties" in inner else ""
        default = f"`{part['default']!r}`" if part.get("default") is not None else ""
        is_ = str(part.get("description", "")).replace("|", "\\|")
        yield f"| `{prefix}{key}` | {_type(part)} | {default} | {is_} |"
        if "properties" in inner:
            yield from _keys(inner, root, f"{prefix}{key}{mark}.")


def _type(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"] if value is not None)
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_type(each) for each in part["anyOf"]))
    kind = part.get("type", "any")
    names = [kind] if isinstance(kind, str) else [name for name in kind if name != "null"]
    return " or ".join(
        f"array of {_type(part['items'])}" if name == "array" and "items" in part else name for name in names
    )


def _sql() -> str:
    from themis.effects import stores

    folder = Path(str(inspect.getfile(stores))).parent
    files = [*sorted(folder.glob("sqlite_[0-9]*.sql")), folder / "views.sql"]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    with sqlite3.connect(":memory:") as database:
        database.executescript(text)
        kinds = database.execute("select name, type, sql from sqlite_schema where type in ('table', 'view')").fetchall()
        parts = ["# SQL tables and views", "", _SQL_HEAD, ""]
        for name, kind, statement in sorted(kinds, key=lambda row: (row[1] != "view", row[0])):
            columns = [row[1] for row in database.execute(f"pragma table_info({name})")]
            remark = _remark(text, f"create {kind} {name}")
            parts += [f"## {name}", "", f"A {kind}. {remark}".strip(), "", ", ".join(f"`{c}`" for c in columns), ""]
            if kind == "table":
                parts += ["```sql", statement, "```", ""]
    return "\n".join(parts)


_SQL_HEAD: Final = (
    "What a SQLite store looks like to other tools: see [how to read a run with SQL](../how-to/sql.md). "
    "The views are kept from version to version; the tables may change with the schema's version."
)


def _remark(text: str, statement: str) -> str:
    """Return the comment that stands above a statement."""
    lines = text.partition(statement)[0].rstrip("\n").splitlines()
    found: list[str] = []
    while lines and lines[-1].startswith("-- "):
        found.insert(0, lines.pop().removeprefix("-- "))
    return " ".join(found)
