"""A worker process for the tests: it doubles numbers, and does what it is told to do wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from themis.effects.jobs import answers
from themis.pure.errors import SpecError


def doubling(setup: Any) -> Callable[[Any], Any]:
    if setup == "refuse":
        raise SpecError("it is not to be done")

    def doubled(line: Any) -> Any:
        print("a component of the user's that prints")
        if line == "die":
            os.write(2, b"these are my last words\n")
            os._exit(3)
        if line == "vanish":
            os.kill(os.getpid(), 9)
        return line * 2

    return doubled


if __name__ == "__main__":
    answers(doubling)
