import importlib.util
from itertools import islice
from pathlib import Path
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data import source
from preflight.data.fidelity import shown
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.model import files
from preflight.model.tokenizer import Tokenizer

SAMPLE = 200  # rows that are encoded twice


@check(
    "TOK-123",
    "tokenizers-agree",
    severity="recommended",
    section=1,
    item="Tokenizer alignment: verified tokenizer handles format",
    thresholds={"max_fraction": 0.01},
)
def every_form_of_the_tokenizer_gives_the_same_ids(
    config: Config, train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any
) -> None:
    """The tokenizer's forms agree: special tokens are one id each, and `tokenizer.model` gives the same ids.

    What it checks: The text of each special token must become its own id and no other. If the folder also holds a
    SentencePiece model, what the first 200 rows say is encoded by both.
    Why it matters: Training uses `tokenizer.json`. What reads `tokenizer.model` instead, such as a conversion to GGUF,
    gives the model other ids than it was trained on; a special token that is spelled out ends and opens nothing.
    How to fix: Make tokenizer.json anew from the original tokenizer, or remove a `tokenizer.model` that doesn't belong
    to it. Correct added tokens in tokenizer.json.
    Evidence: huggingface/transformers#27230, huggingface/transformers#35973, huggingface/transformers#23889.
    Threshold: 1 % of rows, for rare characters.
    """
    hf = tokenizer.hf
    tokens = {str(token): number for number, token in hf.added_tokens_decoder.items() if token.special}
    tokens |= {token: hf.convert_tokens_to_ids(token) for token in hf.all_special_tokens}
    split = {token: ids for token, number in tokens.items() if (ids := _ids(tokenizer, token)) != [number]}
    other, note = _sentencepiece(files.tokenizer_folder(config) / "tokenizer.model")
    texts = _texts(config, tokenizer) if other else []
    odd = [(where, text) for where, text in texts if _ids(tokenizer, text) != other.encode(text)]
    evidence(
        f"{len(tokens)} special tokens, {len(split)} split; {note or f'{len(odd)} of {len(texts)} texts differ'}",
        split=split,
        compared=len(texts),
        different=len(odd),
    )
    findings = [
        Finding(
            f"the special token {token!r} is not one id",
            observed=f"{hf.convert_ids_to_tokens(ids)}",
            expected=f"[{tokens[token]}]",
            why="Written by the template, it is read letter by letter and ends or opens nothing.",
            fix="Correct its entry in added_tokens of tokenizer.json.",
        )
        for token, ids in split.items()
    ]
    if len(odd) > limits.max_fraction * len(texts):
        where, text = odd[0]
        findings.append(
            Finding(
                f"tokenizer.model gives other ids than tokenizer.json for {len(odd)} of {len(texts)} texts",
                where=where,
                observed=f"{other.encode(text)[:12]} for {shown(text[:60])!r}",
                expected=f"{_ids(tokenizer, text)[:12]}",
                why="What is made from tokenizer.model, such as GGUF, reads other ids than the model was trained on.",
                fix="Make tokenizer.json anew from the original tokenizer, or remove tokenizer.model.",
            )
        )
    report_findings(findings)


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.backend.encode(text, add_special_tokens=False).ids
    return ids


def _sentencepiece(path: Path) -> tuple[Any, str]:
    """The SentencePiece model of a folder, or None and why there is none to compare."""
    if not path.is_file():
        return None, "no tokenizer.model to compare"
    if importlib.util.find_spec("sentencepiece") is None:
        return None, "tokenizer.model not compared: pip install 'finetune-preflight[sentencepiece]'"
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(path)), ""
    except (RuntimeError, OSError):
        return None, "tokenizer.model is not SentencePiece's"


def _texts(config: Config, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """What the first rows say, without texts that hold special tokens: those are no text to SentencePiece."""
    found = []
    for _, row, example in islice(source.examples(config, "train"), SAMPLE):
        said = [message["content"] for message in example.messages] or [example.prompt, example.completion]
        found += [(row.where, text) for text in said if text and not tokenizer.special.search(text)]
    return found
