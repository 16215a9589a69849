"""Generating in batches: what a run lacks answers to goes to the provider's batch endpoint, then the run goes on.

A batch is submitted once, even if this process dies. That it is about to be submitted is written down, then
it is submitted, then its id is written down, and only then is it asked about; each line is on disk before the next
step. A process that comes later asks about the batches that are written down, looks for the one whose id it does not
know among the provider's, and submits only what none of them answers.
"""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import trio

from themis.effects.calls import CallRuntime
from themis.effects.files import sync_folder
from themis.effects.reading import unasked
from themis.pure.abilities import CallerAbilities, Components
from themis.pure.batches import BatchEndpoint, BatchItem, BatchRequests, Sighting, Submission
from themis.pure.calls import CallFailure, ProviderError, RetryPolicy
from themis.pure.errors import SpecError
from themis.pure.json import JSONValue, decode, encode
from themis.pure.pipeline.run import planned_run
from themis.pure.plan import RunPlan
from themis.pure.protocols import RunStore
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.wire.providers import BATCHES

T = TypeVar("T")

_PATIENCE: Final = {"batch": RetryPolicy(attempts=6, delay_s=1.0)}


def batch_faults(
    runtime: RuntimeConfig, generator: CallerAbilities, *, wants_likelihoods: bool = False
) -> tuple[str, ...]:
    """Return why answers can't be generated in batches, one sentence each."""
    faults = []
    if generator.batch is None:
        having = ", ".join(f"{name}/..." for name in BATCHES)
        faults.append(f"runtime.generation_mode: {generator.name} has no batch endpoint; these have one: {having}")
    if wants_likelihoods:
        faults.append(
            "runtime.generation_mode: log-likelihoods (prompt_spec.continuations) are not asked for in batches; "
            "leave it out"
        )
    if runtime.batch_root is None:
        faults.append("runtime.batch_root: a folder is needed to keep the ids of submitted batches in")
    if runtime.max_cost is not None or runtime.max_tokens is not None:
        faults.append("runtime.generation_mode: a batch can't be stopped by a budget; see `estimate`, and leave it out")
    return tuple(faults)


