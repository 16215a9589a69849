"""What is read out of log-likelihoods: which choice is the likeliest, how sure the model is, and how it is surprised.

A model that was asked for log-likelihoods (`prompt_spec.continuations`) answers with a list of objects, as
`themis.pure.records.likelihoods.Likelihood` has them.

**Which choice is meant.** Parser and metrics number the choices by the continuations, from 0 on. A case's reference
names one of them, or a list of several: as its text, blanks around it aside; else as its number, or text of it (`2`,
`"2"`); else as its letter (`C`). The text goes first, so that `"2"` among the choices `1`, `2`, `3` is what it says.

**Normalisation.** A longer text is less likely: `tokens`, `bytes` and `characters` divide a log-probability by the
length of its text. lm-evaluation-harness calls the choice by the bare sum `acc`, that by characters `acc_norm` and that
by bytes `acc_bytes`, the same for ASCII (docs/API_guide.md there; Gao et al. 2021, "Multiple Choice Normalization in LM
Evaluation", for the reasons).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase
from typing import ClassVar, Final, Literal, get_args

import attrs

from themis.pure.components.metrics import each_reference, no_reference, unusable_reference
from themis.pure.components.options import one_of
from themis.pure.errors import InvalidRecordError
from themis.pure.json import JSONValue
from themis.pure.records.contexts import ParseContext, ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.records.likelihoods import Likelihood
from themis.pure.records.scoring import Score, ScoreError

Normalize = Literal["none", "tokens", "bytes", "characters"]
Gives = Literal["letter", "index", "text"]
Unit = Literal["token", "word", "byte"]

_NO_LIKELIHOODS: Final = (
    "the answer holds no log-likelihoods; name the field of the choices in prompt_spec.continuations, so that the "
    "model is asked for them"
)


def read_likelihoods(output: JSONValue) -> list[Likelihood] | None:
    """Return the likelihoods that an answer consists of; `None` if it is something else."""
    if not isinstance(output, Sequence) or isinstance(output, str) or not output:
        return None
    try:
        return [Likelihood.from_dict(item) for item in output]  # type: ignore[arg-type]  # what is none is refused
    except InvalidRecordError:
        return None


def likeliest(found: Sequence[Likelihood], normalize: Normalize = "none") -> int:
    """Return the number of the likeliest continuation, the first of several.

    >>> yes = Likelihood(text="yes", logprob=-2.0, tokens=1, bytes=3, is_greedy=False)
    >>> longer = Likelihood(text="certainly so", logprob=-3.0, tokens=3, bytes=12, is_greedy=False)
    >>> likeliest([yes, longer]), likeliest([yes, longer], "tokens")
    (0, 1)
    """
    sizes: Mapping[Normalize, Callable[[Likelihood], int]] = {
        "none": lambda one: 1,
        "tokens": lambda one: one.tokens,
        "bytes": lambda one: one.bytes,
        "characters": lambda one: len(one.text),
    }
    values = [one.logprob / sizes[normalize](one) for one in found]
    return values.index(max(values))


def meant(reference: JSONValue, texts: Sequence[str]) -> int | None:
    """Return the number of the choice that a reference names; `None` if it names none.

    >>> [meant(reference, ["Paris", "Rome"]) for reference in ("Rome", 1, "1", "B", "C", 2)]
    [1, 1, 1, 1, None, None]
    """
    if isinstance(reference, str):
        said, plain = reference.strip(), [text.strip() for text in texts]
        if said in plain:
            return plain.index(said)
        place = int(said) if said.isascii() and said.isdecimal() else ascii_uppercase.find(said) if said else -1
        place = place if len(said) == 1 or said.isdecimal() else -1
    else:
        place = reference if isinstance(reference, int) and not isinstance(reference, bool) else -1
    return place if 0 <= place < len(texts) else None


@attrs.frozen
class Likeliest:
    """The choice that the model finds likeliest, for the metrics that compare answers.

    `normalize` is `none`, `tokens`, `bytes` or `characters`: what a log-probability is divided by. `gives` says what of
    the choice is the answer: its `letter` (`A` is the first), its `index` (from 0), or its `text`, without blanks
    around it: what the references of the cases are.
    """

    normalize: Normalize = attrs.field(default="none", validator=one_of(get_args(Normalize)))
    gives: Gives = attrs.field(default="letter", validator=one_of(get_args(Gives)))
    component_id: str = "builtin/likeliest"
    version: str = "1"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        """Return the choice."""
        found = read_likelihoods(candidate.final_output)
        if found is None:
            return ParsedOutput(value=None, format="choice", metadata={"reason": _NO_LIKELIHOODS})
        place = likeliest(found, self.normalize)
        if self.gives == "letter" and len(found) > len(ascii_uppercase):
            reason = f"{len(found)} choices are more than there are letters; use gives='index'"
            return ParsedOutput(value=None, format="choice", metadata={"reason": reason})
        letter, text = ascii_uppercase[place : place + 1], found[place].text.strip()
        value: Mapping[Gives, JSONValue] = {"letter": letter, "index": place, "text": text}
        return ParsedOutput(value=value[self.gives], format="choice", metadata={"rule": "likeliest", "index": place})


@attrs.frozen
class _OfLikelihoods:
    """What the metrics share: they read the answer as it was given, whatever the parser makes of it."""

    reads_candidates: ClassVar[bool] = True

    component_id: str

    def _read(self, ctx: ScoreContext) -> list[Likelihood] | ScoreError:
        found = None if ctx.candidate is None else read_likelihoods(ctx.candidate.final_output)
        return ScoreError(metric_id=self.component_id, reason=_NO_LIKELIHOODS) if found is None else found

    def _choices(self, case: Case, ctx: ScoreContext) -> tuple[list[Likelihood], set[int]] | ScoreError:
        """Return the choices, and the numbers of the right ones."""
        found = self._read(ctx)
        if isinstance(found, ScoreError):
            return found
        if case.expected_output is None:
            return no_reference(self.component_id, case)
        texts = [one.text for one in found]
        places = {meant(reference, texts) for reference in each_reference(case.expected_output)}
        named = {place for place in places if place is not None}
        if not named or None in places:
            needed = f"the text, the number from 0 or the letter of one of the {len(texts)} choices, or a list of such"
            return unusable_reference(self.component_id, case, needed)
        return found, named


@attrs.frozen
class LikeliestChoice(_OfLikelihoods):
    """1 if the likeliest choice is a right one, else 0: `acc` of lm-evaluation-harness.

    `normalize` is `none`, `tokens`, `bytes` or `characters`, which is its `acc_norm`. Two of them in one run need names
    of their own (`component_id`). With the right choices as the reference it is also TruthfulQA's MC1 (Lin et al.
    2022).
    """

    normalize: Normalize = attrs.field(default="none", validator=one_of(get_args(Normalize)))
    component_id: str = "builtin/likeliest_choice"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the likeliest choice with the right ones."""
        choices = self._choices(case, ctx)
        if isinstance(choices, ScoreError):
            return choices
        found, right = choices
        place = likeliest(found, self.normalize)
        return Score(metric_id=self.component_id, value=float(place in right), details={"choice": place})


