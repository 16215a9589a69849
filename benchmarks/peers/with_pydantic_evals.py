"""pydantic-evals: keeps nothing."""

import importlib.metadata

from measuring import main
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected


async def echo(question: str) -> str:
    return question


def run(count):
    cases = [Case(name=str(i), inputs=f"question {i}", expected_output=f"question {i}") for i in range(count)]
    dataset = Dataset(name="d", cases=cases, evaluators=[EqualsExpected()])
    report = dataset.evaluate_sync(echo, progress=False, max_concurrency=32)
    return sum(all(each.value for each in case.assertions.values()) for case in report.cases)


if __name__ == "__main__":
    main(run, importlib.metadata.version("pydantic-evals"))
