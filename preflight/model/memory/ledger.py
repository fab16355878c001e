"""Every allocation and release of a traced step, in order: what is live when, and what the allocator makes of it."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .parts import ACTIVATIONS, LOGITS


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Books the storages of all tensors made under it, by when they come and go.

    torch's own `MemTracker` counts the same, six times slower, and fails on frozen parameters.

    Attributes:
        events: Numbers of storages: `n` when it is allocated, `~n` when it is freed.
        sizes: Bytes of each storage, by number.
        kinds: What each storage holds, by number; changed when it turns out later (a gradient).
        kind: What storages that come now hold.
        phases: Index of the event with which each phase begins, and its name.
        workspaces: By operator, bytes that its CUDA kernel takes besides what it returns.
    """

    def __init__(self, vocabulary: int, workspaces: dict[Any, Callable[..., int]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.events: list[int] = []
        self.sizes: list[int] = []
        self.kinds: list[str] = []
        self.kind = ACTIVATIONS
        self.phases: list[tuple[int, str]] = []
        self.workspaces = workspaces
        self._vocabulary = vocabulary
        self._live: dict[int, tuple[int, weakref.ref[Any]]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        workspace = self.workspaces.get(func)
        number = self.book(workspace(args), self.kind) if workspace else None
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            self.see(tensor)
        if number is not None:
            self.events.append(~number)
        return out

    def begin(self, phase: str) -> None:
        """Say that a phase of the step begins."""
        self.phases.append((len(self.events), phase))

    def see(self, tensor: torch.Tensor, kind: str | None = None) -> None:
        """Book a tensor's storage, unless it is in the book; with a kind, say what it holds."""
        storage = tensor.untyped_storage()
        key = id(storage)
        known = self._live.get(key)
        if known is not None and known[1]() is storage:
            if kind:
                self.kinds[known[0]] = kind
            return
        wide = tensor.dim() > 1 and tensor.shape[-1] == self._vocabulary and self.kind == ACTIVATIONS
        number = self.book(storage.nbytes(), kind or (LOGITS if wide else self.kind))

        def gone(_: Any, number: int = number, key: int = key) -> None:
            self.events.append(~number)
            if self._live.get(key, (None,))[0] == number:
                del self._live[key]

        self._live[key] = number, weakref.ref(storage, gone)

    def number_of(self, tensor: torch.Tensor) -> int:
        """The number under which a tensor's storage is booked."""
        return self._live[id(tensor.untyped_storage())][0]

    def book(self, size: int, kind: str) -> int:
        """Book bytes that come now; the number under which they are freed."""
        number = len(self.sizes)
        self.sizes.append(size)
        self.kinds.append(kind)
        self.events.append(number)
        return number


def _tensors(out: Any) -> Any:
    if isinstance(out, torch.Tensor):
        yield out
    elif isinstance(out, (tuple, list)):
        for item in out:
            yield from _tensors(item)
