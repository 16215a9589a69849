"""`themis init`, `themis schema` and `themis completion`: what comes before the first run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from themis.api.cli.options import Json
from themis.api.cli.output import show, write, write_json


def init(folder: Path = Path(), /, *, force: bool = False, json_output: Json = False) -> None:
    """Write a working starter project into a folder.

    For example:
      themis init my-evaluation
      cd my-evaluation && themis run experiment.yaml

    Args:
        folder: Where to; the current folder if not given.
        force: Replace files that are there already.
    """
    from themis.api.config.starter import write_starter

    written = write_starter(folder, replace=force)
    there = f"cd {folder} && " if folder != Path() else ""
    lines = [f"wrote {path}" for path in written]
    text = "\n".join([*lines, "", f"next: {there}themis run experiment.yaml"])
    show({"written": [str(path) for path in written]}, text, as_json=json_output)


def schema(what: Literal["experiment", "study"] = "experiment", /) -> None:
    """Print the JSON Schema of config files.

    Editors complete and check a config by it: put this on the first line of a YAML file:
      # yaml-language-server: $schema=./config.schema.json

    For example:
      themis schema > config.schema.json
      themis schema study > study.schema.json

    Args:
        what: Of an experiment's file, or of a study's.
    """
    from themis.api.config.schema import config_schema, study_schema

    write_json(config_schema() if what == "experiment" else study_schema())


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the completion script of a shell.

    For example:
      themis completion bash > ~/.local/share/bash-completion/completions/themis
      themis completion zsh > ~/.zfunc/_themis
      themis completion fish > ~/.config/fish/completions/themis.fish

    Args:
        shell: Which shell.
    """
    from themis.api.cli import make_app

    write(make_app().generate_completion(shell=shell))
