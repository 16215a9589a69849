"""Multiple choice in two forms: a chat model names a letter or a word, a base model finds one text the likeliest.

The form is stated in the name (`arc_challenge:chat`, `arc_challenge:loglikelihood`), for its figures differ by tens of
points. What a dataset's rows hold becomes an `Item`; the forms are made of that alone, by one rule for all datasets:

- `chat`: the question with its options below, each behind a letter; the reference is the letter. Where the options are
  words such as yes and no, the answer is the word.
- `loglikelihood`: a context and the texts that may follow it, with one blank between them, as
  lm-evaluation-harness has it (its `target_delimiter`). The texts are the options' own (the cloze form), or their
  letters behind a context that shows the options.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Final, Literal, TypeAlias

import attrs

from themis.pure.benchmarks.columns import Fields, RowMisfitError
from themis.pure.benchmarks.recipe import BenchmarkRecipe, ComponentChoice, Content, VariantFacts, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.identity import shuffled
from themis.pure.json import EMPTY
from themis.pure.records.prompt import PromptSpec

CHAT: Final = "chat"
LIKELIHOOD: Final = "loglikelihood"

Scores: TypeAlias = Literal["texts", "letters"]
"""Which texts are scored: the options' own, or their letters behind a context that shows the options."""


@attrs.frozen(kw_only=True)
class Item:
    """A multiple-choice question, however its dataset writes it.

    Attributes:
        question: what a chat model is asked, without the options.
        options: the options' texts.
        right: the number of the right one, from 0 on.
        context: what stands before the texts that are scored; if not given, the question after `Question:`, before
            `Answer:`. Where letters are scored, what stands before the options; if not given, the question.
        cue: what stands between the options and the letters, where these are scored.
        labels: metadata of the case that no column holds.
    """

    question: str
    options: Sequence[str]
    right: int
    context: str | None = None
    cue: str = "Answer:"
    labels: Mapping[str, str] = EMPTY


ItemOf: TypeAlias = Callable[[Fields, str], Item]
"""Makes an item of a row's fields and the part of the data; raises `RowMisfitError` where it can't."""

# --- reading the right option -----------------------------------------------------------------------------

Place: TypeAlias = Callable[[Fields, int], int]
"""Returns the number of the right option, from 0 on, of so many."""


def by_index(fields: Fields, count: int) -> int:
    return _place(fields, fields["answer"], range(count))


def by_number(fields: Fields, count: int) -> int:
    """The answer is the option's number, from 1 on, as a number or as text."""
    return _place(fields, fields["answer"], range(1, count + 1))


def by_letter(fields: Fields, count: int) -> int:
    return _place(fields, str(fields["answer"]).strip().upper(), ascii_uppercase[:count])


def by_label(fields: Fields, count: int) -> int:
    """The answer is one of the labels that the row gives its options."""
    return _place(fields, str(fields["answer"]).strip(), [label.strip() for label in fields["labels"][:count]])


def _place(fields: Fields, said: Any, known: Sequence[Any]) -> int:
    found = [place for place, name in enumerate(known) if str(name) == str(said)]
    if not found:
        names = ", ".join(map(str, known))
        raise RowMisfitError("answer", f"one of {names} expected, found {fields['answer']!r}")
    return found[0]


def in_stated_order(question: str, options: Sequence[str]) -> list[int]:
    """Return the places of options in an order that depends on their texts and the question alone.

    For datasets that have the right one always at the same place, which letters would give away.
    """
    return shuffled([f"{question}\n{option}" for option in options], 0)


# --- items ------------------------------------------------------------------------------------------------


def item(place: Place, *, chat: str = "{question}", context: str | None = None, cue: str = "Answer:") -> ItemOf:
    """Return how the usual row becomes an item: a question, options, and which of them is right.

    Args:
        place: how the right option is read.
        chat: what a chat model is asked: a text with the roles of the row's texts in braces.
        context: what stands before the texts that are scored, likewise; `{listed}` are the options with their letters.
        cue: as for `Item`.
    """

    def item_of(fields: Fields, part: str) -> Item:
        texts = {role: str(value).strip() for role, value in fields.items() if isinstance(value, str | int | float)}
        options = options_of(fields)
        return Item(
            question=chat.format(**texts).strip(),
            options=options,
            right=place(fields, len(options)),
            context=None if context is None else context.format(**texts, listed=listed(options)).strip(),
            cue=cue,
        )

    return item_of


def listed(options: Sequence[str]) -> str:
    """Return options on a line each, behind their letters."""
    return "\n".join(f"{letter}. {text.strip()}" for letter, text in zip(ascii_uppercase, options, strict=False))


def options_of(fields: Fields) -> list[str]:
    return [str(option).strip() for option in fields["options"]]


# --- forms ------------------------------------------------------------------------------------------------


