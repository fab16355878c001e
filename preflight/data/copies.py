"""Rows that are other rows, or nearly so: in the training data itself, and between it and the validation data.

Every function gives a frame with `where`, the row's place, and `original`, the place of what it is like.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from preflight.data.expectations import lengths
from preflight.data.label import IGNORE
from preflight.data.similar import MIN_RUNS, SIMILAR, runs
from preflight.data.store import Split
from preflight.findings import Finding, places

APART = 5  # so many are named one by one, more are one finding
LISTED = 50  # in the evidence
BATCH = 1000  # pairs
EDGE = 24  # tokens of a prompt's beginning and end
HALF = np.uint64(32)  # bits
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
    pairs = pairs[pairs["example_hash"] != pairs["example_hash_of"]]
    both = pd.concat([same, pairs[_alike(pairs, split, split)]]).rename(columns={"where_of": "original"})
    return both[["row", "where", "original"]].drop_duplicates("row").sort_values("row")


def leaked(train: Any, validation: Any) -> Any:
    """Rows of the validation profile whose prompt and answer stand in the training profile."""
    known = train[train["prompt_hash"].isin(validation["prompt_hash"])].drop_duplicates(PAIR)
    return validation.merge(known[[*PAIR, "where"]].rename(columns={"where": "original"}), on=PAIR)


def asked(train: Any, validation: Any) -> Any:
    """Rows of the validation profile whose prompt stands in the training profile, with another answer."""
    known = train[train["prompt_hash"].isin(validation["prompt_hash"]) & (train["shape"] != "text")]
    times = known.groupby("prompt_hash")["prompt_hash"].transform("size")
    telling = known[times <= max(OPEN * len(train), 1)].drop_duplicates("prompt_hash")
    originals = telling[["prompt_hash", "where"]].rename(columns={"where": "original"})
    found = validation[validation["shape"] != "text"].merge(originals, on="prompt_hash")
    return found[~found["row"].isin(leaked(train, validation)["row"])]


def nearly_leaked(train: Split, validation: Split) -> Any:
    """Validation rows that are nearly a training row, and don't stand there with the same prompt."""
    profile, held_out = train.profile, validation.profile
    known = [*leaked(profile, held_out)["row"], *asked(profile, held_out)["row"]]
    pairs = validation.near[~validation.near["row"].isin(known)].merge(held_out, on="row")
    others = profile.loc[profile["row"].isin(pairs["other"]), ["row", "where", "answer_hash"]]
    pairs = pairs.merge(others, left_on="other", right_on="row", suffixes=("", "_of"))
    return pairs[_alike(pairs, validation, train)].rename(columns={"where_of": "original"})


def _alike(pairs: Any, split: Split, other: Split) -> npt.NDArray[np.bool_]:
    """Which pairs of similar rows answer alike. Rows that share a long context and ask other things of it don't.

    An answer too short to compare must be equal, and its prompt begin and end as the other's.
    """
    found = [np.zeros(0, dtype=bool)]
    for start in range(0, len(pairs), BATCH):
        part = pairs.iloc[start : start + BATCH]
        one, two = _side(split, part["row"]), _side(other, part["other"])
        common = _counts(np.intersect1d(one.runs, two.runs, assume_unique=True), len(part))
        least, all_runs = np.minimum(one.sizes, two.sizes), one.sizes + two.sizes - common
        equal = (part["answer_hash"] == part["answer_hash_of"]).to_numpy() & (one.edges == two.edges).all(axis=1)
        found.append(np.where(least >= MIN_RUNS, common >= SIMILAR * all_runs, equal))
    return np.concatenate(found)


class Side(NamedTuple):
    """What is compared of some rows: the runs of their answers, with the row's place in the upper half of each; how
    many there are of each row; and the first and last tokens of its prompt."""

    runs: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int32]


def _side(split: Split, rows: Any) -> Side:
    places = np.searchsorted(split.profile["row"].to_numpy(), rows.to_numpy())  # their numbers rise
    profile = split.profile.iloc[places]
    table = split.examples.with_format("arrow")[places].combine_chunks()
    ids, labels = (table.column(name).combine_chunks().flatten().to_numpy() for name in ("input_ids", "labels"))
    sizes = table.column("length").to_numpy().astype(np.int64)
    ends = np.cumsum(sizes)
    owner = np.repeat(np.arange(len(rows)), sizes)
    cuts = ends - np.minimum(lengths(profile)[1].to_numpy(), sizes)  # where the answer begins, if all is learned
    everything = profile["answer"].to_numpy() == profile["length"].to_numpy()
    said = np.where(everything[owner], np.arange(len(ids)) >= cuts[owner], labels != IGNORE)
    own = _runs(ids[said], owner[said])
    begins = ends - sizes + np.minimum(profile["head"].to_numpy(), sizes - 1)
    steps = np.concatenate((begins[:, None] + np.arange(EDGE), cuts[:, None] - 1 - np.arange(EDGE)), axis=1)
    edges = ids[np.clip(steps, begins[:, None], np.maximum(cuts - 1, begins)[:, None])]
    return Side(own, _counts(own, len(rows)), edges)


def _runs(ids: npt.NDArray[np.int32], owner: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Each run of tokens of each row once: the row's place in the upper half, a hash in the lower."""
    starts = np.searchsorted(owner, np.arange(int(owner.max(initial=-1)) + 2))
    hashes, inside = runs(ids, starts)
    return np.unique((owner[inside].astype(np.uint64) << HALF) | hashes[inside])


def _counts(runs: npt.NDArray[np.uint64], rows: int) -> npt.NDArray[np.int64]:
    return np.bincount((runs >> HALF).astype(np.int64), minlength=rows)


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
