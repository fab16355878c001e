from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import counted, places
from preflight.fixtures import Evidence
from preflight.rehearsal import Rehearsal
from preflight.rehearsal.facts import Parameters


@check("RUN-209", "every-matrix-learns", severity="recommended", section=4, item="Target modules selection")
def gradients_reach_every_adapter_matrix(config: Config, rehearsal: Rehearsal, evidence: Evidence) -> None:
    """Every matrix of the adapter gets a gradient.

    What it checks: Over all steps of the rehearsal, whether each trained tensor had a gradient that is not zero once.
    Experts of a mixture are left out, for these few rows may be routed to none of them.
    Why it matters: What gets no gradient never learns. It takes memory, and hides that the adapter reaches less of the
    model than was meant: a vision tower where the data is text, layers that are never used, a frozen part.
    How to fix: Name in `lora.target_modules` only modules that the data passes through, or leave the rest out with
    `lora.exclude_modules`.
    Evidence: huggingface/peft#793: matrices that stay zero; huggingface/transformers#26334: layers behind a checkpoint
    that get no gradient.
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    found = rehearsal.reached(rehearsal.parameters)
    if all(step.skipped for step in rehearsal.steps):
        not_applicable("fp16's loss scaler skipped every step; see RUN-204")
    silent = unreached(found)
    evidence(
        f"{counted(found.trained, 'tensor')}, {len(silent)} without a gradient",
        trained=found.trained,
        silent=silent,
        experts=len(found.silent) - len(silent),
    )
    if silent:
        modules = sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in silent})
        report_findings(
            [
                Finding(
                    f"{len(silent)} of {counted(found.trained, 'adapter tensor')} get no gradient: {places(silent)}",
                    where=config.where("lora.target_modules"),
                    observed=f"none in {counted(len(rehearsal.steps), 'step')}",
                    expected="a gradient in each",
                    why="These parts of the adapter never learn.",
                    fix=f"Name modules that the data passes through, or leave these out with lora.exclude_modules: "
                    f"[{', '.join(modules)}].",
                )
            ]
        )


def unreached(found: Parameters) -> list[str]:
    """Trained tensors without a gradient, but for those of experts."""
    return [name for name in found.silent if "expert" not in name]
