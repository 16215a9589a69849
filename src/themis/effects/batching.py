"""Generating in batches: what a run lacks answers to goes to the provider's batch endpoint, then the run goes on.

A batch is submitted once, even if this process dies. That it is about to be submitted is written down, then
it is submitted, then its id is written down, and only then is it asked about; each line is on disk before the next
step. A process that comes later asks about the batches that are written down, takes up the one whose id it does not
know from its hash, and submits only what none of them answers.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import attrs
import trio

from themis.effects.calls import CallRuntime
from themis.effects.files import sync_folder
from themis.effects.providers.batch import BatchItem, BatchRequests
from themis.effects.reading import unasked
from themis.pure.abilities import CallerAbilities, Components
from themis.pure.calls import CallFailure, ProviderError, RetryPolicy
from themis.pure.json import JSONValue, decode, encode
from themis.pure.pipeline.run import planned_run
from themis.pure.plan import RunPlan
from themis.pure.protocols import RunStore
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.snapshot import RunSnapshot

T = TypeVar("T")

_PATIENCE: Final = {"batch": RetryPolicy(attempts=6, delay_s=1.0)}


def batch_faults(
    runtime: RuntimeConfig, generator: CallerAbilities, *, wants_likelihoods: bool = False
) -> tuple[str, ...]:
    """Return why answers can't be generated in batches, one sentence each."""
    faults = []
    if generator.batch is None:
        faults.append(
            f"runtime.generation_mode: {generator.name} has no batch endpoint; a model of adapters.openai() has one"
        )
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


class BatchEndpoint(Protocol):
    """What a provider's batch endpoint can do: a model states one as `batch`."""

    def render(self, items: Sequence[BatchItem]) -> Iterator[BatchRequests]:
        """Render items, each with a key of its own, as batches that the provider takes."""

    async def submit(self, requests: BatchRequests) -> str:
        """Submit a batch and return its id.

        Raises:
            ProviderError: the provider refuses it, or can't be reached.
        """

    async def known(self, digest: str) -> str | None:
        """Return the id of a batch of these requests that was submitted before and did not fail."""

    async def ended(self, batch_id: str) -> Mapping[str, Any] | None:
        """Return what the provider says of a batch that has ended; `None` while it has not."""

    def failure(self, batch: Mapping[str, Any]) -> CallFailure | None:
        """Return why a batch failed as a whole, if it did: it then has no answers."""

    async def answers(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of each request of a batch that has ended, by key."""

    def is_answer(self, line: Any) -> bool:
        """Tell whether that is an answer that was paid for, and not a failure."""

    def outcome(self, item: BatchItem, line: Any) -> GenerationResult | CallFailure:
        """Read it; `None` is a request that the batch says nothing of."""


@attrs.frozen
class BatchLog:
    """The batches of one run, as lines on disk: `{"requests": hash}` before submission, with `"batch_id"` after it."""

    path: Path

    def read(self) -> dict[str, str | None]:
        """Return batch ids by the hash of their requests; `None` where submission may or may not have come through."""
        if not self.path.exists():
            return {}
        known: dict[str, str | None] = {}
        for line in self.path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):  # what is cut short was not on disk when the process died
                entry = decode(line)
                known[entry["requests"]] = entry.get("batch_id")
        return known

    def add(self, requests: str, batch_id: str | None = None) -> None:
        """Write a line; when this returns, it is on disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"requests": requests} if batch_id is None else {"requests": requests, "batch_id": batch_id}
        with self.path.open("ab") as file:
            file.write(encode(entry) + b"\n")
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
        self._batch: BatchEndpoint = model.batch
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
    reuse = runtime.existing_run_policy != "rerun"
    log = BatchLog(Path(runtime.batch_root or ".") / f"{plan.run_id}.jsonl")
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
    open_items = {item.key: item for item in items if not model.batch.is_answer(answers.get(item.key))}
    submitted = [await batches.submitted(requests) for requests in model.batch.render(list(open_items.values()))]
    for batch_id in submitted:
        answers.update(await batches.answers(batch_id))
    return BatchedGenerator(model, items, answers)


class _Batches:
    """The batches of one run at the provider."""

    def __init__(self, model: CallerAbilities, log: BatchLog, poll_s: float, reuse: bool) -> None:
        self._model_id = model.component_id
        self._batch: BatchEndpoint = model.batch
        self._log = log
        self._poll_s = poll_s
        self._reuse = reuse
        self._recorded: set[str] = set()
        self._calls = CallRuntime(retry=_PATIENCE)

    async def recorded(self) -> dict[str, Any]:
        """Return the answers of the batches that earlier processes submitted."""
        answers: dict[str, Any] = {}
        for digest, stored_id in (await trio.to_thread.run_sync(self._log.read)).items():
            batch_id = stored_id or await self._patiently(functools.partial(self._batch.known, digest))
            if batch_id is None:
                continue  # the process died before it was submitted
            if stored_id is None:
                await trio.to_thread.run_sync(self._log.add, digest, batch_id)
            self._recorded.add(digest)
            batch = await self._ended(batch_id)
            if self._batch.failure(batch) is None:
                answers.update(await self._patiently(functools.partial(self._batch.answers, batch)))
        return answers

    async def submitted(self, requests: BatchRequests) -> str:
        """Submit a batch; when this returns, its id is on disk."""
        # What is asked again although its batch is on record failed there: taking that one up would fail again.
        take_up = self._reuse and requests.digest not in self._recorded
        await trio.to_thread.run_sync(self._log.add, requests.digest)

        async def submit() -> str:
            known = await self._batch.known(requests.digest) if take_up else None
            return known or await self._batch.submit(requests)

        batch_id = await self._patiently(submit)
        await trio.to_thread.run_sync(self._log.add, requests.digest, batch_id)
        return batch_id

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
