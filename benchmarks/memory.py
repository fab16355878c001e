"""Predicted against measured peak memory: every row of `vram_measured.csv` that says enough about its run.

    python benchmarks/memory.py [--rows FILE] [--quality A] [--only TEXT]

The measurements are other people's, each with its source. What a source leaves open is assumed by `STACKS`, once for
the source and never for a row. Three kinds of numbers are compared with what they are: tensors
(`max_memory_allocated`), what torch's allocator holds (`max_memory_reserved`), and where the tool isn't named, the
whole process. The baseline is the table of gigabytes by model size that goes around, printed beside the prediction at
the end.
"""

import argparse
import csv
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from preflight.model.memory import Job, Prediction, predict
from preflight.strategy import Strategy
from preflight.target import GIB, Gpu, Target

ROWS = Path(__file__).with_name("vram_measured.csv")
CARD = Target(local=False, gpus=(Gpu("card", 80 * GIB, capability=(8, 0)),))
TIED = re.compile(r"SmolLM2|Qwen2\.5-(0\.5|1\.5|3)B|Llama-3\.2-[13]B|Qwen3-(0\.6|1\.7|4)B")
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS = {
    **{name.removesuffix("_proj"): [name] for name in ALL},
    "all-linear": ALL,
    "c_attn": ["q_proj", "k_proj", "v_proj"],  # Qwen v1's names for what Llama keeps apart
    "c_proj": ["o_proj", "down_proj"],
    "w1": ["up_proj"],
    "w2": ["gate_proj"],
}
# What the training scripts of a source do, where its rows don't say.
STACKS: dict[str, dict[str, Any]] = {
    # its README: prepare_model_for_kbit_training, fp16; before transformers' `enable_gqa`: the efficient kernel on a T4
    "fitcheck": {"autocast": None, "upcast": True, "sdpa": "efficient"},
    "can-i-finetune-this": {"autocast": None, "double_quant": True},  # its scripts: own loop, no autocast
    "method_comparison": {"autocast": None},  # its script: own loop; length is the cap, the longest row is shorter
    "Lightning-AI/litgpt": {"autocast": None, "cast": "bfloat16"},  # not transformers' code: trends only
    "LLaMA-Factory": {"checkpointing": "non-reentrant"},  # its default
}
FOLKLORE = {"7B": (28, 20, 8), "13B": (52, 35, 12), "70B": (280, 180, 48)}  # GB: full, LoRA, QLoRA
LLAMA2 = {  # hidden, layers, heads, key and value heads, intermediate
    "7B": (4096, 32, 32, 32, 11008),
    "13B": (5120, 40, 40, 40, 13824),
    "70B": (8192, 80, 64, 8, 28672),
}


def problem_of(row: dict[str, str]) -> str | None:
    """Why a row can't be compared; None if it can."""
    told = " ".join((row["unit_note"], row["gpu"], row["notes"], row["grad_ckpt"]))
    targets = row["target_modules"].split(",")
    reasons = {
        "not a method that is traced": row["method"] not in ("full", "lora", "qlora", "dora", "qdora"),
        "the true length isn't stated": not (row["seq_len"].isdigit() and row["micro_batch"].isdigit()),
        "rank or target modules aren't stated": row["method"] != "full"
        and (not row["rank"].isdigit() or not set(targets) <= TARGETS.keys()),
        "its own kernels, which nothing here traces": re.search("unsloth|cut-CE|compiled", row["loss_impl"])
        is not None,
        "weights or activations are offloaded": re.search("offload on|CPU-offloaded|activation offload", told)
        is not None,
        "the card's size, not a measurement": "not a measured peak" in told,
        "gradient checkpointing isn't stated": not row["grad_ckpt"] and not stack_of(row).get("checkpointing"),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def stack_of(row: dict[str, str]) -> dict[str, Any]:
    return next((values for name, values in STACKS.items() if name in row["source"]), {})


def job_of(row: dict[str, str]) -> Job:
    """The training step of a row."""
    stack = stack_of(row)
    half = "float16" if row["compute_dtype"].startswith("fp16") else "bfloat16"
    quantized = row["method"].startswith("q")
    upcast = quantized and (stack.get("upcast", False) or "kbit prep" in row["compute_dtype"])
    autocast = stack.get("autocast", half)
    shared = row["heads"] != row["kv_heads"]
    optimizer = row["optimizer"].partition("(")[0].split(",")[0].strip().lower()
    adapter = None
    if row["method"] != "full":
        rank = int(row["rank"])
        targets = [name for part in row["target_modules"].split(",") for name in TARGETS[part]]
        adapter = {"r": rank, "lora_alpha": 2 * rank, "target_modules": targets, "use_dora": "dora" in row["method"]}
    job = Job(
        model=model_of(row),
        weights=half,
        adapter=adapter,
        batch=int(row["micro_batch"]),
        length=int(row["seq_len"]),
        bits=4 if quantized else 16,
        compute=half,
        upcast=upcast,
        autocast=autocast,
        checkpointing="non-reentrant" if row["grad_ckpt"].startswith("y") else "none",
        attention="eager" if row["attn_impl"].startswith("eager") else "sdpa",
        # In float32, keys and values that query heads share leave torch only the kernel that writes the scores out.
        sdpa="math" if upcast and not autocast and shared else "flash",
        loss="plain",
        optimizer=optimizer if "8bit" in optimizer else "adamw_torch",
    )
    return job.replace(**{key: value for key, value in stack.items() if key not in ("upcast", "autocast")})


def model_of(row: dict[str, str]) -> dict[str, Any]:
    """The row's architecture as a `config.json`; Llama's stands for those of its shape."""
    name = row["model"]
    kind = "qwen2" if name.startswith("Qwen2") else "qwen3" if name.startswith(("Qwen3", "Plano")) else "llama"
    numbers = ("hidden", "layers", "heads", "kv_heads", "intermediate")
    settings = llama((int(row[number]) for number in numbers), int(row["vocab"]))
    settings |= {"model_type": kind, "tie_word_embeddings": TIED.match(name) is not None}
    return settings | ({"head_dim": 128} if kind == "qwen3" else {})


def llama(numbers: Iterable[int], vocabulary: int) -> dict[str, Any]:
    """The `config.json` of a Llama: hidden size, layers, heads, key and value heads, intermediate size."""
    hidden, layers, heads, kv_heads, intermediate = numbers
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": intermediate,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
        "max_position_embeddings": 131072,
    }


