"""inspect-ai with its mock model: keeps a log file."""

import importlib.metadata
import tempfile

import inspect_ai
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate
from measuring import main


def echo(messages, tools, tool_choice, config):
    output = ModelOutput.from_content("mockllm/model", messages[-1].text)
    output.usage = ModelUsage()  # without one, the mock model counts tokens by a table that it downloads
    return output


def run(count):
    samples = [Sample(input=f"question {i}", target=f"question {i}") for i in range(count)]
    task = inspect_ai.Task(dataset=MemoryDataset(samples), solver=generate(), scorer=exact())
    model = get_model("mockllm/model", custom_outputs=echo)
    with tempfile.TemporaryDirectory() as folder:
        (log,) = inspect_ai.eval(task, model=model, log_dir=folder, display="none", max_connections=32)
    assert log.status == "success", log.error.message[:500]
    return round(log.results.scores[0].metrics["mean"].value * count)


if __name__ == "__main__":
    main(run, importlib.metadata.version("inspect-ai"))
