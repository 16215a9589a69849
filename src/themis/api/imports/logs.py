"""Other tools' logs as runs: found in files and folders, told by their content, laid aside, and run."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from themis.api.config.record import EvaluationConfig
from themis.api.imports.runs import Imported, evaluation_of, kept_and_run, opened_outputs, opened_run
from themis.api.runs.result import RunResult
from themis.api.stores import Storage
from themis.effects.files import from_here, nearest_files
from themis.effects.log_files import FolderFiles, ZipFiles, opened_log
from themis.effects.sources.files import OTHERS, CaseFields
from themis.effects.sources.outputs import OutputFields
from themis.pure.errors import DataError
from themis.pure.interchange.formats import NAMES, read_archive, read_file
from themis.pure.interchange.records import LoggedRun, NothingLoggedError, joined
from themis.pure.protocols import RunStore

_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".gz")
_USUAL: Final = OutputFields(case=CaseFields(metadata=(OTHERS,)))


@attrs.define
class Logs:
    """The logs of a file or folder.

    Attributes:
        path: what was named.
        passed_over: the files of a folder that are no logs.
    """

    path: Path
    passed_over: list[str] = attrs.field(factory=list)

    def runs(self) -> Iterator[tuple[Sequence[Path], LoggedRun]]:
        """Yield each run with the files it is from, which are open until the next one is asked for.

        Raises:
            DataError: there is nothing there, or it is no log of a format that is read, or a damaged one.
        """
        path = Path(from_here(str(self.path.absolute())))
        if path.is_dir():
            yield from self._of_folder(path)
            return
        if not path.is_file():
            raise DataError(f"{path}: there is no such file or folder{nearest_files(path)}")
        found = False
        files = FolderFiles(path.parent, deep=False)
        for run in self._of_file(files, path.name):
            found = True
            yield _paths(files, path.name, run), run
        if not found:
            raise NoLogError(path)

    def _of_folder(self, path: Path) -> Iterator[tuple[Sequence[Path], LoggedRun]]:
        files, read, count = FolderFiles(path), set[str](), 0
        parts: list[tuple[Path, LoggedRun]] = []
        # What is known of a run stands in documents, which name the lines that go with them.
        for name in sorted(files.names, key=lambda one: (one.endswith(".jsonl"), one)):
            if name in read:
                continue
            found = False
            try:
                for run in self._of_file(files, name):
                    found, count = True, count + 1
                    read.update(run.read)
                    if run.part is None:
                        yield _paths(files, name, run), run
                    else:
                        parts.append((path / name, run))
            except NothingLoggedError:
                found = False
            if not found:
                self.passed_over.append(name)
        yield from joined(parts)
        self.passed_over[:] = [name for name in self.passed_over if name not in read]
        if not count:
            raise NoLogError(path)

    def _of_file(self, files: FolderFiles, name: str) -> Iterator[LoggedRun]:
        path = files.folder / name
        if _begins(path).startswith((_ZIP, _EMPTY_ZIP)):
            with contextlib.closing(ZipFiles(path)) as members:
                yield from read_archive(members) or ()
        else:
            yield from read_file(files, name) or ()


def _paths(files: FolderFiles, name: str, run: LoggedRun) -> list[Path]:
    return [files.folder / one for one in dict.fromkeys((name, *run.read))]


class NoLogError(DataError):
    """A file or folder holds no log of a format that is read."""

    def __init__(self, path: Path) -> None:
        what = "no file in it is a log" if path.is_dir() else "this is no log"
        super().__init__(
            f"{path}: {what} of a format that is read: {', '.join(NAMES)}; a bundle, or a table of answers"
        )
        self.path = path

    def __reduce__(self) -> tuple[type[NoLogError], tuple[Path]]:
        return type(self), (self.path,)


_BUNDLE: Final = (b'"kind"', b'"snapshot"')
_HEAD: Final = 1 << 13
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def _is_table(path: Path) -> bool:
    """Tell whether a file may be a table of answers; a JSON object is none."""
    suffix = path.suffix.lower()
    is_object = suffix == ".json" and path.is_file() and _begins(path).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return path.is_file() and suffix in _TABLES and not is_object


def is_bundle(path: Path) -> bool:
    """Tell whether a file is a bundle by how it begins, unpacked; only bundles are packed by Zstandard."""
    if not path.is_file():
        return False
    begin = _begins(path)
    return begin.startswith(_ZSTD) or (begin.lstrip().startswith(b"{") and all(key in begin for key in _BUNDLE))


def _begins(path: Path) -> bytes:
    try:
        with opened_log(path) as file:
            return file.read(_HEAD)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None


@contextlib.contextmanager
def opened_logs(
    path: str | Path, evaluation: EvaluationConfig, fields: OutputFields = _USUAL, **more: Any
) -> Iterator[tuple[Sequence[Imported], Sequence[str]]]:
    """Lay all runs of a file or folder aside, and hand them out, with the names of the files that are none.

    Args:
        path: a log, a folder of logs, or a table of answers.
        evaluation: how the answers are scored.
        fields: which columns of a table are what.
        more: further fields of the experiments.

    Raises:
        DataError: as for `Logs.runs`, or what a log holds makes no run.
    """
    logs = Logs(Path(path))
    with contextlib.ExitStack() as kept:
        try:
            found = [
                kept.enter_context(opened_run(run, evaluation, str(paths[0]), paths=paths, **more))
                for paths, run in logs.runs()
            ]
        except NoLogError:
            if not _is_table(logs.path):
                raise
            found = [kept.enter_context(opened_outputs(path, fields, evaluation, **more))]
        yield found, logs.passed_over


def import_logs(
    path: str | Path,
    *,
    name: str | None = None,
    metric: object | Sequence[object] = (),
    parser: object | Sequence[object] | None = None,
    judge: object | Sequence[object] | None = None,
    store: RunStore | Storage | None = None,
    **more: Any,
) -> list[RunResult]:
    """Take other tools' logs as runs, and score them; no model is called for their answers.

    The scores that the tool made are kept with each answer, and never count among the run's own.

    Args:
        path: a log, or a folder of logs; what they are is told by their content.
        name: what to call the runs.
        metric: one or several metrics; without any the answers are stored, to be scored by `score_run`.
        parser: a parser, or a fallback chain of them.
        judge: the models that judged metrics ask.
        store: where to keep the runs: an open store, or its place; in memory if not given.
        more: further fields of the experiments, such as `storage`, `runtime` and `tags`.

    Returns:
        The result of each run, in the order of the files.

    Raises:
        DataError: there is no log, or one can't be read; nothing is stored then.
    """
    with opened_logs(path, evaluation_of(metric, parser, judge), name=name, **more) as (found, _):
        return [kept_and_run(imported.experiment, store) for imported in found]
