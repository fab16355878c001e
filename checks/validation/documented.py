import json
from typing import Any

from preflight import Finding, check, not_applicable, not_available, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.flight.foreign import foreign

WANTED = {
    "config": dict,
    "clearance": str,
    "versions": dict,
    "seed": int,
    "git": dict,
    "loss": list,
    "started": str,
    "finished": str,
}
SECTIONS = ("model", "data", "lora", "quantization", "training")
WHY = "A model that can't be made again can't be fixed either."


@check("POST-106", "run-documented", severity="required", section=6, item="Config documented: hyperparameters recorded")
def the_run_card_says_how_the_model_was_made(config: Config, evidence: Evidence) -> None:
    """The run card records how the model was made, and matches the config.

    What it checks: run-card.json has config, clearance digest, versions, seed, git commit, losses and times; and its
    config is the one given here.
    Why it matters: A model that can't be made again can't be fixed either.
    How to fix: Train with `preflight train`; run the postflight with the config that the model was trained with.
    Evidence: the checklist's adapter management.
    """
    path = config.output_dir / "run-card.json"
    if foreign(config):
        not_applicable("no run card: the model was trained elsewhere; POST-120 holds the adapter against the config")
    if not path.is_file():
        not_available(f"no run card at {path}; run `preflight train {config.path.name}`")
    train = f"Run preflight train {config.path.name} again, which writes it."
    try:
        card = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        report_findings([Finding(f"the run card is not a JSON object: {error}", where=str(path), why=WHY, fix=train)])
    missing = [key for key in WANTED if not isinstance(card.get(key), WANTED[key])]
    commit = "none" if "git" in missing else card["git"].get("commit") or "none"
    evidence(f"commit {commit[:12]}, seed {card.get('seed')}", missing=missing)
    findings = [Finding(f"the run card lacks {key}", where=str(path), why=WHY, fix=train) for key in missing]
    if "config" in missing:
        report_findings(findings)
    here = config.resolved()
    trained = {section: card["config"].get(section) for section in SECTIONS}
    findings += [
        Finding(
            f"the model was trained with another {section} section",
            where=config.where(section),
            observed=_differing(here[section], value),
            expected=_differing(value, here[section]),
            why="What is judged here is not what this config describes.",
            fix="Give the postflight the config that the model was trained with.",
        )
        for section, value in trained.items()
        if value != here[section]
    ]
    report_findings(findings)


def _differing(values: Any, others: Any) -> str:
    """The values of one section that the other has not."""
    if not isinstance(values, dict) or not isinstance(others, dict):
        return json.dumps(values)
    only = [f"{key}: {json.dumps(value)}" for key, value in values.items() if value != others.get(key, ...)]
    return ", ".join(only) or "not set"
