"""Writes the catalog's pages from what recipes and components say: `python docs/reference/catalog_cards.py FOLDER`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from themis.api.catalog.entries import EXAMPLE_OPTIONS, example_component
from themis.pure.benchmarks.columns import KINDS
from themis.pure.benchmarks.recipe import BenchmarkCatalogEntry, BenchmarkRecipe, ComponentChoice, read_case
from themis.pure.benchmarks.registry import recipes, samples_of
from themis.pure.benchmarks.samples import Sample
from themis.pure.components.registry import builtins
from themis.pure.json import encode
from themis.pure.likelihoods import asked_likelihoods
from themis.pure.records.dataset import Case
from themis.pure.records.prompt import PromptSpec
from themis.pure.text import shortened

_KINDS: Final = {
    "math": "a short answer, compared as mathematics",
    "choice": "multiple choice",
    "exact": "an exact value",
    "code": "code that is executed",
    "judged": "a free answer, graded by a judge model",
    "likelihood": "how likely texts are",
    "instruction": "an answer that keeps instructions, checked by rules",
    "translation": "a translation, compared with a person's",
    "summarisation": "a summary, compared with a person's",
    "toolcall": "calls of functions",
}
_LONGEST_CELL: Final = 600


def catalog_cards() -> Mapping[str, str]:
    """Return every page by its path: one for each benchmark and component, and the index."""
    pages = {f"benchmarks/{name}.md": benchmark_card(recipe, samples_of(name)) for name, recipe in recipes().items()}
    for name, entry in builtins().items():
        page = f"components/{name.removeprefix('builtin/')}.md"
        pages[page] = component_card(name, entry.kind, example_component(name), EXAMPLE_OPTIONS.get(name, {}))
    entries = [recipe.entry for recipe in recipes().values()]
    pages["index.md"] = index_card(entries, {name: entry.kind for name, entry in builtins().items()})
    return pages


def write_cards(folder: Path) -> None:
    """Write every page below a folder, and remove pages there that are none any more."""
    pages = catalog_cards()
    for path in folder.rglob("*.md"):
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def benchmark_card(recipe: BenchmarkRecipe, samples: Sequence[Sample]) -> str:
    """Return a benchmark's page."""
    entry = recipe.entry
    shown = {entry.parts_of(entry.checked_variant(sample.variant))[1]: sample for sample in reversed(samples)}
    sample = samples[0]
    parts = [
        f"# {entry.title}",
        entry.measures,
        _facts(entry),
        _variants(entry),
        f"## Known pitfalls\n\n{_bullets(entry.pitfalls)}",
        f"## Columns\n\n{_columns(entry)}",
        f"## Example\n\nA made row, in the dataset's columns:\n\n```json\n{_row(sample.row)}\n```",
        *(_example(recipe, one, f" in the form `{form}`" if form else "") for form, one in reversed(shown.items())),
    ]
    if entry.workflow_overrides.get("rubric"):
        parts.append(f"What the judge goes by:\n\n> {entry.workflow_overrides['rubric']}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _example(recipe: BenchmarkRecipe, sample: Sample, form: str) -> str:
    variant = recipe.entry.checked_variant(sample.variant)
    case = read_case(recipe, variant, sample.row, 1)
    assert isinstance(case, Case)
    return (
        f"What the model is asked{form}:\n\n{_indented(_asked(recipe.entry, variant, case))}\n\n"
        f"What is held against its answer:\n\n{_indented(shortened(_text(case.expected_output), _LONGEST_CELL))}"
    )


def _facts(entry: BenchmarkCatalogEntry) -> str:
    needs = [
        *(["a judge model (`judge=`)"] if entry.requires_judge else []),
        *(["a sandbox"] if entry.requires_sandbox else []),
        f"the extra `{entry.extra}`",
    ]
    rows = [
        ("name", f"`{entry.benchmark_id}`"),
        ("kind", _KINDS[entry.kind]),
        ("data", _data(entry)),
        ("split", f"`{entry.split}`"),
        *(
            (f"{what} ({form})" if form else what, joined.join(map(_component, of(form))))
            for form in entry.forms or ("",)
            for what, joined, of in (("parser", ", then ", entry.parsers_of), ("metric", "; ", entry.metrics_of))
        ),
        *([("grouped by", ", ".join(f"`{name}`" for name in entry.groups_by))] if entry.groups_by else []),
        *([("usual examples", _shots(entry))] if entry.shots else []),
        *([("pass@k, maj@k", f"k = {', '.join(map(str, entry.reports_at))}")] if entry.reports_at else []),
        ("needs", ", ".join(needs)),
        ("license of the data", entry.license),
        ("described at", f"<{entry.source}>"),
    ]
    return _table(("", ""), rows)


def _shots(entry: BenchmarkCatalogEntry) -> str:
    order = "the first" if entry.shots_seed is None else "drawn"
    return f"{entry.shots}, {order} of `{entry.shots_split}` (`shots='usual'`)"


def _data(entry: BenchmarkCatalogEntry) -> str:
    config = f", configuration `{entry.config}`" if entry.config else ""
    named = entry.files or [name for facts in entry.variant_facts for name in facts.files]
    files = f", files {', '.join(f'`{name}`' for name in named)}" if named else ""
    package = f"; also in the package `{entry.package[0]}`, which is read by default" if entry.package else ""
    return f"`{entry.dataset_id}` on the Hugging Face hub{config}{files}{package}"


def _component(choice: ComponentChoice) -> str:
    named = f"`{choice.named}`: " if choice.named != choice.component_id else ""
    stated = {name: value for name, value in choice.options.items() if name != "component_id"}
    options = "".join(f", {name}={_text(value)}" for name, value in stated.items())
    return f"{named}[`{choice.component_id}`]({_page('../components', choice.component_id)}){options}"


def _page(folder: str, component_id: str) -> str:
    return f"{folder}/{component_id.removeprefix('builtin/')}.md"


def _variants(entry: BenchmarkCatalogEntry) -> str:
    lines = [
        f"`{entry.benchmark_id}:{variant}`" + (" (the default)" if variant == entry.default_variant else "")
        for variant in entry.variants
    ]
    if entry.open_variants:
        default = f"; `{entry.default_variant}` by default" if entry.default_variant else ""
        lines.append(f"`{entry.benchmark_id}:...`: {entry.open_variants}{default}")
    lines += [
        f"`{entry.name_of(form)}`: the form `{form}`{', the default' if form == entry.forms[0] else ''}"
        for form in entry.forms
    ]
    return f"## Variants\n\n{_bullets(lines)}" if lines else ""


def _columns(entry: BenchmarkCatalogEntry) -> str:
    roles: dict[str, list[str]] = {}
    for column in entry.columns:
        roles.setdefault(column.name, []).append(column.role.replace("_", " "))
    rows = []
    for column in {column.name: column for column in reversed(entry.columns)}.values():
        notes = [
            *([] if column.required else ["may be missing"]),
            *(["may hold nothing"] if column.nullable else []),
        ]
        rows.append((f"`{column.name}`", ", ".join(roles[column.name]), KINDS[column.kind].words, ", ".join(notes)))
    return _table(("column", "is", "holds", ""), reversed(rows))


def _asked(entry: BenchmarkCatalogEntry, variant: str, case: Case) -> str:
    prompt = entry.prompt_of(variant) or PromptSpec()
    likelihoods = asked_likelihoods(case, prompt)
    if likelihoods is not None:
        texts = [shortened(text, _LONGEST_CELL) for text in likelihoods.continuations]
        return "\n\n".join(
            [likelihoods.context or "(nothing before)", "how likely each of these is behind it:", *texts]
        )
    value = case.input
    images = value.get("images") if isinstance(value, Mapping) else None
    asked = value["text"] if isinstance(value, Mapping) and images else value
    messages = prompt.render_messages(asked)
    text = "\n\n".join(
        f"{message['role']}: {message['content']}" if len(messages) > 1 else str(message["content"])
        for message in messages
    )
    return f"{text}\n\n[{len(images)} image]" if isinstance(images, Sequence) else text


def component_card(component_id: str, kind: str, component: Any, stated: Mapping[str, Any]) -> str:
    """Return a component's page: what it says of itself, and its options with their defaults.

    Args:
        component_id: its id.
        kind: its kind.
        component: the component, made with default options as far as it has them.
        stated: the options that it has no default for.
    """
    parts = [
        f"# {component_id}",
        f"A builtin {kind.replace('_', ' ')}.",
        inspect.cleandoc(str(type(component).__doc__ or "")),
        _options(component, stated),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _options(component: Any, stated: Mapping[str, Any]) -> str:
    if not attrs.has(type(component)):
        return ""
    rows = [
        (f"`{field.name}`", "must be given" if field.name in stated else _code(getattr(component, field.name)))
        for field in attrs.fields(type(component))
        if field.init and field.name not in ("component_id", "version") and not field.name.startswith("_")
    ]
    return f"## Options\n\n{_table(('option', 'default'), rows)}" if rows else ""


def _code(value: Any) -> str:
    return f"`{repr(value).replace('|', chr(92) + '|')}`"


def index_card(entries: Iterable[BenchmarkCatalogEntry], components: Mapping[str, str]) -> str:
    """Return the index of all pages.

    Args:
        entries: the benchmarks.
        components: each component's kind, by id.
    """
    benchmarks = [
        (f"[`{e.benchmark_id}`](benchmarks/{e.benchmark_id}.md)", e.title, _KINDS[e.kind], e.license) for e in entries
    ]
    parts = [
        "# Catalog",
        "What ships with Themis. These pages are made from the code.",
        f"## Benchmarks\n\n{_table(('name', 'title', 'asks for', 'license of the data'), benchmarks)}",
    ]
    for kind in sorted(set(components.values())):
        names = sorted(name for name, its_kind in components.items() if its_kind == kind)
        links = [f"[`{name}`]({_page('components', name)})" for name in names]
        parts.append(f"## Components: {kind.replace('_', ' ')}\n\n{_bullets(links)}")
    return "\n\n".join(parts) + "\n"


# --- Markdown ---------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _indented(text: str) -> str:
    """Return text as an indented code block: fences in it then mean nothing."""
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _row(row: Mapping[str, Any]) -> str:
    return json.dumps({name: _shortened(value) for name, value in row.items()}, indent=2, ensure_ascii=False)


def _shortened(value: Any) -> Any:
    """Return a value with its long texts shortened, for reading."""
    if isinstance(value, str):
        return shortened(value, _LONGEST_CELL)
    if isinstance(value, Mapping):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


if __name__ == "__main__":
    write_cards(Path(sys.argv[1]))