@attrs.frozen
class RightProbability(_OfLikelihoods):
    """The share of the choices' probability that the right ones have together, from 0 to 1.

    TruthfulQA's MC2 (Lin et al. 2022), with all right choices as the reference.
    """

    component_id: str = "builtin/right_probability"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Sum up the probabilities."""
        choices = self._choices(case, ctx)
        if isinstance(choices, ScoreError):
            return choices
        found, right = choices
        most = max(one.logprob for one in found)  # as differences: long texts have probabilities near 0
        shares = [math.exp(one.logprob - most) for one in found]
        mass = math.fsum(shares[place] for place in sorted(right)) / math.fsum(shares)
        return Score(metric_id=self.component_id, value=min(1.0, mass))


@attrs.frozen
class LikelierContext(_OfLikelihoods):
    """1 if a text is likelier behind the right beginning than behind the other ones, else 0: WinoGrande's accuracy.

    The choices come in two halves: first every beginning with the text behind it, then every beginning alone, in the
    same order. The log-probability of the text behind a beginning is the difference of the two, as far as the tokenizer
    ends a token where the beginning ends, as those do that split at blanks. The reference names one of the first half.

    Source: the partial evaluation of Trinh and Le 2018 (arXiv 1806.02847), by which Brown et al. 2020 (arXiv
    2005.14165) and lm-evaluation-harness score WinoGrande.
    """

    component_id: str = "builtin/likelier_context"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Compare the differences."""
        choices = self._choices(case, ctx)
        if isinstance(choices, ScoreError):
            return choices
        found, right = choices
        half = len(found) // 2
        whole, alone = found[:half], found[half:]
        if len(found) % 2 or not all(one.text.startswith(begun.text) for one, begun in zip(whole, alone, strict=True)):
            reason = f"case {case.case_id!r}: choices expected whose second half are the beginnings of the first"
            return ScoreError(metric_id=self.component_id, reason=reason)
        values = [one.logprob - begun.logprob for one, begun in zip(whole, alone, strict=True)]
        place = values.index(max(values))
        return Score(metric_id=self.component_id, value=float(place in right), details={"choice": place})


