"""What `docs.py` says about the keys of a config: one line each, in the words of someone who has to choose a value."""

SECTIONS_ABOUT = {
    "name": "The run's name; without one, the last part of `training.output_dir`.",
    "task": "What the model is to learn. The checks on dataset size, rank and target modules go by it.",
    "model": "The base model, its tokenizer and its chat template.",
    "data": "Where the examples are and how they are written: `.jsonl`, `.json` (a list), `.csv` or `.parquet`.",
    "lora": "The adapter: the fields of peft's `LoraConfig`. Without this section the run is full fine-tuning.",
    "quantization": "The fields of `BitsAndBytesConfig`. Without this section nothing is quantized.",
    "training": "The fields of TRL's `SFTConfig`. Only `output_dir` is required. Old names are accepted where they "
    "mean the same, with a notice of the present one. A run with `eval_strategy` that says nothing of saving saves "
    "when it is evaluated, keeps two checkpoints, and ends with the best; `load_best_model_at_end: false` ends with "
    "the last.",
    "hardware": "The machine that will train: this one, or another one, described. Checks judge the target.",
    "gate": "How the run is judged.",
    "evaluation": "How the trained model is judged by `pytest --postflight`, and how long that may take.",
    "deployment": "How the model will be served.",
}

LIBRARIES = {
    "lora": ("peft", "[peft's LoRA reference](https://huggingface.co/docs/peft/package_reference/lora)"),
    "quantization": (
        "transformers",
        "[transformers' quantization reference](https://huggingface.co/docs/transformers/main_classes/quantization)",
    ),
    "training": ("trl", "[TRL's SFTTrainer page](https://huggingface.co/docs/trl/sft_trainer)"),
}

WORDS: dict[str, dict[str, str]] = {
    "task": {
        "type": "The kind of task; it decides how many examples are enough.",
        "complexity": "How much there is to learn; it decides rank and target modules.",
    },
    "model": {
        "name_or_path": "A local folder, or an id on the hub.",
        "revision": "Branch, tag or commit on the hub.",
        "trust_remote_code": "Run Python code that comes with the model.",
        "dtype": "What the weights are loaded in; `auto` takes what the model was saved in.",
        "attn_implementation": "How attention is computed; transformers chooses if it isn't set.",
        "device_map": "Where the weights go; leave it out for training on one GPU or under DDP.",
        "tokenizer": "Another folder or id for the tokenizer.",
        "chat_template": "A `.jinja` file that replaces the tokenizer's own template.",
    },
    "data": {
        "train": "A path, a glob, or a list of them.",
        "validation": "Held-out data, the same way.",
        "validation_split": "Share of the training rows to hold out instead; chosen by `training.seed`.",
        "format": "The shape of the rows; `auto` goes by their columns.",
        "task_field": "The column that names an example's task type.",
        "engine": "What turns text into ids: tokenizers, or fastokens or tokie if they give the same ids on your rows; "
        "auto takes the fastest that does.",
        "languages": "The languages that answers may be in, as ISO 639 codes: `[en, de]`.",
        "review": "The record of `preflight review`; `config.review.json` beside `config.yaml` if it isn't set.",
        "slices": "Edge cases that must be in the data, by name: a regular expression that is searched in the "
        "messages, or columns with their values (any of a list).",
        "benchmarks": "Files with the examples of benchmarks that the model will be judged by: a path, a glob, or a "
        "list. Training data that holds them is a finding.",
    },
    "hardware": {
        "target": "`local` is this machine; leave it out to describe another one.",
        "gpu": "Name of the GPU.",
        "memory_gib": "Memory of one GPU.",
        "count": "How many GPUs; 0 for a machine without.",
        "bf16": "Whether it computes in bfloat16.",
        "cuda": "Version of CUDA, in quotes.",
        "disk_gib": "Free space where `training.output_dir` lies.",
    },
    "gate": {
        "checks": "Files or folders with checks of your own, codes `USER-001` and up.",
        "severity": "Severity by code, in the place of the check's own.",
        "waivers": "Findings that someone answers for, until a date.",
        "thresholds": "Limits by code and name; each check's page lists its own.",
        "rehearsal": "Whether to try a few training steps first; the gate decides if it isn't set.",
        "max_hours": "Hours that the run may take; without it nothing is said of a long one.",
        "data_docs": "Whether to make Great Expectations' Data Docs of the data: a site in the folder `data-docs` "
        "beside the report. A browser that opens it loads styles and scripts from the web.",
    },
    "gate.waivers": {
        "code": "The check.",
        "reason": "Why its findings are acceptable here.",
        "by": "Who answers for it.",
        "expires": "The last day it counts.",
    },
    "evaluation": {
        "max_minutes": "Time for losses and answers; what doesn't fit is sampled, and the report says so.",
        "max_examples": "Held-out examples to look at, spread over all of them.",
        "max_new_tokens": "Where an answer is cut; set it above your longest answer.",
        "data": "A file of examples to ask, in the place of the validation data, in any format of training data.",
        "metrics": "Names of metrics, or names with what each has to reach; those of the task type if it isn't set. "
        "A function of your own is `metrics.py:function`.",
        "labels": "The classes of a classification; those of the expected answers if it isn't set.",
        "answer": "A regular expression that finds the final answer in a longer one: its first group, or all of it; "
        "the last match counts.",
        "tests": "The column of `data` with the tests of a program, which is run with them.",
        "samples": "Programs drawn for each prompt, for metrics such as `pass@10`.",
        "format": "What an answer has to look like: a regular expression that all of it must match, or the keys below.",
        "general": "Text files on which the model must not have become worse; a small set of our own if it isn't set.",
        "suite": "A JSON Lines file of prompts and what their answers must have.",
        "edge_cases": "A JSON Lines file of prompts that the model has to survive, besides our own.",
        "lm_eval": "Tasks of lm-evaluation-harness, which has to be installed.",
        "server": "A running server to ask, in the place of loading the model.",
        "accepted": "The file of the accepted run; `accepted/NAME.json` if it isn't set.",
    },
    "evaluation.metrics.NAME": {
        "min": "The least value.",
        "max": "The most.",
        "min_gain": "How much better than the base model it has to be at least.",
        "max_drop": "How much worse than the accepted run it may be at most.",
    },
    "evaluation.format": {
        "regex": "A regular expression that the whole answer must match.",
        "json_schema": "A JSON Schema, or a file with one, that the answer must satisfy.",
        "starts_with": "How it starts.",
        "ends_with": "How it ends.",
        "min_chars": "Its least length in characters.",
        "max_chars": "Its greatest.",
        "language": "Its language, as a code such as en.",
    },
    "evaluation.lm_eval": {
        "tasks": "Names of tasks.",
        "include_path": "A folder with task files of your own.",
        "num_fewshot": "Examples before each question.",
        "limit": "Questions of each task.",
    },
    "evaluation.server": {
        "url": "Its address, up to `/v1`.",
        "model": "The name it serves the trained model under.",
        "base_model": "The name it serves the base model under.",
        "api_key_variable": "The environment variable that holds the key, if it wants one.",
    },
    "deployment": {
        "scenario": "Decides whether the adapter is merged: for a single adapter and for minimum latency it is.",
        "merge": "Whether it is merged, in the scenario's place.",
        "engine": "What serves it; an adapter that isn't merged is held against what that engine can load.",
        "max_lora_rank": "The server's `--max-lora-rank`.",
    },
}
