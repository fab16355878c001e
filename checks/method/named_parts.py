import difflib
from collections.abc import Iterator
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import places
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree


@check(
    "CFG-145",
    "saved-modules-exist",
    severity="required",
    section=3,
    item="Target modules selection",
)
def everything_that_the_adapter_names_exists(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """Every entry of `lora.modules_to_save`, `target_parameters` and `trainable_token_indices` is there.

    What it checks: Each entry of `modules_to_save` and of `target_parameters` is matched against the model's own names
    by peft's rule; ids of `trainable_token_indices` must be rows of the embedding. Entries of `target_modules` are
    CFG-101's.
    Why it matters: peft leaves out what it does not find, without a word. The embedding or the experts that were to be
    trained stay as they are.
    How to fix: Use the name in the finding.
    Evidence: peft 0.21 looks for these modules with `strict_module_check=False`, and warns of parameters only if none
    of them is found.
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    modules, parameters = module_tree.names
    experts = {layer.name for layer in module_tree.layers if layer.kind == "Parameter"}
    asked = {
        "modules_to_save": dict(module_tree.saved),
        "target_parameters": {
            entry: sum(name == entry or name.endswith(f".{entry}") for name in parameters)
            for entry in config.lora_value("target_parameters") or ()
        },
    }
    beyond = [str(token) for token in tokens(config) if not 0 <= token < module_tree.vocabulary]
    if not any(asked.values()) and not config.lora_value("trainable_token_indices"):
        not_applicable("lora names no module to save, no parameter and no token")
    found = [f"{entry} x{count}" for entries in asked.values() for entry, count in entries.items()]
    evidence(", ".join(found) or f"{len(tokens(config))} tokens", **asked, beyond=beyond)
    candidates = {"modules_to_save": {name.rpartition(".")[2] for name in modules}, "target_parameters": experts}
    findings = [
        Finding(
            f"{entry!r} of lora.{key} is nowhere in this model",
            where=config.where(f"lora.{key}"),
            observed=entry,
            why="peft leaves it out without a word; it would not be trained.",
            fix=_near(entry, candidates[key]),
        )
        for key, entries in asked.items()
        for entry, count in entries.items()
        if count == 0
    ]
    if beyond:
        findings.append(
            Finding(
                "lora.trainable_token_indices has ids that the embedding lacks",
                where=config.where("lora.trainable_token_indices"),
                observed=places(beyond),
                expected=f"0 to {module_tree.vocabulary - 1}",
                why="The run stops when the adapter is attached.",
                fix="Remove these ids, or use the model whose embedding holds them.",
            )
        )
    report_findings(findings)


def tokens(config: Config) -> list[int]:
    """All ids of `lora.trainable_token_indices`, whatever layer they are for."""
    return list(_tokens(config.lora_value("trainable_token_indices")))


def _tokens(chosen: Any) -> Iterator[int]:
    for part in chosen.values() if isinstance(chosen, dict) else [chosen or ()]:
        yield from part


def _near(entry: str, names: set[str]) -> str:
    leaves = {name.rpartition(".")[2]: ".".join(name.split(".")[-2:]) for name in sorted(names)}
    near = difflib.get_close_matches(entry.rpartition(".")[2], leaves, n=1)
    if not near:
        return f"Remove {entry}, or use a name that the model has."
    whole = leaves[near[0]] if "." in entry else near[0]
    return f"Replace {entry} by {whole}."
