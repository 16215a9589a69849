"""A comparison of two runs as text for a terminal and as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.json import JSONValue
from themis.pure.records.results import RunStatus
from themis.pure.records.snapshot import ComponentRefs, RunIdentity, RunSnapshot
from themis.pure.report.markdown import escape, table
from themis.pure.report.markup import Markup, element
from themis.pure.report.settings import described, leaves, setting_text
from themis.pure.report.terminal import plain_table
from themis.pure.stats.gates import GateResult
from themis.pure.stats.records import PairedComparison, RunComparison
from themis.pure.stats.wording import comparison_sentence, equivalence_sentence, p_cell
from themis.pure.text import one_line

_SHOWN = 10


def identity_notes(a: RunSnapshot, b: RunSnapshot) -> tuple[str, ...]:
    """Say in what two runs differ, and which metrics were themselves changed between them.

    Where both runs have descriptions, single settings are named with their values; a component that differs and
    describes itself alike, by its field of the identity. A metric that was changed measures another thing: then not
    only the models differ.
    """
    differing = [text for field in attrs.fields(RunIdentity) for text in _differing(a, b, field.name)]
    notes = [f"the runs differ in: {', '.join(differing)}"] if differing else []
    before = {ref.component_id: ref.fingerprint for ref in a.identity.metric_refs}
    changed = [
        ref.component_id
        for ref in b.identity.metric_refs
        if before.get(ref.component_id, ref.fingerprint) != ref.fingerprint
    ]
    notes += [f"the metric {name} itself was changed between the runs" for name in changed]
    return tuple(notes)


_MOST_SETTINGS: Final = 12
_PLACES: Final = {"parser_refs": "parsers", "metric_refs": "metrics", "judge_model_refs": "judge_models"}


def _differing(a: RunSnapshot, b: RunSnapshot, field: str) -> list[str]:
    """Return what two runs differ in within a field of their identities: single settings, or else the field's name."""
    if getattr(a.identity, field) == getattr(b.identity, field):
        return []
    of_a, of_b = _within(a, field), _within(b, field)
    if of_a is None or of_b is None:
        return [field]
    names = [name for name in {**of_a, **of_b} if of_a.get(name) != of_b.get(name)]
    found = [f"{name} {_value(of_a, name)} and {_value(of_b, name)}" for name in names[:_MOST_SETTINGS]]
    return [*found, *([f"{len(names) - len(found)} more settings"] if len(names) > len(found) else [])] or [field]


def _value(settings: Mapping[str, JSONValue], name: str) -> str:
    return setting_text(settings[name]) if settings.get(name) is not None else "(not set)"


def _within(snapshot: RunSnapshot, field: str) -> Mapping[str, JSONValue] | None:
    """Return the single settings of a field of an identity by name; `None` if they are not known."""
    found, (one, is_ref, _) = getattr(snapshot.identity, field), field.partition("_ref")
    if field == "until":
        return {field: None if found is None else str(found)}
    if not is_ref:
        return dict(leaves(snapshot.identity.canonical_data()[field], field))
    place = _PLACES.get(field, one)
    if place not in attrs.fields_dict(ComponentRefs) or not snapshot.descriptions:
        return None
    refs = found if isinstance(found, tuple) else () if found is None else (found,)
    settings: dict[str, JSONValue] = {place: ", ".join(ref.component_id for ref in refs) or None}
    counts: Counter[str] = Counter()
    for where, ref, each in described(snapshot):
        if where == place:
            counts[ref.component_id] += 1
            nth = f" ({counts[ref.component_id]})" if counts[ref.component_id] > 1 else ""
            before = "" if place == "generator" else f"{ref.component_id}{nth} "
            settings |= {f"{before}{name}".strip(): value for name, value in leaves(each)}
    return settings


def comparison_text(comparison: RunComparison, gates: Iterable[GateResult] = ()) -> str:
    """Return a comparison for a terminal: a table, a sentence a metric, what was left out, and the gates."""
    parts = [f"a: {one_line(comparison.label_a)}\nb: {one_line(comparison.label_b)}"]
    parts.append(plain_table(*_table(comparison)) if comparison.comparisons else _NOTHING)
    parts += ["\n".join(map(one_line, lines)) for lines in (_sentences(comparison), _outcomes(gates))]
    return "\n\n".join(part for part in parts if part)


_NOTHING: Final = "The runs share no metric: nothing to compare."


