"""The suites that ship with Themis name benchmarks of the catalog, each once, that a chat model can answer."""

from __future__ import annotations

import pytest

from themis.pure.benchmarks.registry import find_recipe
from themis.pure.benchmarks.suites import BenchmarkSuite, find_suite, suites
from themis.pure.errors import SpecError


@pytest.mark.parametrize("suite", suites().values(), ids=lambda suite: suite.suite_id)
def test_a_suite_names_benchmarks_that_a_chat_model_can_answer(suite: BenchmarkSuite) -> None:
    assert len(set(suite.benchmarks)) == len(suite.benchmarks) > 1
    for name in suite.benchmarks:
        recipe, _ = find_recipe(name)
        assert recipe.entry.kind != "likelihood"
        assert recipe.entry.forms[:1] in ((), ("chat",))


def test_a_suite_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no suite 'reasonning'; did you mean reasoning"):
        find_suite("reasonning")
