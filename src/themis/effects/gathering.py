"""Calls that wait at the same time, asked at once: for models, and stores, that answer several as quickly as one.

A call that comes puts itself in line and waits for the model. Whoever gets it takes the first of the line, itself among
them, as many as the model wants at once, and asks for all; the others find their answers made when their turn comes.
So there is no task that has to outlive a call, and a call that is cancelled leaves the line, or its place in a batch
that is on its way, without a trace.

Which calls come together depends on timing, and must change no answer (law 4): a model that has `generate_many`
answers each call as `generate` would. A batch that raises is asked again one by one, so that a call fails for what it
asked, and never for what came with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
import trio

from themis.pure.calls import ProviderError
from themis.pure.errors import StoreError

LINGER_S: Final = 0.01
"""Seconds that a batch for a model waits for more: workers that have just been answered come back at once."""


@attrs.define(eq=False)
class _Waiting:
    args: tuple[Any, ...]
    answers: list[Any] = attrs.field(factory=list)
    """Nothing yet, or its answer."""


class Gatherer:
    """Asks a model for several calls at once, one batch at a time.

    Args:
        many: the model's method: a list of arguments in, an answer or an exception for each out. It runs in a thread.
        batch_size: the most calls of a batch.
        linger_s: seconds that a batch with room left waits for more.
    """

    def __init__(
        self,
        many: Callable[[Sequence[tuple[Any, ...]]], Sequence[Any]],
        batch_size: int,
        linger_s: float = LINGER_S,
    ) -> None:
        self._many = many
        self._batch_size = max(1, batch_size)
        self._linger_s = linger_s
        self._line: list[_Waiting] = []
        self._turn = trio.Lock()
        self._model = threading.Lock()  # a thread whose call was cancelled may have it longer than its turn

    async def ask(self, args: tuple[Any, ...]) -> Any:
        """Return the model's answer to one call, or raise its exception."""
        mine = _Waiting(args)
        self._line.append(mine)
        try:
            async with self._turn:
                if not mine.answers:
                    if self._linger_s and len(self._line) < self._batch_size:
                        await trio.sleep(self._linger_s)
                    await self._answer(mine)
        finally:
            if mine in self._line:
                self._line.remove(mine)
        answer = mine.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _answer(self, mine: _Waiting) -> None:
        batch, self._line = self._line[: self._batch_size], self._line[self._batch_size :]
        assert mine in batch  # the line and the turns are in one order
        try:
            answers = await self._asked(batch)
        except (ProviderError, StoreError) as error:  # the model or store itself, and not what it was asked
            answers = [error] * len(batch)
        except Exception as error:
            answers = [error] if len(batch) == 1 else [await self._alone(one) for one in batch]
        except BaseException:
            # Cancelled, or worse: what came along is asked by whoever gets the model next.
            self._line = [one for one in batch if one is not mine] + self._line
            raise
        for one, answer in zip(batch, answers, strict=True):
            one.answers.append(answer)

    async def _alone(self, one: _Waiting) -> Any:
        try:
            return (await self._asked([one]))[0]
        except Exception as error:
            return error

    async def _asked(self, batch: Sequence[_Waiting]) -> Sequence[Any]:
        answers: Sequence[Any] = await trio.to_thread.run_sync(
            self._ask, [one.args for one in batch], abandon_on_cancel=True
        )
        if len(answers) != len(batch):
            raise TypeError(f"asked for {len(batch)} calls at once, the model answered {len(answers)}")
        return answers

    def _ask(self, asked: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        with self._model:
            return self._many(asked)