def comparison_markdown(comparison: RunComparison, gates: Iterable[GateResult] = ()) -> str:
    """Return a comparison as Markdown."""
    header, cells = _table(comparison)
    parts = [
        "# Comparison of two runs",
        table(["", ""], [("a", comparison.label_a), ("b", comparison.label_b)]),
        table(header, cells) if cells else escape(_NOTHING),
        "\n".join(f"- {escape(line)}" for line in (*_sentences(comparison), *_outcomes(gates))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def comparison_html(comparison: RunComparison, gates: Iterable[GateResult] = ()) -> Iterator[Markup]:
    """Yield a comparison as the first section of a page."""
    header, cells = _table(comparison)
    whole = element(
        "table", element("thead", _line("th", header)), element("tbody", *(_line("td", row) for row in cells))
    )
    remarks = [element("li", line) for line in (*_sentences(comparison), *_outcomes(gates))]
    yield element(
        "section",
        element("h2", "Figures", id="figures"),
        element("div", whole, class_="wide-table", tabindex="0", role="group", aria_label="Figures") if cells else "",
        "" if cells else element("p", _NOTHING, class_="note"),
        element("ul", *remarks, class_="notes"),
    )


def _line(tag: str, cells: Sequence[str]) -> Markup:
    return element("tr", *(element(tag, cell, class_="number" if place else "") for place, cell in enumerate(cells)))


def _table(comparison: RunComparison) -> tuple[list[str], list[list[str]]]:
    level = comparison.comparisons[0].interval.level if comparison.comparisons else 0.95
    header = ["metric", "a", "b", "b - a", f"{100 * level:g}% interval", "p (Holm)", "pairs"]
    bounded = any(each.if_missing is not None for each in comparison.comparisons)
    if bounded:
        header += ["missing", "b - a if counted"]
    return header, [[*_cells(each), *(_bounds(each) if bounded else ())] for each in comparison.comparisons]


def _outcomes(gates: Iterable[GateResult]) -> list[str]:
    return [f"{'passed' if gate.passed else 'FAILED'}: {gate.gate}: {gate.reason}" for gate in gates]


def comparison_data(comparison: RunComparison, gates: Iterable[GateResult] = ()) -> dict[str, Any]:
    """Return a comparison as plain data: what `--json` prints."""
    return {
        **comparison.to_dict(),
        "sentences": _sentences(comparison),
        "gates": [gate.to_dict() for gate in gates],
    }


def _cells(each: PairedComparison) -> Sequence[str]:
    interval = each.interval
    ends = "-" if interval.low is None or interval.high is None else f"{interval.low:+.3f} to {interval.high:+.3f}"
    return (
        each.metric_id,
        *("-" if value is None else f"{value:.4f}" for value in (each.mean_a, each.mean_b)),
        "-" if each.difference is None else f"{each.difference:+.4f}",
        ends,
        p_cell(each.p_holm),
        str(each.pairs),
    )


def _bounds(each: PairedComparison) -> Sequence[str]:
    missing = each.if_missing
    if missing is None:
        return "0", "-"
    known = missing.lowest is not None and missing.highest is not None
    return str(missing.pairs), f"{missing.lowest:+.3f} to {missing.highest:+.3f}" if known else "not known"


def _sentences(comparison: RunComparison) -> list[str]:
    sentences = []
    for each in comparison.comparisons:
        sentences.append(comparison_sentence(each))
        if each.equivalence is not None:
            sentences.append(f"{each.metric_id}: {equivalence_sentence(each.equivalence)}")
        sentences += [f"{each.metric_id}: warning: {warning}" for warning in each.warnings]
    for name, keys in (
        (f"only in {comparison.label_a}", comparison.removed),
        (f"only in {comparison.label_b}", comparison.added),
        ("whose content differs", comparison.changed),
    ):
        if keys:
            more = f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            sentences.append(f"Left out: {len(keys)} cases {name}: {', '.join(keys[:_SHOWN])}{more}")
    if not comparison.content_checked:
        sentences.append("Whether the cases have the same content in both runs was not checked.")
    for name, metrics in (
        (comparison.label_a, comparison.metrics_only_a),
        (comparison.label_b, comparison.metrics_only_b),
    ):
        if metrics:
            sentences.append(f"Only {name} has the metrics {', '.join(metrics)}")
    for name, status in incomplete_runs(comparison):
        sentences.append(f"{name} is not complete ({status}): run it again, and the figures may change.")
    return [*sentences, *(f"Note: {note}." for note in comparison.notes)]


def incomplete_runs(comparison: RunComparison) -> tuple[tuple[str, str], ...]:
    """Return the name and the status of each run of a comparison that is not complete."""
    runs = ((comparison.label_a, comparison.status_a), (comparison.label_b, comparison.status_b))
    return tuple((label, status) for label, status in runs if status not in (None, RunStatus.COMPLETED.value))
