"""For tests of components and of evaluations: strategies, laws, a scripted endpoint, cassettes, and a pytest plugin.

    from themis import testing

    testing.assert_metric_laws(my_metric, value_range=(0, 1))

Everything is loaded when it is first used: the pytest plugin, which comes with the package, costs nothing where no
test asks for it. What draws inputs needs hypothesis (extra `testing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from themis._doors import open_door

if TYPE_CHECKING:
    from themis.testing.cassettes import CassetteError as CassetteError
    from themis.testing.cassettes import record_run as record_run
    from themis.testing.cassettes import replay_run as replay_run
    from themis.testing.endpoint import FakeEndpoint as FakeEndpoint
    from themis.testing.lawbook import BrokenLawError as BrokenLawError
    from themis.testing.laws import assert_generator_contract as assert_generator_contract
    from themis.testing.laws import assert_metric_laws as assert_metric_laws
    from themis.testing.laws import assert_parser_laws as assert_parser_laws
    from themis.testing.laws import assert_reducer_laws as assert_reducer_laws
    from themis.testing.pipelines import Pipeline as Pipeline
    from themis.testing.single import parse_one as parse_one
    from themis.testing.single import score_one as score_one
    from themis.testing.strategies import cases as cases
    from themis.testing.strategies import datasets as datasets
    from themis.testing.strategies import events as events
    from themis.testing.strategies import json_objects as json_objects
    from themis.testing.strategies import json_values as json_values
    from themis.testing.strategies import parsed_outputs as parsed_outputs
    from themis.testing.strategies import records as records
    from themis.testing.strategies import reduced_candidates as reduced_candidates
else:
    _load, __dir__ = open_door(__name__)

    def __getattr__(name: str) -> Any:
        try:
            return _load(name)
        except ModuleNotFoundError as error:
            if error.name != "hypothesis":
                raise
            from themis.pure.errors import MissingExtraError, pip_install

            raise MissingExtraError(f"themis.testing.{name} needs hypothesis: {pip_install('testing')}") from None
