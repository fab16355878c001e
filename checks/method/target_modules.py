import difflib

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
    rule. An entry that matches nothing is a finding even if others match.
    Why it matters: peft only stops when nothing at all matches. A misspelt or foreign name is dropped silently, and
    that part of the model is not trained.
    How to fix: Use the names that this model has; the finding lists them with the nearest.
    Evidence: hiyouga/LlamaFactory#181 and #3597 (names of another architecture).
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    counts = ", ".join(f"{name} x{count}" for name, count in module_tree.matched.items())
    evidence(counts or "chosen by peft", matched=dict(module_tree.matched), linears=dict(module_tree.linears))
    names = ", ".join(module_tree.linears)
    where = config.where("lora.target_modules")
    findings = [
        Finding(
            f"no module of this model is called {target!r}",
            where=where,
            observed=target,
            expected=f"one of {names}",
            why="peft leaves it out without a word; that part of the model is not trained.",
            fix=_fix(target, list(module_tree.linears)),
        )
        for target, count in module_tree.matched.items()
        if count == 0
    ]
    if not findings and module_tree.problem:
        findings = [
            Finding(
                f"peft can't attach the adapter: {module_tree.problem}",
                where=where,
                expected=f"some of {names}",
                why="The run stops before its first step.",
                fix="Set lora.target_modules to names that this model has, or to all-linear.",
            )
        ]
    report_findings(findings)


def _fix(target: str, names: list[str]) -> str:
    near = difflib.get_close_matches(target, names, n=1)
    return f"Replace {target} by {near[0]}." if near else "Use these names, or target_modules: all-linear."
