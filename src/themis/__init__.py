"""Themis evaluates language models reproducibly.

    from themis import evaluate
    result = evaluate(model="builtin/demo_model", data=[{"input": "1+1", "expected_output": "2"}],
                      metric="builtin/exact_match")

Everything here is loaded when it is first used, so that `import themis` is quick and `import themis.pure` loads
nothing that does I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from themis._doors import open_door
from themis._version import __version__ as __version__

if TYPE_CHECKING:
    from themis import adapters as adapters
    from themis import catalog as catalog
    from themis import core as core
    from themis import planner as planner
    from themis import stats as stats
    from themis import testing as testing
    from themis.api.bundles.atif_log import write_atif as write_atif
    from themis.api.bundles.eee import write_eee as write_eee
    from themis.api.bundles.files import import_bundle_file as import_bundle_file
    from themis.api.bundles.files import read_bundle as read_bundle
    from themis.api.bundles.files import write_bundle as write_bundle
    from themis.api.bundles.inspect_log import write_inspect_log as write_inspect_log
    from themis.api.bundles.lm_eval_log import write_lm_eval_log as write_lm_eval_log
    from themis.api.bundles.outputs import generation_bundle_from_outputs as generation_bundle_from_outputs
    from themis.api.bundles.seals import disclose_seal as disclose_seal
    from themis.api.bundles.seals import read_seal as read_seal
    from themis.api.bundles.seals import seal as seal
    from themis.api.bundles.seals import verify_seal as verify_seal
    from themis.api.bundles.transfer import export_evaluation_bundle as export_evaluation_bundle
    from themis.api.bundles.transfer import export_generation_bundle as export_generation_bundle
    from themis.api.bundles.transfer import export_parse_bundle as export_parse_bundle
    from themis.api.bundles.transfer import export_reduction_bundle as export_reduction_bundle
    from themis.api.bundles.transfer import export_score_bundle as export_score_bundle
    from themis.api.bundles.transfer import import_evaluation_bundle as import_evaluation_bundle
    from themis.api.bundles.transfer import import_generation_bundle as import_generation_bundle
    from themis.api.bundles.transfer import import_parse_bundle as import_parse_bundle
    from themis.api.bundles.transfer import import_reduction_bundle as import_reduction_bundle
    from themis.api.bundles.transfer import import_score_bundle as import_score_bundle
    from themis.api.config.record import EvaluationConfig as EvaluationConfig
    from themis.api.config.record import GenerationConfig as GenerationConfig
    from themis.api.deferred import submit as submit
    from themis.api.deferred import work_off as work_off
    from themis.api.differences.attribute import explain_difference as explain_difference
    from themis.api.experiment.evaluate import evaluate as evaluate
    from themis.api.experiment.evaluate import evaluate_async as evaluate_async
    from themis.api.experiment.experiment import Experiment as Experiment
    from themis.api.experiment.verify import verify as verify
    from themis.api.imports.logs import import_logs as import_logs
    from themis.api.imports.recompute import recompute_scores as recompute_scores
    from themis.api.imports.runs import import_outputs as import_outputs
    from themis.api.imports.runs import score_run as score_run
    from themis.api.runs.cases import find_cases as find_cases
    from themis.api.runs.changes import RunChanges as RunChanges
    from themis.api.runs.changes import changed_cases as changed_cases
    from themis.api.runs.compare import compare as compare
    from themis.api.runs.compare import compare_until as compare_until
    from themis.api.runs.compare_statistics import compare_statistics as compare_statistics
    from themis.api.runs.inspect import get_case_view as get_case_view
    from themis.api.runs.inspect import get_evaluation_execution as get_evaluation_execution
    from themis.api.runs.inspect import get_execution_state as get_execution_state
    from themis.api.runs.inspect import get_run_snapshot as get_run_snapshot
    from themis.api.runs.inspect import get_stored_run as get_stored_run
    from themis.api.runs.inspect import get_timeline as get_timeline
    from themis.api.runs.inspect import get_traces as get_traces
    from themis.api.runs.inspect import quickcheck as quickcheck
    from themis.api.runs.inspect import snapshot_report as snapshot_report
    from themis.api.runs.labels import give_labels as give_labels
    from themis.api.runs.labels import import_labels as import_labels
    from themis.api.runs.labels import next_labels as next_labels
    from themis.api.runs.leaderboard import leaderboard as leaderboard
    from themis.api.runs.listing import list_runs as list_runs
    from themis.api.runs.rank import rank as rank
    from themis.api.runs.report import Reporter as Reporter
    from themis.api.runs.result import RunResult as RunResult
    from themis.api.runs.search import find_runs as find_runs
    from themis.api.runs.search import search as search
    from themis.api.stores import open_store as open_store
    from themis.api.stores import register_store_backend as register_store_backend
    from themis.api.studies.result import StudyResult as StudyResult
    from themis.api.studies.study import Study as Study
    from themis.effects.stores.jsonl import JsonlRunStore as JsonlRunStore
    from themis.effects.stores.memory import InMemoryRunStore as InMemoryRunStore
    from themis.effects.stores.postgres import PostgresRunStore as PostgresRunStore
    from themis.effects.stores.sqlite import SqliteRunStore as SqliteRunStore
    from themis.effects.stores.sqlite import sqlite_store as sqlite_store
    from themis.pure.components.functions import generator as generator
    from themis.pure.components.functions import metric as metric
    from themis.pure.components.functions import parser as parser
    from themis.pure.components.functions import reducer as reducer
    from themis.pure.errors import ThemisError as ThemisError
    from themis.pure.explain import RunExplanation as RunExplanation
    from themis.pure.leaderboards.records import Leaderboard as Leaderboard
    from themis.pure.preview import RunPreview as RunPreview
    from themis.pure.protocols import RunStore as RunStore
    from themis.pure.records.config import RuntimeConfig as RuntimeConfig
    from themis.pure.records.config import StorageConfig as StorageConfig
    from themis.pure.records.dataset import Case as Case
    from themis.pure.records.dataset import Dataset as Dataset
    from themis.pure.records.difference import DifferenceExplanation as DifferenceExplanation
    from themis.pure.records.generation import GenerationResult as GenerationResult
    from themis.pure.records.generation import ParsedOutput as ParsedOutput
    from themis.pure.records.generation import ReducedCandidate as ReducedCandidate
    from themis.pure.records.human_label import HumanLabel as HumanLabel
    from themis.pure.records.prompt import PromptSpec as PromptSpec
    from themis.pure.records.results import RunEstimate as RunEstimate
    from themis.pure.records.results import RunStatus as RunStatus
    from themis.pure.records.scoring import Score as Score
    from themis.pure.records.scoring import ScoreError as ScoreError
    from themis.pure.records.snapshot import RunSnapshot as RunSnapshot
    from themis.pure.records.stopping import StoppingRule as StoppingRule
    from themis.pure.stats import StatsEngine as StatsEngine
else:
    __getattr__, __dir__ = open_door(__name__)
