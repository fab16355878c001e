from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-125",
    "no-mojibake",
    severity="recommended",
    section=1,
    item="Tokenizer alignment: verified tokenizer handles format",
    thresholds={"max_fraction": 0.0},
)
def no_text_was_decoded_in_the_wrong_encoding(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """No text was decoded in the wrong encoding.

    What it checks: Text that makes sense once it is decoded again, as `dÃ©jÃ ` does (by ftfy); replacement characters
    (U+FFFD); byte-order marks (U+FEFF) in the text. Text about encodings is left out.
    Why it matters: The model learns to write the broken letters, and spends several tokens on each.
    How to fix: Read the source again in its right encoding, mostly UTF-8; `ftfy.fix_text` repairs what can't be read
    again. A replacement character stands for a letter that is lost.
    Evidence: pydantic/pydantic-ai#8316, microsoft/promptflow#4172, UniversalDependencies/UD_German-GSD#29. Threshold:
    none are allowed.
    """
    summary, seen = hygiene.evidence("mojibake", "in a broken encoding")
    evidence(summary, **seen)
    if hygiene.exceeds(limits.max_fraction, "mojibake", least=1):
        report_findings(
            [
                hygiene.finding(
                    "mojibake",
                    message="were decoded in the wrong encoding",
                    expected="letters",
                    why="The model learns to write the broken letters.",
                    fix="Read the source of {rows} again as UTF-8, or repair them with ftfy.fix_text.",
                )
            ]
        )
