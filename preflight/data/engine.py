"""What turns text into ids."""
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Engine:
    name: str
    encode: Callable[[list[str]], tuple[Any, Any]]
    note: str = ""


def byte_lengths(backend: Any) -> Any:
    import json
    from tokenizers.pre_tokenizers import ByteLevel
    state = json.loads(backend.to_str())
    if state["normalizer"] or "ByteLevel" not in json.dumps(state["pre_tokenizer"]):
        return None
    n = backend.get_vocab_size(True)
    out = np.zeros(n, dtype=np.int32)
    added = {t["id"]: t["content"] for t in state["added_tokens"]}
    for tok, i in backend.get_vocab(True).items():
        out[i] = len(added[i].encode()) if i in added else len(tok)
    return out


def hf_engine(backend: Any) -> Engine:
    def encode(texts):
        flat = array("i")
        lengths = []
        for e in backend.encode_batch_fast(texts, add_special_tokens=False):
            ids = e.ids
            flat.extend(ids)
            lengths.append(len(ids))
        return np.frombuffer(flat, dtype=np.int32), np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return Engine("tokenizers", encode)


def choose(backend: Any, tokenizer_json: Path, wanted: str, sample: Iterable[str]) -> Engine:
    return hf_engine(backend)
