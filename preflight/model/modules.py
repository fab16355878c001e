"""The module tree of the user's own model class, built on the meta device: no weights are read or allocated."""

from collections.abc import Mapping
from dataclasses import dataclass

from preflight.config import Config
from preflight.model import build, files


@dataclass(frozen=True)
class ModuleTree:
    """What the adapter settings come to on this model.

    Attributes:
        linears: Last part of the name of every linear layer, with how many there are.
        matched: For each entry of `lora.target_modules`, how many modules it matches.
        parameters: Parameters of the base model.
        trainable: Parameters that would be trained.
        vocabulary: Rows of the input embedding.
        problem: What peft says when it can't attach the adapter; None if it can.
    """

    linears: Mapping[str, int]
    matched: Mapping[str, int]
    parameters: int
    trainable: int
    vocabulary: int
    problem: str | None = None


def module_tree(config: Config) -> ModuleTree:
    """Build the model from its `config.json` on the meta device and attach the adapter there.

    Raises:
        files.ModelFilesError: there is no usable `config.json`.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = files.folder_of(config)
    files.model_config(config)  # says clearly what transformers would say in a traceback
    try:
        settings = AutoConfig.from_pretrained(folder, trust_remote_code=config.model.trust_remote_code)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(settings, trust_remote_code=config.model.trust_remote_code)
    except (ValueError, KeyError, OSError, TypeError, AttributeError) as error:
        raise files.ModelFilesError(
            f"{folder / 'config.json'}: transformers can't build this model: {error}"
        ) from error

    linears: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D":
            last = name.rpartition(".")[2]
            linears[last] = linears.get(last, 0) + 1
    parameters = sum(parameter.numel() for parameter in model.parameters())
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if config.lora is None:
        return ModuleTree(linears, {}, parameters, parameters, vocabulary)

    names = [name for name, _ in model.named_modules()]
    matched = {target: count_matches(target, names) for target in targets(config)}
    trainable, problem = 0, None
    try:
        from peft import get_peft_model

        with torch.device("meta"):
            adapted = get_peft_model(model, build.lora_config(config))
        trainable = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    except (ValueError, TypeError, KeyError, build.BuildError) as error:
        problem = str(error)
    return ModuleTree(linears, matched, parameters, trainable, vocabulary, problem)


def targets(config: Config) -> list[str]:
    """The entries of `lora.target_modules` as a list; empty if peft is to choose."""
    value = config.lora_value("target_modules") if config.lora is not None else None
    if value is None:
        return []
    return [value] if isinstance(value, str) else sorted(value)


def count_matches(target: str, names: list[str]) -> int:
    """How many modules one target matches, by peft's own rule: the whole name or its end after a dot; for a single
    string also as a regular expression over the whole name."""
    import re

    if target == "all-linear":
        return len(names)
    by_suffix = sum(name == target or name.endswith("." + target) for name in names)
    try:
        return by_suffix or sum(bool(re.fullmatch(target, name)) for name in names)
    except re.error:
        return by_suffix
