"""The module tree of the user's own model class, built on the meta device: no weights are read or allocated."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from preflight.config import Config
from preflight.findings import not_applicable
from preflight.model import build, files
from preflight.model.layers import Layer, layers_of
from preflight.model.trained import Trained, trained_in


@dataclass(frozen=True)
class ModuleTree:
    """What the adapter settings come to on this model.

    Attributes:
        linears: Last part of the name of every linear layer of the language model that is fit for an adapter, with how
            many there are. The output layer is not among them, since TRL refuses an adapter there, and no router is.
        matched: For each entry of `lora.target_modules`, how many modules have such a name, whatever
            `lora.layers_to_transform` or `lora.exclude_modules` leave out. Experts that transformers has fused into one
            parameter count under the names that they had, as peft takes them.
        parameters: Parameters of the base model.
        vocabulary: Rows of the input embedding.
        problem: Why the adapter can't be attached or trained, in the library's words; None if it can.
        layers: Every matrix of the model that an adapter could be on, and whether one is.
        names: Full names of all modules, and of all parameters.
        saved: For each entry of `lora.modules_to_save`, how many modules are trained as a copy.
        tied: Whether the input embedding and the output layer are one matrix.
        trained: How many tensors of each kind are trained.
    """

    linears: Mapping[str, int]
    matched: Mapping[str, int]
    parameters: int
    vocabulary: int
    problem: str | None = None
    layers: Sequence[Layer] = ()
    names: tuple[Sequence[str], Sequence[str]] = ((), ())
    saved: Mapping[str, int] = field(default_factory=dict)
    tied: bool = False
    trained: Mapping[Trained, int] = field(default_factory=dict)

    @property
    def trainable(self) -> int:
        """Parameters that would be trained."""
        return sum(tensor.size * count for tensor, count in self.trained.items())

    @property
    def copies(self) -> int:
        """Those of them that are copies of modules in `lora.modules_to_save`."""
        return sum(tensor.size * count for tensor, count in self.trained.items() if tensor.part == "copy")

    @property
    def adapted(self) -> list[Layer]:
        """The layers that carry an adapter; ends the check if there can be none."""
        found = [layer for layer in self.layers if layer.adapted]
        if not found:
            not_applicable("there is no adapter, or none that can be attached (see CFG-101 and CFG-102)")
        return found

    @property
    def embedding(self) -> str:
        """The last part of the input embedding's name."""
        return next((layer.leaf for layer in self.layers if layer.role == "embedding"), "embed_tokens")

    @property
    def head(self) -> str | None:
        """The last part of the output layer's name; None if it is one with the embedding, or there is none."""
        return next((layer.leaf for layer in self.layers if layer.role == "head" and not self.tied), None)

    def how_to_reach(self, layers: Iterable[Layer]) -> str:
        """What to write so that these layers get an adapter."""
        stacks = sorted({_end(layer.name) for layer in layers if layer.kind == "Parameter"})
        plain = sorted({layer.leaf for layer in layers if layer.kind != "Parameter"} - set(self.matched))
        names = [f"Add {', '.join(plain)} to lora.target_modules."] if plain else []
        if stacks:  # peft refuses dropout there
            names.append(f"Set lora.target_parameters: [{', '.join(stacks)}] and lora.lora_dropout: 0.")
        return " ".join(names)


def _end(name: str) -> str:
    """The last two parts of a name."""
    return ".".join(name.split(".")[-2:])


def skeleton(config: Config, **otherwise: Any) -> Any:
    """The base model that the run trains, built from its `config.json` on the meta device.

    Args:
        config: The run's config.
        otherwise: What `from_config` may be told besides, such as `dtype`.

    Returns:
        A `transformers.PreTrainedModel`.

    Raises:
        files.ModelFilesError: there is no usable `config.json`.
    """
    import torch
    from transformers import AutoConfig

    folder, code = files.folder_of(config), config.model.trust_remote_code
    files.model_config(config)  # says clearly what transformers would say in a traceback
    try:
        settings = AutoConfig.from_pretrained(folder, trust_remote_code=code)
        with torch.device("meta"):
            return build.auto_class(settings).from_config(settings, trust_remote_code=code, **otherwise)
    except Exception as error:  # transformers raises anything here, from ImportError to AttributeError
        raise files.ModelFilesError(
            f"{folder / 'config.json'}: transformers can't build this model: {build.short(error)}"
        ) from error


