"""What options may be, where several components ask the same of theirs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeGuard

from themis.pure.errors import SpecError, nearest


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value is a whole number from 1 up."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def count(instance: Any, attribute: Any, value: object) -> None:
    """Hold a component's option to a whole number from 1 up (an attrs validator)."""
    if not is_count(value):
        raise SpecError(f"{instance.component_id}: {attribute.name} must be a whole number from 1 up, found {value!r}")


def one_of(names: Collection[str]) -> Callable[[Any, Any, object], None]:
    """Return what holds a component's option to one of some names (an attrs validator)."""

    def check(instance: Any, attribute: Any, value: object) -> None:
        if value not in names:
            raise SpecError(
                f"{instance.component_id}: {attribute.name} must be one of {', '.join(names)}, found {value!r}; "
                f"{nearest(str(value), names)}"
            )

    return check
