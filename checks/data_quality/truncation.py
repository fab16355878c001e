import math
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.expectations import Expected
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence


def _answers_are_whole(limits: Any) -> list[Any]:
    import great_expectations.expectations as gxe

    most = 1 - limits.max_fraction
    claim = f"at least {most:.0%} of the answers are fed whole"
    return [
        gxe.ExpectColumnPairValuesToBeEqual(
            column_A="supervised", column_B="answer", mostly=most, meta={"claim": claim}
        )
    ]


@check(
    "DATA-106",
    "answers-not-cut",
    severity="required",
    section=1,
    item="Length analysis: checked input and output token distributions",
    thresholds={"max_fraction": 0.02},
    expect=_answers_are_whole,
)
def max_length_cuts_no_answers(
    config: Config, train: Split, expected: list[Expected], evidence: Evidence, limits: Any
) -> None:
    """`max_length` cuts hardly any answer.

    What it checks: Rows whose supervised tokens are cut, and the share of supervised tokens lost. Packing by `bfd` cuts
    the same; `bfd_split` and `wrapped` spread a long row over several and lose nothing.
    Why it matters: A cut answer has no end, so the model learns to break off, and what was cut is never learned.
    TRL's default of 1,024 tokens cuts silently.
    How to fix: Raise `training.max_length` to the number in the finding, or split or drop the long rows.
    Evidence: huggingface/trl#2400, unslothai/unsloth#2904, hiyouga/LlamaFactory#2996, axolotl-ai-cloud/axolotl#1731.
    Threshold: 2 % of rows.
    """
    profile = train.profile
    cut = profile[profile["supervised"] < profile["answer"]]
    lost = 1 - profile["supervised"].sum() / max(profile["answer"].sum(), 1)
    limit = config.training_value("max_length")
    longest = int(profile["length"].max())
    evidence(
        f"{counted(len(cut), 'answer')} cut, {lost:.1%} of their tokens; longest row {longest}, max_length {limit}"
        if len(cut)
        else f"no answer cut; longest row {longest}, max_length {limit}",
        rows_cut=len(cut),
        share_lost=float(lost),
        longest=longest,
    )
    if expected[0].met:
        return
    share = 1 - limits.max_fraction / 2
    keep = math.ceil(profile["length"].quantile(share, interpolation="higher") / 8) * 8
    report_findings(
        [
            Finding(
                f"max_length {limit} cuts {len(cut):,} of {len(profile):,} answers; {lost:.1%} of all answer tokens "
                "are lost",
                where=config.where("training.max_length"),
                observed=f"rows of up to {longest} tokens, {cut.iloc[0]['where']} among them",
                expected=f"at most {limits.max_fraction:.0%} of answers cut",
                why="A cut answer has no end: the model learns to break off.",
                fix=f"Set training.max_length: {keep} (keeps {share:.1%} of the rows whole; {longest} keeps all).",
            )
        ]
    )
