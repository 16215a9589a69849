"""The journal's format: events as text in a hash chain, large artifacts as blobs beside it.

Each stored event carries the SHA-256 over the one before it, its cache key and its text, so that an edited,
dropped or re-ordered event is found. An artifact past `BLOB_FROM` bytes is taken out of its event and kept once
under its content hash.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, get_args

import attrs

from themis.pure.errors import StoreError, ThemisError
from themis.pure.events import EVENT_TYPES, RunDividedEvent, RunEvent, RunJoinedEvent, event_from_dict
from themis.pure.json import FrozenDict, content_hash, decode, encode
from themis.pure.records.base import structure
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, StoredEvent
from themis.pure.segments import RUN_CHAIN, Position, first_digest, joined_digest

BLOB_FROM: Final = 64 * 1024
"""Bytes from which an event's artifact is kept as a blob."""


class Artifact(NamedTuple):
    """An event's artifact: its field, the field that names its blob, and the record that it is."""

    field: str
    ref_field: str
    kind: type


def _artifact(kind: type[RunEvent]) -> Artifact | None:
    fields = attrs.fields_dict(attrs.resolve_types(kind))
    ref = next((name for name in fields if name.endswith(_BLOB_REF)), None)
    if ref is None:
        return None
    name = ref.removesuffix(_BLOB_REF)
    records = [part for part in get_args(fields[name].type) if attrs.has(part)]
    return Artifact(name, ref, records[0] if records else FrozenDict)


_BLOB_REF: Final = "_blob_ref"
ARTIFACTS: Final[dict[type, Artifact]] = {
    kind: artifact for kind, artifact in ((kind, _artifact(kind)) for kind in EVENT_TYPES.values()) if artifact
}
"""What may be taken out of an event: the field that has a `..._blob_ref` beside it."""


@attrs.define
class Entry:
    """An event on its way into a store: the case's number, the cache key, and the event."""

    case_no: int | None
    event: RunEvent
    cache_key: str | None = None


def link(
    previous: str, sequence: int, case_no: int | None, event: RunEvent, cache_key: str | None
) -> tuple[StoredEvent, dict[str, bytes]]:
    """Encode an event and chain it to the one before; return it with the blobs that were taken out of it.

    Args:
        previous: the digest of the event before.
        sequence: the event's position within the run, from 1.
        case_no: the case's number.
        event: the event.
        cache_key: what the event can be found under by other runs.
    """
    body = encode(event)
    blobs = _NO_BLOBS
    if len(body) >= BLOB_FROM and type(event) in ARTIFACTS:
        event, blobs = _without_artifact(event)
        body = encode(event)
    digest = chain_digest(previous, cache_key, body)
    return StoredEvent(case_no, event.event_type, cache_key, body.decode(), digest, sequence), blobs


_NO_BLOBS: Final[dict[str, bytes]] = {}
_DIVIDED, _JOINED = (attrs.fields(kind).event_type.default for kind in (RunDividedEvent, RunJoinedEvent))


def chain_digest(previous: str, cache_key: str | None, body: bytes) -> str:
    return hashlib.sha256(f"{previous}\n{cache_key or ''}\n".encode() + body).hexdigest()


def link_all(head: ChainHead, entries: Iterable[Entry]) -> tuple[list[StoredEvent], dict[str, bytes], ChainHead]:
    """Chain a batch of events; return them, their blobs and the new end of the chain."""
    events: list[StoredEvent] = []
    blobs: dict[str, bytes] = {}
    for entry in entries:
        stored, more = link(head.digest, head.last + 1, entry.case_no, entry.event, entry.cache_key)
        head = ChainHead(head.count + 1, stored.digest, stored.sequence)
        events.append(stored)
        blobs.update(more)
    return events, blobs, head


def _without_artifact(event: RunEvent) -> tuple[RunEvent, dict[str, bytes]]:
    field, ref_field, kind = ARTIFACTS[type(event)]
    artifact = getattr(event, field)
    if artifact is None:
        return event, {}
    content = encode(artifact)
    ref = hashlib.sha256(content).hexdigest()
    empty = FrozenDict() if kind is FrozenDict else None
    return event.evolve(**{field: empty, ref_field: ref}), {ref: content}


