from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence


@check("CFG-150", "dora-without-dropout", severity="advice", section=3, item="Method selection: DoRA, QDoRA")
def dora_runs_without_dropout(config: Config, evidence: Evidence) -> None:
    """DoRA is used without dropout.

    What it checks: With `lora.use_dora`, `lora.lora_dropout` is 0.
    Why it matters: DoRA needs the result of the base layer. Without dropout peft takes the one that it has; with it,
    each layer is computed once more in every step, in a method that is slow already.
    How to fix: Set `lora.lora_dropout: 0`.
    Evidence: peft's page on DoRA ("computes faster and takes less memory ... when dropout is set to 0");
    huggingface/peft#1474.
    """
    if config.lora is None or not config.lora_value("use_dora"):
        not_applicable("no DoRA")
    dropout = config.lora_value("lora_dropout")
    evidence(f"dropout {dropout}", dropout=dropout)
    if dropout:
        finding = Finding(
            "DoRA computes each layer once more because of dropout",
            where=config.where("lora.lora_dropout"),
            observed=str(dropout),
            expected="0",
            why="Steps take longer and need more memory.",
            fix="Set lora.lora_dropout: 0.",
        )
        report_findings([finding])
