import json

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence
from preflight.model import files

# By `quant_method`: what transformers refuses to train, adapters included (`is_trainable` of its quantizers) ...
INFERENCE_ONLY = frozenset(
    ("auto-round", "fbgemm_fp8", "gemma", "gguf", "higgs", "metal", "mxfp4", "nvfp4", "quark", "spqr", "vptq")
)
# ... what peft can't merge an adapter into, and what it has no DoRA for.
UNMERGEABLE = frozenset(("aqlm", "awq", "eetq", "fp8", "gptq"))
NO_DORA = frozenset(("aqlm", "awq", "eetq", "gptq"))
ITEM = "Method selection"


@check("CFG-154", "base-is-no-adapter", severity="required", section=3, item=ITEM)
def the_base_model_is_no_adapter(config: Config, evidence: Evidence) -> None:
    """`model.name_or_path` is a whole model, not an adapter.

    What it checks: There is no `adapter_config.json` in the model's folder.
    Why it matters: transformers loads the adapter on its base, and the new one is trained on top of both. What is saved
    fits a base that exists nowhere on disk.
    How to fix: Merge the first adapter, save the merged model, and name that folder.
    Evidence: huggingface/trl#4713, huggingface/trl#786, huggingface/trl#473.
    """
    try:
        folder = files.folder_of(config)
    except files.ModelFilesError:
        not_applicable("there is no model folder; see CFG-110")
    path = folder / "adapter_config.json"
    found = path.is_file()
    evidence("an adapter" if found else "a model", adapter=found)
    if found:
        base = _base(path.read_text(encoding="utf-8", errors="replace"))
        finding = Finding(
            f"{config.model.name_or_path} is an adapter" + (f" of {base}" if base else ""),
            where=config.where("model.name_or_path"),
            observed="adapter_config.json",
            expected="a model with its own weights",
            why="The new adapter would fit a base that exists nowhere on disk.",
            fix="Merge it first (PeftModel.from_pretrained(...).merge_and_unload().save_pretrained(folder)), and set "
            "model.name_or_path to that folder.",
        )
        report_findings([finding])


@check("CFG-155", "checkpoint-trainable", severity="required", section=3, item=ITEM)
def a_quantized_checkpoint_can_be_trained_and_merged(config: Config, evidence: Evidence) -> None:
    """A checkpoint that is quantized already can be trained as the config says, and merged if that is planned.

    What it checks: `quantization_config` of the model's `config.json` against the `quantization` section
    (bitsandbytes), full fine-tuning, DoRA, and a merge that `deployment` plans; and for a kind that is for inference
    only.
    Why it matters: transformers refuses two quantizations, full fine-tuning of quantized weights, and training of
    several kinds. An adapter on GPTQ or AWQ weights can't be merged, which comes to light after the run.
    How to fix: Train on the 16-bit original, quantized by the `quantization` section if memory is short; or serve the
    adapter without merging.
    Evidence: QwenLM/Qwen#542, modelscope/ms-swift#1839, modelscope/ms-swift#3859, QwenLM/Qwen3-VL#888.
    """
    found = files.model_config(config).get("quantization_config")
    if not isinstance(found, dict):
        not_applicable("the checkpoint is not quantized")
    method = str(found.get("quant_method") or "bitsandbytes").lower()
    deployment = config.deployment
    evidence(f"quantized with {method}, {'merged' if deployment.merged else 'not merged'}", method=method)
    bnb = method.startswith("bitsandbytes")
    full, dora = config.lora is None, config.lora is not None and config.lora_value("use_dora")
    original = "Set model.name_or_path to the 16-bit original"
    faults = (
        (
            config.quantization is not None and not bnb,
            "quantization",
            "the quantization section would quantize it a second time",
            "transformers refuses it.",
            f"{original}, or remove the quantization section.",
        ),
        (
            full,
            "model.name_or_path",
            "there is no adapter, and quantized weights can't be trained",
            "The trainer stops before the first step.",
            f"Add a lora section, or {original[0].lower()}{original[1:]}.",
        ),
        (
            method in INFERENCE_ONLY,
            "model.name_or_path",
            "this kind is for inference only",
            "transformers refuses to train it, with an adapter too.",
            f"{original}, with quantization: {{load_in_4bit: true}} if memory is short.",
        ),
        (
            dora and method in NO_DORA,
            "lora.use_dora",
            "peft has no DoRA for its layers",
            "The run stops when the adapter is attached.",
            "Set lora.use_dora: false.",
        ),
        (
            not full and deployment.merged and method in UNMERGEABLE,
            "deployment",
            "an adapter can't be merged into it",
            "The adapter is trained, and then there is no way to the merged model.",
            f"{original}, or serve the adapter without merging: deployment.merge: false.",
        ),
    )
    report_findings(
        Finding(f"the checkpoint is quantized with {method}: {what}", where=config.where(key), why=why, fix=fix)
        for applies, key, what, why, fix in faults
        if applies
    )


def _base(text: str) -> str | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value.get("base_model_name_or_path") if isinstance(value, dict) else None
