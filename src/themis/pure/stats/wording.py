"""Results as sentences that claim no more than the numbers do.

The rule of the room: what is not significant is worded neither as a difference nor as sameness. In its place
stand the smallest difference the design could have found, and the cases it would take.
"""

from __future__ import annotations

from themis.pure.stats.arguments import checked_arguments
from themis.pure.stats.records import (
    EquivalenceTest,
    Estimate,
    Interval,
    PairedComparison,
)


def number(value: float) -> str:
    """Write a figure with four significant digits.

    >>> number(0.123456), number(1234.5), number(1.0)
    ('0.1235', '1234', '1')
    """
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def p_text(p_value: float) -> str:
    """Write a p-value, never as 0 and never with more digits than it is good for.

    >>> p_text(0.0312), p_text(1e-47)
    ('p = 0.031', 'p < 0.0001')
    """
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.2g}"


def p_cell(p_value: float | None) -> str:
    """Write a p-value for a table.

    >>> p_cell(0.03124), p_cell(1e-47), p_cell(None)
    ('0.0312', '<0.0001', '-')
    """
    return "-" if p_value is None else "<0.0001" if p_value < 0.0001 else number(round(p_value, 4))


@checked_arguments
def interval_text(interval: Interval) -> str:
    """Write an interval with its level and method, or why there is none.

    >>> interval_text(Interval(low=0.25, high=0.5, method="Wilson score"))
    '95 % interval 0.25 to 0.5 (Wilson score)'
    """
    if interval.low is None or interval.high is None:
        return f"no interval: {interval.reason}"
    level = f"{100 * interval.level:.4g} %"
    return f"{level} interval {number(interval.low)} to {number(interval.high)} ({interval.method})"


@checked_arguments
def estimate_sentence(estimate: Estimate) -> str:
    """Say a metric's mean, its uncertainty, and what is missing from it."""
    units = f"{estimate.unit}s"
    if estimate.mean is None:
        reason = estimate.undefined.get("mean", "no scored value")
        return f"{estimate.metric_id}: not defined: {reason} ({estimate.planned} {units} planned)."
    parts = [
        f"{estimate.metric_id}: {number(estimate.mean)} over {estimate.scored} of {estimate.planned} {units}",
        interval_text(estimate.interval),
    ]
    if estimate.clusters is not None:
        parts.append(f"{estimate.clusters} clusters")
    if estimate.missing and estimate.if_missing_wrong is not None and estimate.if_missing_right is not None:
        low, high = number(estimate.if_missing_wrong), number(estimate.if_missing_right)
        parts.append(f"{estimate.missing} missing: {low} if all were wrong, {high} if all were right")
    elif estimate.missing:
        parts.append(f"{estimate.missing} missing")
    return "; ".join(parts) + "."


@checked_arguments
def comparison_sentence(comparison: PairedComparison) -> str:
    """Say what a paired comparison shows, and no more: also what of it the pairs that lack a score could overturn.

    >>> from themis.pure.stats.pairs import paired_compare
    >>> a = [(f"c{i}", float(i % 2)) for i in range(20)]
    >>> b = [(f"c{i}", float(i % 3 > 0)) for i in range(20)]
    >>> sentence = comparison_sentence(paired_compare(a, b))
    >>> "does not tell" in sentence
    True
    """
    head = f"{comparison.metric_id}: "
    if comparison.difference is None:
        return f"{head}{comparison.label_a} and {comparison.label_b} share no scored case: nothing to compare."
    a, b, difference = comparison.label_a, comparison.label_b, comparison.difference
    record = f"{comparison.wins} wins, {comparison.losses} losses, {comparison.ties} ties"
    facts = f"over {comparison.pairs} paired cases ({record})"
    if comparison.significant:
        direction = "higher" if difference > 0 else "lower"
        shown = f"{b} scores {number(abs(difference))} {direction} than {a} {facts}; {_evidence(comparison)}."
        return f"{head}{shown}{_if_missing(comparison)}"
    observed = f"observed {b} - {a} = {difference:+.4g} {facts}"
    if comparison.significant is None:
        undecided = f"{observed}; no test decides: {comparison.test.reason or 'no p-value'}."
        return f"{head}{undecided}{_if_missing(comparison)}"
    return (
        f"{head}this comparison does not tell {a} and {b} apart: {observed}; {_evidence(comparison)}. "
        f"{_outlook(comparison)}{_if_missing(comparison)}"
    )


