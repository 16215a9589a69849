"""Bundle files: a bundle as one JSON document that is written and read record by record.

The document is what `bundle.to_dict()` returns, laid out so that every case and every record has a line of its own:

    {"digest":"1f...","kind":"score",...,"snapshot":{...,"datasets":[
    {"dataset_id":"sums",...,"cases":[
    {"case_id":"1",...},
    {"case_id":"2",...}
    ]}
    ]},"records":[
    {"candidate_id":...,"cache_key":"5d...","digest":"7c..."},
    {"candidate_id":...,"cache_key":"09...","digest":"e0..."}
    ],"head":"e0..."}

So any JSON parser reads it, and this module needs no more memory for a million records than for one. A document that
is laid out otherwise (by hand, by another program) is read as a whole.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from themis.api.arguments import checked
from themis.api.bundles.compression import compressed, opened
from themis.api.bundles.transfer import export_parts, import_bundle, import_parts
from themis.api.stores import Storage
from themis.effects.files import whole_file
from themis.effects.stores.base import ReadCases
from themis.pure.bundles.records import (
    BUNDLE_TYPES,
    DATASETS,
    END,
    HEAD,
    RECORDS,
    Bundle,
    BundleKind,
    Keyed,
    bundle_from_dict,
    bundle_kind,
    check_head,
    document,
    header_from_dict,
    read_record,
)
from themis.pure.errors import DataError, SchemaVersionError, ThemisError
from themis.pure.json import decode
from themis.pure.protocols import RunStore
from themis.pure.records.base import FrozenModel
from themis.pure.records.dataset import Case

_OPEN_ENDED: Final = b"]}}"
"""Closes the first line, which is a whole document but for its cases and events."""

_LONGEST_LINE: Final = 1 << 28
"""Bytes of one record, several times what a generation may hold. A small file may unpack to more than memory holds."""

_LARGEST_WHOLE: Final = 1 << 30
"""Bytes of a bundle that has to be read as a whole."""


@attrs.frozen(kw_only=True)
class ImportedBundle(FrozenModel):
    """What was taken from a bundle file: the run, the kind, and how many events were new to the store."""

    run_id: str
    kind: BundleKind
    new_events: int


# --- writing ----------------------------------------------------------------------------------------------


@checked
def write_bundle(store: RunStore | Storage, run_id: str, kind: str, path: str | Path) -> Path:
    """Write a stage of a run into a file, which is there whole or not at all.

    Args:
        store: where the run is.
        run_id: the run.
        kind: `generation`, `reduction`, `parse`, `score` or `evaluation`.
        path: the file, replaced if it is there; gzipped if its name ends in `.gz`, Zstandard if in `.zst`.

    Returns:
        The file's path.

    Raises:
        DataError: no such kind, or the file can't be written.
        MissingExtraError: a `.zst` file needs the extra `zstd`.
        RunNotFoundError: the store has no such run.
    """
    target, name = Path(path), bundle_kind(kind)
    header, cases = export_parts(store, run_id, BUNDLE_TYPES[name])
    try:
        with whole_file(target) as raw, compressed(raw, target.suffix) as file:
            file.writelines(document(header, cases))
    except OSError as error:
        raise DataError(f"{target}: can't be written: {error}") from error
    return target


# --- reading ----------------------------------------------------------------------------------------------


@checked
def read_bundle(path: str | Path) -> Bundle:
    """Read a bundle file of any layout into memory.

    Args:
        path: the file; gzipped if its name ends in `.gz`, Zstandard if in `.zst`.

    Raises:
        DataError: the file is missing, damaged, or no bundle.
        SchemaVersionError: a newer Themis wrote it.
    """
    source = Path(path)
    pieces, room = [], _LARGEST_WHOLE
    with opened(source) as file:
        while piece := file.read(1 << 20):
            pieces.append(piece)
            room -= len(piece)
            if room < 0:
                raise DataError(
                    f"{source}: unpacked it is larger than {_LARGEST_WHOLE:,} bytes, and not laid out in lines; a "
                    "bundle that Themis exported is read line by line, of any size"
                )
    try:
        data = decode(b"".join(pieces))
    except ValueError as error:
        raise DataError(f"{source}: not a bundle, for it is not JSON (is it cut off?): {error}") from None
    if not isinstance(data, dict):
        raise DataError(f"{source}: a bundle is a JSON object, and {type(data).__name__} was found")
    with _named(source):
        return bundle_from_dict(data)


@contextlib.contextmanager
def _named(path: Path, line: int | None = None) -> Iterator[None]:
    where = str(path) if line is None else f"{path}:{line}"
    try:
        yield
    except SchemaVersionError as error:
        raise SchemaVersionError(f"{where}: {error}") from None
    except (ThemisError, ValueError) as error:
        raise DataError(f"{where}: {error}") from None


@checked
def import_bundle_file(store: RunStore | Storage, path: str | Path) -> ImportedBundle:
    """Take a bundle file into a store, all or nothing, holding only a part of it at a time.

    Args:
        store: where to.
        path: the file, as for `read_bundle`.

    Raises:
        DataError: the file can't be read, or the bundle is refused: see `import_generation_bundle`.
    """
    source = Path(path)
    bundle = _streamed_header(source)
    try:
        if bundle is None:
            bundle = read_bundle(source)
            new = import_bundle(store, bundle)
        else:
            with contextlib.closing(_read_events(source)) as events:
                new = import_parts(store, bundle, events)
    except DataError as error:
        if str(error).startswith(str(source)):
            raise
        raise DataError(f"{source}: {error}") from error
    return ImportedBundle(run_id=bundle.run_id, kind=bundle.kind, new_events=new)


Part = Literal["header", "dataset", "case", "record", "head"]


def _parts(path: Path) -> Generator[tuple[Part, int, bytes], None, None]:
    """Yield the lines of a bundle file with what they are and their numbers; raise if the file ends too early."""
    part: Part = "header"
    number, before = 0, b"["
    with opened(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
            if len(line) > _LONGEST_LINE:
                raise DataError(f"{path}:{number}: a line of more than {_LONGEST_LINE:,} bytes, which no record has")
            text = line.rstrip(b"\r\n")
            # Behind a comma comes an item, behind an item without one the array's end; behind a bracket, either.
            if before != b"[" and (text[:1] == b"]") == (before == b","):
                raise DataError(f"{path}:{number}: a comma is missing before this line, or one is too many")
            before, item = text[-1:], text[:-1] if text.endswith(b"},") else text
            if part == "record" and text.startswith(HEAD):
                yield "head", number, text.removeprefix(b"],")
                # To the end, where a compressed file has its checksum; and no further than blanks go.
                if any(rest.strip() for rest in iter(lambda: file.read(1 << 16), b"")):
                    raise DataError(f"{path}:{number + 1}: there is more after the bundle's end")
                return
            if part == "dataset" and text == RECORDS:
                part = "record"
            elif part == "case" and item == END:
                part = "dataset"
            else:
                yield part, number, item
                part = _AFTER[part]
    raise DataError(f"{path}:{number}: the bundle ends here, in the middle: the file is cut off; export it again")


_AFTER: Final[Mapping[Part, Part]] = {"header": "dataset", "dataset": "case", "case": "case", "record": "record"}


def _streamed_header(path: Path) -> Bundle | None:
    """Return a bundle without its events, its cases read as needed; `None` if the file has another layout."""
    datasets: list[dict[str, Any]] = []
    counts: list[int] = []
    with contextlib.closing(_parts(path)) as parts:
        _, _, first = next(parts)
        if not first.endswith(DATASETS):
            return None
        for part, number, text in parts:
            if part == "dataset":
                with _named(path, number):
                    datasets.append(decode(text + END))
                counts.append(0)
            elif part == "case":
                counts[-1] += 1
            else:
                break
    with _named(path, 1):
        data = decode(first + _OPEN_ENDED)
        if isinstance(data.get("snapshot"), dict):
            data["snapshot"]["datasets"] = datasets
        bundle = header_from_dict(data)
    sources = [
        dataset.evolve(cases=ReadCases(count, functools.partial(_read_cases, path, place)))
        for place, (dataset, count) in enumerate(zip(bundle.snapshot.datasets, counts, strict=True))
    ]
    return bundle.evolve(snapshot=bundle.snapshot.evolve(datasets=sources))


def _read_cases(path: Path, dataset: int) -> Iterator[Case]:
    """Yield the cases of one of a bundle file's datasets."""
    place = -1
    with contextlib.closing(_parts(path)) as parts:
        for part, number, text in parts:
            place += part == "dataset"
            if part in ("record", "head") or place > dataset:
                return
            if part == "case" and place == dataset:
                with _named(path, number):
                    yield Case.from_dict(decode(text))


def _read_events(path: Path) -> Generator[Keyed, None, None]:
    head = ""
    with contextlib.closing(_parts(path)) as parts:
        for part, number, text in parts:
            keyed: Keyed | None = None
            with _named(path, number):
                if part == "header":
                    head = decode(text + _OPEN_ENDED)["digest"]
                elif part == "record":
                    keyed, head = read_record(head, decode(text))
                elif part == "head":
                    check_head(decode(b"{" + text).get("head"), head)
            if keyed is not None:
                yield keyed
