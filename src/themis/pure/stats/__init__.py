"""Statistics of scores: estimates with error bars, honest comparisons, agreement and planning.

Pure functions over plain columns of `float | None`, and `StatsEngine` for score tables. The rules of the room:
a figure that is not defined is `None` with its reason, never 0; missing scores are counted and shown; each
formula names its source; the same seed gives the same bits, with numpy or without, in any order of rows.
Nothing here needs more than the standard library; numpy speeds bootstraps up where it is installed.
"""

from __future__ import annotations

from themis.pure.stats.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, raw_agreement
from themis.pure.stats.engine import ScoreRow, StatsEngine
from themis.pure.stats.equivalence import equivalence
from themis.pure.stats.estimates import describe_skewed, estimate_mean
from themis.pure.stats.gates import (
    GateResult,
    RegressionGate,
    RequirementGate,
    check_regression,
    check_requirement,
    parse_regression_gate,
    parse_requirement_gate,
)
from themis.pure.stats.intervals import (
    bonett_price_interval,
    hall_interval,
    median_interval,
    newcombe_interval,
    t_interval,
    wilson_interval,
)
from themis.pure.stats.pairs import PairedMethod, adjusted, paired_compare
from themis.pure.stats.pass_at_k import estimate_pass_at_k, pass_at_k, pass_hat_k
from themis.pure.stats.power import (
    PairedDesign,
    binary_difference_spread,
    cases_needed,
    design_from_pilot,
    minimum_detectable_effect,
    paired_power,
)
from themis.pure.stats.records import (
    Agreement,
    EquivalenceTest,
    Estimate,
    Interval,
    PairedComparison,
    RunComparison,
    SignificanceTest,
    SkewedEstimate,
    UnpairedComparison,
)
from themis.pure.stats.resampling import percentile_bootstrap, sign_flip_test, studentised_bootstrap
from themis.pure.stats.significance import benjamini_hochberg, holm, mcnemar_test, sign_test, wilcoxon_test
from themis.pure.stats.unpaired import unpaired_compare
from themis.pure.stats.wording import (
    comparison_sentence,
    equivalence_sentence,
    estimate_sentence,
    interval_text,
)

__all__ = [
    "Agreement",
    "EquivalenceTest",
    "Estimate",
    "GateResult",
    "Interval",
    "PairedComparison",
    "PairedDesign",
    "PairedMethod",
    "RegressionGate",
    "RequirementGate",
    "RunComparison",
    "ScoreRow",
    "SignificanceTest",
    "SkewedEstimate",
    "StatsEngine",
    "UnpairedComparison",
    "adjusted",
    "benjamini_hochberg",
    "binary_difference_spread",
    "bonett_price_interval",
    "cases_needed",
    "check_regression",
    "check_requirement",
    "cohen_kappa",
    "comparison_sentence",
    "describe_skewed",
    "design_from_pilot",
    "equivalence",
    "equivalence_sentence",
    "estimate_mean",
    "estimate_pass_at_k",
    "estimate_sentence",
    "fleiss_kappa",
    "hall_interval",
    "holm",
    "interval_text",
    "krippendorff_alpha",
    "mcnemar_test",
    "median_interval",
    "minimum_detectable_effect",
    "newcombe_interval",
    "paired_compare",
    "paired_power",
    "parse_regression_gate",
    "parse_requirement_gate",
    "pass_at_k",
    "pass_hat_k",
    "percentile_bootstrap",
    "raw_agreement",
    "sign_flip_test",
    "sign_test",
    "studentised_bootstrap",
    "t_interval",
    "unpaired_compare",
    "wilcoxon_test",
    "wilson_interval",
]
