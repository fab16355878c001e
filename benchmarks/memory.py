"""Predicted against measured peak memory: every row of `vram_measured.csv` that says enough about its run.

    python benchmarks/memory.py [--rows FILE] [--quality A] [--only TEXT]

Measurements are other people's, each with its source. What a source doesn't state is assumed by `STACKS`, once for the
source and never for a row. The baseline is the usual rule of thumb, printed beside the prediction.
"""

import argparse
import csv
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from preflight.model.memory.job import Job
from preflight.model.memory.trace import trace

GIB = 2**30
ROWS = Path(__file__).with_name("vram_measured.csv")
TIED = (
    "SmolLM2",
    "Qwen2.5-0.5B",
    "Qwen2.5-1.5B",
    "Qwen2.5-3B",
    "Llama-3.2-1B",
    "Llama-3.2-3B",
    "Qwen3-0.6B",
    "Qwen3-1.7B",
    "Qwen3-4B",
)
TARGETS = {
    "q": "q_proj",
    "k": "k_proj",
    "v": "v_proj",
    "o": "o_proj",
    "gate": "gate_proj",
    "up": "up_proj",
    "down": "down_proj",
}

# What a source's training script does, where its rows don't say.
STACKS: dict[str, dict[str, Any]] = {
    # its README: prepare_model_for_kbit_training, fp16 compute, own loop; transformers of before enable_gqa
    "fitcheck": {"autocast": None, "upcast": True, "loss": "plain", "sdpa": "efficient"},
    # its scripts: own loop without autocast, outputs kept during backward
    "can-i-finetune-this": {"autocast": None, "loss": "plain", "double_quant": True},
    # its training script: own loop, no autocast, torch.optim.AdamW; rows padded to the longest of the batch
    "method_comparison": {"autocast": None, "loss": "plain", "optimizer": "adamw_torch"},
    "Lightning-AI/litgpt": {"autocast": None, "loss": "plain", "optimizer": "adamw_torch", "cast": "bfloat16"},
}
DEFAULT: dict[str, Any] = {"autocast": "bfloat16", "loss": "plain"}


def job_of(row: dict[str, str]) -> Job | str:
    """The job of a row, or why it can't be made into one."""
    method = row["method"]
    if method not in ("full", "lora", "qlora", "dora", "qdora"):
        return f"{method} is not traced"
    if not (row["seq_len"].isdigit() and row["micro_batch"].isdigit()):
        return "true length not stated"
    targets = [TARGETS.get(part, part) for part in row["target_modules"].split(",")]
    if method != "full" and (not row["rank"] or not all(target in TARGETS.values() for target in targets)):
        return "rank or target modules not stated, or not those of a Llama"
    if (
        "unsloth" in row["loss_impl"]
        or "cut-CE" in row["loss_impl"]
        or "offload" in row["grad_ckpt"] + row["unit_note"]
    ):
        return "own kernels or offloading"
    if "FSDP" in row["unit_note"] + row["gpu"] or "ZeRO" in row["unit_note"]:
        return "sharded, and the rest is not stated"
    if not row["grad_ckpt"]:
        return "gradient checkpointing not stated"
    stack = next((values for name, values in STACKS.items() if name in row["source"]), DEFAULT)
    half = "float16" if row["compute_dtype"].startswith("fp16") else "bfloat16"
    quantized = method.startswith("q")
    upcast = stack.get("upcast", False) or "kbit prep" in row["compute_dtype"]
    attention = {"eager": "eager"}.get(row["attn_impl"].split(" ")[0], "sdpa")
    gqa = row["heads"] != row["kv_heads"]
    sdpa = "math" if upcast and not stack["autocast"] and gqa else "flash"
    adapter = None
    if method != "full":
        adapter = {
            "r": int(row["rank"]),
            "lora_alpha": 2 * int(row["rank"]),
            "target_modules": targets,
            "lora_dropout": 0.0,
        }
        adapter |= {"use_dora": True} if "dora" in method else {}
    optimizer = row["optimizer"].partition("(")[0].strip().lower()
    values = {
        "model": model_of(row),
        "weights": half,
        "adapter": adapter,
        "batch": int(row["micro_batch"]),
        "length": int(row["seq_len"]),
        "bits": 4 if quantized else 16,
        "compute": half,
        "upcast": upcast and quantized,
        "checkpointing": "non-reentrant" if row["grad_ckpt"].startswith("y") else "none",
        "attention": attention,
        "sdpa": sdpa,
        "optimizer": optimizer if "8bit" in optimizer else "adamw_torch",
        **{key: value for key, value in stack.items() if key != "upcast"},
    }
    return Job(**values)


def model_of(row: dict[str, str]) -> dict[str, Any]:
    """The row's architecture as a `config.json`; Llama's stands for those of its shape."""
    name = row["model"]
    kind = "qwen2" if name.startswith(("Qwen2", "Qwen1.5")) else "qwen3" if name.startswith("Qwen3") else "llama"
    settings = {
        "model_type": kind,
        "hidden_size": int(row["hidden"]),
        "num_hidden_layers": int(row["layers"]),
        "num_attention_heads": int(row["heads"]),
        "num_key_value_heads": int(row["kv_heads"]),
        "intermediate_size": int(row["intermediate"]),
        "vocab_size": int(row["vocab"]),
        "tie_word_embeddings": name.startswith(TIED),
        "max_position_embeddings": 131072,
    }
    return settings | ({"head_dim": 128} if kind == "qwen3" else {})


def main() -> None:
    """Print the table and its summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--quality", default="ABC")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    left_out: dict[str, int] = defaultdict(int)
    print(
        f"{'model':18} {'method':6} {'r':>3} {'batch x len':>11} {'ckpt':4} {'attn':5} {'measured':>9} {'predicted':>9} {'off':>7}  what, s, source"
    )
    for row in csv.DictReader(arguments.rows.open(encoding="utf-8")):
        if row["quality"] not in arguments.quality or arguments.only not in row["source"]:
            continue
        job = job_of(row)
        if isinstance(job, str):
            left_out[job] += 1
            continue
        start = time.perf_counter()
        found = trace(job)
        seconds = time.perf_counter() - start
        what = "reserved" if "reserved" in row["unit_note"] and "allocated;" not in row["unit_note"] else "allocated"
        predicted = (found.reserved if what == "reserved" else found.allocated) / GIB
        measured = float(row["peak_gib"])
        off = predicted / measured - 1
        errors[what, row["quality"]].append(off)
        print(
            f"{row['model']:18} {row['method']:6} {row['rank']:>3} {row['micro_batch'] + ' x ' + row['seq_len']:>11} "
            f"{'yes' if job.checkpointing != 'none' else 'no':4} {job.attention:5} {measured:9.2f} {predicted:9.2f} {off:+7.1%}"
            f"  {what} {found.allocated / GIB:.2f}/{found.reserved / GIB:.2f}, {seconds:.0f}, {row['source'][:40]}",
            flush=True,
        )
    for (what, quality), found_errors in sorted(errors.items()):
        sizes = [abs(error) for error in found_errors]
        print(
            f"{what}, quality {quality}: {len(sizes)} rows, mean {statistics.mean(sizes):.1%}, worst {max(sizes):.1%}"
        )
    for reason, count in left_out.items():
        print(f"left out: {count} rows: {reason}")


if __name__ == "__main__":
    main()
