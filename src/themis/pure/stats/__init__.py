"""Statistics of scores: estimates with error bars, honest comparisons, agreement and planning.

Pure functions over plain columns of `float | None`, and `StatsEngine` for score tables. The rules of the room:
a figure that is not defined is `None` with its reason, never 0; missing scores are counted and shown; each
formula names its source; the same seed gives the same bits, with numpy or without, in any order of rows.
Nothing here needs more than the standard library; numpy speeds bootstraps up where it is installed.
"""

from __future__ import annotations

from themis.pure.stats.agreement import cohen_kappa as cohen_kappa
from themis.pure.stats.agreement import fleiss_kappa as fleiss_kappa
from themis.pure.stats.agreement import krippendorff_alpha as krippendorff_alpha
from themis.pure.stats.agreement import raw_agreement as raw_agreement
from themis.pure.stats.corrected import CorrectedEstimate as CorrectedEstimate
from themis.pure.stats.corrected import LabelWorth as LabelWorth
from themis.pure.stats.corrected import corrected_mean as corrected_mean
from themis.pure.stats.corrected import rogan_gladen as rogan_gladen
from themis.pure.stats.engine import ScoreRow as ScoreRow
from themis.pure.stats.engine import StatsEngine as StatsEngine
from themis.pure.stats.equivalence import equivalence as equivalence
from themis.pure.stats.estimates import describe_skewed as describe_skewed
from themis.pure.stats.estimates import estimate_mean as estimate_mean
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
from themis.pure.stats.pairs import PairedMethod as PairedMethod
from themis.pure.stats.pairs import adjusted as adjusted
from themis.pure.stats.pairs import paired_compare as paired_compare
from themis.pure.stats.pass_at_k import estimate_pass_at_k as estimate_pass_at_k
from themis.pure.stats.pass_at_k import pass_at_k as pass_at_k
from themis.pure.stats.pass_at_k import pass_hat_k as pass_hat_k
from themis.pure.stats.power import PairedDesign as PairedDesign
from themis.pure.stats.power import binary_difference_spread as binary_difference_spread
from themis.pure.stats.power import cases_needed as cases_needed
from themis.pure.stats.power import design_from_pilot as design_from_pilot
from themis.pure.stats.power import minimum_detectable_effect as minimum_detectable_effect
from themis.pure.stats.power import paired_power as paired_power
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
from themis.pure.stats.significance import sign_test as sign_test
from themis.pure.stats.significance import wilcoxon_test as wilcoxon_test
from themis.pure.stats.unpaired import unpaired_compare as unpaired_compare
from themis.pure.stats.wording import comparison_sentence as comparison_sentence
from themis.pure.stats.wording import equivalence_sentence as equivalence_sentence
from themis.pure.stats.wording import estimate_sentence as estimate_sentence
from themis.pure.stats.wording import interval_text as interval_text
