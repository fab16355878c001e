import pytest

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.evaluation.trained import Trained
from preflight.fixtures import Evidence
from preflight.model.build import AdapterError


@check("POST-102", "adapter-loads", severity="required", section=6, item="Adapter saved: model.save_pretrained")
def the_adapter_loads_on_its_base_and_has_learned(
    config: Config, request: pytest.FixtureRequest, evidence: Evidence
) -> None:
    """The saved adapter loads on its base, and its matrices are finite and not zero.

    What it checks: peft loads the folder onto the base model; every B matrix, which starts at zero, has moved (but for
    experts, which may have been routed no token); no value is NaN or infinite.
    Why it matters: An adapter whose B matrices are zero is the base model under another name.
    How to fix: Look at the run log: a learning rate of zero, frozen adapters or an aborted run leave such an adapter.
    Evidence: LoRA initialises B with zeros (Hu et al. 2021, section 4.1).
    """
    import torch

    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    where = str(config.output_dir / "adapter_model.safetensors")
    try:
        trained: Trained = request.getfixturevalue("trained")
    except AdapterError as error:
        report_findings(
            [
                Finding(
                    str(error),
                    where=where,
                    why="It was trained on another base, or with other settings than these, or is damaged.",
                    fix=f"Set model.name_or_path to its base, or run preflight train {config.path.name} again.",
                )
            ]
        )
    matrices = {name: value for name, value in trained.model.named_parameters() if "lora_" in name}
    broken = [name for name, value in matrices.items() if not bool(torch.isfinite(value).all())]
    zero = [
        name for name, value in matrices.items() if "lora_B" in name and "experts" not in name and not bool(value.any())
    ]
    evidence(f"{len(matrices)} matrices", matrices=len(matrices), zero=len(zero), not_finite=len(broken))
    report_findings(
        Finding(
            f"{name} {problem}",
            where=where,
            why="This part of the adapter does nothing, or ruins every answer.",
            fix="Train again; see RUN-101 and RUN-102 for the reason.",
        )
        for names, problem in ((broken, "has NaN or infinite values"), (zero, "is still zero"))
        for name in names
    )
