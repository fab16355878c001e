"""The documentation: generated pages are current, every link leads somewhere, nothing is left to do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from preflight.data.shapes import normalise
from preflight.registry import shipped

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"]


def test_the_generated_pages_are_current():
    command = [sys.executable, "scripts/docs.py", "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr


def test_there_is_one_page_a_check():
    assert {path.stem for path in (DOCS / "checks").glob("*-*.md")} == set(shipped())


def test_a_page_that_was_changed_is_noticed(tmp_path):
    for name in ("docs", "scripts"):
        (tmp_path / name).mkdir()
    for path in (ROOT / "scripts").glob("*.py"):
        (tmp_path / "scripts" / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "scripts/docs.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "docs" / "checks" / "DATA-104.md").write_text("# Another text\n", encoding="utf-8")
    (tmp_path / "docs" / "checks" / "OLD-100.md").write_text("# Gone\n", encoding="utf-8")

    run = subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        "docs/checks/DATA-104.md is out of date",
        "docs/checks/OLD-100.md is out of date",
        "run: python scripts/docs.py",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere_and_nothing_is_left_to_do(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).is_file(), target
    assert "TODO" not in text


def test_every_page_is_in_the_navigation():
    nav = YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = {path for entry in nav for path in ([entry] if isinstance(entry, str) else entry.values())}

    assert named == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.stem not in shipped()}


def test_examples_of_the_pages_name_real_checks_and_thresholds():
    """YAML in the hand-written pages is valid, and speaks of checks, thresholds and severities that exist."""
    checks = shipped()
    text = (DOCS / "faq.md").read_text(encoding="utf-8")
    blocks = [YAML(typ="safe").load(block)["gate"] for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(blocks) == 3
    for gate in blocks:
        for code, limits in gate.get("thresholds", {}).items():
            assert limits.keys() <= checks[code].thresholds.keys()
        assert set(gate.get("severity", {})) <= checks.keys()
        assert all(checks[waiver["code"]].waivable for waiver in gate.get("waivers", ()))


def test_each_example_of_the_data_guide_has_the_shape_that_it_says():
    text = (DOCS / "data.md").read_text(encoding="utf-8")
    found = re.findall(r"^\*\*([a-z-]+)\*\*:.*?```json\n(.*?)\n```", text, re.MULTILINE | re.DOTALL)

    assert [shape for shape, _ in found] == ["messages", "sharegpt", "alpaca", "prompt-completion", "text"]
    for shape, row in found:
        assert normalise(json.loads(row)).shape == shape
