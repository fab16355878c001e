"""The user's own model, adapter and quantization with tensors that have shapes and no bytes."""

from typing import Any

import torch
from torch import nn

from .job import Job

HALF = (torch.float16, torch.bfloat16)


def build_model(job: Job) -> Any:
    """The model with its adapter on the meta device, quantized layers included.

    peft can't swap the weights of fake tensors, so this is done before `materialise`.

    Raises:
        Exception: whatever transformers or peft raise on a model or adapter that they can't build.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = (
        AutoConfig.from_pretrained(job.folder, trust_remote_code=True)
        if job.folder
        else AutoConfig.for_model(**dict(job.model))
    )
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(
            settings,
            dtype=getattr(torch, job.weights),
            attn_implementation=job.attention,
            trust_remote_code=job.folder is not None,
        )
    model.tie_weights()
    if job.bits != 16:
        quantize(model, job)
    for parameter in model.parameters() if job.upcast else ():
        if parameter.dtype in HALF:
            parameter.data = parameter.data.float()
    if job.adapter is not None:
        from peft import LoraConfig, get_peft_model

        adapter = LoraConfig(**{"task_type": "CAUSAL_LM", **job.adapter})
        with torch.device("meta"):
            model = get_peft_model(model, adapter)
    for name, parameter in model.named_parameters() if job.cast else ():
        if parameter.requires_grad and "lora_magnitude_vector" not in name:
            parameter.data = parameter.data.to(getattr(torch, str(job.cast)))
    return model


def quantize(model: Any, job: Job) -> None:
    """Put bitsandbytes' layers in the place of linear ones, as transformers does on loading."""
    import bitsandbytes as bnb

    head = model.get_output_embeddings()
    skip = set(job.skip)
    for name, module in list(model.named_modules()):
        if not isinstance(module, nn.Linear) or module is head or not skip.isdisjoint((name, *name.split("."))):
            continue
        shape = module.in_features, module.out_features, module.bias is not None
        with torch.device("meta"):
            layer: Any
            if job.bits == 4:
                compute = getattr(torch, job.compute)
                layer = bnb.nn.Linear4bit(*shape, compute_dtype=compute, compress_statistics=job.double_quant)
                packed, state = _quantized(layer, job)
                layer.weight = bnb.nn.Params4bit(packed, quant_state=state, compress_statistics=job.double_quant)
                layer.quant_state = state
            else:
                layer = bnb.nn.Linear8bitLt(*shape, has_fp16_weights=False, threshold=6.0)
                values = torch.empty(module.out_features, module.in_features, dtype=torch.int8)
                layer.weight = bnb.nn.Int8Params(values, requires_grad=False, has_fp16_weights=False)
                layer.state.SCB = torch.empty(module.out_features)  # which peft asks for to initialise DoRA
        if module.bias is not None:
            layer.bias = nn.Parameter(module.bias.data)
        layer.requires_grad_(False)
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, layer)
    model.is_loaded_in_4bit, model.is_loaded_in_8bit = job.bits == 4, job.bits == 8  # by which peft picks its layers


def materialise(model: Any, job: Job) -> None:
    """Give every parameter and buffer a fake storage on the CPU; tied ones stay tied. Run under a fake mode."""
    made: dict[int, torch.Tensor] = {}

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        # On the meta device, shape, stride and type are all that there is.
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")

    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is None:
                continue
            if id(parameter) not in made:
                quantized = name == "weight" and type(module).__module__.startswith("bitsandbytes")
                made[id(parameter)] = (
                    _weight(module, job) if quantized else nn.Parameter(fake(parameter), parameter.requires_grad)
                )
            module._parameters[name] = made[id(parameter)]
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                if id(buffer) not in made:
                    made[id(buffer)] = fake(buffer)
                module._buffers[name] = made[id(buffer)]


def _weight(module: Any, job: Job) -> Any:
    """The weight of a quantized layer with its statistics, as it is after loading.

    bitsandbytes' own classes of parameters refuse fake tensors; its layers ask for nothing but these attributes.
    """
    if job.bits == 8:
        weight: Any = nn.Parameter(torch.empty(module.out_features, module.in_features, dtype=torch.int8), False)
        module.state.CB = weight.CB = weight.data
        module.state.SCB = weight.SCB = torch.empty(module.out_features)
        return weight
    packed, state = _quantized(module, job)
    weight = nn.Parameter(packed, False)
    weight.quant_state = module.quant_state = state
    return weight


def _quantized(module: Any, job: Job) -> tuple[torch.Tensor, Any]:
    """Four-bit values of a layer and their statistics: one for 64 values, quantized again in blocks of 256."""
    from bitsandbytes.functional import QuantState

    count = module.out_features * module.in_features
    blocks = -(-count // 64)
    second = None
    if job.double_quant:
        second = QuantState(torch.empty(-(-blocks // 256)), code=torch.empty(256), blocksize=256, dtype=torch.float32)
    state = QuantState(
        torch.empty(blocks, dtype=torch.uint8 if second else torch.float32),
        shape=torch.Size((module.out_features, module.in_features)),
        code=torch.empty(16),
        blocksize=64,
        quant_type="nf4",
        dtype=getattr(torch, job.compute),
        offset=torch.empty(()) if second else None,
        state2=second,
    )
    return torch.empty((count + 1) // 2, 1, dtype=torch.uint8), state
