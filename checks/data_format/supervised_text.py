from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.label import IGNORE
from preflight.data.store import Prepared, Split
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer


@check(
    "TOK-103",
    "supervised-text",
    severity="required",
    section=1,
    item="Tokenizer alignment: verified tokenizer handles format",
    thresholds={"max_fraction": 0.005},
)
def supervised_tokens_decode_to_exactly_the_answers(
    prepared: Prepared, train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any
) -> None:
    """What is learned decodes to exactly the assistant's turns and their ends.

    What it checks: The supervised ids of every row are decoded and compared with the text they should be.
    Why it matters: A tokenizer that can't represent the text, or that merges the first characters of an answer with
    the header before it, teaches something else than the data says.
    How to fix: Look at the named row: characters the vocabulary lacks must be replaced; a header must end in a
    character that doesn't merge, such as a line break.
    Evidence: huggingface/trl#1820 and #989 (markers that tokenise differently in context). Threshold: half a percent,
    for text that normalises (a tokenizer that composes accents, say) without harm.
    """
    profile = train.profile
    bad = profile[~profile["matches"]]
    evidence(
        f"{len(profile) - len(bad)} of {len(profile)} rows decode exactly, by {prepared.engine}",
        mismatches=len(bad),
        engine=prepared.engine,
    )
    if len(bad) <= limits.max_fraction * len(profile):
        return
    findings = []
    for index, place in bad["where"].head(5).items():
        learned = [label for label in train.examples[int(index)]["labels"] if label != IGNORE]
        findings.append(
            Finding(
                "the supervised tokens do not decode to the answer",
                where=place,
                observed=repr(tokenizer.hf.decode(learned)[:80]),
                why="The model learns another text than the data holds.",
                fix="Replace the characters that the tokenizer can't represent, or end the template's assistant header "
                "with a line break.",
            )
        )
    report_findings(findings)
