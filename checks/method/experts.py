from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model.layers import Layer
from preflight.model.modules import ModuleTree

ITEM = "Target modules selection"


@check("CFG-143", "experts-reached", severity="recommended", section=3, item=ITEM)
def mlp_names_reach_the_experts(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """In a mixture of experts, adapters that are meant for its MLP layers are on the experts too.

    What it checks: If the adapter is on MLP layers such as a shared expert or the first dense layers, or
    `lora.target_modules` is `all-linear`, the routed experts must have one as well. Adapters on attention alone are no
    fault here; see CFG-141.
    Why it matters: transformers keeps the experts of a layer as one parameter, which no name of a module reaches. The
    run trains attention and the shared expert, a small part of the MLP weights, and says nothing.
    How to fix: Name the parameters in `lora.target_parameters`, as the finding says, with `lora.lora_dropout: 0`.
    Evidence: unslothai/unsloth#4193, unslothai/unsloth#3405, huggingface/peft#3009, huggingface/peft#2527.
    """
    experts = _of(module_tree, "expert")
    adapted = module_tree.adapted
    reached = [layer for layer in experts if layer.adapted]
    dense = [layer for layer in adapted if layer.role == "mlp"]
    share = sum(layer.size for layer in experts) / module_tree.parameters
    evidence(
        f"{len(reached)} of {counted(len(experts), 'stack')} of experts, which are {share:.0%} of the model",
        reached=len(reached),
        experts=len(experts),
        share=share,
    )
    targets = config.lora_value("target_modules")
    wanted = bool(dense) or (isinstance(targets, str) and targets.lower() == "all-linear")
    if wanted and not reached:
        finding = Finding(
            f"no expert has an adapter, and experts are {share:.0%} of the model's parameters",
            where=config.where("lora.target_modules"),
            observed=", ".join(dict.fromkeys(layer.leaf for layer in adapted)),
            expected=", ".join(dict.fromkeys(layer.leaf for layer in experts)),
            why="They are parameters, not modules: a name of a module reaches a shared expert at most.",
            fix=module_tree.how_to_reach(experts),
        )
        report_findings([finding])


@check("CFG-144", "router-left-alone", severity="advice", section=3, item=ITEM)
def the_router_stays_as_it_is(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """No adapter is on the router of a mixture of experts.

    What it checks: Modules or parameters that choose the experts, of which `all-linear` takes some.
    Why it matters: The router has learned to spread tokens over the experts. A few thousand examples can undo that, and
    training becomes unstable.
    How to fix: List the modules in `lora.target_modules` instead of `all-linear`.
    Evidence: modelscope/ms-swift#5512, AI-Hypercomputer/maxtext#3969, AgileRL/AgileRL#630.
    """
    routers = _of(module_tree, "router")
    adapted = module_tree.adapted
    found = [layer for layer in routers if layer.adapted]
    evidence(f"{len(found)} of {counted(len(routers), 'router')}", adapted=len(found), routers=len(routers))
    if found:
        names = sorted({layer.leaf for layer in adapted if layer.role in ("attention", "mlp")})
        rest = module_tree.how_to_reach([layer for layer in adapted if layer.role == "expert"])
        finding = Finding(
            f"{counted(len(found), 'router')} would be trained",
            where=config.where("lora.target_modules"),
            observed=found[0].name,
            expected="none",
            why="Little data can undo how tokens are spread over the experts.",
            fix=f"Set lora.target_modules: [{', '.join(names)}]. {rest}".strip(),
        )
        report_findings([finding])


def _of(tree: ModuleTree, role: str) -> list[Layer]:
    found = [layer for layer in tree.layers if layer.role == role]
    if not found:
        not_applicable(f"the model has no {role}s")
    return found
