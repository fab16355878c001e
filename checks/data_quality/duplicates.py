from collections.abc import Iterable, Iterator
from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.expectations import Expected
from preflight.data.fidelity import places
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence

APART = 5  # so many are named one by one, more are one finding
LISTED = 50  # pairs in the evidence
WHY = "Each copy is another epoch on that example: the model learns it by heart."


def _examples_are_unique(limits: Any) -> list[Any]:
    import great_expectations.expectations as gxe

    least = 1 - limits.max_fraction
    return [
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(
            column="example_hash", min_value=least, meta={"claim": f"at least {least:.0%} of the examples are unique"}
        )
    ]


@check(
    "DATA-104",
    "no-duplicates",
    severity="recommended",
    section=1,
    item="No duplicates: deduplicated dataset",
    thresholds={"max_fraction": 0.01},
    expect=_examples_are_unique,
)
def no_example_stands_twice(train: Split, expected: list[Expected], evidence: Evidence, limits: Any) -> None:
    """No training example stands twice.

    What it checks: Rendered examples that are equal, character by character.
    Why it matters: Each copy is another epoch on that row: the model learns it by heart.
    How to fix: Drop the copies; the finding names them with their originals, and says which example is repeated most.
    Evidence: the checklist. deepchecks' default allows 5 %, preflight 1 %, since repeated chat examples are rarely
    meant; from 10 % on the number of epochs no longer means what it says.
    """
    profile = train.profile
    copies = profile[profile.duplicated("example_hash")]
    first = profile.drop_duplicates("example_hash").set_index("example_hash")["where"]
    originals = copies["example_hash"].map(first)
    share = len(copies) / len(profile)
    pairs = list(zip(copies["where"], originals, strict=True))
    evidence(
        f"{counted(len(copies), 'repeated row')}, {share:.1%}",
        copies=len(copies),
        share=share,
        pairs=pairs[:LISTED],
    )
    if expected[0].met:
        return
    if len(pairs) <= APART:
        report_findings(_one_by_one(pairs, "the same example as"))
    most = originals.value_counts()
    report_findings(
        [
            Finding(
                f"{len(pairs):,} of {len(profile):,} examples are copies of earlier ones",
                where=pairs[0][0],
                observed=f"{share:.1%}: {_in_words(pairs)}; {most.index[0]} stands {most.iloc[0] + 1:,} times",
                expected=f"at most {limits.max_fraction:.0%}",
                why=WHY,
                fix=f"Delete {len(pairs):,} rows; {len(first):,} different examples stay.",
            )
        ]
    )


@check(
    "DATA-107",
    "no-near-duplicates",
    severity="recommended",
    section=1,
    item="No duplicates: deduplicated dataset",
    thresholds={"max_fraction": 0.05},
)
def hardly_any_example_is_nearly_another(train: Split, evidence: Evidence, limits: Any) -> None:
    """Hardly any training example is nearly the same as another.

    What it checks: Examples that differ from an earlier one in nothing but spaces and capitals, or that share at least
    80 % of their runs of five tokens with it (MinHash). Runs that a tenth of all rows share, such as a system prompt or
    a fixed instruction, don't count. Equal examples are DATA-104's.
    Why it matters: To the model they are copies: it learns them by heart, and they crowd out the others.
    How to fix: Look at the named pairs, and keep one of each that says nothing new.
    Evidence: deepchecks takes up to 5 % of repeated texts as normal; data-juicer drops near duplicates by MinHash.
    """
    alike = near_duplicates(train)
    share = len(alike) / train.rows
    pairs = list(zip(alike["where"], alike["original"], strict=True))
    evidence(
        f"{counted(len(pairs), 'near duplicate')}, {share:.1%}", near=len(pairs), share=share, pairs=pairs[:LISTED]
    )
    if share <= limits.max_fraction:
        return
    if len(pairs) <= APART:
        report_findings(_one_by_one(pairs, "nearly the same example as"))
    report_findings(
        [
            Finding(
                f"{len(pairs):,} of {train.rows:,} examples are nearly the same as earlier ones",
                where=pairs[0][0],
                observed=f"{share:.1%}: {_in_words(pairs)}",
                expected=f"at most {limits.max_fraction:.0%}",
                why="To the model they are copies: it learns them by heart.",
                fix=f"Compare the pairs, and delete up to {len(pairs):,} rows that say nothing new.",
            )
        ]
    )


def near_duplicates(split: Split) -> Any:
    """Rows that are nearly an earlier one: `where`, and `original`, the place of the earlier one."""
    profile = split.profile[["row", "where", "example_hash", "prompt_hash", "answer_hash", "head"]]
    pairs = split.near.merge(profile, on="row").merge(profile, left_on="other", right_on="row", suffixes=("", "_of"))
    similar = pairs[pairs["example_hash"] != pairs["example_hash_of"]].rename(columns={"where_of": "original"})
    # The same words, if not the same letters. Other tools in the system's message make another head.
    words = ["prompt_hash", "answer_hash", "head"]
    different = profile.drop_duplicates("example_hash")
    again = different[different.duplicated(words)]
    first = different.drop_duplicates(words)
    same = again.merge(first, on=words, suffixes=("", "_of")).rename(columns={"where_of": "original"})
    import pandas as pd

    both = pd.concat([same, similar])[["row", "where", "original"]]
    return both.drop_duplicates("row").sort_values("row")


def _one_by_one(pairs: Iterable[tuple[str, str]], words: str) -> Iterator[Finding]:
    return (Finding(f"{words} {original}", where=where, why=WHY, fix="Delete this row.") for where, original in pairs)


def _in_words(pairs: list[tuple[str, str]]) -> str:
    return places([f"{where} as {original}" for where, original in pairs])
