from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.environment import hub, trackers
from preflight.fixtures import Evidence
from preflight.target import Target


@check("ENV-107", "hub-access", severity="required", section=4, item="Hugging Face login (for gated models)")
def what_comes_from_the_hub_can_be_had(config: Config, evidence: Evidence) -> None:
    """Models and datasets of the hub can be had with the token that is there.

    What it checks: For each id of the hub in the config, the hub is asked whether this token may read it. Folders and
    files are not asked about, and nothing is asked under `HF_HUB_OFFLINE`.
    Why it matters: A gated model whose terms weren't accepted, or a job without its token, stops when it starts, often
    on another machine and hours later in a queue.
    How to fix: Accept the terms on the model's page, and log in with `hf auth login`, or hand HF_TOKEN to the job.
    Evidence: huggingface/huggingface_hub#2586, huggingface/transformers#31367.
    """
    named = hub.repositories(config)
    if not named:
        not_applicable("model and data are here")
    if hub.offline():
        not_applicable("HF_HUB_OFFLINE is set: can't tell offline whether the hub gives access")
    findings = []
    for key, kind, name in named:
        try:
            refused = hub.refusal(name, kind)
        except OSError as error:
            not_applicable(f"can't tell: {error}")
        if refused:
            findings.append(
                Finding(
                    f"{kind} {name} {refused[0]}",
                    where=config.where(key),
                    observed=name,
                    why="The run stops when it starts.",
                    fix=f"{refused[1]}.",
                )
            )
    evidence(", ".join(name for *_, name in named), repositories=[name for *_, name in named])
    report_findings(findings)


@check("ENV-108", "tracker-login", severity="required", section=4, item="Weights & Biases (optional tracking): login")
def trackers_are_installed_and_logged_in(config: Config, target: Target, evidence: Evidence) -> None:
    """Each tracker that the config reports to is installed and logged in.

    What it checks: `training.report_to`, here: the package, and a key in the environment or in the tracker's own file.
    Whether the key is right is not asked. Without `report_to`, preflight's trainer reports to nothing.
    Why it matters: The tracker asks for a key at a prompt that nobody sees, or ends the run, after the model was
    loaded.
    How to fix: Log in as the finding says, hand the key to the job, or set `training.report_to: none`.
    Evidence: wandb/wandb#592, hiyouga/LlamaFactory#1372.
    """
    asked = trackers.asked_for(config.training.get("report_to"))
    if not asked:
        not_applicable("nothing is reported")
    if not target.local:
        not_applicable("hardware describes another machine; the trainer looks there")
    problems = {name: problem for name in asked if (problem := trackers.problem(name))}
    evidence(", ".join(asked), asked=asked, problems=problems)
    report_findings(
        [
            Finding(
                f"{name} {problem}",
                where=config.where("training.report_to"),
                observed=name,
                why="It asks for a key at a prompt that nobody sees, or ends the run once the model is loaded.",
                fix=f"{_remedy(name, problem)}, or set training.report_to: none.",
            )
            for name, problem in problems.items()
        ]
    )


def _remedy(name: str, problem: str) -> str:
    tracker = trackers.TRACKERS[name]
    if "installed" in problem:
        return f"pip install {tracker.module.replace('_', '-')}"
    return f"Run {tracker.login}" if tracker.login else f"Set {tracker.keys[0]}"
