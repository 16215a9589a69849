"""Tests and adjustments against SciPy and statsmodels, and by hand."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.stats import significance

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is an oracle")
multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is an oracle")
contingency = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is an oracle")

P_VALUES = st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=12)


@pytest.mark.parametrize(("wins", "losses"), [(8, 2), (1, 0), (5, 5), (30, 12), (0, 40), (700, 800)])
def test_mcnemar_exact(wins: int, losses: int) -> None:
    oracle = contingency.mcnemar([[3, wins], [losses, 4]], exact=True).pvalue
    assert significance.mcnemar_test(wins, losses).p_value == pytest.approx(oracle, abs=1e-9)


def test_mcnemar_mid_p_by_hand() -> None:
    # 10 discordant pairs, 8 to 2: exact 2 (1 + 10 + 45)/1024, less one atom of 45/1024.
    test = significance.mcnemar_test(8, 2, mid_p=True)
    assert test.p_value == pytest.approx((112 - 45) / 1024)
    assert "mid-p" in test.method
    # An even split: all but half of the one middle outcome, 252/1024.
    assert significance.mcnemar_test(5, 5, mid_p=True).p_value == pytest.approx(1 - 126 / 1024)


def test_without_discordant_pairs_there_is_no_p_value() -> None:
    for test in (
        significance.mcnemar_test(0, 0),
        significance.sign_test(0, 0),
        significance.wilcoxon_test([0.0]),
    ):
        assert test.p_value is None
        assert test.reason == "no pair differs"


@pytest.mark.parametrize(("wins", "losses"), [(9, 1), (3, 4), (100, 60), (3000, 2900)])
def test_sign_test(wins: int, losses: int) -> None:
    oracle = scipy_stats.binomtest(wins, wins + losses).pvalue
    assert significance.sign_test(wins, losses).p_value == pytest.approx(oracle, abs=1e-9)


@pytest.mark.parametrize("size", [3, 10, 25, 50])
def test_wilcoxon_exact(size: int) -> None:
    rng = random.Random(size)
    values = [rng.gauss(0.3, 1.0) for _ in range(size)]
    oracle = scipy_stats.wilcoxon(values, method="exact")
    test = significance.wilcoxon_test(values)
    assert test.p_value == pytest.approx(oracle.pvalue, abs=1e-9)
    assert test.statistic == oracle.statistic


def test_wilcoxon_exact_with_ties_counts_all_sign_flips() -> None:
    values = [1.0, 1.0, -1.0, 2.0, 2.0, 3.0, -3.0, 4.0]
    ranks = scipy_stats.rankdata([abs(v) for v in values])
    observed = min(
        sum(r for r, v in zip(ranks, values, strict=True) if v > 0),
        sum(r for r, v in zip(ranks, values, strict=True) if v < 0),
    )
    sums = [sum(r for r, up in zip(ranks, ups, strict=True) if up) for ups in itertools.product([0, 1], repeat=8)]
    hits = sum(min(s, sum(ranks) - s) <= observed for s in sums)
    assert significance.wilcoxon_test(values).p_value == pytest.approx(hits / 256)


@pytest.mark.parametrize("digits", [1, 6])
def test_wilcoxon_normal(digits: int) -> None:
    rng = random.Random(3)
    values = [round(rng.gauss(0.1, 1.0), digits) for _ in range(300)]
    oracle = scipy_stats.wilcoxon(values, zero_method="wilcox", correction=False, method="approx")
    assert significance.wilcoxon_test(values).p_value == pytest.approx(oracle.pvalue, abs=1e-9)


def test_t_test() -> None:
    values = [0.2, 0.5, -0.1, 0.4, 0.3]
    oracle = scipy_stats.ttest_1samp(values, 0.0)
    test = significance.t_test(sum(values) / 5, float(scipy_stats.sem(values)), 4)
    assert test.p_value == pytest.approx(oracle.pvalue, abs=1e-9)
    assert significance.t_test(0.1, 0.0, 4).reason


@given(P_VALUES)
def test_adjustments_agree_with_statsmodels(p_values: list[float]) -> None:
    holm, bh = (multitest.multipletests(p_values, method=name)[1] for name in ("holm", "fdr_bh"))
    assert significance.holm(p_values) == pytest.approx(tuple(holm), abs=1e-9)
    assert significance.benjamini_hochberg(p_values) == pytest.approx(tuple(bh), abs=1e-9)


@given(P_VALUES)
def test_adjusted_is_never_below_raw_and_holm_never_below_screening(p_values: list[float]) -> None:
    holm, bh = significance.holm(p_values), significance.benjamini_hochberg(p_values)
    for raw, by_holm, by_bh in zip(p_values, holm, bh, strict=True):
        assert by_holm is not None
        assert by_bh is not None
        assert raw <= by_bh * (1 + 1e-12)
        assert by_bh <= by_holm * (1 + 1e-12)
        assert by_holm <= 1.0


def test_a_missing_p_value_stays_missing_and_counts_in_the_family() -> None:
    assert significance.holm([0.02, None]) == (0.04, None)
    assert significance.benjamini_hochberg([0.02, None]) == (0.04, None)
