"""Numbers at the end of worked solutions, found by the two filters of lm-evaluation-harness for GSM8K.

They read the answer as it was given, so that both figures come out of one run, whatever the parser makes of it:

- `strict`: the first number behind `####`, the mark with which GSM8K's solutions end (Cobbe et al. 2021, arXiv
  2110.14168). A model that was not shown the mark has none.
- `flexible`: the last number of the answer, wherever it stands.

Answer and reference are compared as texts without commas, dollar signs, what stands before `#### `, and a full stop at
the end, as the harness does: `18` is not `18.0`.
"""

from __future__ import annotations

import re
from collections import deque
from typing import ClassVar, Final, Literal, TypeAlias, get_args

import attrs

from themis.pure.components.metrics import no_reference, references
from themis.pure.components.options import one_of
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError

Filter: TypeAlias = Literal["strict", "flexible"]
_MARKED: Final = re.compile(r"#### (-?[0-9.,]+)")
_ANY: Final = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")


def worked_number(answer: str, how: Filter) -> str | None:
    """Return the number that an answer ends in, as it is compared; `None` if there is none.

    >>> worked_number("He has 3 + 1,200.\\n#### 1,203", "strict"), worked_number("So it is $1,203.", "flexible")
    ('1203', '1203')
    >>> worked_number("So it is $1,203.", "strict")
    """
    if how == "strict":
        first = _MARKED.search(answer)
        return None if first is None else _compared(first[1])
    last = deque(_ANY.finditer(answer), maxlen=1)
    return _compared(last[0][0]) if last else None


def _compared(text: str) -> str:
    text = text.rpartition("#### ")[2].strip().replace(",", "").replace("$", "")
    return text.removesuffix(".").lower()


@attrs.frozen
class WorkedNumber:
    """1 if the number that a worked solution ends in is the reference's, else 0: GSM8K's exact match, in two ways.

    Option `filter`: `strict` takes the first number behind `#### `, `flexible` the last number anywhere. The reference
    is a number, or a solution that ends in `#### ` and one.
    """

    filter: Filter = attrs.field(default="strict", validator=one_of(get_args(Filter)))
    component_id: str = "builtin/worked_number"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    reads_candidates: ClassVar[bool] = True

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the texts of both numbers."""
        known = [_compared(reference) for reference in references(case.expected_output)]
        if not known:
            return no_reference(self.component_id, case)
        output = parsed.value if ctx.candidate is None else ctx.candidate.final_output
        found = worked_number(text_of(output), self.filter)
        return Score(metric_id=self.component_id, value=float(found in known), details={"found": found})


WORKED_METRICS: Final = (WorkedNumber,)
