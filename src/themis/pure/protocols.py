"""What a component must offer to take its place in a run.

Every component has a `component_id` and a `version`, and may state a `fingerprint()`; without one it gets the
hash of its code and configuration. Methods may be sync or async where the types say so. Protocols are for type
checkers and readers: components need not inherit from them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias, runtime_checkable

from returns.result import Result

from themis.pure.events import RunEvent
from themis.pure.json import JSONValue
from themis.pure.limits import Budget, Estimate
from themis.pure.records.contexts import (
    EvalScoreContext,
    GenerateContext,
    ParseContext,
    ReduceContext,
    ScoreContext,
    SelectContext,
)
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.judging import (
    AggregationResult,
    CandidateSetSubject,
    ConversationSubject,
    EvaluationExecution,
    JudgeCall,
    JudgeResponse,
    ParsedJudgment,
    RenderedJudgePrompt,
    Subject,
    TraceSubject,
)
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, FoundText, RunSummary, Segment, StoredEvent

ScoreOutcome: TypeAlias = Score | ScoreError | Result[Score, ScoreError]


@runtime_checkable
class Component(Protocol):
    """What every component has."""

    @property
    def component_id(self) -> str:
        """The component's name, such as `builtin/exact_match`."""

    @property
    def version(self) -> str:
        """The component's stated version."""


@runtime_checkable
class Describes(Protocol):
    """What a component may have beside: a word of its own on how it is set, in place of one made of its fields."""

    def describe(self) -> JSONValue:
        """Return the settings that matter to a reader, as JSON: for a model, its temperature. No credentials.

        It is kept with each run and shown in reports, and is no part of the run's identity.
        """


@runtime_checkable
class Generator(Component, Protocol):
    """Produces a candidate for a case: a model, an agent, a program.

    May state `provider_key: str`, which groups the calls to one endpoint, and `request(case, ctx)`, which
    renders the whole request purely: what it returns is then the cache key, instead of the whole case. One whose
    provider has a batch endpoint may state it as `batch`.

    One that can say how likely texts are has a method `loglikelihood(context, continuations)`, sync or async, which
    returns `LogLikelihoods`: it is asked where the prompt names the field of the continuations.

    One that answers several calls as quickly as one has `generate_many(asked)`, a sync method that takes a list of
    `(case, ctx)` and returns an answer or an exception for each, as `generate` would; calls that wait at the same time,
    at most `batch_size` of them, are then asked together, in a thread, one batch at a time. `loglikelihood_many` is the
    same for a list of `(context, continuations)`.
    """

    def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult | Awaitable[GenerationResult]:
        """Return one candidate for the case."""


@runtime_checkable
class CandidateSelector(Component, Protocol):
    """Chooses among a case's candidates before they are reduced."""

    def select(
        self, candidates: Sequence[GenerationResult], ctx: SelectContext
    ) -> Sequence[GenerationResult] | Awaitable[Sequence[GenerationResult]]:
        """Return the chosen candidates, best first."""


@runtime_checkable
class CandidateReducer(Component, Protocol):
    """Collapses a case's candidates into one."""

    def reduce(
        self, candidates: Sequence[GenerationResult], ctx: ReduceContext
    ) -> ReducedCandidate | Awaitable[ReducedCandidate]:
        """Return the one answer."""


@runtime_checkable
class Parser(Component, Protocol):
    """Reads a value out of an answer."""

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return what was found; `value=None` if nothing was."""


@runtime_checkable
class PureMetric(Component, Protocol):
    """Scores a parsed answer, deterministically and on its own."""

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> ScoreOutcome:
        """Return a score, or the reason why there is none."""


@runtime_checkable
class ExecutionMetric(Component, Protocol):
    """Scores an answer by running it: plans the sandbox's work and scores its results, both purely.

    May offer `next_requests(parsed, case, results, ctx)`: asked once all requests so far have their results, it
    returns what is to be run next, or nothing. May state `sandbox_languages`, which the sandbox is checked for.
    """

    def sandbox_requests(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Sequence[SandboxRequest]:
        """Return what is to be run."""

    def score_results(
        self, parsed: ParsedOutput, case: Case, results: Sequence[SandboxResult], ctx: ScoreContext
    ) -> ScoreOutcome:
        """Score the results, which come in the order of the requests."""


@runtime_checkable
class EvaluationWorkflow(Protocol):
    """How a metric judges, as pure functions: the shell makes the calls, the workflow decides everything."""

    def judge_calls(self) -> Sequence[JudgeCall]:
        """Return the calls to make."""

    def render_prompt(self, call: JudgeCall, subject: Subject, ctx: EvalScoreContext) -> RenderedJudgePrompt:
        """Return what the judge of a call is shown."""

    def parse_judgment(self, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext) -> ParsedJudgment:
        """Read the verdict.

        Raises:
            UnclearVerdictError: there is none; the judge is asked once more, with a reminder.
            Exception: any other one makes this judgment an error at once.
        """

    def score_judgment(self, call: JudgeCall, judgment: ParsedJudgment, ctx: EvalScoreContext) -> Score | None:
        """Return the judgment's score, or `None` if only the aggregate has one."""

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult | None:
        """Return the judgments combined; a numeric `value` is the case's score."""


