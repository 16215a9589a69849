"""Answer normalisation and token overlap as in the official SQuAD 2.0 evaluation.

Source: Rajpurkar et al. 2016 (arXiv 1606.05250), section 6.1: lower case, no punctuation, no articles, single
blanks; F1 is taken over the bags of the tokens that are left. Rajpurkar et al. 2018 (arXiv 1806.03822) added the
rule for answers without tokens: two of them are equal, one of them shares nothing.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Final

_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Return an answer without case, punctuation, articles and superfluous blanks.

    >>> normalize_answer("The  Eiffel-Tower!")
    'eiffeltower'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def token_f1(prediction: str, reference: str) -> float:
    """Return the F1 of the two answers' tokens, 0 to 1; two answers without tokens are equal.

    >>> round(token_f1("the cat sat", "a cat sat down"), 3)
    0.8
    """
    predicted, expected = normalize_answer(prediction).split(), normalize_answer(reference).split()
    if not predicted or not expected:
        return float(predicted == expected)
    shared = sum((Counter(predicted) & Counter(expected)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(expected)
    return 2 * precision * recall / (precision + recall)
