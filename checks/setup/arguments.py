from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence

# The range out of which each setting is out of reason, the usual value, and what happens beyond.
REASON = {
    "weight_decay": (0.0, 0.3, "0.01", "Weights are pulled to zero faster than they learn."),
    "adam_beta1": (0.5, 0.99, "0.9", "Steps follow noise, or hardly turn."),
    "adam_beta2": (0.9, 0.9999, "0.999", "The scale of steps follows noise, or never adapts in a run of this length."),
    "adam_epsilon": (1e-12, 1e-4, "1.0e-8", "Steps vanish, or blow up."),
    "max_grad_norm": (0.05, 10.0, "1.0", "Gradients aren't clipped, or every step is cut to almost nothing."),
    "neftune_noise_alpha": (0.0, 15.0, "5", "The noise drowns the embeddings."),
    "label_smoothing_factor": (0.0, 0.2, "0.0", "The model is taught to be unsure; and all logits are held in memory."),
}
PLAIN = ("adamw_torch", "adamw_torch_fused")
CONSTANT = ("constant", "constant_with_warmup")


@check("CFG-128", "arguments-in-reason", severity="recommended", section=4, item="Quick reference: training arguments")
def settings_of_the_optimizer_are_in_reason(config: Config, evidence: Evidence) -> None:
    """Settings of the optimizer and of regularisation are in reason.

    What it checks: `weight_decay`, Adam's betas and epsilon, `max_grad_norm`, `neftune_noise_alpha` and
    `label_smoothing_factor`, as far as the config sets them, against wide ranges.
    Why it matters: A zero too many goes unnoticed: the run ends, and the model has learned nothing.
    How to fix: Set what the finding says, or remove the line: the library's default is sound.
    Evidence: defaults of transformers; NEFTune's authors tried noise of 5 to 15 (Jain et al. 2023).
    """
    given = {name: config.training[name] for name in REASON if isinstance(config.training.get(name), int | float)}
    evidence(", ".join(f"{name} {value:g}" for name, value in given.items()) or "the defaults", **given)
    report_findings(
        [
            Finding(
                f"{name} {value:g} is out of reason",
                where=config.where(f"training.{name}"),
                observed=f"{value:g}",
                expected=f"{REASON[name][0]:g} to {REASON[name][1]:g}",
                why=REASON[name][3],
                fix=f"Set training.{name}: {REASON[name][2]}.",
            )
            for name, value in given.items()
            if not REASON[name][0] <= value <= REASON[name][1]
        ]
    )


@check("CFG-129", "qlora-optimizer", severity="advice", section=4, item="Optimizer: paged_adamw_8bit for QLoRA")
def qlora_has_an_optimizer_that_saves_memory(config: Config, evidence: Evidence) -> None:
    """A quantized run has an optimizer with states in 8 bits, paged.

    What it checks: `training.optim` of a quantized run: torch's AdamW keeps its states in 16 or 32 bits.
    Why it matters: Who quantizes is short of memory; a paged optimizer moves its states to the host when a long batch
    needs the room.
    How to fix: Set `training.optim: paged_adamw_8bit`.
    Evidence: the checklist's training arguments; Dettmers et al. 2023, section 3.
    """
    if config.quantization is None:
        not_applicable("nothing is quantized")
    name = str(config.training_value("optim"))
    evidence(name, optim=name)
    if name not in PLAIN:
        return
    report_findings(
        [
            Finding(
                f"a quantized run keeps the states of {name} on the card",
                where=config.where("training.optim"),
                observed=name + ("" if "optim" in config.training else " (the default)"),
                expected="paged_adamw_8bit",
                why="A paged optimizer moves its states to the host when a long batch needs the room.",
                fix="Set training.optim: paged_adamw_8bit.",
            )
        ]
    )


@check("CFG-130", "schedule-decays", severity="advice", section=4, item="Scheduler: cosine decay recommended")
def the_learning_rate_decays(config: Config, evidence: Evidence) -> None:
    """The learning rate decays towards the end.

    What it checks: `training.lr_scheduler_type` isn't one of the constant ones.
    Why it matters: The last steps at full rate leave the weights where the last batches pushed them.
    How to fix: Set `training.lr_scheduler_type: cosine`.
    Evidence: the checklist; 99 of 102 published recipes use cosine.
    """
    name = str(config.training_value("lr_scheduler_type"))
    evidence(name, lr_scheduler_type=name)
    if name not in CONSTANT:
        return
    report_findings(
        [
            Finding(
                "the learning rate never decays",
                where=config.where("training.lr_scheduler_type"),
                observed=name,
                expected="cosine",
                why="The weights end where the last batches pushed them.",
                fix="Set training.lr_scheduler_type: cosine.",
            )
        ]
    )
