import re
from collections.abc import Callable, Iterator

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree

# By key: the entries that are given, and whether one means anything on this model.
KEYS = ("rank_pattern", "alpha_pattern", "layers_to_transform", "exclude_modules")


@check("CFG-146", "patterns-match", severity="recommended", section=3, item="Target modules selection")
def every_pattern_of_the_adapter_matches(config: Config, module_tree: ModuleTree, evidence: Evidence) -> None:
    """Every entry of `rank_pattern`, `alpha_pattern`, `layers_to_transform` and `exclude_modules` has an effect.

    What it checks: A key of `lora.rank_pattern` or `alpha_pattern` must match a module with an adapter, a number of
    `layers_to_transform` a layer, and an entry of `exclude_modules` a module, each by peft's own rule.
    Why it matters: peft goes on without them, and the adapter is not what the config says: another rank, a layer less,
    or a tower that should have been left out.
    How to fix: Correct the entry, or remove it.
    Evidence: peft 0.21 warns of such keys in a log that is long, and says nothing of a layer that is not there.
    """
    given = {key: value for key in KEYS if (value := config.lora_value(key)) not in (None, {}, [])}
    if not given:
        not_applicable("lora has no patterns")
    adapted = [layer.name for layer in module_tree.adapted]
    modules, _ = module_tree.names
    numbers = {int(found[1]) for name in modules if (found := re.match(r".*?\.[^.]*\.(\d+)\.", name))}
    match: dict[str, Callable[[str], bool]] = {
        "rank_pattern": lambda entry: any(re.match(rf"(.*\.)?({entry})$", name) for name in adapted),
        "layers_to_transform": lambda entry: int(entry) in numbers,
        "exclude_modules": lambda entry: any(name == entry or name.endswith(f".{entry}") for name in modules),
    }
    match["alpha_pattern"] = match["rank_pattern"]
    if isinstance(given.get("exclude_modules"), str):
        match["exclude_modules"] = lambda entry: any(re.fullmatch(entry, name) for name in modules)
    dead = [(key, entry) for key, entry in _entries(given) if not match[key](entry)]
    evidence(", ".join(given), dead=[f"{key}: {entry}" for key, entry in dead])
    report_findings(
        Finding(
            f"lora.{key} has {entry}, which matches nothing",
            where=config.where(f"lora.{key}"),
            observed=entry,
            expected=f"0 to {max(numbers, default=0)}" if key == "layers_to_transform" else None,
            why="peft goes on without it, and the adapter is not what the config says.",
            fix=f"Correct {entry}, or remove it.",
        )
        for key, entry in dead
    )


def _entries(given: dict[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in given.items():
        for entry in value if isinstance(value, list | dict | tuple) else [value]:
            yield key, str(entry)
