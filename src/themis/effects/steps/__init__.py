"""How each stage is done: one module a stage, one function a step; each keeps what came of it and returns it.

Nothing here decides what comes next, or what a failure means: that stands in the core.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from themis.effects.steps.generate import Generating
from themis.effects.steps.judge import Judging
from themis.effects.steps.reduce import Reducing
from themis.effects.steps.score import Scoring
from themis.effects.steps.shared import RunInHand
from themis.pure.events import CaseRunEvent
from themis.pure.pipeline import Step
from themis.pure.plan import CaseItem, Stage
from themis.pure.state import CaseState

Handler = Callable[[Step, CaseItem, CaseState], Awaitable[CaseRunEvent]]


def handlers(run: RunInHand) -> Mapping[Stage, Handler]:
    """Return the function that does the steps of each stage."""
    judging, scoring = Judging(run), Scoring(run)
    reducing = Reducing(run, judging)
    return {
        "generate": Generating(run).generate,
        "select": reducing.select,
        "reduce": reducing.reduce,
        "parse": scoring.parse,
        "score": scoring.score,
        "judge": judging.judge,
    }
