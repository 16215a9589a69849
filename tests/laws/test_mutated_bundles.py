"""A bundle that somebody changed, its digests mended, is refused, or is as good as what `verify` says of it."""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from themis import InMemoryRunStore, evaluate, verify
from themis.api.bundles.files import import_bundle_file, write_bundle
from themis.pure.bundles.records import BundleKind, _header_digest
from themis.pure.chain import chain_digest
from themis.pure.errors import ThemisError
from themis.pure.json import encode

Place = tuple[str | int, ...]


@pytest.fixture(scope="module", params=["generation", "parse", "score"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    kind: BundleKind = request.param
    store, folder = InMemoryRunStore(), tmp_path_factory.mktemp("bundles")
    rows = [{"case_id": f"{n}", "input": f"{n} + 1", "expected_output": f"{n + n % 2}"} for n in range(3)]
    metrics = ["builtin/exact_match", "builtin/f1"]
    model, parser = "builtin/demo_generator", "builtin/text"
    result = evaluate(model=model, data=rows, metric=metrics, parser=parser, store=store, samples=2)
    path = write_bundle(store, result.run_id, kind, folder / "bundle.json")
    return json.loads(path.read_text(encoding="utf-8")), folder


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield where something is in a document, from the outside in."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def changed(value: Any) -> list[Any]:
    """Return what could stand in a value's place."""
    if isinstance(value, bool):
        return [not value, None]
    if isinstance(value, int | float):
        return [value + 1, str(value), None]
    if isinstance(value, str):
        return [f"{value}x", "", value[::-1], None]
    if isinstance(value, list):
        return [value[::-1], value[:-1], [*value, *value[-1:]], None]
    return ["x", {}] if value is None else [None, {}]


def mended(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the digests that its content has."""
    fields = {name: value for name, value in document.items() if name not in ("digest", "records", "head")}
    if not isinstance(fields.get("snapshot"), dict):
        return document
    head = _header_digest(fields)
    made = {**document, "digest": head, "records": []}
    for record in document.get("records") or ():
        if isinstance(record, dict):
            body = {name: value for name, value in record.items() if name not in ("digest", "cache_key")}
            head = chain_digest(head, record.get("cache_key"), encode(body))
        made["records"].append({**record, "digest": head} if isinstance(record, dict) else record)
    return {**made, "head": head} if "records" in document else document


def mutated(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a document with one change each, and what that is: everywhere, in a drawn order."""
    changes = [(at, new) for at in places(document) for new in (*changed(found_at(document, at)), _GONE)]
    random.Random(1).shuffle(changes)
    for at, new in changes:
        copied = copy.deepcopy(document)
        holder = found_at(copied, at[:-1])
        if new is _GONE:
            del holder[at[-1]]
        elif holder[at[-1]] == new:
            continue
        else:
            holder[at[-1]] = new
        yield f"{at}: {'nothing' if new is _GONE else repr(new)[:80]}", copied


_GONE: Final = object()


def found_at(value: Any, at: Place) -> Any:
    for key in at:
        value = value[key]
    return value


def test_what_import_takes_is_never_found_wrong(bundle: tuple[dict[str, Any], Path]) -> None:
    document, folder = bundle
    path, verdicts, wrong = folder / "changed.json", Counter[str](), list[str]()
    for change, made in itertools.islice(mutated(document), 400):
        path.write_text(json.dumps(mended(made)), encoding="utf-8")
        store = InMemoryRunStore()
        try:
            taken = import_bundle_file(store, path)
        except ThemisError:
            assert [*store.list_runs()] == [], change
            verdicts["refused"] += 1
        else:
            found = verify(store, taken.run_id)
            verdicts[found.verdict] += 1
            wrong += [f"{change}: {found}"] if found.verdict == "not verified" else []
    assert wrong == []
    assert verdicts["refused"] > verdicts["verified"] > 0
