from pathlib import Path

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.evaluation import adapter
from preflight.fixtures import Evidence
from preflight.model import files

KEY = "base_model_name_or_path"
WHY = "Whoever loads the adapter by its folder gets an error, or another base than it was trained on."


@check("POST-123", "base-resolvable", severity="required", section=6, item="Adapter saved: its base can be found")
def the_adapter_names_the_base_it_was_trained_on(config: Config, evidence: Evidence) -> None:
    """The adapter's config names the base model that it was trained on, and that is there.

    What it checks: `base_model_name_or_path` in adapter_config.json: it is given, a folder that it names exists, and it
    is the model of the config: the same folder, files of the same content, or the same name on the hub. A `revision`
    that both give must be the same. That a folder is of this machine only is shown, and no fault.
    Why it matters: Loading the adapter elsewhere fails, or puts it on another base.
    How to fix: Write the name on the hub, or the folder that the adapter will be loaded from, into adapter_config.json.
    Evidence: unslothai/unsloth#699, huggingface/transformers#25215, mzbac/llama2-fine-tune#2.
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    saved = adapter.settings_of(config)
    named, wanted = saved.get(KEY), config.model.name_or_path
    where = str(config.output_dir / adapter.SETTINGS)
    fix = f'Write "{KEY}": "{wanted}" into it.'
    if not isinstance(named, str) or not named.strip():
        report_findings(
            [Finding("the adapter does not say what its base model is", where, f"{named}", wanted, WHY, fix)]
        )
        return
    path = folder_named(config, named)
    local = path is not None or is_path(named)
    evidence(f"{named}{', a folder of this machine' if local else ''}", base=named, local=local)
    if local and path is None:
        report_findings([Finding(f"the adapter's base {named} is not there", where, named, wanted, WHY, fix)])
    if not same_model(config, named, path):
        report_findings([Finding("the adapter names another base than the config", where, named, wanted, WHY, fix)])
    theirs, ours = saved.get("revision"), config.model.revision
    if theirs and ours and theirs != ours:
        write = f'Write "revision": "{ours}" into it, if it was trained on that.'
        report_findings([Finding("the adapter names another revision of its base", where, theirs, ours, WHY, write)])


def is_path(named: str) -> bool:
    """Whether it can't be a name on the hub."""
    return named.startswith((".", "/", "~")) or named.count("/") != 1


def folder_named(config: Config, named: str) -> Path | None:
    """The folder of that name: from where the run was started, that is the config's folder or this one."""
    return next((path for path in (config.resolve(named), Path(named).absolute()) if path.is_dir()), None)


def same_model(config: Config, named: str, path: Path | None) -> bool:
    """Whether the name leads to the config's model; where that can't be told, it counts as the same."""
    wanted = config.model.name_or_path
    if named == wanted:
        return True
    if path is None and not config.resolve(wanted).is_dir():
        return named.lower() == wanted.lower()  # Unsloth writes small letters
    here = files.folder_of(config)
    if path is not None:
        return path.samefile(here) or same_content(path, here)
    cached = _in_cache(named)  # the config names a copy of it
    return cached is None or same_content(cached, here)


def same_content(one: Path, other: Path) -> bool:
    """Whether two folders hold the same weights: their names and sizes, and for the first of them every byte."""
    from preflight import digests

    sizes = [{file.name: file.stat().st_size for file in folder.glob("*.safetensors")} for folder in (one, other)]
    if sizes[0] != sizes[1] or not sizes[0]:
        return False
    first = min(sizes[0])
    return digests.of_file((one / first).resolve()) == digests.of_file((other / first).resolve())


def _in_cache(named: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(named, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None
