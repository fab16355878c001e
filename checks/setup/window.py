from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.fixtures import Evidence
from preflight.model.files import model_config

# Families that look positions up in a table: there is no row for one beyond its end.
LEARNED = ("gpt2", "gpt_bigcode", "gpt_neo", "opt", "xglm", "biogpt", "openai-gpt", "codegen")
ITEM = "Length analysis: checked input/output token distributions"


@check("CFG-126", "positions", severity="required", section=4, item=ITEM)
def no_row_is_longer_than_the_models_table_of_positions(config: Config, train: Split, evidence: Evidence) -> None:
    """No row is longer than the table of positions of a model that has one.

    What it checks: The longest row after truncation, or pack, against `max_position_embeddings` (`n_positions`) of
    families that learn their positions: GPT-2, OPT, GPT-Neo.
    Why it matters: A position beyond the table is an index error on the CPU, and on a card a device-side assert that
    ends the process.
    How to fix: Set `training.max_length` to the number in the finding.
    Evidence: `wpe` of GPT-2 and `embed_positions` of OPT are embeddings of that many rows.
    """
    settings = model_config(config)
    window = _window(settings)
    if settings.get("model_type") not in LEARNED or window is None:
        not_applicable("the model computes its positions")
    longest = _longest(train)
    evidence(f"{longest:,} of {window:,} tokens", longest=longest, window=window)
    if longest > window:
        report_findings([_finding(config, longest, window, "The run stops at the first such row.")])


@check("CFG-127", "trained-length", severity="recommended", section=4, item=ITEM)
def no_row_is_longer_than_what_the_model_was_trained_on(config: Config, train: Split, evidence: Evidence) -> None:
    """No row is longer than what the model was trained on.

    What it checks: The longest row after truncation, or pack, against `max_position_embeddings`, for models with
    rotary positions. `rope_scaling` is part of that number in published configs.
    Why it matters: Beyond the trained length, attention meets angles that it never saw: quality drops without an error.
    How to fix: Set `training.max_length` to the number in the finding, or a `rope_scaling` that the model's card gives.
    Evidence: Chen et al. 2023, "Extending Context Window of Large Language Models via Positional Interpolation".
    """
    settings = model_config(config)
    window = _window(settings)
    if settings.get("model_type") in LEARNED or window is None:
        not_applicable("the model says nothing of its length, or has a table; see CFG-126")
    longest = _longest(train)
    evidence(f"{longest:,} of {window:,} tokens", longest=longest, window=window)
    if longest > window:
        report_findings([_finding(config, longest, window, "The model was never trained on such positions.")])


def _window(settings: dict[str, object]) -> int | None:
    text = settings.get("text_config")
    places = [settings, text if isinstance(text, dict) else {}]
    numbers = [place.get(key) for place in places for key in ("max_position_embeddings", "n_positions")]
    return next((number for number in numbers if isinstance(number, int) and number > 0), None)


def _longest(train: Split) -> int:
    import pyarrow.compute as pc

    return int(pc.max(pc.list_value_length(train.dataset.data.table["input_ids"])).as_py())


def _finding(config: Config, longest: int, window: int, why: str) -> Finding:
    return Finding(
        f"rows have up to {longest:,} tokens, and the model takes {window:,}",
        where=config.where("training.max_length"),
        observed=f"{longest:,} tokens",
        expected=f"at most {window:,}",
        why=why,
        fix=f"Set training.max_length: {window}.",
    )
