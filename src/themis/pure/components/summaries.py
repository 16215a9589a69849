"""ROUGE as summarisation papers compute it, by Google's `rouge_score` (extra `summarisation`).

Source: Lin 2004, "ROUGE" (aclanthology.org/W04-1013). Figures of papers since 2019 are that package's F-measures with
its stemmer, over 100. `builtin/rouge_l` is another one: words of all scripts, no stemmer, and no package needed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import ClassVar, Final, Literal, TypeAlias, get_args

import attrs

from themis.pure.components.metrics import no_reference, references
from themis.pure.components.options import one_of
from themis.pure.errors import MissingExtraError, pip_install
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError

Variant: TypeAlias = Literal["rouge1", "rouge2", "rougeL", "rougeLsum"]
_MOST_WORK: Final = 5_000_000
"""Bound on the product of both texts' words: about a second for the longest common subsequence."""


@attrs.frozen
class Rouge:
    """ROUGE F-measure, 0 to 1, best over the references.

    Options: `variant`, which is `rouge1` or `rouge2` (shared words, pairs of words), `rougeL` (the longest common
    subsequence of the whole texts) or `rougeLsum` (that of each line with all lines, for summaries of a sentence a
    line); `stemmer`, whether Porter's stems count as words, on unless stated. The details hold precision and recall.
    """

    variant: Variant = attrs.field(default="rougeL", validator=one_of(get_args(Variant)))
    stemmer: bool = True
    component_id: str = "builtin/rouge"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def check(self) -> Sequence[str]:
        """Return what is missing, before anything is paid for."""
        return _missing()

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the answer with each reference."""
        known = references(case.expected_output)
        if not known:
            return no_reference(self.component_id, case)
        for lacking in _missing():
            raise MissingExtraError(lacking)
        from rouge_score.rouge_scorer import RougeScorer

        answer = text_of(parsed.value)
        sizes = [len(answer.split()) * len(reference.split()) for reference in known]
        if max(sizes) > _MOST_WORK or len(answer) * max(map(len, known)) > 100 * _MOST_WORK:
            reason = (
                f"case {case.case_id!r}: texts of {len(answer):,} and {max(map(len, known)):,} characters are too long"
            )
            return ScoreError(metric_id=self.component_id, reason=f"{reason} to be compared")
        scorer = RougeScorer([self.variant], use_stemmer=self.stemmer)
        found = [scorer.score(reference, answer)[self.variant] for reference in known]
        best = max(found, key=lambda one: one.fmeasure)
        return Score(
            metric_id=self.component_id,
            value=min(1.0, float(best.fmeasure)),
            details={"precision": float(best.precision), "recall": float(best.recall)},
        )


def _missing() -> list[str]:
    if importlib.util.find_spec("rouge_score") is not None:
        return []
    return [f"ROUGE of papers needs rouge_score: {pip_install('summarisation')}"]


SUMMARY_METRICS: Final = (Rouge,)
