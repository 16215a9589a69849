"""Every public type and protocol: for typing against Themis, embedding its core, and writing components."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from themis.api.bundles.files import ImportedBundle as ImportedBundle
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
    from themis.api.deferred import Manifest as Manifest
    from themis.api.deferred import WorkOutcome as WorkOutcome
    from themis.api.experiment.evaluate import evaluate_async as evaluate_async
    from themis.api.experiment.experiment import Experiment as Experiment
    from themis.api.runs.inspect import MetricCheck as MetricCheck
    from themis.api.runs.inspect import QuickCheck as QuickCheck
    from themis.api.runs.inspect import get_case_view as get_case_view
    from themis.api.runs.inspect import get_evaluation_execution as get_evaluation_execution
    from themis.api.runs.inspect import get_execution_state as get_execution_state
    from themis.api.runs.inspect import get_run_snapshot as get_run_snapshot
    from themis.api.runs.inspect import get_stored_run as get_stored_run
    from themis.api.runs.inspect import get_timeline as get_timeline
    from themis.api.runs.inspect import get_traces as get_traces
    from themis.api.runs.inspect import quickcheck as quickcheck
    from themis.api.runs.inspect import snapshot_report as snapshot_report
    from themis.api.runs.report import Reporter as Reporter
    from themis.api.runs.result import RunResult as RunResult
    from themis.effects.driver import DefaultWorkflowRunner as DefaultWorkflowRunner
    from themis.effects.stores.memory import InMemoryRunStore as InMemoryRunStore
    from themis.effects.stores.sqlite import SqliteRunStore as SqliteRunStore
    from themis.pure.bundles.records import EvaluationBundle as EvaluationBundle
    from themis.pure.bundles.records import EvaluationBundleRecord as EvaluationBundleRecord
    from themis.pure.bundles.records import GenerationBundle as GenerationBundle
    from themis.pure.bundles.records import GenerationBundleRecord as GenerationBundleRecord
    from themis.pure.bundles.records import ParseBundle as ParseBundle
    from themis.pure.bundles.records import ParseBundleRecord as ParseBundleRecord
    from themis.pure.bundles.records import ReductionBundle as ReductionBundle
    from themis.pure.bundles.records import ReductionBundleRecord as ReductionBundleRecord
    from themis.pure.bundles.records import ScoreBundle as ScoreBundle
    from themis.pure.bundles.records import ScoreBundleRecord as ScoreBundleRecord
    from themis.pure.case_view import CaseView as CaseView
    from themis.pure.errors import CallError as CallError
    from themis.pure.errors import DataError as DataError
    from themis.pure.errors import InvalidRecordError as InvalidRecordError
    from themis.pure.errors import LiteralSecretError as LiteralSecretError
    from themis.pure.errors import MissingExtraError as MissingExtraError
    from themis.pure.errors import RunExistsError as RunExistsError
    from themis.pure.errors import RunLockedError as RunLockedError
    from themis.pure.errors import RunningLoopError as RunningLoopError
    from themis.pure.errors import RunNotFoundError as RunNotFoundError
    from themis.pure.errors import SchemaVersionError as SchemaVersionError
    from themis.pure.errors import SpecError as SpecError
    from themis.pure.errors import StoreError as StoreError
    from themis.pure.errors import ThemisError as ThemisError
    from themis.pure.errors import UnknownComponentError as UnknownComponentError
    from themis.pure.errors import WorkflowBuildError as WorkflowBuildError
    from themis.pure.events import CaseRunEvent as CaseRunEvent
    from themis.pure.events import EvaluationCompletedEvent as EvaluationCompletedEvent
    from themis.pure.events import EvaluationFailedEvent as EvaluationFailedEvent
    from themis.pure.events import GenerationCompletedEvent as GenerationCompletedEvent
    from themis.pure.events import GenerationFailedEvent as GenerationFailedEvent
    from themis.pure.events import ParseCompletedEvent as ParseCompletedEvent
    from themis.pure.events import ParseFailedEvent as ParseFailedEvent
    from themis.pure.events import ReductionCompletedEvent as ReductionCompletedEvent
    from themis.pure.events import ReductionFailedEvent as ReductionFailedEvent
    from themis.pure.events import RunCompletedEvent as RunCompletedEvent
    from themis.pure.events import RunEvent as RunEvent
    from themis.pure.events import RunFailedEvent as RunFailedEvent
    from themis.pure.events import RunStartedEvent as RunStartedEvent
    from themis.pure.events import ScoreCompletedEvent as ScoreCompletedEvent
    from themis.pure.events import ScoreFailedEvent as ScoreFailedEvent
    from themis.pure.events import SelectionCompletedEvent as SelectionCompletedEvent
    from themis.pure.events import SelectionFailedEvent as SelectionFailedEvent
    from themis.pure.events import StepCompletedEvent as StepCompletedEvent
    from themis.pure.events import StepFailedEvent as StepFailedEvent
    from themis.pure.events import StepStartedEvent as StepStartedEvent
    from themis.pure.events import event_from_dict as event_from_dict
    from themis.pure.explain import RunExplanation as RunExplanation
    from themis.pure.json import JSONValue as JSONValue
    from themis.pure.json import JSONValueError as JSONValueError
    from themis.pure.json import freeze as freeze
    from themis.pure.json import thaw as thaw
    from themis.pure.pipeline.verification import Difference as Difference
    from themis.pure.pipeline.verification import Verification as Verification
    from themis.pure.protocols import AfterGenerate as AfterGenerate
    from themis.pure.protocols import AfterJudge as AfterJudge
    from themis.pure.protocols import AfterParse as AfterParse
    from themis.pure.protocols import AfterReduce as AfterReduce
    from themis.pure.protocols import AfterScore as AfterScore
    from themis.pure.protocols import BeforeGenerate as BeforeGenerate
    from themis.pure.protocols import BeforeJudge as BeforeJudge
    from themis.pure.protocols import BeforeParse as BeforeParse
    from themis.pure.protocols import BeforeReduce as BeforeReduce
    from themis.pure.protocols import BeforeScore as BeforeScore
    from themis.pure.protocols import CandidateReducer as CandidateReducer
    from themis.pure.protocols import CandidateSelector as CandidateSelector
    from themis.pure.protocols import EvaluationWorkflow as EvaluationWorkflow
    from themis.pure.protocols import ExecutionMetric as ExecutionMetric
    from themis.pure.protocols import Generator as Generator
    from themis.pure.protocols import JudgeModel as JudgeModel
    from themis.pure.protocols import LifecycleSubscriber as LifecycleSubscriber
    from themis.pure.protocols import LLMMetric as LLMMetric
    from themis.pure.protocols import OnEvent as OnEvent
    from themis.pure.protocols import Parser as Parser
    from themis.pure.protocols import PureMetric as PureMetric
    from themis.pure.protocols import RunStore as RunStore
    from themis.pure.protocols import SelectionMetric as SelectionMetric
    from themis.pure.protocols import TraceMetric as TraceMetric
    from themis.pure.protocols import TracingProvider as TracingProvider
    from themis.pure.protocols import WorkflowRunner as WorkflowRunner
    from themis.pure.records.base import FrozenModel as FrozenModel
    from themis.pure.records.base import HashableModel as HashableModel
    from themis.pure.records.config import RuntimeConfig as RuntimeConfig
    from themis.pure.records.config import StorageConfig as StorageConfig
    from themis.pure.records.contexts import EvalScoreContext as EvalScoreContext
    from themis.pure.records.contexts import GenerateContext as GenerateContext
    from themis.pure.records.contexts import ParseContext as ParseContext
    from themis.pure.records.contexts import ReduceContext as ReduceContext
    from themis.pure.records.contexts import ScoreContext as ScoreContext
    from themis.pure.records.contexts import SelectContext as SelectContext
    from themis.pure.records.dataset import Case as Case
    from themis.pure.records.dataset import CaseSource as CaseSource
    from themis.pure.records.dataset import Dataset as Dataset
    from themis.pure.records.generation import GenerationResult as GenerationResult
    from themis.pure.records.generation import Message as Message
    from themis.pure.records.generation import ParsedOutput as ParsedOutput
    from themis.pure.records.generation import ReducedCandidate as ReducedCandidate
    from themis.pure.records.generation import TraceStep as TraceStep
    from themis.pure.records.judging import AggregationResult as AggregationResult
    from themis.pure.records.judging import CandidateSetSubject as CandidateSetSubject
    from themis.pure.records.judging import ConversationSubject as ConversationSubject
    from themis.pure.records.judging import ConversationTrace as ConversationTrace
    from themis.pure.records.judging import EvaluationExecution as EvaluationExecution
    from themis.pure.records.judging import JudgeCall as JudgeCall
    from themis.pure.records.judging import JudgeResponse as JudgeResponse
    from themis.pure.records.judging import ParsedJudgment as ParsedJudgment
    from themis.pure.records.judging import RenderedJudgePrompt as RenderedJudgePrompt
    from themis.pure.records.judging import TraceSubject as TraceSubject
    from themis.pure.records.judging import WorkflowFailure as WorkflowFailure
    from themis.pure.records.judging import WorkflowTrace as WorkflowTrace
    from themis.pure.records.prompt import PromptSpec as PromptSpec
    from themis.pure.records.results import BenchmarkResult as BenchmarkResult
    from themis.pure.records.results import BenchmarkScoreRow as BenchmarkScoreRow
    from themis.pure.records.results import CaseResult as CaseResult
    from themis.pure.records.results import GenerationWorkItem as GenerationWorkItem
    from themis.pure.records.results import ProgressSnapshot as ProgressSnapshot
    from themis.pure.records.results import RunEstimate as RunEstimate
    from themis.pure.records.results import RunStatus as RunStatus
    from themis.pure.records.results import TimelineEntry as TimelineEntry
    from themis.pure.records.results import TimelineView as TimelineView
    from themis.pure.records.results import TracedItem as TracedItem
    from themis.pure.records.results import TraceView as TraceView
    from themis.pure.records.sandbox import SandboxRequest as SandboxRequest
    from themis.pure.records.sandbox import SandboxResult as SandboxResult
    from themis.pure.records.scoring import Score as Score
    from themis.pure.records.scoring import ScoreError as ScoreError
    from themis.pure.records.snapshot import ComponentRef as ComponentRef
    from themis.pure.records.snapshot import ComponentRefs as ComponentRefs
    from themis.pure.records.snapshot import DatasetRef as DatasetRef
    from themis.pure.records.snapshot import RunIdentity as RunIdentity
    from themis.pure.records.snapshot import RunProvenance as RunProvenance
    from themis.pure.records.snapshot import RunSnapshot as RunSnapshot
    from themis.pure.records.stored import FoundText as FoundText
    from themis.pure.records.stored import RunSummary as RunSummary
    from themis.pure.records.stored import StoredEvent as StoredEvent
    from themis.pure.state import CaseState as CaseState
    from themis.pure.state import ExecutionState as ExecutionState
    from themis.pure.state import StoredRun as StoredRun
    from themis.pure.stats.gates import GateResult as GateResult
    from themis.pure.stats.records import Interval as Interval
    from themis.pure.stats.records import RunComparison as RunComparison
    from themis.pure.usage import RunCosts as RunCosts
    from themis.pure.usage import RunUsage as RunUsage

_HOMES = {
    "AfterGenerate": "themis.pure.protocols",
    "AfterJudge": "themis.pure.protocols",
    "AfterParse": "themis.pure.protocols",
    "AfterReduce": "themis.pure.protocols",
    "AfterScore": "themis.pure.protocols",
    "AggregationResult": "themis.pure.records.judging",
    "BeforeGenerate": "themis.pure.protocols",
    "BeforeJudge": "themis.pure.protocols",
    "BeforeParse": "themis.pure.protocols",
    "BeforeReduce": "themis.pure.protocols",
    "BeforeScore": "themis.pure.protocols",
    "BenchmarkResult": "themis.pure.records.results",
    "BenchmarkScoreRow": "themis.pure.records.results",
    "CallError": "themis.pure.errors",
    "CandidateReducer": "themis.pure.protocols",
    "CandidateSelector": "themis.pure.protocols",
    "CandidateSetSubject": "themis.pure.records.judging",
    "Case": "themis.pure.records.dataset",
    "CaseResult": "themis.pure.records.results",
    "CaseRunEvent": "themis.pure.events",
    "CaseSource": "themis.pure.records.dataset",
    "CaseState": "themis.pure.state",
    "CaseView": "themis.pure.case_view",
    "ComponentRef": "themis.pure.records.snapshot",
    "ComponentRefs": "themis.pure.records.snapshot",
    "ConversationSubject": "themis.pure.records.judging",
    "ConversationTrace": "themis.pure.records.judging",
    "DataError": "themis.pure.errors",
    "Dataset": "themis.pure.records.dataset",
    "DatasetRef": "themis.pure.records.snapshot",
    "DefaultWorkflowRunner": "themis.effects.driver",
    "Difference": "themis.pure.pipeline.verification",
    "EvalScoreContext": "themis.pure.records.contexts",
    "EvaluationBundle": "themis.pure.bundles.records",
    "EvaluationBundleRecord": "themis.pure.bundles.records",
    "EvaluationCompletedEvent": "themis.pure.events",
    "EvaluationConfig": "themis.api.config.record",
    "EvaluationExecution": "themis.pure.records.judging",
    "EvaluationFailedEvent": "themis.pure.events",
    "EvaluationWorkflow": "themis.pure.protocols",
    "ExecutionMetric": "themis.pure.protocols",
    "ExecutionState": "themis.pure.state",
    "Experiment": "themis.api.experiment.experiment",
    "FoundText": "themis.pure.records.stored",
    "FrozenModel": "themis.pure.records.base",
    "GateResult": "themis.pure.stats.gates",
    "GenerateContext": "themis.pure.records.contexts",
    "GenerationBundle": "themis.pure.bundles.records",
    "GenerationBundleRecord": "themis.pure.bundles.records",
    "GenerationCompletedEvent": "themis.pure.events",
    "GenerationConfig": "themis.api.config.record",
    "GenerationFailedEvent": "themis.pure.events",
    "GenerationResult": "themis.pure.records.generation",
    "GenerationWorkItem": "themis.pure.records.results",
    "Generator": "themis.pure.protocols",
    "HashableModel": "themis.pure.records.base",
    "ImportedBundle": "themis.api.bundles.files",
    "InMemoryRunStore": "themis.effects.stores.memory",
    "Interval": "themis.pure.stats.records",
    "InvalidRecordError": "themis.pure.errors",
    "JSONValue": "themis.pure.json",
    "JSONValueError": "themis.pure.json",
    "JudgeCall": "themis.pure.records.judging",
    "JudgeModel": "themis.pure.protocols",
    "JudgeResponse": "themis.pure.records.judging",
    "LLMMetric": "themis.pure.protocols",
    "LifecycleSubscriber": "themis.pure.protocols",
    "LiteralSecretError": "themis.pure.errors",
    "Manifest": "themis.api.deferred",
    "Message": "themis.pure.records.generation",
    "MetricCheck": "themis.api.runs.inspect",
    "MissingExtraError": "themis.pure.errors",
    "OnEvent": "themis.pure.protocols",
    "ParseBundle": "themis.pure.bundles.records",
    "ParseBundleRecord": "themis.pure.bundles.records",
    "ParseCompletedEvent": "themis.pure.events",
    "ParseContext": "themis.pure.records.contexts",
    "ParseFailedEvent": "themis.pure.events",
    "ParsedJudgment": "themis.pure.records.judging",
    "ParsedOutput": "themis.pure.records.generation",
    "Parser": "themis.pure.protocols",
    "ProgressSnapshot": "themis.pure.records.results",
    "PromptSpec": "themis.pure.records.prompt",
    "PureMetric": "themis.pure.protocols",
    "QuickCheck": "themis.api.runs.inspect",
    "ReduceContext": "themis.pure.records.contexts",
    "ReducedCandidate": "themis.pure.records.generation",
    "ReductionBundle": "themis.pure.bundles.records",
    "ReductionBundleRecord": "themis.pure.bundles.records",
    "ReductionCompletedEvent": "themis.pure.events",
    "ReductionFailedEvent": "themis.pure.events",
    "RenderedJudgePrompt": "themis.pure.records.judging",
    "Reporter": "themis.api.runs.report",
    "RunComparison": "themis.pure.stats.records",
    "RunCompletedEvent": "themis.pure.events",
    "RunCosts": "themis.pure.usage",
    "RunEstimate": "themis.pure.records.results",
    "RunEvent": "themis.pure.events",
    "RunExistsError": "themis.pure.errors",
    "RunExplanation": "themis.pure.explain",
    "RunFailedEvent": "themis.pure.events",
    "RunIdentity": "themis.pure.records.snapshot",
    "RunLockedError": "themis.pure.errors",
    "RunNotFoundError": "themis.pure.errors",
    "RunProvenance": "themis.pure.records.snapshot",
    "RunResult": "themis.api.runs.result",
    "RunSnapshot": "themis.pure.records.snapshot",
    "RunStartedEvent": "themis.pure.events",
    "RunStatus": "themis.pure.records.results",
    "RunStore": "themis.pure.protocols",
    "RunSummary": "themis.pure.records.stored",
    "RunUsage": "themis.pure.usage",
    "RunningLoopError": "themis.pure.errors",
    "RuntimeConfig": "themis.pure.records.config",
    "SandboxRequest": "themis.pure.records.sandbox",
    "SandboxResult": "themis.pure.records.sandbox",
    "SchemaVersionError": "themis.pure.errors",
    "Score": "themis.pure.records.scoring",
    "ScoreBundle": "themis.pure.bundles.records",
    "ScoreBundleRecord": "themis.pure.bundles.records",
    "ScoreCompletedEvent": "themis.pure.events",
    "ScoreContext": "themis.pure.records.contexts",
    "ScoreError": "themis.pure.records.scoring",
    "ScoreFailedEvent": "themis.pure.events",
    "SelectContext": "themis.pure.records.contexts",
    "SelectionCompletedEvent": "themis.pure.events",
    "SelectionFailedEvent": "themis.pure.events",
    "SelectionMetric": "themis.pure.protocols",
    "SpecError": "themis.pure.errors",
    "SqliteRunStore": "themis.effects.stores.sqlite",
    "StepCompletedEvent": "themis.pure.events",
    "StepFailedEvent": "themis.pure.events",
    "StepStartedEvent": "themis.pure.events",
    "StorageConfig": "themis.pure.records.config",
    "StoreError": "themis.pure.errors",
    "StoredEvent": "themis.pure.records.stored",
    "StoredRun": "themis.pure.state",
    "ThemisError": "themis.pure.errors",
    "TimelineEntry": "themis.pure.records.results",
    "TimelineView": "themis.pure.records.results",
    "TraceMetric": "themis.pure.protocols",
    "TraceStep": "themis.pure.records.generation",
    "TraceSubject": "themis.pure.records.judging",
    "TraceView": "themis.pure.records.results",
    "TracedItem": "themis.pure.records.results",
    "TracingProvider": "themis.pure.protocols",
    "UnknownComponentError": "themis.pure.errors",
    "Verification": "themis.pure.pipeline.verification",
    "WorkOutcome": "themis.api.deferred",
    "WorkflowBuildError": "themis.pure.errors",
    "WorkflowFailure": "themis.pure.records.judging",
    "WorkflowRunner": "themis.pure.protocols",
    "WorkflowTrace": "themis.pure.records.judging",
    "evaluate_async": "themis.api.experiment.evaluate",
    "event_from_dict": "themis.pure.events",
    "export_evaluation_bundle": "themis.api.bundles.transfer",
    "export_generation_bundle": "themis.api.bundles.transfer",
    "export_parse_bundle": "themis.api.bundles.transfer",
    "export_reduction_bundle": "themis.api.bundles.transfer",
    "export_score_bundle": "themis.api.bundles.transfer",
    "freeze": "themis.pure.json",
    "get_case_view": "themis.api.runs.inspect",
    "get_evaluation_execution": "themis.api.runs.inspect",
    "get_execution_state": "themis.api.runs.inspect",
    "get_run_snapshot": "themis.api.runs.inspect",
    "get_stored_run": "themis.api.runs.inspect",
    "get_timeline": "themis.api.runs.inspect",
    "get_traces": "themis.api.runs.inspect",
    "import_evaluation_bundle": "themis.api.bundles.transfer",
    "import_generation_bundle": "themis.api.bundles.transfer",
    "import_parse_bundle": "themis.api.bundles.transfer",
    "import_reduction_bundle": "themis.api.bundles.transfer",
    "import_score_bundle": "themis.api.bundles.transfer",
    "quickcheck": "themis.api.runs.inspect",
    "snapshot_report": "themis.api.runs.inspect",
    "thaw": "themis.pure.json",
}

__all__ = [*_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]  # one table, no second list


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
