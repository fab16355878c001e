from typing import Any

from preflight import check, report_findings
from preflight.data.hygiene import Hygiene
from preflight.fixtures import Evidence


@check(
    "DATA-126",
    "no-markup-residue",
    severity="recommended",
    section=1,
    item="Format consistency: all examples follow an identical template",
    thresholds={"max_fraction": 0.01},
)
def answers_hold_no_residue_of_markup(hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Answers in prose hold no residue of HTML.

    What it checks: Tags (`<br>`, `</div>`), entities (`&nbsp;`, `&#x200B;`) and line breaks that are written out as
    backslash and n, in answers without code to questions that have nothing to do with markup or code.
    Why it matters: The model learns to print them, and whoever reads its answers sees them.
    How to fix: Convert the source to text, with `html.unescape` and an HTML parser, and decode JSON text once more
    where line breaks are written out.
    Evidence: argosopentech/argos-translate#39 (entities in the training data come out of the model); data-juicer has a
    mapper against it (clean_html_mapper). Threshold: 1 % of the rows, and one row is always allowed.
    """
    summary, seen = hygiene.evidence("markup", "with residue of markup")
    evidence(summary, **seen)
    if hygiene.exceeds(limits.max_fraction, "markup"):
        report_findings(
            [
                hygiene.finding(
                    "markup",
                    message="hold residue of markup in prose",
                    expected="plain text or Markdown",
                    why="The model learns to print tags and entities.",
                    fix="Convert the answers of {rows} to text.",
                )
            ]
        )