def attach(model: Any, config: Config) -> Any:
    """The model with the run's adapter on it, a `peft.PeftModel`; the model's own layers are replaced in place.

    Initial values that are computed from the weights are left out: on the meta device there are none.

    Raises:
        Exception: whatever peft raises, from ValueError to re.error.
    """
    import torch
    from peft import get_peft_model

    settings = build.lora_config(config)
    if isinstance(settings.init_lora_weights, str) and settings.init_lora_weights != "mica":  # which freezes a matrix
        settings.init_lora_weights = True
    with torch.device("meta"):
        return get_peft_model(model, settings)


def module_tree(config: Config) -> ModuleTree:
    """Build the model from its `config.json` on the meta device and attach the adapter there.

    Raises:
        files.ModelFilesError: there is no usable `config.json`.
    """
    model = skeleton(config)
    layers = layers_of(model)
    linear = [layer for layer in layers if layer.kind in ("Linear", "Conv1D") and layer.role != "head"]
    linears = Counter(layer.leaf for layer in linear if layer.tower == "language" and layer.role != "router")
    modules = [name for name, _ in model.named_modules()]
    parameters = [name for name, _ in model.named_parameters()]
    size = sum(parameter.numel() for parameter in model.parameters())
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings()
    tree = ModuleTree(
        linears=linears,
        matched={},
        parameters=size,
        vocabulary=embedding.shape[0],
        layers=layers,
        names=(modules, parameters),
        tied=getattr(head, "weight", None) is embedding,
        trained=trained_in(model),
    )
    if config.lora is None:
        return tree

    former = fused(model, layers)
    tree = replace(
        tree,
        matched=matches(config.lora_value("target_modules"), [*modules, *former], len(linear) + len(former)),
        saved={
            entry: sum(name.endswith(entry) for name in modules)  # peft's own rule
            for entry in config.lora_value("modules_to_save") or ()
        },
        trained={},
    )
    try:
        adapted = attach(model, config)
    except Exception as error:  # peft raises anything here, from ValueError to re.error
        return replace(tree, problem=build.short(error))
    tuner = adapted.base_model
    carriers = {*tuner.targeted_module_names, *tuner.targeted_parameter_names}
    return replace(
        tree,
        problem=refusal(adapted.get_output_embeddings()),
        layers=[replace(layer, adapted=layer.name in carriers) for layer in layers],
        trained=trained_in(adapted),
    )


def refusal(head: Any) -> str | None:
    """Why TRL would not train with this output layer: it multiplies by the weight itself, without calling the layer."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import TrainableTokensWrapper

    if isinstance(head, BaseTunerLayer):
        return "TRL trains no adapter on the output layer"
    if isinstance(head, TrainableTokensWrapper):
        return "TRL trains no single tokens of the output layer, which is tied to the embedding or named itself"
    return None


def fused(model: Any, layers: Iterable[Layer]) -> list[str]:
    """The names that experts had before transformers 5 fused them, of those that peft still takes for targets."""
    try:
        from peft.utils import transformers_weight_conversion as conversion

        family = conversion._MODEL_TO_CONVERSION_PATTERN.get(getattr(model.config, "model_type", None))
        former = conversion._MOE_TARGET_MODULE_MAPPING.get(family, {})
    except (ImportError, AttributeError):  # another version of either library: the names are then none
        return []
    return [
        f"{layer.name.rpartition('.')[0]}.{old}"
        for layer in layers
        if layer.role == "expert" and layer.kind == "Parameter"
        for old, new in former.items()
        if layer.leaf == new
    ]


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
