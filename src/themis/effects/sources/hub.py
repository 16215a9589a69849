"""Dataset files from the Hugging Face hub: a revision is pinned to its commit, and files come from the cache if there.

The library decides where the cache is (`HF_HOME`), whether the network may be used (`HF_HUB_OFFLINE`), which server is
asked (`HF_ENDPOINT`) and with which token (`HF_TOKEN`). Which files are wanted is decided in
`themis.pure.benchmarks.data_files`.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from themis.effects.sources.files import CaseFields
from themis.effects.sources.rows import file_format, read_rows
from themis.pure.benchmarks.data_files import choose_files
from themis.pure.errors import DataError, MissingExtraError, ThemisError, pip_install
from themis.pure.records.dataset import Case, Dataset

_CARD: Final = "README.md"


@attrs.frozen
class HubFiles:
    """Files of a dataset, as they are at one commit."""

    paths: tuple[Path, ...]
    revision: str


def fetch_files(
    dataset_id: str,
    *,
    split: str,
    config: str | None = None,
    patterns: Sequence[str] = (),
    revision: str | None = None,
) -> HubFiles:
    """Return the files of a split, downloaded if they are not in the cache.

    Args:
        dataset_id: such as `openai/MMMLU`.
        split: the split.
        config: the configuration; the default one if not given.
        patterns: patterns of the files, where the dataset's card does not name them.
        revision: a branch, tag or commit; the newest commit if not given.

    Raises:
        MissingExtraError: `huggingface-hub` is not installed.
        DataError: the hub can't be reached and the files are not in the cache, the dataset is gated or missing, or it
            has no such split.
    """
    library = _library()
    try:
        root = Path(_snapshot(library, dataset_id, revision, [_CARD]))
        names = _names(library, dataset_id, root)
        chosen = choose_files(names, card_configs(root), config, split, patterns)
        _snapshot(library, dataset_id, root.name, chosen)
    except ThemisError as error:
        raise DataError(f"{dataset_id}: {error}") from None
    except Exception as error:
        raise DataError(f"{dataset_id}: {_in_words(library, dataset_id, error)}") from error
    return HubFiles(tuple(root / name for name in chosen), root.name)


def hub_dataset(
    name: str,
    *,
    split: str = "test",
    config: str | None = None,
    revision: str | None = None,
    fields: CaseFields | None = None,
    limit: int | None = None,
) -> Dataset:
    """Return a split, or its first cases, as a dataset, whose revision is the commit.

    Arguments and errors as for `fetch_files`; `fields` say which columns make a case.
    """
    files = fetch_files(name, split=split, config=config, revision=revision)
    columns = fields or CaseFields()

    def cases() -> Iterator[Case]:
        every = ((path, place, row) for path in files.paths for place, row in read_rows(path, file_format(path)))
        with contextlib.closing(every) as rows:
            for number, (path, place, row) in enumerate(rows, 1):
                try:
                    yield columns.case(row, number)
                except ThemisError as error:
                    raise DataError(f"{name}: {path.name}:{place}: {error}") from None

    facts = {"split": split, **({"config": config} if config is not None else {})}
    held = tuple(itertools.islice(cases(), limit))
    return Dataset(dataset_id=name, cases=held, revision=files.revision, metadata=facts)


def _library() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise MissingExtraError(
            f"reading datasets from the hub needs an extra: {pip_install('datasets')}; or give a file or folder "
            "with source=..."
        ) from None


def _snapshot(library: Any, dataset_id: str, revision: str | None, patterns: Sequence[str]) -> str:
    return str(
        library.snapshot_download(dataset_id, repo_type="dataset", revision=revision, allow_patterns=list(patterns))
    )


def _names(library: Any, dataset_id: str, root: Path) -> list[str]:
    """Return the names of all files at the commit; offline, of those that are in the cache."""
    try:
        return list(library.HfApi().list_repo_files(dataset_id, repo_type="dataset", revision=root.name))
    except Exception as error:
        if not _is_unreachable(error):
            raise
        return folder_names(root)


def folder_names(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def card_configs(root: Path) -> Sequence[Mapping[str, Any]]:
    """Return the configurations that a dataset's card states, if it has a card that does."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = (root / _CARD).read_text(encoding="utf-8")
    except OSError:
        return ()
    parts = text.split("---", 2)
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True  # in somebody else's file; the configurations are all that is read
    try:
        head = yaml.load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except YAMLError:
        return ()
    configs = head.get("configs") if isinstance(head, Mapping) else None
    return [item for item in configs or () if isinstance(item, Mapping)]


# --- the library's errors ---------------------------------------------------------------------------------


def _is_unreachable(error: BaseException) -> bool:
    return any(kind.__name__ in _UNREACHABLE for kind in type(error).__mro__)


_UNREACHABLE: Final = frozenset(
    {
        "OfflineModeIsEnabled",
        "LocalEntryNotFoundError",
        "ConnectError",
        "TransportError",
        "TimeoutException",
        "ConnectionError",
    }
)
"""By name: the library's HTTP client, and with it the exceptions' home, changes between its versions."""


def _in_words(library: Any, dataset_id: str, error: Exception) -> str:
    errors = importlib.import_module("huggingface_hub.errors")
    page = f"https://huggingface.co/datasets/{dataset_id}"
    if isinstance(error, errors.GatedRepoError):
        return f"the dataset is gated: accept its terms at {page}, then set HF_TOKEN (or run `hf auth login`)"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the dataset has no such revision; see {page}/commits/main"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the hub has no such dataset, or hides it: look at {page}; a private one needs HF_TOKEN"
    if _is_unreachable(error) or _is_unreachable(error.__cause__ or error):
        offline = importlib.import_module("huggingface_hub.constants").HF_HUB_OFFLINE
        why = "offline mode is on (HF_HUB_OFFLINE)" if offline else "the hub can't be reached"
        return (
            f"{why}, and the files are not all in the cache (HF_HOME); go online once, or download the files elsewhere "
            "and give the file or folder with source=..."
        )
    return f"the hub's answer can't be used: {type(error).__name__}: {str(error).strip().splitlines()[0]}"
