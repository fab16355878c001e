"""The training step that is traced: the trainer's loss, backward and optimizer, on fake tensors."""

import functools
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn import functional
from transformers import masking_utils

from .job import Job
from .ledger import Ledger
from .parts import LOGITS


def _dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    """Dropout as on CUDA: its mask takes a byte an element, where the CPU's has the type of the input."""
    return torch.native_dropout(x, p, True)[0] if training and p > 0 else x


def _nothing(*_: Any) -> None:
    """In the place of what allocates nothing. Not a mock: that would keep the tensors it is called with."""


def _yes(*_: Any) -> bool:
    return True


def _in_full(function: Any) -> Any:
    """The function as CUDA's autocast runs it: in float32. The CPU's autocast leaves these in half precision."""

    @functools.wraps(function)
    def wider(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(x.float() if x.dtype in (torch.float16, torch.bfloat16) else x, *args, **kwargs)

    return wider


def _attention(job: Job) -> Callable[..., Any]:
    """`scaled_dot_product_attention` by the kernel that torch takes on the card; the CPU's copies keys and values."""
    original = functional.scaled_dot_product_attention

    def attend(  # noqa: PLR0917 - torch's own signature
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        if job.autocast:
            query, key, value = (x.to(getattr(torch, job.autocast)) for x in (query, key, value))
        if job.sdpa == "math":
            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
                return original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        if attn_mask is None and job.sdpa == "flash":
            flash = torch.ops.aten._scaled_dot_product_flash_attention
            return flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
        if enable_gqa:  # this kernel knows no shared keys and values: they have been copied for it
            key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
        bias = None
        if attn_mask is not None:  # a mask of true and false becomes one to add
            bias = torch.zeros_like(attn_mask, dtype=query.dtype) if attn_mask.dtype == torch.bool else attn_mask
            bias = bias.expand(query.shape[0], query.shape[1], -1, -1)
        efficient = torch.ops.aten._scaled_dot_product_efficient_attention
        return efficient(query, key, value, bias, True, dropout_p, is_causal, scale=scale)[0]

    return attend


def _attention_backward(args: Any) -> int:
    """The gradient of the queries is summed in float32; those of shared keys and values come one a query head."""
    _, query, key = args[:3]
    shared = key.shape[1] != query.shape[1]
    return int(query.numel()) * (4 + (2 * query.element_size() if shared else 0))


def _softmax_backward(args: Any) -> int:
    """`softmax_backward_cuda_out` first multiplies gradient and output (ATen/native/cuda/SoftMax.cu)."""
    return int(args[0].numel() * args[0].element_size())


def _dequantized(args: Any) -> int:
    """For more than a few rows bitsandbytes' CUDA kernel writes the weight out in 16 bits, and multiplies by that."""
    rows, columns = args[2]
    return int(rows * columns * args[0].element_size())


def workspaces() -> dict[Any, Callable[..., int]]:
    """By operator, what its CUDA kernel takes besides its results."""
    found: dict[Any, Callable[..., int]] = {
        torch.ops.aten._scaled_dot_product_flash_attention_backward.default: _attention_backward,
        torch.ops.aten._scaled_dot_product_efficient_attention_backward.default: _attention_backward,
        torch.ops.aten._softmax_backward_data.default: _softmax_backward,
    }
    if hasattr(torch.ops.bitsandbytes, "gemm_4bit"):
        found[torch.ops.bitsandbytes.gemm_4bit.default] = _dequantized
    return found


def _dequantizer(original: Any) -> Callable[[Any], Any]:
    def dequantize(module: Any) -> Any:
        weight = module.weight
        if hasattr(weight, "quant_state"):
            from bitsandbytes.functional import dequantize_4bit

            return dequantize_4bit(weight.data, weight.quant_state)
        if hasattr(weight, "SCB"):
            from bitsandbytes.functional import int8_vectorwise_dequant

            return int8_vectorwise_dequant(weight.data, weight.SCB)
        return original(module)

    return dequantize


@contextmanager
def as_on_cuda(job: Job) -> Iterator[None]:
    """Where torch goes another way on CUDA than on the CPU, and it shows in memory.

    Patches, because a function mode isn't active in the recomputation of a checkpointed layer.
    """
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(functional, "dropout", _dropout))
        for module, name in ((functional, "layer_norm"), (functional, "softmax"), (torch, "softmax")):
            if job.autocast:
                stack.enter_context(mock.patch.object(module, name, _in_full(getattr(module, name))))
        if importlib.util.find_spec("peft"):  # it knows a quantized weight by its class, which is gone
            from peft.tuners.lora import dora

            original = dora.dequantize_module_weight
            stack.enter_context(mock.patch.object(dora, "dequantize_module_weight", _dequantizer(original)))
        # Values decide whether a row holds several sequences, and fake tensors have none: a mask is asked for instead.
        stack.enter_context(mock.patch.object(masking_utils, "find_packed_sequence_indices", _nothing))
        stack.enter_context(mock.patch.object(functional, "scaled_dot_product_attention", _attention(job)))
        yield


def one_pass(model: nn.Module, job: Job, ledger: Ledger) -> None:
    """Forward and backward of one micro batch."""
    ledger.begin("forward")
    ids = torch.zeros(job.batch, job.length, dtype=torch.int64)
    inputs: dict[str, Any] = {"input_ids": ids, "use_cache": False}
    if job.padded:
        inputs["attention_mask"] = torch.ones(job.batch, job.length, dtype=torch.int64)
    labels = torch.zeros(job.batch, job.length, dtype=torch.int64)
    with torch.autocast("cpu", getattr(torch, job.autocast)) if job.autocast else nullcontext():
        if job.loss == "fused":
            loss = fused_loss(model, inputs, job, ledger)
        else:  # the outputs, and the logits in them, stay while the loss is computed back
            outputs = model(**inputs, labels=labels)
            loss = outputs.loss
    ledger.begin("backward")
    loss.backward()


def _tiles(ledger: Ledger) -> Any:
    """TRL's function, booked as what it is."""
    from trl.kernels import chunked_logprob

    class Tiles(chunked_logprob.ChunkedLogProbFunction):  # type: ignore[misc]
        @staticmethod
        def forward(*args: Any) -> Any:
            with booked(ledger, LOGITS):
                return chunked_logprob.ChunkedLogProbFunction.forward(*args)

        @staticmethod
        def backward(*args: Any) -> Any:
            with booked(ledger, LOGITS), on_triton(chunked_logprob):
                return chunked_logprob.ChunkedLogProbFunction.backward(*args)

    return Tiles


def fused_loss(model: Any, inputs: dict[str, Any], job: Job, ledger: Ledger) -> Any:
    """TRL's fused head as it is on CUDA, where only supervised tokens are projected, in tiles of its Triton kernels."""
    from trl.kernels import chunked_logprob
    from trl.trainer import utils

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = base.base_model(**inputs).last_hidden_state[:, :-1]
    supervised = min(job.supervised or hidden.shape[0] * hidden.shape[1], hidden.shape[0] * hidden.shape[1])
    chosen = torch.zeros(supervised, dtype=torch.int64)
    rows = hidden.reshape(-1, hidden.shape[-1]).index_select(0, chosen)
    head = base.get_output_embeddings()

    with on_triton(chunked_logprob):
        found = _tiles(ledger).apply(
            rows,
            head.weight,
            head.bias,
            torch.zeros(supervised, dtype=torch.int64),
            1.0,
            utils._CHUNKED_LOGPROB_CHUNK_SIZE,
            None,
            1.0,
            ("entropy", "is_top1"),
        )
    return -found[0].sum()


@contextmanager
def booked(ledger: Ledger, kind: str) -> Iterator[None]:
    """Book what comes as this kind."""
    before, ledger.kind = ledger.kind, kind
    try:
        yield
    finally:
        ledger.kind = before


class _Launch:
    """A Triton kernel: it writes into tensors that are there, and allocates nothing."""

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        return lambda *args, **kwargs: None


@contextmanager
def on_triton(module: Any) -> Iterator[None]:
    """TRL's kernels as on a card, without running them."""
    with ExitStack() as stack:
        grid = SimpleNamespace(cdiv=lambda a, b: -(-a // b))
        stack.enter_context(mock.patch.object(module, "triton", grid, create=True))
        stack.enter_context(mock.patch.object(module, "_use_triton", _yes))
        stack.enter_context(mock.patch.object(module, "_forward_kernel", _Launch()))
        stack.enter_context(mock.patch.object(module, "_backward_kernel", _Launch()))
        stack.enter_context(mock.patch.object(module, "_addmm_fp32", _nothing))
        yield


def make_optimizer(name: str, parameters: list[nn.Parameter]) -> Any:
    """The optimizer that a name of `training.optim` stands for; AdamW's memory for those that aren't known here."""
    family = next((family for family in ("ademamix", "lion", "rmsprop") if family in name), "adamw")
    if "8bit" in name or "bnb" in name or name.startswith("paged") or name in ("lion_32bit", "ademamix"):
        from bitsandbytes import optim

        made = {"adamw": optim.AdamW, "ademamix": optim.AdEMAMix, "lion": optim.Lion, "rmsprop": optim.RMSprop}[family]
        return made(parameters, lr=1e-4, optim_bits=8 if "8bit" in name else 32)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=1e-4, foreach=True)
    if name == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=1e-4, foreach=True)
    if name == "adafactor":
        from transformers import Adafactor

        return Adafactor(parameters, lr=1e-4, scale_parameter=False, relative_step=False)
    fused = name != "adamw_torch"
    return torch.optim.AdamW(parameters, lr=1e-4, fused=fused, foreach=not fused)
