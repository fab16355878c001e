"""The profile: one row of derived facts an example. What they mean stands in `store.PROFILE`."""

from typing import Any

import numpy as np
import pyarrow as pa

from preflight import digests
from preflight.config import Config
from preflight.data import conversation, label, scripts, slices, source
from preflight.data.batch import Batch
from preflight.data.label import Labelled
from preflight.data.store import PROFILE


def table(batch: Batch, kept: Labelled, flags: Any, config: Config) -> pa.Table:
    """The profile of a batch.

    Args:
        batch: As it was before truncation.
        kept: What truncation left of its labels.
        flags: The bits of `fidelity.FLAGS`, shape (rows,).
        config: The run's config.
    """
    whole = batch.labelled
    examples = batch.examples
    columns = {
        "row": batch.numbers,
        "where": [row.where for row in batch.rows],
        "shape": [example.shape for example in examples],
        "task": [source.task_of(row, config) for row in batch.rows],
        "roles": ["".join([message["role"][0] for message in one.messages]) or "t" for one in examples],
        "length": np.diff(whole.starts),
        "kept": np.diff(kept.starts),
        "answer": label.sums(whole.learned, whole.starts),
        "supervised": label.sums(kept.learned, kept.starts),
        "head": whole.heads,
        "example_hash": [digests.of_text(item.text) for item in batch.rendered],
        "prompt_hash": [digests.of_words(source.asked(example)) for example in examples],
        "answer_hash": [digests.of_words(source.answered(example)) for example in examples],
        "ends_turn": whole.ends,
        "matches": whole.matches,
        "prefix_ok": [item.prefix_ok for item in batch.rendered],
        "chars": [len(item.text) for item in batch.rendered],
        "said": [conversation.said(example) for example in examples],
        "script": scripts.of([scripts.sample(example) for example in examples]),
        "asks_nothing": [slices.asks_nothing(example) for example in examples],
        "declines": [slices.declines(example) for example in examples],
        "flags": flags,
    }
    return pa.table([pa.array(columns[name.name]).cast(name.type) for name in PROFILE], schema=PROFILE)
