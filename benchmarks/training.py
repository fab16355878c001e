"""What our trainer costs beside TRL's own: time of a step, and time to the first step.

    python benchmarks/training.py [--model FOLDER] [--rows 4000] [--steps 40] [--rounds 3]

Both train the same: model, LoRA, rows, settings and seed, in processes of their own, one after the other in an order
that alternates. `plain` is a script of 30 lines around `trl.SFTTrainer`, which renders and tokenises the messages
itself; ours is `preflight train` on a cleared config, with all its monitors, a line in the log at each step. Step time
is the median over the steps of all rounds, without the first five of each. plain / ours should stay at or above 0.98.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TARGET = 0.98
WARM = 5
EMBEDDED = Path(__file__).parent.parent / "examples" / "smollm2" / "model"
LORA = {"r": 16, "lora_alpha": 32, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}


def main() -> int:
    """Print both times and their ratios; 1 if the ratio of step times is below the target."""
    parser = argparse.ArgumentParser(description="Step time and time to the first step, of ours and of plain TRL.")
    parser.add_argument("--model", type=Path, default=EMBEDDED, help="folder of the model (the embedded one)")
    parser.add_argument("--rows", type=int, default=4000, help="training rows (4000)")
    parser.add_argument("--steps", type=int, default=40, help="optimizer steps of each run (40)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (3)")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        return plain(arguments.plain)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, arguments.model.resolve(), arguments.rows, arguments.steps)
        steps, first = measure(folder, arguments.rounds)
    ratio = statistics.median(steps["plain"]) / statistics.median(steps["ours"])
    print(f"{arguments.rows} rows, {arguments.steps} steps of 4 rows, {arguments.rounds} runs of each")
    for way in ("plain", "ours"):
        step, start = statistics.median(steps[way]), statistics.median(first[way])
        print(f"  {way:5}  step {step:.3f} s, first step after {start:.1f} s")
    print(f"  plain / ours: step {ratio:.3f}, target >= {TARGET}")
    print(f"  plain / ours: first step {statistics.median(first['plain']) / statistics.median(first['ours']):.3f}")
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
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "seed": 42,
    }


def prepare(folder: Path, model: Path, rows: int, steps: int) -> None:
    """Write data and config, and clear the run."""
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
    config = {
        "name": "benchmark",
        "task": {"type": "style-transfer", "complexity": "standard"},
        "model": {"name_or_path": str(model), "dtype": "float32"},
        "data": {"train": "train.jsonl"},
        "lora": LORA,
        "training": {"output_dir": "run", **settings(steps)},
        "gate": {"rehearsal": False, "severity": dict.fromkeys(("DATA-107", "DATA-108", "RUN-102"), "advice")},
    }
    with (folder / "config.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump(config, stream)
    gate = [sys.executable, "-m", "pytest", "--preflight", "config.yaml", "-p", "no:cacheprovider"]
    done = subprocess.run(gate, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the gate is not green:\n{done.stdout}")


def measure(folder: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each warm step, and from the start of the process to the end of the first step."""
    commands = {
        "plain": [sys.executable, __file__, "--plain", str(folder)],
        "ours": [sys.executable, "-m", "preflight.trainer", "config.yaml"],
    }
    steps: dict[str, list[float]] = {way: [] for way in commands}
    first: dict[str, list[float]] = {way: [] for way in commands}
    for number in range(rounds):
        for way in sorted(commands, reverse=bool(number % 2)):
            began = time.time()
            environment = {**os.environ, "PYTHONSAFEPATH": "1"}
            done = subprocess.run(
                commands[way], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{way} failed:\n{done.stderr}")
            log = folder / ("run" if way == "ours" else "plain") / "run.jsonl"
            records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            times = [record["time"] for record in records if "loss" in record]
            first[way].append(times[0] - began)
            steps[way] += [after - before for before, after in zip(times[WARM:], times[WARM + 1 :], strict=False)]
    return steps, first


def plain(folder: Path) -> int:
    """What people write by hand: TRL's trainer on a file of messages, and a line a step."""
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from preflight.config import load_config

    config = load_config(folder / "config.yaml")
    output = folder / "plain"
    output.mkdir(exist_ok=True)

    class Log(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            with (output / "run.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"step": state.global_step, "time": time.time(), **logs}) + "\n")

    (output / "run.jsonl").unlink(missing_ok=True)
    given = {**config.training, "output_dir": str(output), "report_to": "none", "use_cpu": not gpu(), "bf16": False}
    trainer = SFTTrainer(
        model=config.model.name_or_path,
        args=SFTConfig(**given, disable_tqdm=True, model_init_kwargs={"dtype": "float32"}),
        train_dataset=load_dataset(
            "json", data_files=str(folder / "train.jsonl"), split="train", cache_dir=str(output)
        ),
        peft_config=LoraConfig(**LORA, task_type="CAUSAL_LM"),
        callbacks=[Log()],
    )
    trainer.train()
    trainer.save_model(str(output))
    return 0


def gpu() -> bool:
    """Whether torch can use a card."""
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
