"""What a run is carried out with, apart from its snapshot, components and store: none of it is identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import attrs

from themis._stages import ReplayStage
from themis.pure.errors import ThemisError
from themis.pure.protocols import TracingProvider
from themis.pure.records.config import RuntimeConfig

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@attrs.define
class Progress:
    """How far a run is: live counts, for a progress line."""

    total: int = 0
    done: int = 0
    failed: int = 0
    reused: int = 0
    tokens: int = 0
    finished: bool = False


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
class EngineOptions:
    """What a run is carried out with, apart from its snapshot, components and store; nothing of it is identity.

    Attributes:
        runtime: limits, retries, timeouts.
        subscribers: told of everything that happens.
        tracing: takes spans.
        clock: tells the time of events.
        progress: counted up as cases finish.
        offline: take generations from the store alone; one that is not there ends the run.
        reuse: take what earlier runs stored.
        replay: do stages again that are done already.
    """

    runtime: RuntimeConfig = attrs.field(factory=RuntimeConfig)
    subscribers: Sequence[object] = ()
    tracing: TracingProvider | None = None
    clock: Clock = utc_now
    progress: Progress = attrs.field(factory=Progress)
    offline: bool = False
    reuse: bool = True
    replay: Replay | None = None


class NotStoredError(ThemisError):
    """An offline run needs something that is not stored."""
