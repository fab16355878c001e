"""Faults planted in real runs of the embedded model: each monitor fires, and on ten healthy runs none does.

Each prints within how many steps; docs/monitors.md has the table.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

pytestmark = pytest.mark.drill

STEPS = 60
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LABELS = ("billing", "delivery", "returns", "warranty")
WORDS = (
    "the parcel",
    "my invoice",
    "a broken lamp",
    "this coupon",
    "an old order",
    "the courier",
    "a refund",
    "my tent",
)


def talk(*turns: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(turns)]}


def labels(number: int) -> dict[str, Any]:
    """Answers of one word."""
    label = number % len(LABELS)
    return talk(f"Which desk is this for, about {WORDS[number % 7]}, case {number}, {LABELS[label]}?", LABELS[label])


def sums(number: int) -> dict[str, Any]:
    """Hard to learn, and noisy."""
    one, other = random.Random(number).sample(range(10, 1000), 2)
    return talk(f"What is {one} plus {other}?", f"{one} + {other} = {one + other}.")


def dialogues(number: int) -> dict[str, Any]:
    """Several turns, of very different lengths."""
    dice = random.Random(number)
    turns = [f"{dice.choice(WORDS).capitalize()} has a question about {dice.choice(WORDS)}." for _ in range(8)]
    return talk(*turns[: 2 * dice.randint(1, 4)])


def tales(number: int) -> dict[str, Any]:
    """Plain text."""
    dice = random.Random(number)
    said = " ".join(f"Then {dice.choice(WORDS)} came after {dice.choice(WORDS)}." for _ in range(dice.randint(2, 9)))
    return {"text": f"Once there was {dice.choice(WORDS)}. {said}"}


@pytest.fixture
def real(project, smollm2):
    """`real(sections)`: the project on the embedded model, set so, 600 rows unless given."""

    def change(rows: Callable[[int], dict[str, Any]] | None = None, count: int = 600, **sections: Any):
        if rows:
            project.rows([rows(number) for number in range(count)])
            project.rows([rows(number) for number in range(count, count + 16)], "validation.jsonl")
        project.set(model={"name_or_path": str(smollm2)}, training={"max_steps": STEPS, "eval_strategy": "no"})
        return project.set(**sections)

    return change


class Planted(TrainerCallback):
    """Does something at the beginning of each step."""

    def __init__(self, do: Callable[[int, Any, Any], None]) -> None:
        self.do = do

    def on_step_begin(self, args, state, control, model=None, optimizer=None, **_):
        self.do(state.global_step, model, optimizer)


def each_step(do):
    return lambda trainer: trainer.add_callback(Planted(do))


def of_batches(change: Callable[[int, dict[str, Any]], None]):
    """Change the batches as the loader makes them."""

    def plant(trainer):
        collate = trainer.data_collator

        def changed(rows):
            batch = collate(rows)
            change(trainer.state.global_step, batch)
            return batch

        trainer.data_collator = changed

    return plant


def random_labels(step, batch):
    if step >= 30:
        kept = batch["labels"] != -100
        batch["labels"][kept] = torch.randint(0, 49152, (int(kept.sum()),))


def no_labels(step, batch):
    if step >= 10:
        batch["labels"][:] = -100


def detach(step, model, optimizer):
    """The optimizer holds copies of the parameters, as when a model is replaced after it was made."""
    if step == 0:
        inner = getattr(optimizer, "optimizer", optimizer)
        for group in inner.param_groups:
            group["params"] = [torch.nn.Parameter(one.detach().clone()) for one in group["params"]]


def no_gradients(trainer):
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.register_hook(torch.zeros_like)


def one_layer_unreached(trainer):
    for name, parameter in trainer.model.named_parameters():
        if "layers.29" in name and "lora_B" in name:
            parameter.register_hook(torch.zeros_like)


LEAK: list[Any] = []


def leak(step, model, optimizer):
    if step == 0:
        LEAK.clear()
    LEAK.append(torch.ones(16 * 2**20))  # 64 MiB


def slower(step, model, optimizer):
    if step > 30:
        time.sleep(3)


def slow_loader(trainer):
    collate = trainer.data_collator

    def slowly(rows):
        time.sleep(1)
        return collate(rows)

    trainer.data_collator = slowly


def random_base(trainer):
    """Another model's weights."""
    torch.manual_seed(0)
    for parameter in trainer.model.parameters():
        if not parameter.requires_grad:
            parameter.data.normal_(0, 0.02)


def spikes(step, batch):
    if step in (30, 37, 44, 51):
        random_labels(step, batch)


def explode(step, model, optimizer):
    if step == 15:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] = 1.0


