"""What the template and the tokenizer did to each example: facts about single rows that only the rendered text shows."""

from collections.abc import Iterable

from preflight.data.batch import Batch
from preflight.model.tokenizer import Tokenizer

FLAGS: tuple[str, ...] = ("double-bos",)  # a flag's place is its bit in the profile; at most 63


def look(batch: Batch, tokenizer: Tokenizer) -> Iterable[tuple[str, int, str]]:
    """The flags of a batch: which, for which place of the batch, and the text that shows it."""
    bos = tokenizer.hf.bos_token_id
    ids, starts = batch.labelled.ids, batch.labelled.starts
    for place in range(len(batch)):
        first, second = starts[place], starts[place] + 1
        if bos is not None and second < starts[place + 1] and ids[first] == bos == ids[second]:
            yield "double-bos", place, tokenizer.hf.bos_token
