"""Names of builtin components that are kept, not computed: by stated version, which changes when what they do does.

An identity algorithm brings its own way of making fingerprints, and a run is held to its own. Source code that has
changed since can't be hashed as it was, so what builtins were called is written down, for builtins as they come.
`verify` computes what they did again, and would find a difference. The demo models keep their names for good: seeds
derive from them, and the numbers of a demo should not change with a comment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from themis.pure.identity import FIRST_ALGORITHM, IDENTITY_ALGORITHM
from themis.pure.json import content_hash

_VERSION: Final = "1"
"""The version of the builtins that are named here."""


def kept_name(component: Any, algorithm: str) -> str | None:
    """Return the fingerprint that is kept for a builtin, if one is: as it comes, and of the demo models any other."""
    known, kind = _NAMES.get(algorithm, {}).get(str(getattr(component, "component_id", ""))), type(component)
    if known is None or component.version != _VERSION or not kind.__module__.startswith("themis."):
        return None
    if kind() == component:
        return known
    options = {field.name: getattr(component, field.name) for field in attrs.fields(kind)}
    return content_hash({"builtin": known, "options": options}) if algorithm == IDENTITY_ALGORITHM else None


_FIRST: Final = {
    "builtin/aethercode_pass_rate": "cb07cafea6691151bed9ea363997ebebb06d4b523766e5bd97f4ab9a1eaaf8b0",
    "builtin/best_of_n": "3ecf523de2a62058ef5bb71f46d3c78665cc631c440688799e219cf815b69e11",
    "builtin/bleu": "7732cc700e4bd998d8a686c166e1ae798ec105ce5c55e9356f67a1d51689df01",
    "builtin/case_instructions": "c9083aadb3975fe54c75c083bed94ae3324d2c10e36aceebc83e251f62505fd7",
    "builtin/choice_accuracy": "b08e3870bce21a4d599a87ab89bb32a5c6d05fbe47500ee811a8aa92296ad0e7",
    "builtin/choice_letter": "5b888f06d1f1745bdcd1e542a23911ec729ab5a8ee2ed6517a72aaef9025e6ca",
    "builtin/chrf": "038230bd784d32666a8c175186c50c4a6ddfb370f9c40ab097270a5357b121b4",
    "builtin/code_text": "045fe7cdea5b95f2d7d3321eddff2b9229da58f9b755a32e8f249d2d56f6e4fe",
    "builtin/codeforces_pass_rate": "5f63a44c6f3744ff23f3cc967b3958fa207599cd47f57d191bb6e6cfb5819080",
    "builtin/contains": "560ca9dcfc222f827fba136ed7141039fd548f3a5b3ce9362fd7225a92c7ccb1",
    "builtin/demo_generator": "0f818cd5c11a3ef27c423217ec516760414b5e21a355234fb52dc39cc5ce8827",
    "builtin/demo_judge": "6341987c677c03e73fcb855368b4da26d08ae545b90249f11da9e9657edfd3dd",
    "builtin/demo_model": "d656edc8e1e5cd45e6b09f1c98379050c3e5670fe3a4f1ddc196adc5ee36d451",
    "builtin/exact_match": "22594fa25aa06c6e7283c6ddeff0e0fa07b2a7c05d8a2b735cbf8b1800a76f8e",
    "builtin/exact_match_normalized": "2bffc879d53f31ea52ccd86f536060cf70b3d2c2ba3edc9d67169797ae11d343",
    "builtin/f1": "e5869cbd2e29fcac977c3c72458b84a8332862b47c49befc0aa66e1362b57788",
    "builtin/first": "6da8f6af9594d2573d2abf22e78ed2ca42d40abf6eee874f9f798f53e7b7532d",
    "builtin/humaneval_pass_rate": "b9ccf878cb3280e56dd27e8864aca09254225a07f625a423e12b0e9eaf9486a1",
    "builtin/json": "76bdfb375ee52806b4f22dfbe482396cc031d5436681fcaea09251a93f7c21e4",
    "builtin/json_identity": "48c1038209f13c7d0a639ff7dcb9793b7b8e221364dc88a46873c0f3f227ecc9",
    "builtin/json_schema": "5037f2094c69e8ff44696c9f9519296185815f53344e2a43b93c462d0a2beeb2",
    "builtin/livecodebench_pass_rate": "32b5db6114e85a2048d6cd6bfe644e69a050b3221cb4a490b61fa910d4f8ae90",
    "builtin/llm_rubric": "832c7e1e41d2e8a7c42f452616f4746e0897864ad5c4f91b67dbae94aa2c0732",
    "builtin/majority_vote": "809747dc46dbd77636efbc8df1208bc08c4c6bc205e8e09f52c2a80c5dd2cffb",
    "builtin/majority_vote_judge": "62b62618729cf24e6d04ef5637ffcc4d78501ac1675d68ddde05b19c7efeaf3f",
    "builtin/math_answer": "9c55475f82f9afa06fdd1751020184156e1eeee176ee2d771f2472e7b048051f",
    "builtin/math_equivalence": "d9c1ae8c5212fda66a97a147029a7405004b009f5454819414368841f9e0d09a",
    "builtin/numeric_match": "384da1dee0014ce369ba0ec1d56935d74ded6b3a08ff65a0f3ef3eeea6468525",
    "builtin/pairwise_judge": "3b9626a6be45d68375fa162286b092edf81c0a342671426755c8081678dfe5e6",
    "builtin/panel_of_judges": "5e4ac7de9058d09e668e5a44b90e1f6fba7e3d0f9461ee18b573a097dd027919",
    "builtin/procbench_final_accuracy": "3bd07e5fd410e6604344f07b636be00ccfeae86cc340ca604b3c1dc0eb180dab",
    "builtin/reference_grader": "521b1b74d2cf9774de90293d5610e79c9e72f5c1750e52eae30eb6a60fbaa242",
    "builtin/rouge_l": "05e3010e5e3dce1a0f4ff9de1ea04ea1ffbd5062170125f52f65b4ec1fd32e7c",
    "builtin/rubric_points": "714fae3c266c7b7d5d1923db3e8c8772d5188839430434fa344090bed4670ded",
    "builtin/text": "435f24b8cbe584b26fa208cb264c2ba2a8c9c36a15af48675d40d3fc4e2715e4",
    "builtin/trace_rubric": "c2a97ed9828f74179c267b930bbcd5dc4773934a5e0a8fa55880deacdb234209",
}
_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    FIRST_ALGORITHM: _FIRST,
    IDENTITY_ALGORITHM: {name: _FIRST[name] for name in ("builtin/demo_generator", "builtin/demo_model")},
}
