"""What `preflight init` writes and says: two templates, filled with the facts that it found."""

import json
import re
from typing import Any

from preflight.findings import counted


def fill(template: str, facts: dict[str, Any]) -> str:
    """The template with the facts in it; a fact that is missing is an error."""
    import jinja2

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"yaml": _yaml, "rows": lambda number: counted(number, "row"), "n": "{:,}".format}
    return environment.from_string(template).render(facts) + "\n"


def _yaml(value: str) -> str:
    """Text as YAML has it: plain where that is safe, else in double quotes."""
    plain = re.fullmatch(r"[A-Za-z./][\w./-]*", value, re.ASCII)
    return value if plain else json.dumps(value, ensure_ascii=False)


SUMMARY = """\
model       {{ model }}: {{ tree.parameters | n }} parameters{{ ", takes " ~ (window | n) ~ " tokens" if window }}
data        {{ train.rows | rows }}, {{ train.shape }}{{ " (" ~ roles ~ ")" if roles }}
held out    {{ held_out.rows | rows if held_out else "{:.0%} of the rows".format(split) }}
max_length  {{ max_length }}{{ "; the longest row has " ~ lengths[-1] ~ " tokens" if lengths }}
adapter     {{ "QLoRA" if method.quantize else "LoRA" }} on {{ targets | join(", ") }}
machine     {{ method.why }}
batch       {{ method.batch }} x {{ method.accumulation }} accumulated
task        {{ task.type }}: {{ task.why }}
{% for note in notes %}
note        {{ note }}
{% endfor %}

wrote {{ config }}. Read its comments, then judge the run:
  pytest --preflight {{ config }}"""

CONFIG = """\
# Written by `preflight init`. Paths are relative to this file. Judge the run, train it, judge what came out:
#   pytest --preflight {{ config }}
#   preflight train {{ config }}
#   pytest --postflight {{ config }}
name: {{ name | yaml }}
task:
  # style-transfer or classification (100 rows at least), instruction-following, qa or reasoning (500),
  # domain-knowledge (1,000), code-generation (2,000)
  type: {{ task.type }}  # {{ task.why }}
  complexity: standard  # or simple (r 8, q_proj and v_proj), or complex (r 64 to 128, target_modules: all-linear)

model:
  name_or_path: {{ model | yaml }}
  dtype: {{ method.dtype }}  # {{ method.why }}
{% if chat and not template %}
  # chat_template: chat.jinja  # this tokenizer has none, and conversations need one: name a file here
{% endif %}

data:
  train: {{ train_path | yaml }}  # {{ train.rows | rows }}
{% if validation_path %}
  validation: {{ validation_path | yaml }}  # {{ held_out.rows | rows }}
{% else %}
  validation_split: {{ split }}  # this share of the rows is held out; a file of its own is better: validation: FILE
{% endif %}
  format: {{ train.shape }}{{ "  # " ~ roles if roles }}
{% if task_field %}
  task_field: {{ task_field }}  # the column that names an example's task type
{% endif %}

{% if not hardware.is_local %}
hardware:  # the machine that trains, if it isn't this one; `count` cards, one process each
  gpu: {{ hardware.gpu | yaml }}
  memory_gib: {{ hardware.memory_gib }}
  count: {{ hardware.count }}

{% endif %}
lora:  # peft's LoraConfig
  r: 16
  lora_alpha: 32  # one or two times r
  lora_dropout: {{ 0.05 if method.quantize else 0.1 }}
  target_modules: [{{ targets | join(", ") }}]  # names of this model

{% if method.quantize %}
quantization:  # bitsandbytes' BitsAndBytesConfig; pip install 'finetune-preflight[quantization]'
  load_in_4bit: true
  bnb_4bit_quant_type: nf4
  bnb_4bit_compute_dtype: {{ method.dtype }}

{% endif %}
training:  # TRL's SFTConfig
  output_dir: {{ ("runs/" ~ name) | yaml }}
  num_train_epochs: 3
  per_device_train_batch_size: {{ method.batch }}
  gradient_accumulation_steps: {{ method.accumulation }}  # {{ method.batch * method.accumulation }} rows a step
  learning_rate: 2.0e-4  # 1e-4 to 5e-4 for an adapter
  warmup_steps: 0.03  # below 1: a share of the run
  lr_scheduler_type: cosine
{% if method.quantize %}
  optim: paged_adamw_8bit  # moves its state to the CPU's memory when the card is full
{% endif %}
  {{ {"bfloat16": "bf16: true", "float16": "fp16: true"}.get(method.dtype, "bf16: false  # true on a recent GPU") }}
  gradient_checkpointing: true  # less memory, about a third more time; false if memory is plenty
  max_length: {{ max_length }}  # longer rows are cut{{ "; the longest has " ~ lengths[-1] ~ " tokens" if lengths }}
{% if chat %}
  assistant_only_loss: true  # learn the assistant's turns, not the questions
{% elif train.shape == "prompt-completion" %}
  completion_only_loss: true  # learn the completion, not the prompt
{% endif %}
  logging_steps: 10
  eval_strategy: epoch
  save_strategy: epoch
  save_total_limit: 2
  seed: 42"""
