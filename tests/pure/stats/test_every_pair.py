"""Every two of several runs compared at once: what is said of each two is what comparing them alone says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.stats.every_pair import compare_every, every_two
from themis.pure.stats.pairs import CaseScores, PairedMethod, Scored, compare_cases

KEYS = [f"c{i}" for i in range(12)]
ZERO_OR_ONE = st.sampled_from([0.0, 1.0])
ANY = st.sampled_from([0.0, 0.25, 0.5, 1.0, 0.1 + 0.2])


@st.composite
def runs(draw: st.DrawFn) -> dict[str, list[Scored]]:
    """Draw runs: of one score a case or several, 0/1 or graded, some with missing scores or cases that others lack."""
    found = {}
    for name in "abcd":
        values = draw(st.sampled_from([ZERO_OR_ONE, ANY, st.one_of(st.none(), ZERO_OR_ONE)]))
        keys = draw(st.sampled_from([KEYS, KEYS[::-1], KEYS[:9], KEYS + KEYS[:3]]))
        found[name] = [(key, draw(values)) for key in keys]
    return found


@settings(max_examples=25)
@given(runs(), st.booleans())
def test_each_comparison_is_that_of_the_two_runs_alone(rows: dict[str, list[Scored]], clustered: bool) -> None:
    tables = {name: CaseScores.of(each, name) for name, each in rows.items()}
    clusters = {key: str(i % 5) for i, key in enumerate(KEYS)} if clustered else None
    method = PairedMethod()
    found = compare_every(tables, every_two(tables), metric_id="m", clusters=clusters, method=method)
    assert [(each.label_a, each.label_b) for each in found] == every_two("abcd")
    for each in found:
        a, b = each.label_a, each.label_b
        alone = compare_cases(
            tables[a], tables[b], metric_id="m", label_a=a, label_b=b, clusters=clusters, method=method
        )
        assert each == alone.evolve(sign_test=each.sign_test, wilcoxon=each.wilcoxon)
