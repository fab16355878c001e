from preflight import Finding, check, report_findings
from preflight.data.label import IGNORE
from preflight.data.prepare import Split
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
    train: Split, tokenizer: Tokenizer, module_tree: ModuleTree, evidence: Evidence
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
    if hf.pad_token_id is None or hf.pad_token_id >= module_tree.vocabulary:
        report_findings(
            [
                Finding(
                    "there is no pad token"
                    if hf.pad_token_id is None
                    else f"the pad token {hf.pad_token!r} has no embedding",
                    observed=str(hf.pad_token_id),
                    expected=f"an id below {module_tree.vocabulary}",
                    why="A padded batch can't be built, or reads past the embedding.",
                    fix="Set training.pad_token to a token that the vocabulary has.",
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
