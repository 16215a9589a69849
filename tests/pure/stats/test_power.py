"""Power and planning against statsmodels, by Miller's example, and by properties."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import DataError
from themis.pure.stats import power
from themis.pure.stats.power import (
    PairedDesign,
    binary_difference_spread,
    cases_needed,
    design_from_pilot,
    detectable_by_sign_flips,
    fewest_pairs,
    mcnemar_cases_needed,
    mcnemar_detectable_effect,
    mcnemar_power,
    minimum_detectable_effect,
    paired_power,
    sign_flip_power,
)
from themis.pure.stats.resampling import sign_flip_test
from themis.pure.stats.significance import mcnemar_test


@pytest.mark.parametrize("cases", [2, 5, 20, 34, 100, 2000])
@pytest.mark.parametrize("effect", [0.01, 0.1, 0.5, 1.5])
def test_power_against_statsmodels(cases: int, effect: float) -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is the oracle")
    oracle = power.TTestPower().power(effect, cases, 0.05)
    # Far out the oracle's noncentral t gives NaN where power is certain.
    oracle = 1.0 if math.isnan(oracle) and effect * math.sqrt(cases) > 10 else oracle
    assert paired_power(effect, cases=cases, spread=1.0) == pytest.approx(oracle, abs=1e-9)


@pytest.mark.parametrize(("effect", "needed"), [(0.5, 34), (0.2, 199), (0.8, 15), (-0.5, 34)])
def test_cases_needed_are_the_textbook_ones(effect: float, needed: int) -> None:
    # Cohen (1988), table 2.4.1, as G*Power gives them.
    assert cases_needed(effect, spread=1.0) == needed


@settings(deadline=None)
@given(st.integers(2, 5000), st.floats(0.01, 10.0), st.floats(0.3, 0.95))
def test_the_detectable_effect_is_found_with_just_that_power(cases: int, spread: float, power: float) -> None:
    effect = minimum_detectable_effect(cases=cases, spread=spread, power=power)
    assert effect is not None
    assert paired_power(effect, cases=cases, spread=spread) == pytest.approx(power, abs=1e-8)


def test_large_designs_come_to_the_normal_formula() -> None:
    effect = minimum_detectable_effect(cases=1_000_000, spread=1.0)
    assert effect == pytest.approx((1.959963985 + 0.841621234) / 1000, rel=1e-5)
    assert cases_needed(0.0001, spread=0.5) == pytest.approx(((1.959963985 + 0.841621234) * 5000) ** 2, rel=1e-5)


def test_what_can_not_be_planned_is_none_or_refused() -> None:
    assert minimum_detectable_effect(cases=1, spread=1.0) is None
    assert cases_needed(0.0, spread=1.0) is None
    assert cases_needed(1e-9, spread=1.0) is None
    assert cases_needed(0.1, spread=0.0) == 2
    with pytest.raises(DataError, match="cases is 1"):
        paired_power(0.1, cases=1, spread=1.0)
    with pytest.raises(DataError, match=r"power is 0\.01"):
        minimum_detectable_effect(cases=10, spread=1.0, power=0.01)


def test_more_samples_remove_sampling_noise_and_nothing_else() -> None:
    design = PairedDesign(cases=100, between_variance=0.04, within_variance_a=0.2, within_variance_b=0.12)
    assert design.difference_variance == pytest.approx(0.36)
    many = design.evolve(samples_a=10**6, samples_b=10**6)
    assert many.difference_variance == pytest.approx(0.04, abs=1e-6)
    assert many.power(0.1) > design.power(0.1)
    assert design.standard_error == pytest.approx(0.06)
    needed = design.cases_needed(0.1)
    assert needed is not None
    assert design.evolve(cases=needed).power(0.1) >= 0.8 > design.evolve(cases=needed - 1).power(0.1)
    assert PairedDesign.from_dict(design.to_dict()) == design


def test_a_pilot_recovers_the_variances_it_was_made_with() -> None:
    rng = random.Random(2)
    a, b = [], []
    for _ in range(4000):
        base, gain = rng.gauss(0.5, 0.2), rng.gauss(0.05, 0.15)
        a.append([base + rng.gauss(0, 0.3) for _ in range(4)])
        b.append([base + gain + rng.gauss(0, 0.2) for _ in range(3)])
    design = design_from_pilot(a, b)
    assert (design.samples_a, design.samples_b, design.cases) == (4, 3, 4000)
    assert design.within_variance_a == pytest.approx(0.09, rel=0.05)
    assert design.within_variance_b == pytest.approx(0.04, rel=0.05)
    assert design.between_variance == pytest.approx(0.0225, rel=0.15)


def test_a_pilot_of_single_samples_keeps_all_variance_between_cases() -> None:
    design = design_from_pilot([[0.0], [1.0], [1.0]], [[1.0], [1.0], [0.0]])
    assert design.within_variance_a == 0.0
    assert design.between_variance == pytest.approx(1.0)
    with pytest.raises(DataError, match="the number of cases is 1"):
        design_from_pilot([[1.0]], [[1.0]])


def test_spread_of_binary_differences() -> None:
    assert binary_difference_spread(0.2, 0.1) == pytest.approx(math.sqrt(0.19))
    with pytest.raises(DataError, match="discordant"):
        binary_difference_spread(0.05, 0.1)


# --- the tests that decide --------------------------------------------------------------------------------


def enumerated(effect: float, cases: int, discordant: float, alpha: float) -> float:
    """Return the power of McNemar's test by going through every outcome."""
    win, lose = (discordant + effect) / 2, (discordant - effect) / 2
    power = 0.0
    for wins in range(cases + 1):
        for losses in range(cases + 1 - wins):
            p_value = mcnemar_test(wins, losses).p_value
            if p_value is not None and p_value <= alpha:
                ways = math.comb(cases, wins) * math.comb(cases - wins, losses)
                power += ways * win**wins * lose**losses * (1 - win - lose) ** (cases - wins - losses)
    return power


