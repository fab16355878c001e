from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal


@check("RUN-210", "adapter-moves", severity="required", section=4, item="Trainable parameters: verify only adapter")
def what_is_trained_changes(config: Config, rehearsal: Rehearsal, evidence: Evidence) -> None:
    """The first steps change what is meant to be trained.

    What it checks: Every parameter that requires a gradient, bit by bit, before the first step of the rehearsal and
    after the last, which takes them at the full learning rate; at least one must have changed.
    Why it matters: A run whose weights stay as they are ends with the base model, at full price.
    How to fix: Set `training.learning_rate` above zero (2e-4 for an adapter); see RUN-204 if every step is skipped.
    Evidence: huggingface/peft#793, unslothai/unsloth#2142 and johnsmith0031/alpaca_lora_4bit#137 trained adapters that
    stayed what they were.
    """
    found = rehearsal.reached(rehearsal.parameters)
    moved = found.trained - len(found.unmoved)
    evidence(f"{moved:,} of {counted(found.trained, 'tensor')} changed", trained=found.trained, moved=moved)
    if moved == 0:
        rate = config.training_value("learning_rate")
        adapter = config.lora is not None
        report_findings(
            [
                Finding(
                    f"nothing changes in {counted(len(rehearsal.steps), 'training step')}",
                    where=config.where("training.learning_rate"),
                    observed=f"0 of {counted(found.trained, 'trained tensor')} changed, at a learning rate of {rate:g}",
                    expected="all of them",
                    why="The run would end with the base model.",
                    fix=f"Set training.learning_rate: {'2.0e-4' if adapter else '1.0e-5'}."
                    if rate < 1e-7
                    else "See RUN-204 and RUN-209: gradients don't arrive, or aren't finite.",
                )
            ]
        )
