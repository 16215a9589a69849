"""A run with several answers a case is the same in every store: digest, verification, replay."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from tests.e2e.test_several_answers import adding

from themis import StorageConfig, verify
from themis.api.stores import open_store


@pytest.mark.parametrize("kind", ["memory", "sqlite", "jsonl", "postgres"])
def test_every_store_says_the_same(kind: str, fresh: Callable[[str], StorageConfig]) -> None:
    whole, storage = adding().run(), fresh(kind)
    with closing(open_store(storage)) as store:
        result = adding().run(store=store)
        assert result.digest == whole.digest
        assert verify(store, result.run_id, experiment=adding()).verdict == "verified"
        assert adding().replay(stage="parse", store=store).digest == whole.digest
