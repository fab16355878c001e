from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.method import TABLE, Facts, rslora_alpha
from preflight.model.modules import ModuleTree
from preflight.target import GIB, Target


@check("CFG-112", "method-suits-card", severity="advice", section=3, item="Method selection")
def the_method_is_the_tables_for_card_and_rank(
    config: Config, module_tree: ModuleTree, target: Target, evidence: Evidence
) -> None:
    """The method is the one that the checklist has for this card and rank.

    What it checks: The checklist's table: QLoRA where 16-bit weights take more than 60 % of the card (24 GB and a 7B
    model with long rows), LoRA or DoRA where they take less than 20 %, rsLoRA from rank 64.
    Why it matters: Another method costs memory or time without need; that it fits at all is what HW-110 says.
    How to fix: Set what the finding says, or leave it: this is advice.
    Evidence: the checklist's method selection. rsLoRA: Kalajdzievski 2023, "A Rank Stabilization Scaling Factor".
    """
    if not target.gpus:
        not_applicable("training is on the CPU")
    rank = 0 if config.lora is None else int(config.lora_value("r"))
    facts = Facts(
        weights=2 * module_tree.parameters,
        memory=min(gpu.memory for gpu in target.gpus),
        quantized=config.quantization is not None,
        rank=rank,
        rslora=config.lora is not None and bool(config.lora_value("use_rslora")),
        full=config.lora is None,
    )
    evidence(f"16-bit weights take {facts.share:.0%} of {facts.memory / GIB:.0f} GiB", share=facts.share, rank=rank)
    report_findings(
        [
            Finding(
                advice.message,
                where=config.where(advice.key),
                observed=f"{facts.weights / GIB:.1f} GiB in 16 bits, rank {rank}",
                why=advice.why,
                fix=advice.fix.replace("{alpha}", str(rslora_alpha(rank))),
            )
            for advice in TABLE
            if advice.holds(facts)
        ]
    )
