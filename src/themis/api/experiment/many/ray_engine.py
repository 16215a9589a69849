"""The engine on Ray (extra `ray`): a cluster that runs already, or one on this machine. Ray's usage reports are off."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from themis.api.experiment.many.engines import WorkFailedError, at_least_one, processors, segment_done, worked_of
from themis.api.experiment.many.work import Task, Worked
from themis.pure.errors import MissingExtraError, pip_install

if TYPE_CHECKING:
    pass

_LOOK_S: Final = 0.2


@attrs.frozen
class Ray:
    """Workers of Ray.

    Args:
        workers: how many segments are worked on at once on this machine if no address is given; by default as many as
            there are processors.
        address: the cluster's, such as `ray://head:10001` or `auto`; its nodes need Themis and the experiment's
            modules.
    """

    workers: int = attrs.field(factory=processors, validator=at_least_one)
    address: str | None = None

    def __attrs_post_init__(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(f"engine 'ray' needs Ray, which is not installed: {pip_install('ray')}") from error

    def work(self, task: Task, segments: Sequence[int], stopped: threading.Event) -> Iterator[Worked]:
        """Submit each segment, and yield what came of it; Ray gives those of a worker that died to another."""
        import ray

        with self._cluster():
            remote: Any = ray.remote(max_retries=-1, num_cpus=1)(segment_done)
            waiting = [remote.remote(task.to_dict(), number) for number in segments]
            try:
                while waiting and not stopped.is_set():
                    ready, waiting = ray.wait(waiting, timeout=_LOOK_S)
                    for future in ready:
                        with contextlib.suppress(ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
                            yield worked_of(ray.get(future))
            except ray.exceptions.RayTaskError as error:
                raise WorkFailedError(f"engine 'ray': {error}") from None
            except ray.exceptions.RayError:
                return  # the cluster, or this machine's part of it, is gone: what is left is for the next pass
            finally:
                with contextlib.suppress(ray.exceptions.RayError):
                    for future in waiting:
                        ray.cancel(future, force=True)

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[None]:
        import ray

        if ray.is_initialized():  # the program's own
            yield
            return
        try:
            if self.address is None:
                ray.init(num_cpus=self.workers, include_dashboard=False, log_to_driver=False)
            else:
                ray.init(address=self.address, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise WorkFailedError(f"engine 'ray': no cluster at {self.address}: {error}") from None
        try:
            yield
        finally:
            ray.shutdown()
