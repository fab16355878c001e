import re
from typing import Any

from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data import overlap, source
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence

ONE_ANSWER = ("classification", "qa", "reasoning")
NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
PROMPT = ["prompt_hash", "head"]  # tools stand in the head, and decide the answer too
APART = 5  # so many are named one by one, more are one finding
SHOWN = 3


@check(
    "DATA-108",
    "contradictory-answers",
    severity="recommended",
    section=1,
    item="Quality review: manually reviewed 50-100 random samples",
    thresholds={"max_fraction": 0.01, "max_words": 5, "min_prompts": 10},
)
def one_prompt_has_no_two_answers_that_contradict(
    config: Config, train: Split, evidence: Evidence, limits: Any
) -> None:
    """No prompt has answers that contradict each other.

    What it checks: Rows of one prompt with different answers, where a prompt has one right answer. That is so for
    answers of up to five words in classification, question answering and reasoning, for the last number of a longer
    answer in reasoning, and in any task for labels: such short answers that ten prompts have. Spaces, capitals and
    punctuation make no difference. Longer answers aren't compared: all of them may be right.
    Why it matters: The model learns a coin toss, and the loss can't fall below it.
    How to fix: Keep the right answer of each named pair and delete the other, or add to the prompt what decides it.
    Evidence: deepchecks looks for conflicting labels in classification data. Threshold: 1 % of the rows.
    """
    chats = train.profile[train.profile["shape"] != "text"]
    if chats.empty:
        not_applicable("plain text has no prompts")
    again = chats[chats.duplicated(PROMPT, keep=False)]
    several = again[again.groupby(PROMPT)["answer_hash"].transform("nunique") > 1]
    unsure = several if config.task.type in ONE_ANSWER else labels(several, chats, limits.min_prompts)
    groups = contradictions(unsure, config, limits.max_words)
    wrong = sum(len(rows) - max(rows["says"].value_counts()) for rows in groups)
    prompts = several.groupby(PROMPT).ngroups
    evidence(
        f"{counted(len(groups), 'prompt')} with contradictory answers, {prompts:,} with several answers",
        contradictory=len(groups),
        several=prompts,
        rows=wrong,
    )
    if wrong > limits.max_fraction * train.rows:
        report_findings(_findings(groups, wrong, train.rows))


def labels(rows: Any, chats: Any, least: int) -> Any:
    """Those of the rows whose answer is a label: so many different prompts have it."""
    known = chats[chats["answer_hash"].isin(rows["answer_hash"])]
    prompts = known.groupby("answer_hash")["prompt_hash"].nunique()
    return rows[rows["answer_hash"].map(prompts) >= least]


def contradictions(rows: Any, config: Config, most: int) -> list[Any]:
    """The rows of each prompt whose answers contradict each other, with `says`: what is compared of each answer."""
    if rows.empty:
        return []
    wanted = set(rows["row"])
    last = max(wanted)
    says = {}
    for number, _, example in source.examples(config, "train"):
        if number in wanted:
            says[number] = essence(source.answered(example).removeprefix("assistant "), config.task.type, most)
        if number >= last:
            break
    told = rows.assign(says=rows["row"].map(says)).dropna(subset="says")
    return [group for _, group in told.groupby(PROMPT, sort=False) if group["says"].nunique() > 1]


def essence(answer: str, task: str, most: int) -> str | None:
    """What of an answer can contradict another one; None if there is nothing that can be compared."""
    words = overlap.words(answer)
    if len(words) <= most:
        return " ".join(words)
    numbers = NUMBER.findall(answer[-200:]) if task == "reasoning" else []
    return str(numbers[-1]).replace(",", "") if numbers else None


def _findings(groups: list[Any], wrong: int, rows: int) -> list[Finding]:
    said = [_said(group) for group in groups]
    if len(groups) <= APART:
        return [
            Finding(
                "one prompt has contradictory answers",
                where=group["where"].iloc[0],
                observed=words,
                why="The model learns a coin toss.",
                fix="Keep the right answer, or add to the prompt what decides it.",
            )
            for group, words in zip(groups, said, strict=True)
        ]
    return [
        Finding(
            f"{len(groups):,} prompts have contradictory answers",
            where=groups[0]["where"].iloc[0],
            observed="; ".join(said[:SHOWN]),
            why=f"At least {wrong:,} of {rows:,} answers are wrong: the model learns a coin toss.",
            fix=f"Delete the wrong answers, at least {counted(wrong, 'row')}, or add to the prompts what decides.",
        )
    ]


def _said(group: Any) -> str:
    first = group.drop_duplicates("says").head(2)
    return " but ".join(f"{says!r} in {where}" for says, where in zip(first["says"], first["where"], strict=True))
