import json
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.label import IGNORE
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.model.tokenizer import Tokenizer


@check(
    "TOK-101",
    "pad-token",
    severity="required",
    section=4,
    item="Must-have: correct pad token",
)
def padding_leaves_every_supervised_token(
    config: Config, train: Split, tokenizer: Tokenizer, module_tree: ModuleTree, evidence: Evidence
) -> None:
    """Padding a batch costs no supervised token.

    What it checks: Batches are padded by TRL's own collator, and the labels that come out are compared with the
    prepared ones: each label survives and every pad position is ignored. The pad token must exist and have an
    embedding.
    Why it matters: A collator that ignores labels wherever the id equals the pad token also ignores the end-of-turn
    token if the two are the same; the model then never learns to stop. What counts is the labels, so a pad token equal
    to EOS is fine where the labels keep it.
    How to fix: Set `training.pad_token` to a token of the vocabulary that no example contains.
    Evidence: huggingface/trl#1623, mlabonne/llm-course#33, unslothai/unsloth#416. The checklist's
    `pad_token = eos_token` is what many of these runs did.
    """
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    hf = tokenizer.hf
    same = " (= EOS)" if hf.pad_token == hf.eos_token else ""
    if (wrong := _wrong(tokenizer, module_tree.vocabulary)) is not None:
        report_findings(
            [
                Finding(
                    wrong,
                    where=config.where("training.pad_token"),
                    observed=f"{hf.pad_token} (id {hf.pad_token_id})",
                    expected=f"a token of the vocabulary with an id below {module_tree.vocabulary}",
                    why="A padded batch can't be built, or reads past the embedding.",
                    fix=f"Set training.pad_token: {json.dumps(_usable(hf, module_tree.vocabulary))}.",
                )
            ]
        )
    collate = DataCollatorForLanguageModeling(pad_token_id=hf.pad_token_id)
    examples = train.examples.select_columns(["input_ids", "labels"])
    lost: list[int] = []
    for start in range(0, min(len(examples), 512), 64):
        rows = examples[start : start + 64]
        batch = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
        labels = collate(batch)["labels"]
        kept = (labels != IGNORE).sum(1).tolist()
        wanted = [sum(label != IGNORE for label in row["labels"]) for row in batch]
        lost += [start + n for n, (have, want) in enumerate(zip(kept, wanted, strict=True)) if have != want]
    evidence(
        f"{hf.pad_token}{same}; every label survives padding", pad_token=hf.pad_token, pad_token_id=hf.pad_token_id
    )
    places = train.profile["where"]
    report_findings(
        Finding(
            "padding changes which tokens are supervised",
            where=places[index],
            why="Tokens that should be learned are ignored, the end-of-turn token first of all.",
            fix="Set training.pad_token to a token that no example contains.",
        )
        for index in lost
    )


def _wrong(tokenizer: Tokenizer, vocabulary: int) -> str | None:
    hf = tokenizer.hf
    if hf.pad_token is None:
        return "there is no pad token"
    if tokenizer.backend.token_to_id(hf.pad_token) is None:  # transformers gives it the id of the unknown token
        return f"the pad token {hf.pad_token!r} is not in the vocabulary"
    return None if hf.pad_token_id < vocabulary else f"the pad token {hf.pad_token!r} has no embedding"


def _usable(hf: Any, vocabulary: int) -> str:
    """A token to pad with: one that is called so, else a special one that neither begins nor ends anything."""
    special = [
        token.content for id, token in sorted(hf.added_tokens_decoder.items()) if token.special and id < vocabulary
    ]
    free = [content for content in special if content not in (hf.bos_token, hf.eos_token)]
    named = [content for content in free if "pad" in content.lower()]
    return next(iter(named + free), str(hf.eos_token))
