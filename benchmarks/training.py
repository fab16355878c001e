"""What our trainer costs beside TRL's own: time of a step, time to the first step, and what the monitors take.

    python benchmarks/training.py [--model FOLDER] [--rows 4000] [--steps 40] [--rounds 3]

Both train the same: model, LoRA, rows, settings and seed, in processes of their own, one after the other in an order
that alternates; their losses must be the same, or nothing is compared. `plain` is a short script around
`trl.SFTTrainer`, which renders and tokenises the messages itself, each time anew; ours is `preflight train` on a
cleared config, with all its monitors, a line in the log at each step. Step time is the median over the steps of all
rounds, without the first five of each. plain / ours should stay at or above 0.98.

TRL learns what a template writes behind the end of the turn, and we don't: the template here writes nothing there.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

TARGET = 0.98
WARM = 5
WAYS = ("plain", "ours")
EMBEDDED = Path(__file__).parent.parent / "examples" / "smollm2" / "model"
LORA = {"r": 16, "lora_alpha": 32, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}
MARKERS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def main() -> int:
    """Print both times, their ratios and the cost of the monitors; 1 if the ratio of step times is below the target."""
    parser = argparse.ArgumentParser(description="Step time and time to the first step, of ours and of plain TRL.")
    parser.add_argument("--model", type=Path, help="folder of a model that knows ChatML (the embedded one, or a tiny)")
    parser.add_argument("--rows", type=int, default=4000, help="training rows (4000)")
    parser.add_argument("--steps", type=int, default=40, help="optimizer steps of each run (40)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--in", dest="part", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        part, folder = arguments.part
        return {"plain": plain, "clocked": clocked}[part](Path(folder))
    if arguments.steps < 2 * WARM:
        parser.error(f"--steps: at least {2 * WARM}, the first {WARM} don't count")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = prepare(folder, arguments.model, arguments.rows, arguments.steps)
        print(f"{made}, {arguments.rows} rows, {arguments.steps} steps of 4 rows, {arguments.rounds} runs of each")
        ratio = compare(folder, arguments.rounds)
        clock(folder)
    return 0 if ratio >= TARGET else 1


def settings(steps: int) -> dict[str, Any]:
    """Of `training`, the same for both."""
    return {
        "max_steps": steps,
        "per_device_train_batch_size": 4,
        "learning_rate": 2e-4,
        "warmup_steps": 2,
        "max_length": 256,
        "completion_only_loss": True,
        "activation_checkpointing": False,
        "bf16": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "seed": 42,
    }


def prepare(folder: Path, model: Path | None, rows: int, steps: int) -> str:
    """Write data, model and config, and clear the run; what it is that is trained."""
    from ruamel.yaml import YAML

    asked = "How do I look after part {n} of my machine, which I bought in {year}?"
    answer = "Clean part {n}, oil it, and look at it again in {weeks} weeks."
    text = "".join(
        json.dumps(
            {
                "prompt": [{"role": "user", "content": asked.format(n=n, year=1990 + n % 30)}],
                "completion": [{"role": "assistant", "content": answer.format(n=n, weeks=n % 11 + 1)}],
            }
        )
        + "\n"
        for n in range(rows)
    )
    (folder / "train.jsonl").write_text(text, encoding="utf-8")
    source = model or (EMBEDDED if (EMBEDDED / "model.safetensors").is_file() else None)
    if source:
        shutil.copytree(source, folder / "model", copy_function=os.symlink, symlinks=False)
        (folder / "model" / "chat_template.jinja").unlink(missing_ok=True)
    else:
        make_tiny(folder / "model", text)
    (folder / "model" / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    config = {
        "name": "benchmark",
        "task": {"type": "style-transfer", "complexity": "standard"},
        "model": {"name_or_path": "model", "dtype": "float32"},
        "data": {"train": "train.jsonl"},
        "lora": LORA,
        "training": {"output_dir": "run", **settings(steps)},
        "gate": {"rehearsal": False, "severity": dict.fromkeys(("DATA-107", "DATA-108", "RUN-102"), "advice")},
    }
    with (folder / "config.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump(config, stream)
    done = started([sys.executable, "-m", "pytest", "--preflight", "config.yaml", "-p", "no:cacheprovider"], folder)
    if done.returncode:
        sys.exit(f"the gate is not green:\n{done.stdout}")
    return source.resolve().parent.name if source else "a tiny Llama"


def make_tiny(folder: Path, text: str) -> None:
    """A random Llama of four layers, with a tokenizer of the rows' own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        text.splitlines()[:1000],
        trainers.BpeTrainer(
            vocab_size=2048, special_tokens=list(MARKERS), initial_alphabet=alphabet, show_progress=False
        ),
    )
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=MARKERS[2], pad_token=MARKERS[0])
    whole.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 4}
    ids = {"vocab_size": len(whole), "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    LlamaForCausalLM(LlamaConfig(**sizes, **ids)).save_pretrained(folder)


def compare(folder: Path, rounds: int) -> float:
    """Train both, and print their times; the ratio of step times."""
    steps: dict[str, list[float]] = {way: [] for way in WAYS}
    first: dict[str, list[float]] = {way: [] for way in WAYS}
    ratios = []
    for number in range(rounds):
        losses, medians = {}, {}
        for way in sorted(WAYS, reverse=bool(number % 2)):
            losses[way], times, start = trained(way, folder)
            first[way].append(start)
            steps[way] += times
            medians[way] = statistics.median(times)
        ratios.append(medians["plain"] / medians["ours"])
        apart = max(abs(a - b) / b for a, b in zip(losses["plain"], losses["ours"], strict=True))
        if not apart < 1e-4:
            sys.exit(f"the two don't train the same: their losses are up to {apart:.2%} apart")
    for way in WAYS:
        step, start = statistics.median(steps[way]), statistics.median(first[way])
        print(f"  {way:5}  step {step:.4f} s, first step after {start:.1f} s")
    ratio = statistics.median(steps["plain"]) / statistics.median(steps["ours"])
    print(f"  plain / ours: step {ratio:.3f}, target >= {TARGET}")
    if rounds > 1:
        error = statistics.stdev(ratios) / math.sqrt(rounds)
        each = ", ".join(f"{one:.3f}" for one in ratios)
        print(f"  by round: mean {statistics.mean(ratios):.3f} +- {error:.3f}: {each}")
    print(f"  plain / ours: first step {statistics.median(first['plain']) / statistics.median(first['ours']):.3f}")
    print("  the losses are the same")
    return ratio


def trained(way: str, folder: Path) -> tuple[list[float], list[float], float]:
    """Losses, seconds of each warm step, and seconds from the start of the process to the end of the first step."""
    shutil.rmtree(folder / "plain", ignore_errors=True)  # with the cache of what was tokenised
    command = [sys.executable, "-m", "preflight.trainer", "config.yaml"]
    if way == "plain":
        command = [sys.executable, __file__, "--in", "plain", str(folder)]
    began = time.time()
    done = started(command, folder)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr}")
    log = folder / ("run" if way == "ours" else "plain") / "run.jsonl"
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if "loss" in record]
    times = [record["time"] for record in records]
    warm = [after - before for before, after in zip(times[WARM:], times[WARM + 1 :], strict=False)]
    return [record["loss"] for record in records], warm, times[0] - began