@attrs.frozen
class GreedyContinuation(_OfLikelihoods):
    """1 if the model would go on with the right text at temperature 0, else 0: LAMBADA's accuracy.

    Of one continuation no reference is needed: it is the right one. Of several, one of the right ones is enough.
    """

    component_id: str = "builtin/greedy_continuation"
    version: str = "1"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Look at the right continuations."""
        found = self._read(ctx)
        choices = (found, {0}) if isinstance(found, list) and len(found) == 1 else self._choices(case, ctx)
        if isinstance(choices, ScoreError):
            return choices
        return Score(metric_id=self.component_id, value=float(any(choices[0][place].is_greedy for place in choices[1])))


@attrs.frozen
class Perplexity(_OfLikelihoods):
    """How much a text surprises the model: e to the power of its negative log-probability per token, word or byte.

    `per` is `token`, `word` (texts between blanks) or `byte`. 1 is a text that the model is certain of; lower is
    better. A case has one continuation, the text, behind a context that may be empty.

    The mean over cases is that of single texts. The figure of a whole corpus weighs them by their lengths: the details
    have `logprob`, `tokens`, `words`, `bytes` and `bits_per_byte` of each, so that it is the exponential of the mean of
    `-logprob` over the mean of `words` (or `bytes`, `tokens`).

    Where another text's words and bytes are to count than those that were scored (WikiText's are counted before it is
    detokenised), the reference holds their numbers: `{"words": 241, "bytes": 1289}`.
    """

    per: Unit = attrs.field(default="token", validator=one_of(get_args(Unit)))
    component_id: str = "builtin/perplexity"
    version: str = "1"

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score | ScoreError:
        """Divide and raise."""
        found = self._read(ctx)
        if isinstance(found, ScoreError):
            return found
        if len(found) != 1:
            reason = f"case {case.case_id!r}: perplexity is that of one text, and there are {len(found)} continuations"
            return ScoreError(metric_id=self.component_id, reason=reason)
        (text,) = found
        stated = case.expected_output if isinstance(case.expected_output, Mapping) else {}
        sizes = {"tokens": text.tokens, "words": len(text.text.split()), "bytes": text.bytes}
        counted = {name: _count(stated.get(name)) or size for name, size in sizes.items()}
        units = max(1, counted[f"{self.per}s"])
        try:
            value = math.exp(-text.logprob / units)
        except OverflowError:
            reason = f"case {case.case_id!r}: {-text.logprob / units:.0f} nats per {self.per} are past any number"
            return ScoreError(metric_id=self.component_id, reason=reason)
        bits = -text.logprob / math.log(2) / counted["bytes"]
        return Score(
            metric_id=self.component_id,
            value=value,
            details={"logprob": text.logprob, **counted, "bits_per_byte": bits},
        )


def _count(value: JSONValue) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


LIKELIHOOD_PARSERS: Final = (Likeliest,)
LIKELIHOOD_METRICS: Final = (LikeliestChoice, LikelierContext, RightProbability, GreedyContinuation, Perplexity)
