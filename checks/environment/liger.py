import importlib.util

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.target import Target


@check("ENV-115", "liger-works", severity="required", section=4, item="Dependencies installed", machine=True)
def liger_kernels_can_be_used_if_they_are_asked_for(config: Config, target: Target, evidence: Evidence) -> None:
    """Liger's kernels can be used, if the config asks for them.

    What it checks: `training.use_liger_kernel` against what is installed and the card: the kernels are Triton's, which
    need one.
    Why it matters: transformers raises an ImportError once the model is loaded; without a card
    the first step fails.
    How to fix: `pip install 'finetune-preflight[liger]'`, or set `training.use_liger_kernel: false`.
    Evidence: transformers' `integrations/liger.py`.
    """
    if not config.training_value("use_liger_kernel"):
        not_applicable("the config doesn't ask for Liger's kernels")
    problem = None
    if not target.gpus and (target.local or config.hardware.count == 0):
        problem = "there is no card"
    elif target.local and importlib.util.find_spec("liger_kernel") is None:
        problem = "liger-kernel is not installed"
    evidence(problem or ("installed" if target.local else "not tried here"), problem=problem)
    if problem is None:
        return
    report_findings(
        [
            Finding(
                f"Liger's kernels can't be used: {problem}",
                where=config.where("training.use_liger_kernel"),
                observed=problem,
                expected="a card, and liger-kernel",
                why="The run stops when the trainer is made, or at its first step.",
                fix="pip install 'finetune-preflight[liger]', or set training.use_liger_kernel: false.",
            )
        ]
    )
