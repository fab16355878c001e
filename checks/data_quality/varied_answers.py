from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data import source
from preflight.data.store import Split
from preflight.findings import not_applicable
from preflight.fixtures import Evidence

LABEL = 6  # words of an answer that may be one of a few labels
SHOWN = 100


@check(
    "DATA-121",
    "answers-vary",
    severity="recommended",
    section=1,
    item="Balanced distribution: task types evenly represented",
    thresholds={"max_fraction": 0.2},
)
def no_answer_is_given_to_most_questions(config: Config, train: Split, evidence: Evidence, limits: Any) -> None:
    """No single answer is given over and over.

    What it checks: The share of rows that end with the most frequent answer, in the same words. Labels, which are
    answers of up to 6 words, are left out, and so are empty answers (DATA-120).
    Why it matters: The model learns that answer whatever it is asked: it is the surest way to a low loss.
    How to fix: Keep a few of these rows, and find out where the others come from: a failed generation, a default value.
    Evidence: TelecomsXChangeAPi/OpenTextShield#194, huggingface/datasets#4261, js0nwu/webui#1. Threshold: 20 % of rows.
    """
    if config.task.type == "classification":
        not_applicable("task.type is classification: few different answers are what it is about")
    profile = train.profile
    counts = profile["answer_hash"].value_counts()
    rows = profile[profile["answer_hash"] == counts.index[0]]
    share = len(rows) / len(profile)
    evidence(
        f"{len(counts):,} different answers in {len(profile):,} rows",
        different=len(counts),
        most_frequent=len(rows),
        share=share,
    )
    if len(rows) < 3 or share <= limits.max_fraction:
        return
    text = _answer(config, rows["row"].iloc[0])
    if len(text.split()) <= LABEL and len(text) < SHOWN:
        return
    report_findings(
        [
            Finding(
                f"{len(rows):,} of {len(profile):,} rows have one and the same answer ({share:.0%})",
                where=rows["where"].iloc[0],
                observed=text[:SHOWN] + "…" * (len(text) > SHOWN),
                expected=f"at most {limits.max_fraction:.0%} of the rows with the same answer",
                why="The model learns to give it whatever it is asked.",
                fix=f"Keep at most {max(int(limits.max_fraction * (len(profile) - len(rows))), 1):,} of these rows.",
            )
        ]
    )


def _answer(config: Config, row: int) -> str:
    """The last answer of a training row."""
    example = next(example for number, _, example in source.examples(config, "train") if number == row)
    return str(example.messages[-1]["content"] if example.messages else example.completion).strip()
