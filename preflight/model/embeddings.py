"""The rows of a model's embedding and output layer, read one by one from its safetensors files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from preflight.config import Config
from preflight.findings import counted
from preflight.model import files

SAMPLE = 512  # rows that stand for all
SMALL = 0.2  # of the usual length, or of the usual distance from the mean
SAME = 0.02  # of the usual distance from the mean: rows that are this near are one
RANDOM = 1.3  # lengths of random rows vary by 1 / sqrt(2 x width); those of a trained model by several times that


@dataclass(frozen=True)
class Untrained:
    """A token whose row was never trained.

    Attributes:
        tensor: The layer that the row is of, such as `lm_head`.
        reason: What shows it.
    """

    tensor: str
    reason: str


def untrained(config: Config, vocabulary: int, ids: Iterable[int], others: Iterable[int]) -> dict[int, list[Untrained]]:
    """Which tokens have rows that were never trained: zero, much shorter than others, the mean, or one for several.

    Nothing is found in a model whose rows are all random.

    Args:
        config: The run's config.
        vocabulary: Rows of the model's embedding.
        ids: The tokens in question.
        others: Tokens that may share a row with them, such as all that are reserved.

    Raises:
        files.ModelFilesError: there is no model.
    """
    found: dict[int, list[Untrained]] = {}
    asked = sorted({token for token in ids if token < vocabulary})
    reserved = sorted({token for token in others if token < vocabulary})
    for name, rows in _tables(config, vocabulary):
        import torch

        sample = torch.stack([rows[n] for n in range(0, vocabulary, max(vocabulary // SAMPLE, 1))])
        lengths = sample.norm(dim=1)
        if lengths.std() < RANDOM * lengths.mean() / (2 * sample.shape[1]) ** 0.5:
            continue
        mean = sample.mean(dim=0)
        usual, spread = lengths.median(), (sample - mean).norm(dim=1).median()
        kept = {token: rows[token] for token in reserved}
        for token in asked:
            row = rows[token]
            reason = None
            if row.norm() < SMALL * usual:
                reason = f"its length is {row.norm() / usual:.0%} of the usual one"
            elif (row - mean).norm() < SMALL * spread:
                reason = "it is the mean of all rows"
            elif same := [n for n, other in kept.items() if n != token and (row - other).norm() < SAME * spread]:
                reason = f"it is the same as that of {counted(len(same), 'reserved token')}"
            if reason:
                found.setdefault(token, []).append(Untrained(name, reason))
    return found


class _Rows:
    """Single rows of a tensor in a file, as float."""

    def __init__(self, piece: Any) -> None:
        self.piece = piece

    def __getitem__(self, row: int) -> Any:
        return self.piece[row : row + 1][0].float()


def _tables(config: Config, vocabulary: int) -> Iterator[tuple[str, _Rows]]:
    """The tensors with a row for each token: embedding and, if it isn't the same one, output layer."""
    from safetensors import SafetensorError, safe_open

    for path in files.weight_files(config):
        try:
            with safe_open(path, framework="pt") as opened:
                for key in opened.keys():  # noqa: SIM118 - it is no mapping
                    piece = opened.get_slice(key)
                    shape = piece.get_shape()
                    if len(shape) == 2 and shape[0] == vocabulary and key.endswith(".weight"):
                        yield key.removesuffix(".weight").rpartition(".")[2], _Rows(piece)
        except (SafetensorError, OSError):
            continue  # CFG-110 says so


def trains(config: Config, token: int, layer: str, head: str | None) -> bool:
    """Whether the run trains the row of a token in a layer: embedding or output layer, by its name.

    Args:
        config: The run's config.
        token: The token's id.
        layer: Name of the layer.
        head: Name of the output layer; None if it is one with the embedding.
    """
    if config.lora is None:
        return True
    for key in ("modules_to_save", "target_modules"):
        names = config.lora_value(key) or ()
        names = [names] if isinstance(names, str) else names
        if any(name == layer or name.endswith(f".{layer}") for name in names):
            return True
    chosen = config.lora_value("trainable_token_indices") or ()
    if isinstance(chosen, dict):
        return any(token in ids for name, ids in chosen.items() if name.rpartition(".")[2] == layer)
    return token in chosen and layer != head  # a list is for the embedding
