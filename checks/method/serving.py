from collections.abc import Iterator

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.engines import ALL, CHANGING, REFUSED, VLLM_RANKS, allowed, engine_of, highest_rank
from preflight.fixtures import Evidence

MERGE = "Set deployment.merge: true"


@check("CFG-156", "engine-takes-adapter", severity="required", section=3, item="vLLM compatible: test inference server")
def the_engine_can_serve_the_adapter(config: Config, evidence: Evidence) -> None:
    """The engine that `deployment` names can load the adapter, if it is served without merging.

    What it checks: Settings of `lora` that the engine refuses or ignores: DoRA, whole modules, rows of the embedding,
    biases, scales that differ between modules, rsLoRA in llama.cpp, initial values that change the base; and in vLLM
    ranks above 512 or above `deployment.max_lora_rank`.
    Why it matters: A trained adapter that can't be loaded, or that answers with another scale than it was trained with.
    How to fix: Merge before serving (`deployment.merge: true`), or train without the setting.
    Evidence: vllm-project/vllm#6983, vllm-project/vllm#9280, vllm-project/vllm#2847, sgl-project/sglang#22125,
    ggml-org/llama.cpp#11554, ggml-org/llama.cpp#6536; vLLM's `PEFTHelper` and `LoRAConfig`, llama.cpp's
    `convert_lora_to_gguf.py` and `get_scale` (alpha over rank), TGI's `adapters/lora.py`.
    """
    engine = engine_of(config)
    rank = highest_rank(config)
    evidence(f"{engine}, not merged, rank {rank}", engine=engine, rank=rank)
    findings = [
        Finding(
            f"{engine} can't serve {what} (lora.{key}) in an adapter",
            where=config.where(f"lora.{key}"),
            observed=str(config.lora_value(key)),
            expected=good,
            why="The adapter would not load, or answer otherwise than it was trained to.",
            fix=f"{MERGE}, or lora.{key}: {good}.",
        )
        for key, engines, what, good in REFUSED
        if engine in engines and config.lora_value(key) not in (None, False, "none", [], {})
    ]
    init = config.lora_value("init_lora_weights")
    if engine in ALL and isinstance(init, str) and init.startswith(CHANGING):
        findings.append(
            Finding(
                f"lora.init_lora_weights: {init} changes the base model, which {engine} then lacks",
                where=config.where("lora.init_lora_weights"),
                observed=init,
                expected="true",
                why="The adapter fits the changed weights; on the original ones it answers nonsense.",
                fix=f"{MERGE}, or lora.init_lora_weights: true.",
            )
        )
    report_findings([*findings, *_too_high(config, engine, rank)])


def _too_high(config: Config, engine: str, rank: int) -> Iterator[Finding]:
    limit = config.deployment.max_lora_rank or (VLLM_RANKS[-1] if engine == "vllm" else None)
    if limit is None or rank <= limit:
        return
    room = engine != "vllm" or rank <= VLLM_RANKS[-1]
    yield Finding(
        f"rank {rank} is more than {engine} serves",
        where=config.where("lora.r"),
        observed=str(rank),
        expected=f"{limit} or less",
        why="The server refuses the adapter.",
        fix=f"Start it with --max-lora-rank {allowed(rank)} (deployment.max_lora_rank), or set lora.r: {limit}."
        if room
        else f"{MERGE}, or lora.r: {limit}.",
    )
