import json
from collections.abc import Iterator, Mapping

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.evaluation import adapter
from preflight.evaluation.adapter import Tensor
from preflight.findings import counted
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer

FLOATS = ("F64", "F32", "F16", "BF16")
OTHER_RUN = "What is judged here, and served later, is not what this config describes."
NOT_SAVED = (
    "Save with the trainer's own save_model, without a state_dict of your own; with ZeRO-3 or FSDP gather first."
)


@check("POST-120", "adapter-as-configured", severity="required", section=6, item="Adapter saved: keys and sizes match")
def the_saved_adapter_is_the_one_of_the_config(config: Config, tokenizer: Tokenizer, evidence: Evidence) -> None:
    """The saved adapter has the settings of the config, and every matrix that they ask for.

    What it checks: adapter_config.json against `lora`: kind, task, copied modules and, by what they come to on each
    layer, targets, rank, scale, rsLoRA and DoRA. Number, shapes and types of the tensors in adapter_model.safetensors
    against the model with that adapter on it. Embeddings and output layers in the file must have as many rows as the
    base model, and no fewer than the tokenizer has tokens.
    Why it matters: An empty file loads without an error and does nothing; an embedding of another size doesn't load.
    How to fix: Give the postflight the config that the model was trained with; or train and save again, with the
    trainer's own `save_model`.
    Evidence: artidoro/qlora#28 (a file of 443 bytes), huggingface/peft#2290 and huggingface/peft#2415 (vocabulary
    resized, and shrunk), huggingface/transformers#36594 (another class); safetensors itself
    refuses a file whose size is not that of its tensors.
    """
    if config.lora is None:
        not_applicable("full fine-tuning: there is no adapter")
    saved, path = adapter.settings_of(config), config.output_dir / adapter.WEIGHTS
    held = adapter.tensors_of(path)
    size = sum(tensor.bytes for tensor in held.values())
    evidence(f"{counted(len(held), 'tensor')}, {size / 2**20:.1f} MiB", tensors=len(held), bytes=size)
    model = adapter.attached(config)
    report_findings(
        Finding(
            f"the adapter was made with another {key} than the config's",
            where=str(config.output_dir / adapter.SETTINGS),
            observed=f"{key}: {json.dumps(theirs)}",
            expected=f"{key}: {json.dumps(ours)}",
            why=OTHER_RUN,
            fix=f"Set lora.{key}: {json.dumps(theirs)}, if it was trained with that; else train again."
            if key != "peft_type"
            else "Train a LoRA adapter; other kinds are not supported.",
        )
        for key, (theirs, ours) in adapter.differing(config, model, saved).items()
    )
    report_findings(tensor_findings(adapter.expected(model), held, str(path)))
    report_findings(row_findings(held, adapter.rows_of(model), len(tokenizer.hf), str(path)))


def tensor_findings(wanted: Mapping[str, tuple[int, ...]], held: Mapping[str, Tensor], where: str) -> Iterator[Finding]:
    """What the file lacks, or has too much or otherwise.

    Args:
        wanted: Shapes of the tensors that belong there.
        held: The tensors that are there.
        where: The file.
    """
    for name, tensor in held.items():
        if tensor.dtype not in FLOATS:
            why = "peft would put whole numbers, or 8 bits, where the model has fractions."
            yield Finding(f"{name} is of type {tensor.dtype}", where, tensor.dtype, "BF16, F16 or F32", why, NOT_SAVED)
    shapes = {name: tensor.shape for name, tensor in held.items() if not adapter.holds_tokens(name) or name in wanted}
    if adapter.same_shapes(wanted, shapes):  # called otherwise: POST-102 sees whether peft still finds them all
        return
    # Experts that transformers has fused since are saved one by one, and put together by peft.
    missing = [name for name in wanted if name not in shapes and "experts" not in name]
    beyond = [name for name in shapes if name not in wanted and "experts" not in name]
    size = sum(tensor.bytes for tensor in held.values())
    if missing:
        yield Finding(
            f"{len(missing)} of {counted(len(wanted), 'tensor')} are not in the file: {', '.join(missing[:3])}",
            where,
            observed=f"{counted(len(held), 'tensor')}, {size:,} bytes",
            expected=counted(len(wanted), "tensor"),
            why="Where a matrix is missing the model is its base; peft loads the rest without an error.",
            fix=NOT_SAVED,
        )
    if beyond:
        yield Finding(
            f"{counted(len(beyond), 'tensor')} of the file are not this config's: {', '.join(beyond[:3])}",
            where,
            observed=f"{counted(len(held), 'tensor')}, {size:,} bytes",
            expected=counted(len(wanted), "tensor"),
            why="They are left out when the adapter is loaded on this base: it was trained on another, or with more.",
            fix="Set model.name_or_path and lora to those that it was trained with, or train again.",
        )
    for name in wanted.keys() & shapes.keys():
        if wanted[name] != shapes[name] and not adapter.holds_tokens(name):
            why = "It does not load on this base."
            fix = "Set model.name_or_path and lora to those that it was trained with, or train again."
            yield Finding(f"{name} has another shape", where, f"{shapes[name]}", f"{wanted[name]}", why, fix)


def row_findings(held: Mapping[str, Tensor], rows: int, tokens: int, where: str) -> Iterator[Finding]:
    """Embeddings and output layers of another size than the base model's, or too small for the tokenizer.

    Args:
        held: The tensors in the file.
        rows: Rows of the base model's embedding.
        tokens: How many the tokenizer has.
        where: The file.
    """
    for name in filter(adapter.holds_tokens, held):
        count = held[name].shape[0]
        if count != rows:
            grown = (
                f"On the base call resize_token_embeddings({count}) and save_pretrained(folder), and name that folder"
            )
            shrunk = "Train again without shrinking the embedding: rows beyond the tokenizer's are padding, and stay"
            yield Finding(
                f"{name} has {count:,} rows, the base model {rows:,}",
                where,
                observed=f"{count:,} rows",
                expected=f"{rows:,}, for {tokens:,} tokens",
                why="The adapter does not load on this base: the vocabulary was resized for training.",
                fix=f"{grown} in model.name_or_path." if count > rows else f"{shrunk}.",
            )
        elif count < tokens:
            why = "Tokens without a row end the run, or the server, with an index error."
            fix = f"Train again with resize_token_embeddings({tokens}) on the base."
            yield Finding(f"{name} is too small for the tokenizer", where, f"{count:,} rows", f"{tokens:,}", why, fix)
