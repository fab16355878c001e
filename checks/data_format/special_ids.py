import json
from collections import Counter
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.findings import not_applicable
from preflight.fixtures import Evidence
from preflight.model import files
from preflight.model.tokenizer import Tokenizer

NAMES = ("generation_config.json", "config.json")
KINDS = ("bos", "eos", "pad")


@check(
    "TOK-120",
    "special-ids-agree",
    severity="recommended",
    section=1,
    item="Special tokens correctly placed (BOS, EOS, pad)",
)
def the_model_stops_at_the_token_that_ends_answers(
    config: Config, train: Split, tokenizer: Tokenizer, evidence: Evidence
) -> None:
    """The model's generation config stops at the token that ends the answers.

    What it checks: The last supervised token of most answers against `eos_token_id` of the model's
    `generation_config.json`, or of its `config.json`. What tokenizer and files say about BOS, EOS and pad is shown.
    Whether it is a token that ends anything at all is judged by TOK-102.
    Why it matters: Tokenizer and model disagree in many published checkpoints. `generate` reads the model's files: it
    goes on behind the end of each answer although the model learned to stop.
    How to fix: Add the id to `eos_token_id` in the `generation_config.json` of the model, and in that of what you
    serve.
    Evidence: QwenLM/Qwen3#927, hiyouga/LlamaFactory#9189, hiyouga/LlamaFactory#7454, huggingface/transformers#29774.
    """
    said = {name: _ids(config, name) for name in NAMES}
    said["tokenizer"] = {kind: getattr(tokenizer.hf, f"{kind}_token_id") for kind in KINDS}
    name = next((name for name in NAMES if said[name].get("eos") is not None), None)
    ends = Counter(_last(row["labels"], tokenizer) for row in train.examples.select(range(min(train.rows, 64))))
    end = next((token for token, _ in ends.most_common() if token is not None), None)
    if name is None or end is None:
        not_applicable("the model's files name no EOS" if name is None else "no answer ends with a stop token")
    stops = said[name]["eos"]
    listed = [stop for stop in (stops if isinstance(stops, list) else [stops]) if isinstance(stop, int)]
    text = tokenizer.hf.convert_ids_to_tokens(end)
    evidence(f"answers end with {text} ({end}), {name} stops at {', '.join(map(str, listed))}", ids=said)
    if end in listed:
        return
    report_findings(
        [
            Finding(
                f"answers end with {text}, at which {name} of the model does not stop",
                where=str(files.folder_of(config) / name),
                observed=f"eos_token_id {json.dumps(stops)}",
                expected=f"{end} among them",
                why="generate goes on behind the end of each answer.",
                fix=f'Set "eos_token_id": {json.dumps(sorted({end, *listed}))} in generation_config.json.',
            )
        ]
    )


def _ids(config: Config, name: str) -> dict[str, Any]:
    """The special ids that one of the model's files gives."""
    try:
        value = json.loads((files.folder_of(config) / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {kind: value.get(f"{kind}_token_id") for kind in KINDS} if isinstance(value, dict) else {}


def _last(labels: list[int], tokenizer: Tokenizer) -> int | None:
    """The stop token that was supervised last; None if there is none."""
    return next((label for label in reversed(labels) if label in tokenizer.stop_ids), None)
