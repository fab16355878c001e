"""What each layer of a model is for: its tower and its role, told from the module tree."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["attention", "mlp", "expert", "router", "embedding", "head", "other"]

# Parts of module names, as the architectures of transformers have them.
_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("other", re.compile(r"[._]gate$")),  # the switch of a shared expert
    ("attention", re.compile(r"(^|[._])(attn|attention)\.")),
    (
        "mlp",
        re.compile(
            r"(^|[._])(mlp|ffn|ff|feed_forward|moe|experts?)\.|\.(fc\d|fc_(in|out)|(gate|up|down|gate_up)_proj|w[123])$"
        ),
    ),
)
_EXPERT = re.compile(r"(^|[._])experts\.\d+\.")
_ROUTER = re.compile(r"(^|[._])(gate|router|wg|gating)(\.|$)")


@dataclass(frozen=True, slots=True)
class Layer:
    """A matrix of the model, or a stack of them: a module, or a parameter that stands alone.

    Attributes:
        name: Full name.
        kind: `Linear`, `Conv1D` (GPT-2's linear layer), `Embedding`, `Conv`, or `Parameter` for one that is no module
            of its own, such as the experts that transformers 5 fuses into a stack.
        plain: Whether bitsandbytes would quantize it, which only takes these classes of linear layers themselves.
        tower: `language`; in a model for more than text also `vision`, `audio` or whatever its config calls them, and
            `projector` for what lies between.
        role: What it is for.
        size: Parameters, the bias included.
        adapted: Whether it carries an adapter.
    """

    name: str
    kind: str
    plain: bool
    tower: str
    role: Role
    size: int
    adapted: bool = False

    @property
    def leaf(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]

    @property
    def pattern(self) -> str:
        """Its name with a star for each number: the same for all layers of one kind."""
        return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", self.name)


def layers_of(model: Any) -> list[Layer]:
    """Every layer of a `transformers.PreTrainedModel` that could carry an adapter, in the model's order.

    Of the parameters that stand alone, these are experts and routers.
    """
    towers = _towers(model)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    experts = _experts(model)
    found = []
    for name, kind, shape, size, module in _matrices(model):
        role = _role(name, shape, experts)
        if module is not None:
            role = "head" if module is head else "embedding" if module is embedding else role
        if kind == "Parameter" and role not in ("expert", "router"):
            continue
        tower = next((tower for prefix, tower in towers if name.startswith(prefix) and role != "head"), "language")
        plain = type(module).__name__ in ("Linear", "Conv1D")
        found.append(Layer(name, kind, plain, tower, role, size))
    return found


def _matrices(model: Any) -> Iterator[tuple[str, str, Sequence[int], int, Any]]:
    """Name, class, shape, size and, unless it is a bare parameter, the module."""
    import torch
    from transformers.pytorch_utils import Conv1D

    kinds = {
        torch.nn.Linear: "Linear",
        Conv1D: "Conv1D",
        torch.nn.Embedding: "Embedding",
        torch.nn.modules.conv._ConvNd: "Conv",
    }
    for name, module in model.named_modules():
        if kind := next((kind for base, kind in kinds.items() if isinstance(module, base)), None):
            size = sum(parameter.numel() for parameter in module.parameters(recurse=False))
            yield name, kind, module.weight.shape, size, module
            continue
        for part, parameter in module.named_parameters(recurse=False):
            if parameter.ndim >= 2:
                yield f"{name}.{part}", "Parameter", parameter.shape, parameter.numel(), None


def _experts(model: Any) -> int:
    """How many experts a layer has; 0 in a dense model."""
    import torch

    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "experts":
            if isinstance(module, torch.nn.ModuleList):
                return len(module)
            stacks = [p for p in module.parameters(recurse=False) if p.ndim == 3]
            if stacks:
                return int(stacks[0].shape[0])
    return 0


def _role(name: str, shape: Sequence[int], experts: int) -> Role:
    if experts and ((len(shape) == 3 and shape[0] == experts) or _EXPERT.search(name)):
        return "expert"
    if experts and shape[0] == experts and _ROUTER.search(name):
        return "router"
    return next((role for role, pattern in _ROLES if pattern.search(name)), "other")


def _towers(model: Any) -> list[tuple[str, str]]:
    """Prefixes of names with the towers that they stand for, the longest first; none in a model for text alone.

    A tower is a model in the model, whose config is one of the parts of the model's config.
    """
    from transformers import PreTrainedModel

    settings = model.config
    text = settings.get_text_config()
    parts = {
        type(part): key.removesuffix("_config")
        for key in getattr(settings, "sub_configs", {})
        if (part := getattr(settings, key, None)) is not None and type(part) is not type(text)
    }
    found = {
        f"{name}.": "language" if type(module.config) is type(text) else parts[type(module.config)]
        for name, module in model.named_modules()
        if name and parts and isinstance(module, PreTrainedModel) and type(module.config) in {*parts, type(text)}
    }
    if "language" in found.values() and text is not settings:
        found[""] = "projector"  # what is in no tower ties them together, such as `multi_modal_projector`
    return sorted(found.items(), key=lambda pair: -len(pair[0]))