def started(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "HF_DATASETS_CACHE": str(folder / "plain" / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def plain(folder: Path) -> int:
    """What people write by hand: TRL's trainer on a file of messages, and a line a step."""
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from ruamel.yaml import YAML
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    output = folder / "plain"
    output.mkdir(exist_ok=True)

    class Log(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            with (output / "run.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"step": state.global_step, "time": time.time(), **logs}) + "\n")

    given = YAML(typ="safe").load(folder / "config.yaml")["training"] | {"output_dir": str(output)}
    trainer = SFTTrainer(
        model=str(folder / "model"),
        args=SFTConfig(
            **given,
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
            disable_tqdm=True,
            model_init_kwargs={"dtype": "float32"},
        ),
        train_dataset=load_dataset("json", data_files=str(folder / "train.jsonl"), split="train"),
        peft_config=LoraConfig(**LORA, task_type="CAUSAL_LM"),
        callbacks=[Log()],
    )
    trainer.train()
    trainer.save_model(str(output))
    return 0


def clock(folder: Path) -> None:
    """Train once more with a clock on what we do beside training, and print it."""
    done = started([sys.executable, __file__, "--in", "clocked", str(folder)], folder)
    if done.returncode:
        sys.exit(f"clocked failed:\n{done.stderr}")
    print(done.stdout, end="")


def clocked(folder: Path) -> int:
    """Print milliseconds of each part, a logged step, and what the monitors take when the log is long."""
    from preflight.config import load_config
    from preflight.flight import Log, read_log
    from preflight.flight.asking import ask_all, monitors_of
    from preflight.flight.plan import plan_of
    from preflight.trainer import callbacks, gauge, monitors, run, stopping

    parts = (
        (gauge.Gauge, "on_step_end", "read"),
        (monitors.Monitors, "on_log"),
        (callbacks.RunLog, "on_log"),
        (callbacks.Progress, "on_log"),
        (stopping.Stop, "on_step_end", "on_log"),
    )
    taken: dict[str, list[float]] = defaultdict(list)
    for owner, *names in parts:
        for name in names:
            setattr(owner, name, with_clock(getattr(owner, name), taken[f"{owner.__name__}.{name}"]))
    if run.main([str(folder / "config.yaml")]):
        return 1
    medians = {name: statistics.median(seconds[WARM:]) * 1000 for name, seconds in taken.items()}
    print(f"  beside training: {math.fsum(medians.values()):.2f} ms a logged step")
    print("  " + ", ".join(f"{name} {spent:.2f}" for name, spent in medians.items()))

    config = load_config(folder / "config.yaml")
    asked, plan = monitors_of(config), plan_of(config)
    records = [record for record in read_log(folder / "run" / "run.jsonl").records if "loss" in record]
    for many in (100, 1000, 10000):
        log = Log()
        for at in range(many):
            log.add({**records[at % len(records)], "step": at + 1})
        seconds: list[float] = []
        for _ in range(5):
            with_clock(ask_all, seconds)(config, asked, log, plan)
        print(f"  {len(asked)} monitors on a log of {many} lines: {statistics.median(seconds) * 1000:.1f} ms")
    return 0


def with_clock(inner: Any, seconds: list[float]) -> Any:
    """A function that does the same, and notes how long it took."""

    def outer(*arguments: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return inner(*arguments, **more)
        finally:
            seconds.append(time.perf_counter() - began)

    return outer


if __name__ == "__main__":
    sys.exit(main())
