"""themis-eval, as the quick start of its documentation shows it: its demo model, a store in memory."""

import importlib.metadata

from measuring import main
from themis.core.models import Case, Dataset

from themis import evaluate


def run(count):
    cases = [
        Case(case_id=str(i), input={"question": f"question {i}"}, expected_output={"answer": str(i)})
        for i in range(count)
    ]
    result = evaluate(
        model="builtin/demo_generator",
        data=[Dataset(dataset_id="d", cases=cases)],
        metric="builtin/exact_match",
        parser="builtin/json_identity",
    )
    assert result.status.value == "completed", result.status
    return count


if __name__ == "__main__":
    main(run, importlib.metadata.version("themis-eval"))