def _content(fields: Fields, variant: str, *, item_of: ItemOf, scores: Scores, words: bool) -> Content:
    part, _, form = variant.rpartition(":")
    asked = item_of(fields, part)
    if len(asked.options) > len(ascii_uppercase):
        raise RowMisfitError("options", f"at most {len(ascii_uppercase)} options expected, found {len(asked.options)}")
    letters = ascii_uppercase[: len(asked.options)]
    if form == CHAT:
        if words:
            return Content(asked.question, asked.options[asked.right], asked.labels)
        return Content(f"{asked.question}\n\n{listed(asked.options)}", letters[asked.right], asked.labels)
    if scores == "letters":
        head = asked.question if asked.context is None else asked.context
        context, texts = f"{head}\n{listed(asked.options)}\n{asked.cue}", list(letters)
    else:
        context = f"Question: {asked.question}\nAnswer:" if asked.context is None else asked.context
        texts = list(asked.options)
    if not all(text.strip() for text in texts):
        raise RowMisfitError("options", "options that are not empty expected, and one is")
    return Content({"question": context, "choices": texts}, texts[asked.right], asked.labels)


ONE_LETTER: Final = PromptSpec(
    suffix="\n\nExactly one option is right. Reason as far as you need to, then end with one line of the form "
    "`Answer: X`, where X is the letter of your option.",
    answer_template="Answer: {output}",
)
FOLLOWED: Final = PromptSpec(template="{question}", suffix=" ", continuations="choices")
"""A context, and behind one blank the texts that may follow it."""

LIKELIEST: Final = (ComponentChoice(component_id="builtin/likeliest", options={"gives": "text"}),)


def _one_word(words: Sequence[str]) -> PromptSpec:
    named = " or ".join(f"`Answer: {word}`" for word in words)
    return PromptSpec(
        suffix=f"\n\nReason as far as you need to, then end with one line: {named}.", answer_template="Answer: {output}"
    )


def _word_parsers(words: Sequence[str]) -> tuple[ComponentChoice, ...]:
    """Return what reads a word: the last line that states it as the answer, or an answer that is nothing else."""
    any_word = "|".join(words)
    patterns = (rf"(?im)^[^\w\n]*answer[^\w\n]+({any_word})\b", rf"(?i)\A[^\w]*({any_word})[^\w]*\Z")
    return tuple(ComponentChoice(component_id="builtin/regex", options={"pattern": pattern}) for pattern in patterns)


def accuracy(name: str, normalize: str = "none") -> ComponentChoice:
    """Return the accuracy of the likeliest choice, under a name of lm-evaluation-harness."""
    return ComponentChoice(
        component_id="builtin/likeliest_choice", options={"component_id": name, "normalize": normalize}
    )


_ACC: Final = accuracy("acc")
_NORMED: Final = (accuracy("acc_norm", "characters"), accuracy("acc_bytes", "bytes"), accuracy("acc_tokens", "tokens"))
"""Divided by characters, bytes and tokens: the first is what papers report; the last is OLMES's, arXiv 2406.08446."""


def two_forms(
    benchmark_id: str,
    dataset_id: str,
    *,
    asks: ItemOf,
    scores: Scores = "texts",
    normed_first: bool = True,
    words: Sequence[str] = (),
    options: int | None = None,
    **facts: Any,
) -> BenchmarkRecipe:
    """Return the recipe of multiple-choice questions in both forms.

    Args:
        benchmark_id: the benchmark's name.
        dataset_id: its dataset on the hub.
        asks: how a row becomes an item.
        scores: which texts are scored in the log-likelihood form.
        normed_first: whether it is `acc_norm` that papers report, where texts are scored.
        words: the options, where chat models answer with them and no letters.
        options: how many options every question has, if they all have as many.
        **facts: as for `hub_recipe`.
    """
    letters = ComponentChoice(
        component_id="builtin/choice_letter", options={} if options is None else {"options": options}
    )
    exact = ComponentChoice(component_id="builtin/exact_match_normalized", options={"normalization": "casefold"})
    of_texts = (*_NORMED[:1], _ACC, *_NORMED[1:]) if normed_first else (_ACC, *_NORMED)
    stated: dict[str, Any] = {
        "kind": "choice",
        "content": functools.partial(_content, item_of=asks, scores=scores, words=bool(words)),
        "forms": (CHAT, LIKELIHOOD),
        "prompt_spec": _one_word(words) if words else ONE_LETTER,
        "parsers": _word_parsers(words) if words else (letters,),
        "metrics": (exact,) if words else ("builtin/choice_accuracy",),
        "variant_facts": (
            VariantFacts(
                variant=LIKELIHOOD,
                prompt_spec=FOLLOWED,
                parsers=LIKELIEST,
                metrics=of_texts if scores == "texts" else (_ACC,),
            ),
        ),
        **facts,
    }
    return hub_recipe(benchmark_id, dataset_id, **stated)


def made(row: Mapping[str, Any], right: int, wrong: int, part: str = "", words: Sequence[str] = ()) -> list[Sample]:
    """Return a made row in both forms; `right` and `wrong` are numbers of options, from 0 on."""

    def said(place: int) -> str:
        return f"I compared the options one by one.\n\nAnswer: {words[place] if words else ascii_uppercase[place]}"

    chat, scored = (f"{part}:{form}" if part else form for form in (CHAT, LIKELIHOOD))
    return [
        Sample(row=row, right=said(right), wrong=said(wrong), variant=chat),
        Sample(row=row, right=right, wrong=wrong, variant=scored),
    ]
