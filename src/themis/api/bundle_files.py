"""Bundle files: a bundle as one JSON document that is written and read record by record.

The document is what `bundle.to_dict()` returns, laid out so that every case and every record has a line of its own:

    {"kind":"score",...,"snapshot":{...,"datasets":[
    {"dataset_id":"sums",...,"cases":[
    {"case_id":"1",...},
    {"case_id":"2",...}
    ]}
    ]},"records":[
    {"case_key":"4:sums:1",...},
    {"case_key":"4:sums:2",...}
    ],"upstream":[
    {"case_key":"4:sums:1",...},
    {"case_key":"4:sums:2",...}
    ]}

So any JSON parser reads it, and this module needs no more memory for a million records than for one. A document that
is laid out otherwise (by hand, by another program) is read as a whole.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Literal

import attrs

from themis.api.bundles import export_parts, import_bundle, import_parts, joined
from themis.api.compression import compressed, opened
from themis.effects.files import whole_file
from themis.pure.bundles.records import (
    RECORD_TYPES,
    AnyRecord,
    Bundle,
    BundleKind,
    CaseRecords,
    bundle_from_dict,
    bundle_kind,
)
from themis.pure.errors import DataError, SchemaVersionError, ThemisError
from themis.pure.json import decode, encode
from themis.pure.plan import CaseItem
from themis.pure.protocols import RunStore
from themis.pure.records.base import FrozenModel, structure
from themis.pure.records.dataset import Case, CaseSource

_DATASETS: Final = b'"datasets":['
_CASES: Final = b'"cases":['
_RECORDS: Final = b']},"records":['
_UPSTREAM: Final = b'],"upstream":['
_END: Final = b"]}"


@attrs.frozen(kw_only=True)
class ImportedBundle(FrozenModel):
    """What was taken from a bundle file: the run, the kind, and how many events were new to the store."""

    run_id: str
    kind: BundleKind
    new_events: int


# --- writing ----------------------------------------------------------------------------------------------


def write_bundle(store: RunStore, run_id: str, kind: str, path: str | Path) -> Path:
    """Write a stage of a run into a file; whatever happens meanwhile, the file is whole or not there.

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
    header, cases = export_parts(store, run_id, name)
    try:
        with whole_file(target) as raw, compressed(raw, target.suffix) as file:
            _write(file, header, cases, name, target.parent)
    except OSError as error:
        raise DataError(f"{target}: can't be written: {error}") from error
    return target


def _write(file: IO[bytes], header: Bundle, cases: Iterable[CaseRecords], kind: BundleKind, folder: Path) -> None:
    _write_header(file, header)
    file.write(_RECORDS + b"\n")
    records = _Items(file)
    # The earlier stages' records come along with the stage's own, and stand after them: they wait in a file.
    with tempfile.TemporaryFile(dir=folder) as waiting:
        upstream = _Items(waiting)
        for case in cases:
            for record in case.of(kind):
                records.add(record)
            if (before := case.before(kind)) is not None:
                upstream.add(before)
        records.end()
        upstream.end()
        file.write(_UPSTREAM + b"\n")
        waiting.seek(0)
        shutil.copyfileobj(waiting, file)
    file.write(_END + b"\n")


def _write_header(file: IO[bytes], header: Bundle) -> None:
    snapshot = header.snapshot
    no_data = header.evolve(snapshot=snapshot.evolve(datasets=()))
    data = no_data.to_dict()
    fields = data.pop("snapshot")
    for name in ("records", "upstream"):
        del data[name]
    del fields["datasets"]
    file.write(encode(data)[:-1] + b',"snapshot":' + encode(fields)[:-1] + b"," + _DATASETS + b"\n")
    last = len(snapshot.datasets) - 1
    for number, dataset in enumerate(snapshot.datasets):
        fields = dataset.evolve(cases=()).to_dict()
        del fields["cases"]
        file.write(encode(fields)[:-1] + b"," + _CASES + b"\n")
        cases = _Items(file)
        for case in dataset.cases:
            cases.add(case)
        cases.end()
        file.write(_END + (b",\n" if number < last else b"\n"))


