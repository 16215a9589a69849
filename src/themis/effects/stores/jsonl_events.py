"""A run's events as lines of JSON: `{"sequence":1,"ends_batch":true,...,"digest":"...","event":{...}}`.

A batch is in the file from the moment its last line, which says so, is there with its line feed. What follows
the last such line was cut off by a crash before it was acknowledged: readers pass over it, and the next writer
takes it away. A loss of power may leave of that any part: what of a file was never written is read as zeros, which are
in no line of JSON, and a batch with any in it is not there. A line before it that can't be read is damage, and is never
passed over.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import attrs
import orjson

from themis.effects.files import open_plain
from themis.pure.errors import StoreError
from themis.pure.json import decode
from themis.pure.records.stored import ChainHead, StoredEvent

_EVENT: Final = b',"event":'
_ENDS: Final = b'"ends_batch":true,'


def line_of(event: StoredEvent, *, ends_batch: bool) -> bytes:
    """Return an event as a line; it contains the event byte for byte.

    Raises:
        StoreError: the event's text has a line feed in it, which no event that Themis encoded has.
    """
    if "\n" in event.payload:
        raise StoreError(f"event {event.sequence} is more than one line of JSON, and can't be kept in a JSONL store")
    head = {
        "sequence": event.sequence,
        "ends_batch": ends_batch,
        "case_no": event.case_no,
        "event_type": event.event_type,
        "cache_key": event.cache_key,
        "digest": event.digest,
    }
    return orjson.dumps(head)[:-1] + _EVENT + event.payload.encode() + b"}\n"


def read_line(line: bytes) -> StoredEvent:
    """Return the event of a line. Raises `ValueError`, `KeyError` or `TypeError` if it holds none."""
    head = decode(line)
    payload = line[line.index(_EVENT) + len(_EVENT) : line.rindex(b"}")].decode()
    return StoredEvent(
        head["case_no"], head["event_type"], head["cache_key"], payload, head["digest"], head["sequence"]
    )


@attrs.frozen
class Tail:
    """The end of what is kept: the offset after it, and the last event, if there is one."""

    end: int = 0
    last: StoredEvent | None = None

    @property
    def head(self) -> ChainHead:
        return ChainHead(self.last.sequence, self.last.digest) if self.last is not None else ChainHead()


@attrs.frozen
class EventFile:
    """A run's `events.jsonl`."""

    path: Path

    def tail(self) -> Tail:
        """Find the end of the last batch that is there whole, walking back from the end of the file.

        Raises:
            StoreError: a line that ends there, or comes after it, can't be read.
        """
        if not self.path.exists() or self.path.stat().st_size == 0:
            return Tail()
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            end = content.rfind(b"\n") + 1
            found = None  # the end of the batch that is looked at, as long as all of it is there
            while end:
                start = content.rfind(b"\n", 0, end - 1) + 1
                # The flag stands among the first fields: what a model wrote can't be mistaken for it.
                ends_batch = content.find(_ENDS, start, min(end, start + 64)) != -1
                if ends_batch and found is not None:
                    return found
                if content.find(b"\0", start, end) != -1:
                    found = None
                elif found is None:
                    last = self._read(content[start:end], f"byte {start}")
                    found = Tail(end, last) if ends_batch else None
                end = start
        return found or Tail()

    def _read(self, line: bytes, where: str) -> StoredEvent:
        try:
            return read_line(line)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.path}: the line at {where} is no stored event ({error}); restore the file from a copy. "
                "Nothing was changed"
            ) from error

    def places(self, start: int, end: int) -> Iterator[tuple[int, int, StoredEvent]]:
        """Yield the events between two offsets, each with its line's offset and length."""
        if start >= end:
            return
        with self.path.open("rb") as file:
            file.seek(start)
            for line in file:
                if start >= end:
                    return
                yield start, len(line), self._read(line, f"byte {start}")
                start += len(line)

    def read(self) -> Iterator[StoredEvent]:
        return (event for _, _, event in self.places(0, self.tail().end))

    def of_run(self, event_type: str, end: int) -> Iterator[StoredEvent]:
        """Yield the events of a type that are no case's, up to an offset, without reading the others."""
        if not end:
            return
        wanted = b'"case_no":null,"event_type":%b,' % orjson.dumps(event_type)
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = content.find(wanted, 0, end)
            while found != -1:
                start, after = content.rfind(b"\n", 0, found) + 1, content.find(b"\n", found) + 1
                if found - start < 64:  # among the first fields: what a model wrote can't be mistaken for it
                    yield self._read(content[start:after], f"byte {start}")
                found = content.find(wanted, after, end)

    def at(self, places: Sequence[tuple[int, int]]) -> Iterator[StoredEvent]:
        """Yield the events at these offsets and of these lengths."""
        with self.path.open("rb", buffering=0) as file:
            for offset, length in places:
                file.seek(offset)
                yield self._read(file.read(length), f"byte {offset}")


@attrs.define
class EventWriter:
    """Appends to a run's events; its holder is the run's one writer.

    Only the last event of a batch says that it ends there. So the events that came last wait until others follow them
    or the batch ends, which shows it to readers.
    """

    file: EventFile
    head: ChainHead
    _end: int
    _shown: tuple[int, ChainHead]
    _waiting: Sequence[StoredEvent] = ()

    @classmethod
    def open(cls, file: EventFile) -> EventWriter:
        """Start where the last whole batch ends; what a crash left behind it is taken away."""
        tail = file.tail()
        writer = cls(file, tail.head, tail.end, (tail.end, tail.head))
        writer.roll_back()
        return writer

    def append(self, events: Sequence[StoredEvent]) -> None:
        self._write(ends_batch=False)
        self._waiting = events
        self.head = ChainHead(events[-1].sequence, events[-1].digest)

    def commit(self) -> None:
        """End the batch, durably, or take it away."""
        try:
            self._write(ends_batch=True)
        except BaseException:
            self.roll_back()
            raise
        self._shown = self._end, self.head

    def roll_back(self) -> None:
        """Take away what stands after the last batch that ended."""
        (self._end, self.head), self._waiting = self._shown, ()
        if self.file.path.stat().st_size > self._end:
            with open_plain(self.file.path, "r+b") as file:
                file.truncate(self._end)
                _sync(file)

    def _write(self, *, ends_batch: bool) -> None:
        if not self._waiting:
            return
        last = self._waiting[-1]
        lines = b"".join(line_of(event, ends_batch=ends_batch and event is last) for event in self._waiting)
        with open_plain(self.file.path, "r+b") as file:
            file.seek(self._end)
            file.write(lines)
            file.truncate()  # a write that failed may have left more
            if ends_batch:
                _sync(file)
        self._end += len(lines)
        self._waiting = ()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
