from preflight import Finding, check, not_applicable, report_findings
from preflight.config import Config
from preflight.fixtures import Evidence


@check("CFG-170", "packing-isolated", severity="recommended", section=4, item="Data formatting: consistent template")
def packed_examples_do_not_see_each_other(config: Config, evidence: Evidence) -> None:
    """Examples that are packed into one row don't attend to each other.

    What it checks: `training.packing_strategy` of a packed run. `bfd` keeps whole examples and hands their positions
    on, from which transformers makes a mask; `wrapped` lays all tokens end to end and cuts them anywhere.
    Why it matters: With `wrapped`, an answer is learned with the end of another conversation before it, and examples
    are torn at the ends of rows: the model answers what was never asked.
    How to fix: Set `training.packing_strategy: bfd`.
    Evidence: TRL's documentation of `packing_strategy`; it keeps positions for `bfd` and `bfd_split` only.
    """
    if not config.training_value("packing"):
        not_applicable("training.packing is off")
    strategy = str(config.training_value("packing_strategy"))
    evidence(strategy, packing_strategy=strategy)
    if strategy != "wrapped":
        return
    report_findings(
        [
            Finding(
                "packed examples attend to each other",
                where=config.where("training.packing_strategy"),
                observed="wrapped",
                expected="bfd",
                why="Answers are learned with the end of another example before them, and examples are torn.",
                fix="Set training.packing_strategy: bfd.",
            )
        ]
    )


@check("CFG-171", "batches-mixed", severity="advice", section=4, item="Loss decreasing: steady decrease first epoch")
def batches_are_not_grouped_by_length(config: Config, evidence: Evidence) -> None:
    """Batches mix short and long rows, so that the loss can be read.

    What it checks: `training.train_sampling_strategy` isn't `group_by_length`.
    Why it matters: Rows of one length are alike in difficulty: the loss swings from batch to batch, which is often read
    as instability. Training itself is sound, and faster for less padding.
    How to fix: Read the loss as a mean over 50 steps, or set `train_sampling_strategy: random` to look for a fault.
    Evidence: transformers' documentation of `group_by_length`.
    """
    strategy = str(config.training_value("train_sampling_strategy"))
    evidence(strategy, train_sampling_strategy=strategy)
    if strategy != "group_by_length":
        return
    report_findings(
        [
            Finding(
                "batches are grouped by length: the loss will swing",
                where=config.where("training.train_sampling_strategy"),
                observed=strategy,
                why="It is easily read as instability.",
                fix="Read the loss as a mean over 50 steps, or set training.train_sampling_strategy: random.",
            )
        ]
    )
