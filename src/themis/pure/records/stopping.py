"""When a run may stop early: the rule, which is part of its identity, and what came of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import attrs

from themis.pure.errors import SpecError, listed, nearest
from themis.pure.identity import SHUFFLE_VERSION
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import finite, named_fields, non_empty

Operator: TypeAlias = Literal[">=", ">", "<=", "<"]
Of: TypeAlias = Literal["population", "cases"]
"""What a mean is of: the population that the cases stand for, or these cases and no others."""

_CONDITION: Final = re.compile(r"(.*[^\s<>=!])\s*(>=|<=|>|<)([^<>=]+)", re.DOTALL)
EXAMPLE: Final = "'exact_match>=0.8', or with options 'exact_match>=0.8, every=100, alpha=0.01'"


def _alpha(record: object, field: Any, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-9 <= value <= 0.5:
        raise SpecError(f"{field.name}: an error rate from 1e-9 to 0.5 expected, such as 0.05; found {value!r}")


def _whole(record: object, field: Any, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or (field.name == "every" and value < 1):
        least = " from 1 up" if field.name == "every" else ""
        raise SpecError(f"{field.name}: a whole number{least} expected, found {value!r}")


def _known(record: object, field: Any, value: object) -> None:
    allowed = get_args(Of if field.name == "of" else Operator)
    if value not in allowed:
        raise SpecError(f"{field.name}: {' or '.join(map(repr, allowed))} expected, found {value!r}")


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StoppingRule(HashableModel):
    """Stop as soon as it is clear whether a metric's mean reaches a value.

    Written as text it is `exact_match>=0.8`, and options follow after commas: `exact_match>=0.8, every=100, seed=1`.

    Attributes:
        metric_id: the metric; it must state its `score_range`.
        operator: `>=`, `>`, `<=` or `<`; no sample tells `>` from `>=`, so they are decided alike.
        value: what the mean is held against, strictly within the metric's range.
        alpha: the chance to decide wrongly, of both sides together, however often one looks.
        every: how many cases come between two looks.
        seed: of the order of cases.
        cluster_by: a key of the cases' metadata; cases with the same value there stay together, and one looks between
            such clusters.
        of: whose mean: that of the `population` that the cases stand for, as with every other interval; or that of
            these `cases` alone, which a whole run would know exactly, and which takes fewer of them.
        order: the version of the order that a seed gives.
    """

    metric_id: str = attrs.field(validator=non_empty)
    operator: Operator = attrs.field(default=">=", validator=_known)
    value: float = attrs.field(validator=finite)
    alpha: float = attrs.field(default=0.05, validator=_alpha)
    every: int = attrs.field(default=50, validator=_whole)
    seed: int = attrs.field(default=0, validator=_whole)
    cluster_by: str | None = None
    of: Of = attrs.field(default="population", validator=_known)
    order: str = attrs.field(default=SHUFFLE_VERSION, validator=non_empty)

    @property
    def condition(self) -> str:
        """The condition alone, as a gate would write it."""
        short = f"{self.value:g}"
        return f"{self.metric_id}{self.operator}{short if float(short) == self.value else repr(self.value)}"

    def __str__(self) -> str:
        options = [
            f"{name}={getattr(self, name)}"
            for name, field in attrs.fields_dict(type(self)).items()
            if name in _OPTIONS and getattr(self, name) != field.default
        ]
        return ", ".join([self.condition, *options])


_OPTIONS: Final[Mapping[str, type]] = {"every": int, "alpha": float, "seed": int, "cluster_by": str, "of": str}


def read_rule(text: str) -> StoppingRule:
    """Read a rule from text.

    Raises:
        SpecError: it is none; every fault at once.

    >>> read_rule("exact_match>=0.8, every=100").every
    100
    >>> str(read_rule("builtin/f1 < 0.25, cluster_by=topic, seed=0"))
    'builtin/f1<0.25, cluster_by=topic'
    """
    condition, *options = (part.strip() for part in text.split(","))
    found = read_condition(condition)
    faults: list[str] = []
    if found is None:
        faults.append(f"METRIC>=X (or >, <=, <) expected first, found {condition!r}")
    given: dict[str, Any] = {}
    for option in options:
        name, equals, value = (part.strip() for part in option.partition("="))
        if not equals or name not in _OPTIONS:
            faults.append(f"{option!r} is no option; {nearest(name, _OPTIONS)}, as in 'every=100'")
        elif name in given:
            faults.append(f"{name} is given twice")
        else:
            try:
                given[name] = _OPTIONS[name](value)
            except ValueError:
                faults.append(f"{name}: a number expected, found {value!r}")
    if found is not None and not faults:
        metric, operator, number = found
        try:
            return StoppingRule(metric_id=metric, operator=operator, value=number, **given)
        except SpecError as error:
            faults.append(str(error))
    raise SpecError(listed(f"{text!r} is no rule for stopping, such as {EXAMPLE}", faults))


def read_condition(text: str) -> tuple[str, Operator, float] | None:
    """Read `METRIC>=X`, or the same with `>`, `<=` or `<`; `None` if it is not of that form, or X not finite."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        return None
    metric, operator, number = found.groups()
    try:
        value = float(number)
    except ValueError:
        return None
    return (metric.strip(), cast(Operator, operator), value) if math.isfinite(value) else None


def as_rule(value: object) -> StoppingRule | None:
    """Take a rule, or its text; nothing is no rule.

    Raises:
        SpecError: it is neither; several rules are none.
    """
    if value is None or isinstance(value, StoppingRule):
        return value
    if isinstance(value, str):
        try:
            return read_rule(value)
        except SpecError as error:
            raise SpecError(f"until: {error}") from None
    is_list = isinstance(value, list | tuple)
    several = "one rule decides when a run stops; gate the other metrics with --require: " if is_list else ""
    raise SpecError(f"until: {several}text such as {EXAMPLE} expected, found {value!r}")
