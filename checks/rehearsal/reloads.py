import math
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import counted, places
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal

MIB = 2**20


@check(
    "RUN-205",
    "checkpoint-reloads",
    severity="required",
    section=4,
    item="Checkpointing: save every N steps",
    thresholds={"max_difference": 0.001, "max_difference_half": 0.1, "max_share": 0.2},
)
def a_saved_checkpoint_is_the_trained_model(
    config: Config, rehearsal: Rehearsal, evidence: Evidence, limits: Any
) -> None:
    """What is saved and loaded again on a fresh base gives the model that was trained.

    What it checks: The checkpoint that the rehearsal saved is loaded as it will be after the run. Every tensor of the
    adapter must be what was trained. So must log-probabilities of the same tokens be, measured by how much training had
    changed them. The optimizer's state is loaded too, if it is saved.
    Why it matters: What was trained and is not in the file is lost, and a run that is resumed goes on from something
    else.
    How to fix: Add what is trained beside the adapter to `lora.modules_to_save`; don't train what peft doesn't save.
    With `lora.init_lora_weights: pissa_niter_4` what is taken out of the base is another each time: set `pissa`.
    Evidence: huggingface/peft#793: the adapter that was loaded did nothing. Thresholds: in float32 the same weights
    give the same numbers; 16 bits differ by up to 0.05 on a small model.
    """
    saved = rehearsal.reached(rehearsal.checkpoint)
    evidence(
        f"differs by {saved.difference:.1g}, training by {saved.effect:.1g}, {saved.size / MIB:,.0f} MiB",
        difference=str(saved.difference),
        effect=str(saved.effect),
        bytes=saved.size,
        optimizer=saved.optimizer,
        unequal=saved.unequal,
    )
    if not math.isfinite(saved.effect):
        not_applicable("the trained model gives no numbers; see RUN-204")
    if saved.unequal:
        report_findings(
            [
                Finding(
                    f"{counted(len(saved.unequal), 'trained tensor')} not saved as trained: {places(saved.unequal)}",
                    where=config.where("lora"),
                    observed="others, or none, once the checkpoint is loaded",
                    expected="the same values",
                    why="What was learned there is lost with the process.",
                    fix=fix(config),
                )
            ]
        )
    floor = limits.max_difference_half if rehearsal.half else limits.max_difference
    if saved.difference <= max(floor, limits.max_share * saved.effect):
        return
    lost = saved.difference / saved.effect
    report_findings(
        [
            Finding(
                "the checkpoint is not the model that was trained",
                where=config.where("lora"),
                observed=f"log-probabilities differ by {saved.difference:.3f} on average",
                expected=f"the same; training changed them by {saved.effect:.3f}",
                why="All of what was learned is lost with the process."
                if lost > 0.9
                else f"About {lost:.0%} of what was learned is lost with the process.",
                fix=fix(config),
            )
        ]
    )


def fix(config: Config) -> str:
    """What to do about it."""
    start = config.lora and config.lora.get("init_lora_weights")
    if isinstance(start, str) and start != "gaussian":
        # They take a part out of the base weights and put it into the adapter. What a random method took out the first
        # time it does not take out again when the adapter is loaded.
        return f"Set lora.init_lora_weights: {'pissa' if start.startswith('pissa_') else 'true'}."
    return "Name what is trained beside the adapter in lora.modules_to_save, or remove what trains it."
