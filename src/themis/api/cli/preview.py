"""`themis preview`: what a model would be sent for the first cases, before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import attrs
from cyclopts import App, Parameter

from themis.api.cli import quick_eval
from themis.api.cli.options import NO_CHANGES, Changes, Config, Json, Overrides
from themis.api.cli.output import show

app: App = App(name="preview")

Cases = Annotated[int, Parameter(help="How many cases to show.")]


@app.default
def preview(
    config: Config,
    /,
    *overrides: Overrides,
    changes: Changes = NO_CHANGES,
    cases: Cases = 3,
    json_output: Json = False,
) -> None:
    """Show what a model would be sent for the first cases, with tokens and cost.

    Nothing is sent, and nothing is stored. Put `preview` before the command that would run it.

    For example:
      themis preview experiment.yaml
      themis preview experiment.yaml "generation.prompt_spec.template='Q: {input}'"
      themis preview quick-eval file questions.csv --model openai/gpt-4o \\
          --metric exact_match --prompt "{topic}: {input}"
      themis preview quick-eval benchmark mmlu_pro --model openai/gpt-4o --cases 1
    """
    _show(changes.load(config, overrides), cases, as_json=json_output)


def _show(experiment: Any, cases: int, *, as_json: bool) -> None:
    found = experiment.preview(cases)
    show(found.to_dict(), lambda: str(found), as_json=as_json)


@attrs.frozen(kw_only=True)
class _Previewed(quick_eval.Quick):
    """How to evaluate, looked at before it is done."""

    cases: int

    def run(self, experiment: Any, *, as_json: bool) -> int:
        _show(experiment, self.cases, as_json=as_json)
        return 0


def _previewing(command: Callable[..., int]) -> Callable[..., int]:
    """Return a command that takes what another takes, and shows what that would send."""

    def previewed(
        *arguments: Any, quick: quick_eval.Quick = quick_eval.NO_CHOICE, cases: Cases = 3, **options: Any
    ) -> int:
        looked_at = _Previewed(**attrs.asdict(quick, recurse=False), cases=cases)
        return command(*arguments, quick=looked_at, **options)

    parameters = inspect.signature(command, eval_str=True).parameters.values()
    cases = inspect.Parameter("cases", inspect.Parameter.KEYWORD_ONLY, default=3, annotation=Cases)
    what, _, rest = (command.__doc__ or "").partition("\n")
    doc = f"Show what would be sent to {what[:1].lower()}{what[1:]}\n{rest}"
    previewed.__doc__ = doc.replace("themis quick-eval", "themis preview quick-eval")
    previewed.__annotations__ = {each.name: each.annotation for each in (*parameters, cases)}
    previewed.__signature__ = inspect.Signature([*parameters, cases])  # type: ignore[attr-defined]  # PEP 362
    return previewed


_quick_eval = App(name="quick-eval", help="Show what quick-eval would send; its own options, and --cases.")
for _name, _command in quick_eval.COMMANDS.items():
    _quick_eval.command(_previewing(_command), name=_name)
app.command(_quick_eval)
app.command(preview, name="run", show=False)  # the command that would run a config, behind `preview`
