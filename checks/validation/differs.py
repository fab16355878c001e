import math
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Prepared
from preflight.evaluation.budget import spread
from preflight.evaluation.effect import Effect, effect_on
from preflight.evaluation.trained import Trained
from preflight.findings import counted
from preflight.fixtures import Evidence

PROMPTS, TOKENS = 4, 128


@check(
    "POST-121",
    "differs-from-base",
    severity="required",
    section=6,
    item="Adapter saved: it is not a no-op",
    thresholds={"min_difference": 1e-3},
)
def the_model_says_something_else_than_its_base(
    config: Config, trained: Trained, prepared: Prepared, evidence: Evidence, limits: Any
) -> None:
    """The trained model's outputs are not those of its base.

    What it checks: Logits of both on the first 128 tokens of four held-out examples (of training examples, if nothing
    is held out): the largest difference must be above 0.001.
    Why it matters: A run can end without an error, and the adapter be a fresh one: what is served is the base model.
    How to fix: Look whether the trainer saved what it trained, and at RUN-108 and POST-102; load the adapter with
    `PeftModel.from_pretrained`, not with `get_peft_model`, which makes a new one.
    Evidence: huggingface/peft#793, unslothai/unsloth#2142, tloen/alpaca-lora#357. Threshold, measured on
    SmolLM2-135M: in float32 entries of lora_B of 1e-6 make a difference of 0.0001, and of 1e-4, which is one step of
    Adam at that rate, 0.01. In 16 bits an adapter that does nothing makes exactly 0, and the least that is not lost in
    rounding makes 0.1 to 1.
    """
    split = prepared.validation if prepared.validation and prepared.validation.rows else prepared.train
    rows = [split.examples[at]["input_ids"][:TOKENS] for at in spread(len(split.examples), PROMPTS)]
    found: Effect = effect_on(trained, rows)
    said = f"logits differ by up to {found.largest:.3g} on {counted(len(rows), 'prompt')}"
    evidence(said, largest=found.largest, mean=found.mean, other_token=found.changed, prompts=len(rows))
    if found.largest > limits.min_difference:
        return
    report_findings(
        [
            Finding(
                "the logits are no numbers"
                if math.isnan(found.largest)
                else "the trained model says what its base says",
                where=str(config.output_dir),
                observed=f"logits differ by {found.largest:.2g} at most",
                expected=f"more than {limits.min_difference:g}",
                why="Nothing was learned, or something else was saved than what was trained.",
                fix=f"See RUN-108 and POST-102 for the reason, and train {config.path.name} again.",
            )
        ]
    )
