"""Seals: a run's result in a file that a stranger can check, signed, with as much of its data as is chosen."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, BinaryIO

import attrs

from themis._version import __version__
from themis.api.arguments import checked
from themis.api.runs.view import RunView
from themis.api.stores import Storage
from themis.effects import signatures
from themis.effects.files import nearest_files, whole_file
from themis.effects.reading import fresh_state, stored_cases
from themis.pure.chain import read_event
from themis.pure.errors import DISTRIBUTION, DataError, SchemaVersionError, SpecError
from themis.pure.projections import Digest, case_result
from themis.pure.protocols import RunStore
from themis.pure.report.settings import model_of
from themis.pure.seals import content
from themis.pure.seals.content import case_data, run_data, sealed_case
from themis.pure.seals.disclosure import Disclosure
from themis.pure.seals.layout import (
    MAGIC,
    SALT_BYTES,
    SEAL_NAME,
    WHOLE,
    Leaf,
    SealReader,
    Signature,
    behind_shown,
    check_magic,
    mark_bytes,
    proofs_body,
    to_be_signed,
    whole_body,
)
from themis.pure.seals.records import SealedCase, SealHeader, SealVerification
from themis.pure.seals.scores import Columns, scores_of, unscored
from themis.pure.seals.tree import HASH_BYTES, Root
from themis.pure.state import fold_case, has_failures

# --- making -----------------------------------------------------------------------------------------------


@checked
def seal(
    store: RunStore | Storage,
    run_id: str,
    path: str | Path,
    *,
    key: str | Path | None = None,
    hide: Sequence[str] = (),
    show: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
) -> Path:
    """Write a run's result into a file that anyone can check, with as much of its data as is chosen.

    The scores of all cases are in it, so that its means can be checked, and a salted hash of each case's data. What is
    hidden can't be shown later from this file: seal the whole, keep that, and pass on what `disclose_seal` makes of it.

    Args:
        store: where the run is.
        run_id: the run.
        path: the file, replaced if it is there.
        key: the file of the Ed25519 key that signs it, by `ssh-keygen`; without one it is not signed.
        hide: the cases whose data are hidden: by their ids, `KEY=VALUE` of their metadata, `dataset=ID`, or `all`;
            `run` is what is told of the run, which is hidden with any case unless `show` names it: it holds hashes over
            all cases, by which a hidden one could be guessed.
        show: those whose data are shown, all others being hidden.
        only: those that the file holds, without the scores of the others.

    Returns:
        The file's path.

    Raises:
        RunNotFoundError: the store has no such run.
        DataError: no case is called so, the key is no Ed25519 key, or the file can't be written.
        SpecError: `ssh-keygen` is not there, or `only` stands beside `hide` or `show`.
        LiteralSecretError: the run's identity or settings hold a credential.

    >>> import tempfile
    >>> from themis import InMemoryRunStore, evaluate, seal, verify_seal
    >>> store = InMemoryRunStore()
    >>> data = [{"input": "2 + 3", "expected_output": "5"}]
    >>> result = evaluate(model="builtin/demo_model", data=data, metric="builtin/exact_match", store=store)
    >>> file = seal(store, result.run_id, f"{tempfile.mkdtemp()}/result.seal", hide=["all"])
    >>> found = verify_seal(file)
    >>> found.cases, found.shown, found.header.metrics[0].mean, found.verdict
    (1, 0, 1.0, 'verified in part')
    """
    disclosure = _asked_for(hide, show, only)
    view, target = RunView.of(store, run_id), Path(path)
    if key is not None:
        signatures.check_key(Path(key))
    with tempfile.TemporaryFile(prefix="themis-") as whole:
        _write_whole(whole, view, None if key is None else Path(key))
        _disclose(lambda: _rewound(whole), target, disclosure, only is not None)
    return target


@checked
def disclose_seal(
    source: str | Path,
    path: str | Path,
    *,
    hide: Sequence[str] = (),
    show: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
) -> Path:
    """Write a seal that shows less of what another one shows, under the same signature; no key is needed.

    Args:
        source: the file of a seal.
        path: the file to write, replaced if it is there.
        hide: as for `seal`.
        show: as for `seal`.
        only: as for `seal`.

    Returns:
        The file's path.

    Raises:
        DataError: the source can't be read, or was changed; it shows no case that is called so; or the file can't be
            written.
        SchemaVersionError: a newer Themis wrote the source.
        SpecError: `only` stands beside `hide` or `show`.

    >>> import tempfile
    >>> from themis import InMemoryRunStore, evaluate, disclose_seal, seal, verify_seal
    >>> store, folder = InMemoryRunStore(), tempfile.mkdtemp()
    >>> data = [{"case_id": name, "input": "2 + 3", "expected_output": "5"} for name in ("easy", "hard")]
    >>> result = evaluate(model="builtin/demo_model", data=data, metric="builtin/exact_match", store=store)
    >>> whole = seal(store, result.run_id, f"{folder}/whole.seal")
    >>> verify_seal(disclose_seal(whole, f"{folder}/public.seal", show=["hard"])).shown
    1
    """
    disclosure, origin, target = _asked_for(hide, show, only), Path(source), Path(path)
    with _named(origin), _opened(origin) as file:
        reader = SealReader.of(file.read)
        if reader.parts == "proofs":
            raise DataError("it holds single cases already; hide and show from the whole seal")
        found = content.checked(reader)
        if found.altered:
            raise DataError(f"it was changed, and nothing is made of it: {found.altered[0]}")
        _disclose(lambda: _rewound(file), target, disclosure, only is not None)
    return target


def _asked_for(hide: Sequence[str], show: Sequence[str] | None, only: Sequence[str] | None) -> Disclosure:
    if only is None:
        return Disclosure(hide, show)
    if hide or show is not None:
        raise SpecError("only: it names all that the file holds; leave out hide and show")
    return Disclosure(show=only)


def _disclose(opened: Callable[[], IO[bytes]], target: Path, disclosure: Disclosure, alone: bool) -> None:
    reader = SealReader.of(opened().read)
    chosen = disclosure.chosen(reader.leaves())
    if alone and not chosen:
        raise SpecError("only: name at least one case")
    reader = SealReader.of(opened().read)
    body = proofs_body if alone else whole_body
    try:
        with whole_file(target) as file:
            file.write(reader.signed + mark_bytes(reader.signed, reader.signature))
            file.writelines(body(reader.leaves(), lambda leaf: leaf.number in chosen))
    except OSError as error:
        raise DataError(f"{target}: can't be written: {error}") from error


def _rewound(file: IO[bytes]) -> IO[bytes]:
    file.seek(0)
    return file


def _write_whole(file: IO[bytes], view: RunView, key: Path | None) -> None:
    """Write a seal that shows everything, from one pass over the run that holds one case at a time."""
    head, ending, hashes = view.store.head(view.run_id), view.ending, bytearray()
    columns = Columns(unscored(slot, len(view.plan.answers_of(slot))) for slot in view.metrics)
    digest, tallies = Digest(), view.no_tallies()
    with tempfile.TemporaryFile(prefix="themis-") as cases:
        for item, events in stored_cases(view.store, view.snapshot):
            if not view.is_planned(item.case_no):
                continue
            present = [event for event in events if event.sequence <= head.last]
            state = fold_case(fresh_state(item), (read_event(event, view.store.blob) for event in present))
            rows, result = view.rows_of(state), case_result(view.plan, state)
            tallies.add(rows, failed=has_failures(state))
            digest.add(result)
            scores = [*scores_of(rows)]
            columns.add(scores)
            leaf = Leaf.of(1 + len(hashes) // HASH_BYTES, scores, _salt(), case_data(item, result, rows, present))
            hashes += leaf.hash
            cases.write(behind_shown(leaf))
        about = run_data(view.snapshot, head, digest.hexdigest(), ending.started_at, ending.ended_at)
        run, root = Leaf.of(0, (), _salt(), about), Root()
        for place in range(-HASH_BYTES, len(hashes), HASH_BYTES):
            root.add(run.hash if place < 0 else bytes(hashes[place : place + HASH_BYTES]))
        header = SealHeader(
            tool=DISTRIBUTION,
            version=__version__,
            sealed_at=datetime.now(UTC),
            name=ending.labels.name,
            model=model_of(view.snapshot),
            datasets=view.dataset_ids,
            status=view.status(tallies.has_failed).value,
            cases=len(hashes) // HASH_BYTES,
            metrics=columns.found(),
            root=root.digest().hex(),
        )
        signed = to_be_signed(header)
        file.write(signed + mark_bytes(signed, None if key is None else signatures.sign(signed, key)))
        file.write(WHOLE + behind_shown(run))
        cases.seek(0)
        shutil.copyfileobj(cases, file)


def _salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


# --- reading ----------------------------------------------------------------------------------------------


@attrs.frozen
class Seal:
    """A file of a seal, read as needed. Reading checks how it is laid out; `verify_seal` checks all else.

    Attributes:
        path: the file.
        header: what it states.
        is_whole: it has all cases, shown or hidden, and not single ones.
    """

    path: Path
    header: SealHeader
    is_whole: bool

    def cases(self) -> Iterator[SealedCase]:
        """Yield the cases that the file has, one at a time.

        Raises:
            DataError: the file is cut off, or not laid out as a seal is.
        """
        with _named(self.path), _opened(self.path) as file:
            reader = SealReader.of(file.read)
            yield from (sealed_case(reader.header, leaf) for leaf in reader.leaves() if leaf.number)


@checked
def read_seal(path: str | Path) -> Seal:
    """Open a seal to read it. It is not checked: see `verify_seal`.

    Args:
        path: the file.

    Raises:
        DataError: it can't be read, or is no seal.
        SchemaVersionError: a newer Themis wrote it.

    >>> import tempfile
    >>> from themis import InMemoryRunStore, evaluate, read_seal, seal
    >>> store, data = InMemoryRunStore(), [{"input": "2 + 3", "expected_output": "5"}]
    >>> result = evaluate(model="builtin/demo_model", data=data, metric="builtin/exact_match", store=store)
    >>> file = read_seal(seal(store, result.run_id, f"{tempfile.mkdtemp()}/result.seal", hide=["all"]))
    >>> file.header.model, [dict(case.scores) for case in file.cases()]
    ('builtin/demo_model', [{'builtin/exact_match': (1.0,)}])
    """
    source = Path(path)
    with _named(source), _opened(source) as file:
        reader = SealReader.of(file.read)
    return Seal(source, reader.header, reader.parts == "whole")


def is_seal(path: str | Path) -> bool:
    """Tell whether a file begins as a seal does, of this version or a newer one."""
    source = Path(path)
    try:
        with source.open("rb") as file:
            return file.read(len(SEAL_NAME)) == SEAL_NAME
    except (OSError, ValueError):
        return False


@checked
def verify_seal(path: str | Path, *, key: str | Path | None = None) -> SealVerification:
    """Check that a seal is as it was sealed, that what it states follows from its scores, and who signed it.

    No store is needed, and nothing is run but `ssh-keygen`.

    Args:
        path: the file.
        key: a file of the public keys that you trust, one a line, or an `allowed_signers` file of OpenSSH. Without it
            the signature is checked by the key in the file, which may be anybody's, and the verdict is `verified in
            part`.

    Raises:
        DataError: the file can't be read, or is no seal; the file of keys can't be read.
        SchemaVersionError: a newer Themis wrote it.
    """
    source = Path(path)
    with _named(source), _opened(source) as file:
        check_magic(file.read(len(MAGIC)))
        file.seek(0)
        try:
            reader = SealReader.of(file.read)
        except DataError as error:
            return SealVerification(altered=[str(error)])
        found = content.checked(reader)
    keys = None if key is None else Path(key)
    if reader.signature is None:
        without = "its signature: it has none, and anybody may have made it"
        return found.evolve(
            altered=[*found.altered, *([without] if keys else [])],
            not_verified=[*found.not_verified, *([] if keys else [without])],
        )
    altered, notes, signer = _signature_faults(reader.signed, reader.signature, keys)
    return found.evolve(
        key=signatures.key_name(reader.signature),
        signer=signer,
        altered=[*altered, *found.altered],
        not_verified=[*notes, *found.not_verified],
    )


def _signature_faults(
    signed: bytes, signature: Signature, keys: Path | None
) -> tuple[list[str], list[str], str | None]:
    """Return what is wrong with a signature, what of it could not be checked, and whose it is."""
    try:
        if not signatures.is_signed(signed, signature):
            return ["its signature is not one of this header: one of the two was changed"], [], None
        if keys is None:
            return [], ["whose the key is: pass a file of the keys that you trust (--key)"], None
        signer = signatures.signer_of(signed, signature, keys)
    except signatures.NoProgramError as error:
        return [], [f"its signature: {error}"], None
    if signer.name is None:
        problem = f": {signer.problem}" if signer.problem else ""
        return [f"{signatures.key_name(signature)}, which signed it, is none of the keys in {keys}{problem}"], [], None
    return [], [], signer.name


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file{nearest_files(path)}") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from error


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say of an error which file it is about."""
    try:
        yield
    except (DataError, SchemaVersionError) as error:
        raise error if str(error).startswith(str(path)) else type(error)(f"{path}: {error}") from None