class _Items:
    """Writes the items of a JSON array, a line each."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._before = b""

    def add(self, item: object) -> None:
        self._file.write(self._before + encode(item))
        self._before = b",\n"

    def end(self) -> None:
        if self._before:
            self._file.write(b"\n")


# --- reading ----------------------------------------------------------------------------------------------


def read_bundle(path: str | Path) -> Bundle:
    """Read a bundle file, of whatever layout, into memory.

    Args:
        path: the file; gzipped if its name ends in `.gz`, Zstandard if in `.zst`.

    Raises:
        DataError: the file is missing, damaged, or no bundle.
        SchemaVersionError: a newer Themis wrote it.
    """
    source = Path(path)
    with opened(source) as file:
        text = file.read()
    try:
        data = decode(text)
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


def import_bundle_file(store: RunStore, path: str | Path) -> ImportedBundle:
    """Take a bundle file into a store, all or nothing, holding only a part of it at a time.

    Args:
        store: where to.
        path: the file, as for `read_bundle`.

    Raises:
        DataError: the file can't be read, or the bundle is refused: see `import_generation_bundle`.
    """
    source = Path(path)
    header = _streamed_header(source)
    if header is not None:
        with contextlib.suppress(_OutOfOrderError), _named_refusal(source):
            with contextlib.ExitStack() as stack:
                new = import_parts(store, header, _StreamedRecords(source, header.kind, stack))
            return ImportedBundle(run_id=header.run_id, kind=header.kind, new_events=new)
    bundle = read_bundle(source)
    with _named_refusal(source):
        new = import_bundle(store, bundle)
    return ImportedBundle(run_id=bundle.run_id, kind=bundle.kind, new_events=new)


@contextlib.contextmanager
def _named_refusal(path: Path) -> Iterator[None]:
    try:
        yield
    except _OutOfOrderError:
        raise
    except DataError as error:
        raise error if str(error).startswith(str(path)) else DataError(f"{path}: {error}") from error


class _OutOfOrderError(DataError):
    """The file's records do not come in the order of the run's cases."""


Part = Literal["header", "dataset", "case", "record", "upstream"]


def _parts(path: Path) -> Generator[tuple[Part, int, bytes], None, None]:
    """Yield the lines of a bundle file with what they are and their numbers; raise if the file ends too early."""
    part: Part = "header"
    number = 0
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            text = line.rstrip(b"\r\n")
            body = text.removesuffix(b",")
            if part == "header":
                yield part, number, body
                part = "dataset"
            elif part == "dataset" and text == _RECORDS:
                part = "record"
            elif part == "dataset":
                yield part, number, body
                part = "case"
            elif part == "case" and body == _END:
                part = "dataset"
            elif part == "record" and text == _UPSTREAM:
                part = "upstream"
            elif part == "upstream" and text == _END:
                if file.read().strip():  # to the end: a compressed file's checksum stands there
                    raise DataError(f"{path}:{number + 1}: something stands behind the bundle's end")
                return
            else:
                yield part, number, body
    raise DataError(f"{path}:{number}: the bundle ends here, in the middle: the file is cut off; export it again")


def _streamed_header(path: Path) -> Bundle | None:
    """Return a bundle without its records, its cases read as needed; `None` if the file has another layout."""
    with contextlib.closing(_parts(path)) as parts:
        _, _, first = next(parts)
        if not first.endswith(_DATASETS):
            return None
        datasets: list[dict[str, Any]] = []
        counts: list[int] = []
        for part, number, body in parts:
            if part == "dataset":
                with _named(path, number):
                    datasets.append(decode(body + b"]}"))
                counts.append(0)
            elif part == "case":
                counts[-1] += 1
            else:
                break
    with _named(path, 1):
        data = decode(first + b"]}}")
        data["snapshot"]["datasets"] = datasets
        bundle = bundle_from_dict({**data, "records": []})
    sources = [
        dataset.evolve(cases=_FileCases(path, place, count))
        for place, (dataset, count) in enumerate(zip(bundle.snapshot.datasets, counts, strict=True))
    ]
    return bundle.evolve(snapshot=bundle.snapshot.evolve(datasets=sources))


class _FileCases(CaseSource):
    """The cases of one of a bundle file's datasets, read as needed."""

    def __init__(self, path: Path, place: int, count: int) -> None:
        self._path = path
        self._place = place
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Case]:
        place = -1
        with contextlib.closing(_parts(self._path)) as parts:
            for part, number, body in parts:
                place += part == "dataset"
                if part in ("record", "upstream") or place > self._place:
                    return
                if part == "case" and place == self._place:
                    with _named(self._path, number):
                        yield Case.from_dict(decode(body))


class _StreamedRecords:
    """The records of a bundle file, in the order of the file, which must be that of the run's cases."""

    def __init__(self, path: Path, kind: BundleKind, stack: contextlib.ExitStack) -> None:
        self._kind = kind
        self._records = _Ahead(stack.enter_context(contextlib.closing(_read(path, "record", RECORD_TYPES[kind]))))
        self._upstream = _Ahead(stack.enter_context(contextlib.closing(_read(path, "upstream", CaseRecords))))

    def take(self, item: CaseItem) -> CaseRecords | None:
        upstream = self._upstream.next_of(item.case_key)
        records: list[AnyRecord] = []
        while (record := self._records.next_of(item.case_key)) is not None:
            records.append(record)
        return joined(self._kind, upstream, records)

    def left_over(self) -> Sequence[str]:
        if self._records.case_key is not None or self._upstream.case_key is not None:
            raise _OutOfOrderError("read as a whole: the records come in another order than the cases")
        return ()


def _read(path: Path, wanted: Part, kind: type[Any]) -> Generator[Any, None, None]:
    with contextlib.closing(_parts(path)) as parts:
        for part, number, body in parts:
            if part == wanted:
                with _named(path, number):
                    yield structure(decode(body), kind)


class _Ahead:
    """Records of which the next one is looked at before it is taken."""

    def __init__(self, records: Iterator[Any]) -> None:
        self._records = records
        self._next = next(records, None)

    @property
    def case_key(self) -> str | None:
        return None if self._next is None else self._next.case_key

    def next_of(self, case_key: str) -> Any:
        """Take the next record if it is of this case."""
        found = self._next
        if found is None or found.case_key != case_key:
            return None
        self._next = next(self._records, None)
        return found
