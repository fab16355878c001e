"""Models with a fault of their own, as a folder whose code the config trusts."""

import json
from pathlib import Path

CODE = """
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel


class FaultyModel(LlamaModel):
    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, **others):
        {fault}
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, **others)


class Faulty(LlamaForCausalLM):
    def __init__(self, config):
        super().__init__(config)
        self.model = FaultyModel(config)
        self.post_init()
"""
DRIFTS = "self.norm.weight.data.mul_(1.001)"
# Every row is shifted by how many tokens the batch has, padding included.
LEAKS = "self.norm.weight.data.fill_(input_ids.shape[-1] / 20)"


def plant(folder: Path, fault: str) -> None:
    """Give the model in a folder code of its own."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config |= {"architectures": ["Faulty"], "auto_map": {"AutoModelForCausalLM": "faulty.Faulty"}}
    path.write_text(json.dumps(config))
    (folder / "faulty.py").write_text(CODE.format(fault=fault))
