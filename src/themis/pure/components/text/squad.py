"""Answer normalisation and token overlap as in the official SQuAD 2.0 evaluation, and as is right for numbers, too.

Source: Rajpurkar et al. 2016 (arXiv 1606.05250), section 6.1: lower case, no punctuation, no articles, single
blanks; F1 is taken over the bags of the tokens that are left. Rajpurkar et al. 2018 (arXiv 1806.03822) added the
rule for answers without tokens: two of them are equal, one of them shares nothing.

The paper's normalisation was made for names in English: it makes 314 of 3.14 and 5 of -5, and takes a Chinese sentence
for one word. Unless it is asked for, numbers keep their sign and the signs inside them (`3.14`, `1/2`, `10:30`, `1e-5`;
separators of thousands go), every script's punctuation goes, and words are those of `words`.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from typing import Final

from themis.pure.components.text.words import single_characters, without_punctuation

_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Return an answer without case, punctuation, articles and superfluous blanks.

    >>> normalize_answer("The  Eiffel-Tower!")
    'eiffeltower'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


_INSIDE: Final = re.compile(r"(?<=\d)[-.,:/^](?=\d)|(?<=\de)[-+](?=\d)|(?<![\w.,/:^-])-(?=\.?\d)|(?<![\w.])\.(?=\d)")
_THOUSANDS: Final = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_DASHES: Final = str.maketrans(dict.fromkeys("−–﹣－", "-"))  # noqa: RUF001  # what is written for a minus
_HELD: Final = {sign: chr(0x10000 + number) for number, sign in enumerate("-.,:/^+")}
"""Signs as letters of Linear B while punctuation goes."""
_RELEASED: Final = str.maketrans({held: sign for sign, held in _HELD.items()})


def normal_words(text: str) -> str:
    r"""Return an answer without case, punctuation, articles and superfluous blanks, its numbers as they are.

    >>> normal_words("The  Eiffel-Tower!"), normal_words("(3.14)"), normal_words("$1,234"), normal_words("\u22125")
    ('eiffeltower', '3.14', '1234', '-5')
    """
    text = unicodedata.normalize("NFKC", text).casefold().translate(_DASHES)
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", ""), text)
    text = without_punctuation(_INSIDE.sub(lambda sign: _HELD[sign[0]], text)).translate(_RELEASED)
    return " ".join(_ARTICLES.sub(" ", text).split())


def token_f1(prediction: str, reference: str, *, squad: bool = False) -> float:
    """Return the F1 of the two answers' tokens, 0 to 1; two answers without tokens are equal.

    Args:
        prediction: the answer.
        reference: what it is compared with.
        squad: normalise as the paper does, and split at blanks alone.

    >>> round(token_f1("the cat sat", "a cat sat down"), 3)
    0.8
    >>> token_f1("3.14", "314"), token_f1("3.14", "314", squad=True)
    (0.0, 1.0)
    """
    if squad:
        predicted, expected = normalize_answer(prediction).split(), normalize_answer(reference).split()
    else:
        predicted, expected = (single_characters(normal_words(text)) for text in (prediction, reference))
    if not predicted or not expected:
        return float(predicted == expected)
    shared = sum((Counter(predicted) & Counter(expected)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(expected)
    return 2 * precision * recall / (precision + recall)
