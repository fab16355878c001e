from types import SimpleNamespace

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.model.precision import Precision

GIB = 2**30
BYTES = {"float32": 4, "float64": 8}


@check(
    "CFG-149",
    "trainable-share",
    severity="recommended",
    section=3,
    item="Target modules selection",
    thresholds={"min_share": 0.0001, "max_copied": 0.2},
)
def the_adapter_trains_a_sensible_share(
    config: Config, module_tree: ModuleTree, precision: Precision, evidence: Evidence, limits: SimpleNamespace
) -> None:
    """The adapter trains neither next to nothing nor a large part of the model whole.

    What it checks: Trained parameters against those of the model, experts left out of the model's number unless they
    have an adapter; and the copies that `lora.modules_to_save` makes against the whole model.
    Why it matters: Below a ten-thousandth, hardly any task can be learned: a pattern left most of the model out. A copy
    of embedding and output layer is often more than a tenth of a small model, with gradients and optimizer states on
    top, in a run that was to be cheap.
    How to fix: Correct the target modules; train single tokens (`lora.trainable_token_indices`) instead of a copy,
    where embedding and output layer are not tied; or waive this if the vocabulary is new.
    Evidence: rank 8 on q_proj and v_proj, the smallest adapter of the checklist, is 0.02 % of a 70B model and more of
    smaller ones.
    Thresholds: `min_share` of the parameters; `max_copied` of them in copies.
    """
    adapted = module_tree.adapted
    experts = [layer for layer in module_tree.layers if layer.role == "expert"]
    left = 0 if any(layer.role == "expert" for layer in adapted) else sum(layer.size for layer in experts)
    share = module_tree.trainable / max(module_tree.parameters - left, 1)
    copied = module_tree.copies / module_tree.parameters
    size = module_tree.copies * BYTES.get(precision.weights, 2)
    evidence(
        f"{share:.2%} trainable" + (f", {copied:.0%} as copies ({size / GIB:.2g} GiB)" if copied else ""),
        trainable=module_tree.trainable,
        copies=module_tree.copies,
        share=share,
    )
    findings = []
    if share < limits.min_share:
        findings.append(
            Finding(
                f"the adapter is {module_tree.trainable:,} parameters, {share:.4%} of the model",
                where=config.where("lora.target_modules"),
                observed=f"{share:.4%}",
                expected=f"{limits.min_share:.2%} or more",
                why="Hardly any task can be learned with so little.",
                fix="Set lora.target_modules: all-linear, or name the attention layers; see the counts of CFG-140.",
            )
        )
    if copied > limits.max_copied:
        findings.append(
            Finding(
                f"lora.modules_to_save trains {copied:.0%} of the model whole",
                where=config.where("lora.modules_to_save"),
                observed=f"{module_tree.copies:,} parameters, {size / GIB:.2g} GiB",
                expected=f"{limits.max_copied:.0%} or less",
                why="Gradients and two optimizer states need as much again each; so does every checkpoint.",
                fix="Remove lora.modules_to_save unless the data has new tokens"
                + ("." if module_tree.tied else ", and train those alone: lora.trainable_token_indices."),
            )
        )
    report_findings(findings)
