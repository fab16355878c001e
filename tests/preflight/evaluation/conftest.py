"""Config, trained model and validation split of the project; the adapter is random, and so does something."""

import pytest
import torch

from preflight.config import load_config
from preflight.data.prepare import prepare
from preflight.evaluation.trained import Trained
from preflight.model import build
from preflight.model.tokenizer import load_tokenizer

CHATS = [
    {
        "messages": [
            {"role": "user", "content": "How do I mend a lamp? " + "Please. " * (number % 5)},
            {"role": "assistant", "content": "With wire number " + "and patience " * (number % 4) + f"{number}."},
        ]
    }
    for number in range(11)
]


@pytest.fixture
def flight(project):
    """Config, trained model and validation split of the project; the adapter is random, and so does something."""

    def made(**sections):
        config = load_config(project.set(**sections).write())
        tokenizer = load_tokenizer(config)
        base = build.load_base(config)
        if config.lora is None:
            torch.manual_seed(1)
            tuned = build.load_base(config)
            tuned.model.layers[0].mlp.up_proj.weight.data.normal_()
            return config, Trained(tuned.eval(), tokenizer, base.eval()), prepare(config, tokenizer).validation
        from peft import get_peft_model

        torch.manual_seed(1)
        model = get_peft_model(base, build.lora_config(config))
        for name, matrix in model.named_parameters():
            if "lora_B" in name:
                matrix.data.normal_()
        return config, Trained(model.eval(), tokenizer), prepare(config, tokenizer).validation

    project.rows(CHATS, "validation.jsonl")
    return made
