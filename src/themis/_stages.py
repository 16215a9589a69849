"""The stages of a run, in their order: told here alone.

It stands outside the core, as the version does, because the command line shows the names before it loads the core.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Stage = Literal["generate", "select", "reduce", "parse", "score", "judge"]
STAGE_ORDER: Final[tuple[Stage, ...]] = get_args(Stage)

UntilStage = Literal["generate", "reduce", "parse", "score", "judge"]
"""Where a run may end."""

ReplayStage = Literal["reduce", "parse", "score", "judge"]
"""Where a replay may begin: what was generated and selected is not done again."""
