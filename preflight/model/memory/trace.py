"""Two real training steps of the user's own model on tensors without bytes, and what they need at the peak."""

from dataclasses import dataclass, field
from typing import Any

from .allocator import replay
from .job import Job


@dataclass(frozen=True, slots=True)
class Trace:
    """What a step needs on the card.

    Attributes:
        allocated: Bytes of all live tensors at the peak (`torch.cuda.max_memory_allocated`).
        reserved: Bytes that the caching allocator holds then (`torch.cuda.max_memory_reserved`).
        parts: Bytes at the peak by what they are for.
        paged: Bytes of optimizer states in managed memory, which may be moved to the host.
        phases: `allocated` at the peak of each phase: load, forward, backward and optimizer.
    """

    allocated: int
    reserved: int
    parts: dict[str, int]
    paged: int = 0
    phases: dict[str, int] = field(default_factory=dict)


def trace(job: Job) -> Trace:
    """Trace a job."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    from . import fake, parts, step
    from . import ledger as books

    model: Any = fake.build_model(job)
    model.train()
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    ledger = books.Ledger(base.get_output_embeddings().weight.shape[0], step.workspaces())
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    ledger.begin("load")
    with fakes, ledger:
        with step.booked(ledger, parts.WEIGHTS):
            fake.materialise(model, job)
        for module in model.modules():
            if type(module).__name__ in ("Linear4bit", "Linear8bitLt"):
                for tensor in statistics(module):
                    ledger.see(tensor, parts.QUANTIZATION)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in trained if job.adapter is not None else ():
            ledger.see(parameter, parts.ADAPTERS)
        if job.checkpointing != "none":
            model.gradient_checkpointing_enable({"use_reentrant": job.checkpointing == "reentrant"})
            if job.adapter is not None:
                model.enable_input_require_grads()
    optimizer = step.make_optimizer(job.optimizer, trained)  # bitsandbytes fills its tables by real arithmetic
    with fakes, ledger, step.as_on_cuda(job):
        for _ in range(2):
            for _ in range(min(job.accumulation, 2)):
                step.one_pass(model, job, ledger)
                for parameter in trained:
                    if parameter.grad is not None:
                        ledger.see(parameter.grad, parts.GRADIENTS)
            ledger.begin("optimizer")
            with step.booked(ledger, parts.OPTIMIZER):
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    paged = page_out(ledger, optimizer) if job.optimizer.startswith("paged") else 0
    usage = replay(ledger.events, ledger.sizes, ledger.phases)
    found = dict.fromkeys(parts.KINDS, 0)
    for event in ledger.events[: usage.moment + 1]:
        number = event if event >= 0 else ~event
        size = -(-ledger.sizes[number] // 512) * 512
        found[ledger.kinds[number]] += size if event >= 0 else -size
    return Trace(usage.allocated, usage.reserved, found, paged, usage.phases)


def page_out(ledger: Any, optimizer: Any) -> int:
    """Take the states of a paged optimizer out of the book, and say how many bytes they are.

    bitsandbytes keeps states of 100,000 elements and more in managed memory, which torch's allocator knows nothing of.
    """
    paged = 0
    for state in optimizer.state.values():
        for tensor in state.values():
            if hasattr(tensor, "untyped_storage") and tensor.numel() >= 100_000:
                number = ledger.number_of(tensor)
                paged += ledger.sizes[number]
                ledger.sizes[number] = 0
    return paged


def statistics(module: Any) -> list[Any]:
    """The tensors of a quantized layer that aren't its weight."""
    state = getattr(module.weight, "quant_state", None)
    if state is None:
        return [module.weight.SCB] if getattr(module.weight, "SCB", None) is not None else []
    found = [state.absmax]
    return found + ([state.state2.absmax] if state.state2 is not None else [])
