"""The trained model, loaded once: base and tuned model share one set of weights."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.model import build
from preflight.model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Trained:
    """The trained model.

    Attributes:
        model: A `PeftModel` in evaluation mode, or the fully tuned model.
        tokenizer: The tokenizer that the run trained with.
        base: The base model where it isn't inside `model` (full fine-tuning); None otherwise.
    """

    model: Any
    tokenizer: Tokenizer
    base: Any = None

    @contextlib.contextmanager
    def as_base(self) -> Iterator[Any]:
        """The base model: the same weights with the adapter off."""
        if self.base is not None:
            yield self.base
        else:
            with self.model.disable_adapter():
                yield self.model


def load_trained(config: Config, tokenizer: Tokenizer) -> Trained:
    """Load base and adapter.

    Raises:
        build.BuildError: there is nothing that loads.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = _on_device(build.load_adapter(config))
    base = _on_device(build.load_base(config).eval()) if config.lora is None else None
    return Trained(model, tokenizer, base)


def _on_device(model: Any) -> Any:
    import torch

    if getattr(model, "hf_device_map", None) or getattr(model, "is_quantized", False):
        return model
    return model.to(torch.accelerator.current_accelerator() or "cpu")
