"""The module tree of the user's own model class, built on the meta device: no weights are read or allocated."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from preflight.config import Config
from preflight.model import build, files


@dataclass(frozen=True)
class ModuleTree:
    """What the adapter settings come to on this model.

    Attributes:
        linears: Last part of the name of every linear layer that can carry an adapter, with how many there are. The
            output layer is not among them: TRL refuses an adapter there.
        matched: For each entry of `lora.target_modules`, how many modules have such a name, whatever
            `lora.layers_to_transform` or `lora.exclude_modules` leave out.
        parameters: Parameters of the base model.
        trainable: Parameters that would be trained.
        vocabulary: Rows of the input embedding.
        problem: Why the adapter can't be attached or trained, in the library's words; None if it can.
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
    except Exception as error:  # transformers raises anything here, from ImportError to AttributeError
        raise files.ModelFilesError(
            f"{folder / 'config.json'}: transformers can't build this model: {build.short(error)}"
        ) from error

    head = model.get_output_embeddings()
    linears = Counter(
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D") and module is not head
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if config.lora is None:
        return ModuleTree(linears, {}, parameters, parameters, vocabulary)

    matched = matches(config.lora_value("target_modules"), [name for name, _ in model.named_modules()], linears.total())
    trainable, problem = 0, None
    try:
        from peft import get_peft_model
        from peft.tuners.tuners_utils import BaseTunerLayer

        with torch.device("meta"):
            adapted = get_peft_model(model, build.lora_config(config))
        trainable = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
        if isinstance(adapted.get_output_embeddings(), BaseTunerLayer):
            # SFTTrainer multiplies by the output layer's weight itself, so an adapter there would never be trained.
            problem = "TRL trains no adapter on the output layer"
    except Exception as error:  # peft raises anything here, from ValueError to re.error
        problem = build.short(error)
    return ModuleTree(linears, matched, parameters, trainable, vocabulary, problem)


def matches(targets: str | Sequence[str] | None, names: Sequence[str], linears: int) -> dict[str, int]:
    """How many modules each entry of `lora.target_modules` matches, by peft's own rule.

    Args:
        targets: A list of names or ends of names, one string that is a regular expression over whole names, or
            `all-linear`; None if peft is to choose.
        names: Full names of the model's modules.
        linears: How many linear layers `all-linear` stands for.
    """
    if isinstance(targets, str):
        return {targets: linears if targets.lower() == "all-linear" else _count(targets, names)}
    return {target: _count([target], names) for target in sorted(targets or ())}


def _count(targets: str | list[str], names: Sequence[str]) -> int:
    from peft import LoraConfig
    from peft.tuners.tuners_utils import check_target_module_exists

    alone = LoraConfig(target_modules=targets)
    try:
        return sum(bool(check_target_module_exists(alone, name)) for name in names)
    except re.error:  # not a regular expression: attaching the adapter says so
        return 0