@pytest.mark.parametrize("family", [1, 10])
@pytest.mark.parametrize(("cases", "discordant"), [(20, 0.3), (50, 0.1), (60, 0.5), (40, 1.0)])
def test_mcnemar_has_its_stated_power_at_its_detectable_effect(cases: int, discordant: float, family: int) -> None:
    alpha = 0.05 / family
    effect = mcnemar_detectable_effect(cases=cases, discordant=discordant, alpha=alpha)
    assert effect is not None
    share = max(discordant, effect)
    assert enumerated(effect, cases, share, alpha) == pytest.approx(0.8, abs=1e-3)
    for larger in (effect, (1.0 + effect) / 2.0, 1.0):
        found = mcnemar_power(larger, cases=cases, discordant=max(share, larger), alpha=alpha)
        assert found >= 0.799
        assert found == pytest.approx(enumerated(larger, cases, max(share, larger), alpha), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 1.0), st.floats(0.1, 1.0), st.sampled_from([0.05, 0.005]), st.booleans())
def test_from_the_cases_needed_on_mcnemar_keeps_its_power(
    share: float, discordant: float, alpha: float, mid_p: bool
) -> None:
    effect = share * discordant

    def power(cases: int) -> float:
        return mcnemar_power(effect, cases=cases, discordant=discordant, alpha=alpha, mid_p=mid_p)

    needed = mcnemar_cases_needed(effect, discordant=discordant, alpha=alpha, mid_p=mid_p)
    assert needed is not None
    near = 1e-3 if needed > 1000 else 0.0  # of thousands of pairs the power is summed in steps
    assert power(needed - 1) < 0.8 + near
    assert all(power(cases) >= 0.8 - near for cases in range(needed, needed + 30))


def test_few_pairs_can_not_find_anything() -> None:
    assert [fewest_pairs(0.05 / family) for family in (1, 2, 10)] == [6, 7, 9]
    for cases in range(6):
        assert mcnemar_power(1.0, cases=cases, discordant=1.0) == 0.0
        assert sign_flip_power(100.0, cases=cases, spread=1.0) == 0.0
        assert mcnemar_detectable_effect(cases=cases, discordant=0.5) is None
    assert mcnemar_test(6, 0).p_value == 2 / 64
    assert mcnemar_cases_needed(1.0, discordant=1.0) == 6
    assert mcnemar_cases_needed(0.0, discordant=1.0) is None
    few = PairedDesign(cases=5, between_variance=1.0)
    assert few.minimum_detectable_effect() is None
    assert few.power(100.0) == 0.0
    assert few.cases_needed(100.0) == 6


def test_a_design_knows_how_many_tests_share_its_error_rate() -> None:
    one = PairedDesign(cases=100, between_variance=0.25)
    ten = one.evolve(family=10)
    assert ten.minimum_detectable_effect() == one.minimum_detectable_effect(alpha=0.005)
    assert ten.cases_needed(0.1) == one.cases_needed(0.1, alpha=0.005)
    assert ten.power(0.1) == one.power(0.1, alpha=0.005)


@pytest.mark.parametrize(("cases", "alpha"), [(6, 0.05), (7, 0.05), (8, 0.05), (10, 0.05), (9, 0.005), (11, 0.005)])
def test_sign_flips_have_their_stated_power_where_their_p_values_are_few(cases: int, alpha: float) -> None:
    errors = detectable_by_sign_flips(cases, cases - 1.0, 0.8, alpha)
    assert errors is not None
    rng, shift, draws = random.Random(3), errors / math.sqrt(cases), 1500
    found = sum(
        (sign_flip_test([rng.gauss(shift, 1.0) for _ in range(cases)]).p_value or 1.0) <= alpha for _ in range(draws)
    )
    assert found / draws == pytest.approx(0.8, abs=0.03)  # three standard errors


@given(st.integers(6, 60), st.floats(0.1, 3.0), st.sampled_from([0.05, 0.005, 0.2]))
@settings(max_examples=30, deadline=None)
def test_power_grows_with_the_effect(cases: int, effect: float, alpha: float) -> None:
    found = [sign_flip_power(size * effect, cases=cases, spread=1.0, alpha=alpha) for size in (0.5, 1.0, 2.0)]
    assert all(after >= before - 1e-12 for before, after in itertools.pairwise(found))  # equal ones, summed apart


def test_a_family_of_any_size_is_no_reason_to_simulate_a_million_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def simulated(ratio: float, cases: int, kept: int) -> float:
        drawn.append(cases)
        return 1.0

    monkeypatch.setattr(power, "_simulated_flips", simulated)
    for cases in (35, 40, 41, 1_000_000):
        for alpha in (4e-12, 4.5e-11, 1e-9):
            power._flips_found(0.7, cases, alpha)
            power.detectable_by_sign_flips(cases, cases - 1.0, 0.8, alpha)
    assert set(drawn) == {35, 40}
    power._flips_found.cache_clear()
    power.detectable_by_sign_flips.cache_clear()
