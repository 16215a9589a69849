"""The scorers of other tools whose rules are known: by the name that the reader of a log gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from themis.pure.interchange.scorers import inspect, lm_eval, promptfoo
from themis.pure.interchange.scorers.answered import Answered, Rule
from themis.pure.json import thaw


def _equals_expected(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """pydantic-evals 2.62, `EqualsExpected`: Python's own equality; nothing where nothing is expected."""
    expected = answered.case.expected_output
    return None if expected is None else float(thaw(answered.answer) == thaw(expected))


def _equals(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """pydantic-evals 2.62, `Equals(value)`."""
    return float(thaw(answered.answer) == thaw(options["value"])) if "value" in options else None


def _contains(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """pydantic-evals 2.62, `Contains(value, case_sensitive)`, of texts."""
    value, said = options.get("value"), answered.answer
    if not isinstance(value, str) or not isinstance(said, str):
        return None
    fold = str if options.get("case_sensitive", True) else str.lower
    return float(fold(value) in fold(said))


def _stripped(answered: Answered, options: Mapping[str, Any]) -> float | None:
    """deepeval 4.3, `ExactMatchMetric`."""
    expected = answered.case.expected_output
    return float(answered.text.strip() == expected.strip()) if isinstance(expected, str) else None


RULES: Final[Mapping[str, Rule]] = {
    "inspect/match": inspect.match,
    "inspect/includes": inspect.includes,
    "inspect/pattern": inspect.pattern,
    "inspect/answer": inspect.answer,
    "inspect/exact": inspect.exact,
    "inspect/choice": inspect.choice,
    "lm-eval/exact_match": lm_eval.exact_match,
    "lm-eval/acc": lm_eval.accuracy,
    "promptfoo/assert": promptfoo.asserted,
    "pydantic-evals/EqualsExpected": _equals_expected,
    "pydantic-evals/Equals": _equals,
    "pydantic-evals/Contains": _contains,
    "deepeval/Exact Match": _stripped,
}


def recomputed(scorer: Mapping[str, Any], answered: Answered) -> float | None:
    """Return what a scorer, as a log states it, makes of an answer; `None` where that can't be told.

    Args:
        scorer: its `name` in the table, with its options beside it.
        answered: what it scores.
    """
    rule = RULES.get(str(scorer.get("name")))
    options = scorer.get("options")
    return None if rule is None else rule(answered, options if isinstance(options, Mapping) else {})
