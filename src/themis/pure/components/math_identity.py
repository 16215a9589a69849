"""Whether two expressions are the same function of their variables, told by their values.

An identity that holds at points drawn from a continuum holds everywhere (Schwartz 1980; Zippel 1979, for polynomials;
analytic functions agree on a neighbourhood or nearly nowhere). The points are fixed, complex, and of no special form,
so the answer is the same in every process and takes time in proportion to the expression: simplification takes a way
that depends on how a process's hashes fall, and no bound.

Undecided, and left to whoever asks: what has no value at a point, what is no ordinary function, decimals, towers of
powers, and two values that agree too far for chance and not far enough for an identity.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

_DIGITS: Final = 30
_SAME: Final = Fraction(1, 10**25)
_APART: Final = Fraction(1, 10**10)
_SMALLEST: Final = Fraction(1, 10**60)
_TALLEST: Final = 2
_LARGEST: Final = 1000
"""Operations in an expression that is evaluated."""

# Real and imaginary parts, one pair for each variable and as many more as are needed, from pi's and e's digits: in the
# right half plane; in the left one; positive; near the negative axis.
_POINTS: Final = (
    (("1.3141592653589793", "0.7384626433832795"), ("0.6718281828459045", "1.2353602874713527")),
    (("-0.8841971693993751", "1.0582097494459231"), ("-1.4669676277240766", "0.3035354759457138")),
    (("2.0781640628620899", "0"), ("0.5217852516642743", "0")),
    (("-0.3482534211706798", "0.0214808651328231"), ("-1.7193200305992181", "0.0741359662904357")),
)


def same_function(expected: Any, found: Any) -> bool | None:
    """Compare two sympy expressions; `None` is undecided."""
    from sympy import Expr

    if not all(isinstance(one, Expr) and _is_plain(one) for one in (expected, found)):
        return None
    names = sorted(expected.free_symbols | found.free_symbols, key=str)
    if not names or len({str(name) for name in names}) < len(names):
        return None
    verdicts = [_at(_point(names, parts), expected, found) for parts in _POINTS]
    if False in verdicts:
        return False
    # A point where one of them has no value says nothing; two that agree by more than chance say enough.
    return True if verdicts.count(True) >= 2 and "close" not in verdicts else None


def _is_plain(expression: Any) -> bool:
    """Tell whether an expression is built of numbers, variables and ordinary functions, of a size to evaluate."""
    import sympy
    from sympy.core.function import AppliedUndef

    if expression.is_commutative is not True or expression.count_ops() > _LARGEST:
        return False
    strange = (sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.Derivative, sympy.Subs, AppliedUndef)
    many = (sympy.Float, sympy.Piecewise, sympy.floor, sympy.ceiling, sympy.Mod, sympy.nan, sympy.zoo, sympy.oo)
    return not expression.has(*strange, *many, -sympy.oo) and _height(expression) <= _TALLEST


def _height(expression: Any) -> int:
    """Return how many powers with exponents other than small numbers stand in each other's exponents."""
    below = max(map(_height, expression.args), default=0)
    if not (expression.is_Pow or expression.func.__name__ in {"exp", "factorial", "gamma", "cosh", "sinh", "tanh"}):
        return below
    exponent = expression.args[-1]
    return max(below, _height(exponent) + (0 if exponent.is_Rational else 1))


def _point(names: list[Any], parts: tuple[tuple[str, str], tuple[str, str]]) -> dict[Any, Any]:
    from sympy import I, Rational

    (real, imaginary), (real_step, imaginary_step) = [tuple(map(Rational, pair)) for pair in parts]
    # The steps are taken around a short interval, so that the values of many variables stay near each other.
    return {
        name: real + (real_step * number) % 1 + I * (imaginary + (imaginary_step * number) % 1 / 3)
        for number, name in enumerate(names)
    }


def _at(point: dict[Any, Any], expected: Any, found: Any) -> bool | str | None:
    """Compare two values: the same, apart, `close` (neither of both), or `None` where there are none."""
    values = []
    for one in (expected, found):
        value = one.evalf(_DIGITS, subs=point)
        parts = value.as_real_imag()
        if not all(part.is_Float or part.is_Rational for part in parts):
            return None
        values.append([Fraction(str(part)) for part in parts])
    sizes = [abs(real) + abs(imaginary) for real, imaginary in values]
    if max(sizes) == 0:
        return True
    if min(sizes) < _SMALLEST:
        return None
    apart = sum(abs(one - other) for one, other in zip(*values, strict=True)) / max(sizes)
    return True if apart <= _SAME else False if apart > _APART else "close"