def strategy_of(row: dict[str, str]) -> Strategy:
    """How the row's run is spread over cards."""
    cards = re.match(r"(\d+)x", row["gpu"])
    kind = re.search("FSDP|ZeRO-3|DDP", row["unit_note"] + row["gpu"] + row["source"])
    kinds: dict[str, Any] = {"FSDP": "fsdp", "ZeRO-3": "zero3", "DDP": "ddp"}
    if cards is None or int(cards[1]) == 1:
        return Strategy("single", 1)
    return Strategy(kinds[kind[0]] if kind else "zero3" if "deepspeed" in row["source"] else "fsdp", int(cards[1]))


def compared(row: dict[str, str], found: Prediction) -> list[tuple[str, float, int]]:
    """What was measured, in GiB, beside what is predicted for it, in bytes."""
    note, peak = row["unit_note"], float(row["peak_gib"])
    second = re.search(r"max_memory_reserved ([\d.]+)", note)
    if "allocated" in note:
        rest = [("reserved", float(second[1]), found.reserved)] if second else []
        return [("allocated", peak, found.allocated), *rest]
    return [("reserved", peak, found.reserved)] if "reserved" in note else [("process", peak, found.likely())]


def main() -> None:
    """Print the table, its summary and the folklore."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--quality", default="ABC")
    parser.add_argument("--only", default="", help="of the sources that have this in their name")
    arguments = parser.parse_args()
    errors: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    left_out: dict[str, int] = defaultdict(int)
    heads = f"{'batch x length':>14} {'what':9} {'measured':>8} {'predicted':>9}    off"
    print(f"{'model':18} {'method':6} {'rank':>4} {heads}")
    for row in csv.DictReader(arguments.rows.open(encoding="utf-8")):
        if row["quality"] not in arguments.quality or arguments.only not in row["source"]:
            continue
        if reason := problem_of(row):
            left_out[reason] += 1
            continue
        job, start = job_of(row), time.perf_counter()
        sizes = int(float(row["params_b"]) * 1e9), 0
        found = predict(job, CARD, strategy_of(row), sizes)
        seconds = time.perf_counter() - start
        for what, measured, predicted in compared(row, found):
            off = predicted / GIB / measured - 1
            errors[what, row["quality"], row["source"][:32]].append(off)
            shape = f"{row['micro_batch']} x {row['seq_len']}"
            print(
                f"{row['model']:18} {row['method']:6} {row['rank']:>4} {shape:>14} {what:9} {measured:8.2f} "
                f"{predicted / GIB:9.2f} {off:+6.1%}  {job.attention}, {seconds:.0f} s, {row['source'][:32]}",
                flush=True,
            )
    summary(errors, left_out)
    if not arguments.only:
        folklore()


def summary(errors: dict[tuple[str, str, str], list[float]], left_out: dict[str, int]) -> None:
    """How far off: by kind and quality, and by source."""
    print()
    totals: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (what, quality, source), offs in sorted(errors.items()):
        totals[what, quality] += offs
        print(f"{what:9} {quality} {len(offs):3} rows, {mean(offs)}  {source}")
    print()
    for (what, quality), offs in sorted(totals.items()):
        print(f"{what:9} {quality} {len(offs):3} rows, {mean(offs)}")
    for reason, count in sorted(left_out.items()):
        print(f"left out    {count:3} rows: {reason}")


def mean(offs: list[float]) -> str:
    sizes = [abs(off) for off in offs]
    return (
        f"mean {statistics.mean(sizes):5.1%}, worst {max(sizes):5.1%}, {sum(off < 0 for off in offs)} of them too low"
    )


def folklore() -> None:
    """The table that goes around, in GB, beside a step of one row of 2,048 tokens with TRL's defaults."""
    print("\nLlama-2, one row of 2,048 tokens, rank 16 on all linear layers, checkpointing; GiB, and the table's GB")
    base = {"weights": "bfloat16", "batch": 1, "length": 2048, "checkpointing": "non-reentrant"}
    adapter = {"r": 16, "lora_alpha": 32, "target_modules": ALL}
    for name, numbers in LLAMA2.items():
        model = llama(numbers, 32000)
        quantized = {"bits": 4, "double_quant": True, "cast": "bfloat16"}
        methods = {
            "full": Job(model=model, adapter=None, **base),
            "LoRA": Job(model=model, adapter=adapter, **base),
            "QLoRA": Job(model=model, adapter=adapter, **base, **quantized, optimizer="paged_adamw_8bit"),
        }
        cells = (
            f"{method} {predict(job, CARD, Strategy('single', 1), (0, 0)).allocated / GIB:.0f} (table {told})"
            for (method, job), told in zip(methods.items(), FOLKLORE[name], strict=True)
        )
        print(f"{name:4} {', '.join(cells)}")
    print("Its full column has no optimizer states, and none of it says at which length.")


if __name__ == "__main__":
    main()
