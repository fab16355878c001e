from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree

ITEM = "Merged model: model.merge_and_unload() + save"


@check("CFG-147", "tied-adapter-merges", severity="required", section=3, item=ITEM)
def no_adapter_on_a_tied_embedding_is_merged(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """An adapter that is to be merged is not on an embedding that is tied to the output layer.

    What it checks: Where input embedding and output layer are one matrix and `deployment` says that the adapter is
    merged, `lora.target_modules` must reach neither.
    Why it matters: The adapter changes the embedding alone while it trains. Merged, its change is added to the one
    matrix and so to the output layer as well: the merged model is another one than was trained.
    How to fix: Train the embedding whole and tied: `lora.modules_to_save: [embed_tokens]` and
    `lora.ensure_weight_tying: true`.
    Evidence: huggingface/peft#2777, huggingface/peft#2025; peft 0.21 warns of it when it merges.
    """
    if not module_tree.tied:
        not_applicable("embedding and output layer are two matrices")
    found = [layer for layer in module_tree.adapted if layer.role in ("embedding", "head")]
    merged = config.deployment.merged
    evidence(f"{len(found)} tied layers with an adapter, {'merged' if merged else 'not merged'}", merged=merged)
    if found and merged:
        report_findings([_finding(config, found[0].leaf, "its change would be merged into the output layer too")])


@check("CFG-148", "tied-weights-stay-tied", severity="recommended", section=3, item=ITEM)
def tied_weights_are_trained_as_one(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """Embedding and output layer that are one matrix in the base model stay one in training.

    What it checks: Where they are tied, `lora.modules_to_save` names either only together with
    `lora.ensure_weight_tying`, and `lora.target_modules` neither.
    Why it matters: peft makes a copy of each that is named, and the copies part. The merged model is larger by a
    matrix, says that it is untied, and tools that tie it again lose one of the two.
    How to fix: Set `lora.ensure_weight_tying: true`.
    Evidence: huggingface/peft#2777, huggingface/transformers#45127, hiyouga/LlamaFactory#6446.
    """
    if not module_tree.tied:
        not_applicable("embedding and output layer are two matrices")
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    tied = [layer.leaf for layer in module_tree.layers if layer.role in ("embedding", "head")]
    copied = [entry for entry in module_tree.saved if any(leaf.endswith(entry.rpartition(".")[2]) for leaf in tied)]
    adapted = [layer.leaf for layer in module_tree.layers if layer.adapted and layer.leaf in tied]
    together = bool(config.lora_value("ensure_weight_tying"))
    evidence(", ".join([*copied, *adapted]) or "neither is trained", copied=copied, adapted=adapted, together=together)
    if copied and not together:
        report_findings([_finding(config, copied[0], "its copy would part from the matrix that it is tied to")])
    if adapted and not config.deployment.merged:  # else CFG-147 says so
        report_findings([_finding(config, adapted[0], "it can't be merged without changing the output layer too")])


def _finding(config: Config, name: str, what: str) -> Finding:
    saved = name in (config.lora_value("modules_to_save") or ())
    return Finding(
        f"{name} is tied to the output layer: {what}",
        where=config.where("lora.modules_to_save" if saved else "lora.target_modules"),
        observed=f"lora.{'modules_to_save' if saved else 'target_modules'}: {name}",
        why="The model that is served would be another one than was trained.",
        fix="Set lora.ensure_weight_tying: true."
        if saved
        else f"Take {name} out of lora.target_modules; to train it, set lora.modules_to_save: [{name}] and "
        "lora.ensure_weight_tying: true.",
    )
