from typing import Any

from preflight import check, report_findings
from preflight.config import Config
from preflight.data.hygiene import Hygiene
from preflight.findings import Finding, not_applicable
from preflight.fixtures import Evidence

ENOUGH = 20  # answers from which a share can be told


@check(
    "DATA-131",
    "languages-declared",
    severity="recommended",
    section=1,
    item="Balanced distribution: task types evenly represented",
    thresholds={"max_fraction": 0.02},
)
def answers_are_in_the_declared_languages(config: Config, hygiene: Hygiene, evidence: Evidence, limits: Any) -> None:
    """Answers are in the languages that the config declares.

    What it checks: The language of 1,000 answers of the split, or of all if there are fewer, told by py3langid, against
    `data.languages`. Short answers, code, formulas and what isn't clear count for nothing; languages that can't be told
    apart by a few sentences, such as Danish and Norwegian, count as one.
    Why it matters: The model answers in the wrong language now and then, and nobody who tests it in the right one sees
    why.
    How to fix: Drop or translate the rows, or add the language to `data.languages`.
    Evidence: si0wang/ThinkLite-VL#7 (answers that mix languages); data-juicer filters by language
    (language_id_score_filter). Threshold: 2 % of the answers whose language is clear, and one is always allowed.
    """
    from preflight.data.hygiene import language

    judged = hygiene.count("language")
    counts = dict(sorted(hygiene.varieties.get("language", {}).items(), key=lambda item: -item[1]))
    shown = ", ".join(f"{code} {count / judged:.0%}" for code, count in list(counts.items())[:5]) or "none is clear"
    evidence(f"languages of {judged:,} answers: {shown}", languages=counts)
    declared = config.data.languages
    if declared is None:
        not_applicable(f"the config has no data.languages; seen: {shown}")
    others = {code: count for code, count in counts.items() if not language.same(code, declared)}
    wrong = sum(others.values())
    if judged < ENOUGH or wrong < 2 or wrong <= limits.max_fraction * judged:
        return
    hits = hygiene.hits("language", *others)
    report_findings(
        [
            Finding(
                f"{wrong:,} of {judged:,} answers are in a language that is not declared ({wrong / judged:.0%})",
                where=hits[0].where,
                observed=", ".join(f"{code} {count:,}" for code, count in others.items()) + f"; {hits[0].text}",
                expected=", ".join(declared),
                why="The model answers in the wrong language now and then.",
                fix=f"Drop or translate these rows, or add {', '.join(others)} to data.languages.",
            )
        ]
    )