@runtime_checkable
class LLMMetric(Component, Protocol):
    """Judges one candidate through model calls."""

    def build_workflow(self, subject: CandidateSetSubject, ctx: EvalScoreContext) -> EvaluationWorkflow:
        """Return the workflow for one case."""


@runtime_checkable
class SelectionMetric(Component, Protocol):
    """Judges two or more candidates against each other."""

    def build_workflow(self, subject: CandidateSetSubject, ctx: EvalScoreContext) -> EvaluationWorkflow:
        """Return the workflow for one case."""


@runtime_checkable
class TraceMetric(Component, Protocol):
    """Judges an agent's trace or a conversation."""

    def build_workflow(self, subject: TraceSubject | ConversationSubject, ctx: EvalScoreContext) -> EvaluationWorkflow:
        """Return the workflow for one case."""


@runtime_checkable
class JudgeModel(Component, Protocol):
    """A model that is asked for judgments.

    A `judge` whose prompt is annotated as `str` is handed the prompt's text; it may return text, and do without a seed.
    """

    def judge(
        self, prompt: RenderedJudgePrompt, *, seed: int | None = None
    ) -> JudgeResponse | Awaitable[JudgeResponse]:
        """Return the judge's answer."""


@runtime_checkable
class WorkflowRunner(Protocol):
    """Carries a judge workflow out."""

    async def run_evaluation(
        self, workflow: EvaluationWorkflow, subject: Subject, metric_id: str, ctx: EvalScoreContext
    ) -> EvaluationExecution:
        """Make the calls and return everything that happened."""


@runtime_checkable
class TracingProvider(Protocol):
    """Takes spans: `run, generation, selection, reduction, parse, score, judge`.

    A provider that has a method `describe_span(span, event)` is told the event that a step ended with, before its span
    is closed.
    """

    def start_span(self, name: str, attributes: Mapping[str, JSONValue]) -> object:
        """Open a span and return it."""

    def end_span(self, span: object, status: str) -> None:
        """Close a span with status `ok` or `error`."""


# --- lifecycle hooks: a subscriber implements any subset --------------------------------------------------


@runtime_checkable
class BeforeGenerate(Protocol):
    """Called before a generator runs."""

    def before_generate(self, case: Case, ctx: GenerateContext) -> object: ...


@runtime_checkable
class AfterGenerate(Protocol):
    """Called after a generator returned a candidate; one that takes `(result, ctx)` is told without the case."""

    def after_generate(self, case: Case, result: GenerationResult, ctx: GenerateContext) -> object: ...


@runtime_checkable
class BeforeReduce(Protocol):
    """Called before candidates are reduced."""

    def before_reduce(self, candidates: Sequence[GenerationResult], ctx: ReduceContext) -> object: ...


@runtime_checkable
class AfterReduce(Protocol):
    """Called after candidates were reduced."""

    def after_reduce(self, candidate: ReducedCandidate, ctx: ReduceContext) -> object: ...


@runtime_checkable
class BeforeParse(Protocol):
    """Called before an answer is parsed."""

    def before_parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> object: ...


@runtime_checkable
class AfterParse(Protocol):
    """Called after an answer was parsed."""

    def after_parse(self, parsed: ParsedOutput, ctx: ParseContext) -> object: ...


@runtime_checkable
class BeforeScore(Protocol):
    """Called before a pure metric runs."""

    def before_score(self, parsed: ParsedOutput, ctx: ScoreContext) -> object: ...


@runtime_checkable
class AfterScore(Protocol):
    """Called after a pure metric ran."""

    def after_score(self, score: Score | ScoreError, ctx: ScoreContext) -> object: ...


@runtime_checkable
class BeforeJudge(Protocol):
    """Called before a metric's workflow runs."""

    def before_judge(self, subject: Subject, ctx: EvalScoreContext) -> object: ...


@runtime_checkable
class AfterJudge(Protocol):
    """Called after a metric's workflow ran."""

    def after_judge(self, execution: EvaluationExecution, ctx: EvalScoreContext) -> object: ...


