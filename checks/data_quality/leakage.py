from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.fidelity import places
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence

APART = 5  # so many are named one by one, more are one finding
PAIR = ["prompt_hash", "answer_hash"]
WHY = "The model answers it by heart: the validation loss flatters it."
OPEN = 0.01  # a prompt that so many rows share asks for anything: it says nothing about the answer


@check(
    "DATA-105",
    "no-leakage",
    severity="required",
    section=1,
    item="Train/val split: 90/10, or 95/5 for small datasets",
    thresholds={"max_fraction": 0.01},
)
def no_validation_example_is_in_the_training_data(
    config: Config, train: Split, validation: Split, evidence: Evidence, limits: Any
) -> None:
    """No validation example stands in the training data.

    What it checks: Validation examples whose prompt and answer equal those of a training example, but for spaces and
    capitals. The prompt is all that stands before the last answer, so chats that only begin the same are different.
    Why it matters: A leaked example is answered by heart, so the validation loss and every metric flatter the model.
    How to fix: Delete the named validation rows, or let the gate split: `data.validation_split` holds out whole groups
    of rows that ask the same.
    Evidence: huggingface/datasets#4261, TelecomsXChangeAPi/OpenTextShield#194. Threshold: 1 % of the validation rows.
    """
    found = leaked(train.profile, validation.profile)
    share = len(found) / validation.rows
    evidence(f"{len(found)} of {validation.rows} examples leak", leaked=len(found), share=share)
    if share > limits.max_fraction:
        report_findings(_findings(found, "the same example", config, validation, limits.max_fraction))


@check(
    "DATA-116",
    "no-similar-leakage",
    severity="recommended",
    section=1,
    item="Train/val split: 90/10, or 95/5 for small datasets",
    thresholds={"max_prompts": 0.01, "max_near": 0.05},
)
def validation_asks_other_questions_than_training(
    config: Config, train: Split, validation: Split, evidence: Evidence, limits: Any
) -> None:
    """Validation asks other questions than training does.

    What it checks: Validation examples whose prompt is one of the training data's, with another answer, and those that
    share at least 80 % of their runs of five tokens with a training example. A prompt that 1 % of the training rows
    share asks for anything, and doesn't count. Equal examples are DATA-105's.
    Why it matters: The model has seen the question and an answer to it, so validation says too little about new ones.
    How to fix: Split by question or by source, not by row: `data.validation_split` does it. Or delete the named rows.
    Evidence: huggingface/datasets#4261, TelecomsXChangeAPi/OpenTextShield#194. Thresholds: 1 % of the validation rows
    for prompts, 5 % for near duplicates, which deepchecks allows.
    """
    asked, near = similar(train, validation)
    evidence(
        f"{counted(len(asked), 'known prompt')}, {counted(len(near), 'near duplicate')} of {validation.rows}",
        prompts=len(asked),
        near=len(near),
    )
    findings = []
    if len(asked) > limits.max_prompts * validation.rows:
        findings += _findings(asked, "the same prompt", config, validation, limits.max_prompts)
    if len(near) > limits.max_near * validation.rows:
        findings += _findings(near, "nearly the same example", config, validation, limits.max_near)
    report_findings(findings)


def leaked(train: Any, validation: Any) -> Any:
    """Rows of the validation profile that stand in the training profile: `where`, and `original`, the place there."""
    first = train.drop_duplicates(PAIR)[[*PAIR, "where"]]
    return validation.merge(first.rename(columns={"where": "original"}), on=PAIR)


def similar(train: Split, validation: Split) -> tuple[Any, Any]:
    """Validation rows that ask what a training row asks, and others that are nearly a training row."""
    profile = train.profile
    rest = validation.profile[~validation.profile["row"].isin(leaked(profile, validation.profile)["row"])]
    asking = profile[profile["shape"] != "text"]
    times = asking["prompt_hash"].value_counts()
    known = asking.drop_duplicates("prompt_hash").rename(columns={"where": "original"})
    known = known[known["prompt_hash"].map(times) <= max(OPEN * len(profile), 1)]
    asked = rest[rest["shape"] != "text"].merge(known[["prompt_hash", "original"]], on="prompt_hash")
    near = validation.near.merge(rest[~rest["row"].isin(asked["row"])], on="row")
    originals = profile[["row", "where"]].rename(columns={"row": "other", "where": "original"})
    return asked, near.merge(originals, on="other")


def _findings(found: Any, what: str, config: Config, validation: Split, most: float) -> list[Finding]:
    pairs = list(zip(found["where"], found["original"], strict=True))
    if len(pairs) <= APART:
        return [
            Finding(
                f"{what} as {original} of the training data",
                where=where,
                why=WHY,
                fix="Delete this row from the validation data.",
            )
            for where, original in pairs
        ]
    return [
        Finding(
            f"{len(pairs):,} of {validation.rows:,} validation rows: {what} as a row of the training data",
            where=pairs[0][0],
            observed=f"{len(pairs) / validation.rows:.1%}: "
            + places([f"{where} as {original}" for where, original in pairs]),
            expected=f"at most {most:.0%}",
            why=WHY,
            fix="Remove copies from data.train first: its rows all ask the same."
            if config.data.validation_split
            else f"Delete {len(pairs):,} rows from the validation data.",
        )
    ]
