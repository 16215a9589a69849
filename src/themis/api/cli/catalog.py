"""`themis catalog`: the benchmarks and components that come with Themis."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from themis.api.cli import DONE, GATE_FAILED
from themis.api.cli.options import Json
from themis.api.cli.output import show as show_value
from themis.pure.errors import DISTRIBUTION
from themis.pure.text import shortened

app: App = App(name="catalog", help="Look at the benchmarks that come with Themis.")


@app.command(name="list")
def list_catalog(
    what: Literal["benchmarks", "components"] = "benchmarks",
    /,
    *,
    kind: Annotated[str | None, Parameter(help="Only components of this kind: metric, parser, ...")] = None,
    json_output: Json = False,
) -> None:
    """List benchmarks, or builtin components.

    For example:
      themis catalog list
      themis catalog list components --kind metric

    Args:
        what: What to list.
    """
    if what == "components":
        from themis.api.catalog.entries import list_component_ids

        names = list_component_ids(kind=kind)
        show_value(names, lambda: "\n".join(names), as_json=json_output)
        return
    from themis.api.catalog.entries import list_benchmarks

    entries = list_benchmarks()
    widths = max(len(entry.benchmark_id) for entry in entries), max(len(entry.kind) for entry in entries)
    show_value(
        [entry.to_dict() for entry in entries],
        lambda: "\n".join(_line(entry, *widths) for entry in entries),
        as_json=json_output,
    )


def _line(entry: Any, width: int, kind_width: int) -> str:
    needs = [name for name, needed in (("judge", entry.requires_judge), ("sandbox", entry.requires_sandbox)) if needed]
    note = f" (needs a {' and a '.join(needs)})" if needs else ""
    text = f"{entry.benchmark_id.ljust(width)}  {entry.kind.ljust(kind_width)}  {entry.title}{note}"
    return shortened(text, 80)


@app.command
def show(name: str, /, *, json_output: Json = False) -> None:
    """Show what the catalog knows of a benchmark.

    For example:
      themis catalog show mmlu_pro

    Args:
        name: The benchmark.
    """
    from themis.api.catalog.entries import get_benchmark

    entry = get_benchmark(name)
    show_value(entry.to_dict(), lambda: _entry(entry), as_json=json_output)


def _entry(entry: Any) -> str:
    facts = {
        "title": entry.title,
        "measures": entry.measures,
        "data": " ".join(filter(None, (entry.dataset_id, entry.config, entry.split))),
        "variants": ", ".join(entry.variants) or entry.open_variants or "none",
        **({"forms": ", ".join(entry.name_of(form) for form in entry.forms)} if entry.forms else {}),
        **{
            f"{what}{f' ({form})' if form else ''}": ", ".join(choice.named for choice in of(form))
            for form in entry.forms or ("",)
            for what, of in (("parsers", entry.parsers_of), ("metrics", entry.metrics_of))
        },
        "groups": ", ".join(entry.groups_by) or "none",
        **({"examples": f"usually {entry.shots} of {entry.shots_split}"} if entry.shots else {}),
        "pass@k": f"k = {', '.join(map(str, entry.reports_at)) or '1, 2, 4, ...'}",
        "needs": f"{DISTRIBUTION}[{entry.extra}]" if entry.extra else "nothing more",
        "license": entry.license,
        "source": entry.source,
    }
    from themis.pure.benchmarks.registry import samples_of

    lines = [entry.benchmark_id, *(f"  {name:<9} {value}" for name, value in facts.items())]
    pitfalls = [entry.pitfalls] if isinstance(entry.pitfalls, str) else entry.pitfalls
    lines += [f"  note      {text}" for text in pitfalls]
    prompts = {variant: entry.prompt_of(variant) for variant in entry.forms or entry.variants or ("",)}
    is_one = all(spec == entry.prompt_of("") for spec in prompts.values())
    for variant, spec in {"": entry.prompt_of("")}.items() if is_one else prompts.items():
        lines += ["", *_prompt(f"prompt of {variant}" if variant else "prompt", spec)]
    row = samples_of(entry.benchmark_id)[0].row
    lines += ["", "a made row of its data:"]
    lines += [f"  {name}: {shortened(repr(value), 100)}" for name, value in row.items()]
    return "\n".join(lines)


def _prompt(title: str, spec: Any) -> list[str]:
    """Return the messages that a model is shown, with `{input}` where each question stands."""
    from themis.pure.records.prompt import PromptSpec, text_of

    lines = [f"{title}, as messages:"]
    for message in (spec or PromptSpec()).render_messages("{input}"):
        lines += [f"  {message['role']}", *(f"    {line}" for line in text_of(message["content"]).splitlines())]
    return lines


@app.command
def validate(name: str, /, *, source: str | None = None, json_output: Json = False) -> int:
    """Check that a benchmark loads and scores right and wrong answers as it should; nothing is downloaded.

    For example:
      themis catalog validate mmlu_pro
      themis catalog validate mmlu_pro --source rows.parquet

    Args:
        name: The benchmark.
        source: Other rows to check for their columns: hub, a file or a folder.
    """
    from themis.api.catalog.validate import validate_benchmark

    found = validate_benchmark(name, source=source)
    show_value({**found.to_dict(), "ok": found.ok}, lambda: _checks(found), as_json=json_output)
    return DONE if found.ok else GATE_FAILED


def _checks(found: Any) -> str:
    lines = [found.benchmark_id]
    for check in found.checks:
        lines.append(f"  {check.status:<7} {check.name}")
        lines += [f"          {text}" for text in check.details]
    return "\n".join([*lines, "valid" if found.ok else "NOT valid"])