@runtime_checkable
class OnEvent(Protocol):
    """Called with every event, after it is durable."""

    def on_event(self, event: RunEvent) -> object: ...


@runtime_checkable
class LifecycleSubscriber(
    BeforeGenerate,
    AfterGenerate,
    BeforeReduce,
    AfterReduce,
    BeforeParse,
    AfterParse,
    BeforeScore,
    AfterScore,
    BeforeJudge,
    AfterJudge,
    OnEvent,
    Protocol,
):
    """All hooks together. Hooks may be sync or async; what they raise is reported and never ends the run."""


@runtime_checkable
class RunReader(Protocol):
    """What a run is read by: the reading half of a store, or a store as it was at some time."""

    def head(self, run_id: str) -> ChainHead:
        """Return the end of the run's chain; the start of one if there is no such run."""

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's events in the order they were appended, without holding them all."""

    def run_events(self, run_id: str) -> Sequence[StoredEvent]:
        """Return the events of the whole run (started, completed, failed), in order, without reading the others."""

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's case events by case number, and within a case in the order they were appended."""

    def case_events(self, run_id: str, case_no: int) -> Sequence[StoredEvent]:
        """Return one case's events."""

    def blob(self, ref: str) -> bytes:
        """Return the blob of this content hash. Raises `StoreError` if it is missing."""


@runtime_checkable
class RunStore(RunReader, Protocol):
    """Where runs are kept. All methods are synchronous; the shell calls the writing ones from one thread.

    A store knows nothing of stages: it keeps snapshots, chained events and blobs, and finds them again. Many
    processes may read a store while others write; a run has one writer at a time.
    """

    @property
    def location(self) -> str:
        """Where the store is, for people, without credentials: `sqlite:runs/themis.sqlite3`."""

    def initialize(self) -> None:
        """Open the store, creating or migrating it; safe to call again."""

    def close(self) -> None:
        """Release what the store holds open."""

    def persist_snapshot(self, snapshot: RunSnapshot) -> None:
        """Keep a snapshot with its cases, all or nothing; does nothing if the run is there."""

    def load_snapshot(self, run_id: str) -> RunSnapshot:
        """Return the snapshot, its cases read as needed. Raises `RunNotFoundError`."""

    def list_runs(self) -> Sequence[RunSummary]:
        """Return a line about each run, newest first."""

    def acquire(self, run_id: str) -> None:
        """Become the run's one writer. Raises `RunLockedError`, which names the holder."""

    def release(self, run_id: str) -> None:
        """Stop being the run's writer."""

    def transaction(self, run_id: str) -> AbstractContextManager[None]:
        """Keep what is written of this run within the context as a whole; if an exception leaves it, keep nothing.

        The snapshot, events and blobs are visible to others once the context is left, and durable then; a crash
        within it leaves the store as before. Everything is written by the thread that entered it, which may
        append any number of batches. It must hold the run: `acquire` comes first.
        """

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        """Keep events, and all the blobs that they refer to, durably and all or nothing.

        Raises:
            RunNotFoundError: no snapshot of the run is kept.
            StoreError: the first event does not come right after the run's last one; nothing is kept.
        """

    def settled_cases(self, run_id: str, scores: int) -> Iterator[int]:
        """Yield, ascending, cases with so many `score_completed` events, one for each metric and answer; none for 0.

        Cases with an event of a failure are left out: it may have come later, and undone what was scored.
        """

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        """Return, for the keys that are known, the run and the event: of several, the last of the newest run."""

    def clear_run(self, run_id: str) -> None:
        """Forget a run: snapshot, events, and cases and blobs that no other run uses. Raises `RunLockedError`."""


@runtime_checkable
class KnowsWriters(Protocol):
    """What a store offers beside `RunStore` when it can tell a run that goes on from one whose process died."""

    def is_interrupted(self, run_id: str) -> bool:
        """Tell whether a run was begun, is not ended, and nobody holds it to write it."""


@runtime_checkable
class ReadsParts(Protocol):
    """What a store offers beside `RunStore` when a part of a run can be read without the rest."""

    def events_of_cases(self, run_id: str, cases: range) -> Iterator[StoredEvent]:
        """Yield the events of consecutive cases as `events_by_case` does."""


MakeEvents: TypeAlias = Callable[[ChainHead, Sequence[Segment]], Sequence[StoredEvent]]
"""Returns the events that follow the end of a run's own chain, where its segments stand as they do."""


