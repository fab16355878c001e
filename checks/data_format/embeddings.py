from collections.abc import Set

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.label import IGNORE
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model import files
from preflight.model.embeddings import trains, untrained
from preflight.model.modules import ModuleTree
from preflight.model.tokenizer import Tokenizer

ITEM = "Special tokens correctly placed (BOS, EOS, pad)"
SAMPLE = 2048  # rows whose tokens are looked up


@check("TOK-117", "learned-tokens-trained", severity="required", section=1, item=ITEM)
def special_tokens_that_are_learned_were_trained(
    config: Config, train: Split, tokenizer: Tokenizer, module_tree: ModuleTree, evidence: Evidence
) -> None:
    """Special tokens that the model is to write have trained rows, or rows that this run trains.

    What it checks: For each special token in what is supervised, its row of the embedding and the output layer: not
    zero, not far shorter than the others, not their mean and not the same as other reserved tokens; and tokens that the
    model's own tokenizer lacks. LoRA on other layers leaves these rows as they are.
    Why it matters: Base models hold the tokens of chat templates without having trained them, and new tokens begin at
    random. The model can hardly write such a token: it does not end its turns, or gradients are NaN.
    How to fix: Use the instruct model, or a template with tokens that were trained; or train the rows: with
    `lora.trainable_token_indices`, and `lora.modules_to_save` for the output layer; where that is one with the
    embedding, TRL can't train single rows, and `lora.ensure_weight_tying` keeps the copy tied.
    Evidence: unslothai/unsloth#658, meta-llama/llama3#77, huggingface/peft#2589, axolotl-ai-cloud/axolotl#1570.
    Thresholds: a fifth of the usual length or of the usual distance from the mean.
    """
    learned, _ = _tokens(train, tokenizer)
    bad, layers = _untrained(config, tokenizer, module_tree, learned)
    evidence(f"{counted(len(learned), 'special token')} learned, {len(bad)} untrained", untrained=bad)
    why = "The model can hardly write these tokens, and LoRA leaves their rows as they are."
    report_findings(_findings(config, bad, "learned", why, _fix(tokenizer, module_tree, bad, layers)))


@check("TOK-118", "read-tokens-trained", severity="recommended", section=1, item=ITEM)
def special_tokens_that_are_read_were_trained(
    config: Config, train: Split, tokenizer: Tokenizer, module_tree: ModuleTree, evidence: Evidence
) -> None:
    """Special tokens that the model only reads have trained rows, or rows that this run trains.

    What it checks: The same as TOK-117, for special tokens that stand in the prompts and are not supervised.
    Why it matters: The markers of the turns mean nothing to the model, whose layers have to make up for it.
    How to fix: Use the instruct model, a template with tokens that were trained, or train their rows as in TOK-117.
    Evidence: unslothai/unsloth#915, meta-pytorch/torchtune#2429.
    """
    learned, read = _tokens(train, tokenizer)
    # What the model never writes needs no row of the output layer.
    bad, layers = _untrained(config, tokenizer, module_tree, read - learned, without=module_tree.head)
    evidence(f"{counted(len(read - learned), 'special token')} only read, {len(bad)} untrained", untrained=bad)
    why = "The markers of the turns mean nothing to the model."
    report_findings(_findings(config, bad, "read", why, _fix(tokenizer, module_tree, bad, layers)))


def _tokens(train: Split, tokenizer: Tokenizer) -> tuple[set[int], set[int]]:
    """The added tokens in the labels and in the ids of the first rows."""
    import numpy as np
    import pyarrow.compute as pc

    table = train.examples.data.slice(0, SAMPLE)
    labels, ids = (
        set(np.unique(pc.list_flatten(table.column(name)).to_numpy()).tolist()) for name in ("labels", "input_ids")
    )
    added = set(tokenizer.hf.added_tokens_decoder)
    return (labels - {IGNORE}) & added, ids & added


def _untrained(
    config: Config, tokenizer: Tokenizer, tree: ModuleTree, ids: set[int], without: str | None = None
) -> tuple[dict[str, str], set[str]]:
    """Those of the tokens whose rows neither were trained nor will be, what shows it, and the layers they are in."""
    added = {number: str(token) for number, token in tokenizer.hf.added_tokens_decoder.items()}
    bad: dict[str, str] = {}
    layers: set[str] = set()
    for number, rows in untrained(config, tree.vocabulary, ids, added).items():
        left = [row for row in rows if row.tensor != without and not trains(config, number, row.tensor, tree.head)]
        if left:
            bad[added[number]] = f"{left[0].reason} ({left[0].tensor})"
            layers |= {row.tensor for row in left}
    new = _new(config, {added[number] for number in ids})
    for number in ids:
        if added[number] in new and not trains(config, number, tree.embedding, tree.head):
            bad.setdefault(added[number], "the model's own tokenizer lacks it")
            layers.add(tree.embedding)
    return bad, layers


def _fix(tokenizer: Tokenizer, tree: ModuleTree, bad: dict[str, str], layers: set[str]) -> str:
    ids = sorted(tokenizer.hf.convert_tokens_to_ids(list(bad)))
    if tree.tied:
        rows = f"lora.modules_to_save: [{tree.embedding}] and lora.ensure_weight_tying: true"
    else:
        single = [f"lora.trainable_token_indices: {ids}"] if layers - {tree.head} else []
        whole = [f"lora.modules_to_save: [{tree.head}]"] if tree.head in layers else []
        rows = " and ".join(single + whole)
    return f"Use the instruct model, or set {rows}."


def _findings(config: Config, bad: dict[str, str], how: str, why: str, fix: str) -> list[Finding]:
    if not bad:
        return []
    return [
        Finding(
            f"{', '.join(bad)} {'is' if len(bad) == 1 else 'are'} {how}, but never trained",
            where=config.where("model.name_or_path"),
            observed="; ".join(f"{token}: {reason}" for token, reason in bad.items()),
            expected="rows that were trained, or that this run trains",
            why=why,
            fix=fix,
        )
    ]


def _new(config: Config, names: Set[str]) -> set[str]:
    """Those of the tokens that the tokenizer in the model's own folder lacks; none if the run uses that one."""
    own = files.folder_of(config) / "tokenizer.json"
    if config.model.tokenizer is None or not own.is_file():
        return set()
    from tokenizers import Tokenizer as Backend

    try:
        backend = Backend.from_file(str(own))
    except Exception:  # tokenizers raises plain Exception
        return set()
    return {name for name in names if backend.token_to_id(name) is None}
