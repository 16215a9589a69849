"""Identities told by values: what is the same function, what is not, and what is left undecided."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sympy: Any = pytest.importorskip("sympy")

from themis.pure.components.math_identity import same_function  # noqa: E402  # it needs the library

x, y, n, a, b = sympy.symbols("x y n a b")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((x + 1) ** 2, x**2 + 2 * x + 1),
        (sympy.sin(x) ** 2 + sympy.cos(x) ** 2 + x, 1 + x),
        (sympy.cos(3 * x), 4 * sympy.cos(x) ** 3 - 3 * sympy.cos(x)),
        (1 / (sympy.sqrt(x) + sympy.sqrt(y)), (sympy.sqrt(x) - sympy.sqrt(y)) / (x - y)),
        (sympy.exp(x + y), sympy.exp(x) * sympy.exp(y)),
        (sympy.binomial(n, 2), n * (n - 1) / 2),
        (sympy.factorial(n + 1) / sympy.factorial(n), n + 1),
        (2**n * 2, 2 ** (n + 1)),
        ((x**2 - 1) / (x - 1), x + 1),
    ],
)
def test_identities_hold(one: Any, other: Any) -> None:
    assert same_function(one, other) is True
    assert same_function(other, one) is True
    assert same_function(one, other + sympy.Rational(1, 10**6)) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (sympy.sqrt(x**2), x),
        (sympy.log(x * y), sympy.log(x) + sympy.log(y)),  # not where the logarithm turns around
        (sympy.sqrt(x * y), sympy.sqrt(x) * sympy.sqrt(y)),
        ((x**2) ** sympy.Rational(1, 4), sympy.sqrt(x)),
        (x**y, y**x),
        (x, y),
        (x + y, x - y),
        (sympy.Abs(x), x),
        ((x + y) ** 150, (x - y) ** 150),
    ],
)
def test_what_holds_in_a_part_of_the_plane_is_no_identity(one: Any, other: Any) -> None:
    assert same_function(one, other) is False
    assert same_function(other, one) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (sympy.Integer(2), sympy.sqrt(4)),  # no variables: numbers are compared as such
        (x * 0.5, x / 2),
        (sympy.Function("f")(x), x),
        (sympy.Integral(x, x), x**2 / 2),
        (sympy.exp(sympy.exp(sympy.exp(sympy.exp(x)))), x),
        (x + sympy.oo, x),
        (sympy.floor(x), x),
        (sympy.Eq(x, y), x),
        (sympy.FiniteSet(x), x),
        (x + sympy.Rational(1, 10**15), x + sympy.Rational(2, 10**15)),
    ],
)
def test_what_values_can_not_tell_is_undecided(one: Any, other: Any) -> None:
    assert same_function(one, other) is None


def test_a_sum_of_a_thousand_terms_is_not_evaluated() -> None:
    assert same_function(sum(x**power for power in range(600)), x) is None


leaves = st.sampled_from([x, y, a, sympy.Integer(1), sympy.Integer(2), sympy.Rational(2, 3), sympy.sqrt(2)])
expressions = st.recursive(
    leaves,
    lambda below: st.one_of(
        st.tuples(below, below).map(lambda pair: pair[0] + pair[1]),
        st.tuples(below, below).map(lambda pair: pair[0] * pair[1]),
        st.tuples(below, st.integers(2, 3)).map(lambda pair: pair[0] ** pair[1]),
        below.map(sympy.sin),
    ),
    max_leaves=6,
)


@given(expressions, expressions)
def test_rewriting_changes_nothing_and_adding_does(one: Any, other: Any) -> None:
    whole = (one + x) * (other + 1)
    assert same_function(whole, sympy.expand(whole)) in (True, None)
    assert same_function(whole, sympy.expand(whole) + y / 7) in (False, None)
    assert same_function(whole, other) is same_function(other, whole)
