"""Runs as Every Eval Ever 0.3 has them: an aggregate, and a row for each answer with one metric's score.

Source: evaleval/every_eval_ever, `eval.schema.json` and `instance_level_eval.schema.json`. A row must have a score:
that of an answer that was not scored has the lowest, and says under `error` why, so that nothing missing flatters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.errors import DISTRIBUTION
from themis.pure.interchange.exported import text_of
from themis.pure.json import JSONValue
from themis.pure.plan import CaseItem, MetricSlot
from themis.pure.records.generation import GenerationResult
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.state import CaseState, answer_state
from themis.pure.stats import Estimate

SCHEMA: Final = "0.3.0"


@attrs.frozen(kw_only=True)
class Exported:
    """What every row and the aggregate say of a run.

    Attributes:
        run_id: the run.
        model: the model's name; with a slash it is that of an organization.
        metric: whose scores are written.
        version: of Themis.
        began: when the run began, in seconds since 1970.
    """

    run_id: str
    model: str
    metric: MetricSlot
    version: str
    began: int

    @property
    def evaluation_id(self) -> str:
        return f"themis/{self.model.replace('/', '_')}/{self.began}"

    @property
    def name(self) -> str:
        """The name of the run's files: a UUID of version 4 by its form, and the same each time the run is written."""
        digits = f"{self.run_id[:12]}4{self.run_id[13:16]}8{self.run_id[17:32]}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    @property
    def place(self) -> str:
        """Where a repository of Every Eval Ever has the rows."""
        maker, _, model = self.model.rpartition("/")
        return f"data/themis/{maker.replace('/', '_') or 'unknown'}/{model}/{self.name}_samples.jsonl"

    def result_id(self, dataset_id: str) -> str:
        """Name the aggregate's result that a row is of."""
        return f"{dataset_id}.{self.metric.metric_id}"


def sample_rows(
    of: Exported, item: CaseItem, state: CaseState, rows: Sequence[BenchmarkScoreRow]
) -> Iterator[dict[str, Any]]:
    """Yield a case's answers with their scores by the metric."""
    places = {each.candidate_id: place for place, each in state.candidates.items()}
    for row in rows:
        if row.metric_id == of.metric.metric_id and row.outcome != "not_reached":
            place = places.get(row.candidate_id or "")
            if place is None and row.value is not None and len(places) == 1:  # the case's one answer
                place = next(iter(places.values()))
            yield _row(of, item, state, row, place)


def _row(of: Exported, item: CaseItem, state: CaseState, row: BenchmarkScoreRow, place: int | None) -> dict[str, Any]:
    case, dataset = item.case, item.dataset_id
    candidate = state.candidates.get(place) if place is not None else None
    several = place is not None and of.metric.is_of_answers and len(state.candidates) > 1
    parsed = (answer_state(state, place) if several else state).parsed
    raw, reference = text_of(case.input), _references(case.expected_output)
    low = (of.metric.score_range or (0.0, 1.0))[0]
    output = [] if candidate is None else [text_of(candidate.final_output)]
    choices = case.metadata.get("choices")
    data: dict[str, Any] = {
        "schema_version": SCHEMA,
        "evaluation_id": of.evaluation_id,
        "model_id": of.model,
        "evaluation_name": dataset,
        "evaluation_result_id": of.result_id(dataset),
        "sample_id": case.case_id,
        "sample_hash": hashlib.sha256((raw + "".join(reference)).encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": raw, "reference": reference},
        "output": {"raw": output},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": "" if parsed is None else text_of(parsed.value),
                "extraction_method": state.parser_id or "none",
                "is_terminal": True,
            }
        ],
        "evaluation": {
            "score": low if row.value is None else row.value,
            "is_correct": row.outcome == "correct",
        },
        "metadata": {name: text_of(value) for name, value in case.metadata.items() if name != "choices"},
    }
    if isinstance(choices, list | tuple):
        data["input"]["choices"] = [*map(text_of, choices)]
    if row.value is None or candidate is None:
        data["error"] = f"{row.error_category}: {row.error_message}" if row.error_category else "no score"
    return {**data, **(_measured(candidate) if candidate is not None else {})}


def _measured(candidate: GenerationResult) -> dict[str, Any]:
    found: dict[str, Any] = {}
    used = candidate.token_usage or {}
    if "prompt_tokens" in used and "completion_tokens" in used:
        counts = {"input_tokens": used["prompt_tokens"], "output_tokens": used["completion_tokens"]}
        found["token_usage"] = {**counts, "total_tokens": used.get("total_tokens", sum(counts.values()))}
    if candidate.latency_ms is not None:
        found["performance"] = {"latency_ms": candidate.latency_ms}
    return found


def _references(expected: JSONValue) -> list[str]:
    if expected is None:
        return []
    return [*map(text_of, expected)] if isinstance(expected, list | tuple) else [text_of(expected)]


def aggregate(of: Exported, estimates: Mapping[str, Estimate], checksum: str, count: int) -> dict[str, Any]:
    """Return what a run comes to.

    Args:
        of: the run.
        estimates: the metric's estimate on each dataset.
        checksum: the SHA-256 of the file of rows.
        count: how many rows it has.
    """
    model = {"deployment_type": "unknown", "model_availability": "unknown"}
    return {
        "schema_version": SCHEMA,
        "evaluation_id": of.evaluation_id,
        "evaluation_timestamp": str(of.began),
        "retrieved_timestamp": str(of.began),
        "source_metadata": {
            "source_name": "Themis",
            "source_type": "evaluation_run",
            "source_organization_name": "unknown",
            "evaluator_relationship": "other",
            "additional_details": {"run_id": of.run_id},
        },
        "eval_library": {"name": DISTRIBUTION, "version": of.version},
        "model_info": {"name": of.model.rpartition("/")[2], "id": of.model, "additional_details": model},
        "evaluation_results": [_result(of, dataset, estimate) for dataset, estimate in estimates.items()],
        "detailed_evaluation_results": {
            "format": "jsonl",
            "file_path": of.place,
            "hash_algorithm": "sha256",
            "checksum": checksum,
            "total_rows": count,
        },
    }


def _result(of: Exported, dataset: str, estimate: Estimate) -> dict[str, Any]:
    metric, interval = of.metric, estimate.interval
    low, high = metric.score_range or (None, None)
    uncertainty: dict[str, Any] = {"num_samples": estimate.scored}
    if estimate.standard_error is not None:
        uncertainty["standard_error"] = {"value": estimate.standard_error}
    if interval.low is not None and interval.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": interval.low,
            "upper": interval.high,
            "confidence_level": interval.level,
            "method": interval.method,
        }
    return {
        "evaluation_result_id": of.result_id(dataset),
        "evaluation_name": dataset,
        "source_data": {"dataset_name": dataset, "source_type": "other"},
        "metric_config": {
            "metric_id": metric.metric_id,
            "metric_name": metric.metric_id,
            "lower_is_better": False,
            "score_type": "binary" if estimate.binary else "continuous",
            "min_score": "-Infinity" if low is None else low,
            "max_score": "Infinity" if high is None else high,
        },
        "score_details": {
            "score": estimate.mean,
            "details": {"planned": str(estimate.planned), "missing": str(estimate.missing)},
            "uncertainty": uncertainty,
        },
    }
