"""`themis replay`, `themis rejudge` and `themis verify`: stored runs, computed again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from themis._stages import ReplayStage
from themis.api.cli import DONE, GATE_FAILED, INCOMPLETE
from themis.api.cli.options import (
    DEFAULT_STORE,
    NO_CHANGES,
    Changes,
    Config,
    Json,
    Overrides,
    RunName,
    Store,
    Words,
    closed_at_the_end,
    stored_run,
)
from themis.api.cli.output import show
from themis.api.cli.seal import verify_file

_CHANGES: Final = Parameter(
    name="--changes", negative="", help="Say which cases it changed: right to wrong, parsed to unparsed, and so on."
)
_AGAINST: Final = Parameter(
    help="Of which run the changes are: its id, its first characters or its name. By default the newest other one with "
    "the same answers, or, where judges are asked again, this run as it was."
)
_CASES: Final = Parameter(help="Show the first so many cases of each kind of change, side by side.")


def replay(
    config: Config,
    /,
    *overrides: Overrides,
    stage: ReplayStage,
    metric: Words = None,
    recorded_judging: Annotated[bool, Parameter(negative="")] = False,
    changed: Annotated[bool, _CHANGES] = False,
    against: Annotated[str | None, _AGAINST] = None,
    cases: Annotated[int, _CASES] = 0,
    changes: Changes = NO_CHANGES,
    json_output: Json = False,
) -> int:
    """Do a run's stages again from stored answers.

    No answer is generated anew: change a parser or a metric in the config, and score last month's answers with it.

    For example:
      themis replay experiment.yaml --stage score
      themis replay experiment.yaml evaluation.metrics=builtin/f1 --stage score
      themis replay experiment.yaml evaluation.parsers=builtin/math_answer --stage parse --changes
      themis replay experiment.yaml --stage parse --against baseline --cases 5

    Args:
        stage: The first stage to do again.
        metric: Of the metrics, these alone.
        recorded_judging: Judge from the recorded answers; without it the judges are asked again.
    """
    from themis.api.cli.output import write, write_json
    from themis.api.cli.result import show_result
    from themis.api.experiment.replay import replay_snapshot
    from themis.api.runs.changes import changes_of, view_before
    from themis.api.stores import find_run, open_existing
    from themis.effects.host import run_sync
    from themis.effects.options import RunOptions

    experiment = changes.load(config, overrides)
    store = closed_at_the_end(open_existing(experiment.storage))
    components = experiment.components()
    snapshot = experiment.compile_stored(components, store)
    options = RunOptions(
        runtime=experiment.runtime,
        storage=experiment.storage,
        store=store,
        labels=experiment.labels,
    )
    before = None
    if changed or cases or against is not None:
        named = None if against is None else find_run(store, against)
        before = view_before(store, snapshot, named, judged_anew=stage == "judge" and not recorded_judging)
    result = run_sync(
        lambda: replay_snapshot(
            snapshot, components, options, stage=stage, metric_ids=metric, recorded_judging=recorded_judging
        ),
        "replay",
    )
    if before is None:
        return show_result(result, as_json=json_output)
    found = changes_of(before, result.view, metric)
    compared = {"changes": {"run_before": before.run_id, **found.to_dict(most=cases)}} if json_output else {}
    code = show_result(result, as_json=json_output, emit=lambda data: write_json({**data, **compared}))
    if not json_output:
        which = "as it was before" if before.run_id == result.run_id else before.run_id[:12]
        width = max(80, shutil.get_terminal_size().columns)
        write(f"\nwhat changed since run {which}:\n{found.text(most=cases, width=width)}")
    return code


def rejudge(
    config: Config,
    /,
    *overrides: Overrides,
    metric: Words = None,
    changed: Annotated[bool, _CHANGES] = False,
    against: Annotated[str | None, _AGAINST] = None,
    cases: Annotated[int, _CASES] = 0,
    changes: Changes = NO_CHANGES,
    json_output: Json = False,
) -> int:
    """Ask the judges again about stored answers.

    For example:
      themis rejudge experiment.yaml
      themis rejudge experiment.yaml --changes
      themis rejudge experiment.yaml --metric builtin/llm_rubric

    Args:
        metric: Of the judged metrics, these alone.
    """
    return replay(
        config,
        *overrides,
        stage="judge",
        metric=metric,
        changed=changed,
        against=against,
        cases=cases,
        changes=changes,
        json_output=json_output,
    )


def verify(
    run: RunName,
    /,
    *,
    store: Store = DEFAULT_STORE,
    config: Path | None = None,
    key: Path | None = None,
    most: int = 10,
    jobs: int = 1,
    json_output: Json = False,
) -> int:
    """Check that a run's numbers follow from its recorded outputs, or check a seal.

    No model is called and nothing is written. Exits with 0 if all of it was checked and is right, with 3 if some
    of it could not be checked, and with 1 if a record differs, or something was altered.

    For example:
      themis verify latest
      themis verify 4f1c --store runs/mine.sqlite3 --config experiment.yaml
      themis verify latest --store postgresql://db/evals --jobs 4
      themis verify result.seal --key allowed_signers

    Args:
        config: Where the run's own components come from; builtins and importable ones are found by name.
        key: Of a seal: the public keys that you trust, one a line, or an allowed_signers file of OpenSSH.
        most: Differing records to show at most.
        jobs: Processes of this machine that share the cases.
    """
    from themis.api.bundles.seals import is_seal
    from themis.api.experiment.experiment import Experiment
    from themis.api.experiment.verify import verify as verify_run

    if is_seal(run) or run.endswith(".seal") or (key is not None and Path(run).is_file()):
        return verify_file(Path(run), key, as_json=json_output)
    opened, run_id = stored_run(store, run)
    experiment = Experiment.from_config(config) if config is not None else None
    found = verify_run(opened, run_id, experiment=experiment, most=most, jobs=jobs)
    show(
        {**found.to_dict(), "ok": found.ok, "verdict": found.verdict}, lambda: _verification(found), as_json=json_output
    )
    return {"verified": DONE, "verified in part": INCOMPLETE, "not verified": GATE_FAILED}[found.verdict]


def _verification(found: Any) -> str:
    from themis.pure.text import one_line

    counts = ", ".join(f"{count} {stage}" for stage, count in sorted(found.recomputed.items())) or "nothing"
    lines = [f"run {found.run_id}", f"{found.cases} cases; computed again: {counts}"]
    lines += [f"broken: {text}" for text in found.broken_links]
    lines += [f"altered: {text}" for text in found.altered]
    lines += [f"differs: {difference}" for difference in found.differences]
    lines += [f"not checked: {text}" for text in found.not_verified]
    return "\n".join(map(one_line, [*lines, found.verdict]))
