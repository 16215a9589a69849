"""The JSONL store's folder: its names, its mark, and what its runs share."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from themis.effects.files import UNFINISHED, make_folder, open_plain, refused, whole_file
from themis.effects.stores.base import newer
from themis.effects.stores.locks import lock
from themis.pure.errors import StoreError, ThemisError
from themis.pure.json import decode, encode
from themis.pure.records.dataset import Case

_FORMAT_VERSION: Final = 1
_MARK: Final = "themis-store.json"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_BLOB_REF: Final = re.compile(rb'_blob_ref":"([0-9a-f]{64})"')


@attrs.frozen
class StoreFolder:
    """The folder of a JSONL store."""

    path: Path

    def open(self) -> None:
        """Open the folder, making it if it is missing."""
        with self.files():
            mark = self.path / _MARK
            if mark.exists():
                self._check(mark)
            elif self.path.exists() and any(not found.name.startswith(UNFINISHED) for found in self.path.iterdir()):
                raise StoreError(f"{self.path} is a folder of something else: name another path for the store")
            else:
                make_folder(self.path)
                write(mark, [encode({"format": "themis-jsonl", "version": _FORMAT_VERSION}), b"\n"])

    def _check(self, mark: Path) -> None:
        try:
            found = decode(mark.read_bytes())
            is_ours = found["format"] == "themis-jsonl"
            version = int(found["version"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{mark} can't be read ({error}); restore it from a copy") from error
        if not is_ours:
            raise StoreError(f"{mark} is the mark of something else: name another path for the store")
        if version > _FORMAT_VERSION:
            raise newer(self.path, "format", version, _FORMAT_VERSION)

    @contextlib.contextmanager
    def files(self) -> Iterator[None]:
        """Turn what the file system refuses into an error that says what to do."""
        try:
            yield
        except OSError as error:
            raise refused(error, self.path) from error

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold what runs share, the datasets and blobs, while something is added to it or taken away."""
        with self.files():
            (self.path / "locks").mkdir(exist_ok=True)
            path = self.path / "locks" / "shared.lock"
            with open_plain(path, "a") as file:
                lock(file, path)
                yield

    def run(self, run_id: str) -> Path:
        """Return a run's folder, which may not be there. A run id is a hash: nothing else may become a path."""
        return self.path / "runs" / (run_id if _HASH.fullmatch(run_id) else "none")

    def cases(self, key: str) -> Path:
        """Return the file of a dataset's cases, which may not be there."""
        return self.path / "datasets" / f"{key if _HASH.fullmatch(key) else 'none'}.jsonl"

    def blob(self, ref: str) -> Path:
        """Return the file of a blob, which may not be there."""
        name = ref if _HASH.fullmatch(ref) else "none"
        return self.path / "blobs" / name[:2] / name

    def header(self, folder: Path) -> Any:
        """Return what a run's `run.json` says."""
        path = folder / "run.json"
        with self.files():
            content = path.read_bytes()
        try:
            header = decode(content)
            _ = header["snapshot"], header["created_at"]
            odd = [entry for entry in header["datasets"] if not (_HASH.fullmatch(entry["key"]) and entry["cases"] >= 0)]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} can't be read ({error}); restore it from a copy. Nothing was changed") from error
        if odd:
            raise StoreError(f"{path} names a dataset as no store does ({odd[0]}); restore it from a copy")
        return header

    def dataset(self, key: str) -> Path:
        """Return the file of a dataset's cases, which must be there."""
        path = self.cases(key)
        if not path.exists():
            raise StoreError(f"{path} is missing; restore it from a copy. Nothing was changed")
        return path

    def runs(self) -> Iterator[Path]:
        with self.files():
            runs = self.path / "runs"
            if runs.exists():
                yield from (runs / name for name in os.listdir(runs) if _HASH.fullmatch(name))  # noqa: PTH208  # names


def read_cases(path: Path, count: int) -> Iterator[Case]:
    """Yield the cases of a stored dataset."""
    number = 0
    try:
        with path.open("rb") as file:
            for line in file:
                number += 1
                yield Case.from_dict(decode(line))
    except (OSError, ValueError, ThemisError) as error:
        raise StoreError(f"{path}, line {number}: {error}; restore the file from a copy") from error
    if number != count:
        raise StoreError(f"{path} has {number} of {count} cases; restore the file from a copy")


def write(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file of the store, and the folder that it is in if need be."""
    make_folder(path.parent)
    with whole_file(path) as file:
        file.writelines(parts)


def blobs_of(folder: Path) -> set[str]:
    """Return the blobs that a run's events refer to."""
    with (folder / "events.jsonl").open("rb") as file:
        return {ref.decode() for line in file for ref in _BLOB_REF.findall(line)}
