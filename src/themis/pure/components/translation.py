"""BLEU and chrF by sacrebleu (extra `translation`): of each case, and of a whole corpus from what each case recorded.

Both measures are made for corpora: the score of a corpus is no mean of the scores of its sentences. So a case's score
is sacrebleu's *sentence-level* one, and its details hold the counts that the corpus score is made of (`corpus_score`).

Sources: Papineni et al. 2002 (aclanthology.org/P02-1040), Popović 2015 (aclanthology.org/W15-3049), and Post 2018
(arXiv 1804.08771) for the signature, which says everything that a score depends on.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.metrics import no_reference, references
from themis.pure.errors import MissingExtraError, pip_install
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

    def check(self) -> Sequence[str]:
        """Return what is missing, before anything is paid for."""
        return _missing()

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the answer with all references."""
        return _scored(self.component_id, self.corpus(effective_order=True), parsed, case)

    def corpus(self, *, effective_order: bool = False) -> Any:
        """Return sacrebleu's metric for a corpus; with `effective_order` for sentences, as its own command has it."""
        _needed()
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

    def check(self) -> Sequence[str]:
        """Return what is missing, before anything is paid for."""
        return _missing()

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the answer with each reference."""
        return _scored(self.component_id, self.corpus(), parsed, case)

    def corpus(self) -> Any:
        _needed()
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order, lowercase=self.lowercase)


def _missing() -> list[str]:
    if importlib.util.find_spec("sacrebleu") is not None:
        return []
    return [f"BLEU and chrF need sacrebleu: {pip_install('translation')}"]


def _needed() -> None:
    for fault in _missing():
        raise MissingExtraError(fault)


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
        MissingExtraError: sacrebleu is not installed.
    """
    rows = [row.get("statistics") for row in details]
    if not rows or not all(rows):
        raise ValueError("corpus_score needs the details of at least one case, each with its statistics")
    return float(metric.corpus()._aggregate_and_compute([list(row or ()) for row in rows]).score)


def corpus_function(metric: Bleu | Chrf) -> Callable[[Sequence[float]], float]:
    """Return the corpus score, 0 to 100, as a function of the totals of its cases' statistics: what a bootstrap draws.

    >>> from themis.pure.stats.drawn_statistics import Totals
    >>> corpus_bleu = Totals(corpus_function(Bleu()), "corpus BLEU")  # rows are `Score.details["statistics"]`
    """
    made = metric.corpus()
    if isinstance(metric, Chrf):
        return lambda totals: float(made._compute_f_score([*totals]))

    def bleu(totals: Sequence[float]) -> float:
        # The lengths stand apart, as sacrebleu takes whole ones alone, and a slope needs the numbers in between.
        length, reference, orders = totals[0], totals[1], (len(totals) - 2) // 2
        penalty = 1.0 if length >= reference else math.exp(1.0 - reference / length) if length > 0.0 else 0.0
        found = made.compute_bleu(
            correct=[*totals[2 : 2 + orders]],
            total=[*totals[2 + orders :]],
            sys_len=1,
            ref_len=1,
            smooth_method=metric.smooth_method,
            max_ngram_order=orders,
        )
        return penalty * float(found.score)

    return bleu


def metric_of(signature: str) -> Bleu | Chrf:
    """Return a metric that makes the corpus score of cases with this signature (Post 2018).

    Raises:
        ValueError: it is not one of BLEU or chrF by sacrebleu.

    >>> metric_of("nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0").word_order
    2
    """
    parts = dict(part.split(":", 1) for part in signature.split("|") if ":" in part)
    if "nw" in parts:
        return Chrf(word_order=int(parts["nw"]))
    if "smooth" not in parts:
        raise ValueError(f"a signature of BLEU or chrF expected, found {signature!r}")
    return Bleu(smooth_method=parts["smooth"].partition("[")[0])


TRANSLATION_METRICS: Final = (Bleu, Chrf)