def _if_missing(comparison: PairedComparison) -> str:
    missing = comparison.if_missing
    if missing is None or comparison.difference is None:
        return ""
    a, b = comparison.label_a, comparison.label_b
    named = f" {missing.pairs} {'pair lacks' if missing.pairs == 1 else 'pairs lack'} a score"
    if missing.lowest is None or missing.highest is None:
        return f"{named}, and what they could change is not known: {missing.interval.reason}."
    counted = f"{named}: counting them, {b} - {a} lies between {missing.lowest:+.4g} and {missing.highest:+.4g}"
    if missing.holds is None:
        return f"{counted}."
    higher, lower, worst = (b, a, missing.lowest) if comparison.difference > 0 else (a, b, missing.highest)
    if missing.holds:
        return f"{counted}, and that {higher} scores higher holds whatever they are."
    found = [f"{b} - {a} = {worst:+.4g}"]
    if missing.test.p_value is not None:
        found.append(p_text(missing.test.p_value))
    if comparison.family_size > 1 and missing.p_holm is not None:
        found.append(f"{p_text(missing.p_holm)} adjusted")
    return f"{counted}. That {higher} scores higher does not hold if they all go to {lower}: {', '.join(found)}."


def _evidence(comparison: PairedComparison) -> str:
    parts = [interval_text(comparison.interval)]
    if comparison.test.p_value is not None:
        parts.append(f"{p_text(comparison.test.p_value)} ({comparison.test.method})")
    if comparison.family_size > 1 and comparison.p_holm is not None:
        parts.append(f"{p_text(comparison.p_holm)} adjusted over {comparison.family_size} tests (Holm)")
    return ", ".join(parts)


def _outlook(comparison: PairedComparison) -> str:
    percent = f"{100 * comparison.power:.4g} %"
    reason = comparison.undefined.get("minimum_detectable_effect", "no spread")
    if comparison.minimum_detectable_effect is not None:
        found = number(comparison.minimum_detectable_effect)
        sentence = f"It could find a true difference of {found} or more with {percent} power"
    elif reason.startswith("no difference"):
        sentence = f"N{reason[1:]}"
    else:
        sentence = f"What it could have found is not defined: {reason}"
    if comparison.family_size > 1:
        rate = comparison.alpha / comparison.family_size
        sentence += f" at an error rate of {rate:.2g}, which Holm's adjustment leaves each of the tests"
    if comparison.cases_needed is None:
        return f"{sentence}."
    return f"{sentence}; one as large as observed takes about {comparison.cases_needed} cases."


@checked_arguments
def equivalence_sentence(result: EquivalenceTest) -> str:
    """Say whether a difference was shown to lie within the declared margin."""
    margin = number(result.margin)
    if result.p_value is None:
        return f"Equivalence within {margin} can't be tested: {result.reason}."
    phrase = "is shown to lie" if result.equivalent else "is not shown to lie"
    sentence = (
        f"The true difference {phrase} within {margin} of zero ({interval_text(result.interval)}, "
        f"{p_text(result.p_value)})."
    )
    widest = result.interval_if_missing
    if widest is None:
        return sentence
    if widest.low is None or widest.high is None:
        return f"{sentence} What missing scores could change is not known: {widest.reason}."
    ends = f"{number(widest.low)} to {number(widest.high)}"
    return f"{sentence} Whatever the missing scores are, the interval lies within {ends}."
