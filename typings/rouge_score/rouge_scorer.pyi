from collections.abc import Mapping, Sequence
from typing import NamedTuple

class Score(NamedTuple):
    precision: float
    recall: float
    fmeasure: float

class RougeScorer:
    def __init__(self, rouge_types: Sequence[str], use_stemmer: bool = ...) -> None: ...
    def score(self, target: str, prediction: str) -> Mapping[str, Score]: ...
