from itertools import islice
from typing import Any

from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data import scripts, source
from preflight.data.fidelity import seen
from preflight.data.scripts import LATIN
from preflight.data.store import Split
from preflight.findings import counted, not_applicable
from preflight.fixtures import Evidence
from preflight.model.tokenizer import Tokenizer

LOOKED_AT = 20_000  # rows, for texts in each script
ENCODED = 200  # texts of a script
ITEM = "Tokenizer alignment: verified tokenizer handles format"
# The first article of the Universal Declaration of Human Rights: what English costs if the data has none.
ENGLISH = (
    "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and "
    "should act towards one another in a spirit of brotherhood."
)


@check("TOK-121", "text-represented", severity="recommended", section=1, item=ITEM, thresholds={"max_fraction": 0.005})
def the_vocabulary_can_represent_the_text(train: Split, evidence: Evidence, limits: Any) -> None:
    """The tokenizer's vocabulary can represent the text.

    What it checks: Rows whose ids are fewer bytes than their text, or hold the unknown token, by script. What is
    supervised is judged by TOK-103.
    Why it matters: What the vocabulary lacks is dropped, or is one and the same token for everything: the model reads
    another prompt than you wrote.
    How to fix: Replace these characters, or choose a model whose vocabulary has them.
    Evidence: SmolLM2's own vocabulary lacks 21 bytes and drops them silently. Threshold: that of TOK-103.
    """
    found = train.flagged("lossy")
    by_script = found["script"].value_counts().to_dict()
    shown = ", ".join(f"{script} {count}" for script, count in by_script.items())
    evidence(f"{counted(len(found), 'row')} of {train.rows:,} lose text{f': {shown}' if shown else ''}", rows=by_script)
    if len(found) <= limits.max_fraction * train.rows:
        return
    report_findings(
        [
            Finding(
                f"the tokenizer loses text of {counted(len(found), 'row')} of {train.rows:,} ({shown})",
                **seen(found),
                expected="ids that decode to the text",
                why="The model reads another text than you wrote.",
                fix="Replace the characters that the vocabulary lacks, or choose a model that has them.",
            )
        ]
    )


@check(
    "TOK-122",
    "even-splitting",
    severity="recommended",
    section=1,
    item=ITEM,
    thresholds={"max_ratio": 4.0, "min_rows": 20, "min_fraction": 0.01},
)
def no_language_is_split_far_worse_than_english(
    config: Config, train: Split, tokenizer: Tokenizer, evidence: Evidence, limits: Any
) -> None:
    """No language of the data is split into far more tokens than English.

    What it checks: Tokens per character by script (and for rows with code), in the last messages of the first rows of
    each, against those in Latin script or, without any, an English sentence.
    Why it matters: A script that the vocabulary hardly holds is spelled byte by byte. The model has seen little of it
    and learns it badly; examples are cut at a fraction of their length, and each costs as many times the time.
    How to fix: Choose a model whose tokenizer was trained on the language; else raise `training.max_length` by the
    factor.
    Evidence: Petrov et al. 2023, "Language Model Tokenizers Introduce Unfairness Between Languages" (up to 15 times as
    many tokens as English). Threshold: on cc-100, Chinese costs Llama 3 about 3.3 times as many tokens a character as
    English, and Llama 1, which hardly knows it, about 5 (the Hugging Face space tokenizer-arena).
    """
    profile = train.profile
    counts = profile["script"].value_counts()
    enough = max(limits.min_rows, limits.min_fraction * len(profile))
    found = [script for script in counts.index if script != LATIN and counts[script] >= enough]
    if not found:
        not_applicable("all text is in Latin script")
    rates = _rates(config, tokenizer, {*found, LATIN})
    latin = LATIN in rates and counts.get(LATIN, 0) >= limits.min_rows
    usual = rates[LATIN] if latin else len(tokenizer.backend.encode(ENGLISH).ids) / len(ENGLISH)
    others = {script: rates[script] for script in found if script in rates}
    shown = ", ".join(f"{script} {rate / usual:.1f}x" for script, rate in others.items())
    evidence(f"{shown} of {usual:.2f} tokens a character", tokens_per_character=rates, usual=usual)
    report_findings(
        Finding(
            f"{script} text is split into {rate / usual:.1f} times as many tokens a character as English",
            where=profile[profile["script"] == script].iloc[0]["where"],
            observed=f"{rate:.2f} tokens a character in {int(counts[script]):,} rows, {usual:.2f} in "
            + ("those in Latin script" if latin else "an English sentence"),
            expected=f"at most {limits.max_ratio:g} times as many",
            why="The vocabulary hardly holds this script: it is learned badly, and costs as much more time.",
            fix="Choose a model whose tokenizer was trained on this language.",
        )
        for script, rate in others.items()
        if rate > limits.max_ratio * usual
    )


def _rates(config: Config, tokenizer: Tokenizer, wanted: set[str]) -> dict[str, float]:
    """Tokens per character of the first texts in each script."""
    texts: dict[str, list[str]] = {script: [] for script in wanted}
    for _, _, example in islice(source.examples(config, "train"), LOOKED_AT):
        text = scripts.sample(example)
        (script,) = scripts.of([text])
        if text and len(texts.get(script, ())) < ENCODED:
            texts.get(script, []).append(text)
    return {
        script: sum(len(each.ids) for each in tokenizer.backend.encode_batch(said, add_special_tokens=False))
        / sum(map(len, said))
        for script, said in texts.items()
        if said
    }
