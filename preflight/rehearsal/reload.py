"""The checkpoint, loaded as it will be after the run, against what was trained."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from preflight.config import Config
from preflight.model import build
from preflight.rehearsal.facts import Checkpoint
from preflight.rehearsal.score import difference

OPTIMIZER = "optimizer.pt"
NONE = torch.empty(0)

Scored = Callable[[Any], torch.Tensor]


@dataclass(frozen=True)
class Trained:
    """What is remembered of the trained model once it is gone.

    Attributes:
        scores: Log-probabilities of the typical batch.
        adapter: What was trained of the adapter, by name; empty for full fine-tuning.
        device: Where it was.
    """

    scores: torch.Tensor
    adapter: dict[str, torch.Tensor]
    device: Any


def remember(model: Any, scored: Scored) -> Trained:
    """Remember a trained model."""
    adapter = {
        name: parameter.detach().float().cpu()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and hasattr(model, "peft_config")
    }
    return Trained(scored(model), adapter, model.device)


def compare(config: Config, saved: Path, trained: Trained, scored: Scored) -> tuple[float, Checkpoint]:
    """Load the base, and the checkpoint on it.

    Args:
        config: The run's config.
        saved: The checkpoint.
        trained: What was trained.
        scored: Gives the log-probabilities of a model.

    Returns:
        The base model's mean loss a supervised token, and what came of the checkpoint.
    """
    base = _placed(build.load_base(config), trained.device)
    alone = scored(base)
    if config.lora is None:
        del base  # before there are two of them
        loaded = _placed(build.load_adapter(config, saved), trained.device)
    else:
        loaded = build.load_adapter(config, saved, base)
    now = dict(loaded.named_parameters())
    return float(-alone.mean()), Checkpoint(
        size=sum(file.stat().st_size for file in saved.iterdir()),
        optimizer=(saved / OPTIMIZER).is_file(),
        unequal=[name for name, value in trained.adapter.items() if not _equal(value, now.get(name, NONE))],
        difference=difference(trained.scores, scored(loaded)),
        effect=difference(trained.scores, alone),
    )


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other.detach().float().cpu())


def _placed(model: Any, device: Any) -> Any:
    """The model on the device, unless it was placed when it was loaded."""
    stays = getattr(model, "is_quantized", False) or getattr(model, "hf_device_map", None)
    return model if stays else model.to(device)
