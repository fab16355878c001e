from collections import Counter

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree


@check(
    "CFG-142",
    "targets-in-language-model",
    severity="recommended",
    section=3,
    item="Target modules selection",
)
def text_trains_the_language_model_alone(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """With text alone to learn from, no vision or audio tower of the model has an adapter.

    What it checks: Modules with an adapter by the tower that they are in, which the model's own config tells: vision,
    audio, and projectors between them and the language model. Training data is always text here.
    Why it matters: Names such as `q_proj` are in every tower, and peft takes all of them. Text gives the other towers
    no gradient: their adapters cost memory and stay zero, DDP waits for parameters that are not used, and serving
    engines refuse or drop them.
    How to fix: Leave the towers out with the regular expression in the finding.
    Evidence: huggingface/peft#2964, 2U1/Llama3.2-Vision-Finetune#4, vllm-project/vllm#21500, sgl-project/sglang#11519.
    """
    towers = Counter(layer.tower for layer in module_tree.layers)
    if set(towers) == {"language"}:
        not_applicable("the model is for text alone")
    adapted = Counter(layer.tower for layer in module_tree.adapted)
    evidence(", ".join(f"{tower} x{count}" for tower, count in adapted.items()), adapted=adapted, layers=towers)
    others = [tower for tower in adapted if tower != "language"]
    report_findings(
        [
            Finding(
                f"the adapter is also on {' and '.join(others)} layers, and the data is text alone",
                where=config.where("lora.target_modules"),
                observed=", ".join(f"{tower} x{adapted[tower]}" for tower in others),
                expected="none",
                why="Text gives them no gradient: they cost memory, stay zero, and serving engines refuse them.",
                fix=f"Set lora.exclude_modules: '{prefixes(module_tree)}'.",
            )
        ]
        if others
        else []
    )


def prefixes(tree: ModuleTree) -> str:
    """A regular expression for all modules outside the language model."""
    language = {layer.name for layer in tree.layers if layer.tower == "language"}
    found: list[str] = []
    for layer in tree.layers:
        if layer.tower == "language":
            continue
        parts = layer.name.split(".")
        # The shortest beginning that no module of the language model shares.
        ends = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        own = next(end for end in ends if not any(name.startswith(f"{end}.") for name in language))
        if own not in found:
            found.append(own)
    escaped = "|".join(name.replace(".", r"\.") for name in found)
    return rf"({escaped}).*"
