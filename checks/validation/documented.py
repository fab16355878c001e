import json

from preflight import Finding, check, not_available, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence

WANTED = ("config", "clearance", "versions", "seed", "git", "loss", "started", "finished")


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
    if not path.is_file():
        not_available(f"no run card at {path}; run `preflight train {config.path.name}`")
    card = json.loads(path.read_text(encoding="utf-8"))
    missing = [key for key in WANTED if key not in card]
    evidence(f"commit {card.get('git', {}).get('commit') or 'none'}, seed {card.get('seed')}", missing=missing)
    findings = [Finding(f"the run card lacks {key}", where=str(path), fix="Train again.") for key in missing]
    trained = {section: (card.get("config") or {}).get(section) for section in ("model", "data", "lora", "training")}
    here = config.resolved()
    findings += [
        Finding(
            f"the model was trained with another {section} section",
            where=config.where(section),
            why="What is judged here is not what this config describes.",
            fix="Give the postflight the config that the model was trained with.",
        )
        for section, value in trained.items()
        if value != here[section]
    ]
    report_findings(findings)