@attrs.frozen
class BatchLog:
    """The batches of one run, as lines on disk: a submission before it begins, and again with its id after it."""

    path: Path

    def read(self) -> dict[str, Submission]:
        """Return the submissions by the hash of their requests; without an id, it may or may not have come through."""
        if not self.path.exists():
            return {}
        known: dict[str, Submission] = {}
        for line in self.path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):  # what is cut short was not on disk when the process died
                entry = decode(line)
                known[entry["requests"]] = Submission(
                    digest=entry["requests"],
                    size=entry.get("size", 0),
                    first_key=entry.get("first_key", ""),
                    began_at=datetime.fromisoformat(entry["began_at"]) if "began_at" in entry else None,
                    batch_id=entry.get("batch_id"),
                )
        return known

    def add(self, submission: Submission) -> None:
        """Write a line; when this returns, it is on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entry = {
            "requests": submission.digest,
            "size": submission.size,
            "first_key": submission.first_key,
            "began_at": submission.began_at and submission.began_at.isoformat(),
            "batch_id": submission.batch_id,
        }
        with self.path.open("ab") as file:
            file.write(encode({name: fact for name, fact in entry.items() if fact is not None}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.path.parent)


class BatchedGenerator:
    """The model of a run whose answers came in batches; all else is the model's own."""

    provider_key = None  # nothing is sent any more: limits would only slow it down

    def __init__(self, model: CallerAbilities, items: Sequence[BatchItem], answers: Mapping[str, Any]) -> None:
        self.component_id: str = model.component_id
        self.version: str = model.component.version
        # The keys that the answers have rest on the request: it is rendered as the model renders it, if it does.
        self.request: Callable[[Case, GenerateContext], JSONValue] | None = model.request
        self._batch = _endpoint_of(model)
        self._items = {(item.ctx.case_key, item.ctx.candidate_id): item for item in items}
        self._answers = answers

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Return the answer that came.

        Raises:
            ProviderError: none came, or a failure.
        """
        item = self._items[ctx.case_key, ctx.candidate_id]
        outcome = self._batch.outcome(item, self._answers.get(item.key))
        if isinstance(outcome, CallFailure):
            raise ProviderError(outcome.evolve(retryable=False))  # asking the file again changes nothing
        return outcome


async def generate_in_batches(
    snapshot: RunSnapshot, plan: RunPlan, components: Components, store: RunStore, runtime: RuntimeConfig
) -> BatchedGenerator:
    """Get all answers that a run lacks, and return the generator that gives them.

    Raises:
        CallFailed: the provider refuses a batch as a whole, or can't be reached.
    """
    model = components.generator
    endpoint = _endpoint_of(model)
    reuse = runtime.existing_run_policy != "rerun"
    log = _log_of(runtime, plan.run_id)
    if not reuse:
        await trio.to_thread.run_sync(functools.partial(log.path.unlink, missing_ok=True))
    batches = _Batches(model, log, runtime.batch_poll_s, reuse)

    def missing() -> list[BatchItem]:
        run = planned_run(snapshot, components, plan.until_stage)
        asks = unasked(run, snapshot, store, reuse=reuse)
        return [BatchItem(key=ask.key, case=item.case, ctx=ask.args[1]) for item, ask in asks]

    items = await trio.to_thread.run_sync(missing)
    answers = await batches.recorded() if items else {}
    # Equal prompts with equal seeds have one key: they are asked once.
    open_items = {item.key: item for item in items if not endpoint.is_answer(answers.get(item.key))}
    submitted = [await batches.submitted(requests) for requests in endpoint.render(list(open_items.values()))]
    for batch_id in submitted:
        answers.update(await batches.answers(batch_id))
    return BatchedGenerator(model, items, answers)


async def cancel_batches(generator: CallerAbilities, runtime: RuntimeConfig, run_id: str) -> list[str]:
    """Ask the provider to stop the batches of a run that it is still working on, and return their ids."""
    batches = _Batches(generator, _log_of(runtime, run_id), runtime.batch_poll_s, reuse=True)
    return [batch_id async for batch_id in batches.cancelled()]


def _log_of(runtime: RuntimeConfig, run_id: str) -> BatchLog:
    return BatchLog(Path(runtime.batch_root or ".") / f"{run_id}.jsonl")


def _endpoint_of(model: CallerAbilities) -> BatchEndpoint:
    if model.batch is None:
        raise SpecError(f"{model.name} has no batch endpoint")
    return model.batch


class _Batches:
    """The batches of one run at the provider."""

    def __init__(self, model: CallerAbilities, log: BatchLog, poll_s: float, reuse: bool) -> None:
        self._model_id = model.component_id
        self._batch = _endpoint_of(model)
        self._log = log
        self._poll_s = poll_s
        self._reuse = reuse
        self._recorded: set[str] = set()
        self._calls = CallRuntime(retry=_PATIENCE)

    async def recorded(self) -> dict[str, Any]:
        """Return the answers of the batches that earlier processes submitted."""
        answers: dict[str, Any] = {}
        for submission in (await trio.to_thread.run_sync(self._log.read)).values():
            batch_id = submission.batch_id or await self._found(submission)
            if batch_id is None:
                continue  # the process died before it was submitted
            if submission.batch_id is None:
                await self._note(submission, batch_id)
            self._recorded.add(submission.digest)
            batch = await self._ended(batch_id)
            if self._batch.failure(batch) is None:
                answers.update(await self._patiently(functools.partial(self._batch.answers, batch)))
        return answers

    async def cancelled(self) -> AsyncIterator[str]:
        """Cancel what is being worked on, and yield the ids."""
        for submission in (await trio.to_thread.run_sync(self._log.read)).values():
            batch_id = submission.batch_id or await self._found(submission)
            if batch_id and await self._patiently(functools.partial(self._batch.ended, batch_id)) is None:
                await self._patiently(functools.partial(self._batch.cancel, batch_id))
                yield batch_id

    async def submitted(self, requests: BatchRequests) -> str:
        """Submit a batch; when this returns, its id is on disk."""
        # What is asked again although its batch is on record failed there: taking that one up would fail again.
        take_up = self._reuse and requests.digest not in self._recorded
        submission = Submission(digest=requests.digest, size=len(requests.keys), first_key=requests.keys[0])
        batch_id = await self._found(submission) if take_up else None
        if batch_id is None:
            submission = attrs.evolve(submission, began_at=datetime.now(UTC))
            await trio.to_thread.run_sync(self._log.add, submission)
            batch_id = await self._submitted_once(requests, submission)
        await self._note(submission, batch_id)
        return batch_id

    async def _submitted_once(self, requests: BatchRequests, submission: Submission) -> str:
        """Submit a batch, and look for it before any further attempt: only the answer may have been lost."""
        is_retry = False

        async def submit() -> Sighting:
            nonlocal is_retry
            known = await self._batch.find(submission) if is_retry else None
            is_retry = True
            return known or Sighting(batch_id=await self._batch.submit(requests))

        while not (sighting := await self._patiently(submit)).is_certain:
            await self._ended(sighting.batch_id)
        return sighting.batch_id

    async def _found(self, submission: Submission) -> str | None:
        """Look for a batch at the provider, until it is certain."""
        while sighting := await self._patiently(functools.partial(self._batch.find, submission)):
            if sighting.is_certain:
                return sighting.batch_id
            await self._ended(sighting.batch_id)
        return None

    async def _note(self, submission: Submission, batch_id: str) -> None:
        await trio.to_thread.run_sync(self._log.add, attrs.evolve(submission, batch_id=batch_id))

    async def answers(self, batch_id: str) -> dict[str, Any]:
        """Wait for a batch's end and return its lines by key."""
        batch = await self._ended(batch_id)

        async def answers() -> dict[str, Any]:
            if (failure := self._batch.failure(batch)) is not None:
                raise ProviderError(failure)
            return await self._batch.answers(batch)

        return await self._patiently(answers)

    async def _ended(self, batch_id: str) -> Mapping[str, Any]:
        while (batch := await self._patiently(lambda: self._batch.ended(batch_id))) is None:  # noqa: ASYNC110  # the provider has no other way
            await trio.sleep(self._poll_s)
        return batch

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return (await self._calls.call(call, stage="batch", model=self._model_id)).value
