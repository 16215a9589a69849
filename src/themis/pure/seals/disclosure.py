"""Which cases of a seal are shown: named by their ids, by what their metadata say, or all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.errors import DataError, listed, nearest
from themis.pure.identity import case_key
from themis.pure.report.grouping import group_name
from themis.pure.seals.content import leaf_data
from themis.pure.seals.layout import Leaf

ALL: Final = "all"
RUN: Final = "run"
_MOST_NAMES: Final = 2000
"""Case ids that are held, to find the one that a misspelt one may mean."""


@attrs.define
class Disclosure:
    """What of a seal is shown.

    A case is named by its id, its key (where several datasets have the id), `KEY=VALUE` of its metadata, or
    `dataset=ID`; `all` names all cases, and `run` what is told of the run.

    Attributes:
        hide: what is hidden.
        show: what is shown of the rest; `None` shows all of it.
    """

    hide: Sequence[str] = ()
    show: Sequence[str] | None = None
    _met: set[str] = attrs.field(factory=set, init=False)
    _names: set[str] = attrs.field(factory=set, init=False)
    _hides: bool = attrs.field(default=False, init=False)

    def chosen(self, leaves: Iterable[Leaf]) -> set[int]:
        """Return the numbers of the leaves that are shown.

        Raises:
            DataError: a name names no case whose data the file shows; all such at once.
        """
        shown = {leaf.number for leaf in leaves if self._is_shown(leaf)}
        self._refuse_unmet()
        if RUN in self.hide or (self._hides and RUN not in (self.show or ())):
            shown.discard(0)
        return shown

    def _is_shown(self, leaf: Leaf) -> bool:
        if leaf.number == 0:
            return leaf.data is not None
        if leaf.data is None:
            self._hides = True
            return False
        if not self.hide and self.show is None:
            return True
        data = leaf_data(leaf)
        is_shown = self._is_named(data, self.show) if self.show is not None else True
        is_hidden = self._is_named(data, self.hide)
        self._hides |= is_hidden or not is_shown
        return is_shown and not is_hidden

    def _is_named(self, data: Mapping[str, Any], names: Sequence[str]) -> bool:
        case, dataset_id = _object(data, "case"), str(data.get("dataset_id"))
        case_id = str(case.get("case_id"))
        if len(self._names) < _MOST_NAMES:
            self._names.add(case_id)
        known = {ALL, case_id, case_key(dataset_id, case_id), f"dataset={dataset_id}"}
        known |= {f"{key}={group_name(value)}" for key, value in _object(case, "metadata").items()}
        met = known.intersection(names) - {RUN}
        self._met |= met
        return bool(met)

    def _refuse_unmet(self) -> None:
        unmet = [name for name in (*self.hide, *(self.show or ())) if name not in {*self._met, ALL, RUN}]
        if unmet:
            faults = [f"{name!r}: {nearest(name, self._names)}" for name in unmet]
            raise DataError(listed("no case whose data are there is called so, or has this in its metadata", faults))


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object of what a file shows; an empty one if it is none, for anybody may have written it."""
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}
