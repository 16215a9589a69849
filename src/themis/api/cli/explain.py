"""`themis explain`: why do these two numbers differ?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from themis.api.cli.options import DEFAULT_STORE, Json, Price, RunName, Store, Words, read_prices, stored_run
from themis.api.cli.output import show, write_document


def explain(
    run_a: RunName,
    run_b: RunName,
    /,
    *,
    metric: Words = None,
    metric_b: str | None = None,
    cases: int = 3,
    config: Annotated[list[Path] | None, Parameter(negative="", consume_multiple=True)] = None,
    price: Price = None,
    kind: Annotated[Literal["text", "markdown", "json"], Parameter(name="--format")] = "text",
    store: Store = DEFAULT_STORE,
    store_b: Annotated[str | None, Parameter(help="Where RUN_B is kept, if elsewhere.")] = None,
    json_output: Json = False,
) -> None:
    """Explain why the means of two runs differ.

    Cases, errors, prompt, model, samples, parser, metric, judge and whatever else
    differs are swapped one at a time, over stored answers: no model is called.
    Shares are Shapley values and sum to the difference; the cases behind each are
    shown, and what only new calls could tell, with their number and cost.

    For example:
      themis explain 4f1c latest
      themis explain 4f1c latest --metric exact_match --cases 10
      themis explain 4f1c 77ab --metric exact_match --metric-b f1
      themis explain lm-eval ours --metric exact_match --config experiment.yaml
      themis explain 4f1c latest --format markdown > why.md

    Args:
        run_a: The first run: its id, its first characters, its name, or 'latest'.
        run_b: The second run; shares lead from RUN_A's mean to this one's.
        metric: These metrics; by default all that both runs have.
        metric_b: The metric of RUN_B, where its number is of another one.
        cases: Cases to show with each factor, at most.
        config: Where components come from that are neither builtins nor importable.
        kind: Text for a terminal, Markdown, or JSON.
    """
    from themis.api.differences.attribute import explain_difference, shared_metrics
    from themis.api.experiment.experiment import Experiment
    from themis.api.runs.view import RunView
    from themis.pure.errors import SpecError
    from themis.pure.report.difference import difference_data, difference_markdown, difference_text

    if metric_b is not None and metric is not None and len(metric) > 1:
        raise SpecError(f"--metric-b: one --metric expected beside it, found {len(metric)}")
    (first, a), (second, b) = stored_run(store, run_a), stored_run(store_b or store, run_b)
    views = RunView.of(first, a), RunView.of(second, b)
    experiments = [Experiment.from_config(path) for path in config or ()]
    shared = shared_metrics(*views) if metric is None and metric_b is None else []
    found = [
        explain_difference(
            first,
            a,
            second,
            b,
            name,
            metric_b=metric_b,
            experiments=experiments,
            label_a=_label(run_a, a),
            label_b=_label(run_b, b),
            cases=cases,
            prices=read_prices(price),
        )
        for name in (metric or shared or (None,))
    ]
    width = shutil.get_terminal_size((120, 24)).columns
    if kind == "markdown" and not json_output:
        write_document("\n".join(map(difference_markdown, found)), "markdown")
        return
    show(
        {"explanations": [difference_data(each) for each in found]},
        lambda: "\n\n\n".join(difference_text(each, width) for each in found),
        as_json=json_output or kind == "json",
    )


def _label(name: str, run_id: str) -> str | None:
    """Return the name that a run was called by, where it is one."""
    return None if name == "latest" or run_id.startswith(name) else name
