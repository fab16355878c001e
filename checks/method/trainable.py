from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model import files
from preflight.model.modules import ModuleTree

# Settings that leave out modules which `target_modules` names.
NARROWING = ("exclude_modules", "layers_to_transform", "layers_pattern")


@check(
    "CFG-102",
    "something-trainable",
    severity="required",
    section=3,
    item="Target modules selection",
    waivable=False,
)
def there_are_trainable_parameters(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """The run trains at least one parameter.

    What it checks: Parameters that require a gradient once the adapter is attached to the model's own module tree.
    Why it matters: With none the run either stops at its first backward pass or ends with the base model unchanged.
    How to fix: Correct `lora.target_modules`, `lora.layers_to_transform` or `lora.exclude_modules`.
    Evidence: axolotl only warns on zero trainable parameters.
    """
    share = module_tree.trainable / max(module_tree.parameters, 1)
    evidence(
        f"{module_tree.trainable:,} of {module_tree.parameters:,} ({share:.2%})",
        trainable=module_tree.trainable,
        parameters=module_tree.parameters,
    )
    if module_tree.trainable == 0:
        narrowing = next((key for key in NARROWING if key in (config.lora or {})), None)
        layers = files.model_config(config).get("num_hidden_layers")
        numbers = f" (this model has layers 0 to {layers - 1})" if narrowing != "exclude_modules" and layers else ""
        report_findings(
            [
                Finding(
                    "nothing would be trained",
                    where=config.where(f"lora.{narrowing or 'target_modules'}"),
                    observed=module_tree.problem or "0 parameters require a gradient",
                    why="The run would stop at its first step, or end with the base model.",
                    fix=f"Correct lora.{narrowing}{numbers}, or remove it."
                    if narrowing
                    else f"Set lora.target_modules to some of {', '.join(module_tree.linears)} (see CFG-101).",
                )
            ]
        )
