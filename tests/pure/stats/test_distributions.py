"""Distributions against SciPy, to 1e-9."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.stats import distributions

scipy_stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")
special = pytest.importorskip("scipy.special", reason="SciPy is the oracle")

DEGREES = [1, 1.5, 2, 5, 19, 29, 99.3, 1000, 99_999, 999_999]


def close(value: float, oracle: float) -> bool:
    return abs(value - oracle) <= 1e-9 * max(1.0, abs(oracle))


@pytest.mark.parametrize("a", [0.5, 1, 3.3, 10, 55, 1e3, 5e4, 5e5])
@pytest.mark.parametrize("b", [0.5, 1, 2, 9.9, 12, 700, 5e4])
def test_incomplete_beta(a: float, b: float) -> None:
    for x in (0.0, 1e-6, 0.01, 0.3, 0.5, 0.77, 0.99, 0.99999, 1.0):
        assert close(distributions.incomplete_beta(a, b, x), special.betainc(a, b, x)), x


@pytest.mark.parametrize("df", DEGREES)
def test_student_t(df: float) -> None:
    for t in (-5, -0.3, 0, 0.1, 1, 1.96, 4, 40):
        assert close(distributions.t_survival(t, df), scipy_stats.t.sf(t, df)), t
        assert close(distributions.t_survival(-t, df), scipy_stats.t.cdf(t, df)), t
    for probability in (0.001, 0.025, 0.3, 0.5, 0.8, 0.95, 0.975, 0.995, 0.99999):
        quantile = distributions.t_quantile(probability, df)
        assert close(quantile, scipy_stats.t.ppf(probability, df)), probability


@pytest.mark.parametrize("df", [1, 2, 5, 19, 99, 1000, 99_999])
def test_noncentral_t(df: float) -> None:
    for noncentrality, t in itertools.product([-3, 0, 0.5, 2.8, 7, 15], [-2, 0.3, 1.97, 4, 12]):
        value = distributions.noncentral_t_survival(t, df, noncentrality)
        assert close(value, scipy_stats.nct.sf(t, df, noncentrality)), (noncentrality, t)


def test_noncentral_t_far_out_is_certain() -> None:
    assert distributions.noncentral_t_survival(2.0, 50, 60.0) == pytest.approx(1.0)
    assert distributions.noncentral_t_survival(2.0, 50, -60.0) == pytest.approx(0.0)


@pytest.mark.parametrize("trials", [1, 5, 20, 100, 1500, 100_000])
@pytest.mark.parametrize("probability", [0.02, 0.5, 0.8])
def test_binomial(trials: int, probability: float) -> None:
    for successes in {-1, 0, 1, trials // 3, trials // 2, trials - 1, trials, int(trials * probability)}:
        cdf = distributions.binomial_cdf(successes, trials, probability)
        assert close(cdf, scipy_stats.binom.cdf(successes, trials, probability)), successes
        pmf = distributions.binomial_pmf(successes, trials, probability)
        assert close(pmf, scipy_stats.binom.pmf(successes, trials, probability)), successes


def test_normal_tails_keep_their_digits() -> None:
    assert distributions.normal_cdf(-30.0) == pytest.approx(scipy_stats.norm.cdf(-30.0), rel=1e-9)
    assert close(distributions.normal_quantile(0.975), scipy_stats.norm.ppf(0.975))


@given(st.floats(0.0005, 0.9995), st.floats(1.0, 1e5))
def test_t_quantile_inverts_the_cdf(probability: float, df: float) -> None:
    assert distributions.t_survival(-distributions.t_quantile(probability, df), df) == pytest.approx(
        probability, abs=1e-11
    )


@pytest.mark.parametrize("probability", [1e-9, 0.025, 0.3, 0.5, 0.975, 0.999999])
@given(st.floats(-1, 6), st.floats(-1, 6))
def test_beta_quantiles(probability: float, log_a: float, log_b: float) -> None:
    a, b = 10.0**log_a, 10.0**log_b
    assert distributions.beta_quantile(probability, a, b) == pytest.approx(
        scipy_stats.beta.ppf(probability, a, b), abs=1e-9
    )


@given(st.integers(1, 500), st.integers(1, 5000), st.floats(0.001, 0.999))
def test_f_quantiles_and_tails(between: int, within: int, probability: float) -> None:
    oracle = scipy_stats.f.ppf(probability, between, within)
    assert distributions.f_quantile(probability, between, within) == pytest.approx(oracle, rel=1e-8)
    assert distributions.f_survival(oracle, between, within) == pytest.approx(1.0 - probability, abs=1e-9)


@pytest.mark.parametrize("df", [1, 2, 5, 30, 199, 5_000, 90_000])
@pytest.mark.parametrize("t", [36.0, 70.0, 300.0, 4000.0])
def test_noncentral_t_far_out_is_its_definition_integrated(t: float, df: int) -> None:
    numpy = pytest.importorskip("numpy", reason="the integral is a sum over a grid")
    grid = numpy.linspace(-9.0, 9.0, 40_001)
    for shift in (-1.0, 0.0, 2.0):
        noncentrality = t * (1.0 + shift / math.sqrt(2.0 * df)) + shift
        if noncentrality <= 35.0:
            continue
        there = numpy.maximum(grid + noncentrality, 0.0) / t
        oracle = numpy.trapezoid(scipy_stats.norm.pdf(grid) * scipy_stats.chi2.cdf(df * there**2, df), grid)
        assert distributions.noncentral_t_survival(t, df, noncentrality) == pytest.approx(oracle, abs=1e-8)
