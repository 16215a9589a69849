"""Rows of what others hold tables in, known by what it can do and not by its library, which need not be installed.

Taken are data frames of pandas and polars, tables of pyarrow, datasets of Hugging Face `datasets`, and any iterable of
rows. What stands for a missing value (NaN, NaT, NA) is `None`; numbers of NumPy are Python's; dates are text.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from themis.pure.errors import DataError


def rows_of(data: Any) -> list[Any]:
    """Return a table's rows, as mappings from column to value; of other iterables the items as they are.

    Raises:
        DataError: it is no table, or several: a single row, columns, or a dataset by its splits.
    """
    if not hasattr(data, "iter_rows") and callable(getattr(data, "collect", None)):  # a lazy frame of polars
        data = data.collect()
    if callable(getattr(data, "iter_rows", None)):  # polars
        return _plain_rows(data.iter_rows(named=True))
    if callable(getattr(data, "to_pylist", None)):  # pyarrow
        return _plain_rows(data.to_pylist())
    if callable(getattr(data, "iterrows", None)):  # pandas
        _refuse_twins(data.columns)
        return _plain_rows(data.to_dict(orient="records"))
    if hasattr(data, "column_names") and not isinstance(data, Mapping):  # datasets
        # As they are, and not as tensors or frames of the library that they are shown in.
        return _plain_rows(data.with_format(None) if callable(getattr(data, "with_format", None)) else data)
    if isinstance(data, Mapping):
        raise DataError(f"data: {_instead_of_mapping(data)}")
    if isinstance(data, bytes | bytearray) or not isinstance(data, Iterable):
        raise DataError(f"data: rows, cases, a table, or a file's path expected; found {type(data).__name__}")
    return list(data)


def _refuse_twins(columns: Iterable[Any]) -> None:
    """Refuse columns of one name, of which rows could hold only one."""
    twins = [str(name) for name, count in Counter(columns).items() if count > 1]
    if twins:
        raise DataError(f"data: several columns are named {', '.join(twins)}; give each a name of its own")


def _instead_of_mapping(data: Mapping[Any, Any]) -> str:
    names = ", ".join(map(repr, list(data)[:5]))
    if any(hasattr(value, "column_names") for value in data.values()):
        return f"a dataset by its splits; give one of them, as in data[{next(iter(data))!r}] (splits found: {names})"
    if data and all(isinstance(value, list | tuple) for value in data.values()):
        return f"a list of rows expected, found columns: {names}; make a row of each case, as in {{'input': ...}}"
    return f"a list of rows expected, found one mapping with {names or 'nothing'}; put a single row into a list"


def _plain_rows(rows: Iterable[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    if type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if hasattr(value, "dtype") and callable(
        getattr(value, "tolist", None)
    ):  # of NumPy: an array, or one of its numbers
        return _plain(value.tolist())
    return value
