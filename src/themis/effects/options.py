"""What a run is carried out with, apart from its snapshot and components: none of it is identity."""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs

from themis._stages import ReplayStage
from themis.effects.hooks import check_subscribers
from themis.pure.errors import ThemisError
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.labels import RunLabels


@attrs.define
class Progress:
    """How far a run is: live counts, for a progress line.

    `waits` has the endpoints that asked to be left alone, each with the time of `time.monotonic` until when.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    reused: int = 0
    tokens: int = 0
    finished: bool = False
    waits: dict[str, float] = attrs.field(factory=dict)

    def wait(self, endpoint: str, seconds: float) -> None:
        self.waits[endpoint] = max(self.waits.get(endpoint, 0.0), time.monotonic() + seconds)


@attrs.frozen(kw_only=True)
class Replay:
    """What a replay does again.

    Attributes:
        stage: the first stage to do again.
        metric_ids: of the metrics, these alone; all by default.
        recorded_judging: judge from the recorded answers; without it the judges are asked again.
    """

    stage: ReplayStage
    metric_ids: frozenset[str] | None = None
    recorded_judging: bool = False


@attrs.frozen(kw_only=True)
class RunOptions:
    """How a run is carried out.

    Attributes:
        runtime: limits, retries, timeouts.
        storage: where the run is kept, unless a store is handed in.
        store: an open store.
        subscribers: told of everything that happens.
        tracing: takes spans.
        progress: counted up as cases finish.
        offline: take generations from the store alone; one that is not there ends the run.
        replay: do stages again that are done already.
        labels: what to call the run from now on.
    """

    runtime: RuntimeConfig
    storage: StorageConfig
    store: RunStore | None = None
    subscribers: Sequence[object] = attrs.field(default=(), validator=lambda _, __, value: check_subscribers(value))
    tracing: TracingProvider | None = None
    progress: Progress = attrs.field(factory=Progress)
    offline: bool = False
    replay: Replay | None = None
    labels: RunLabels = attrs.field(factory=RunLabels)


class NotStoredError(ThemisError):
    """An offline run needs something that is not stored."""
