from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import counted, not_available, places
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal


@check(
    "RUN-200", "rehearsal-runs", severity="required", section=4, item="Training script: test with small subset first"
)
def the_run_starts_and_survives_its_longest_batch(config: Config, rehearsal: Rehearsal, evidence: Evidence) -> None:
    """The run's own model and trainer take a few steps, one on the longest batch, and save a checkpoint.

    What it checks: In a process of its own, TRL's trainer is built from this config with the real weights, takes four
    optimizer steps on prepared rows (the batch of median length, then the longest there is), evaluates once if the run
    does, saves a checkpoint and loads it again. Nothing is downloaded or sent, and nothing is left behind but
    `rehearsal.json` and `rehearsal.log` beside the report. Without `gate.rehearsal` it runs where the model fits into
    what is free and it takes about 90 seconds at most; `true` always runs it, `false` never.
    Why it matters: What crashes here would crash the run: at once, at its first evaluation, or hours later when the
    longest rows come together.
    How to fix: Do what the library's message says. If memory ran out, halve `training.per_device_train_batch_size` and
    double `training.gradient_accumulation_steps`, set `training.gradient_checkpointing: true`, or lower
    `training.max_length`.
    Evidence: huggingface/trl#1626, huggingface/peft#739 and Lightning-AI/litgpt#159 ran out of memory at their longest
    batch; huggingface/transformers#42489 and unslothai/unsloth#4970 fail at their first step.
    """
    longest = rehearsal.longest
    shape = f"{len(longest.rows)} x {max(longest.lengths)} tokens"
    failure = rehearsal.failure
    evidence(
        f"{counted(len(rehearsal.steps), 'step')}, longest batch {shape}, {rehearsal.seconds:.0f} s"
        if failure is None
        else f"ended while {rehearsal.phase}",
        longest_batch=longest.lengths,
        device=rehearsal.device,
        seconds=rehearsal.seconds,
    )
    if failure is None:
        return
    if failure.kind == "timeout":
        if config.gate.rehearsal:
            not_available(
                f"{failure.message} while {rehearsal.phase}; set gate.rehearsal: false, or use a faster machine"
            )
        not_applicable(f"{failure.message} while {rehearsal.phase}; set gate.rehearsal: true to give it an hour")
    if failure.kind == "memory" and config.training_value("auto_find_batch_size"):
        not_applicable(
            f"memory runs out while {rehearsal.phase}, and training.auto_find_batch_size makes batches smaller"
        )
    if failure.kind == "memory" or (failure.kind == "killed" and failure.message == "SIGKILL"):
        report_findings([out_of_memory(config, rehearsal)])
    log = config.artefacts("preflight") / "rehearsal.log"
    report_findings(
        [
            Finding(
                f"the run crashes while {rehearsal.phase}"
                if failure.kind == "error"
                else f"{failure.message} ends the run while {rehearsal.phase}",
                where=config.where("training"),
                observed=failure.message,
                expected="a few training steps and a checkpoint",
                why="The run itself does the same, and stops at the same place.",
                fix=f"Correct what the message names; the whole traceback is in {log.name} beside the report.",
            )
        ]
    )


def out_of_memory(config: Config, rehearsal: Rehearsal) -> Finding:
    """The finding of a rehearsal that ran out of memory, or that the kernel killed, which is the same."""
    size = config.training_value("per_device_train_batch_size")
    accumulation = config.training_value("gradient_accumulation_steps")
    longest, failure = rehearsal.longest, rehearsal.failure
    ways = []
    if size > 1:
        ways.append(f"per_device_train_batch_size: {size // 2} and gradient_accumulation_steps: {accumulation * 2}")
    if not config.training_value("gradient_checkpointing"):
        ways.append("gradient_checkpointing: true")
    ways.append(f"max_length: {max(longest.lengths) // 2}")
    rows = f" ({places(longest.where)})" if longest.where else ""
    return Finding(
        f"memory runs out while {rehearsal.phase}",
        where=config.where("training.per_device_train_batch_size"),
        observed=failure.message if failure else None,
        expected=f"room for {len(longest.rows)} rows of up to {max(longest.lengths):,} tokens{rows}",
        why="The run dies when these rows come together, which may be hours after its start.",
        fix=f"Set training.{', or '.join(ways)}.",
    )
