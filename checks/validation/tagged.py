import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence

# v3 anywhere; 1.2 at the end, since llama-3.1-8b says nothing of this model's version; a date.
VERSION = re.compile(
    r"""(^|[-_\ .]) v\d+ (\.\d+)* (?![a-z\d])
      | (^|[-_\ ]) \d+ (\.\d+)+ ([-+.]?(rc|a|b|dev|post)\.?\d*)? $
      | 20\d\d -? [01]\d -? [0-3]\d""",
    re.IGNORECASE | re.VERBOSE,
)


@check(
    "POST-124", "version-tagged", severity="recommended", section=6, item="Version tagged: git tag or version number"
)
def the_model_has_a_version(config: Config, evidence: Evidence) -> None:
    """The trained model has a version: a git tag of the commit it was trained from, or a number in its name.

    What it checks: A tag in the run card, or one that was given to its commit since; else a version or a date in the
    config's `name`, such as `support-bot-1.2`, `v3` or `2026-01-31`. Of a model that was trained elsewhere, a tag of
    the commit that is checked out.
    Why it matters: Without a version nobody can say which of several models is served, or go back to the one before.
    How to fix: `git tag NAME COMMIT`; or write a version into `name`.
    Evidence: the checklist's adapter management: version tagged.
    """
    state = _of_card(config.output_dir / "run-card.json")
    commit = state.get("commit") if state else _git(config.folder, "rev-parse", "--verify", "HEAD")
    commit = commit if isinstance(commit, str) and commit else None
    tag = state.get("tag") or (_git(config.folder, "tag", "--points-at", commit).partition("\n")[0] if commit else "")
    found = VERSION.search(config.name)
    evidence(
        f"tag {tag}" if tag else f"name {config.name}" if found else "no version", tag=tag or None, name=config.name
    )
    if tag or found:
        return
    new = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', config.name).strip('-.') or 'model'}-1.0"
    report_findings(
        [
            Finding(
                "the model has no version: its commit has no git tag, and its name no number"
                if commit
                else "the model has no version: no number in its name, and no git commit to tag",
                where=config.where("name"),
                observed=f"name: {config.name}",
                expected="a git tag of the commit, or a version in the name",
                why="Nobody can say which of several models is served, or go back to the one before.",
                fix=f"git tag {shlex.quote(new)} {commit[:12]}" if commit else f"Set name: {new}.",
            )
        ]
    )


def _of_card(path: Path) -> dict[str, Any]:
    """What the run card says about git; nothing if there is none, which is POST-106's business."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))["git"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return state if isinstance(state, dict) else {}


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing if it is not there, or refuses."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
