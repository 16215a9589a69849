"""A comparison of two runs as text for a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from themis.pure.records.results import RunStatus
from themis.pure.records.snapshot import RunIdentity
from themis.pure.report.terminal import plain_table
from themis.pure.stats.gates import GateResult
from themis.pure.stats.records import PairedComparison, RunComparison
from themis.pure.stats.wording import comparison_sentence, equivalence_sentence, number
from themis.pure.text import printable

_SHOWN = 10


def identity_notes(a: RunIdentity, b: RunIdentity) -> tuple[str, ...]:
    """Say in what two runs differ, and which metrics were themselves changed between them.

    A metric that was changed measures another thing: then not only the models differ.
    """
    names = [field.name for field in attrs.fields(RunIdentity)]
    differing = [name for name in names if getattr(a, name) != getattr(b, name)]
    notes = [f"the runs differ in: {', '.join(differing)}"] if differing else []
    before = {ref.component_id: ref.fingerprint for ref in a.metric_refs}
    changed = [
        ref.component_id for ref in b.metric_refs if before.get(ref.component_id, ref.fingerprint) != ref.fingerprint
    ]
    notes += [f"the metric {name} itself was changed between the runs" for name in changed]
    return tuple(notes)


def comparison_text(comparison: RunComparison, gates: Iterable[GateResult] = ()) -> str:
    """Return a comparison for a terminal: a table, a sentence a metric, what was left out, and the gates."""
    level = comparison.comparisons[0].interval.level if comparison.comparisons else 0.95
    header = ["metric", "a", "b", "b - a", f"{100 * level:g}% interval", "p (Holm)", "pairs"]
    bounded = any(each.if_missing is not None for each in comparison.comparisons)
    if bounded:
        header += ["missing", "b - a if counted"]
    parts = [f"a: {comparison.label_a}\nb: {comparison.label_b}"]
    if comparison.comparisons:
        cells = [[*_cells(each), *(_bounds(each) if bounded else ())] for each in comparison.comparisons]
        parts.append(plain_table(header, cells))
    else:
        parts.append("The runs share no metric: nothing to compare.")
    parts.append("\n".join(_sentences(comparison)))
    outcomes = [f"{'passed' if gate.passed else 'FAILED'}: {gate.gate}: {gate.reason}" for gate in gates]
    if outcomes:
        parts.append("\n".join(outcomes))
    return printable("\n\n".join(part for part in parts if part))


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
        "-" if each.p_holm is None else "<0.0001" if each.p_holm < 0.0001 else number(round(each.p_holm, 4)),
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
    for name, status in ((comparison.label_a, comparison.status_a), (comparison.label_b, comparison.status_b)):
        if status not in (None, RunStatus.COMPLETED.value):
            sentences.append(f"{name} is not complete ({status}): run it again, and the figures may change.")
    return [*sentences, *(f"Note: {note}." for note in comparison.notes)]
