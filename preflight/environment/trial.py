"""Trying a library out in a process of its own: it may crash, hang, or print what belongs into a finding."""

import os
import subprocess
import sys

# A 4-bit (or 8-bit) layer forward and back, and a step of an optimizer, on the device that would train.
QUANTIZED = """
import sys, torch, bitsandbytes as bnb
bits, compute = sys.argv[1:3]
device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = getattr(torch, compute)
if bits == "4":
    layer = bnb.nn.Linear4bit(64, 64, bias=False, compute_dtype=dtype, quant_type="nf4")
else:
    layer = bnb.nn.Linear8bitLt(64, 64, bias=False, has_fp16_weights=False)
layer = layer.to(device)
x = torch.randn(8, 64, device=device, dtype=dtype if bits == "4" else torch.float16, requires_grad=True)
loss = layer(x).float().pow(2).mean()
loss.backward()
assert torch.isfinite(loss) and x.grad is not None and torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0
print("layer ok on", device)
"""
OPTIMIZER = """
import sys, torch, bitsandbytes as bnb
name = sys.argv[1]
device = "cuda" if torch.cuda.is_available() else "cpu"
p = torch.nn.Parameter(torch.randn(128, 1024, device=device))
before = p.detach().clone()
made = bnb.optim.AdamW([p], lr=1e-2, optim_bits=8 if "8bit" in name else 32, is_paged="paged" in name)
p.grad = torch.randn_like(p)
made.step()
assert not torch.equal(before, p.detach()) and torch.isfinite(p).all()
print("optimizer ok on", device)
"""
FLASH = """
import sys, torch
from flash_attn import flash_attn_func
q = torch.randn(1, 8, 1, 64, device="cuda", dtype=getattr(torch, sys.argv[1]), requires_grad=True)
flash_attn_func(q, q, q, causal=True).sum().backward()
assert torch.isfinite(q.grad).all()
print("attention ok")
"""


def fails(code: str, *arguments: str, seconds: float = 120) -> str | None:
    """What went wrong when the code ran in a process of its own, in its own words; None if nothing did."""
    try:
        ended = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:.0f} s"
    if ended.returncode == 0:
        return None
    said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    if ended.returncode < 0:
        return f"killed by signal {-ended.returncode}{': ' + said[-1] if said else ''}"
    return said[-1] if said else f"exit code {ended.returncode}"
