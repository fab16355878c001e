"""The tensors that a run trains, by what they are: it decides what is saved of them, and in what width."""

from collections import Counter
from math import prod
from typing import Any, Literal, NamedTuple

Part = Literal["weight", "matrix", "magnitude", "copy"]


class Trained(NamedTuple):
    """A kind of tensor that is trained.

    Attributes:
        part: `weight` of a model without an adapter, an adapter's `matrix`, DoRA's `magnitude`, or the `copy` of a
            module in `lora.modules_to_save`.
        shape: Its sizes.
        embedding: Whether it is the weight of a `torch.nn.Embedding`.
    """

    part: Part
    shape: tuple[int, ...]
    embedding: bool = False

    @property
    def size(self) -> int:
        """Its values."""
        return prod(self.shape)


def trained_in(model: Any) -> Counter[Trained]:
    """How many tensors of each kind a model trains, tied ones counted once; with an adapter it is a `PeftModel`."""
    import torch

    adapted, found, seen = hasattr(model, "peft_config"), Counter[Trained](), set[int]()
    for name, module in model.named_modules():
        for own, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            embedding = isinstance(module, torch.nn.Embedding) and own == "weight"
            found[Trained(_part(f"{name}.{own}") if adapted else "weight", tuple(parameter.shape), embedding)] += 1
    return found


def _part(name: str) -> Part:
    if ".modules_to_save." in name:
        return "copy"
    return "magnitude" if ".lora_magnitude_vector." in name else "matrix"
