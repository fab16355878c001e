"""Rows that are other rows, or nearly so: in the training data itself, and between it and the validation data.

Every function gives a frame with `where`, the row's place, and `original`, the place of what it is like.
"""

from dataclasses import replace
from typing import Any

from preflight.data.fidelity import places
from preflight.data.store import Split
from preflight.findings import Finding

APART = 5  # so many are named one by one, more are one finding
LISTED = 50  # in the evidence
OPEN = 0.01  # a prompt that so many of the rows share asks for anything: it says nothing about the answer
PAIR = ["prompt_hash", "answer_hash"]
WORDS = [*PAIR, "head"]  # tools stand in the head


def equal(profile: Any) -> Any:
    """Rows whose text is an earlier row's, letter by letter."""
    copies = profile[profile.duplicated("example_hash")]
    first = profile.drop_duplicates("example_hash").set_index("example_hash")["where"]
    return copies[["where"]].assign(original=copies["example_hash"].map(first))


def near(split: Split) -> Any:
    """Rows that differ from an earlier one in spaces and capitals alone, or share most of their runs of tokens."""
    import pandas as pd

    profile = split.profile[["row", "where", "example_hash", *WORDS]]
    different = profile.drop_duplicates("example_hash")
    same = different[different.duplicated(WORDS)].merge(
        different.drop_duplicates(WORDS), on=WORDS, suffixes=("", "_of")
    )
    pairs = split.near.merge(profile, on="row").merge(profile, left_on="other", right_on="row", suffixes=("", "_of"))
    similar = pairs[pairs["example_hash"] != pairs["example_hash_of"]]
    both = pd.concat([same, similar]).rename(columns={"where_of": "original"})
    return both[["row", "where", "original"]].drop_duplicates("row").sort_values("row")


def leaked(train: Any, validation: Any) -> Any:
    """Rows of the validation profile whose prompt and answer stand in the training profile."""
    first = train.drop_duplicates(PAIR)[[*PAIR, "where"]]
    return validation.merge(first.rename(columns={"where": "original"}), on=PAIR)


def asked(train: Any, validation: Any) -> Any:
    """Rows of the validation profile whose prompt stands in the training profile, with another answer."""
    asking = train[train["shape"] != "text"]
    times = asking["prompt_hash"].value_counts()
    known = asking.drop_duplicates("prompt_hash").rename(columns={"where": "original"})
    known = known[known["prompt_hash"].map(times) <= max(OPEN * len(train), 1)]
    found = validation[validation["shape"] != "text"].merge(known[["prompt_hash", "original"]], on="prompt_hash")
    return found[~found["row"].isin(leaked(train, validation)["row"])]


def nearly_leaked(train: Split, validation: Split) -> Any:
    """Validation rows that share most of their runs of tokens with a training row, and not its whole prompt."""
    profile, held_out = train.profile, validation.profile
    known = [*leaked(profile, held_out)["row"], *asked(profile, held_out)["row"]]
    originals = profile[["row", "where"]].rename(columns={"row": "other", "where": "original"})
    return validation.near.merge(held_out[~held_out["row"].isin(known)], on="row").merge(originals, on="other")


def findings(found: Any, one: Finding, many: Finding) -> list[Finding]:
    """A finding for each row if there are few, else one for all.

    Args:
        found: The rows, with their originals.
        one: What to say of each row; `{original}` in its message stands for the original's place.
        many: What to say of all; which rows they are is added to what was observed.
    """
    pairs = listed(found, len(found))
    if len(pairs) <= APART:
        return [replace(one, where=where, message=one.message.format(original=original)) for where, original in pairs]
    named = places([f"{where} as {original}" for where, original in pairs])
    return [replace(many, where=pairs[0][0], observed="; ".join(filter(None, (many.observed, named))))]


def listed(found: Any, most: int = LISTED) -> list[tuple[str, str]]:
    """The first rows, each with its original."""
    return list(zip(found["where"].head(most), found["original"].head(most), strict=True))
