"""lm-eval with its dummy model, whose answer is always the same word: keeps nothing."""

import importlib.metadata
import json
import tempfile
from pathlib import Path

import lm_eval
from lm_eval.tasks import TaskManager
from measuring import main

ANSWER = "lol"
KNOWN = TaskManager()
"""Made once: it reads every task that the package brings."""


def run(count):
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cases.jsonl"
        data.write_text("".join(json.dumps({"q": f"question {i}", "a": ANSWER}) + "\n" for i in range(count)))
        task = {
            "task": "echo",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": folder},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{q}}",
            "doc_to_target": "{{a}}",
            "generation_kwargs": {"until": ["\n"]},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
        found = lm_eval.simple_evaluate(model="dummy", tasks=[task], task_manager=KNOWN, bootstrap_iters=0)
    return round(found["results"]["echo"]["exact_match,none"] * count)


if __name__ == "__main__":
    main(run, importlib.metadata.version("lm-eval"))
