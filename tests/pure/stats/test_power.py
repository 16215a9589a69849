"""Power and planning against statsmodels, by Miller's example, and by properties."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.pure.errors import DataError
from themis.pure.stats.power import (
    PairedDesign,
    binary_difference_spread,
    cases_needed,
    design_from_pilot,
    minimum_detectable_effect,
    paired_power,
)


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
    with pytest.raises(DataError, match="cases=1"):
        paired_power(0.1, cases=1, spread=1.0)
    with pytest.raises(DataError, match="power must lie"):
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
    with pytest.raises(DataError, match="a pilot needs"):
        design_from_pilot([[1.0]], [[1.0]])


def test_spread_of_binary_differences() -> None:
    assert binary_difference_spread(0.2, 0.1) == pytest.approx(math.sqrt(0.19))
    with pytest.raises(DataError, match="discordant"):
        binary_difference_spread(0.05, 0.1)
