"""Worker processes of this machine for what takes a processor's time: lines go in, answers come out in order.

A worker is a module that is run, and `answers` its whole main loop. It is started anew and not forked, so that neither
threads nor an event loop are copied, and without the caller's main module, so that a script needs no guard.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, Final, TypeAlias

from themis.pure.errors import ThemisError

_AHEAD: Final = 2
"""So many lines for each worker are given out before the first answer is taken."""
_SHOWN: Final = 2_000

Answer: TypeAlias = Any
"""What JSON can say."""


class JobError(ThemisError):
    """A worker process refused its work, or died of it."""


def in_order(module: str, setup: Answer, lines: Iterable[Answer], jobs: int) -> Iterator[Answer]:
    """Have worker processes answer lines, and yield the answers in the order of the lines.

    Lines are taken as answers are: neither are ever all there at once. The processes end with the iterator, at the
    latest when this process does.

    Args:
        module: what a worker runs, by `answers`.
        setup: what each of them is told first.
        lines: what is to be answered; JSON, as the answers are.
        jobs: how many processes.

    Raises:
        JobError: a worker refused, or died.
    """
    free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    waiting: collections.deque[Future[Answer]] = collections.deque()

    def answered(line: Answer) -> Answer:
        worker = free.get()
        try:
            return worker.ask(line)
        finally:
            free.put(worker)

    with contextlib.ExitStack() as ending:
        pool = ending.enter_context(ThreadPoolExecutor(jobs))
        for _ in range(jobs):
            free.put(ending.enter_context(_started(module, setup)))
        for line in lines:
            waiting.append(pool.submit(answered, line))
            if len(waiting) >= _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Worker:
    def __init__(self, process: subprocess.Popen[str], said: IO[str]) -> None:
        self._process, self._said = process, said

    def ask(self, line: Answer) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer.endswith("\n"):
            raise JobError(f"a worker process died: {self._last_words()}")
        found = json.loads(answer)
        if "refused" in found:
            raise JobError(found["refused"])
        return found["answer"]

    def _last_words(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().strip()[-_SHOWN:]
        return said or (f"killed by signal {-code}" if code < 0 else f"exit code {code}")


@contextlib.contextmanager
def _started(module: str, setup: Answer) -> Iterator[_Worker]:
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(  # noqa: S603  # a module of our own
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            encoding="utf-8",
        )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is told when it is asked
            process.stdin.write(json.dumps(setup) + "\n")
            process.stdin.flush()
        try:
            yield _Worker(process, said)
        finally:
            process.kill()
            with contextlib.suppress(BrokenPipeError), process:
                pass


def answers(make: Callable[[Answer], Callable[[Answer], Answer]]) -> None:
    """Answer lines from stdin until it ends: a worker's whole work.

    What anything in this process prints goes to stderr. Ctrl-C is for the process that has the workers.

    Args:
        make: takes what a worker is told first, and returns what answers a line. An error of Themis in either is a
            refusal, with its message.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with own_stdout() as out:
        answer: Callable[[Answer], Answer] | None = None
        setup = json.loads(sys.stdin.readline())
        for line in sys.stdin:
            try:
                answer = answer or make(setup)
                said = {"answer": answer(json.loads(line))}
            except ThemisError as error:
                said = {"refused": str(error)}
            out.write(json.dumps(said) + "\n")
            out.flush()


@contextlib.contextmanager
def own_stdout() -> Iterator[IO[str]]:
    """Lend this process's stdout for what is to be read by a program; what others print there goes to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(kept, "w", encoding="utf-8") as out:
            yield out
    finally:
        sys.stdout.flush()
