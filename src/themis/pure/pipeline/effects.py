"""What a program may ask for. Each effect says in its docstring what it is answered with.

    found = yield Recall(key)                    # what is stored under a key, or None
    answer = yield Ask(...)                      # Result[Answer, StepFailure]
    result = yield Execute(request, ...)         # SandboxResult
    results = yield Together((program, ...))     # what each program returned, in their order
    event = yield Within(span, program, ...)     # what the program returned
    yield Keep(case_no, event, key)              # nothing
    yield Tell(hook, args)                       # nothing

Whatever goes wrong in a component comes back as a value: a program never sees an exception of a component's, and what
ends the whole run (a wrong key, a budget) never comes back into a program at all.

Effects are made for every event of every case, handed over and forgotten: they are not frozen, for that would make each
of them several times as expensive.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from themis._stages import Stage
from themis.pure.abilities import Abilities, CallerAbilities, Method
from themis.pure.chain import Entry
from themis.pure.events import CaseRunEvent
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.config import STAGES_THAT_PAY
from themis.pure.records.sandbox import SandboxRequest

T = TypeVar("T")

PAID: Final = frozenset(STAGES_THAT_PAY)
"""What is asked of a model or the like: it is waited for, costs, and can't be computed again."""


@attrs.define
class Recall:
    """What the step whose cache key this is came to before, in whatever run. Answered: `Recalled`, or `None`."""

    key: str


@attrs.define
class Recalled:
    """An event that another step of the same cache key left, and the run it is of."""

    event: CaseRunEvent
    source_run_id: str


@attrs.define(kw_only=True)
class Ask:
    """Call a component. Answered: a `Result` of `Answer` or `StepFailure`.

    Attributes:
        stage: what for.
        of: the component.
        method: its method, called with `args` and `keywords`; its value may have to be awaited.
        place: where the answer is recorded within the case: the candidate's index, or a workflow's step.
        many: its method for several at once, whose value is a list, an answer or an exception for each; called with a
            list of `args`.
        request: what a generator sends, for estimates of its tokens.
        key: the cache key of the answer.
    """

    stage: Stage
    of: Abilities
    method: Method
    args: tuple[Any, ...]
    keywords: Mapping[str, Any] = EMPTY
    many: Method | None = None
    place: int | str = ""
    request: JSONValue = None
    key: str = ""

    @property
    def what(self) -> str:
        """What is asked for, in words."""
        if self.stage == "generate":
            return f"candidate {self.place}"
        return f"the answer to judge call {self.place}" if self.stage == "judge" else f"{self.of.name}, to be awaited"

    @property
    def caller(self) -> CallerAbilities:
        """The component, where it is one that may be behind an endpoint."""
        assert isinstance(self.of, CallerAbilities)
        return self.of


@attrs.define
class Answer:
    """What a call came to: the value as the component returned it, and the attempts that failed before."""

    value: Any
    retry_history: tuple[Mapping[str, JSONValue], ...] = ()


@attrs.define
class Execute:
    """Run a program in the sandbox. Answered: its `SandboxResult`. `place` is the workflow's step."""

    request: SandboxRequest
    place: str

    @property
    def what(self) -> str:
        """What is asked for, in words."""
        return f"the result of sandbox run {self.place}"


@attrs.define
class Together:
    """Drive several programs side by side. Answered: what they returned, in their order."""

    programs: tuple[Program[Any], ...]


@attrs.define
class Within:
    """Drive a program within a span. Answered: what it returned."""

    span: str
    attributes: Mapping[str, JSONValue]
    program: Program[CaseRunEvent]


@attrs.define
class Keep(Entry):
    """Hand an event to the journal: it happened, and is stored soon, whatever becomes of the program."""


@attrs.define
class Tell:
    """Call a hook of every subscriber that has it; of something that is kept, always after `Keep`."""

    hook: str
    args: tuple[object, ...]


Effect: TypeAlias = Recall | Ask | Execute | Together | Within | Keep | Tell
Program: TypeAlias = Generator[Effect, Any, T]
"""A generator of effects that returns a `T`. What an effect is answered with can't be told to the type checker."""
