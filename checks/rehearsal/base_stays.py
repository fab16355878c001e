from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import counted, places
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal


@check(
    "RUN-203", "only-adapter-changes", severity="required", section=4, item="Trainable parameters: verify only adapter"
)
def only_what_is_trained_changes(config: Config, rehearsal: Rehearsal, evidence: Evidence) -> None:
    """No frozen parameter changes while the run trains.

    What it checks: Every parameter that needs no gradient, bit by bit, before the first step of the rehearsal and after
    the last.
    Why it matters: An adapter belongs to the weights that it was trained on. If they drift, what is saved does not give
    the model that was trained.
    How to fix: Look for code of the model (`model.trust_remote_code`) or of a callback that writes to its weights.
    Evidence: LoRA freezes the pre-trained weights (Hu et al. 2021, section 4.1).
    """
    if config.lora is None:
        not_applicable("full fine-tuning: all weights are meant to change")
    found = rehearsal.reached(rehearsal.parameters)
    evidence(
        f"{counted(found.frozen, 'frozen tensor')}, {len(found.moved)} changed", frozen=found.frozen, moved=found.moved
    )
    if found.moved:
        report_findings(
            [
                Finding(
                    f"{counted(len(found.moved), 'frozen tensor')} of the base model changed: {places(found.moved)}",
                    where=config.where("lora"),
                    observed=f"{len(found.moved)} of {found.frozen} changed",
                    expected="0",
                    why="The adapter is trained on weights that nobody saves.",
                    fix="Load the base model without code that writes to its weights: model.trust_remote_code: false.",
                )
            ]
        )
