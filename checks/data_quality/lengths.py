import math
from typing import Any

from preflight import Finding, check, report_findings
from preflight.data.expectations import Expected, lengths
from preflight.findings import counted, places
from preflight.fixtures import Evidence

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def _no_row_dominates(limits: Any) -> list[Any]:
    import great_expectations.expectations as gxe
    from great_expectations.expectations.row_conditions import Column

    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="token_share",
            max_value=limits.max_row_share,
            row_condition=Column("token_ratio") > limits.times_median,
            meta={"claim": f"no outlier holds more than {limits.max_row_share:.0%} of all tokens"},
        )
    ]


@check(
    "DATA-111",
    "length-outliers",
    severity="recommended",
    section=1,
    item="Length analysis: checked input and output token distributions",
    thresholds={"times_median": 10, "max_fraction": 0.01, "max_share": 0.2, "max_row_share": 0.05},
    expect=_no_row_dominates,
)
def no_few_examples_hold_most_of_the_tokens(
    profile: Any, expected: list[Expected], evidence: Evidence, limits: Any
) -> None:
    """No few examples hold most of the tokens.

    What it checks: Examples of more than ten times the median length: whether one of them holds more than 5 % of all
    tokens that are fed, or whether they are less than 1 % of the rows and hold more than 20 % of the tokens. The
    evidence shows how long prompts and answers are, in tokens before truncation. Where everything is learned, what is
    prompt and what answer is estimated by their characters.
    Why it matters: The loss is averaged over tokens, so a few giant rows steer the run, and each pads its batch to its
    own length. They are mostly logs, dumps or files that were pasted whole.
    How to fix: Look at the named rows. Drop or split them, or cut them with the `training.max_length` in the finding.
    Evidence: huggingface/trl#2400 (rows longer than anybody thought). The thresholds are preflight's own.
    """
    tokens = profile["kept"]
    prompts, answers = lengths(profile)
    found = {"prompt": quantiles(prompts), "answer": quantiles(answers), "row": quantiles(tokens)}
    evidence(
        "; ".join(
            f"{name}s {', '.join(f'{key} {value:,}' for key, value in found[name].items())}"
            for name in ("prompt", "answer")
        ),
        **found,
    )
    giant = tokens > limits.times_median * tokens.median()
    giants = profile[giant].sort_values("kept", ascending=False)
    share = giants["kept"].sum() / max(tokens.sum(), 1)
    few = len(giants) < limits.max_fraction * len(profile) and share > limits.max_share
    if len(giants) and (few or not expected[0].met):
        report_findings([_finding(giants, tokens[~giant], share)])


def quantiles(values: Any) -> dict[str, int]:
    return {name: int(values.quantile(share, interpolation="higher")) for name, share in QUANTILES.items()}


def _finding(giants: Any, others: Any, share: float) -> Finding:
    one = len(giants) == 1
    keep = math.ceil(others.max() / 8) * 8
    return Finding(
        f"{counted(len(giants), 'example')} of {len(giants) + len(others):,} {'holds' if one else 'hold'} {share:.0%} "
        "of all tokens",
        where=giants["where"].iloc[0],
        observed=f"{giants['kept'].iloc[0]:,} tokens, half of the other rows have at most {others.median():,.0f}"
        + ("" if one else f"; {places(list(giants['where']))}"),
        why="The loss is averaged over tokens: these rows steer the run, and each pads its batch to its own length.",
        fix=f"Drop or split {'it' if one else 'them'}, or set training.max_length: {keep}, which cuts no other row.",
    )
