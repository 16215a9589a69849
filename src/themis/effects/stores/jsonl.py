"""The JSONL store: a folder of text files that can be copied, diffed and grepped.

    themis-store.json            what this folder is, and the version of its format
    datasets/KEY.jsonl           a case a line; runs over the same data share the file
    runs/RUN_ID/run.json         the snapshot without its cases
    runs/RUN_ID/events.jsonl     an event a line (see `themis.effects.stores.jsonl_events`)
    blobs/RE/REF                 large artifacts, by content hash
    locks/                       who writes what now

All names are hexadecimal, so that they are safe on any file system. A batch of events is one write and one `fsync`.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from themis.effects.files import sync_folder
from themis.effects.stores.base import STARTED, EventStore, ReadCases, keyed_datasets, overtaken, restored, summary_of
from themis.effects.stores.jsonl_events import EventFile, EventWriter
from themis.effects.stores.jsonl_folder import StoreFolder, blobs_of, read_cases, write
from themis.effects.stores.jsonl_index import EventIndex
from themis.effects.stores.locks import is_held, lock_run
from themis.pure.errors import StoreError
from themis.pure.json import encode
from themis.pure.records.config import StorageConfig
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, RunSummary, StoredEvent

_LOOK_AGAIN: Final = 1.0
"""Seconds after which the stage cache looks for what other processes stored."""


class JsonlRunStore(EventStore):
    """A store in a folder of text files.

    Args:
        path: the folder; made if it is missing.

    Raises:
        StoreError: the folder can't be used, or holds something else; nothing is changed.
        SchemaVersionError: a newer Themis wrote it; nothing is changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        super().__init__(f"jsonl:{self.path}", f"; `themis list --store jsonl:{self.path}` shows what is")
        self._folder = StoreFolder(self.path)
        self._writers: dict[str, EventWriter] = {}
        self._transactions: dict[str, Path | None] = {}  # the open ones, with the folder of a run that is new
        self._index = EventIndex()
        self._written: set[str] = set()  # runs that this process wrote to since they were last indexed
        self._looked = float("-inf")

    def __repr__(self) -> str:
        return f"JsonlRunStore({str(self.path)!r})"

    @property
    def storage(self) -> StorageConfig:
        return StorageConfig(store="jsonl", parameters={"path": str(self.path)})

    @property
    def place(self) -> StorageConfig:
        return StorageConfig(store="jsonl", parameters={"path": str(self.path.absolute())})

    def __reduce__(self) -> tuple[type[JsonlRunStore], tuple[str]]:
        return JsonlRunStore, (str(self.path.absolute()),)

    def _open(self) -> None:
        self._folder.open()

    def _close(self) -> None:
        self._index.close()
        self._looked = float("-inf")

    # --- snapshots ----------------------------------------------------------------------------------------

    def _place(self, run_id: str) -> Path:
        """Return a run's folder, which may not be there."""
        return self._transactions.get(run_id) or self._folder.run(run_id)

    def _run(self, run_id: str) -> Path:
        """Return the folder of a run that is there."""
        folder = self._place(run_id)
        with self._folder.files():
            if not (folder / "run.json").exists():
                raise self._no_run(run_id)
        return folder

    def persist_snapshot(self, snapshot: RunSnapshot) -> None:
        """Keep a snapshot with its cases; data that another run stored already is shared."""
        self.initialize()
        with self._folder.shared():
            if (self._place(snapshot.run_id) / "run.json").exists():
                return
            datasets = []
            for key, dataset in keyed_datasets(snapshot):
                path = self._folder.cases(key)
                if not path.exists():
                    write(path, (encode(case) + b"\n" for case in dataset.cases))
                datasets.append({"key": key, "cases": len(dataset.cases)})
            header = {
                "run_id": snapshot.run_id,
                "created_at": datetime.datetime.now(datetime.UTC).isoformat(),
                "datasets": datasets,
                "snapshot": snapshot.header(),
            }
            new = self.path / "runs" / f".new-{snapshot.run_id}"
            shutil.rmtree(new, ignore_errors=True)
            write(new / "events.jsonl", [])
            write(new / "run.json", [encode(header), b"\n"])
            if snapshot.run_id in self._transactions:
                self._transactions[snapshot.run_id] = new
            else:
                self._publish(new, snapshot.run_id)

    def _publish(self, new: Path, run_id: str) -> None:
        new.rename(self.path / "runs" / run_id)
        sync_folder(self.path / "runs")

    def load_snapshot(self, run_id: str) -> RunSnapshot:
        header = self._folder.header(self._run(run_id))
        files = [(self._folder.dataset(entry["key"]), entry["cases"]) for entry in header["datasets"]]
        cases = [ReadCases(count, functools.partial(read_cases, path, count)) for path, count in files]
        return restored(run_id, header["snapshot"], cases)

    def _lines(self) -> Iterable[RunSummary]:
        headers = sorted(
            ((self._folder.header(folder), folder) for folder in self._folder.runs()),
            key=lambda pair: (pair[0]["created_at"], pair[0]["run_id"]),
            reverse=True,
        )
        return (self._summary(header, EventFile(folder / "events.jsonl")) for header, folder in headers)

    def _summary(self, header: Any, file: EventFile) -> RunSummary:
        with self._folder.files():
            tail = file.tail()
            started = [event.payload for event in file.of_run(STARTED, tail.end)]
        cases, last = sum(entry["cases"] for entry in header["datasets"]), tail.last
        return summary_of(
            header["run_id"], header["snapshot"], cases, tail.head.count, started, last.payload if last else None
        )

    # --- the one writer -----------------------------------------------------------------------------------

    def _lock(self, run_id: str) -> Callable[[], None]:
        with self._folder.files():
            file = self._lock_file(run_id)
            file.parent.mkdir(exist_ok=True)
            return lock_run(file, run_id)

    def _is_locked(self, run_id: str) -> bool:
        return is_held(self._lock_file(run_id))

    def _lock_file(self, run_id: str) -> Path:
        return self.path / "locks" / f"{run_id[:32]}.lock"

    def release(self, run_id: str) -> None:
        self._writers.pop(run_id, None)
        super().release(run_id)

    def _writer(self, run_id: str) -> EventWriter:
        writer = self._writers.get(run_id)
        if writer is None:
            writer = self._writers[run_id] = EventWriter.open(self._file(run_id))
        return writer

    @contextlib.contextmanager
    def transaction(self, run_id: str) -> Iterator[None]:
        """Show what is written of the run within the context when it is left, and take it away if it fails.

        A new run's folder gets its name at the end; in one that was there, the last event ends the batch.
        """
        if run_id in self._transactions:
            yield
            return
        with self._held(run_id):
            self._transactions[run_id] = None
            try:
                yield
                with self._folder.files():
                    self._commit(run_id)
            except BaseException:
                writer, new = self._writers.pop(run_id, None), self._transactions[run_id]
                if new is not None:
                    shutil.rmtree(new, ignore_errors=True)
                    self._written.discard(run_id)
                elif writer is not None:
                    writer.roll_back()
                raise
            finally:
                del self._transactions[run_id]

    def _commit(self, run_id: str) -> None:
        if run_id in self._writers:
            self._writers[run_id].commit()
        new = self._transactions[run_id]
        if new is not None:
            self._publish(new, run_id)
            self._writers.pop(run_id, None)

    # --- events -------------------------------------------------------------------------------------------

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        """Keep events and blobs: blobs first, so that no event refers to one that is not there."""
        if not events:
            return
        with self._held(run_id), self._folder.shared() if blobs else self._folder.files():
            writer = self._writer(run_id)
            if events[0].sequence != writer.head.count + 1:
                raise overtaken(run_id)
            for ref, content in blobs.items():
                if not self._folder.blob(ref).exists():
                    write(self._folder.blob(ref), [content])
            self._written.add(run_id)
            writer.append(events)
            if run_id not in self._transactions:
                writer.commit()

    def _file(self, run_id: str) -> EventFile:
        return EventFile(self._run(run_id) / "events.jsonl")

    def head(self, run_id: str) -> ChainHead:
        self.initialize()
        if run_id in self._transactions and run_id in self._writers:
            return self._writers[run_id].head
        with self._folder.files():
            return EventFile(self._place(run_id) / "events.jsonl").tail().head

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        file = self._file(run_id)
        return self._yielding(file.read())

    def _yielding(self, events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
        with self._folder.files():
            yield from events

    def _of_case(self, run_id: str, case_no: int | None) -> Sequence[StoredEvent]:
        file = self._file(run_id)
        places = self._indexed(run_id).of_case(run_id, case_no)
        with self._folder.files():
            return tuple(file.at(places)) if places else ()

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        file = self._file(run_id)
        index = self._indexed(run_id)
        return self._yielding(event for places in index.by_case(run_id) for event in file.at(places))

    def settled_cases(self, run_id: str, scores: int) -> Iterator[int]:
        return iter(self._indexed(run_id).settled(run_id, scores) if scores else ())

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        self.initialize()
        index = self._index_all()
        found: dict[str, tuple[str, StoredEvent]] = {}
        for key in keys:
            at = index.of_key(key)
            if at is not None:
                with self._folder.files():
                    found[key] = (at[0], next(EventFile(self._place(at[0]) / "events.jsonl").at([at[1]])))
        return found

    def _indexed(self, run_id: str) -> EventIndex:
        """Return the index, up to date for a run."""
        folder = self._run(run_id)
        with self._folder.files():
            facts = (folder / "run.json").stat()
            stamp = f"{facts.st_ino}:{facts.st_mtime_ns}"
            header = functools.partial(self._folder.header, folder)
            self._index.catch_up(run_id, stamp, header, EventFile(folder / "events.jsonl"))
        return self._index

    def _index_all(self) -> EventIndex:
        """Return the index, up to date for what this process writes, and almost so for the rest."""
        if time.monotonic() - self._looked > _LOOK_AGAIN:
            there = {folder.name for folder in self._folder.runs()}
            for run_id in there:
                self._indexed(run_id)
            self._index.keep_only(there)
            self._looked = time.monotonic()
        while self._written:
            self._indexed(self._written.pop())
        return self._index

    # --- blobs --------------------------------------------------------------------------------------------

    def blob(self, ref: str) -> bytes:
        path = self._folder.blob(ref)
        with self._folder.files():
            if not path.exists():
                raise StoreError(f"blob {ref} is missing: {path}; restore the store from a copy")
            return path.read_bytes()

    def clear_run(self, run_id: str) -> None:
        """Forget a run; cases and blobs that other runs use stay.

        The run is gone once its folder has another name; what a crash leaves behind after that is in nobody's way.
        """
        folder = self._run(run_id)
        with self._held(run_id), self._folder.shared():
            datasets = {entry["key"] for entry in self._folder.header(folder)["datasets"]}
            blobs = blobs_of(folder)
            gone = folder.with_name(f".gone-{run_id}")
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
            sync_folder(gone.parent)
            self._writers.pop(run_id, None)
            for other in self._folder.runs():
                datasets -= {entry["key"] for entry in self._folder.header(other)["datasets"]}
                blobs -= blobs_of(other) if blobs else set()
            for key in datasets:
                self._folder.cases(key).unlink(missing_ok=True)
            for ref in blobs:
                self._folder.blob(ref).unlink(missing_ok=True)
            shutil.rmtree(gone, ignore_errors=True)
        self._written.discard(run_id)
        self._index.forget(run_id)