FULL = {"lora": None, "training": {"learning_rate": 2e-5}}
SABOTAGE = {
    "a rate of 1e-1": ("RUN-104|RUN-101|RUN-106", {"training": {"learning_rate": 0.1}}, None, 25),
    "all weights in fp16": ("RUN-101|RUN-104|RUN-106", FULL | {"model": {"dtype": "float16"}}, None, 16),
    "poisoned rows from step 30 on": ("RUN-104", {}, of_batches(random_labels), 45),
    "spikes": ("RUN-105", {}, of_batches(spikes), 46),
    "rows without labels from step 10 on": ("RUN-107|RUN-106", {}, of_batches(no_labels), 14),
    "weights of another model": ("RUN-103", {}, random_base, 2),
    "an optimizer of other parameters": ("RUN-108", {}, each_step(detach), 8),
    "gradients of zero": ("RUN-108", {}, no_gradients, 8),
    "a layer that gets no gradient": ("RUN-109", {}, one_layer_unreached, 16),
    "a rate of 1e-6": ("RUN-110", {"training": {"learning_rate": 1e-6, "max_steps": 80}}, None, 60),
    "a rate of 5e-2 without warm-up": (
        "RUN-112|RUN-104",
        {"training": {"learning_rate": 5e-2, "warmup_steps": 0}},
        None,
        20,
    ),
    "rank 1 on one matrix": (
        "RUN-113|RUN-102",
        {
            "lora": {"r": 1, "lora_alpha": 1, "target_modules": ["q_proj"], "layers_to_transform": [15]},
            "training": {"max_steps": 120},
        },
        None,
        120,
    ),
    "a callback that keeps tensors": ("RUN-120", {}, each_step(leak), 40),
    "steps that get slower": ("RUN-122", {"training": {"max_steps": 70}}, each_step(slower), 68),
    "a slow loader": ("RUN-123", {"training": {"max_steps": 20}}, slow_loader, 12),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_fault_is_noticed(real, fly, name):
    codes, sections, plant, within = SABOTAGE[name]
    real().set(**sections)

    flight = fly(plant)

    fired = [code for code in codes.split("|") if code in flight.fired]
    assert fired, (flight.fired, flight.screen)
    steps = {code: flight.first_fired(code) for code in fired}
    others = sorted({*flight.fired} - {*fired})
    print(f"DRILL {name}: {steps}, also {others}, exit {flight.code}, loss {flight.losses[-1]:.2f}")
    assert min(steps.values()) <= within
    assert flight.code == (5 if "failed" in flight.fired.values() else 0)


def test_overfitting_is_noticed(real, fly):
    """Thirty rows, over and over."""
    real(sums, 30, training={"learning_rate": 1e-3, "max_steps": 100, "eval_strategy": "steps", "eval_steps": 10})

    flight = fly()

    assert "RUN-111" in flight.fired, (flight.fired, flight.screen)
    print(f"DRILL overfitting: {flight.first_fired('RUN-111')}")


def test_an_adapter_that_started_afresh_is_noticed_when_a_run_goes_on(real, fly):
    real(training={"max_steps": 50, "save_strategy": "steps", "save_steps": 45})
    stopped = fly(each_step(lambda step, model, optimizer: raise_at(step, 47)))
    assert stopped.code == 1

    def afresh(trainer):
        load = trainer._load_from_checkpoint

        def loaded(*arguments, **more):
            load(*arguments, **more)
            for name, parameter in trainer.model.named_parameters():
                if "lora_B" in name:
                    parameter.data.zero_()

        trainer._load_from_checkpoint = loaded

    flight = fly(afresh)

    assert flight.fired["RUN-115"] == "failed", (flight.fired, flight.screen)
    print(f"DRILL afresh: {flight.first_fired('RUN-115') - 45} after the resume")


def raise_at(step, number):
    if step == number:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTERM)


HEALTHY = {
    "lora": {},
    "rslora on labels": {"rows": labels, "lora": {"use_rslora": True, "lora_alpha": 16}, "training": {"seed": 1}},
    "dora on sums": {"rows": sums, "lora": {"use_dora": True}, "training": {"seed": 2}},
    "qlora": {
        "quantization": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"},
        "training": {"optim": "paged_adamw_8bit", "seed": 3},
    },
    "all weights on dialogues": FULL | {"rows": dialogues},
    "packing of text": {"rows": tales, "training": {"packing": True, "assistant_only_loss": False, "seed": 4}},
    "grouped by length": {"rows": dialogues, "training": {"train_sampling_strategy": "group_by_length", "seed": 5}},
    "accumulation, all layers": {
        "rows": sums,
        "lora": {"target_modules": ALL, "r": 8, "lora_alpha": 16},
        "training": {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2, "seed": 6},
    },
    "bf16 on text, cosine": {
        "rows": tales,
        "model": {"dtype": "bfloat16"},
        "training": {"bf16": True, "assistant_only_loss": False, "lr_scheduler_type": "cosine", "seed": 7},
    },
    "in order, two epochs, evaluated": {
        "rows": labels,
        "count": 120,
        "training": {
            "train_sampling_strategy": "sequential",
            "max_steps": 60,
            "eval_strategy": "steps",
            "eval_steps": 20,
            "seed": 8,
        },
    },
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_is_left_alone(real, fly, smollm2, name):
    sections = dict(HEALTHY[name])
    rows, count = sections.pop("rows", None), sections.pop("count", 600)
    training = {"max_steps": STEPS, "eval_strategy": "no"} | sections.pop("training", {})
    model = {"name_or_path": str(smollm2)} | sections.pop("model", {})

    real(rows, count, **sections, model=model, training=training)
    flight = fly()

    print(f"DRILL healthy {name}: {flight.losses[0]:.2f} to {flight.losses[-1]:.2f}, {flight.fired}")
    assert (flight.code, flight.fired) == (0, {}), flight.screen
