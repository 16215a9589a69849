"""The engine on Dask distributed (extra `dask`): a scheduler that runs already, or a cluster on this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Final

import attrs

from themis.api.experiment.many.engines import WorkFailedError, at_least_one, processors, segment_done, worked_of
from themis.api.experiment.many.work import Task, Worked
from themis.pure.errors import MissingExtraError, pip_install

if TYPE_CHECKING:
    import distributed

_CONNECT_S: Final = 30
_LOOK_S: Final = 0.2


@attrs.frozen
class Dask:
    """Workers of Dask distributed.

    Args:
        workers: how many processes are started on this machine if no address is given; by default as many as there
            are processors.
        address: the scheduler's, such as `tcp://scheduler:8786`; its workers need Themis and the experiment's modules.
    """

    workers: int = attrs.field(factory=processors, validator=at_least_one)
    address: str | None = None

    def __attrs_post_init__(self) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                f"engine 'dask' needs Dask distributed, which is not installed: {pip_install('dask')}"
            ) from error

    def work(self, task: Task, segments: Sequence[int], stopped: threading.Event) -> Iterator[Worked]:
        """Submit each segment, and yield what came of it; Dask gives those of a worker that died to another."""
        import distributed

        # A scheduler that is gone is no failure: what it had is left, and comes with the next call.
        with self._client() as client, contextlib.suppress(OSError, CancelledError):
            futures = [client.submit(segment_done, task.to_dict(), number, pure=False) for number in segments]
            done = distributed.as_completed(futures, loop=client.loop)
            try:
                while not done.is_empty() and client.status == "running" and not stopped.is_set():
                    if done.has_ready():
                        yield from _come_to(next(done))
                    else:
                        stopped.wait(_LOOK_S)
            finally:
                with contextlib.suppress(Exception):  # the scheduler may be gone
                    client.cancel(futures)

    @contextlib.contextmanager
    def _client(self) -> Iterator[distributed.Client]:
        import distributed

        with contextlib.ExitStack() as opened:
            cluster: str | distributed.LocalCluster | None = self.address
            if cluster is None:
                cluster = opened.enter_context(
                    distributed.LocalCluster(n_workers=self.workers, threads_per_worker=1, dashboard_address=None)
                )
            try:
                client = opened.enter_context(distributed.Client(cluster, timeout=_CONNECT_S, set_as_default=False))
            except OSError as error:
                raise WorkFailedError(
                    f"engine 'dask': no scheduler at {self.address} within {_CONNECT_S} s: {error}"
                ) from None
            yield client


def _come_to(future: distributed.Future) -> Iterator[Worked]:
    """Yield what a segment came to; nothing if it has to be done again, for its workers died or were lost."""
    if future.status == "finished":
        yield worked_of(future.result())
    elif future.status == "error":
        error = future.exception()
        if type(error).__name__ != "KilledWorker":
            raise WorkFailedError(f"engine 'dask': {type(error).__name__}: {error}")
