from preflight import Finding, check, report_findings
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.model.modules import ModuleTree
from preflight.model.tokenizer import Tokenizer


@check(
    "TOK-119",
    "ids-in-embedding",
    severity="required",
    section=1,
    item="Special tokens correctly placed (BOS, EOS, pad)",
)
def every_id_has_a_row_in_the_embedding(
    train: Split, tokenizer: Tokenizer, module_tree: ModuleTree, evidence: Evidence
) -> None:
    """Every id that is fed is below the number of rows of the embedding.

    What it checks: The ids of all prepared rows, and BOS and EOS. The pad token is judged by TOK-101.
    Why it matters: A GPU stops at such an id with a device-side assert and a misleading trace; elsewhere another row is
    read.
    How to fix: Use tokens that the model has, or resize its embedding, save it and train the new rows.
    Evidence: meta-llama/llama-cookbook#189, huggingface/tokenizers#1609, huggingface/transformers#24698.
    """
    rows = module_tree.vocabulary
    known = tokenizer.backend.get_vocab_size(True)
    evidence(f"{known:,} tokens, {rows:,} rows", tokens=known, rows=rows)
    if known <= rows:
        return
    import pyarrow.compute as pc

    added = {str(token): number for number, token in tokenizer.hf.added_tokens_decoder.items()}
    bad = {number: text for text, number in added.items() if number >= rows}
    own = (tokenizer.hf.bos_token_id, tokenizer.hf.eos_token_id)
    highest = pc.max(pc.list_flatten(train.examples.data.column("input_ids"))).as_py() or 0
    if highest < rows and not any(number is not None and number >= rows for number in own):
        return
    report_findings(
        [
            Finding(
                f"the data holds tokens with ids from {rows:,} on, for which the model has no embedding",
                observed=f"{', '.join(sorted(bad.values())) or highest}; highest id {highest:,}",
                expected=f"ids below {rows:,}",
                why="Training stops at the first such token, on a GPU with a misleading error.",
                fix="Use tokens that the model has; or resize its embedding "
                f"(resize_token_embeddings({known}, pad_to_multiple_of=64)), save it, and train the new rows with "
                "lora.trainable_token_indices.",
            )
        ]
    )
