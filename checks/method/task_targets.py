from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.layers import Role
from preflight.model.modules import ModuleTree

PARTS: dict[str, tuple[Role, ...]] = {"attention": ("attention",), "MLP": ("mlp", "expert")}


@check(
    "CFG-141",
    "targets-fit-task",
    severity="recommended",
    section=3,
    item="Complex task (knowledge, reasoning): all attention + MLP layers",
)
def a_complex_task_has_adapters_on_attention_and_mlp(
    config: Config, module_tree: ModuleTree, evidence: Evidence
) -> None:
    """For a complex task the adapter is on attention and on MLP layers.

    What it checks: With `task.complexity: complex`, attention layers of the language model have an adapter, and so have
    its MLP layers or experts. Simple and standard tasks may have less, and more is no fault anywhere.
    Why it matters: What a model knows is mostly in its MLP layers. An adapter on attention alone learns style and
    format, and little new knowledge or reasoning.
    How to fix: Add the names in the finding to `lora.target_modules`, or set it to `all-linear`.
    Evidence: the checklist's rows of target modules, and its remedy for poor adaptation ("add MLP layers").
    """
    adapted = module_tree.adapted
    language = [layer for layer in module_tree.layers if layer.tower == "language"]
    there = {part: [layer for layer in language if layer.role in roles] for part, roles in PARTS.items()}
    has = {part: list(dict.fromkeys(one.leaf for one in adapted if one.role in roles)) for part, roles in PARTS.items()}
    if not all(there.values()):
        not_applicable("the model's layers are neither attention nor MLP by any name that is known here")
    evidence(
        "; ".join(f"{part}: {', '.join(names) or 'none'}" for part, names in has.items()),
        complexity=config.task.complexity,
        attention=has["attention"],
        mlp=has["MLP"],
    )
    if config.task.complexity == "complex":
        report_findings(
            Finding(
                f"a complex task, and no adapter on the {part} layers",
                where=config.where("lora.target_modules"),
                observed=", ".join(dict.fromkeys(layer.leaf for layer in adapted)),
                expected=", ".join(dict.fromkeys(layer.leaf for layer in there[part])),
                why="What the model knows stays as it is; an adapter here learns form." if part == "MLP" else None,
                fix=module_tree.how_to_reach(there[part]),
            )
            for part, names in has.items()
            if not names
        )