def header_hash(snapshot: RunSnapshot) -> str:
    """Return the hash of a run's header: identity, provenance, thresholds, all but the cases.

    Fields that equal their default are left out, so that a field which a later version adds changes no stored run's.
    """
    return content_hash(attrs.asdict(snapshot, filter=_is_stated))


def _is_stated(field: attrs.Attribute[Any], value: object) -> bool:
    default: Any = field.default
    if isinstance(default, attrs.Factory) and not default.takes_self:  # type: ignore[arg-type]  # it is a class
        default = default.factory()
    return field.name != "datasets" and value != default


BlobOf = Callable[[str], bytes]
"""Returns the blob of a content hash."""


def read_event(stored: StoredEvent, blob_of: BlobOf) -> RunEvent:
    """Decode a stored event, with its blob in its place.

    Raises:
        StoreError: the event or its blob can't be read; it names the event.
    """
    try:
        event = event_from_dict(decode(stored.payload))
        return _with_artifact(event, blob_of)
    except ThemisError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"event {stored.sequence} ({stored.event_type}) can't be read: {error}") from error
    except ValueError as error:
        raise StoreError(f"event {stored.sequence} ({stored.event_type}) is not JSON: {error}") from error


def _with_artifact(event: RunEvent, blob_of: BlobOf) -> RunEvent:
    names = ARTIFACTS.get(type(event))
    if names is None:
        return event
    field, ref_field, kind = names
    ref = getattr(event, ref_field)
    if ref is None:
        return event
    content = blob_of(ref)
    if hashlib.sha256(content).hexdigest() != ref:
        raise StoreError(f"blob {ref} does not hold what its name says; restore the store from a copy")
    data: Any = decode(content)
    return event.evolve(**{field: data if kind is FrozenDict else structure(data, kind), ref_field: None})


def broken_links(events: Iterable[StoredEvent], head: ChainHead | None = None) -> Iterator[str]:
    """Yield what is wrong with a run's chain, or its chains; nothing if they are whole.

    After a break the walk goes on from the digest that is stored, so that each tampering is named once.

    Args:
        events: the run's events, in order.
        head: where they should end.
    """
    run, root, count = ChainHead(), None, 0
    segments: dict[int, ChainHead] = {}
    for stored in events:
        _, chain, number = Position.of(stored.sequence)
        name = f"event {number}" if chain == RUN_CHAIN else f"event {number} of segment {chain - 1}"
        if chain == RUN_CHAIN:
            end = run
        elif root is None:
            count += 1
            yield f"{name} ({stored.event_type}): the run is not divided before it"
            continue
        else:
            end = segments.get(chain) or ChainHead(0, first_digest(root, chain - 1))
        count += max(1, number - end.count)
        if number != end.count + 1:
            missing = f"event {end.count + 1}{name.removeprefix(f'event {number}')}"
            yield f"{missing}: missing; event {number} ({stored.event_type}) is in its place"
        elif chain_digest(end.digest, stored.cache_key, stored.payload.encode()) != stored.digest:
            yield f"{name} ({stored.event_type}): its content or place was changed after it was stored"
        end = ChainHead(number, stored.digest, stored.sequence)
        if chain != RUN_CHAIN:
            segments[chain] = end
            continue
        run = end
        if stored.event_type == _DIVIDED:
            root = stored.digest
        elif stored.event_type == _JOINED:
            yield from _misjoined(name, stored, root, segments)
    if head is not None and (head.count, head.digest, head.last) != (count, run.digest, run.last):
        yield f"event {count + 1}: missing; the run had {head.count} events and has {count}"


def _misjoined(name: str, stored: StoredEvent, root: str | None, segments: Mapping[int, ChainHead]) -> Iterator[str]:
    heads = (segments.get(chain) or ChainHead(0, first_digest(root or "", chain - 1)) for chain in itertools.count(1))
    said = decode(stored.payload)
    if joined_digest(itertools.islice(heads, said["segments"])) != said["heads"]:
        yield f"{name} ({stored.event_type}): the segments had other events when it was stored"
