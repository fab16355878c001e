import math

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.findings import counted, places
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal


@check("RUN-204", "rehearsal-finite", severity="required", section=4, item="Mixed precision: bf16 or fp16")
def losses_and_gradients_are_finite(config: Config, rehearsal: Rehearsal, evidence: Evidence) -> None:
    """Losses, gradients and trained parameters of the first steps are finite numbers.

    What it checks: The loss before the first step, that of each step and of the evaluation; the gradients of every
    trained tensor, but for steps that fp16's loss scaler skips, as it does until it has found its scale; and what was
    trained, after the last step.
    Why it matters: After one NaN all weights are NaN, and the run goes on for hours without saying so.
    How to fix: Use bf16 rather than fp16, or `model.dtype: float32`; lower `training.learning_rate`; check the weights
    (`model.name_or_path`) for damage.
    Evidence: hiyouga/LlamaFactory#2810 and huggingface/trl#1173 printed a loss of 0 and a gradient norm of NaN for
    hours; huggingface/transformers#10956 is bf16 weights in fp16; NVIDIA-NeMo/Automodel#3796 a batch without a label.
    """
    taken = [step for step in rehearsal.steps if not step.skipped]
    losses = [rehearsal.reached(rehearsal.fresh), *(step.loss for step in taken)]
    losses += [loss for loss in (rehearsal.trained, rehearsal.evaluation) if loss is not None]
    broken = rehearsal.parameters.not_finite if rehearsal.parameters else []
    bad = [loss for loss in losses if not math.isfinite(loss)]
    tensors = f", {counted(rehearsal.parameters.trained, 'tensor')}" if rehearsal.parameters else ""
    evidence(f"{len(losses)} losses{tensors}", losses=list(map(str, losses)), not_finite=broken)
    why = "From here on all that is trained is NaN, and hours of training are lost."
    fix = "Set training.bf16: true and training.fp16: false" if half_range(config) else "Set model.dtype: float32"
    if rehearsal.steps and not taken:
        report_findings(
            [
                Finding(
                    f"gradients overflow in fp16 in each of {counted(len(rehearsal.steps), 'step')}",
                    where=config.where("training.fp16"),
                    observed="every step skipped by the loss scaler",
                    expected="a step that is taken",
                    why="The run trains nothing.",
                    fix=f"{fix}.",
                )
            ]
        )
    if bad or broken:
        first = math.isfinite(losses[0])
        what = f"the loss is {bad[0]}" if bad else f"gradients of {places(broken)} are not finite"
        report_findings(
            [
                Finding(
                    f"{what} {'in the first steps' if first else 'before the first step'}",
                    where=config.where("training.learning_rate" if first else "model.dtype"),
                    observed=f"{counted(len(broken), 'trained tensor')} not finite" if broken else str(bad[0]),
                    expected="finite numbers",
                    why=why,
                    fix=f"{fix}, or lower training.learning_rate to {config.training_value('learning_rate') / 10:.1e}."
                    if first
                    else f"{fix}; if it is so already, the weights of {config.model.name_or_path} are damaged.",
                )
            ]
        )


def half_range(config: Config) -> bool:
    """Whether something is in fp16, whose largest number is 65504."""
    return bool(config.training_value("fp16"))
