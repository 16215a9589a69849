"""Batches as the core knows them: requests that are handed in together, and what a provider's endpoint does with them.

Every request has a key of its own, by which its result is found again in whatever order the results come. A model
that can be asked in batches states its `BatchEndpoint` as `batch`; `themis.effects.batching` carries runs out with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import attrs

from themis.pure.calls import CallFailure
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult


@attrs.frozen(kw_only=True)
class BatchItem:
    """One generation of a batch.

    Attributes:
        key: names it within the batch, such as its candidate's cache key.
        case, ctx: what would be handed to `generate`.
    """

    key: str
    case: Case
    ctx: GenerateContext


@attrs.frozen(kw_only=True)
class BatchRequests:
    """The requests of one batch.

    Attributes:
        digest: names them, also to the provider where it keeps a name for us.
        keys: of the requests, in order.
        lines: the requests in the same order, rendered.
    """

    digest: str
    keys: Sequence[str]
    lines: Sequence[bytes] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Submission:
    """What is known of a batch that was, or may have been, submitted.

    Attributes:
        digest: of its requests.
        size: how many requests it has.
        first_key: the key of its first request.
        began_at: before it was submitted; `None` if nobody has begun to.
        batch_id: the provider's name for it, as soon as it is known.
    """

    digest: str
    size: int = 0
    first_key: str = ""
    began_at: datetime | None = None
    batch_id: str | None = None


@attrs.frozen(kw_only=True)
class Sighting:
    """A batch at the provider that is the one looked for, or may be: that shows when it has ended."""

    batch_id: str
    is_certain: bool = True


class BatchEndpoint(Protocol):
    """What a provider's batch endpoint can do: a model states one as `batch`.

    What is asked of the provider raises `ProviderError` if it refuses, or can't be reached.
    """

    def render(self, items: Sequence[BatchItem]) -> Iterator[BatchRequests]:
        """Render items, each with a key of its own, as batches that the provider takes."""

    async def submit(self, requests: BatchRequests) -> str:
        """Submit a batch and return its id."""

    async def find(self, submission: Submission) -> Sighting | None:
        """Look for the batch of a submission whose answer was lost, among those that did not fail."""

    async def ended(self, batch_id: str) -> Mapping[str, Any] | None:
        """Return what the provider says of a batch that has ended; `None` while it has not."""

    async def cancel(self, batch_id: str) -> None:
        """Ask the provider to stop; what it has answered by then is kept."""

    def failure(self, batch: Mapping[str, Any]) -> CallFailure | None:
        """Return why a batch failed as a whole, if it did: it then has no answers."""

    async def answers(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of each request of a batch that has ended, by key."""

    def is_answer(self, line: Any) -> bool:
        """Tell whether that is an answer that was paid for, and not a failure."""

    def outcome(self, item: BatchItem, line: Any) -> GenerationResult | CallFailure:
        """Read it; `None` is a request that the batch says nothing of."""
