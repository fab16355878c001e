"""Building what is trained: base model, adapter, TRL settings and trainer from the config.

The trainer, the rehearsal and the postflight share it.
"""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preflight.config import Config
from preflight.config.derived import derived
from preflight.findings import NotAvailable
from preflight.model import files

# Prepared rows are rendered, labelled, truncated and packed already; TRL refuses masks on them, and truncating or
# shuffling again would feed something else than what was judged.
PREPARED: Mapping[str, Any] = {
    "assistant_only_loss": False,
    "completion_only_loss": None,
    "max_length": None,
    "shuffle_dataset": False,
    "chat_template_path": None,
}


class BuildError(NotAvailable):
    """The model or adapter can't be built; the message is the library's, with what to do."""


class AdapterError(BuildError):
    """There is an adapter, and it does not load on its base."""


def short(error: BaseException, limit: int = 300) -> str:
    """A library's message in one line; peft and torch print whole modules and every shape that differs."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[:limit].rstrip() + " …"


def lora_config(config: Config) -> Any:
    """The run's `peft.LoraConfig`, or None for full fine-tuning.

    Raises:
        BuildError: peft refuses the combination.
    """
    if config.lora is None:
        return None
    from peft import LoraConfig

    try:
        return LoraConfig(**{"task_type": "CAUSAL_LM", **config.lora})
    except (TypeError, ValueError) as error:
        raise BuildError(f"lora: peft refuses this section: {error}") from error


def effective_training(config: Config) -> dict[str, Any]:
    """The settings that TRL gets: the user's, with those that prepared data settles replaced.

    On a machine without an accelerator the run is put on the CPU and, unless the config asks for bf16, in full
    precision: TRL's default of bf16 raises there.
    """
    import torch

    settings = derived(config) | dict(config.training)
    settings["dataset_kwargs"] = {**(settings.get("dataset_kwargs") or {}), "skip_prepare_dataset": True}
    settings |= PREPARED
    settings["output_dir"] = str(config.output_dir)
    settings.setdefault("report_to", "none")  # nothing phones home unless the config asks
    settings.setdefault("logging_nan_inf_filter", False)  # or a NaN is logged as the mean of the losses before it
    if not torch.accelerator.is_available():
        settings["use_cpu"] = True
        settings.setdefault("bf16", False)
    return settings


def training_arguments(config: Config, otherwise: Mapping[str, Any] | None = None) -> Any:
    """The effective `trl.SFTConfig`.

    Args:
        config: The run's config.
        otherwise: Settings to take the place of the run's.

    Raises:
        BuildError: TRL or transformers refuse the combination on this machine.
    """
    from trl import SFTConfig

    try:
        return SFTConfig(**effective_training(config) | dict(otherwise or {}))
    except (TypeError, ValueError, ImportError) as error:
        raise BuildError(f"training: TRL refuses these settings here: {error}") from error


def make_trainer(config: Config, arguments: Any, train: Any, validation: Any = None, *, kind: Any = None) -> Any:
    """TRL's `SFTTrainer` on prepared rows, with the base model loaded and the adapter attached.

    Args:
        config: The run's config.
        arguments: The effective `SFTConfig`.
        train: The prepared rows to train on, a `datasets.Dataset`.
        validation: Those to evaluate on; None for no evaluation.
        kind: A subclass of `SFTTrainer` to build; that itself if not given.

    Raises:
        BuildError: the model or the adapter can't be built.
    """
    from transformers.trainer_callback import PrinterCallback, ProgressCallback
    from trl import SFTTrainer

    from preflight.model.tokenizer import load_tokenizer

    arguments.disable_tqdm = arguments.disable_tqdm or not sys.stderr.isatty()
    trainer = (kind or SFTTrainer)(
        model=load_base(config),
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=load_tokenizer(config).hf,
        peft_config=lora_config(config),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    return trainer


def load_base(config: Config, folder: Path | None = None) -> Any:
    """The base model with its weights, quantized if the config says so.

    Args:
        config: The run's config.
        folder: Another folder to load from.

    Raises:
        BuildError: there are no safetensors weights, or transformers can't load them.
    """
    from safetensors import SafetensorError
    from transformers import AutoConfig

    of_hub = folder is None and not config.resolve(config.model.name_or_path).is_dir()
    folder = folder or files.folder_of(config)
    if not any(folder.glob("*.safetensors")):
        raise BuildError(f"{folder} has no .safetensors weights; only safetensors are loaded")
    try:
        settings = AutoConfig.from_pretrained(folder, trust_remote_code=config.model.trust_remote_code)
        model = auto_class(settings).from_pretrained(
            folder,
            dtype=config.model.dtype,
            attn_implementation=config.model.attn_implementation,
            device_map=config.model.device_map,
            trust_remote_code=config.model.trust_remote_code,
            quantization_config=_quantization(config),
            use_safetensors=True,
        )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise BuildError(f"the model in {folder} can't be loaded: {short(error)}") from error
    if of_hub:  # what peft writes down as the adapter's base: no other machine has this one's cache
        model.name_or_path = config.model.name_or_path
    for module in model.modules():
        # On processors with AVX512-BF16, bitsandbytes repacks 4-bit weights at the first evaluation, and from then on
        # no gradient passes through them.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def auto_class(settings: Any) -> Any:
    """The auto class that builds a model for text: one for images and text where there is none for text alone.

    Args:
        settings: The model's `transformers.PretrainedConfig`.
    """
    import transformers

    names = ("AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForMultimodalLM")
    classes = [getattr(transformers, name) for name in names]
    own = getattr(settings, "auto_map", None) or {}
    fitting = (one for one in classes if type(settings) in one._model_mapping or one.__name__ in own)
    return next(fitting, classes[0])


def _quantization(config: Config) -> Any:
    if config.quantization is None:
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BuildError("quantization: bitsandbytes is not installed; pip install 'finetune-preflight[quantization]'")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(**config.quantization)


def load_adapter(config: Config, folder: Path | None = None, base: Any = None) -> Any:
    """The trained adapter on its base, in evaluation mode, as a `peft.PeftModel`; a fully tuned model as it is.

    Args:
        config: The run's config.
        folder: Where it was saved; the run's output folder if not given.
        base: Its base, if that is loaded already.

    Raises:
        AdapterError: the adapter does not load on its base.
        BuildError: the run left nothing to load, or the base does not load.
    """
    folder = folder or config.output_dir
    if config.lora is None:
        return load_base(config, folder).eval()
    from peft import PeftModel

    for name in ("adapter_config.json", "adapter_model.safetensors"):  # peft would look for them on the hub
        if not (folder / name).is_file():
            raise BuildError(f"no {name} in {folder}; run `preflight train {config.path.name}` first")
    base = base or load_base(config)
    try:
        return PeftModel.from_pretrained(base, folder).eval()
    except Exception as error:  # OSError, KeyError, SafetensorError, …: whatever it is, this adapter is of no use
        raise AdapterError(f"the adapter in {folder} does not load on its base: {short(error)}") from error
