import difflib
import re

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree


@check(
    "CFG-101",
    "target-modules-exist",
    severity="required",
    section=3,
    item="Target modules selection",
)
def every_target_module_exists_in_the_model(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """Every entry of `lora.target_modules` matches modules of the model.

    What it checks: The model is built from its config.json without weights, and each entry is matched by peft's own
    rule. An entry that matches nothing is a finding even if others match; so is one that puts an adapter on the output
    layer, which TRL refuses.
    Why it matters: peft only stops when nothing at all matches. A misspelt or foreign name is dropped silently, and
    that part of the model is not trained.
    How to fix: Use the names that this model has; the finding lists them with the nearest.
    Evidence: hiyouga/LlamaFactory#181 and #3597 (names of another architecture).
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    counts = ", ".join(f"{name} x{count}" for name, count in module_tree.matched.items())
    evidence(counts or "chosen by peft", matched=dict(module_tree.matched), linears=dict(module_tree.linears))
    names = list(module_tree.linears)
    where = config.where("lora.target_modules")
    findings = [
        Finding(
            f"{target!r} matches no module of this model",
            where=where,
            observed=target,
            expected=f"some of {', '.join(names)}",
            why="peft leaves it out without a word; that part of the model is not trained.",
            fix=_fix(target, names, alone=isinstance(config.lora_value("target_modules"), str)),
        )
        for target, count in module_tree.matched.items()
        if count == 0
    ]
    if not findings and module_tree.problem:
        findings = [_refused(config, module_tree, module_tree.problem)]
    report_findings(findings)


# What peft or TRL say, the setting that it is about, and what to do.
REMEDIES = (
    (
        "ParamWrapper.*lora_dropout",
        "lora_dropout",
        "Set lora.lora_dropout: 0; peft has no dropout for experts that are parameters.",
    ),
    (
        "ParamWrapper.*use_dora",
        "use_dora",
        "Set lora.use_dora: false; peft has no DoRA for experts that are parameters.",
    ),
    (r"without also targeting (.+?) because", "target_modules", r"Add \1 to lora.target_modules."),
    (
        "single tokens",
        "trainable_token_indices",
        "Remove lora.trainable_token_indices; to train these tokens, set lora.modules_to_save: [{embedding}] and "
        "lora.ensure_weight_tying: true.",
    ),
    (r"Incompatible modules: \{(.+?)\}", "target_modules", r"Leave \1 out of lora.target_modules."),
    ("peft refuses this section", "", "Change the setting that the message names."),
)


def _refused(config: Config, tree: ModuleTree, problem: str) -> Finding:
    names = ", ".join(tree.linears)
    key, fix = "target_modules", f"Set lora.target_modules to some of {names}, or to all-linear."
    for pattern, about, remedy in REMEDIES:
        if said := re.search(pattern, problem):
            key, fix = about, said.expand(remedy).format(embedding=tree.embedding)
            break
    return Finding(
        f"the adapter can't be attached: {problem}",
        where=config.where(f"lora.{key}".rstrip(".")),
        expected=f"some of {names}" if key == "target_modules" else None,
        why="The run stops before its first step.",
        fix=fix,
    )


def _fix(target: str, names: list[str], *, alone: bool) -> str:
    near = difflib.get_close_matches(target.rpartition(".")[2], names, n=1)
    if alone and near:  # one string is a regular expression over whole names such as model.layers.0.self_attn.q_proj
        return f"Write a list: target_modules: [{near[0]}]."
    return (
        f"Replace {target} by {near[0]}." if near else f"Use some of {', '.join(names)}, or target_modules: all-linear."
    )
