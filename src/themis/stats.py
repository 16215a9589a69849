"""The door to the statistics: estimates with error bars, comparisons, tests, agreement and planning.

    from themis import stats

    estimate = stats.estimate_mean([1.0, 0.0, 1.0, None])
    print(stats.estimate_sentence(estimate))
    compared = stats.paired_compare([("case 1", 0.0), ("case 2", 1.0)], [("case 1", 1.0), ("case 2", 1.0)])
    design = stats.PairedDesign(cases=400, between_variance=0.09)

These are pure functions of plain numbers, which need no run: counts, and columns of `float | None`, where `None`
is a score that is missing. `StatsEngine` does the same for the score tables of runs, with one seed, level and power.
What a function can't take it refuses with a `StatisticsError`; a figure that is not defined is `None`, with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from themis._doors import open_door

if TYPE_CHECKING:
    from themis.pure.errors import StatisticsError as StatisticsError
    from themis.pure.stats.agreement import cohen_kappa as cohen_kappa
    from themis.pure.stats.agreement import fleiss_kappa as fleiss_kappa
    from themis.pure.stats.agreement import krippendorff_alpha as krippendorff_alpha
    from themis.pure.stats.agreement import raw_agreement as raw_agreement
    from themis.pure.stats.bradley_terry import PairwiseStrengths as PairwiseStrengths
    from themis.pure.stats.bradley_terry import Strength as Strength
    from themis.pure.stats.bradley_terry import StrengthDifference as StrengthDifference
    from themis.pure.stats.bradley_terry import bradley_terry as bradley_terry
    from themis.pure.stats.corrected import CorrectedEstimate as CorrectedEstimate
    from themis.pure.stats.corrected import LabelWorth as LabelWorth
    from themis.pure.stats.corrected import corrected_mean as corrected_mean
    from themis.pure.stats.corrected import rogan_gladen as rogan_gladen
    from themis.pure.stats.correlation import Correlation as Correlation
    from themis.pure.stats.correlation import correlation as correlation
    from themis.pure.stats.drawn_statistics import Quantile as Quantile
    from themis.pure.stats.drawn_statistics import Totals as Totals
    from themis.pure.stats.effect_sizes import EffectSize as EffectSize
    from themis.pure.stats.effect_sizes import cliff_delta as cliff_delta
    from themis.pure.stats.effect_sizes import cohen_d as cohen_d
    from themis.pure.stats.effect_sizes import cohen_h as cohen_h
    from themis.pure.stats.effect_sizes import discordant_odds_ratio as discordant_odds_ratio
    from themis.pure.stats.engine import ScoreRow as ScoreRow
    from themis.pure.stats.engine import StatsEngine as StatsEngine
    from themis.pure.stats.equivalence import equivalence as equivalence
    from themis.pure.stats.estimates import describe_skewed as describe_skewed
    from themis.pure.stats.estimates import estimate_mean as estimate_mean
    from themis.pure.stats.exact_bounds import MeanBound as MeanBound
    from themis.pure.stats.exact_bounds import exact_interval as exact_interval
    from themis.pure.stats.exact_bounds import mean_bound as mean_bound
    from themis.pure.stats.exact_bounds import trials_needed as trials_needed
    from themis.pure.stats.gates import GateResult as GateResult
    from themis.pure.stats.gates import RegressionGate as RegressionGate
    from themis.pure.stats.gates import RequirementGate as RequirementGate
    from themis.pure.stats.gates import check_regression as check_regression
    from themis.pure.stats.gates import check_requirement as check_requirement
    from themis.pure.stats.gates import parse_regression_gate as parse_regression_gate
    from themis.pure.stats.gates import parse_requirement_gate as parse_requirement_gate
    from themis.pure.stats.groups import Group as Group
    from themis.pure.stats.groups import GroupedEstimate as GroupedEstimate
    from themis.pure.stats.groups import estimate_by_group as estimate_by_group
    from themis.pure.stats.intervals import bonett_price_interval as bonett_price_interval
    from themis.pure.stats.intervals import hall_interval as hall_interval
    from themis.pure.stats.intervals import median_interval as median_interval
    from themis.pure.stats.intervals import newcombe_interval as newcombe_interval
    from themis.pure.stats.intervals import t_interval as t_interval
    from themis.pure.stats.intervals import tango_interval as tango_interval
    from themis.pure.stats.intervals import wilson_interval as wilson_interval
    from themis.pure.stats.labelling import LabelChoice as LabelChoice
    from themis.pure.stats.labelling import choose_labels as choose_labels
    from themis.pure.stats.labelling import score_uncertainty as score_uncertainty
    from themis.pure.stats.paired_bootstrap import PairedStatistic as PairedStatistic
    from themis.pure.stats.paired_bootstrap import paired_statistic as paired_statistic
    from themis.pure.stats.pairs import PairedMethod as PairedMethod
    from themis.pure.stats.pairs import adjusted as adjusted
    from themis.pure.stats.pairs import paired_compare as paired_compare
    from themis.pure.stats.pass_at_k import estimate_pass_at_k as estimate_pass_at_k
    from themis.pure.stats.pass_at_k import pass_at_k as pass_at_k
    from themis.pure.stats.pass_at_k import pass_hat_k as pass_hat_k
    from themis.pure.stats.pass_differences import compare_pass_at_k as compare_pass_at_k
    from themis.pure.stats.power import PairedDesign as PairedDesign
    from themis.pure.stats.power import binary_difference_spread as binary_difference_spread
    from themis.pure.stats.power import cases_needed as cases_needed
    from themis.pure.stats.power import design_from_pilot as design_from_pilot
    from themis.pure.stats.power import fewest_pairs as fewest_pairs
    from themis.pure.stats.power import mcnemar_cases_needed as mcnemar_cases_needed
    from themis.pure.stats.power import mcnemar_detectable_effect as mcnemar_detectable_effect
    from themis.pure.stats.power import mcnemar_power as mcnemar_power
    from themis.pure.stats.power import minimum_detectable_effect as minimum_detectable_effect
    from themis.pure.stats.power import paired_power as paired_power
    from themis.pure.stats.power import sign_flip_power as sign_flip_power
    from themis.pure.stats.precision import PrecisionPlan as PrecisionPlan
    from themis.pure.stats.precision import cases_for_difference as cases_for_difference
    from themis.pure.stats.precision import cases_for_mean as cases_for_mean
    from themis.pure.stats.precision import cases_for_proportion as cases_for_proportion
    from themis.pure.stats.ranks import Rank as Rank
    from themis.pure.stats.ranks import Ranking as Ranking
    from themis.pure.stats.ranks import rank_runs as rank_runs
    from themis.pure.stats.ranks import rank_strengths as rank_strengths
    from themis.pure.stats.records import Agreement as Agreement
    from themis.pure.stats.records import EquivalenceTest as EquivalenceTest
    from themis.pure.stats.records import Estimate as Estimate
    from themis.pure.stats.records import Interval as Interval
    from themis.pure.stats.records import MissingPairs as MissingPairs
    from themis.pure.stats.records import PairedComparison as PairedComparison
    from themis.pure.stats.records import RunComparison as RunComparison
    from themis.pure.stats.records import SignificanceTest as SignificanceTest
    from themis.pure.stats.records import SkewedEstimate as SkewedEstimate
    from themis.pure.stats.records import UnpairedComparison as UnpairedComparison
    from themis.pure.stats.resampling import percentile_bootstrap as percentile_bootstrap
    from themis.pure.stats.resampling import sign_flip_test as sign_flip_test
    from themis.pure.stats.resampling import studentised_bootstrap as studentised_bootstrap
    from themis.pure.stats.sequences import EValue as EValue
    from themis.pure.stats.sequences import Look as Look
    from themis.pure.stats.sequences import anytime_interval as anytime_interval
    from themis.pure.stats.sequences import anytime_paired_interval as anytime_paired_interval
    from themis.pure.stats.sequences import confidence_sequence as confidence_sequence
    from themis.pure.stats.sequences import e_value as e_value
    from themis.pure.stats.sequential import SequentialTest as SequentialTest
    from themis.pure.stats.sequential import sequential_test as sequential_test
    from themis.pure.stats.significance import benjamini_hochberg as benjamini_hochberg
    from themis.pure.stats.significance import holm as holm
    from themis.pure.stats.significance import mcnemar_test as mcnemar_test
    from themis.pure.stats.significance import score_test as score_test
    from themis.pure.stats.significance import sign_test as sign_test
    from themis.pure.stats.significance import t_test as t_test
    from themis.pure.stats.significance import wilcoxon_test as wilcoxon_test
    from themis.pure.stats.unpaired import unpaired_compare as unpaired_compare
    from themis.pure.stats.unpaired_power import two_proportion_cases as two_proportion_cases
    from themis.pure.stats.unpaired_power import two_proportion_power as two_proportion_power
    from themis.pure.stats.unpaired_power import unpaired_cases as unpaired_cases
    from themis.pure.stats.unpaired_power import unpaired_power as unpaired_power
    from themis.pure.stats.variance_components import IntraclassCorrelation as IntraclassCorrelation
    from themis.pure.stats.variance_components import intraclass_correlation as intraclass_correlation
    from themis.pure.stats.wording import comparison_sentence as comparison_sentence
    from themis.pure.stats.wording import equivalence_sentence as equivalence_sentence
    from themis.pure.stats.wording import estimate_sentence as estimate_sentence
    from themis.pure.stats.wording import interval_text as interval_text
else:
    __getattr__, __dir__ = open_door(__name__)
