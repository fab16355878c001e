from preflight import Finding, check, report_findings
from preflight.config import Config
from preflight.data.store import Split
from preflight.findings import counted
from preflight.fixtures import Evidence

# Minimum, recommended and maximum useful number of examples by task type: the checklist's table. Question answering and
# reasoning take the row of instruction following, classification that of style transfer.
SIZES = {
    "style-transfer": (100, 500, 5_000),
    "instruction-following": (500, 5_000, 50_000),
    "domain-knowledge": (1_000, 10_000, 100_000),
    "code-generation": (2_000, 20_000, 500_000),
}
SIZES |= {"qa": SIZES["instruction-following"], "reasoning": SIZES["instruction-following"]}
SIZES |= {"classification": SIZES["style-transfer"]}


@check("DATA-102", "dataset-minimum", severity="required", section=1, item="Dataset size guidelines: minimum")
def there_are_enough_examples_to_learn_the_task(config: Config, train: Split, evidence: Evidence) -> None:
    """There are at least as many examples as the task type needs.

    What it checks: Training examples, copies counted once, against the checklist's minimum for `task.type`.
    Why it matters: With fewer the adapter learns the examples and not the task.
    How to fix: Collect more examples, or choose the task type that fits what you want (changing how a model writes
    needs far fewer than teaching it facts).
    Evidence: the checklist's size table: 100 for style transfer and classification, 500 for instruction following,
    question answering and reasoning, 1,000 for domain knowledge, 2,000 for code.
    """
    minimum = SIZES[config.task.type][0]
    count, told = _different(train)
    evidence(f"{told}, {config.task.type} needs {minimum:,}", rows=train.rows, different=count, minimum=minimum)
    if count < minimum:
        report_findings(
            [
                Finding(
                    f"{told} are too few for {config.task.type}",
                    where=config.where("data.train"),
                    observed=f"{count:,}",
                    expected=f"at least {minimum:,}",
                    why="The adapter learns the examples by heart and not the task.",
                    fix=f"Add {counted(minimum - count, 'example')}, or set task.type to what the data is for.",
                )
            ]
        )


@check("DATA-103", "dataset-size", severity="recommended", section=1, item="Dataset size guidelines: recommended")
def there_are_as_many_examples_as_recommended(config: Config, train: Split, evidence: Evidence) -> None:
    """There are at least as many examples as are recommended for the task type.

    What it checks: Training examples, copies counted once, against the checklist's recommended size for `task.type`.
    Why it matters: Below it results are fragile: they vary with every seed and every choice of rows.
    How to fix: Add varied examples, as many as the finding says.
    Evidence: the checklist's size table: 500 for style transfer and classification, 5,000 for instruction following,
    question answering and reasoning, 10,000 for domain knowledge, 20,000 for code.
    """
    recommended = SIZES[config.task.type][1]
    count, told = _different(train)
    evidence(f"{told}, recommended {recommended:,}", rows=train.rows, different=count, recommended=recommended)
    if count < recommended:
        report_findings(
            [
                Finding(
                    f"{told} are fewer than recommended for {config.task.type}",
                    where=config.where("data.train"),
                    observed=f"{count:,}",
                    expected=f"at least {recommended:,}",
                    why="Results vary with every seed.",
                    fix=f"Add {counted(recommended - count, 'varied example')}.",
                )
            ]
        )


@check("DATA-117", "dataset-maximum", severity="advice", section=1, item="Dataset size guidelines: maximum useful")
def there_are_no_more_examples_than_are_useful(config: Config, train: Split, evidence: Evidence) -> None:
    """There are no more examples than are useful for the task type.

    What it checks: Training examples, copies counted once, against the checklist's maximum useful size for `task.type`.
    Why it matters: Beyond it more rows cost time and add little.
    How to fix: Choose the best and most varied rows instead of all.
    Evidence: the checklist's size table: 5,000 for style transfer and classification, 50,000 for instruction following,
    question answering and reasoning, 100,000 for domain knowledge, 500,000 for code.
    """
    maximum = SIZES[config.task.type][2]
    count, told = _different(train)
    evidence(f"{told}, up to {maximum:,} are useful", rows=train.rows, different=count, maximum=maximum)
    if count > maximum:
        report_findings(
            [
                Finding(
                    f"{told} are more than is useful for {config.task.type}",
                    where=config.where("data.train"),
                    observed=f"{count:,}",
                    expected=f"at most {maximum:,}",
                    why="The rest costs GPU hours and adds little.",
                    fix=f"Keep the best {maximum:,}.",
                )
            ]
        )


def _different(train: Split) -> tuple[int, str]:
    """How many different training examples there are, as a number and in words."""
    count = int(train.profile["example_hash"].nunique())
    return count, counted(count, "training example" if count == train.rows else "different training example")