@runtime_checkable
class DividedStore(RunStore, ReadsParts, Protocol):
    """What a store offers beside `RunStore` when many processes, on any hosts, may write one run at once.

    The run's cases are divided into segments, and each segment has one writer at a time. Who writes a segment has
    joined the run before; nobody can acquire a run as a whole while others have joined it.
    """

    def divide(self, run_id: str, segments: Sequence[str], size: int, event: StoredEvent) -> None:
        """Divide a run that this process has acquired, once and for all.

        Args:
            run_id: the run.
            segments: what each segment's first event will be chained to.
            size: how many cases a segment has.
            event: says so in the run's own chain, at its end.
        """

    def segment_size(self, run_id: str) -> int | None:
        """Return how many cases a segment of the run has; `None` if it is not divided."""

    def segments(self, run_id: str) -> Sequence[Segment]:
        """Return how far each segment is, in order; none if the run is not divided."""

    def begin(self, run_id: str, manifest: str, make: MakeEvents) -> None:
        """Begin an attempt at a divided run that this process has joined: no segment is done in it yet.

        Args:
            run_id: the run.
            manifest: what its workers need.
            make: returns the events with which it begins.
        """

    def open_runs(self) -> Sequence[str]:
        """Return the runs with an attempt that was begun for many workers and has not ended."""

    def manifest(self, run_id: str) -> str | None:
        """Return what workers need, if the run's last attempt was begun and has not ended."""

    def end(self, run_id: str, make: MakeEvents) -> bool:
        """End the attempt, if it was not ended before, and tell whether this call did.

        Args:
            run_id: the run, which this process has joined.
            make: returns the events with which it ends; none if it can't end yet.
        """

    def join(self, run_id: str) -> None:
        """Become one of a run's many writers. Raises `RunLockedError` if a process has all of it."""

    def leave(self, run_id: str) -> None:
        """Stop being one of them, and give back what was claimed."""

    def claim(self, run_id: str, segment: int | None = None) -> Segment | None:
        """Become the writer of a segment that is not done and that no living process writes; `None` if there is none.

        The end of its chain that is returned is where this process goes on: it says the claim.

        Args:
            run_id: the run.
            segment: this one alone.
        """

    def is_worked_off(self, run_id: str, segment: int | None = None) -> bool:
        """Tell whether no segment, or not this one, is left to do in an attempt that goes on."""

    def append_to(self, run_id: str, segment: int, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        """Append to a segment that this process has claimed, durably and all or nothing.

        Raises:
            StoreError: another process has claimed it since, or the events don't follow its end; nothing is kept.
        """

    def segment_head(self, run_id: str, segment: int) -> ChainHead:
        """Return the end of a segment's chain."""

    def finish(self, run_id: str, segment: int, head: ChainHead) -> None:
        """Note that a claimed segment is done where its chain ends in `head`, and give it back."""

    def give_back(self, run_id: str, segment: int) -> None:
        """Stop being a segment's writer, as if it had not been claimed."""

    # What all workers of a run share. It is what they have together that a limit bounds.

    def workers(self, run_id: str) -> int:
        """Return how many have joined the run, this one among them."""

    def take_rate(self, run_id: str, name: str, per_minute: float, units: float) -> float:
        """Take units of a rate, and return in how many seconds from now they may be used; a negative number gives back.

        Units are handed out one after the other, evenly, by the store's clock; none are saved up.
        """

    def take_slots(self, run_id: str, name: str, most: int, wanted: int) -> Sequence[int]:
        """Take `wanted` of `most` slots, or as many as are free, and return their numbers. Who dies gives them back."""

    def give_slots_back(self, run_id: str, name: str, slots: Sequence[int]) -> None:
        """Give slots back."""

    def set_spending(self, run_id: str, spent: Mapping[str, tuple[int, float]]) -> None:
        """Note what the run spent before: by stage, tokens and US dollars."""

    def spend(self, run_id: str, stage: str, *, freed: Estimate, used: Estimate) -> None:
        """Replace a reservation by what a call used."""

    def reserve(self, run_id: str, stage: str, wanted: Estimate, budget: Callable[[], Budget]) -> bool | None:
        """Reserve what a call may use at most.

        Args:
            run_id: the run.
            stage: the call's.
            wanted: how much.
            budget: returns the run's budget, with nothing spent.

        Returns:
            Whether there is room for it; `None` if there may be, once calls of other workers have ended.
        """


@runtime_checkable
class TextIndex(Protocol):
    """What a store offers beside `RunStore` when it can search text without reading everything."""

    def find_text(self, query: str, run_id: str | None, limit: int) -> Sequence[FoundText]:
        """Return the best matches among the prompts and outputs of a run, or of all runs, best first."""
