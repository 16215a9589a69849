"""The site builds strictly from what is there, needs no network, and shows every public name."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from types import ModuleType

import attrs
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow
"""A build takes some seconds, and is the same on every Python."""


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(site)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "reference" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(page: Path) -> str:
    text = re.sub(r"(?s)<(script|style|svg).*?</\1>", " ", page.read_text(encoding="utf-8"))
    return " ".join(unescape(re.sub(r"<[^>]+>", "", text)).split())


def test_nothing_is_loaded_from_the_network(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
    assert [found[0] for page in site.rglob("*.html") for found in loaded.finditer(page.read_text("utf-8"))] == []


def test_every_public_name_is_described(site: Path, generator: ModuleType) -> None:
    anchors = {
        name for page in site.glob("reference/*.html") for name in re.findall(r'id="([\w.]+)"', page.read_text("utf-8"))
    }
    missing = {full for door in generator.DOORS for full in generator.exports(door).values() if full not in anchors}
    assert missing == set()


def test_sync_variants_are_shown_with_their_signature(site: Path) -> None:
    text = words(site / "reference" / "running.html")
    assert text.count("tracing_provider: TracingProvider | None = None") == 8


def test_fields_of_records_are_shown_with_their_types(site: Path) -> None:
    text = words(site / "reference" / "records.html")
    assert "final_output JSONValue the answer, text or any JSON." in text


def test_the_family_tree_of_errors_the_stage_table_and_the_views_are_shown(site: Path) -> None:
    from themis.pure.pipeline.table import STAGES

    assert "├── StoreError" in words(site / "reference" / "errors.html")
    pipeline = words(site / "reference" / "pipeline.html")
    assert all(row.ready in pipeline and row.consumes in pipeline for row in STAGES)
    assert "planned, scored, mean, correct, incorrect, errors, unparsed" in words(site / "reference" / "sql.html")


def test_every_command_and_every_config_key_is_shown(site: Path) -> None:
    from themis.api.cli import COMMANDS
    from themis.pure.records.config import RuntimeConfig

    commands = words(site / "reference" / "command-line.html")
    assert all(f"themis {name}" in commands for group in COMMANDS.values() for name, *_ in group)
    keys = words(site / "reference" / "config.html")
    assert all(f"runtime.{field.name}" in keys for field in attrs.fields(RuntimeConfig))


def test_what_is_wrong_ends_the_build(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "src").symlink_to(ROOT / "src")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(config + "  - Lost: lost.md\n", encoding="utf-8")
    (tmp_path / "docs" / "unlisted.md").write_text("# Unlisted\n", encoding="utf-8")
    with (tmp_path / "docs" / "tutorial.md").open("a", encoding="utf-8") as page:
        page.write("\n[a](how-to/none.md) [b](how-to/judge.md#none) [c][themis.none]\n")
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0
    for fault in ("lost.md", "unlisted.md", "how-to/none.md", "judge.md#none", "themis.none"):
        assert fault in done.stderr, done.stderr
