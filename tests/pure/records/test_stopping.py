"""The rule that ends a run: as a record, as text, and what is no rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import SpecError
from themis.pure.records.stopping import StoppingRule, as_rule, read_rule

RULES = st.builds(
    StoppingRule,
    metric_id=st.sampled_from(("exact_match", "builtin/f1", "my.module:metric", "a b")),
    operator=st.sampled_from((">=", ">", "<=", "<")),
    value=st.floats(-1e6, 1e6, allow_subnormal=False),
    alpha=st.floats(1e-9, 0.5),
    every=st.integers(1, 10**6),
    seed=st.integers(-5, 2**40),
    cluster_by=st.none() | st.sampled_from(("topic", "user id")),
    of=st.sampled_from(("population", "cases")),
)


@given(RULES)
def test_a_rule_comes_back_from_its_text_and_from_its_data(rule: StoppingRule) -> None:
    assert read_rule(str(rule)) == rule
    assert StoppingRule.from_dict(rule.to_dict()) == rule


def test_the_text_of_a_rule_says_what_differs_from_the_default_and_no_more() -> None:
    assert str(read_rule(" exact_match >= 0.80 ,every = 50, seed=1")) == "exact_match>=0.8, seed=1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exact_match", "METRIC>=X (or >, <=, <) expected first, found 'exact_match'"),
        ("exact_match>=high", "expected first, found 'exact_match>=high'"),
        ("exact_match>=nan", "expected first"),
        ("exact_match==0.8", "expected first"),
        (">=0.8", "expected first"),
        ("", "expected first, found ''"),
        ("exact_match>=0.8, evry=3", "'evry=3' is no option; did you mean every?"),
        ("exact_match>=0.8, every", "'every' is no option"),
        ("exact_match>=0.8, every=1, every=2", "every is given twice"),
        ("exact_match>=0.8, every=0.5", "every: a number expected, found '0.5'"),
        ("exact_match>=0.8, every=0", "every: a whole number from 1 up expected, found 0"),
        ("exact_match>=0.8, alpha=5", "alpha: an error rate from 1e-9 to 0.5 expected, such as 0.05; found 5.0"),
        ("exact_match>=0.8, of=all", "of: 'population' or 'cases' expected, found 'all'"),
    ],
)
def test_what_is_no_rule_says_why(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_rule(text)
    assert said in str(caught.value)
    assert "such as 'exact_match>=0.8'" in str(caught.value)


def test_all_faults_of_a_rule_are_told_at_once() -> None:
    with pytest.raises(SpecError, match=r"(?s)3 problems.*found 'exact_match'.*'evry=3' is no option.*seed: a number"):
        read_rule("exact_match, evry=3, seed=x")


def test_several_rules_are_refused_with_what_to_do() -> None:
    with pytest.raises(SpecError, match="one rule decides when a run stops; gate the other metrics"):
        as_rule(["a>=0.5", "b>=0.5"])
    with pytest.raises(SpecError, match="text such as"):
        as_rule(3)
    assert as_rule(None) is None
