"""Runs as lm-evaluation-harness logs them: rows of samples for each dataset, and the results of all.

Source: lm_eval 0.4.13, `result_schema.py` and `loggers/evaluation_tracker.py`. A dataset is a task, a case a document,
an answer a repeat. A row is of one document and one filter: the filter `none` has a case's mean score by each metric,
and, where cases have several answers, the filters `answer-1`, `answer-2`, ... have those of each. What was not scored
has no score in its row; in place of a failed answer stands `null`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from math import fsum
from typing import Any, Final

from themis.pure.components.likelihoods import read_likelihoods
from themis.pure.interchange.exported import Logged, in_a_name, scores_of, text_of
from themis.pure.json import content_hash, encode, thaw
from themis.pure.plan import CaseItem
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.state import CaseState
from themis.pure.stats import Estimate

FILTER: Final = "none"
ANSWER: Final = "answer-"
"""Begins the name of the filter that takes one of several answers; its number, from 1 on, follows."""
DATASET: Final = "themis_dataset_id"
"""What a task's metadata call the dataset that it is, for a task's name may hold less."""
OF_A_ROW: Final = frozenset(
    {
        *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics"),
        *("doc_hash", "prompt_hash", "target_hash"),
    }
)
"""What a row has besides its scores."""


def task_names(dataset_ids: Sequence[str]) -> dict[str, str]:
    """Return the task's name for each dataset: names of files are made of it."""
    names: dict[str, str] = {}
    for dataset_id in dataset_ids:
        name = in_a_name(dataset_id, 100).strip(".") or "task"
        taken = set(names.values())
        names[dataset_id] = name if name not in taken else f"{name}_{len(taken)}"
    return names


def rows_of(
    of: Logged, item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow], number: int
) -> Iterator[dict[str, Any]]:
    """Yield a case's rows: of all its answers, and, of several, of each.

    Args:
        of: the run.
        item: the case.
        state: what is known of it.
        rows: its scores.
        number: which document of the task it is, from 0 on.
    """
    candidates = [state.candidates.get(index) for index in range(of.answers)]
    scores = [
        {_called(row.metric_id): row.value for row in scores_of(rows, state, index) if row.value is not None}
        for index in range(of.answers)
    ]
    arguments, responses = _requests(item.case, candidates)
    doc, target, prompt = thaw(item.case.to_dict()), _target(item.case), text_of(arguments["gen_args_0"]["arg_0"])
    row = {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": arguments,
        "resps": responses,
        "doc_hash": content_hash(doc),
        "prompt_hash": _sha256(prompt),
        "target_hash": _sha256(target),
    }
    means = {
        name: fsum(known) / len(known)
        for name in dict.fromkeys(name for each in scores for name in each)
        if (known := [each[name] for each in scores if name in each])
    }
    yield {**row, **_filtered(FILTER, [each[0] for each in responses], means)}
    if of.answers > 1:
        for index, found in enumerate(scores):
            taken = [each[index] if index < len(each) else None for each in responses]
            yield {**row, **_filtered(f"{ANSWER}{index + 1}", taken, found)}


def _called(metric_id: str) -> str:
    """Return what a metric is called in a row, where each has a key of its own."""
    return f"{metric_id}_score" if metric_id in OF_A_ROW else metric_id


def _filtered(name: str, responses: Sequence[Any], scores: Mapping[str, float]) -> dict[str, Any]:
    return {"filtered_resps": responses, "filter": name, "metrics": list(scores), **scores}


def _requests(case: Case, candidates: Sequence[GenerationResult | None]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Return what was asked, and the responses to each request: of likelihoods one for each choice."""
    prompt = case.input if isinstance(case.input, str) else encode(case.input).decode()
    found = [None if each is None else read_likelihoods(each.final_output) for each in candidates]
    texts = next(([one.text for one in each] for each in found if each is not None), None)
    if texts is not None and all(each is not None and [one.text for one in each] == texts for each in found):
        arguments = {f"gen_args_{n}": {"arg_0": prompt, "arg_1": text} for n, text in enumerate(texts)}
        by_choice = zip(*(each for each in found if each is not None), strict=True)
        return arguments, [[[repr(one.logprob), str(one.is_greedy)] for one in each] for each in by_choice]
    said = [None if each is None else text_of(each.final_output) for each in candidates]
    return {"gen_args_0": {"arg_0": prompt, "arg_1": {}}}, [said]


def _target(case: Case) -> str:
    return "" if case.expected_output is None else text_of(case.expected_output)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def results_of(
    of: Logged,
    names: Mapping[str, str],
    estimates: Mapping[str, Mapping[str, Estimate]],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    """Return what a run comes to.

    Args:
        of: the run.
        names: the task's name for each dataset.
        estimates: of each dataset, the estimate of each metric.
        counts: how many cases each dataset has.
    """
    kinds = ("results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples")
    found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for dataset, task in names.items():
        known = {_called(name): one for name, one in estimates.get(dataset, {}).items() if one.mean is not None}
        found["results"][task] = _result(task, known, counts[dataset])
        found["group_subtasks"][task] = []
        found["configs"][task] = {
            "task": task,
            "dataset_path": dataset,
            "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in known],
            "repeats": of.answers,
            "num_fewshot": 0,
            "metadata": {"version": 0, DATASET: dataset},
        }
        found["versions"][task] = found["n-shot"][task] = 0
        found["higher_is_better"][task] = dict.fromkeys(known, True)
        found["n-samples"][task] = {"original": counts[dataset], "effective": counts[dataset]}
    return {
        **found,
        "config": {"model": of.agent, "model_args": "", "limit": None, "gen_kwargs": {}},
        "git_hash": None,
        "date": of.began.timestamp(),
        "model_source": of.agent,
        "model_name": of.model,
        "model_name_sanitized": re.sub(r"[\"<>:/|\\?*\[\]]+", "__", of.model),
        "themis_version": of.version,
        "themis_run_id": of.run_id,
    }


def _result(task: str, estimates: Mapping[str, Estimate], count: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": task, "alias": task, "sample_len": count}
    for name, estimate in estimates.items():
        error = estimate.standard_error
        found[f"{name},{FILTER}"] = estimate.mean
        found[f"{name}_stderr,{FILTER}"] = "N/A" if error is None else error
    return found
