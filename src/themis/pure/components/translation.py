"""BLEU and chrF by sacrebleu: of each case, and of a whole corpus from what each case recorded.

Both measures are made for corpora: the score of a corpus is no mean of the scores of its sentences. So a case's score
is sacrebleu's *sentence-level* one, and its details hold the counts that the corpus score is made of (`corpus_score`).

Sources: Papineni et al. 2002 (aclanthology.org/P02-1040), Popović 2015 (aclanthology.org/W15-3049), and Post 2018
(arXiv 1804.08771) for the signature, which says everything that a score depends on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.metrics import no_reference, references
from themis.pure.json import JSONValue
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.prompt import text_of
from themis.pure.records.scoring import Score, ScoreError


@attrs.frozen
class Bleu:
    """Sentence-level BLEU, 0 to 1 (sacrebleu's score over 100); several references are used together.

    Options as sacrebleu's: `tokenize` (`13a`, `intl`, `char`, `zh`, `none`), `lowercase`, `smooth_method`. The details
    hold `score` (0 to 100), `signature` and `statistics`.
    """

    tokenize: str = attrs.field(default="13a", validator=attrs.validators.in_(("13a", "intl", "char", "zh", "none")))
    lowercase: bool = False
    smooth_method: str = attrs.field(default="exp", validator=attrs.validators.in_(("exp", "floor", "add-k", "none")))
    component_id: str = "builtin/bleu"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the answer with all references."""
        return _scored(self.component_id, self.corpus(effective_order=True), parsed, case)

    def corpus(self, *, effective_order: bool = False) -> Any:
        """Return sacrebleu's metric for a corpus; with `effective_order` for sentences, as its own command has it."""
        from sacrebleu.metrics.bleu import BLEU

        return BLEU(
            tokenize=self.tokenize,
            lowercase=self.lowercase,
            smooth_method=self.smooth_method,
            effective_order=effective_order,
            force=True,  # only silences a warning about text that looks tokenised
        )


@attrs.frozen
class Chrf:
    """Sentence-level chrF2, 0 to 1 (sacrebleu's score over 100), the best over the references.

    Options as sacrebleu's: `word_order` (2 is chrF++), `lowercase`. The details hold `score` (0 to 100), `signature`
    and `statistics`.
    """

    word_order: int = attrs.field(default=0, validator=attrs.validators.in_((0, 1, 2)))
    lowercase: bool = False
    component_id: str = "builtin/chrf"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the answer with each reference."""
        return _scored(self.component_id, self.corpus(), parsed, case)

    def corpus(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order, lowercase=self.lowercase)


def _scored(metric_id: str, metric: Any, parsed: ParsedOutput, case: Case) -> Score | ScoreError:
    known = references(case.expected_output)
    if not known:
        return no_reference(metric_id, case)
    # The two halves of sacrebleu's `sentence_score`, for the counts in between are what a corpus score is made of.
    statistics = metric._extract_corpus_statistics([text_of(parsed.value)], [[reference] for reference in known])
    found = metric._aggregate_and_compute(statistics)
    details: dict[str, JSONValue] = {
        "score": found.score,
        "level": "sentence",
        "signature": metric.get_signature().format(),
        "statistics": [int(number) for number in statistics[0]],
    }
    return Score(metric_id=metric_id, value=min(1.0, found.score / 100), details=details)


def corpus_score(metric: Bleu | Chrf, details: Iterable[Mapping[str, Any]]) -> float:
    """Return sacrebleu's score of a whole corpus, 0 to 100, from the details of its cases' scores.

    Args:
        metric: the metric that made the scores, with the same options.
        details: `Score.details` of every case.

    Raises:
        ValueError: there is no case, or the details have no statistics.
    """
    rows = [row.get("statistics") for row in details]
    if not rows or not all(rows):
        raise ValueError("corpus_score needs the details of at least one case, each with its statistics")
    return float(metric.corpus()._aggregate_and_compute([list(row or ()) for row in rows]).score)


TRANSLATION_METRICS: Final = (Bleu, Chrf)
