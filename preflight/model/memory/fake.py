"""The user's own model, adapter and quantization with tensors that have shapes and no bytes."""

from typing import Any

import torch
from torch import nn

from .job import Job


def build_model(job: Job) -> nn.Module:
    """The model with its adapter on the meta device, quantized layers included.

    peft can't swap the weights of fake tensors, so this is done before `materialise`.

    Raises:
        Exception: whatever transformers or peft raise on a model or adapter that they can't build.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = AutoConfig.for_model(**job.model)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            settings, dtype=getattr(torch, job.weights), attn_implementation=job.attention
        )
    model.tie_weights()
    if job.bits != 16:
        quantize(model, job)
    if job.adapter is not None:
        from peft import LoraConfig, get_peft_model

        for parameter in model.parameters():
            parameter.requires_grad_(False)
        adapter = LoraConfig(**{"task_type": "CAUSAL_LM", **job.adapter, "inference_mode": False})
        model = get_peft_model(model, adapter, low_cpu_mem_usage=True)
    for name, parameter in model.named_parameters():
        if job.upcast and parameter.dtype in (torch.float16, torch.bfloat16) and not parameter.requires_grad:
            _retype(model, name, torch.float32)
        elif parameter.requires_grad and job.adapter is not None and parameter.is_floating_point():
            _retype(model, name, torch.float32 if "magnitude" in name else getattr(torch, job.adapter_dtype))
    return model


def _retype(model: nn.Module, name: str, dtype: torch.dtype) -> None:
    parameter = model.get_parameter(name)
    parameter.data = parameter.data.to(dtype)


def quantize(model: nn.Module, job: Job) -> None:
    """Put bitsandbytes' layers in the place of linear ones, as transformers does on loading."""
    import bitsandbytes as bnb

    head = model.get_output_embeddings()
    skip = set(job.skip)
    for name, module in list(model.named_modules()):
        if not isinstance(module, nn.Linear) or module is head or any(part in skip for part in (name, *name.split("."))):
            continue
        bias = module.bias is not None
        with torch.device("meta"):
            layer: nn.Module
            if job.bits == 4:
                layer = bnb.nn.Linear4bit(
                    module.in_features,
                    module.out_features,
                    bias=bias,
                    compute_dtype=getattr(torch, job.compute),
                    compress_statistics=job.double_quant,
                    quant_type="nf4",
                )
            else:
                layer = bnb.nn.Linear8bitLt(
                    module.in_features, module.out_features, bias=bias, has_fp16_weights=False, threshold=6.0
                )
        if bias:
            layer.bias = nn.Parameter(module.bias.data, requires_grad=False)
        layer.requires_grad_(False)
        parent = model.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], layer)


def materialise(model: nn.Module, job: Job) -> None:
    """Give every parameter and buffer a fake storage on the CPU; tied ones stay tied. Run under a fake mode."""
    made: dict[int, torch.Tensor] = {}

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        # On the meta device, shape, stride and type are all that there is.
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")

    for module in model.modules():
        kind = type(module).__name__
        for name, parameter in list(module._parameters.items()):
            if parameter is None:
                continue
            if id(parameter) not in made:
                if kind in ("Linear4bit", "Linear8bitLt") and name == "weight" and _is_bnb(module):
                    made[id(parameter)] = _quantized(module, parameter, job)
                else:
                    made[id(parameter)] = nn.Parameter(fake(parameter.data), requires_grad=parameter.requires_grad)
            module._parameters[name] = made[id(parameter)]
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                if id(buffer) not in made:
                    made[id(buffer)] = fake(buffer)
                module._buffers[name] = made[id(buffer)]


def _is_bnb(module: nn.Module) -> bool:
    return type(module).__module__.startswith("bitsandbytes")


def _quantized(module: Any, parameter: torch.Tensor, job: Job) -> torch.Tensor:
    """The weight of a quantized layer, as it is after loading, with its statistics."""
    from bitsandbytes.functional import QuantState

    rows, columns = module.out_features, module.in_features
    if job.bits == 8:
        weight = nn.Parameter(torch.empty(rows, columns, dtype=torch.int8), requires_grad=False)
        weight.CB, weight.SCB = weight.data, torch.empty(rows, dtype=torch.float32)
        return weight
    blocks = rows * columns // 64
    code = torch.empty(16, dtype=torch.float32)
    shape = torch.Size((rows, columns))
    dtype = getattr(torch, job.compute)
    packed = torch.empty((rows * columns + 1) // 2, 1, dtype=torch.uint8)
    if job.double_quant:
        second = QuantState(
            absmax=torch.empty(-(-blocks // 256)), code=torch.empty(256), blocksize=256, dtype=torch.float32
        )
        state = QuantState(
            absmax=torch.empty(blocks, dtype=torch.uint8),
            shape=shape,
            code=code,
            blocksize=64,
            quant_type="nf4",
            dtype=dtype,
            offset=torch.empty(()),
            state2=second,
        )
    else:
        state = QuantState(
            absmax=torch.empty(blocks), shape=shape, code=code, blocksize=64, quant_type="nf4", dtype=dtype
        )
    # bitsandbytes' own class refuses fake tensors; its layer asks for nothing but this attribute.
    weight = nn.Parameter(packed, requires_grad=False)
    weight.quant_state = state
    module.quant_state = state
    return weight
