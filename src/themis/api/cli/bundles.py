"""`themis export`: stages of a run as portable files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from themis.api.cli.options import DEFAULT_STORE, Json, RunName, Store, stored_run
from themis.api.cli.output import show


def export(
    kind: Literal["generation", "reduction", "parse", "score", "evaluation", "inspect", "lm-eval", "eee", "atif"],
    run: RunName,
    path: Path,
    /,
    *,
    metric: str | None = None,
    store: Store = DEFAULT_STORE,
    json_output: Json = False,
) -> None:
    """Write one stage of a run as a portable bundle, or its scores for other tools.

    For example:
      themis export generation latest answers.json.gz
      themis export evaluation 4f1c judgements.json --store runs/mine.sqlite3
      themis export eee latest shared --metric exact_match
      themis export inspect latest logs/latest.eval
      themis export lm-eval latest logs
      themis export atif latest trajectories

    Args:
        kind: The stage, of which what it rests on comes along; or for other tools 'inspect', a log of Inspect,
            'lm-eval', results and samples, 'eee', Every Eval Ever: an aggregate and samples, or 'atif', a trajectory
            for each answer.
        path: The file, replaced if it is there; compressed if its name ends in .gz or .zst. For 'lm-eval', 'eee' and
            'atif' a folder.
        metric: For 'eee', whose scores are written; the run's only one if not given.
    """
    from themis.api.bundles.atif_log import write_atif
    from themis.api.bundles.eee import write_eee
    from themis.api.bundles.files import write_bundle
    from themis.api.bundles.inspect_log import write_inspect_log
    from themis.api.bundles.lm_eval_log import write_lm_eval_log
    from themis.pure.errors import SpecError

    if kind != "eee" and metric is not None:
        raise SpecError(f"--metric: {kind!r} has all of a run's metrics; leave it out, or export 'eee'")
    opened, run_id = stored_run(store, run)
    if kind == "eee":
        written = write_eee(opened, run_id, path, metric=metric)
    elif kind == "inspect":
        written = write_inspect_log(opened, run_id, path)
    elif kind == "lm-eval":
        written = write_lm_eval_log(opened, run_id, path)
    elif kind == "atif":
        written = write_atif(opened, run_id, path)
    else:
        written = write_bundle(opened, run_id, kind, path)
    show({"run_id": run_id, "kind": kind, "path": str(written)}, f"wrote {written}", as_json=json_output)
