from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.engines import VLLM_DEFAULT, VLLM_RANKS, allowed, engine_of, highest_rank
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree


@check("CFG-157", "engine-is-set-up", severity="recommended", section=3, item="vLLM compatible: test inference server")
def the_engine_is_told_what_the_adapter_needs(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """What the adapter needs of its engine beyond the default is known to whoever starts it.

    What it checks: For vLLM, a rank above its default of 16 without `deployment.max_lora_rank`, and adapters on fused
    experts; for vLLM and SGLang, adapters outside the language model.
    Why it matters: vLLM refuses the rank until it is started with a higher one. Adapters on fused experts have been
    dropped in silence, or ended the server, in several versions; so have those on vision towers.
    How to fix: Start vLLM with the number in the finding, and set `deployment.max_lora_rank`. Try the adapter of a
    short run in the server first, or merge.
    Evidence: vllm-project/vllm#2847, modelscope/ms-swift#4221, vllm-project/vllm#41384, vllm-project/vllm#52194,
    vllm-project/vllm#31479, sgl-project/sglang#28784.
    """
    engine = engine_of(config)
    if engine not in ("vllm", "sglang"):
        not_applicable(f"nothing is known of {engine} here beyond CFG-156")
    rank = highest_rank(config)
    experts = [layer.leaf for layer in module_tree.adapted if layer.role == "expert" and layer.kind == "Parameter"]
    towers = sorted({layer.tower for layer in module_tree.adapted} - {"language"})
    evidence(f"{engine}, rank {rank}", engine=engine, rank=rank, experts=len(experts), towers=towers)
    findings = []
    if engine == "vllm" and config.deployment.max_lora_rank is None and VLLM_DEFAULT < rank <= VLLM_RANKS[-1]:
        findings.append(
            Finding(
                f"vLLM serves ranks up to {VLLM_DEFAULT} unless it is told otherwise",
                where=config.where("lora.r"),
                observed=str(rank),
                expected=f"{VLLM_DEFAULT} or less",
                why="The server refuses the adapter.",
                fix=f"Start it with --max-lora-rank {allowed(rank)} and set deployment.max_lora_rank: {allowed(rank)}.",
            )
        )
    if engine == "vllm" and experts:
        findings.append(
            Finding(
                "vLLM may not apply adapters on fused experts",
                where=config.where("lora.target_parameters"),
                observed=", ".join(dict.fromkeys(experts)),
                why="Several versions drop them in silence, or stop with a shape that does not fit.",
                fix="Set deployment.merge: true, or serve the adapter of a short run and compare its answers first.",
            )
        )
    if towers:
        option = " with --enable-tower-connector-lora" if engine == "vllm" else ""
        findings.append(
            Finding(
                f"{engine} serves adapters on the language model; this one is on {' and '.join(towers)} too",
                where=config.where("lora.target_modules"),
                observed=", ".join(towers),
                why="It refuses or drops the rest.",
                fix=f"Leave them out (see CFG-142), or start the server{option} and compare its answers.",
            )
        )
    report_findings(findings)
