"""Great Expectations over the profile: what must hold for the distribution of a column."""

import json
import logging
from pathlib import Path
from typing import Any

from preflight.config import Config


def expected() -> list[Any]:
    """The expectations, each with `meta`: the claim in words, why it matters and the fix."""
    import great_expectations.expectations as gxe

    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="supervised",
            min_value=1,
            meta={
                "claim": "every example has at least one supervised token",
                "why": "An example without one adds nothing to the loss; a batch of them gives 0 or NaN.",
                "fix": "Drop these rows, or raise training.max_length above the length of their prompts.",
            },
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="kept",
            min_value=2,
            meta={
                "claim": "examples have at least 2 tokens",
                "why": "A one-token example has no next token to predict.",
                "fix": "Drop empty rows.",
            },
        ),
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(
            column="example_hash",
            min_value=0.9,
            meta={
                "claim": "at least 90 % of the examples are unique",
                "why": "Repeated examples are learned by heart: each copy counts as another epoch on that row.",
                "fix": "Drop the copies (DATA-104 names them).",
            },
        ),
        gxe.ExpectColumnProportionOfUniqueValuesToBeBetween(
            column="prompt_hash",
            min_value=0.5,
            meta={
                "claim": "at least half of the prompts are unique",
                "why": "Many answers to one prompt teach an average of them.",
                "fix": "Keep one answer a prompt, or make the prompts more specific.",
            },
        ),
        gxe.ExpectColumnMedianToBeBetween(
            column="supervised",
            min_value=2,
            meta={
                "claim": "the typical answer has more than its end-of-turn token",
                "why": "If most answers are empty the model learns to stop at once.",
                "fix": "Check that the answers are in the column that the shape expects.",
            },
        ),
    ]


def validate(profile: Any, config: Config, folder: Path) -> list[dict[str, Any]]:
    """Validate the suite once and keep suite and result as files.

    Args:
        profile: The profile as a pandas frame.
        config: The run's config.
        folder: Where `expectations.json` (the suite) and `expectations-result.json` go.

    Returns:
        For each expectation: claim, why, fix, success, observed, unexpected (count) and rows (up to 20 indices).
    """
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batches = context.data_sources.add_pandas("profile").add_dataframe_asset("train")
    batch = batches.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": profile})
    suite = gx.ExpectationSuite(name=f"{config.name}-profile", expectations=expected())
    wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
    outcome = batch.validate(suite, result_format=wanted)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "expectations.json").write_text(json.dumps(suite.to_json_dict(), indent=1), encoding="utf-8")
    (folder / "expectations-result.json").write_text(json.dumps(outcome.to_json_dict(), indent=1), encoding="utf-8")
    return [_plain(result) for result in outcome.results]


def _plain(result: Any) -> dict[str, Any]:
    found = result.result
    indices = [entry["row"] for entry in found.get("unexpected_index_list") or ()]
    return {
        **dict(result.expectation_config.meta),
        "success": bool(result.success),
        "observed": found.get("observed_value"),
        "unexpected": int(found.get("unexpected_count") or 0),
        "rows": indices[:20],
    }
