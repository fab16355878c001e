from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence

ENOUGH = 20  # answers in prose from which a share can be told
STYLE = 0.5  # from this share on it is how the data is written


@check(
    "DATA-127",
    "endings-whole",
    severity="recommended",
    section=1,
    item="Length analysis: checked input and output token distributions",
    thresholds={"max_fraction": 0.1, "max_unclosed": 0.01},
)
def answers_do_not_break_off(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Answers end where they are over, and don't break off.

    What it checks: Long answers in prose that end within a sentence, as a share of all that should end with a mark; and
    answers that end within a block of code or a link. Lists, tables, verse, labels and scripts that end sentences
    without a mark are left out, and so is data in which most answers end without one.
    Why it matters: What was cut by a limit of tokens while it was generated has no end. The model learns to break off.
    How to fix: Generate these answers again with a higher limit, or drop them.
    Evidence: a cut answer teaches the same as one that `max_length` cuts (DATA-106: huggingface/trl#2400,
    unslothai/unsloth#2904). Threshold: 10 % of answers in prose, well above a good data set (LLaMA-Factory's
    alpaca_en_demo.json has 1.1 %, all of them cut); 1 % of the rows for blocks of code and links.
    """
    prose, cut = hygiene.count("prose"), hygiene.count("cut", "sentence")
    share = cut / max(prose, 1)
    open_ends = hygiene.count("cut", "fence", "link")
    evidence(
        f"{cut:,} of {prose:,} answers in prose end within a sentence, {open_ends:,} within code or a link",
        prose=prose,
        cut=cut,
        open_ends=open_ends,
    )
    why = "The model learns to break off in the middle."
    fix = "Generate the answers of {rows} again with a higher limit of tokens, or drop them."
    findings: list[Finding] = []
    if prose >= ENOUGH and limits.max_fraction < share < max(STYLE, limits.max_fraction):
        message = f"end within a sentence: {share:.0%} of {prose:,} answers in prose,"
        expected = f"at most {limits.max_fraction:.0%} of answers in prose without a full stop"
        findings += [hygiene.finding("cut", "sentence", message=message, expected=expected, why=why, fix=fix)]
    if hygiene.exceeds(limits.max_unclosed, "cut", "fence", "link"):
        message, expected = "end within a block of code or a link", "closed blocks, whole links"
        findings += [hygiene.finding("cut", "fence", "link", message=message, expected=expected, why=why, fix=fix)]
    report_findings(findings)
